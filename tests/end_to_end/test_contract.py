"""The deployed API against docs/openapi.yaml: whatever is sent, no answer is a 5xx or undocumented.

schemathesis makes requests out of the document, good ones and bad ones; half of the ids and tenants among
them are replaced by some that exist.  After those come requests that no schema suggests.
"""

import base64
import http.client
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import httpx
import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import (
    CoveragePhaseConfig,
    GenerationConfig,
    PhasesConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
)
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from catalog.domain.tenants import Scope
from catalog.domain.uploads import DECLARED_TYPES
from catalog_images import CatalogClient
from infra.pictures.images import half_of, jpeg_bytes, png_bomb, product_photo
from tests.end_to_end.deployment import Deployment, settled

DOCUMENT: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parents[2] / "docs" / "openapi.yaml").read_text(encoding="utf-8")
)
BOTH: Final = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
EXAMPLES: Final = 6  # of each kind an operation, besides the 10 to 70 cases at the edges of its schemas
GENERATION: Final = GenerationConfig(modes=BOTH, with_security_parameters=False)
SCHEMA: Final = schemathesis.openapi.from_dict(
    DOCUMENT,
    config=SchemathesisConfig(
        projects=ProjectsConfig(
            default=ProjectConfig(
                generation=GENERATION,
                # A method that no path has is the gateway's to refuse; test_bad_input covers it.
                phases=PhasesConfig(coverage=CoveragePhaseConfig(unexpected_methods=set())),
            )
        )
    ),
)
OPERATIONS: Final = [result.ok() for result in SCHEMA.get_all_operations()]
CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
_IMAGE: Final = jpeg_bytes(product_photo(902, (160, 120)))
_SENT: Final = st.sampled_from([_IMAGE, half_of(_IMAGE), png_bomb(13_000), b"no image", b""])
for _media_type in DECLARED_TYPES:
    schemathesis.openapi.media_type(_media_type, _SENT)


@schemathesis.serializer(*DECLARED_TYPES)
def as_bytes(_: schemathesis.SerializationContext, value: Any) -> bytes:
    """A body that is declared an image, whatever it is."""
    return value if isinstance(value, bytes) else json.dumps(value).encode()


EACH_OPERATION: Final = pytest.mark.parametrize(
    "operation", [pytest.param(operation, id=operation.label) for operation in OPERATIONS]
)


@dataclass(frozen=True)
class World:
    """What exists for the requests to meet: two ready images of the caller's tenant, a tenant, a job."""

    client: CatalogClient
    images: tuple[str, str]
    tenant: str
    job: str
    foreign_image: str
    foreign_cursor: str

    def meets(self, case: schemathesis.Case) -> None:
        """Every second well-formed id or tenant is one that exists."""
        path = case.path_parameters or {}
        for name, existing in (
            ("id", self.job if case.path.startswith("/jobs") else self.images[0]),
            ("other", self.images[1]),
            ("tenant", self.tenant),
        ):
            if _chosen(path.get(name)):
                path[name] = existing
        if isinstance(case.body, dict) and _chosen(case.body.get("id")):
            case.body["id"] = self.images[0]

    def sends(self, case: schemathesis.Case) -> None:
        headers = {"Authorization": f"Bearer {self.client.token()}"}
        response = case.call(base_url=self.client.api_url, headers=headers, allow_redirects=False)
        case.validate_response(response, checks=CHECKS)


def _chosen(value: object) -> bool:
    return (
        isinstance(value, str) and bool(re.fullmatch(r"[a-z0-9-]{1,64}", value)) and len(set(value)) % 2 == 0
    )


@pytest.fixture(scope="module")
def world(deployment: Deployment) -> Iterator[World]:
    with (
        deployment.client("contract", Scope.READ, Scope.WRITE, Scope.ADMIN) as client,
        deployment.client("other-contract") as other,
    ):
        photos = [jpeg_bytes(product_photo(seed, (640, 480))) for seed in range(900, 904)]
        images = [settled(client, photo) for photo in photos[:2]]
        for image in images:  # no request that is drawn deletes it
            client.refer(image.id, "kept for the tests of the contract")
        foreign = [settled(other, photo) for photo in photos[2:]]
        cursor = other.page(limit=1).cursor
        assert cursor is not None
        made = client.call("POST", "/tenants", json={"tenant": "contract-changes"})
        assert made.status_code == httpx.codes.CREATED, made.text
        job = client.start_job("recount", tenant="contract-changes").id
        yield World(client, (images[0].id, images[1].id), "contract-changes", job, foreign[0].id, cursor)


@EACH_OPERATION
def test_requests_at_the_edges_of_the_schemas_are_answered_as_documented(
    world: World, operation: Any
) -> None:
    for case in SCHEMA.iter_coverage_cases(operation, generation_modes=BOTH, generation_config=GENERATION):
        world.sends(case)


NOTHING_TO_GET_WRONG: Final = {"GET /webhooks", "GET /view-pass"}  # neither parameters nor a body


@EACH_OPERATION
@pytest.mark.parametrize("mode", BOTH, ids=["good", "bad"])
def test_requests_drawn_from_the_schemas_are_answered_as_documented(
    world: World, operation: Any, mode: GenerationMode
) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: schemathesis.Case) -> None:
        world.meets(case)
        world.sends(case)

    if mode is GenerationMode.POSITIVE or operation.label not in NOTHING_TO_GET_WRONG:
        send()


# --- What no schema suggests --------------------------------------------------------------------------------

_ID: Final = "5c" * 32
PATH_TRICKS: Final = {
    "parent": "..",
    "encoded parent": "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "encoded twice": "%252e%252e%252f",
    "encoded slash": f"{_ID}%2freferences",
    "encoded question mark": f"{_ID}%3fa=b",
    "null byte": f"{_ID}%00",
    "line break": f"{_ID}%0d%0aX-Injected:%201",
    "upper case": _ID.upper(),
    "full-width digits": quote("\uff15\uff43" * 32),
    "Cyrillic look-alike": quote("\u0430cme"),
    "no UTF-8": "%ff%fe",
    "lone surrogate": "%ed%a0%80",
    "expression": quote("' OR attribute_exists(id) --"),
    "braces": "%7bid%7d",
    "negative": "-1",
    "long": "a" * 6000,
    "space": f"{_ID}%20",
    "plus": f"{_ID}+",
    "bad escape": "%zz",
}
QUERY_TRICKS: Final = [
    *(
        f"limit={value}"
        for value in ("-1", "0", "101", "1e1", "1.0", "+5", "9" * 400, "0x10", "NaN", "", "%EF%BC%95")
    ),
    "limit=1&limit=2",
    "limit[]=1",
    "status=READY",
    "tenant=ACME",
    "tenant=**",
    "tenant=%D0%B0cme",
    "tenant=" + "a" * 64,
    "tenant=",
    *(
        f"cursor={quote(value)}"
        for value in ("x", "\0", "=", "\u5b57", "A" * 5000, "../..", "20261122T120000-" + "f" * 40)
    ),
    *(
        "cursor=" + base64.urlsafe_b64encode(value.encode()).decode().rstrip("=")
        for value in (
            "[]",
            "{}",
            "[1,2,3]",
            "[" * 150,
            '["contract","",""]',
            '["contract","x","y","z"]',
            '["other","x","y"]',
        )
    ),
    "nothing=1",
    "%ff=%fe",
    "__proto__=1",
]
BODY_TRICKS: Final = {
    "empty": b"",
    "null": b"null",
    "list": b"[]",
    "text": b'"x"',
    "infinity": b"1e999",
    "deep list": b"[" * 50_000,
    "deep object": b'{"a":' * 50_000,
    "no UTF-8": b"\xff\xfe\x00",
    "UTF-16": '{"id":"x"}'.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf{}",
    "huge number": b'{"size_bytes":' + b"9" * 4000 + b',"older_than_days":' + b"9" * 4000 + b"}",
    "number no int holds": b'{"size_bytes":' + b"9" * 5000 + b"}",
    "NaN": b'{"size_bytes":NaN,"older_than_days":NaN,"stored_bytes":NaN}',
    "negative": b'{"size_bytes":-1,"older_than_days":-1,"stored_bytes":-1,"uploads_per_minute":-1}',
    "wrong types": b'{"id":{},"sha256":[],"filename":1,"content_type":{},"decision":[],"scopes":[[],{}],'
    b'"limits":[],"tenant":{},"dry_run":"false","confirm_token":[],"older_than_days":true}',
    "lone surrogates": b'{"filename":"\\ud800","tenant":"\\ud800","confirm_token":"\\ud800",'
    b'"decision":"\\ud800"}',
    "prototype": b'{"__proto__":{},"constructor":{}}',
    "many fields": json.dumps({f"field{number}": 0 for number in range(5000)}).encode(),
}
CONTENT_TYPES: Final = ["application/json", "image/jpeg", "multipart/form-data", "\u00e9" * 200]


def refusal(answer: httpx.Response | tuple[int, bytes], method: str, template: str) -> tuple[int, str]:
    """The status and code of an answer that must be documented for the call; no code with a success."""
    status, body = answer if isinstance(answer, tuple) else (answer.status_code, answer.content)
    where = f"{method} {template}: {status} {body[:300]!r}"
    assert status < 500, where
    responses = DOCUMENT["paths"][template][method.lower()]["responses"]
    assert str(status) in responses, where
    if status < 300:
        return status, ""
    reference = responses[str(status)]["$ref"].rpartition("/")[2]
    schema = DOCUMENT["components"]["responses"][reference]["content"]["application/json"]["schema"]
    document = json.loads(body)
    faults = Draft202012Validator({**schema, "components": DOCUMENT["components"]}).iter_errors(document)
    assert [fault.message for fault in faults] == [], where
    return status, document["error"]["code"]


def raw(client: CatalogClient, method: str, path: str) -> tuple[int, bytes]:
    """A request whose path no library tidies up."""
    url = urlsplit(client.api_url)
    connection = http.client.HTTPConnection(url.netloc, timeout=30)
    try:
        connection.putrequest(method, url.path + path, skip_accept_encoding=True)
        connection.putheader("Authorization", f"Bearer {client.token()}")
        connection.putheader("Content-Length", "0")
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def calls(*, body: bool = False, path: bool = False) -> Any:
    """The calls of the contract, those with a body or with parameters in the path."""
    chosen = [
        (method.upper(), template)
        for template, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
        if (not body or "requestBody" in operation) and (not path or "{" in template)
    ]
    return pytest.mark.parametrize(("method", "template"), [pytest.param(*c, id=" ".join(c)) for c in chosen])


@calls(path=True)
def test_no_trick_in_a_path_is_answered_but_as_documented(world: World, method: str, template: str) -> None:
    names = re.findall(r"{(\w+)}", template)
    for name in names:
        for what, trick in PATH_TRICKS.items():
            good = {"id": world.images[0], "other": world.images[1], "tenant": world.tenant}
            values = good | {"reference": "sku-1", "client_id": "nobody"} | {name: trick}
            status, body = raw(world.client, method, template.format(**values))
            # Dot segments, empty ones and bad escapes may name another path, or none, to what is in between.
            if status in {403, 404} and b'"not_found"' in body:
                continue
            answered, _ = refusal((status, body), method, template)
            # A name of the caller's own may be in upper case, or a hash.
            assert answered in {400, 404} or name == "reference", (name, what)


def test_no_trick_in_a_query_is_answered_but_as_documented(world: World) -> None:
    for template in ("/images", "/duplicates", "/tenants", "/purge/runs", "/metrics"):
        for query in QUERY_TRICKS:
            refusal(raw(world.client, "GET", f"{template}?{query}"), "GET", template)


@calls(body=True)
@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_no_trick_in_a_body_is_answered_but_as_documented(
    world: World, method: str, template: str, content_type: str
) -> None:
    path = template.format(
        id=world.images[0], other=world.images[1], tenant=world.tenant, name="shop", reference="sku-1"
    )
    for body in BODY_TRICKS.values():
        answer = world.client.call(method, path, data=body, headers={"Content-Type": content_type.encode()})
        refusal(answer, method, template)


def test_what_is_another_tenants_is_not_there(world: World) -> None:
    for method, template in (
        ("GET", "/images/{id}"),
        ("DELETE", "/images/{id}"),
        ("PUT", "/images/{id}/references/{reference}"),
        ("DELETE", "/images/{id}/references/{reference}"),
        ("DELETE", "/images/{id}/duplicates/{other}"),
    ):
        path = template.format(id=world.foreign_image, other=world.images[0], reference="sku-1")
        assert refusal(world.client.call(method, path), method, template) == (404, "image_not_found")
    answer = world.client.call("GET", "/images", params={"cursor": world.foreign_cursor})
    assert refusal(answer, "GET", "/images") == (400, "invalid_cursor")
    answer = world.client.call("GET", "/duplicates", params={"cursor": world.foreign_cursor})
    assert refusal(answer, "GET", "/duplicates") == (400, "invalid_cursor")


@pytest.mark.parametrize("token", ["", "x", "eyJhbGciOiJub25lIn0.e30."])
@calls()
def test_no_call_is_answered_to_a_token_that_is_none(
    world: World, method: str, template: str, token: str
) -> None:
    path = template.format(
        id=world.images[0],
        other=world.images[1],
        reference="sku-1",
        tenant=world.tenant,
        client_id="nobody",
        name="shop",
    )
    assert refusal(world.client.call(method, path, token=token), method, template) == (401, "unauthorized")


def test_no_confirm_token_but_the_right_one_is_taken(world: World) -> None:
    proposal = world.client.call("POST", "/purge", json={"older_than_days": 3650}).json()
    statement, signature = proposal["confirm_token"].split(".")
    long = base64.urlsafe_b64encode(
        json.dumps(["contract", "x" * 6000, "y", 1], separators=(",", ":")).encode()
    )
    deep = base64.urlsafe_b64encode(b"[" * 9000)
    tokens = [
        "",
        ".",
        "a.b",
        f"{statement}.",
        f".{signature}",
        f"{statement}.{signature}=",
        f"{statement}.{signature[:-2]}",
        f"{statement}.{signature * 300}",
        f"{statement}.{'A' * len(signature)}",
        f"{long.decode().rstrip('=')}.{signature}",
        f"{deep.decode().rstrip('=')}.{signature}",
        "\u5b57.\u5b57",
        "A" * 100_000,
    ]
    for token in tokens:
        answer = world.client.call("POST", "/purge", json={"dry_run": False, "confirm_token": token})
        assert refusal(answer, "POST", "/purge") == (403, "invalid_confirm_token"), token[:80]

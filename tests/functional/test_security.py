"""The wall between tenants at every call of the contract, hostile values in every field, and silent logs.

Who may call at all is API Gateway's to decide; tests/end_to_end/test_security.py asks it.
"""

import hashlib
import io
import json
import logging
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from botocore.awsrequest import AWSResponse
from urllib3 import HTTPResponse

from catalog import telemetry
from catalog.adapters import sdk
from catalog.domain.purge import CONFIRMATION_VALID_FOR
from infra.local.events import api_event, s3_notification, sqs_event
from infra.pictures.images import half_of, jpeg_bytes, product_photo
from tests.functional.cloud import Answer, Cloud

DOCUMENT: Final[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[2] / "docs" / "openapi.yaml").read_text(encoding="utf-8")
)
OPERATIONS: Final = {
    operation["operationId"]: operation
    for methods in DOCUMENT["paths"].values()
    for operation in methods.values()
}
ONE_PRESET: Final = '[{"name": "thumb", "width": 40, "height": 40}]'
ADMIN: Final = "catalog/read catalog/write catalog/admin"
UNKNOWN: Final = "0d" * 32  # an id, or an SHA-256, that nobody has


def photo(seed: int, size: tuple[int, int] = (96, 72)) -> bytes:
    return jpeg_bytes(product_photo(seed, size))


@dataclass(frozen=True)
class Request:
    """One call as a function gets it."""

    function: str
    method: str
    path: str
    body: object = None
    query: dict[str, str] | None = None
    scope: str = "catalog/read catalog/write"

    def sent(self, cloud: Cloud, *, client_id: str = "client-of-globex") -> Answer:
        return cloud.call(
            self.function,
            self.method,
            self.path,
            body=self.body,
            query=self.query,
            scope=self.scope,
            client_id=client_id,
        )


@dataclass(frozen=True)
class World:
    """What acme has, and an image of globex."""

    cloud: Cloud
    image: str
    other: str
    cursors: dict[str, str]
    confirm_token: str
    run: str
    own: str


@pytest.fixture
def world(cloud: Cloud) -> World:
    cloud.configure(PRESETS=ONE_PRESET)
    larger = photo(1, (400, 300))
    image, other = (
        cloud.upload(data)["id"] for data in (larger, jpeg_bytes(product_photo(1, (400, 300)), 60))
    )
    own = cloud.upload(photo(2), client_id="client-of-globex")["id"]
    cloud.reference("PUT", image, "sku-1")
    cloud.upload(photo(3))
    cloud.call("duplicates", "PUT", f"/images/{image}/duplicates/{other}", body={"decision": "distinct"})
    cloud.call("duplicates", "PUT", f"/images/{image}/duplicates/{other}", body={"decision": "same"})
    hook = {"url": "https://shop.example.com/acme"}
    assert cloud.call("webhooks", "PUT", "/webhooks/shop", body=hook).status == 201
    cursors = {
        "images": cloud.list_images(limit="1").json["cursor"],
        "tenants": "acme",
    }
    proposal = cloud.purge(older_than_days=0).json
    cloud.purge(older_than_days=0)
    runs = cloud.call("purge", "GET", "/purge/runs", query={"limit": "1"}, scope=ADMIN).json
    cursors["runs"] = runs["cursor"]
    assert all(cursors.values())
    assert proposal["candidates"]
    return World(cloud, image, other, cursors, proposal["confirm_token"], proposal["run_id"], own)


# --- The wall -----------------------------------------------------------------------------------------------

# Of each call: the requests that reach for what is acme's, each beside one for what is nobody's.  They are
# sent as globex and must be answered alike: nothing tells what exists from what does not.
Reach = Callable[[World], list[tuple[Request, Request]]]


def _by_id(function: str, method: str, path: str, body: object = None) -> Reach:
    """`path` with {id}, and {other} where there is a second one: each foreign in turn."""

    def reach(world: World) -> list[tuple[Request, Request]]:
        pairs = [(path.format(id=world.image, other=world.own), path.format(id=UNKNOWN, other=world.own))]
        if "{other}" in path:
            pairs += [
                (path.format(id=world.own, other=world.image), path.format(id=world.own, other=UNKNOWN)),
                (path.format(id=world.image, other=world.other), path.format(id=UNKNOWN, other="0e" * 32)),
            ]
        return [(Request(function, method, a, body), Request(function, method, b, body)) for a, b in pairs]

    return reach


def _by_cursor(function: str, path: str, cursor: str) -> Reach:
    def reach(world: World) -> list[tuple[Request, Request]]:
        asked = (
            Request(function, "GET", path, query={"cursor": each})
            for each in (world.cursors[cursor], "nobody")
        )
        return [(next(asked), next(asked))]

    return reach


def _by_name(method: str, path: str, body: object = None) -> Reach:
    """A webhook that acme has, beside one that nobody has."""

    def reach(_: World) -> list[tuple[Request, Request]]:
        foreign, nobodys = (
            Request("webhooks", method, path.format(name=name), body) for name in ("shop", "none")
        )
        return [(foreign, nobodys)]

    return reach


def _announcement(world: World) -> list[tuple[Request, Request]]:
    body = {"size_bytes": 9, "content_type": "image/jpeg", "filename": "a.jpg"}
    return [
        (
            Request("request_upload", "POST", "/images", {**body, "sha256": world.image}),
            Request("request_upload", "POST", "/images", {**body, "sha256": secrets.token_hex(32)}),
        )
    ]


def _announcements(world: World) -> list[tuple[Request, Request]]:
    def batch(sha256: str) -> Request:
        image = {"sha256": sha256, "size_bytes": 9, "content_type": "image/jpeg", "filename": "a.jpg"}
        return Request("request_upload", "POST", "/images/batch", {"images": [image]})

    return [(batch(world.other), batch(secrets.token_hex(32)))]


def _references(world: World) -> list[tuple[Request, Request]]:
    def batch(id_: str) -> Request:
        return Request(
            "references", "PUT", "/references", {"references": [{"id": id_, "reference": "sku-1"}]}
        )

    return [(batch(world.image), batch(UNKNOWN))]


def _comparison(world: World) -> list[tuple[Request, Request]]:
    return [
        (
            Request("compare", "POST", "/compare", {"id": world.image}),
            Request("compare", "POST", "/compare", {"id": UNKNOWN}),
        )
    ]


def _metrics(world: World) -> list[tuple[Request, Request]]:
    return [
        (
            Request("metrics", "GET", "/metrics", query={"tenant": "acme"}),
            Request("metrics", "GET", "/metrics", query={"tenant": "nobody"}),
        )
    ]


def _confirmation(world: World) -> list[tuple[Request, Request]]:
    body = {"dry_run": False}
    forged = world.confirm_token[:-2] + ("AA" if world.confirm_token[-2:] != "AA" else "BB")
    return [
        (
            Request("purge", "POST", "/purge", {**body, "confirm_token": world.confirm_token}, scope=ADMIN),
            Request("purge", "POST", "/purge", {**body, "confirm_token": forged}, scope=ADMIN),
        )
    ]


JOB: Final = "20261130T120000-00000000"
WALL: Final[dict[str, Reach]] = {
    "listImages": _by_cursor("list_images", "/images", "images"),
    "getImage": _by_id("get_image", "GET", "/images/{id}"),
    "deleteImage": _by_id("purge", "DELETE", "/images/{id}"),
    "takeReference": _by_id("references", "PUT", "/images/{id}/references/sku-1"),
    "releaseReference": _by_id("references", "DELETE", "/images/{id}/references/sku-1"),
    "setReferences": _references,
    "decidePair": _by_id("duplicates", "PUT", "/images/{id}/duplicates/{other}", {"decision": "same"}),
    "undoDecision": _by_id("duplicates", "DELETE", "/images/{id}/duplicates/{other}"),
    "listPairs": _by_cursor("duplicates", "/duplicates", "images"),
    "compareImage": _comparison,
    "purge": _confirmation,
    "getMetrics": _metrics,
    "putWebhook": _by_name("PUT", "/webhooks/{name}", {}),  # each tenant may have one of any name
    "listWebhooks": _by_name("GET", "/webhooks"),
    "getWebhook": _by_name("GET", "/webhooks/{name}"),
    "deleteWebhook": _by_name("DELETE", "/webhooks/{name}"),
    "testWebhook": _by_name("POST", "/webhooks/{name}/test"),
    "listWebhookDeliveries": _by_name("GET", "/webhooks/{name}/deliveries"),
    "getViewPass": lambda _: [(Request("get_image", "GET", "/view-pass"),) * 2],  # it names no image
    "requestUpload": _announcement,  # from now on globex awaits these bytes too
    "requestUploads": _announcements,
}
# What a tenant has, or may have, whatever another one has; and a batch, which is 200 whatever its items are.
EVERYBODYS: Final = {"requestUpload", "requestUploads", "listWebhooks", "getViewPass", "setReferences"}
# An administrator is above the tenants: these name one, and only a token with the scope catalog/admin comes
# here (tests/template/test_api.py, tests/end_to_end/test_security.py).
ADMINISTRATION: Final = {
    "listPurgeRuns": Request("purge", "GET", "/purge/runs", query={"tenant": "acme"}, scope=ADMIN),
    "createTenant": Request("tenants", "POST", "/tenants", {"tenant": "new"}, scope=ADMIN),
    "listTenants": Request("tenants", "GET", "/tenants", scope=ADMIN),
    "removeTenant": Request("tenants", "DELETE", "/tenants/acme", scope=ADMIN),
    "limitTenant": Request("tenants", "PUT", "/tenants/acme/limits", {"stored_bytes": 1}, scope=ADMIN),
    "addClient": Request("tenants", "POST", "/tenants/acme/clients", {}, scope=ADMIN),
    "listClients": Request("tenants", "GET", "/tenants/acme/clients", scope=ADMIN),
    "revokeClient": Request("tenants", "DELETE", "/tenants/acme/clients/client-of-acme", scope=ADMIN),
    "createJob": Request("jobs", "POST", "/jobs", {"kind": "recount", "tenant": "acme"}, scope=ADMIN),
    "listJobs": Request("jobs", "GET", "/jobs", query={"tenant": "acme"}, scope=ADMIN),
    "getJob": Request("jobs", "GET", f"/jobs/{JOB}", scope=ADMIN),
    "listJobFailures": Request("jobs", "GET", f"/jobs/{JOB}/failures", scope=ADMIN),
    "listJobGroups": Request("jobs", "GET", f"/jobs/{JOB}/groups", scope=ADMIN),
    "pauseJob": Request("jobs", "POST", f"/jobs/{JOB}/pause", scope=ADMIN),
    "resumeJob": Request("jobs", "POST", f"/jobs/{JOB}/resume", scope=ADMIN),
    "cancelJob": Request("jobs", "POST", f"/jobs/{JOB}/cancel", scope=ADMIN),
    "retryJob": Request("jobs", "POST", f"/jobs/{JOB}/retry", scope=ADMIN),
}


def test_every_call_of_the_contract_has_its_place_at_the_wall() -> None:
    assert WALL.keys() | ADMINISTRATION.keys() == OPERATIONS.keys()
    assert not WALL.keys() & ADMINISTRATION.keys()
    for name in ADMINISTRATION:
        assert OPERATIONS[name]["security"] == [{"clientCredentials": ["catalog/admin"]}]


def test_what_is_another_tenants_is_answered_like_what_does_not_exist(world: World) -> None:
    cloud = world.cloud
    before = cloud.snapshot()
    for name, reach in WALL.items():
        for _, nobodys in reach(world):
            nobodys.sent(cloud)  # from now on the function knows the client, as it does for a minute
        for foreign, nobodys in reach(world):
            with cloud.watched_calls() as made_for_foreign:
                answered = foreign.sent(cloud)
            with cloud.watched_calls() as made_for_nobodys:
                expected = nobodys.sent(cloud)
            assert alike(answered) == alike(expected), name
            # The same requests to AWS: how long an answer takes tells nothing either.
            assert made_for_foreign.made == made_for_nobodys.made, name
            assert name in EVERYBODYS or answered.status in {400, 403, 404}, name
    after = cloud.snapshot()
    assert after["objects"] == before["objects"]
    assert of_acme(after) == of_acme(before)


def alike(answer: Answer) -> tuple[int, Any]:
    """An answer less the ids, URLs and times that are in it because they were asked for."""
    return answer.status, re.sub(
        r"[0-9a-f]{64}|https://[^\"]+|\d{4}-\d\d-[\dT:.]+Z|[\w+/]{43}=", "*", json.dumps(answer.json)
    )


def of_acme(snapshot: dict[str, Any]) -> list[str]:
    """Every item that names acme, as text."""
    texts = (repr(item) for items in snapshot["items"].values() for item in items)
    found = sorted(text for text in texts if "acme" in text)
    assert found
    return found


def test_a_cursor_of_another_list_or_tenant_is_refused_by_one_code(world: World) -> None:
    lists = {
        "/images": "list_images",
        "/duplicates": "duplicates",
        "/purge/runs": "purge",
        "/tenants": "tenants",
        "/tenants/globex/clients": "tenants",
    }
    for path, function in lists.items():
        for cursor in (world.cursors["images"], world.cursors["runs"], "nonsense"):
            answer = Request(function, "GET", path, query={"cursor": cursor}, scope=ADMIN).sent(world.cloud)
            assert (answer.status, answer.json["error"]["code"]) == (400, "invalid_cursor"), path
            assert "faults" not in answer.json["error"]


def test_no_list_and_no_count_has_anything_of_another_tenant(world: World) -> None:
    cloud = world.cloud
    asked = [
        Request("list_images", "GET", "/images"),
        *(
            Request("list_images", "GET", "/images", query={"status": status})
            for status in ("ready", "rejected")
        ),
        Request("list_images", "GET", "/images", query={"reference_prefix": "s"}),
        Request("duplicates", "GET", "/duplicates"),
        Request("metrics", "GET", "/metrics"),
        Request("purge", "POST", "/purge", {"older_than_days": 0}, scope=ADMIN),
        Request("purge", "GET", "/purge/runs", scope=ADMIN),
        Request("get_image", "GET", f"/images/{world.own}"),
    ]
    for request in asked:
        answer = request.sent(cloud)
        assert answer.status == 200
        text = json.dumps(answer.json)
        for acmes in ("acme", world.image, world.other, world.run, "sku-1"):
            assert acmes not in text, (request, acmes)


def test_the_same_bytes_of_two_tenants_are_two_uploads_and_two_assets(cloud: Cloud) -> None:
    cloud.configure(PRESETS=ONE_PRESET)
    data = photo(4)
    cloud.upload(data)
    announced = cloud.announce(data, client_id="client-of-globex")
    assert announced.status == 201, "to be told that they are here would be to learn that acme has them"
    url = urlsplit(announced.json["upload"]["url"])
    assert url.path == f"/originals/globex/{hashlib.sha256(data).hexdigest()}"


def requests_of_everyone(world: World) -> Iterator[tuple[str, Request]]:
    """A good request of each call, for what is acme's own."""
    for name, reach in WALL.items():
        yield name, reach(world)[0][0]
    yield from ADMINISTRATION.items()
    yield "purge", Request("purge", "POST", "/purge", {"tenant": "acme", "older_than_days": 0}, scope=ADMIN)
    yield "getMetrics", Request("metrics", "GET", "/metrics", query={"tenant": "*"}, scope=ADMIN)


def test_a_client_that_is_of_no_tenant_can_do_nothing_whatever_its_scopes_and_whomever_it_names(
    world: World,
) -> None:
    before = world.cloud.snapshot()
    for client_id in ("client-of-nobody", "", "acme", "CLIENT-OF-ACME", "client-of-acme\u200b"):
        for name, request in requests_of_everyone(world):
            answer = request.sent(world.cloud, client_id=client_id)
            assert (answer.status, answer.json["error"]["code"]) == (403, "unknown_client"), (client_id, name)
    assert world.cloud.snapshot() == before


CLAIMS_OF_NO_CLIENT: Final[list[Any]] = [
    None,
    {},
    {"sub": "client-of-acme"},
    {"aud": "client-of-acme", "token_use": "id"},  # an ID token's
    {"client_id": None},
    {"client_id": ""},
]


def test_nothing_but_the_client_of_the_verified_claims_says_who_calls(cloud: Cloud) -> None:
    for claims in CLAIMS_OF_NO_CLIENT:
        event = api_event("GET", "/images")
        event["requestContext"]["authorizer"] = {"claims": claims} if claims is not None else {}
        event["headers"] |= {
            "client_id": "client-of-acme",
            "X-Tenant": "acme",
            "X-Amzn-Oidc-Identity": "acme",
        }
        event["requestContext"]["identity"]["user"] = "client-of-acme"
        answer = cloud.invoke("list_images", event)
        assert answer["statusCode"] == 403
        assert json.loads(answer["body"])["error"]["code"] == "unknown_client"


# --- Hostile values -----------------------------------------------------------------------------------------

HOSTILE_TEXTS: Final = [
    "",
    ".",
    "..",
    "../acme",
    "..%2Facme",
    "%2e%2e%2f",
    "%252e%252e%252f",
    "..\\acme",
    "acme/",
    "/acme",
    "acme\0",
    "acme\r\nX-Injected: 1",
    "acme\u200b",  # zero-width space
    "\u202eemca",  # right-to-left override
    "\ufeffacme",
    "\uff41\uff43\uff4d\uff45",  # full-width: NFKC makes "acme" of it
    "\u0430\u0441me",  # Cyrillic a and es
    "acm\u00e9",
    "acme\u0301",
    "\U0001d41acme",  # mathematical bold a, NFKC again
    "ACME",
    "*",
    "{acme}",
    "${acme}",
    "acme;DROP",
    "' OR 1=1 --",
    "-1",
    "NaN",
    "a" * 70,
    "a" * 100_000,
]
HOSTILE_VALUES: Final = [
    *HOSTILE_TEXTS,
    None,
    True,
    False,
    0,
    -1,
    -(10**400),
    10**400,
    0.5,
    1e308,
    [],
    {},
    [["acme"]],
    {"acme": "acme"},
    "\ud800",
]


def look_alikes(id_: str) -> list[str]:
    """What a careless comparison would take for this id."""
    digits = str.maketrans("0123456789", "".join(chr(0xFF10 + n) for n in range(10)))
    arabic = str.maketrans("0123456789", "".join(chr(0x0660 + n) for n in range(10)))
    return [
        id_.upper(),
        id_.translate(digits),
        id_.translate(arabic),
        id_.replace("a", "\u0430").replace("c", "\u0441").replace("e", "\u0435"),
        f"{id_}\u200b",
        f"\u202e{id_[::-1]}",
        f" {id_}",
        f"{id_}\n",
        f"{id_}\0",
        f"{id_}%00",
        f"{id_}/",
        f"{id_}.",
        f"./{id_}",
        f"../acme/{id_}",
        f"..%2Facme%2F{id_}",
        f"acme/{id_}",
        f"acme%2F{id_}",
        id_[:-1],
        f"{id_}0",
        "%" + "%".join(f"{ord(digit):02x}" for digit in id_),
    ]


def test_no_look_alike_of_an_id_finds_anything(world: World) -> None:
    before = world.cloud.snapshot()
    for path in (
        "/images/{}",
        "/images/{}/references/sku-1",
        "/images/{}/duplicates/" + world.other,
        "/images/" + world.other + "/duplicates/{}",
    ):
        function = next((name for name in ("references", "duplicates") if name in path), "get_image")
        for text in [*look_alikes(world.image), *HOSTILE_TEXTS]:
            if text.rstrip("/\n") == world.image:
                continue  # Powertools' router drops a slash or a line break at the end; the id is the id
            method = "GET" if function == "get_image" else "DELETE"
            answer = Request(function, method, path.format(text)).sent(
                world.cloud, client_id="client-of-acme"
            )
            assert answer.status in {400, 404}, (path, text, answer)
            assert answer.json["error"]["code"] in {"invalid_request", "not_found"}, (path, text)
    for text in look_alikes(world.image):
        answer = Request("compare", "POST", "/compare", {"id": text}).sent(
            world.cloud, client_id="client-of-acme"
        )
        assert answer.status == 400, text
    assert world.cloud.snapshot() == before


FIELDS: Final = [
    ("request_upload", "POST", "/images", field)
    for field in ("sha256", "size_bytes", "content_type", "filename")
] + [
    ("purge", "POST", "/purge", "tenant"),
    ("purge", "POST", "/purge", "confirm_token"),
    ("purge", "POST", "/purge", "older_than_days"),
    ("purge", "POST", "/purge", "dry_run"),
    ("compare", "POST", "/compare", "id"),
    ("tenants", "POST", "/tenants", "tenant"),
    ("tenants", "POST", "/tenants", "scopes"),
    ("tenants", "POST", "/tenants", "limits"),
    ("tenants", "PUT", "/tenants/globex/limits", "stored_bytes"),
    ("tenants", "PUT", "/tenants/globex/limits", "uploads_per_minute"),
    ("duplicates", "PUT", "/images/{image}/duplicates/{other}", "decision"),
]


RAW_VALUES: Final = (
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "[" * 20_000,
    '{"a":' * 20_000,
    "9" * 5000,
    "-0",
)


def test_no_value_of_any_field_is_answered_but_by_name(cloud: Cloud) -> None:
    for function, method, path, field in FIELDS:
        body: dict[str, object] = {}
        if function == "request_upload":
            body = {"sha256": UNKNOWN, "size_bytes": 9, "content_type": "image/jpeg", "filename": "a.jpg"}
        bodies = [json.dumps({**body, field: value}) for value in HOSTILE_VALUES]
        bodies += [json.dumps({**body, field: 0})[:-2] + raw + "}" for raw in RAW_VALUES]
        for text in bodies:
            named = path.format(image="5c" * 32, other="6d" * 32)
            answer = Request(function, method, named, text, scope=ADMIN).sent(cloud)
            assert answer.status < 500, (path, text[:200])
            if answer.status >= 400:
                assert set(answer.json["error"]) >= {"code", "message", "request_id"}, (path, text[:200])


def test_no_look_alike_names_a_tenant(cloud: Cloud) -> None:
    for text in HOSTILE_TEXTS:
        if text in {"", "*"}:
            continue  # nobody, and for metrics everybody
        for request in (
            Request("metrics", "GET", "/metrics", query={"tenant": text}, scope=ADMIN),
            Request("purge", "GET", "/purge/runs", query={"tenant": text}, scope=ADMIN),
            Request("purge", "POST", "/purge", {"tenant": text}, scope=ADMIN),
            Request("tenants", "POST", "/tenants", {"tenant": text}, scope=ADMIN),
        ):
            assert request.sent(cloud).status == 400, (request, text)


def test_a_file_name_is_shown_as_it_was_given_and_goes_nowhere_else(cloud: Cloud) -> None:
    cloud.configure(PRESETS=ONE_PRESET)
    names = [
        "../../etc/passwd",
        'a"; filename="evil.exe',
        "a.jpg; x-amz-acl=public-read",
        "filename*=UTF-8''%0d%0aX-Injected%3A%201",
        "<script>alert(1)</script>",
        "invoice\u202egpj.exe",
        "?X-Amz-Expires=604800&X-Amz-Signature=0",
        "%00%0d%0a",
        "\u200b.jpg",
    ]
    for seed, name in enumerate(names, start=10):
        data = photo(seed)
        announced = cloud.announce(data, filename=name)
        assert announced.status == 201, name
        url = urlsplit(announced.json["upload"]["url"])
        assert url.path == f"/originals/acme/{announced.json['id']}"
        assert set(parse_qs(url.query)) == SIGNED_QUERY
        image = cloud.upload(data, filename=name)
        assert image["original_filename"] == name
        (rendition,) = image["renditions"]
        assert name not in rendition["url"]
        assert urlsplit(rendition["url"]).path.startswith(f"/renditions/acme/{image['id']}/thumb-")


def test_a_file_name_with_a_control_character_is_refused(cloud: Cloud) -> None:
    for character in ("\0", "\r", "\n", "\x1b", "\x7f", "\x80", "\x85", "\x9f", "\ud800"):
        answer = cloud.announce(b"x", filename=f"a{character}.jpg")
        assert answer.status == 400
        assert [fault["field"] for fault in answer.json["error"]["faults"]] == ["filename"]


SIGNED_QUERY: Final = {
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
}


def test_no_header_and_no_query_of_a_caller_steers_a_presigned_url_or_an_answer(cloud: Cloud) -> None:
    cloud.configure(PRESETS=ONE_PRESET)
    body = json.dumps({"sha256": UNKNOWN, "size_bytes": 9, "content_type": "image/jpeg", "filename": "a.jpg"})
    plain = api_event("POST", "/images", body=body)
    hostile = api_event("POST", "/images", body=body)
    hostile["headers"] |= {
        "Host": "evil.example",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Port": "8080",
        "X-Forwarded-For": "127.0.0.1",
        "Forwarded": "host=evil.example",
        "X-Original-URL": "/tenants",
        "X-HTTP-Method-Override": "DELETE",
        "X-Amz-Security-Token": "evil",
        "X-Amz-Expires": "604800",
        "X-Amz-Acl": "public-read",
        "X-Amz-Content-Sha256": "0",
        "X-Amzn-Trace-Id": "evil\r\nX-Injected: 1",
        "Origin": "https://evil.example",
        "Content-Disposition": "attachment; filename=evil",
    }
    hostile["multiValueHeaders"] |= {name: [value] for name, value in hostile["headers"].items()}
    hostile["queryStringParameters"] = {"X-Amz-Expires": "604800", "tenant": "globex"}
    hostile["multiValueQueryStringParameters"] = {"X-Amz-Expires": ["604800"], "tenant": ["globex"]}
    hostile["stageVariables"] = {"ORIGINALS_BUCKET": "evil"}

    first, second = (cloud.invoke("request_upload", event) for event in (plain, hostile))

    offered, steered = (json.loads(answer["body"])["upload"] for answer in (first, second))
    assert offered["headers"] == steered["headers"]
    url, other = urlsplit(offered["url"]), urlsplit(steered["url"])
    assert (url.scheme, url.netloc, url.path) == (other.scheme, other.netloc, other.path)
    assert (url.scheme, url.netloc) == ("https", f"{cloud.originals}.s3.eu-central-1.amazonaws.com")
    query = parse_qs(other.query)
    assert query["X-Amz-Expires"] == ["900"]
    assert query["X-Amz-SignedHeaders"] == [
        "content-length;content-type;host;if-none-match;x-amz-checksum-sha256"
    ]
    assert set(query) == SIGNED_QUERY
    told = dict(second["multiValueHeaders"])
    assert "evil" not in json.dumps(told)
    assert "Content-Disposition" not in told
    assert told["Content-Type"] == ["application/json"]


FOREIGN_KEYS: Final = [
    "originals/acme/../globex/{}",
    "originals/acme/%2e%2e/{}",
    "originals/\uff41\uff43\uff4d\uff45/{}",
    "originals/acme/{}/x",
    "originals/acme/{}\u200b",
    "originals/ACME/{}",
    "renditions/acme/{}",
    "originals/acme/" + "a" * 900,
    "originals//{}",
    "\0originals/acme/{}",
]


def test_an_object_under_no_key_of_ours_is_left_alone(cloud: Cloud) -> None:
    for key in FOREIGN_KEYS:
        id_ = hashlib.sha256(photo(1)).hexdigest()
        with cloud.watched_calls() as calls:
            answer = cloud.invoke("ingest", sqs_event(s3_notification(cloud.originals, key.format(id_))))
        assert answer == {"batchItemFailures": []}
        assert calls.made == []


# --- Confirm tokens -----------------------------------------------------------------------------------------


def test_a_confirm_token_with_any_character_changed_left_out_or_added_confirms_nothing(world: World) -> None:
    token = world.confirm_token
    before = world.cloud.snapshot()
    altered = [token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :] for at in range(len(token))]
    altered += [token[:at] + token[at + 1 :] for at in range(0, len(token), 7)]
    altered += [token + "A", token + "=", " " + token, token + "\n", token.replace(".", "..")]
    for forged in altered:
        answer = world.cloud.purge(dry_run=False, confirm_token=forged)
        assert (answer.status, answer.json["error"]["code"]) == (403, "invalid_confirm_token"), forged
    assert world.cloud.snapshot() == before


def test_a_confirm_token_is_of_one_tenant_one_set_one_time_and_one_use(world: World) -> None:
    cloud, token = world.cloud, world.confirm_token
    foreign = cloud.purge(dry_run=False, confirm_token=token, client_id="client-of-globex")
    renamed = cloud.purge(dry_run=False, confirm_token=token, tenant="globex")
    assert {foreign.json["error"]["code"], renamed.json["error"]["code"]} == {"invalid_confirm_token"}

    with cloud.later(CONFIRMATION_VALID_FOR + timedelta(seconds=1)):
        late = cloud.purge(dry_run=False, confirm_token=token)
    assert late.json["error"]["code"] == "confirm_token_expired"

    # The run behind the token is given another set: the token signs the set, not the name of the run.
    cloud.dynamodb.update_item(
        TableName="PurgeRunsTable",
        Key={"tenant": {"S": "acme"}, "run_id": {"S": world.run}},
        UpdateExpression="SET candidates = :other",
        ExpressionAttributeValues={":other": {"B": bytes.fromhex(world.image)}},
    )
    swapped = cloud.purge(dry_run=False, confirm_token=token)
    assert swapped.json["error"]["code"] == "invalid_confirm_token"
    assert cloud.get(world.image).status == 200

    fresh = cloud.purge(older_than_days=0).json["confirm_token"]
    assert cloud.purge(dry_run=False, confirm_token=fresh).status == 200
    again = cloud.purge(dry_run=False, confirm_token=fresh)
    assert again.json["error"]["code"] == "confirm_token_used"


# --- Logs ---------------------------------------------------------------------------------------------------


@contextmanager
def everything_logged(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """All that would be in CloudWatch: our lines at the most talkative level, others' warnings, metrics."""
    ours, others = io.StringIO(), io.StringIO()
    (handler,) = telemetry.logger.handlers
    assert isinstance(handler, logging.StreamHandler)
    watching = logging.StreamHandler(others)
    watching.setLevel(logging.WARNING)  # of Lambda's root logger
    level = telemetry.logger.log_level
    stream = handler.setStream(ours)
    logging.getLogger().addHandler(watching)
    telemetry.logger.setLevel(logging.DEBUG)
    capsys.readouterr()
    try:
        yield lambda: ours.getvalue() + others.getvalue() + "".join(capsys.readouterr())
    finally:
        telemetry.logger.setLevel(level)
        logging.getLogger().removeHandler(watching)
        handler.setStream(stream)


def _secretly(cloud: Cloud, function: str, event: dict[str, Any]) -> dict[str, Any]:
    """With a token in the header where a client puts it, and in some where it should not."""
    event["headers"] |= {"Authorization": f"Bearer {SECRET}", "Cookie": SECRET, "X-Api-Key": SECRET}
    event["multiValueHeaders"] |= {"Authorization": [f"Bearer {SECRET}"]}
    answer = cloud.invoke(function, event)
    body: dict[str, Any] = json.loads(answer["body"])
    return body | {"statusCode": answer["statusCode"]}


SECRET: Final = "eyJraWQiOiJzZWNyZXQifQ.c2VjcmV0LWNsYWltcw.c2VjcmV0LXNpZ25hdHVyZQ"


@pytest.mark.usefixtures("own_clients")
def test_no_log_line_has_a_token_a_secret_or_a_presigned_url_whatever_fails(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud = world.cloud
    secret_texts = [SECRET, world.confirm_token]
    with everything_logged(capsys) as logged:
        data = photo(30)
        announcement = {
            "sha256": hashlib.sha256(data).hexdigest(),
            "size_bytes": len(data),
            "content_type": "image/jpeg",
            "filename": f"{SECRET}.jpg",
        }
        ticket = _secretly(cloud, "request_upload", api_event("POST", "/images", body=announcement))
        secret_texts.append(ticket["upload"]["url"])
        cloud.ingest(cloud.store(data), cloud.store(half_of(data)))
        for job in cloud.take_jobs():
            cloud.render(job)
        for path in (f"/images/{ticket['id']}", f"/images/{SECRET}"):
            shown = _secretly(cloud, "get_image", api_event("GET", path))
            secret_texts += [rendition["url"] for rendition in shown.get("renditions", [])]
        reference = api_event("PUT", f"/images/{ticket['id']}/references/{SECRET}")
        assert _secretly(cloud, "references", reference)["in_use_count"] == 1
        listed = _secretly(cloud, "list_images", api_event("GET", "/images", query={"limit": "1"}))
        secret_texts.append(listed["cursor"])
        for query in ({"cursor": listed["cursor"]}, {"cursor": SECRET}, {SECRET: SECRET}, {"status": SECRET}):
            _secretly(cloud, "list_images", api_event("GET", "/images", query=query))
        created = _secretly(
            cloud, "tenants", api_event("POST", "/tenants", body={"tenant": "initech"}, scope=ADMIN)
        )
        secret_texts.append(created["client_secret"])
        for body in (
            {"dry_run": False, "confirm_token": SECRET},
            {"dry_run": False, "confirm_token": world.confirm_token[:-1]},
            {"dry_run": False, "confirm_token": world.confirm_token},
            {"dry_run": False, "confirm_token": world.confirm_token},
            {"tenant": SECRET},
            f'{{"confirm_token": "{SECRET}"',
        ):
            _secretly(cloud, "purge", api_event("POST", "/purge", body=body, scope=ADMIN))
        for body in ({"id": ticket["id"]}, {"id": SECRET}, SECRET):
            _secretly(cloud, "compare", api_event("POST", "/compare", body=body))
        _secretly(cloud, "metrics", api_event("GET", "/metrics", query={"tenant": SECRET}))
        _secretly(cloud, "duplicates", api_event("GET", "/duplicates", query={"cursor": SECRET}))

        # And with every service down: the answers are 500, and the log has tracebacks.
        for service in ("dynamodb", "s3", "kms", "cognito-idp", "sqs"):
            sdk.client(service).meta.events.register_first(f"before-send.{service}.*", unavailable)
        assert sdk.client.cache_info().currsize >= 5
        failed = [
            _secretly(cloud, "request_upload", api_event("POST", "/images", body=announcement)),
            _secretly(cloud, "get_image", api_event("GET", f"/images/{ticket['id']}")),
            _secretly(cloud, "list_images", api_event("GET", "/images", query={"cursor": listed["cursor"]})),
            _secretly(cloud, "references", api_event("DELETE", f"/images/{ticket['id']}/references/sku")),
            _secretly(
                cloud,
                "purge",
                api_event(
                    "POST",
                    "/purge",
                    body={"dry_run": False, "confirm_token": world.confirm_token},
                    scope=ADMIN,
                ),
            ),
            _secretly(cloud, "tenants", api_event("POST", "/tenants", body={"tenant": "hooli"}, scope=ADMIN)),
        ]
        for function, event in (
            ("ingest", sqs_event(s3_notification(cloud.originals, f"originals/acme/{ticket['id']}"))),
            ("render", sqs_event(json.dumps({"tenant": "acme", "id": ticket["id"], "presets": ["thumb"]}))),
        ):
            with pytest.raises(Exception, match="All records failed"):
                cloud.invoke(function, event)
        lines = logged()
    assert {answer["statusCode"] for answer in failed} == {500}
    assert "Traceback" in lines
    assert len(lines.splitlines()) > 40
    for secret in secret_texts:
        assert len(secret) > 20
        assert secret not in lines, re.findall(f".{{0,200}}{re.escape(secret[:60])}", lines)[:1]
    # Nor any presigned URL at all, or what signs one.
    assert not re.findall(r"X-Amz-Signature|X-Amz-Credential|AWS4-HMAC|Bearer ", lines)


def unavailable(request: Any, **_: Any) -> AWSResponse:
    body = json.dumps({"__type": "InternalServerError", "message": "try again"}).encode()
    return AWSResponse(request.url, 400, {}, HTTPResponse(io.BytesIO(body), preload_content=False))


def test_a_context_or_an_event_is_never_logged_whole() -> None:
    # `log_event=True`, or POWERTOOLS_LOGGER_LOG_EVENT, would write the Authorization header.
    root = Path(__file__).parents[2]
    for path in [*root.glob("functions/*/handler.py"), root / "template.yaml"]:
        assert "log_event" not in path.read_text().lower(), path

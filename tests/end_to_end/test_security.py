"""Tokens that must not be believed, scopes that do not suffice, and presigned URLs that were tampered with.

On AWS, the Cognito authorizer of API Gateway checks tokens; here the gateway of the emulator does.  Tests
sign with the key of its user pool, so that a token can be right in all but one thing.  SECURITY.md says where
the two differ.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import pytest
import requests
import yaml
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from catalog.domain.tenants import Scope
from catalog_images import CatalogClient
from catalog_images.photos import announcement_of
from infra.pictures.images import jpeg_bytes, product_photo
from tests.end_to_end.conftest import EMULATOR
from tests.end_to_end.deployment import FINISH_SECONDS, Deployment, settled, ticket_for

DOCUMENT: Final[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[2] / "docs" / "openapi.yaml").read_text(encoding="utf-8")
)
CALLS: Final = [
    (method.upper(), path, operation["security"][0]["clientCredentials"][0])
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]
Json = dict[str, Any]


def encoded(value: bytes | Mapping[str, Any]) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def decoded(text: str) -> Json:
    document: Json = json.loads(base64.urlsafe_b64decode(text + "=="))
    return document


def rs256(key: rsa.RSAPrivateKey) -> Callable[[bytes], bytes]:
    return lambda signed: key.sign(signed, padding.PKCS1v15(), hashes.SHA256())


def hs256(secret: bytes) -> Callable[[bytes], bytes]:
    return lambda signed: hmac.digest(secret, signed, "sha256")


def token_of(header: Json, claims: Json, sign: Callable[[bytes], bytes]) -> str:
    signed = f"{encoded(header)}.{encoded(claims)}"
    return f"{signed}.{encoded(sign(signed.encode()))}"


class Forger:
    """A good token taken apart, and the pool's own key to sign it again with."""

    def __init__(self, token: str) -> None:
        head, body, self.signature = token.split(".")
        self.header, self.claims = decoded(head), decoded(body)
        pool = str(self.claims["iss"]).rpartition("/")[2]
        pem = (EMULATOR.folder / "state" / "cognito-pool-keys" / f"{pool}-access.pem").read_bytes()
        key = serialization.load_pem_private_key(pem, password=None)
        assert isinstance(key, rsa.RSAPrivateKey)
        self.key = key

    def token(self, header: Json | None = None, **changed: Any) -> str:
        """Signed rightly; a claim given as None is left out."""
        claims = {name: value for name, value in (self.claims | changed).items() if value is not None}
        return token_of(self.header | (header or {}), claims, rs256(self.key))


@pytest.fixture(scope="module")
def forger(acme: CatalogClient) -> Forger:
    return Forger(acme.token())


def refused(client: CatalogClient, token: str, *, header: str | None = None) -> None:
    if header is None:
        answer = client.call("GET", "/images", token=token)
    else:  # the client's library sends no header that ends with a space
        answer = requests.get(f"{client.api_url}/images", headers={"Authorization": header}, timeout=10)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized"), (header, token)


def test_the_forgers_key_is_the_pools_so_that_what_follows_is_refused_for_its_one_fault(
    acme: CatalogClient, forger: Forger
) -> None:
    answer = acme.call("GET", "/images", token=forger.token(jti="another"))
    assert answer.status_code == 200


def test_a_token_of_another_algorithm_or_key_is_refused(acme: CatalogClient, forger: Forger) -> None:
    strangers = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = forger.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    numbers = strangers.public_key().public_numbers()
    own_jwk = {
        "kty": "RSA",
        "kid": forger.header["kid"],
        "n": encoded(numbers.n.to_bytes(256, "big")),
        "e": encoded(numbers.e.to_bytes(3, "big")),
    }
    header, claims = forger.header, forger.claims
    unsigned = f"{encoded(header | {'alg': 'none'})}.{encoded(claims)}."
    for token in (
        unsigned,
        unsigned + forger.signature,
        f"{encoded(header | {'alg': 'None'})}.{encoded(claims)}.",
        token_of(header | {"alg": "HS256"}, claims, hs256(public)),
        token_of(header | {"alg": "HS256"}, claims, hs256(b"")),
        token_of(header, claims, hs256(public)),
        token_of(header, claims, rs256(strangers)),
        token_of(header | {"jwk": own_jwk}, claims, rs256(strangers)),
        token_of(header | {"jku": "https://evil.example/jwks.json"}, claims, rs256(strangers)),
        *(
            token_of(header | {"kid": kid}, claims, rs256(strangers))
            for kid in ("", "nobody", "../../dev/null", "' OR 1=1 --", None, 0, [header["kid"]])
        ),
        token_of({"alg": "RS256"}, claims, rs256(forger.key)),
        f"{encoded(header)}.{encoded(claims | {'client_id': 'another'})}.{forger.signature}",
        f"{encoded(header)}.{encoded(claims)}.{forger.signature[:-4]}",
        f"{encoded(header)}.{encoded(claims)}.",
        f"{encoded(header)}.{encoded(claims)}",
        f"{encoded(header)}.{encoded(b'[]')}.{forger.signature}",
        "..",
        "A" * 7000,
    ):
        refused(acme, token)


def test_a_token_out_of_its_time_or_of_another_pool_is_refused(acme: CatalogClient, forger: Forger) -> None:
    now = int(time.time())
    issuer = forger.claims["iss"]
    for token in (
        forger.token(exp=now - 1),
        forger.token(exp=now - 3600, iat=now - 7200),
        forger.token(exp="soon"),
        forger.token(iat=now + 600),
        forger.token(nbf=now + 600),
        forger.token(iss=issuer[:-1] + ("x" if issuer[-1] != "x" else "y")),
        forger.token(iss=issuer + "/"),
        forger.token(iss="https://evil.example"),
        forger.token(iss=None),
        forger.token(iss=[issuer]),
    ):
        refused(acme, token)


def test_a_token_of_another_pool_of_this_account_is_refused(
    deployment: Deployment, acme: CatalogClient
) -> None:
    cognito = deployment.stack.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName="strangers")["UserPool"]["Id"]
    try:
        cognito.create_resource_server(
            UserPoolId=pool,
            Identifier="catalog",
            Name="the same",
            Scopes=[{"ScopeName": "read", "ScopeDescription": "the same"}],
        )
        domain = "strangers-of-the-catalog"
        cognito.create_user_pool_domain(UserPoolId=pool, Domain=domain)
        made = cognito.create_user_pool_client(
            UserPoolId=pool,
            ClientName="strangers",
            GenerateSecret=True,
            AllowedOAuthFlowsUserPoolClient=True,
            AllowedOAuthFlows=["client_credentials"],
            AllowedOAuthScopes=["catalog/read"],
        )["UserPoolClient"]
        answer = requests.post(
            deployment.stack.token_url,
            data={"grant_type": "client_credentials", "scope": "catalog/read"},
            auth=(made["ClientId"], made["ClientSecret"]),
            timeout=10,
        )
        refused(acme, answer.json()["access_token"])
    finally:
        cognito.delete_user_pool_domain(UserPoolId=pool, Domain=domain)
        cognito.delete_user_pool(UserPoolId=pool)


def test_a_good_token_of_a_client_that_is_of_no_tenant_or_that_has_none_may_do_nothing(
    acme: CatalogClient, forger: Forger
) -> None:
    everything = "catalog/read catalog/write catalog/admin"
    for changed in (
        {"client_id": "stranger"},
        {"client_id": ""},
        {"client_id": None},
        {"client_id": "acme"},
        {"client_id": None, "aud": forger.claims["client_id"], "token_use": "id"},
        {"client_id": [forger.claims["client_id"]]},
    ):
        token = forger.token(scope=everything, **changed)
        for method, path in (
            ("GET", "/images"),
            ("GET", "/metrics"),
            ("POST", "/purge"),
            ("GET", "/tenants"),
        ):
            answer = acme.call(method, path, token=token)
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "unknown_client"), changed
        named = acme.call("POST", "/purge", token=token, json={"tenant": "acme", "older_than_days": 0})
        assert (named.status_code, named.json()["error"]["code"]) == (403, "unknown_client"), changed


@pytest.mark.parametrize(("method", "path", "scope"), CALLS, ids=str)
def test_no_call_is_made_with_every_scope_but_its_own(
    acme: CatalogClient, forger: Forger, method: str, path: str, scope: str
) -> None:
    short = scope.removeprefix("catalog/")
    others = [str(other) for other in Scope if other != scope]
    resource = path.format(
        id="5c" * 32,
        other="6d" * 32,
        reference="sku-1",
        tenant="acme",
        client_id=forger.claims["client_id"],
        name="shop",
    )
    for scopes in (
        " ".join(others),
        "",
        None,
        short,
        scope.upper(),
        scope + "s",
        f"x{scope}",
        f"{others[0]},{scope}",
        "catalog/*",
        "aws.cognito.signin.user.admin openid",
    ):
        answer = acme.call(method, resource, token=forger.token(scope=scopes), json={})
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized"), scopes


def test_an_authorization_header_of_another_kind_is_refused(acme: CatalogClient) -> None:
    token = acme.token()
    basic = base64.b64encode(f"acme:{token}".encode()).decode()
    for header in (
        "Bearer",
        "Bearer ",
        f"Basic {basic}",
        f"Token {token}",
        f"Bearer {token} {token}",
        f"Bearer,{token}",
    ):
        refused(acme, "", header=header)
    for query in ({"access_token": token}, {"Authorization": f"Bearer {token}"}):
        assert acme.call("GET", "/images", token="", params=query).status_code == 401
    assert (
        acme.call("GET", "/images", token="", headers={"Cookie": f"Authorization={token}"}).status_code == 401
    )


def test_no_header_of_a_caller_changes_where_an_upload_goes(acme: CatalogClient) -> None:
    data = jpeg_bytes(product_photo(950))
    name = "a\"; filename*=UTF-8''%0d%0aX-Injected%3A1.jpg"
    body = announcement_of(data, content_type="image/jpeg", filename=name).request()
    plain = acme.call("POST", "/images", json=body).json()["upload"]
    steered = acme.call(
        "POST",
        "/images",
        json=body,
        params={"X-Amz-Expires": "604800"},
        headers={
            "X-Forwarded-Host": "evil.example",
            "X-Forwarded-Proto": "gopher",
            "X-Forwarded-Port": "1",
            "Forwarded": "host=evil.example",
            "X-Amz-Expires": "604800",
            "X-Amz-Acl": "public-read",
            "X-HTTP-Method-Override": "DELETE",
        },
    )
    assert steered.status_code == 201
    assert "evil" not in json.dumps(dict(steered.headers))
    assert "Content-Disposition" not in steered.headers
    upload = steered.json()["upload"]
    assert upload["headers"] == plain["headers"]
    one, other = urlsplit(plain["url"]), urlsplit(upload["url"])
    assert (one.scheme, one.netloc, one.path) == (other.scheme, other.netloc, other.path)
    expires = dict(parse_qsl(one.query))["X-Amz-Expires"]
    assert dict(parse_qsl(other.query))["X-Amz-Expires"] == expires == "60"  # samconfig.toml


@pytest.mark.parametrize(
    "header",
    [
        {"x-amz-acl": "public-read"},
        {"x-amz-acl": "bucket-owner-full-control"},
        {"x-amz-server-side-encryption": "aws:kms"},
    ],
)
def test_a_header_that_the_upload_url_does_not_sign_is_refused_by_the_buckets_policy(
    acme: CatalogClient, header: dict[str, str]
) -> None:
    data = jpeg_bytes(product_photo(952, (64, 48)))
    ticket = ticket_for(acme, data)
    refused = requests.put(ticket.url, data=data, headers=ticket.headers | header, timeout=10)
    assert refused.status_code == 403


def test_an_original_that_is_put_where_it_cannot_be_read_is_rejected_and_heals_with_the_bytes(
    acme: CatalogClient,
) -> None:
    """On AWS the bucket's policy refuses the storage class; an owner's lifecycle rule may still choose it."""
    data = jpeg_bytes(product_photo(953, (64, 48)))
    ticket = ticket_for(acme, data)
    headers = ticket.headers | {"x-amz-storage-class": "GLACIER"}
    assert requests.put(ticket.url, data=data, headers=headers, timeout=10).status_code == 200
    archived = acme.wait(hashlib.sha256(data).hexdigest(), timeout_seconds=FINISH_SECONDS)
    assert archived.document["rejection"]["code"] == "original_archived"

    assert settled(acme, data).status == "ready"


def test_a_presigned_url_with_anything_changed_is_refused(acme: CatalogClient, globex: CatalogClient) -> None:
    data = jpeg_bytes(product_photo(951, (64, 48)))
    ticket = ticket_for(acme, data)
    url = urlsplit(ticket.url)
    query = dict(parse_qsl(url.query))

    def put(**changed: str) -> int:
        altered = urlunsplit(url._replace(query=urlencode(query | changed)))
        return requests.put(altered, data=data, headers=ticket.headers, timeout=10).status_code

    for name, value in (
        ("X-Amz-Expires", "604800"),
        ("X-Amz-Date", "20200101T000000Z"),
        ("X-Amz-SignedHeaders", "host"),
        ("X-Amz-Signature", "0" * 64),
        ("X-Amz-Credential", query["X-Amz-Credential"].replace("s3", "sqs")),
        ("acl", ""),
        ("tagging", ""),
        ("versionId", "null"),
    ):
        assert put(**{name: value}) in {400, 403}, name
    for path in (
        url.path.replace("/acme/", "/globex/"),
        url.path.replace("/acme/", "/acme/../globex/"),
        url.path.replace("/acme/", "/acme%2F..%2Fglobex/"),
        url.path + "/",
        url.path + "%00",
        url.path.replace("originals/", "renditions/"),
    ):
        moved = urlunsplit(url._replace(path=path))
        assert requests.put(moved, data=data, headers=ticket.headers, timeout=10).status_code in {
            400,
            403,
            404,
        }
    for method in ("GET", "DELETE", "POST"):
        assert requests.request(method, ticket.url, data=data, timeout=10).status_code in {400, 403, 405}
    assert globex.call("GET", f"/images/{ticket.id}").status_code == 404

    assert settled(acme, data).status == "ready"
    (rendition, *_) = acme.get(ticket.id).renditions
    shown = urlsplit(rendition.url)
    for steered in (
        shown._replace(query=shown.query + "&response-content-disposition=attachment"),
        shown._replace(path=shown.path.replace("/acme/", "/globex/")),
        shown._replace(path=f"/originals/acme/{ticket.id}"),
        shown._replace(query=""),
    ):
        assert requests.get(urlunsplit(steered), timeout=10).status_code in {400, 403, 404}

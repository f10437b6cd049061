"""Tenants through the admin calls, on the deployed stack."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from catalog.domain.tenants import LATE_UPLOADS_END_AFTER, Scope
from catalog_images import CatalogClient, Credentials, Ticket, TokenRefusedError
from catalog_images.photos import announcement_of
from infra.pictures.images import jpeg_bytes, product_photo
from tests.end_to_end.deployment import Deployment, announced, settled


@pytest.fixture
def admin(deployment: Deployment) -> Iterator[CatalogClient]:
    with deployment.client("operators", Scope.ADMIN) as client:
        yield client


def answer(client: CatalogClient, method: str, path: str, **request: Any) -> tuple[int, dict[str, Any]]:
    answered = client.call(method, path, **request)
    return answered.status_code, answered.json()


def made(admin: CatalogClient, tenant: str, **more: Any) -> dict[str, Any]:
    status, body = answer(admin, "POST", "/tenants", json={"tenant": tenant, **more})
    assert status == 201, body
    return body


def client_of(deployment: Deployment, given: dict[str, Any]) -> CatalogClient:
    credentials = Credentials(given["client_id"], given["client_secret"])
    return CatalogClient(deployment.stack.api_url, deployment.stack.token_url, credentials, retries=0)


def photo_body(data: bytes) -> dict[str, Any]:
    return announcement_of(data, content_type="image/jpeg", filename="photo.jpg").request()


def let_late_uploads_end(deployment: Deployment, tenant: str) -> None:
    """The removal began long ago."""
    table, dynamodb = deployment.output("TenantsTable"), deployment.stack.client("dynamodb")
    key = {"tenant": {"S": tenant}}
    since = datetime.fromisoformat(dynamodb.get_item(TableName=table, Key=key)["Item"]["removing_since"]["S"])
    dynamodb.update_item(
        TableName=table,
        Key=key,
        UpdateExpression="SET removing_since = :since",
        ExpressionAttributeValues={
            ":since": {"S": (since - LATE_UPLOADS_END_AFTER).isoformat(timespec="microseconds")}
        },
    )


def test_a_tenant_made_by_an_administrator_uploads_and_sees_its_own_images(
    deployment: Deployment, admin: CatalogClient
) -> None:
    with client_of(deployment, made(admin, "umbrella")) as umbrella:
        image = settled(umbrella, jpeg_bytes(product_photo(300, (320, 240))))

    assert (image.status, image.document["tenant_id"]) == ("ready", "umbrella")
    status, page = answer(admin, "GET", "/tenants", params={"limit": 100})
    assert status == 200
    assert {"umbrella", "operators"} <= {tenant["tenant"] for tenant in page["tenants"]}
    status, refused = answer(admin, "DELETE", "/tenants/umbrella")
    assert (status, refused["error"]["code"]) == (409, "tenant_not_empty")


def test_a_tenant_leaves_with_its_clients_and_its_name_is_free_again(
    deployment: Deployment, admin: CatalogClient
) -> None:
    first = made(admin, "leaving")
    status, second = answer(admin, "POST", "/tenants/leaving/clients", json={"scopes": ["catalog/read"]})
    assert (status, second["scopes"]) == (201, ["catalog/read"])
    with client_of(deployment, first) as leaving:
        leaving.token()
        status, begun = answer(admin, "DELETE", "/tenants/leaving")
        assert (status, begun["status"]) == (202, "removing")
        assert leaving.call("POST", "/images", json=photo_body(b"late")).status_code == 403
    for given in (first, second):
        with client_of(deployment, given) as gone, pytest.raises(TokenRefusedError):
            gone.token()

    let_late_uploads_end(deployment, "leaving")

    assert answer(admin, "DELETE", "/tenants/leaving") == (200, {"tenant": "leaving", "status": "removed"})
    assert answer(admin, "DELETE", "/tenants/leaving")[0] == 404
    assert made(admin, "leaving")["status"] == "active"


def test_a_revoked_client_gets_no_token(deployment: Deployment, admin: CatalogClient) -> None:
    given = made(admin, "revoking")
    assert answer(admin, "DELETE", f"/tenants/revoking/clients/{given['client_id']}")[0] == 200

    with client_of(deployment, given) as revoked, pytest.raises(TokenRefusedError):
        revoked.token()


def test_uploads_of_a_minute_and_stored_bytes_are_limited(
    deployment: Deployment, admin: CatalogClient
) -> None:
    limits = {"uploads_per_minute": 2, "stored_bytes": 10_000_000}
    photos = [jpeg_bytes(product_photo(seed, (64, 48))) for seed in range(310, 316)]
    with client_of(deployment, made(admin, "limited", limits=limits)) as limited:
        answers = [limited.call("POST", "/images", json=photo_body(photo)) for photo in photos]
        # Two a minute, and the minute may have turned once among the six.
        assert 2 <= [each.status_code for each in answers].count(201) <= 4
        refused = next(each for each in answers if each.status_code != 201)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_uploads")
        assert 1 <= int(refused.headers["Retry-After"]) <= 60

    small = made(admin, "small", limits={"stored_bytes": 1})
    with client_of(deployment, small) as tiny:
        refused = tiny.call("POST", "/images", json=photo_body(photos[0]))
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "storage_limit_reached")


def test_new_limits_hold_within_a_minute(deployment: Deployment, admin: CatalogClient) -> None:
    given = made(admin, "relaxed", limits={"stored_bytes": 1})
    status, changed = answer(admin, "PUT", "/tenants/relaxed/limits", json={})
    assert (status, changed["limits"]) == (200, {"uploads_per_minute": None, "stored_bytes": None})

    with client_of(deployment, given) as relaxed:  # its first call: nothing of it is remembered yet
        assert isinstance(announced(relaxed, b"x"), Ticket)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/tenants"),
        ("GET", "/tenants"),
        ("DELETE", "/tenants/acme"),
        ("PUT", "/tenants/acme/limits"),
        ("POST", "/tenants/acme/clients"),
        ("DELETE", "/tenants/acme/clients/x"),
    ],
)
def test_a_tenants_own_client_administers_nothing(acme: CatalogClient, method: str, path: str) -> None:
    assert acme.call(method, path, json=None if method == "GET" else {}).status_code in {401, 403}

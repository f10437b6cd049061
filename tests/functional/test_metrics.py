"""GET /v1/metrics: true numbers, of the own tenant only unless an administrator asks, for one read."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from catalog.domain.keys import tenant_id
from catalog.domain.limits import NO_LIMITS
from infra.pictures.images import html_named_jpg, jpeg_bytes, product_photo
from tests.functional.cloud import Answer, Cloud
from tests.functional.streams import recorded_changes

PHOTO = jpeg_bytes(product_photo(1, (320, 240)))
ADMIN = "catalog/read catalog/admin"
NOTHING = {
    "bytes_per_preset": {},
    "bytes_originals": 0,
    "duplicates_avoided": 0,
    "bytes_saved": 0,
    "rejected": 0,
}


def metrics(cloud: Cloud, tenant: str | None = None, **request: Any) -> Answer:
    query = {"tenant": tenant} if tenant else None
    return cloud.call("metrics", "GET", "/metrics", query=query, **request)


@pytest.fixture
def history(cloud: Cloud) -> Iterator[dict[str, dict[str, Any]]]:
    """Each tenant's photo, after acme sent it and said it had it twice, and globex sent it and no photo."""
    with recorded_changes() as records:
        photos = {
            "acme": cloud.upload(PHOTO),
            "globex": cloud.upload(PHOTO, client_id="client-of-globex"),
        }
        cloud.announce(PHOTO)
        cloud.announce(PHOTO, client_id="second-client-of-acme")
        cloud.upload(html_named_jpg(), client_id="client-of-globex")
        cloud.invoke("usage", {"Records": records})
        yield photos


def sizes(photo: dict[str, Any]) -> dict[str, int]:
    return {rendition["preset"]: rendition["size_bytes"] for rendition in photo["renditions"]}


def test_a_tenant_reads_what_it_has_stored_and_been_spared(
    cloud: Cloud, history: dict[str, dict[str, Any]]
) -> None:
    answer = metrics(cloud)

    assert answer.status == 200
    assert answer.json == {
        "tenant_counts": {"acme": 1},
        "bytes_per_preset": sizes(history["acme"]),
        "bytes_originals": len(PHOTO),
        "duplicates_avoided": 2,
        "bytes_saved": 2 * len(PHOTO),
        "rejected": 0,
    }


def test_a_tenant_reads_nothing_of_another(cloud: Cloud, history: dict[str, dict[str, Any]]) -> None:
    of_globex = metrics(cloud, client_id="client-of-globex").json

    assert of_globex["tenant_counts"] == {"globex": 1}
    assert (of_globex["duplicates_avoided"], of_globex["rejected"]) == (0, 1)


@pytest.mark.parametrize("tenant", ["globex", "nobody", "*"])
def test_only_an_administrator_may_name_another_tenant_whether_it_exists_or_not(
    cloud: Cloud, tenant: str
) -> None:
    answer = metrics(cloud, tenant)

    assert (answer.status, answer.json["error"]["code"]) == (403, "forbidden")


def test_naming_the_own_tenant_is_naming_no_other(cloud: Cloud) -> None:
    assert metrics(cloud, "acme").json == metrics(cloud).json


def test_an_administrator_reads_its_own_tenant_another_or_all_of_them_together(
    cloud: Cloud, history: dict[str, dict[str, Any]]
) -> None:
    own, other, all_ = (metrics(cloud, tenant, scope=ADMIN).json for tenant in (None, "globex", "*"))

    assert own["tenant_counts"] == {"acme": 1}
    assert other["tenant_counts"] == {"globex": 1}
    assert all_["tenant_counts"] == {"acme": 1, "globex": 1}
    for figure in ("bytes_originals", "duplicates_avoided", "bytes_saved", "rejected"):
        assert all_[figure] == own[figure] + other[figure]
    assert all_["bytes_per_preset"] == {
        preset: size + sizes(history["globex"])[preset] for preset, size in sizes(history["acme"]).items()
    }


def test_a_tenant_without_images_has_nothing_and_is_listed(cloud: Cloud) -> None:
    cloud.tenants.add(tenant_id("initech"), NO_LIMITS, now=datetime.now(UTC))

    assert metrics(cloud, "initech", scope=ADMIN).json == {"tenant_counts": {"initech": 0}, **NOTHING}
    assert metrics(cloud, "*", scope=ADMIN).json["tenant_counts"] == {"acme": 0, "globex": 0, "initech": 0}


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"tenant": "nobody"}, 404, "tenant_not_found"),
        ({"tenant": "Not A Tenant"}, 400, "invalid_request"),
        ({"tenant": ""}, 400, "invalid_request"),
        ({"since": "yesterday"}, 400, "invalid_request"),
    ],
)
def test_a_bad_request_is_refused_with_its_code(
    cloud: Cloud, query: dict[str, str], status: int, code: str
) -> None:
    answer = cloud.call("metrics", "GET", "/metrics", query=query, scope=ADMIN)

    assert (answer.status, answer.json["error"]["code"]) == (status, code)


def test_a_client_of_no_tenant_reads_nothing(cloud: Cloud) -> None:
    answer = metrics(cloud, client_id="unheard-of", scope=ADMIN)

    assert (answer.status, answer.json["error"]["code"]) == (403, "unknown_client")


def test_metrics_cost_one_read_beside_the_clients(cloud: Cloud, history: dict[str, dict[str, Any]]) -> None:
    metrics(cloud)

    with cloud.watched_calls() as calls:
        metrics(cloud)

    assert calls.made == ["dynamodb:BatchGetItem"]


def test_more_tenants_than_one_read_takes_are_all_in_the_answer(cloud: Cloud) -> None:
    for number in range(120):
        cloud.tenants.add(tenant_id(f"shop-{number}"), NO_LIMITS, now=datetime.now(UTC))

    assert len(metrics(cloud, "*", scope=ADMIN).json["tenant_counts"]) == 122

"""PUT /v1/references, and GET /v1/images by reference and filename."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from catalog.domain.assets import MAX_REFERENCES
from catalog.domain.errors import BATCH_WORKS_FOR
from catalog.domain.keys import asset_id, tenant_id
from catalog.domain.references import Use
from infra.pictures.images import jpeg_bytes, product_photo
from tests.functional.cloud import Answer, Cloud

PHOTOS = [jpeg_bytes(product_photo(number, (40, 30))) for number in range(3)]
IDS = [hashlib.sha256(photo).hexdigest() for photo in PHOTOS]
ACME = tenant_id("acme")


def announced(cloud: Cloud) -> None:
    for number, photo in enumerate(PHOTOS):
        assert cloud.announce(photo, filename=f"photo-{number}.jpg").status == 201


def put(cloud: Cloud, *references: dict[str, Any], client_id: str = "client-of-acme") -> Answer:
    body = {"references": list(references)}
    return cloud.call("references", "PUT", "/references", client_id=client_id, body=body)


def statuses(answer: Answer) -> list[int]:
    assert answer.status == 200
    return [each["status"] for each in answer.json["answers"]]


def found(cloud: Cloud, *, client_id: str = "client-of-acme", **query: str) -> list[tuple[str, str]]:
    """Id and reference of every image, over all pages."""
    pages: list[tuple[str, str]] = []
    while True:
        page = cloud.list_images(client_id=client_id, **query)
        assert page.status == 200
        pages += [(each["id"], (each["used_as"] or {}).get("reference")) for each in page.json["images"]]
        if page.json["cursor"] is None:
            return pages
        query["cursor"] = page.json["cursor"]


def entries(cloud: Cloud) -> list[str]:
    return [item["entry"]["S"] for item in cloud.dynamodb.scan(TableName="ReferencesTable")["Items"]]


# --- Setting many -----------------------------------------------------------------------------------------


def test_each_reference_of_a_batch_has_its_own_answer_in_the_order_asked(cloud: Cloud) -> None:
    announced(cloud)
    rejected = cloud.upload(b"no image")["id"]

    answer = put(
        cloud,
        {"id": IDS[0], "reference": "SKU-1", "position": 0, "role": "main", "alt": "A lamp"},
        {"id": "5c" * 32, "reference": "SKU-1"},
        {"id": rejected, "reference": "SKU-1"},
        {"id": "x", "reference": "duplicate/x", "position": -1, "role": "", "alt": "a\nb", "size": 1},
        {"id": IDS[1], "reference": "SKU-1", "position": None},
        {"id": IDS[0], "reference": "SKU-2"},
    )

    assert statuses(answer) == [200, 404, 409, 400, 200, 200]
    faulty = answer.json["answers"][3]
    assert (faulty["id"], faulty["reference"]) == (None, None)
    fields = {fault["field"] for fault in faulty["error"]["faults"]}
    assert fields == {"id", "reference", "position", "role", "alt", "size"}
    assert cloud.asset(IDS[0]).references == {"SKU-1", "SKU-2"}
    assert cloud.asset(IDS[0]).unused_since is None


def test_references_that_are_set_already_cost_two_reads_together_and_no_write(cloud: Cloud) -> None:
    announced(cloud)
    told = [{"id": id_, "reference": "SKU-1", "position": 1, "role": "main"} for id_ in IDS]
    put(cloud, *told)
    before = cloud.snapshot()

    with cloud.watched_calls() as calls:
        assert statuses(put(cloud, *told)) == [200, 200, 200]

    assert calls.made == ["dynamodb:BatchGetItem"] * 2
    assert cloud.snapshot() == before


def test_a_batch_replaces_what_was_said_and_a_reference_taken_without_a_body_leaves_it(cloud: Cloud) -> None:
    announced(cloud)

    def said() -> dict[str, Any]:
        used: dict[str, Any] = cloud.list_images(reference="SKU-1").json["images"][0]["used_as"]
        return used

    put(cloud, {"id": IDS[0], "reference": "SKU-1", "position": 7, "role": "main", "alt": "A lamp"})
    cloud.reference("PUT", IDS[0], "SKU-1")
    assert said() == {"reference": "SKU-1", "position": 7, "role": "main", "alt": "A lamp"}
    cloud.call("references", "PUT", f"/images/{IDS[0]}/references/SKU-1", body={"position": 2})
    assert said() == {"reference": "SKU-1", "position": 2, "role": None, "alt": None}
    put(cloud, {"id": IDS[0], "reference": "SKU-1"})
    assert said() == {"reference": "SKU-1", "position": None, "role": None, "alt": None}
    assert entries(cloud) == [f"{IDS[0]}/SKU-1"]


def test_a_batch_gives_one_image_a_hundred_references_and_no_image_more_than_it_can_hold(
    cloud: Cloud,
) -> None:
    announced(cloud)
    for hundred in range(MAX_REFERENCES // 100):
        some = [{"id": IDS[0], "reference": f"SKU-{hundred}-{n}"} for n in range(100)]
        assert set(statuses(put(cloud, *some))) == {200}

    answer = put(cloud, {"id": IDS[0], "reference": "one-more"}, {"id": IDS[1], "reference": "one-more"})

    assert statuses(answer) == [409, 200]
    assert answer.json["answers"][0]["error"]["code"] == "too_many_references"
    assert len(cloud.asset(IDS[0]).references) == MAX_REFERENCES
    assert len(entries(cloud)) == MAX_REFERENCES + 1


def test_what_a_batch_has_no_time_for_is_out_of_time_and_not_set(cloud: Cloud) -> None:
    announced(cloud)
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    ticks = iter([noon, noon, noon + BATCH_WORKS_FOR])
    hurried = replace(cloud.function("references").referring, clock=lambda: next(ticks))

    outcomes = hurried.set_all(ACME, [(asset_id(id_), Use("SKU-1")) for id_ in IDS[:2]])

    assert [error and error.code for error in outcomes.values()] == [None, "timeout"]
    assert entries(cloud) == [f"{IDS[0]}/SKU-1"]


@pytest.mark.parametrize("references", [[], [{}] * 101, "x", [1]])
def test_a_batch_of_references_is_one_to_a_hundred_objects(cloud: Cloud, references: Any) -> None:
    answer = cloud.call("references", "PUT", "/references", body={"references": references})

    assert answer.status == 400
    assert [fault["field"] for fault in answer.json["error"]["faults"]] == ["references"]


# --- Looking up -------------------------------------------------------------------------------------------


def test_the_images_of_a_reference_come_in_its_gallerys_order_by_one_query_whatever_the_page(
    cloud: Cloud,
) -> None:
    announced(cloud)
    put(
        cloud,
        {"id": IDS[0], "reference": "SKU-1"},
        {"id": IDS[1], "reference": "SKU-1", "position": 10},
        {"id": IDS[2], "reference": "SKU-1", "position": 9},
        {"id": IDS[2], "reference": "SKU-10", "position": 0},
        {"id": IDS[2], "reference": "SKU-1 b", "position": 0},
    )
    gallery = [(id_, "SKU-1") for id_ in (IDS[2], IDS[1], IDS[0])]
    assert found(cloud, reference="SKU-1", limit="1") == gallery

    with cloud.watched_calls() as calls:
        assert found(cloud, reference="SKU-1") == gallery

    assert calls.made == ["dynamodb:Query", "dynamodb:BatchGetItem"]
    all_of_them = [*gallery, (IDS[2], "SKU-1 b"), (IDS[2], "SKU-10")]
    assert found(cloud, reference_prefix="SKU-1") == all_of_them
    assert found(cloud, reference_prefix="SKU-1", limit="2") == all_of_them
    assert found(cloud, reference_prefix="sku") == []


def test_another_tenant_finds_nothing_by_reference_or_filename(cloud: Cloud) -> None:
    announced(cloud)
    put(cloud, {"id": IDS[0], "reference": "SKU-1"})

    for query in ({"reference": "SKU-1"}, {"reference_prefix": "S"}, {"filename": "photo-0.jpg"}):
        assert found(cloud, client_id="client-of-globex", **query) == []
        assert [id_ for id_, _ in found(cloud, **query)] == [IDS[0]]


def test_a_cursor_of_one_lookup_is_of_no_use_to_another(cloud: Cloud) -> None:
    announced(cloud)
    put(cloud, *({"id": id_, "reference": "SKU-1"} for id_ in IDS))
    cursor = cloud.list_images(reference="SKU-1", limit="1").json["cursor"]

    for client_id, query in (
        ("client-of-acme", {"reference": "SKU-2"}),
        ("client-of-acme", {"filename": "photo-0.jpg"}),
        ("client-of-acme", {}),
        ("client-of-globex", {"reference": "SKU-1"}),
    ):
        refused = cloud.list_images(client_id=client_id, cursor=cursor, **query)
        assert (refused.status, refused.json["error"]["code"]) == (400, "invalid_cursor")


def test_an_image_is_found_by_the_name_announced_last(cloud: Cloud) -> None:
    announced(cloud)
    cloud.announce(PHOTOS[1], filename="photo-0.jpg")

    assert sorted(id_ for id_, _ in found(cloud, filename="photo-0.jpg", limit="1")) == sorted(IDS[:2])
    assert found(cloud, filename="photo-1.jpg") == []


def test_a_released_reference_finds_nothing_and_leaves_no_entry(cloud: Cloud) -> None:
    announced(cloud)
    put(cloud, *({"id": IDS[0], "reference": name} for name in ("SKU-1", "SKU-2")))

    for name in ("SKU-1", "SKU-1", "SKU-2"):
        cloud.reference("DELETE", IDS[0], name)

    assert found(cloud, reference_prefix="SKU") == []
    assert entries(cloud) == []
    assert cloud.asset(IDS[0]).unused_since is not None


def test_an_entry_whose_image_is_gone_or_has_not_the_reference_finds_nothing(cloud: Cloud) -> None:
    announced(cloud)
    put(cloud, *({"id": id_, "reference": "SKU-1"} for id_ in IDS))
    for number in range(2):  # as DynamoDB's TTL does
        key = {"tenant": {"S": "acme"}, "id": {"S": IDS[number]}}
        cloud.dynamodb.delete_item(TableName="AssetsTable", Key=key)
    cloud.announce(PHOTOS[1])

    assert found(cloud, reference="SKU-1") == [(IDS[2], "SKU-1")]
    put(cloud, {"id": IDS[1], "reference": "SKU-1"})
    assert {id_ for id_, _ in found(cloud, reference="SKU-1")} == set(IDS[1:])


@pytest.mark.parametrize(
    "query",
    [
        {"reference": "SKU-1", "reference_prefix": "SKU"},
        {"reference": "SKU-1", "status": "ready"},
        {"filename": "a.jpg", "ids": IDS[0]},
        {"reference": "duplicate/x"},
        {"reference_prefix": "%"},
        {"filename": ""},
    ],
    ids=str,
)
def test_a_lookup_is_by_one_thing_that_can_be_there(cloud: Cloud, query: dict[str, str]) -> None:
    assert cloud.list_images(**query).json["error"]["code"] == "invalid_request"

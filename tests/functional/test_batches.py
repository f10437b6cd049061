"""POST /v1/images/batch and GET /v1/images?ids=."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from catalog.domain.errors import BATCH_WORKS_FOR
from catalog.domain.keys import asset_id, tenant_id
from catalog.domain.limits import Limits
from catalog.domain.uploads import Announcement
from infra.pictures.images import jpeg_bytes, product_photo
from tests.functional.cloud import Answer, Cloud

PHOTOS = [jpeg_bytes(product_photo(number, (40, 30))) for number in range(3)]
IDS = [hashlib.sha256(photo).hexdigest() for photo in PHOTOS]


def announcement(number: int, **changed: Any) -> dict[str, Any]:
    photo = PHOTOS[number]
    told = {"sha256": IDS[number], "size_bytes": len(photo), "content_type": "image/jpeg"}
    return told | {"filename": f"photo-{number}.jpg"} | changed


def announce(cloud: Cloud, *images: dict[str, Any], client_id: str = "client-of-acme") -> Answer:
    body = {"images": list(images)}
    return cloud.call("request_upload", "POST", "/images/batch", client_id=client_id, body=body)


def statuses(answer: Answer) -> list[int]:
    assert answer.status == 200
    return [each["status"] for each in answer.json["answers"]]


# --- Announcements ----------------------------------------------------------------------------------------


def test_each_image_of_a_batch_has_the_answer_of_the_single_call_in_the_order_asked(cloud: Cloud) -> None:
    cloud.upload(PHOTOS[1])
    rejected = cloud.upload(b"no image")

    answer = announce(
        cloud,
        announcement(0),
        announcement(1),
        announcement(2, size_bytes=0, colour="red"),
        announcement(2, content_type="text/plain"),
        announcement(2, size_bytes=10**9),
        announcement(2, sha256="x"),
        announcement(2, sha256=rejected["id"]),
    )

    assert statuses(answer) == [201, 200, 400, 415, 413, 400, 200]
    new, known, faulty, *_, nameless, refused = answer.json["answers"]
    assert new["ticket"]["upload"]["headers"]["content-length"] == str(len(PHOTOS[0]))
    assert known["known"] == {
        "status": "ready",
        "rejection": None,
        "correlation_id": "request-1",
        "references": [],
    }
    assert {fault["field"] for fault in faulty["error"]["faults"]} == {"colour", "size_bytes"}
    assert (faulty["id"], nameless["id"]) == (IDS[2], None)
    assert refused["known"]["rejection"]["code"] == "unsupported_format"


def test_an_image_named_twice_in_a_batch_gets_two_tickets_and_its_last_name(cloud: Cloud) -> None:
    answer = announce(cloud, announcement(0), announcement(0, filename="last.jpg"))

    assert statuses(answer) == [201, 201]
    assert cloud.asset(IDS[0]).filename == "last.jpg"


def test_another_tenants_image_is_unknown_to_a_batch(cloud: Cloud) -> None:
    cloud.upload(PHOTOS[0])

    assert statuses(announce(cloud, announcement(0), client_id="client-of-globex")) == [201]


def test_a_hundred_known_files_in_use_cost_one_read_together_and_no_write(cloud: Cloud) -> None:
    for number in range(3):
        cloud.upload(PHOTOS[number], filename=f"photo-{number}.jpg")
        cloud.reference("PUT", IDS[number], "sku-1")
    announce(cloud, announcement(0))  # started, and knows the client
    before = cloud.snapshot()

    with cloud.watched_calls() as calls:
        assert statuses(announce(cloud, *map(announcement, range(3)))) == [200, 200, 200]

    assert calls.made == ["dynamodb:BatchGetItem"]
    assert cloud.snapshot() == before


def test_a_known_file_that_nobody_uses_or_under_another_name_counts_as_announced_again(cloud: Cloud) -> None:
    cloud.upload(PHOTOS[0], filename="photo-0.jpg")
    cloud.upload(PHOTOS[1], filename="photo-1.jpg")
    cloud.reference("PUT", IDS[1], "sku-1")

    announce(cloud, announcement(0), announcement(1, filename="a-copy.jpg"))

    for id_ in IDS[:2]:
        assert cloud.asset(id_).duplicates == 1
        assert cloud.asset(id_).announced_at is not None


def test_an_image_that_is_being_deleted_is_refused_alone(cloud: Cloud) -> None:
    cloud.upload(PHOTOS[0])
    later = datetime.now(UTC) + timedelta(days=1)
    asset = cloud.asset(IDS[0])
    cloud.assets.mark_deleting(asset.key, status=asset.status, unused_before=later, run="run", now=later)

    answer = announce(cloud, announcement(0), announcement(1))

    assert statuses(answer) == [409, 201]
    assert answer.json["answers"][0]["error"]["code"] == "image_being_deleted"


def test_a_batch_gives_as_many_tickets_as_the_minute_has_left_and_says_when_to_go_on(cloud: Cloud) -> None:
    cloud.upload(PHOTOS[2])
    cloud.tenants.set_limits(tenant_id("acme"), Limits(uploads_per_minute=1))
    cloud.configure()

    answer = announce(cloud, *map(announcement, range(3)))

    assert statuses(answer) == [201, 429, 200]
    error = answer.json["answers"][1]["error"]
    assert error["code"] == "too_many_uploads" and 1 <= error["retry_after"] <= 60


def test_the_tickets_of_a_batch_count_against_the_bytes_that_its_tenant_may_store(cloud: Cloud) -> None:
    room = len(PHOTOS[0]) + len(PHOTOS[1]) - 1
    cloud.tenants.set_limits(tenant_id("acme"), Limits(stored_bytes=room))
    cloud.configure()

    answer = announce(cloud, announcement(0), announcement(1))

    assert statuses(answer) == [201, 403]
    assert answer.json["answers"][1]["error"]["code"] == "storage_limit_reached"


def test_what_a_batch_has_no_time_for_is_out_of_time_and_not_begun(cloud: Cloud) -> None:
    uploads = cloud.function("request_upload").uploads
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    ticks = iter([noon, noon, noon, noon + BATCH_WORKS_FOR])
    hurried = replace(uploads, clock=lambda: next(ticks))
    told = [(asset_id(IDS[n]), Announcement("a.jpg", "image/jpeg", len(PHOTOS[n]))) for n in range(2)]

    first, second = hurried.announce_all(tenant_id("acme"), told, correlation_id="request-1")

    assert first.key.id == IDS[0]
    assert second.code == "timeout"
    assert cloud.assets.many(tenant_id("acme"), [asset_id(id_) for id_ in IDS]).keys() == {IDS[0]}


@pytest.mark.parametrize("images", [[], [{}] * 101, {}, "x", None, [1]])
def test_a_batch_is_one_to_a_hundred_objects(cloud: Cloud, images: Any) -> None:
    answer = cloud.call("request_upload", "POST", "/images/batch", body={"images": images})

    assert answer.status == 400
    assert [fault["field"] for fault in answer.json["error"]["faults"]] == ["images"]


def test_a_tenant_that_is_being_removed_announces_nothing(cloud: Cloud) -> None:
    cloud.tenants.mark_removing(tenant_id("acme"), now=datetime.now(UTC))

    answer = announce(cloud, announcement(0))

    assert (answer.status, answer.json["error"]["code"]) == (403, "unknown_client")


def test_the_answer_to_an_announcement_and_its_image_carry_the_id_of_logs_and_events(cloud: Cloud) -> None:
    ticket = cloud.announce(PHOTOS[0]).json

    assert ticket["correlation_id"] == "request-1" == cloud.asset(IDS[0]).correlation_id
    assert cloud.get(IDS[0]).json["correlation_id"] == "request-1"


# --- Reading by id ----------------------------------------------------------------------------------------


def read(cloud: Cloud, ids: list[str], *, client_id: str = "client-of-acme", **query: str) -> Answer:
    return cloud.list_images(client_id=client_id, ids=",".join(ids), **query)


def test_images_are_read_by_their_ids_in_this_order_in_one_request_and_strangers_are_left_out(
    cloud: Cloud,
) -> None:
    for photo in PHOTOS:
        cloud.upload(photo)
    read(cloud, IDS)

    with cloud.watched_calls() as calls:
        answer = read(cloud, [IDS[2], "5c" * 32, IDS[0], IDS[2]])

    assert [image["id"] for image in answer.json["images"]] == [IDS[2], IDS[0]]
    assert answer.json["cursor"] is None
    assert calls.made == ["dynamodb:BatchGetItem"]
    assert read(cloud, IDS, client_id="client-of-globex").json["images"] == []


def test_ids_that_do_not_fit_into_an_answer_follow_with_its_cursor(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    for photo in PHOTOS:
        cloud.upload(photo)
    monkeypatch.setattr("catalog.api.http.LONGEST_PAGE", 1)

    first = read(cloud, IDS)
    second = read(cloud, IDS, cursor=first.json["cursor"])
    third = read(cloud, IDS, cursor=second.json["cursor"])

    shown = [image["id"] for page in (first, second, third) for image in page.json["images"]]
    assert shown == IDS
    assert third.json["cursor"] is None
    assert read(cloud, IDS[:1], cursor=IDS[1]).json["error"]["code"] == "invalid_cursor"

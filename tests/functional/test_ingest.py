"""Uploads queue -> ingest."""

import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError

from catalog.adapters.objects import Originals
from catalog.domain.assets import Status
from catalog.domain.keys import AssetKey
from catalog.domain.sources import DEFAULT_PIXEL_LIMITS
from catalog.domain.uploads import TICKETS_LAST
from catalog.use_cases.arriving import Arriving
from imaging.originals import canonical_pixels
from infra.local.events import s3_notification, sqs_event
from infra.pictures import heics
from infra.pictures.images import half_of, jpeg_bytes, png_bomb, product_photo
from tests.functional.cloud import Cloud, on_clock

PHOTO = jpeg_bytes(product_photo(1, (320, 240)))
ID = hashlib.sha256(PHOTO).hexdigest()
NO_FAILURES: dict[str, list[object]] = {"batchItemFailures": []}


def test_an_accepted_original_gets_one_job_a_preset(cloud: Cloud) -> None:
    cloud.announce(PHOTO)

    assert cloud.ingest(cloud.store(PHOTO)) == NO_FAILURES

    asset = cloud.asset(ID)
    assert asset.status == "processing"
    assert asset.filename == "photo.jpg"
    jobs = [json.loads(job) for job in cloud.take_jobs()]
    assert sorted(job["presets"] for job in jobs) == [["card"], ["thumb"], ["zoom"]]
    assert {(job["tenant"], job["id"], job["correlation_id"]) for job in jobs} == {("acme", ID, "request-1")}


def test_presets_per_job_lets_one_job_name_them_all(cloud: Cloud) -> None:
    cloud.configure(PRESETS_PER_JOB="3")
    cloud.ingest(cloud.store(PHOTO))

    assert [json.loads(job)["presets"] for job in cloud.take_jobs()] == [["thumb", "card", "zoom"]]


def test_an_original_nobody_announced_becomes_an_asset_too(cloud: Cloud) -> None:
    cloud.ingest(cloud.store(PHOTO))

    assert cloud.asset(ID).status == "processing"
    assert cloud.asset(ID).filename is None


def test_an_event_repeated_before_rendering_sends_only_what_is_missing(cloud: Cloud) -> None:
    key = cloud.store(PHOTO)
    cloud.ingest(key)
    thumb = next(job for job in cloud.take_jobs() if "thumb" in job)
    cloud.render(thumb)

    cloud.ingest(key)

    assert sorted(json.loads(job)["presets"] for job in cloud.take_jobs()) == [["card"], ["zoom"]]


def test_an_event_repeated_for_a_ready_asset_reads_one_item_and_does_nothing(cloud: Cloud) -> None:
    cloud.upload(PHOTO)
    before = cloud.snapshot()

    with cloud.watched_calls() as calls:
        cloud.ingest(f"originals/acme/{ID}")

    assert calls.made == ["dynamodb:GetItem"]
    assert cloud.snapshot() == before


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"hello, I am a text file", "unsupported_format"),
        (b"", "empty"),
        (half_of(PHOTO), "truncated"),
        (PHOTO[: len(PHOTO) // 2] + PHOTO[len(PHOTO) // 2 + 999 :], "damaged"),
        (png_bomb(), "too_many_pixels"),
        (b"%PDF-1.7", "unsupported_format"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unsupported_format"),
    ],
)
def test_what_can_never_be_an_asset_is_rejected_at_the_first_try(
    cloud: Cloud, data: bytes, code: str
) -> None:
    key = cloud.store(data)

    assert cloud.ingest(key) == NO_FAILURES

    id_ = hashlib.sha256(data).hexdigest()
    assert cloud.get(id_).json["status"] == "rejected"
    assert cloud.get(id_).json["rejection"]["code"] == code
    assert cloud.take_jobs() == []
    tags = cloud.s3.get_object_tagging(Bucket=cloud.originals, Key=key)["TagSet"]
    assert tags == [{"Key": "status", "Value": "rejected"}]


def test_bytes_under_anothers_key_are_rejected_as_checksum_mismatch(cloud: Cloud) -> None:
    key = cloud.store(b"other bytes", as_id=ID)

    assert cloud.ingest(key) == NO_FAILURES

    assert cloud.get(ID).json["rejection"]["code"] == "checksum_mismatch"
    assert cloud.objects(cloud.originals) == []  # else S3 would refuse the right ones


def test_the_right_bytes_heal_a_checksum_mismatch(cloud: Cloud) -> None:
    cloud.ingest(cloud.store(b"other bytes", as_id=ID))

    assert cloud.upload(PHOTO)["status"] == "ready"


def test_the_right_bytes_heal_a_checksum_mismatch_though_nobody_announced_them(cloud: Cloud) -> None:
    cloud.ingest(cloud.store(b"other bytes", as_id=ID))

    cloud.ingest(cloud.store(PHOTO))

    assert cloud.asset(ID).status == "processing"
    assert cloud.asset(ID).rejection is None


def test_an_asset_that_lacks_nothing_but_was_never_finished_is_made_ready_by_its_event(cloud: Cloud) -> None:
    cloud.upload(PHOTO)
    cloud.dynamodb.update_item(
        TableName="AssetsTable",
        Key={"tenant": {"S": "acme"}, "id": {"S": ID}},
        UpdateExpression="SET #s = :processing",
        ExpressionAttributeNames={"#s": "status"},
        ExpressionAttributeValues={":processing": {"S": "processing"}},
    )

    cloud.ingest(f"originals/acme/{ID}")

    assert cloud.asset(ID).status == "ready"


def test_an_event_for_an_asset_that_is_being_deleted_is_retried_later(cloud: Cloud) -> None:
    cloud.upload(PHOTO)
    key, later = cloud.asset(ID).key, datetime.now(UTC) + timedelta(days=1)
    cloud.assets.mark_deleting(key, status=Status.READY, unused_before=later, run="run", now=later)
    other = cloud.store(jpeg_bytes(product_photo(2, (320, 240))))

    answer = cloud.invoke("ingest", sqs_event(*(s3_notification("b", k) for k in (key.original, other))))

    assert answer == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}


def test_an_object_over_the_limit_is_rejected_without_being_read(cloud: Cloud) -> None:
    cloud.configure(MAX_UPLOAD_BYTES="1000")

    cloud.ingest(cloud.store(PHOTO))

    assert cloud.get(ID).json["rejection"]["code"] == "too_large"
    assert cloud.get(ID).json["original_size_bytes"] == len(PHOTO)


def test_a_format_over_its_own_pixel_limit_is_rejected(cloud: Cloud) -> None:
    cloud.configure(PIXEL_LIMITS='{"jpeg": 1000}')

    cloud.ingest(cloud.store(PHOTO))

    assert cloud.get(ID).json["rejection"]["code"] == "too_many_pixels"


def test_a_heic_is_an_asset_with_renditions(cloud: Cloud) -> None:
    document = cloud.upload(heics.file("photo"), content_type="image/heic")

    assert (document["status"], document["original_format"]) == ("ready", "heic")
    assert [(made["preset"], made["width"]) for made in document["renditions"]] == [
        ("thumb", 200),
        ("card", 240),
        ("zoom", 240),
    ]


def test_a_heic_where_an_operator_does_not_take_them_is_an_unsupported_format(cloud: Cloud) -> None:
    cloud.configure(PIXEL_LIMITS='{"heic": 0}')
    data = heics.file("photo")

    cloud.ingest(cloud.store(data))

    rejection = cloud.get(hashlib.sha256(data).hexdigest()).json["rejection"]
    assert rejection == {"code": "unsupported_format", "detail": "heic is not accepted here"}


def test_a_heic_and_the_jpeg_exported_of_it_share_renditions(cloud: Cloud) -> None:
    data = heics.file("ball-of-a-phone")
    exported = jpeg_bytes(canonical_pixels(data, limits=DEFAULT_PIXEL_LIMITS), quality=88)

    first = cloud.upload(data, content_type="image/heic")
    second = cloud.upload(exported)

    assert second["near_duplicate_of"] == first["id"]
    assert [each["id"] for each in second["renditions"]] == [each["id"] for each in first["renditions"]]


def test_an_original_deleted_before_its_event_is_left_alone(cloud: Cloud) -> None:
    cloud.announce(PHOTO)

    assert cloud.ingest(f"originals/acme/{ID}") == NO_FAILURES

    assert cloud.asset(ID).status == "awaiting_upload"


@pytest.mark.parametrize(
    "key",
    [
        "originals/acme/x",
        "originals/acme",
        "originals/ACME/" + ID,
        f"originals/acme/{ID}/x",
        f"originals/a b/{ID}",
    ],
)
def test_an_object_that_is_no_original_is_reported_and_skipped(
    cloud: Cloud, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert cloud.ingest(key) == NO_FAILURES

    assert "object is no original" in caplog.messages
    assert cloud.snapshot()["objects"] == {}


def test_s3s_own_test_message_is_no_upload(cloud: Cloud) -> None:
    test_message = json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": cloud.originals})

    assert cloud.invoke("ingest", sqs_event(test_message)) == NO_FAILURES


def test_a_fault_fails_only_its_own_message_and_nothing_is_lost(cloud: Cloud) -> None:
    good = cloud.store(PHOTO)
    broken = "this is not a notification"

    answer = cloud.invoke("ingest", sqs_event(s3_notification(cloud.originals, good), broken))

    assert answer == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}
    assert cloud.asset(ID).status == "processing"


def test_an_invalid_setting_fails_the_cold_start_by_name(cloud: Cloud) -> None:
    cloud.configure(PRESETS='[{"name": "thumb", "width": 0, "height": 200}]')

    with pytest.raises(RuntimeError, match=r"PRESETS is invalid: \[0\] width must be"):
        cloud.function("ingest")


def test_a_missing_setting_fails_the_cold_start_by_name(cloud: Cloud) -> None:
    cloud.configure(RENDER_QUEUE_URL="")

    with pytest.raises(RuntimeError, match="RENDER_QUEUE_URL is not set"):
        cloud.function("ingest")


def versions(cloud: Cloud, key: str) -> tuple[int, int]:
    """Of an original: how many versions and how many delete markers."""
    stored = cloud.s3.list_object_versions(Bucket=cloud.originals, Prefix=key)
    return len(stored.get("Versions", [])), len(stored.get("DeleteMarkers", []))


def purge(cloud: Cloud, id_: str) -> None:
    cloud.age(id_, days=40)
    cloud.purge(dry_run=False, confirm_token=cloud.purge().json["confirm_token"])
    assert cloud.get(id_).status == 404


def test_what_is_sent_after_its_purge_and_not_announced_does_not_come_back(cloud: Cloud) -> None:
    id_ = cloud.upload(PHOTO)["id"]
    purge(cloud, id_)

    key = cloud.store(PHOTO)
    cloud.ingest(key)

    assert cloud.get(id_).status == 404
    assert cloud.objects(cloud.originals) == []
    assert versions(cloud, key) == (2, 2)  # of which the operator may restore it
    assert cloud.take_jobs() == []
    assert cloud.upload(PHOTO)["status"] == "ready"  # announced


def test_what_is_sent_over_and_over_after_its_purge_stays_in_its_place_until_its_tickets_expire(
    cloud: Cloud,
) -> None:
    purge(cloud, cloud.upload(PHOTO)["id"])
    cloud.ingest(cloud.store(PHOTO))
    key = cloud.store(PHOTO)  # the third version within 15 minutes

    with pytest.raises(BatchProcessingError):
        cloud.ingest(key)
    assert cloud.objects(cloud.originals) == [key]  # S3 answers 412 to the next PUT
    assert cloud.get(ID).status == 404

    arriving: Arriving = cloud.function("ingest").arriving
    late = on_clock(arriving, lambda: datetime.now(UTC) + TICKETS_LAST)
    late.take(AssetKey.of_original(key), in_time=False)

    assert cloud.objects(cloud.originals) == []
    assert cloud.get(ID).status == 404


def test_bytes_that_wait_for_their_tickets_to_expire_are_accepted_once_they_are_announced(
    cloud: Cloud,
) -> None:
    purge(cloud, cloud.upload(PHOTO)["id"])
    cloud.ingest(cloud.store(PHOTO))
    key = cloud.store(PHOTO)

    cloud.announce(PHOTO)  # and its PUT is answered 412
    cloud.ingest(key)  # the message returns

    assert cloud.get(ID).json["status"] == "processing"


def test_deleting_an_original_again_leaves_one_delete_marker(cloud: Cloud) -> None:
    key = cloud.store(PHOTO)

    for _ in range(3):
        Originals(cloud.originals).delete(AssetKey.of_original(key))

    assert versions(cloud, key) == (1, 1)


def test_an_upload_that_was_announced_after_a_purge_and_waited_for_days_is_accepted(cloud: Cloud) -> None:
    id_ = cloud.upload(PHOTO)["id"]
    purge(cloud, id_)
    key = cloud.store(PHOTO)  # announced, and the announcement forgotten since

    arriving: Arriving = cloud.function("ingest").arriving
    late = on_clock(arriving, lambda: datetime.now(UTC) + timedelta(days=3))
    late.take(AssetKey.of_original(key), in_time=False)

    assert cloud.get(id_).json["status"] == "processing"

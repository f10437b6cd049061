"""DELETE /v1/images/{id}: a client deletes one image that nobody uses."""

import hashlib
from collections.abc import Iterator
from datetime import timedelta

import pytest
from PIL import Image, ImageFilter

from catalog.domain.assets import ADDRESSES_LAST, AWAITED_FOR, Status
from catalog.domain.keys import AssetKey
from infra.local.events import sqs_event
from infra.operator.restore import restore
from infra.pictures.images import half_of, jpeg_bytes, noisy_scene, product_photo
from tests.functional.cloud import Cloud, Killed
from tests.functional.streams import history_of, recorded_changes

PHOTO = jpeg_bytes(product_photo(1, (64, 48)))
# Softened: a half-size copy shows it as well, and shares its renditions.
SCENE = noisy_scene(7, (120, 90)).filter(ImageFilter.GaussianBlur(1))


def of(size: tuple[int, int]) -> bytes:
    return jpeg_bytes(SCENE.resize(size, Image.Resampling.LANCZOS))


LARGE, MIDDLE, SMALL = jpeg_bytes(SCENE), of((90, 68)), of((60, 45))


@pytest.fixture(autouse=True)
def followed(cloud: Cloud) -> Iterator[None]:
    with recorded_changes() as cloud.records:
        yield


def faults(cloud: Cloud) -> list[str]:
    """The broken guarantees, once every change has been counted."""
    cloud.invoke("usage", {"Records": cloud.records})
    return cloud.broken_guarantees(history_of(cloud, cloud.records))


def id_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def refusal(cloud: Cloud, id_: str, **request: str) -> tuple[int, str]:
    answer = cloud.delete(id_, **request)
    return answer.status, answer.json["error"]["code"]


def runs(cloud: Cloud) -> list[dict[str, object]]:
    answer = cloud.call("purge", "GET", "/purge/runs", scope="catalog/admin")
    kept = ("source", "state", "dry_run", "candidate_count", "deleted_count", "requested_by")
    return [{name: run[name] for name in kept} for run in answer.json["runs"]]


def outputs(cloud: Cloud) -> dict[str, str]:
    return {
        "TenantsTable": "TenantsTable",
        "AssetsTable": "AssetsTable",
        "OriginalsBucket": cloud.originals,
        "UploadsQueueUrl": cloud.uploads_queue,
    }


def test_an_image_that_nobody_uses_is_gone_with_its_objects_and_listed_among_the_purge_runs(
    cloud: Cloud,
) -> None:
    image = cloud.upload(PHOTO)

    answer = cloud.delete(image["id"])

    assert (answer.status, answer.json) == (200, {"id": image["id"], "status": "deleted"})
    assert cloud.get(image["id"]).status == 404
    assert cloud.objects(cloud.originals) == cloud.objects(cloud.renditions) == []
    assert runs(cloud) == [
        {
            "source": "deletion",
            "state": "completed",
            "dry_run": False,
            "candidate_count": 1,
            "deleted_count": 1,
            "requested_by": "client-of-acme",
        }
    ]
    assert faults(cloud) == []


def test_it_can_be_restored_as_any_purged_image(cloud: Cloud) -> None:
    id_ = cloud.upload(PHOTO)["id"]
    cloud.delete(id_)

    restore(AssetKey.of_original(f"originals/acme/{id_}"), outputs=outputs(cloud))
    cloud.drain()

    assert cloud.get(id_).json["status"] == "ready"
    assert faults(cloud) == []


def test_an_image_with_a_reference_stays_until_it_is_released(cloud: Cloud) -> None:
    id_ = cloud.upload(PHOTO)["id"]
    cloud.reference("PUT", id_, "sku-1")

    assert refusal(cloud, id_) == (409, "image_referenced")
    assert cloud.get(id_).json["status"] == "ready"
    assert runs(cloud) == []

    cloud.reference("DELETE", id_, "sku-1")
    assert cloud.delete(id_).status == 200


def test_an_image_whose_renditions_near_duplicates_show_stays_until_they_are_deleted(cloud: Cloud) -> None:
    large, small = (cloud.upload(data)["id"] for data in (LARGE, SMALL))
    assert cloud.get(small).json["near_duplicate_of"] == large

    assert refusal(cloud, large) == (409, "image_shared")

    assert [cloud.delete(id_).status for id_ in (small, large)] == [200, 200]
    assert faults(cloud) == []


def test_an_image_whose_renditions_a_person_called_distinct_may_show_is_lent_for_an_hour(
    cloud: Cloud,
) -> None:
    cloud.upload(MIDDLE)
    small = cloud.upload(SMALL)["id"]
    cloud.upload(LARGE)
    cloud.drain()
    former = id_of(MIDDLE)
    assert cloud.asset(former).lent_at is not None  # the small one has moved on to the large one
    assert cloud.get(small).json["near_duplicate_of"] == id_of(LARGE)

    assert refusal(cloud, former) == (409, "image_lent")

    with cloud.later(ADDRESSES_LAST + timedelta(minutes=1)):
        assert cloud.delete(former).status == 200
    assert faults(cloud) == []


def test_an_image_of_another_tenant_is_no_image(cloud: Cloud) -> None:
    id_ = cloud.upload(PHOTO)["id"]

    assert refusal(cloud, id_, client_id="client-of-globex") == (404, "image_not_found")
    assert refusal(cloud, "0" * 64) == (404, "image_not_found")
    assert refusal(cloud, "not-an-id") == (400, "invalid_request")
    assert cloud.get(id_).json["status"] == "ready"


def test_an_announcement_is_deleted_before_its_upload(cloud: Cloud) -> None:
    cloud.announce(PHOTO)

    assert cloud.delete(id_of(PHOTO)).status == 200

    assert cloud.get(id_of(PHOTO)).status == 404
    assert faults(cloud) == []


def test_an_upload_that_has_arrived_is_not_deleted_before_it_is_checked(cloud: Cloud) -> None:
    cloud.announce(PHOTO)
    key = cloud.store(PHOTO)

    assert refusal(cloud, id_of(PHOTO)) == (409, "image_state")

    cloud.ingest(key)
    assert refusal(cloud, id_of(PHOTO)) == (409, "image_in_work")
    cloud.drain()
    assert cloud.delete(id_of(PHOTO)).status == 200
    assert faults(cloud) == []


def test_an_image_that_was_never_finished_is_deleted_after_a_day(cloud: Cloud) -> None:
    cloud.announce(PHOTO)
    cloud.ingest(cloud.store(PHOTO))
    cloud.take_jobs()

    with cloud.later(AWAITED_FOR + timedelta(minutes=1)):
        assert cloud.delete(id_of(PHOTO)).status == 200
    assert faults(cloud) == []


def test_a_rejected_image_is_deleted(cloud: Cloud) -> None:
    broken = half_of(PHOTO)
    assert cloud.upload(broken)["status"] == "rejected"

    assert cloud.delete(id_of(broken)).status == 200

    assert cloud.get(id_of(broken)).status == 404
    assert cloud.objects(cloud.originals) == []
    assert faults(cloud) == []


def test_one_that_is_announced_at_the_moment_of_its_deletion_stays(cloud: Cloud) -> None:
    """A client is told that its bytes are here: after the run looked for it, before it is taken."""
    id_ = cloud.upload(PHOTO)["id"]
    deletion = cloud.function("purge").deletion
    record = deletion.purging.runs.record

    def announced_meanwhile(run: object) -> None:
        record(run)
        assert cloud.announce(PHOTO).status == 200

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deletion.purging.runs, "record", announced_meanwhile)
        assert refusal(cloud, id_) == (409, "image_state")

    assert cloud.get(id_).json["status"] == "ready"
    assert runs(cloud)[0]["deleted_count"] == 0


def test_a_request_that_dies_is_completed_by_the_queue_and_the_same_request_says_so(cloud: Cloud) -> None:
    id_ = cloud.upload(PHOTO)["id"]
    with cloud.watched_calls() as calls:
        cloud.delete(id_)
    taken = [number for number, call in enumerate(calls.made) if call == "dynamodb:UpdateItem"][1]
    other = jpeg_bytes(product_photo(2, (64, 48)))
    id_ = cloud.upload(other)["id"]
    cloud.cold_start()
    with pytest.raises(Killed), cloud.watched_calls(kill_at=taken, after=True):
        cloud.delete(id_)
    assert cloud.asset(id_).status is Status.DELETING

    answer = cloud.delete(id_)
    assert (answer.status, answer.json["status"]) == (202, "deleting")

    with cloud.later(timedelta(minutes=3)):
        for message in cloud.take_messages(cloud.purge_queue):
            cloud.invoke("purge_worker", sqs_event(message))
    assert cloud.get(id_).status == 404
    assert cloud.objects(cloud.originals) == []
    assert faults(cloud) == []

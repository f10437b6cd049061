"""What is soon rendered is rendered by ingest, from the bytes it has; the rest by jobs."""

from typing import Any

import pytest

from infra.local.events import s3_notification, sqs_event
from infra.pictures.images import jpeg_bytes, product_photo
from tests.functional.cloud import Cloud, watched_calls
from tests.functional.test_lost_answers import every_answer_lost_once

PHOTO = jpeg_bytes(product_photo(1, (320, 240)))
PIXELS = 320 * 240


def arrive(cloud: Cloud, data: bytes, *, receives: int = 1) -> dict[str, Any]:
    announced = cloud.announce(data)
    event = sqs_event(s3_notification(cloud.originals, cloud.store(data)))
    event["Records"][0]["attributes"]["ApproximateReceiveCount"] = str(receives)
    assert cloud.invoke("ingest", event) == {"batchItemFailures": []}
    image: dict[str, Any] = cloud.get(announced.json["id"]).json
    return image


def test_an_image_is_ready_when_its_event_is_handled_and_its_original_was_read_once(cloud: Cloud) -> None:
    cloud.configure(PIXELS_RENDERED_ON_ARRIVAL=str(PIXELS))

    with watched_calls() as calls:
        image = arrive(cloud, PHOTO)

    assert image["status"] == "ready"
    assert cloud.take_jobs() == []
    assert calls.made.count("s3:GetObject") == 1
    assert calls.made.count("s3:PutObject") == 1 + len(image["renditions"])


def test_it_shows_what_one_job_for_all_presets_would_have_made(cloud: Cloud) -> None:
    cloud.configure(PRESETS_PER_JOB="16")
    by_job = cloud.upload(PHOTO, client_id="client-of-globex")
    cloud.configure(PIXELS_RENDERED_ON_ARRIVAL=str(PIXELS))
    at_once = arrive(cloud, PHOTO)

    def bytes_of(tenant: str, image: dict[str, Any]) -> dict[str, bytes]:
        asset = cloud.asset(image["id"], tenant)
        return {
            name: cloud.s3.get_object(Bucket=cloud.renditions, Key=stored.key)["Body"].read()
            for name, stored in asset.renditions.items()
        }

    assert bytes_of("acme", at_once) == bytes_of("globex", by_job)


@pytest.mark.parametrize(
    ("pixels", "receives", "milliseconds"),
    [(0, 1, 60_000), (PIXELS - 1, 1, 60_000), (PIXELS, 2, 60_000), (PIXELS, 1, 29_999)],
    ids=["never", "too large", "a repeated event", "too late"],
)
def test_jobs_render_what_is_large_late_or_was_tried_before(
    cloud: Cloud, pixels: int, receives: int, milliseconds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.configure(PIXELS_RENDERED_ON_ARRIVAL=str(pixels))
    monkeypatch.setattr(Cloud, "milliseconds_left", milliseconds)

    image = arrive(cloud, PHOTO, receives=receives)

    assert image["status"] == "processing"
    jobs = cloud.take_jobs()
    assert len(jobs) == len(cloud.function("render").rendering.plan.presets)
    for job in jobs:
        cloud.render(job)
    assert cloud.get(image["id"]).json["status"] == "ready"


def test_calls_whose_answers_are_lost_change_nothing(cloud: Cloud) -> None:
    cloud.configure(PIXELS_RENDERED_ON_ARRIVAL=str(PIXELS))
    with every_answer_lost_once() as sent_again:
        image = arrive(cloud, PHOTO)
    assert image["status"] == "ready"
    assert {"UpdateItem", "PutObject"} <= set(sent_again)

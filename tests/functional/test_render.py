"""Render queue -> render."""

import hashlib
import io
import json
import os
from dataclasses import replace

import pytest
from PIL import Image

from benchmarks._units import size_of_item
from catalog.adapters.objects import Renditions
from catalog.adapters.queues import RenderQueue, render_job
from catalog.domain.assets import RenderJob
from catalog.domain.hops import MAX_HOPS, ChainTooLongError
from catalog.domain.keys import asset_id, tenant_id
from catalog.domain.presets import parse_presets
from infra.pictures.images import camera_jpeg_bytes, jpeg_bytes, png_bytes, product_cutout, product_photo
from tests.functional.cloud import PRESETS, Cloud
from tests.functional.interleaving import Scheduler

PHOTO = jpeg_bytes(product_photo(1, (1000, 750)))
ID = hashlib.sha256(PHOTO).hexdigest()
NO_FAILURES: dict[str, list[object]] = {"batchItemFailures": []}


def job(*presets: str, id_: str = ID, tenant: str = "acme") -> str:
    return json.dumps({"tenant": tenant, "id": id_, "presets": presets, "correlation_id": "request-1"})


def rendition(cloud: Cloud, asset: dict[str, list[dict[str, str]]], preset: str) -> Image.Image:
    key = cloud.asset(str(asset["id"])).renditions[preset].key
    return Image.open(io.BytesIO(cloud.read(cloud.renditions, key)))


def test_an_asset_is_ready_when_and_only_when_every_preset_is_stored(cloud: Cloud) -> None:
    cloud.ingest(cloud.store(PHOTO))

    states = []
    for message in cloud.take_jobs():
        cloud.render(message)
        states.append(cloud.asset(ID).status)

    assert states == ["processing", "processing", "ready"]
    assert cloud.objects(cloud.renditions) == sorted(
        f"renditions/acme/{ID}/{preset.name}-{preset.version}.jpg" for preset in parse_presets(PRESETS)
    )


def test_a_preset_that_changes_after_it_was_rendered_is_rendered_again_and_the_asset_gets_ready(
    cloud: Cloud,
) -> None:
    cloud.ingest(cloud.store(PHOTO))
    thumb, card, zoom = cloud.take_jobs()
    cloud.render(thumb)
    presets = json.loads(PRESETS)
    cloud.configure(PRESETS=json.dumps([presets[0] | {"quality": 60}, *presets[1:]]))

    cloud.render(card)
    cloud.render(zoom)
    cloud.drain()

    assert cloud.asset(ID).status == "ready"
    assert not cloud.asset(ID).missing(parse_presets(os.environ["PRESETS"]))


def test_what_the_record_says_of_a_rendition_is_true_of_its_object(cloud: Cloud) -> None:
    asset = cloud.upload(PHOTO)

    for stored in cloud.asset(ID).renditions.values():
        data = cloud.read(cloud.renditions, stored.key)
        image = Image.open(io.BytesIO(data))
        image.load()
        assert (image.width, image.height) == (stored.width, stored.height)
        assert len(data) == stored.size_bytes
    assert [(r["width"], r["height"]) for r in asset["renditions"]] == [(200, 150), (600, 450), (1000, 750)]


def test_renditions_are_cached_for_a_year_since_their_key_changes_with_them(cloud: Cloud) -> None:
    cloud.upload(PHOTO)

    head = cloud.s3.head_object(Bucket=cloud.renditions, Key=cloud.asset(ID).renditions["thumb"].key)

    assert head["CacheControl"] == "public, max-age=31536000, immutable"
    assert head["ContentType"] == "image/jpeg"


def test_camera_photos_come_out_upright_and_without_their_metadata(cloud: Cloud) -> None:
    asset = cloud.upload(camera_jpeg_bytes(product_photo(2, (800, 600))))

    card = rendition(cloud, asset, "card")

    assert (card.width, card.height) == (600, 450)
    assert dict(card.getexif()) == {}
    assert not {"icc_profile", "exif", "xmp", "comment"} & set(card.info)


def test_formats_and_fits_come_from_the_presets(cloud: Cloud) -> None:
    cloud.configure(
        PRESETS=json.dumps(
            [
                {"name": "square", "width": 300, "height": 300, "fit": "pad", "background": "#ff0000"},
                {"name": "tile", "width": 100, "height": 100, "fit": "cover", "format": "webp"},
                {"name": "cut", "width": 400, "height": 400, "format": "auto"},
            ]
        )
    )
    data = png_bytes(product_cutout(3, (800, 600)))

    asset = cloud.upload(data, content_type="image/png")

    square, tile, cut = (rendition(cloud, asset, name) for name in ("square", "tile", "cut"))
    assert (square.size, square.format) == ((300, 300), "JPEG")
    assert (tile.size, tile.format) == ((100, 100), "WEBP")
    assert (cut.size, cut.format) == ((400, 300), "WEBP")
    assert cut.convert("RGBA").getchannel("A").getextrema()[0] == 0


def test_a_job_run_again_reads_one_item_and_changes_nothing(cloud: Cloud) -> None:
    cloud.ingest(cloud.store(PHOTO))
    jobs = cloud.take_jobs()
    cloud.render(*jobs)
    before = cloud.snapshot()

    with cloud.watched_calls() as calls:
        assert cloud.render(jobs[0]) == NO_FAILURES

    assert calls.made == ["dynamodb:GetItem"]
    assert cloud.snapshot() == before


def test_one_job_can_render_every_preset_from_one_read_of_the_original(cloud: Cloud) -> None:
    cloud.configure(PRESETS_PER_JOB="16")
    cloud.ingest(cloud.store(PHOTO))

    with cloud.watched_calls() as calls:
        cloud.render(*cloud.take_jobs())

    assert calls.made.count("s3:GetObject") == 1
    assert cloud.asset(ID).status == "ready"


def test_a_changed_preset_makes_another_object_and_leaves_the_asset_ready(cloud: Cloud) -> None:
    cloud.upload(PHOTO)
    before = cloud.asset(ID).renditions["thumb"]
    cloud.configure(PRESETS=PRESETS.replace('"width": 200', '"width": 240'))

    cloud.render(job("thumb"))

    after = cloud.asset(ID)
    assert after.status == "ready"
    assert after.renditions["thumb"].key != before.key
    assert after.renditions["thumb"].width == 240
    assert {before.key, after.renditions["thumb"].key} <= set(cloud.objects(cloud.renditions))


def test_the_bytes_under_a_key_never_change_and_the_record_is_of_them(cloud: Cloud) -> None:
    cloud.ingest(cloud.store(PHOTO))
    key = cloud.asset(ID).key.rendition("thumb", parse_presets(PRESETS)[0].version, "jpg")
    first = jpeg_bytes(product_photo(2, (200, 150)))
    cloud.s3.put_object(Bucket=cloud.renditions, Key=key, Body=first)

    cloud.render(job("thumb"))

    stored = cloud.asset(ID).renditions["thumb"]
    assert (stored.key, stored.size_bytes) == (key, len(first))
    assert cloud.read(cloud.renditions, key) == first


def test_a_rendition_that_was_there_is_stored_anew_so_that_who_takes_back_that_version_leaves_it(
    cloud: Cloud,
) -> None:
    cloud.ingest(cloud.store(PHOTO))
    renditions = Renditions(cloud.renditions)
    key = cloud.asset(ID).key
    renditions.write(key.rendition("thumb", "v", "jpg"), b"bytes", content_type="image/jpeg")
    ((object_key, version),) = renditions.versions(key)

    renditions.write(object_key, b"others", content_type="image/jpeg")
    renditions.take_back(object_key, version)

    assert cloud.read(cloud.renditions, object_key) == b"bytes"


def test_a_rendition_that_vanishes_while_it_is_written_is_written(cloud: Cloud, scheduler: Scheduler) -> None:
    object_key = "renditions/acme/a/thumb-v.jpg"
    renditions = Renditions(cloud.renditions)
    renditions.write(object_key, b"bytes", content_type="image/jpeg")
    with scheduler.in_charge():
        writer = scheduler.start(
            "write", lambda: renditions.write(object_key, b"others", content_type="image/jpeg")
        )
        writer.step_to("s3:GetObject")
        cloud.s3.delete_object(Bucket=cloud.renditions, Key=object_key)
        assert writer.finish() == len(b"others")
        scheduler.finished(writer)

    assert cloud.read(cloud.renditions, object_key) == b"others"


@pytest.mark.parametrize("message", [job("thumb", id_="0" * 64), job("thumb", tenant="globex")])
def test_a_job_for_an_asset_that_does_not_exist_ends_quietly(cloud: Cloud, message: str) -> None:
    cloud.ingest(cloud.store(PHOTO))

    assert cloud.render(message) == NO_FAILURES
    assert cloud.objects(cloud.renditions) == []


def test_a_preset_that_is_no_longer_configured_is_left_out(cloud: Cloud) -> None:
    cloud.ingest(cloud.store(PHOTO))

    assert cloud.render(job("poster")) == NO_FAILURES
    assert cloud.objects(cloud.renditions) == []


@pytest.mark.parametrize("moved_before", ["ingest", "render"])
def test_an_original_that_was_archived_is_rejected_by_name_and_heals_with_the_bytes(
    cloud: Cloud, moved_before: str
) -> None:
    """A storage class that cannot be read makes every retry as futile as the first."""
    object_key = cloud.store(PHOTO)
    archived = {"Bucket": cloud.originals, "Key": object_key, "Body": PHOTO, "StorageClass": "GLACIER"}
    if moved_before == "ingest":
        cloud.s3.put_object(**archived)
        assert cloud.ingest(object_key) == NO_FAILURES
    else:
        cloud.ingest(object_key)
        cloud.s3.put_object(**archived)
        assert cloud.render(*cloud.take_jobs()) == NO_FAILURES

    assert cloud.get(ID).json["rejection"]["code"] == "original_archived"
    assert cloud.upload(PHOTO)["status"] == "ready"


def test_an_original_deleted_before_rendering_is_rejected_by_name(cloud: Cloud) -> None:
    cloud.ingest(cloud.store(PHOTO))
    jobs = cloud.take_jobs()
    cloud.s3.delete_object(Bucket=cloud.originals, Key=f"originals/acme/{ID}")

    assert cloud.render(*jobs) == NO_FAILURES

    assert cloud.get(ID).json["rejection"]["code"] == "original_missing"
    assert cloud.upload(PHOTO)["status"] == "ready"  # sent once more, it is repaired


def test_a_ready_asset_stays_ready_when_its_original_is_gone(cloud: Cloud) -> None:
    cloud.upload(PHOTO)
    cloud.s3.delete_object(Bucket=cloud.originals, Key=f"originals/acme/{ID}")
    cloud.configure(PRESETS=PRESETS.replace('"width": 200', '"width": 240'))

    assert cloud.render(job("thumb")) == NO_FAILURES

    assert cloud.get(ID).json["status"] == "ready"


@pytest.mark.parametrize("message", ["not json", "{}", '{"tenant": "../x", "id": "y", "presets": []}'])
def test_a_message_that_is_no_job_goes_the_way_of_dead_letters(cloud: Cloud, message: str) -> None:
    assert cloud.render(job("thumb"), message) == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}


def test_the_last_rendition_and_ready_are_one_write_and_so_are_all_of_one_job(cloud: Cloud) -> None:
    cloud.ingest(cloud.store(PHOTO))
    writes = []
    for message in cloud.take_jobs():
        with cloud.watched_calls() as calls:
            cloud.render(message)
        writes.append(calls.made.count("dynamodb:UpdateItem"))
    assert writes == [1, 1, 1]
    assert cloud.asset(ID).status == "ready"

    other = jpeg_bytes(product_photo(2, (1000, 750)))
    cloud.configure(PRESETS_PER_JOB="3")
    cloud.ingest(cloud.store(other))
    with cloud.watched_calls() as calls:
        cloud.render(*cloud.take_jobs())
    assert calls.made.count("dynamodb:UpdateItem") == 1
    assert cloud.asset(hashlib.sha256(other).hexdigest()).status == "ready"


def test_the_record_of_an_ordinary_upload_fits_one_write_unit_and_names_whole_keys(cloud: Cloud) -> None:
    """1,024 bytes: every change of a larger one costs twice."""
    cloud.upload(PHOTO, filename="a photo with a name of ordinary length.jpg")

    (item,) = cloud.dynamodb.scan(TableName="AssetsTable")["Items"]
    assert size_of_item(item) <= 1024 - 100
    for preset, stored in cloud.asset(ID).renditions.items():
        assert stored.key == f"renditions/acme/{ID}/{preset}-{stored.version}.jpg"
    (indexed,) = cloud.asset(ID).indexed_as
    assert (indexed.algorithm, indexed.frame) == ("phash256", item["phash256"]["S"])
    assert indexed.box not in (None, indexed.frame)


def test_a_job_that_a_job_causes_is_the_next_of_its_chain_which_ends(cloud: Cloud) -> None:
    """Lambda is told to let Render's chain run; so the chain must end by itself, as a dead letter."""
    queue = RenderQueue(cloud.render_queue)
    first = RenderJob(tenant_id("acme"), asset_id(ID), ("thumb",))

    queue.send([first])
    (sent,) = map(render_job, cloud.take_jobs())
    assert sent.hops == 0
    queue.send([first, first], after=sent)
    assert [render_job(body).hops for body in cloud.take_jobs()] == [1, 1]

    with pytest.raises(ChainTooLongError):
        queue.send([first], after=replace(sent, hops=MAX_HOPS))
    assert cloud.sqs.receive_message(QueueUrl=cloud.render_queue).get("Messages", []) == []


def test_a_job_sent_before_jobs_counted_their_hops_is_the_first_of_its_chain() -> None:
    body = json.dumps({"tenant": "acme", "id": ID, "presets": ["thumb"], "correlation_id": None})
    assert render_job(body).hops == 0

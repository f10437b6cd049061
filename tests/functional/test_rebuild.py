"""Rebuild jobs: after a change of presets every image matches them, and no unnamed object is left."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import RLock
from typing import Any

import botocore.client
import pytest
from moto.s3.models import FakeKey

from catalog.adapters.jobs_table import Jobs
from catalog.domain.assets import STALLED_AFTER
from catalog.domain.jobs import Job, Line
from catalog.domain.keys import tenant_id
from catalog.use_cases import job_ranges
from catalog.use_cases.rebuilding import MOST_LOOKS
from catalog.use_cases.side_by_side import Turns
from infra.pictures.images import jpeg_bytes, noisy_scene
from tests.functional.cloud import Cloud, Killed
from tests.functional.interleaving import Scheduler
from tests.functional.jobs import JobRun, Lines
from tests.functional.streams import recorded_changes
from tests.functional.test_crashes import (
    COPY,
    HALF,
    OTHER,
    PHOTO,
    READS,
    count_every_change,
    decide,
    id_of,
    in_turn,
    ingested,
    lose_original,
    reference,
    uploaded,
)
from tests.functional.test_lost_answers import every_answer_lost_once

DAY = timedelta(days=1)


def presets(**sides: int) -> str:
    return json.dumps([{"name": name, "width": side, "height": side} for name, side in sides.items()])


OLD, NEW, NEWER = presets(thumb=30, card=60), presets(thumb=40, card=60), presets(thumb=50, card=60)


@pytest.fixture
def catalog(cloud: Cloud) -> Iterator[Cloud]:
    """Two images as of the old presets; every change of a record is kept."""
    with begun(cloud, PHOTO, OTHER):
        yield cloud


@contextmanager
def begun(cloud: Cloud, *photos: bytes, **settings: str) -> Iterator[Cloud]:
    with recorded_changes() as cloud.records:
        cloud.configure(PRESETS=OLD, **settings)
        uploaded(*photos)(cloud)
        count_every_change(cloud)
        yield cloud


@pytest.fixture(autouse=True)
def restorable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that is removed for good can be come back to with its moment."""
    monkeypatch.setattr(FakeKey, "dispose", lambda *_, **__: None)


@pytest.fixture
def sixteen_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_ranges, "digits_for", lambda *_, **__: 1)
    monkeypatch.setattr(job_ranges, "ranges_of_a_part", lambda *_: 1)


def started(cloud: Cloud, **asked: Any) -> JobRun:
    answer = cloud.job("POST", body={"kind": "rebuild", "tenant": "acme", "dry_run": False} | asked)
    assert answer.status == 202, answer.json
    return JobRun(cloud, answer.json["id"])


def rebuilt(cloud: Cloud, **asked: Any) -> Job:
    run = started(cloud, **asked)
    job = run.to_the_end()
    assert (job.state, run.faults) == ("completed", []), job
    return job


def versions(cloud: Cloud, data: bytes, tenant: str = "acme") -> dict[str, str]:
    return {name: one.version for name, one in cloud.asset(id_of(data), tenant).renditions.items()}


def counts(job: Job) -> dict[str, int]:
    return {name: number for name, number in job.tally.counts.items() if not name.endswith("bytes")}


def is_whole(cloud: Cloud) -> None:
    """Every guarantee holds, the counters agree, and what is stored is what the records name."""
    count_every_change(cloud)
    assert cloud.broken_guarantees() == []
    assets = cloud.world().assets.values()
    named = {one.key for asset in assets for one in asset.renditions.values()}
    assert sorted(named) == sorted(cloud.objects(cloud.renditions))
    listed = cloud.s3.list_object_versions(Bucket=cloud.renditions)
    purged = {one["Key"] for one in listed.get("DeleteMarkers", []) if one["IsLatest"]}
    assert {one["Key"] for one in listed.get("Versions", [])} - purged == named


# --- A changed preset -------------------------------------------------------------------------------------


def test_every_image_gets_the_changed_preset_and_the_old_objects_go(catalog: Cloud) -> None:
    before = [versions(catalog, data) for data in (PHOTO, OTHER)]
    catalog.configure(PRESETS=NEW)

    job = rebuilt(catalog)

    for data, old in zip((PHOTO, OTHER), before, strict=True):
        new = versions(catalog, data)
        assert new["thumb"] != old["thumb"] and new["card"] == old["card"]
    assert (job.tally.done, job.tally.skipped, job.tally.failed, job.expected) == (2, 0, 0, 2)
    assert counts(job) == {"rebuilt": 2, "renditions": 2, "removed": 2}
    is_whole(catalog)
    assert job.tally.counts["bytes"] == catalog.world().usage_of(tenant_id("acme")).bytes_per_preset["thumb"]


def test_joined_ranges_of_a_small_catalog_are_rebuilt_whole(
    catalog: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_ranges, "digits_for", lambda *_, **__: 1)
    catalog.configure(PRESETS=NEW)
    run = started(catalog)
    run.plan()
    assert [line["work"]["within"] for line in run.lines()] == ["0-3", "4-7", "8-b", "c-f"]

    assert counts(run.to_the_end()) == {"rebuilt": 2, "renditions": 2, "removed": 2}
    is_whole(catalog)


def test_a_second_run_reads_each_range_once_and_neither_renders_nor_stores(catalog: Cloud) -> None:
    catalog.configure(PRESETS=NEW)
    rebuilt(catalog)
    run = started(catalog)
    assert run.plan()["next"] == "work"
    (line,) = run.lines()

    with catalog.watched_calls() as calls:
        assert run.work(line)

    about_images = [call for call in calls.made if call.startswith("s3:") or call.endswith(":Query")]
    assert sorted(about_images) == ["dynamodb:Query", "s3:ListObjectVersions"]
    job = run.to_the_end()
    assert (job.tally.done, job.tally.skipped, counts(job), job.step) == (0, 2, {}, 2)


def test_an_original_is_decoded_once_for_all_stale_presets(catalog: Cloud) -> None:
    catalog.configure(PRESETS=presets(thumb=40, card=70, zoom=90))
    run = started(catalog)
    run.plan()
    (line,) = run.lines()

    with catalog.watched_calls() as calls:
        run.work(line)

    assert calls.made.count("s3:GetObject") == 2
    assert calls.made.count("s3:PutObject") == 6
    assert counts(run.to_the_end()) == {"rebuilt": 2, "renditions": 6, "removed": 4}
    is_whole(catalog)


@pytest.mark.parametrize(
    ("settings", "changed"), [({}, NEW), ({"PRESETS_PER_JOB": "2"}, presets(thumb=40, card=70))]
)
def test_presets_of_one_render_job_get_the_bytes_that_live_rendering_makes(
    cloud: Cloud, settings: dict[str, str], changed: str
) -> None:
    with begun(cloud, PHOTO, **settings):
        cloud.configure(PRESETS=changed)
        rebuilt(cloud)
        cloud.upload(PHOTO, client_id="client-of-globex")

        shown = [cloud.asset(id_of(PHOTO), tenant).renditions for tenant in ("acme", "globex")]
        for preset in ("thumb", "card"):
            ours, live = (cloud.read(cloud.renditions, each[preset].key) for each in shown)
            assert ours == live


def test_a_preset_that_is_new_is_added_and_one_that_is_gone_goes(catalog: Cloud) -> None:
    catalog.configure(PRESETS=presets(thumb=30, zoom=90))

    job = rebuilt(catalog)

    assert versions(catalog, PHOTO).keys() == {"thumb", "zoom"}
    assert counts(job) == {"rebuilt": 2, "renditions": 2, "removed": 2}
    assert catalog.world().usage_of(tenant_id("acme")).bytes_per_preset.keys() == {"thumb", "card"}
    is_whole(catalog)
    assert catalog.world().usage_of(tenant_id("acme")).bytes_per_preset.keys() == {"thumb", "zoom"}


def test_a_preset_that_only_went_is_taken_out_without_reading_an_original(catalog: Cloud) -> None:
    in_turn(lose_original(PHOTO), lose_original(OTHER))(catalog)
    catalog.configure(PRESETS=presets(thumb=30))

    assert counts(rebuilt(catalog)) == {"rebuilt": 2, "removed": 2}


def test_a_dry_run_tells_what_a_rebuild_does_and_changes_nothing(catalog: Cloud) -> None:
    uploaded(HALF)(catalog)
    count_every_change(catalog)
    catalog.configure(PRESETS=NEW)
    before = {name: items for name, items in catalog.snapshot()["items"].items() if name != "JobsTable"}

    dry = rebuilt(catalog, dry_run=True)

    after = {name: items for name, items in catalog.snapshot()["items"].items() if name != "JobsTable"}
    assert after == before
    real = rebuilt(catalog)
    assert counts(dry) == {name: number for name, number in counts(real).items() if name != "removed"}
    assert dry.tally.counts["bytes"] == pytest.approx(real.tally.counts["bytes"], rel=0.5)
    assert (dry.tally.images, dry.expected) == (real.tally.images, real.expected) == (3, 3)


# --- What is shown meanwhile ------------------------------------------------------------------------------


@contextmanager
def looking_at_every_call(cloud: Cloud) -> Iterator[list[str]]:
    """Before every call of a function: whether each ready image shows every preset, and each is there."""
    dark: list[str] = []
    make = botocore.client.BaseClient._make_api_call
    busy: list[bool] = []
    alone = RLock()  # the worker has several threads

    def watched(self: Any, operation: str, arguments: Any) -> Any:
        with alone:
            if not busy:
                busy.append(True)
                there = set(cloud.objects(cloud.renditions))
                for key in cloud.world().assets:
                    shown = {one.key for one in cloud.assets.get(key).renditions.values()}
                    if len(shown) < 2 or shown - there:
                        dark.append(f"{operation}: {key.id[:8]} shows {shown}")
                busy.clear()
            return make(self, operation, arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.client.BaseClient, "_make_api_call", watched)
        yield dark


def test_at_no_call_of_a_rebuild_is_an_image_without_renditions(cloud: Cloud) -> None:
    with begun(cloud, PHOTO, HALF, OTHER):
        cloud.configure(PRESETS=NEW)
        with looking_at_every_call(cloud) as dark:
            rebuilt(cloud)

    assert dark == []


def test_replaced_renditions_stay_for_as_long_as_the_setting_says(catalog: Cloud) -> None:
    old = {catalog.asset(id_of(data)).renditions["thumb"].key for data in (PHOTO, OTHER)}
    catalog.configure(PRESETS=NEW)
    run = started(catalog)
    assert [run.round(), run.plan()["next"]] == ["work", "wait"]

    assert old <= set(catalog.objects(catalog.renditions))
    assert run.job.stage.waiting_until is not None
    assert run.job.stage.waiting_until - datetime.now(UTC) > DAY - timedelta(minutes=1)
    assert run.to_the_end().state == "completed"
    assert not old & set(catalog.objects(catalog.renditions))


def test_what_a_job_that_was_cancelled_left_goes_with_the_next_one_but_not_before_its_time(
    catalog: Cloud,
) -> None:
    catalog.configure(PRESETS=NEW)
    run = started(catalog)
    assert [run.round(), run.plan()["next"]] == ["work", "wait"]
    assert catalog.job("POST", f"/{run.id}/cancel").json["state"] == "cancelled"

    run = started(catalog)
    assert run.round() == "work"
    assert run.round() == "work"  # what is left may be old already: no time is waited for
    assert len(catalog.objects(catalog.renditions)) == 6
    assert run.round() == "wait"
    assert counts(run.to_the_end()) == {"left": 4, "removed": 2}
    is_whole(catalog)


def test_a_rendition_that_was_stored_and_never_recorded_goes(catalog: Cloud) -> None:
    key = catalog.asset(id_of(PHOTO)).key
    for object_key in (key.rendition("thumb", "0123456789", "jpg"), key.rendition("poster", "v", "webp")):
        catalog.s3.put_object(Bucket=catalog.renditions, Key=object_key, Body=b"1")
        catalog.s3.put_object(Bucket=catalog.renditions, Key=object_key, Body=b"2")
    stray = f"renditions/acme/{'0' * 64}/thumb-v.jpg"
    catalog.s3.put_object(Bucket=catalog.renditions, Key=stray, Body=b"3")

    assert counts(rebuilt(catalog))["removed"] == 3
    is_whole(catalog)


def test_another_tenants_objects_are_left_alone(catalog: Cloud) -> None:
    stray = f"renditions/globex/{'0' * 64}/thumb-v.jpg"
    catalog.s3.put_object(Bucket=catalog.renditions, Key=stray, Body=b"3")
    catalog.configure(PRESETS=NEW)

    rebuilt(catalog)

    assert stray in catalog.objects(catalog.renditions)


# --- Near-duplicates --------------------------------------------------------------------------------------

Order = Callable[[Lines], Iterable[dict[str, Any]]]


@pytest.mark.usefixtures("sixteen_ranges")
@pytest.mark.parametrize("order", [list, lambda lines: list(reversed(lines))], ids=["forwards", "backwards"])
def test_near_duplicates_that_share_follow_in_whichever_order_ranges_run(cloud: Cloud, order: Order) -> None:
    with begun(cloud, PHOTO, HALF, COPY):
        cloud.configure(PRESETS=NEW)
        run = started(cloud)
        job = run.to_the_end(order)

        shown = {key.id: {one.key for one in found.renditions.values()} for key, found in assets_of(cloud)}
        assert shown[id_of(HALF)] == shown[id_of(COPY)] == shown[id_of(PHOTO)]
        assert counts(job) == {"rebuilt": 1, "renditions": 1, "followed": 2, "removed": 1}
        is_whole(cloud)


def assets_of(cloud: Cloud) -> list[tuple[Any, Any]]:
    return list(cloud.world().assets.items())


def test_near_duplicates_that_are_linked_get_their_own(cloud: Cloud) -> None:
    with begun(cloud, PHOTO, HALF, NEAR_DUPLICATE_ACTION="link"):
        cloud.configure(PRESETS=NEW)

        assert counts(rebuilt(cloud)) == {"rebuilt": 2, "renditions": 2, "removed": 2}

        assert versions(cloud, HALF) == versions(cloud, PHOTO)
        is_whole(cloud)


def test_objects_that_a_near_duplicate_still_shows_are_not_removed(cloud: Cloud) -> None:
    with begun(cloud, PHOTO, HALF):
        old = cloud.asset(id_of(PHOTO)).renditions["thumb"].key
        cloud.configure(PRESETS=NEW)
        rebuilt(cloud)
        shows_again(cloud, HALF, old)
        cloud.s3.put_object(Bucket=cloud.renditions, Key=old, Body=b"old")
        run = started(cloud, presets=["card"])  # which does not look at thumbs

        assert run.to_the_end().state == "completed"

        assert old in cloud.objects(cloud.renditions)


def shows_again(cloud: Cloud, data: bytes, object_key: str) -> None:
    """As whoever joined the group with what it had read before a rebuild."""
    cloud.dynamodb.update_item(
        TableName="AssetsTable",
        Key={"tenant": {"S": "acme"}, "id": {"S": id_of(data)}},
        UpdateExpression="SET renditions.thumb.#key = :key, renditions.thumb.version = :old",
        ExpressionAttributeNames={"#key": "key"},
        ExpressionAttributeValues={":key": {"S": object_key}, ":old": {"S": "0123456789"}},
    )


def test_an_image_that_joined_with_what_it_had_read_before_follows_and_nothing_is_left(cloud: Cloud) -> None:
    with begun(cloud, PHOTO, HALF):
        old = cloud.asset(id_of(PHOTO)).renditions["thumb"].key
        cloud.configure(PRESETS=NEW)
        run = started(cloud)
        run.round()
        shows_again(cloud, HALF, old)

        assert counts(run.to_the_end())["followed"] == 2
        assert versions(cloud, HALF) == versions(cloud, PHOTO)
        assert old not in cloud.objects(cloud.renditions)


def test_one_that_was_told_apart_and_whose_jobs_were_lost_is_rendered_before_what_it_shows_goes(
    cloud: Cloud,
) -> None:
    with begun(cloud, PHOTO, HALF):
        decide("distinct")(cloud)
        cloud.take_jobs()
        cloud.take_delayed_jobs()
        assert cloud.asset(id_of(HALF)).status == "processing"
        cloud.configure(PRESETS=NEW)

        job = rebuilt(cloud)

        assert cloud.asset(id_of(HALF)).status == "ready"
        assert counts(job) == {"rebuilt": 1, "completed": 1, "renditions": 3, "removed": 1}
        is_whole(cloud)


# --- Deployed meanwhile -----------------------------------------------------------------------------------


def test_presets_that_are_deployed_between_two_parts_end_everywhere(
    catalog: Cloud, sixteen_ranges: None
) -> None:
    catalog.configure(PRESETS=NEW)
    run = started(catalog)
    run.plan()
    lines = run.lines()
    for line in lines[:8]:
        run.work(line)
    catalog.configure(PRESETS=NEWER)
    for line in lines[8:]:
        run.work(line)

    job = run.to_the_end()

    assert job.state == "completed" and job.tally.counts["interrupted"] == 8
    assert versions(catalog, PHOTO) == versions(catalog, OTHER)
    assert catalog.asset(id_of(PHOTO)).renditions["thumb"].width == 50
    is_whole(catalog)


def test_workers_that_have_the_presets_of_before_do_nothing_until_they_have_those_of_now(
    catalog: Cloud, sixteen_ranges: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = catalog.function("rebuild_worker").parts
    catalog.configure(PRESETS=NEW)
    run = started(catalog)
    run.plan()
    with monkeypatch.context() as patch:
        patch.setattr(catalog.function("rebuild_worker"), "parts", before)
        for line in run.lines():
            assert run.work(line)
    assert catalog.asset(id_of(PHOTO)).renditions["thumb"].width == 30

    assert run.plan()["next"] == "wait"
    assert run.to_the_end().state == "completed"
    assert catalog.asset(id_of(PHOTO)).renditions["thumb"].width == 40
    is_whole(catalog)


def test_presets_that_are_deployed_twice_end_as_they_are_last(catalog: Cloud) -> None:
    original = versions(catalog, PHOTO)
    catalog.configure(PRESETS=NEW)
    run = started(catalog)
    run.round()
    catalog.configure(PRESETS=OLD)

    assert run.to_the_end().state == "completed"

    assert versions(catalog, PHOTO) == versions(catalog, OTHER) == original
    is_whole(catalog)


def test_planner_and_workers_that_never_agree_fail_the_job_by_name(
    catalog: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = catalog.function("rebuild_worker").parts
    catalog.configure(PRESETS=NEW)
    monkeypatch.setattr(catalog.function("rebuild_worker"), "parts", before)
    run = started(catalog)

    job = run.to_the_end()

    assert job.state == "failed"
    assert str(job.reason).endswith("deploy again")


def test_an_image_whose_render_jobs_were_lost_is_completed(catalog: Cloud) -> None:
    catalog.drain()
    ingested(HALF)(catalog)
    decide("distinct")(catalog)
    in_turn(Cloud.take_jobs, Cloud.take_delayed_jobs, stalled_one(HALF))(catalog)
    catalog.configure(PRESETS=NEW)

    assert counts(rebuilt(catalog))["completed"] == 1
    assert catalog.asset(id_of(HALF)).status == "ready"
    is_whole(catalog)


def test_an_image_whose_jobs_knew_other_presets_is_completed_by_the_second_look(catalog: Cloud) -> None:
    catalog.drain()
    data = jpeg_bytes(noisy_scene(99, (120, 90)))
    ingested(data)(catalog)
    catalog.take_jobs()
    catalog.configure(PRESETS=NEW)

    assert counts(rebuilt(catalog))["completed"] == 1
    assert catalog.asset(id_of(data)).status == "ready"
    is_whole(catalog)


def stalled_one(data: bytes) -> Callable[[Cloud], None]:
    def stall(cloud: Cloud) -> None:
        cloud.dynamodb.update_item(
            TableName="AssetsTable",
            Key={"tenant": {"S": "acme"}, "id": {"S": id_of(data)}},
            UpdateExpression="SET updated_at = :then",
            ExpressionAttributeValues={":then": {"S": (cloud.now() - 2 * STALLED_AFTER).isoformat()}},
        )

    return stall


# --- Only some --------------------------------------------------------------------------------------------


def test_only_the_presets_that_are_asked_for_are_rebuilt(catalog: Cloud) -> None:
    old = versions(catalog, PHOTO)
    catalog.configure(PRESETS=presets(thumb=40, zoom=90))

    job = rebuilt(catalog, presets=["zoom", "thumb"])
    assert versions(catalog, PHOTO).keys() == {"thumb", "card", "zoom"}
    assert versions(catalog, PHOTO)["card"] == old["card"]
    assert counts(job)["renditions"] == 4

    assert counts(rebuilt(catalog, presets=["card"])) == {"rebuilt": 2, "removed": 2}
    is_whole(catalog)


@pytest.mark.parametrize("asked", ["sku-1", "*"])
def test_only_images_with_the_reference_are_rebuilt_and_the_image_whose_renditions_they_share(
    cloud: Cloud, asked: str
) -> None:
    with begun(cloud, PHOTO, HALF, OTHER):
        old = versions(cloud, OTHER)
        reference("PUT", HALF, "sku-1")(cloud)
        cloud.configure(PRESETS=NEW)

        dry = rebuilt(cloud, reference=asked, dry_run=True)
        job = rebuilt(cloud, reference=asked)

        assert counts(job) == {"rebuilt": 1, "renditions": 1, "followed": 1, "removed": 1}
        assert counts(dry) == {"rebuilt": 1, "renditions": 1, "followed": 1}
        assert versions(cloud, HALF) == versions(cloud, PHOTO) != old
        assert versions(cloud, OTHER) == old
        count_every_change(cloud)
        assert cloud.broken_guarantees() == []


def test_every_tenant_is_rebuilt_where_that_is_asked(catalog: Cloud) -> None:
    catalog.upload(PHOTO, client_id="client-of-globex")
    count_every_change(catalog)
    catalog.configure(PRESETS=NEW)

    job = rebuilt(catalog, tenant="*")

    assert versions(catalog, PHOTO, "globex") == versions(catalog, PHOTO)
    assert (job.tally.done, job.expected) == (3, 3)
    is_whole(catalog)


@pytest.mark.parametrize(
    "options",
    [
        {"presets": []},
        {"presets": "thumb"},
        {"presets": ["Thumb"]},
        {"presets": ["t"] * 17},
        {"presets": [1]},
        {"reference": ""},
        {"reference": 7},
        {"reference": "duplicate/x"},
        {"reference": "a%20b"},
        {"preset": "thumb"},
    ],
)
def test_options_that_mean_nothing_are_refused(cloud: Cloud, options: dict[str, Any]) -> None:
    answer = cloud.job("POST", body={"kind": "rebuild", "tenant": "acme"} | options)
    assert (answer.status, answer.json["error"]["code"]) == (400, "invalid_request")


# --- Failures ---------------------------------------------------------------------------------------------


def test_an_image_without_its_original_keeps_what_it_has_and_is_a_named_failure_tried_again(
    catalog: Cloud,
) -> None:
    old = versions(catalog, PHOTO)
    lose_original(PHOTO)(catalog)
    catalog.configure(PRESETS=NEW)
    run = started(catalog)

    job = run.to_the_end()

    assert (job.state, job.tally.done) == ("completed", 1)
    assert versions(catalog, PHOTO) == old
    failures = catalog.job("GET", f"/{run.id}/failures").json["failures"]
    assert {(one["subject"], one["code"]) for one in failures} == {(id_of(PHOTO), "original_missing")}
    catalog.store(PHOTO)
    again = JobRun(catalog, catalog.job("POST", f"/{run.id}/retry").json["id"])
    assert again.to_the_end().tally.failed == 0
    assert versions(catalog, PHOTO) == versions(catalog, OTHER)
    rebuilt(catalog)
    is_whole(catalog)


def test_an_original_that_no_longer_fits_or_decodes_is_a_named_failure(catalog: Cloud) -> None:
    catalog.store(b"no image", as_id=id_of(OTHER))
    catalog.configure(PRESETS=NEW, MAX_UPLOAD_BYTES=str(len(PHOTO) - 1))
    run = started(catalog)
    run.to_the_end()

    failures = catalog.job("GET", f"/{run.id}/failures").json["failures"]
    assert {(one["subject"], one["code"]) for one in failures} == {
        (id_of(PHOTO), "too_large"),
        (id_of(OTHER), "unsupported_format"),
    }


def test_a_near_duplicate_of_an_image_that_fails_fails_with_it_and_keeps_what_it_has(cloud: Cloud) -> None:
    with begun(cloud, PHOTO, HALF):
        old = versions(cloud, HALF)
        lose_original(PHOTO)(cloud)
        cloud.configure(PRESETS=NEW)
        run = started(cloud)
        run.to_the_end()

        failures = cloud.job("GET", f"/{run.id}/failures").json["failures"]
        assert {(one["subject"], one["code"]) for one in failures} == {
            (id_of(PHOTO), "original_missing"),
            (id_of(HALF), "original_missing"),
        }
        assert versions(cloud, HALF) == old


def test_what_is_left_after_the_last_look_is_a_named_failure(catalog: Cloud) -> None:
    catalog.configure(PRESETS=NEW)
    run = started(catalog)
    stray = catalog.asset(id_of(PHOTO)).key.rendition("poster", "v", "jpg")
    for _ in range(200):
        # Somebody stores it anew all the time.
        if run.round() == "end":
            break
        catalog.s3.put_object(Bucket=catalog.renditions, Key=stray, Body=b"1")
        later(catalog, run.passed)

    assert run.job.step == MOST_LOOKS + 1
    failures = catalog.job("GET", f"/{run.id}/failures").json["failures"]
    assert [one["code"] for one in failures] == ["objects_left"]


def later(cloud: Cloud, passed: timedelta) -> None:
    """The object was stored by a clock that is as far ahead as the job's."""
    from moto.backends import get_backend  # noqa: PLC0415

    bucket = get_backend("s3")["123456789012"]["aws"].buckets[cloud.renditions]
    for _, found in bucket.keys.lists():
        for version in found:
            if "poster" in version.name:
                version.last_modified = datetime.now(UTC).replace(tzinfo=None) + passed


def test_images_that_are_not_accepted_are_left_alone(catalog: Cloud) -> None:
    catalog.announce(HALF)
    ingested(b"no image")(catalog)
    catalog.configure(PRESETS=NEW)

    job = rebuilt(catalog)

    assert (job.tally.done, job.tally.skipped) == (2, 2)


# --- Whoever is at it besides -----------------------------------------------------------------------------


def part(cloud: Cloud, run: JobRun) -> Callable[[], Any]:
    """The first part of the round, as a worker's process of its own carries it out, one image at a time."""
    assert run.plan()["next"] == "work"
    line = Line.parse(run.lines()[0])
    worker = cloud.function("rebuild_worker")
    own = replace(worker.rebuilding, turns=Turns())
    parts = replace(worker.parts, worker=own, side_by_side=None)
    return lambda: parts.carry_out(line)


def purge_photo(cloud: Cloud) -> None:
    token = cloud.purge(older_than_days=0).json["confirm_token"]
    cloud.purge(dry_run=False, confirm_token=token)


def upload_half(cloud: Cloud) -> None:
    cloud.upload(HALF)


def rebuild_too(cloud: Cloud) -> None:
    run = started(cloud)
    run.round()


# Name -> what is there before, and what happens at some moment of a rebuild.
OTHERS: dict[str, tuple[tuple[bytes, ...], Callable[[Cloud], Any]]] = {
    "a purge": ((PHOTO, OTHER), purge_photo),
    "a purge and the same bytes again": ((PHOTO,), in_turn(purge_photo, uploaded(PHOTO))),
    "a person's distinct": ((PHOTO, HALF), decide("distinct")),
    "a person's same": ((PHOTO, OTHER), decide("same", OTHER)),
    "a near-duplicate that joins": ((PHOTO,), upload_half),
    "a larger image that a group joins": ((HALF, COPY), uploaded(PHOTO)),
    "another rebuild": ((PHOTO, HALF), rebuild_too),
    "a reference": ((PHOTO,), reference("PUT")),
}


@pytest.mark.parametrize("other", OTHERS)
def test_whatever_happens_at_any_call_of_a_rebuild_it_ends_whole(
    cloud: Cloud, scheduler: Scheduler, other: str
) -> None:
    photos, happens = OTHERS[other]
    with begun(cloud, *photos):
        cloud.configure(PRESETS=NEW)
        run = started(cloud)
        work = part(cloud, run)
        beginning, recorded = cloud.moment(), len(cloud.records)
        with cloud.watched_calls() as unharmed:
            work()
        number, done = 0, False
        while not done:
            beginning.restore()
            del cloud.records[recorded:]
            with scheduler.in_charge():
                task = scheduler.start("rebuild", work)
                for _ in range(number):
                    if not task.done:
                        task.step()
                done = task.done
                happens(cloud)
                while not task.done:
                    task.step()
                scheduler.finished(task)
            assert not isinstance(task.outcome, AssertionError), task.outcome
            cloud.drain()
            ends_whole(cloud, run.id, f"{other} at call {number}")
            number += 1
        assert number > len(unharmed.made) // 2


def ends_whole(cloud: Cloud, job_id: str, moment: str) -> None:
    """Messages are delivered, and the job goes to its end; then all is as it should be."""
    deliver_delayed(cloud)
    with on_their_own_clocks(cloud):
        for job in [one for one in Jobs("JobsTable").active() if one.id != job_id]:
            assert JobRun(cloud, job.id).to_the_end().state == "completed", moment
        left = JobRun(cloud, job_id).to_the_end()
        assert left.state == "completed", (moment, left)
    deliver_delayed(cloud)
    try:
        is_whole(cloud)
    except AssertionError as error:
        raise AssertionError(moment) from error


@contextmanager
def on_their_own_clocks(cloud: Cloud) -> Iterator[None]:
    """A run that waits sets the clocks of planner and worker; then they are set back."""
    with pytest.MonkeyPatch.context() as patch:
        for name, service in (("job_planner", "planning"), ("rebuild_worker", "parts")):
            function = cloud.function(name)
            patch.setattr(function, service, getattr(function, service))
        yield


def deliver_delayed(cloud: Cloud) -> None:
    cloud.drain()
    for job in cloud.take_delayed_jobs():
        cloud.render(job)
    cloud.drain()


@pytest.mark.parametrize("look", [0, 1])
@pytest.mark.parametrize("photos", [(PHOTO, OTHER), (PHOTO, HALF)], ids=["two images", "a group"])
def test_killed_at_any_call_a_worker_is_followed_by_one_that_completes_it(
    cloud: Cloud, look: int, photos: tuple[bytes, ...]
) -> None:
    with begun(cloud, *photos):
        cloud.configure(PRESETS=NEW)
        run = started(cloud)
        if look:
            assert [run.round(), run.round()] == ["work", "wait"]
        work = part(cloud, run)
        beginning, recorded = cloud.moment(), len(cloud.records)
        with cloud.watched_calls() as unharmed:
            work()
        ends_whole(cloud, run.id, "unharmed")
        expected, lived = stored(cloud), set[str]()
        for number, call in enumerate(unharmed.made):
            for after in (False,) if READS.search(call) else (False, True):
                beginning.restore()
                del cloud.records[recorded:]
                with pytest.raises(Killed), cloud.watched_calls(kill_at=number, after=after):
                    work()
                if (future := cloud.moment().future()) in lived:
                    continue
                lived.add(future)
                moment = f"killed {'after' if after else 'before'} call {number}, {call}"
                ends_whole(cloud, run.id, moment)
                assert stored(cloud) == expected, moment


def stored(cloud: Cloud) -> Any:
    """Records of images and their objects; jobs, and how often something was told, differ."""
    whole = cloud.snapshot()
    return whole["items"]["AssetsTable"], {
        name: digest for name, digest in whole["objects"].items() if "renditions" in name
    }


def test_a_part_whose_every_call_is_sent_twice_ends_as_any_other(cloud: Cloud) -> None:
    with begun(cloud, PHOTO, HALF, OTHER):
        cloud.configure(PRESETS=NEW)
        run = started(cloud)
        work = part(cloud, run)
        with every_answer_lost_once() as sent_again:
            work()

        assert {"PutObject", "UpdateItem"} <= set(sent_again)
        assert counts(run.job) == {"rebuilt": 2, "renditions": 2, "followed": 1}
        assert versions(cloud, HALF) == versions(cloud, PHOTO)
        assert JobRun(cloud, run.id).to_the_end().state == "completed"
        assert len(cloud.objects(cloud.renditions)) == 4
        assert [fault for fault in cloud.broken_guarantees() if "is counted" not in fault] == []

"""Near-duplicates among stored images: a job puts them into the same groups as live traffic would."""

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image, ImageFilter

from catalog.adapters.asset_items import stored_index
from catalog.domain.fingerprints import Indexed, is_shadow, places
from catalog.domain.jobs import Line
from catalog.domain.keys import AssetKey, asset_id, tenant_id
from infra.pictures.images import flat, jpeg_bytes, noisy_scene
from tests.functional.cloud import Cloud
from tests.functional.interleaving import Scheduler
from tests.functional.jobs import JobRun
from tests.functional.streams import recorded_changes
from tests.functional.test_crashes import READS

# Softened: with pixels as sharp as noise a half-size copy cannot show, it would be linked and not share.
SCENE = noisy_scene(7, (120, 90)).filter(ImageFilter.GaussianBlur(1))
PHOTO, OTHER = jpeg_bytes(SCENE), jpeg_bytes(noisy_scene(8, (120, 90)))
HALF = jpeg_bytes(SCENE.resize((60, 45), Image.Resampling.LANCZOS))
COPY = jpeg_bytes(SCENE.resize((60, 45), Image.Resampling.LANCZOS), 60)  # the smaller of the two, in bytes
PRESETS = json.dumps(
    [{"name": name, "width": side, "height": side} for name, side in (("thumb", 30), ("card", 60))]
)
ACME = tenant_id("acme")
PICTURES = (PHOTO, HALF, COPY, OTHER)
BANDS = 10


def id_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def key_of(data: bytes) -> AssetKey:
    return AssetKey(ACME, asset_id(id_of(data)))


@pytest.fixture(autouse=True)
def records(cloud: Cloud) -> Iterator[list[dict[str, Any]]]:
    """Small presets, and the stream of what changes."""
    cloud.configure(PRESETS=PRESETS)
    with recorded_changes() as records:
        yield records


def broken_guarantees(cloud: Cloud, records: list[dict[str, Any]]) -> list[str]:
    """Once the stream is followed."""
    cloud.invoke("usage", {"Records": records})
    return cloud.broken_guarantees()


def uploaded_while_off(cloud: Cloud, *pictures: bytes, **settings: str) -> None:
    """All are here, rendered, and nobody looked for near-duplicates."""
    cloud.configure(NEAR_DUPLICATE_ACTION="off", **settings)
    for data in pictures:
        assert cloud.upload(data)["near_duplicate_of"] is None
    cloud.configure(NEAR_DUPLICATE_ACTION="reuse", PHASH_ALGORITHM="phash256")


def started(cloud: Cloud, *, dry_run: bool = False) -> JobRun:
    body = {"kind": "find-duplicates", "tenant": "acme", "dry_run": dry_run}
    answer = cloud.job("POST", body=body)
    assert answer.status == 202, answer.json
    return JobRun(cloud, answer.json["id"])


def found(cloud: Cloud, *, dry_run: bool = False, order: Callable[[Any], Any] = list) -> dict[str, Any]:
    """A job to its end, and what follows from it; as the API tells it."""
    run = started(cloud, dry_run=dry_run)
    ended = run.to_the_end(order)
    assert (run.faults, ended.state) == ([], "completed"), ended
    cloud.drain()
    told: dict[str, Any] = cloud.job("GET", f"/{ended.id}").json
    return told


def groups(cloud: Cloud) -> dict[str, str | None]:
    """Each image, and what it is a near-duplicate of."""
    images = [cloud.get(id_of(data)) for data in PICTURES]
    return {each.json["id"]: each.json["near_duplicate_of"] for each in images if each.status == 200}


def bands(cloud: Cloud) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = cloud.dynamodb.scan(TableName="HashBandsTable")["Items"]
    return items


TOGETHER = {id_of(PHOTO): None, id_of(HALF): id_of(PHOTO), id_of(COPY): id_of(PHOTO), id_of(OTHER): None}


# --- What is found ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", list(itertools.permutations(PICTURES[:3])))
def test_found_later_images_end_in_the_groups_in_which_they_would_have_come(
    cloud: Cloud, records: list[dict[str, Any]], order: tuple[bytes, ...]
) -> None:
    uploaded_while_off(cloud, *order, OTHER)

    told = found(cloud)

    assert groups(cloud) == TOGETHER
    assert (told["progress"]["done"], told["counts"]["joined"]) == (4, 2)
    assert told["counts"]["bytes_saved"] > 0
    assert broken_guarantees(cloud, records) == []


def test_a_second_run_reads_no_original_and_writes_no_asset(cloud: Cloud) -> None:
    uploaded_while_off(cloud, *PICTURES)
    cloud.upload(jpeg_bytes(flat()))  # near-blank: it has no bands
    found(cloud)
    before = cloud.snapshot()["items"]["AssetsTable"]
    job_id = started(cloud).id

    made = worked(cloud, job_id)
    ended = JobRun(cloud, job_id).to_the_end()

    assert (ended.tally.done, ended.tally.skipped, ended.tally.counts) == (0, 5, {})
    assert not {call for call in made if call.startswith("s3:") or call.endswith("BatchWriteItem")}
    assert cloud.snapshot()["items"]["AssetsTable"] == before


@pytest.mark.parametrize("algorithm", ["ahash64", "dhash64"])
def test_images_indexed_by_another_algorithm_are_found_and_leave_its_index(
    cloud: Cloud, algorithm: str
) -> None:
    cloud.configure(PHASH_ALGORITHM=algorithm)
    cloud.upload(PHOTO)
    cloud.upload(OTHER)
    cloud.configure(PHASH_ALGORITHM="phash256")
    assert cloud.upload(HALF)["near_duplicate_of"] is None

    told = found(cloud)

    assert groups(cloud) == {id_of(PHOTO): None, id_of(HALF): id_of(PHOTO), id_of(OTHER): None}
    assert (told["progress"]["done"], told["progress"]["skipped"]) == (2, 1)
    assert {item["band"]["S"].split("#")[1] for item in bands(cloud)} == {"phash256.3"}
    assert len(bands(cloud)) == 3 * BANDS


def made_old(cloud: Cloud, data: bytes, scheme: int = 2) -> Indexed:
    """It is indexed as before 2026-11-30, or as before 2026-11-24; by which bands."""
    key = key_of(data)
    asset = cloud.assets.get(key)
    assert asset.hashes
    (present,) = asset.indexed_as
    old = Indexed(present.algorithm, present.frame, present.box if scheme > 1 else "", earlier=scheme)
    for place in places(ACME, key.id, present):
        cloud.dynamodb.delete_item(
            TableName="HashBandsTable", Key={"band": {"S": place.bucket}, "id": {"S": place.id}}
        )
    for place in places(ACME, key.id, old):
        cloud.dynamodb.put_item(
            TableName="HashBandsTable",
            Item={"band": {"S": place.bucket}, "id": {"S": place.id}, "hash": {"S": place.hash}},
        )
    cloud.dynamodb.update_item(
        TableName="AssetsTable",
        Key={"tenant": {"S": ACME}, "id": {"S": key.id}},
        UpdateExpression="SET indexed_as = :old",
        ExpressionAttributeValues={":old": {"S": stored_index([old], asset.hashes)}},
    )
    assert cloud.assets.get(key).indexed_as == (old,)
    return old


def test_functions_of_the_version_before_read_what_is_recorded_of_the_index(cloud: Cloud) -> None:
    """They run beside new ones during a deployment, and all do again once it is rolled back."""
    cloud.upload(PHOTO)
    asset = cloud.asset(id_of(PHOTO))
    item = cloud.dynamodb.get_item(
        TableName="AssetsTable", Key={"tenant": {"S": ACME}, "id": {"S": asset.id}}
    )["Item"]

    scheme, frame, box, *_ = item["indexed_as"]["S"].split(":")

    assert (scheme.removesuffix(".2"), scheme.endswith(".2")) == ("phash256", True)
    assert asset.hashes
    (indexed,) = asset.indexed_as
    assert (frame or asset.hashes.phash256, box or indexed.frame) == (indexed.frame, indexed.box)
    assert indexed.earlier is None


def schemes(cloud: Cloud) -> set[str]:
    return {item["band"]["S"].split("#")[1] for item in bands(cloud)}


@pytest.mark.parametrize(("scheme", "name"), [(1, "phash256"), (2, "phash256.2")])
def test_images_of_an_earlier_scheme_are_found_once_a_job_has_moved_them(
    cloud: Cloud, records: list[dict[str, Any]], scheme: int, name: str
) -> None:
    cloud.upload(PHOTO)
    made_old(cloud, PHOTO, scheme)
    assert cloud.upload(HALF)["near_duplicate_of"] is None
    assert schemes(cloud) == {name, "phash256.3"}

    told = found(cloud)

    assert groups(cloud) == {id_of(PHOTO): None, id_of(HALF): id_of(PHOTO)}
    assert (told["progress"]["done"], told["progress"]["skipped"]) == (1, 1)
    assert (schemes(cloud), len(bands(cloud))) == ({"phash256.3"}, 2 * BANDS)
    assert broken_guarantees(cloud, records) == []


@pytest.mark.parametrize("scheme", [1, 2])
def test_an_image_of_an_earlier_scheme_is_purged_with_its_bands(cloud: Cloud, scheme: int) -> None:
    cloud.upload(OTHER)
    made_old(cloud, OTHER, scheme)

    token = cloud.purge(older_than_days=0).json["confirm_token"]
    cloud.purge(dry_run=False, confirm_token=token)

    assert bands(cloud) == []


def test_an_index_that_was_lost_is_written_anew(cloud: Cloud) -> None:
    """So its table needs no backups."""
    cloud.upload(PHOTO)
    cloud.upload(OTHER)
    before = bands(cloud)
    for item in before:
        key = {name: item[name] for name in ("band", "id")}
        cloud.dynamodb.delete_item(TableName="HashBandsTable", Key=key)

    found(cloud)

    assert sorted(map(str, bands(cloud))) == sorted(map(str, before))
    assert cloud.upload(HALF)["near_duplicate_of"] == id_of(PHOTO)


def test_a_group_whose_larger_picture_was_not_indexed_follows_it_whole(
    cloud: Cloud, records: list[dict[str, Any]]
) -> None:
    uploaded_while_off(cloud, PHOTO)
    cloud.upload(COPY)
    cloud.upload(HALF)
    assert groups(cloud)[id_of(COPY)] == id_of(HALF)

    told = found(cloud)

    assert groups(cloud) == {key: of for key, of in TOGETHER.items() if key != id_of(OTHER)}
    assert told["counts"]["joined"] == 1
    assert broken_guarantees(cloud, records) == []


def test_a_persons_distinct_holds(cloud: Cloud) -> None:
    uploaded_while_off(cloud, PHOTO, HALF)
    path = f"/images/{id_of(PHOTO)}/duplicates/{id_of(HALF)}"
    cloud.call("duplicates", "PUT", path, body={"decision": "distinct"})

    told = found(cloud)

    assert groups(cloud) == {id_of(PHOTO): None, id_of(HALF): None}
    assert "joined" not in told["counts"]


def test_where_near_duplicates_are_linked_each_keeps_its_renditions(cloud: Cloud) -> None:
    uploaded_while_off(cloud, PHOTO, HALF)
    cloud.configure(NEAR_DUPLICATE_ACTION="link")

    told = found(cloud)

    half = cloud.asset(id_of(HALF))
    assert half.near_duplicate
    assert half.shows_its_own
    assert told["counts"]["joined"] == 1  # each may be compared with the other, side by side


def test_where_near_duplicates_are_off_only_a_dry_run_is_carried_out(cloud: Cloud) -> None:
    uploaded_while_off(cloud, PHOTO, HALF)
    cloud.configure(NEAR_DUPLICATE_ACTION="off")
    assert found(cloud, dry_run=True)["counts"]["joined"] == 1

    job = started(cloud).to_the_end()

    assert job.state == "failed"
    assert "then resume the job" in str(job.reason)


def test_an_image_without_its_original_is_a_failure_that_can_be_tried_again(cloud: Cloud) -> None:
    uploaded_while_off(cloud, PHOTO, HALF)
    original = key_of(HALF).original
    cloud.s3.delete_object(Bucket=cloud.originals, Key=original)

    told = found(cloud)

    assert told["progress"]["failed"] == 1
    (failure,) = cloud.job("GET", f"/{told['id']}/failures").json["failures"]
    assert (failure["subject"], failure["code"]) == (id_of(HALF), "original_missing")
    cloud.s3.put_object(Bucket=cloud.originals, Key=original, Body=HALF)
    again = JobRun(cloud, cloud.job("POST", f"/{told['id']}/retry").json["id"])
    assert again.to_the_end().tally.done == 1
    assert groups(cloud)[id_of(HALF)] == id_of(PHOTO)


# --- Dry runs ---------------------------------------------------------------------------------------------


def test_a_dry_run_is_not_tried_again_but_started_anew(cloud: Cloud) -> None:
    uploaded_while_off(cloud, PHOTO, HALF)
    cloud.s3.delete_object(Bucket=cloud.originals, Key=key_of(HALF).original)
    told = found(cloud, dry_run=True)

    answer = cloud.job("POST", f"/{told['id']}/retry")

    assert told["progress"]["failed"] == 1
    assert (answer.status, answer.json["error"]["code"]) == (409, "job_state")


@pytest.mark.parametrize("order", [PICTURES, PICTURES[::-1]])
def test_a_dry_run_reports_the_groups_that_the_real_run_makes(cloud: Cloud, order: tuple[bytes, ...]) -> None:
    uploaded_while_off(cloud, *order)
    untouched = {
        name: items for name, items in cloud.snapshot()["items"].items() if name not in WRITTEN_BY_DRY_RUNS
    }

    told = found(cloud, dry_run=True)

    now = cloud.snapshot()["items"]
    assert {name: now[name] for name in untouched} == untouched
    images = cloud.job("GET", f"/{told['id']}/groups").json["images"]
    assert {image["id"]: image["canonical"] for image in images} == {
        id_of(HALF): id_of(PHOTO),
        id_of(COPY): id_of(PHOTO),
    }
    assert told["progress"]["done"] == 4
    real = found(cloud)
    assert (told["counts"]["groups"], told["counts"]["joined"]) == (1, real["counts"]["joined"])
    assert told["counts"]["bytes_saved"] == sum(image["bytes_saved"] for image in images)
    assert told["counts"]["bytes_saved"] == real["counts"]["bytes_saved"]
    assert groups(cloud) == TOGETHER


WRITTEN_BY_DRY_RUNS = ("HashBandsTable", "JobsTable")


def test_what_a_dry_run_indexes_expires_and_is_found_by_no_upload(cloud: Cloud) -> None:
    uploaded_while_off(cloud, PHOTO)
    found(cloud, dry_run=True)

    assert len(bands(cloud)) == BANDS
    assert all(is_shadow(item["band"]["S"]) and "expires_at" in item for item in bands(cloud))
    assert cloud.upload(HALF)["near_duplicate_of"] is None


def test_a_group_is_told_a_page_at_a_time(cloud: Cloud) -> None:
    uploaded_while_off(cloud, *PICTURES)
    told = found(cloud, dry_run=True)
    path = f"/{told['id']}/groups"

    first = cloud.job("GET", path, query={"limit": "1"}).json
    second = cloud.job("GET", path, query={"limit": "1", "cursor": first["cursor"]}).json

    ids = [image["id"] for page in (first, second) for image in page["images"]]
    assert ids == sorted((id_of(HALF), id_of(COPY)))


def test_a_dry_run_sees_that_a_group_of_today_would_join_a_larger_picture(cloud: Cloud) -> None:
    uploaded_while_off(cloud, PHOTO)
    cloud.upload(COPY)
    cloud.upload(HALF)

    told = found(cloud, dry_run=True)

    (image,) = cloud.job("GET", f"/{told['id']}/groups").json["images"]
    assert (image["id"], image["canonical"]) == (id_of(HALF), id_of(PHOTO))


# --- Killed, and at the same time -------------------------------------------------------------------------


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("dry_run", "of_earlier_scheme"), [(False, False), (True, False), (False, True)])
def test_a_worker_killed_around_any_write_leaves_nothing_half_done(
    cloud: Cloud, records: list[dict[str, Any]], after: bool, dry_run: bool, of_earlier_scheme: bool
) -> None:
    """Reads leave nothing behind: a death between two writes is the one before the second."""
    uploaded_while_off(cloud, PHOTO)
    if of_earlier_scheme:
        made_old(cloud, PHOTO)
    cloud.upload(COPY)
    cloud.upload(HALF)  # a group of two, which PHOTO's search takes over
    job_id = started(cloud, dry_run=dry_run).id
    before, known = cloud.moment(), list(records)
    writes = [at for at, call in enumerate(worked(cloud, job_id)) if not READS.search(call)]

    for kill_at in writes:
        before.restore()
        records[:] = known
        worked(cloud, job_id, kill_at=kill_at, after=after)
        ended = JobRun(cloud, job_id).to_the_end()
        cloud.drain()
        assert (ended.state, ended.tally.failed) == ("completed", 0)
        if dry_run:
            (image,) = cloud.job("GET", f"/{ended.id}/groups").json["images"]
            assert (image["id"], image["canonical"]) == (id_of(HALF), id_of(PHOTO))
            assert (ended.tally.counts["groups"], ended.tally.counts["joined"]) == (1, 1)
        else:
            assert groups(cloud) == {key: of for key, of in TOGETHER.items() if key != id_of(OTHER)}
            assert len(cloud.asset(id_of(PHOTO)).indexed_as) == 1
            assert len(bands(cloud)) == 3 * BANDS
            assert broken_guarantees(cloud, records) == []
    assert len(writes) >= 4


def test_a_purge_of_an_image_that_a_worker_left_half_taken_leaves_no_band(cloud: Cloud) -> None:
    cloud.upload(OTHER)
    made_old(cloud, OTHER)
    job_id = started(cloud).id
    before = cloud.moment()
    indexed = worked(cloud, job_id).index("dynamodb:BatchWriteItem")
    before.restore()
    worked(cloud, job_id, kill_at=indexed, after=True)
    assert len(cloud.asset(id_of(OTHER)).indexed_as) == 2

    token = cloud.purge(older_than_days=0).json["confirm_token"]
    cloud.purge(dry_run=False, confirm_token=token)
    ended = JobRun(cloud, job_id).to_the_end()

    assert bands(cloud) == []
    assert (ended.state, ended.tally.failed) == ("completed", 0)


@pytest.mark.parametrize("at_once", [1, 2, 5, 11])
def test_an_upload_at_the_same_moment_finds_the_image_or_is_found_by_it(
    cloud: Cloud, scheduler: Scheduler, records: list[dict[str, Any]], at_once: int
) -> None:
    """They take turns of so many calls."""
    uploaded_while_off(cloud, PHOTO)
    cloud.announce(HALF)
    cloud.store(HALF)
    run = JobRun(cloud, started(cloud).id)
    run.plan()
    (line,) = map(Line.parse, run.lines())
    parts, ingest = cloud.function("find_duplicates_worker").parts, cloud.function("ingest")
    alone = replace(parts, side_by_side=None)
    turns = [turn for _ in range(60) for turn in (0, 1) for _ in range(at_once)]
    with scheduler.in_charge():
        scheduler.take_turns(
            turns,
            lambda: alone.carry_out(line),
            lambda: ingest.arriving.take(key_of(HALF), in_time=False),
        )
    run.to_the_end()
    cloud.drain()

    assert groups(cloud) == {id_of(PHOTO): None, id_of(HALF): id_of(PHOTO)}
    assert broken_guarantees(cloud, records) == []


def worked(cloud: Cloud, job_id: str, *, kill_at: int | None = None, after: bool = False) -> list[str]:
    """The first round of a job, one image at a time, and the calls that its workers made."""
    run, worker = JobRun(cloud, job_id), cloud.function("find_duplicates_worker")
    run.plan()
    lines = run.lines()
    with pytest.MonkeyPatch.context() as patch, cloud.watched_calls(kill_at=kill_at, after=after) as calls:
        patch.setattr(worker, "parts", replace(worker.parts, side_by_side=None))
        for line in lines:
            run.work(line)
    return calls.made

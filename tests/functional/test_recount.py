"""Recounts: they make damaged counters and entries exact again, even beside live traffic."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.client
import pytest

from catalog.adapters.recounts import Recounts
from catalog.adapters.usage_table import Counters
from catalog.domain.assets import MAX_REFERENCES, AssetStateError, Inspection, PerceptualHashes
from catalog.domain.fingerprints import Fingerprint, PHashAlgorithm
from catalog.domain.jobs import Done, Job, JobKind, JobState, Tally, Work
from catalog.domain.keys import AssetKey, TenantId, asset_id, tenant_id
from catalog.domain.limits import NO_LIMITS
from catalog.domain.near_duplicates import Likeness, Verdict
from catalog.domain.recount import RECOUNTED_WITHIN
from catalog.domain.references import Use
from catalog.domain.sources import Source, SourceFormat
from catalog.domain.usage import NOTHING, usage_of
from catalog.use_cases import recounting
from catalog.use_cases.recounting import (
    ENTRIES,
    SHARES,
    TOTAL,
    EntriesWorker,
    Recounting,
    RecountSteps,
    RecountWorker,
)
from infra.pictures.images import jpeg_bytes, product_photo
from tests.functional.cloud import Cloud, Killed
from tests.functional.interleaving import ORDERS, Scheduler
from tests.functional.jobs import JobRun
from tests.functional.streams import recorded_changes

Records = list[dict[str, Any]]

ACME, GLOBEX = tenant_id("acme"), tenant_id("globex")
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
PHOTO = jpeg_bytes(product_photo(1, (320, 240)))
OTHER = jpeg_bytes(product_photo(2, (320, 240)))


@pytest.fixture
def records() -> Iterator[Records]:
    with recorded_changes() as records:
        yield records


@pytest.fixture
def counters(cloud: Cloud) -> Counters:
    return Counters("UsageTable")


def recount_of(tenant: TenantId | None, id_: str = "recount-1", *, dry_run: bool = False) -> Job:
    return Job(id_, JobKind.RECOUNT, tenant, dry_run, {}, JobState.RUNNING, "client", NOW, concurrency=1)


def worker(cloud: Cloud) -> RecountWorker:
    return RecountWorker(cloud.assets, Counters("UsageTable"), Recounts("UsageTable"))


def entries_worker(cloud: Cloud) -> EntriesWorker:
    return EntriesWorker(cloud.assets, cloud.references)


def carried_out(cloud: Cloud, job: Job) -> tuple[Tally, list[Done]]:
    """All steps, one part after the other."""
    steps, done = RecountSteps(cloud.assets, cloud.tenants), []
    by = Recounting(worker(cloud), entries_worker(cloud))
    position: str | None = ""
    while position is not None:
        step = steps.step(job, position)
        for work in step.works:
            done += [by.take(job, work, subject) for _, subject in by.subjects(job, work, after=None)]
        position = step.next
    return sum((one.tally for one in done), Tally()), done


def deliver(cloud: Cloud, records: Records) -> None:
    assert cloud.invoke("usage", {"Records": records}) == {"batchItemFailures": []}


def agrees(cloud: Cloud, tenant: TenantId = ACME) -> bool:
    return Counters("UsageTable").total(tenant).usage == sum(
        map(usage_of, cloud.assets.within(tenant, "")), NOTHING
    )


def damage_total(cloud: Cloud, tenant: TenantId, number: int) -> None:
    cloud.dynamodb.update_item(
        TableName="UsageTable",
        Key={"tenant": {"S": tenant}, "counter": {"S": "total"}},
        UpdateExpression="ADD assets :wrong",
        ExpressionAttributeValues={":wrong": {"N": str(number)}},
    )


# --- Damage -----------------------------------------------------------------------------------------------


def lose_a_removal(cloud: Cloud, records: Records) -> None:
    key = AssetKey(ACME, asset_id(cloud.upload(PHOTO)["id"]))
    deliver(cloud, records)
    cloud.dynamodb.delete_item(TableName="AssetsTable", Key={"tenant": {"S": ACME}, "id": {"S": key.id}})


def lose_every_record(cloud: Cloud, records: Records) -> None:
    cloud.upload(PHOTO)


def damage_the_total(cloud: Cloud, records: Records) -> None:
    cloud.upload(PHOTO)
    deliver(cloud, records)
    damage_total(cloud, ACME, 41)


def lose_the_total(cloud: Cloud, records: Records) -> None:
    cloud.upload(PHOTO)
    deliver(cloud, records)
    cloud.dynamodb.delete_item(TableName="UsageTable", Key={"tenant": {"S": ACME}, "counter": {"S": "total"}})


def restore_the_assets_to_an_earlier_hour(cloud: Cloud, records: Records) -> None:
    cloud.upload(PHOTO)
    cloud.announce(PHOTO)
    deliver(cloud, records)
    cloud.dynamodb.put_item(TableName="AssetsTable", Item=records[-1]["dynamodb"]["OldImage"])


DAMAGES = [
    lose_a_removal,
    lose_every_record,
    damage_the_total,
    lose_the_total,
    restore_the_assets_to_an_earlier_hour,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_recount_finds_damage_and_repairs_it(
    cloud: Cloud, records: Records, damage: Callable[[Cloud, Records], None]
) -> None:
    damage(cloud, records)
    assert not agrees(cloud)
    proven, _ = carried_out(cloud, recount_of(ACME, "dry", dry_run=True))
    assert not agrees(cloud)

    repaired, _ = carried_out(cloud, recount_of(ACME))

    assert agrees(cloud)
    assert repaired == proven
    assert repaired.counts.get("shares_wrong", 0) + repaired.counts.get("totals_wrong", 0) == 1
    assert carried_out(cloud, recount_of(ACME, "again"))[0].counts == {}


def test_the_report_tells_by_how_much_each_counter_was_off(cloud: Cloud, records: Records) -> None:
    damage_the_total(cloud, records)

    assert carried_out(cloud, recount_of(ACME, dry_run=True))[0].counts == {
        "assets_off": -41,
        "totals_wrong": 1,
    }


def test_a_recount_of_all_tenants_repairs_each(cloud: Cloud, records: Records) -> None:
    cloud.upload(PHOTO)
    cloud.upload(PHOTO, client_id="client-of-globex")

    tally, _ = carried_out(cloud, recount_of(None))

    assert (tally.done, tally.counts["shares_wrong"]) == (2, 2)
    assert agrees(cloud, ACME)
    assert agrees(cloud, GLOBEX)


def test_what_a_repair_has_counted_is_not_counted_again_when_its_records_come(
    cloud: Cloud, counters: Counters, records: Records
) -> None:
    cloud.upload(PHOTO)
    carried_out(cloud, recount_of(ACME))
    deliver(cloud, records)

    assert counters.total(ACME).usage.assets == 1
    assert agrees(cloud)


def test_an_administrator_is_told_what_was_off(cloud: Cloud, records: Records) -> None:
    damage_the_total(cloud, records)
    cloud.upload(OTHER)
    body = {"kind": "recount", "tenant": "*", "dry_run": False}

    run = JobRun(cloud, cloud.job("POST", body=body).json["id"])
    ended = run.to_the_end()

    assert (run.faults, ended.state) == ([], "completed")
    told = cloud.job("GET", f"/{ended.id}").json
    assert told["progress"]["done"] == told["progress"]["expected"] == 2
    assert told["counts"]["assets_off"] == 1 - 41
    assert (told["counts"]["shares_wrong"], told["counts"]["totals_wrong"]) == (1, 1)
    assert agrees(cloud)


@pytest.mark.parametrize("after", [False, True])
def test_a_worker_killed_anywhere_costs_the_job_another_round_and_nothing_else(
    cloud: Cloud, records: Records, after: bool
) -> None:
    damage_the_total(cloud, records)
    damaged = cloud.moment()
    kill_at, killed = 0, True
    while killed:
        damaged.restore()
        body = {"kind": "recount", "tenant": "acme", "dry_run": False}
        run = JobRun(cloud, cloud.job("POST", body=body).json["id"])
        while not run.faults and run.plan()["next"] == "work":
            lines = run.lines()
            with cloud.watched_calls(kill_at=kill_at, after=after):
                for line in lines:
                    run.work(line)
        killed = bool(run.faults)
        ended = run.to_the_end()
        assert (ended.state, ended.tally) == (
            "completed",
            Tally(done=1, counts={"assets_off": -41, "totals_wrong": 1}),
        )
        assert agrees(cloud)
        kill_at += 1
    assert kill_at >= 8


# --- While the stream is followed -------------------------------------------------------------------------


def test_a_damaged_total_is_repaired_exactly_while_its_shares_move(cloud: Cloud, records: Records) -> None:
    """What moves before its range is read, and what moves after, leave the difference what it is."""
    cloud.upload(PHOTO)
    deliver(cloud, records)
    damage_total(cloud, ACME, 41)
    job, by = recount_of(ACME), worker(cloud)
    read = []
    for prefix in "0123456789abcdef":
        cloud.announce(PHOTO)
        cloud.upload(jpeg_bytes(product_photo(int(prefix, 16), (64, 48))))
        deliver(cloud, records)
        read.append(by.take(job, Work(ACME, SHARES, prefix), prefix).tally)
    cloud.upload(OTHER)
    deliver(cloud, records)

    assert by.take(job, Work(ACME, TOTAL, ""), TOTAL).counts == {"assets_off": -41, "totals_wrong": 1}
    assert agrees(cloud)
    assert sum(read, Tally()).counts == {}


@pytest.mark.parametrize("repeats", [1, 2])
def test_a_share_that_moves_while_it_is_repaired_is_decided_anew(
    cloud: Cloud, records: Records, monkeypatch: pytest.MonkeyPatch, repeats: int
) -> None:
    cloud.upload(PHOTO)
    keep, raced = Recounts.keep, []

    def keep_and_lose(*args: Any, **kwargs: Any) -> Any:
        if len(raced) < repeats:
            raced.append(1)
            cloud.announce(PHOTO)
            deliver(cloud, records)
        return keep(*args, **kwargs)

    monkeypatch.setattr(Recounts, "keep", keep_and_lose)
    carried_out(cloud, recount_of(ACME))

    assert raced
    assert agrees(cloud)


def test_a_move_that_was_decided_before_the_recount_began_is_decided_anew(
    cloud: Cloud, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage_the_total(cloud, records)
    job, by = recount_of(ACME), worker(cloud)
    counted, begun = Counters.counted, []

    def count_and_begin(*args: Any) -> Any:
        found = counted(*args)
        if not begun:
            begun.append(by.recounts.begin(ACME, job.id, now=NOW))
        return found

    cloud.upload(OTHER)
    with monkeypatch.context() as patch:
        patch.setattr(Counters, "counted", count_and_begin)
        deliver(cloud, records)
    patched = RecountWorker(by.assets, by.counters, by.recounts, lambda: NOW)
    patched.take(job, Work(ACME, SHARES, ""), "")
    patched.take(job, Work(ACME, TOTAL, ""), TOTAL)

    assert begun
    assert agrees(cloud)


def test_a_recount_that_another_has_overtaken_says_so_and_leaves_the_total(
    cloud: Cloud, counters: Counters, records: Records
) -> None:
    damage_the_total(cloud, records)
    job, by = recount_of(ACME), worker(cloud)
    by.take(job, Work(ACME, SHARES, ""), "")
    by.take(recount_of(ACME, "another"), Work(ACME, SHARES, ""), "")

    (failure,) = by.take(job, Work(ACME, TOTAL, ""), TOTAL).failures

    assert (failure.subject, failure.code) == ("acme", "recount_overtaken")
    assert not agrees(cloud)
    by.take(recount_of(ACME, "another"), Work(ACME, TOTAL, ""), TOTAL)
    assert agrees(cloud)


def test_a_total_is_not_compared_with_ranges_that_are_missing_or_too_old(
    cloud: Cloud, records: Records
) -> None:
    damage_the_total(cloud, records)
    job, by = recount_of(ACME), worker(cloud)

    def code(at: RecountWorker) -> str:
        (failure,) = at.take(job, Work(ACME, TOTAL, ""), TOTAL).failures
        return failure.code

    assert code(by) == "recount_expired"
    by.take(job, Work(ACME, SHARES, "0"), "0")
    assert code(by) == "recount_incomplete"
    late = datetime.now(UTC) + RECOUNTED_WITHIN + timedelta(hours=1)
    assert code(RecountWorker(by.assets, by.counters, by.recounts, lambda: late)) == "recount_expired"


def test_a_tenant_that_is_tried_again_is_recounted_whole(cloud: Cloud, records: Records) -> None:
    damage_the_total(cloud, records)
    job, by = recount_of(ACME), worker(cloud)
    work = Work(ACME, TOTAL, None, (ACME,))

    names = [name for name, _ in by.subjects(job, work, after=None)]
    for _, subject in by.subjects(job, work, after=None):
        by.take(job, work, subject)

    assert names == sorted(names) == ["", "total"]
    assert [name for name, _ in by.subjects(job, work, after="")] == ["total"]
    assert agrees(cloud)


# --- Killed -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("damage", [damage_the_total, lose_a_removal])
def test_killed_at_any_call_it_is_carried_out_again_with_the_same_report(
    cloud: Cloud, records: Records, damage: Callable[[Cloud, Records], None], after: bool
) -> None:
    damage(cloud, records)
    damaged = cloud.moment()
    expected, _ = carried_out(cloud, recount_of(ACME))
    job, by = recount_of(ACME), worker(cloud)
    parts = [(Work(ACME, SHARES, ""), ""), (Work(ACME, TOTAL, ""), TOTAL)]
    kill_at = 0
    while True:
        damaged.restore()
        told, killed = Tally(), False
        with cloud.watched_calls(kill_at=kill_at, after=after):
            try:
                for work, subject in parts:
                    told += by.take(job, work, subject).tally
            except Killed:
                killed = True
        if not killed:
            break
        again = sum((by.take(job, work, subject).tally for work, subject in parts), Tally())
        assert again == expected, kill_at
        assert agrees(cloud)
        kill_at += 1
    assert kill_at >= 10


# --- Entries of references --------------------------------------------------------------------------------


def delete(cloud: Cloud, table: str, **key: str) -> None:
    cloud.dynamodb.delete_item(TableName=table, Key={name: {"S": value} for name, value in key.items()})


@pytest.fixture
def ids(cloud: Cloud) -> list[str]:
    """Four images: one all right; one with an old reference of two; one expired; one expired and back."""
    photos = [jpeg_bytes(product_photo(number, (64, 48))) for number in range(4)]
    ids = [hashlib.sha256(photo).hexdigest() for photo in photos]
    for photo, id_ in zip(photos, ids, strict=True):
        cloud.announce(photo)
        cloud.references.take(AssetKey(ACME, asset_id(id_)), [Use("SKU-1", 1, "main"), Use("SKU-2")])
    delete(cloud, "ReferencesTable", tenant=ACME, entry=f"{ids[1]}/SKU-2")
    for id_ in ids[2:]:  # as DynamoDB's TTL does
        delete(cloud, "AssetsTable", tenant=ACME, id=id_)
    cloud.announce(photos[3])
    return ids


FOUND = Tally(counts={"entries_missing": 1, "entries_left_over": 4})


def entries_of(cloud: Cloud) -> set[tuple[str, str]]:
    return {(str(id_), name) for id_, name in cloud.references.within(ACME, "")}


def mended(cloud: Cloud, work: Work, job: Job | None = None) -> Tally:
    by, job = entries_worker(cloud), job or recount_of(ACME)
    done = (by.take(job, work, subject).tally for _, subject in by.subjects(job, work, after=None))
    return sum(done, Tally())


def test_a_recount_gives_old_references_their_entries_and_removes_those_of_expired_announcements(
    cloud: Cloud, ids: list[str]
) -> None:
    before = cloud.snapshot()
    assert mended(cloud, Work(ACME, ENTRIES, ""), recount_of(ACME, dry_run=True)) == FOUND
    assert cloud.snapshot() == before

    assert mended(cloud, Work(ACME, ENTRIES, "")) == FOUND

    assert entries_of(cloud) == {(id_, name) for id_ in ids[:2] for name in ("SKU-1", "SKU-2")}
    assert cloud.broken_guarantees() == []
    found = cloud.list_images(reference="SKU-2").json["images"]
    assert {each["id"] for each in found} == set(ids[:2])
    used = cloud.list_images(reference="SKU-1").json["images"][0]["used_as"]
    assert (used["position"], used["role"]) == (1, "main")
    assert mended(cloud, Work(ACME, ENTRIES, "")) == Tally()


def test_a_recount_job_tells_of_the_entries_it_mends(cloud: Cloud, records: Records, ids: list[str]) -> None:
    deliver(cloud, records)
    run = JobRun(
        cloud, cloud.job("POST", body={"kind": "recount", "tenant": "*", "dry_run": False}).json["id"]
    )

    ended = run.to_the_end()

    assert (run.faults, ended.state, ended.tally.counts) == ([], "completed", FOUND.counts)
    assert cloud.broken_guarantees() == []


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_call_while_it_mends_it_is_carried_out_again(
    cloud: Cloud, ids: list[str], after: bool
) -> None:
    damaged, kill_at, killed = cloud.moment(), 0, True
    while killed:
        damaged.restore()
        killed = False
        with cloud.watched_calls(kill_at=kill_at, after=after):
            try:
                mended(cloud, Work(ACME, ENTRIES, ""))
            except Killed:
                killed = True
        mended(cloud, Work(ACME, ENTRIES, ""))
        assert cloud.broken_guarantees() == [], kill_at
        kill_at += 1
    assert kill_at >= 10


def test_a_part_goes_on_behind_any_image_and_a_retried_one_has_those_named(
    cloud: Cloud, ids: list[str]
) -> None:
    by, job = entries_worker(cloud), recount_of(ACME)
    whole = list(by.subjects(job, Work(ACME, ENTRIES, ""), after=None))
    assert [name for name, _ in whole] == sorted(ids)

    for number, (name, _) in enumerate(whole):
        assert list(by.subjects(job, Work(ACME, ENTRIES, ""), after=name)) == whole[number + 1 :]
    retried = Work(ACME, ENTRIES, None, (ids[1], ids[3]))
    assert list(by.subjects(job, retried, after=None)) == [each for each in whole if each[0] in ids[1::2]]
    assert list(by.subjects(job, retried, after=max(ids[1::2]))) == []


def test_the_entries_of_an_image_with_a_thousand_old_references_are_all_made(cloud: Cloud) -> None:
    (key,) = added(cloud, 1)
    names = [f"SKU-{number}" for number in range(MAX_REFERENCES)]
    cloud.dynamodb.update_item(
        TableName="AssetsTable",
        Key={"tenant": {"S": ACME}, "id": {"S": key.id}},
        UpdateExpression="SET #r = :many REMOVE unused_since",
        ExpressionAttributeNames={"#r": "references"},
        ExpressionAttributeValues={":many": {"SS": names}},
    )

    assert mended(cloud, Work(ACME, ENTRIES, "")).counts == {"entries_missing": MAX_REFERENCES}
    assert entries_of(cloud) == {(key.id, name) for name in names}


def test_entries_are_mended_beside_clients_in_any_order_of_their_calls(
    cloud: Cloud, scheduler: Scheduler, ids: list[str]
) -> None:
    keys = [AssetKey(ACME, asset_id(id_)) for id_ in ids]
    damaged = cloud.moment()

    def client() -> None:
        cloud.references.release(keys[1], "SKU-2", now=NOW)
        cloud.references.take(keys[1], [Use("SKU-2", 7)])
        cloud.references.take(keys[3], [Use("SKU-1", 8)])

    with scheduler.in_charge():
        for order in ORDERS:
            damaged.restore()
            scheduler.take_turns(order, lambda: mended(cloud, Work(ACME, ENTRIES, "")), client)
            assert cloud.broken_guarantees() == [], order
            places = [
                cloud.references.held(ACME, {key.id: [name]})[key.id].uses[name].position
                for key, name in ((keys[1], "SKU-2"), (keys[3], "SKU-1"))
            ]
            assert places == [7, 8], order


def test_an_image_that_is_being_erased_gets_no_entries(cloud: Cloud, ids: list[str]) -> None:
    cloud.dynamodb.update_item(
        TableName="AssetsTable",
        Key={"tenant": {"S": ACME}, "id": {"S": ids[1]}},
        UpdateExpression="SET #s = :deleting",
        ExpressionAttributeNames={"#s": "status"},
        ExpressionAttributeValues={":deleting": {"S": "deleting"}},
    )

    assert mended(cloud, Work(ACME, ENTRIES, ids[1])) == Tally()
    for use in (Use("SKU-1", 5), Use("SKU-2")):
        with pytest.raises(AssetStateError):
            cloud.references.take(AssetKey(ACME, asset_id(ids[1])), [use])
    assert {name for id_, name in entries_of(cloud) if id_ == ids[1]} == {"SKU-1"}


# --- What it costs ----------------------------------------------------------------------------------------


def added(cloud: Cloud, number: int) -> list[AssetKey]:
    """Assets with the ids of other bytes each, accepted."""
    inspection = Inspection(
        Source(SourceFormat.JPEG, 10, 10),
        PerceptualHashes("0f" * 8, "f0" * 32),
        Fingerprint(PHashAlgorithm.PHASH256, "f0" * 32, "f0" * 32, "80" * 12),
        near_blank=False,
        verify=lambda _: Likeness(Verdict.DIFFERENT, {}),
    )
    keys = [AssetKey(ACME, asset_id(hashlib.sha256(b"%d" % each).hexdigest())) for each in range(number)]
    for key in keys:
        cloud.assets.accept(key, inspection, size_bytes=7, now=NOW)
    return keys


@contextmanager
def whole_items_read() -> Iterator[Counter[tuple[str, str]]]:
    """How often each item was read meanwhile, by its table and its key; keys alone are not items."""
    read: Counter[tuple[str, str]] = Counter()
    make = botocore.client.BaseClient._make_api_call

    def watched(self: Any, operation: str, asked: Any) -> Any:
        answer = make(self, operation, asked)
        found = [(asked.get("TableName", ""), item) for item in answer.get("Items", [])]
        found += [(name, item) for name, items in answer.get("Responses", {}).items() for item in items]
        read.update((name, item.get("id", item.get("counter"))["S"]) for name, item in found if len(item) > 2)
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.client.BaseClient, "_make_api_call", watched)
        yield read


def test_each_counted_share_is_read_exactly_once_and_each_asset_twice(
    cloud: Cloud, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = added(cloud, 230)
    deliver(cloud, records)
    monkeypatch.setattr(recounting, "RECORDS_PER_PART", 5)

    with whole_items_read() as read:
        tally, done = carried_out(cloud, recount_of(ACME))

    assert tally == Tally(done=230)
    assert len(done) == 256 + 230 + 1
    kept = {name: times for name, times in read.items() if "recount#" not in name[1]}
    assert kept == {
        **{("AssetsTable", key.id): 2 for key in keys},
        **{("UsageTable", f"counted#{key.id}"): 1 for key in keys},
    }


@pytest.mark.parametrize("number", [0, 99, 100, 500])
def test_how_many_images_a_tenant_has_is_estimated_by_a_hundred_ids(cloud: Cloud, number: int) -> None:
    added(cloud, number)

    with cloud.watched_calls() as calls:
        estimated = cloud.assets.estimated(ACME)

    assert len(calls.made) == 1
    assert estimated == number if number < 100 else abs(estimated - number) <= number / 3


@pytest.mark.parametrize("most_parts", [1, 20, 1_000])
def test_every_tenant_is_in_one_step_whatever_a_step_holds(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, most_parts: int
) -> None:
    added(cloud, 30)
    for name in ("aaa", "initech", "umbrella"):
        cloud.tenants.add(tenant_id(name), NO_LIMITS, now=NOW)
    monkeypatch.setattr(recounting, "RECORDS_PER_PART", 5)
    monkeypatch.setattr(recounting, "_MOST_PARTS", most_parts)
    steps, works = RecountSteps(cloud.assets, cloud.tenants), []
    position: str | None = ""
    while position is not None:
        step = steps.step(recount_of(None), position)
        works += list(step.works)
        position = step.next

    tenants = ["aaa", "acme", "globex", "initech", "umbrella"]
    ranges = [work for work in works if work.phase == SHARES]
    assert sorted({work.tenant for work in ranges}) == tenants
    assert len(ranges) == len(set(ranges)) == 16 + 4
    assert [work.tenant for work in works if work.phase == TOTAL] == tenants
    assert all(
        works.index(Work(tenant_id(t), TOTAL, "")) > works.index(next(w for w in ranges if w.tenant == t))
        for t in tenants
    )

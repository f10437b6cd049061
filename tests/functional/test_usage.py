"""Counters: equal to a recount after any history, however its changes are delivered and wherever it dies."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from catalog.adapters.groups import Groups
from catalog.adapters.recounts import Recounts
from catalog.adapters.usage_table import Counters
from catalog.domain.assets import AssetNotFoundError, AssetStateError, Inspection, PerceptualHashes, Status
from catalog.domain.fingerprints import Fingerprint, PHashAlgorithm
from catalog.domain.jobs import Job, Work
from catalog.domain.keys import AssetKey, TenantId, asset_id, tenant_id
from catalog.domain.limits import NO_LIMITS
from catalog.domain.near_duplicates import DecidedBy, Likeness, NearDuplicate, Verdict
from catalog.domain.presets import DEFAULT_PRESETS
from catalog.domain.references import Use
from catalog.domain.rejections import Rejection, RejectionCode
from catalog.domain.renditions import Rendition
from catalog.domain.sources import Source, SourceFormat
from catalog.domain.uploads import Announcement
from catalog.domain.usage import NOTHING, CountersMovedError, Usage, usage_of
from catalog.use_cases.counting import CountersContendedError
from catalog.use_cases.recounting import SHARES, TOTAL, RecountWorker
from infra.pictures.images import html_named_jpg, jpeg_bytes, product_photo
from tests.functional.cloud import Cloud, Killed
from tests.functional.streams import recorded_changes
from tests.functional.test_recount import damage_total, recount_of

Records = list[dict[str, Any]]

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ACME, GLOBEX = tenant_id("acme"), tenant_id("globex")
PHOTO = jpeg_bytes(product_photo(1, (320, 240)))
INSPECTION = Inspection(
    Source(SourceFormat.JPEG, 10, 10),
    PerceptualHashes("0f" * 8, "f0" * 32),
    Fingerprint(PHashAlgorithm.PHASH256, "f0" * 32, "f0" * 32, "80" * 12),
    near_blank=False,
    verify=lambda _: Likeness(Verdict.DIFFERENT, {}),
)
clock = partial(datetime.now, UTC)


@pytest.fixture
def records() -> Iterator[Records]:
    """The stream of everything that changes during a test."""
    with recorded_changes() as records:
        yield records


@pytest.fixture
def counters(cloud: Cloud) -> Counters:
    return Counters("UsageTable")


def deliver(cloud: Cloud, records: Records) -> None:
    assert cloud.invoke("usage", {"Records": records}) == {"batchItemFailures": []}


def total(counters: Counters, tenant: TenantId = ACME) -> Usage:
    return counters.total(tenant).usage


def agrees(cloud: Cloud, counters: Counters, tenant: TenantId = ACME) -> bool:
    return total(counters, tenant) == sum(map(usage_of, cloud.assets.within(tenant, "")), NOTHING)


# --- One history ------------------------------------------------------------------------------------------


def test_an_uploaded_photo_counts_once_with_its_renditions(
    cloud: Cloud, counters: Counters, records: Records
) -> None:
    image = cloud.upload(PHOTO)
    deliver(cloud, records)

    assert total(counters) == Usage(
        assets=1,
        bytes_originals=len(PHOTO),
        bytes_per_preset={each["preset"]: each["size_bytes"] for each in image["renditions"]},
    )
    assert total(counters, GLOBEX) == NOTHING


def test_the_changes_of_one_upload_are_counted_with_one_transaction(
    cloud: Cloud, counters: Counters, records: Records
) -> None:
    cloud.upload(PHOTO)

    with cloud.watched_calls() as calls:
        deliver(cloud, records)

    assert calls.made.count("dynamodb:TransactWriteItems") == 1


def test_an_upload_that_was_not_sent_is_counted_with_the_bytes_it_saved(
    cloud: Cloud, counters: Counters, records: Records
) -> None:
    cloud.upload(PHOTO)
    cloud.announce(PHOTO)
    cloud.announce(PHOTO)
    deliver(cloud, records)

    counted = total(counters)
    assert (counted.duplicates_avoided, counted.bytes_saved) == (2, 2 * len(PHOTO))


def test_a_rejected_file_counts_as_rejected(cloud: Cloud, counters: Counters, records: Records) -> None:
    cloud.upload(html_named_jpg())
    deliver(cloud, records)

    assert total(counters) == Usage(rejected=1)


def test_an_asset_that_a_purge_deletes_stops_counting(
    cloud: Cloud, counters: Counters, records: Records
) -> None:
    key = AssetKey(ACME, asset_id(cloud.upload(PHOTO)["id"]))
    deliver(cloud, records)
    later = clock() + timedelta(days=40)
    cloud.assets.mark_deleting(key, status=Status.READY, unused_before=later, run="run", now=later)
    cloud.assets.forget(key)
    deliver(cloud, records[-1:])
    deliver(cloud, records[-2:-1])

    assert total(counters) == NOTHING


# --- Delivery ---------------------------------------------------------------------------------------------


def test_a_batch_delivered_twice_counts_once(cloud: Cloud, counters: Counters, records: Records) -> None:
    cloud.upload(PHOTO)
    deliver(cloud, records)
    once = total(counters)
    deliver(cloud, records)
    deliver(cloud, [*records, *records])

    assert total(counters) == once


def test_records_delivered_backwards_count_as_if_in_order(
    cloud: Cloud, counters: Counters, records: Records
) -> None:
    cloud.upload(PHOTO)
    for record in reversed(records):
        deliver(cloud, [record])

    assert agrees(cloud, counters)


def test_more_assets_than_a_transaction_holds_are_counted_all(
    cloud: Cloud, counters: Counters, records: Records
) -> None:
    for number in range(230):
        key = AssetKey(ACME, asset_id(f"{number:064x}"))
        cloud.assets.accept(key, INSPECTION, size_bytes=number, now=NOW)
    deliver(cloud, records)

    assert total(counters) == Usage(assets=230, bytes_originals=sum(range(230)))


@pytest.mark.parametrize("counted_before", [0, 2], ids=["never counted", "counted before"])
def test_a_worker_that_loses_the_race_for_an_asset_counts_it_no_second_time(
    cloud: Cloud,
    counters: Counters,
    records: Records,
    monkeypatch: pytest.MonkeyPatch,
    counted_before: int,
) -> None:
    cloud.upload(PHOTO)
    deliver(cloud, records[:counted_before])
    read, raced = Counters.counted, []

    def read_and_lose(self: Counters, tenant: TenantId, ids: Any) -> Any:
        known = read(self, tenant, ids)
        if not raced:
            raced.append(tenant)
            deliver(cloud, records)
        return known

    monkeypatch.setattr(Counters, "counted", read_and_lose)
    deliver(cloud, records)

    assert raced
    assert agrees(cloud, counters)
    assert total(counters).assets == 1


def test_counters_that_never_stand_still_leave_the_batch_to_be_delivered_again(
    cloud: Cloud, counters: Counters, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    def moved(*_: Any, **__: Any) -> None:
        raise CountersMovedError

    cloud.upload(PHOTO)
    with monkeypatch.context() as patch:
        patch.setattr(Counters, "move", moved)
        with pytest.raises(CountersContendedError):
            cloud.invoke("usage", {"Records": records})
    deliver(cloud, records)

    assert agrees(cloud, counters)


def test_a_record_that_cannot_be_read_fails_its_batch_before_anything_is_counted(
    cloud: Cloud, counters: Counters, records: Records
) -> None:
    cloud.upload(PHOTO)
    damaged = json.loads(json.dumps(records[-1]).replace('"ready"', '"unheard-of"'))

    with pytest.raises(ValueError, match="unheard-of"):
        cloud.invoke("usage", {"Records": [*records[:-1], damaged]})
    assert total(counters) == NOTHING


# --- Any history ------------------------------------------------------------------------------------------

KEYS = st.tuples(st.sampled_from(["north", "south"]), st.integers(1, 2))
# Few of them, so that an asset comes to count again for what it counted before.
SIZES = st.sampled_from([100, 200])
DELIVERIES = st.lists(st.integers(0, 10_000), min_size=1, max_size=12)


class History(RuleBasedStateMachine):
    """Anything happens to assets of two tenants, while their records come in any order, and repeatedly."""

    examples = 0

    def __init__(self, cloud: Cloud, records: Records) -> None:
        super().__init__()
        self.cloud, self.records = cloud, records
        self.counters = Counters("UsageTable")
        self.recount_worker = RecountWorker(cloud.assets, self.counters, Recounts("UsageTable"))
        self.groups = Groups("AssetsTable", "PairsTable")
        self.now = NOW

    @initialize()
    def begin(self) -> None:
        """Every history has tenants of its own, and so an account of its own."""
        History.examples += 1
        self.example = History.examples
        for tenant in ("north", "south"):  # nothing is counted for a tenant that is not there
            self.cloud.tenants.add(tenant_id(f"{tenant}-{self.example}"), NO_LIMITS, now=NOW)
        self.records.clear()
        self.undelivered: set[int] = set()
        self.recounting: dict[str, tuple[Job, list[str]]] = {}
        self.damaged: set[str] = set()
        self.recounts = 0

    def key(self, named: tuple[str, int]) -> AssetKey:
        tenant, number = named
        return AssetKey(tenant_id(f"{tenant}-{self.example}"), asset_id(f"{number:064x}"))

    def attempt(self, change: Callable[[datetime], Any]) -> None:
        """A change the asset's state does not allow changes nothing, as in the pipeline."""
        self.now += timedelta(seconds=1)
        known = len(self.records)
        with suppress(AssetStateError, AssetNotFoundError):
            change(self.now)
        self.undelivered.update(range(known, len(self.records)))

    @rule(named=KEYS, size=SIZES)
    def announce(self, named: tuple[str, int], size: int) -> None:
        announced = Announcement("a.jpg", "image/jpeg", size)
        self.attempt(
            lambda now: self.cloud.assets.await_upload(
                self.key(named), announced, correlation_id="request", known=size == 100, now=now
            )
        )

    @rule(named=KEYS, size=SIZES)
    def accept(self, named: tuple[str, int], size: int) -> None:
        self.attempt(
            lambda now: self.cloud.assets.accept(self.key(named), INSPECTION, size_bytes=size, now=now)
        )

    @rule(named=KEYS, code=st.sampled_from([RejectionCode.CORRUPT, RejectionCode.CHECKSUM_MISMATCH]))
    def reject(self, named: tuple[str, int], code: RejectionCode) -> None:
        rejection = Rejection(code, "damaged")
        self.attempt(lambda now: self.cloud.assets.reject(self.key(named), rejection, size_bytes=5, now=now))

    @rule(named=KEYS, preset=st.sampled_from(["thumb", "zoom"]), size=SIZES)
    def render(self, named: tuple[str, int], preset: str, size: int) -> None:
        key = self.key(named)
        stored = Rendition(preset, "v", key.rendition(preset, "v", "jpg"), size, 1, 1, 85)

        def record(now: datetime) -> None:
            asset = self.cloud.assets.get(key)
            complete = asset.with_renditions([stored]).is_complete(DEFAULT_PRESETS)
            self.cloud.assets.add_renditions(asset, [stored], complete=complete, now=now)

        self.attempt(record)

    @rule(named=KEYS, number=st.integers(1, 2), shares=st.booleans())
    def join(self, named: tuple[str, int], number: int, shares: bool) -> None:
        """It turns out to be a near-duplicate, and may take over the other's renditions."""
        key, of = self.key(named), self.key((named[0], number))
        asset, canonical = self.cloud.assets.find(key), self.cloud.assets.find(of)
        if asset and canonical and key != of:
            verdict = NearDuplicate(of.id, DecidedBy.PERSON, shares)
            self.attempt(lambda now: self.groups.join(asset, canonical, verdict, alone=True, now=now))

    @rule(named=KEYS)
    def separate(self, named: tuple[str, int]) -> None:
        asset = self.cloud.assets.find(self.key(named))
        if asset:
            near = asset.near_duplicate
            former = self.cloud.assets.find(AssetKey(asset.tenant, near.of)) if near else None
            self.attempt(lambda now: self.groups.separate(asset, former, now=now))

    @rule(named=KEYS)
    def finish(self, named: tuple[str, int]) -> None:
        self.attempt(lambda now: self.cloud.assets.mark_ready(self.key(named), now=now))

    @rule(named=KEYS)
    def upload_again(self, named: tuple[str, int]) -> None:
        self.attempt(lambda now: self.cloud.assets.note_duplicate(self.key(named), now=now))

    @rule(named=KEYS, reference=st.sampled_from(["sku-1", "sku-2"]))
    def take(self, named: tuple[str, int], reference: str) -> None:
        self.attempt(lambda _: self.cloud.references.take(self.key(named), [Use(reference)], keep=True))

    @rule(named=KEYS, reference=st.sampled_from(["sku-1", "sku-2"]))
    def release(self, named: tuple[str, int], reference: str) -> None:
        self.attempt(lambda now: self.cloud.references.release(self.key(named), reference, now=now))

    @rule(named=KEYS, status=st.sampled_from([Status.READY, Status.REJECTED, Status.PROCESSING]))
    def purge(self, named: tuple[str, int], status: Status) -> None:
        self.attempt(
            lambda now: self.cloud.assets.mark_deleting(
                self.key(named), status=status, unused_before=now, run="run", now=now
            )
        )

    @rule(named=KEYS)
    def forget(self, named: tuple[str, int]) -> None:
        self.attempt(lambda _: self.cloud.assets.forget(self.key(named)))

    @rule(named=KEYS)
    def remove(self, named: tuple[str, int]) -> None:
        """DynamoDB removes an announcement whose bytes never came; an operator anything else."""
        key = self.key(named)
        if self.cloud.assets.find(key):
            item = {"tenant": {"S": key.tenant}, "id": {"S": key.id}}
            self.attempt(lambda _: self.cloud.dynamodb.delete_item(TableName="AssetsTable", Key=item))

    @rule(numbers=DELIVERIES)
    def deliver(self, numbers: list[int]) -> None:
        """Any records there are, in any order, some of them again."""
        if self.records:
            chosen = [number % len(self.records) for number in numbers]
            deliver(self.cloud, [self.records[number] for number in chosen])
            self.undelivered -= set(chosen)

    @rule(numbers=DELIVERIES, call=st.integers(0, 3), after=st.booleans())
    def deliver_and_die(self, numbers: list[int], call: int, after: bool) -> None:
        if self.records:
            batch = [self.records[number % len(self.records)] for number in numbers]
            with suppress(Killed), self.cloud.watched_calls(kill_at=call, after=after):
                deliver(self.cloud, batch)

    @rule(tenant=st.sampled_from(["north", "south"]), number=st.integers(1, 9))
    def damage_the_total(self, tenant: str, number: int) -> None:
        """Only where no recount is under way: one compares what was when it began."""
        name = tenant_id(f"{tenant}-{self.example}")
        if tenant not in self.recounting:
            damage_total(self.cloud, name, number)
            self.damaged.add(tenant)

    def recount(self, tenant: str) -> tuple[Job, list[str]]:
        """The recount that is under way, and the ranges it has not read."""
        if tenant not in self.recounting:
            self.recounts += 1
            job = recount_of(tenant_id(f"{tenant}-{self.example}"), f"recount-{self.recounts}")
            self.recounting[tenant] = job, list("0123456789abcdef")
        return self.recounting[tenant]

    @rule(tenant=st.sampled_from(["north", "south"]), number=st.integers(0, 15))
    def recount_a_range(self, tenant: str, number: int) -> None:
        """Sixteen ranges, each at another moment of the history, and some of them twice."""
        job, left = self.recount(tenant)
        prefix = left.pop(number % len(left)) if left else f"{number:x}"
        work = Work(tenant_id(f"{tenant}-{self.example}"), SHARES, prefix)
        self.recount_worker.take(job, work, prefix)

    @rule(tenant=st.sampled_from(["north", "south"]))
    def recount_the_rest(self, tenant: str) -> None:
        job, left = self.recount(tenant)
        while left:
            self.recount_a_range(tenant, 0)
        work = Work(tenant_id(f"{tenant}-{self.example}"), TOTAL, "")
        assert not self.recount_worker.take(job, work, TOTAL).failures
        del self.recounting[tenant]
        self.damaged.discard(tenant)

    def teardown(self) -> None:
        """What was never delivered comes at last, newest first; then everything once more."""
        for tenant in sorted({*self.recounting, *self.damaged}):
            self.recount_the_rest(tenant)
        for number in sorted(self.undelivered, reverse=True):
            deliver(self.cloud, [self.records[number]])
        self.check()
        if self.records:
            deliver(self.cloud, self.records)
        self.check()

    def check(self) -> None:
        for tenant in ("north", "south"):
            assert agrees(self.cloud, self.counters, tenant_id(f"{tenant}-{self.example}"))


def test_after_any_history_of_uploads_purges_and_replays_the_counters_equal_a_recount(
    cloud: Cloud, records: Records
) -> None:
    run_state_machine_as_test(
        lambda: History(cloud, records),
        settings=settings(
            max_examples=25,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )

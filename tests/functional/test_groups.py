"""Groups of near-duplicates: any order of arrival, any words of people, any size, and those of before.

The use cases are the deployed ones on the real adapters.  What an image shows is written in its bytes, so
that a picture costs nothing to look at: `scene` is what it shows, `width` x `height` how large, `take` tells
two of them apart.
"""

import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from moto.backends import get_backend
from PIL import Image

from catalog.adapters.groups import Groups
from catalog.adapters.queues import render_job
from catalog.domain.assets import Asset, AssetStateError, Inspection, PerceptualHashes, Status
from catalog.domain.fingerprints import Fingerprint, PHashAlgorithm
from catalog.domain.keys import AssetKey, asset_id, tenant_id
from catalog.domain.near_duplicates import (
    Decision,
    DuplicatePairNotFoundError,
    Likeness,
    Verdict,
)
from catalog.domain.presets import Format, Preset
from catalog.domain.renditions import RenderedImage
from catalog.domain.sources import Source, SourceFormat
from catalog.use_cases import completion
from catalog.use_cases.arriving import Arriving
from catalog.use_cases.decisions import Decided, Decisions
from infra.local.events import ACCOUNT, REGION
from tests.functional.cloud import Cloud, Killed, Moment, on_clock
from tests.functional.test_crashes import READS

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
PRESETS = json.dumps([{"name": "thumb", "width": 9, "height": 9}, {"name": "card", "width": 8, "height": 8}])
SETTINGS = settings(
    phases=[Phase.generate],
    max_examples=6,
    stateful_step_count=20,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@dataclass(frozen=True)
class Picture:
    scene: str
    width: int
    height: int
    take: int = 0
    weight: int = 0

    @property
    def data(self) -> bytes:
        told = [self.scene, self.width, self.height, self.take]
        return json.dumps(told).encode().ljust(60 + self.weight)

    @property
    def key(self) -> AssetKey:
        return AssetKey(tenant_id("acme"), asset_id(hashlib.sha256(self.data).hexdigest()))


def inspect(data: bytes) -> Inspection:
    scene, width, height, _ = json.loads(data)
    frame = hashlib.sha256(scene.encode()).hexdigest()
    return Inspection(
        source=Source(SourceFormat.JPEG, width, height),
        hashes=PerceptualHashes(frame[:16], frame),
        fingerprint=Fingerprint(PHashAlgorithm.PHASH256, frame, frame, "00" * 12),
        near_blank=False,
        verify=partial(verify, scene),
    )


def verify(scene: str, data: bytes) -> Likeness:
    same = scene == json.loads(data)[0]
    return Likeness(Verdict.SAME if same else Verdict.DIFFERENT, {"score": 0.5}, None if same else "score")


def render(data: bytes, presets: Sequence[Preset], *, wanted: Any) -> Iterable[RenderedImage]:
    colour = tuple(hashlib.sha256(data).digest()[:3])
    for preset in presets:
        if preset.name in wanted:
            stored = io.BytesIO()
            Image.new("RGB", (2, 2), colour).save(stored, "PNG")
            yield RenderedImage(preset, Format.PNG, stored.getvalue(), 2, 2, quality=None, transparent=False)


class Shop:
    """A tenant's uploads and words, and the queue between them."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.jobs: list[str] = []
        self.groups = Groups("AssetsTable", "PairsTable")

    def upload(self, picture: Picture) -> None:
        self.cloud.announce(picture.data)
        self.cloud.store(picture.data)
        self.ingest(picture)

    def ingest(self, picture: Picture) -> None:
        arriving: Arriving = self.cloud.function("ingest").arriving
        drawn = replace(arriving, ingestion=replace(arriving.ingestion, inspect=inspect))
        ingested, _ = drawn.take(picture.key, in_time=False)
        assert ingested.fault is None
        self.take_jobs()

    def take_jobs(self) -> None:
        self.jobs += [*self.cloud.take_jobs(), *self.cloud.take_delayed_jobs()]

    def work(self, number: int = 0) -> None:
        function, job = self.cloud.function("render"), render_job(self.jobs.pop(number % len(self.jobs)))
        if job.decided_with:
            function.decisions.complete(AssetKey(job.tenant, job.id), job.decided_with)
        else:
            replace(function.rendering, renderer=render).render(job)
        self.take_jobs()

    def come_to_rest(self) -> None:
        while self.jobs:
            self.work()

    def say(self, one: Picture, other: Picture, word: Decision | None) -> Decided | None:
        decisions: Decisions = on_clock(self.cloud.function("duplicates").decisions, lambda: NOW)
        try:
            if word:
                return decisions.decide(one.key, other.key.id, word, by="someone")
            return decisions.undo(one.key, other.key.id)
        except (AssetStateError, DuplicatePairNotFoundError):
            return None
        finally:
            self.take_jobs()

    def asset(self, picture: Picture) -> Asset:
        return self.cloud.assets.get(picture.key)

    def shown(self, picture: Picture) -> set[str]:
        return {stored.key for stored in self.asset(picture).renditions.values()}

    def faults(self) -> list[str]:
        return [fault for fault in self.cloud.broken_guarantees() if "is counted" not in fault]


@pytest.fixture
def shop(cloud: Cloud) -> Shop:
    cloud.configure(PRESETS=PRESETS)
    return Shop(cloud)


LARGEST = Picture("lamp", 900, 700)
HALF, THIRD, SMALL = Picture("lamp", 450, 350), Picture("lamp", 300, 233), Picture("lamp", 90, 70)


# --- The larger one is canonical ----------------------------------------------------------------------------

SERIES = (
    LARGEST,
    *(Picture("lamp", 900, 700, take) for take in (1, 2)),
    *(HALF, Picture("lamp", 450, 350, 1, weight=9), THIRD, SMALL),
)
FIRST = max(SERIES, key=lambda one: (one.width * one.height, len(one.data), -int(one.key.id, 16)))


class Arrivals(RuleBasedStateMachine):
    """An original and six re-encodes and resizes of it arrive in any order, amid their rendering."""

    def __init__(self, shop: Shop, empty: Moment) -> None:
        super().__init__()
        self.shop, self.empty = shop, empty

    @initialize(order=st.permutations(SERIES))
    def begin(self, order: list[Picture]) -> None:
        self.empty.restore()
        self.shop.cloud.cold_start()
        self.shop.jobs.clear()
        self.order = list(order)

    @rule()
    def arrive(self) -> None:
        if self.order:
            self.shop.upload(self.order.pop())

    @rule(number=st.integers(0, 50))
    def work(self, number: int) -> None:
        if self.shop.jobs:
            self.shop.work(number)

    def teardown(self) -> None:
        while getattr(self, "order", ()):
            self.arrive()
        self.shop.come_to_rest()
        assert self.shop.faults() == []
        assert {self.shop.asset(picture).group for picture in SERIES} == {FIRST.key.id}
        assert {frozenset(self.shop.shown(picture)) for picture in SERIES} == {
            frozenset(self.shop.shown(FIRST))
        }
        assert self.shop.asset(FIRST).sharers == len(SERIES) - 1


def test_any_order_of_arrival_ends_in_one_group_whose_canonical_image_is_the_largest(shop: Shop) -> None:
    empty = shop.cloud.moment()
    run_state_machine_as_test(lambda: Arrivals(shop, empty), settings=SETTINGS)


def test_a_thumbnail_shows_its_own_renditions_until_the_original_that_came_later_is_ready(
    shop: Shop,
) -> None:
    shop.upload(SMALL)
    shop.upload(Picture("lamp", 80, 62))
    shop.come_to_rest()
    before = shop.shown(SMALL)

    shop.upload(LARGEST)
    meanwhile = shop.shown(SMALL), shop.asset(SMALL).status
    shop.come_to_rest()

    assert meanwhile == (before, Status.READY)
    assert shop.shown(SMALL) == shop.shown(LARGEST) == shop.shown(Picture("lamp", 80, 62)) != before
    # Addresses that were given out go on working.
    assert before <= set(shop.cloud.objects(shop.cloud.renditions))
    assert shop.faults() == []


def test_what_others_have_addresses_of_is_not_purged_before_those_have_ended(shop: Shop) -> None:
    member = Picture("lamp", 80, 62)
    for picture in (SMALL, member, LARGEST):
        shop.upload(picture)
        shop.come_to_rest()

    proposed = shop.cloud.purge(older_than_days=0).json
    kept = shop.cloud.purge(dry_run=False, confirm_token=proposed["confirm_token"]).json["kept"]

    assert {"id": SMALL.key.id, "reason": "in_use"} in kept
    with shop.cloud.later(timedelta(hours=2)):
        proposed = shop.cloud.purge(older_than_days=0).json
        shop.cloud.purge(dry_run=False, confirm_token=proposed["confirm_token"])
    assert shop.cloud.assets.find(SMALL.key) is None


def test_a_larger_image_that_comes_to_nothing_leaves_the_group_as_it_was(shop: Shop) -> None:
    member = Picture("lamp", 80, 62)
    shop.upload(SMALL)
    shop.upload(member)
    shop.come_to_rest()
    before = shop.shown(SMALL)

    shop.upload(LARGEST)
    shop.cloud.s3.delete_object(Bucket=shop.cloud.originals, Key=LARGEST.key.original)
    shop.come_to_rest()

    assert shop.asset(LARGEST).status is Status.REJECTED
    assert shop.asset(SMALL).near_duplicate is None
    assert shop.shown(SMALL) == shop.shown(member) == before
    assert shop.faults() == []


# --- What people say ----------------------------------------------------------------------------------------

ALBUM = (
    LARGEST,
    HALF,
    SMALL,
    Picture("chair", 500, 500),
    Picture("chair", 200, 200),
    Picture("desk", 300, 300),
)
PLACES = st.integers(0, len(ALBUM) - 1)


class Words(RuleBasedStateMachine):
    """Any sequence of words about a few images, while what they cause is still under way."""

    def __init__(self, shop: Shop, stored: Moment) -> None:
        super().__init__()
        self.shop, self.stored = shop, stored

    @initialize()
    def begin(self) -> None:
        self.stored.restore()
        self.shop.cloud.cold_start()
        self.shop.jobs.clear()
        self.said: dict[frozenset[Picture], Decision] = {}

    @rule(one=PLACES, other=PLACES, word=st.sampled_from([*Decision, *Decision, None]))
    def say(self, one: int, other: int, word: Decision | None) -> None:
        if one == other:
            return
        decided = self.shop.say(ALBUM[one], ALBUM[other], word)
        if decided is None:
            return
        pair = frozenset({ALBUM[one], ALBUM[other]})
        self.said.pop(pair, None)
        if word:
            self.said[pair] = word
        self.hold(pair, word, decided)

    @precondition(lambda self: self.shop.jobs)
    @rule(number=st.integers(0, 50))
    def work(self, number: int) -> None:
        self.shop.work(number)

    def hold(self, pair: frozenset[Picture], word: Decision | None, decided: Decided) -> None:
        one, other = (self.shop.asset(picture) for picture in pair)
        assert decided.merged == (one.group == other.group)
        if word is Decision.DISTINCT:
            assert not decided.merged
        if word is Decision.SAME:
            assert decided.merged or decided.apart

    def teardown(self) -> None:
        if not hasattr(self, "said"):
            return
        self.shop.come_to_rest()
        assert self.shop.faults() == []
        duplicates = self.shop.cloud.call("duplicates", "GET", "/duplicates", query={"limit": "50"}).json
        told = {frozenset(pair["ids"]): pair for pair in duplicates["duplicates"]}
        for pair, word in self.said.items():
            one, other = (self.shop.asset(picture) for picture in pair)
            answer = told[frozenset({one.id, other.id})]
            if word is Decision.DISTINCT:
                assert not self.shop.shown(next(iter(pair))) & self.shop.shown(list(pair)[1])
            else:
                assert answer["merged"] or answer["apart_because"], (one.id, other.id)
                assert answer["merged"] == (
                    {r.key for r in one.renditions.values()} == {r.key for r in other.renditions.values()}
                )


def test_after_any_words_what_is_distinct_shares_nothing_and_what_is_the_same_shares_or_is_told_why_not(
    shop: Shop,
) -> None:
    for picture in ALBUM:
        shop.upload(picture)
        shop.come_to_rest()
    stored = shop.cloud.moment()
    run_state_machine_as_test(lambda: Words(shop, stored), settings=SETTINGS)


def test_distinct_between_two_duplicates_of_a_third_moves_the_smaller_one_out(shop: Shop) -> None:
    for picture in (LARGEST, HALF, SMALL):
        shop.upload(picture)
        shop.come_to_rest()

    shop.say(HALF, SMALL, Decision.DISTINCT)
    shop.come_to_rest()

    assert shop.asset(HALF).group == LARGEST.key.id
    assert shop.asset(SMALL).near_duplicate is None
    assert not shop.shown(SMALL) & shop.shown(LARGEST)
    assert shop.faults() == []


def test_distinct_taken_back_between_two_duplicates_of_a_third_brings_back_the_one_that_left(
    shop: Shop,
) -> None:
    for picture in (LARGEST, HALF, SMALL):
        shop.upload(picture)
        shop.come_to_rest()
    shop.say(HALF, SMALL, Decision.DISTINCT)
    shop.come_to_rest()

    decided = shop.say(HALF, SMALL, None)
    shop.come_to_rest()

    assert decided is not None
    assert decided.merged
    assert {shop.asset(picture).group for picture in (LARGEST, HALF, SMALL)} == {LARGEST.key.id}
    assert shop.shown(SMALL) == shop.shown(LARGEST)
    assert shop.faults() == []


def test_distinct_taken_back_leaves_out_what_a_person_called_distinct_from_the_third(shop: Shop) -> None:
    for picture in (LARGEST, HALF, SMALL):
        shop.upload(picture)
        shop.come_to_rest()
    shop.say(HALF, SMALL, Decision.DISTINCT)
    shop.say(LARGEST, SMALL, Decision.DISTINCT)

    decided = shop.say(HALF, SMALL, None)
    shop.come_to_rest()

    assert decided is not None
    assert not decided.merged
    assert shop.asset(SMALL).near_duplicate is None
    assert shop.faults() == []


def test_same_of_a_small_image_and_a_later_larger_one_makes_one_group_of_their_groups(shop: Shop) -> None:
    chairs = Picture("chair", 990, 990), Picture("chair", 100, 100)
    for picture in (HALF, SMALL, *chairs):
        shop.upload(picture)
        shop.come_to_rest()

    decided = shop.say(SMALL, chairs[1], Decision.SAME)
    shop.come_to_rest()

    assert decided is not None
    assert {shop.asset(picture).group for picture in (HALF, SMALL, *chairs)} == {chairs[0].key.id}
    assert shop.faults() == []
    (pair,) = [
        pair
        for pair in shop.cloud.call("duplicates", "GET", "/duplicates").json["duplicates"]
        if pair["decision"]
    ]
    assert (pair["merged"], pair["apart_because"]) == (True, None)


def test_same_against_another_persons_distinct_says_why_it_changes_nothing(shop: Shop) -> None:
    chair = Picture("chair", 990, 990)
    for picture in (LARGEST, HALF, chair):
        shop.upload(picture)
        shop.come_to_rest()
    shop.say(HALF, chair, Decision.DISTINCT)

    decided = shop.say(LARGEST, chair, Decision.SAME)
    shop.come_to_rest()

    assert decided is not None
    assert decided.merged
    assert shop.asset(HALF).group == HALF.key.id  # it does not follow
    assert shop.say(LARGEST, HALF, Decision.SAME) is not None
    assert shop.asset(HALF).group == HALF.key.id
    again = shop.say(LARGEST, HALF, Decision.SAME)
    assert again is not None
    assert (again.merged, again.apart) == (False, "distinct")
    assert shop.faults() == []


@pytest.mark.parametrize("word", list(Decision))
def test_whenever_a_word_on_two_groups_dies_nobody_is_left_behind_though_it_is_not_said_again(
    shop: Shop, word: Decision
) -> None:
    other = {Decision.SAME: Picture("chair", 990, 990), Decision.DISTINCT: SMALL}[word]
    for picture in (HALF, SMALL, Picture("lamp", 80, 62), other):
        shop.upload(picture)
        shop.come_to_rest()
    shop.upload(LARGEST)
    beginning, jobs = shop.cloud.moment(), list(shop.jobs)
    with shop.cloud.watched_calls() as unharmed:
        shop.say(HALF, other, word)

    for number, call in enumerate(unharmed.made):
        if READS.search(call):
            continue  # what only reads leaves what the last write left
        beginning.restore()
        shop.jobs[:] = jobs
        shop.cloud.cold_start()
        with suppress(Killed), shop.cloud.watched_calls(kill_at=number, after=True):
            shop.say(HALF, other, word)
        shop.take_jobs()
        shop.come_to_rest()
        assert shop.faults() == [], f"killed after call {number}, {call}"


# --- Groups of any size -------------------------------------------------------------------------------------

MANY = 10_000


def joined(shop: Shop, canonical: Picture, *, many: int) -> None:
    """As many more share the canonical image's renditions: their records and entries, written directly."""
    shop.upload(canonical)
    shop.come_to_rest()
    asset = shop.asset(canonical)
    backend: Any = get_backend("dynamodb")[ACCOUNT][REGION]
    tables = backend.tables
    item = shop.cloud.dynamodb.get_item(
        TableName="AssetsTable", Key={"tenant": {"S": "acme"}, "id": {"S": asset.id}}
    )["Item"]
    verdict = json.dumps({"decided_by": "pixels", "shares": True, "distance": 1, "scores": {}})
    own = f"renditions/acme/{asset.id}/"
    renditions = {
        name: {"M": {**stored["M"], "key": {"S": own + stored["M"]["key"]["S"]}}}
        for name, stored in item["renditions"]["M"].items()
    }
    for number in range(many):
        id_ = hashlib.sha256(b"%d" % number).hexdigest()
        member = {
            **{name: value for name, value in item.items() if name != "indexed_as"},
            "id": {"S": id_},
            "size_bytes": {"N": "7"},
            "renditions": {"M": renditions},
            "near_duplicate_of": {"S": asset.id},
            "near_duplicate": {"S": verdict},
        }
        tables["AssetsTable"].put_item(member)
        tables["PairsTable"].put_item({"tenant": {"S": "acme"}, "pair": {"S": f"member/{asset.id}/{id_}"}})
    item = {name: value for name, value in item.items() if name != "unused_since"}
    tables["AssetsTable"].put_item({**item, "holders": {"N": str(many)}})


def test_ten_thousand_placeholders_of_one_picture_join_and_the_item_stays_small(shop: Shop) -> None:
    # One upload: moto copies all its tables for a transaction, eleven seconds of these.
    joined(shop, LARGEST, many=MANY - 1)
    with shop.cloud.watched_calls() as calls:
        shop.upload(SMALL)
    assert len([call for call in calls.made if call.startswith("dynamodb:")]) < 40

    asset = shop.asset(LARGEST)
    assert asset.sharers == MANY
    item = shop.cloud.dynamodb.get_item(
        TableName="AssetsTable", Key={"tenant": {"S": "acme"}, "id": {"S": asset.id}}
    )["Item"]
    assert len(json.dumps(item)) < 4_096
    assert shop.cloud.reference("PUT", asset.id, "sku-1").json["in_use_count"] == MANY + 1
    assert shop.cloud.get(asset.id).json["references"] == ["sku-1"]


def followed(shop: Shop, moved: Picture, *, many: int) -> None:
    """All of so many members point at the larger image, and are counted."""
    assert shop.asset(LARGEST).sharers == many + 1
    assert shop.asset(moved).sharers == 0
    assert shop.asset(moved).unused_since is not None
    assert [fault for fault in shop.faults() if "no original" not in fault] == []


def test_more_members_than_one_job_moves_follow_to_a_larger_image_though_a_worker_dies(shop: Shop) -> None:
    many = completion.MOST_MOVED + 1
    joined(shop, HALF, many=many)
    shop.upload(LARGEST)
    moves: list[int] = []
    while shop.jobs:
        job = shop.jobs[0]
        dies = "members" in job and len(moves) % 7 == 0  # some in the middle of their members
        with suppress(Killed), shop.cloud.watched_calls(kill_at=12 if dies else None, after=True) as calls:
            shop.work()
        moves.append(calls.made.count("dynamodb:TransactWriteItems"))
        if dies:
            shop.take_jobs()
            shop.jobs.append(job)

    assert sum(moves) == many
    followed(shop, HALF, many=many)


def test_wherever_a_worker_dies_while_members_follow_all_of_them_do(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completion, "MOST_MOVED", 2)
    joined(shop, HALF, many=4)
    shop.upload(LARGEST)
    while "members" not in shop.jobs[0]:
        shop.work()
    beginning, jobs = shop.cloud.moment(), list(shop.jobs)
    with shop.cloud.watched_calls() as unharmed:
        shop.come_to_rest()
    followed(shop, HALF, many=4)

    for number, call in enumerate(unharmed.made):
        if READS.search(call) or call in {"sqs:ReceiveMessage", "sqs:DeleteMessage"}:
            continue  # the latter are this test's own
        beginning.restore()
        shop.jobs[:] = jobs
        shop.cloud.cold_start()
        job = ""
        with suppress(Killed), shop.cloud.watched_calls(kill_at=number, after=True):
            while shop.jobs:
                job = shop.jobs[0]
                shop.work()
        shop.take_jobs()
        shop.jobs.append(job)  # it returns
        shop.come_to_rest()
        followed(shop, HALF, many=4)


def test_a_group_of_any_size_follows_to_a_larger_image_in_bounded_jobs_whichever_come_twice(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    most, few = 4, 9
    monkeypatch.setattr(completion, "MOST_MOVED", most)
    joined(shop, HALF, many=few)
    shop.upload(LARGEST)
    sizes: list[int] = []
    while shop.jobs:
        job = shop.jobs[0]
        with shop.cloud.watched_calls() as calls:
            shop.work()
        sizes.append(calls.made.count("dynamodb:TransactWriteItems"))
        if "members" in job and len(sizes) % 5 == 0:
            shop.jobs.append(job)  # SQS delivers at least once

    assert max(sizes) <= most
    assert sum(sizes) == few
    followed(shop, HALF, many=few)


# --- Those of before ----------------------------------------------------------------------------------------


def as_before(shop: Shop, canonical: Picture, members: Iterable[Picture], *names: str) -> None:
    """Members stand in the item, as until 2026-11."""
    ids = [member.key.id for member in members]
    shop.cloud.dynamodb.update_item(
        TableName="AssetsTable",
        Key={"tenant": {"S": "acme"}, "id": {"S": canonical.key.id}},
        UpdateExpression="SET #r = :r",
        ExpressionAttributeNames={"#r": "references"},
        ExpressionAttributeValues={":r": {"SS": [*(f"duplicate/{id_}" for id_ in ids), *names]}},
    )
    for id_ in ids:
        shop.cloud.dynamodb.delete_item(
            TableName="PairsTable",
            Key={"tenant": {"S": "acme"}, "pair": {"S": f"member/{canonical.key.id}/{id_}"}},
        )


@pytest.fixture
def old(shop: Shop) -> Shop:
    for picture in (LARGEST, HALF, SMALL):
        shop.upload(picture)
        shop.come_to_rest()
    shop.cloud.reference("PUT", LARGEST.key.id, "sku-1")
    as_before(shop, LARGEST, (HALF, SMALL), "sku-1")
    return shop


def test_holds_of_before_are_read_as_members_and_no_references(old: Shop) -> None:
    shown = old.cloud.get(LARGEST.key.id).json

    assert (shown["references"], shown["in_use_count"], shown["shared_by_count"]) == (["sku-1"], 3, 2)
    assert old.faults() == []
    old.cloud.reference("DELETE", LARGEST.key.id, "sku-1")
    old.cloud.age(HALF.key.id, days=40)
    assert LARGEST.key.id not in old.cloud.purge(older_than_days=0).json["candidates"]


def test_the_next_write_to_a_group_moves_holds_of_before_out_of_the_item(old: Shop) -> None:
    old.say(LARGEST, SMALL, Decision.DISTINCT)
    old.come_to_rest()

    asset = old.asset(LARGEST)
    assert (asset.references, asset.old_holds, asset.sharers) == ({"sku-1"}, frozenset(), 1)
    assert old.asset(SMALL).near_duplicate is None
    assert old.faults() == []


def test_a_thousand_holds_of_before_take_no_clients_place(shop: Shop) -> None:
    shop.upload(LARGEST)
    shop.come_to_rest()
    as_before(shop, LARGEST, [Picture("lamp", 1, 1, take) for take in range(1_000)])

    assert shop.cloud.reference("PUT", LARGEST.key.id, "sku-1").status == 200
    assert shop.cloud.reference("DELETE", LARGEST.key.id, "sku-1").status == 200

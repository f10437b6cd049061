"""Jobs: ranges, tallies, lines, places of steps and what is told at the end."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.domain.events import JobCompleted, JobFailed, job_event
from catalog.domain.jobs import (
    ACTIVE,
    IMAGES_PER_PART,
    Done,
    Failure,
    Job,
    JobKind,
    JobState,
    Line,
    Tally,
    Work,
    digits_for,
    ends,
    ranges,
)
from catalog.domain.keys import TenantId
from catalog.domain.usage import Usage
from catalog.use_cases.job_ranges import RANGES_PER_STEP, RangeSteps

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
ACME, GLOBEX = TenantId("acme"), TenantId("globex")
TALLIES = st.builds(
    Tally,
    done=st.integers(0, 9),
    skipped=st.integers(0, 9),
    failed=st.integers(0, 9),
    counts=st.dictionaries(st.sampled_from("abc"), st.integers(-9, 9)),
)


def job(**known: Any) -> Job:
    facts = {"id": "1", "kind": JobKind.RECOUNT, "tenant": ACME, "dry_run": True, "options": {},
             "state": JobState.RUNNING, "requested_by": "client", "created_at": NOW,
             "concurrency": 2}  # fmt: skip
    return Job(**facts | known)


@pytest.mark.parametrize(
    ("images", "parts"),
    [
        (0, 1),
        (100, 1),
        (101, 16),
        (6_400, 16),
        (6_401, 256),
        (102_400, 256),
        (102_401, 4_096),
        (10**6, 4_096),
        (10**7, 65_536),
        (10**8, 1_048_576),
        (10**10, 1_048_576),
    ],
)
def test_a_small_catalog_has_parts_to_share_and_a_large_one_no_more_than_it_needs(
    images: int, parts: int
) -> None:
    assert 16 ** digits_for(images) == parts
    assert parts <= 16 or images > IMAGES_PER_PART * parts // 16


@pytest.mark.parametrize("digits", [0, 1, 2, 3])
def test_ranges_are_all_prefixes_in_order_and_every_id_has_one(digits: int) -> None:
    found = list(ranges(digits))
    assert found == sorted(set(found))
    assert len(found) == 16**digits
    assert {len(prefix) for prefix in found} == {digits}
    assert "5c3f"[:digits] in found


@given(one=TALLIES, other=TALLIES, third=TALLIES)
def test_tallies_add_up_in_any_order(one: Tally, other: Tally, third: Tally) -> None:
    assert one + other == other + one
    assert (one + other) + third == one + (other + third)
    assert (one + other).images == one.images + other.images


def test_what_became_of_a_subject_counts_its_failures() -> None:
    done = Done(done=2, skipped=1, failures=(Failure("a", "bad", "why"),) * 2, counts={"bytes": 3})
    assert done.tally == Tally(2, 1, 2, {"bytes": 3})
    assert done.tally.images == 5


@pytest.mark.parametrize(
    "work",
    [Work(ACME, "render", ""), Work(ACME, "render", "5c"), Work(ACME, "import", None, ("a b", "ä\n", "🪑"))],
)
def test_a_line_is_one_line_of_json_that_says_the_same(work: Work) -> None:
    line = Line("20261130T120000-0a1b2c3d", JobKind.IMPORT, "000001/000002", work)
    assert "\n" not in line.text()
    assert Line.parse(json.loads(line.text())) == line


def test_a_job_rests_in_every_state_in_which_nothing_works_on_it() -> None:
    assert {state for state in JobState if not job(state=state).is_at_rest} == ACTIVE
    assert JobState.PAUSED not in ACTIVE


def test_the_rate_counts_the_time_it_was_carried_out_and_no_other() -> None:
    later = NOW + timedelta(seconds=30)
    assert job().rate(NOW) is None
    assert job(tally=Tally(10), active_seconds=10.0).rate(later) == 1.0
    assert job(tally=Tally(10), active_seconds=10.0, active_since=NOW).rate(later) == 0.25
    assert job(active_since=NOW).rate(later) is None


def test_a_digest_is_over_what_was_asked_for_and_what_was_found() -> None:
    found = job(tally=Tally(1, 2, 3, {"bytes": 4}))
    others = [
        job(tally=Tally(1, 2, 3, {"bytes": 5})),
        job(tally=Tally(2, 2, 3, {"bytes": 4})),
        replace(found, options={"image": "5c"}),
        replace(found, tenant=GLOBEX),
        replace(found, kind=JobKind.ERASE),
    ]
    assert found.digest == replace(found, turn=9, updated_at=NOW).digest
    assert found.digest not in {other.digest for other in others}


def test_an_end_is_told_alike_each_time_and_otherwise_for_each_attempt() -> None:
    done = job(state=JobState.COMPLETED, tally=Tally(3, 2, 1, {"bytes": 4}), ended_at=NOW)
    failed = job(state=JobState.FAILED, reason="why", ended_at=NOW)
    event = job_event(done)
    assert isinstance(event, JobCompleted)
    assert (event.done, event.skipped, event.failed, event.counts) == (3, 2, 1, {"bytes": 4})
    assert event.event_id == job_event(replace(done, ended_at=NOW + timedelta(1))).event_id
    told = job_event(failed)
    assert isinstance(told, JobFailed)
    assert told.reason == "why"
    assert told.event_id not in {event.event_id, job_event(replace(failed, attempt=2)).event_id}


def steps(assets: dict[TenantId, int], *phases: str, joined: bool = False) -> RangeSteps:
    tenants = SimpleNamespace(ids=lambda: iter(assets))
    counters = SimpleNamespace(total=lambda tenant: SimpleNamespace(usage=Usage(assets=assets[tenant])))
    return RangeSteps(tenants, counters, phases or ("only",), joined=joined)  # type: ignore[arg-type]


def all_steps(plan: RangeSteps, about: Job) -> list[Any]:
    position: str | None = ""
    found = []
    while position is not None:
        found.append(plan.step(about, position))
        position = found[-1].next
    return found


@pytest.mark.parametrize("images", [0, 150, 5_000, 10**6, 3 * 10**7])
def test_steps_cover_a_tenant_once_in_each_phase_and_none_is_too_large(images: int) -> None:
    found = all_steps(steps({ACME: images}, "first", "second"), job())
    works = [work for step in found for work in step.works]
    wanted = list(ranges(digits_for(images)))
    assert [work.within for work in works if work.phase == "first"] == wanted
    assert [work.within for work in works if work.phase == "second"] == wanted
    assert max(len(list(step.works)) for step in found) <= RANGES_PER_STEP
    assert abs(sum(step.images for step in found) - 2 * images) <= len(found)
    assert all(len({work.phase for work in step.works}) <= 1 for step in found)


def test_small_tenants_share_a_step_and_each_is_covered() -> None:
    assets = {TenantId(f"tenant-{number:04d}"): number % 7 * 100 for number in range(2_000)}
    found = all_steps(steps(assets), job(tenant=None))
    covered: dict[TenantId, list[str | None]] = {}
    for step in found:
        for work in step.works:
            covered.setdefault(work.tenant, []).append(work.within)
    assert covered == {tenant: list(ranges(digits_for(number))) for tenant, number in assets.items()}
    assert 1 < len(found) < 20


@pytest.mark.parametrize(
    ("images", "parts"), [(100, 1), (101, 4), (1_000, 4), (1_001, 8), (2_000, 8), (2_001, 16), (6_401, 256)]
)
def test_joined_ranges_of_a_small_tenant_are_fewer_parts_and_cover_it(images: int, parts: int) -> None:
    (step,) = all_steps(steps({ACME: images}, joined=True), job())
    spans = [ends(str(work.within)) for work in step.works]
    digits = len(spans[0][0])
    covered = [
        number for first, last in spans for number in range(int(first or "0", 16), int(last or "0", 16) + 1)
    ]
    assert (len(spans), covered) == (parts, list(range(16**digits)))


def test_joined_ranges_of_many_tenants_cover_each_once_wherever_a_step_ends() -> None:
    assets = {TenantId(f"tenant-{number:04d}"): number % 9 * 250 for number in range(700)}
    covered: dict[TenantId, list[int]] = {}
    for step in all_steps(steps(assets, joined=True), job(tenant=None)):
        for work in step.works:
            first, last = ends(str(work.within))
            numbers = range(int(first or "0", 16), int(last or "0", 16) + 1)
            covered.setdefault(work.tenant, []).extend(numbers)
    assert covered == {tenant: list(range(16 ** digits_for(number))) for tenant, number in assets.items()}


def test_a_tenant_that_grows_between_two_steps_stays_cut_as_it_was() -> None:
    first = steps({ACME: 10**7}).step(job(), "")
    second = steps({ACME: 10}).step(job(), str(first.next))
    assert {len(str(work.within)) for work in (*first.works, *second.works)} == {4}

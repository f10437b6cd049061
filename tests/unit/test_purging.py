"""Purge jobs: what is worked on, re-queued, and left for the next day."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from catalog.domain.hops import MAX_HOPS
from catalog.domain.keys import AssetId, TenantId
from catalog.domain.purge import CLAIMED_FOR, PurgeJob, PurgeRun, RunClaimedError, RunSource, RunState
from catalog.use_cases.purging import WORK_FOR, DailyPurge, Outcome, Purging

NOW = datetime(2026, 11, 24, 3, 15, tzinfo=UTC)
ACME = TenantId("acme")
RUN = PurgeRun(
    tenant=ACME,
    id="run",
    state=RunState.RUNNING,
    source=RunSource.REQUEST,
    requested_by="someone",
    as_of=NOW,
    older_than=timedelta(days=30),
    candidates=tuple(AssetId(f"{number:064x}") for number in range(60)),
    size_bytes=0,
    more=False,
)


class Clock:
    """Every candidate takes a second."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Queue:
    sent: list[tuple[PurgeJob, timedelta]] = field(default_factory=list)

    def send(self, job: PurgeJob, *, delay: timedelta = timedelta(0)) -> None:
        self.sent.append((job, delay))


@dataclass
class Runs:
    """One run, as the table keeps it."""

    run: PurgeRun = RUN
    claimed: bool = False
    released: int = 0

    def get(self, *_: Any) -> PurgeRun:
        return self.run

    def unfinished(self, _: TenantId) -> list[PurgeRun]:
        return [self.run] if self.run.state is RunState.RUNNING else []

    def claim(self, run: PurgeRun, **_: Any) -> PurgeRun:
        if self.claimed:
            raise RunClaimedError(run.id)
        return run

    def advance(self, run: PurgeRun, *, position: int, **_: Any) -> PurgeRun:
        done = position == len(run.candidates)
        self.run = replace(run, position=position, state=RunState.COMPLETED if done else run.state)
        return self.run

    def release(self, *_: Any, **__: Any) -> None:
        self.released += 1


class Assets:
    """Every candidate is gone already; nothing else is unused."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def find(self, _: Any) -> None:
        self.clock.now += timedelta(seconds=1)

    def unused(self, *_: Any, **__: Any) -> Iterator[Any]:
        return iter(())

    def many(self, *_: Any) -> dict[Any, Any]:
        return {}


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def runs() -> Runs:
    return Runs()


@pytest.fixture
def completed() -> list[PurgeRun]:
    return []


@pytest.fixture
def purging(queue: Queue, runs: Runs, completed: list[PurgeRun]) -> Purging:
    clock, unused = Clock(), Any
    collaborators: dict[str, Any] = dict.fromkeys(("originals", "renditions", "bands", "grouping"), unused)
    return Purging(
        **collaborators,
        assets=Assets(clock),  # type: ignore[arg-type]
        runs=runs,  # type: ignore[arg-type]
        queue=queue,  # type: ignore[arg-type]
        grace=timedelta(days=30),
        completed=completed.append,
        clock=clock,
    )


def test_a_worker_stops_when_its_time_is_up_and_enqueues_the_rest_as_the_next_of_its_chain(
    purging: Purging, queue: Queue, runs: Runs, completed: list[PurgeRun]
) -> None:
    assert purging.work(PurgeJob(ACME, "run", hops=3)) is Outcome.WORKED

    assert runs.run.position == 50  # the slice that passes 40 seconds is finished
    assert timedelta(seconds=50) > WORK_FOR
    assert queue.sent == [(PurgeJob(ACME, "run", hops=4), timedelta(0))]
    assert (runs.released, completed) == (1, [])


def test_the_next_worker_completes_the_run_and_enqueues_nothing(
    purging: Purging, queue: Queue, runs: Runs, completed: list[PurgeRun]
) -> None:
    purging.work(PurgeJob(ACME, "run"))
    queue.sent.clear()

    assert purging.work(PurgeJob(ACME, "run", hops=1)) is Outcome.WORKED

    assert (queue.sent, [run.state for run in completed]) == ([], [RunState.COMPLETED])


def test_a_completed_run_is_not_touched_again(purging: Purging, queue: Queue, runs: Runs) -> None:
    runs.run, runs.claimed = replace(RUN, state=RunState.COMPLETED), True

    assert purging.work(PurgeJob(ACME, "run")) is Outcome.WORKED
    assert queue.sent == []


@pytest.mark.parametrize("run_id", ["run", None])
def test_a_job_that_finds_a_run_claimed_is_requeued_for_when_the_claim_expires(
    purging: Purging, queue: Queue, runs: Runs, run_id: str | None
) -> None:
    runs.claimed = True

    assert purging.work(PurgeJob(ACME, run_id, hops=7)) is Outcome.CLAIMED
    assert queue.sent == [(PurgeJob(ACME, run_id, hops=8), CLAIMED_FOR)]


@pytest.mark.parametrize("claimed", [True, False])
def test_the_last_job_of_a_chain_leaves_the_rest_to_the_next_day(
    purging: Purging, queue: Queue, runs: Runs, claimed: bool
) -> None:
    runs.claimed = claimed

    assert purging.work(PurgeJob(ACME, "run", hops=MAX_HOPS)) is Outcome.LEFT_FOR_NEXT_DAY
    assert queue.sent == []


def test_a_tenants_job_carries_on_with_an_unfinished_run_first(
    purging: Purging, queue: Queue, runs: Runs, completed: list[PurgeRun]
) -> None:
    assert purging.work(PurgeJob(ACME)) is Outcome.WORKED
    assert queue.sent == [(PurgeJob(ACME, "run", hops=1), timedelta(0))]

    purging.work(PurgeJob(ACME, hops=1))
    assert (len(queue.sent), len(completed)) == (1, 1)  # and nothing else is unused


def test_a_day_starts_with_one_job_a_tenant(queue: Queue) -> None:
    class Tenants:
        def ids(self) -> Iterator[TenantId]:
            yield from (ACME, TenantId("globex"))

    assert DailyPurge(Tenants(), queue).start() == 2  # type: ignore[arg-type]
    assert queue.sent == [(PurgeJob(ACME), timedelta(0)), (PurgeJob(TenantId("globex")), timedelta(0))]

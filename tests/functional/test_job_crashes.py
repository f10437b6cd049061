"""Jobs whose functions are killed at every AWS call, whose answers are lost, and whose functions interleave.

After a crash the machine asks the planner again, and the planner plans a worker's part again.  A client
repeats its request, or the sweeper starts the job.  Each image counts once, whichever function crashed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import botocore.client
import pytest

from catalog.adapters.executions import Executions
from catalog.adapters.jobs_table import Jobs
from catalog.domain.jobs import JobState
from catalog.domain.paging import PageRequest
from tests.functional.cloud import Cloud, Killed
from tests.functional.counting_jobs import Counted, order, started
from tests.functional.interleaving import ORDERS, Scheduler
from tests.functional.jobs import JobRun
from tests.functional.test_lost_answers import every_answer_lost_once

# Two parts, of two images and of one; one image is a failure.
IMAGES = ("00", "01", "10")


@pytest.fixture
def kind(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Counted:
    for function in ("jobs", "job_sweeper"):
        cloud.function(function)
    return Counted(images=IMAGES, phases=("only",), bad=frozenset({"01"})).play(cloud, monkeypatch)


def the_one_job(cloud: Cloud) -> JobRun | None:
    page = Jobs("JobsTable").page(None, PageRequest(10))
    return JobRun(cloud, page.entries[0].id) if page.entries else None


def whole_story(cloud: Cloud) -> JobRun:
    """A job that is paused after its first round, and resumed; a client whose call died makes it again."""
    with suppress(Killed):
        started(cloud)
    run = the_one_job(cloud) or started(cloud)
    cloud_sweeps(cloud)
    run.round(lambda lines: lines[:1])
    say(cloud, run, "pause")
    run.to_the_end()
    say(cloud, run, "resume")
    cloud_sweeps(cloud)
    run.start()
    run.to_the_end()
    return run


def say(cloud: Cloud, run: JobRun, what: str) -> None:
    with suppress(Killed):
        assert order(cloud, run, what) != "internal_error"
        return
    assert order(cloud, run, what) != "internal_error"


def cloud_sweeps(cloud: Cloud) -> None:
    with suppress(Killed):
        cloud.invoke("job_sweeper", {})
        return
    cloud.invoke("job_sweeper", {})


@contextmanager
def watched_functions(*, kill_at: int | None = None, after: bool = False) -> Iterator[list[str]]:
    """Record the AWS calls of functions, and not the test's own; kill the one that makes the `kill_at`-th."""
    calls: list[str] = []
    make, invoke = botocore.client.BaseClient._make_api_call, Cloud.invoke
    running: list[str] = []

    def invoked(self: Cloud, name: str, event: dict[str, Any]) -> dict[str, Any]:
        running.append(name)
        try:
            return invoke(self, name, event)
        finally:
            running.pop()

    def watched(self: Any, operation: str, arguments: Any) -> Any:
        if not running:
            return make(self, operation, arguments)
        number = len(calls)
        calls.append(f"{running[-1]}:{operation}")
        if number == kill_at and not after:
            raise Killed
        answer = make(self, operation, arguments)
        if number == kill_at:
            raise Killed
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Cloud, "invoke", invoked)
        patch.setattr(botocore.client.BaseClient, "_make_api_call", watched)
        yield calls


def test_killed_at_any_call_of_any_function_a_job_counts_each_image_once(cloud: Cloud, kind: Counted) -> None:
    beginning = cloud.moment()
    with watched_functions() as calls:
        assert kind.is_all_counted(whole_story(cloud))

    for number, call in enumerate(list(calls)):
        reads = call.split(":")[1] in {"GetItem", "BatchGetItem", "Query", "GetObject", "DescribeExecution"}
        for after in (False,) if reads else (False, True):
            beginning.restore()
            with watched_functions(kill_at=number, after=after):
                run = whole_story(cloud)
            assert kind.is_all_counted(run), f"killed {'after' if after else 'before'} {number}, {call}"
            assert Executions(cloud.job_machine).is_running(replace(run.job, attempt=1)) is not None


def test_with_every_answer_lost_once_a_job_counts_each_image_once(cloud: Cloud, kind: Counted) -> None:
    with every_answer_lost_once() as sent_again:
        run = whole_story(cloud)
    assert {"PutItem", "UpdateItem", "PutObject", "StartExecution"} <= set(sent_again)
    assert kind.is_all_counted(run)


def test_a_report_whose_transaction_is_sent_again_after_its_token_was_forgotten_counts_once(
    cloud: Cloud, kind: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """moto forgets at once, DynamoDB after ten minutes."""
    with every_report_sent_twice():
        run = started(cloud)
        run.to_the_end()
    assert run.faults == []
    assert kind.is_all_counted(run)


@contextmanager
def every_report_sent_twice() -> Iterator[None]:
    make = botocore.client.BaseClient._make_api_call

    def twice(self: Any, operation: str, arguments: Any) -> Any:
        if operation == "TransactWriteItems":
            make(self, operation, arguments)
        return make(self, operation, arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.client.BaseClient, "_make_api_call", twice)
        yield


# --- At the same time --------------------------------------------------------------------------------------


def together(
    cloud: Cloud, scheduler: Scheduler, beginning: Any, *works: Callable[[JobRun], Any], run: JobRun
) -> None:
    """Every order of their first calls; afterwards the job goes on to its end."""
    for turns in ORDERS[::3]:
        beginning.restore()
        with scheduler.in_charge():
            scheduler.take_turns(turns, *(lambda work=work: work(run) for work in works))
        if run.job.is_at_rest and run.job.state is not JobState.COMPLETED:
            order(cloud, run, "resume")
        run.start()
        run.to_the_end()


def tolerated(work: Callable[[], Any]) -> None:
    with suppress(Exception):
        work()


def test_two_workers_at_one_part_count_each_image_once(
    cloud: Cloud, kind: Counted, scheduler: Scheduler
) -> None:
    run = started(cloud)
    run.plan()
    (line, *_) = run.lines()

    def work(_: JobRun) -> None:
        cloud.invoke("recount_worker", line)

    together(cloud, scheduler, cloud.moment(), work, work, run=run)
    assert kind.is_all_counted(run)


def test_two_planners_with_the_same_question_lose_and_double_nothing(
    cloud: Cloud, kind: Counted, scheduler: Scheduler
) -> None:
    run = started(cloud)
    asked = {"job": run.id, "attempt": 1, "round": 0}
    together(
        cloud,
        scheduler,
        cloud.moment(),
        lambda _: cloud.invoke("job_planner", asked),
        lambda _: cloud.invoke("job_planner", asked),
        run=run,
    )
    assert kind.is_all_counted(run)


@pytest.mark.parametrize("what", ["pause", "cancel"])
def test_an_order_beside_a_planner_is_kept(
    cloud: Cloud, kind: Counted, scheduler: Scheduler, what: str
) -> None:
    run = started(cloud)
    asked = {"job": run.id, "attempt": 1, "round": 0}
    beginning = cloud.moment()
    for turns in ORDERS[::3]:
        beginning.restore()
        with scheduler.in_charge():
            scheduler.take_turns(
                turns, lambda: cloud.invoke("job_planner", asked), lambda: order(cloud, run, what)
            )
        run.start()
        assert run.to_the_end().state is (JobState.PAUSED if what == "pause" else JobState.CANCELLED)
        assert Jobs("JobsTable").begun_parts(run.job, 0) == set()


def test_a_pause_beside_a_worker_leaves_no_part_half_done(
    cloud: Cloud, kind: Counted, scheduler: Scheduler
) -> None:
    run = started(cloud)
    run.plan()
    (line, *_) = run.lines()
    beginning = cloud.moment()
    for turns in ORDERS[::3]:
        beginning.restore()
        with scheduler.in_charge():
            scheduler.take_turns(
                turns, lambda: cloud.invoke("recount_worker", line), lambda: order(cloud, run, "pause")
            )
        run.start()
        assert run.to_the_end().state is JobState.PAUSED
        assert Jobs("JobsTable").begun_parts(run.job, 0) == set()
        assert run.job.tally.images in {0, 2}
        order(cloud, run, "resume")
        run.start()
        run.to_the_end()
        assert kind.is_all_counted(run)


def test_two_sweepers_start_one_execution(cloud: Cloud, kind: Counted, scheduler: Scheduler) -> None:
    run = started(cloud)
    arn = f"{cloud.job_machine.replace(':stateMachine:', ':execution:')}:{run.id}-1"
    boto3.client("stepfunctions").stop_execution(executionArn=arn)
    beginning = cloud.moment()
    for turns in ORDERS[::3]:
        beginning.restore()
        with scheduler.in_charge():
            scheduler.take_turns(turns, *[lambda: cloud.invoke("job_sweeper", {})] * 2)
        assert run.job.attempt == 2
    run.start()
    run.to_the_end()
    assert kind.is_all_counted(run)
    assert run.job.ended_at is not None
    assert datetime.now(UTC) - run.job.ended_at < timedelta(hours=1)

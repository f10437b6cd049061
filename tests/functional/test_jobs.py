"""Jobs are planned, carried out, paused, resumed, cancelled and retried, by a kind that only counts."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.adapters import executions
from catalog.adapters.executions import Executions
from catalog.adapters.jobs_table import Jobs
from catalog.domain.jobs import (
    Done,
    ExecutionNotStartedError,
    Failure,
    JobMovedError,
    JobState,
    PartClaimedError,
    Step,
    Work,
)
from catalog.domain.keys import TenantId, tenant_id
from catalog.domain.paging import PageRequest
from catalog.use_cases import job_parts, job_planning, job_sweeping
from catalog.use_cases.job_parts import DEATHS, FAULTS, FAULTS_OF_THE_LAST
from catalog.use_cases.job_planning import MOST_IDLE_ROUNDS, MOST_PARTS, ROUNDS_PER_EXECUTION
from catalog.use_cases.job_sweeping import MOST_RESTARTS
from catalog.use_cases.side_by_side import SideBySide
from tests.functional.cloud import Cloud, Killed
from tests.functional.counting_jobs import IMAGES, PARTS, Counted, events, failures_of, order, started
from tests.functional.jobs import JobRun, Lines

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.fixture
def kind(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted().play(cloud, monkeypatch)


# --- From the request to the end ----------------------------------------------------------------------------


def test_a_job_goes_through_its_steps_and_counts_every_image_once(cloud: Cloud, kind: Counted) -> None:
    run = started(cloud)

    job = run.to_the_end()

    assert kind.is_all_counted(run)
    assert (job.step, job.expected, run.faults) == (2, 2 * len(IMAGES), [])
    assert sorted(kind.taken) == sorted((phase, name) for phase in ("first", "second") for name in IMAGES)
    assert len(run.carried_out) == 2 * PARTS


def test_a_job_is_answered_as_it_goes_and_by_one_read_however_large_it_is(
    cloud: Cloud, kind: Counted
) -> None:
    run = started(cloud)
    run.plan()
    for line in run.lines()[:2]:
        run.work(line)

    with cloud.watched_calls() as calls:
        answer = cloud.job("GET", f"/{run.id}")

    assert calls.made == ["dynamodb:GetItem", "dynamodb:GetItem"], "the caller's client, and the job"
    progress = answer.json["progress"]
    assert answer.json["state"] == "running"
    assert (progress["expected"], progress["done"], progress["step"]) == (len(IMAGES), 8, 0)
    assert progress["per_second"] > 0
    assert progress["seconds_left"] is not None, "in tenths: a fast machine has none left"


def test_a_dry_run_is_what_is_asked_for_by_default(cloud: Cloud, kind: Counted) -> None:
    answer = cloud.job("POST", body={"kind": "recount", "tenant": "acme"})
    assert (answer.status, answer.json["dry_run"]) == (202, True)


def test_an_execution_is_started_under_the_name_of_the_jobs_attempt(cloud: Cloud, kind: Counted) -> None:
    run = started(cloud)
    machine = Executions(cloud.job_machine)
    assert machine.is_running(run.job) is True
    assert machine.is_running(replace(run.job, attempt=2)) is None


def test_jobs_are_listed_newest_first_in_pages_and_by_tenant(cloud: Cloud, kind: Counted) -> None:
    runs = [started(cloud, tenant=tenant) for tenant in ("acme", "globex", "*", "acme")]
    newest_first = [run.id for run in reversed(runs)]

    first = cloud.job("GET", query={"limit": "3"}).json
    second = cloud.job("GET", query={"limit": "3", "cursor": first["cursor"]}).json
    of_acme = cloud.job("GET", query={"tenant": "acme"}).json

    assert [job["id"] for job in first["jobs"] + second["jobs"]] == newest_first
    assert [job["id"] for job in of_acme["jobs"]] == [newest_first[0], newest_first[3]]
    assert [job["tenant"] for job in first["jobs"]] == ["acme", None, "globex"]
    refused = cloud.job("GET", query={"tenant": "globex", "cursor": of_acme["cursor"] or first["cursor"]})
    assert refused.json["error"]["code"] == "invalid_cursor"


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/20261130T000000-00000000", "job_not_found"),
        ("GET", "/20261130T000000-00000000/failures", "job_not_found"),
        ("POST", "/20261130T000000-00000000/pause", "job_not_found"),
        ("POST", "/20261130T000000-00000000/retry", "job_not_found"),
        ("GET", "/no_job", "invalid_request"),
        ("POST", "/no_job/resume", "invalid_request"),
        ("POST", "/20261130T000000-00000000/polish", "not_found"),
    ],
)
def test_what_is_no_job_is_said_so(cloud: Cloud, method: str, path: str, code: str) -> None:
    assert cloud.job(method, path).json["error"]["code"] == code


def test_a_job_of_a_tenant_that_is_not_there_is_refused(cloud: Cloud) -> None:
    answer = cloud.job("POST", body={"kind": "recount", "tenant": "initech"})
    assert (answer.status, answer.json["error"]["code"]) == (404, "tenant_not_found")
    assert cloud.job("GET").json["jobs"] == []


def test_a_job_that_completes_is_told_of_once_with_what_it_came_to(
    cloud: Cloud, kind: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = events(monkeypatch, cloud)
    run = started(cloud)
    run.to_the_end()

    (event,) = told
    assert (event["type"], event["job_id"], event["tenant"]) == ("job.completed", run.id, "acme")
    assert (event["done"], event["failed"], event["counts"]) == (32, 0, dict(run.job.tally.counts))


def test_an_event_that_the_bus_refuses_is_sent_again_before_the_job_is_recorded_as_completed(
    cloud: Cloud, kind: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = started(cloud)
    answers = [0, 1]
    monkeypatch.setattr(type(cloud.function("job_planner").planning.bus), "put", lambda *_: answers.pop(0))

    assert run.to_the_end().state is JobState.COMPLETED
    assert [type(fault) for fault in run.faults] == [job_planning.EventRefusedError]


# --- Parts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "disorder",
    [
        reversed,
        lambda lines: [*lines, *lines],
        lambda lines: [line for line in lines for _ in range(2)],
        lambda lines: lines[::2],
        lambda lines: lines[:1],
    ],
    ids=["backwards", "twice", "each twice", "every other lost", "all but one lost"],
)
def test_in_whatever_order_and_number_lines_are_carried_out_each_image_counts_once(
    cloud: Cloud, kind: Counted, disorder: Any
) -> None:
    run = started(cloud)
    run.to_the_end(disorder)
    assert kind.is_all_counted(run)


def test_a_part_of_an_older_round_that_comes_late_changes_nothing(cloud: Cloud, kind: Counted) -> None:
    run = started(cloud)
    run.plan()
    late = run.lines()
    run.to_the_end()
    before = run.job

    for line in late:
        run.work(line)

    assert run.job == before


def test_a_job_with_fewer_workers_than_the_deployment_has_as_many_lanes(cloud: Cloud, kind: Counted) -> None:
    run = started(cloud, concurrency=1)

    assert run.plan()["next"] == "work"
    (lane,) = run.lines()
    run.work(lane)

    assert (lane["kind"], len(lane["lines"])) == ("recount", PARTS)
    assert run.job.tally.done == len(IMAGES)
    run.to_the_end()
    assert kind.is_all_counted(run)


def test_a_lane_is_cut_where_the_state_machine_takes_no_more(
    cloud: Cloud, kind: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_planning, "LONGEST_LINE", 500)
    run = started(cloud, concurrency=1)
    run.plan()
    (lane,) = run.lines()
    assert 1 < len(lane["lines"]) < PARTS
    run.to_the_end()
    assert kind.is_all_counted(run)


def test_a_worker_begins_nothing_after_its_time_and_another_goes_on_behind_what_was_reported(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = Counted(digits=0).play(cloud, monkeypatch)
    clock = [datetime.now(UTC)]

    def passing() -> datetime:
        clock[0] += timedelta(seconds=10)
        return clock[0]

    worker = cloud.function("recount_worker")
    monkeypatch.setattr(worker, "parts", replace(worker.parts, clock=passing))
    run = started(cloud)
    run.plan()
    run.work(run.lines()[0])

    assert 0 < run.job.tally.done < len(IMAGES), "its 120 seconds were over"
    run.to_the_end()
    assert kind.is_all_counted(run)
    assert len(kind.taken) == len(set(kind.taken)), "and nobody took an image again"


def test_a_worker_that_raises_loses_nothing(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = Counted(faulty={IMAGES[2], IMAGES[9]}).play(cloud, monkeypatch)
    run = started(cloud)
    run.to_the_end()
    assert len(run.faults) == 2
    assert kind.is_all_counted(run)


# --- Side by side ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "trouble",
    [{}, {"faulty": {"01", "f3"}}, {"bad": frozenset({"00", "10"})}, {"deadly": frozenset({"02"})}],
    ids=["none", "faults", "failures", "a death"],
)
def test_subjects_taken_side_by_side_are_counted_once_and_reported_in_order(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, trouble: dict[str, Any]
) -> None:
    kind = Counted(digits=0, **trouble).play(cloud, monkeypatch, SideBySide(len, most=3))
    reported = list[str | None]()
    report = Jobs.report

    def noted(self: Jobs, *told: Any, after: str | None, **also: Any) -> Any:
        reported.append(after)
        return report(self, *told, after=after, **also)

    monkeypatch.setattr(Jobs, "report", noted)
    monkeypatch.setattr(job_parts, "REPORT_AFTER", timedelta(0))
    run = started(cloud)
    run.to_the_end()

    assert kind.is_all_counted(run)
    of_a_phase = reported[: reported.index(IMAGES[-1]) + 1]
    assert of_a_phase == sorted(of_a_phase, key=str)


def test_what_was_begun_side_by_side_when_its_time_was_over_is_reported(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = Counted(digits=0).play(cloud, monkeypatch, SideBySide(len, most=3))
    clock = [datetime.now(UTC)]

    def passing() -> datetime:
        clock[0] += timedelta(seconds=10)
        return clock[0]

    worker = cloud.function("recount_worker")
    monkeypatch.setattr(worker, "parts", replace(worker.parts, clock=passing))
    run = started(cloud)
    run.plan()
    run.work(run.lines()[0])

    assert 0 < run.job.tally.done == len(kind.taken) < len(IMAGES)
    run.to_the_end()
    assert kind.is_all_counted(run)
    assert len(kind.taken) == len(set(kind.taken)), "nobody took an image again"


# --- Failures -------------------------------------------------------------------------------------------


def test_every_failure_is_named_and_only_those_are_tried_again(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = frozenset(IMAGES[::3])
    kind = Counted(bad=bad).play(cloud, monkeypatch)
    run = started(cloud)
    run.to_the_end()
    assert kind.is_all_counted(run)
    listed = cloud.job("GET", f"/{run.id}/failures", query={"limit": "5"}).json
    assert {"tenant": "acme", "phase": "first", "subject": IMAGES[0], "code": "bad",
            "detail": "it always is"} in listed["failures"]  # fmt: skip
    assert listed["cursor"]

    mended = Counted().play(cloud, monkeypatch)
    answer = cloud.job("POST", f"/{run.id}/retry")
    again = JobRun(cloud, answer.json["id"])
    job = again.to_the_end()

    assert (answer.status, answer.json["retry_of"]) == (202, run.id)
    assert (job.state, job.tally.done, job.tally.failed) == ("completed", 2 * len(bad), 0)
    assert job.expected == 2 * len(bad)
    assert sorted(mended.taken) == sorted((phase, name) for phase in ("first", "second") for name in bad)


def test_failures_with_long_names_are_tried_again_in_smaller_parts(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an import has them: a key with its filename and fifty references."""
    named = tuple(f"{number:02x}" + " " * 7_000 for number in range(40))
    Counted(images=named, bad=frozenset(named)).play(cloud, monkeypatch)
    run = started(cloud)
    run.to_the_end()
    kind = Counted(images=named).play(cloud, monkeypatch)

    again = JobRun(cloud, cloud.job("POST", f"/{run.id}/retry").json["id"])
    job = again.to_the_end()

    assert (job.state, job.reason, job.tally.done) == ("completed", None, 2 * len(named))
    assert sorted(kind.taken) == sorted((phase, name) for phase in ("first", "second") for name in named)


def test_a_job_without_failures_or_one_that_runs_cannot_be_tried_again(cloud: Cloud, kind: Counted) -> None:
    run = started(cloud)
    assert order(cloud, run, "retry") == "job_state"
    run.to_the_end()
    assert order(cloud, run, "retry") == "job_state"


def test_a_batch_with_more_failures_than_a_transaction_has_room_for_names_them_all(cloud: Cloud) -> None:
    jobs = Jobs("JobsTable")
    run = started(cloud)
    many = tuple(Failure(f"object-{number}", "bad", "why") for number in range(150))
    part = jobs.begin(run.job, "000000/000000", resume_only=False, now=NOW)

    work = Work(TenantId("acme"), "first", None)
    jobs.report(run.job, part, work, Done(failures=many), after="x", completed=True, now=NOW)

    assert run.job.tally.failed == 150
    assert {found.failure for found in failures_of(run)} == set(many)


def test_a_subject_that_kills_its_workers_is_named_and_the_rest_is_done(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadly = frozenset({IMAGES[5], IMAGES[6], IMAGES[13]})
    kind = Counted(deadly=deadly).play(cloud, monkeypatch)
    run = started(cloud)

    run.to_the_end()

    assert kind.is_all_counted(run)
    assert {found.failure.code for found in failures_of(run)} == {"worker_died"}
    # The first to die was not careful; of two in a row the second is met by a careful worker.
    assert len(run.faults) == 2 * ((1 + DEATHS) + DEATHS + (1 + DEATHS))


def test_a_subject_that_raises_a_fault_each_time_is_named_and_the_rest_is_done(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = Counted(broken=frozenset({IMAGES[5], IMAGES[9]})).play(cloud, monkeypatch)
    run = started(cloud)

    run.to_the_end()

    assert kind.is_all_counted(run)
    named = {(found.failure.code, found.failure.detail) for found in failures_of(run)}
    assert named == {("worker_failed", f"RuntimeError: {name} is broken") for name in kind.broken}
    assert len(run.faults) == 2 * 2 * FAULTS


def test_the_last_subject_of_a_part_is_named_when_the_job_is_resumed(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = Counted(broken=frozenset({IMAGES[3]})).play(cloud, monkeypatch)
    run = started(cloud)

    while run.to_the_end().state is JobState.FAILED:
        assert run.job.reason == f"1 parts made no progress in {MOST_IDLE_ROUNDS} rounds; see the logs"
        assert order(cloud, run, "resume") == "running"

    assert kind.is_all_counted(run)
    assert len(run.faults) == 2 * FAULTS_OF_THE_LAST


def test_an_outage_is_no_subjects_fault_and_the_job_goes_on_after_it(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    outage = Counted(broken=frozenset(IMAGES)).play(cloud, monkeypatch)
    run = started(cloud)

    assert run.to_the_end().state is JobState.FAILED
    assert (run.job.tally.images, outage.taken) == (0, [])

    kind = Counted().play(cloud, monkeypatch)
    assert order(cloud, run, "resume") == "running"
    run.to_the_end()
    assert kind.is_all_counted(run)


def test_a_worker_that_dies_once_is_no_reason_to_give_a_subject_up(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = Counted().play(cloud, monkeypatch)

    def die() -> None:
        raise Killed

    kind.meanwhile.extend([die, die])
    run = started(cloud)
    run.to_the_end()
    assert (len(run.faults), run.job.tally.failed) == (2, 0)
    assert kind.is_all_counted(run)


# --- Rounds that come to nothing -----------------------------------------------------------------------


def test_a_job_that_makes_no_progress_fails_with_the_reason_and_goes_on_when_it_is_resumed(
    cloud: Cloud, kind: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = events(monkeypatch, cloud)
    run = started(cloud)

    job = run.to_the_end(lambda _: [])

    assert job.state is JobState.FAILED
    assert job.reason == f"{PARTS} parts made no progress in {MOST_IDLE_ROUNDS} rounds; see the logs"
    assert [(event["type"], event["reason"]) for event in told] == [("job.failed", job.reason)]
    assert order(cloud, run, "resume") == "running"
    assert Executions(cloud.job_machine).is_running(run.job)
    run.to_the_end()
    assert kind.is_all_counted(run)
    assert [event["type"] for event in told] == ["job.failed", "job.completed"]


def test_between_rounds_that_come_to_nothing_the_machine_waits_longer_each_time(
    cloud: Cloud, kind: Counted
) -> None:
    run = started(cloud)
    waits = []
    while run.job.state is JobState.RUNNING:
        before = run.passed
        if run.round(lambda _: []) == "wait":
            waits.append(round((run.passed - before).total_seconds()))
    assert waits == sorted(waits)
    assert len(waits) == MOST_IDLE_ROUNDS - 1


def test_progress_between_them_makes_earlier_idle_rounds_forgotten(cloud: Cloud, kind: Counted) -> None:
    run = started(cloud)
    for _ in range(3):
        works = iter([[], [], [], "some"])
        while run.job.state is JobState.RUNNING:
            run.round(lambda lines, works=works: lines[:1] if next(works, "some") else [])
            if not run.job.stage.idle and run.job.tally.done:
                break
    assert run.job.tally.done >= 4


def test_the_same_question_asked_again_is_no_idle_round(cloud: Cloud, kind: Counted) -> None:
    """The planner's answer was lost, over and over."""
    run = started(cloud)
    first = run.plan()
    for _ in range(3 * MOST_IDLE_ROUNDS):
        again = cloud.invoke("job_planner", {**first, "round": first["round"] - 1, "next": "work"})
        assert again["next"] == "work"
    assert run.job.stage.idle == 0


# --- Pausing, resuming, cancelling -----------------------------------------------------------------------


@pytest.mark.parametrize(("what", "on_the_way", "at_rest"), [
    ("pause", "pausing", "paused"), ("cancel", "cancelling", "cancelled"),
])  # fmt: skip
def test_what_was_begun_is_completed_before_a_job_rests(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, what: str, on_the_way: str, at_rest: str
) -> None:
    kind = Counted(faulty={IMAGES[5]}).play(cloud, monkeypatch)
    run = started(cloud)
    run.plan()
    some = run.lines()[:2]
    for line in some:
        run.work(line)  # the second one dies in the middle

    assert order(cloud, run, what) == on_the_way
    assert order(cloud, run, what) == on_the_way, "said again, it changes nothing"
    for line in run.lines()[2:]:
        run.work(line)  # the round goes on, and begins nothing
    job = run.to_the_end()

    assert job.state == at_rest
    assert job.tally.done == 8, "of the two parts that were begun"
    assert {name for _, name in kind.taken} == set(IMAGES[:8])
    assert (job.ended_at is not None) == (at_rest == "cancelled")
    assert job.active_since is None
    assert list(Jobs("JobsTable").active()) == []


@pytest.mark.parametrize("asked", ["pause", "cancel"])
def test_an_order_that_comes_while_the_end_is_told_comes_too_late(
    cloud: Cloud, kind: Counted, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    """Otherwise a job that was told of as completed would be recorded as cancelled."""
    told = events(monkeypatch, cloud)
    run = started(cloud)
    bus = cloud.function("job_planner").planning.bus
    put, ordered = type(bus).put, list[str]()

    def put_and_order(self: Any, told_of: Any) -> int:
        if not ordered:
            ordered.append(order(cloud, run, asked))
        return int(put(self, told_of))

    monkeypatch.setattr(type(bus), "put", put_and_order)
    run.to_the_end()

    assert ordered
    assert run.job.state == "completed"
    assert {event["event_id"] for event in told} == {told[0]["event_id"]}
    assert {event["type"] for event in told} == {"job.completed"}


def test_a_paused_job_goes_on_where_it_was(cloud: Cloud, kind: Counted) -> None:
    run = started(cloud)
    run.plan()
    for line in run.lines()[:3]:
        run.work(line)
    order(cloud, run, "pause")
    run.to_the_end()
    assert order(cloud, run, "resume") == "running"
    assert order(cloud, run, "resume") == "running", "said again, it changes nothing"

    run.to_the_end()

    assert run.job.attempt == 2
    assert kind.is_all_counted(run)
    assert len(kind.taken) == len(set(kind.taken)), "nothing was done again"


def test_a_job_whose_lines_were_erased_while_it_was_paused_fails_and_is_not_called_complete(
    cloud: Cloud, kind: Counted
) -> None:
    run = started(cloud)
    run.plan()
    order(cloud, run, "pause")
    assert run.to_the_end().state == "paused"
    cloud.s3.delete_object(Bucket=cloud.jobs_bucket, Key=run.job.stage.file)

    order(cloud, run, "resume")
    job = run.to_the_end()

    assert (job.state, job.tally.images) == ("failed", 0)
    assert "erased" in str(job.reason)


def test_a_job_is_paused_before_anything_was_planned(cloud: Cloud, kind: Counted) -> None:
    run = started(cloud)
    order(cloud, run, "pause")
    assert run.to_the_end().state is JobState.PAUSED
    order(cloud, run, "resume")
    run.to_the_end()
    assert kind.is_all_counted(run)


def test_an_execution_of_an_earlier_attempt_is_told_to_end(cloud: Cloud, kind: Counted) -> None:
    run = started(cloud)
    earlier = run.plan()
    order(cloud, run, "pause")
    run.to_the_end()
    order(cloud, run, "resume")

    assert cloud.invoke("job_planner", earlier)["next"] == "end"
    assert run.job.state is JobState.RUNNING


@pytest.mark.parametrize(
    ("state", "refused"),
    [
        (JobState.COMPLETED, {"pause", "cancel", "resume"}),
        (JobState.CANCELLED, {"pause", "resume"}),
        (JobState.FAILED, {"pause"}),
        (JobState.PAUSED, set[str]()),
        (JobState.PAUSING, {"resume"}),
        (JobState.CANCELLING, {"pause", "resume"}),
        (JobState.RUNNING, set[str]()),
    ],
)
def test_an_order_that_the_state_does_not_allow_is_refused(
    cloud: Cloud, kind: Counted, state: JobState, refused: set[str]
) -> None:
    run = started(cloud)
    jobs = Jobs("JobsTable")
    for what in ("pause", "cancel", "resume"):
        job = run.job
        jobs.save(job, replace(job, state=state), now=NOW)
        assert (order(cloud, run, what) == "job_state") == (what in refused), what


def test_a_job_at_rest_is_cancelled_at_once(cloud: Cloud, kind: Counted) -> None:
    run = started(cloud)
    order(cloud, run, "pause")
    run.to_the_end()
    assert order(cloud, run, "cancel") == "cancelled"
    assert run.job.ended_at is not None


@pytest.mark.parametrize("what", ["cancel", "nothing"])
def test_a_line_that_comes_after_its_job_has_ended_does_nothing(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """What was done by then is counted: `done` tells of work, and a worker that is at a part reports it."""
    kind = Counted(faulty={IMAGES[1]}).play(cloud, monkeypatch)
    run = started(cloud)
    asked = run.plan()
    lines = run.lines()
    run.work(lines[0])  # its worker dies in the middle
    error = {"Error": "States.Timeout", "Cause": "it took too long"}
    cloud.invoke("job_planner", {**asked, "error": error})
    assert order(cloud, run, what) == "cancelled" if what == "cancel" else run.job.state is JobState.FAILED
    before, taken = run.job, list(kind.taken)

    for line in lines:
        assert run.work(line), run.faults

    assert (run.job, kind.taken) == (before, taken)


# --- Waiting ----------------------------------------------------------------------------------------------


def test_a_step_that_waits_is_cut_when_its_time_has_come_and_no_time_counts_until_then(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    until = datetime.now(UTC) + timedelta(days=1)
    kind = Counted(wait=until).play(cloud, monkeypatch)
    run = started(cloud)
    run.round()

    answer = run.plan()

    assert (answer["next"], answer["until"]) == ("wait", f"{until:%Y-%m-%dT%H:%M:%SZ}")
    shown = cloud.job("GET", f"/{run.id}").json
    assert shown["progress"]["waiting_until"] == until.isoformat(timespec="milliseconds").replace(
        "+00:00", "Z"
    )
    assert run.job.active_since is None
    run.wait_until(until)
    run.to_the_end()
    assert kind.is_all_counted(run)
    assert run.job.active_seconds < 3_600


def test_a_job_that_waits_is_paused_and_cancelled_at_once_and_waits_on_when_it_is_resumed(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    until = datetime.now(UTC) + timedelta(days=1)
    kind = Counted(wait=until).play(cloud, monkeypatch)
    run = started(cloud)
    run.round()
    sleeping = run.plan()

    assert order(cloud, run, "pause") == "paused"
    assert cloud.invoke("job_planner", sleeping)["next"] == "end"
    assert order(cloud, run, "resume") == "running"
    run.start()
    assert run.plan()["next"] == "wait"
    run.wait_until(until)
    run.to_the_end()
    assert kind.is_all_counted(run)


# --- Executions that end ------------------------------------------------------------------------------------


def test_an_execution_hands_over_before_its_history_is_full(
    cloud: Cloud, kind: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = started(cloud)
    run.plan()
    full = {"job": run.id, "attempt": 1, "round": ROUNDS_PER_EXECUTION, "next": "work"}

    assert cloud.invoke("job_planner", full)["next"] == "end"

    assert run.job.attempt == 2
    assert Executions(cloud.job_machine).is_running(run.job)
    run.start()
    run.to_the_end()
    assert kind.is_all_counted(run)


def sweep(cloud: Cloud) -> None:
    cloud.invoke("job_sweeper", {})


def test_the_sweeper_starts_what_was_recorded_and_never_started(
    cloud: Cloud, kind: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as lost:
        lost.setattr(executions.Executions, "start", refuse)
        run = started(cloud)
    machine = Executions(cloud.job_machine)
    assert machine.is_running(run.job) is None

    sweep(cloud)

    assert machine.is_running(run.job)
    assert run.job.attempt == 1


def refuse(*_: Any, **__: Any) -> None:
    raise job_planning.ExecutionNotStartedError


def test_a_job_that_cannot_be_started_keeps_no_other_waiting(
    cloud: Cloud, kind: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, tried = Executions.start, list[str]()

    def refuse(_: Executions, job: Any, **__: Any) -> None:
        raise ExecutionNotStartedError(job.id)

    monkeypatch.setattr(Executions, "start", refuse)
    first, second = started(cloud), started(cloud)

    def refuse_one(self: Executions, job: Any, **more: Any) -> None:
        tried.append(job.id)
        if len(tried) == 1:
            raise ExecutionNotStartedError(job.id)
        start(self, job, **more)

    monkeypatch.setattr(Executions, "start", refuse_one)
    with pytest.raises(ExecutionNotStartedError):
        cloud.invoke("job_sweeper", {})

    assert set(tried) == {first.id, second.id}


def test_the_sweeper_starts_another_execution_where_one_was_stopped_and_leaves_one_that_runs(
    cloud: Cloud, kind: Counted
) -> None:
    run = started(cloud)
    run.round()
    sweep(cloud)
    assert run.job.attempt == 1

    stop(cloud, run)
    sweep(cloud)
    sweep(cloud)

    assert (run.job.attempt, run.job.stage.restarts) == (2, 1)
    assert Executions(cloud.job_machine).is_running(run.job)
    run.start()
    run.to_the_end()
    assert kind.is_all_counted(run)
    assert len(kind.taken) == len(set(kind.taken))


def stop(cloud: Cloud, run: JobRun) -> None:
    import boto3  # noqa: PLC0415

    arn = f"{cloud.job_machine.replace(':stateMachine:', ':execution:')}:{run.id}-{run.job.attempt}"
    boto3.client("stepfunctions").stop_execution(executionArn=arn)


def test_a_job_at_rest_is_no_business_of_the_sweepers(cloud: Cloud, kind: Counted) -> None:
    run = started(cloud)
    order(cloud, run, "pause")
    run.to_the_end()
    stop(cloud, run)
    sweep(cloud)
    assert run.job.attempt == 1


def test_a_job_whose_executions_all_end_without_a_report_is_failed(
    cloud: Cloud, kind: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = started(cloud)
    for _ in range(MOST_RESTARTS + 1):
        assert run.job.state is JobState.RUNNING
        stop(cloud, run)
        sweep(cloud)

    # The last one only says why.
    asked = json.loads(described(cloud, run)["input"])
    cloud.invoke("job_planner", asked)

    assert run.job.state is JobState.FAILED
    assert job_sweeping._HOPELESS in str(run.job.reason)
    assert order(cloud, run, "resume") == "running"
    assert run.job.stage.restarts == 0


def described(cloud: Cloud, run: JobRun) -> Any:
    import boto3  # noqa: PLC0415

    arn = f"{cloud.job_machine.replace(':stateMachine:', ':execution:')}:{run.id}-{run.job.attempt}"
    return boto3.client("stepfunctions").describe_execution(executionArn=arn)


def test_an_execution_that_cannot_be_started_is_the_sweepers_and_the_job_is_answered(
    cloud: Cloud, kind: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    def throttled(*_: Any, **__: Any) -> None:
        raise ClientError({"Error": {"Code": "ThrottlingException"}}, "StartExecution")

    with monkeypatch.context() as patch:
        patch.setattr(executions, "client", lambda _: type("C", (), {"start_execution": throttled}))
        run = started(cloud)
    assert run.job.state is JobState.RUNNING
    sweep(cloud)
    assert Executions(cloud.job_machine).is_running(run.job)


def test_a_planner_that_fails_for_good_fails_the_job_with_its_error(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Endless(Counted):
        def step(self, *_: Any) -> Step:
            works = (Work(TenantId("acme"), "first", f"{number:05x}") for number in range(MOST_PARTS + 1))
            return Step(works, 0, None)

    Endless().play(cloud, monkeypatch)
    run = started(cloud)
    job = run.to_the_end()
    assert job.state is JobState.FAILED
    assert "StepTooLargeError" in str(job.reason)


# --- The table ----------------------------------------------------------------------------------------------


def test_a_record_that_was_changed_since_it_was_read_is_not_saved(cloud: Cloud, kind: Counted) -> None:
    run = started(cloud)
    jobs, read = Jobs("JobsTable"), run.job
    jobs.save(read, replace(read, concurrency=1), now=NOW)
    with pytest.raises(JobMovedError):
        jobs.save(read, replace(read, state=JobState.PAUSING), now=NOW)


def test_what_a_kind_has_to_say_is_kept_by_a_planner_that_read_the_record_before(
    cloud: Cloud, kind: Counted
) -> None:
    run = started(cloud)
    read = run.job
    Jobs("JobsTable").attach(run.id, {"signature": "x"})
    with pytest.raises(JobMovedError):
        Jobs("JobsTable").save(read, replace(read, state=JobState.PAUSING), now=NOW)
    run.to_the_end()
    assert cloud.job("GET", f"/{run.id}").json["report"] == {"signature": "x"}


def test_only_the_worker_that_began_a_part_last_reports_and_only_what_it_read(
    cloud: Cloud, kind: Counted
) -> None:
    run, jobs, work = started(cloud), Jobs("JobsTable"), Work(TenantId("acme"), "first", "0")
    slow = jobs.begin(run.job, "000000/000000", resume_only=False, now=NOW)
    quick = jobs.begin(run.job, "000000/000000", resume_only=False, now=NOW)
    jobs.report(run.job, quick, work, Done(done=1), after="1", now=NOW)
    for stale in (slow, quick):
        with pytest.raises(PartClaimedError):
            jobs.report(
                run.job, replace(stale, revision=slow.revision), work, Done(done=1), after="1", now=NOW
            )
        with pytest.raises(PartClaimedError):
            jobs.take_in_hand(run.job, replace(stale, revision=slow.revision), "2")
    assert run.job.tally.done == 1


def test_a_part_that_nobody_has_begun_is_only_resumed_where_it_was(cloud: Cloud, kind: Counted) -> None:
    run, jobs = started(cloud), Jobs("JobsTable")
    with pytest.raises(PartClaimedError):
        jobs.begin(run.job, "000000/000000", resume_only=True, now=NOW)
    jobs.begin(run.job, "000000/000000", resume_only=False, now=NOW)
    assert jobs.begin(run.job, "000000/000000", resume_only=True, now=NOW).attempts == 2


def test_everything_of_a_job_is_forgotten_after_four_hundred_days(cloud: Cloud, monkeypatch: Any) -> None:
    Counted(bad=frozenset(IMAGES[:1])).play(cloud, monkeypatch)
    run = started(cloud)
    run.to_the_end()
    items = cloud.dynamodb.scan(TableName="JobsTable")["Items"]
    forgotten = {int(item["expires_at"]["N"]) for item in items}
    assert forgotten == {int((run.job.created_at + timedelta(days=400)).timestamp())}


def test_a_page_of_failures_is_the_jobs_alone(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    Counted(bad=frozenset(IMAGES[:3])).play(cloud, monkeypatch)
    one, other = started(cloud), started(cloud)
    one.to_the_end()
    other.to_the_end()
    cursor = cloud.job("GET", f"/{one.id}/failures", query={"limit": "1"}).json["cursor"]
    refused = cloud.job("GET", f"/{other.id}/failures", query={"limit": "1", "cursor": cursor})
    assert refused.json["error"]["code"] == "invalid_cursor"


# --- Confirmations --------------------------------------------------------------------------------------


@pytest.fixture
def found(cloud: Cloud, kind: Counted) -> str:
    """A dry run of erase that is completed."""
    answer = cloud.job("POST", body={"kind": "erase", "tenant": "acme"})
    jobs = Jobs("JobsTable")
    job = jobs.get(answer.json["id"])
    assert cloud.job("GET", f"/{job.id}").json["confirm_token"] is None
    now = datetime.now(UTC)
    jobs.save(job, replace(job, state=JobState.COMPLETED, ended_at=now), now=now)
    return job.id


def erase(cloud: Cloud, token: str, *, client_id: str = "client-of-globex", **asked: Any) -> Any:
    body = {"kind": "erase", "tenant": "acme", "dry_run": False, "confirm_token": token} | asked
    answer = cloud.job("POST", client_id=client_id, body=body)
    return answer.json["id"] if answer.status == 202 else answer.json["error"]["code"]


def test_what_a_dry_run_of_erase_found_is_confirmed_by_its_token_once(cloud: Cloud, found: str) -> None:
    shown = cloud.job("GET", f"/{found}").json
    token = shown["confirm_token"]
    assert shown["confirm_token_expires_at"] > shown["ended_at"]

    assert erase(cloud, token, client_id="client-of-acme", tenant="globex") == "invalid_confirm_token"
    assert erase(cloud, token[:-2] + "AA") == "invalid_confirm_token"
    assert erase(cloud, token) == f"{found}-confirmed"
    assert erase(cloud, token) == "confirm_token_used"
    job = Jobs("JobsTable").get(f"{found}-confirmed")
    assert (job.dry_run, job.tenant) == (False, "acme")


def test_a_token_confirms_nothing_once_what_was_found_is_counted_otherwise_or_an_hour_has_passed(
    cloud: Cloud, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = cloud.job("GET", f"/{found}").json["confirm_token"]
    jobs, work = Jobs("JobsTable"), Work(tenant_id("acme"), "count", "")
    handler = cloud.function("jobs")
    late = replace(handler.requests, clock=lambda: datetime.now(UTC) + timedelta(hours=2))
    with monkeypatch.context() as patch:
        patch.setattr(handler, "requests", late)
        assert erase(cloud, token) == "confirm_token_expired"
        assert cloud.job("GET", f"/{found}").json["confirm_token"] is None
    part = jobs.begin(jobs.get(found), "000000/000000", resume_only=False, now=NOW)
    jobs.report(jobs.get(found), part, work, Done(done=1), after="1", now=NOW)
    assert erase(cloud, token) == "invalid_confirm_token"


def test_a_purges_token_confirms_no_job(cloud: Cloud, kind: Counted) -> None:
    token = cloud.purge(tenant="acme").json["confirm_token"]
    assert erase(cloud, token) == "invalid_confirm_token"


# --- Whatever happens --------------------------------------------------------------------------------------


@settings(max_examples=10, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_totals_are_the_sum_over_the_images_whatever_dies_and_in_whatever_order(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, data: st.DataObject
) -> None:
    names = data.draw(st.sets(st.sampled_from(IMAGES), min_size=1, max_size=12))
    kind = Counted(
        images=tuple(sorted(names)),
        bad=frozenset(data.draw(st.sets(st.sampled_from(sorted(names)), max_size=3))),
        faulty=set(data.draw(st.sets(st.sampled_from(sorted(names)), max_size=3))),
    ).play(cloud, monkeypatch)
    run = started(cloud, concurrency=data.draw(st.integers(1, 2)))

    def disorder(lines: Lines) -> Lines:
        chosen = data.draw(st.lists(st.sampled_from(lines), max_size=2 * len(lines)))
        return [*chosen, lines[0]]

    for _ in range(data.draw(st.integers(0, 3))):
        run.round(disorder)
        what = data.draw(st.sampled_from(["pause", "resume", "sweep", "nothing"]))
        if what == "sweep":
            stop(cloud, run)
            sweep(cloud)
            run.start()
        elif what != "nothing":
            order(cloud, run, what)
            if what == "pause":
                run.to_the_end()
            order(cloud, run, "resume")
            run.start()
    run.to_the_end()
    assert kind.is_all_counted(run)
    assert Jobs("JobsTable").page(None, PageRequest(1)).entries[0].id == run.id


def test_a_part_costs_three_requests_as_benchmarks_count_it(cloud: Cloud, kind: Counted) -> None:
    """benchmarks/jobs_machinery.py prices them."""
    run = started(cloud)
    run.plan()

    with cloud.watched_calls() as calls:
        run.work(run.lines()[0])

    made = [call for call in calls.made if not call.startswith("s3")]
    assert made == ["dynamodb:GetItem", "dynamodb:UpdateItem", "dynamodb:TransactWriteItems"]

"""Planning: what an execution of the state machine does next for its job.

An execution asks the planner before each round.  The planner relies on the job's record alone.  So it loses
and repeats no work if it is asked twice, by two executions, or after a crash at any point.
"""

from __future__ import annotations

import json
import uuid
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from catalog.domain.clock import Clock, utc_now
from catalog.domain.events import EventRefusedError, job_event
from catalog.domain.jobs import (
    ExecutionNotStartedError,
    JobFailedError,
    JobKind,
    JobMovedError,
    JobState,
    Line,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from catalog.adapters.event_bus import EventBus
    from catalog.adapters.executions import Executions
    from catalog.adapters.job_files import JobFiles
    from catalog.adapters.jobs_table import Jobs
    from catalog.domain.jobs import Job, Step, Steps

# A map returns its children's results, here 3 bytes each, and at most 256 KiB.
MOST_PARTS: Final = 10_000
LONGEST_LINE: Final = 250_000  # bytes; a child's input has at most 262,144
# A round adds about 15 events to an execution's history, which holds at most 25,000.
ROUNDS_PER_EXECUTION: Final = 1_000
MOST_IDLE_ROUNDS: Final = 5
_TRIES: Final = 10  # of planning: requests or another planner may write the record meanwhile
_LONGEST_PAUSE: Final = timedelta(seconds=60)


class StepTooLargeError(Exception):
    """A step has more than MOST_PARTS parts or too long a line: a defect of its kind's planning."""


class PlanningContendedError(Exception):
    """The record changed at every try; a later try plans."""


class Next(StrEnum):
    """What the state machine does with the answer."""

    WORK = "work"  # carry out the lines of the file, then ask again
    WAIT = "wait"  # ask again at `until`
    PLAN = "plan"  # ask again at once
    END = "end"


@dataclass(frozen=True, slots=True)
class Turn:
    """An execution's question: what to do in `round` of its job's `attempt`.

    `worked`: it has just carried out lines.  `error` says why it cannot continue; None if it can.
    """

    job: str
    attempt: int
    round: int
    worked: bool = False
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The answer.  `key` names the file of `lines` lines in the jobs bucket; `ended` is the final state."""

    next: Next
    key: str | None = None
    until: datetime | None = None
    lines: int = 0
    ended: JobState | None = None


@dataclass(frozen=True, slots=True)
class Planning:
    """Plans jobs of every kind.  `most_at_once` is the number of workers that the machine's map runs."""

    jobs: Jobs
    files: JobFiles
    executions: Executions
    bus: EventBus
    steps: Mapping[JobKind, Steps]
    retries: Steps
    most_at_once: int
    clock: Clock = utc_now

    def plan(self, turn: Turn) -> Plan:
        """Answer the turn, and record how far the job is.

        Raises JobNotFoundError, StepTooLargeError, EventRefusedError, PlanningContendedError, and faults.
        """
        for _ in range(_TRIES):
            with suppress(JobMovedError):
                return self._plan(self.jobs.get(turn.job), turn)
        raise PlanningContendedError(turn.job)

    def _plan(self, job: Job, turn: Turn) -> Plan:
        if job.attempt != turn.attempt or job.is_at_rest:
            return Plan(Next.END)
        if turn.error is not None:
            return self._fail(job, turn.error)
        if turn.round >= ROUNDS_PER_EXECUTION:
            return self._hand_over(job)
        if job.state is not JobState.RUNNING:
            return self._settle(job, turn)
        return self._go_on(job, turn)

    # --- A running job --------------------------------------------------------------------------------------

    def _go_on(self, job: Job, turn: Turn) -> Plan:
        left: list[str] = []
        if job.stage.cut:
            lines = list(self._lines(job))
            if len(lines) < job.stage.parts:
                return self._fail(job, "its lines are gone: they were erased with their tenant")
            left = self._unfinished(job, lines)
            if not left:
                job = self._next_step(job)
        if job.position is None:
            return self._complete(job)
        if job.stage.cut:
            return self._round(job, turn, left)
        return self._cut(job, turn, job.position)

    def _unfinished(self, job: Job, lines: list[str]) -> list[str]:
        """The lines of the present step whose parts are not completed."""
        completed = self.jobs.completed_parts(job, job.step)
        return [text for text in lines if json.loads(text)["part"] not in completed]

    def _next_step(self, job: Job) -> Job:
        stage = replace(job.stage, cut=False, parts=0, file=None, next=None)
        moved = replace(job, position=job.stage.next, step=job.step + 1, stage=stage)
        return self.jobs.save(job, moved, now=self.clock())

    def _cut(self, job: Job, turn: Turn, position: str) -> Plan:
        """Write the step's parts to a file, then record the file."""
        now = self.clock()
        if job.stage.waiting_until is not None and now < job.stage.waiting_until:
            return Plan(Next.WAIT, until=job.stage.waiting_until)
        # A retried erasure begins anew: it lists only what is left.
        retries = job.retry_of is not None and job.kind is not JobKind.ERASE
        try:
            step = (self.retries if retries else self.steps[job.kind]).step(job, position)
        except JobFailedError as error:
            return self._fail(job, str(error))
        if step.wait_until is not None and job.stage.waiting_until is None and now < step.wait_until:
            waiting = replace(_stopped(job, now), stage=replace(job.stage, waiting_until=step.wait_until))
            self.jobs.save(job, waiting, now=now)
            return Plan(Next.WAIT, until=step.wait_until)
        job, texts = self._write_down(job, step)
        return self._round(job, turn, texts) if texts else Plan(Next.PLAN)

    def _write_down(self, job: Job, step: Step) -> tuple[Job, list[str]]:
        lines = (
            Line(job.id, job.kind, f"{job.step:06d}/{number:06d}", work)
            for number, work in enumerate(step.works)
        )
        texts = _fitting(lines)
        # A unique name: another planner may list other objects at the same position.
        key = f"jobs/{job.id}/steps/{job.step:06d}-{uuid.uuid4()}.jsonl"
        self.files.write(key, texts)
        now = self.clock()
        stage = replace(job.stage, cut=True, parts=len(texts), file=key, next=step.next, waiting_until=None)
        cut = replace(_started(job, now), expected=job.expected + step.images, stage=stage)
        return self.jobs.save(job, cut, now=now), texts

    def _round(self, job: Job, turn: Turn, texts: list[str]) -> Plan:
        stage = job.stage
        if turn.round >= stage.round:  # otherwise an answer was lost, and the same question comes again
            progress = stage.reports != stage.seen
            idle = (0 if progress else stage.idle + 1) if turn.worked else stage.idle
            if idle >= MOST_IDLE_ROUNDS:
                return self._fail(job, f"{len(texts)} parts made no progress in {idle} rounds; see the logs")
            counted = replace(
                stage,
                round=turn.round + 1,
                seen=stage.reports,
                idle=idle,
                restarts=0 if progress else stage.restarts,
            )
            now = self.clock()
            job = self.jobs.save(job, replace(_started(job, now), stage=counted), now=now)
            if turn.worked and idle:
                return Plan(Next.WAIT, until=now + min(_LONGEST_PAUSE, timedelta(seconds=2.5 * 2**idle)))
        # The map limits workers for the whole deployment.  A job with a lower limit gets that many lanes.
        lines = texts if job.concurrency >= self.most_at_once else _lanes(job, texts)
        key = f"jobs/{job.id}/rounds/{job.attempt}-{turn.round}-{uuid.uuid4()}.jsonl"
        self.files.write(key, lines)
        return Plan(Next.WORK, key=key, lines=len(lines))

    # --- Ends -----------------------------------------------------------------------------------------------

    def _settle(self, job: Job, turn: Turn) -> Plan:
        """Complete the parts that were begun, then pause or cancel; after the last step, complete the job."""
        if job.position is None:
            return self._complete(job)  # its event may have been sent already
        begun = self.jobs.begun_parts(job, job.step) if job.stage.cut else set()
        if left := [text for text in self._lines(job) if json.loads(text)["part"] in begun]:
            return self._round(job, turn, left)
        now = self.clock()
        return Plan(Next.END, ended=self.jobs.save(job, settled(job, now), now=now).state)

    def _complete(self, job: Job) -> Plan:
        return self._end(job, JobState.COMPLETED)

    def _fail(self, job: Job, reason: str) -> Plan:
        return self._end(job, JobState.FAILED, reason)

    def _end(self, job: Job, state: JobState, reason: str | None = None) -> Plan:
        now = self.clock()
        ended = replace(_stopped(job, now), state=state, reason=reason, ended_at=now)
        # Send the event first: after a crash, nothing would send it for a job that has ended.
        if self.bus.put([job_event(ended)]) == 0:
            raise EventRefusedError(job.id)
        return Plan(Next.END, ended=self.jobs.save(job, ended, now=now).state)

    def _hand_over(self, job: Job) -> Plan:
        """Continue the job in another execution, whose history is empty."""
        job = self.jobs.save(job, next_attempt(job), now=self.clock())
        with suppress(ExecutionNotStartedError):  # the sweeper starts it later
            self.executions.start(job)
        return Plan(Next.END)

    def _lines(self, job: Job) -> Iterator[str]:
        return self.files.read(job.stage.file) if job.stage.file else iter(())


def settled(job: Job, now: datetime) -> Job:
    """The job at rest: paused if it was pausing, otherwise cancelled."""
    if job.state is JobState.PAUSING:
        return replace(_stopped(job, now), state=JobState.PAUSED)
    return replace(_stopped(job, now), state=JobState.CANCELLED, ended_at=now)


def next_attempt(job: Job) -> Job:
    """The job with its next attempt, for another execution."""
    return replace(job, attempt=job.attempt + 1, stage=replace(job.stage, round=0))


def _started(job: Job, now: datetime) -> Job:
    return replace(job, active_since=job.active_since or now)


def _stopped(job: Job, now: datetime) -> Job:
    if job.active_since is None:
        return job
    spent = (now - job.active_since).total_seconds()
    return replace(job, active_since=None, active_seconds=job.active_seconds + spent)


def _lanes(job: Job, texts: list[str]) -> list[str]:
    """Deal the lines out to as many lanes as the job may have workers; a worker takes one lane in order."""
    lanes = []
    for first in range(min(job.concurrency, len(texts))):
        dealt: list[str] = []
        length = 0
        for text in texts[first :: job.concurrency]:
            length += len(text.encode()) + 1
            if dealt and length > LONGEST_LINE:
                break  # a later round takes the rest
            dealt.append(text)
        lanes.append(f'{{"kind":"{job.kind}","lines":[{",".join(dealt)}]}}')
    return lanes


def _fitting(lines: Iterator[Line]) -> list[str]:
    texts: list[str] = []
    for line in lines:
        text = line.text()
        if len(text.encode()) > LONGEST_LINE or len(texts) == MOST_PARTS:
            raise StepTooLargeError(line.job, line.part)
        texts.append(text)
    return texts

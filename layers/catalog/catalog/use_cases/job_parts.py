"""Parts: a worker carries out one part of a job, and reports as it goes.

A report is one transaction over the part and its job, so each subject counts once, however often workers
carry out the part.  If a worker dies, the next one repeats only the subjects since the last report.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

from catalog.domain.clock import Clock, utc_now
from catalog.domain.jobs import Done, Failure, JobState, PartClaimedError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from datetime import datetime

    from catalog.adapters.jobs_table import Jobs
    from catalog.domain.jobs import Job, Line, Part, Work, Worker
    from catalog.use_cases.side_by_side import SideBySide

# Of the worker's 180 seconds.  The planner plans a part that is incomplete by then again.
WORK_FOR: Final = timedelta(seconds=120)
REPORT_AFTER: Final = timedelta(seconds=5)
_REPORT_FAILURES: Final = 20  # a transaction holds at most 100 items; one subject may add several
# From the second worker on, a worker records each subject before it takes it.  A subject at which two
# workers in a row died is recorded as failed.
SUSPICIOUS_FROM: Final = 2
DEATHS: Final = 2
# A subject at which this many careful workers raised a fault is recorded as failed once the next subject
# succeeds: that rules out an outage.  No subject follows the last, so the last needs more faults.  A
# throttled worker blames no subject.
FAULTS: Final = 3
FAULTS_OF_THE_LAST: Final = 6
_LONGEST_DETAIL: Final = 300
WORKERS_DIED: Final = "workers stopped at it; their log says why"


@dataclass(frozen=True, slots=True)
class Parts:
    """Carries out parts of the kind that `worker` does; without `side_by_side`, one subject at a time."""

    jobs: Jobs
    worker: Worker[Any]
    side_by_side: SideBySide[Any] | None = None
    clock: Clock = utc_now

    def carry_out(self, *lines: Line) -> list[bool]:
        """Carry out these parts in order, for about WORK_FOR; say of each tried part whether it is complete.

        Begins no new part of a job that is not running, and continues none of a job at rest.  Raises every
        fault, so that the part is retried.
        """
        until = self.clock() + WORK_FOR
        completed: list[bool] = []
        for line in lines:
            if completed and self.clock() >= until:
                break
            completed.append(self._carry_out(line, until))
        return completed

    def _carry_out(self, line: Line, until: datetime) -> bool:
        job = self.jobs.get(line.job)
        if job.is_at_rest:
            return False
        resume_only = job.state is not JobState.RUNNING
        try:
            part = self.jobs.begin(job, line.part, resume_only=resume_only, now=self.clock())
            # A careful worker stays careful, although each of its reports resets `attempts`.
            careful = part.attempts >= SUSPICIOUS_FROM or (part.in_hand or part.suspect) is not None
            if part.in_hand is not None and part.held >= DEATHS:
                part = self._give_up(job, line, part, part.in_hand)
            take_all = self._take_carefully if careful else self._take_all
            return take_all(job, line, part, until)
        except PartClaimedError:
            return False

    def _give_up(self, job: Job, line: Line, part: Part, subject: str) -> Part:
        culprit = Failure(subject, "worker_died", WORKERS_DIED)
        return self.jobs.report(
            job, part, line.work, Done(failures=(culprit,)), after=subject, now=self.clock()
        )

    def _take_all(self, job: Job, line: Line, part: Part, until: datetime) -> bool:
        reported_at = self.clock()
        pending, after = Done(), part.after
        subjects = self.worker.subjects(job, line.work, after=part.after)
        with closing(self._taken(job, line.work, subjects, until)) as taken:
            for name, done in taken:
                pending, after = pending + done, name
                now = self.clock()
                if now - reported_at >= REPORT_AFTER or len(pending.failures) >= _REPORT_FAILURES:
                    part = self.jobs.report(job, part, line.work, pending, after=after, now=now)
                    pending, reported_at = Done(), now
        completed = next(subjects, None) is None
        self.jobs.report(job, part, line.work, pending, after=after, completed=completed, now=self.clock())
        return completed

    def _taken(
        self, job: Job, work: Work, subjects: Iterator[tuple[str, Any]], until: datetime
    ) -> Generator[tuple[str, Done]]:
        """Take the subjects, and begin none after `until`; each with what became of it, in their order."""
        subjects = self._in_time(subjects, until)
        few = list(islice(subjects, 2)) if self.side_by_side else []
        if self.side_by_side is None or len(few) == 1:  # one alone needs no threads
            for name, subject in chain(few, subjects):
                yield name, self.worker.take(job, work, subject)
            return
        begun = deque[tuple[str, int, Future[Done]]]()
        with ThreadPoolExecutor(self.side_by_side.most) as pool:
            for name, subject in chain(few, subjects):
                weight = self.side_by_side.weight(subject)
                while not self.side_by_side.has_room([each for _, each, _ in begun], weight):
                    first, _, done = begun.popleft()
                    yield first, done.result()
                begun.append((name, weight, pool.submit(self.worker.take, job, work, subject)))
            for name, _, done in begun:
                yield name, done.result()

    def _in_time(self, subjects: Iterator[tuple[str, Any]], until: datetime) -> Iterator[tuple[str, Any]]:
        for subject in subjects:
            yield subject
            if self.clock() >= until:
                return

    def _take_carefully(self, job: Job, line: Line, part: Part, until: datetime) -> bool:
        """Like `_take_all`, but with one report per subject, to find the subject that stops workers."""
        after, blame = part.after, Done()
        for name, subject in self.worker.subjects(job, line.work, after=part.after):
            part = self.jobs.take_in_hand(job, part, name)
            try:
                done = self.worker.take(job, line.work, subject)
            except Exception as fault:
                part = self.jobs.put_down(job, part)
                if blame.failures or part.faults < FAULTS or self.jobs.throttled(fault):
                    raise
                blame, left = _blamed(name, fault), fault
                continue
            part = self._report_one(job, line, part, blame + done, name)
            after, blame = name, Done()
            if self.clock() >= until:
                return False
        if blame.failures:
            if part.faults < FAULTS_OF_THE_LAST:
                raise left
            after = blame.failures[0].subject
        self.jobs.report(job, part, line.work, blame, after=after, completed=True, now=self.clock())
        return True

    def _report_one(self, job: Job, line: Line, part: Part, done: Done, name: str) -> Part:
        try:
            return self.jobs.report(job, part, line.work, done, after=name, now=self.clock())
        except Exception as fault:
            if self.jobs.throttled(fault):  # the worker is alive: no death at the subject in hand
                self.jobs.put_down(job, part)
            raise


def _blamed(subject: str, fault: Exception) -> Done:
    detail = f"{type(fault).__name__}: {fault}"[:_LONGEST_DETAIL]
    return Done(failures=(Failure(subject, "worker_failed", detail),))

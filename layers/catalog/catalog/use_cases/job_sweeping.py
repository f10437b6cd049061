"""Sweeping: start an execution for every active job that has none."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from catalog.domain.clock import Clock, utc_now
from catalog.domain.jobs import ExecutionNotStartedError, JobMovedError
from catalog.use_cases.job_planning import next_attempt

if TYPE_CHECKING:
    from catalog.adapters.executions import Executions
    from catalog.adapters.jobs_table import Jobs
    from catalog.domain.jobs import Job

MOST_RESTARTS: Final = 10
_HOPELESS: Final = f"{MOST_RESTARTS} executions ended without a report; the state machine says why"


@dataclass(frozen=True, slots=True)
class Sweeping:
    """Starts every job that is recorded as active and has no running execution."""

    jobs: Jobs
    executions: Executions
    clock: Clock = utc_now

    def sweep(self) -> list[Job]:
        """Start the missing executions, and return their jobs.

        Raises faults at once, but ExecutionNotStartedError only after the last job: one refusal delays no
        other job.
        """
        started: list[Job] = []
        refused: ExecutionNotStartedError | None = None
        for job in self.jobs.active():
            try:
                if healed := self._heal(job):
                    started.append(healed)
            except ExecutionNotStartedError as error:
                refused = error
        if refused is not None:
            raise refused
        return started

    def _heal(self, job: Job) -> Job | None:
        running = self.executions.is_running(job)
        if running:
            return None
        if running is None:  # its start was lost
            self.executions.start(job)
            return job
        again = next_attempt(job)
        again = replace(again, stage=replace(again.stage, restarts=job.stage.restarts + 1))
        with suppress(JobMovedError):  # another sweeper healed it, or it has just come to rest
            again = self.jobs.save(job, again, now=self.clock())
            self.executions.start(again, hopeless=_HOPELESS if again.stage.restarts > MOST_RESTARTS else None)
            return again
        return None

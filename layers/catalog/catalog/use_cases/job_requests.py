"""Requests about jobs: create, pause, resume, cancel, and retry the failures.

Each request is recorded first and started after.  After a crash in between, the sweeper starts the job.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from catalog.domain.clock import Clock, utc_now
from catalog.domain.jobs import (
    ACTIVE,
    ExecutionNotStartedError,
    Job,
    JobAlreadyConfirmedError,
    JobKind,
    JobMovedError,
    JobNotFoundError,
    JobState,
    JobStateError,
    RequestKey,
)
from catalog.domain.purge import (
    Confirmation,
    ConfirmTokenExpiredError,
    InvalidConfirmTokenError,
    confirm_token,
    read_confirm_token,
)
from catalog.use_cases.job_planning import next_attempt, settled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from catalog.adapters.executions import Executions
    from catalog.adapters.jobs_table import Jobs
    from catalog.adapters.signing import Signer
    from catalog.domain.keys import TenantId
    from catalog.use_cases.erasures import ErasureRequests

# Longer than a purge's: the dry run itself may take an hour before anybody reads it.
CONFIRMATION_VALID_FOR: Final = timedelta(hours=1)
_TRIES: Final = 10  # the planner may write the record meanwhile
_RESUMABLE: Final = frozenset({JobState.PAUSED, JobState.FAILED})


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a job.  `concurrency` counts workers; None: as many as the deployment gives to jobs."""

    kind: JobKind
    tenant: TenantId | None
    dry_run: bool
    options: Mapping[str, Any]
    concurrency: int | None = None
    confirm_token: str | None = None


@dataclass(frozen=True, slots=True)
class JobRequests:
    """Creates and controls jobs.  `most_at_once` is the deployment's limit of workers for one job."""

    jobs: Jobs
    executions: Executions
    signer: Signer
    erasures: ErasureRequests
    most_at_once: int
    clock: Clock = utc_now

    def answered(self, key: RequestKey | None) -> Job | None:
        """The job that was created for this request before.  Raises IdempotencyKeyUsedError."""
        if key is None or (id_ := self.jobs.promised(key)) is None:
            return None
        with suppress(JobNotFoundError):  # the request died between its two writes
            return self.jobs.get(id_)
        return None

    def create(self, asked: Asked, *, requested_by: str, key: RequestKey | None = None) -> Job:
        """Record and start a job.  A request that comes again with its key gets the job that it created.

        With a key it raises IdempotencyKeyUsedError; with a token InvalidConfirmTokenError,
        ConfirmTokenExpiredError, JobAlreadyConfirmedError, DryRunOutdatedError, TenantHasJobsError.
        """
        now = self.clock()
        id_ = _new_id(now)
        if asked.confirm_token is not None:
            dry_run = self._confirmed(asked, asked.confirm_token)
            # The id allows each dry run one confirmed job.
            id_ = f"{dry_run.id}-confirmed"
            if self.jobs.knows(id_):
                return self._own(id_, key)
            self.erasures.begin(dry_run)
        if key is not None:
            id_ = self.jobs.promise(key, id_, now=now)
        job = Job(
            id=id_,
            kind=asked.kind,
            tenant=asked.tenant,
            dry_run=asked.dry_run,
            options=asked.options,
            state=JobState.RUNNING,
            requested_by=requested_by,
            created_at=now,
            concurrency=min(asked.concurrency or self.most_at_once, self.most_at_once),
            updated_at=now,
        )
        return self._start(job) if self.jobs.create(job) else self._own(id_, key)

    def _own(self, id_: str, key: RequestKey | None) -> Job:
        """The job that there is, if this request created it.  Raises JobAlreadyConfirmedError."""
        job = self.answered(key)
        if job is None or job.id != id_:
            raise JobAlreadyConfirmedError(id_)
        return job

    def retry(self, job_id: str, *, requested_by: str, asked_by: TenantId) -> Job:
        """Start a new job over the failures of a job that has ended, for a client of the tenant `asked_by`.

        Raises JobNotFoundError, JobStateError; for an erasure also the errors of ErasureRequests.again.
        """
        failed = self.jobs.get(job_id)
        if failed.ended_at is None or failed.tally.failed == 0:
            raise JobStateError(job_id)
        if failed.kind is JobKind.FIND_DUPLICATES and failed.dry_run:
            raise JobStateError(job_id)  # a dry run must search all images to find its groups
        if failed.kind is JobKind.ERASE:
            self.erasures.again(failed, asked_by=asked_by)
        now = self.clock()
        job = Job(
            id=_new_id(now),
            kind=failed.kind,
            tenant=failed.tenant,
            dry_run=failed.dry_run,
            options=failed.options,
            state=JobState.RUNNING,
            requested_by=requested_by,
            created_at=now,
            concurrency=failed.concurrency,
            updated_at=now,
            retry_of=job_id,
        )
        self.jobs.create(job)
        return self._start(job)

    def confirmation(self, job: Job) -> tuple[str, datetime] | None:
        """The token that confirms a completed dry run of an erasure, and its expiry; None for any other job.

        None also after the expiry.
        """
        if job.kind is not JobKind.ERASE or not job.dry_run or job.state is not JobState.COMPLETED:
            return None
        if job.ended_at is None or job.tenant is None or self.clock() > _expiry(job.ended_at):
            return None
        expires_at = _expiry(job.ended_at)
        confirmation = Confirmation(job.tenant, job.id, job.digest, expires_at)
        return confirm_token(confirmation, self.signer.sign(confirmation.statement())), expires_at

    def _confirmed(self, asked: Asked, token: str) -> Job:
        """The dry run that the token confirms, if its request and findings are those of the token."""
        confirmation, signature = read_confirm_token(token)
        if not self.signer.verifies(confirmation.statement(), signature):
            raise InvalidConfirmTokenError(token[:80])
        if self.clock() > confirmation.expires_at:
            raise ConfirmTokenExpiredError(confirmation.run_id)
        try:
            found = self.jobs.get(confirmation.run_id)
        except JobNotFoundError as error:
            raise InvalidConfirmTokenError(token[:80]) from error
        same = (found.kind, found.tenant, dict(found.options)) == (
            asked.kind,
            asked.tenant,
            dict(asked.options),
        )
        if not same or found.tenant != confirmation.tenant or found.digest != confirmation.digest:
            raise InvalidConfirmTokenError(token[:80])
        return found

    def pause(self, job_id: str) -> Job:
        """Begin no more parts.  Raises JobNotFoundError, JobStateError."""
        return self._change(job_id, self._paused)

    def cancel(self, job_id: str) -> Job:
        """Begin no more parts, for good.  Raises JobNotFoundError, JobStateError."""
        return self._change(job_id, self._cancelled)

    def resume(self, job_id: str) -> Job:
        """Continue where the job paused or failed.  Raises JobNotFoundError, JobStateError."""
        return self._start(self._change(job_id, _resumed))

    def _change(self, job_id: str, change: Callable[[Job], Job]) -> Job:
        for _ in range(_TRIES):
            job = self.jobs.get(job_id)
            changed = change(job)
            if changed is job:
                return job
            with suppress(JobMovedError):
                return self.jobs.save(job, changed, now=self.clock())
        raise JobStateError(job_id)

    def _paused(self, job: Job) -> Job:
        if job.state in {JobState.PAUSING, JobState.PAUSED}:
            return job
        if job.state is not JobState.RUNNING:
            raise JobStateError(job.id)
        return self._at_once(replace(job, state=JobState.PAUSING))

    def _cancelled(self, job: Job) -> Job:
        if job.state in {JobState.CANCELLING, JobState.CANCELLED}:
            return job
        if job.state is JobState.COMPLETED:
            raise JobStateError(job.id)
        return self._at_once(replace(job, state=JobState.CANCELLING, reason=None), rests=job.is_at_rest)

    def _at_once(self, job: Job, *, rests: bool = False) -> Job:
        """The job at rest, if no worker is at it: it waits for a time, or rests already."""
        if rests or job.stage.waiting_until is not None:
            return settled(job, self.clock())
        return job

    def _start(self, job: Job) -> Job:
        if job.state in ACTIVE:
            with suppress(ExecutionNotStartedError):  # the sweeper starts it later
                self.executions.start(job)
        return job


def _resumed(job: Job) -> Job:
    if job.state is JobState.RUNNING:
        return job
    if job.state not in _RESUMABLE:
        raise JobStateError(job.id)
    again = next_attempt(job)
    stage = replace(again.stage, idle=0, restarts=0, seen=again.stage.reports)
    return replace(again, state=JobState.RUNNING, stage=stage, ended_at=None, reason=None)


def _new_id(now: datetime) -> str:
    return f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"


def _expiry(ended_at: datetime) -> datetime:
    return ended_at.replace(microsecond=0) + CONFIRMATION_VALID_FOR

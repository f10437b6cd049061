"""Purge requests: an administrator sees what a purge would delete, and confirms exactly that."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from catalog.domain.purge import (
    CLAIMED_FOR,
    CONFIRMATION_VALID_FOR,
    Confirmation,
    ConfirmTokenExpiredError,
    InvalidConfirmTokenError,
    PurgeJob,
    PurgeRun,
    PurgeRunNotFoundError,
    RunClaimedError,
    RunSource,
    RunState,
    confirm_token,
    read_confirm_token,
)

if TYPE_CHECKING:
    from catalog.adapters.signing import Signer
    from catalog.domain.assets import Asset
    from catalog.domain.keys import TenantId
    from catalog.use_cases.purging import Purging

# A caller waits no longer than this for the deletions; the queue carries the rest.
ANSWER_WITHIN: Final = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A dry run, the assets it found, and the token that confirms exactly it."""

    run: PurgeRun
    found: tuple[Asset, ...]
    token: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PurgeRequests:
    """Proposes runs, and starts those that are confirmed."""

    purging: Purging
    signer: Signer

    def propose(self, tenant: TenantId, older_than: timedelta | None, *, requested_by: str) -> Proposal:
        """A dry run, recorded, and a token signed over its candidates.  Nothing is deleted.

        Candidates are unused for `older_than`, or the deployment's grace period.
        """
        age = self.purging.grace if older_than is None else older_than
        run, found = self.purging.find_candidates(tenant, age, RunSource.REQUEST, requested_by)
        self.purging.runs.record(run)
        expires_at = self.purging.clock().replace(microsecond=0) + CONFIRMATION_VALID_FOR
        confirmation = Confirmation(tenant, run.id, run.digest, expires_at)
        token = confirm_token(confirmation, self.signer.sign(confirmation.statement()))
        return Proposal(run, found, token, expires_at)

    def confirm(self, token: str, tenant: TenantId) -> PurgeRun:
        """Start the run that `token` confirms; nothing is deleted yet.

        Raises InvalidConfirmTokenError, ConfirmTokenExpiredError, RunAlreadyConfirmedError.
        """
        run = self._confirmed_by(token, tenant)
        if run.state is RunState.PROPOSED:
            # Enqueue first: a crash after confirming would leave the run to the next daily purge.
            self.purging.queue.send(PurgeJob(tenant, run.id), delay=CLAIMED_FOR)
        return self.purging.runs.confirm(run, now=self.purging.clock())

    def begin(self, run: PurgeRun) -> PurgeRun:
        """Delete what one answer has time for; the run afterwards."""
        with suppress(RunClaimedError):  # the daily purge has found it already
            return self.purging.carry_out(run, self.purging.clock() + ANSWER_WITHIN)
        return run

    def _confirmed_by(self, token: str, tenant: TenantId) -> PurgeRun:
        confirmation, signature = read_confirm_token(token)
        if not self.signer.verifies(confirmation.statement(), signature) or confirmation.tenant != tenant:
            raise InvalidConfirmTokenError(token[:80])
        if self.purging.clock() > confirmation.expires_at:
            raise ConfirmTokenExpiredError(confirmation.run_id)
        try:
            run = self.purging.runs.get(tenant, confirmation.run_id)
        except PurgeRunNotFoundError as error:
            raise InvalidConfirmTokenError(token[:80]) from error
        if run.digest != confirmation.digest:
            raise InvalidConfirmTokenError(token[:80])
        return run

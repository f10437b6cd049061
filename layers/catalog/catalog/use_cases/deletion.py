"""Deletion: a client deletes one image that nobody uses, by a purge of one candidate, carried out at once.

So the deletion is recorded among the purge runs, their queue completes it if the request dies, and the image
stays recoverable as long as any purged image.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from catalog.domain.assets import AssetStateError, Status
from catalog.domain.purge import (
    CLAIMED_FOR,
    ImageInWorkError,
    ImageLentError,
    ImageReferencedError,
    ImageSharedError,
    PurgeJob,
    PurgeRun,
    RunClaimedError,
    RunSource,
    RunState,
    stored_bytes,
)
from catalog.use_cases.purge_requests import ANSWER_WITHIN
from catalog.use_cases.purging import new_run_id

if TYPE_CHECKING:
    from datetime import datetime

    from catalog.domain.assets import Asset
    from catalog.domain.keys import AssetKey
    from catalog.use_cases.purging import Purging


@dataclass(frozen=True, slots=True)
class Deletion:
    """Deletes single images."""

    purging: Purging

    def delete(self, key: AssetKey, *, requested_by: str) -> bool:
        """Delete the image: True if it is gone, False if the deletion continues without the caller.

        Raises AssetNotFoundError; ImageReferencedError, ImageSharedError, ImageLentError, ImageInWorkError;
        AssetStateError if the image changed at this moment.
        """
        asset, now = self.purging.assets.get(key), self.purging.clock()
        if asset.status is Status.DELETING:
            return False
        run = _run_of(asset, requested_by, now)
        _refuse_used(asset, run)
        self.purging.runs.record(run)
        # The queue completes what this request does not; otherwise a crash would wait for the daily purge.
        self.purging.queue.send(PurgeJob(key.tenant, run.id), delay=CLAIMED_FOR)
        with suppress(RunClaimedError):  # the daily purge has found it already
            run = self.purging.carry_out(run, now + ANSWER_WITHIN)
        return self._is_gone(key, run) if run.kept else run.state is RunState.COMPLETED

    def _is_gone(self, key: AssetKey, run: PurgeRun) -> bool:
        """Whether an image that the run has kept is gone; False while another request deletes it.

        Raises the reason why the run kept it.
        """
        asset = self.purging.assets.find(key)
        if asset is None or asset.status is Status.DELETING:
            return asset is None
        _refuse_used(asset, run)
        raise AssetStateError(key.id)


def _run_of(asset: Asset, requested_by: str, now: datetime) -> PurgeRun:
    return PurgeRun(
        tenant=asset.tenant,
        id=new_run_id(now),
        state=RunState.RUNNING,
        source=RunSource.DELETION,
        requested_by=requested_by,
        as_of=now,
        older_than=timedelta(0),
        candidates=(asset.id,),
        size_bytes=stored_bytes([asset]),
        more=False,
        confirmed_at=now,
    )


def _refuse_used(asset: Asset, run: PurgeRun) -> None:
    """Raise the reason why the run would keep the asset, if there is one."""
    before = run.unused_before(asset.status)
    if asset.references:
        raise ImageReferencedError(asset.id)
    if asset.sharers:
        raise ImageSharedError(asset.id)
    if asset.is_lent(run.as_of):
        raise ImageLentError(asset.id)
    if asset.status is Status.PROCESSING and before and asset.unused_since and asset.unused_since >= before:
        raise ImageInWorkError(asset.id)

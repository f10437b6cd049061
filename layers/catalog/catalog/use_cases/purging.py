"""Purging: delete unused assets.  A worker may die at any line.

A run is recorded before anything is deleted, and has one worker at a time.  The write that takes an asset out
of use checks it again.  Then its membership, its index entries, its renditions, its original and its record
are deleted, in an order that any later worker can finish.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Final

from catalog.domain.assets import AssetStateError, Status
from catalog.domain.clock import Clock, utc_now
from catalog.domain.hops import ChainTooLongError, next_hop
from catalog.domain.keys import AssetId, AssetKey, TenantId
from catalog.domain.purge import (
    CLAIMED_FOR,
    MAX_CANDIDATES,
    Kept,
    PurgeJob,
    PurgeRun,
    RunClaimedError,
    RunSource,
    RunState,
    stored_bytes,
    unused_before,
)

if TYPE_CHECKING:
    from catalog.adapters.assets_table import Assets
    from catalog.adapters.hash_bands_table import HashBands
    from catalog.adapters.objects import Originals, Renditions
    from catalog.adapters.purge_runs_table import PurgeRuns
    from catalog.adapters.queues import PurgeQueue
    from catalog.adapters.tenants_table import Tenants
    from catalog.domain.assets import Asset
    from catalog.use_cases.grouping import Grouping

# Of a worker's 60 seconds; the rest is for recording progress and for the next message.
WORK_FOR: Final = timedelta(seconds=40)
# Index entries a run reads to find its candidates: 5,000 entries of about 250 bytes are 153 read units.
_LOOKED_AT: Final = 5_000
# Candidates between two records of progress: the next worker repeats these after a crash.
_SLICE: Final = 25


def new_run_id(now: datetime) -> str:
    """A run's id, which begins with its time."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:12]}"


class Outcome(StrEnum):
    """How a purge job ended; the name of its log line."""

    WORKED = "purge worked on"
    CLAIMED = "purge under way elsewhere"
    LEFT_FOR_NEXT_DAY = "purge goes on with the next day's"


@dataclass(frozen=True, slots=True)
class DailyPurge:
    """What the schedule starts."""

    tenants: Tenants
    queue: PurgeQueue

    def start(self) -> int:
        """Enqueue one job a tenant, which is retried and dead-lettered by itself.  Returns how many."""
        started = 0
        for tenant in self.tenants.ids():
            self.queue.send(PurgeJob(tenant))
            started += 1
        return started


@dataclass(frozen=True, slots=True)
class Purging:
    """Carries out runs.  `completed` is called with each that completes."""

    assets: Assets
    originals: Originals
    renditions: Renditions
    bands: HashBands
    grouping: Grouping
    runs: PurgeRuns
    queue: PurgeQueue
    grace: timedelta
    completed: Callable[[PurgeRun], None]
    clock: Clock = utc_now

    def work(self, job: PurgeJob) -> Outcome:
        """Carry on with the job's run, or purge its tenant as the schedule does.

        A claimed run is re-queued for when its claim expires.  A chain of jobs that is too long ends: the
        next daily purge finds what is left.
        """
        until = self.clock() + WORK_FOR
        try:
            try:
                if job.run_id is None:
                    self._purge_tenant(job, until)
                else:
                    run = self.runs.get(job.tenant, job.run_id)
                    if run.state is RunState.RUNNING:
                        self.carry_out(run, until, job)
            except RunClaimedError:
                self.queue.send(replace(job, hops=next_hop(job.hops)), delay=CLAIMED_FOR)
                return Outcome.CLAIMED
        except ChainTooLongError:
            return Outcome.LEFT_FOR_NEXT_DAY
        return Outcome.WORKED

    def carry_out(self, run: PurgeRun, until: datetime, job: PurgeJob | None = None) -> PurgeRun:
        """Delete until the run completes or the time is up, and enqueue what is left; the run afterwards.

        `job` is the one that asks.  Raises RunClaimedError, ChainTooLongError.
        """
        run = self._delete_candidates(run, until)
        if run.state is RunState.COMPLETED:
            self.completed(run)
        else:
            self.queue.send(PurgeJob(run.tenant, run.id, next_hop(job.hops) if job else 0))
        return run

    def find_candidates(
        self, tenant: TenantId, older_than: timedelta, source: RunSource, requested_by: str
    ) -> tuple[PurgeRun, tuple[Asset, ...]]:
        """A run over what is unused now, not recorded yet, and the assets.

        Only a request's run needs a token to start: the schedule's role alone can ask for the other.
        """
        now = self.clock()
        # Query up to the latest cut-off of any status, then apply to each entry the cut-off of its own.
        latest = max(
            moment
            for status in Status
            if (moment := unused_before(status, as_of=now, older_than=older_than)) is not None
        )
        found: list[AssetId] = []
        entries = self.assets.unused(tenant, before=latest)
        for id_, status, since in islice(entries, _LOOKED_AT):
            before = unused_before(status, as_of=now, older_than=older_than)
            if before is not None and since < before:
                found.append(id_)
            if len(found) > MAX_CANDIDATES:
                break
        more = len(found) > MAX_CANDIDATES or next(entries, None) is not None
        candidates = tuple(found[:MAX_CANDIDATES])
        known = self.assets.many(tenant, candidates)
        running = source is RunSource.SCHEDULE
        run = PurgeRun(
            tenant=tenant,
            id=new_run_id(now),
            state=RunState.RUNNING if running else RunState.PROPOSED,
            source=source,
            requested_by=requested_by,
            as_of=now,
            older_than=older_than,
            candidates=candidates,
            size_bytes=stored_bytes(known.values()),
            more=more,
            confirmed_at=now if running else None,
        )
        return run, tuple(known[id_] for id_ in candidates if id_ in known)

    def _purge_tenant(self, job: PurgeJob, until: datetime) -> None:
        """Complete earlier runs first; then purge what is unused today."""
        for unfinished in self.runs.unfinished(job.tenant):
            if self.carry_out(unfinished, until, job).state is not RunState.COMPLETED:
                return  # the rest is enqueued
        run, _ = self.find_candidates(job.tenant, self.grace, RunSource.SCHEDULE, "schedule")
        if not run.candidates:
            return
        self.runs.record(run)
        if self.carry_out(run, until, job).state is RunState.COMPLETED and run.more:
            self.queue.send(PurgeJob(job.tenant, hops=next_hop(job.hops)))

    def _delete_candidates(self, run: PurgeRun, until: datetime) -> PurgeRun:
        """Raises RunClaimedError where another worker is at the run or has completed it.

        With two workers, one that stalled between its read of an asset and its deletes would delete the
        objects of an asset that was uploaded again in between.
        """
        worker = uuid.uuid4().hex
        run = self.runs.claim(run, worker=worker, now=self.clock())
        while run.state is RunState.RUNNING and self.clock() < until:
            end = min(run.position + _SLICE, len(run.candidates))
            taken, kept = run.taken, dict[AssetId, Kept]()
            if not taken:
                taken, kept = self._take_out_of_use(run, run.candidates[run.position : end])
                if taken:
                    # Record first: after a delete and a crash no record would say which run deleted it.
                    run = self.runs.take(run, worker=worker, taken=taken, kept=kept)
            for id_ in taken:
                self._delete(AssetKey(run.tenant, id_), run.id)
            run = self.runs.advance(
                run, worker=worker, position=end, deleted=len(taken), kept=kept, now=self.clock()
            )
        if run.state is RunState.RUNNING:
            self.runs.release(run, worker=worker)
        return run

    def _delete(self, key: AssetKey, run_id: str) -> None:
        """Delete an asset that the run has taken out of use.

        One that it has deleted already, and one that was sent again since, stay as they are.
        """
        asset = self.assets.find(key)
        if asset is None or asset.status is not Status.DELETING or asset.purge_run != run_id:
            return
        self.grouping.release(asset)
        for indexed in asset.indexed_as:
            self.bands.remove(key, indexed)
        self.renditions.delete_all(key)
        self.originals.delete(key)
        self.assets.forget(key)

    def _take_out_of_use(
        self, run: PurgeRun, candidates: Sequence[AssetId]
    ) -> tuple[tuple[AssetId, ...], dict[AssetId, Kept]]:
        """The candidates that this run now has in `deleting`, and why it has not the others."""
        reasons = {id_: self._kept(AssetKey(run.tenant, id_), run) for id_ in candidates}
        taken = tuple(id_ for id_, reason in reasons.items() if reason is None)
        return taken, {id_: reason for id_, reason in reasons.items() if reason}

    def _kept(self, key: AssetKey, run: PurgeRun) -> Kept | None:
        """None where this run has taken the asset out of use; else why it has not."""
        asset = self.assets.find(key)
        if asset and asset.status is Status.AWAITING_UPLOAD and self.originals.has(key):
            return Kept.IN_USE  # it arrived; its event waits in a queue or among the dead letters
        before = asset and run.unused_before(asset.status)
        if asset and before:
            try:
                asset = self.assets.mark_deleting(
                    key, status=asset.status, unused_before=before, run=run.id, now=self.clock()
                )
            except AssetStateError:
                asset = self.assets.find(key)
        if asset is None or asset.status is Status.DELETING:
            return None if asset and asset.purge_run == run.id else Kept.GONE
        if before and asset.unused_since and asset.announced_at and asset.announced_at >= before:
            # The index has it from that moment on: no run looks at it before.
            self.assets.unused_from(key, asset.announced_at)
            return Kept.ANNOUNCED
        return Kept.IN_USE

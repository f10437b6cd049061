"""Purging: propose what nobody uses, have exactly that confirmed, delete it, and survive dying at any line.

A run is recorded before anything is deleted, and has one worker at a time.  Each asset is checked again by
the very write that takes it out of use; then what it has with others, its bands, its renditions, its original
and its record go, in an order that any later worker can finish.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from catalog.domain.assets import AssetStateError, Status
from catalog.domain.keys import AssetId, AssetKey, TenantId
from catalog.domain.purge import (
    CONFIRMATION_VALID_FOR,
    MAX_CANDIDATES,
    Confirmation,
    ConfirmTokenExpiredError,
    InvalidConfirmTokenError,
    Kept,
    PurgeRun,
    PurgeRunNotFoundError,
    RunSource,
    RunState,
    confirm_token,
    read_confirm_token,
    stored_bytes,
    unused_before,
)
from catalog.use_cases.grouping import Grouping

if TYPE_CHECKING:
    from catalog.adapters.assets_table import Assets
    from catalog.adapters.groups import Groups
    from catalog.adapters.hash_bands_table import HashBands
    from catalog.adapters.objects import Originals, Renditions
    from catalog.adapters.purge_runs_table import PurgeRuns
    from catalog.adapters.signing import Signer
    from catalog.domain.assets import Asset

# Index entries a run looks at to find its candidates: 5,000 entries of about 250 bytes are 153 read units.
_LOOKED_AT: Final = 5_000
_PAGE: Final = 500
# Candidates between two records of progress: what a crash makes the next worker do again.
_SLICE: Final = 25


@dataclass(frozen=True, slots=True)
class Proposal:
    """A dry run, the assets it found, and the token that confirms exactly it."""

    run: PurgeRun
    found: tuple[Asset, ...]
    token: str
    expires_at: datetime


def propose_purge(
    tenant: TenantId,
    *,
    older_than: timedelta,
    requested_by: str,
    assets: Assets,
    runs: PurgeRuns,
    signer: Signer,
    now: datetime,
) -> Proposal:
    """A dry run: the candidates, recorded, and a token signed over them.  Nothing is deleted."""
    run, found = _find_candidates(
        tenant,
        older_than=older_than,
        source=RunSource.REQUEST,
        requested_by=requested_by,
        assets=assets,
        now=now,
    )
    runs.record(run)
    confirmation = Confirmation(tenant, run.id, run.digest, _whole_second(now) + CONFIRMATION_VALID_FOR)
    token = confirm_token(confirmation, signer.sign(confirmation.statement()))
    return Proposal(run, found, token, confirmation.expires_at)


def confirm_purge(
    token: str,
    tenant: TenantId,
    *,
    runs: PurgeRuns,
    signer: Signer,
    see_to: Callable[[PurgeRun], None],
    now: datetime,
) -> PurgeRun:
    """Start the run that `token` confirms, and delete nothing.

    `see_to` is called before, so that somebody goes on with the run whenever the caller dies after that.
    Raises InvalidConfirmTokenError, ConfirmTokenExpiredError, RunAlreadyConfirmedError.
    """
    confirmation, signature = read_confirm_token(token)
    if not signer.verifies(confirmation.statement(), signature) or confirmation.tenant != tenant:
        raise InvalidConfirmTokenError(token[:80])
    if now > confirmation.expires_at:
        raise ConfirmTokenExpiredError(confirmation.run_id)
    try:
        run = runs.get(tenant, confirmation.run_id)
    except PurgeRunNotFoundError as error:
        raise InvalidConfirmTokenError(token[:80]) from error
    if run.digest != confirmation.digest:
        raise InvalidConfirmTokenError(token[:80])
    if run.state is RunState.PROPOSED:
        see_to(run)
    return runs.confirm(run, now=now)


def start_scheduled_purge(
    tenant: TenantId, *, older_than: timedelta, assets: Assets, runs: PurgeRuns, now: datetime
) -> PurgeRun | None:
    """A run that needs no token: only the scheduler's role can ask for it.  None if nothing is unused."""
    run, _ = _find_candidates(
        tenant,
        older_than=older_than,
        source=RunSource.SCHEDULE,
        requested_by="schedule",
        assets=assets,
        now=now,
    )
    if not run.candidates:
        return None
    runs.record(run)
    return run


def purge_tenant(
    tenant: TenantId,
    *,
    older_than: timedelta,
    assets: Assets,
    runs: PurgeRuns,
    work: Callable[[PurgeRun], PurgeRun],
    now: datetime,
) -> bool:
    """What the schedule does for one tenant; True where something is left that only another call will do.

    First what an earlier run, wherever it died, has left undone; then what is unused today.  Raises
    RunClaimedError where an earlier run is under way.
    """
    for unfinished in runs.unfinished(tenant):
        if work(unfinished).state is not RunState.COMPLETED:
            return False  # whoever works on it hands it on
    run = start_scheduled_purge(tenant, older_than=older_than, assets=assets, runs=runs, now=now)
    return run is not None and work(run).state is RunState.COMPLETED and run.more


def work_on_run(
    run: PurgeRun,
    *,
    assets: Assets,
    originals: Originals,
    renditions: Renditions,
    bands: HashBands,
    groups: Groups,
    runs: PurgeRuns,
    clock: Callable[[], datetime],
    until: datetime,
) -> PurgeRun:
    """Deal with the run's candidates until it completes or the time is up; the run as it then is.

    Raises RunClaimedError where another worker is at it or has completed it.  A second one that stalled
    between its read of an asset and its deletes would take the objects from one uploaded again in between.
    """
    worker = uuid.uuid4().hex
    run = runs.claim(run, worker=worker, now=clock())
    while run.state is RunState.RUNNING and clock() < until:
        end = min(run.position + _SLICE, len(run.candidates))
        taken, kept = run.taken, dict[AssetId, Kept]()
        if not taken:
            taken, kept = _take_out_of_use(
                run, run.candidates[run.position : end], assets=assets, originals=originals, clock=clock
            )
            if taken:
                # Before any is deleted: of one that is gone nobody could tell whose work that was.
                run = runs.take(run, worker=worker, taken=taken, kept=kept)
        for id_ in taken:
            delete_asset(
                AssetKey(run.tenant, id_),
                run=run.id,
                assets=assets,
                originals=originals,
                renditions=renditions,
                bands=bands,
                groups=groups,
                now=clock(),
            )
        run = runs.advance(run, worker=worker, position=end, deleted=len(taken), kept=kept, now=clock())
    if run.state is RunState.RUNNING:
        runs.release(run, worker=worker)
    return run


def delete_asset(
    key: AssetKey,
    *,
    run: str,
    assets: Assets,
    originals: Originals,
    renditions: Renditions,
    bands: HashBands,
    groups: Groups,
    now: datetime,
) -> None:
    """Delete an asset that `run` has taken out of use; one it has deleted already, and what was sent again
    since, stay as they are."""
    asset = assets.find(key)
    if asset is None or asset.status is not Status.DELETING or asset.purge_run != run:
        return
    Grouping(assets, groups, clock=lambda: now).release(asset)
    for indexed in asset.indexed_as:
        bands.remove(key, indexed)
    renditions.delete_all(key)
    originals.delete(key)
    assets.forget(key)


def _take_out_of_use(
    run: PurgeRun,
    candidates: Sequence[AssetId],
    *,
    assets: Assets,
    originals: Originals,
    clock: Callable[[], datetime],
) -> tuple[tuple[AssetId, ...], dict[AssetId, Kept]]:
    """Those of the candidates that are `deleting` by this run from here on, and why the others are not."""
    taken: list[AssetId] = []
    kept: dict[AssetId, Kept] = {}
    for id_ in candidates:
        reason = _kept(AssetKey(run.tenant, id_), run, assets=assets, originals=originals, now=clock())
        if reason is None:
            taken.append(id_)
        else:
            kept[id_] = reason
    return tuple(taken), kept


def _kept(
    key: AssetKey, run: PurgeRun, *, assets: Assets, originals: Originals, now: datetime
) -> Kept | None:
    """None where the asset is out of use, by this run; else why it is not."""
    asset = assets.find(key)
    if asset and asset.status is Status.AWAITING_UPLOAD and originals.has(key):
        return Kept.IN_USE  # it did come, and its event waits in a queue, or with the dead letters
    before = asset and unused_before(asset.status, as_of=run.as_of, older_than=run.older_than)
    if asset and before:
        try:
            asset = assets.mark_deleting(key, status=asset.status, unused_before=before, run=run.id, now=now)
        except AssetStateError:
            asset = assets.find(key)
    if asset is None or asset.status is Status.DELETING:
        return None if asset and asset.purge_run == run.id else Kept.GONE
    if before and asset.unused_since and asset.announced_at and asset.announced_at >= before:
        # Where the index has it from now on: this is looked at again when that time is over.
        assets.unused_from(key, asset.announced_at)
        return Kept.ANNOUNCED
    return Kept.IN_USE


def _find_candidates(
    tenant: TenantId,
    *,
    older_than: timedelta,
    source: RunSource,
    requested_by: str,
    assets: Assets,
    now: datetime,
) -> tuple[PurgeRun, tuple[Asset, ...]]:
    # No status has a later cut-off than this one; each entry is then held to that of its own status.
    latest = max(
        moment
        for status in Status
        if (moment := unused_before(status, as_of=now, older_than=older_than)) is not None
    )
    found: list[AssetId] = []
    position: tuple[str, str] | None = None
    more = False
    for _ in range(_LOOKED_AT // _PAGE):
        entries, position = assets.unused(tenant, before=latest, after=position, limit=_PAGE)
        for id_, status, since in entries:
            before = unused_before(status, as_of=now, older_than=older_than)
            if before is not None and since < before:
                found.append(id_)
        more = len(found) > MAX_CANDIDATES or position is not None
        if len(found) > MAX_CANDIDATES or position is None:
            break
    candidates = tuple(found[:MAX_CANDIDATES])
    known = assets.many(tenant, candidates)
    running = source is RunSource.SCHEDULE
    run = PurgeRun(
        tenant=tenant,
        id=f"{now.astimezone(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:12]}",
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


def _whole_second(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)

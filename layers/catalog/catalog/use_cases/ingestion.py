"""Ingestion: an original has arrived; check it, hash it, record it, and have it rendered.

Safe to run twice, late, at the same time as itself, and to die between any two lines: what is recorded is
recorded conditionally, jobs are sent after it, and a second run sends only the jobs that are still missing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from catalog.domain.assets import (
    AWAITED_FOR,
    Asset,
    AssetBeingDeletedError,
    AssetStateError,
    Inspection,
    Status,
    render_jobs,
)
from catalog.domain.rejections import ImageRejectedError, Rejection, RejectionCode
from catalog.domain.uploads import (
    MOST_VERSIONS,
    TICKETS_LAST,
    OriginalMissingError,
    OriginalTooLargeError,
    SentOverAndOverError,
)
from catalog.use_cases.near_duplicates import (
    NearDuplicates,
    Search,
    find_near_duplicate,
    members_job,
    settle_duplicate,
)
from catalog.use_cases.settling import make_ready, reject_original

if TYPE_CHECKING:
    from datetime import datetime

    from catalog.adapters.assets_table import Assets
    from catalog.adapters.groups import Groups
    from catalog.adapters.objects import Originals
    from catalog.adapters.queues import RenderQueue
    from catalog.domain.keys import AssetKey
    from catalog.domain.presets import Preset


Inspect = Callable[[bytes], Inspection]
"""Decodes an original within its bounds.  Raises ImageRejectedError for what can never be an asset."""


class Outcome(StrEnum):
    """How one event ended; the name of its log line and of its metric."""

    ACCEPTED = "original accepted"
    NEAR_DUPLICATE = "near-duplicate found"
    RESUMED = "half-done asset resumed"
    REJECTED = "original rejected"
    DUPLICATE_EVENT = "duplicate event"
    ORIGINAL_GONE = "original gone before ingest"
    UNANNOUNCED = "original sent again after its purge, and not announced"


@dataclass(frozen=True, slots=True)
class Ingested:
    """The outcome, the asset as it was left (None where there is none), and figures for the log.

    `fault` is what kept the asset from being compared with others; it is rendered on its own then.
    """

    outcome: Outcome
    asset: Asset | None
    jobs: int = 0
    compared: int = 0
    capped: int = 0
    unseen: int = 0
    fault: Exception | None = None


def ingest_upload(
    key: AssetKey,
    *,
    assets: Assets,
    originals: Originals,
    queue: RenderQueue,
    inspect: Inspect,
    near: NearDuplicates,
    presets: Sequence[Preset],
    presets_per_job: int,
    max_upload_bytes: int,
    clock: Callable[[], datetime],
) -> Ingested:
    """Bring the original at `key` to `processing` with its render jobs sent, or to `rejected`.

    A near-duplicate shares another asset's renditions and gets no jobs.

    Raises AssetBeingDeletedError while a purge is removing it: retried later, the event finds either nothing
    or an original that was sent anew.  Faults (S3, DynamoDB, SQS, memory) are raised, to be retried; nothing
    a file contains is.
    """
    known = assets.find(key)
    if known and known.status is Status.DELETING:
        raise AssetBeingDeletedError(key.id)
    if nothing_new := _is_no_news(key, known, originals=originals, now=clock()):
        return Ingested(nothing_new, known)
    complete = partial(
        _complete,
        assets=assets,
        groups=near.groups,
        queue=queue,
        presets=presets,
        presets_per_job=presets_per_job,
    )
    recorded = known and known.status in {Status.PROCESSING, Status.READY}
    if known and recorded and (known.renditions or known.near_duplicate):
        asset, jobs = complete(known, now=clock())
        return Ingested(Outcome.RESUMED, asset, jobs)
    try:
        asset, inspection = _accept_or_reject(
            key,
            assets=assets,
            originals=originals,
            inspect=inspect,
            max_upload_bytes=max_upload_bytes,
            clock=clock,
        )
    except OriginalMissingError:
        return Ingested(Outcome.ORIGINAL_GONE, known)
    except AssetStateError:
        # Rejected at the same moment, by another worker with the same event.
        return Ingested(Outcome.DUPLICATE_EVENT, assets.find(key))
    if inspection is None:
        return Ingested(Outcome.REJECTED, asset)
    search, fault = Search(asset), None
    try:
        search = find_near_duplicate(
            asset,
            inspection,
            near=near,
            assets=assets,
            originals=originals,
            max_upload_bytes=max_upload_bytes,
            clock=clock,
        )
    except Exception as error:  # noqa: BLE001 - a miss costs a rendering; no fault may cost the upload
        # It may have found one all the same, and not have been told.
        search, fault = Search(assets.get(key)), error
    asset, jobs = complete(search.asset, now=clock())
    outcome = Outcome.NEAR_DUPLICATE if search.asset.near_duplicate else Outcome.ACCEPTED
    return Ingested(outcome, asset, jobs, search.compared, search.capped, search.unseen, fault)


def _is_no_news(key: AssetKey, known: Asset | None, *, originals: Originals, now: datetime) -> Outcome | None:
    """How an event ends that brings nothing; None for one that is to be followed up."""
    if known is None:
        sent_again = _was_sent_after_its_purge(key, originals=originals, now=now)
        return Outcome.UNANNOUNCED if sent_again else None
    return Outcome.DUPLICATE_EVENT if _is_settled(known) else None


def _was_sent_after_its_purge(key: AssetKey, *, originals: Originals, now: datetime) -> bool:
    """Whether bytes came after their purge, by a ticket of before, and unannounced since; they are deleted.

    An announcement is kept for a day.  An object half as old may have been announced, and its event have
    waited among dead letters meanwhile: that is accepted.  Raises SentOverAndOverError: while the object is
    there, S3 refuses further PUTs.
    """
    stored = originals.stored_after_purge(key)
    if not stored or now - stored[0] > AWAITED_FOR / 2:
        return False
    if sum(now - sent_at < TICKETS_LAST for sent_at in stored) >= MOST_VERSIONS:
        raise SentOverAndOverError(key.id)
    originals.delete(key)  # which leaves a version, as a purge does: no function destroys an original
    return True


def _is_settled(asset: Asset) -> bool:
    """Nothing an event says of this asset is news: unless its bytes were wrong, and may be right now."""
    if asset.rejection:
        return not asset.rejection.heals_with_the_bytes
    return asset.status is Status.READY and not _members_are_to_follow(asset)


def _members_are_to_follow(asset: Asset) -> bool:
    """It joined a larger one, and those that had joined it before point at it still."""
    return asset.near_duplicate is not None and asset.has_members


def _accept_or_reject(
    key: AssetKey,
    *,
    assets: Assets,
    originals: Originals,
    inspect: Inspect,
    max_upload_bytes: int,
    clock: Callable[[], datetime],
) -> tuple[Asset, Inspection | None]:
    """The asset as it is recorded, and what was seen in it; None where it is rejected."""
    size_bytes = 0
    try:
        data = originals.read(key, max_bytes=max_upload_bytes)
        size_bytes = len(data)
        inspection = _inspect(key, data, inspect)
    except OriginalTooLargeError as error:
        size_bytes = error.size_bytes
        detail = f"{size_bytes} bytes; at most {max_upload_bytes} are accepted"
        rejection = Rejection(RejectionCode.TOO_LARGE, detail)
    except ImageRejectedError as error:
        rejection = error.rejection
    else:
        return assets.accept(key, inspection, size_bytes=size_bytes, now=clock()), inspection
    rejected = reject_original(
        key, rejection, size_bytes=size_bytes, assets=assets, originals=originals, now=clock()
    )
    if rejection.heals_with_the_bytes:
        originals.delete(key)  # S3 refuses the right bytes while others lie here
    return rejected, None


def _inspect(key: AssetKey, data: bytes, inspect: Inspect) -> Inspection:
    digest = hashlib.sha256(data).hexdigest()
    if digest != key.id:
        raise ImageRejectedError(
            RejectionCode.CHECKSUM_MISMATCH, f"the object's SHA-256 is {digest}, its key says {key.id}"
        )
    return inspect(data)


def _complete(
    asset: Asset,
    *,
    assets: Assets,
    groups: Groups,
    queue: RenderQueue,
    presets: Sequence[Preset],
    presets_per_job: int,
    now: datetime,
) -> tuple[Asset, int]:
    """Whatever is left to do for a recorded asset; and how many render jobs that took."""
    asset = settle_duplicate(asset, groups=groups, assets=assets, now=now)
    if asset.status is Status.READY:  # it joined one that is
        if _members_are_to_follow(asset):
            queue.send([members_job(asset)])
        return asset, 0
    if asset.status is not Status.PROCESSING or (asset.near_duplicate and asset.near_duplicate.shares):
        return asset, 0  # ready, or waiting for the asset it is a duplicate of
    if not asset.missing(presets):
        return make_ready(asset.key, assets=assets, now=now), 0
    jobs = render_jobs(asset, presets, presets_per_job=presets_per_job)
    queue.send(jobs)
    return asset, len(jobs)

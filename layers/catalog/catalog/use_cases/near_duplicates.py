"""Near-duplicates: an asset finds the one it looks like, shares its renditions, and can be told apart again.

Joining is one transaction over both: the canonical asset must still be canonical and of the state it was
read in, the joining one must still be alone and depended on by nobody.  So
of two that would join each other the second is refused, and a duplicate always points at a canonical asset.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from catalog.domain.assets import Asset, AssetStateError, Inspection, Status
from catalog.domain.keys import AssetKey
from catalog.domain.near_duplicates import (
    MOST_COMPARED,
    Candidate,
    DecidedBy,
    Decision,
    Likeness,
    NearDuplicate,
    NearDuplicateAction,
    held_for,
)
from catalog.use_cases.candidates import MOST_CONSIDERED, find_candidates, joinable

if TYPE_CHECKING:
    from datetime import datetime

    from catalog.adapters.assets_table import Assets
    from catalog.adapters.hash_bands_table import HashBands
    from catalog.adapters.objects import Originals
    from catalog.adapters.pairs_table import Pairs

Compare = Callable[[Inspection, bytes], Likeness]
"""The verdict on an inspected original and another's bytes.  Raises ImageRejectedError."""

# Attempts to join while the canonical asset changes under our hands: it becomes ready once.
_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """How this deployment treats near-duplicates, and where it keeps them."""

    action: NearDuplicateAction
    bands: HashBands
    pairs: Pairs
    compare: Compare


@dataclass(frozen=True, slots=True)
class Search:
    """What looking for near-duplicates came to: the asset as it is left, and figures for the log.

    `capped` buckets of the index were read in part; `unseen` candidates were near, and not looked at.
    """

    asset: Asset
    compared: int = 0
    capped: int = 0
    unseen: int = 0


def find_near_duplicate(
    asset: Asset,
    inspection: Inspection,
    *,
    near: NearDuplicates,
    assets: Assets,
    originals: Originals,
    max_upload_bytes: int,
    clock: Callable[[], datetime],
) -> Search:
    """Index the asset, and join it to the nearest one that shows the same picture, if there is one.

    Raises whatever goes wrong; the caller renders the asset on its own then.
    """
    if near.action is NearDuplicateAction.OFF or inspection.near_blank:
        return Search(asset)
    found = find_candidates(asset, inspection, bands=near.bands)
    compared, unseen = 0, max(0, len(found.candidates) - MOST_CONSIDERED)
    for candidate, canonical in joinable(asset, found.candidates, assets=assets):
        if compared == MOST_COMPARED:
            unseen = len(found.candidates) - found.candidates.index(candidate)
            break
        pair = near.pairs.find(asset.tenant, asset.id, canonical.id)
        if pair and pair.decision is Decision.DISTINCT:
            continue
        if pair and pair.decision is Decision.SAME:
            verdict = NearDuplicate(canonical.id, DecidedBy.PERSON, shares=True, distance=pair.distance)
        else:
            compared += 1
            data = originals.read(canonical.key, max_bytes=max_upload_bytes)
            likeness = near.compare(inspection, data)
            near.pairs.record(
                asset.key, canonical.id, distance=candidate.distance, likeness=likeness, now=clock()
            )
            if not likeness.joins:
                continue
            verdict = _verdict(canonical, candidate, likeness)
        joined = join(
            asset, canonical, verdict, action=near.action, assets=assets, pairs=near.pairs, now=clock()
        )
        if joined is not None:
            return Search(joined, compared, found.capped)
    return Search(asset, compared, found.capped, unseen)


def _verdict(canonical: Asset, candidate: Candidate, likeness: Likeness) -> NearDuplicate:
    return NearDuplicate(
        canonical.id,
        DecidedBy.PIXELS,
        shares=likeness.accepted,
        distance=candidate.distance if candidate.id == canonical.id else None,
        scores=likeness.scores,
    )


def join(
    asset: Asset,
    canonical: Asset,
    verdict: NearDuplicate,
    *,
    action: NearDuplicateAction,
    assets: Assets,
    pairs: Pairs,
    now: datetime,
) -> Asset | None:
    """Make `asset` a duplicate of `canonical`; None where it cannot be (any more), or is the larger one."""
    for _ in range(_ATTEMPTS):
        if not _is_as_large(canonical, asset):
            return None
        try:
            shares = verdict.shares and action is NearDuplicateAction.REUSE
            return assets.join(asset, canonical, verdict, shares=shares, pairs=pairs, now=now)
        except AssetStateError:
            left, right = assets.find(asset.key), assets.find(canonical.key)
            if left is None or right is None or left.near_duplicate is not None:
                return left if left and left.near_duplicate else None
            if right.near_duplicate or right.status not in {Status.PROCESSING, Status.READY}:
                return None
            if held_for(left.references) or left.linked_by:
                return None  # another one has joined us meanwhile: we are canonical now
            asset, canonical = left, right
    return None


def separate(asset: Asset, *, assets: Assets, now: datetime) -> Asset:
    """End `asset`'s being a duplicate; it is `processing` until it has renditions of its own.

    It goes on showing those it shared meanwhile.  Separated already, it is returned as it is.
    """
    if asset.near_duplicate is None:
        return asset
    return assets.separate(asset, now=now)


def settle_duplicate(asset: Asset, *, assets: Assets, now: datetime) -> Asset:
    """Bring a duplicate to where its canonical asset is: ready with its renditions, or on its own again."""
    if asset.near_duplicate is None or not asset.near_duplicate.shares:
        return asset
    canonical = assets.find(AssetKey(asset.tenant, asset.near_duplicate.of))
    if canonical is None or canonical.status in {Status.REJECTED, Status.DELETING}:
        return separate(asset, assets=assets, now=now)
    if canonical.status is Status.READY and asset.status is Status.PROCESSING:
        return assets.share_renditions(asset.key, canonical, now=now)
    return asset


def settle_duplicates_of(canonical: Asset, *, assets: Assets, now: datetime) -> list[Asset]:
    """Settle every asset that waits for this one; returns those that must now be rendered on their own.

    They are still duplicates of it: their first job separates them.  Were they separated here, and the worker
    died before it sent their jobs, nothing would lead from this asset to them any more.
    """
    alone = []
    for id_ in held_for(canonical.references):
        duplicate = assets.find(AssetKey(canonical.tenant, id_))
        if duplicate is None or duplicate.status is not Status.PROCESSING:
            continue
        if canonical.status in {Status.REJECTED, Status.DELETING}:
            alone.append(replace(duplicate, near_duplicate=None))
        else:
            settle_duplicate(duplicate, assets=assets, now=now)
    return alone


def let_go(asset: Asset, *, assets: Assets, now: datetime) -> None:
    """End what an asset that is being deleted has with others: its hold or link, and links to it."""
    if near := asset.near_duplicate:
        canonical = AssetKey(asset.tenant, near.of)
        if near.shares:
            assets.release_hold(canonical, asset.id, now=now)
        else:
            assets.release_link(canonical, asset.id)
    for id_ in asset.linked_by:
        key = AssetKey(asset.tenant, id_)
        while (duplicate := assets.find(key)) and _is_linked_to(asset, duplicate):
            with suppress(AssetStateError):  # it is changing: look again
                assets.separate(duplicate, now=now)


def _is_linked_to(asset: Asset, duplicate: Asset) -> bool:
    near = duplicate.near_duplicate
    return near is not None and near.of == asset.id and duplicate.status is not Status.DELETING


def _is_as_large(canonical: Asset, asset: Asset) -> bool:
    """Whether every rendition of `asset` can be made of `canonical` without upscaling, in pixels a side."""
    if canonical.source is None or asset.source is None:
        return False
    large, small = canonical.source, asset.source
    # A pixel less is what rounding a resize of the same picture leaves.
    return large.width >= small.width - 1 and large.height >= small.height - 1

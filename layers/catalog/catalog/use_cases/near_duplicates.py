"""Near-duplicates: an asset finds those it looks like, shares renditions with them, and can be told apart.

Of two assets that show one picture the larger one is canonical, whichever came first: both sides of a race
would join them the same way round.  An asset that others have joined may join a larger one in turn; it shows
its own renditions until that one is ready, and its members follow it one by one, each in a transaction of its
own.  Until they have, they show what they showed.  At rest every member points at a canonical asset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from catalog.domain.assets import Asset, AssetStateError, Inspection, RenderJob, Status, render_jobs
from catalog.domain.keys import AssetId, AssetKey
from catalog.domain.near_duplicates import (
    MOST_COMPARED,
    Candidate,
    DecidedBy,
    Decision,
    Likeness,
    NearDuplicate,
    NearDuplicateAction,
)
from catalog.use_cases.candidates import MOST_CONSIDERED, canonical_of, find_candidates, joinable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from catalog.adapters.assets_table import Assets
    from catalog.adapters.groups import Groups
    from catalog.adapters.hash_bands_table import HashBands
    from catalog.adapters.objects import Originals
    from catalog.adapters.pairs_table import Pairs
    from catalog.domain.presets import Preset

Compare = Callable[[Inspection, bytes], Likeness]
"""The verdict on an inspected original and another's bytes.  Raises ImageRejectedError."""

# Attempts at what changes under our hands.
_ATTEMPTS: Final = 5
# Members one job settles, at about 20 ms each; of more, sixteen jobs take a part each.
MOST_SETTLED: Final = 100
_DIGITS: Final = "0123456789abcdef"


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """How this deployment treats near-duplicates, and where it keeps them."""

    action: NearDuplicateAction
    bands: HashBands
    pairs: Pairs
    groups: Groups
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
    """Index the asset, and join it to the nearest one that shows the same picture; or that one to it.

    While it is the larger one the search goes on: others may show the same picture that do not resemble each
    other enough.  Raises whatever goes wrong; the caller renders the asset on its own then.
    """
    if near.action is NearDuplicateAction.OFF or inspection.near_blank:
        return Search(asset)
    found = find_candidates(asset, inspection, bands=near.bands)
    compared, unseen = 0, max(0, len(found.candidates) - MOST_CONSIDERED)
    moved: list[Candidate] = []
    for candidate, canonical in _first_and_again(asset, found.candidates, moved, assets=assets):
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
        united = unite(
            asset, canonical, verdict, action=near.action, groups=near.groups, assets=assets, now=clock()
        )
        if not united:
            moved.append(candidate)
        asset = assets.get(asset.key)
        if asset.near_duplicate:
            return Search(asset, compared, found.capped)
    return Search(asset, compared, found.capped, unseen)


def _first_and_again(
    asset: Asset, candidates: Sequence[Candidate], moved: list[Candidate], *, assets: Assets
) -> Iterator[tuple[Candidate, Asset]]:
    """The canonical assets of the candidates; again of those that were canonical no longer when joined."""
    yield from joinable(asset, tuple(candidates), assets=assets)
    yield from joinable(asset, tuple(moved), assets=assets)


def _verdict(canonical: Asset, candidate: Candidate, likeness: Likeness) -> NearDuplicate:
    return NearDuplicate(
        canonical.id,
        DecidedBy.PIXELS,
        shares=likeness.accepted,
        distance=candidate.distance if candidate.id == canonical.id else None,
        scores=likeness.scores,
    )


def unite(
    one: Asset,
    other: Asset,
    verdict: NearDuplicate,
    *,
    action: NearDuplicateAction,
    groups: Groups,
    assets: Assets,
    now: datetime,
) -> bool:
    """Make the smaller of two canonical assets a near-duplicate of the larger.

    False where either is not canonical (any more), or a person said that it is distinct from one of the
    other's group.
    """
    shares = verdict.shares and action is NearDuplicateAction.REUSE
    for _ in range(_ATTEMPTS):
        smaller, larger = (one, other) if other.outranks(one) else (other, one)
        words = groups.words(smaller.key)
        if distinct_from_group_of(larger, words, assets=assets):
            return False
        try:
            groups.join(
                smaller,
                larger,
                replace(verdict, of=larger.id, shares=shares),
                alone=Decision.DISTINCT not in words.values(),
                now=now,
            )
        except AssetStateError:
            left, right = assets.find(one.key), assets.find(other.key)
            if left is None or right is None or not (_is_canonical(left) and _is_canonical(right)):
                return False
            one, other = left, right
        else:
            return True
    return False


def _is_canonical(asset: Asset) -> bool:
    return asset.near_duplicate is None and asset.status in {Status.PROCESSING, Status.READY}


def distinct_from_group_of(
    canonical: Asset, words: Mapping[AssetId, Decision], *, assets: Assets
) -> AssetId | None:
    """One of a group that a person called distinct from the asset whose `words` these are."""
    for id_, decision in words.items():
        if decision is Decision.DISTINCT:
            found = canonical_of(AssetKey(canonical.tenant, id_), assets)
            if found and found.id == canonical.id:
                return id_
    return None


# --- Settling: where a duplicate belongs --------------------------------------------------------------------


class _Next(Enum):
    STAY = auto()
    SHARE = auto()  # what the asset it points at shows
    MOVE = auto()  # with the asset it points at, to a larger one
    LEAVE = auto()


@dataclass(frozen=True, slots=True)
class _Place:
    """What is to become of a duplicate: `former` is what it points at, `canonical` where it is to move.

    `shares` says whether it shows that one's renditions there; `alone`, that no person called it distinct
    from anyone.
    """

    next: _Next
    former: Asset | None = None
    canonical: Asset | None = None
    shares: bool = False
    alone: bool = True

    def needs_renditions_of(self, asset: Asset) -> bool:
        """Whether it takes renditions of the asset's own."""
        leaves = self.next is _Next.LEAVE or (self.next is _Next.MOVE and not self.shares)
        shared = asset.near_duplicate is not None and asset.near_duplicate.shares
        return leaves and shared and not asset.shows_its_own


def _place_of(asset: Asset, *, groups: Groups, assets: Assets) -> _Place:
    near = asset.near_duplicate
    if near is None:
        return _Place(_Next.STAY)
    former = assets.find(AssetKey(asset.tenant, near.of))
    if former is None or former.status in {Status.REJECTED, Status.DELETING}:
        return _Place(_Next.LEAVE, former)
    if former.near_duplicate:
        canonical = assets.find(AssetKey(asset.tenant, former.near_duplicate.of))
        if canonical and canonical.status is Status.READY and canonical.near_duplicate is None:
            words = groups.words(asset.key)
            if distinct_from_group_of(canonical, words, assets=assets):
                return _Place(_Next.LEAVE, former)
            shares = near.shares and former.near_duplicate.shares
            return _Place(_Next.MOVE, former, canonical, shares, Decision.DISTINCT not in words.values())
    if near.shares and former.status is Status.READY and _shows_other(asset, former):
        return _Place(_Next.SHARE, former)
    return _Place(_Next.STAY, former)


def _shows_other(asset: Asset, former: Asset) -> bool:
    """An asset that shows something and points at one that is to move stays as it is until it moves."""
    if asset.status is Status.PROCESSING:
        return True
    if former.near_duplicate:
        return False
    return {r.key for r in asset.renditions.values()} != {r.key for r in former.renditions.values()}


def settle_duplicate(asset: Asset, *, groups: Groups, assets: Assets, now: datetime) -> Asset:
    """Bring a duplicate to where its canonical asset is: ready with its renditions, or on its own again."""
    for _ in range(_ATTEMPTS):
        try:
            return _settled(asset, _place_of(asset, groups=groups, assets=assets), groups=groups, now=now)
        except AssetStateError:
            asset = assets.get(asset.key)
    raise AssetStateError(asset.id)


def _settled(asset: Asset, place: _Place, *, groups: Groups, now: datetime) -> Asset:
    near, former = asset.near_duplicate, place.former
    if place.next is _Next.LEAVE:
        return groups.separate(asset, former, now=now)
    if place.next is _Next.SHARE and former:
        return groups.share(asset, former, now=now)
    if place.next is _Next.MOVE and near and former and place.canonical:
        verdict = replace(near, of=place.canonical.id, shares=place.shares, distance=None)
        return groups.move(asset, former, place.canonical, verdict, alone=place.alone, now=now)
    return asset


def settle_members(
    asset: Asset,
    beginning: str = "",
    *,
    groups: Groups,
    assets: Assets,
    send: Callable[[Iterable[RenderJob]], None],
    presets: Sequence[Preset],
    presets_per_job: int,
    now: datetime,
) -> None:
    """Settle the members of an asset whose ids begin so: those that wait for it, or all, where it moved.

    Of more than MOST_SETTLED, sixteen jobs settle a part each.  Whoever needs renditions of its own is sent
    the jobs for them and stays where it is: its first job moves or separates it.  Were that done here, and
    the worker died before it sent them, nothing would lead from this asset to it any more.
    """
    if asset.status is Status.PROCESSING and asset.near_duplicate is None:
        return
    asset = groups.with_entries(asset)
    of_them = groups.members if asset.near_duplicate else groups.waiting
    ids = of_them(asset.key, beginning=beginning, limit=MOST_SETTLED + 1)
    if len(ids) > MOST_SETTLED:
        send(
            RenderJob(asset.tenant, asset.id, (), asset.correlation_id, members=beginning + digit)
            for digit in _DIGITS
        )
        return
    for id_ in ids:
        key = AssetKey(asset.tenant, id_)
        for _ in range(_ATTEMPTS):
            member = assets.find(key)
            if member is None or not _points_at(asset, member):
                break
            with suppress(AssetStateError):  # it is changing: look again
                place = _place_of(member, groups=groups, assets=assets)
                if place.needs_renditions_of(member):
                    alone = replace(member, near_duplicate=None)
                    send(render_jobs(alone, presets, presets_per_job=presets_per_job))
                    break
                member = _settled(member, place, groups=groups, now=now)
                if member.near_duplicate and member.has_members:
                    send([members_job(member)])
                break
        else:
            raise AssetStateError(id_)
        groups.no_longer_waiting(asset.key, id_)


def members_job(asset: Asset) -> RenderJob:
    """The job that has an asset's members follow it, or be settled with it."""
    return RenderJob(asset.tenant, asset.id, (), asset.correlation_id, members="")


def _points_at(asset: Asset, member: Asset) -> bool:
    near = member.near_duplicate
    return near is not None and near.of == asset.id and member.status is not Status.DELETING


def let_go(asset: Asset, *, groups: Groups, assets: Assets, now: datetime) -> None:
    """End what an asset that is being deleted has with others: its membership, and links to it."""
    while asset.near_duplicate and (former := assets.find(AssetKey(asset.tenant, asset.near_duplicate.of))):
        with suppress(AssetStateError):  # it is changing: look again
            groups.release(asset, former, now=now)
            break
    asset = groups.with_entries(asset)
    for id_ in groups.members(asset.key, limit=None):
        key = AssetKey(asset.tenant, id_)
        while (member := assets.find(key)) and _points_at(asset, member):
            with suppress(AssetStateError):
                groups.separate(member, asset, now=now)
        groups.no_longer_member(asset.key, id_)  # it is being deleted itself, and would not find this asset
    for id_ in groups.waiting(asset.key, limit=None):
        groups.no_longer_waiting(asset.key, id_)

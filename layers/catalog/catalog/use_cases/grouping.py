"""Grouping: which assets are one group, and where in it a duplicate belongs.

Of two assets that show one picture the larger one is canonical, whichever came first: both sides of a race
join them the same way round.  An asset that others have joined may join a larger one in turn.  It shows its
own renditions until that one is ready.  Its members follow it one by one, each in a transaction of its own,
and show what they showed until then.  At rest every member points at a canonical asset.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from catalog.domain.assets import Asset, AssetStateError, Status
from catalog.domain.clock import Clock, utc_now
from catalog.domain.keys import AssetId, AssetKey
from catalog.domain.near_duplicates import Decision, NearDuplicate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from catalog.adapters.assets_table import Assets
    from catalog.adapters.groups import Groups

# Another worker may change an asset between its read and its write; read again this often.
_ATTEMPTS: Final = 5


class _Next(Enum):
    STAY = auto()
    SHARE = auto()  # the renditions of the asset it points at
    MOVE = auto()  # with the asset it points at, to a larger one
    LEAVE = auto()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a duplicate belongs: `former` is what it points at, `canonical` where it is to move.

    `shares`: whether it shows that one's renditions there.  `alone`: no decision calls it distinct.
    """

    next: _Next
    former: Asset | None = None
    canonical: Asset | None = None
    shares: bool = False
    alone: bool = True

    def needs_renditions_of(self, asset: Asset) -> bool:
        """Whether it takes renditions of the asset's own."""
        leaves = self.next is _Next.LEAVE or (self.next is _Next.MOVE and not self.shares)
        return leaves and asset.shows_anothers


@dataclass(frozen=True, slots=True)
class Grouping:
    """Joins, moves and separates assets."""

    assets: Assets
    groups: Groups
    clock: Clock = utc_now

    def canonical_of(self, key: AssetKey) -> Asset | None:
        """The asset itself, or the one whose renditions it shows in the end; None where
        there is none.

        It takes more than one step only while a group moves; each step leads to a larger asset.
        """
        asset = self.assets.find(key)
        while asset and asset.near_duplicate:
            asset = self.assets.find(AssetKey(key.tenant, asset.near_duplicate.of))
        return asset

    def is_kept_from(self, canonical: Asset, decisions: Mapping[AssetId, Decision]) -> bool:
        """Whether one of these decisions says distinct, and of an asset in the canonical one's group."""
        return any(
            decision is Decision.DISTINCT
            and (found := self.canonical_of(AssetKey(canonical.tenant, id_))) is not None
            and found.id == canonical.id
            for id_, decision in decisions.items()
        )

    def unite(self, one: Asset, other: Asset, verdict: NearDuplicate) -> bool:
        """Make the smaller of two canonical assets a near-duplicate of the larger.

        False where either is not canonical (any more), or was called distinct from one of the other's group.
        """
        for _ in range(_ATTEMPTS):
            smaller, larger = (one, other) if other.outranks(one) else (other, one)
            decisions = self.groups.decisions(smaller.key)
            if self.is_kept_from(larger, decisions):
                return False
            joined = replace(verdict, of=larger.id)
            alone = Decision.DISTINCT not in decisions.values()
            try:
                self.groups.join(smaller, larger, joined, alone=alone, now=self.clock())
            except AssetStateError:
                left, right = self.assets.find(one.key), self.assets.find(other.key)
                if left is None or right is None or not (left.is_joinable and right.is_joinable):
                    return False
                one, other = left, right
            else:
                return True
        return False

    def follow(self, asset: Asset) -> Asset:
        """Bring a duplicate to its canonical asset: ready with its renditions, or on its own again."""
        for _ in range(_ATTEMPTS):
            try:
                return self.take(asset, self.place_of(asset))
            except AssetStateError:
                asset = self.assets.get(asset.key)
        raise AssetStateError(asset.id)

    def place_of(self, asset: Asset) -> Place:
        near = asset.near_duplicate
        if near is None:
            return Place(_Next.STAY)
        former = self.assets.find(AssetKey(asset.tenant, near.of))
        if former is None or former.status in {Status.REJECTED, Status.DELETING}:
            return Place(_Next.LEAVE, former)
        if former.near_duplicate:
            canonical = self.assets.find(AssetKey(asset.tenant, former.near_duplicate.of))
            if canonical and canonical.status is Status.READY and canonical.near_duplicate is None:
                decisions = self.groups.decisions(asset.key)
                if self.is_kept_from(canonical, decisions):
                    return Place(_Next.LEAVE, former)
                shares = near.shares and former.near_duplicate.shares
                alone = Decision.DISTINCT not in decisions.values()
                return Place(_Next.MOVE, former, canonical, shares, alone)
        if near.shares and former.status is Status.READY and _shows_other(asset, former):
            return Place(_Next.SHARE, former)
        return Place(_Next.STAY, former)

    def take(self, asset: Asset, place: Place) -> Asset:
        """Put a duplicate in its place.  Raises AssetStateError where anything has changed meanwhile."""
        near, former = asset.near_duplicate, place.former
        if place.next is _Next.LEAVE:
            return self.groups.separate(asset, former, now=self.clock())
        if place.next is _Next.SHARE and former:
            return self.groups.share(asset, former, now=self.clock())
        if place.next is _Next.MOVE and near and former and place.canonical:
            verdict = replace(near, of=place.canonical.id, shares=place.shares, distance=None)
            return self.groups.move(
                asset, former, place.canonical, verdict, alone=place.alone, now=self.clock()
            )
        return asset

    def release(self, asset: Asset) -> None:
        """End the membership of an asset that is being deleted, and that of its own members."""
        while asset.near_duplicate and (
            former := self.assets.find(AssetKey(asset.tenant, asset.near_duplicate.of))
        ):
            with suppress(AssetStateError):  # it is changing: look again
                self.groups.release(asset, former, now=self.clock())
                break
        asset = self.groups.with_entries(asset)
        for id_ in self.groups.members(asset.key, limit=None):
            key = AssetKey(asset.tenant, id_)
            while (member := self.assets.find(key)) and member.is_member_of(asset):
                with suppress(AssetStateError):
                    self.groups.separate(member, asset, now=self.clock())
            # A member that is being deleted itself would not find this asset any more.
            self.groups.no_longer_member(asset.key, id_)
        for id_ in self.groups.waiting(asset.key, limit=None):
            self.groups.no_longer_waiting(asset.key, id_)


def _shows_other(asset: Asset, former: Asset) -> bool:
    """Whether the asset shows other renditions than `former`.  While `former` moves, it keeps its own."""
    if asset.status is Status.PROCESSING:
        return True
    if former.near_duplicate:
        return False
    return {r.key for r in asset.renditions.values()} != {r.key for r in former.renditions.values()}

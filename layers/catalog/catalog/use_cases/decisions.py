"""Decisions: a person says that two assets show the same product, or distinct ones, and may take it back.

A decision is recorded first and applied after.  A job that was enqueued before both completes it where the
request dies in between.  No object is deleted: the address of a rendition works until its asset is
purged, or a rebuild removes what nobody has shown for long.

Assets that a person called distinct never share renditions, not even through a third.  Assets that a person
called the same do; where they do not, `apart` says why.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from catalog.domain.assets import Asset, AssetNotFoundError, AssetStateError, RenderJob, Status
from catalog.domain.clock import Clock, utc_now
from catalog.domain.keys import AssetId, AssetKey
from catalog.domain.near_duplicates import (
    Apart,
    DecidedBy,
    Decision,
    DuplicatePairNotFoundError,
    NearDuplicate,
    NearDuplicateAction,
    Pair,
)
from catalog.use_cases.completion import members_job

if TYPE_CHECKING:
    from collections.abc import Mapping

    from catalog.adapters.assets_table import Assets
    from catalog.adapters.groups import Groups
    from catalog.adapters.pairs_table import Pairs
    from catalog.adapters.queues import RenderQueue
    from catalog.domain.render_plan import RenderPlan
    from catalog.use_cases.grouping import Grouping


# Longer than a request lives (its timeout is in the template): it is over, or dead, when the jobs arrive.
RENDERED_AFTER: Final = timedelta(seconds=60)
_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class Decided:
    """A pair, whether its assets share renditions now, and why they do not though they are one picture."""

    pair: Pair
    merged: bool
    apart: Apart | None


@dataclass(frozen=True, slots=True)
class Decisions:
    """Records what people decide, and applies it."""

    assets: Assets
    pairs: Pairs
    groups: Groups
    grouping: Grouping
    queue: RenderQueue
    plan: RenderPlan
    action: NearDuplicateAction
    clock: Clock = utc_now

    def decide(self, key: AssetKey, other: AssetId, decision: Decision, *, by: str) -> Decided:
        """Record a person's decision on two assets, and apply it.

        Raises AssetNotFoundError; AssetStateError where `same` is said of one that is not ready.
        """
        one, two = self._both(key, other)
        if decision is Decision.SAME and {one.status, two.status} != {Status.READY}:
            raise AssetStateError(key.id)
        late = RenderJob(key.tenant, key.id, presets=(), decided_with=other)
        self.queue.send([late], delay=RENDERED_AFTER)
        self.groups.decide(key, other, decision, by=by, now=self.clock())
        return self._decided(self._apply(key, other))

    def complete(self, key: AssetKey, other: AssetId) -> None:
        """Apply what a person said of two assets, in case the request died; repeating it changes nothing.

        Raises AssetStateError where both keep changing.
        """
        with suppress(AssetNotFoundError, DuplicatePairNotFoundError):  # deleted since, or never recorded
            self._apply(key, other)

    def _apply(self, key: AssetKey, other: AssetId) -> Pair:
        # Both are read after the decision: who joined them before it was recorded did not see it.
        pair = self.pairs.get(key.tenant, key.id, other)
        if pair.decision is Decision.DISTINCT:
            self._separate(key, other)
        elif pair.decision is Decision.SAME:
            self._unite(pair)
        return pair

    def undo(self, key: AssetKey, other: AssetId) -> Decided:
        """Forget a person's decision on two assets.  Other decisions, or the pixels' verdict, apply again.

        Raises AssetNotFoundError, DuplicatePairNotFoundError.
        """
        self._both(key, other)
        self.pairs.get(key.tenant, key.id, other)
        self.groups.undo(key, other)
        pair = self.pairs.get(key.tenant, key.id, other)
        if pair.is_one_picture:
            self._unite(pair)
        else:
            self._separate(key, other, only_what_it_joined=True)
        for one, two in ((key, AssetKey(key.tenant, other)), (AssetKey(key.tenant, other), key)):
            self._apply_decisions(one)
            self._rejoin(one, two)
        return self._decided(pair)

    def separate_refused(self, key: AssetKey, other: AssetId) -> Pair:
        """Separate two assets that the pixels refuse today, unless a person called them the same.

        No decision is recorded: the next verdict of the pixels applies.  Raises AssetNotFoundError,
        DuplicatePairNotFoundError.
        """
        pair = self.pairs.get(key.tenant, key.id, other)
        if not pair.is_one_picture:
            self._separate(key, other, only_what_it_joined=True)
        return pair

    def describe(self, pair: Pair, assets: Mapping[AssetId, Asset]) -> Decided:
        """The pair, and what its assets, if they exist, show."""
        one, two = assets.get(pair.first), assets.get(pair.second)
        return Decided(pair, _in_one_group(one, two), self._apart(pair, one, two))

    def _decided(self, pair: Pair) -> Decided:
        assets = self.assets.many(pair.tenant, (pair.first, pair.second), consistent=True)
        return self.describe(pair, assets)

    def _both(self, key: AssetKey, other: AssetId) -> tuple[Asset, Asset]:
        return self.assets.get(key), self.assets.get(AssetKey(key.tenant, other))

    # --- Distinct -----------------------------------------------------------------------------------------

    def _separate(self, key: AssetKey, other: AssetId, *, only_what_it_joined: bool = False) -> None:
        """Take two assets out of one group: the smaller one leaves, and is rendered on its own.

        `only_what_it_joined`: only if this pair, or an undone decision, brought it there, and no other
        decision holds it.
        """
        for _ in range(_ATTEMPTS):
            one, two = self._both(key, other)
            leaving = self._leaving(one, two)
            if leaving is None or leaving.near_duplicate is None:
                break
            if only_what_it_joined and not self._was_joined_by_that_alone(leaving, one, two):
                break
            former = self.assets.find(AssetKey(key.tenant, leaving.near_duplicate.of))
            # Enqueue first: a crash after separating would lose the jobs.
            self.queue.send(self.plan.jobs(replace(leaving, near_duplicate=None)), delay=RENDERED_AFTER)
            try:
                self.groups.separate(leaving, former, now=self.clock())
            except AssetStateError:
                continue
        else:
            raise AssetStateError(key.id)
        for asset in self._both(key, other):
            if asset.status is Status.PROCESSING and asset.near_duplicate is None:
                self.queue.send(self.plan.jobs(asset))

    def _leaving(self, one: Asset, two: Asset) -> Asset | None:
        """Which of two assets leaves their group: the one that is a duplicate, or the smaller of two."""
        first, second = (self.grouping.canonical_of(asset.key) for asset in (one, two))
        if first is None or second is None or first.id != second.id:
            return None
        duplicates = [asset for asset in (one, two) if asset.near_duplicate]
        if len(duplicates) == 2 and one.outranks(two):  # noqa: PLR2004 - both
            return two
        return duplicates[0]

    def _was_joined_by_that_alone(self, leaving: Asset, one: Asset, two: Asset) -> bool:
        near, other = leaving.near_duplicate, two if leaving.id == one.id else one
        if near is None or not (near.of == other.id or near.decided_by is DecidedBy.PERSON):
            return False
        canonical = self.grouping.canonical_of(leaving.key)
        return not any(
            decision is Decision.SAME
            and (found := self.grouping.canonical_of(AssetKey(leaving.tenant, id_)))
            and canonical
            and found.id == canonical.id
            for id_, decision in self.groups.decisions(leaving.key).items()
        )

    # --- Same ---------------------------------------------------------------------------------------------

    def _apply_decisions(self, key: AssetKey) -> None:
        """Unite an asset with those that a person called the same: nothing may stand against it now."""
        for id_, decision in self.groups.decisions(key).items():
            if decision is Decision.SAME and self.assets.find(AssetKey(key.tenant, id_)):
                self._unite(self.pairs.get(key.tenant, key.id, id_))

    def _rejoin(self, key: AssetKey, other: AssetKey) -> None:
        """Unite an asset with the other one's group, if it and the canonical asset there are one picture."""
        canonical = self.grouping.canonical_of(other)
        pair = canonical and self.pairs.find(key.tenant, key.id, canonical.id)
        if pair and pair.is_one_picture:
            self._unite(pair)

    def _unite(self, pair: Pair) -> None:
        """Make one group of the two groups of a pair; where a decision is against that, move one of the pair
        to the other's group."""
        if self.action is NearDuplicateAction.OFF:
            return
        by = DecidedBy.PERSON if pair.decision else DecidedBy.PIXELS
        scores = pair.likeness.scores if pair.likeness else {}
        shares = self.action is NearDuplicateAction.REUSE
        verdict = NearDuplicate(pair.first, by, shares=shares, distance=pair.distance, scores=scores)
        one, two = (AssetKey(pair.tenant, id_) for id_ in (pair.first, pair.second))
        self._unlink(one, two)
        for _ in range(_ATTEMPTS):
            first, second = (self.grouping.canonical_of(key) for key in (one, two))
            if first is None or second is None:
                return
            if first.id == second.id:
                for key in (one, two):
                    self._have_members_follow(key)
                return
            if not (first.is_joinable and second.is_joinable):
                return
            smaller = first if second.outranks(first) else second
            if smaller.has_members:
                # Enqueue first: a crash after joining would lose the job.
                self.queue.send([members_job(smaller)], delay=RENDERED_AFTER)
            if self.grouping.unite(first, second, verdict):
                if smaller.has_members:
                    self.queue.send([members_job(smaller)])
                return
            if self._move(one, second, verdict) or self._move(two, first, verdict):
                return

    def _have_members_follow(self, key: AssetKey) -> None:
        """Enqueue jobs for members that still point at a smaller asset on the way to the canonical one.

        The request that joined that asset may have died before it enqueued them.
        """
        asset = self.assets.find(key)
        while asset and asset.near_duplicate:
            if asset.has_members:
                self.queue.send([members_job(asset)])
            asset = self.assets.find(AssetKey(key.tenant, asset.near_duplicate.of))

    def _move(self, key: AssetKey, canonical: Asset, verdict: NearDuplicate) -> bool:
        """Move a single duplicate to another group, if nothing in there was called distinct from it."""
        asset = self.assets.find(key)
        if asset is None or asset.near_duplicate is None or not canonical.outranks(asset):
            return False
        former = self.assets.find(AssetKey(key.tenant, asset.near_duplicate.of))
        decisions = self.groups.decisions(key)
        if former is None or canonical.status is not Status.READY or asset.has_members:
            return False
        if self.grouping.is_kept_from(canonical, decisions):
            return False
        if asset.near_duplicate.shares and not verdict.shares:
            return False
        moved, alone = replace(verdict, of=canonical.id), Decision.DISTINCT not in decisions.values()
        try:
            self.groups.move(asset, former, canonical, moved, alone=alone, now=self.clock())
        except AssetStateError:
            return False
        return True

    def _unlink(self, one: AssetKey, two: AssetKey) -> None:
        """An asset that is only linked to the other one is to share its renditions."""
        if self.action is not NearDuplicateAction.REUSE:
            return
        for key, other in ((one, two), (two, one)):
            asset = self.assets.find(key)
            near = asset.near_duplicate if asset else None
            if asset and near and near.of == other.id and not near.shares:
                self.groups.separate(asset, self.assets.find(other), now=self.clock())

    # --- What is shown ------------------------------------------------------------------------------------

    def _apart(self, pair: Pair, one: Asset | None, two: Asset | None) -> Apart | None:
        """Why two assets that are one picture do not share renditions; None where they do, or are not one."""
        if not pair.is_one_picture or _in_one_group(one, two):
            return None
        if one is None or two is None or Status.DELETING in {one.status, two.status}:
            return Apart.DELETED
        if self.action is NearDuplicateAction.OFF:
            return Apart.OFF
        if {one.status, two.status} != {Status.READY}:
            return Apart.NOT_READY
        if any(each.near_duplicate and not each.near_duplicate.shares for each in (one, two)):
            return Apart.LINKED
        return Apart.DISTINCT if self._are_kept_apart(one, two) else Apart.PENDING

    def _are_kept_apart(self, one: Asset, two: Asset) -> bool:
        """Whether a person's decision is against their being in one group."""
        first, second = (self.grouping.canonical_of(asset.key) for asset in (one, two))
        if first is None or second is None:
            return False
        return any(
            self.grouping.is_kept_from(canonical, self.groups.decisions(asset.key))
            for asset, canonical in ((first, second), (one, second), (two, first), (second, first))
        )


def _in_one_group(one: Asset | None, two: Asset | None) -> bool:
    """Whether two assets show, or are to show, the same renditions."""
    return one is not None and two is not None and one.group == two.group

"""Counting: the tables' streams become counters and events; a recount proves and repairs the counters.

Everything here may run twice, at the same time, on changes in any order, and die between any two lines.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import TYPE_CHECKING, Final

from catalog.domain.clock import Clock, utc_now
from catalog.domain.events import AssetChange, Event, RunChange
from catalog.domain.keys import AssetKey
from catalog.domain.usage import (
    MOVES_AT_ONCE,
    NOTHING,
    CountersMovedError,
    Move,
    Share,
    Usage,
    usage_of,
)

if TYPE_CHECKING:
    from catalog.adapters.assets_table import Assets
    from catalog.adapters.event_bus import EventBus
    from catalog.adapters.usage_table import Counters
    from catalog.domain.keys import AssetId, TenantId

# As many workers may count for one tenant at once as the stream has shards; each try reads anew.
_TRIES: Final = 10


class CountersContendedError(Exception):
    """Others counted for this tenant at every try; a later try counts what is left."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a stream.  `number` is its sequence number."""

    number: str
    change: AssetChange | RunChange


@dataclass(frozen=True, slots=True)
class Counted:
    """The result of a batch: the assets counted anew, the events sent, and the first unfinished record."""

    assets: int
    events: Sequence[Event]
    unfinished: str | None


@dataclass(frozen=True, slots=True)
class Counting:
    """Keeps the counters and publishes the events of what changed."""

    counters: Counters
    bus: EventBus
    clock: Clock = utc_now

    def count(self, records: Sequence[Record]) -> Counted:
        """Count what changed, then publish it.

        All records are counted first: delivered again, they are not counted again.  Faults are raised, to be
        retried; an event that the bus refuses leaves its record, and those behind it, unfinished.
        """
        changes = [record.change for record in records if isinstance(record.change, AssetChange)]
        assets = self._count_assets(map(_share_after, changes))
        events = [(record.number, event) for record in records for event in record.change.events()]
        taken = self.bus.put([event for _, event in events])
        unfinished = events[taken][0] if taken < len(events) else None
        return Counted(assets, [event for _, event in events[:taken]], unfinished)

    def _count_assets(self, shares: Iterable[tuple[AssetKey, Share]]) -> int:
        """Count the shares that are news; returns how many were.  Raises CountersContendedError."""
        newest: dict[TenantId, dict[AssetId, Share]] = defaultdict(dict)
        for key, share in shares:
            of_tenant = newest[key.tenant]
            if share.replaces(of_tenant.get(key.id)):
                of_tenant[key.id] = share
        return sum(
            self._count_some(tenant, dict(some))
            for tenant, of_tenant in newest.items()
            for some in batched(of_tenant.items(), MOVES_AT_ONCE, strict=False)
        )

    def _count_some(self, tenant: TenantId, shares: Mapping[AssetId, Share]) -> int:
        def decide() -> list[Move]:
            counted = self.counters.shares(tenant, shares)
            return [
                Move(id_, counted.get(id_), share)
                for id_, share in shares.items()
                if share.replaces(counted.get(id_))
            ]

        return _move(tenant, decide, self.counters, self.clock)


def _share_after(change: AssetChange) -> tuple[AssetKey, Share]:
    share = Share.of(change.after) if change.after else Share.gone(change.asset.created_at)
    return change.key, share


def _move(tenant: TenantId, decide: Callable[[], list[Move]], counters: Counters, clock: Clock) -> int:
    """Make the moves that `decide` finds necessary; it is asked again wherever somebody else was faster."""
    for _ in range(_TRIES):
        moves = decide()
        if not moves:
            return 0
        try:
            counters.move(tenant, moves, now=clock())
        except CountersMovedError:
            continue
        return len(moves)
    raise CountersContendedError(tenant)


# --- Recount ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Recount:
    """What is counted for a tenant, and what its assets add up to."""

    tenant: TenantId
    counted: Usage
    recounted: Usage

    @property
    def agrees(self) -> bool:
        return self.counted == self.recounted


@dataclass(frozen=True, slots=True)
class Recounting:
    """Holds the counters against the assets."""

    assets: Assets
    counters: Counters
    clock: Clock = utc_now

    def recount(self, tenant: TenantId) -> Recount:
        """Read every asset of a tenant and add them up.  Exact once the tenant's stream has been followed."""
        recounted = NOTHING
        for ids in batched(self.assets.ids(tenant), MOVES_AT_ONCE, strict=False):
            found = self.assets.many(tenant, ids, consistent=True).values()
            recounted = sum(map(usage_of, found), recounted)
        return Recount(tenant, self.counters.total(tenant).usage, recounted)

    def repair(self, tenant: TenantId) -> int:
        """Correct the counters, also while the stream is followed; returns the corrections made.

        Each asset's share first, then the total as the sum of the shares.  Raises CountersContendedError
        where the tenant is too busy for the latter.
        """
        corrections = sum(
            self._repair_shares(tenant, ids)
            for ids in batched(self._every_id(tenant), MOVES_AT_ONCE, strict=False)
        )
        for _ in range(_TRIES):
            found = self.counters.total(tenant)
            shares = sum((share.usage for _, share in self.counters.counted(tenant)), NOTHING)
            if self.counters.total(tenant) != found:
                continue
            if shares == found.usage:
                return corrections
            try:
                self.counters.correct(tenant, found, shares)
            except CountersMovedError:
                continue
            return corrections + 1
        raise CountersContendedError(tenant)

    def _every_id(self, tenant: TenantId) -> Iterator[AssetId]:
        """The assets that exist, then those that are counted and do not."""
        there = set()
        for id_ in self.assets.ids(tenant):
            there.add(id_)
            yield id_
        yield from (id_ for id_, _ in self.counters.counted(tenant) if id_ not in there)

    def _repair_shares(self, tenant: TenantId, ids: Sequence[AssetId]) -> int:
        def decide() -> list[Move]:
            # Read the counted share first: an asset read later cannot be older than it, unless the count is
            # wrong, and the move fails where the count has moved on.
            counted = self.counters.shares(tenant, ids)
            there = self.assets.many(tenant, ids, consistent=True)
            moves = []
            for id_ in ids:
                known = counted.get(id_)
                if asset := there.get(id_):
                    share = Share.of(asset)
                elif known:
                    share = Share.gone(known.version.created_at)
                else:
                    continue
                if share != known and (known or share.replaces(None)):
                    moves.append(Move(id_, known, share))
            return moves

        return _move(tenant, decide, self.counters, self.clock)

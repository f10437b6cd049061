"""Usage: following the tables' streams, and the recount that proves and repairs what came of it.

Everything here may run twice, at the same time, on changes of any order, and die between any two lines.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import TYPE_CHECKING, Final

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
    from datetime import datetime

    from catalog.adapters.assets_table import Assets
    from catalog.adapters.event_bus import EventBus
    from catalog.adapters.usage_table import Counters
    from catalog.domain.keys import AssetId, TenantId

# Workers that count for one tenant at one moment are as many as the table has shards; each try reads anew.
_TRIES: Final = 10


class CountersContendedError(Exception):
    """Others counted for this tenant at every try; what is left is counted when it is asked for again."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a stream.  `number` is its sequence number."""

    number: str
    change: AssetChange | RunChange


@dataclass(frozen=True, slots=True)
class Followed:
    """What came of a batch: the assets counted anew, the events sent, and the first record left to do."""

    counted: int
    events: Sequence[Event]
    unfinished: str | None


def follow(
    records: Sequence[Record], *, counters: Counters, bus: EventBus, clock: Callable[[], datetime]
) -> Followed:
    """Count what changed, then tell of it.

    Counted first, for all records: delivered again, they are not counted again.  Faults are raised, to be
    retried; an event that the bus refuses leaves its record, and those behind it, unfinished.
    """
    changes = [record.change for record in records if isinstance(record.change, AssetChange)]
    counted = count_assets(map(_share_after, changes), counters=counters, clock=clock)
    events = [(record.number, event) for record in records for event in record.change.events()]
    taken = bus.put([event for _, event in events])
    unfinished = events[taken][0] if taken < len(events) else None
    return Followed(counted, [event for _, event in events[:taken]], unfinished)


def _share_after(change: AssetChange) -> tuple[AssetKey, Share]:
    share = Share.of(change.after) if change.after else Share.gone(change.asset.created_at)
    return change.key, share


def count_assets(
    shares: Iterable[tuple[AssetKey, Share]], *, counters: Counters, clock: Callable[[], datetime]
) -> int:
    """Count these shares where they are news; returns how many were.  Raises CountersContendedError."""
    newest: dict[TenantId, dict[AssetId, Share]] = defaultdict(dict)
    for key, share in shares:
        of_tenant = newest[key.tenant]
        if share.replaces(of_tenant.get(key.id)):
            of_tenant[key.id] = share
    return sum(
        _count(tenant, dict(some), counters=counters, clock=clock)
        for tenant, of_tenant in newest.items()
        for some in batched(of_tenant.items(), MOVES_AT_ONCE, strict=False)
    )


def _count(
    tenant: TenantId,
    shares: Mapping[AssetId, Share],
    *,
    counters: Counters,
    clock: Callable[[], datetime],
) -> int:
    def decide() -> list[Move]:
        counted = counters.shares(tenant, shares)
        return [
            Move(id_, counted.get(id_), share)
            for id_, share in shares.items()
            if share.replaces(counted.get(id_))
        ]

    return _move(tenant, decide, counters=counters, clock=clock)


def _move(
    tenant: TenantId,
    decide: Callable[[], list[Move]],
    *,
    counters: Counters,
    clock: Callable[[], datetime],
) -> int:
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
    """What is counted for a tenant, and what its assets amount to."""

    tenant: TenantId
    counted: Usage
    recounted: Usage

    @property
    def agrees(self) -> bool:
        return self.counted == self.recounted


def recount(tenant: TenantId, *, assets: Assets, counters: Counters) -> Recount:
    """Read every asset of a tenant and add them up.  Exact of a tenant whose stream has been followed."""
    recounted = NOTHING
    for ids in batched(assets.ids(tenant), MOVES_AT_ONCE, strict=False):
        found = assets.many(tenant, ids, consistent=True).values()
        recounted = sum(map(usage_of, found), recounted)
    return Recount(tenant, counters.total(tenant).usage, recounted)


def repair(tenant: TenantId, *, assets: Assets, counters: Counters, clock: Callable[[], datetime]) -> int:
    """Make what is counted true again, also while the stream is followed; returns the corrections made.

    First each asset's share, then the total as the sum of the shares.  Raises CountersContendedError where
    the tenant is too busy for the latter.
    """
    corrections = sum(
        _repair_shares(tenant, ids, assets=assets, counters=counters, clock=clock)
        for ids in batched(_every_id(tenant, assets, counters), MOVES_AT_ONCE, strict=False)
    )
    for _ in range(_TRIES):
        found = counters.total(tenant)
        shares = sum((share.usage for _, share in counters.counted(tenant)), NOTHING)
        if counters.total(tenant) != found:
            continue
        if shares == found.usage:
            return corrections
        try:
            counters.correct(tenant, found, shares)
        except CountersMovedError:
            continue
        return corrections + 1
    raise CountersContendedError(tenant)


def _every_id(tenant: TenantId, assets: Assets, counters: Counters) -> Iterator[AssetId]:
    """The assets that are there, and those that are counted without being there."""
    there = set()
    for id_ in assets.ids(tenant):
        there.add(id_)
        yield id_
    yield from (id_ for id_, _ in counters.counted(tenant) if id_ not in there)


def _repair_shares(
    tenant: TenantId,
    ids: Sequence[AssetId],
    *,
    assets: Assets,
    counters: Counters,
    clock: Callable[[], datetime],
) -> int:
    def decide() -> list[Move]:
        # In this order: what an asset is after its count was read cannot be older than that count, unless
        # the count is wrong; and the move fails where the count moved on.
        counted = counters.shares(tenant, ids)
        there = assets.many(tenant, ids, consistent=True)
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

    return _move(tenant, decide, counters=counters, clock=clock)

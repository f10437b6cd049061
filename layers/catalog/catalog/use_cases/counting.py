"""Counting: the tables' streams become counters and events.

Everything here may run twice, at the same time, on changes in any order, and die between any two lines.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import TYPE_CHECKING, Final

from catalog.domain.clock import Clock, utc_now
from catalog.domain.events import AssetChange, Event, RunChange
from catalog.domain.keys import AssetKey
from catalog.domain.usage import MOVES_AT_ONCE, CountersMovedError, Move, Share

if TYPE_CHECKING:
    from catalog.adapters.event_bus import EventBus
    from catalog.adapters.tenants_table import Tenants
    from catalog.adapters.usage_table import Counters
    from catalog.domain.keys import AssetId, TenantId

# As many workers may count for one tenant at once as the stream has shards; each try reads anew.
_TRIES: Final = 10


Moves = tuple[Sequence[Move], str | None]
"""What is to be moved, and the recount that was under way when that was decided."""


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

    tenants: Tenants
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
        """Count the shares that are news; returns how many were.  Raises CountersContendedError.

        Of a tenant that was removed or erased the stream may tell late: nothing is counted for it any more.
        """
        newest: dict[TenantId, dict[AssetId, Share]] = defaultdict(dict)
        for key, share in shares:
            of_tenant = newest[key.tenant]
            if share.replaces(of_tenant.get(key.id)):
                of_tenant[key.id] = share
        return sum(
            self._count_some(tenant, dict(some))
            for tenant, of_tenant in newest.items()
            if self.tenants.knows(tenant)
            for some in batched(of_tenant.items(), MOVES_AT_ONCE, strict=False)
        )

    def _count_some(self, tenant: TenantId, shares: Mapping[AssetId, Share]) -> int:
        def decide() -> Moves:
            counted = self.counters.counted(tenant, shares)
            moves = [
                Move(id_, counted.shares.get(id_), share)
                for id_, share in shares.items()
                if share.replaces(counted.shares.get(id_))
            ]
            return moves, counted.recount

        return move(tenant, decide, self.counters, self.clock)


def _share_after(change: AssetChange) -> tuple[AssetKey, Share]:
    share = Share.of(change.after) if change.after else Share.gone(change.asset.created_at)
    return change.key, share


def move(tenant: TenantId, decide: Callable[[], Moves], counters: Counters, clock: Clock) -> int:
    """Make the moves that `decide` finds necessary, and return how many.

    It is asked again wherever somebody else was faster.  Raises CountersContendedError.
    """
    for _ in range(_TRIES):
        moves, recount = decide()
        if not moves:
            return 0
        try:
            counters.move(tenant, moves, recount=recount, now=clock())
        except CountersMovedError:
            continue
        return len(moves)
    raise CountersContendedError(tenant)

"""Recounting: a job checks and repairs what is derived from assets: counters, and entries of references.

Ranges of a tenant come first, then its total.

It is exact beside live traffic.  It repairs shares by the same moves as the stream's counting.  It compares
the total and its shares as both were when the recount began (catalog.domain.recount).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import batched, groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from catalog.domain.assets import Asset
from catalog.domain.clock import Clock, utc_now
from catalog.domain.jobs import Done, Failure, Step, Work, digits_for, ranges
from catalog.domain.keys import AssetId, AssetKey
from catalog.domain.recount import RECORDS_PER_PART, RECOUNTED_WITHIN, Range
from catalog.domain.usage import (
    MOVES_AT_ONCE,
    NOTHING,
    CountersMovedError,
    Move,
    Share,
    Usage,
    counters_of,
)
from catalog.use_cases.counting import CountersContendedError, Moves, move

if TYPE_CHECKING:
    from catalog.adapters.assets_table import Assets
    from catalog.adapters.recounts import Recounts
    from catalog.adapters.references_table import References
    from catalog.adapters.tenants_table import Tenants
    from catalog.adapters.usage_table import Counters
    from catalog.domain.jobs import Job, Worker
    from catalog.domain.keys import TenantId

SHARES: Final = "shares"
ENTRIES: Final = "references"
TOTAL: Final = "total"
_TRIES: Final = 5
# Parts of a step: a tenant of 10^6 images has 272.
_MOST_PARTS: Final = 1_000
_MOST_DIGITS: Final = 3  # 4,096 ranges: with 10^8 records 24,000 each, half a minute of a worker


@dataclass(frozen=True, slots=True)
class RecountSteps:
    """Plans two steps for a few tenants, their ranges and then their totals; then for the next tenants."""

    assets: Assets
    tenants: Tenants

    def step(self, job: Job, position: str) -> Step:
        """`position` is `shares/<tenant>`, to begin after it, or `total/<tenant>/<last tenant>`."""
        phase, behind, last = (*(position or SHARES).split("/"), "", "")[:3]
        if phase == TOTAL:
            group = [tenant for tenant in self._tenants(job) if behind < tenant <= last]
            more = any(tenant > last for tenant in self._tenants(job))
            works = [Work(tenant, TOTAL, "") for tenant in group]
            return Step(works, images=0, next=f"{SHARES}/{last}" if more else None)
        records = self._few(job, behind)
        if not records:
            return Step((), images=0, next=None)
        works = [
            Work(tenant, phase, prefix)
            for tenant, number in records.items()
            for phase, digits in _phases(number)
            for prefix in ranges(digits)
        ]
        return Step(works, images=sum(records.values()), next=f"{TOTAL}/{behind}/{max(records)}")

    def _few(self, job: Job, behind: str) -> dict[TenantId, int]:
        """The tenants after `behind` that fill a step, each with its estimated number of records."""
        records: dict[TenantId, int] = {}
        parts = 0
        for tenant in self._tenants(job):
            if tenant > behind and parts < _MOST_PARTS:
                records[tenant] = self.assets.estimated(tenant)
                parts += sum(16**digits for _, digits in _phases(records[tenant]))
        return records

    def _tenants(self, job: Job) -> Sequence[TenantId]:
        return [job.tenant] if job.tenant else sorted(self.tenants.ids())


@dataclass(frozen=True, slots=True)
class RecountWorker:
    """Recounts ranges of shares, and totals."""

    assets: Assets
    counters: Counters
    recounts: Recounts
    clock: Clock = utc_now

    def subjects(self, _: Job, work: Work, *, after: str | None) -> Iterator[tuple[str, str]]:
        """Each range and each total is one subject.  A retried tenant has all its ranges and its total."""
        if work.within is None:
            names = [*ranges(_digits(self.assets.estimated(work.tenant))), TOTAL]
        else:
            names = [TOTAL if work.phase == TOTAL else work.within]
        return ((name, name) for name in names if after is None or name > after)

    def take(self, job: Job, work: Work, subject: str) -> Done:
        """Recount one range, or the total.  Raises CountersContendedError if the counters keep changing."""
        if subject == TOTAL:
            return self._total(job, work.tenant)
        return self._range(job, work.tenant, subject)

    def _range(self, job: Job, tenant: TenantId, prefix: str) -> Done:
        try:
            recount = self.recounts.begin(tenant, job.id, now=self.clock())
        except CountersMovedError as error:
            raise CountersContendedError(tenant) from error
        found, wrong = self._compared(job, tenant, prefix)
        found = self.recounts.keep(tenant, job.id, prefix, found, now=self.clock())
        if not job.dry_run:
            for moves in batched(wrong, MOVES_AT_ONCE, strict=False):
                self._repair(tenant, moves, recount)
        return Done(done=found.records, counts=_counts("shares_wrong", found.wrong, found.difference))

    def _compared(self, job: Job, tenant: TenantId, prefix: str) -> tuple[Range, list[Move]]:
        """What a range holds, and the moves that repair it.  Reads each share and asset once, shares first.

        An asset that is read later is older than its share only if the count is wrong.  A move fails if the
        share has changed since.
        """
        shares = dict(self.counters.within(tenant, prefix))
        pairs = list(_pairs(shares, self.assets.within(tenant, prefix)))
        wrong = _moves(pairs)
        began_with = sum((share.when_began(job.id) for share in shares.values()), NOTHING)
        difference = sum((each.difference for each in wrong), NOTHING)
        return Range(len(pairs), len(wrong), began_with, difference), wrong

    def _repair(self, tenant: TenantId, moves: Sequence[Move], recount: str | None) -> None:
        """Make the moves; decide them anew if live traffic changed their shares meanwhile."""
        decided: list[Moves] = [(moves, recount)]

        def decide() -> Moves:
            return decided.pop() if decided else self._wrong(tenant, [each.id for each in moves])

        move(tenant, decide, self.counters, self.clock)

    def _wrong(self, tenant: TenantId, ids: Sequence[AssetId]) -> Moves:
        counted = self.counters.counted(tenant, ids)
        there = self.assets.many(tenant, ids, consistent=True)
        return _moves(_pairs(counted.shares, there.values())), counted.recount

    def _total(self, job: Job, tenant: TenantId) -> Done:
        """Compare the total with its shares.  Fails if another recount began meanwhile."""
        for _ in range(_TRIES):
            recount = self.recounts.get(tenant, job.id)
            if recount is None or self.clock() - recount.began_at > RECOUNTED_WITHIN:
                return _failed(tenant, "recount_expired", "it began over 6 days ago, or not at all")
            if not recount.is_whole:
                return _failed(tenant, "recount_incomplete", "a range was not recounted")
            if not recount.ended and not recount.under_way:
                return _failed(tenant, "recount_overtaken", "another recount began meanwhile")
            if not recount.ended:
                try:
                    self.recounts.end(recount, NOTHING if job.dry_run else recount.difference)
                except CountersMovedError:
                    continue
            wrong = int(recount.difference != NOTHING)
            return Done(counts=_counts("totals_wrong", wrong, recount.difference))
        raise CountersContendedError(tenant)


@dataclass(frozen=True, slots=True)
class Compared:
    """An id, and the references of which its asset and its entries disagree."""

    id: AssetId
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class EntriesWorker:
    """Compares the entries of references with the assets, and mends them.

    A worker that dies between a mend and its report leaves it uncounted.
    """

    assets: Assets
    references: References

    def subjects(self, _: Job, work: Work, *, after: str | None) -> Iterator[tuple[str, Compared]]:
        """Each id that has an asset or an entry.  One asset may have 1,000 entries, so each is a subject."""
        if work.within is not None:
            found = self._compared(work.tenant, work.within, after)
        else:
            ids = (id_ for id_ in sorted(work.subjects) if after is None or id_ > after)
            found = (each for id_ in ids for each in self._compared(work.tenant, id_, None))
        return ((each.id, each) for each in found)

    def _compared(self, tenant: TenantId, prefix: str, after: str | None) -> Iterator[Compared]:
        assets = self.assets.within(tenant, prefix, after=after)
        entries = self.references.within(tenant, prefix, after=after)
        of_assets = ((asset.id, asset.references) for asset in assets)
        of_entries = ((id_, frozenset({name})) for id_, name in entries)
        by_id = itemgetter(0)
        for id_, named in groupby(merge(of_assets, of_entries, key=by_id), key=by_id):
            # A name that both have is there twice.
            odd = frozenset[str]()
            for _, names in named:
                odd ^= names
            yield Compared(id_, odd)

    def take(self, job: Job, work: Work, subject: Compared) -> Done:
        """Mend what still disagrees when it is read again."""
        if not subject.names:
            return Done()
        mended = self.references.mend(AssetKey(work.tenant, subject.id), subject.names, dry_run=job.dry_run)
        counts = {"entries_missing": mended.added, "entries_left_over": mended.removed}
        return Done(counts={name: number for name, number in counts.items() if number})


@dataclass(frozen=True, slots=True)
class Recounting:
    """Carries out both kinds of parts."""

    counters: RecountWorker
    entries: EntriesWorker

    def subjects(self, job: Job, work: Work, *, after: str | None) -> Iterator[tuple[str, Any]]:
        return self._of(work).subjects(job, work, after=after)

    def take(self, job: Job, work: Work, subject: Any) -> Done:
        return self._of(work).take(job, work, subject)

    def _of(self, work: Work) -> Worker[Any]:
        return self.entries if work.phase == ENTRIES else self.counters


def _failed(tenant: TenantId, code: str, why: str) -> Done:
    return Done(failures=(Failure(tenant, code, f"{why}; recount the tenant again"),))


Pair = tuple["AssetId", Share, Share | None]
"""An asset's id, the share it should have, and the share that is counted."""


def _pairs(shares: Mapping[AssetId, Share], assets: Iterable[Asset]) -> Iterator[Pair]:
    """Pairs of the assets, then of the shares without an asset."""
    there = set()
    for asset in assets:
        there.add(asset.id)
        yield asset.id, Share.of(asset), shares.get(asset.id)
    for id_, counted in shares.items():
        if id_ not in there:
            yield id_, Share.gone(counted.version.created_at), counted


def _moves(pairs: Iterable[Pair]) -> list[Move]:
    return [
        Move(id_, counted, share)
        for id_, share, counted in pairs
        if share != counted and (counted or share.replaces(None))
    ]


def _counts(name: str, wrong: int, difference: Usage) -> dict[str, int]:
    """The counts of a report; `<counter>_off` is the number to add to that counter."""
    off = {
        f"{counter.replace('#', '_')}_off": number
        for counter, number in counters_of(difference).items()
        if number
    }
    return off | ({name: wrong} if wrong else {})


def _phases(records: int) -> Sequence[tuple[str, int]]:
    """The phases over a tenant's ranges, and the digits that cut these."""
    digits = _digits(records)
    # A part of entries reports on its way, so it may be sixteen times as large, and costs as much less.
    return (SHARES, digits), (ENTRIES, max(0, digits - 1))


def _digits(records: int) -> int:
    return min(_MOST_DIGITS, digits_for(records, per_part=RECORDS_PER_PART))

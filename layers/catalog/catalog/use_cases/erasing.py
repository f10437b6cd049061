"""Erasing a tenant: everything under its name, in any table and bucket, with all versions, for good.

The tenant is closed first.  Then everything is swept by ranges of ids, and once more when uploads that were
allowed before cannot arrive any more.  Whatever workers and streams left behind the last sweep is looked for
in whole tables, until there is nothing.  The tenant's record goes last, and a signed report says what went.

Everything may be repeated, and is: what is gone is not met again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import batched
from typing import TYPE_CHECKING, Any, Final, Protocol

from catalog.domain.clock import Clock, utc_now
from catalog.domain.erase import (
    BYTES_COUNTED,
    IMAGES_COUNTED,
    LATE,
    MOST_CHECKS,
    STILL_FOUND,
    WORKERS_END_AFTER,
    report_of,
    statement_of,
)
from catalog.domain.fingerprints import places
from catalog.domain.jobs import Done, Failure, Step, Work, digits_for, ranges
from catalog.domain.tenants import TenantNotFoundError

if TYPE_CHECKING:
    from catalog.adapters.assets_table import Assets
    from catalog.adapters.hash_bands_table import HashBands
    from catalog.adapters.jobs_table import Jobs
    from catalog.adapters.object_versions import ObjectVersions, StoredVersion
    from catalog.adapters.signing import Signer
    from catalog.adapters.tenant_items import TenantItems
    from catalog.adapters.tenants_table import Tenants
    from catalog.adapters.usage_table import Counters
    from catalog.domain.assets import Asset
    from catalog.domain.jobs import Job
    from catalog.domain.keys import TenantId
    from catalog.domain.tenants import Client
    from catalog.use_cases.tenants import ClientAdministration

# An image takes a worker about 20 ms; a range that takes longer than its worker lives is gone on with.
_IMAGES_PER_PART: Final = 2_000
_MOST_DIGITS: Final = 3  # 4,096 ranges: 24,400 images each of 10^8
_AT_ONCE: Final = 25  # images: their bands are 400 items
# Of the scan that looks for bands without a record: 16 GB each of the table of 10^8 images.
SEGMENTS: Final = 16


class Phase:
    """What a part does."""

    CLOSE: Final = "close"
    STAND: Final = "stand"  # of a dry run: what a confirmation is compared with
    RANGES: Final = "ranges"
    REST: Final = "rest"
    RANGES_AGAIN: Final = "ranges-again"
    REST_AGAIN: Final = "rest-again"
    CHECK: Final = "check"
    INDEX: Final = "index"
    FINISH: Final = "finish"


class Store(Protocol):
    """A place where something of a tenant is kept."""

    def pages(self, tenant: TenantId, within: str | None, *, after: str | None) -> Iterator[tuple[str, Any]]:
        """What is there of a range of ids, or at all (None), in pages; each with a name to go on after."""

    def counts(self, page: Any) -> Mapping[str, int]:
        """What a page comes to."""

    def delete(self, tenant: TenantId, page: Any) -> tuple[Failure, ...]:
        """Delete a page.  Repeating it is harmless."""


@dataclass(frozen=True, slots=True)
class Images:
    """Records and their bands.  Bands first: the record says which they are."""

    assets: Assets
    bands: HashBands

    def pages(
        self, tenant: TenantId, within: str | None, *, after: str | None
    ) -> Iterator[tuple[str, tuple[Asset, ...]]]:
        for some in batched(self.assets.within(tenant, within or "", after=after), _AT_ONCE, strict=False):
            yield some[-1].id, some

    def counts(self, page: Sequence[Asset]) -> Mapping[str, int]:
        indexed = ((asset, one) for asset in page for one in asset.indexed_as)
        return {
            "images": len(page),
            "references": sum(len(asset.references) for asset in page),
            "bands": sum(len(places(asset.tenant, asset.id, one)) for asset, one in indexed),
        }

    def delete(self, _: TenantId, page: Sequence[Asset]) -> tuple[Failure, ...]:
        self.bands.remove_all(page)
        self.assets.remove_all(asset.key for asset in page)
        return ()


@dataclass(frozen=True, slots=True)
class Objects:
    """All versions and delete markers in one bucket."""

    name: str
    versions: ObjectVersions

    def pages(
        self, tenant: TenantId, within: str | None, *, after: str | None
    ) -> Iterator[tuple[str, tuple[StoredVersion, ...]]]:
        return self.versions.pages(f"{tenant}/{within or ''}", after=after)

    def counts(self, page: Sequence[StoredVersion]) -> Mapping[str, int]:
        markers = sum(version.is_marker for version in page)
        return {
            self.name: len(page) - markers,
            "delete_markers": markers,
            "bytes": sum(version.size_bytes for version in page),
        }

    def delete(self, _: TenantId, page: Sequence[StoredVersion]) -> tuple[Failure, ...]:
        return self.versions.delete(page)


@dataclass(frozen=True, slots=True)
class Items:
    """A table whose keys begin with the tenant.

    `of_ids` are what its other keys begin with before an id; keys that begin otherwise are in no range.
    `beside`: those keys, from the first to the last; all, if there are no others.
    """

    name: str
    items: TenantItems
    of_ids: tuple[str, ...] = ()
    beside: tuple[tuple[str, str], ...] = (("", ""),)

    def pages(
        self,
        tenant: TenantId,
        within: str | None,
        *,
        after: str | None,
        having: tuple[str, str] | None = None,
    ) -> Iterator[tuple[str, list[str]]]:
        spans = self.beside
        if within is None:
            spans = (("", ""),)
        elif self.of_ids:
            spans = tuple((f"{before}{within or '0'}", f"{before}{within}g") for before in self.of_ids)
        for first, last in sorted(spans):
            if after is not None and last and last < after:
                continue
            here = after if after is not None and after >= first else None
            for keys in self.items.keys(tenant, first=first, last=last, after=here, having=having):
                yield keys[-1], keys

    def counts(self, page: Sequence[str]) -> Mapping[str, int]:
        return {self.name: len(page)}

    def delete(self, tenant: TenantId, page: Sequence[str]) -> tuple[Failure, ...]:
        self.items.delete(tenant, page)
        return ()


@dataclass(frozen=True, slots=True)
class Clients:
    """The tenant's clients, here and at the identity provider."""

    clients: ClientAdministration

    def pages(
        self, tenant: TenantId, _: str | None, *, after: str | None
    ) -> Iterator[tuple[str, list[Client]]]:
        for client in sorted(self.clients.clients.of_tenant(tenant), key=lambda one: one.client_id):
            if after is None or client.client_id > after:
                yield client.client_id, [client]

    def counts(self, page: Sequence[Client]) -> Mapping[str, int]:
        return {"clients": len(page)}

    def delete(self, _: TenantId, page: Sequence[Client]) -> tuple[Failure, ...]:
        for client in page:
            self.clients.delete(client)
        return ()


@dataclass(frozen=True, slots=True)
class JobTraces:
    """What other jobs wrote down of the tenant's images: failures, parts and lines.  Their records stay."""

    jobs: Jobs
    lines: ObjectVersions

    def pages(self, tenant: TenantId, _: str | None, *, after: str | None) -> Iterator[tuple[str, Any]]:
        for job in self.jobs.of_tenant(tenant):
            own = job.tenant == tenant
            if (after is None or job.id > after) and (job.is_at_rest or not own):
                entries = self.jobs.traces(job, tenant)
                lines = list(self.lines.pages(f"{job.id}/")) if own else []
                if entries or lines:
                    yield job.id, (job, entries, lines)

    def counts(self, page: Any) -> Mapping[str, int]:
        _, entries, lines = page
        return {"job_entries": len(entries), "job_files": sum(len(versions) for _, versions in lines)}

    def delete(self, _: TenantId, page: Any) -> tuple[Failure, ...]:
        job, entries, lines = page
        self.jobs.forget_entries(job, entries)
        return tuple(failure for _, versions in lines for failure in self.lines.delete(versions))


# --- Steps ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TenantErasureSteps:
    """close -> sweep -> [late uploads end] again -> [workers end] check until nothing is found -> finish."""

    tenants: Tenants
    assets: Assets
    clock: Clock = utc_now

    def step(self, job: Job, position: str) -> Step:
        assert job.tenant is not None, "an erasure is of one tenant"  # noqa: S101  the request had one
        phase, _, told = position.partition(":")
        if job.dry_run:
            works = [
                Work(job.tenant, Phase.STAND),
                *self._sweep(job.tenant, Phase.RANGES_AGAIN, Phase.REST_AGAIN),
            ]
            return Step(works, self.assets.estimated(job.tenant), None)
        match phase:
            case "":
                return Step([Work(job.tenant, Phase.CLOSE)], 0, "sweep")
            case "sweep":
                works = self._sweep(job.tenant, Phase.RANGES, Phase.REST)
                return Step(works, self.assets.estimated(job.tenant), "again")
            case "again":
                works = self._sweep(job.tenant, Phase.RANGES_AGAIN, Phase.REST_AGAIN)
                return Step(works, 0, "check:1/0", self._late_uploads_end(job.tenant))
        return self._check(job, job.tenant, *map(int, told.split("/")))

    def _check(self, job: Job, tenant: TenantId, number: int, seen: int) -> Step:
        """Look once more, unless the look before has found nothing, or too many have found something."""
        found = job.tally.counts.get(LATE, 0)
        if number > MOST_CHECKS or (number > 1 and found == seen):
            return Step([Work(tenant, Phase.FINISH, None, (STILL_FOUND,) if found != seen else ())], 0, None)
        works = [
            Work(tenant, Phase.CHECK),
            *(Work(tenant, Phase.INDEX, subjects=(str(segment),)) for segment in range(SEGMENTS)),
        ]
        return Step(works, 0, f"check:{number + 1}/{found}", self.clock() + WORKERS_END_AFTER)

    def _sweep(self, tenant: TenantId, of_ranges: str, rest: str) -> list[Work]:
        digits = min(_MOST_DIGITS, digits_for(self.assets.estimated(tenant), per_part=_IMAGES_PER_PART))
        return [*(Work(tenant, of_ranges, prefix) for prefix in ranges(digits)), Work(tenant, rest, "")]

    def _late_uploads_end(self, tenant: TenantId) -> Any:
        with suppress(TenantNotFoundError):
            return self.tenants.get(tenant).removable_from
        return None


# --- Worker -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TenantErasure:
    """Carries the parts out.  `of_ranges` hold something a range of ids, `rest` something a tenant.

    `counters` follow the stream, and so go with the second sweep.
    """

    tenants: Tenants
    clients: ClientAdministration
    bands: HashBands
    jobs: Jobs
    totals: Counters
    signer: Signer
    of_ranges: tuple[Store, ...]
    rest: tuple[Store, ...]
    counters: tuple[Store, ...]
    clock: Clock = utc_now

    def subjects(self, job: Job, work: Work, *, after: str | None) -> Iterator[tuple[str, Any]]:
        """Pages of what is there; None, once, where this job does not erase the tenant (any more)."""
        if work.phase in {Phase.CLOSE, Phase.STAND, Phase.FINISH} or not self._may(job, work):
            return iter(() if after else [("1", None)])
        if work.phase == Phase.INDEX:
            return self._of_index(work, after)
        return self._pages(work, after)

    def take(self, job: Job, work: Work, subject: Any) -> Done:
        match work.phase:
            case Phase.CLOSE:
                return self._close(job, work.tenant)
            case Phase.STAND:
                usage = self.totals.total(work.tenant).usage
                images = usage.assets + usage.rejected
                return Done(counts={IMAGES_COUNTED: images, BYTES_COUNTED: usage.bytes_stored})
            case Phase.FINISH:
                return self._finish(job, work.tenant, still_found=STILL_FOUND in work.subjects)
        if subject is None:
            return Done(
                failures=(Failure(work.tenant, "not_erasing", "another job erases this tenant, or none"),)
            )
        store, page = subject
        counts = dict(store.counts(page))
        images = counts.get("images", 0)
        if job.dry_run:
            return Done(done=images, counts=counts)
        failures = store.delete(work.tenant, page)
        if work.phase in {Phase.CHECK, Phase.INDEX}:
            counts[LATE] = sum(number for name, number in counts.items() if name != "bytes")
        return Done(done=images, failures=failures, counts=counts)

    def _may(self, job: Job, work: Work) -> bool:
        """Whether this job erases the tenant: one that was made since, of the same name, is another."""
        if job.dry_run:
            return True
        try:
            return self.tenants.get(work.tenant).erased_by == job.id
        except TenantNotFoundError:
            return False

    def _pages(self, work: Work, after: str | None) -> Iterator[tuple[str, Any]]:
        """`<number of the store>/<name of the page in it>`."""
        begun, _, name = (after or "").partition("/")
        for number, store in enumerate(self._stores(work.phase)):
            if begun and number < int(begun):
                continue
            behind = name if begun and number == int(begun) else None
            for found, page in store.pages(work.tenant, work.within, after=behind):
                yield f"{number}/{found}", (store, page)

    def _stores(self, phase: str) -> Sequence[Store]:
        match phase:
            case Phase.RANGES:
                return self.of_ranges
            case Phase.REST:
                return self.rest
            case Phase.RANGES_AGAIN:
                return (*self.of_ranges, *self.counters[:1])
            case Phase.REST_AGAIN:
                return (*self.rest, *self.counters[1:])
        return (*self.of_ranges, *self.rest, *self.counters[:1])

    def _of_index(self, work: Work, after: str | None) -> Iterator[tuple[str, Any]]:
        store = _Bands(self.bands)
        for segment in map(int, work.subjects):
            for name, keys in self.bands.of_tenant(
                work.tenant, segment=segment, segments=SEGMENTS, after=after
            ):
                yield name, (store, keys)

    def _close(self, job: Job, tenant: TenantId) -> Done:
        try:
            self.tenants.mark_erasing(tenant, job=job.id, asked_at=job.created_at, now=self.clock())
        except TenantNotFoundError:
            return Done(failures=(Failure(tenant, "tenant_not_found", "there is no such tenant any more"),))
        return Done(counts={"clients": self.clients.revoke_all(tenant)})

    def _finish(self, job: Job, tenant: TenantId, *, still_found: bool) -> Done:
        """The tenant's record goes, unless something of it is left; then the report is signed."""
        with suppress(TenantNotFoundError):  # this job removed it, and died before it said so
            found = self.tenants.get(tenant)
            if found.erased_by != job.id:
                return Done(failures=(Failure(tenant, "not_erasing", "another job erases this tenant"),))
            if job.tally.failed or still_found:
                why = "something of this tenant is left, or still comes: see the other failures, and retry"
                return Done(failures=(Failure(tenant, "not_erased", why),))
            self.tenants.forget(found)
        # What the stream told in between; from now on it is told of a tenant that is not there.
        for store in self.counters[:1]:
            for _, page in store.pages(tenant, None, after=None):
                store.delete(tenant, page)
        report = report_of(job, at=self.clock())
        self.jobs.attach(job.id, signed(report, self.signer))
        return Done(counts={"tenants": 1})


@dataclass(frozen=True, slots=True)
class _Bands:
    """Bands of no record, which a scan has found."""

    bands: HashBands

    def pages(self, *_: Any, **__: Any) -> Iterator[tuple[str, Any]]:
        raise NotImplementedError

    def counts(self, page: Sequence[tuple[str, str]]) -> Mapping[str, int]:
        return {"bands": len(page)}

    def delete(self, _: TenantId, page: Sequence[tuple[str, str]]) -> tuple[Failure, ...]:
        self.bands.remove_found(page)
        return ()


def signed(report: Mapping[str, Any], signer: Signer) -> dict[str, Any]:
    """The report with its signature, an HMAC of `statement_of` in hex."""
    return {"report": dict(report), "signature": signer.sign(statement_of(report)).hex()}

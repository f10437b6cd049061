"""Erasing a tenant: everything under its name, in any table and bucket, with all versions, for good.

The job first closes the tenant.  Then it sweeps everything by ranges of ids, and sweeps again once uploads
that were allowed before can no longer arrive.  Then it checks whole tables for what workers and streams wrote
after the last sweep, until a check finds nothing.  It deletes the tenant's record last, and signs a report of
what it deleted.

Every part may be repeated: it lists only what is left.
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

# An image takes a worker about 20 ms.  If a range takes longer than its worker has, the next one continues.
IMAGES_PER_PART: Final = 2_000
_MOST_DIGITS: Final = 3  # 4,096 ranges: with 10^8 images 24,400 each
_AT_ONCE: Final = 25  # images: their bands are 400 items
# Segments of the scan for bands without a record: with 10^8 images, each has 16 GB of the table.
SEGMENTS: Final = 16
_FILES: Final = "~"  # names of a job's files follow those of its entries


class Phase:
    """What a part does."""

    CLOSE: Final = "close"
    STAND: Final = "stand"  # of a dry run: the counts that a confirmation is compared with
    RANGES: Final = "ranges"
    REST: Final = "rest"
    RANGES_AGAIN: Final = "ranges-again"
    REST_AGAIN: Final = "rest-again"
    CHECK: Final = "check"
    INDEX: Final = "index"
    FINISH: Final = "finish"


class Eraser(Protocol):
    """Deletes pages of what is kept of a tenant, however they were found."""

    def counts(self, page: Any) -> Mapping[str, int]:
        """The job's counts for a page."""

    def delete(self, tenant: TenantId, page: Any) -> tuple[Failure, ...]:
        """Delete a page, and return what could not be deleted.  Repeating it is harmless."""


class Store(Eraser, Protocol):
    """A place that lists what it keeps of a tenant."""

    def pages(self, tenant: TenantId, within: str | None, *, after: str | None) -> Iterator[tuple[str, Any]]:
        """Pages of a range of ids, or of all (None), each with its name; `after` continues after a name."""


@dataclass(frozen=True, slots=True)
class Images:
    """Records and their bands.  Bands go first, since only the record names them."""

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
    """A table whose hash key is the tenant.

    `of_ids` are the beginnings of sort keys that continue with an id; other sort keys are in no range.
    `beside` has spans of these other keys, from first to last; by default one span of all keys.
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
    """What jobs recorded of the tenant's images: failures, parts and lines.  The jobs' records stay."""

    jobs: Jobs
    lines: ObjectVersions

    def pages(self, tenant: TenantId, _: str | None, *, after: str | None) -> Iterator[tuple[str, Any]]:
        """Each is of one job: `<job>/<entry>`, behind them `<job>/~<version>`."""
        begun, _, name = (after or "").partition("/")
        for job in self.jobs.of_tenant(tenant):
            if job.id >= begun and (job.is_at_rest or job.tenant != tenant):
                yield from self._of_job(job, tenant, name if job.id == begun else "")

    def _of_job(self, job: Job, tenant: TenantId, name: str) -> Iterator[tuple[str, Any]]:
        if not name.startswith(_FILES):
            for found, entries in self.jobs.traces(job, tenant, after=name or None):
                yield f"{job.id}/{found}", (job, entries, ())
        if job.tenant == tenant:
            behind = name.removeprefix(_FILES) if name.startswith(_FILES) else None
            for found, versions in self.lines.pages(f"{job.id}/", after=behind):
                yield f"{job.id}/{_FILES}{found}", (job, (), versions)

    def counts(self, page: Any) -> Mapping[str, int]:
        _, entries, versions = page
        return {"job_entries": len(entries), "job_files": len(versions)}

    def delete(self, _: TenantId, page: Any) -> tuple[Failure, ...]:
        job, entries, versions = page
        self.jobs.forget_entries(job, entries)
        return self.lines.delete(versions) if versions else ()


# --- Steps ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TenantErasureSteps:
    """close -> sweep -> [late uploads end] again -> [workers end] check until it finds nothing.

    Then [workers end] finish.  The brackets name what a step waits for.
    """

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
        """Check once more, unless the last check found nothing, or MOST_CHECKS checks found something."""
        found = job.tally.counts.get(LATE, 0)
        workers_end = self.clock() + WORKERS_END_AFTER
        if number > MOST_CHECKS or (number > 1 and found == seen):
            # Earlier, a worker of the last check might still sweep a new tenant of the same name.
            finish = Work(tenant, Phase.FINISH, None, (STILL_FOUND,) if found != seen else ())
            return Step([finish], 0, None, workers_end)
        works = [
            Work(tenant, Phase.CHECK),
            *(Work(tenant, Phase.INDEX, subjects=(str(segment),)) for segment in range(SEGMENTS)),
        ]
        return Step(works, 0, f"check:{number + 1}/{found}", workers_end)

    def _sweep(self, tenant: TenantId, of_ranges: str, rest: str) -> list[Work]:
        digits = min(_MOST_DIGITS, digits_for(self.assets.estimated(tenant), per_part=IMAGES_PER_PART))
        return [*(Work(tenant, of_ranges, prefix) for prefix in ranges(digits)), Work(tenant, rest, "")]

    def _late_uploads_end(self, tenant: TenantId) -> Any:
        with suppress(TenantNotFoundError):
            return self.tenants.get(tenant).removable_from
        return None


# --- Worker -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TenantErasure:
    """Carries out the parts of a tenant's erasure.  Sweeps `of_ranges` by ranges of ids, `rest` as a whole.

    `counters` follow the stream, so only the second sweep deletes them.
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
        """Pages of the stores; one None if the part has no pages, or this job does not erase the tenant."""
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
        """Whether this job erases the tenant.  A tenant created since under the same name is another one."""
        if job.dry_run:
            return True
        try:
            return self.tenants.get(work.tenant).erased_by == job.id
        except TenantNotFoundError:
            return False

    def _pages(self, work: Work, after: str | None) -> Iterator[tuple[str, tuple[Eraser, Any]]]:
        """Pages of the phase's stores, named `<number of the store>/<name of the page>`."""
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

    def _of_index(self, work: Work, after: str | None) -> Iterator[tuple[str, tuple[Eraser, Any]]]:
        found = _Bands(self.bands)
        for segment in map(int, work.subjects):
            for name, keys in self.bands.of_tenant(
                work.tenant, segment=segment, segments=SEGMENTS, after=after
            ):
                yield name, (found, keys)

    def _close(self, job: Job, tenant: TenantId) -> Done:
        try:
            self.tenants.mark_erasing(tenant, job=job.id, asked_at=job.created_at, now=self.clock())
        except TenantNotFoundError:
            return Done(failures=(Failure(tenant, "tenant_not_found", "there is no such tenant any more"),))
        return Done(counts={"clients": self.clients.revoke_all(tenant)})

    def _finish(self, job: Job, tenant: TenantId, *, still_found: bool) -> Done:
        """Delete the tenant's record, unless something of it is left; then sign the report."""
        looked_at = self.clock()
        with suppress(TenantNotFoundError):  # a worker of this job deleted it, and died before its report
            found = self.tenants.get(tenant)
            if found.erased_by != job.id:
                return Done(failures=(Failure(tenant, "not_erasing", "another job erases this tenant"),))
            if job.tally.failed or still_found:
                why = "something of this tenant is left, or still comes: see the other failures, and retry"
                return Done(failures=(Failure(tenant, "not_erased", why),))
            self.tenants.forget(found)
        # Delete what the stream has counted since the check; without a tenant it counts nothing more.  Newer
        # shares are those of a tenant that was created since under the same name.
        for id_, _ in self.totals.within(tenant, ""):
            self.totals.forget_until(tenant, id_, looked_at)
        report = report_of(job, at=self.clock())
        self.jobs.attach(job.id, signed(report, self.signer))
        return Done(counts={"tenants": 1})


@dataclass(frozen=True, slots=True)
class _Bands:
    """Bands without a record, which a scan has found: an Eraser."""

    bands: HashBands

    def counts(self, page: Sequence[tuple[str, str]]) -> Mapping[str, int]:
        return {"bands": len(page)}

    def delete(self, _: TenantId, page: Sequence[tuple[str, str]]) -> tuple[Failure, ...]:
        self.bands.remove_found(page)
        return ()


def signed(report: Mapping[str, Any], signer: Signer) -> dict[str, Any]:
    """The report with its signature, an HMAC of `statement_of` in hex."""
    return {"report": dict(report), "signature": signer.sign(statement_of(report)).hex()}

"""Erasures: a job's options choose between a tenant and one image; requests check whether one may begin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from catalog.domain.erase import (
    BYTES_COUNTED,
    IMAGES_COUNTED,
    DryRunOutdatedError,
    TenantHasJobsError,
    image_of,
    standing,
)
from catalog.domain.keys import AssetId, AssetKey
from catalog.domain.tenants import OwnTenantError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from catalog.adapters.assets_table import Assets
    from catalog.adapters.jobs_table import Jobs
    from catalog.adapters.tenants_table import Tenants
    from catalog.adapters.usage_table import Counters
    from catalog.domain.assets import Asset
    from catalog.domain.jobs import Done, Job, Step, Steps, Work, Worker
    from catalog.domain.keys import TenantId
    from catalog.domain.tenants import Tenant


@dataclass(frozen=True, slots=True)
class ErasureSteps:
    """Plans the erasures of tenants and of single images."""

    tenants: Steps
    images: Steps

    def step(self, job: Job, position: str) -> Step:
        return (self.images if image_of(job.options) else self.tenants).step(job, position)


@dataclass(frozen=True, slots=True)
class Erasure:
    """Carries out the erasures of tenants and of single images."""

    tenants: Worker[Any]
    images: Worker[Any]

    def subjects(self, job: Job, work: Work, *, after: str | None) -> Iterator[tuple[str, Any]]:
        return self._of(job).subjects(job, work, after=after)

    def take(self, job: Job, work: Work, subject: Any) -> Done:
        return self._of(job).take(job, work, subject)

    def _of(self, job: Job) -> Worker[Any]:
        return self.images if image_of(job.options) else self.tenants


@dataclass(frozen=True, slots=True)
class ErasureRequests:
    """Checks whether an erasure may begin."""

    jobs: Jobs
    assets: Assets
    counters: Counters
    tenants: Tenants

    def allow(self, tenant: TenantId, image: AssetId | None, *, asked_by: TenantId) -> None:
        """Check a request for an erasure.  Raises OwnTenantError, AssetNotFoundError."""
        _refuse_own(tenant, image, asked_by)
        if image is not None:
            self.assets.get(AssetKey(tenant, image))

    def begin(self, dry_run: Job) -> None:
        """Check that a confirmed erasure may begin.  Raises DryRunOutdatedError, TenantHasJobsError."""
        assert dry_run.tenant is not None, "an erasure is of one tenant"  # noqa: S101  the request had one
        found = self._standing(dry_run.tenant, image_of(dry_run.options))
        if any(dry_run.tally.counts.get(name, 0) != number for name, number in found.items()):
            raise DryRunOutdatedError(dry_run.id)
        self._alone(dry_run.tenant)

    def again(self, failed: Job, *, asked_by: TenantId) -> None:
        """Check that a failed erasure may be retried.  Its token confirmed no tenant or image created since.

        Raises OwnTenantError; unless it is a dry run also TenantNotFoundError, DryRunOutdatedError,
        TenantHasJobsError, and JobNotFoundError if the confirmed job's record has expired.
        """
        assert failed.tenant is not None, "an erasure is of one tenant"  # noqa: S101  the request had one
        confirmed, image = failed, image_of(failed.options)
        _refuse_own(failed.tenant, image, asked_by)
        if failed.dry_run:
            return
        while confirmed.retry_of is not None:
            confirmed = self.jobs.get(confirmed.retry_of)
        there: Tenant | Asset | None = self.tenants.get(failed.tenant)
        if image is not None:
            there = self.assets.find(AssetKey(failed.tenant, image))
        if there is not None and there.created_at > confirmed.created_at:
            raise DryRunOutdatedError(confirmed.id)
        self._alone(failed.tenant)

    def _alone(self, tenant: TenantId) -> None:
        for job in self.jobs.active():
            if job.tenant == tenant:
                raise TenantHasJobsError(job.id)

    def _standing(self, tenant: TenantId, image: AssetId | None) -> Mapping[str, int]:
        if image is not None:
            asset = self.assets.find(AssetKey(tenant, image))
            return standing([asset] if asset else [])
        usage = self.counters.total(tenant).usage
        return {IMAGES_COUNTED: usage.assets + usage.rejected, BYTES_COUNTED: usage.bytes_stored}


def _refuse_own(tenant: TenantId, image: AssetId | None, asked_by: TenantId) -> None:
    """Refuse a client that would erase its own tenant, and so revoke itself.  It may erase single images."""
    if image is None and tenant == asked_by:
        raise OwnTenantError(tenant)

"""Metrics: what a tenant stores and has saved; every tenant's for administrators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from catalog.domain.errors import CallerError, Kind
from catalog.domain.usage import NOTHING, Usage

if TYPE_CHECKING:
    from catalog.adapters.tenants_table import Tenants
    from catalog.adapters.usage_table import Counters
    from catalog.domain.keys import TenantId


class NotYourTenantError(CallerError):
    """The caller names another tenant and is no administrator."""

    kind = Kind.FORBIDDEN
    code = "forbidden"
    message = "only a token with the scope catalog/admin may name another tenant"


@dataclass(frozen=True, slots=True)
class UsageByTenant:
    """The usage of one or more tenants."""

    by_tenant: Mapping[TenantId, Usage]

    @property
    def together(self) -> Usage:
        return sum(self.by_tenant.values(), NOTHING)


@dataclass(frozen=True, slots=True)
class Metrics:
    """Reads the counters: a constant number of reads a tenant, however many assets it has."""

    tenants: Tenants
    counters: Counters

    def of(self, tenant: TenantId, *, own: TenantId, is_admin: bool) -> UsageByTenant:
        """One read; for a tenant other than the caller's `own`, two.

        Raises NotYourTenantError, TenantNotFoundError.
        """
        if tenant != own:
            _require(is_admin)
            self.tenants.get(tenant)
        return UsageByTenant(self.counters.totals([tenant]))

    def of_every_tenant(self, *, is_admin: bool) -> UsageByTenant:
        """Two reads a tenant.  Raises NotYourTenantError."""
        _require(is_admin)
        return UsageByTenant(self.counters.totals(self.tenants.ids()))


def _require(is_admin: bool) -> None:
    if not is_admin:
        raise NotYourTenantError

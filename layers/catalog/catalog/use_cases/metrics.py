"""Metrics: what the catalog holds and what it spared: the caller's tenant, and to administrators any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from catalog.domain.usage import NOTHING, Usage

if TYPE_CHECKING:
    from catalog.adapters.tenants_table import Tenants
    from catalog.adapters.usage_table import Counters
    from catalog.domain.keys import TenantId


class NotYourTenantError(Exception):
    """The caller names another tenant and is no administrator."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """The usage of one or more tenants."""

    by_tenant: Mapping[TenantId, Usage]

    @property
    def together(self) -> Usage:
        return sum(self.by_tenant.values(), NOTHING)


def metrics_of(
    tenant: TenantId, *, own: TenantId, is_admin: bool, tenants: Tenants, counters: Counters
) -> Metrics:
    """What one tenant has: one read, however many assets that is, and another to know a tenant not one's own.

    Raises NotYourTenantError, TenantNotFoundError.
    """
    if tenant != own:
        _need(is_admin)
        tenants.get(tenant)
    return Metrics(counters.totals([tenant]))


def metrics_of_all(*, is_admin: bool, tenants: Tenants, counters: Counters) -> Metrics:
    """What every tenant has: two reads a tenant, however many assets that is.  Raises NotYourTenantError."""
    _need(is_admin)
    return Metrics(counters.totals(tenants.ids()))


def _need(is_admin: bool) -> None:
    if not is_admin:
        raise NotYourTenantError

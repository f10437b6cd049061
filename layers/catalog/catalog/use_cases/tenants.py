"""Tenants: who may use the catalog, the credentials they use it with, and how they leave it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from catalog.domain.assets import Status
from catalog.domain.clock import Clock, utc_now
from catalog.domain.keys import AssetKey
from catalog.domain.limits import NO_LIMITS, Limits
from catalog.domain.tenants import (
    REMAINS_AT_ONCE,
    ClientCredentials,
    OwnTenantError,
    Scope,
    Tenant,
    TenantExistsError,
    TenantNameTakenError,
    TenantNotEmptyError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from catalog.adapters.assets_table import Assets
    from catalog.adapters.clients_table import Clients
    from catalog.adapters.identity import IdentityProvider
    from catalog.adapters.objects import Originals, Renditions
    from catalog.adapters.tenant_items import TenantItems
    from catalog.adapters.tenants_table import Tenants
    from catalog.domain.keys import TenantId
    from catalog.domain.tenants import Client


@dataclass(frozen=True, slots=True)
class ClientAdministration:
    """Gives tenants clients, and takes them away."""

    tenants: Tenants
    identity: IdentityProvider
    clients: Clients
    clock: Clock = utc_now

    def add(self, tenant: TenantId, scopes: Sequence[Scope]) -> ClientCredentials:
        """Another client of a tenant.  Raises TenantNotFoundError, TenantBeingRemovedError."""
        self.tenants.active(tenant)
        return self.create(tenant, scopes)

    def add_with_tenant(self, tenant: TenantId, scopes: Sequence[Scope]) -> ClientCredentials:
        """A client of a tenant, which is made, without limits, where it does not exist.

        Raises TenantBeingRemovedError.
        """
        with suppress(TenantExistsError):
            self.tenants.add(tenant, NO_LIMITS, now=self.clock())
        return self.add(tenant, scopes)

    def create(self, tenant: TenantId, scopes: Sequence[Scope]) -> ClientCredentials:
        """The client is created before it is recorded.

        A crash in between leaves a client that no tenant answers to (403 `unknown_client`), never a record of
        one that does not exist.
        """
        credentials = self.identity.create_client(tenant, scopes)
        self.clients.add(credentials.client, scopes=credentials.scopes, now=self.clock())
        return credentials

    def revoke(self, client_id: str, tenant: TenantId) -> None:
        """The client gets no token from now on, and a minute later its tokens are refused.

        Its record goes last: until then the revocation can be repeated.  Raises ClientNotFoundError.
        """
        self.delete(self.clients.get(client_id, tenant))

    def revoke_all(self, tenant: TenantId) -> int:
        """How many there were."""
        clients = self.clients.of_tenant(tenant)
        for client in clients:
            self.delete(client)
        return len(clients)

    def delete(self, client: Client) -> None:
        self.identity.delete_client(client)
        self.clients.forget(client)


@dataclass(frozen=True, slots=True)
class TenantAdministration:
    """Makes and removes tenants.  `remains` are what else is kept of a tenant without images."""

    tenants: Tenants
    clients: ClientAdministration
    assets: Assets
    originals: Originals
    renditions: Renditions
    remains: tuple[TenantItems, ...]
    clock: Clock = utc_now

    def create(
        self, tenant: TenantId, limits: Limits, scopes: Sequence[Scope]
    ) -> tuple[Tenant, ClientCredentials]:
        """A new tenant with its first client.  Raises TenantExistsError, TenantNameTakenError.

        A name is taken while a bucket keeps deleted objects of a removed tenant: the new one could restore
        them.

        The tenant is recorded first.  A caller who gets no answer asks again, learns that the tenant exists,
        and adds a client to it: a lost secret is never shown again.
        """
        if any(store.has_versions(tenant) for store in (self.originals, self.renditions)):
            raise TenantExistsError(tenant) if self.tenants.knows(tenant) else TenantNameTakenError(tenant)
        created = self.tenants.add(tenant, limits, now=self.clock())
        return created, self.clients.create(tenant, scopes)

    def remove(self, tenant: TenantId, *, asked_by: TenantId) -> Tenant | None:
        """Take the next steps of a tenant's removal: the tenant afterwards, None once it is gone.

        The first call marks it and revokes its clients.  Uploads that were allowed just before may still
        arrive, so a call after `Tenant.removable_from` deletes the rest: unsent announcements, pairs and
        counters, up to REMAINS_AT_ONCE of each a call, and the tenant's record last.  Any call may die
        anywhere and be repeated.

        Raises TenantNotFoundError, OwnTenantError, and TenantNotEmptyError where anything of it is stored.
        A removal that had begun is cancelled then, so that the tenant can be given a client and purged.
        """
        if tenant == asked_by:
            raise OwnTenantError(tenant)
        found = self.tenants.get(tenant)
        statuses = self.assets.statuses(tenant, most=REMAINS_AT_ONCE)
        if left := self._stored(tenant, statuses.values()):
            self.tenants.keep(found)
            raise TenantNotEmptyError(left)
        found = self.tenants.mark_removing(tenant, now=self.clock())
        self.clients.revoke_all(tenant)
        if found.removable_from is None or self.clock() < found.removable_from:
            return found
        for id_ in statuses:  # announced, and no upload can arrive any more
            self.assets.forget_announced(AssetKey(tenant, id_))
        gone = [items.delete_some(tenant, most=REMAINS_AT_ONCE) for items in self.remains]
        if len(statuses) == REMAINS_AT_ONCE or not all(gone):
            return found
        self.tenants.forget(found)
        return None

    def _stored(self, tenant: TenantId, statuses: Iterable[Status]) -> Counter[str]:
        arrived = sorted(status for status in statuses if status is not Status.AWAITING_UPLOAD)
        stored = Counter(f"{status} images" for status in arrived)
        return stored + Counter(
            originals=self.originals.count(tenant), renditions=self.renditions.count(tenant)
        )

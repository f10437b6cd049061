"""Tenants: who may use the catalog, the credentials they use it with, and how they leave it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from catalog.domain.assets import Status
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
    from datetime import datetime

    from catalog.adapters.assets_table import Assets
    from catalog.adapters.clients_table import Clients
    from catalog.adapters.identity import IdentityProvider
    from catalog.adapters.objects import Originals, Renditions
    from catalog.adapters.pairs_table import Pairs
    from catalog.adapters.tenants_table import Tenants
    from catalog.adapters.usage_table import Counters
    from catalog.domain.keys import TenantId


def create_tenant(
    tenant: TenantId,
    limits: Limits,
    scopes: Sequence[Scope],
    *,
    tenants: Tenants,
    identity: IdentityProvider,
    clients: Clients,
    stores: Iterable[Originals | Renditions] = (),
    now: datetime,
) -> tuple[Tenant, ClientCredentials]:
    """A new tenant with its first client.  Raises TenantExistsError, TenantNameTakenError.

    A name is taken while any of `stores` keeps deleted objects of a removed tenant, which would be the new
    one's to restore.

    The tenant is recorded first.  Who gets no answer asks again, is told that the tenant exists, and adds a
    client to it: a secret that was lost on its way is shown to nobody again.
    """
    if any(store.has_versions(tenant) for store in stores):
        raise TenantExistsError(tenant) if tenants.knows(tenant) else TenantNameTakenError(tenant)
    created = tenants.add(tenant, limits, now=now)
    return created, _new_client(tenant, scopes, identity=identity, clients=clients, now=now)


def add_client(
    tenant: TenantId,
    scopes: Sequence[Scope],
    *,
    tenants: Tenants,
    identity: IdentityProvider,
    clients: Clients,
    now: datetime,
) -> ClientCredentials:
    """Another client of a tenant.  Raises TenantNotFoundError, TenantBeingRemovedError."""
    tenants.active(tenant)
    return _new_client(tenant, scopes, identity=identity, clients=clients, now=now)


def create_client(
    tenant: TenantId,
    *,
    scopes: Sequence[Scope],
    tenants: Tenants,
    identity: IdentityProvider,
    clients: Clients,
    now: datetime,
) -> ClientCredentials:
    """A client of `tenant`, which is made, without limits, where it does not exist.

    Raises TenantBeingRemovedError.
    """
    try:
        return create_tenant(
            tenant, NO_LIMITS, scopes, tenants=tenants, identity=identity, clients=clients, now=now
        )[1]
    except TenantExistsError:
        return add_client(tenant, scopes, tenants=tenants, identity=identity, clients=clients, now=now)


def revoke_client(client_id: str, tenant: TenantId, *, identity: IdentityProvider, clients: Clients) -> None:
    """No new token for this client, and a minute later no use of one it holds.  Raises ClientNotFoundError.

    Its record goes last: as long as it is there, the revocation can be asked for again.
    """
    client = clients.get(client_id, tenant)
    identity.delete_client(client)
    clients.forget(client)


def remove_tenant(
    tenant: TenantId,
    *,
    asked_by: TenantId,
    tenants: Tenants,
    identity: IdentityProvider,
    clients: Clients,
    assets: Assets,
    originals: Originals,
    renditions: Renditions,
    pairs: Pairs,
    counters: Counters,
    now: datetime,
) -> Tenant | None:
    """Take the next steps of a tenant's removal: the tenant as it is then, None once it is gone.

    The first call marks it and takes its clients away.  Uploads it was allowed just before may still arrive,
    so its record goes with a call after `Tenant.removable_from`; before it go announcements that nobody sent,
    pairs and counters, up to REMAINS_AT_ONCE of each a call.  Any call may die anywhere and be repeated.

    Raises TenantNotFoundError, OwnTenantError, and TenantNotEmptyError where anything of it is stored: then
    the removal, if it had begun, is given up, so that the tenant can be given a client, used and purged.
    """
    if tenant == asked_by:
        raise OwnTenantError(tenant)
    found = tenants.get(tenant)
    statuses = assets.statuses(tenant, most=REMAINS_AT_ONCE)
    came = sorted(status for status in statuses.values() if status is not Status.AWAITING_UPLOAD)
    left = Counter(f"{status} images" for status in came)
    left += Counter(originals=originals.count(tenant), renditions=renditions.count(tenant))
    if left:
        tenants.keep(found)
        raise TenantNotEmptyError(left)
    found = tenants.mark_removing(tenant, now=now)
    for client in clients.of_tenant(tenant):
        identity.delete_client(client)
        clients.forget(client)
    if found.removable_from is None or now < found.removable_from:
        return found
    for id_ in statuses:  # announced, and no upload can come any more
        assets.forget_announced(AssetKey(tenant, id_))
    gone = [table.forget_tenant(tenant, most=REMAINS_AT_ONCE) for table in (pairs, counters)]
    if len(statuses) == REMAINS_AT_ONCE or not all(gone):
        return found
    tenants.forget(found)
    return None


def _new_client(
    tenant: TenantId, scopes: Sequence[Scope], *, identity: IdentityProvider, clients: Clients, now: datetime
) -> ClientCredentials:
    """The client is created before it is recorded.

    A crash in between leaves a client that no tenant answers to (403 `unknown_client`), never a record of one
    that does not exist.
    """
    credentials = identity.create_client(tenant, scopes)
    clients.add(credentials.client, scopes=credentials.scopes, now=now)
    return credentials

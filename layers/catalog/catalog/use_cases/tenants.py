"""Tenants: who may use the catalog, and the credentials they use it with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from catalog.domain.tenants import ClientCredentials, Scope

if TYPE_CHECKING:
    from datetime import datetime

    from catalog.adapters.clients_table import Clients
    from catalog.adapters.identity import IdentityProvider
    from catalog.domain.keys import TenantId


def create_client(
    tenant: TenantId,
    *,
    scopes: Sequence[Scope],
    identity: IdentityProvider,
    clients: Clients,
    now: datetime,
) -> ClientCredentials:
    """A client that acts for `tenant`; the tenant exists from its first client on.

    The client is created before it is recorded: a crash in between leaves a client that no tenant answers to
    (403 `unknown_client`), never a tenant's record without its secret's owner.
    """
    credentials = identity.create_client(tenant, scopes)
    clients.add(credentials.client, now=now)
    return credentials

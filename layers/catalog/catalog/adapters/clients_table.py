"""The Clients table: which tenant a token's client acts for."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from pynamodb.attributes import UnicodeAttribute
from pynamodb.exceptions import DoesNotExist
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection
from pynamodb.models import Model

from catalog.adapters.pages import Cursors, matching
from catalog.adapters.remembered import Remembered
from catalog.adapters.tables import bind, timestamp
from catalog.domain.keys import TenantId, tenant_id
from catalog.domain.paging import Page, PageRequest
from catalog.domain.tenants import (
    DEFAULT_SCOPES,
    Client,
    ClientNotFoundError,
    KnownClient,
    Scope,
    UnknownClientError,
)


class _ByTenant(GlobalSecondaryIndex["_ClientItem"]):
    class Meta:
        index_name = "by_tenant"
        projection = KeysOnlyProjection()

    tenant = UnicodeAttribute(hash_key=True)
    client_id = UnicodeAttribute()


class _ClientItem(Model):
    class Meta:
        table_name = ""

    client_id = UnicodeAttribute(hash_key=True)
    tenant = UnicodeAttribute()
    created_at = UnicodeAttribute()
    scopes = UnicodeAttribute(null=True)  # separated by spaces, as in OAuth

    by_tenant = _ByTenant()


_CURSORS: Final = Cursors(tenant=tenant_id, client_id=matching("[A-Za-z0-9_+]{1,128}"))


class Clients:
    """The Clients table: which tenant a token's client acts for, remembered a minute where that will do."""

    def __init__(self, table_name: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._model = bind(_ClientItem, table_name)
        self._tenant_of = Remembered(self._read_tenant, monotonic=monotonic)

    def tenant_of(self, client_id: str) -> TenantId:
        """As of at most a minute ago.  Raises UnknownClientError."""
        return self._tenant_of(client_id)

    def current_tenant_of(self, client_id: str) -> TenantId:
        """A consistent read at every call: revoking an administrator must work at once.

        Raises UnknownClientError.
        """
        return self._read_tenant(client_id, consistent=True)

    def get(self, client_id: str, tenant: TenantId) -> Client:
        """A consistent read.  Raises ClientNotFoundError, also where the client is another tenant's."""
        try:
            item = self._model.get(client_id, consistent_read=True)
        except DoesNotExist as error:
            raise ClientNotFoundError(client_id) from error
        if item.tenant != tenant:
            raise ClientNotFoundError(client_id)
        return Client(client_id, tenant)

    def of_tenant(self, tenant: TenantId) -> list[Client]:
        """Every client of a tenant.  One added in the last moments may be missing."""
        return [Client(item.client_id, tenant) for item in self._model.by_tenant.query(tenant)]

    def page(self, tenant: TenantId, asked: PageRequest) -> Page[KnownClient]:
        """The clients of a tenant, in the index's own order.  Raises InvalidCursorError.

        One added this moment may be missing; one that is gone never shows.
        """
        index = self._model.by_tenant.query(
            tenant,
            limit=asked.limit,
            page_size=asked.limit,
            last_evaluated_key=_CURSORS.key(asked.cursor, tenant=tenant),
        )
        page = _CURSORS.page(index, asked.limit)
        ids = [entry.client_id for entry in page.entries]
        found = {item.client_id: _known(item) for item in self._model.batch_get(ids, consistent_read=True)}
        return page.map(lambda entry: found.get(entry.client_id))

    def add(self, client: Client, *, scopes: Sequence[Scope] = DEFAULT_SCOPES, now: datetime) -> None:
        """Record a client of a tenant; recording it again changes nothing."""
        self._model(
            client.client_id, tenant=client.tenant, created_at=timestamp(now), scopes=" ".join(scopes)
        ).save()

    def forget(self, client: Client) -> None:
        """Remove the record of a client; removing it again changes nothing."""
        self._model(client.client_id).delete()

    def _read_tenant(self, client_id: str, *, consistent: bool = False) -> TenantId:
        try:
            return TenantId(self._model.get(client_id, consistent_read=consistent).tenant)
        except DoesNotExist as error:
            raise UnknownClientError(client_id) from error


def _known(item: _ClientItem) -> KnownClient:
    scopes = None if item.scopes is None else tuple(map(Scope, item.scopes.split()))
    return KnownClient(item.client_id, datetime.fromisoformat(item.created_at), scopes)

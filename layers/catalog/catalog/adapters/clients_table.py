"""The Clients table: which tenant a token's client acts for."""

import time
from collections.abc import Callable
from datetime import datetime

from pynamodb.attributes import UnicodeAttribute
from pynamodb.exceptions import DoesNotExist
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection
from pynamodb.models import Model

from catalog.adapters.remembered import Remembered
from catalog.adapters.tables import bind, timestamp
from catalog.domain.keys import TenantId
from catalog.domain.tenants import Client, ClientNotFoundError, UnknownClientError


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

    by_tenant = _ByTenant()


class Clients:
    """The Clients table, remembered a minute: which tenant a token's client acts for."""

    def __init__(self, table_name: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._model = bind(_ClientItem, table_name)
        self._tenant_of = Remembered(self._read_tenant, monotonic=monotonic)

    def tenant_of(self, client_id: str) -> TenantId:
        """As of at most a minute ago.  Raises UnknownClientError."""
        return self._tenant_of(client_id)

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
        """Every client of a tenant, but for one that was added this moment."""
        return [Client(item.client_id, tenant) for item in self._model.by_tenant.query(tenant)]

    def add(self, client: Client, *, now: datetime) -> None:
        """Record a client of a tenant; recording it again changes nothing."""
        self._model(client.client_id, tenant=client.tenant, created_at=timestamp(now)).save()

    def forget(self, client: Client) -> None:
        """Remove the record of a client; removing it again changes nothing."""
        self._model(client.client_id).delete()

    def _read_tenant(self, client_id: str) -> TenantId:
        try:
            return TenantId(self._model.get(client_id).tenant)
        except DoesNotExist as error:
            raise UnknownClientError(client_id) from error

"""The Clients table: which tenant a token's client acts for."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from pynamodb.attributes import UnicodeAttribute
from pynamodb.exceptions import DoesNotExist
from pynamodb.models import Model

from catalog.adapters.tables import bind, timestamp
from catalog.domain.keys import TenantId
from catalog.domain.tenants import Client, UnknownClientError

_CACHE_SECONDS: Final = 60.0


class _ClientItem(Model):
    class Meta:
        table_name = ""

    client_id = UnicodeAttribute(hash_key=True)
    tenant = UnicodeAttribute()
    created_at = UnicodeAttribute()


class Clients:
    """The Clients table, cached a minute: which tenant a token's client acts for."""

    def __init__(self, table_name: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._model = bind(_ClientItem, table_name)
        self._monotonic = monotonic
        self._cached: dict[str, tuple[float, TenantId]] = {}

    def tenant_of(self, client_id: str) -> TenantId:
        """Raises UnknownClientError."""
        fresh_from = self._monotonic() - _CACHE_SECONDS
        cached = self._cached.get(client_id)
        if cached and cached[0] >= fresh_from:
            return cached[1]
        try:
            tenant = TenantId(self._model.get(client_id).tenant)
        except DoesNotExist as error:
            raise UnknownClientError(client_id) from error
        self._cached[client_id] = (self._monotonic(), tenant)
        return tenant

    def add(self, client: Client, *, now: datetime) -> None:
        """Record a client of a tenant; recording it again changes nothing."""
        self._model(client.client_id, tenant=client.tenant, created_at=timestamp(now)).save()

"""Uploads: a client announces bytes and gets the asset they already are, or a ticket to send them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from catalog.domain.assets import (
    Asset,
    AssetBeingDeletedError,
    AssetStateError,
    Status,
)
from catalog.domain.clock import Clock, utc_now
from catalog.domain.lifecycle import may_be_stored, wants_bytes
from catalog.domain.uploads import Announcement, UploadTicket

if TYPE_CHECKING:
    from datetime import datetime

    from catalog.adapters.assets_table import Assets
    from catalog.adapters.objects import Originals
    from catalog.adapters.queues import UploadsQueue
    from catalog.adapters.tenants_table import Tenants
    from catalog.adapters.usage_table import Counters
    from catalog.domain.keys import AssetKey, TenantId
    from catalog.domain.limits import Limits


@dataclass(frozen=True, slots=True)
class Uploads:
    """Takes announcements, within what a tenant may upload."""

    assets: Assets
    originals: Originals
    queue: UploadsQueue
    tenants: Tenants
    counters: Counters
    clock: Clock = utc_now

    def announce(
        self, key: AssetKey, announced: Announcement, *, correlation_id: str
    ) -> Asset | UploadTicket:
        """The asset, where this tenant has these bytes; else a ticket to send them.

        Raises AssetBeingDeletedError while a purge is removing them, StorageLimitReachedError,
        TooManyUploadsError, and UnknownClientError for a tenant that is being removed.  Only tickets are
        limited: an asset that is here is answered also where the limit is spent.

        A stalled asset, and one whose stored bytes were wrong or are gone, gets a ticket too, and what is
        stored is ingested again: the client repairs it without an operator.
        """
        limits, now = self.tenants.limits_of(key.tenant), self.clock()
        known = self.assets.find(key)
        if known and not wants_bytes(known, now):
            try:
                return self.assets.note_duplicate(key, now=now)
            except AssetStateError as error:
                raise AssetBeingDeletedError(key.id) from error
        self._spend(key.tenant, limits, announced, now)
        if known and known.unused_since:
            try:
                # The new bytes were not unused for as long as the old ones: restart the time to the purge.
                self.assets.unused_from(key, now)
            except AssetStateError as error:
                raise AssetBeingDeletedError(key.id) from error
        if known is None or known.status is not Status.PROCESSING:
            try:
                self.assets.await_upload(
                    key, announced, correlation_id=correlation_id, known=known is not None, now=now
                )
            except AssetStateError:
                # Another client's identical upload arrived between the read and the write: read again.
                return self.announce(key, announced, correlation_id=correlation_id)
        if known and may_be_stored(known, now):
            # S3 would refuse the PUT then: ingest accepts the object, or deletes it if it is wrong.
            self.queue.notify(key)
        return UploadTicket(key, self.originals.presign_upload(key, announced, now=now))

    def _spend(self, tenant: TenantId, limits: Limits, announced: Announcement, now: datetime) -> None:
        """Raises StorageLimitReachedError, TooManyUploadsError.  A tenant without limits costs no request.

        The stored bytes are those counted so far: uploads under way are not among them, and the count trails
        the table's stream by seconds.
        """
        if limits.stored_bytes is not None:
            limits.check_storage(self.counters.total(tenant).usage.bytes_stored, announced.size_bytes)
        self.tenants.count_upload(tenant, limits, now=now)

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
from catalog.domain.errors import BATCH_WORKS_FOR, CallerError, OutOfTimeError
from catalog.domain.keys import AssetKey
from catalog.domain.lifecycle import may_be_stored, wants_bytes
from catalog.domain.limits import TooManyUploadsError
from catalog.domain.uploads import Announcement, UploadTicket

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from catalog.adapters.assets_table import Assets
    from catalog.adapters.objects import Originals
    from catalog.adapters.queues import UploadsQueue
    from catalog.adapters.tenants_table import Tenants
    from catalog.adapters.usage_table import Counters
    from catalog.domain.keys import AssetId, TenantId

type Outcome = Asset | UploadTicket | CallerError


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
        allowance = self._allowance(key.tenant)
        return self._announce(key, announced, self.assets.find(key), allowance, correlation_id)

    def announce_all(
        self,
        tenant: TenantId,
        announcements: Sequence[tuple[AssetId, Announcement]],
        *,
        correlation_id: str,
    ) -> Iterator[Outcome]:
        """Up to 100 announcements, each with the outcome that `announce` has for it, or its error.

        Known bytes cost one read together, and no write where the image is in use and has this name: it is
        the same file once more.  What is not begun within BATCH_WORKS_FOR is out of time.  Raises
        UnknownClientError.
        """
        until, allowance = self.clock() + BATCH_WORKS_FOR, self._allowance(tenant)
        read = self.assets.many(tenant, {id_ for id_, _ in announcements}, consistent=True)
        begun: set[AssetId] = set()
        for id_, announced in announcements:
            key = AssetKey(tenant, id_)
            if self.clock() >= until:
                yield OutOfTimeError(id_)
                continue
            known = self.assets.find(key) if id_ in begun else read.get(id_)
            begun.add(id_)
            try:
                yield self._again(known, announced) or self._announce(
                    key, announced, known, allowance, correlation_id
                )
            except CallerError as error:
                yield error

    def _again(self, known: Asset | None, announced: Announcement) -> Asset | None:
        """The asset if this is its file once more and no purge has to hear of it: whoever releases it last
        starts the grace period later than now."""
        same = known is not None and known.is_in_use and known.filename == announced.filename
        return known if same and known and not wants_bytes(known, self.clock()) else None

    def _announce(
        self,
        key: AssetKey,
        announced: Announcement,
        known: Asset | None,
        allowance: _Allowance,
        correlation_id: str,
    ) -> Asset | UploadTicket:
        now = self.clock()
        if known and not wants_bytes(known, now):
            try:
                return self.assets.note_duplicate(key, now=now)
            except AssetStateError as error:
                raise AssetBeingDeletedError(key.id) from error
        allowance.spend(announced.size_bytes, now)
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
                return self._announce(key, announced, self.assets.find(key), allowance, correlation_id)
        if known and may_be_stored(known, now):
            # S3 would refuse the PUT then: ingest accepts the object, or deletes it if it is wrong.
            self.queue.notify(key)
        upload = self.originals.presign_upload(key, announced, now=now)
        stalled = known is not None and known.status is Status.PROCESSING
        return UploadTicket(key, upload, known.correlation_id if known and stalled else correlation_id)

    def _allowance(self, tenant: TenantId) -> _Allowance:
        """Raises UnknownClientError."""
        return _Allowance(tenant, self.tenants, self.counters)


class _Allowance:
    """What a tenant may upload in one request.  A tenant without limits costs no request.

    The stored bytes are those counted so far, read once, and those of this request's tickets: uploads under
    way are not among them, and the count trails the table's stream by seconds.
    """

    def __init__(self, tenant: TenantId, tenants: Tenants, counters: Counters) -> None:
        self._tenant, self._tenants, self._counters = tenant, tenants, counters
        self._limits = tenants.limits_of(tenant)
        self._stored: int | None = None
        self._refusal: TooManyUploadsError | None = None

    def spend(self, size_bytes: int, now: datetime) -> None:
        """Take one ticket.  Raises StorageLimitReachedError, TooManyUploadsError."""
        if self._refusal:
            raise TooManyUploadsError(self._refusal.retry_after)
        if self._limits.stored_bytes is not None:
            if self._stored is None:
                self._stored = self._counters.total(self._tenant).usage.bytes_stored
            self._limits.check_storage(self._stored, size_bytes)
        try:
            self._tenants.count_upload(self._tenant, self._limits, now=now)
        except TooManyUploadsError as error:
            self._refusal = error
            raise
        self._stored = None if self._stored is None else self._stored + size_bytes

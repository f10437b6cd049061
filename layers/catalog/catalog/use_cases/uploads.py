"""Uploads: a client announces bytes and is told where to send them, or that they are here already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from catalog.domain.assets import (
    STALLED_AFTER,
    Asset,
    AssetBeingDeletedError,
    AssetStateError,
    Status,
)
from catalog.domain.uploads import Announcement, UploadTicket

if TYPE_CHECKING:
    from datetime import datetime

    from catalog.adapters.assets_table import Assets
    from catalog.adapters.objects import Originals
    from catalog.adapters.tenants_table import Tenants
    from catalog.adapters.usage_table import Counters
    from catalog.domain.keys import AssetKey, TenantId
    from catalog.domain.limits import Limits


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a tenant may still upload.  Asks nothing of any table for a tenant without that limit."""

    tenant: TenantId
    limits: Limits
    tenants: Tenants
    counters: Counters

    def spend(self, announced: Announcement, *, now: datetime) -> None:
        """Raises StorageLimitReachedError, TooManyUploadsError.

        The stored bytes are those counted so far: uploads on their way are not among them, and the count
        follows the table's stream by seconds.
        """
        if self.limits.stored_bytes is not None:
            stored = self.counters.total(self.tenant).usage.bytes_stored
            self.limits.check_storage(stored, announced.size_bytes)
        self.tenants.count_upload(self.tenant, self.limits, now=now)


def request_upload(
    key: AssetKey,
    announced: Announcement,
    *,
    allowance: Allowance,
    assets: Assets,
    originals: Originals,
    correlation_id: str,
    now: datetime,
) -> Asset | UploadTicket:
    """The asset, where this tenant has these bytes; else a ticket to send them.

    Raises AssetBeingDeletedError while a purge is removing them, StorageLimitReachedError,
    TooManyUploadsError.  Only tickets are limited: bytes that are here are answered whatever was spent.

    A stalled asset, and one whose stored bytes were wrong or have gone, get a ticket too: sending the bytes
    once more is how a client repairs them without an operator.
    """
    known = assets.find(key)
    if known and not _wants_bytes(known, now):
        try:
            return assets.note_duplicate(key, now=now)
        except AssetStateError as error:
            raise AssetBeingDeletedError(key.id) from error
    allowance.spend(announced, now=now)
    if known and known.unused_since:
        try:
            # What is sent now is not what has lain there unused: no purge may take it for that.
            assets.unused_from(key, now)
        except AssetStateError as error:
            raise AssetBeingDeletedError(key.id) from error
    if known is None or known.status is not Status.PROCESSING:
        try:
            assets.await_upload(
                key, announced, correlation_id=correlation_id, known=known is not None, now=now
            )
        except AssetStateError:
            # Another client's identical upload arrived between the read and the write: look again.
            return request_upload(
                key,
                announced,
                allowance=allowance,
                assets=assets,
                originals=originals,
                correlation_id=correlation_id,
                now=now,
            )
    repairs = known is not None and _is_to_be_repaired(known, now)
    return UploadTicket(key, originals.presign_upload(key, announced, repairs=repairs, now=now))


def _is_to_be_repaired(asset: Asset, now: datetime) -> bool:
    """Whether an object may lie there already that is wrong, or whose event came to nothing."""
    waits_in_vain = asset.status is Status.AWAITING_UPLOAD and now - asset.created_at > STALLED_AFTER
    return asset.rejection is not None or asset.status is Status.PROCESSING or waits_in_vain


def _wants_bytes(asset: Asset, now: datetime) -> bool:
    if asset.rejection:
        return asset.rejection.heals_with_the_bytes
    return asset.status is Status.AWAITING_UPLOAD or asset.stalled(now)

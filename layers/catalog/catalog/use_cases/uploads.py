"""Uploads: a client announces bytes and is told where to send them, or that they are here already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from catalog.domain.assets import Asset, AssetBeingDeletedError, AssetStateError, Status
from catalog.domain.rejections import RejectionCode
from catalog.domain.uploads import Announcement, UploadTicket

if TYPE_CHECKING:
    from datetime import datetime

    from catalog.adapters.assets_table import Assets
    from catalog.adapters.objects import Originals
    from catalog.domain.keys import AssetKey


def request_upload(
    key: AssetKey,
    announced: Announcement,
    *,
    assets: Assets,
    originals: Originals,
    correlation_id: str,
    now: datetime,
) -> Asset | UploadTicket:
    """The asset, where this tenant has these bytes; else a ticket to send them.

    Raises AssetBeingDeletedError while a purge is removing them.

    A stalled asset, and one whose stored bytes were not the announced ones, get a ticket too: sending the
    bytes once more is how a client repairs them without an operator.
    """
    known = assets.find(key)
    if known and not _wants_bytes(known, now):
        return _known(known, assets=assets, now=now)
    if known is None or known.status is not Status.PROCESSING:
        try:
            assets.await_upload(key, announced, correlation_id=correlation_id, now=now)
        except AssetStateError:
            # Another client's identical upload arrived between the read and the write: these bytes are here.
            return _known(assets.get(key), assets=assets, now=now)
    return UploadTicket(key, originals.presign_upload(key, announced, now=now))


def _known(asset: Asset, *, assets: Assets, now: datetime) -> Asset:
    try:
        return assets.note_duplicate(asset.key, now=now)
    except AssetStateError as error:
        raise AssetBeingDeletedError(asset.id) from error


def _wants_bytes(asset: Asset, now: datetime) -> bool:
    if asset.status is Status.REJECTED:
        return asset.rejection is not None and asset.rejection.code is RejectionCode.CHECKSUM_MISMATCH
    return asset.status is Status.AWAITING_UPLOAD or asset.stalled(now)

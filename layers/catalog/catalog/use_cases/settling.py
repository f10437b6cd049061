"""Settling: how an asset becomes `ready`, or `rejected` with its reason; once, whoever comes first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from catalog.domain.assets import Asset, AssetStateError

if TYPE_CHECKING:
    from datetime import datetime

    from catalog.adapters.assets_table import Assets
    from catalog.adapters.objects import Originals
    from catalog.domain.keys import AssetKey
    from catalog.domain.rejections import Rejection


def reject_original(
    key: AssetKey,
    rejection: Rejection,
    *,
    size_bytes: int,
    assets: Assets,
    originals: Originals,
    now: datetime,
) -> Asset:
    """Raises AssetStateError where the asset is settled already."""
    # Tagged before it is recorded: a crash in between leaves an unrecorded rejection, which the retry
    # repeats; the other order could leave a rejected object that no lifecycle rule ever removes.
    originals.tag_rejected(key)
    return assets.reject(key, rejection, size_bytes=size_bytes, now=now)


def make_ready(key: AssetKey, *, assets: Assets, now: datetime) -> Asset:
    """`ready`, for an asset that lacks nothing.  Raises AssetNotFoundError."""
    try:
        return assets.mark_ready(key, now=now)
    except AssetStateError:
        # Two jobs recorded the last two renditions at the same moment; the other one settled it.
        return assets.get(key)

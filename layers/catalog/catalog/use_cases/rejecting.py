"""Rejecting: what can never be an asset is recorded with its reason, at the first try, and kept 7 days."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from catalog.adapters.assets_table import Assets
    from catalog.adapters.objects import Originals
    from catalog.domain.assets import Asset
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

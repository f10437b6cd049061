"""Reindexing: what the near-duplicate index holds of an asset is moved from its first scheme to the present.

Its record names both schemes while it moves, so that a purge removes the bands of both; killed at any line,
the next run completes it.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING

from catalog.domain.assets import Asset, AssetStateError, Inspection, Status
from catalog.domain.fingerprints import PHashAlgorithm
from catalog.domain.rejections import ImageRejectedError
from catalog.domain.uploads import OriginalMissingError, OriginalTooLargeError

if TYPE_CHECKING:
    from catalog.adapters.assets_table import Assets
    from catalog.adapters.hash_bands_table import HashBands
    from catalog.adapters.objects import Originals
    from catalog.domain.keys import AssetKey

Inspect = Callable[[bytes, PHashAlgorithm], Inspection]
"""Decodes an original within its bounds.  Raises ImageRejectedError."""


class Moved(StrEnum):
    """What became of an asset."""

    MOVED = "moved"
    CURRENT = "current"  # it is in the present scheme, or in none: near-blank, rejected or not here yet
    CHANGED = "changed"  # by somebody else at the same moment: look again
    UNREADABLE = "unreadable"  # its original is missing, or is refused


def reindex_asset(
    key: AssetKey,
    *,
    assets: Assets,
    originals: Originals,
    bands: HashBands,
    inspect: Inspect,
    max_upload_bytes: int,
) -> Moved:
    """Index an asset under the present scheme, and take it out of the first."""
    asset = assets.find(key)
    old = [indexed for indexed in asset.indexed_as if indexed.box is None] if asset else []
    if asset is None or not old or asset.status not in {Status.PROCESSING, Status.READY}:
        return Moved.CURRENT
    try:
        data = originals.read(key, max_bytes=max_upload_bytes)
        inspection = inspect(data, old[0].algorithm)
    except (OriginalMissingError, OriginalTooLargeError, ImageRejectedError):
        return Moved.UNREADABLE
    new = [inspection.fingerprint.indexed]
    try:
        asset = assets.move_in_index(asset, [*new, *old])
    except AssetStateError:
        return Moved.CHANGED
    bands.add(key, inspection.fingerprint)
    for indexed in old:
        bands.remove(key, indexed)
    try:
        assets.move_in_index(asset, new)
    except AssetStateError:
        if _is_going(assets.find(key)):  # its purge may have removed the bands before they were written
            bands.remove(key, inspection.fingerprint.indexed)
        return Moved.CHANGED
    return Moved.MOVED


def _is_going(asset: Asset | None) -> bool:
    return asset is None or asset.status is Status.DELETING

"""Reindexing: move an asset's near-duplicate index entries from the first scheme to the present one.

The record names both schemes during the move, so that a purge removes the entries of both.  A run that was
killed is completed by the next one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
    CURRENT = "current"  # in the present scheme, or in none: near-blank, rejected or not here yet
    CHANGED = "changed"  # by somebody else at the same moment: look again
    UNREADABLE = "unreadable"  # its original is missing, or is refused


@dataclass(frozen=True, slots=True)
class Reindexing:
    """Moves assets to the present scheme."""

    assets: Assets
    originals: Originals
    bands: HashBands
    inspect: Inspect
    max_upload_bytes: int

    def reindex(self, key: AssetKey) -> Moved:
        """Index an asset under the present scheme, and take it out of the first."""
        asset = self.assets.find(key)
        old = [indexed for indexed in asset.indexed_as if indexed.box is None] if asset else []
        if asset is None or not old or not asset.is_accepted:
            return Moved.CURRENT
        try:
            data = self.originals.read(key, max_bytes=self.max_upload_bytes)
            inspection = self.inspect(data, old[0].algorithm)
        except (OriginalMissingError, OriginalTooLargeError, ImageRejectedError):
            return Moved.UNREADABLE
        new = [inspection.fingerprint.indexed]
        try:
            asset = self.assets.move_in_index(asset, [*new, *old])
        except AssetStateError:
            return Moved.CHANGED
        self.bands.add(key, inspection.fingerprint)
        for indexed in old:
            self.bands.remove(key, indexed)
        try:
            self.assets.move_in_index(asset, new)
        except AssetStateError:
            if _is_deleted(
                self.assets.find(key)
            ):  # its purge may have run before the new entries were written
                self.bands.remove(key, inspection.fingerprint.indexed)
            return Moved.CHANGED
        return Moved.MOVED


def _is_deleted(asset: Asset | None) -> bool:
    return asset is None or asset.status is Status.DELETING

"""Storing: rendered images become objects, and the objects of a purged asset are removed.

The bytes under a key never change, whether live traffic, an import or a rebuild renders them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from catalog.domain.assets import Status

if TYPE_CHECKING:
    from catalog.adapters.assets_table import Assets
    from catalog.adapters.objects import Renditions
    from catalog.domain.assets import Asset
    from catalog.domain.keys import AssetKey
    from catalog.domain.renditions import RenderedImage, Rendition


@dataclass(frozen=True, slots=True)
class Storing:
    """Stores the renditions of assets."""

    assets: Assets
    renditions: Renditions

    def store(self, key: AssetKey, image: RenderedImage) -> Rendition:
        """Store the image, and return its record, to be written next.

        If the key has bytes already, they stay, and the record's size is theirs.
        """
        rendition = image.stored_for(key)
        size = self.renditions.write(rendition.key, image.data, content_type=image.format.content_type)
        return replace(rendition, size_bytes=size)

    def remove_strays(self, key: AssetKey) -> Asset | None:
        """Return the asset; if a purge has taken it, first remove the renditions stored since then.

        Lists the objects before it reads the asset.  So, if there is no asset, no listed object belongs to a
        later upload.
        """
        stored = self.renditions.versions(key)
        asset = self.assets.find(key)
        if asset is None or asset.status is Status.DELETING:
            for object_key, version in stored:
                self.renditions.take_back(object_key, version)
        return asset

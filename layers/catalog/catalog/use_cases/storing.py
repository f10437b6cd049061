"""Storing: rendered images become objects, and objects of a purged asset go again.

The bytes under a key never change, whoever renders: live traffic, an import or a rebuild.
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
        """Its record, to be written next; of the bytes that were there first, if there were any."""
        rendition = image.stored_for(key)
        size = self.renditions.write(rendition.key, image.data, content_type=image.format.content_type)
        return replace(rendition, size_bytes=size)

    def remove_strays(self, key: AssetKey) -> Asset | None:
        """The asset as it is; where a purge has taken it, renditions stored since then are removed.

        The objects are listed before the asset is read: if there is none then, no object belongs to one that
        was uploaded since.
        """
        stored = self.renditions.versions(key)
        asset = self.assets.find(key)
        if asset is None or asset.status is Status.DELETING:
            for object_key, version in stored:
                self.renditions.take_back(object_key, version)
        return asset

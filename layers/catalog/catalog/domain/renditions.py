"""Renditions: an image as a preset makes it, encoded by the imaging layer and then stored."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime

from catalog.domain.keys import AssetKey
from catalog.domain.presets import Format, Preset


@dataclass(frozen=True, slots=True)
class Rendition:
    """One stored rendering.  `width` x `height` in pixels; `quality` 1-100, None where lossless.

    A field added later needs a default: items written before do not have it.
    """

    preset: str
    version: str
    key: str
    size_bytes: int
    width: int
    height: int
    quality: int | None

    @property
    def format(self) -> Format:
        """What it is encoded as, by its key's extension."""
        extension = self.key.rpartition(".")[2]
        return Format.JPEG if extension == Format.JPEG.extension else Format(extension)

    @property
    def tag(self) -> str:
        """Another one for other bytes: those under a key never change while the asset is there."""
        return hashlib.sha256(f"{self.key} {self.size_bytes}".encode()).hexdigest()[:20]


@dataclass(frozen=True, slots=True)
class RenderedImage:
    """One encoded rendering.  `format` is never `auto`; `transparent`: it has an alpha channel."""

    preset: Preset
    format: Format
    data: bytes = field(repr=False)
    width: int
    height: int
    quality: int | None
    transparent: bool

    def stored_for(self, key: AssetKey) -> Rendition:
        """The record of it, once it is stored under its key."""
        name, version = self.preset.name, self.preset.version
        return Rendition(
            preset=name,
            version=version,
            key=key.rendition(name, version, self.format.extension),
            size_bytes=len(self.data),
            width=self.width,
            height=self.height,
            quality=self.quality,
        )


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """One version of an object; `is_latest`: it is what the key gives now."""

    key: str
    version: str
    stored_at: datetime
    size_bytes: int
    is_latest: bool

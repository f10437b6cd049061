"""Comparing: what every preset would make of an image, sent along or stored.  Nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from catalog.domain.assets import AssetNotFoundError
from catalog.domain.keys import AssetKey
from catalog.domain.uploads import OriginalMissingError

if TYPE_CHECKING:
    from catalog.adapters.assets_table import Assets
    from catalog.adapters.objects import Originals
    from catalog.domain.comparisons import PresetComparison
    from catalog.domain.presets import Preset

Measure = Callable[[bytes, Sequence["Preset"]], tuple["PresetComparison", ...]]
"""Makes and measures every rendition of an original.  Raises ImageRejectedError."""

# In these states the original has been decoded once and can be read.


@dataclass(frozen=True, slots=True)
class Comparing:
    """Compares the presets of this deployment."""

    assets: Assets
    originals: Originals
    measure: Measure
    presets: Sequence[Preset]
    max_upload_bytes: int

    def compare(self, image: bytes | AssetKey) -> tuple[PresetComparison, ...]:
        """Raises AssetNotFoundError, OriginalTooLargeError, ImageRejectedError."""
        data = image if isinstance(image, bytes) else self._original(image)
        return self.measure(data, self.presets)

    def _original(self, key: AssetKey) -> bytes:
        if not self.assets.get(key).is_accepted:
            raise AssetNotFoundError(key.id)
        try:
            return self.originals.read(key, max_bytes=self.max_upload_bytes)
        except OriginalMissingError as error:
            raise AssetNotFoundError(key.id) from error

"""Comparing: what every preset would make of an image, sent along or stored.  Nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from catalog.domain.assets import AssetNotFoundError, Status
from catalog.domain.keys import AssetKey
from catalog.domain.uploads import OriginalMissingError

if TYPE_CHECKING:
    from catalog.adapters.assets_table import Assets
    from catalog.adapters.objects import Originals
    from catalog.domain.comparisons import PresetComparison
    from catalog.domain.presets import Preset

Compare = Callable[[bytes, Sequence["Preset"]], tuple["PresetComparison", ...]]
"""Makes and measures every rendition of an original.  Raises ImageRejectedError for what cannot be."""

# Of these the original is known to be an image, and there to be read.
_COMPARABLE: Final = (Status.PROCESSING, Status.READY)


def compare_image(
    image: bytes | AssetKey,
    *,
    assets: Assets,
    originals: Originals,
    compare: Compare,
    presets: Sequence[Preset],
    max_upload_bytes: int,
) -> tuple[PresetComparison, ...]:
    """Raises AssetNotFoundError, OriginalTooLargeError, ImageRejectedError."""
    if isinstance(image, bytes):
        return compare(image, presets)
    if assets.get(image).status not in _COMPARABLE:
        raise AssetNotFoundError(image.id)
    try:
        original = originals.read(image, max_bytes=max_upload_bytes)
    except OriginalMissingError as error:
        raise AssetNotFoundError(image.id) from error
    return compare(original, presets)

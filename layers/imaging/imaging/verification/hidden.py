"""What a larger image shows and a smaller one cannot: where it may differ unseen."""

from typing import Final

import numpy as np
from PIL import Image, ImageChops
from PIL.Image import Resampling

from imaging.resizing import resized
from imaging.verification.planes import Plane

# Up to here a smaller copy shows what the larger does: print loses a fifth of its height.
_SHOWS_ALL: Final = 1.25
# Below this 10 px print is under 5 px high, and 17% of other prints passed at a third, 35% at a quarter.
_SHOWS_LITTLE: Final = 2.2
_BLOCK: Final = 8  # pixels: about one glyph
# Grey levels that are lost, for those that are left and what a codec hides.  At half size every print that
# passed for another hides 0.57 or more; 45% of real re-encodes hide less.
_LOST_TO_LEFT: Final = 0.55
_CODEC: Final = 10.0


def hidden_score(large: Image.Image, small: Image.Image, scale: float) -> float:
    """The worst block of what `small` cannot show of `large`, as a fraction of what may share renditions.

    `scale` is how much longer a side of the larger original is; the images may come reduced.
    """
    if scale <= _SHOWS_ALL:
        return 0.0
    if scale > _SHOWS_LITTLE:
        return scale / _SHOWS_LITTLE
    luma = large.convert("L")
    shown = resized(luma, small.size).resize(luma.size, Resampling.BICUBIC)
    lost = np.asarray(ImageChops.difference(luma, shown).reduce(_BLOCK), np.float32)
    return float((lost / (_deviation(shown) + _CODEC)).max()) / _LOST_TO_LEFT


def _deviation(luma: Image.Image) -> Plane:
    """The standard deviation in each block; blocks that the edge cuts repeat its last pixels."""
    height, width = (-side % _BLOCK for side in reversed(luma.size))
    padded = np.pad(np.asarray(luma), ((0, height), (0, width)), mode="edge")
    rows, columns = (side // _BLOCK for side in padded.shape)
    deviation: Plane = padded.reshape(rows, _BLOCK, columns, _BLOCK).std(axis=(1, 3), dtype=np.float32)
    return deviation

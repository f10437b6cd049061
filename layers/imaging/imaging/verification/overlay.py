"""A watermark, a logo or a badge on top: the rest of the picture agrees to the noise."""

from typing import Final

import numpy as np

from imaging.verification.measures import Fractions, LumaMaps, Mask
from imaging.verification.planes import halved
from imaging.verification.verdicts import Refusal

_COVERED: Final = 0.2  # of the picture, at most: half of it a watermark's letters with the windows about them
_REPLACED: Final = 0.03  # of the picture: material that gave way to a logo; more is another material
# Of the energy that differs: what one of the two has more of (a print that changed adds nothing), and what is
# no fainter or stronger version of what the other has there (a part of another colour keeps its outline).
_ADDED: Final = 0.5
# Energy a window that differs must have on average: a mark has an outline, another colour has none.
_STRUCTURE: Final = 25.0


def is_overlaid(maps: LumaMaps, fractions: Fractions) -> bool:
    """Whether what differs is confined to a part, and is structure that one image has and the other lacks."""
    shape = fractions[Refusal.COLOUR].shape
    differs = np.zeros(shape, bool)
    for fraction in fractions.values():
        over = fraction > 1
        differs |= over if over.shape == shape else _coarse(over, shape)
    if (
        not 0 < float(differs.mean()) <= _COVERED
        or float((fractions[Refusal.TEXTURE] > 1).mean()) > _REPLACED
    ):
        return False
    planes = maps.gain, maps.added, maps.residue
    gain, added, residue = (float(halved(plane)[differs].sum()) for plane in planes)
    structured = residue >= _STRUCTURE * int(np.count_nonzero(differs))
    return structured and min(abs(gain), added) >= _ADDED * residue


def _coarse(over: Mask, shape: tuple[int, ...]) -> Mask:
    height, width = shape
    cut = over[: 2 * height, : 2 * width]
    any_of_four: Mask = cut[::2, ::2] | cut[1::2, ::2] | cut[::2, 1::2] | cut[1::2, 1::2]
    return any_of_four

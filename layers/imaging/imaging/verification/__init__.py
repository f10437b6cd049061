"""Whether two images show the same product: decided on pixels and colour, because no grey hash can.

A perceptual hash only proposes.  Here the two are compared, cheapest first:

1. **Frame.**  Same proportions to a pixel, and neither more than five times the other's size.
2. **Registration** (`registration`).  One linear filter of 5 x 5 taps, fitted over the whole picture,
   predicts one luma from the other at 512 pixels or the smaller one's size.  It absorbs half-pixel shifts,
   softness, sharpening and the choice of resampling filter, and no local change.
3. **Measures** (`measures`).  In every window: detail that both have and that is not the same, structure that
   one has, a material's direction, tone, and colour in windows of three sizes, each against what codecs do
   there and against the pair's own noise.
4. **Fine detail** (`fine`).  The most doubtful tiles again, at full resolution.
5. **What the smaller one hides** (`hidden`).  A copy too small to show the larger one's print is TOO_SMALL.
6. **Edits** (`suspicion`: `tone`, `overlay`, `framing`), only for what is refused: the same shot with another
   tone, something on top or another frame is SUSPECTED.

Limits are measured, not derived; later ones have seen all of the images: docs/near-duplicates.md.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from PIL import Image
from PIL.Image import Resampling

from catalog.domain.near_duplicates import Likeness, Verdict
from imaging.resizing import resized
from imaging.verification.fine import fine_score
from imaging.verification.hidden import hidden_score
from imaging.verification.measures import Scores, worst
from imaging.verification.planes import Plane, opponent, samples
from imaging.verification.registration import resampled
from imaging.verification.suspicion import compared, is_edited, is_reframed
from imaging.verification.verdicts import Refusal, named

__all__ = ["Refusal", "is_near_blank", "verify"]

COMPARE_SIDE: Final = 512  # pixels, longest side at which two images are compared
MIN_SIDE: Final = 32  # pixels; in less than four windows nothing can be decided
MAX_SCALE: Final = 5.0  # larger : smaller; below a fifth, 10 px print is under 2 px and cannot be compared
# Longest sides at which full resolution shows more than the compare side does.
_FINER: Final = 1.1 * COMPARE_SIDE

_BLANK_DEVIATION: Final = 2.0


def verify(left: Image.Image, right: Image.Image, *, scale: float | None = None) -> Likeness:
    """Whether two images, RGB in sRGB and upright, are one image re-encoded, resized or edited.

    `scale` is how much longer a side of the larger original is, where the images come reduced.  The same in
    either order.  About twice the CPU of the compare side alone for two photos of 1274 x 1580; what is
    refused costs as much again, to look for an edit.  Errs on refusing: docs/near-duplicates.md has rates.
    """
    small, large = sorted((left, right), key=lambda image: (image.width * image.height, image.width))
    frame = {Refusal.ASPECT: _aspect(large, small), Refusal.RESOLUTION: _resolution(large, small)}
    if frame[Refusal.RESOLUTION] > 1:
        return _verdict(frame)
    if frame[Refusal.ASPECT] > 1:
        return _verdict(frame, suspected=is_reframed(large, small, COMPARE_SIDE))
    size = _compare_size(small)
    first, second = opponent(resized(large, size)), opponent(resized(small, size))
    # The softer is predicted from the sharper: a filter can remove detail, not invent it.
    if large.size == small.size and _sharpness(first) < _sharpness(second):
        large, small, first, second = small, large, second, first
    others = [samples(luma) for luma in resampled(large.convert("L"), size)] if large.size != size else []
    # Of what the larger one shows at the compare side, how much longer a side is than here: 1 loses nothing.
    lost = max(1.0, min(COMPARE_SIDE, max(large.size)) / max(size))
    pair = compared(first, second, others, lost)
    scores = frame | worst(pair.fractions)
    if not pair.agrees:
        if _is_mirrored(first[0], second[0]):
            return Likeness(Verdict.DIFFERENT, named(scores), Refusal.MIRRORED)
        return _verdict(scores, suspected=is_edited(pair) or is_reframed(large, small, COMPARE_SIDE))
    if max(small.size) > _FINER:
        scores[Refusal.FINE_DETAIL] = fine_score(large, small, max(large.size) / max(small.size))
    if max(scores.values()) <= 1:
        scores[Refusal.HIDDEN] = hidden_score(large, small, scale or max(large.size) / max(small.size))
    return _verdict(scores)


def is_near_blank(image: Image.Image) -> bool:
    """Whether an image shows too little for its hash to mean anything; it must not be indexed.

    Standard deviation of luma at 64 x 64 below 2 grey levels.  Real images faded to 1.5 keep 57% of their
    re-encodes within 31 bits, at 2 it is 75%, at 3 93%, at 6 all: below, codec noise decides the bits.
    """
    luma = np.asarray(image.convert("L").resize((64, 64), Resampling.BOX), np.float32)
    return float(luma.std()) < _BLANK_DEVIATION


def _verdict(scores: Scores, *, suspected: bool = False) -> Likeness:
    worst_of_all = max(scores, key=lambda name: scores[name])
    if scores[worst_of_all] <= 1:
        return Likeness(Verdict.SAME, named(scores))
    verdict = Verdict.SUSPECTED if suspected else Verdict.DIFFERENT
    if worst_of_all is Refusal.HIDDEN:
        verdict = Verdict.TOO_SMALL
    return Likeness(verdict, named(scores), worst_of_all)


def _aspect(large: Image.Image, small: Image.Image) -> float:
    """How far the larger, brought to the smaller's area, is from its sides, in units of rounding them."""
    scale = math.sqrt(small.width * small.height / (large.width * large.height))
    # A resizer rounds a side up or down: one pixel each; and 0.3% for those that crop to whole blocks.
    return max(
        abs(large.width * scale - small.width) / (1 + 0.003 * small.width),
        abs(large.height * scale - small.height) / (1 + 0.003 * small.height),
    )


def _resolution(large: Image.Image, small: Image.Image) -> float:
    return max(max(large.size) / max(small.size) / MAX_SCALE, MIN_SIDE / min(small.size))


def _compare_size(small: Image.Image) -> tuple[int, int]:
    """Never one pixel on a side, as 32 x 12,000 would be: nothing differs across it."""
    scale = min(1.0, COMPARE_SIDE / max(small.size))
    return max(2, round(small.width * scale)), max(2, round(small.height * scale))


def _sharpness(planes: Sequence[Plane]) -> tuple[float, list[bytes]]:
    """The mean step of luma between neighbours, in grey levels; the pixels themselves settle a draw."""
    luma = planes[0]
    steps = np.abs(np.diff(luma, axis=0)).mean() + np.abs(np.diff(luma, axis=1)).mean()
    return float(steps), [plane.tobytes() for plane in planes]


def _is_mirrored(left: Plane, right: Plane) -> bool:
    return float(((left[:, ::-1] - right) ** 2).mean()) < 0.5 * float(((left - right) ** 2).mean())

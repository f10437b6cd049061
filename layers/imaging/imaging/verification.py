"""Whether two images show the same product: decided on pixels and colour, because no grey hash can.

A perceptual hash only proposes.  Here the two originals are compared at the smaller one's own resolution:

1. **Frame.**  Same proportions to a pixel, and neither more than five times the other's size.
2. **Registration.**  One linear filter of 5 x 5 taps (plus what other resizers make of the larger image) is
   fitted over the whole picture to predict one luma from the other.  It absorbs half-pixel shifts,
   softness, sharpening and the choice of resampling filter, and no local change.
3. **Detail.**  In every 8 x 8 window: the energy of structure that both images have and that is *not* the
   same structure.  Codecs remove detail and add little, so what each image has and the other cannot
   explain is print that changed.  It is measured against the energy that codecs leave there: noise follows
   local activity up to the quantisation step (reverse water-filling), so activity counts up to a ceiling.
   The limit follows the noise of the pair itself: an error that is normal in a q30 JPEG stands out in a q90.
4. **Presence.**  The same windows, for structure only one of them has: added or missing print and badges.
5. **Tone** and **colour**.  Mean differences of luma (8 x 8) and of Cb and Cr (8 x 8 and 24 x 24), against
   the activity around them: near-white shapes, hue shifts, colourways, recoloured parts.

Every limit was set on half of a set of images and measured on the other half: docs/near-duplicates.md.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import Resampling

from catalog.domain.near_duplicates import Verdict
from imaging.resizing import resized

Plane = NDArray[np.float32]

COMPARE_SIDE: Final = 512  # pixels, longest side at which two images are compared
MIN_SIDE: Final = 32  # pixels; in less than four windows nothing can be decided
MAX_SCALE: Final = 5.0  # larger : smaller; below a fifth, 10 px print is under 2 px and cannot be compared

_TAPS: Final = 5
_WINDOW: Final = 8  # pixels: one block of JPEG, about one glyph
_NEIGHBOURHOOD: Final = 16  # pixels a side over which local activity is taken
_CHROMA_WINDOWS: Final = (4, 12)  # pixels at half scale, where 4:2:0 keeps chroma
_PAD: Final = 12

# Energies in grey levels squared.  A q30 JPEG's steps are about 40 levels apart, so its error stops growing
# at an activity of some hundred.  The floors are what is tolerated where nothing is going on; the outline of
# something near-white has an energy of some ten.
_ACTIVITY_CEILING: Final = 400.0
_DETAIL_FLOOR, _PRESENCE_FLOOR = 30.0, 10.0
_TONE_FLOOR, _TONE_ACTIVITY = 3.0, 0.02
_CHROMA_FLOOR, _CHROMA_ACTIVITY = 2.0, 0.05

# Limits on the worst window.  Measured, not derived: benchmarks/near_duplicates.py, docs/near-duplicates.md.
# Those of detail and presence are multiples of the pair's noise, between bounds.
_NOISE_FLOOR: Final = 0.03
_DETAIL_TO_NOISE, _DETAIL_AT_MOST = 4.2, 1.8
_PRESENCE_TO_NOISE, _PRESENCE_AT_LEAST, _PRESENCE_AT_MOST = 20.0, 0.6, 7.2
_TONE: Final = 7.0
_COLOUR_DETAIL: Final = 38.0
_COLOUR: Final = 9.0
# Print shrinks with the picture and shows less: at half size a fifth less of detail and presence is allowed,
# at a quarter two fifths.
_STRICTER_WHEN_SMALLER: Final = 0.25
# Tone and colour get up to half as much again where luma shows a coarse quantiser (JPEG below about q70).
_COARSE_NOISE, _COARSE_ALLOWANCE = 0.15, 1.5

_BLANK_DEVIATION: Final = 2.0


class Refusal(StrEnum):
    """Why two images are not taken for the same product."""

    ASPECT = "aspect"  # other proportions
    RESOLUTION = "resolution"  # one too small to show what the other does
    MIRRORED = "mirrored"  # closer to the other's mirror image
    DETAIL = "detail"  # print, texture or edges that changed
    PRESENCE = "presence"  # print, a badge or a part that only one has
    TONE = "tone"  # lighter or darker somewhere, or an outline moved
    COLOUR = "colour"  # another hue or saturation of an area
    COLOUR_DETAIL = "colour_detail"  # another colour of a small part


@dataclass(frozen=True, slots=True)
class Verification:
    """The verdict on two images, the same in either order.

    `scores` holds each measure, by the refusal it leads to, as a fraction of its limit: SAME when none
    is above 1.  A pair refused for its frame (aspect, resolution) has no further scores.
    """

    verdict: Verdict
    scores: Mapping[str, float]
    refusal: Refusal | None = None

    @property
    def accepted(self) -> bool:
        """May share renditions."""
        return self.verdict is Verdict.SAME


def verify(left: Image.Image, right: Image.Image) -> Verification:
    """Whether two images, RGB in sRGB and upright, are one image re-encoded or resized.

    About 45 ms of CPU and 41 MiB for two images of 512 x 512; 75 ms for two of 1535 x 1535.  Errs on
    refusing: docs/near-duplicates.md has the rates.
    """
    small, large = sorted((left, right), key=lambda image: (image.width * image.height, image.width))
    frame = {Refusal.ASPECT: _aspect(large, small), Refusal.RESOLUTION: _resolution(large, small)}
    if max(frame.values()) > 1:
        return _verdict(frame)
    size = _compare_size(small)
    first, second = _opponent(large, size), _opponent(small, size)
    # The softer is predicted from the sharper: a filter can remove detail, not invent it.
    if large.size == small.size and _sharpness(first[0]) < _sharpness(second[0]):
        large, first, second = small, second, first
    # Of the source: a target that is predicted from itself agrees with anything.
    resampled = _resampled(large, size) if large.size != size else []
    predicted = _predicted(first[0], second[0], resampled)
    windows = _luma_windows(predicted, second[0])
    # Of what the larger one shows at the compare side, how much longer a side is than here: 1 loses nothing.
    lost = max(1.0, min(COMPARE_SIDE, max(large.size)) / max(size))
    scores = frame | _luma_scores(windows, lost) | _chroma_scores(first[1:], second[1:], windows.allowance)
    if max(scores.values()) > 1 and _is_mirrored(first[0], second[0]):
        return Verification(Verdict.DIFFERENT, _named(scores), Refusal.MIRRORED)
    return _verdict(scores)


def is_near_blank(image: Image.Image) -> bool:
    """Whether an image shows too little for its hash to mean anything; it must not be indexed.

    Standard deviation of luma at 64 x 64 below 2 grey levels.  Real images faded to 1.5 keep 57% of their
    re-encodes within 31 bits, at 2 it is 75%, at 3 93%, at 6 all: below, codec noise decides the bits.
    """
    luma = np.asarray(image.convert("L").resize((64, 64), Resampling.BOX), np.float32)
    return float(luma.std()) < _BLANK_DEVIATION


def _verdict(scores: Mapping[Refusal, float]) -> Verification:
    worst = max(scores, key=lambda name: scores[name])
    if scores[worst] <= 1:
        return Verification(Verdict.SAME, _named(scores))
    return Verification(Verdict.DIFFERENT, _named(scores), worst)


def _named(scores: Mapping[Refusal, float]) -> dict[str, float]:
    return {name.value: round(score, 4) for name, score in scores.items()}


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
    scale = min(1.0, COMPARE_SIDE / max(small.size))
    return max(1, round(small.width * scale)), max(1, round(small.height * scale))


def _opponent(image: Image.Image, size: tuple[int, int]) -> list[Plane]:
    """Luma, Cb and Cr about zero at `size`: the space codecs quantise in, so their noise is even in it."""
    return [np.asarray(plane, np.float32) - 128 for plane in resized(image, size).convert("YCbCr").split()]


def _resampled(image: Image.Image, size: tuple[int, int]) -> list[Plane]:
    """Luma at `size` by the filters no 5 x 5 taps of a Lanczos can imitate, because they let it alias."""
    luma = image.convert("L")
    x_step, y_step = image.width / size[0], image.height / size[1]
    pointwise = luma.transform(
        size, Image.Transform.AFFINE, (x_step, 0, 0, 0, y_step, 0), Resampling.BILINEAR
    )
    others = (luma.resize(size, Resampling.BOX), pointwise, luma.resize(size, Resampling.NEAREST))
    return [np.asarray(other, np.float32) - 128 for other in others]


def _sharpness(luma: Plane) -> tuple[float, bytes]:
    """The mean step between neighbours, in grey levels; the pixels themselves settle a draw."""
    steps = np.abs(np.diff(luma, axis=0)).mean() + np.abs(np.diff(luma, axis=1)).mean()
    return float(steps), luma.tobytes()


def _predicted(source: Plane, target: Plane, resampled: list[Plane]) -> Plane:
    """`target` as far as one linear filter over `source` and its resampled versions explains it.

    The weights sum to 1 and there is no constant: no lighter or flatter picture passes for the same one.
    Ridge regression towards the identity, by 2 grey levels squared a pixel.
    """
    height, width = source.shape
    margin = _TAPS // 2
    padded = np.pad(source, margin, mode="edge")
    shifts = [
        padded[y : y + height, x : x + width]
        for y in range(_TAPS)
        for x in range(_TAPS)
        if (y, x) != (margin, margin)
    ]
    terms = np.empty((len(shifts) + len(resampled), height * width), np.float32)
    for index, plane in enumerate(shifts + resampled):
        terms[index] = (plane - source).ravel()
    gram = (terms @ terms.T).astype(np.float64) + 2.0 * height * width * np.eye(len(terms))
    weights = np.linalg.solve(gram, (terms @ (target - source).ravel()).astype(np.float64))
    prediction: Plane = source + (weights.astype(np.float32) @ terms).reshape(height, width)
    return prediction


@dataclass(frozen=True, slots=True)
class _LumaWindows:
    """The worst window of each measure, and the noise of the pair: what its busiest windows stay within."""

    detail: float
    presence: float
    tone: float
    noise: float

    @property
    def allowance(self) -> float:
        return min(max(self.noise / _COARSE_NOISE, 1.0), _COARSE_ALLOWANCE)


def _luma_windows(left: Plane, right: Plane) -> _LumaWindows:
    left_mean, right_mean = _window_mean(left, _WINDOW), _window_mean(right, _WINDOW)
    left_energy = np.maximum(_window_mean(left * left, _WINDOW) - left_mean**2, 0)
    right_energy = np.maximum(_window_mean(right * right, _WINDOW) - right_mean**2, 0)
    shared = _window_mean(left * right, _WINDOW) - left_mean * right_mean
    activity = np.minimum(_variance(left, _NEIGHBOURHOOD), _variance(right, _NEIGHBOURHOOD))
    expected = activity * _ACTIVITY_CEILING / (activity + _ACTIVITY_CEILING)

    # Of the weaker image's energy, the share that no gain and offset make of the other's (1 - r squared).
    unexplained = 1 - np.maximum(shared, 0) ** 2 / np.maximum(left_energy * right_energy, 1e-3)
    detail = np.maximum(np.minimum(left_energy, right_energy) * unexplained, 0) / (expected + _DETAIL_FLOOR)
    presence = np.maximum(left_energy + right_energy - 2 * shared, 0) / (expected + _PRESENCE_FLOOR)
    tone = (right_mean - left_mean) ** 2 / (_TONE_FLOOR + _TONE_ACTIVITY * activity)

    # Every second window each way; the tenth with most activity is where a codec errs most, and a changed
    # line of print is too small a part of it to raise its own limit.
    sampled = activity[::2, ::2]
    busiest = detail[::2, ::2][sampled >= np.quantile(sampled, 0.9)]
    return _LumaWindows(
        detail=float(detail.max()),
        presence=float(presence.max()),
        tone=float(tone.max()),
        noise=float(np.quantile(busiest, 0.95)),
    )


def _luma_scores(windows: _LumaWindows, lost: float) -> dict[Refusal, float]:
    strictness = 1 + _STRICTER_WHEN_SMALLER * (lost - 1)
    noise = windows.noise + _NOISE_FLOOR
    presence_limit = min(max(_PRESENCE_TO_NOISE * noise, _PRESENCE_AT_LEAST), _PRESENCE_AT_MOST)
    return {
        Refusal.DETAIL: strictness * windows.detail / min(_DETAIL_TO_NOISE * noise, _DETAIL_AT_MOST),
        Refusal.PRESENCE: strictness * windows.presence / presence_limit,
        Refusal.TONE: windows.tone / (_TONE * windows.allowance),
    }


def _chroma_scores(left: list[Plane], right: list[Plane], allowance: float) -> dict[Refusal, float]:
    fine, coarse = _CHROMA_WINDOWS
    activity: Plane = np.zeros((), np.float32)
    differences = dict.fromkeys(_CHROMA_WINDOWS, activity)
    for one, other in zip(map(_halved, left), map(_halved, right), strict=True):
        activity = activity + np.minimum(_variance(one, coarse), _variance(other, coarse))
        for window in _CHROMA_WINDOWS:
            differences[window] = differences[window] + _window_mean(one - other, window) ** 2
    expected = (_CHROMA_FLOOR + _CHROMA_ACTIVITY * activity) * allowance
    return {
        Refusal.COLOUR_DETAIL: float((differences[fine] / expected).max()) / _COLOUR_DETAIL,
        Refusal.COLOUR: float((differences[coarse] / expected).max()) / _COLOUR,
    }


def _is_mirrored(left: Plane, right: Plane) -> bool:
    return float(((left[:, ::-1] - right) ** 2).mean()) < 0.5 * float(((left - right) ** 2).mean())


def _halved(plane: Plane) -> Plane:
    height, width = (side // 2 * 2 for side in plane.shape)
    quarters = [plane[y:height:2, x:width:2] for y in (0, 1) for x in (0, 1)]
    return (quarters[0] + quarters[1] + quarters[2] + quarters[3]) / np.float32(4)


def _variance(plane: Plane, window: int) -> Plane:
    variance: Plane = np.maximum(_window_mean(plane * plane, window) - _window_mean(plane, window) ** 2, 0)
    return variance


def _window_mean(plane: Plane, window: int) -> Plane:
    """The mean of the `window` x `window` pixels about each pixel; edges repeated, same shape."""
    height, width = plane.shape
    offset = _PAD - window // 2
    sums = _running_sum(_running_sum(np.pad(plane, _PAD, mode="edge"), window).T, window).T
    return sums[offset : offset + height, offset : offset + width] / np.float32(window * window)


def _running_sum(plane: Plane, length: int) -> Plane:
    """Sums of `length` successive rows, by doubling; a cumulative sum in float32 would lose small terms."""
    rows = plane.shape[0] - length + 1
    total: Plane = np.zeros((rows, plane.shape[1]), np.float32)
    doubled, start, step = plane, 0, 1
    while length:
        if length & step:
            part = doubled[start : start + rows]
            total += part
            start += step
            length -= step
        doubled = doubled[:-step] + doubled[step:]
        step *= 2
    return total

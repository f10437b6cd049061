"""One tone curve a channel and one mixing of colours that make one picture's colours the other's.

Levels, brightness, gamma, a lost profile and more or less saturation change every pixel of one colour alike,
and no colour by much.  A colourway does not: it moves a colour far, or moves it in the product alone.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from imaging.verification.planes import Plane

_BIN: Final = 4  # grey levels
_LEAST: Final = 1 / 300  # of the pixels, in a bin: fewer are the edges between others
# Grey levels a curve may move any level (gamma 0.9: 10; levels 245: 10; autocontrast of a pale photo: 30) and
# how far one channel's curve may be from the three's mean.
_MOVED, _APART = 48.0, 14.0
# Of a unit: what may become of a colour beside the curves; saturation 1.1 is 0.1.
_MIXED: Final = 0.2
_TURNED: Final = 0.12  # radians times saturation: hue that is turned is another product

_GAMMA: Final = 2.2
_SAMPLED: Final = 7  # every so many pixels suffice for a matrix

Matrix = NDArray[np.floating]

# Linear light from sRGB's primaries to Display P3's and Adobe RGB's (both D65).
_WIDER: Final = (
    np.array([[0.8224621, 0.1775380, 0], [0.0331941, 0.9668058, 0], [0.0170827, 0.0723974, 0.9105199]]),
    np.array([[0.7151256, 0.2848744, 0], [0, 1, 0], [0, 0.0411619, 0.9588381]]),
)
_LOST_PROFILES: Final = (*_WIDER, *(np.linalg.inv(matrix) for matrix in _WIDER))

# R, G, B from Y, Cb, Cr about zero, and back (JFIF).
_TO_RGB: Final = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]], np.float32)
_TO_OPPONENT: Final = np.linalg.inv(_TO_RGB).astype(np.float32)


def toned(first: Sequence[Plane], second: Sequence[Plane]) -> Iterator[list[Plane]]:
    """`first` (Y, Cb, Cr) in the tones and colours of `second`, as it is and as a lost profile would show it.

    Nothing where that takes more than an edit.
    """
    shape = first[0].shape
    one, other = (np.stack([plane.ravel() for plane in planes]) for planes in (first, second))
    source, target = _TO_RGB @ one, _TO_RGB @ other
    for matrix in (None, _lost_profile(source, target)):
        matched = _matched(_without_profile(source, matrix), target)
        if matched is not None:
            yield [plane.reshape(shape) for plane in matched]


def _matched(source: Plane, target: Plane) -> Plane | None:
    """R, G, B of `source` in the tones and colours of `target`, as Y, Cb, Cr."""
    curves = np.stack([_curve(channel, wanted) for channel, wanted in zip(source, target, strict=True)])
    moved = curves - _LEVELS
    common = moved.mean(axis=0)
    if float(np.abs(common).max()) > _MOVED or float(np.abs(moved - common).max()) > _APART:
        return None
    curved = [np.interp(channel, _LEVELS, curve) for channel, curve in zip(source, curves, strict=True)]
    opponent = _TO_OPPONENT @ np.stack(curved).astype(np.float32)
    mixing = _mixing(opponent, _TO_OPPONENT @ target)
    change = mixing - np.eye(3)
    if float(np.abs(change).max()) > _MIXED or abs(float(change[1, 2] - change[2, 1])) / 2 > _TURNED:
        return None
    matched: Plane = mixing.astype(np.float32) @ opponent
    return matched


def _lost_profile(source: Plane, target: Plane) -> Matrix:
    """The lost profile that brings `source` (R, G, B about zero) nearest to `target`."""
    some_source, some_target = source[:, ::_SAMPLED], target[:, ::_SAMPLED]
    apart = [np.abs(_without_profile(some_source, matrix) - some_target).mean() for matrix in _LOST_PROFILES]
    return _LOST_PROFILES[int(np.argmin(apart))]


def _without_profile(source: Plane, matrix: Matrix | None) -> Plane:
    """Numbers of one space shown as another's: `matrix` mixes linear light; a gamma of 2.2 stands for all."""
    if matrix is None:
        return source
    mixed = np.clip(matrix @ np.clip((source + 128) / 255, 0, 1) ** _GAMMA, 0, 1)
    return (mixed ** (1 / _GAMMA) * 255 - 128).astype(np.float32)


_LEVELS: Final = np.arange(-128, 128 + _BIN, _BIN, dtype=np.float64)


def _curve(source: Plane, target: Plane) -> Matrix:
    """What the level of `source` becomes in `target`, at `_LEVELS`: the mean, never falling.

    Levels that hardly occur are drawn between those that do, beside the ends by the same shift.
    """
    bins = np.clip(np.rint((source + 128) / _BIN).astype(np.int64), 0, len(_LEVELS) - 1)
    counts = np.bincount(bins, minlength=len(_LEVELS))
    shifts = np.bincount(bins, target - source, minlength=len(_LEVELS)) / np.maximum(counts, 1)
    known = counts >= min(_LEAST * source.size, float(counts.max()))
    shift = np.interp(_LEVELS, _LEVELS[known], shifts[known])
    return np.maximum.accumulate(_LEVELS + shift)


def _mixing(source: Matrix, target: Matrix) -> Matrix:
    """The 3 x 3 matrix, near the identity, that takes Y, Cb, Cr of `source` to those of `target`."""
    some_source, some_target = (
        source[:, ::_SAMPLED].astype(np.float64),
        target[:, ::_SAMPLED].astype(np.float64),
    )
    gram = some_source @ some_source.T + 25.0 * some_source.shape[1] * np.eye(3)
    return np.eye(3) + np.linalg.solve(gram, some_source @ (some_target - some_source).T).T

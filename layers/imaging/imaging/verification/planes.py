"""Planes of samples as float32, and means over square windows of them."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Plane = NDArray[np.float32]

_PAD: Final = 16  # pixels; no window is wider than twice this


def opponent(image: Image.Image) -> list[Plane]:
    """Luma, Cb and Cr about zero: the space codecs quantise in, so their noise is even in it."""
    return [samples(plane) for plane in image.convert("YCbCr").split()]


def samples(plane: Image.Image) -> Plane:
    """One channel of 8 bits, about zero."""
    return np.asarray(plane, np.float32) - 128


def halved(plane: Plane) -> Plane:
    """Means of 2 x 2."""
    height, width = (side // 2 * 2 for side in plane.shape)
    quarters = [plane[y:height:2, x:width:2] for y in (0, 1) for x in (0, 1)]
    return (quarters[0] + quarters[1] + quarters[2] + quarters[3]) / np.float32(4)


def variance(plane: Plane, window: int) -> Plane:
    """The variance within the `window` x `window` pixels about each pixel."""
    found: Plane = np.maximum(window_mean(plane * plane, window) - window_mean(plane, window) ** 2, 0)
    return found


def window_mean(plane: Plane, window: int) -> Plane:
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

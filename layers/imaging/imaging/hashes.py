"""Perceptual hashes, as lower-case hex, and what they are of: two images look alike where few bits differ."""

from typing import Final

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import Resampling

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels, as Pillow has it."""

_SIDE: Final = 64  # pixels a side the phash256 is taken from
_KEPT: Final = 16  # lowest frequencies kept, each way
# DCT-II without scaling: 2 cos(pi k (2n + 1) / 2N), the definition scipy.fftpack uses.
_DCT: Final = 2 * np.cos(np.pi * np.arange(_KEPT)[:, None] * (2 * np.arange(_SIDE) + 1) / (2 * _SIDE))
# Coefficients reach a million, and are equal or differ by far more than this; a float's noise is 1e-9.
_DECIMALS: Final = 6

_BOX_SIDE: Final = 256  # pixels, longest side at which a border is looked for: JPEG's noise is gone there
_BORDER_TOLERANCE: Final = 16  # grey levels, any channel, from the border's colour
# A line belongs to the content where it has this share of the pixels that the fullest line has: what a shadow
# or a codec leaves in a margin has less.  Not of the line's length: that changes with the margins.
_CONTENT_SHARE: Final = 0.1
_NESTED_BORDERS: Final = 4  # a white frame round a grey background is two
_LEAST_CONTENT: Final = 0.1  # of a side; less is a speck, and no picture


def average_hash(image: Image.Image) -> str:
    """imagehash's 64-bit average hash: 16 digits."""
    return str(imagehash.average_hash(image))


def difference_hash(image: Image.Image) -> str:
    """imagehash's 64-bit difference hash: 16 digits."""
    return str(imagehash.dhash(image))


def phash256(image: Image.Image) -> str:
    """`imagehash.phash(image, hash_size=16)` bit for bit, without scipy: 64 digits.

    Luma, Lanczos to 64 x 64, DCT-II both ways, the 16 x 16 lowest frequencies, above their median or not.
    """
    luma = np.asarray(image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS), dtype=np.float64)
    frequencies = np.round(_DCT @ luma @ _DCT.T, _DECIMALS)
    bits = frequencies > np.median(frequencies)
    return np.packbits(bits).tobytes().hex()


def shrunk(image: Image.Image) -> Image.Image:
    """`image` at the size at which a border is looked for, or as it is where it is no larger."""
    scale = min(1.0, _BOX_SIDE / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Resampling.BOX)


def content_box(image: Image.Image) -> Box:
    """What the picture's plain border encloses, whatever its colour; all of it where there is no border.

    An image with its margins trimmed, kept, or another one added has the same content box, to about a
    hundredth of a side.
    """
    small = shrunk(image)
    size, planes = small.size, np.array([np.asarray(plane) for plane in small.split()], np.int16)
    top, bottom, left, right = 0, size[1], 0, size[0]
    for _ in range(_NESTED_BORDERS):
        part = planes[:, top:bottom, left:right]
        edge = np.concatenate([part[:, 0], part[:, -1], part[:, :, 0], part[:, :, -1]], axis=1)
        border = np.median(edge, axis=1).astype(np.int16)
        content = np.abs(part - border[:, None, None]).max(axis=0) > _BORDER_TOLERANCE
        rows, columns = _content_lines(content, axis=1), _content_lines(content, axis=0)
        if (
            min(rows.size, columns.size) < 1
            or np.ptp(rows) + 1 < _LEAST_CONTENT * size[1]
            or np.ptp(columns) + 1 < _LEAST_CONTENT * size[0]
        ):
            break
        top, bottom = top + int(rows[0]), top + int(rows[-1]) + 1
        left, right = left + int(columns[0]), left + int(columns[-1]) + 1
    across, down = image.width / size[0], image.height / size[1]
    return left * across, top * down, right * across, bottom * down


def _content_lines(content: NDArray[np.bool_], axis: int) -> NDArray[np.intp]:
    counts = content.sum(axis=axis)
    return np.flatnonzero(counts > max(1, _CONTENT_SHARE * counts.max()))


def colours(image: Image.Image) -> str:
    """The mean Y, Cb and Cr of an image's four quarters, 12 bytes in hex."""
    quarters = image.resize((2, 2), Resampling.BOX).convert("YCbCr")
    return quarters.tobytes().hex()

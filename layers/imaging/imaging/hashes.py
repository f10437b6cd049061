"""Perceptual hashes, as lower-case hex: two images look alike where few bits differ."""

from typing import Final

import imagehash
import numpy as np
from PIL import Image

_SIDE: Final = 64  # pixels a side the phash256 is taken from
_KEPT: Final = 16  # lowest frequencies kept, each way
# DCT-II without scaling: 2 cos(pi k (2n + 1) / 2N), the definition scipy.fftpack uses.
_DCT: Final = 2 * np.cos(np.pi * np.arange(_KEPT)[:, None] * (2 * np.arange(_SIDE) + 1) / (2 * _SIDE))
# Coefficients reach a million, and are equal or differ by far more than this; a float's noise is 1e-9.
_DECIMALS: Final = 6


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

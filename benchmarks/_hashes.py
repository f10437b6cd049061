"""The hashes compared side by side, each with the threshold it is usually used at."""

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from PIL import Image

from imaging.hashes import average_hash, difference_hash, phash256

PDQ_INSTALLED: Final = importlib.util.find_spec("pdqhash") is not None


def phash64(image: Image.Image) -> str:
    """imagehash.phash with its defaults: luma, 32 x 32, DCT-II, the lowest 8 x 8 over their median."""
    luma = np.asarray(image.convert("L").resize((32, 32), Image.Resampling.LANCZOS), np.float64)
    basis = 2 * np.cos(np.pi * np.arange(8)[:, None] * (2 * np.arange(32) + 1) / 64)
    low = basis @ luma @ basis.T
    return np.packbits(low > np.median(low)).tobytes().hex()


def pdq(image: Image.Image) -> str:
    """Meta's PDQ, 256 bits, by the pdqhash package."""
    pdqhash = importlib.import_module("pdqhash")

    bits, _quality = pdqhash.compute(np.asarray(image))
    return np.packbits(bits).tobytes().hex()


HASHES: Final[Mapping[str, tuple[Callable[[Image.Image], str], int]]] = {
    "aHash64": (average_hash, 5),
    "dHash64": (difference_hash, 5),
    "pHash64": (phash64, 8),
    "pHash256": (phash256, 31),
    **({"PDQ256": (pdq, 31)} if PDQ_INSTALLED else {}),
}
"""Name: function to hex, and threshold in bits."""


def packed(hashes: list[str]) -> np.ndarray[tuple[int, int], np.dtype[np.uint64]]:
    """Hashes of one length as rows of 64-bit words."""
    return np.frombuffer(bytes.fromhex("".join(hashes)), ">u8").astype(np.uint64).reshape(len(hashes), -1)


def distances(
    query: np.ndarray[tuple[int], np.dtype[np.uint64]],
    stored: np.ndarray[tuple[int, int], np.dtype[np.uint64]],
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Hamming distance, in bits, of one hash to each stored one: XOR and popcount."""
    return np.bitwise_count(stored ^ query).sum(axis=1, dtype=np.int64)

"""The candidate stage, and the hashes compared side by side, each at the threshold it is usually used at."""

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image

from catalog.domain.fingerprints import Indexed, PHashAlgorithm, hamming_distance, places
from catalog.domain.keys import AssetId, TenantId
from imaging.hashes import average_hash, difference_hash, phash256
from imaging.inspection import fingerprint

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


def imagededups_phash(image: Image.Image) -> str:
    """imagededup's PHash: as above, over the median of all but the constant term."""
    luma = np.asarray(image.convert("L").resize((32, 32), Image.Resampling.LANCZOS), np.float64)
    basis = 2 * np.cos(np.pi * np.arange(8)[:, None] * (2 * np.arange(32) + 1) / 64)
    low = basis @ luma @ basis.T
    return np.packbits(low >= np.median(low.ravel()[1:])).tobytes().hex()


@dataclass(frozen=True)
class Hash:
    """A hash of an image to hex, and the distance in bits within which it calls two the same."""

    hashed: Callable[[Image.Image], str]
    threshold: int


# imagededup's own default for all of its hashes is 10; its average and difference hashes are ours.
HASHES: Final[Mapping[str, Hash]] = {
    "aHash64 @5": Hash(average_hash, 5),
    "aHash64 @10 (imagededup)": Hash(average_hash, 10),
    "dHash64 @10 (imagededup)": Hash(difference_hash, 10),
    "pHash64 @10 (imagededup)": Hash(imagededups_phash, 10),
    "pHash64 @8": Hash(phash64, 8),
    **({"PDQ256 @31": Hash(pdq, 31)} if PDQ_INSTALLED else {}),
    "pHash256 @31": Hash(phash256, 31),
}
"""Peers by name; the last is our first candidate hash."""

_ALGORITHM: Final = PHashAlgorithm.PHASH256
_TENANT, _ID = TenantId("shop"), AssetId("0" * 64)


@dataclass(frozen=True)
class Entry:
    """What the index holds of an upload: the hash it has in each of its buckets."""

    hashes: Mapping[str, str]

    def finds(self, other: "Entry") -> bool:
        """Whether a lookup for one proposes the other: a bucket both are in, and a hash near enough there."""
        return any(
            hamming_distance(self.hashes[bucket], other.hashes[bucket]) <= _ALGORITHM.default_threshold
            for bucket in self.hashes.keys() & other.hashes.keys()
        )


def entry_of(image: Image.Image) -> Entry:
    found = fingerprint(image, _ALGORITHM)
    indexed = Indexed(found.algorithm, found.frame, found.box)
    return Entry({place.bucket: place.hash for place in places(_TENANT, _ID, indexed)})


def packed(hashes: list[str]) -> np.ndarray[tuple[int, int], np.dtype[np.uint64]]:
    """Hashes of one length as rows of 64-bit words."""
    return np.frombuffer(bytes.fromhex("".join(hashes)), ">u8").astype(np.uint64).reshape(len(hashes), -1)


def distances(
    query: np.ndarray[tuple[int], np.dtype[np.uint64]],
    stored: np.ndarray[tuple[int, int], np.dtype[np.uint64]],
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Hamming distance, in bits, of one hash to each stored one: XOR and popcount."""
    return np.bitwise_count(stored ^ query).sum(axis=1, dtype=np.int64)

"""Perceptual hashes as the near-duplicate index sees them: distance, bands and the keys of both.

A hash is lower-case hex, most significant bit first, as imagehash prints it.  The index cuts it into bands
of 16 bits and stores one item a band; images sharing a band are candidates.  Neighbouring bits of a
perceptual hash are alike, so bits are spread over the bands by a fixed permutation first: without it the
largest buckets are several times as full.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Final

BAND_BITS: Final = 16

# Which bit of the hash (0 the most significant) stands at each place of the permuted one: bits 0-255 in
# the order of SHA-256("near-duplicate bit {n}").  A literal, because every stored band depends on it:
# tests/unit/test_fingerprints.py generates it again and compares.
# fmt: off
BIT_PERMUTATION: Final = (
    69, 74, 98, 205, 16, 150, 159, 215, 77, 14, 125, 206, 88, 181, 132, 172,  # band 0
    168, 213, 59, 104, 252, 144, 108, 238, 196, 126, 155, 46, 109, 67, 5, 142,  # band 1
    58, 195, 218, 110, 118, 22, 1, 174, 111, 191, 78, 122, 27, 56, 154, 102,  # band 2
    21, 228, 216, 230, 210, 15, 47, 114, 107, 202, 140, 158, 61, 13, 200, 48,  # band 3
    95, 50, 65, 113, 119, 183, 151, 41, 233, 127, 135, 166, 245, 145, 42, 229,  # band 4
    91, 97, 10, 93, 72, 187, 232, 253, 120, 6, 20, 117, 52, 84, 4, 255,  # band 5
    220, 163, 87, 185, 133, 237, 31, 44, 223, 3, 90, 51, 227, 222, 81, 18,  # band 6
    71, 211, 221, 243, 85, 225, 30, 28, 92, 106, 197, 176, 203, 208, 217, 34,  # band 7
    152, 129, 209, 143, 194, 219, 60, 8, 101, 29, 35, 124, 112, 82, 0, 248,  # band 8
    149, 83, 239, 86, 226, 192, 138, 75, 23, 134, 136, 242, 116, 169, 54, 130,  # band 9
    96, 153, 17, 157, 24, 37, 167, 45, 164, 165, 139, 70, 7, 40, 179, 39,  # band 10
    178, 26, 186, 160, 63, 180, 162, 204, 246, 236, 53, 173, 212, 207, 231, 190,  # band 11
    148, 240, 38, 57, 234, 9, 241, 254, 184, 99, 235, 105, 123, 156, 94, 199,  # band 12
    131, 141, 80, 244, 115, 224, 55, 36, 250, 177, 32, 188, 201, 161, 198, 193,  # band 13
    175, 66, 89, 76, 170, 19, 11, 62, 214, 43, 64, 25, 68, 49, 128, 33,  # band 14
    146, 12, 251, 73, 121, 147, 171, 247, 103, 79, 189, 100, 2, 249, 182, 137,  # band 15
)
# fmt: on


class PHashAlgorithm(StrEnum):
    """The candidate stage's hash, and the PHASH_ALGORITHM setting.

    The 64-bit hashes are for comparison: on product shots they call most of a catalog alike
    (docs/near-duplicates.md), and what they propose costs a verification each.
    """

    PHASH256 = "phash256"
    AHASH64 = "ahash64"
    DHASH64 = "dhash64"

    @property
    def bits(self) -> int:
        """Length of a hash in bits."""
        return 256 if self is PHashAlgorithm.PHASH256 else 64

    @property
    def default_threshold(self) -> int:
        """Largest Hamming distance, in bits, at which two images are candidates unless configured."""
        return 31 if self is PHashAlgorithm.PHASH256 else 5

    @property
    def band_count(self) -> int:
        """Bands of 16 bits: 16 of a 256-bit hash, 4 of a 64-bit one."""
        return self.bits // BAND_BITS

    def complete_within(self, *, exact: bool) -> int:
        """Largest distance, in bits, within which a lookup misses nothing.

        Plain lookup, 15 (256 bits) or 3 (64): spread d differing bits over n bands; if d < n, some band
        holds none of them, is equal in both hashes, and is the key both share.
        `exact` lookup, 31 or 7: if d < 2n, some band holds at most one of them (two in every band would
        make 2n), so it is equal or one bit away, and the probes name it and each of its 16 neighbours.
        """
        return (2 * self.band_count if exact else self.band_count) - 1


class InvalidHashError(ValueError):
    """Not a perceptual hash: 16 or 64 lower-case hex digits."""


def hamming_distance(left: str, right: str) -> int:
    """Bits in which two hashes of the same length differ (0-64 or 0-256).

    Raises InvalidHashError for anything but two hashes of one length.
    """
    if len(left) != len(right):
        raise InvalidHashError(f"hashes of {len(left)} and {len(right)} hex digits cannot be compared")
    return (_parse(left) ^ _parse(right)).bit_count()


def bands(hash_hex: str) -> tuple[int, ...]:
    """The permuted hash in bands of 16 bits, each 0-65535: 16 of a 256-bit hash, 4 of a 64-bit one.

    A 64-bit hash uses the permutation's entries below 64, in their order.
    """
    value = _parse(hash_hex)
    length = 4 * len(hash_hex)
    permuted = 0
    for bit in BIT_PERMUTATION:
        if bit < length:
            permuted = permuted << 1 | (value >> (length - 1 - bit) & 1)
    return tuple(permuted >> shift & 0xFFFF for shift in range(length - BAND_BITS, -BAND_BITS, -BAND_BITS))


def probes(hash_hex: str) -> Iterator[tuple[int, int]]:
    """Every (band, value) an exact lookup reads: each band, then its 16 one-bit neighbours.

    272 of a 256-bit hash, 68 of a 64-bit one; all different.
    """
    for band, value in enumerate(bands(hash_hex)):
        yield band, value
        for bit in range(BAND_BITS):
            yield band, value ^ 1 << bit


def band_keys(tenant: str, algorithm: PHashAlgorithm, hash_hex: str) -> tuple[str, ...]:
    """The index keys an image is stored under and a plain lookup reads: one a band, in band order."""
    return tuple(
        band_key(tenant, algorithm, band, value) for band, value in enumerate(bands(_of(algorithm, hash_hex)))
    )


def probe_keys(tenant: str, algorithm: PHashAlgorithm, hash_hex: str) -> tuple[str, ...]:
    """The index keys an exact lookup reads: `probes` as keys."""
    return tuple(band_key(tenant, algorithm, band, value) for band, value in probes(_of(algorithm, hash_hex)))


def band_key(tenant: str, algorithm: PHashAlgorithm, band: int, value: int) -> str:
    """`tenant#scheme#band#value`, the value in four hex digits: `acme#phash256#7#03fe`."""
    return f"{tenant}#{algorithm}#{band}#{value:04x}"


def _of(algorithm: PHashAlgorithm, hash_hex: str) -> str:
    if 4 * len(hash_hex) != algorithm.bits:
        raise InvalidHashError(
            f"a {algorithm} hash has {algorithm.bits // 4} hex digits, not {len(hash_hex)}"
        )
    return hash_hex


def _parse(hash_hex: str) -> int:
    if len(hash_hex) not in (16, 64) or not set(hash_hex) <= set("0123456789abcdef"):
        raise InvalidHashError(f"{hash_hex[:80]!r} is not 16 or 64 lower-case hex digits")
    return int(hash_hex, 16)

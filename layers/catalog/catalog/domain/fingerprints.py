"""Perceptual hashes of a picture's frame and of its content box, and its colours, by which it is found.

A hash is lower-case hex, most significant bit first, as imagehash prints it.  The index cuts it into bands
and stores one item a band; images sharing a band are candidates.  Half of the bands are of the whole frame,
half of the *content box*, what a plain border encloses: so a picture is found whether its margins were kept,
trimmed or added.  A picture without a border is its own content box.

Neighbouring bits of a perceptual hash are alike, so bits are spread over the bands by a fixed permutation
first: without it the largest buckets are several times as full.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from catalog.domain.keys import AssetId, AssetKey, TenantId

# The second scheme of the index.  Its name is in every key, so that the two never mix.
_SCHEME: Final = 2
_SHADOW: Final = "~"
_STRIDE: Final = 16  # bits from the start of one band to that of the next
_ID_DIGITS: Final = 64

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
    def narrowing_digits(self) -> int:
        """Hex digits of the hash behind a band's 16 bits that order its bucket: 1 of 256 bits, 0 of 64.

        A small bucket is read whole; of a full one, what has these bits too (docs/near-duplicates.md).
        """
        return 1 if self is PHashAlgorithm.PHASH256 else 0

    @property
    def bands_each(self) -> int:
        """Bands of the frame's hash, and as many of the content box's: 8 and 8, or 4 and 4 of 64 bits."""
        return 8 if self is PHashAlgorithm.PHASH256 else 4


@dataclass(frozen=True, slots=True)
class Indexed:
    """The bands an asset has in the index.  `box` None: those of the first scheme, 16 x 16 of the frame's.

    Without hashes it has none: it was looked at, and is near-blank.
    """

    algorithm: PHashAlgorithm
    frame: str
    box: str | None

    @classmethod
    def blank(cls, algorithm: PHashAlgorithm) -> Self:
        return cls(algorithm, "", "")

    @property
    def is_blank(self) -> bool:
        return not self.frame

    def is_of(self, algorithm: PHashAlgorithm) -> bool:
        """Of the present scheme, by this algorithm."""
        return self.algorithm is algorithm and self.box is not None


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What an image is indexed by.  `frame` and `box` are hashes of `algorithm`, equal without a border.

    `colours` are 12 bytes in hex: the mean Y, Cb and Cr of the content box's four quarters.
    """

    algorithm: PHashAlgorithm
    frame: str
    box: str
    colours: str

    @property
    def indexed(self) -> Indexed:
        """Its bands."""
        return Indexed(self.algorithm, self.frame, self.box)


@dataclass(frozen=True, slots=True)
class Place:
    """One band of an image: the key of its bucket, the asset's key in it, and the hash it is a band of.

    `narrow` is what the keys begin with of those in the bucket that are most alike; "" of all.
    """

    bucket: str
    id: str
    hash: str
    narrow: str = ""


class InvalidHashError(ValueError):
    """Not a perceptual hash: 16 or 64 lower-case hex digits."""


def hamming_distance(left: str, right: str) -> int:
    """Bits in which two hashes of the same length differ (0-64 or 0-256).

    Raises InvalidHashError for anything but two hashes of one length.
    """
    if len(left) != len(right):
        raise InvalidHashError(f"hashes of {len(left)} and {len(right)} hex digits cannot be compared")
    return (_parse(left) ^ _parse(right)).bit_count()


def colour_distance(left: str, right: str) -> float:
    """How far apart two images' colours are, in grey levels: the mean of their 12 differences."""
    pairs = list(zip(bytes.fromhex(left), bytes.fromhex(right), strict=True))
    return sum(abs(one - other) for one, other in pairs) / len(pairs)


def places(tenant: TenantId, id_: AssetId, indexed: Indexed) -> tuple[Place, ...]:
    """Where an asset is stored in the index and where a lookup reads: one place a band, in band order.

    In its bucket an asset stands under the next bits of its hash and its id, the id rotated by the band's
    number: what a bucket too full to be read whole does not show in one band, it shows in another.
    """
    algorithm = indexed.algorithm
    if indexed.is_blank:
        return ()
    if indexed.box is None:
        old = _bands(_of(algorithm, indexed.frame), 0, algorithm.bits // _STRIDE, _STRIDE)
        return tuple(
            Place(f"{tenant}#{algorithm}#{band}#{value:04x}", id_, indexed.frame)
            for band, value in enumerate(old)
        )
    each, digits = algorithm.bands_each, algorithm.narrowing_digits
    width = _STRIDE + 4 * digits
    first = each if 2 * each * _STRIDE <= algorithm.bits else 0  # other bits than the frame's, if there are
    of_frame = [(indexed.frame, value) for value in _bands(_of(algorithm, indexed.frame), 0, each, width)]
    of_box = [(indexed.box, value) for value in _bands(_of(algorithm, indexed.box), first, each, width)]
    scheme = f"{tenant}#{algorithm}.{_SCHEME}"
    found = []
    for band, (hash_hex, value) in enumerate(of_frame + of_box):
        text = f"{value:0{width // 4}x}"
        narrow = text[4:]
        found.append(Place(f"{scheme}#{band}#{text[:4]}", narrow + rotated(id_, band), hash_hex, narrow))
    return tuple(found)


def rotated(id_: AssetId, band: int) -> str:
    """The id's digits, four further on for each band: in 16 bands it begins with each part of it once."""
    shift = 4 * band % _ID_DIGITS
    return id_[shift:] + id_[:shift]


def shadow_of(tenant: TenantId, job: str) -> TenantId:
    """Under this name a job's dry run indexes the tenant's images.  No tenant can have it."""
    return TenantId(f"{tenant}{_SHADOW}{job}")


def is_shadow(bucket: str) -> bool:
    return _SHADOW in bucket


def indexed_at(bucket: str, id_: str) -> AssetKey:
    """The asset whose band has this key in a bucket."""
    tenant, scheme, band, _ = bucket.split("#")
    digits = id_[-_ID_DIGITS:]
    shift = 4 * int(band) % _ID_DIGITS if scheme.endswith(f".{_SCHEME}") else 0
    return AssetKey(TenantId(tenant), AssetId(digits[_ID_DIGITS - shift :] + digits[: _ID_DIGITS - shift]))


def _bands(hash_hex: str, first: int, count: int, width: int) -> tuple[int, ...]:
    """`count` bands of `width` permuted bits, each 16 further on, the last bits followed by the first.

    A 64-bit hash uses the permutation's entries below 64, in their order.
    """
    length = 4 * len(hash_hex)
    bits = f"{_parse(hash_hex):0{length}b}"
    permuted = "".join(bits[bit] for bit in BIT_PERMUTATION if bit < length)
    round_again = permuted + permuted[:width]
    starts = range(first * _STRIDE, (first + count) * _STRIDE, _STRIDE)
    return tuple(int(round_again[start : start + width], 2) for start in starts)


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

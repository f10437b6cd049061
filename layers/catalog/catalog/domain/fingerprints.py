"""Perceptual hashes of a picture's frame and of its content box, and its colours, by which it is found.

A hash is lower-case hex, most significant bit first, as imagehash prints it.  The index cuts it into bands
and stores one item a band.  A band's first bits name a bucket; the bits behind them order it, so the entries
that share most of them stand beside one's own place.  Some bands are of the whole frame, some of the *content
box*, what a plain border encloses: so a picture is found whether its margins were kept, trimmed or added.  A
picture without a border is its own content box.

Neighbouring bits of a perceptual hash are alike, so bits are spread over the bands by a fixed permutation
first: without it the largest buckets are several times as full.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from catalog.domain.keys import AssetId, AssetKey, TenantId

_SHADOW: Final = "~"
_ID_DIGITS: Final = 64
_DIGIT: Final = 4  # bits

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
    def scheme(self) -> int:
        """The number of the scheme by which images are indexed: 3 of 256 bits, 2 of 64."""
        return 3 if self is PHashAlgorithm.PHASH256 else 2


@dataclass(frozen=True, slots=True)
class Scheme:
    """How hashes are cut into bands: `frame` bands of the frame's hash, `box` of the content box's.

    A band names its bucket by `named` hex digits, and orders it by the next `ordered`.  Bands begin `stride`
    bits apart; those of the box follow those of the frame if the hash has bits enough, else they are cut from
    the same bits.  `number` is in every key, so that no two schemes mix; the first has none.
    """

    number: int
    frame: int
    box: int
    named: int
    ordered: int
    stride: int

    def name(self, algorithm: PHashAlgorithm) -> str:
        return f"{algorithm}.{self.number}" if self.number > 1 else str(algorithm)

    @property
    def rotates(self) -> bool:
        """Whether each band holds the id's digits in another order."""
        return self.number > 1


# Before 2026-11-24; until 2026-11-30, and still of 64-bit hashes; the present one.
_SCHEMES: Final = {
    (PHashAlgorithm.PHASH256, 1): Scheme(1, frame=16, box=0, named=4, ordered=0, stride=16),
    (PHashAlgorithm.PHASH256, 2): Scheme(2, frame=8, box=8, named=4, ordered=1, stride=16),
    (PHashAlgorithm.PHASH256, 3): Scheme(3, frame=4, box=6, named=3, ordered=4, stride=25),
    **{
        (algorithm, scheme.number): scheme
        for algorithm in (PHashAlgorithm.AHASH64, PHashAlgorithm.DHASH64)
        for scheme in (
            Scheme(1, frame=4, box=0, named=4, ordered=0, stride=16),
            Scheme(2, frame=4, box=4, named=4, ordered=0, stride=16),
        )
    },
}
_ALIKE: Final = 2  # digits by which a bucket is ordered; entries that share them are most alike: 20 bits


@dataclass(frozen=True, slots=True)
class Indexed:
    """The bands an asset has in the index: those of the present scheme, or of an earlier one by its number.

    The first scheme has none of the content box, so `box` is "" there.  Without hashes an asset has no bands:
    it was looked at, and is near-blank.
    """

    algorithm: PHashAlgorithm
    frame: str
    box: str
    earlier: int | None = None

    @classmethod
    def blank(cls, algorithm: PHashAlgorithm) -> Self:
        return cls(algorithm, "", "")

    @property
    def is_blank(self) -> bool:
        return not self.frame

    def is_of(self, algorithm: PHashAlgorithm) -> bool:
        """Of the present scheme, by this algorithm."""
        return self.algorithm is algorithm and self.earlier is None

    @property
    def scheme(self) -> Scheme:
        return _SCHEMES[self.algorithm, self.earlier or self.algorithm.scheme]


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

    `alike` is what the keys begin with of those in the bucket that are most alike; "" of all.
    """

    bucket: str
    id: str
    hash: str
    alike: str = ""


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
    if indexed.is_blank:
        return ()
    scheme = indexed.scheme
    prefix = f"{tenant}#{scheme.name(indexed.algorithm)}"
    found = []
    for band, (hash_hex, digits) in enumerate(_bands(indexed, scheme)):
        bucket, order = digits[: scheme.named], digits[scheme.named :]
        id_in_order = rotated(id_, band) if scheme.rotates else id_
        alike = order[:_ALIKE]
        found.append(Place(f"{prefix}#{band}#{bucket}", order + id_in_order, hash_hex, alike))
    return tuple(found)


def rotated(id_: AssetId, band: int) -> str:
    """The id's digits, four further on for each band."""
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
    shift = 4 * int(band) % _ID_DIGITS if "." in scheme else 0  # all but the first rotate it
    return AssetKey(TenantId(tenant), AssetId(digits[_ID_DIGITS - shift :] + digits[: _ID_DIGITS - shift]))


def _bands(indexed: Indexed, scheme: Scheme) -> list[tuple[str, str]]:
    """By band: the hash it is of, and its digits."""
    bits = indexed.algorithm.bits
    behind = scheme.frame * scheme.stride  # where the bands of the box begin, if the hash has bits enough
    box_from = behind if behind + scheme.box * scheme.stride <= bits else 0
    parts = ((indexed.frame, 0, scheme.frame), (indexed.box, box_from, scheme.box))
    return [
        (hash_hex, digits)
        for hash_hex, first, count in parts
        if count
        for digits in _cut(_of(indexed.algorithm, hash_hex), first, count, scheme)
    ]


def _cut(hash_hex: str, first: int, count: int, scheme: Scheme) -> list[str]:
    """`count` bands of permuted bits, as hex, from the bit `first` on; behind the last bit comes the first.

    A 64-bit hash uses the permutation's entries below 64, in their order.
    """
    digits, length = scheme.named + scheme.ordered, _DIGIT * len(hash_hex)
    width = _DIGIT * digits
    bits = f"{_parse(hash_hex):0{length}b}"
    permuted = "".join(bits[bit] for bit in BIT_PERMUTATION if bit < length)
    round_again = permuted + permuted[:width]
    starts = range(first, first + count * scheme.stride, scheme.stride)
    return [f"{int(round_again[start : start + width], 2):0{digits}x}" for start in starts]


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

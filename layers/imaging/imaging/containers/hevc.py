"""HEVC stills (ITU-T H.265): how much a decoder allocates for one, and a stream with nothing but its picture.

An item of a HEIC is a configuration (`hvcC`, ISO 14496-15, 8.3.3.1) and slices.  The reader splits both into
NAL units, and rebuilds them from the parameter sets and slices of one picture that needs no other.
"""

import struct
from dataclasses import dataclass
from typing import Final

from imaging.containers.bits import Bits
from imaging.containers.container import corrupt, unsupported

_VIDEO, _SEQUENCE, _PICTURE = 32, 33, 34  # parameter sets
_SLICES: Final = range(32)
_STILL_SLICES: Final = range(16, 22)  # of pictures at which decoding may start: IRAP (7.4.2.2)
_MAX_SETS, _MAX_SET_BYTES = 64, 4096  # an encoder writes three of some 20 bytes
_MAX_UNITS: Final = 1000  # of an item: slices, SEI and anything else
_DEPTHS: Final = (8, 10, 12)
# Header of hvcC.  A reader uses only its chroma format and depths; the rest is that of Main, level 3.
_HEADER: Final = bytes((1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 90, 0xF0, 0, 0xFC))


@dataclass(frozen=True, slots=True)
class Still:
    """One picture.  `width` x `height` are the shown pixels, `coded_pixels` those that a decoder allocates.

    `configuration` is the body of an `hvcC`; `slices` are NAL units, each after its length in four bytes.
    """

    width: int
    height: int
    coded_pixels: int
    depth: int
    chroma: int
    configuration: bytes
    slices: bytes


def read_still(hvcc: bytes, item: bytes) -> Still:
    """Read the picture of an item with the configuration `hvcc`.

    Raises ImageRejectedError(corrupt | unsupported_format); IndexError if a header ends early.
    """
    sets = _parameter_sets(hvcc)
    slices = _slices(item, 1 + (hvcc[21] & 3), sets)
    sequences = [unit for kind, unit in sets if kind == _SEQUENCE]
    if len(sequences) != 1:
        raise unsupported(f"{len(sequences)} sequence parameter sets of a still")
    width, height, coded, depth, chroma = _sequence(sequences[0])
    configuration = _HEADER + bytes((0xFC | chroma, 0xF8 | depth - 8, 0xF8 | depth - 8, 0, 0, 0x0F))
    configuration += bytes((len(sets),)) + b"".join(
        struct.pack(">BHH", 0x80 | kind, 1, len(unit)) + unit for kind, unit in sorted(sets)
    )
    return Still(width, height, coded, depth, chroma, configuration, slices)


def _parameter_sets(hvcc: bytes) -> list[tuple[int, bytes]]:
    """Kind and bytes of each parameter set, without repetition."""
    sets: list[tuple[int, bytes]] = []
    at = 23
    for _ in range(hvcc[22]):
        count, at = int.from_bytes(hvcc[at + 1 : at + 3]), at + 3
        for _ in range(count):
            size = int.from_bytes(hvcc[at : at + 2])
            unit, at = hvcc[at + 2 : at + 2 + size], at + 2 + size
            sets.append((unit[0] >> 1 & 63, unit))
            if at > len(hvcc) or size > _MAX_SET_BYTES or len(sets) > _MAX_SETS:
                raise corrupt(f"more than {_MAX_SETS} parameter sets, or one that leaves its box")
    return [each for each in dict.fromkeys(sets) if each[0] in (_VIDEO, _SEQUENCE, _PICTURE)]


def _slices(item: bytes, length_size: int, sets: list[tuple[int, bytes]]) -> bytes:
    """The slices of the one picture in an item, without other units such as SEI."""
    found: list[bytes] = []
    at = 0
    for _ in range(_MAX_UNITS):
        if at >= len(item):
            break
        size, at = int.from_bytes(item[at : at + length_size]), at + length_size
        unit, at = item[at : at + size], at + size
        if at > len(item) or size < 3:
            raise corrupt("slices that leave their item")
        kind, layer = unit[0] >> 1 & 63, (unit[0] & 1) << 5 | unit[1] >> 3
        if kind in _SLICES and layer == 0:
            if kind not in _STILL_SLICES or bool(unit[2] & 0x80) != (not found):
                raise corrupt("an item of more, or less, than one picture")
            found.append(struct.pack(">I", size) + unit)
        elif kind in (_VIDEO, _SEQUENCE, _PICTURE) and (kind, unit) not in sets:
            raise unsupported("parameter sets outside of the configuration")
    if not found or at < len(item):
        raise corrupt(f"a picture without slices, or of more than {_MAX_UNITS:,} units")
    return b"".join(found)


def _sequence(unit: bytes) -> tuple[int, int, int, int, int]:
    """Width, height, coded pixels, depth and chroma format of a sequence parameter set (7.3.2.2)."""
    bits = Bits(unit.replace(b"\0\0\3", b"\0\0"))
    if bits.take(16) & 0x1F8:
        raise unsupported("a picture of many layers")
    bits.take(4)
    sub_layers = bits.take(3)
    bits.take(1)
    _skip_profile(bits, sub_layers)
    bits.take_golomb()
    chroma = bits.take_golomb()
    if chroma > 3 or (chroma == 3 and bits.take(1)):
        raise unsupported("colours coded as separate pictures")
    coded_width, coded_height = bits.take_golomb(), bits.take_golomb()
    left, right, top, bottom = (bits.take_golomb() for _ in range(4)) if bits.take(1) else (0,) * 4
    depth, chroma_depth = 8 + bits.take_golomb(), 8 + bits.take_golomb()
    if depth not in _DEPTHS or chroma_depth != depth:
        raise unsupported(f"{depth} and {chroma_depth} bits: 8, 10 or 12 of all colours are shown")
    if left or top:
        raise unsupported("a picture that is not coded from its corner")
    width = coded_width - right * (2 if chroma in (1, 2) else 1)
    height = coded_height - bottom * (2 if chroma == 1 else 1)
    if min(width, height) < 1:
        raise corrupt("a picture of no pixels")
    return width, height, coded_width * coded_height, depth, chroma


def _skip_profile(bits: Bits, sub_layers: int) -> None:
    """Skip the profile, tier and level (7.3.3)."""
    bits.take(88 + 8)
    present = [(bits.take(1), bits.take(1)) for _ in range(sub_layers)]
    bits.take(2 * (8 - sub_layers) if sub_layers else 0)
    for profile, level in present:
        bits.take(88 * profile + 8 * level)

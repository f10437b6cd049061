"""TIFF 6.0: the first page.  The file is given a new directory that has only the tags a decoder needs."""

import struct
from dataclasses import dataclass
from typing import Final

from catalog.domain.sources import SourceFormat
from imaging.containers.container import (
    MAX_PARTS,
    MAX_PROFILE_BYTES,
    Container,
    corrupt,
    truncated,
    unsupported,
)
from imaging.exif import read_exif

_BYTES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}  # by field type
_INTEGERS: Final = {1: "B", 3: "H", 4: "I"}
_WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_STRIP_OFFSETS, _SAMPLES, _ROWS_PER_STRIP, _STRIP_BYTES, _PLANAR = 273, 277, 278, 279, 284
_TILE_WIDTH, _TILE_LENGTH, _TILE_OFFSETS, _TILE_BYTES, _ICC = 322, 323, 324, 325, 34675
# Fill order, T6 options, predictor, colour map, extra samples, sample format, JPEG tables, YCbCr.
_HOW_TO_DECODE: Final = {266, 293, 317, 320, 338, 339, 347, 529, 530, 531, 532}
_KEPT: Final = _HOW_TO_DECODE | {
    _WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC, _STRIP_OFFSETS, _SAMPLES, _ROWS_PER_STRIP,
    _STRIP_BYTES, _PLANAR, _TILE_WIDTH, _TILE_LENGTH, _TILE_OFFSETS, _TILE_BYTES,
}  # fmt: skip
# None, CCITT group 4, LZW, JPEG, Deflate (8, 32946), PackBits: what cameras, scanners and editors write.  Not
# group 3 (2, 3): libtiff takes any bytes for it, and complains on stderr once a row: 4 MB of log for 400 KB.
_COMPRESSIONS: Final = {1, 4, 5, 7, 8, 32773, 32946}
# Tags of one value; where there are more, decoders disagree on which of them holds.
_SINGLE: Final = {
    _WIDTH, _LENGTH, _COMPRESSION, _PHOTOMETRIC, 266, _SAMPLES, _ROWS_PER_STRIP, _PLANAR, 293, 317,
    _TILE_WIDTH, _TILE_LENGTH, 531,
}  # fmt: skip
_MAX_VALUES: Final = 3 * 2**16  # of any tag but the ICC profile: a colour map of 16 bits
_MAX_SAMPLES: Final = 6
_WHITE_IS_ZERO = 0


@dataclass(frozen=True, slots=True)
class _Field:
    entry: bytes  # the 12 bytes of the directory
    kind: int
    count: int
    value: bytes


def parse(data: bytes) -> Container:
    order = "<" if data[:1] == b"I" else ">"
    fields = _fields(data, order)
    width, height = _number(fields, _WIDTH, order, 0), _number(fields, _LENGTH, order, 0)
    if not width or not height:
        raise corrupt("a page without width or height")
    bits = _numbers(fields.get(_BITS), order) or (1,)
    if _number(fields, _COMPRESSION, order, 1) not in _COMPRESSIONS or bits[0] == 12:
        raise unsupported(f"TIFF compression {_number(fields, _COMPRESSION, order, 1)}, {bits[0]} bits")
    tile, complete = _check_pieces(data, fields, order, width, height)
    start = len(data) + len(data) % 2
    kept = [found.entry for tag, found in sorted(fields.items()) if tag in _KEPT]
    directory = struct.pack(order + "H", len(kept)) + b"".join(kept) + bytes(4)
    exif = read_exif(data)
    profile = fields[_ICC].value if _ICC in fields else b""
    view = memoryview(data)
    return Container(
        SourceFormat.TIFF,
        width,
        height,
        coded_pixels=max(width * height, tile[0] * tile[1]),
        stripped=(
            view[:4],
            struct.pack(order + "I", start),
            view[8:],
            bytes(start - len(data)),
            directory,
        ),
        complete=complete,
        orientation=exif.orientation,
        icc_profile=profile if 0 < len(profile) <= MAX_PROFILE_BYTES else None,
        exif=exif,
        # Pillow turns white-is-zero samples of 1 to 8 bits round, and no wider ones.
        negative=_number(fields, _PHOTOMETRIC, order, 1) == _WHITE_IS_ZERO and bits[0] > 8,
    )


def _fields(data: bytes, order: str) -> dict[int, _Field]:
    """The tags worth keeping; a first tag wins over its repetitions."""
    if len(data) < 8:
        raise truncated("the file ends inside its header")
    (start,) = struct.unpack_from(order + "I", data, 4)
    if start + 2 > len(data):
        raise truncated("the file ends before its directory")
    (entries,) = struct.unpack_from(order + "H", data, start)
    fields: dict[int, _Field] = {}
    for at in range(start + 2, start + 2 + 12 * entries, 12):
        if at + 12 > len(data):
            raise truncated("the file ends inside its directory")
        tag, kind, count, offset = struct.unpack_from(order + "HHII", data, at)
        if tag in fields or kind not in _BYTES or (tag not in _KEPT and tag != _ICC):
            continue
        size = count * _BYTES[kind]
        if (tag != _ICC and count > _MAX_VALUES) or (tag in _SINGLE and count != 1):
            raise corrupt(f"tag {tag} has {count:,} values")
        where = at + 8 if size <= 4 else offset
        if where + size > len(data):
            raise truncated(f"the file ends before the values of tag {tag}")
        fields[tag] = _Field(data[at : at + 12], kind, count, data[where : where + size])
    return fields


def _check_pieces(
    data: bytes, fields: dict[int, _Field], order: str, width: int, height: int
) -> tuple[tuple[int, int], bool]:
    """The size of a tile (0, 0 where there are strips), and whether every strip or tile lies in the file."""
    tile = _number(fields, _TILE_WIDTH, order, 0), _number(fields, _TILE_LENGTH, order, 0)
    samples = _number(fields, _SAMPLES, order, 1)
    if samples > _MAX_SAMPLES:
        raise unsupported(f"{samples} samples a pixel")
    if _STRIP_OFFSETS in fields:
        tile, rows = (0, 0), min(height, _number(fields, _ROWS_PER_STRIP, order, height))
        offsets, sizes = fields[_STRIP_OFFSETS], fields.get(_STRIP_BYTES)
        wanted = -(-height // rows) if rows else MAX_PARTS + 1
    elif _TILE_OFFSETS in fields and all(tile):
        offsets, sizes = fields[_TILE_OFFSETS], fields.get(_TILE_BYTES)
        wanted = -(-width // tile[0]) * -(-height // tile[1])
    else:
        raise corrupt("neither strips nor tiles")
    wanted *= samples if _number(fields, _PLANAR, order, 1) == 2 else 1
    if not wanted <= offsets.count <= MAX_PARTS:
        raise corrupt(f"{offsets.count:,} strips or tiles where {wanted:,} make the page")
    starts, lengths = _numbers(offsets, order), _numbers(sizes, order)
    # Strips that share their bytes are read again for each: 1 MB as 50,000 strips took 18 s.
    if sum(lengths) > 2 * len(data):
        raise corrupt(f"strips or tiles of {sum(lengths):,} bytes in a file of {len(data):,}")
    ends = (start + length for start, length in zip(starts, lengths or (0,) * len(starts), strict=False))
    return tile, all(end <= len(data) for end in ends)


def _numbers(found: _Field | None, order: str) -> tuple[int, ...]:
    if found is None or found.kind not in _INTEGERS:
        return ()
    return struct.unpack(f"{order}{found.count}{_INTEGERS[found.kind]}", found.value)


def _number(fields: dict[int, _Field], tag: int, order: str, default: int) -> int:
    numbers = _numbers(fields.get(tag), order)
    return numbers[0] if numbers else default

"""TIFF 6.0 and BigTIFF: the first page that is no thumbnail.

The file is given a new directory that has only the tags a decoder needs; or, where Pillow would read its
samples wrongly or not at all, one for each plane, of plain bytes (see `imaging.tiff_samples`).
"""

import struct
from dataclasses import dataclass, replace
from typing import Final

from catalog.domain.sources import SourceFormat
from imaging.containers.container import (
    MAX_PARTS,
    MAX_PROFILE_BYTES,
    Container,
    Samples,
    corrupt,
    truncated,
    unsupported,
)
from imaging.exif import Exif, read_exif

# By field type; 16 to 18 are BigTIFF's.
_BYTES: Final = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
_INTEGERS: Final = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_LONG, _IFD = 4, 13
_BEYOND: Final = 2**32 - 1
_SUBFILE, _SUB_DIRECTORIES, _PREDICTOR, _EXTRA, _FORMAT, _SUBSAMPLING = 254, 330, 317, 338, 339, 530
_TEXTS_AND_ORIENTATION: Final = {274, 315, 33432}
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
_READ: Final = _KEPT | _TEXTS_AND_ORIENTATION | {_ICC, _SUBFILE, _SUB_DIRECTORIES}
_MAX_VALUES: Final = 3 * 2**16  # of any tag but the ICC profile: a colour map of 16 bits
_MAX_SAMPLES: Final = 6
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _CMYK, _YCBCR, _LAB = 0, 1, 2, 5, 6, 8
_COLOURS: Final = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _CMYK: 4, _YCBCR: 3, _LAB: 3}
_UNSIGNED, _FLOAT = 1, 3
_GROUP_4, _JPEG = 4, 7
_BYTEWISE: Final = {1, 5, 8, 32773, 32946}  # compressions of bytes, whatever the bytes mean
_THUMBNAIL: Final = 1  # bit of NewSubfileType
# Directories looked at for one that is no thumbnail.  A DNG has up to 5.
_MAX_DIRECTORIES: Final = 16
# Memory: as many bytes of samples as 16-bit RGBA has count as a pixel.
_PIXEL_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class _Field:
    kind: int
    count: int
    value: bytes


Fields = dict[int, _Field]


def parse(data: bytes) -> Container:
    order = "<" if data[:1] == b"I" else ">"
    fields, exif = _page(data, order)
    width, height = _number(fields, _WIDTH, order, 0), _number(fields, _LENGTH, order, 0)
    if not width or not height:
        raise corrupt("a page without width or height")
    bits = _numbers(fields.get(_BITS), order) or (1,)
    compression = _number(fields, _COMPRESSION, order, 1)
    if compression not in _COMPRESSIONS or bits[0] == 12:
        raise unsupported(f"TIFF compression {compression}, {bits[0]} bits")
    tile, complete = _check_pieces(data, fields, order, width, height)
    samples = _samples(fields, order, bits)
    if samples is None:
        directories = [{tag: found for tag, found in fields.items() if tag in _KEPT}]
    else:
        directories = _planes(fields, order, samples)
    start = len(data) + len(data) % 2
    written, starts = bytes(start - len(data)), []
    for directory in directories:
        starts.append(len(data) + len(written))
        written += _directory(directory, order, starts[-1])
    profile = fields[_ICC].value if _ICC in fields else b""
    view = memoryview(data)
    coded = max(width * height, tile[0] * tile[1])
    if samples is not None:
        samples = replace(samples, directories=tuple(starts), tile_width=tile[0])
        coded = max(coded, coded * samples.bytes_a_pixel // _PIXEL_BYTES)
    return Container(
        SourceFormat.TIFF,
        width,
        height,
        coded_pixels=coded,
        stripped=(
            struct.pack(order + "2sHI", data[:2], 42, starts[0]),
            view[8:],
            written,
        ),
        complete=complete,
        orientation=exif.orientation,
        icc_profile=profile if 0 < len(profile) <= MAX_PROFILE_BYTES else None,
        exif=exif,
        fax=compression == _GROUP_4,
        samples=samples,
    )


def _page(data: bytes, order: str) -> tuple[Fields, Exif]:
    """The first page that is no thumbnail, sub-directories included; the first if all are."""
    if len(data) < 16:
        raise truncated("the file ends inside its header")
    version, first = struct.unpack_from(order + "HI", data, 2)
    big = version == 43  # BigTIFF's 42
    if big:
        width, zero, first = struct.unpack_from(order + "HHQ", data, 4)
        if (width, zero) != (8, 0):
            raise corrupt("a BigTIFF of other than 8-byte offsets")
    fields, following = _fields(data, order, first, big=big)
    exif = _exif(fields, order) if big else read_exif(data)
    if not _number(fields, _SUBFILE, order, 0) & _THUMBNAIL:
        return fields, exif
    waiting = [*_numbers(fields.get(_SUB_DIRECTORIES), order)[:_MAX_DIRECTORIES], following]
    pages = []
    for _ in range(_MAX_DIRECTORIES):
        if not waiting:
            break
        at = waiting.pop(0)
        if at == 0:
            continue
        page, following = _fields(data, order, at, big=big)
        if not waiting:
            waiting.append(following)
        if not _number(page, _SUBFILE, order, 0) & _THUMBNAIL and _WIDTH in page:
            pages.append(page)
    if not pages:
        return fields, exif
    largest = max(pages, key=lambda page: _number(page, _WIDTH, order, 0) * _number(page, _LENGTH, order, 0))
    return largest, exif


def _exif(fields: Fields, order: str) -> Exif:
    """What the EXIF reader reads, of a BigTIFF: the same tags in a classic directory."""
    tags = {tag: found for tag, found in fields.items() if tag in _TEXTS_AND_ORIENTATION}
    mark = b"II" if order == "<" else b"MM"
    return read_exif(mark + struct.pack(order + "HI", 42, 8) + _directory(tags, order, 8))


def _directory(fields: Fields, order: str, start: int) -> bytes:
    """A classic directory of these fields to stand at `start`, and their values behind it."""
    entries, values = struct.pack(order + "H", len(fields)), b""
    behind = start + 2 + 12 * len(fields) + 4
    for tag, found in sorted(fields.items()):
        kind, value = found.kind, found.value
        if kind in (16, 18):
            kind, value = _LONG, struct.pack(f"{order}{found.count}I", *_numbers(found, order))
        place = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack(order + "I", behind + len(values))
        entries += struct.pack(order + "HHI", tag, kind, found.count) + place
        values += b"" if len(value) <= 4 else value + bytes(len(value) % 2)
    return entries + bytes(4) + values


def _samples(fields: Fields, order: str, bits: tuple[int, ...]) -> Samples | None:
    """How to read the samples where Pillow would not, or would read others; None where it is right."""
    photometric = _number(fields, _PHOTOMETRIC, order, _BLACK_IS_ZERO)
    compression = _number(fields, _COMPRESSION, order, 1)
    count = _number(fields, _SAMPLES, order, 1)
    planar = _number(fields, _PLANAR, order, 1) == 2 and count > 1
    kinds = _numbers(fields.get(_FORMAT), order) or (_UNSIGNED,)
    extra = _numbers(fields.get(_EXTRA), order)
    colours = _COLOURS.get(photometric)
    # Pillow turns white-is-zero samples of 1 to 8 bits round, and no wider ones.
    wide = bits[0] > 8 and (count == 2 or photometric in (_LAB, _WHITE_IS_ZERO))
    more = photometric in (_CMYK, _LAB) and colours is not None and count > colours
    plain_ycbcr = photometric == _YCBCR and compression != _JPEG
    if not (planar or kinds[0] == _FLOAT or wide or more or plain_ycbcr):
        return None
    if photometric not in _COLOURS or colours is None or count < colours:
        raise unsupported(f"{count} samples of TIFF photometric interpretation {photometric}")
    depths = {(8, _UNSIGNED), (16, _UNSIGNED), (16, _FLOAT), (32, _FLOAT), (64, _FLOAT)}
    signed_lab = photometric == _LAB and set(kinds) <= {1, 2}
    depth = (bits[0], _UNSIGNED if signed_lab else kinds[0])
    if depth not in depths or (len(set(kinds)) > 1 and not signed_lab) or len(set(bits)) > 1:
        raise unsupported(f"samples of {bits} bits, of formats {kinds}")
    if (photometric, bits[0], planar) != (_YCBCR, 8, False) and photometric == _YCBCR:
        raise unsupported("YCbCr in planes, or of more than 8 bits")
    if photometric in (_CMYK, _LAB) and kinds[0] == _FLOAT:
        raise unsupported("CMYK or Lab of floating point")
    if compression not in _BYTEWISE and not (compression == _JPEG and planar and bits[0] == 8):
        raise unsupported(f"samples of {bits[0]} bits in TIFF compression {compression}")
    subsampling = (1, 1)
    if photometric == _YCBCR:
        stated = _numbers(fields.get(_SUBSAMPLING), order)
        across, down = subsampling = (stated[0], stated[1]) if len(stated) == 2 else (2, 2)
        if across not in (1, 2, 4) or down not in (1, 2, 4) or count != 3:
            raise unsupported(f"YCbCr of {count} samples, subsampled by {across} and {down}")
        if subsampling != (1, 1) and (_TILE_WIDTH in fields or _odd_strips(fields, order, down)):
            raise unsupported("subsampled YCbCr in tiles or in strips of odd rows")
    predictor = _number(fields, _PREDICTOR, order, 1) if compression in (5, 8, 32946) else 1
    if (
        predictor not in (1, 2, 3)
        or (predictor == 3) > (kinds[0] == _FLOAT)
        or (predictor == 2 and bits[0] == 64)
    ):
        raise unsupported(f"TIFF predictor {predictor} for {bits[0]} bits")
    if predictor != 1 and subsampling != (1, 1):
        raise unsupported("a predictor over subsampled YCbCr")
    # As Pillow has it: one sample more than the colours, and nothing said of it, is alpha.
    meaning = extra[0] if extra else 2
    return Samples(
        photometric=photometric,
        dtype=f"{order}{'f' if kinds[0] == _FLOAT else 'u'}{bits[0] // 8}",
        count=count,
        colours=colours,
        alpha=count > colours and meaning in (1, 2),
        premultiplied=meaning == 1,
        planar=planar,
        predictor=predictor,
        subsampling=subsampling,
    )


def _odd_strips(fields: Fields, order: str, down: int) -> bool:
    rows, height = _number(fields, _ROWS_PER_STRIP, order, 2**32 - 1), _number(fields, _LENGTH, order, 0)
    return rows < height and rows % down != 0


def _planes(fields: Fields, order: str, samples: Samples) -> list[Fields]:
    """A directory for each plane, of grey pixels that are the bytes of its samples."""
    tiled = _TILE_WIDTH in fields and _STRIP_OFFSETS not in fields
    across, down = samples.subsampling

    def long(tag: int, factor: int = 1) -> Fields:
        return {tag: _Field(_LONG, 1, struct.pack(order + "I", min(_BEYOND, factor)))}

    width, height = _number(fields, _WIDTH, order, 0), _number(fields, _LENGTH, order, 0)
    bytes_a_sample = int(samples.dtype[2:])
    if samples.subsampling == (1, 1):
        by = bytes_a_sample * (1 if samples.planar else samples.count)
        wide, tall = width * by, height
    else:
        by = 1
        wide, tall = -(-width // across) * (across * down + 2), -(-height // down)
    kept = {266, 347, _COMPRESSION, _TILE_LENGTH if tiled else _ROWS_PER_STRIP}
    base = {tag: found for tag, found in fields.items() if tag in kept}
    base |= (
        long(_WIDTH, wide) | long(_LENGTH, tall) | long(_BITS, 8) | long(_SAMPLES, 1) | long(_PHOTOMETRIC, 1)
    )
    if tiled:
        base |= long(_TILE_WIDTH, _number(fields, _TILE_WIDTH, order, 0) * by)
    elif samples.subsampling != (1, 1) and _ROWS_PER_STRIP in fields:
        base |= long(
            _ROWS_PER_STRIP, -(-min(_number(fields, _ROWS_PER_STRIP, order, height), height) // down)
        )
    where, sizes = (_TILE_OFFSETS, _TILE_BYTES) if tiled else (_STRIP_OFFSETS, _STRIP_BYTES)
    starts, lengths = _numbers(fields[where], order), _numbers(fields.get(sizes), order)
    planes = samples.count if samples.planar else 1
    each = len(starts) // planes
    if len(lengths) != len(starts) or len(starts) % planes:
        raise unsupported("strips or tiles without their lengths, or not as many in each plane")
    return [
        base
        | {
            tag: _Field(
                _LONG, each, struct.pack(f"{order}{each}I", *numbers[plane * each : (plane + 1) * each])
            )
            for tag, numbers in ((where, starts), (sizes, lengths))
        }
        for plane in range(planes)
    ]


def _fields(data: bytes, order: str, start: int, *, big: bool) -> tuple[Fields, int]:
    """The tags worth keeping, and where the next directory is; a first tag wins over its repetitions."""
    head, entry, inline = ("Q", "HHQQ", 8) if big else ("H", "HHII", 4)
    first, step = start + struct.calcsize(order + head), struct.calcsize(order + entry)
    if first > len(data):
        raise truncated("the file ends before its directory")
    (entries,) = struct.unpack_from(order + head, data, start)
    if entries > 2**16:
        raise corrupt(f"a directory of {entries:,} entries")
    fields: Fields = {}
    for at in range(first, first + step * entries, step):
        if at + step > len(data):
            raise truncated("the file ends inside its directory")
        tag, kind, count, offset = struct.unpack_from(order + entry, data, at)
        if tag in fields or kind not in _BYTES or tag not in _READ:
            continue
        size = count * _BYTES[kind]
        if (tag != _ICC and count > _MAX_VALUES) or (tag in _SINGLE and count != 1):
            if tag in _TEXTS_AND_ORIENTATION:
                continue
            raise corrupt(f"tag {tag} has {count:,} values")
        where = at + step - inline if size <= inline else offset
        if where + size > len(data):
            if tag in _TEXTS_AND_ORIENTATION:
                continue
            raise truncated(f"the file ends before the values of tag {tag}")
        fields[tag] = _Field(kind, count, data[where : where + size])
    end = first + step * entries
    following = data[end : end + inline]
    return fields, int.from_bytes(following, "little" if order == "<" else "big")


def _check_pieces(
    data: bytes, fields: Fields, order: str, width: int, height: int
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
    numbers = struct.unpack(f"{order}{found.count}{_INTEGERS[found.kind]}", found.value)
    # BigTIFF's may lie beyond what a classic directory holds, and any upload: as far is as good.
    return tuple(min(number, _BEYOND) for number in numbers) if found.kind > _IFD else numbers


def _number(fields: Fields, tag: int, order: str, default: int) -> int:
    numbers = _numbers(fields.get(tag), order)
    return numbers[0] if numbers else default

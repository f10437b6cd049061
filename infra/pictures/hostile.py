"""Hostile files, drawn by code: every attack on the imaging layer we know of.

SEEDS are small valid files of every format and mode, to be cut, bent and fuzzed.  ATTACKS are files with what
must become of them.  AT_THE_LIMIT are the costliest valid files that the pixel limits let in.
"""

import io
import itertools
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from PIL import Image

from catalog.domain.rejections import RejectionCode
from catalog.domain.sources import SourceFormat
from imaging.containers import sniff
from infra.pictures import heics, images, tiffs

Size = tuple[int, int]

SIZE: Final = (61, 47)
SMALL = images.product_photo(1, SIZE)
OTHER = images.product_photo(2, SIZE)
CUTOUT = images.product_cutout(1, SIZE)
EXIF = images.exif_bytes(orientation=6, gps=True, copyright_text="(c) A. Maker", artist="A. Maker")

# --- Structures -------------------------------------------------------------------------------------------


def png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(header: tuple[int, ...], *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of `header` (width, height, depth, colour type, interlaced) and any chunks before its IEND."""
    *start, interlaced = header
    ihdr = struct.pack(">IIBBBBB", *start, 0, 0, interlaced)
    framed = (png_chunk(*chunk) for chunk in ((b"IHDR", ihdr), *chunks, (b"IEND", b"")))
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def zero_rows(size: Size, bits: int) -> bytes:
    """The compressed rows of a PNG of `size` in which every sample is zero, `bits` a pixel."""
    deflater, row = zlib.compressobj(9), bytes(1 + (size[0] * bits + 7) // 8)
    return b"".join(deflater.compress(row) for _ in range(size[1])) + deflater.flush()


def with_png_chunks(data: bytes, *chunks: tuple[bytes, bytes], times: int = 1, last: bool = False) -> bytes:
    """A PNG with more chunks after its header, or before its end."""
    at = len(data) - 12 if last else 33
    return data[:at] + b"".join(png_chunk(*chunk) for chunk in chunks) * times + data[at:]


def jpeg_segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", 2 + len(body)) + body


def with_jpeg_segments(data: bytes, *segments: bytes) -> bytes:
    return data[:2] + b"".join(segments) + data[2:]


def jpeg_of_nothing(frame: int, size: Size, bits: int = 8) -> bytes:
    """A JPEG of any frame type (0xC0-0xCF) in grey, one scan and next to no data: a decoder fills it up."""
    tables = b"".join(bytes((kind, 0, 1)) + bytes(15) for kind in (0, 0x10))
    return b"".join(
        (
            b"\xff\xd8",
            jpeg_segment(0xDB, b"\0" + bytes((1,)) * 64),
            jpeg_segment(frame, struct.pack(">BHHB", bits, size[1], size[0], 1) + bytes((1, 0x11, 0))),
            jpeg_segment(0xC4, tables),
            jpeg_segment(0xDA, bytes((1, 1, 0, 0, 0 if frame & 3 == 2 else 63, 0))),
            b"\x55" * 20,
            b"\xff\xd9",
        )
    )


def box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + name + body


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4])
        yield data[at + 4 : at + 8], data[at + 8 : at + size]
        at += size


def avif(
    data: bytes,
    *,
    brands: bytes = b"",
    items: bytes = b"",
    entries: bytes = b"",
    more: bytes = b"",
    units: bytes = b"",
) -> bytes:
    """A still AVIF of one item, rebuilt with more of what is named.

    `brands` in its ftyp, `items` of 10 bytes in its iloc, `entries` in its iinf, `more` boxes in its meta,
    `units` (OBUs) after those of its picture.
    """
    parts = dict(boxes(data))
    index = dict(boxes(parts[b"meta"][4:]))
    picture = parts[b"mdat"] + units

    def meta(offset: int) -> bytes:
        located = struct.pack(">IHHHII", 1, 0, 0, 1, offset, len(picture)) + items
        count, infes = int.from_bytes(index[b"iinf"][4:6]), index[b"iinf"][6:] + entries
        changed = {
            b"iloc": bytes((2, 0, 0, 0, 0x44, 0)) + struct.pack(">I", 1 + len(items) // 10) + located,
            b"iinf": b"\1\0\0\0" + struct.pack(">I", count + entries.count(b"infe")) + infes,
        }
        return bytes(4) + b"".join(box(*part) for part in (index | changed).items()) + more

    start = box(b"ftyp", parts[b"ftyp"] + brands)
    at = len(start) + 8 + len(meta(0)) + 8
    return start + box(b"meta", meta(at)) + box(b"mdat", picture)


def tiff(
    size: Size,
    *,
    strips: list[bytes] | bytes,
    bits: tuple[int, ...] = (8,),
    compression: int = 8,
    tags: Mapping[int, tuple[int, bytes]] | None = None,
    next_page: int = 0,
) -> bytes:
    """A little-endian TIFF of grey (one of `bits`), RGB (three) or RGBA (four).

    `strips` of the same number of rows each; or the bytes that every row is said to be.  `tags` are more or
    other ones, as field type and value.  `next_page` is where the next directory is said to be.
    """
    width, height = size
    rows = height if isinstance(strips, bytes) else len(strips)
    body = strips if isinstance(strips, bytes) else b"".join(strips)
    lengths = [len(strips)] * rows if isinstance(strips, bytes) else [len(strip) for strip in strips]
    kinds = {1: "B", 2: "s", 3: "H", 4: "I", 7: "B"}

    def written(start: int) -> bytes:
        shared = isinstance(strips, bytes)
        steps = [0] * (rows - 1) if shared else lengths[:-1]
        offsets = list(itertools.accumulate(steps, initial=start))
        fields = {
            256: (4, struct.pack("<I", width)),
            257: (4, struct.pack("<I", height)),
            258: (3, struct.pack(f"<{len(bits)}H", *bits)),
            259: (3, struct.pack("<H", compression)),
            262: (3, struct.pack("<H", 2 if len(bits) > 1 else 1)),
            273: (4, struct.pack(f"<{rows}I", *offsets)),
            277: (3, struct.pack("<H", len(bits))),
            278: (4, struct.pack("<I", -(-height // rows))),
            279: (4, struct.pack(f"<{rows}I", *lengths)),
            **({338: (3, b"\2\0")} if len(bits) == 4 else {}),
            **(tags or {}),
        }
        directory, values = struct.pack("<H", len(fields)), b""
        at = 8 + 2 + 12 * len(fields) + 4
        for tag, (kind, value) in sorted(fields.items()):
            inline = len(value) <= 4
            place = value.ljust(4, b"\0") if inline else struct.pack("<I", at + len(values))
            directory += struct.pack("<HHI", tag, kind, len(value) // struct.calcsize(kinds[kind])) + place
            values += b"" if inline else value + bytes(len(value) % 2)
        return b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", next_page) + values

    return written(len(written(0))) + body


def profile(*, tags: dict[bytes, bytes], space: bytes = b"RGB ", kind: bytes = b"mntr") -> bytes:
    """An ICC profile of version 4.3 whose matrix is sRGB's, and any further or other tags."""
    columns = {
        b"rXYZ": (0.4361, 0.2225, 0.0139),
        b"gXYZ": (0.3851, 0.7169, 0.0971),
        b"bXYZ": (0.1431, 0.0606, 0.7141),
    }
    xyz = {name: b"XYZ " + bytes(4) + images.s15f16(*column) for name, column in columns.items()}
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, 461) + bytes(2)
    made = images.icc(space, b"XYZ ", xyz | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve) | tags, kind)
    return made[:8] + b"\x04\x30" + made[10:]


def elements_profile(count: int) -> bytes:
    """A profile whose D2B1 is a chain of `count` processing elements, all of them the same bytes."""
    segment = b"parf" + bytes(4) + struct.pack(">HH4f", 0, 0, 1, 1, 0, 0)
    curve = b"curf" + bytes(4) + struct.pack(">HH", 1, 0) + segment
    element = b"cvst" + bytes(4) + struct.pack(">HH", 3, 3) + struct.pack(">II", 36, len(curve)) * 3 + curve
    where = struct.pack(">II", 16 + 8 * count, len(element))
    return profile(
        tags={b"D2B1": b"mpet" + bytes(4) + struct.pack(">HHI", 3, 3, count) + where * count + element}
    )


def gamma_profile(gamma: float) -> bytes:
    """A profile whose curves are parametric (type 3), of any gamma."""
    curve = b"para" + bytes(4) + struct.pack(">HH", 3, 0) + images.s15f16(gamma, 3e4, 3e4, 0, 0)
    return profile(tags=dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("setup.js"), "alert(1)")
    return buffer.getvalue()


def _phone() -> bytes:
    """Turned, with a profile, a thumbnail, depth and metadata."""
    return heics.written(
        heics.still("tile-0").referring(b"thmb", 2),
        heics.still("small").having(heics.profiled(images.wide_gamut_profile()), heics.turned(3)),
        heics.still("small-grey").having(heics.DEPTH).referring(b"auxl", 2),
        heics.exif(EXIF, 2),
        primary=2,
    )


def _tiles(columns: int = 2, rows: int = 2, size: Size = (128, 128)) -> bytes:
    """`SMALL` from four tiles that meet in its middle, cropped."""
    tiles = [heics.still(f"tile-{index}") for index in range(4)]
    whole = heics.grid(columns, rows, *size, range(2, 6))
    return heics.written(whole.having(heics.cropped(*SIZE, 1, -1)), *tiles)


# --- Seeds ------------------------------------------------------------------------------------------------

SEEDS: Final[Mapping[str, bytes]] = {
    "jpeg": images.jpeg_bytes(SMALL, exif=EXIF, icc_profile=images.wide_gamut_profile()),
    "jpeg-progressive": images.jpeg_bytes(SMALL, progressive=True),
    "jpeg-cmyk": images.jpeg_bytes(SMALL.convert("CMYK"), icc_profile=images.cmyk_profile()),
    "jpeg-grey": images.jpeg_bytes(SMALL.convert("L"), icc_profile=images.grey_profile()),
    "jpeg-arithmetic": jpeg_of_nothing(0xC9, SIZE),
    "mpo": images.mpo_bytes([SMALL, SMALL]),
    "png": images.png_bytes(SMALL, exif=EXIF, icc_profile=images.wide_gamut_profile()),
    "png-1-bit": images.png_bytes(SMALL.convert("1")),
    "png-palette": images.png_bytes(SMALL.quantize(16), transparency=b"\0\x80"),
    "png-grey-16": images.png_bytes(images.in_mode(SMALL, "I;16"), transparency=7),
    "png-rgba-16": images.rgb16_png_bytes(CUTOUT),
    "png-interlaced": images.interlaced_png_bytes(SMALL),
    "png-coded": with_png_chunks(
        images.png_bytes(SMALL), (b"cICP", bytes((9, 16, 0, 1))), (b"gAMA", struct.pack(">I", 100_000))
    ),
    "png-animated": images.animated_bytes([SMALL, CUTOUT], "PNG"),
    "webp": images.webp_bytes(SMALL, exif=EXIF, icc_profile=images.srgb_profile()),
    "webp-alpha": images.webp_bytes(CUTOUT),
    "webp-lossless": images.webp_bytes(CUTOUT, lossless=True),
    "webp-animated": images.animated_bytes([CUTOUT, images.product_cutout(2, SIZE)], "WEBP"),
    "gif": images.animated_bytes([SMALL, OTHER], "GIF"),
    "gif-transparent": images.gif_bytes(SMALL.quantize(16), transparency=0),
    "avif": images.avif_bytes(CUTOUT),
    "avif-plain": images.avif_bytes(SMALL, exif=EXIF, icc_profile=images.wide_gamut_profile()),
    "avif-animated": images.animated_bytes([SMALL, OTHER], "AVIF"),
    "heic": heics.file("small"),
    "heic-alpha": heics.file("cutout"),
    "heic-grey-10": heics.file("small-grey-10"),
    "heic-444-12": heics.written(heics.still("small-444"), heics.still("small-12"), primary=2),
    "heic-of-a-phone": _phone(),
    "heic-grid": _tiles(),
    "tiff": images.tiff_bytes(SMALL, exif=EXIF),
    "tiff-lzw": images.tiff_bytes(CUTOUT, compression="tiff_lzw"),
    "tiff-deflate": images.tiff_bytes(SMALL.convert("L"), compression="tiff_adobe_deflate"),
    "tiff-packbits": images.tiff_bytes(SMALL, compression="packbits"),
    "tiff-jpeg": images.tiff_bytes(SMALL, compression="jpeg"),
    "tiff-fax": images.tiff_bytes(SMALL.convert("1"), compression="group4"),
    "tiff-cmyk": images.tiff_bytes(SMALL.convert("CMYK"), icc_profile=images.cmyk_profile()),
    "tiff-lab": images.tiff_bytes(images.in_mode(SMALL, "LAB")),
    "tiff-float": images.tiff_bytes(images.in_mode(SMALL, "F")),
    "tiff-16": images.tiff_bytes(images.in_mode(SMALL, "I;16")),
    "tiff-planes-16": tiffs.written("rgba", "u2", ">", True, {"compression": "zlib", "predictor": 2}),
    "tiff-float-rgb": tiffs.written("rgb", "f4", "<", False, {"tile": (16, 16)}),
    "tiff-pages": images.animated_bytes([SMALL, OTHER], "TIFF"),
}


# --- Boundaries -------------------------------------------------------------------------------------------


def boundaries(data: bytes) -> list[int]:
    """Where a segment, chunk, sub-block, box, directory, entry or strip of a valid file begins or ends."""
    return sorted(at for at in {0, 1, 12, len(data), *marks(data)} if at <= len(data))


def marks(data: bytes) -> Iterator[int]:
    """The boundaries in the order of the file; IndexError, ValueError or struct.error where it is damaged."""
    return _MARKS[sniff(data) or SourceFormat.JPEG](data)


def _jpeg_marks(data: bytes) -> Iterator[int]:
    at = 2
    while data[at + 1] not in (0xD9, 0xDA):
        yield from (at, at + 2, at + 4)  # marker, length, body
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    yield from (at, at + 2, at + 4, at + 2 + int.from_bytes(data[at + 2 : at + 4]), data.rindex(b"\xff\xd9"))


def _png_marks(data: bytes) -> Iterator[int]:
    at = 8
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4])
        yield from (at, at + 4, at + 8, end - 4)  # length, type, body, checksum
        at = end


def _riff_marks(data: bytes) -> Iterator[int]:
    yield from (4, 8)
    at = 12
    while at < len(data):
        yield from (at, at + 4, at + 8)
        if data[at : at + 4] == b"ANMF":
            yield from (at + 14, at + 20, at + 24, at + 28, at + 32)  # frame size, flags, inner chunk
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + length + length % 2


def _gif_marks(data: bytes) -> Iterator[int]:
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    yield from (6, 10, at)
    while data[at : at + 1] != b";":
        yield from (at, at + 1, at + 2)
        at += (
            2
            if data[at : at + 1] == b"!"
            else 11 + (3 << (data[at + 9] & 7) + 1 if data[at + 9] & 128 else 0)
        )
        while length := data[at]:
            yield from (at, at + 1)
            at += 1 + length
        at += 1
    yield at


def _box_marks(data: bytes, at: int = 0, stop: int | None = None) -> Iterator[int]:
    stop = len(data) if stop is None else stop
    while at + 8 <= stop:
        end, name = at + int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        yield from (at, at + 4, at + 8, end)
        if name in (b"meta", b"iprp", b"ipco"):
            yield from _box_marks(data, at + (12 if name == b"meta" else 8), end)
        at = end


def _tiff_marks(data: bytes) -> Iterator[int]:
    order = "<" if data[:1] == b"I" else ">"
    (start,) = struct.unpack_from(order + "I", data, 4)
    (entries,) = struct.unpack_from(order + "H", data, start)
    yield from (4, 8, start, start + 2)
    for at in range(start + 2, start + 2 + 12 * entries, 12):
        _, kind, count, value = struct.unpack_from(order + "HHII", data, at)
        yield from (at, at + 2, at + 4, at + 8)
        if kind in (3, 4, 5, 7) and count > 4:
            yield value
    yield start + 2 + 12 * entries


_MARKS: Final[Mapping[SourceFormat, Callable[[bytes], Iterator[int]]]] = {
    SourceFormat.JPEG: _jpeg_marks,
    SourceFormat.PNG: _png_marks,
    SourceFormat.WEBP: _riff_marks,
    SourceFormat.GIF: _gif_marks,
    SourceFormat.AVIF: _box_marks,
    SourceFormat.TIFF: _tiff_marks,
    SourceFormat.HEIC: _box_marks,
}


def cut_at_boundaries(data: bytes) -> Iterator[bytes]:
    """`data` cut at each boundary, a byte before and a byte behind it."""
    for at in sorted({at + by for at in boundaries(data) for by in (-1, 0, 1)}):
        if 0 <= at < len(data):
            yield data[:at]


_LIES: Final = (
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\0\0\0\1",
    b"\1\0\0\0",
    b"\0\xff\xff\0",
)


def with_lies(data: bytes) -> Iterator[bytes]:
    """`data` with the four bytes, then the two, at each boundary saying something else."""
    for at in boundaries(data):
        for lie in (*_LIES, *(lie[:2] for lie in _LIES[:4])):
            if at + len(lie) <= len(data):
                yield data[:at] + lie + data[at + len(lie) :]


def repaired(data: bytes) -> bytes:
    """A PNG whose chunks have the checksums they should, as far as its lengths lead; others unchanged."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    fixed, at = bytearray(data), 8
    while at + 12 <= len(fixed):
        end = at + 12 + int.from_bytes(fixed[at : at + 4])
        if end > len(fixed):
            break
        fixed[end - 4 : end] = struct.pack(">I", zlib.crc32(fixed[at + 4 : end - 4]))
        at = end
    return bytes(fixed)


# --- Attacks ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Attack:
    """A file, made when asked for, and what must become of it: its rejection, or its size as shown."""

    build: Callable[[], bytes]
    expected: RejectionCode | Size


_TOO_MANY, _CORRUPT = RejectionCode.TOO_MANY_PIXELS, RejectionCode.CORRUPT
_DAMAGED = RejectionCode.DAMAGED
_TRUNCATED, _UNSUPPORTED = RejectionCode.TRUNCATED, RejectionCode.UNSUPPORTED_FORMAT
_JPEG, _PNG, _GIF = images.jpeg_bytes(SMALL), images.png_bytes(SMALL), images.gif_bytes(SMALL)
_WEBP, _AVIF, _TIFF = images.webp_bytes(SMALL), images.avif_bytes(SMALL), images.tiff_bytes(SMALL)
_HEIC, _TILE = heics.file("small"), heics.still("tile-0")
_ZEROS: Final = zlib.compress(bytes(300_000_000), 9)  # 300 kB; an inflater that goes to its end shows
_INFE = box(b"infe", b"\2\0\0\0" + struct.pack(">HH", 9, 0) + b"av01\0")
_NOT_AN_IMAGE_IN_IT: Final = b"/*<script>alert(1)</script>*/"


def _frames(frame: Callable[[int], Image.Image], format_name: str, count: int) -> bytes:
    """An animation of `count` frames of 4 x 4 pixels."""
    return images.animated_bytes((frame(index) for index in range(count)), format_name)


def _dot(index: int) -> Image.Image:
    return images.flat((index % 256, index // 256, 0), (4, 4))


def _gif_of_frames(count: int) -> bytes:
    at = _GIF.index(b",", 13 + (3 << (_GIF[10] & 7) + 1))
    return _GIF[:-1] + _GIF[at:-1] * count + b";"


def _webp_of_frames(count: int) -> bytes:
    frame = bytes(6) + b"".join((side - 1).to_bytes(3, "little") for side in SIZE) + bytes(4) + _WEBP[12:]
    canvas = b"\2\0\0\0" + frame[6:12]
    animation = images.riff_chunk(b"VP8X", canvas) + images.riff_chunk(b"ANIM", bytes(6))
    return images.riff(animation + images.riff_chunk(b"ANMF", frame) * count)


def _deep(name: bytes, depth: int) -> bytes:
    body = b""
    for _ in range(depth):
        body = box(name, body)
    return body


def _jpeg_exif(block: bytes) -> bytes:
    return with_jpeg_segments(_JPEG, jpeg_segment(0xE1, b"Exif\0\0" + block))


def _exif_loop() -> bytes:
    """A directory whose EXIF, GPS and interoperability pointers, and whose next one, all are itself."""
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, 8) for tag in (0x8769, 0x8825, 0xA005))
    return b"II*\0" + struct.pack("<IH", 8, 3) + entries + struct.pack("<I", 8)


def _large_entries(count: int, size: int) -> bytes:
    """A directory of `count` entries whose values are the same `size` bytes."""
    entries = b"".join(struct.pack("<HHII", 1000 + index, 1, size, 0) for index in range(count))
    return b"II*\0" + struct.pack("<IH", 8, count) + entries + bytes(4)


def _avif_of_large_entries() -> bytes:
    block = _large_entries(2000, 30_000)
    empty = b"II*\0\x08\0\0\0".ljust(len(block), b"\0")  # the encoder reads what it is given
    return images.avif_bytes(SMALL, exif=b"Exif\0\0" + empty).replace(empty, block)


def _heic_with(body: bytes) -> bytes:
    return heics.written(replace(_TILE, body=body))


def _heic_of(width: int, height: int, *, depth: int = 8) -> heics.Item:
    """A picture of 64 x 64 whose stream says this of it instead (ITU-T H.265, 7.3.2.2)."""
    hvcc = dict(_TILE.properties)[b"hvcC"]
    sets = list(_parameter_sets(hvcc))
    sequence = sets[1].replace(b"\0\0\3", b"\0\0")
    bits = f"{int.from_bytes(sequence):0{8 * len(sequence)}b}"
    start = 16 + 8 + 96 + 1 + 3  # id 0, 4:2:0
    old, new = (
        "".join(map(_golomb, sides)) + "0" + _golomb(depths - 8) * 2
        for sides, depths in (((64, 64), 8), ((width, height), depth))
    )
    bits = bits[:start] + bits[start:].replace(old, new, 1)
    bits += "0" * (-len(bits) % 8)
    sets[1] = re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", int(bits, 2).to_bytes(len(bits) // 8))
    arrays = b"".join(struct.pack(">BHH", each[0] >> 1, 1, len(each)) + each for each in sets)
    return _TILE.having((b"hvcC", hvcc[:22] + b"\3" + arrays), heics.size(width, height))


def _golomb(number: int) -> str:
    """`ue(v)`, in bits."""
    return f"{number + 1:b}".zfill(2 * (number + 1).bit_length() - 1)


def _parameter_sets(hvcc: bytes) -> Iterator[bytes]:
    """Of an encoder's: one in each array."""
    at = 23
    for _ in range(hvcc[22]):
        size = int.from_bytes(hvcc[at + 3 : at + 5])
        yield hvcc[at + 5 : at + 5 + size]
        at += 5 + size


def _with_icc(icc: bytes) -> bytes:
    return images.png_bytes(SMALL, icc_profile=icc)


def _ycck() -> bytes:
    data = images.jpeg_bytes(SMALL.convert("CMYK"))
    at = data.index(b"Adobe")
    return data[: at + 11] + b"\2" + data[at + 12 :]


ATTACKS: Final[Mapping[str, Attack]] = {
    # Bombs by declared size, most of them true.
    "jpeg-declares-65535x65535": Attack(lambda: images.with_jpeg_size(_JPEG, 65_535, 65_535), _TOO_MANY),
    "mpo-declares-65535x65535": Attack(
        lambda: images.with_jpeg_size(SEEDS["mpo"], 65_535, 65_535), _TOO_MANY
    ),
    "png-declares-65535x65535": Attack(lambda: images.with_png_size(_PNG, 65_535, 65_535), _TOO_MANY),
    "gif-declares-65535x65535": Attack(lambda: images.gif_bomb(65_535), _TOO_MANY),
    "gif-screen-of-65535x65535": Attack(lambda: _GIF[:6] + b"\xff" * 4 + _GIF[10:], _TOO_MANY),
    "tiff-declares-65535x65535": Attack(
        lambda: tiff((65_535, 65_535), strips=[b""], bits=(8, 8, 8)), _TOO_MANY
    ),
    "tiff-tile-of-65520x65520": Attack(
        lambda: tiff(
            SIZE,
            strips=[b""],
            tags={
                322: (4, struct.pack("<I", 65_520)),
                323: (4, struct.pack("<I", 65_520)),
                324: (4, struct.pack("<I", 0)),
                325: (4, struct.pack("<I", 8)),
                273: (2, b""),
            },
        ),
        _CORRUPT,
    ),
    "avif-declares-65535x65535": Attack(lambda: images.with_avif_size(_AVIF, 65_535, 65_535), _TOO_MANY),
    "webp-canvas-of-16777216x16777216": Attack(
        lambda: images.riff(
            images.riff_chunk(b"VP8X", b"\2\0\0\0" + b"\xff" * 6)
            + images.riff_chunk(b"ANMF", bytes(6) + b"\x3c\0\0\x2e\0\0" + bytes(4) + _WEBP[12:])
        ),
        _TOO_MANY,
    ),
    "png-of-169-megapixels": Attack(images.png_bomb, _TOO_MANY),
    "webp-lossless-of-268-megapixels": Attack(lambda: images.webp_bomb(16_384), _TOO_MANY),
    "webp-lossy-of-268-megapixels": Attack(
        lambda: _WEBP.replace(b"\x9d\x01\x2a" + struct.pack("<HH", *SIZE), b"\x9d\x01\x2a\xff\x3f\xff\x3f"),
        _TOO_MANY,
    ),
    "tiff-of-169-megapixels": Attack(images.tiff_bomb, _TOO_MANY),
    "jpeg-of-3000-scans": Attack(
        lambda: (
            images.jpeg_bytes(images.flat("grey", (900, 900), "RGB"), progressive=True)[:-2]
            + jpeg_segment(0xDA, bytes((1, 1, 0, 1, 63, 0))) * 3000
            + b"\xff\xd9"
        ),
        _TOO_MANY,
    ),
    # Strips, and sizes of nothing.
    "png-65535x1": Attack(
        lambda: png((65_535, 1, 8, 2, 0), (b"IDAT", zero_rows((65_535, 1), 24))), (65_535, 1)
    ),
    "png-1x65535": Attack(
        lambda: png((1, 65_535, 8, 2, 0), (b"IDAT", zero_rows((1, 65_535), 24))), (1, 65_535)
    ),
    "png-65536x1": Attack(
        lambda: png((65_536, 1, 8, 2, 0), (b"IDAT", zero_rows((65_536, 1), 24))), _TOO_MANY
    ),
    "png-1x1000000": Attack(
        lambda: png((1, 1_000_000, 1, 0, 0), (b"IDAT", zero_rows((1, 1_000_000), 1))), _TOO_MANY
    ),
    "gif-65535x1": Attack(lambda: images.gif_bytes(images.flat(0, (65_535, 1), "P")), (65_535, 1)),
    "tiff-1x65535": Attack(lambda: tiff((1, 65_535), strips=[zlib.compress(bytes(65_535))]), (1, 65_535)),
    "tiff-1000000x1": Attack(
        lambda: tiff((1_000_000, 1), strips=[zlib.compress(bytes(1_000_000))]), _TOO_MANY
    ),
    "jpeg-65500x1": Attack(lambda: images.jpeg_bytes(images.flat("red", (65_500, 1))), (65_500, 1)),
    "jpeg-65535x1": Attack(lambda: images.with_jpeg_size(_JPEG, 65_535, 1), _CORRUPT),
    "webp-16383x1": Attack(lambda: images.webp_bytes(images.flat("red", (16_383, 1))), (16_383, 1)),
    "webp-1x16383": Attack(lambda: images.webp_bytes(images.flat("red", (1, 16_383))), (1, 16_383)),
    "avif-32768x1": Attack(lambda: images.avif_bytes(images.flat("red", (32_768, 1))), (32_768, 1)),
    "no-bytes": Attack(lambda: b"", RejectionCode.EMPTY),
    "jpeg-0x0": Attack(lambda: images.with_jpeg_size(_JPEG, 0, 0), _CORRUPT),
    "jpeg-of-unstated-height": Attack(lambda: images.with_jpeg_size(_JPEG, SIZE[0], 0), _CORRUPT),
    "png-0x0": Attack(lambda: images.with_png_size(_PNG, 0, 0), _CORRUPT),
    "gif-frame-of-0x0": Attack(
        lambda: _GIF.replace(b",\0\0\0\0" + struct.pack("<HH", *SIZE), b",\0\0\0\0\0\0\0\0"), _CORRUPT
    ),
    "webp-0x0": Attack(
        lambda: _WEBP.replace(b"\x9d\x01\x2a" + struct.pack("<HH", *SIZE), b"\x9d\x01\x2a\0\0\0\0"), _CORRUPT
    ),
    "avif-0x0": Attack(lambda: images.with_avif_size(_AVIF, 0, 0), _CORRUPT),
    "tiff-0x0": Attack(lambda: tiff((0, 0), strips=[b"x"]), _CORRUPT),
    # Headers that lie.
    "jpeg-larger-than-its-data": Attack(lambda: images.with_jpeg_size(_JPEG, 610, 470), _DAMAGED),
    "png-larger-than-its-data": Attack(lambda: images.with_png_size(_PNG, 610, 470), _CORRUPT),
    "png-smaller-than-its-data": Attack(lambda: images.with_png_size(_PNG, 61, 20), (61, 20)),
    "webp-canvas-larger-than-its-picture": Attack(lambda: images.with_webp_canvas(_WEBP, 400, 240), _CORRUPT),
    "tiff-of-100001-strips": Attack(
        lambda: tiff((1, 100_001), strips=[b"", *[b"x"] * 100_000], compression=1), _CORRUPT
    ),
    "tiff-strips-all-the-same-bytes": Attack(
        lambda: tiff((1000, 900), strips=zlib.compress(bytes(1000)) + bytes(10_000)), _CORRUPT
    ),
    "tiff-of-two-widths": Attack(
        lambda: tiff(SIZE, strips=[b"x"], tags={256: (4, struct.pack("<II", 61, 62))}), _CORRUPT
    ),
    "tiff-without-strips": Attack(lambda: tiff(SIZE, strips=[b"x"], tags={273: (2, b"")}), _CORRUPT),
    # What decompresses to more than it should.
    "png-ztxt-bomb": Attack(lambda: with_png_chunks(_PNG, (b"zTXt", b"Comment\0\0" + _ZEROS)), SIZE),
    "png-itxt-bomb": Attack(
        lambda: with_png_chunks(_PNG, (b"iTXt", b"Comment\0\1\0\0\0" + _ZEROS), times=5), SIZE
    ),
    "png-iccp-bomb": Attack(lambda: with_png_chunks(_PNG, (b"iCCP", b"icc\0\0" + _ZEROS)), SIZE),
    "png-image-data-bomb": Attack(lambda: png((*SIZE, 8, 2, 0), (b"IDAT", _ZEROS)), SIZE),
    "png-of-99000-chunks-after-its-data-ended": Attack(
        lambda: png(
            (100, 100, 8, 0, 0), (b"IDAT", zero_rows((100, 50), 8)), *[(b"IDAT", b"x" * 90)] * 99_000
        ),
        _CORRUPT,
    ),
    "tiff-deflate-bomb": Attack(lambda: tiff(SIZE, strips=[_ZEROS], bits=(8, 8, 8)), SIZE),
    "tiff-packbits-bomb": Attack(lambda: tiff(SIZE, strips=[b"\x81\0" * 500_000], compression=32_773), SIZE),
    # Metadata without end.
    "png-of-99000-text-chunks": Attack(lambda: with_png_chunks(_PNG, (b"tEXt", b"a\0b"), times=99_000), SIZE),
    "png-of-200000-chunks": Attack(
        lambda: with_png_chunks(_PNG, (b"tEXt", b"a\0b"), times=200_000), _CORRUPT
    ),
    "jpeg-of-5000-comments": Attack(
        lambda: with_jpeg_segments(_JPEG, *[jpeg_segment(0xFE, b"x")] * 5000), _CORRUPT
    ),
    "jpeg-of-8-megabytes-of-xmp": Attack(
        lambda: with_jpeg_segments(
            _JPEG,
            *[jpeg_segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + b"<x>" * 20_000)] * 130,
        ),
        SIZE,
    ),
    "jpeg-of-megabytes-of-fill-bytes": Attack(lambda: _JPEG[:2] + b"\xff" * 5_000_000 + _JPEG[2:], _CORRUPT),
    "jpeg-exif-loop": Attack(lambda: _jpeg_exif(_exif_loop()), SIZE),
    "jpeg-exif-of-65535-entries": Attack(
        lambda: _jpeg_exif(
            b"II*\0" + struct.pack("<IH", 8, 65_535) + struct.pack("<HHII", 274, 3, 9, 6) * 5000
        ),
        SIZE,
    ),
    "jpeg-exif-outside-itself": Attack(
        lambda: _jpeg_exif(b"MM\0*" + b"\xff\xff\xff\xf0" + b"\xff" * 40), SIZE
    ),
    "png-exif-loop": Attack(lambda: with_png_chunks(_PNG, (b"eXIf", _exif_loop())), SIZE),
    "webp-of-20000-exif-chunks": Attack(
        lambda: images.riff(_WEBP[12:] + images.riff_chunk(b"EXIF", b"II*\0") * 20_000), SIZE
    ),
    "gif-of-4-megabytes-of-comments": Attack(
        lambda: (
            _GIF[: _GIF.index(b",\0\0\0\0")]
            + (b"!\xfe" + (b"\xff" + b"x" * 255) * 800 + b"\0") * 20
            + _GIF[_GIF.index(b",\0\0\0\0") :]
        ),
        SIZE,
    ),
    "gif-of-200000-extensions": Attack(
        lambda: _GIF[: _GIF.index(b",\0\0\0\0")] + b"!\1\0" * 200_000 + _GIF[_GIF.index(b",\0\0\0\0") :],
        _CORRUPT,
    ),
    "tiff-directory-loop": Attack(
        lambda: tiff(
            SIZE,
            strips=[zlib.compress(bytes(61 * 47))],
            next_page=8,
            tags={330: (4, struct.pack("<I", 8)), 34_665: (4, struct.pack("<I", 8))},
        ),
        SIZE,
    ),
    "tiff-of-300-pages": Attack(lambda: _frames(_dot, "TIFF", 300), (4, 4)),
    "avif-of-6000-items": Attack(
        lambda: avif(_AVIF, items=b"".join(struct.pack(">IHHH", index, 0, 0, 0) for index in range(9, 6009))),
        SIZE,
    ),
    "avif-of-100000-items": Attack(
        lambda: avif(
            _AVIF, items=b"".join(struct.pack(">IHHH", index, 0, 0, 0) for index in range(9, 100_009))
        ),
        _CORRUPT,
    ),
    "avif-of-40000-entries": Attack(lambda: avif(_AVIF, entries=_INFE * 40_000), _CORRUPT),
    "avif-of-millions-of-brands": Attack(
        lambda: avif(_AVIF, brands=b"".join(struct.pack(">I", index) for index in range(1_000_000))), SIZE
    ),
    "avif-of-deep-boxes": Attack(lambda: avif(_AVIF, more=_deep(b"meta", 2000)), SIZE),
    "avif-exif-of-2000-large-entries": Attack(_avif_of_large_entries, SIZE),
    "avif-of-5000000-empty-units": Attack(lambda: avif(_AVIF, units=b"\x12\0" * 2_500_000), _CORRUPT),
    "avif-of-100-frames-in-a-picture": Attack(lambda: avif(_AVIF, units=b"\x32\4abcd" * 100), _CORRUPT),
    # HEIC: grids, items and streams.
    "heic-states-65535x65535": Attack(lambda: images.with_avif_size(_HEIC, 65_535, 65_535), _CORRUPT),
    "heic-states-0x0": Attack(lambda: images.with_avif_size(_HEIC, 0, 0), _CORRUPT),
    "heic-codes-65535x65535": Attack(lambda: heics.written(_heic_of(65_535, 65_535)), _TOO_MANY),
    "heic-codes-0x0": Attack(lambda: heics.written(_heic_of(0, 0)), _CORRUPT),
    "heic-codes-more-than-its-slices": Attack(lambda: heics.written(_heic_of(128, 64)), (128, 64)),
    "heic-of-16-bits": Attack(lambda: heics.written(_heic_of(64, 64, depth=16)), _UNSUPPORTED),
    "heic-grid-of-256x256-tiles": Attack(
        lambda: heics.written(heics.grid(256, 256, 16384, 16384, [2] * 65_535), _TILE), _CORRUPT
    ),
    "heic-grid-of-65535x65535": Attack(lambda: _tiles(size=(65_535, 65_535)), _CORRUPT),
    "heic-grid-of-0x0": Attack(lambda: _tiles(size=(0, 0)), _CORRUPT),
    "heic-grid-of-two-tiles-too-few": Attack(lambda: _tiles(columns=3, size=(180, 128)), _CORRUPT),
    "heic-grid-of-itself": Attack(
        lambda: heics.written(heics.grid(2, 2, 128, 128, [1, 1, 1, 1]), _TILE), _CORRUPT
    ),
    "heic-grid-of-grids": Attack(
        lambda: heics.written(heics.grid(1, 1, 64, 64, [2]), heics.grid(1, 1, 64, 64, [3]), _TILE), _CORRUPT
    ),
    "heic-grid-of-unlike-tiles": Attack(
        lambda: heics.written(heics.grid(2, 1, 128, 64, [2, 3]), _TILE, heics.still("photo")), _CORRUPT
    ),
    "heic-grid-of-one-tile-240-times": Attack(
        lambda: heics.written(heics.grid(16, 15, 1024, 960, [2] * 240), _TILE), (1024, 960)
    ),
    "heic-grid-of-one-large-tile-700-times": Attack(
        lambda: heics.written(heics.grid(28, 25, 28 * 256, 25 * 256, [2] * 700), heics.still("noise")),
        _CORRUPT,
    ),
    "heic-its-own-alpha": Attack(
        lambda: heics.written(_TILE.having(heics.ALPHA).referring(b"auxl", 1)), (64, 64)
    ),
    "heic-alpha-of-another-size": Attack(
        lambda: heics.written(_TILE, heics.still("photo").having(heics.ALPHA).referring(b"auxl", 1)), _CORRUPT
    ),
    "heic-of-3000-items": Attack(
        lambda: heics.written(_TILE, *[replace(_TILE, kind=b"Exif", properties=())] * 1500), (64, 64)
    ),
    "heic-of-4000-items": Attack(
        lambda: heics.written(_TILE, *[replace(_TILE, kind=b"Exif", properties=())] * 4000), _CORRUPT
    ),
    "heic-of-an-overlay": Attack(
        lambda: heics.written(heics.Item(b"iovl", bytes(20), (heics.size(64, 64),))), _UNSUPPORTED
    ),
    "heic-of-an-unknown-primary": Attack(lambda: heics.written(_TILE, primary=7), _UNSUPPORTED),
    "heic-of-av1": Attack(lambda: _AVIF.replace(b"avif", b"mif1").replace(b"avis", b"mif1"), _UNSUPPORTED),
    "heic-of-a-track-alone": Attack(
        lambda: box(b"ftyp", b"hevc\0\0\0\0hevcmsf1") + box(b"moov", bytes(100)), _UNSUPPORTED
    ),
    "heic-of-two-pictures-in-one": Attack(lambda: _heic_with(_TILE.body * 2), _CORRUPT),
    "heic-of-no-picture": Attack(lambda: _heic_with(b""), _CORRUPT),
    "heic-of-a-million-units": Attack(
        lambda: _heic_with(_TILE.body + b"\0\0\0\3\x4e\1\0" * 1_000_000), _CORRUPT
    ),
    "heic-of-a-million-parameter-sets": Attack(
        lambda: heics.written(
            _TILE.having((b"hvcC", bytes(22) + b"\xff" + (b"\xa0\xff\xff" + b"\0\1\x40" * 65_535) * 16))
        ),
        _CORRUPT,
    ),
    "heic-slices-that-refer-to-others": Attack(
        lambda: _heic_with(_TILE.body[:4] + b"\2" + _TILE.body[5:]), _CORRUPT
    ),
    "heic-cropped-to-nothing": Attack(lambda: heics.written(_TILE.having(heics.cropped(0, 0))), _CORRUPT),
    "heic-cropped-to-more-than-it-has": Attack(
        lambda: heics.written(_TILE.having(heics.cropped(80, 64))), _CORRUPT
    ),
    "heic-turned-255-times": Attack(
        lambda: heics.written(_TILE.having(*[heics.turned(1)] * 250, heics.mirrored(left_right=True))),
        (64, 64),
    ),
    "heic-exif-loop": Attack(lambda: heics.written(_TILE, heics.exif(_exif_loop())), (64, 64)),
    "heic-of-9-megabytes-of-profile": Attack(
        lambda: heics.written(_TILE.having(heics.profiled(bytes(range(256)) * 36_000))), (64, 64)
    ),
    "heic-of-deep-boxes": Attack(lambda: heics.written(_TILE) + _deep(b"meta", 2000), (64, 64)),
    "heic-and-zip": Attack(lambda: _HEIC + zipped(), SIZE),
    "mp4": Attack(lambda: box(b"ftyp", b"isom\0\0\0\0isommp42") + box(b"mdat", bytes(100)), _UNSUPPORTED),
    # Colour profiles.
    "icc-of-4000-elements": Attack(lambda: _with_icc(elements_profile(4000)), SIZE),
    "icc-of-400000-elements": Attack(lambda: _with_icc(elements_profile(400_000)), SIZE),
    "icc-gamma-of-thousands": Attack(lambda: _with_icc(gamma_profile(30_000.0)), SIZE),
    "icc-gamma-below-zero": Attack(lambda: _with_icc(gamma_profile(-2.0)), SIZE),
    "icc-curve-of-a-million-points": Attack(
        lambda: _with_icc(
            profile(tags={b"rTRC": b"curv" + bytes(4) + struct.pack(">I", 1_000_000) + b"\1\2" * 1_000_000})
        ),
        SIZE,
    ),
    "icc-curve-of-fewer-points-than-stated": Attack(
        lambda: _with_icc(profile(tags={b"rTRC": b"curv" + bytes(4) + b"\xff\xff\xff\xff\1\2"})), SIZE
    ),
    "icc-of-4-billion-tags": Attack(
        lambda: _with_icc(profile(tags={})[:128] + b"\xff" * 4 + profile(tags={})[132:]), SIZE
    ),
    "icc-tags-all-the-whole-profile": Attack(
        lambda: _with_icc(
            profile(tags={})[:128]
            + struct.pack(">I", 100)
            + b"".join(
                name + struct.pack(">II", 0, 2000)
                for name in (*(b"%04d" % index for index in range(91)), b"A2B0", *b"rTRC gTRC bTRC".split())
            )
            + bytes(1000)
        ),
        SIZE,
    ),
    "icc-of-9-megabytes": Attack(
        lambda: _with_icc(profile(tags={b"text": bytes(range(256)) * 36_000})), SIZE
    ),
    "icc-of-the-wrong-class": Attack(lambda: _with_icc(profile(tags={}, kind=b"link")), SIZE),
    "icc-of-named-colours": Attack(lambda: _with_icc(profile(tags={}, kind=b"nmcl")), SIZE),
    "icc-of-another-space": Attack(lambda: _with_icc(images.cmyk_profile()), SIZE),
    "icc-that-is-none": Attack(lambda: _with_icc(b"RGB " * 100), SIZE),
    # Animations.
    "gif-of-10000-frames": Attack(lambda: _gif_of_frames(10_000), SIZE),
    "webp-of-10000-frames": Attack(lambda: _webp_of_frames(10_000), SIZE),
    "png-of-10000-frames": Attack(
        lambda: with_png_chunks(
            _PNG, (b"fcTL", bytes(26)), (b"fdAT", bytes(4) + zero_rows((4, 4), 24)), times=10_000, last=True
        ),
        SIZE,
    ),
    "avif-of-200-frames": Attack(lambda: _frames(_dot, "AVIF", 200), (4, 4)),
    # Two files in one, and files that are something else.
    "jpeg-and-zip": Attack(lambda: _JPEG + zipped(), SIZE),
    "png-and-html": Attack(lambda: _PNG + b"<html><script>alert(1)</script>", SIZE),
    "png-with-html-in-a-comment": Attack(
        lambda: with_png_chunks(_PNG, (b"tEXt", b"Comment\0" + _NOT_AN_IMAGE_IN_IT)), SIZE
    ),
    "gif-and-javascript": Attack(lambda: _GIF + b"*/=1;alert(1)//", SIZE),
    "tiff-and-zip": Attack(lambda: _TIFF + zipped(), SIZE),
    "webp-and-zip": Attack(lambda: _WEBP + zipped(), SIZE),
    "pdf-and-jpeg": Attack(lambda: b"%PDF-1.7\n" + _JPEG, _UNSUPPORTED),
    "zip-and-jpeg": Attack(lambda: zipped() + _JPEG, _UNSUPPORTED),
    "svg": Attack(lambda: b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", _UNSUPPORTED),
    "html": Attack(images.html_named_jpg, _UNSUPPORTED),
    "postscript": Attack(lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n(x) run", _UNSUPPORTED),
    "bigtiff-of-nothing": Attack(lambda: b"II+\0\x08\0\0\0" + bytes(100), _CORRUPT),
    # Modes few files have.
    "jpeg-ycck": Attack(_ycck, SIZE),
    "jpeg-arithmetic": Attack(lambda: jpeg_of_nothing(0xC9, SIZE), SIZE),
    "jpeg-arithmetic-progressive": Attack(lambda: jpeg_of_nothing(0xCA, SIZE), _DAMAGED),
    "jpeg-of-12-bits": Attack(lambda: jpeg_of_nothing(0xC1, SIZE, bits=12), _UNSUPPORTED),
    "jpeg-lossless": Attack(lambda: jpeg_of_nothing(0xC3, SIZE), _UNSUPPORTED),
    "jpeg-hierarchical": Attack(lambda: jpeg_of_nothing(0xC5, SIZE), _UNSUPPORTED),
    "tiff-of-32-bit-integers": Attack(lambda: images.tiff_bytes(images.in_mode(SMALL, "I")), _UNSUPPORTED),
    "tiff-fax-of-group-3": Attack(
        lambda: tiff((700, 1000), strips=[bytes(range(256)) * 40], bits=(1,), compression=3), _UNSUPPORTED
    ),
    "tiff-of-64-samples": Attack(lambda: tiff(SIZE, strips=[b"x"], tags={277: (3, b"\x40\0")}), _UNSUPPORTED),
}


# --- At the limit -----------------------------------------------------------------------------------------


def _side(pixels: int) -> int:
    return int(pixels**0.5)


def at_the_limit(limits: Mapping[SourceFormat, int]) -> dict[str, Callable[[], bytes]]:
    """The costliest valid files that `limits` let in, by format and mode."""
    side = {name: _side(pixels) for name, pixels in limits.items()}
    tiff_size = (32_000, limits[SourceFormat.TIFF] // 32_000)
    return {
        # Widest: no scaled decode keeps 1,024 pixels.  Progressive, four full planes: 8 bytes a pixel of
        # coefficients beside the 4 of the picture.
        "jpeg-cmyk-progressive": lambda: images.jpeg_bytes(
            images.flat((9, 9, 9, 9), (65_000, limits[SourceFormat.JPEG] // 65_000), "CMYK"),
            progressive=True,
            subsampling=0,
        ),
        "png-rgba-16": lambda: images.png_bomb(side[SourceFormat.PNG], colour_type=6, depth=16),
        "png-grey-16": lambda: png(
            (32_000, limits[SourceFormat.PNG] // 32_000, 16, 0, 0),
            (b"tRNS", b"\1\1"),
            (b"IDAT", zero_rows((32_000, limits[SourceFormat.PNG] // 32_000), 16)),
        ),
        "png-palette": lambda: images.png_bytes(
            images.flat(0, (side[SourceFormat.PNG],) * 2, "P"), transparency=0, compress_level=1
        ),
        "webp-lossless": lambda: images.webp_bomb(side[SourceFormat.WEBP], alpha=True),
        "gif-transparent": lambda: images.gif_bytes(
            images.flat(0, (side[SourceFormat.GIF],) * 2, "P"), transparency=0
        ),
        "heic-alpha-444-10": lambda: heics.written(
            heics.still("largest"), heics.still("largest").having(heics.ALPHA).referring(b"auxl", 1)
        ),
        # Most coded bytes in 10 MB, and most tiles in 50 megapixels.
        "heic-grid-of-noise": lambda: heics.written(
            heics.grid(27, 26, 27 * 256, 26 * 256, range(2, 704)), *[heics.still("noise")] * 702
        ),
        "avif-alpha-444": lambda: images.avif_bytes(
            images.flat((9, 9, 9, 9), (side[SourceFormat.AVIF],) * 2, "RGBA"), subsampling="4:4:4"
        ),
        # One strip: the decoder holds all of it beside the picture.
        "tiff-rgba-16": lambda: tiff(
            tiff_size, strips=[zlib.compress(bytes(8 * tiff_size[0] * tiff_size[1]), 1)], bits=(16,) * 4
        ),
        # 12 bytes a pixel, of which 8 count.
        "tiff-rgb-float": lambda: tiff(
            (32_000, tiff_size[1] * 8 // 12),
            strips=[zlib.compress(bytes(12 * 32_000 * (tiff_size[1] * 8 // 12)), 1)],
            bits=(32,) * 3,
            tags={339: (3, b"\3\0" * 3)},
        ),
    }

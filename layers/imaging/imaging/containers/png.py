"""PNG (W3C, third edition), APNG included: the default image, which every viewer can show."""

import struct
import zlib
from collections.abc import Iterator
from typing import Final

from catalog.domain.sources import SourceFormat
from imaging.coded_colours import coded_profile, gamma_profile
from imaging.containers.container import MAX_PARTS, MAX_PROFILE_BYTES, Container, corrupt, truncated
from imaging.exif import NO_EXIF, read_exif

_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_DEPTHS: Final = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_GREY, _RGB, _PALETTE, _GREY_ALPHA = 0, 2, 3, 4
# Adam7: first column and row, step in columns and rows, of each pass.
_ADAM7: Final = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
# What a chunk must not follow.
_TOO_LATE: Final = {
    b"PLTE": frozenset((b"IDAT",)),
    b"tRNS": frozenset((b"IDAT",)),
    b"iCCP": frozenset((b"PLTE", b"IDAT")),
    b"sRGB": frozenset((b"PLTE", b"IDAT")),
    b"gAMA": frozenset((b"PLTE", b"IDAT")),
    b"cHRM": frozenset((b"PLTE", b"IDAT")),
    b"cICP": frozenset((b"PLTE", b"IDAT")),
}
_IEND: Final = b"\0\0\0\0IEND\xaeB\x60\x82"


def parse(data: bytes) -> Container:  # noqa: PLR0912 (one branch a kind of chunk)
    view = memoryview(data)
    width, height, depth, colour_type = _header(data)
    kept: list[bytes | memoryview] = [view[:33]]
    exif, profile, transparent = NO_EXIF, None, None
    named: dict[bytes, bytes] = {}
    at, complete, seen = 33, False, set[bytes]()
    for _ in range(MAX_PARTS):
        if at + 12 > len(data):
            kept.append(view[at:] if seen >= {b"IDAT"} else b"")
            break
        length, name = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(data):
            kept.append(view[at:] if name == b"IDAT" else b"")
            break
        body = view[at + 8 : end - 4]
        if seen & _TOO_LATE.get(name, frozenset()):  # as libpng does: out of place counts as absent
            at = end
            continue
        if name == b"IEND":
            kept.append(_IEND)
            complete = True
            break
        if name == b"IDAT" or (name in (b"PLTE", b"tRNS") and name not in seen):
            if zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end]):
                raise corrupt(f"a {name.decode()} chunk fails its checksum")
            if name == b"tRNS" and colour_type != _PALETTE:
                transparent = _transparent(bytes(body), depth, colour_type)
            else:
                kept.append(view[at:end])
        elif name == b"iCCP" and name not in seen:
            profile = _profile(bytes(body))
        elif name in (b"sRGB", b"gAMA", b"cHRM", b"cICP"):
            named.setdefault(name, bytes(body[:32]))
        elif name == b"eXIf" and name not in seen:
            exif = read_exif(bytes(body))
        seen.add(name)
        at = end
    else:
        raise corrupt(f"more than {MAX_PARTS:,} chunks")
    if b"IDAT" not in seen:
        raise corrupt("no image data") if complete else truncated("the file ends before its image data does")
    return Container(
        SourceFormat.PNG,
        width,
        height,
        coded_pixels=width * height,
        stripped=tuple(kept),
        complete=complete,
        orientation=exif.orientation,
        icc_profile=_colours(named, profile, grey=colour_type in (_GREY, _GREY_ALPHA)),
        exif=exif,
        transparent=transparent,
    )


def fills_its_rows(stripped: bytes) -> bool:
    """Whether the image data of a PNG from `parse` inflates to all its rows.  Pillow takes fewer as black."""
    width, height, depth, colour_type, _, _, interlaced = struct.unpack_from(">IIBBBBB", stripped, 16)
    bits = depth * _CHANNELS[colour_type]
    wanted = 0
    for left, top, across, down in _ADAM7 if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-max(0, width - left) // across), -(-max(0, height - top) // down)
        wanted += rows * (1 + (columns * bits + 7) // 8) if columns else 0
    inflater, found = zlib.decompressobj(), 0
    for piece in _image_data(stripped):
        # What is fed after the end is collected by copying all of it, each time: 100,000 chunks took 16 s.
        if found >= wanted or inflater.eof:
            break
        rest: bytes = piece
        while rest and found < wanted:
            found += len(inflater.decompress(rest, 2**20))
            rest = inflater.unconsumed_tail
    return found >= wanted


def _image_data(stripped: bytes) -> Iterator[bytes]:
    """The content of the IDAT chunks, 256 KiB at most at once."""
    at = 33
    while at + 12 <= len(stripped):
        end = at + 8 + int.from_bytes(stripped[at : at + 4])
        if stripped[at + 4 : at + 8] == b"IDAT":
            for start in range(at + 8, end, 2**18):
                yield stripped[start : min(start + 2**18, end)]
        at = end + 4


def _header(data: bytes) -> tuple[int, int, int, int]:
    if len(data) < 33:
        raise truncated("the file ends inside its header")
    if data[8:16] != b"\0\0\0\x0dIHDR" or zlib.crc32(data[12:29]) != int.from_bytes(data[29:33]):
        raise corrupt("the header chunk is not one")
    width, height, depth, colour_type, compression, filters, interlaced = struct.unpack(
        ">IIBBBBB", data[16:29]
    )
    if not (0 < width < 2**31 and 0 < height < 2**31) or depth not in _DEPTHS.get(colour_type, ()):
        raise corrupt(f"{width} x {height} pixels of colour type {colour_type}, {depth} bits")
    if compression or filters or interlaced > 1:
        raise corrupt("an unknown compression, filter or interlace method")
    return width, height, depth, colour_type


def _transparent(body: bytes, depth: int, colour_type: int) -> int | tuple[int, int, int] | None:
    """The transparent colour as Pillow's pixels have it: depths below 8 scaled up, 16-bit RGB cut to 8."""
    if colour_type == _GREY and len(body) == 2:
        whitest = (1 << depth) - 1
        value = int.from_bytes(body) & whitest
        return value if depth == 16 else value * (255 // whitest)
    if colour_type == _RGB and len(body) == 6:
        red, green, blue = struct.unpack(">HHH", body)
        shift = depth - 8
        return red >> shift & 255, green >> shift & 255, blue >> shift & 255
    return None


def _colours(named: dict[bytes, bytes], profile: bytes | None, *, grey: bool) -> bytes | None:
    """The profile that holds: what cICP names, else the embedded one, else what gAMA and cHRM say (4.3)."""
    code = named.get(b"cICP", b"")
    if len(code) == 4 and code[2:] == b"\0\1":  # RGB, full range
        return coded_profile(code[0], code[1], grey=grey)
    if profile is not None or b"sRGB" in named or len(named.get(b"gAMA", b"")) != 4:
        return profile
    chromaticities = named.get(b"cHRM", b"")
    return gamma_profile(
        int.from_bytes(named[b"gAMA"]) / 100_000,
        tuple(value / 100_000 for value in struct.unpack(">8I", chromaticities))
        if len(chromaticities) == 32
        else None,
        grey=grey,
    )


def _profile(body: bytes) -> bytes | None:
    """The inflated profile, or None where it is broken or larger than any real one."""
    name, _, rest = body.partition(b"\0")
    if not name or rest[:1] != b"\0":
        return None
    inflater = zlib.decompressobj()
    try:
        profile = inflater.decompress(rest[1:], MAX_PROFILE_BYTES)
    except zlib.error:
        return None
    return profile if inflater.eof else None

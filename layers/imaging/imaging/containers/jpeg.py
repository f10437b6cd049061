"""JPEG (ITU T.81): segments up to the first scan.  A multi-picture file (MPO) is its first picture."""

import re
import struct
from typing import Final

from catalog.domain.sources import SourceFormat
from imaging.containers.container import (
    MAX_PROFILE_BYTES,
    Container,
    corrupt,
    too_many_pixels,
    truncated,
    unsupported,
)
from imaging.exif import NO_EXIF, read_exif

_STANDALONE = frozenset((0x01, *range(0xD0, 0xD9)))  # TEM, RST0-7, SOI: no length follows
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_DECODABLE_FRAMES = frozenset((0xC0, 0xC1, 0xC2, 0xC9, 0xCA))  # Huffman or arithmetic; not lossless
_EOI, _SOS, _APP0, _APP1, _APP2, _APP14, _APP15, _COM = 0xD9, 0xDA, 0xE0, 0xE1, 0xE2, 0xEE, 0xEF, 0xFE

# Markers before the first scan.  An ICC profile takes up to 255, extended XMP some dozens.
_MAX_SEGMENTS: Final = 4096

# Each scan of a progressive file walks all blocks again, in 0.7 to 3 ns a pixel, and an empty one costs 20
# bytes.  Real files have 1 to 20 scans; these limits leave 40 at 100 megapixels, in 12 s at worst.
_MAX_SCANS: Final = 256
_MAX_PIXEL_SCANS: Final = 4_000_000_000

_NEXT_MARKER = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]", re.DOTALL)


def parse(data: bytes) -> Container:  # noqa: PLR0912 (one branch a kind of segment)
    view = memoryview(data)
    kept: list[bytes | memoryview] = [view[:2]]
    size: tuple[int, int] | None = None
    exif, profile = NO_EXIF, dict[int, bytes]()
    at = 2
    for _ in range(_MAX_SEGMENTS):
        at = data.find(b"\xff", at)
        if at < 0 or at + 4 > len(data):
            raise truncated("the file ends before its first scan")
        marker = data[at + 1]
        if marker in (0x00, 0xFF):
            at += 1
            continue
        if marker in _STANDALONE:
            at += 2
            continue
        if marker in (_SOS, _EOI):
            break
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4])
        if end < at + 4:
            raise corrupt("a segment is shorter than its own length field")
        if end > len(data):
            raise truncated("the file ends inside its header")
        body = data[at + 4 : end]
        if marker in _FRAMES:
            size = _frame_size(marker, body)
        elif marker == _APP1 and exif is NO_EXIF and body.startswith(b"Exif\0"):
            exif = read_exif(body[6:])
        elif marker == _APP2 and body.startswith(b"ICC_PROFILE\0") and len(body) > 14:
            profile.setdefault(body[12], body[14:])
        if _needed_to_decode(marker, body):
            kept.append(view[at:end])
        at = end
    else:
        raise corrupt("more than 4,096 segments before the first scan")
    if size is None or marker == _EOI:
        raise corrupt("no frame header before the first scan")
    kept.append(view[at:])
    pixels = size[0] * size[1]
    _check_scans(data, at, pixels)
    icc = b"".join(profile[number] for number in sorted(profile))
    return Container(
        SourceFormat.JPEG,
        *size,
        coded_pixels=pixels,
        stripped=tuple(kept),
        complete=data.rfind(b"\xff\xd9") > at,
        orientation=exif.orientation,
        icc_profile=icc if 0 < len(icc) <= MAX_PROFILE_BYTES else None,
        exif=exif,
    )


def _frame_size(marker: int, body: bytes) -> tuple[int, int]:
    if len(body) < 6:
        raise corrupt("a frame header too short for a size")
    bits, height, width, components = struct.unpack_from(">BHHB", body)
    if marker not in _DECODABLE_FRAMES or bits != 8 or components not in (1, 3, 4):
        raise unsupported(f"a JPEG of {components} components of {bits} bits (frame type {marker:#x})")
    if not width or not height:
        raise corrupt("a frame without width or height")
    return width, height


def _needed_to_decode(marker: int, body: bytes) -> bool:
    """JFIF and Adobe segments name the colour space; every other APPn and comment is metadata."""
    if _APP0 <= marker <= _APP15:
        return (marker == _APP0 and body.startswith(b"JFIF\0")) or (
            marker == _APP14 and body.startswith(b"Adobe")
        )
    return marker != _COM


def _check_scans(data: bytes, first: int, pixels: int) -> None:
    allowed = min(_MAX_SCANS, max(20, _MAX_PIXEL_SCANS // pixels))
    if data.count(b"\xff\xda", first) <= allowed:
        return
    # The count may have met later pictures, or metadata between scans: walk this picture's own markers.
    scans, at = 0, first
    while scans <= allowed:
        found = _NEXT_MARKER.search(data, at)
        if found is None or data[found.end() - 1] == _EOI:
            return
        scans += data[found.end() - 1] == _SOS
        at = found.end() + int.from_bytes(data[found.end() : found.end() + 2])
    raise too_many_pixels(f"more than {allowed} scans of {pixels:,} pixels")

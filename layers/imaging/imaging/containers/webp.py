"""WebP (RFC 9649): a still, or the first frame of an animation, rebuilt as a still."""

import struct
from dataclasses import dataclass

from catalog.domain.sources import SourceFormat
from imaging.containers.container import MAX_PARTS, MAX_PROFILE_BYTES, Container, corrupt, truncated
from imaging.exif import NO_EXIF, read_exif

_ALPHA_FLAG = 0x10


@dataclass
class _Frame:
    """The chunks of one picture: its bitstream, its alpha plane, its place on the canvas."""

    bitstream: tuple[bytes, bytes] | None = None
    alpha: bytes | None = None
    size: tuple[int, int] = (0, 0)
    offset: tuple[int, int] = (0, 0)
    stated: tuple[int, int] | None = None

    def take(self, name: bytes, body: bytes) -> None:
        if name == b"ALPH" and self.alpha is None:
            self.alpha = body
        elif name in (b"VP8 ", b"VP8L") and self.bitstream is None:
            self.bitstream, self.size = (name, body), _coded_size(name, body)


def parse(data: bytes) -> Container:
    view = memoryview(data)
    complete = 8 + int.from_bytes(data[4:8], "little") <= len(data)
    frame, canvas, exif, profile = _Frame(), None, NO_EXIF, None
    animated = False
    for name, start, end in _chunks(data, 12, len(data)):
        if end > len(data) and name in (b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANMF"):
            raise truncated("the file ends inside its picture")
        body = view[start:end]
        if name == b"VP8X" and canvas is None and len(body) >= 10:
            canvas = _three(body[4:7]) + 1, _three(body[7:10]) + 1
        elif name == b"ANMF" and frame.bitstream is None and len(body) >= 16:
            animated = True
            frame.offset = _three(body[0:3]) * 2, _three(body[3:6]) * 2
            frame.stated = _three(body[6:9]) + 1, _three(body[9:12]) + 1
            for inner, inner_start, inner_end in _chunks(data, start + 16, end):
                frame.take(inner, bytes(view[inner_start : min(inner_end, end)]))
        elif not animated:
            frame.take(name, bytes(body) if name in (b"ALPH", b"VP8 ", b"VP8L") else b"")
        if name == b"ICCP" and profile is None and 0 < len(body) <= MAX_PROFILE_BYTES:
            profile = bytes(body)
        elif name == b"EXIF" and exif is NO_EXIF:
            exif = read_exif(bytes(body).removeprefix(b"Exif\0\0"))
    if frame.bitstream is None:
        raise corrupt("no picture in the file") if complete else truncated("the file ends before its picture")
    width, height = canvas or frame.size
    right, bottom = frame.offset[0] + frame.size[0], frame.offset[1] + frame.size[1]
    fits = right <= width and bottom <= height if animated else (right, bottom) == (width, height)
    coded_pixels = max(width * height, frame.size[0] * frame.size[1])
    if not fits or (frame.stated and frame.stated != frame.size):
        raise corrupt(f"a picture of {frame.size} pixels on a canvas of {(width, height)}")
    return Container(
        SourceFormat.WEBP,
        width,
        height,
        coded_pixels=coded_pixels,
        stripped=_still(frame),
        complete=complete,
        orientation=exif.orientation,
        icc_profile=profile,
        exif=exif,
        frame_offset=frame.offset if frame.size != (width, height) else None,
    )


def _chunks(data: bytes, at: int, stop: int) -> list[tuple[bytes, int, int]]:
    """Name, start and stated end of each chunk's body in `data[at:stop]`; the last may end beyond it."""
    found = []
    while at + 8 <= stop:
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        found.append((data[at : at + 4], at + 8, at + 8 + length))
        if len(found) > MAX_PARTS:
            raise corrupt(f"more than {MAX_PARTS:,} chunks")
        at += 8 + length + length % 2
    return found


def _coded_size(name: bytes, body: bytes) -> tuple[int, int]:
    if name == b"VP8 " and len(body) >= 10 and body[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", body, 6)
        size = width & 0x3FFF, height & 0x3FFF
    elif name == b"VP8L" and len(body) >= 5 and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        size = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        raise corrupt("the picture does not start as VP8 or VP8L does")
    if not all(size):
        raise corrupt("a picture without width or height")
    return size


def _still(frame: _Frame) -> tuple[bytes, ...]:
    assert frame.bitstream is not None  # noqa: S101 (parse has just checked)
    name, body = frame.bitstream
    chunks = [_chunk(name, body)]
    if name == b"VP8 " and frame.alpha is not None:
        size = b"".join((side - 1).to_bytes(3, "little") for side in frame.size)
        chunks = [
            _chunk(b"VP8X", bytes((_ALPHA_FLAG, 0, 0, 0)) + size),
            _chunk(b"ALPH", frame.alpha),
            *chunks,
        ]
    return (b"RIFF", (4 + sum(map(len, chunks))).to_bytes(4, "little"), b"WEBP", *chunks)


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + len(body).to_bytes(4, "little") + body + bytes(len(body) % 2)


def _three(piece: memoryview) -> int:
    return int.from_bytes(piece, "little")

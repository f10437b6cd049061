"""GIF89a: the first frame on its logical screen."""

import struct

from catalog.domain.sources import SourceFormat
from imaging.containers.container import MAX_PARTS, Container, corrupt, truncated

_TABLE, _EXTENSION, _IMAGE, _TRAILER, _GRAPHIC_CONTROL = 0x80, b"!", b",", b";", 0xF9


def parse(data: bytes) -> Container:
    if len(data) < 13:
        raise truncated("the file ends inside its header")
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at = 13 + _table_bytes(flags)
    header, control = data[:at], b""
    for _ in range(MAX_PARTS):
        if (block := data[at : at + 1]) != _EXTENSION:
            break
        end, closed = _skip_sub_blocks(data, at + 2)
        if not closed:
            raise truncated("the file ends inside an extension")
        if data[at + 1] == _GRAPHIC_CONTROL:
            control = data[at:end]
        at = end
    else:
        raise corrupt(f"more than {MAX_PARTS:,} extensions before the first frame")
    if not block or at + 10 > len(data):
        raise truncated("the file ends before its first frame")
    if block != _IMAGE:
        raise corrupt("no frame" if block == _TRAILER else "an unknown block")
    left, top, frame_width, frame_height, flags = struct.unpack_from("<HHHHB", data, at + 1)
    if not frame_width or not frame_height:
        raise corrupt("a first frame without width or height")
    end, closed = _skip_sub_blocks(data, at + 10 + _table_bytes(flags) + 1)
    # Viewers grow the screen to a first frame that does not fit it, and show nothing around a smaller one.
    width, height = max(width, left + frame_width), max(height, top + frame_height)
    whole = (frame_width, frame_height) == (width, height)
    if not whole:  # Pillow would paint the rest in the palette's background
        header = header[:6] + struct.pack("<HH", frame_width, frame_height) + header[10:]
    return Container(
        SourceFormat.GIF,
        width,
        height,
        coded_pixels=width * height,
        stripped=(
            *(header, control, b"," + bytes(4) if not whole else data[at : at + 5]),
            *(memoryview(data)[at + 5 : end], _TRAILER if closed else b""),
        ),
        complete=closed,
        frame_offset=None if whole else (left, top),
    )


def _table_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & _TABLE else 0


def _skip_sub_blocks(data: bytes, at: int) -> tuple[int, bool]:
    """Where a chain of sub-blocks ends, and whether it was closed before the file was."""
    for _ in range(MAX_PARTS):
        if at >= len(data):
            return len(data), False
        length = data[at]
        at += 1 + length
        if not length:
            return at, True
    raise corrupt(f"more than {MAX_PARTS:,} sub-blocks in one chain")

"""The three EXIF tags that matter here: orientation, copyright, artist (EXIF 2.32, TIFF 6.0)."""

import struct
from dataclasses import dataclass
from typing import Final

_ORIENTATION, _ARTIST, _COPYRIGHT = 0x0112, 0x013B, 0x8298
_ASCII = 2
_INTEGERS: Final = {1: "B", 3: "H", 4: "I"}  # by field type: writers differ, viewers take any
_MAX_TEXT: Final = 1024  # bytes a copyright or artist may have to be carried over
_LAST_ORIENTATION: Final = 8
_INLINE: Final = 4  # bytes of a value kept in its directory entry


@dataclass(frozen=True, slots=True)
class Exif:
    """`orientation` is 1-8; the texts are the bytes in the file, without the closing NUL."""

    orientation: int = 1
    artist: bytes = b""
    copyright: bytes = b""


NO_EXIF: Final = Exif()


def read_exif(block: bytes) -> Exif:
    """The tags in a TIFF block (`II*\\0...` or `MM\\0*...`); whatever is malformed counts as absent."""
    if block[:4] not in (b"II*\0", b"MM\0*"):
        return NO_EXIF
    order = "<" if block[:1] == b"I" else ">"
    try:
        (start,) = struct.unpack_from(order + "I", block, 4)
        (entries,) = struct.unpack_from(order + "H", block, start)
    except struct.error:
        return NO_EXIF
    orientation, texts = 1, {_ARTIST: b"", _COPYRIGHT: b""}
    for index in range(entries):
        at = start + 2 + 12 * index
        if at + 12 > len(block):
            break
        tag, kind, count = struct.unpack_from(order + "HHI", block, at)
        if tag == _ORIENTATION and kind in _INTEGERS and count == 1:
            (value,) = struct.unpack_from(order + _INTEGERS[kind], block, at + 8)
            orientation = value if 1 <= value <= _LAST_ORIENTATION else 1
        elif tag in texts and kind == _ASCII and count <= _MAX_TEXT:
            (offset,) = struct.unpack_from(order + "I", block, at + 8)
            where = at + 8 if count <= _INLINE else offset
            texts[tag] = bytes(block[where : where + count]).rstrip(b"\0 ")
    return Exif(orientation, texts[_ARTIST], texts[_COPYRIGHT])


def copyright_exif(exif: Exif) -> bytes:
    """An EXIF block (`Exif\\0\\0` + TIFF) of artist and copyright and nothing else; empty without both."""
    tags = [
        (tag, text + b"\0") for tag, text in ((_ARTIST, exif.artist), (_COPYRIGHT, exif.copyright)) if text
    ]
    if not tags:
        return b""
    directory, values = struct.pack(">H", len(tags)), b""
    values_at = 8 + 2 + 12 * len(tags) + 4
    for tag, text in tags:
        inline = len(text) <= _INLINE
        value = text.ljust(4, b"\0") if inline else struct.pack(">I", values_at + len(values))
        directory += struct.pack(">HHI", tag, _ASCII, len(text)) + value
        values += b"" if inline else text + bytes(len(text) % 2)
    return b"Exif\0\0MM\0*" + struct.pack(">I", 8) + directory + bytes(4) + values

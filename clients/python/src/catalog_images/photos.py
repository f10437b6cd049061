"""Files to send: their hash, size and type, found while reading each once."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from catalog_images.models import Announcement

_CHUNK_BYTES: Final = 1024 * 1024
_SNIFFED_BYTES: Final = 16
_LONGEST_FILENAME: Final = 255  # characters the API takes
UNKNOWN_TYPE: Final = "application/octet-stream"  # the API refuses it with `unsupported_media_type`
_MAGIC: Final = (
    ("image/jpeg", 0, b"\xff\xd8\xff"),
    ("image/png", 0, b"\x89PNG\r\n\x1a\n"),
    ("image/gif", 0, (b"GIF87a", b"GIF89a")),
    ("image/tiff", 0, (b"II*\0", b"MM\0*")),
    ("image/webp", 8, b"WEBP"),
    ("image/avif", 4, (b"ftypavif", b"ftypavis")),
    ("image/heic", 4, (b"ftypheic", b"ftypheix", b"ftypmif1")),
)


@dataclass(frozen=True, slots=True)
class Photo:
    """A file as it was when it was read."""

    path: Path
    announcement: Announcement


def read_photo(path: Path, *, content_type: str | None = None, filename: str | None = None) -> Photo:
    """Hash a file without holding it in memory.  Raises OSError."""
    digest, size, head = hashlib.sha256(), 0, b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            head = head or chunk[:_SNIFFED_BYTES]
            digest.update(chunk)
            size += len(chunk)
    kind = content_type or content_type_of(head)
    return Photo(path, Announcement(digest.hexdigest(), size, kind, filename or sendable_name(path.name)))


def announcement_of(data: bytes, *, content_type: str | None, filename: str) -> Announcement:
    """The announcement of bytes in memory."""
    kind = content_type or content_type_of(data[:_SNIFFED_BYTES])
    return Announcement(hashlib.sha256(data).hexdigest(), len(data), kind, filename)


def content_type_of(head: bytes) -> str:
    """The media type by the first 16 bytes; UNKNOWN_TYPE if they are not of an image the API takes."""
    return next((kind for kind, at, magic in _MAGIC if head.startswith(magic, at)), UNKNOWN_TYPE)


def sendable_name(name: str) -> str:
    """A file's name as the API takes it: without control and undecodable characters."""
    shown = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name)
    return shown[:_LONGEST_FILENAME]

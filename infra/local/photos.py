"""The files that the demo sends: every file below a folder."""

import errno
import hashlib
import mimetypes
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pi_heif
from PIL import Image, ImageOps

from catalog_images.folders import files_below
from catalog_images.photos import content_type_of as sniffed

_NAMED_TYPES: Final = mimetypes.MimeTypes()  # the built-in table: a machine's own mime.types changes nothing
pi_heif.register_heif_opener()  # for previews; an iPhone's photos are HEIC
_SNIFFED_BYTES: Final = 16
_MAX_FILENAME: Final = 255  # characters the API takes


def upright(image: Image.Image) -> Image.Image:
    """The picture turned as its EXIF says; as stored if it has no readable EXIF."""
    try:
        return ImageOps.exif_transpose(image)
    except (SyntaxError, ValueError, TypeError, KeyError, struct.error, OSError):
        image.info.pop("exif", None)
        return image


class PhotoGoneError(Exception):
    """A file can no longer be read."""


@dataclass(frozen=True, slots=True)
class Photo:
    """A readable file.  `name` is its path below the chosen folder, `sha256` 64 hex digits."""

    path: Path
    name: str
    size_bytes: int
    sha256: str
    content_type: str

    @property
    def filename(self) -> str:
        """The last part of the name, as the API accepts it."""
        return printable(self.path.name)[:_MAX_FILENAME]

    def read(self) -> bytes:
        """Raises PhotoGoneError."""
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise PhotoGoneError(self.name) from error


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A directory entry that cannot be read; `code` is `not_a_file` or the system's errno name."""

    path: Path
    name: str
    code: str


def collect(chosen: Path) -> Iterator[Photo | Unreadable]:
    """Every file at or below `chosen`, images or not, by name.  Follows links, but visits no folder twice.

    Raises FileNotFoundError if `chosen` does not exist.
    """
    if not chosen.exists():
        raise FileNotFoundError(errno.ENOENT, "no such file or folder", str(chosen))
    failures: list[OSError] = []
    for path in files_below(chosen, failed=failures.append):
        yield _examined(path, chosen.name if path == chosen else path.relative_to(chosen).as_posix())
    for failure in failures:
        path = Path(failure.filename)
        yield Unreadable(path, path.relative_to(chosen).as_posix(), _code(failure))


def content_type_of(name: str, head: bytes) -> str:
    """The media type by name, or by the first bytes, as a browser declares it."""
    named, encoding = _NAMED_TYPES.guess_file_type(name, strict=False)
    if named and not encoding:
        return named
    return sniffed(head)


def printable(text: str) -> str:
    """`text` without control, bidi and undecodable characters, which garble terminals and pages."""
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )


def shortened(text: str, length: int) -> str:
    """`text`, printable, in at most `length` characters without its middle: `product-ph…-front.jpg`."""
    text = printable(text)
    end = (length - 1) // 2
    return text if len(text) <= length else f"{text[: length - 1 - end]}…{text[-end:]}"


def _examined(path: Path, name: str) -> Photo | Unreadable:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for a writer
            return Unreadable(path, name, "not_a_file")
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size_bytes = file.tell()
            file.seek(0)
            head = file.read(_SNIFFED_BYTES)
    except OSError as error:
        return Unreadable(path, name, _code(error))
    return Photo(path, name, size_bytes, digest, content_type_of(path.name, head))


def _code(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, "unreadable").lower()

"""Image files taken apart before any decoder sees them: one parser a format, bounded in time and memory."""

import importlib
from typing import Final

from catalog.domain.rejections import ImageRejectedError, RejectionCode
from catalog.domain.sources import SourceFormat
from imaging.containers.container import Container, unsupported

__all__ = ["Container", "open_container", "sniff"]

_MAGIC: Final = {
    b"\xff\xd8\xff": SourceFormat.JPEG,
    b"\x89PNG\r\n\x1a\n": SourceFormat.PNG,
    b"GIF87a": SourceFormat.GIF,
    b"GIF89a": SourceFormat.GIF,
    # TIFF's 42 and BigTIFF's 43, in both byte orders.
    b"II*\0": SourceFormat.TIFF,
    b"MM\0*": SourceFormat.TIFF,
    b"II+\0": SourceFormat.TIFF,
    b"MM\0+": SourceFormat.TIFF,
}
# Of ISO media files, the first that fits.  `mif1` and `msf1` are any still's, mostly beside another.
_BRANDS: Final = {
    SourceFormat.AVIF: frozenset((b"avif", b"avis")),
    SourceFormat.HEIC: frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")),
}
_MAX_BRANDS: Final = 64


def sniff(data: bytes) -> SourceFormat | None:
    """The format these bytes claim by how they begin; None for anything not on the allow-list."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return SourceFormat.WEBP
    if data[4:8] == b"ftyp":
        return next((claimed for claimed, names in _BRANDS.items() if names & _brands(data)), None)
    return next((claimed for magic, claimed in _MAGIC.items() if data.startswith(magic)), None)


def _brands(data: bytes) -> set[bytes]:
    """The brands of an ISO media file (ISO 14496-12, 4.3), the major one among them."""
    size, start = int.from_bytes(data[:4]), 8
    if size == 1:
        size, start = int.from_bytes(data[8:16]), 16
    end = min(size or len(data), len(data), start + 4 * _MAX_BRANDS)
    return {data[at : at + 4] for at in (start, *range(start + 8, end, 4))}


def open_container(data: bytes) -> Container:
    """Take the file apart.  Raises ImageRejectedError: empty, unsupported_format, truncated or corrupt."""
    if not data:
        raise ImageRejectedError(RejectionCode.EMPTY, "the file has no bytes")
    source_format = sniff(data)
    if source_format is None:
        raise unsupported("not a JPEG, PNG, WebP, GIF, AVIF, HEIC or TIFF")
    parser = importlib.import_module(f"imaging.containers.{source_format}")
    container: Container = parser.parse(data)
    return container

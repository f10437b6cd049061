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


def sniff(data: bytes) -> SourceFormat | None:
    """The format these bytes claim by their first 12; None for anything not on the allow-list."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return SourceFormat.WEBP
    if data[4:8] == b"ftyp":
        return SourceFormat.AVIF  # the parser looks at the brands and refuses HEIC, MP4 and the rest
    return next((claimed for magic, claimed in _MAGIC.items() if data.startswith(magic)), None)


def open_container(data: bytes) -> Container:
    """Take the file apart.  Raises ImageRejectedError: empty, unsupported_format, truncated or corrupt."""
    if not data:
        raise ImageRejectedError(RejectionCode.EMPTY, "the file has no bytes")
    source_format = sniff(data)
    if source_format is None:
        raise unsupported("not a JPEG, PNG, WebP, GIF, AVIF or TIFF")
    parser = importlib.import_module(f"imaging.containers.{source_format}")
    container: Container = parser.parse(data)
    return container

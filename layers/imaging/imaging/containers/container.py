"""What a parser hands on, and the rejections all parsers raise."""

from dataclasses import dataclass, field
from typing import Final

from catalog.domain.rejections import ImageRejectedError, RejectionCode
from catalog.domain.sources import SourceFormat
from imaging.exif import NO_EXIF, Exif

# Larger ICC profiles are ignored: press profiles with CMYK tables reach 2.7 MB, bombs are larger.
MAX_PROFILE_BYTES: Final = 4 * 2**20

# Segments, chunks or boxes walked before a file is called corrupt; each costs about a microsecond.
MAX_PARTS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples of a TIFF that Pillow reads as bytes, and `imaging.tiff_samples` makes pixels of.

    `dtype` is numpy's, with the byte order.  `colours` of the `count` samples a pixel are colours, the next
    is alpha if `alpha`.  `directories` say where in the file each plane is described; one if not `planar`.
    `tile_width` is in pixels, 0 for strips.
    """

    photometric: int
    dtype: str
    count: int
    colours: int
    alpha: bool
    premultiplied: bool
    planar: bool
    predictor: int
    subsampling: tuple[int, int]
    directories: tuple[int, ...] = ()
    tile_width: int = 0

    @property
    def bytes_a_pixel(self) -> int:
        return self.count * int(self.dtype[2:])


@dataclass(frozen=True, slots=True)
class Container:
    """One image file, taken apart.

    `width` x `height` are the pixels as stored, before `orientation` (EXIF's 1-8) is applied.
    `coded_pixels` is the largest picture a decoder would allocate, whatever the canvas says.
    `stripped` joins to a file of the same pixels without metadata, later frames or anything unknown.
    `complete` is False where the file ends before its own structure does.
    """

    format: SourceFormat
    width: int
    height: int
    coded_pixels: int
    stripped: tuple[bytes | memoryview, ...]
    complete: bool = True
    orientation: int = 1
    icc_profile: bytes | None = None
    exif: Exif = field(default=NO_EXIF)
    # PNG's colour that means "transparent", as Pillow's pixels have it: one grey (16-bit for I;16) or RGB.
    transparent: int | tuple[int, int, int] | None = None
    # Whether a HEIC's colours are multiplied by its alpha.
    premultiplied: bool = False
    # Of an AVIF or HEIC, the part shown: left, top, right, bottom; `width` and `height` are that part's.
    crop: tuple[int, int, int, int] | None = None
    # Where an animation's first frame lies on its canvas, if it does not fill it: left, top.
    frame_offset: tuple[int, int] | None = None
    # Whether it is a TIFF of CCITT group 4.
    fax: bool = False
    # A TIFF's, where they are not for Pillow to read.
    samples: Samples | None = None

    @property
    def shown_size(self) -> tuple[int, int]:
        """Width and height as a viewer shows them."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)


def truncated(detail: str) -> ImageRejectedError:
    return ImageRejectedError(RejectionCode.TRUNCATED, detail)


def corrupt(detail: str) -> ImageRejectedError:
    return ImageRejectedError(RejectionCode.CORRUPT, detail)


def unsupported(detail: str) -> ImageRejectedError:
    return ImageRejectedError(RejectionCode.UNSUPPORTED_FORMAT, detail)


def too_many_pixels(detail: str) -> ImageRejectedError:
    return ImageRejectedError(RejectionCode.TOO_MANY_PIXELS, detail)

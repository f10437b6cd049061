"""What an original is: its format, and the pixels one of each format may have."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class SourceFormat(StrEnum):
    """The allow-list, by content and never by name or declared type.  MPO counts as JPEG."""

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    GIF = "gif"
    AVIF = "avif"
    TIFF = "tiff"
    HEIC = "heic"


@dataclass(frozen=True, slots=True)
class Source:
    """An accepted original.  `width` x `height` in pixels as a viewer shows it, EXIF orientation applied."""

    format: SourceFormat
    width: int
    height: int


# Pixels (width x height) a format may declare before it is refused undecoded; 0 refuses the format.  What
# bounds them is the function's memory: AVIF and HEIC have no scaled decode, JPEG has (docs/decisions.md).
DEFAULT_PIXEL_LIMITS: Final[Mapping[SourceFormat, int]] = {
    SourceFormat.JPEG: 100_000_000,
    SourceFormat.PNG: 50_000_000,
    SourceFormat.WEBP: 50_000_000,
    SourceFormat.GIF: 50_000_000,
    SourceFormat.AVIF: 30_000_000,
    SourceFormat.TIFF: 50_000_000,
    SourceFormat.HEIC: 50_000_000,
}


# A longer side is refused whatever the area: scaling a row of n pixels takes a filter of 48 n bytes and as
# much time, so that a PNG of 50,000,000 x 1 cost 36 s and 3 GiB.  No JPEG or GIF can have a longer one.
MAX_SIDE: Final = 65_535


class InvalidPixelLimitsError(ValueError):
    """The PIXEL_LIMITS setting cannot be used."""


def parse_pixel_limits(text: str) -> Mapping[SourceFormat, int]:
    """Pixel limits by format from a JSON object such as `{"png": 40000000}`; others keep their default.

    Raises InvalidPixelLimitsError for anything else.
    """
    try:
        given = json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidPixelLimitsError(f"PIXEL_LIMITS is not JSON ({error})") from error
    if not isinstance(given, dict):
        raise InvalidPixelLimitsError("PIXEL_LIMITS must be an object of format: pixels")
    limits = dict(DEFAULT_PIXEL_LIMITS)
    for name, pixels in given.items():
        if name not in list(SourceFormat):
            raise InvalidPixelLimitsError(f"PIXEL_LIMITS names {name!r}, which is no accepted format")
        if not isinstance(pixels, int) or isinstance(pixels, bool) or pixels < 0:
            raise InvalidPixelLimitsError(f"PIXEL_LIMITS for {name} must be a whole number of pixels")
        limits[SourceFormat(name)] = pixels
    return limits

"""Originals: what a file is, and what it looks like.

A hostile file ends as ImageRejectedError or as a correct result, within the memory and time that
`DEFAULT_PIXEL_LIMITS` stands for; MemoryError and anything unforeseen propagate.
"""

from collections.abc import Mapping
from typing import Final

from PIL import Image

from catalog.domain.sources import MAX_SIDE, Source, SourceFormat
from imaging.colour import to_srgb
from imaging.containers import Container, open_container, sniff
from imaging.containers.container import too_many_pixels, unsupported
from imaging.decoding import decode
from imaging.orientation import oriented

# Verification of near-duplicates looks at 512 pixels of the longer side, hashes at 64: half as much again on
# the shorter side keeps both sharp, and costs half of what all pixels of a 2400 x 1800 original do.
CANONICAL_SHORTER_SIDE: Final = 768

PixelLimits = Mapping[SourceFormat, int]


def identify(data: bytes, *, limits: PixelLimits) -> Source:
    """What these bytes are, by content.  Reads headers only; no pixel is decoded.

    Raises ImageRejectedError(empty | unsupported_format | too_many_pixels | truncated | corrupt).
    """
    container = accepted(data, limits=limits)
    return Source(container.format, *container.shown_size)


def accepted(data: bytes, *, limits: PixelLimits) -> Container:
    """The file taken apart, its pixels and sides within the limits.  Raises as `identify`."""
    claimed = sniff(data)
    if claimed and not limits[claimed]:
        raise unsupported(f"{claimed} is not accepted here")
    container = open_container(data)
    limit = limits[container.format]
    if container.coded_pixels > limit:
        raise too_many_pixels(
            f"{container.width:,} x {container.height:,} ({container.coded_pixels:,} pixels): "
            f"the limit for {container.format} is {limit:,}"
        )
    if max(container.width, container.height) > MAX_SIDE:
        raise too_many_pixels(f"{container.width:,} x {container.height:,}: a side may have {MAX_SIDE:,}")
    return container


def canonical_pixels(data: bytes, *, limits: PixelLimits, strict: bool = False) -> Image.Image:
    """The original as a viewer shows it: RGB in sRGB, oriented, transparency on white.

    The whole file is decoded.  Large originals come scaled down by 2, 4 or 8, the shorter side never below
    768 pixels by it.  Raises as `identify`, truncated and corrupt now for the pixels too, and if `strict`
    damaged.
    """
    container = accepted(data, limits=limits)
    image = decode(container, (CANONICAL_SHORTER_SIDE, CANONICAL_SHORTER_SIDE), strict=strict)
    while min(image.size) >= 2 * CANONICAL_SHORTER_SIDE:
        image = image.reduce(2)
    image = to_srgb(image, container.icc_profile)
    return oriented(flattened(image, "#ffffff"), container.orientation)


def flattened(image: Image.Image, background: str) -> Image.Image:
    """An RGB or RGBA image as RGB, over `background` (`#rrggbb`)."""
    if image.mode == "RGB":
        return image
    canvas = Image.new("RGB", image.size, background)
    canvas.paste(image, mask=image.getchannel("A"))
    return canvas

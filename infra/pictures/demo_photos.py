"""Product photos for the demo: every accepted format, and some bad files."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Final

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from infra.pictures import heics
from infra.pictures.images import encoded, jpeg_bytes, oriented

_SIDE: Final = 1800  # pixels; larger than the largest default preset, so that every rendition shrinks

Colour = tuple[int, int, int]
Shape = Callable[[ImageDraw.ImageDraw, int], None]
"""Draws a filled silhouette, white on black, on a square canvas of the given side in pixels."""


def draw_photos(folder: Path) -> None:
    """Write product photos and bad files into `folder`, the same bytes every time.

    Every accepted format, a sideways photo, a CMYK print file, a transparent cut-out, an exact copy under
    another name, a text file named .jpg, a photo cut in half, and a note that is no image at all.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = {
        "bottle-green.jpg": jpeg_bytes(_photo(_bottle, (46, 122, 84), (238, 243, 238))),
        "bottle-amber.jpg": jpeg_bytes(_portrait(_photo(_bottle, (176, 98, 28), (246, 240, 230)))),
        "mug-red.jpg": jpeg_bytes(_photo(_mug, (196, 52, 48), (250, 250, 250))),
        "mug-navy.png": encoded(_photo(_mug, (38, 58, 112), (250, 250, 250), side=1200), "PNG"),
        "lamp-brass.webp": encoded(_photo(_lamp, (206, 164, 72), (228, 224, 216)), "WEBP", quality=90),
        "lamp-teal.avif": encoded(_photo(_lamp, (30, 128, 132), (240, 244, 244)), "AVIF", speed=9),
        "vase-blue.tiff": encoded(
            _photo(_vase, (70, 104, 190), (244, 244, 248), side=1200), "TIFF", compression="tiff_lzw"
        ),
        "vase-clay.gif": encoded(_photo(_vase, (188, 104, 72), (250, 246, 240), side=900), "GIF"),
        "chair-oak.jpg": jpeg_bytes(_photo(_chair, (170, 124, 74), (236, 236, 232))),
        "chair-black.jpg": jpeg_bytes(_portrait(_photo(_chair, (44, 44, 48), (226, 228, 232)))),
        "ball-orange.jpg": jpeg_bytes(_photo(_ball, (232, 116, 32), (245, 245, 245))),
        "ball-of-a-phone.heic": heics.file("ball-of-a-phone"),
        "ball-small.jpg": jpeg_bytes(_photo(_ball, (92, 168, 60), (245, 245, 245), side=320)),
        "book-sideways.jpg": oriented(_photo(_book, (120, 44, 92), (240, 238, 244)), 6, quality=90),
        "book-print-cmyk.jpg": jpeg_bytes(_photo(_book, (24, 92, 148), (250, 250, 250)).convert("CMYK")),
        "mug-cutout.png": encoded(_cutout(_mug, (232, 186, 40), side=1200), "PNG"),
        "lamp-cutout.webp": encoded(_cutout(_lamp, (150, 60, 130), side=1200), "WEBP", quality=90),
    }
    written["copies/red mug (copy).jpg"] = written["mug-red.jpg"]
    written["broken/cut-in-half.jpg"] = written["chair-oak.jpg"][: len(written["chair-oak.jpg"]) // 2]
    written["broken/text-named.jpg"] = b"This is a text file that somebody renamed.\n"
    written["broken/notes.txt"] = b"Not an image, and it does not say it is one.\n"
    for name, data in written.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)


def draw_throwaways() -> dict[str, bytes]:
    """Three small JPEGs by name, for a purge: the same bytes every time, none like another photo here."""
    return {
        "chair-red.jpg": jpeg_bytes(_photo(_chair, (190, 40, 52), (240, 238, 236), side=480)),
        "vase-green.jpg": jpeg_bytes(_photo(_vase, (64, 140, 96), (246, 244, 240), side=480)),
        "lamp-violet.jpg": jpeg_bytes(_photo(_lamp, (122, 72, 176), (238, 240, 244), side=480)),
    }


def _photo(shape: Shape, colour: Colour, backdrop: Colour, *, side: int = _SIDE) -> Image.Image:
    """The product on a studio backdrop: a floor that darkens towards the front, a contact shadow."""
    falloff = Image.linear_gradient("L").resize((side, side)).point(lambda v: 255 - v // 7)
    scene = ImageChops.multiply(Image.new("RGB", (side, side), backdrop), Image.merge("RGB", [falloff] * 3))
    product = _cutout(shape, colour, side=side)
    scene.paste((30, 30, 36), mask=_soft_ellipse((0.24, 0.83, 0.8, 0.93), 150, side=side))
    scene.paste(product, mask=product)
    return scene


def _portrait(image: Image.Image) -> Image.Image:
    """The middle of a square photo, 3:4."""
    return image.crop((image.width // 8, 0, image.width - image.width // 8, image.height))


def _cutout(shape: Shape, colour: Colour, *, side: int) -> Image.Image:
    """The product alone, lit from the left, transparent around it."""
    drawn = 2 * side  # drawn at twice the size: Pillow's shapes have no smooth edges of their own
    mask = Image.new("L", (drawn, drawn), 0)
    shape(ImageDraw.Draw(mask), drawn)
    mask = mask.resize((side, side), Image.Resampling.BOX)
    light = Image.linear_gradient("L").rotate(90).resize((side, side))
    shade = light.point([round(255 * (0.42 + 0.58 * (0.5 + 0.5 * math.sin(v / 255 * math.pi * 1.25))))
                         for v in range(256)])  # fmt: skip
    body = ImageChops.multiply(Image.new("RGB", (side, side), colour), Image.merge("RGB", [shade] * 3))
    body.paste((255, 255, 255), mask=_soft_ellipse((0.34, 0.2, 0.44, 0.78), 110, side=side))
    body.putalpha(mask)
    return body


def _soft_ellipse(box: tuple[float, float, float, float], strength: int, *, side: int) -> Image.Image:
    """A blurred mask; `box` in parts of the side.  Blurred small, since nothing of it is sharp."""
    small = side // 6
    mask = Image.new("L", (small, small), 0)
    ImageDraw.Draw(mask).ellipse([edge * small for edge in box], fill=strength)
    return mask.filter(ImageFilter.GaussianBlur(small / 42)).resize((side, side), Image.Resampling.BICUBIC)


def _bottle(draw: ImageDraw.ImageDraw, s: int) -> None:
    draw.rounded_rectangle((s * 0.36, s * 0.38, s * 0.64, s * 0.88), s * 0.05, fill=255)
    draw.ellipse((s * 0.36, s * 0.3, s * 0.64, s * 0.52), fill=255)
    draw.rectangle((s * 0.455, s * 0.12, s * 0.545, s * 0.36), fill=255)
    draw.rounded_rectangle((s * 0.44, s * 0.09, s * 0.56, s * 0.15), s * 0.012, fill=255)
    draw.rounded_rectangle((s * 0.375, s * 0.56, s * 0.625, s * 0.76), s * 0.01, fill=225)


def _mug(draw: ImageDraw.ImageDraw, s: int) -> None:
    draw.ellipse((s * 0.6, s * 0.38, s * 0.84, s * 0.72), outline=255, width=round(s * 0.045))
    draw.rounded_rectangle((s * 0.26, s * 0.28, s * 0.68, s * 0.88), s * 0.06, fill=255)
    draw.ellipse((s * 0.26, s * 0.24, s * 0.68, s * 0.34), fill=215)


def _lamp(draw: ImageDraw.ImageDraw, s: int) -> None:
    draw.polygon(
        [(s * 0.38, s * 0.12), (s * 0.62, s * 0.12), (s * 0.76, s * 0.46), (s * 0.24, s * 0.46)], 255
    )
    draw.rectangle((s * 0.485, s * 0.44, s * 0.515, s * 0.84), fill=255)
    draw.ellipse((s * 0.34, s * 0.81, s * 0.66, s * 0.89), fill=255)


def _vase(draw: ImageDraw.ImageDraw, s: int) -> None:
    outline = [
        (
            0.5
            + 0.5 * side * (0.16 + 0.2 * math.sin((y - 0.16) / 0.72 * math.pi * 1.12) ** 2 + 0.1 * (y < 0.2)),
            y,
        )
        for side, heights in ((1, range(16, 89)), (-1, range(88, 15, -1)))
        for y in (height / 100 for height in heights)
    ]
    draw.polygon([(x * s, y * s) for x, y in outline], fill=255)


def _chair(draw: ImageDraw.ImageDraw, s: int) -> None:
    for left in (0.3, 0.66):
        draw.rectangle((s * left, s * 0.1, s * (left + 0.04), s * 0.88), fill=255)
    for top in (0.13, 0.25, 0.37):
        draw.rounded_rectangle((s * 0.3, s * top, s * 0.7, s * (top + 0.07)), s * 0.02, fill=255)
    draw.polygon([(s * 0.3, s * 0.53), (s * 0.7, s * 0.53), (s * 0.77, s * 0.61), (s * 0.23, s * 0.61)], 255)
    for left in (0.24, 0.72):
        draw.rectangle((s * left, s * 0.6, s * (left + 0.04), s * 0.91), fill=255)


def _ball(draw: ImageDraw.ImageDraw, s: int) -> None:
    draw.ellipse((s * 0.2, s * 0.28, s * 0.8, s * 0.88), fill=255)


def _book(draw: ImageDraw.ImageDraw, s: int) -> None:
    draw.rounded_rectangle((s * 0.27, s * 0.14, s * 0.73, s * 0.88), s * 0.012, fill=255)
    draw.rectangle((s * 0.33, s * 0.24, s * 0.67, s * 0.28), fill=190)
    draw.rectangle((s * 0.33, s * 0.31, s * 0.55, s * 0.33), fill=190)

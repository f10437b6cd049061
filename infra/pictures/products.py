"""Products drawn in code, at any size."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

TEXT_SIZES: Final = (10, 12, 14, 16, 20, 28, 40)
"""Font sizes in pixels, on images whose longer side is 500."""

PRINTS: Final = (
    ("64 GB", "32 GB"),
    ("128 GB", "256 GB"),
    ("500 ml", "330 ml"),
    ("Size 8", "Size 9"),
    ("3.5% fat", "1.5% fat"),
    ("Vanilla", "Natural"),
    ("EU 42", "EU 43"),
    ("12 pcs", "10 pcs"),
    ("Model A", "Model S"),
    ("SPF 30", "SPF 50"),
)

WHITE: Final = (255, 255, 255)

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Drawn:
    """A product drawn in code on white; `text_size` is of a picture of 500 pixels, `fine_size` of any."""

    shape: str
    body: Colour
    accent: Colour
    label: str
    text_size: int
    badge: str
    handle: str
    width: float
    height: float
    grain: float
    seed: int
    fine_print: str = ""
    fine_size: int = 10


SHAPES: Final = ("carton", "bottle", "phone", "mug", "shirt", "cabinet")


def random_product(chance: random.Random, shape: str) -> Drawn:
    colours: Sequence[Colour] = (
        (196, 48, 43),
        (38, 92, 160),
        (52, 128, 72),
        (228, 172, 52),
        (92, 62, 44),
        (150, 170, 190),
        (224, 128, 150),
        (60, 60, 66),
    )
    body, accent = chance.sample(colours, 2)
    if shape == "cabinet":
        body, accent = (247, 247, 245), (238, 238, 236)
    return Drawn(
        shape=shape,
        body=body,
        accent=accent,
        label=chance.choice(PRINTS)[0],
        text_size=chance.choice(TEXT_SIZES),
        badge=chance.choice(("NEW", "")),
        handle=chance.choice(("left", "middle")),
        width=chance.uniform(0.35, 0.6),
        height=chance.uniform(0.6, 0.85),
        grain=chance.choice((0.0, 1.5, 4.0)),
        seed=chance.randrange(10**6),
    )


def drawn(product: Drawn, size: int = 500) -> Image.Image:
    """The product on `size` x `size`, shaded and with a little grain, drawn at twice its size and reduced.

    From 2,000 pixels on it is drawn at its size: a pen of several pixels needs no reducing.
    """
    over = 2 if size < 2000 else 1
    side = size * over
    scale = side / 500
    image = Image.new("RGB", (side, side), WHITE)
    draw = ImageDraw.Draw(image)
    w, h = product.width * side, product.height * side
    x0, y0, x1, y1 = (side - w) / 2, (side - h) / 2, (side + w) / 2, (side + h) / 2

    def pen(width: float) -> int:
        return max(1, round(width * scale))

    edge = tuple(max(0, level - 18) for level in product.body)
    match product.shape:
        case "bottle":
            draw.rectangle((side / 2 - w / 7, y0, side / 2 + w / 7, y0 + h / 3), fill=product.accent)
            draw.rounded_rectangle(
                (x0, y0 + h / 4, x1, y1), w / 4, fill=product.body, outline=edge, width=pen(2)
            )
        case "phone":
            draw.rounded_rectangle((x0, y0, x1, y1), w / 10, fill=product.body, outline=edge, width=pen(3))
            draw.rounded_rectangle(
                (x0 + w / 12, y0 + h / 16, x0 + w / 3, y0 + h / 5), w / 24, fill=product.accent
            )
        case "mug":
            draw.ellipse(
                (x1 - w / 6, y0 + h / 3, x1 + w / 4, y1 - h / 4), outline=product.body, width=int(w / 10)
            )
            draw.rounded_rectangle(
                (x0, y0 + h / 5, x1, y1), w / 12, fill=product.body, outline=edge, width=pen(2)
            )
            draw.rectangle((x0, y0 + h / 2, x1, y0 + 0.56 * h), fill=product.accent)
        case "shirt":
            arms = [(x0, y0 + h / 10), (side / 2, y0), (x1, y0 + h / 10), (x1 + w / 4, y0 + h / 2)]
            arms += [
                (x1 - w / 10, y0 + h / 2),
                (x1 - w / 10, y1),
                (x0 + w / 10, y1),
                (x0 + w / 10, y0 + h / 2),
            ]
            draw.polygon([*arms, (x0 - w / 4, y0 + h / 2)], fill=product.body, outline=edge)
            draw.rectangle((x0 + w / 10, y0 + 0.7 * h, x1 - w / 10, y0 + 0.75 * h), fill=product.accent)
        case "cabinet":
            draw.rectangle((x0, y0, x1, y1), fill=product.body, outline=edge, width=pen(2))
            parts = 2 + product.seed % 3
            for part in range(1, parts):
                if product.handle == "left":
                    draw.line((x0 + part * w / parts, y0, x0 + part * w / parts, y1), fill=edge, width=pen(2))
                else:
                    draw.line((x0, y0 + part * h / parts, x1, y0 + part * h / parts), fill=edge, width=pen(2))
        case _:
            draw.rectangle((x0, y0, x1, y1), fill=product.body, outline=edge, width=pen(2))
            draw.polygon(
                [(x0, y0), (x1, y0), (x1 - w / 8, y0 - h / 12), (x0 + w / 8, y0 - h / 12)],
                fill=product.accent,
            )
            draw.rectangle((x0 + w / 10, y0 + 0.65 * h, x1 - w / 10, y0 + 0.9 * h), fill=product.accent)
    if product.badge:
        radius = 26 * scale
        centre = (x0 + w / 4, y0 + h / 3)
        draw.ellipse(
            (centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius),
            fill=(214, 32, 44),
        )
        draw.text(
            centre, product.badge, fill=WHITE, font=ImageFont.load_default(round(17 * scale)), anchor="mm"
        )
    dark = sum(product.body) > 380
    ink = (30, 30, 30) if dark else (240, 240, 240)
    font = ImageFont.load_default(round(product.text_size * scale))
    draw.text((side / 2, y0 + 0.55 * h), product.label, fill=ink, font=font, anchor="mm")
    if product.fine_print:
        font = ImageFont.load_default(product.fine_size * over)
        draw.text((side / 2, y0 + 0.62 * h), product.fine_print, fill=ink, font=font, anchor="mm")
    return _shaded(image.resize((size, size), Image.Resampling.LANCZOS) if over > 1 else image, product)


def _shaded(image: Image.Image, product: Drawn) -> Image.Image:
    """Light falling from the left and grain, on the product only: white stays white."""
    ramp = np.linspace(1.03, 0.9 if product.shape != "cabinet" else 0.99, image.width)[None, :, None]
    pixels = np.asarray(image, np.float64)
    mask = (pixels.min(axis=-1, keepdims=True) < 254).astype(np.float64)
    grain = np.random.default_rng(product.seed).normal(0, product.grain, (image.height, image.width, 1))
    shaded = pixels * (1 + mask * (ramp - 1)) + mask * grain
    return Image.fromarray(np.clip(np.rint(shaded), 0, 255).astype(np.uint8))

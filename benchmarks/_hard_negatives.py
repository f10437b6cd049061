"""Pairs a hash cannot tell apart and a customer can: one product, and another that differs in one thing.

Drawn on real images and on products drawn here; every pair is reproducible from its seed.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

from benchmarks._edits import encoded, jpeg, resized

TEXT_SIZES: Final = (10, 12, 14, 16, 20, 28, 40)
"""Font sizes in pixels, on images whose longer side is 500."""

HUES: Final = (15, 30, 60, 90, 120, 180)
"""Hue shifts in degrees."""

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

# CIE76; 2.3 is the just-noticeable difference (Mahy, Van Eycken and Oosterlinck, 1994).
JUST_NOTICEABLE: Final = 2.3

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class HardNegative:
    """Two images of different products: `kind` of difference, `detail` its size, `source` the image."""

    kind: str
    detail: str
    source: str
    left: Image.Image
    right: Image.Image


CONDITIONS: Final[Mapping[str, Callable[[Image.Image], bytes]]] = {
    "as drawn": lambda image: encoded(image, "PNG"),
    "JPEG q85": lambda image: jpeg(image, 85),
    "JPEG q50": lambda image: jpeg(image, 50),
    "WebP q80": lambda image: encoded(image, "WEBP", quality=80),
    "half size, JPEG q85": lambda image: jpeg(resized(image, 50), 85),
    "quarter size, JPEG q85": lambda image: jpeg(resized(image, 25), 85),
}
"""What the second image of a pair went through; the first is a JPEG q92 of full size, or drawn."""


_LEVELS = np.arange(256) / 255
_LINEAR: Final = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4)
# Linear sRGB to XYZ, relative to the D65 white.
_XYZ: Final = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
) / np.array([[0.95047], [1.0], [1.08883]])


def lab(image: Image.Image) -> NDArray[np.float32]:
    """CIELAB (D65) of an sRGB image, height x width x 3."""
    xyz = _LINEAR.astype(np.float32)[np.asarray(image.convert("RGB"))] @ _XYZ.T.astype(np.float32)
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)


def product_area(image: Image.Image) -> NDArray[np.bool_]:
    """Pixels that are not background: further than 5 (CIE76) from the border's median colour."""
    colours = lab(image)
    border = np.concatenate([colours[0], colours[-1], colours[:, 0], colours[:, -1]])
    area: NDArray[np.bool_] = np.linalg.norm(colours - np.median(border, axis=0), axis=-1) > 5
    return area


def is_visible(pair: HardNegative) -> bool:
    """Whether a customer could see the difference, by a rule and not by what the verifier says.

    Colour changes: the product area moves by the just-noticeable difference or more on average (of a
    recoloured part, the part).  All others: at least 20 pixels move by more than 10 (CIE76), or one in a
    hundred by the just-noticeable difference.
    A hue shift of a grey product, or the mirror image of a symmetrical one, is no other product.
    """
    moved = np.linalg.norm(lab(pair.left) - lab(pair.right), axis=-1)
    if pair.kind.startswith("hue"):
        area = product_area(pair.left)
        return bool(area.any() and moved[area].mean() >= JUST_NOTICEABLE)
    if pair.kind == "recoloured part":
        return bool((moved > 0.5).any() and moved[moved > 0.5].mean() >= JUST_NOTICEABLE)
    return int((moved > 10).sum()) >= 20 or float((moved >= JUST_NOTICEABLE).mean()) >= 0.01


def on_image(image: Image.Image, source: str, seed: int) -> Iterator[HardNegative]:
    """Every kind of change, once a size, on `image` brought to 500 pixels on its longer side."""
    chance = random.Random(f"{source} {seed}")  # noqa: S311 (repeatable, not secret)
    base = ImageOps.contain(image.convert("RGB"), (500, 500), Image.Resampling.BICUBIC)
    for size in TEXT_SIZES:
        before, after = chance.choice(PRINTS)
        at = (chance.uniform(0.2, 0.6), chance.uniform(0.2, 0.8))
        left, right = (with_print(base, text, size, at) for text in (before, after))
        yield HardNegative("print", f"{size} px", source, left, right)
        yield HardNegative("print gone", f"{size} px", source, left, base)
    for degrees in HUES:
        yield HardNegative("hue (HSV)", f"{degrees}°", source, base, hue_shifted(base, degrees))
        yield HardNegative("hue (constant luma)", f"{degrees}°", source, base, chroma_rotated(base, degrees))
    yield badge_change(base, source, chance)
    yield recoloured_part(base, source, chance)
    yield HardNegative("mirrored", "", source, base, ImageOps.mirror(base))
    pale = faded(base, 0.12)
    yield HardNegative("near-white", "stretched", source, pale, stretched(pale, chance.uniform(1.05, 1.15)))


def with_print(image: Image.Image, text: str, size: int, at: tuple[float, float]) -> Image.Image:
    """`text` printed at a fraction of width and height, black or white, whichever stands out there."""
    printed = image.copy()
    font = ImageFont.load_default(size)
    x, y = at[0] * image.width, at[1] * image.height
    left, top, right, bottom = font.getbbox("MMMMMM")
    under = image.crop((int(x + left), int(y + top), int(x + right), int(y + bottom))).convert("L")
    light = float(np.asarray(under).mean()) > 120
    ImageDraw.Draw(printed).text((x, y), text, fill=(25, 25, 25) if light else (240, 240, 240), font=font)
    return printed


def hue_shifted(image: Image.Image, degrees: int, mask: Image.Image | None = None) -> Image.Image:
    """`image` with its hue turned in HSV; under `mask` only, where given."""
    hue, saturation, value = image.convert("HSV").split()
    turned = hue.point([(level + round(degrees * 256 / 360)) % 256 for level in range(256)])
    shifted = Image.merge("HSV", (turned, saturation, value)).convert("RGB")
    return Image.composite(shifted, image, mask) if mask else shifted


def chroma_rotated(image: Image.Image, degrees: int) -> Image.Image:
    """`image` with Cb and Cr turned about grey and the luma kept: what no grey hash can see."""
    luma, cb, cr = image.convert("YCbCr").split()
    angle = np.radians(degrees)
    chroma = (np.asarray(cb, np.float64) - 128) + 1j * (np.asarray(cr, np.float64) - 128)
    turned = chroma * np.exp(1j * angle)
    planes = [
        Image.fromarray(np.clip(np.rint(part + 128), 0, 255).astype(np.uint8))
        for part in (turned.real, turned.imag)
    ]
    return Image.merge("YCbCr", (luma, *planes)).convert("RGB")


def badge_change(base: Image.Image, source: str, chance: random.Random) -> HardNegative:
    """A round or square badge of 24 to 70 pixels that changes its word, its colour, or is gone."""
    side = chance.choice((24, 36, 50, 70))
    x, y = chance.randrange(10, base.width - side - 10), chance.randrange(10, base.height - side - 10)
    change = chance.choice(("word", "colour", "gone"))
    colours = [(200, 30, 40), (20, 110, 60), (30, 60, 160), (230, 150, 20), (120, 40, 130)]
    first, second = chance.sample(colours, 2)
    is_round = chance.random() < 0.5

    def badged(colour: Colour, word: str) -> Image.Image:
        image = base.copy()
        draw = ImageDraw.Draw(image)
        (draw.ellipse if is_round else draw.rectangle)((x, y, x + side, y + side), fill=colour)
        font = ImageFont.load_default(max(9, side // 3))
        draw.text((x + side / 2, y + side / 2), word, fill=WHITE, font=font, anchor="mm")
        return image

    left = badged(first, "NEW")
    right = {"word": badged(first, "BIO"), "colour": badged(second, "NEW"), "gone": base.copy()}[change]
    return HardNegative("badge", f"{change}, {side} px", source, left, right)


def recoloured_part(base: Image.Image, source: str, chance: random.Random) -> HardNegative:
    """An ellipse of a tenth to a third of each side, its hue turned by 60 to 180 degrees."""
    width, height = (chance.uniform(0.15, 0.35) * side for side in base.size)
    x, y = chance.uniform(0.3, 0.6) * base.width, chance.uniform(0.3, 0.6) * base.height
    mask = Image.new("L", base.size)
    ImageDraw.Draw(mask).ellipse((x - width / 2, y - height / 2, x + width / 2, y + height / 2), fill=255)
    degrees = chance.choice((60, 120, 180))
    right = hue_shifted(base, degrees, mask.filter(ImageFilter.GaussianBlur(1)))
    return HardNegative("recoloured part", f"{degrees}°", source, base, right)


@dataclass(frozen=True)
class Drawn:
    """A product drawn in code on 500 x 500 white."""

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


def drawn(product: Drawn) -> Image.Image:
    """The product, shaded and with a little grain, drawn at twice its size and reduced."""
    scale = 2
    side = 500 * scale
    image = Image.new("RGB", (side, side), WHITE)
    draw = ImageDraw.Draw(image)
    w, h = product.width * side, product.height * side
    x0, y0, x1, y1 = (side - w) / 2, (side - h) / 2, (side + w) / 2, (side + h) / 2
    edge = tuple(max(0, level - 18) for level in product.body)
    match product.shape:
        case "bottle":
            draw.rectangle((side / 2 - w / 7, y0, side / 2 + w / 7, y0 + h / 3), fill=product.accent)
            draw.rounded_rectangle((x0, y0 + h / 4, x1, y1), w / 4, fill=product.body, outline=edge, width=4)
        case "phone":
            draw.rounded_rectangle((x0, y0, x1, y1), w / 10, fill=product.body, outline=edge, width=6)
            draw.rounded_rectangle(
                (x0 + w / 12, y0 + h / 16, x0 + w / 3, y0 + h / 5), w / 24, fill=product.accent
            )
        case "mug":
            draw.ellipse(
                (x1 - w / 6, y0 + h / 3, x1 + w / 4, y1 - h / 4), outline=product.body, width=int(w / 10)
            )
            draw.rounded_rectangle((x0, y0 + h / 5, x1, y1), w / 12, fill=product.body, outline=edge, width=4)
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
            draw.rectangle((x0, y0, x1, y1), fill=product.body, outline=edge, width=4)
            parts = 2 + product.seed % 3
            for part in range(1, parts):
                if product.handle == "left":
                    draw.line((x0 + part * w / parts, y0, x0 + part * w / parts, y1), fill=edge, width=4)
                else:
                    draw.line((x0, y0 + part * h / parts, x1, y0 + part * h / parts), fill=edge, width=4)
        case _:
            draw.rectangle((x0, y0, x1, y1), fill=product.body, outline=edge, width=4)
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
        draw.text(centre, product.badge, fill=WHITE, font=ImageFont.load_default(17 * scale), anchor="mm")
    dark = sum(product.body) > 380
    ink = (30, 30, 30) if dark else (240, 240, 240)
    font = ImageFont.load_default(product.text_size * scale)
    draw.text((side / 2, y0 + 0.55 * h), product.label, fill=ink, font=font, anchor="mm")
    return _shaded(image.resize((500, 500), Image.Resampling.LANCZOS), product)


def _shaded(image: Image.Image, product: Drawn) -> Image.Image:
    """Light falling from the left and grain, on the product only: white stays white."""
    ramp = np.linspace(1.03, 0.9 if product.shape != "cabinet" else 0.99, 500)[None, :, None]
    pixels = np.asarray(image, np.float64)
    mask = (pixels.min(axis=-1, keepdims=True) < 254).astype(np.float64)
    grain = np.random.default_rng(product.seed).normal(0, product.grain, (500, 500, 1))
    shaded = pixels * (1 + mask * (ramp - 1)) + mask * grain
    return Image.fromarray(np.clip(np.rint(shaded), 0, 255).astype(np.uint8))


def on_drawn_products(first: int, last: int, seed: int = 1) -> Iterator[HardNegative]:
    """Products `first` up to `last`, shapes in turn, each with every change that makes it another."""
    for index in range(first, last):
        shape = SHAPES[index % len(SHAPES)]
        chance = random.Random(f"{shape} {index} {seed}")  # noqa: S311 (repeatable, not secret)
        product = random_product(chance, shape)
        source = f"drawn {shape} {index}"
        base = drawn(product)

        def pair(kind: str, detail: str, left: Drawn, right: Drawn, source: str = source) -> HardNegative:
            return HardNegative(kind, detail, source, drawn(left), drawn(right))

        before, after = chance.choice(PRINTS)
        for size in TEXT_SIZES:
            left = replace(product, label=before, text_size=size)
            yield pair("print", f"{size} px", left, replace(left, label=after))
            yield pair("print gone", f"{size} px", left, replace(left, label=""))
        for degrees in HUES:
            yield HardNegative("hue (HSV)", f"{degrees}°", source, base, hue_shifted(base, degrees))
            yield HardNegative(
                "hue (constant luma)", f"{degrees}°", source, base, chroma_rotated(base, degrees)
            )
        yield pair("badge", "added", replace(product, badge=""), replace(product, badge="NEW"))
        yield pair("badge", "word", replace(product, badge="NEW"), replace(product, badge="BIO"))
        other = chance.choice(
            [c for c in ((196, 48, 43), (38, 92, 160), (52, 128, 72)) if c != product.accent]
        )
        yield pair("recoloured part", "accent", product, replace(product, accent=other))
        other = chance.choice([c for c in ((92, 62, 44), (224, 128, 150), (60, 60, 66)) if c != product.body])
        yield pair("colourway", "body", product, replace(product, body=other))
        yield HardNegative("mirrored", "", source, base, ImageOps.mirror(base))
        wider = replace(product, width=product.width * chance.uniform(1.06, 1.15))
        yield pair("shape", "width", product, wider)


def near_white_shapes(first: int, last: int, seed: int = 1) -> Iterator[HardNegative]:
    """Near-white products on white with other fronts, other proportions or another tint."""
    for index in range(first, last):
        chance = random.Random(f"near-white {index} {seed}")  # noqa: S311 (repeatable, not secret)
        product = random_product(chance, "cabinet")
        change = ("fronts", "doors", "width", "tint")[index % 4]
        other = {
            "fronts": replace(product, handle="left" if product.handle == "middle" else "middle"),
            "doors": replace(product, seed=product.seed + 1),
            "width": replace(product, width=product.width * chance.uniform(1.05, 1.2)),
            "tint": replace(product, body=(240, 240, 250) if chance.random() < 0.5 else (252, 248, 236)),
        }[change]
        # The grain follows the seed; "doors" needs the number of fronts alone.
        plain = replace(product, grain=0.0, label=""), replace(other, grain=0.0, label="")
        yield HardNegative("near-white", change, f"drawn cabinet {index}", drawn(plain[0]), drawn(plain[1]))


def faded(image: Image.Image, contrast: float) -> Image.Image:
    """`image` at a fraction of its contrast to white, as a near-white product is lit."""
    return Image.blend(Image.new("RGB", image.size, WHITE), image, contrast)


def stretched(image: Image.Image, factor: float) -> Image.Image:
    """`image` with its content `factor` as wide, in the same frame."""
    centre = image.width / 2
    return image.transform(
        image.size,
        Image.Transform.AFFINE,
        (1 / factor, 0, centre - centre / factor, 0, 1, 0),
        Image.Resampling.BICUBIC,
    )

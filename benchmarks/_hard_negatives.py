"""Pairs a hash cannot tell apart and a customer can: one product, and another that differs in one thing.

Drawn on real images and on products drawn here, at any size; every pair is reproducible from its seed.
Lengths are those of a picture of 500 pixels and grow with it, except what is called fine.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont, ImageOps

from benchmarks._edits import encoded, jpeg, resized
from benchmarks._sizes import at_size

TEXT_SIZES: Final = (10, 12, 14, 16, 20, 28, 40)
"""Font sizes in pixels, on images whose longer side is 500."""

FINE_PRINT: Final = (8, 10, 12, 14)
"""Font sizes in pixels of the picture itself, on pictures of FINE_FROM pixels or more."""

FINE_FROM: Final = 800

HUES: Final = (15, 30, 60, 90, 120, 180)
"""Hue shifts in degrees."""

LAB_SHIFTS: Final = (5, 10, 20)
"""Distances (CIE76) between two colourways."""

RIBS: Final = (6, 12)
"""Amplitudes in grey levels."""

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


@dataclass(frozen=True)
class Change:
    """A hard negative yet to be drawn."""

    kind: str
    detail: str
    source: str
    draw: Callable[[], tuple[Image.Image, Image.Image]]

    def drawn(self) -> HardNegative:
        return HardNegative(self.kind, self.detail, self.source, *self.draw())


FULL, HALF, QUARTER = "full", "half", "quarter"

CONDITIONS: Final[Mapping[str, Mapping[str, Callable[[Image.Image], bytes]]]] = {
    FULL: {
        "PNG": lambda image: encoded(image, "PNG", compress_level=1),
        "JPEG q85": lambda image: jpeg(image, 85),
        "JPEG q50": lambda image: jpeg(image, 50),
        "WebP q80": lambda image: encoded(image, "WEBP", quality=80, method=2),
    },
    HALF: {"JPEG q85": lambda image: jpeg(resized(image, 50), 85)},
    QUARTER: {"JPEG q85": lambda image: jpeg(resized(image, 25), 85)},
}
"""What the second image of a pair went through, by its size; the first is of full size, a JPEG q92 or a PNG
where it is drawn."""


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


_OF_THE_AREA: Final = ("hue", "colourway", "black and navy")


def is_visible(pair: HardNegative) -> bool:
    """Whether a customer could see the difference at the size both are shown, by a rule of our own.

    Colour changes of the whole: the product area moves by the just-noticeable difference or more on average
    (of a recoloured part, the part).  All others: at least 20 pixels move by more than 10 (CIE76), or one in
    a hundred by the just-noticeable difference.
    A hue shift of a grey product, or the mirror image of a symmetrical one, is no other product.
    """
    left, right = pair.left, pair.right
    if left.size != right.size:
        raise ValueError("bring both to the size at which they are compared")
    if pair.kind.startswith(_OF_THE_AREA):
        step = max(1, max(left.size) // 500)
        small = (left.width // step, left.height // step)
        left, right = (image.resize(small, Image.Resampling.NEAREST) for image in (left, right))
        area = product_area(left) | product_area(right)
        return bool(area.any() and moved(left, right)[area].mean() >= JUST_NOTICEABLE)
    box = ImageChops.difference(left, right).getbbox()
    if box is None:
        return False
    difference = moved(left.crop(box), right.crop(box))
    if pair.kind.startswith("recoloured part"):
        part = difference[difference > 0.5]
        return bool(part.size and part.mean() >= JUST_NOTICEABLE)
    pixels = left.width * left.height
    return int((difference > 10).sum()) >= 20 or int((difference >= JUST_NOTICEABLE).sum()) >= 0.01 * pixels


def shows_another_product(left: Image.Image, right: Image.Image) -> bool:
    """Whether a person can tell two photos of a product in two colours apart, both shown at one size.

    Where the product is, they differ by the just-noticeable difference or more on average, or by more than
    10 (CIE76) in a hundredth of it: a detail in another colour.
    """
    pair = HardNegative("colourway", "", "", left, right)
    if left.size != right.size or is_visible(pair):
        return True
    area = product_area(left) | product_area(right)
    return bool((moved(left, right)[area] > 10).mean() >= 0.01)


def moved(left: Image.Image, right: Image.Image) -> NDArray[np.float32]:
    """CIE76 of every pixel."""
    difference: NDArray[np.float32] = np.linalg.norm(lab(left) - lab(right), axis=-1)
    return difference


def on_image(image: Image.Image, source: str, seed: int, side: int = 500) -> list[Change]:
    """Every kind of change, once a size, on `image` brought to `side` pixels on its longer side."""
    chance = random.Random(f"{source} {seed}")  # noqa: S311 (repeatable, not secret)
    base = at_size(image, side)
    unit = side / 500

    def change(kind: str, detail: str, draw: Callable[[], tuple[Image.Image, Image.Image]]) -> Change:
        return Change(kind, detail, source, draw)

    changes = []
    for kind, sizes, scale in (("print", TEXT_SIZES, unit), ("fine print", FINE_PRINT, 1.0)):
        for size in sizes if kind == "print" or side >= FINE_FROM else ():
            before, after = chance.choice(PRINTS)
            at = (chance.uniform(0.2, 0.6), chance.uniform(0.2, 0.8))
            printed = partial(with_print, base, size=round(size * scale), at=at)
            changes.append(change(kind, f"{size} px", partial(_both, printed, before, after)))
            changes.append(
                change(
                    f"{kind} gone", f"{size} px", lambda printed=printed, text=before: (printed(text), base)
                )
            )
    for degrees in HUES:
        changes.append(
            _becomes(change, "hue (HSV)", f"{degrees}°", base, partial(hue_shifted, degrees=degrees))
        )
        changes.append(
            _becomes(
                change, "hue (constant luma)", f"{degrees}°", base, partial(chroma_rotated, degrees=degrees)
            )
        )
    for distance in LAB_SHIFTS:
        angle = chance.uniform(0, 2 * np.pi)
        changes.append(
            _becomes(
                change,
                "colourway (Lab)",
                f"{distance}",
                base,
                partial(lab_shifted, distance=distance, angle=angle),
            )
        )
    changes.append(
        change("black and navy", "", lambda: (darkened(base, (0.0, 0.0)), darkened(base, (4.0, -14.0))))
    )
    for amplitude in RIBS:
        for angles in ((0, 90), (45, 135), (0, 45)):
            at, period = _somewhere(chance, base), chance.uniform(5, 9) * unit
            ribs = partial(ribbed, base, amplitude=amplitude, period=period, at=at)
            changes.append(
                change("ribs", f"±{amplitude}", lambda ribs=ribs, a=angles: (ribs(a[0]), ribs(a[1])))
            )
    for strength in (8, 14):
        before, after = chance.choice(PRINTS)
        at = (chance.uniform(0.2, 0.4), chance.uniform(0.3, 0.6))
        toned = partial(tone_on_tone, base, size=round(44 * unit), at=at, strength=strength)
        changes.append(change("tone on tone", f"{strength} levels", partial(_both, toned, before, after)))
    for kind, scale in (("recoloured part, small", unit), ("recoloured part, fine", 1.0)):
        for across in (14, 17, 20) if "small" in kind or side >= FINE_FROM else ():
            degrees, at = chance.choice((60, 120, 180)), _somewhere(chance, base)
            mask = partial(disc, base.size, at, across * scale)
            changes.append(
                change(
                    kind,
                    f"{across} px",
                    lambda mask=mask, degrees=degrees: (base, hue_shifted(base, degrees, mask())),
                )
            )
    for across in (12, 20, 30):
        at, colour = _somewhere(chance, base), chance.choice(((30, 30, 30), (235, 235, 230), (150, 110, 60)))
        mask = partial(disc, base.size, at, across * unit)
        changes.append(
            change(
                "part gone",
                f"{across} px",
                lambda mask=mask, colour=colour: (
                    Image.composite(Image.new("RGB", base.size, colour), base, mask()),
                    base,
                ),
            )
        )
    changes.append(badge_change(base, source, chance))
    changes.append(recoloured_part(base, source, chance))
    changes.append(_becomes(change, "mirrored", "", base, ImageOps.mirror))
    factor = chance.uniform(1.05, 1.15)
    changes.append(
        change("near-white", "stretched", lambda: ((pale := faded(base, 0.12)), stretched(pale, factor)))
    )
    return changes


def _both[T](made: Callable[[T], Image.Image], left: T, right: T) -> tuple[Image.Image, Image.Image]:
    return made(left), made(right)


def _becomes(
    change: Callable[[str, str, Callable[[], tuple[Image.Image, Image.Image]]], Change],
    kind: str,
    detail: str,
    base: Image.Image,
    other: Callable[[Image.Image], Image.Image],
) -> Change:
    return change(kind, detail, lambda: (base, other(base)))


def _somewhere(chance: random.Random, image: Image.Image) -> tuple[float, float]:
    """A point of the middle, in pixels."""
    return chance.uniform(0.35, 0.65) * image.width, chance.uniform(0.35, 0.65) * image.height


def disc(size: tuple[int, int], at: tuple[float, float], across: float) -> Image.Image:
    """A mask with soft edge."""
    mask = Image.new("L", size)
    x, y, radius = *at, across / 2
    ImageDraw.Draw(mask).ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return mask.filter(ImageFilter.GaussianBlur(0.7))


def ribbed(
    image: Image.Image, degrees: float, *, amplitude: float, period: float, at: tuple[float, float]
) -> Image.Image:
    """Ribs in a direction over an ellipse of two fifths of each side: a weave whose mean is the image."""
    angle = np.radians(degrees)
    y, x = np.ogrid[: image.height, : image.width]
    inside = ((x - at[0]) / (0.2 * image.width)) ** 2 + ((y - at[1]) / (0.2 * image.height)) ** 2
    wave = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period)
    ribs = amplitude * wave * np.clip(4 * (1 - inside), 0, 1)
    # Held off both ends, or clipping would change the mean.
    levels = np.clip(np.asarray(image, np.float32), amplitude, 255 - amplitude)
    return Image.fromarray(np.clip(np.rint(levels + ribs[..., None]), 0, 255).astype(np.uint8))


def tone_on_tone(
    image: Image.Image, text: str, *, size: int, at: tuple[float, float], strength: int
) -> Image.Image:
    """`text` a few levels lighter or darker than what it is printed on."""
    mask = Image.new("L", image.size)
    ImageDraw.Draw(mask).text(
        (at[0] * image.width, at[1] * image.height), text, fill=255, font=ImageFont.load_default(size)
    )
    levels = np.asarray(image, np.int16)
    up = -1 if levels.mean() > 120 else 1
    printed = levels + (up * strength * (np.asarray(mask, np.int16)[..., None] > 127))
    return Image.fromarray(np.clip(printed, 0, 255).astype(np.uint8))


def lab_shifted(image: Image.Image, distance: float, angle: float) -> Image.Image:
    """The product area moved by `distance` in the plane of a and b; lightness and background stay."""
    colours = lab(image)
    shift = np.array([0, distance * np.cos(angle), distance * np.sin(angle)], np.float32)
    return from_lab(colours + shift * product_area(image)[..., None])


def darkened(image: Image.Image, ab: tuple[float, float]) -> Image.Image:
    """The product area as a nearly black garment, L 8 to 26 after its own shading, of the chroma `ab`."""
    colours, area = lab(image), product_area(image)
    black = np.stack([8 + 0.18 * colours[..., 0], *(np.full(area.shape, part) for part in ab)], -1)
    return from_lab(np.where(area[..., None], black, colours))


def from_lab(colours: NDArray[np.floating]) -> Image.Image:
    """The sRGB image of CIELAB (D65) values, clipped to the gamut."""
    f_y = (colours[..., 0] + 16) / 116
    f = np.stack([f_y + colours[..., 1] / 500, f_y, f_y - colours[..., 2] / 200], -1)
    xyz = np.where(f > 6 / 29, f**3, (116 * f - 16) * 27 / 24389)
    linear = np.clip(xyz @ np.linalg.inv(_XYZ).T, 0, 1)
    levels = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return Image.fromarray(np.rint(255 * levels).astype(np.uint8))


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


def badge_change(base: Image.Image, source: str, chance: random.Random) -> Change:
    """A round or square badge of 24 to 70 pixels that changes its word, its colour, or is gone."""
    across = chance.choice((24, 36, 50, 70))
    side = round(across * max(base.size) / 500)
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

    def pair() -> tuple[Image.Image, Image.Image]:
        match change:
            case "word":
                return badged(first, "NEW"), badged(first, "BIO")
            case "colour":
                return badged(first, "NEW"), badged(second, "NEW")
            case _:
                return badged(first, "NEW"), base

    return Change("badge", f"{change}, {across} px", source, pair)


def recoloured_part(base: Image.Image, source: str, chance: random.Random) -> Change:
    """An ellipse of a tenth to a third of each side, its hue turned by 60 to 180 degrees."""
    width, height = (chance.uniform(0.15, 0.35) * side for side in base.size)
    x, y = chance.uniform(0.3, 0.6) * base.width, chance.uniform(0.3, 0.6) * base.height
    degrees = chance.choice((60, 120, 180))

    def pair() -> tuple[Image.Image, Image.Image]:
        mask = Image.new("L", base.size)
        ImageDraw.Draw(mask).ellipse((x - width / 2, y - height / 2, x + width / 2, y + height / 2), fill=255)
        return base, hue_shifted(base, degrees, mask.filter(ImageFilter.GaussianBlur(1)))

    return Change("recoloured part", f"{degrees}°", source, pair)


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


def on_drawn_product(index: int, side: int = 500, seed: int = 1) -> list[Change]:
    """Product `index`, shapes in turn, with every change that makes it another."""
    shape = SHAPES[index % len(SHAPES)]
    chance = random.Random(f"{shape} {index} {seed}")  # noqa: S311 (repeatable, not secret)
    product = random_product(chance, shape)
    source = f"drawn {shape} {index}"

    def pair(kind: str, detail: str, left: Drawn, right: Drawn) -> Change:
        return Change(kind, detail, source, lambda: (drawn(left, side), drawn(right, side)))

    def becomes(kind: str, detail: str, other: Callable[[Image.Image], Image.Image]) -> Change:
        return Change(kind, detail, source, lambda: ((base := drawn(product, side)), other(base)))

    changes = []
    before, after = chance.choice(PRINTS)
    for size in TEXT_SIZES:
        left = replace(product, label=before, text_size=size)
        changes.append(pair("print", f"{size} px", left, replace(left, label=after)))
        changes.append(pair("print gone", f"{size} px", left, replace(left, label="")))
    for size in FINE_PRINT if side >= FINE_FROM else ():
        left = replace(product, fine_print=before, fine_size=size)
        changes.append(pair("fine print", f"{size} px", left, replace(left, fine_print=after)))
        changes.append(pair("fine print gone", f"{size} px", left, replace(left, fine_print="")))
    for degrees in HUES:
        changes.append(becomes("hue (HSV)", f"{degrees}°", partial(hue_shifted, degrees=degrees)))
        changes.append(
            becomes("hue (constant luma)", f"{degrees}°", partial(chroma_rotated, degrees=degrees))
        )
    for distance in LAB_SHIFTS:
        shifted = partial(lab_shifted, distance=distance, angle=chance.uniform(0, 2 * np.pi))
        changes.append(becomes("colourway (Lab)", f"{distance}", shifted))
    black, navy = (replace(product, body=body) for body in ((24, 24, 25), (22, 25, 40)))
    changes.append(pair("black and navy", "", black, navy))
    changes.append(pair("badge", "added", replace(product, badge=""), replace(product, badge="NEW")))
    changes.append(pair("badge", "word", replace(product, badge="NEW"), replace(product, badge="BIO")))
    other = chance.choice([c for c in ((196, 48, 43), (38, 92, 160), (52, 128, 72)) if c != product.accent])
    changes.append(pair("recoloured part", "accent", product, replace(product, accent=other)))
    other = chance.choice([c for c in ((92, 62, 44), (224, 128, 150), (60, 60, 66)) if c != product.body])
    changes.append(pair("colourway", "body", product, replace(product, body=other)))
    changes.append(becomes("mirrored", "", ImageOps.mirror))
    wider = replace(product, width=product.width * chance.uniform(1.06, 1.15))
    changes.append(pair("shape", "width", product, wider))
    return changes


def near_white_shape(index: int, side: int = 500, seed: int = 1) -> Change:
    """A near-white product on white with another front, other proportions or another tint."""
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
    left, right = (replace(one, grain=0.0, label="") for one in (product, other))
    return Change(
        "near-white",
        change,
        f"drawn cabinet {index}",
        lambda: (drawn(left, side), drawn(right, side)),
    )


def near_white_shapes(first: int, last: int) -> Iterator[HardNegative]:
    """Near-white pairs `first` up to `last`, at 500 pixels."""
    return (near_white_shape(index).drawn() for index in range(first, last))


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

"""Pairs a hash cannot tell apart and a customer can: one product, and another that differs in one thing.

Drawn on real images and on products drawn here, at any size; every pair is reproducible from its seed.
Lengths are those of a picture of 500 pixels and grow with it, except what is called fine.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont, ImageOps

from benchmarks._colours import JUST_NOTICEABLE, from_lab, lab, moved, product_area
from benchmarks._edits import encoded, jpeg, resized
from benchmarks._sizes import at_size
from infra.pictures.products import PRINTS, SHAPES, TEXT_SIZES, WHITE, Colour, Drawn, drawn, random_product

FINE_PRINT: Final = (8, 10, 12, 14)
"""Font sizes in pixels of the picture itself, on pictures of FINE_FROM pixels or more."""

FINE_FROM: Final = 800

HUES: Final = (15, 30, 60, 90, 120, 180)
"""Hue shifts in degrees."""

LAB_SHIFTS: Final = (5, 10, 20)
"""Distances (CIE76) between two colourways."""

RIBS: Final = (6, 12)
"""Amplitudes in grey levels."""

TONES_ON_TONE: Final = (8, 14)
"""Levels between a print and what it is printed on."""


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
    left: Callable[[], Image.Image]
    right: Callable[[], Image.Image]

    def drawn(self) -> HardNegative:
        return HardNegative(self.kind, self.detail, self.source, self.left(), self.right())


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


def on_image(image: Image.Image, source: str, seed: int, side: int = 500) -> list[Change]:
    """Every kind of change, once a size, on `image` brought to `side` pixels on its longer side."""
    chance = random.Random(f"{source} {seed}")  # noqa: S311 (repeatable, not secret)
    base = at_size(image, side)
    pale = faded(base, 0.12)
    kinds = (_prints, _colourways, _textures, _parts)
    return [
        *(change for kind in kinds for change in kind(base, source, chance)),
        badge_change(base, source, chance),
        recoloured_part(base, source, chance),
        Change("mirrored", "", source, lambda: base, partial(ImageOps.mirror, base)),
        Change(
            "near-white",
            "stretched",
            source,
            lambda: pale,
            partial(stretched, pale, chance.uniform(1.05, 1.15)),
        ),
    ]


def _unit(image: Image.Image) -> float:
    """A pixel of a picture of 500, in pixels of this one."""
    return max(image.size) / 500


def _prints(base: Image.Image, source: str, chance: random.Random) -> Iterator[Change]:
    sizes = [("print", size, size * _unit(base)) for size in TEXT_SIZES]
    if max(base.size) >= FINE_FROM:
        sizes += [("fine print", size, size) for size in FINE_PRINT]
    for kind, size, pixels in sizes:
        texts = chance.choice(PRINTS)
        at = (chance.uniform(0.2, 0.6), chance.uniform(0.2, 0.8))
        before, after = (partial(with_print, base, text, round(pixels), at) for text in texts)
        yield Change(kind, f"{size} px", source, before, after)
        yield Change(f"{kind} gone", f"{size} px", source, before, lambda: base)
    for strength in TONES_ON_TONE:
        texts = chance.choice(PRINTS)
        at = (chance.uniform(0.2, 0.4), chance.uniform(0.3, 0.6))
        toned = partial(tone_on_tone, base, size=round(44 * _unit(base)), at=at, strength=strength)
        before, after = (partial(toned, text) for text in texts)
        yield Change("tone on tone", f"{strength} levels", source, before, after)


def _colourways(base: Image.Image, source: str, chance: random.Random) -> Iterator[Change]:
    def original() -> Image.Image:
        return base

    for degrees in HUES:
        yield Change("hue (HSV)", f"{degrees}°", source, original, partial(hue_shifted, base, degrees))
        turned = partial(chroma_rotated, base, degrees)
        yield Change("hue (constant luma)", f"{degrees}°", source, original, turned)
    for distance in LAB_SHIFTS:
        shifted = partial(lab_shifted, base, distance, chance.uniform(0, 2 * np.pi))
        yield Change("colourway (Lab)", f"ΔE {distance}", source, original, shifted)
    black, navy = (partial(darkened, base, ab) for ab in ((0.0, 0.0), (4.0, -14.0)))
    yield Change("black and navy", "", source, black, navy)


def _textures(base: Image.Image, source: str, chance: random.Random) -> Iterator[Change]:
    for amplitude in RIBS:
        for degrees in ((0, 90), (45, 135), (0, 45)):
            at, period = _somewhere(chance, base), chance.uniform(5, 9) * _unit(base)
            one, other = (
                partial(ribbed, base, angle, amplitude=amplitude, period=period, at=at) for angle in degrees
            )
            yield Change("ribs", f"±{amplitude}", source, one, other)


def _parts(base: Image.Image, source: str, chance: random.Random) -> Iterator[Change]:
    kinds = [("recoloured part, small", _unit(base))]
    if max(base.size) >= FINE_FROM:
        kinds.append(("recoloured part, fine", 1.0))
    for kind, scale in kinds:
        for across in (14, 17, 20):
            recoloured = partial(
                with_another_hue,
                base,
                chance.choice((60, 120, 180)),
                _somewhere(chance, base),
                across * scale,
            )
            yield Change(kind, f"{across} px", source, lambda: base, recoloured)
    for across in (12, 20, 30):
        colour = chance.choice(((30, 30, 30), (235, 235, 230), (150, 110, 60)))
        buttoned = partial(with_a_button, base, colour, _somewhere(chance, base), across * _unit(base))
        yield Change("part gone", f"{across} px", source, buttoned, lambda: base)


def _somewhere(chance: random.Random, image: Image.Image) -> tuple[float, float]:
    """A point of the middle, in pixels."""
    return chance.uniform(0.35, 0.65) * image.width, chance.uniform(0.35, 0.65) * image.height


def with_another_hue(image: Image.Image, degrees: int, at: tuple[float, float], across: float) -> Image.Image:
    return hue_shifted(image, degrees, disc(image.size, at, across))


def with_a_button(image: Image.Image, colour: Colour, at: tuple[float, float], across: float) -> Image.Image:
    return Image.composite(Image.new("RGB", image.size, colour), image, disc(image.size, at, across))


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

    others: dict[str, Callable[[], Image.Image]] = {
        "word": partial(badged, first, "BIO"),
        "colour": partial(badged, second, "NEW"),
        "gone": lambda: base,
    }
    detail = f"{change}, {across} px"
    return Change("badge", detail, source, partial(badged, first, "NEW"), others[change])


def recoloured_part(base: Image.Image, source: str, chance: random.Random) -> Change:
    """An ellipse of a tenth to a third of each side, its hue turned by 60 to 180 degrees."""
    width, height = (chance.uniform(0.15, 0.35) * side for side in base.size)
    x, y = chance.uniform(0.3, 0.6) * base.width, chance.uniform(0.3, 0.6) * base.height
    degrees = chance.choice((60, 120, 180))

    def recoloured() -> Image.Image:
        mask = Image.new("L", base.size)
        ImageDraw.Draw(mask).ellipse((x - width / 2, y - height / 2, x + width / 2, y + height / 2), fill=255)
        return hue_shifted(base, degrees, mask.filter(ImageFilter.GaussianBlur(1)))

    return Change("recoloured part", f"{degrees}°", source, lambda: base, recoloured)


def on_drawn_product(index: int, side: int = 500, seed: int = 1) -> list[Change]:
    """Product `index`, shapes in turn, with every change that makes it another."""
    shape = SHAPES[index % len(SHAPES)]
    chance = random.Random(f"{shape} {index} {seed}")  # noqa: S311 (repeatable, not secret)
    product = random_product(chance, shape)
    source = f"drawn {shape} {index}"

    def pair(kind: str, detail: str, left: Drawn, right: Drawn) -> Change:
        return Change(kind, detail, source, partial(drawn, left, side), partial(drawn, right, side))

    def becomes(kind: str, detail: str, other: Callable[[Image.Image], Image.Image]) -> Change:
        return Change(
            kind, detail, source, partial(drawn, product, side), lambda: other(drawn(product, side))
        )

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
        changes.append(becomes("colourway (Lab)", f"ΔE {distance}", shifted))
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
        partial(drawn, left, side),
        partial(drawn, right, side),
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

"""The same shot, edited: a suspected pair, never merged by itself.  Another colourway is another product."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

from benchmarks._edits import jpeg
from catalog.domain.near_duplicates import Verdict
from imaging.verification import verify
from infra.pictures.products import drawn
from tests.unit.test_verification import CARTON, opened

Edit = Callable[[Image.Image], Image.Image]

PHONE = drawn(replace(CARTON, shape="phone", width=0.6))


def levels(curve: Callable[[int], float]) -> Edit:
    table = [min(255, max(0, round(curve(level)))) for level in range(256)]
    return lambda image: image.point(table * 3)


def cropped(share: float) -> Edit:
    def crop(image: Image.Image) -> Image.Image:
        width, height = image.size
        return image.crop((round(share * width), round(share * height), width - round(share * width), height))

    return crop


def as_if_in_display_p3(image: Image.Image) -> Image.Image:
    """The numbers of Display P3 without its profile."""
    matrix = np.array([[0.8225, 0.1775, 0], [0.0332, 0.9668, 0], [0.0171, 0.0724, 0.9105]])
    linear = (np.asarray(image) / 255) ** 2.2 @ matrix.T
    return Image.fromarray(np.rint(np.clip(linear, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8))


def watermarked(image: Image.Image) -> Image.Image:
    marked = image.copy()
    font = ImageFont.load_default(image.width // 12)
    ImageDraw.Draw(marked).text((image.width * 0.7, image.height * 0.9), "SHOP", "red", font)
    return marked


EDITS: dict[str, Edit] = {
    "margins trimmed": lambda image: image.crop((60, 25, 440, 475)),
    "a border of 10": lambda image: ImageOps.expand(image, 10, "white"),
    "on a larger square": lambda image: ImageOps.expand(image, 80, "white"),
    "cropped by 2%": cropped(0.02),
    "levels 245 to 255": levels(lambda level: level * 255 / 245),
    "5% brighter": levels(lambda level: level * 1.05),
    "gamma 0.9": levels(lambda level: 255 * (level / 255) ** (1 / 0.9)),
    "profile stripped": as_if_in_display_p3,
    "a logo on top": watermarked,
}


@pytest.mark.parametrize("edit", sorted(EDITS))
def test_an_edited_shot_is_a_suspected_pair_in_either_order(edit: str) -> None:
    edited = opened(jpeg(EDITS[edit](PHONE), 90))
    verification = verify(PHONE, edited)
    assert verification.verdict is Verdict.SUSPECTED
    assert verification.refusal is not None and not verification.accepted
    assert verify(edited, PHONE) == verification


@pytest.mark.parametrize("body", [(38, 92, 160), (60, 60, 66), (150, 60, 52)])
def test_no_tone_curve_explains_another_colourway(body: tuple[int, int, int]) -> None:
    one, other = (
        drawn(replace(product, label="", badge="")).resize((300, 300))
        for product in (CARTON, replace(CARTON, body=body))
    )
    assert verify(one, opened(jpeg(other, 90))).verdict is Verdict.DIFFERENT


def ribbed(angle: float, amplitude: float, side: int) -> Image.Image:
    """Ribs of 8 pixels in `angle` degrees on grey."""
    y, x = np.mgrid[:side, :side]
    phase = 2 * np.pi * (x * np.cos(np.radians(angle)) + y * np.sin(np.radians(angle))) / 8
    return Image.fromarray(np.rint(128 + amplitude * np.sign(np.sin(phase))).astype(np.uint8)).convert("RGB")


@pytest.mark.parametrize("side", [400, 900])
@pytest.mark.parametrize("amplitude", [6, 12])
def test_ribs_of_another_direction_are_refused(amplitude: float, side: int) -> None:
    one, other = ribbed(20, amplitude, side), ribbed(110, amplitude, side)
    assert verify(one, opened(jpeg(one, 85))).accepted
    assert not verify(one, opened(jpeg(other, 85))).accepted


@pytest.mark.parametrize("size", [10, 14])
def test_print_of_ten_pixels_on_cloth_is_seen_in_a_photo_of_fifteen_hundred(size: int) -> None:
    grain = np.random.default_rng(1).normal(120, 30, (1500, 1200))
    cloth = Image.fromarray(np.clip(grain, 0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1))
    one, other = (cloth.convert("RGB") for _ in range(2))
    for picture, label in ((one, "Size 8 / 64 GB"), (other, "Size 9 / 32 GB")):
        ImageDraw.Draw(picture).text((700, 900), label, (235, 235, 235), ImageFont.load_default(size))
    verification = verify(one, opened(jpeg(other, 85)))
    assert not verification.accepted
    assert verify(one, opened(jpeg(one, 85))).accepted

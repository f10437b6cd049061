"""The verifier on drawn products: the same image re-encoded passes, another product never does."""

import io
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from benchmarks._edits import EDITS, jpeg, resized
from benchmarks._hard_negatives import (
    HUES,
    HardNegative,
    chroma_rotated,
    faded,
    hue_shifted,
    is_visible,
    near_white_shapes,
    with_print,
)
from catalog.domain.near_duplicates import Verdict
from catalog.domain.sources import DEFAULT_PIXEL_LIMITS
from imaging.originals import canonical_pixels
from imaging.verification import Refusal, is_near_blank, verify
from infra.pictures.products import SHAPES, Drawn, drawn

CARTON = Drawn(
    shape="carton",
    body=(228, 172, 52),
    accent=(38, 92, 160),
    label="64 GB",
    text_size=20,
    badge="NEW",
    handle="left",
    width=0.5,
    height=0.7,
    grain=1.5,
    seed=3,
)


LINKED = (Verdict.SAME, Verdict.TOO_SMALL)


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


@pytest.fixture(scope="module")
def carton() -> Image.Image:
    return drawn(CARTON)


@pytest.mark.parametrize(
    "edit",
    [
        "JPEG q30",
        "JPEG q50",
        "JPEG q95",
        "JPEG q60 4:4:4",
        "JPEG q80 progressive",
        "WebP q50",
        "AVIF q50",
        "PNG",
        "90% Lanczos, JPEG q85",
    ],
)
def test_a_re_encoded_or_resized_product_is_the_same(edit: str, carton: Image.Image) -> None:
    assert verify(carton, opened(EDITS[edit](carton))).accepted


@pytest.mark.parametrize(
    "edit", ["50% bilinear, JPEG q85", "50% box, PNG", "25% Lanczos, JPEG q85", "25% bicubic, PNG"]
)
def test_a_copy_too_small_to_show_the_print_is_linked_and_never_the_same(
    edit: str, carton: Image.Image
) -> None:
    verification = verify(carton, opened(EDITS[edit](carton)))
    assert verification.verdict is Verdict.TOO_SMALL
    assert verification.refusal is Refusal.HIDDEN and not verification.accepted


def test_a_half_size_copy_of_a_product_without_small_detail_is_the_same() -> None:
    mug = drawn(replace(CARTON, shape="mug", label="", badge="")).filter(ImageFilter.GaussianBlur(1))
    assert verify(mug, opened(EDITS["50% Lanczos, WebP q80"](mug))).accepted


def test_a_third_is_too_small_whatever_it_shows() -> None:
    plain = drawn(replace(CARTON, label="", badge="")).filter(ImageFilter.GaussianBlur(4))
    assert verify(plain, opened(EDITS["33% bilinear, JPEG q80"](plain))).verdict is Verdict.TOO_SMALL


@pytest.mark.parametrize("edit", ["EXIF orientation 6", "Adobe RGB"])
def test_another_orientation_or_profile_of_the_file_is_the_same_image(edit: str, carton: Image.Image) -> None:
    edited = canonical_pixels(EDITS[edit](carton), limits=DEFAULT_PIXEL_LIMITS)
    assert verify(carton, edited).accepted


@pytest.mark.parametrize("shape", SHAPES)
def test_every_drawn_shape_survives_a_half_size_webp(shape: str) -> None:
    product = drawn(replace(CARTON, shape=shape))
    assert verify(product, opened(EDITS["50% Lanczos, WebP q80"](product))).verdict in LINKED


def test_two_encodings_of_one_image_are_the_same_image(carton: Image.Image) -> None:
    assert verify(opened(jpeg(carton, 60)), opened(EDITS["50% Lanczos, WebP q80"](carton))).verdict in LINKED


@pytest.mark.parametrize("size", [10, 12, 14, 16, 20, 28, 40])
@pytest.mark.parametrize("quality", [50, 90])
def test_changed_print_is_refused(size: int, quality: int) -> None:
    left = drawn(replace(CARTON, text_size=size))
    right = drawn(replace(CARTON, text_size=size, label="32 GB"))
    verification = verify(left, opened(jpeg(right, quality)))
    assert not verification.accepted
    assert verification.scores[Refusal.DETAIL] > 1


@pytest.mark.parametrize("size", [14, 20, 40])
def test_missing_print_is_refused(size: int) -> None:
    left, right = (drawn(replace(CARTON, text_size=size, label=label)) for label in ("64 GB", ""))
    assert not verify(left, opened(jpeg(right, 85))).accepted


@pytest.mark.parametrize("size", [16, 20, 28, 40])
def test_changed_print_is_refused_at_half_size(size: int) -> None:
    left = drawn(replace(CARTON, text_size=size))
    right = drawn(replace(CARTON, text_size=size, label="32 GB"))
    assert not verify(left, opened(jpeg(resized(right, 50), 85))).accepted


def test_changed_print_on_a_textured_photo_is_refused() -> None:
    grain = np.random.default_rng(1).normal(128, 20, (375, 500, 3))
    photo = Image.fromarray(np.clip(grain, 0, 255).astype(np.uint8)).resize(
        (500, 375), Image.Resampling.BICUBIC
    )
    left, right = (with_print(photo, text, 20, (0.3, 0.5)) for text in ("64 GB", "32 GB"))
    assert not verify(left, opened(jpeg(right, 85))).accepted


@pytest.mark.parametrize("degrees", HUES)
@pytest.mark.parametrize("shift", [hue_shifted, chroma_rotated])
def test_another_hue_is_refused(degrees: int, shift: object, carton: Image.Image) -> None:
    assert callable(shift)
    verification = verify(carton, opened(jpeg(shift(carton, degrees), 85)))
    assert not verification.accepted
    assert max(verification.scores[Refusal.COLOUR], verification.scores[Refusal.COLOUR_DETAIL]) > 1


def test_a_hue_shift_of_a_grey_product_is_no_change() -> None:
    grey = drawn(replace(CARTON, body=(120, 120, 120), accent=(70, 70, 70), badge=""))
    shifted = hue_shifted(grey, 90)
    assert not is_visible(HardNegative("hue (HSV)", "90°", "grey", grey, shifted))
    assert verify(grey, opened(jpeg(shifted, 85))).accepted


@pytest.mark.parametrize(
    "change",
    [{"badge": "BIO"}, {"badge": ""}, {"accent": (196, 48, 43)}, {"body": (60, 60, 66)}, {"width": 0.54}],
    ids=["badge", "no badge", "part", "colourway", "shape"],
)
def test_another_variant_is_refused(change: dict[str, object], carton: Image.Image) -> None:
    other = drawn(replace(CARTON, **change))  # type: ignore[arg-type]
    assert not verify(carton, opened(jpeg(other, 85))).accepted


@pytest.mark.parametrize("contrast", [0.12, 0.5, 0.9])
def test_a_paler_picture_is_not_the_same(contrast: float, carton: Image.Image) -> None:
    assert not verify(carton, opened(jpeg(faded(carton, contrast), 85))).accepted


@pytest.mark.parametrize(
    "pair", list(near_white_shapes(0, 8)), ids=lambda pair: f"{pair.source}, {pair.detail}"
)
def test_two_near_white_products_of_different_shape_are_refused(pair: HardNegative) -> None:
    assert not verify(pair.left, opened(jpeg(pair.right, 85))).accepted


def test_a_mirrored_product_is_refused_as_mirrored(carton: Image.Image) -> None:
    assert verify(carton, opened(jpeg(ImageOps.mirror(carton), 85))).refusal is Refusal.MIRRORED


def test_other_proportions_are_refused_before_pixels_are_compared(carton: Image.Image) -> None:
    verification = verify(carton, carton.resize((500, 480)))
    assert verification.refusal is Refusal.ASPECT
    assert set(verification.scores) == {"aspect", "resolution"}


@pytest.mark.parametrize("side", [99, 31])
def test_an_image_too_small_to_show_the_print_is_refused(side: int, carton: Image.Image) -> None:
    assert verify(carton, carton.resize((side, side))).refusal is Refusal.RESOLUTION


@pytest.mark.parametrize("size", [(375, 500), (333, 500), (501, 334), (198, 198)])
def test_rounded_sides_keep_the_aspect(size: tuple[int, int], carton: Image.Image) -> None:
    image = carton.resize(size)
    for percent in (25, 33, 40, 67):
        assert verify(image, resized(image, percent)).scores["aspect"] <= 1


def test_the_verdict_is_the_same_in_either_order(carton: Image.Image) -> None:
    for other in (
        opened(jpeg(carton, 40)),
        opened(jpeg(resized(carton, 50), 85)),
        drawn(replace(CARTON, badge="")),
    ):
        assert verify(carton, other) == verify(other, carton)


@pytest.mark.parametrize("side", [513, 800, 2000])
@pytest.mark.parametrize("softer", ["64 GB", "32 GB"])
def test_changed_print_is_refused_between_large_images_of_one_size(side: int, softer: str) -> None:
    """Whichever is softer is the target; its resampled versions must not be among what predicts it."""
    boxes = {
        label: drawn(replace(CARTON, label=label, text_size=40)).resize((side, side))
        for label in ("64 GB", "32 GB")
    }
    boxes[softer] = boxes[softer].filter(ImageFilter.GaussianBlur(side / 1000))
    left, right = boxes.values()
    assert not verify(left, right).accepted
    assert verify(left, right) == verify(right, left)


def test_an_image_is_itself(carton: Image.Image) -> None:
    verification = verify(carton, carton)
    assert verification.accepted and verification.refusal is None
    assert max(score for name, score in verification.scores.items() if name != "resolution") < 0.01


def test_flat_images_are_compared_without_dividing_by_zero() -> None:
    white, grey = (Image.new("RGB", (64, 64), colour) for colour in ("white", (128, 128, 128)))
    assert verify(white, white).accepted
    assert verify(white, grey).refusal is Refusal.TONE


def test_a_picture_hundreds_of_times_as_long_as_wide_is_compared() -> None:
    strip = Image.linear_gradient("L").resize((33, 12_000)).convert("RGB")
    assert verify(strip, strip).accepted


def test_accepted_scores_are_all_within_their_limits(carton: Image.Image) -> None:
    verification = verify(carton, opened(jpeg(carton, 75)))
    assert set(verification.scores) == set(Refusal) - {Refusal.MIRRORED, Refusal.FINE_DETAIL}
    assert all(0 <= score <= 1 for score in verification.scores.values())


def test_memory_is_bounded_at_the_compare_scale(carton: Image.Image) -> None:
    large = carton.resize((1500, 1500))
    tracemalloc.start()
    try:
        verify(large, carton.resize((1000, 1000)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100 * 2**20


@pytest.mark.parametrize("colour", ["white", "black", (200, 210, 190)])
def test_a_flat_image_is_near_blank(colour: str | tuple[int, int, int]) -> None:
    assert is_near_blank(Image.new("RGB", (400, 300), colour))


def test_a_speck_on_white_is_near_blank() -> None:
    image = Image.new("RGB", (500, 500), "white")
    ImageDraw.Draw(image).rectangle((250, 250, 252, 252), fill="black")
    assert is_near_blank(image)


@pytest.mark.parametrize("pair", list(near_white_shapes(0, 4)), ids=lambda pair: pair.source)
def test_a_near_white_product_is_not_near_blank(pair: HardNegative) -> None:
    assert not is_near_blank(pair.left)

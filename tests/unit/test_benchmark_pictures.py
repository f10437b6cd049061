"""The comparison of pictures with libvips: what it calls alike, and what it puts on the contact sheet."""

import io

import pytest
from PIL import Image

from benchmarks import pictures
from infra.pictures import images

PHOTO = images.product_photo(1, (320, 240))
OTHER = images.product_photo(2, (320, 240))
AGAIN = Image.open(io.BytesIO(images.jpeg_bytes(PHOTO, quality=97))).convert("RGB")
RED, LESS_RED = images.flat((200, 90, 60), (64, 64)), images.flat((188, 90, 60), (64, 64))


@pytest.mark.parametrize(
    ("ours", "libvips", "agreement"),
    [
        (PHOTO, AGAIN, "shown alike"),
        (PHOTO, OTHER, "shown differently"),
        (RED, LESS_RED, "shown differently"),
        (PHOTO, "not a known format", "only we show"),
        ("corrupt: cut", PHOTO, "only libvips shows"),
        ("corrupt: cut", "not a known format", "both refuse"),
    ],
)
def test_two_outcomes_are_told_by_a_name(ours: object, libvips: object, agreement: str) -> None:
    assert pictures.compared("a", ours, libvips).agreement == agreement  # type: ignore[arg-type]


def test_a_colour_difference_is_that_of_cie_1976() -> None:
    white, grey = images.flat("white", (8, 8)), images.flat((119, 119, 119), (8, 8))
    assert pictures.compared("a", white, grey).difference == pytest.approx(50, abs=0.5)  # L* of 100 and 50


def test_the_contact_sheet_shows_both_or_why_not() -> None:
    row = pictures.compared("<odd>.tif", PHOTO, "bad labq format")
    sheet = pictures.contact_sheet([(row, PHOTO, "bad labq format")])
    assert "&lt;odd&gt;.tif" in sheet and "bad labq format" in sheet and sheet.count("<img") == 1

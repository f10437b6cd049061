"""Perceptual hashes are imagehash's, bit for bit."""

import io
from collections.abc import Iterator

import imagehash
import pytest
from PIL import Image

from catalog.domain.fingerprints import colour_distance, hamming_distance
from imaging import hashes
from infra.pictures import images


def drawings() -> Iterator[Image.Image]:
    for seed in range(40):
        yield images.product_photo(seed, (200, 150))
        yield images.noisy_scene(seed, (120, 160))
    yield from (images.flat(colour, (80, 60)) for colour in ("white", "black", "red", (254, 255, 255)))
    yield from (Image.linear_gradient("L"), Image.radial_gradient("L"))


def mirrored(image: Image.Image) -> Image.Image:
    """Left half repeated mirrored: half of its frequencies are exactly zero, so noise would decide bits."""
    half = image.crop((0, 0, image.width // 2, image.height))
    whole = image.copy()
    whole.paste(half.transpose(Image.Transpose.FLIP_LEFT_RIGHT), (image.width // 2, 0))
    return whole


def test_phash256_is_imagehashs_phash_of_size_16_bit_for_bit() -> None:
    for image in drawings():
        for variant in (image, mirrored(image)):
            assert hashes.phash256(variant) == str(imagehash.phash(variant, hash_size=16))


def test_average_and_difference_hashes_are_imagehashs() -> None:
    image = images.product_photo(7)
    assert hashes.average_hash(image) == str(imagehash.average_hash(image))
    assert hashes.difference_hash(image) == str(imagehash.dhash(image))


def test_hashes_are_hex_of_64_and_256_bits() -> None:
    image = images.product_photo(7)
    lengths = [
        len(hash_of(image)) for hash_of in (hashes.average_hash, hashes.difference_hash, hashes.phash256)
    ]
    assert lengths == [16, 16, 64]
    assert len(hashes.average_hash(images.flat("white"))) == 16


def on_white(picture: Image.Image, margins: tuple[int, int, int, int], colour: str = "white") -> Image.Image:
    """`picture` with margins to the left, top, right and bottom."""
    left, top, right, bottom = margins
    canvas = Image.new("RGB", (picture.width + left + right, picture.height + top + bottom), colour)
    canvas.paste(picture, (left, top))
    return canvas


def content_hash(image: Image.Image) -> str:
    return hashes.phash256(image.crop(hashes.content_box(image)))


@pytest.mark.parametrize("quality", [75, 95])
@pytest.mark.parametrize(
    ("margins", "colour"),
    [
        ((0, 0, 0, 0), "white"),
        ((10, 10, 10, 10), "white"),
        ((120, 0, 120, 0), "white"),
        ((30, 200, 90, 60), "#f0f0ee"),
        ((12, 12, 12, 12), "black"),
    ],
    ids=str,
)
def test_margins_trimmed_kept_or_added_leave_the_hash_of_the_content(
    margins: tuple[int, int, int, int], colour: str, quality: int
) -> None:
    for seed in range(4):
        picture = images.noisy_scene(seed, (400, 300))
        kept = on_white(picture, (80, 60, 70, 50))
        edited = Image.open(io.BytesIO(images.jpeg_bytes(on_white(picture, margins, colour), quality)))
        assert hamming_distance(content_hash(kept), content_hash(edited)) <= 31


def test_a_white_frame_round_a_picture_on_grey_is_two_borders() -> None:
    picture = images.noisy_scene(3, (400, 300))
    framed = on_white(on_white(picture, (50, 50, 50, 50), "#d0d0d0"), (20, 20, 20, 20))
    assert hamming_distance(content_hash(framed), hashes.phash256(picture)) <= 12


@pytest.mark.parametrize("image", [images.flat("white", (90, 70)), images.noisy_scene(1, (90, 70))])
def test_an_image_without_a_border_and_one_without_content_are_their_own_box(image: Image.Image) -> None:
    assert hashes.content_box(image) == (0, 0, 90, 70)


def test_a_speck_is_no_content() -> None:
    image = images.flat("white", (600, 400))
    image.paste("black", (300, 200, 306, 206))
    assert hashes.content_box(image) == (0, 0, 600, 400)


def test_colours_tell_the_hues_of_one_garment_apart_and_not_its_re_encodes() -> None:
    garment = images.product_photo(3, (400, 300))
    again = Image.open(io.BytesIO(images.jpeg_bytes(garment.resize((200, 150)), 60)))
    hue = garment.convert("HSV").getchannel("H").point(lambda value: (value + 21) % 256)
    other = Image.merge("HSV", (hue, *garment.convert("HSV").split()[1:])).convert("RGB")
    own = hashes.colours(garment)
    assert colour_distance(own, hashes.colours(again)) < 1
    assert colour_distance(own, hashes.colours(other)) > 2


def test_a_strip_of_a_few_rows_with_a_mark_is_all_content() -> None:
    strip = images.flat("white", (61, 3))
    strip.paste("black", (21, 0, 40, 1))
    assert hashes.content_box(strip) == (0, 0, 61, 3)

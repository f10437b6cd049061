"""Perceptual hashes are imagehash's, bit for bit."""

from collections.abc import Iterator

import imagehash
from PIL import Image

from imaging import hashes
from tests.builders import images


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

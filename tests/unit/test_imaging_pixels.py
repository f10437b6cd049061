"""What an original looks like: every mode, orientation and profile against a plain full decode."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageOps

from catalog.domain.rejections import ImageRejectedError, RejectionCode
from catalog.domain.sources import DEFAULT_PIXEL_LIMITS
from imaging import colour, libwebp, originals
from imaging.containers import open_container
from imaging.decoding import decode
from infra.pictures import hostile, images
from tests.builders.likeness import mean_difference

PHOTO = images.product_photo(1, (320, 240))
GREY = PHOTO.convert("L")
CUTOUT = images.product_cutout(1, (320, 240))
EXACT, LOSSY = 0.0, 1.5  # mean difference of the samples, of 255


def on_white(image: Image.Image) -> Image.Image:
    canvas = Image.new("RGB", image.size, "white")
    canvas.paste(image, mask=image.getchannel("A"))
    return canvas


def pixels(data: bytes) -> Image.Image:
    return originals.canonical_pixels(data, limits=DEFAULT_PIXEL_LIMITS)


def rejection(data: bytes) -> RejectionCode:
    with pytest.raises(ImageRejectedError) as caught:
        pixels(data)
    return caught.value.rejection.code


@pytest.mark.parametrize(
    ("data", "expected", "tolerance"),
    [
        pytest.param(images.jpeg_bytes(PHOTO), PHOTO, LOSSY, id="jpeg"),
        pytest.param(images.jpeg_bytes(PHOTO, progressive=True), PHOTO, LOSSY, id="jpeg-progressive"),
        pytest.param(images.jpeg_bytes(GREY), GREY, LOSSY, id="jpeg-grey"),
        pytest.param(images.jpeg_bytes(PHOTO.convert("CMYK")), PHOTO, LOSSY, id="jpeg-cmyk"),
        pytest.param(images.mpo_bytes([PHOTO, GREY.convert("RGB")]), PHOTO, LOSSY, id="mpo"),
        pytest.param(images.png_bytes(PHOTO), PHOTO, EXACT, id="png"),
        pytest.param(images.png_bytes(PHOTO.convert("1")), PHOTO.convert("1"), EXACT, id="png-1-bit"),
        pytest.param(images.png_bytes(GREY), GREY, EXACT, id="png-grey"),
        pytest.param(images.png_bytes(images.in_mode(PHOTO, "I;16")), GREY, EXACT, id="png-grey-16"),
        pytest.param(images.rgb16_png_bytes(PHOTO), PHOTO, EXACT, id="png-rgb-16"),
        pytest.param(images.rgb16_png_bytes(CUTOUT), on_white(CUTOUT), EXACT, id="png-rgba-16"),
        pytest.param(images.interlaced_png_bytes(PHOTO), PHOTO, EXACT, id="png-interlaced"),
        pytest.param(images.png_bytes(PHOTO.quantize(16)), PHOTO.quantize(16), EXACT, id="png-palette"),
        pytest.param(images.png_bytes(CUTOUT), on_white(CUTOUT), EXACT, id="png-alpha"),
        pytest.param(images.webp_bytes(PHOTO), PHOTO, LOSSY, id="webp"),
        pytest.param(images.webp_bytes(CUTOUT), on_white(CUTOUT), LOSSY, id="webp-alpha"),
        pytest.param(images.webp_bytes(CUTOUT, lossless=True), on_white(CUTOUT), EXACT, id="webp-lossless"),
        pytest.param(images.gif_bytes(PHOTO.quantize(64)), PHOTO.quantize(64), EXACT, id="gif"),
        pytest.param(images.gif_bytes(GREY), GREY, EXACT, id="gif-grey"),
        pytest.param(images.avif_bytes(PHOTO), PHOTO, LOSSY, id="avif"),
        pytest.param(images.avif_bytes(CUTOUT), on_white(CUTOUT), LOSSY, id="avif-alpha"),
        pytest.param(images.tiff_bytes(PHOTO), PHOTO, EXACT, id="tiff"),
        pytest.param(images.tiff_bytes(PHOTO, compression="tiff_lzw"), PHOTO, EXACT, id="tiff-lzw"),
        pytest.param(images.tiff_bytes(PHOTO, compression="jpeg"), PHOTO, LOSSY, id="tiff-jpeg"),
        pytest.param(
            images.tiff_bytes(PHOTO.convert("1"), compression="group4"),
            PHOTO.convert("1"),
            EXACT,
            id="tiff-fax",
        ),
        pytest.param(images.tiff_bytes(images.in_mode(PHOTO, "I;16")), GREY, EXACT, id="tiff-grey-16"),
        pytest.param(images.tiff_bytes(images.in_mode(PHOTO, "F")), GREY, EXACT, id="tiff-float"),
        pytest.param(images.tiff_bytes(images.in_mode(PHOTO, "CMYK")), PHOTO, EXACT, id="tiff-cmyk"),
        pytest.param(images.tiff_bytes(images.in_mode(PHOTO, "LAB")), PHOTO, LOSSY, id="tiff-lab"),
        pytest.param(images.tiff_bytes(images.in_mode(PHOTO, "YCbCr")), PHOTO, LOSSY, id="tiff-ycbcr"),
        pytest.param(images.tiff_bytes(CUTOUT), on_white(CUTOUT), EXACT, id="tiff-alpha"),
        pytest.param(
            images.tiff_bytes(CUTOUT.convert("LA")), on_white(CUTOUT).convert("L"), LOSSY, id="tiff-la"
        ),
        pytest.param(
            images.png_bytes(CUTOUT.convert("LA")), on_white(CUTOUT).convert("L"), LOSSY, id="png-la"
        ),
    ],
)
def test_every_mode_comes_out_as_rgb_with_the_right_colours(
    data: bytes, expected: Image.Image, tolerance: float
) -> None:
    image = pixels(data)
    assert image.mode == "RGB"
    assert mean_difference(image, expected) <= tolerance


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_orientation_comes_out_upright(format_name: str, orientation: int) -> None:
    assert mean_difference(pixels(images.oriented(PHOTO, orientation, format_name)), PHOTO) <= 2.5


@pytest.mark.parametrize("orientation", [0, 9, 65_535])
def test_an_orientation_that_does_not_exist_is_none(orientation: int) -> None:
    data = images.jpeg_bytes(PHOTO, exif=images.exif_bytes(orientation=orientation))
    assert mean_difference(pixels(data), PHOTO) <= LOSSY


@pytest.mark.parametrize("format_name", ["GIF", "WEBP", "PNG", "AVIF", "TIFF"])
def test_of_an_animation_the_first_frame_is_taken(format_name: str) -> None:
    frames = [PHOTO, images.product_photo(2, (320, 240))]
    assert mean_difference(pixels(images.animated_bytes(frames, format_name)), PHOTO) <= LOSSY


def test_a_first_webp_frame_smaller_than_its_canvas_lies_where_it_belongs() -> None:
    frame = images.riff_chunk(
        b"ANMF", _anmf(20, 10, PHOTO.size) + images.webp_bytes(PHOTO, lossless=True)[12:]
    )
    canvas = bytes((0x12, 0, 0, 0)) + (399).to_bytes(3, "little") + (299).to_bytes(3, "little")
    data = images.riff(images.riff_chunk(b"VP8X", canvas) + images.riff_chunk(b"ANIM", bytes(6)) + frame)
    expected = images.flat("white", (400, 300))
    expected.paste(PHOTO, (20, 10))
    assert mean_difference(pixels(data), expected) == EXACT


def _anmf(left: int, top: int, size: tuple[int, int]) -> bytes:
    numbers = (left // 2, top // 2, size[0] - 1, size[1] - 1, 100)
    return b"".join(number.to_bytes(3, "little") for number in numbers) + b"\0"


@pytest.mark.parametrize(
    ("image", "transparent"),
    [
        pytest.param(images.flat((10, 20, 30), (64, 64)), (10, 20, 30), id="rgb"),
        pytest.param(images.flat(10, (64, 64), "L"), 10, id="grey"),
        pytest.param(images.flat(0, (64, 64), "1"), 0, id="1-bit"),
        pytest.param(Image.fromarray(np.full((64, 64), 1000, np.uint16)), 1000, id="grey-16"),
        pytest.param(images.flat("navy", (64, 64)).quantize(2), 0, id="palette"),
    ],
)
def test_a_png_transparent_colour_is_transparent(image: Image.Image, transparent: object) -> None:
    assert (
        mean_difference(
            pixels(images.png_bytes(image, transparency=transparent)), images.flat("white", (64, 64))
        )
        == EXACT
    )


@pytest.mark.parametrize("mode", ["L", "I;16"])
def test_tiff_samples_in_which_zero_is_white_are_turned_round(mode: str) -> None:
    data = images.tiff_bytes(images.in_mode(PHOTO, mode))
    at = data.index(struct.pack("<HHI", 262, 3, 1)) + 8
    negative = data[:at] + b"\0\0" + data[at + 2 :]
    assert mean_difference(pixels(negative), ImageOps.invert(GREY)) == EXACT


def test_integer_samples_of_32_bits_are_rejected_because_nothing_says_what_is_white() -> None:
    assert rejection(images.tiff_bytes(images.in_mode(PHOTO, "I"))) is RejectionCode.UNSUPPORTED_FORMAT


# --- Colour profiles ---


@pytest.mark.parametrize(
    ("data", "stored", "shown"),
    [
        pytest.param(
            images.png_bytes(images.flat((102, 109, 153), (32, 32)), icc_profile=images.wide_gamut_profile()),
            (102, 109, 153),
            (128, 121, 169),
            id="rgb",
        ),
        pytest.param(
            images.png_bytes(images.flat(128, (32, 32), "L"), icc_profile=images.grey_profile(1.0)),
            (128, 128, 128),
            (188, 188, 188),
            id="grey",
        ),
        pytest.param(
            images.tiff_bytes(
                images.flat((255, 0, 0, 0), (32, 32), "CMYK"), icc_profile=images.cmyk_profile()
            ),
            (0, 255, 255),
            (162, 162, 162),
            id="cmyk",
        ),
    ],
)
def test_an_embedded_profile_is_converted_to_srgb(
    data: bytes, stored: tuple[int, ...], shown: tuple[int, ...]
) -> None:
    found = np.array(pixels(data).getpixel((16, 16)))
    assert np.abs(found - shown).max() <= 2
    assert np.abs(found - stored).max() > 10


def test_transparency_survives_a_profile() -> None:
    data = images.png_bytes(CUTOUT, icc_profile=images.wide_gamut_profile())
    assert pixels(data).getpixel((0, 0)) == (255, 255, 255)
    assert mean_difference(pixels(data), on_white(CUTOUT)) > 3


@pytest.mark.parametrize(
    "profile",
    [
        pytest.param(b"not a profile at all", id="junk"),
        pytest.param(images.wide_gamut_profile()[:300], id="cut"),
        pytest.param(images.cmyk_profile(), id="for-cmyk"),
        pytest.param(images.grey_profile(), id="for-grey"),
        pytest.param(images.wide_gamut_profile() + bytes(2**23), id="bomb-of-8-MiB"),
    ],
)
def test_a_profile_that_is_broken_mismatched_or_a_bomb_counts_as_srgb(profile: bytes) -> None:
    assert mean_difference(pixels(images.png_bytes(PHOTO, icc_profile=profile)), PHOTO) == EXACT


def test_a_profile_that_is_srgb_already_is_recognised_and_nothing_near_it_is() -> None:
    assert colour.is_srgb(images.srgb_profile())
    assert not colour.is_srgb(images.wide_gamut_profile())
    assert not colour.is_srgb(images.grey_profile())
    assert not colour.is_srgb(b"")


# --- Scaled decode ---


@pytest.mark.parametrize(
    ("size", "expected"),
    [((1535, 1600), (1535, 1600)), ((1536, 1600), (768, 800)), ((500, 3200), (500, 3200))],
)
@pytest.mark.parametrize("encode", [images.jpeg_bytes, images.png_bytes, images.webp_bytes])
def test_a_large_original_is_scaled_down_but_its_shorter_side_keeps_768_pixels(
    encode: object, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    image = images.product_photo(3, size)
    found = pixels(encode(image))  # type: ignore[operator]
    assert found.size == expected
    assert mean_difference(found, image.resize(expected, Image.Resampling.LANCZOS)) <= LOSSY


@pytest.mark.parametrize(
    ("data", "wanted", "expected"),
    [
        pytest.param(images.webp_bytes(PHOTO), (160, 120), (160, 120), id="half"),
        pytest.param(images.webp_bytes(PHOTO), (161, 120), (320, 240), id="never-below-what-is-wanted"),
        pytest.param(images.webp_bytes(PHOTO), (1, 1), (40, 30), id="an-eighth-at-most"),
        pytest.param(images.webp_bytes(PHOTO, lossless=True), (160, 120), (160, 120), id="lossless"),
        pytest.param(images.webp_bytes(CUTOUT), (160, 120), (320, 240), id="not-with-alpha"),
    ],
)
def test_a_webp_is_decoded_no_larger_than_wanted(
    data: bytes, wanted: tuple[int, int], expected: tuple[int, int]
) -> None:
    found = decode(open_container(data), wanted)
    assert found.size == expected
    whole = Image.open(io.BytesIO(data)).convert(found.mode)
    assert mean_difference(found, whole.resize(expected, Image.Resampling.BOX)) <= LOSSY


@pytest.mark.parametrize("image", [PHOTO, CUTOUT], ids=["opaque", "alpha"])
@pytest.mark.parametrize("lossless", [False, True], ids=["lossy", "lossless"])
def test_a_webp_decoded_by_libwebp_itself_is_what_pillow_makes_of_it(
    image: Image.Image, lossless: bool
) -> None:
    data = images.webp_bytes(image, lossless=lossless)
    found = libwebp.decoded(data, image.size, 1)
    assert found is not None
    assert found.tobytes() == Image.open(io.BytesIO(data)).tobytes()


def test_libwebp_decodes_nothing_that_is_not_as_announced() -> None:
    data = images.webp_bytes(PHOTO)
    assert libwebp.decoded(data, (320, 241), 1) is None
    assert libwebp.decoded(images.half_of(data), (320, 240), 1) is None
    assert libwebp.decoded(images.animated_bytes([PHOTO, CUTOUT], "WEBP"), (320, 240), 1) is None


def test_without_libwebp_pillow_decodes_a_webp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libwebp, "_library", lambda: None)
    found = decode(open_container(images.webp_bytes(PHOTO)), (160, 120))
    assert (found.size, found.mode) == ((320, 240), "RGB")


# --- Damage ---


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(images.jpeg_bytes(PHOTO), id="jpeg"),
        pytest.param(images.jpeg_bytes(PHOTO, progressive=True), id="jpeg-progressive"),
        pytest.param(images.camera_jpeg_bytes(PHOTO), id="jpeg-camera"),
        pytest.param(images.png_bytes(PHOTO), id="png"),
        pytest.param(images.webp_bytes(PHOTO), id="webp"),
        pytest.param(images.gif_bytes(PHOTO), id="gif"),
        pytest.param(images.avif_bytes(PHOTO), id="avif"),
        pytest.param(images.tiff_bytes(PHOTO), id="tiff"),
        pytest.param(images.tiff_bytes(PHOTO, compression="tiff_lzw"), id="tiff-lzw"),
    ],
)
def test_half_a_file_is_rejected_as_truncated(data: bytes) -> None:
    assert rejection(images.half_of(data)) is RejectionCode.TRUNCATED


def test_a_png_with_fewer_rows_than_it_declares_is_rejected_as_corrupt() -> None:
    assert rejection(images.with_png_size(images.png_bytes(PHOTO), 320, 400)) is RejectionCode.CORRUPT
    interlaced = images.interlaced_png_bytes(PHOTO)
    assert rejection(images.with_png_size(interlaced, 320, 400)) is RejectionCode.CORRUPT


def test_a_png_of_black_rows_is_whole() -> None:
    assert pixels(images.png_bomb(300)).getextrema() == ((0, 0), (0, 0), (0, 0))


def test_a_flipped_bit_in_png_image_data_is_rejected_as_corrupt() -> None:
    data = images.png_bytes(PHOTO)
    assert rejection(images.with_bit_flipped(data, 8 * (len(data) // 2))) is RejectionCode.CORRUPT


def test_a_png_whose_image_data_fails_its_checksum_is_rejected_as_corrupt() -> None:
    data = images.png_bytes(images.flat("black", (8, 8)))
    last_of_the_image_data = len(data) - 12 - 4 - 1
    assert rejection(hostile.repaired(images.with_bit_flipped(data, 8 * last_of_the_image_data))) is (
        RejectionCode.CORRUPT
    )


def test_a_gif_without_image_data_is_rejected() -> None:
    assert rejection(images.gif_bomb(100)) is RejectionCode.CORRUPT


def test_running_out_of_memory_is_a_fault_and_no_rejection(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_args: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image.Image, "load", exhausted)
    with pytest.raises(MemoryError):
        pixels(images.png_bytes(PHOTO))

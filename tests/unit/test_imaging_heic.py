"""HEIC: the primary picture, its turn, crop and colours, against the picture that was coded."""

import struct
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from catalog.domain.presets import DEFAULT_PRESETS
from catalog.domain.rejections import ImageRejectedError, RejectionCode
from catalog.domain.sources import DEFAULT_PIXEL_LIMITS, Source, SourceFormat
from imaging import comparison, inspection, originals, renditions
from imaging.exif import read_exif
from infra.pictures import heics, hostile, images
from tests.builders.likeness import mean_difference

PHOTO = images.product_photo(1, (240, 160))
CODED = heics.still("photo")
ON_WHITE = originals.flattened(hostile.CUTOUT, "#ffffff")
LOSSY = 2.0


def shown(data: bytes) -> Image.Image:
    source = originals.identify(data, limits=DEFAULT_PIXEL_LIMITS)
    image = originals.canonical_pixels(data, limits=DEFAULT_PIXEL_LIMITS, strict=True)
    assert source == Source(SourceFormat.HEIC, *image.size)
    return image


def rejection(data: bytes) -> RejectionCode:
    with pytest.raises(ImageRejectedError) as caught:
        shown(data)
    return caught.value.rejection.code


def similarity(first: Image.Image, second: Image.Image) -> float:
    return comparison.ssim(np.asarray(first.convert("L")), np.asarray(second.convert("L")))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("small", hostile.SMALL),
        ("small-444", hostile.SMALL),
        ("small-422", hostile.SMALL),
        ("small-10", hostile.SMALL),
        ("small-12", hostile.SMALL),
        ("small-grey", hostile.SMALL.convert("L")),
        ("small-grey-10", hostile.SMALL.convert("L")),
        ("cutout", ON_WHITE),
        ("cutout-10", ON_WHITE),
        ("photo", PHOTO),
    ],
)
def test_every_depth_and_chroma_comes_out_with_the_right_colours(name: str, expected: Image.Image) -> None:
    found = shown(heics.file(name))
    assert mean_difference(found, expected.convert("RGB")) <= LOSSY
    assert similarity(found, expected) >= 0.97


@pytest.mark.parametrize("mirrored", [None, False, True])
@pytest.mark.parametrize("quarters", range(4))
def test_a_picture_is_turned_and_mirrored_once_in_the_order_of_its_properties(
    quarters: int, mirrored: bool | None
) -> None:
    flip = {None: None, False: Image.Transpose.FLIP_TOP_BOTTOM, True: Image.Transpose.FLIP_LEFT_RIGHT}[
        mirrored
    ]
    turn, mirror = heics.turned(quarters), heics.mirrored(left_right=bool(mirrored))
    expected = PHOTO.rotate(90 * quarters, expand=True)
    if flip is None:
        assert mean_difference(shown(heics.written(CODED.having(turn))), expected) <= LOSSY
        return
    turned_first = heics.written(CODED.having(turn, mirror))
    assert mean_difference(shown(turned_first), expected.transpose(flip)) <= LOSSY
    mirrored_first = heics.written(CODED.having(mirror, turn))
    expected = PHOTO.transpose(flip).rotate(90 * quarters, expand=True)
    assert mean_difference(shown(mirrored_first), expected) <= LOSSY


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_in_its_exif_turns_nothing(orientation: int) -> None:
    """ISO 23008-12, A.2.4: what turns a picture are its properties, so that none is turned twice."""
    block = heics.exif(images.exif_bytes(orientation=orientation))
    assert mean_difference(shown(heics.written(CODED, block)), PHOTO) <= LOSSY
    sideways = heics.written(CODED.having(heics.turned(1)), block)
    assert mean_difference(shown(sideways), PHOTO.rotate(90, expand=True)) <= LOSSY


def test_what_is_cropped_away_is_not_shown_and_the_crop_comes_before_the_turn() -> None:
    crop = heics.cropped(100, 60, 2 * (30 + 50 - 120), 2 * (20 + 30 - 80))
    data = heics.written(CODED.having(crop, heics.turned(3)))
    expected = PHOTO.crop((30, 20, 130, 80)).rotate(270, expand=True)
    assert mean_difference(shown(data), expected) <= LOSSY
    assert rejection(heics.written(CODED.having(heics.turned(1), crop))) is RejectionCode.UNSUPPORTED_FORMAT


def test_a_grid_is_put_together_row_by_row_and_cut_to_its_size() -> None:
    assert mean_difference(shown(hostile.SEEDS["heic-grid"]), hostile.SMALL) <= LOSSY
    tiles = [heics.still(f"tile-{index}") for index in range(4)]
    whole = heics.grid(2, 2, 100, 90, range(2, 6))
    parts = np.asarray(shown(heics.written(whole, *tiles))), np.asarray(shown(heics.written(tiles[3])))
    assert parts[0].shape == (90, 100, 3)
    # The matrix of a grid is that of its tiles where it has none.
    assert np.abs(parts[0][64:, 64:].astype(int) - parts[1][:26, :36]).max() == 0


def test_equal_tiles_may_share_their_bytes() -> None:
    tile = heics.still("tile-0")
    data = heics.written(heics.grid(3, 2, 192, 128, range(2, 8)), *[tile] * 6, shared=True)
    assert shown(data).size == (192, 128)


def test_the_primary_picture_is_shown_not_a_thumbnail_depth_or_gain_map() -> None:
    depth, gain = heics.DEPTH, (b"auxC", bytes(4) + b"urn:com:apple:photo:2020:aux:hdrgainmap\0")
    data = heics.written(
        heics.still("small").referring(b"thmb", 3),
        heics.still("small-grey").having(depth).referring(b"auxl", 3),
        CODED,
        heics.still("small-grey").having(gain).referring(b"auxl", 3),
        primary=3,
    )
    assert mean_difference(shown(data), PHOTO) <= LOSSY


def test_premultiplied_alpha_is_divided_out() -> None:
    """Grey that is its own alpha is white at that alpha, and on white it is white."""
    grey, alpha = (
        heics.still("small-grey"),
        heics.still("small-grey").having(heics.ALPHA).referring(b"auxl", 1),
    )
    straight, premultiplied = heics.written(grey, alpha), heics.written(grey.referring(b"prem", 2), alpha)
    assert mean_difference(shown(premultiplied), images.flat("white", hostile.SIZE)) <= LOSSY
    assert mean_difference(shown(straight), shown(premultiplied)) > 5


# --- Colours ----------------------------------------------------------------------------------------------


def middle(data: bytes) -> tuple[int, ...]:
    image = shown(data)
    return image.getpixel((image.width // 2, image.height // 2))  # type: ignore[return-value]


def test_its_profile_converts_it_to_srgb_and_goes_before_numbers() -> None:
    icc = images.wide_gamut_profile()
    as_png = originals.canonical_pixels(images.png_bytes(PHOTO, icc_profile=icc), limits=DEFAULT_PIXEL_LIMITS)
    for properties in ([heics.profiled(icc)], [heics.coded(1, 13, 6), heics.profiled(icc)]):
        assert mean_difference(shown(heics.written(CODED.having(*properties))), as_png) <= LOSSY


def test_a_grid_has_the_colours_of_its_tiles_where_it_says_none() -> None:
    tiles = [heics.still(f"tile-{index}") for index in range(4)]
    wide = [tile.having(heics.coded(12, 13, 6)) for tile in tiles]
    whole = heics.grid(2, 2, 128, 128, range(2, 6))
    of_tiles, own = heics.written(whole, *wide), heics.written(whole.having(heics.coded(12, 13, 6)), *tiles)
    plain = heics.written(whole.having(heics.coded(1, 13, 6)), *tiles)
    assert shown(of_tiles).tobytes() == shown(own).tobytes() != shown(plain).tobytes()


def test_display_p3_by_number_is_converted_to_srgb() -> None:
    plain, wide = (middle(heics.written(CODED.having(heics.coded(*by, 13, 6)))) for by in ((1,), (12,)))
    as_png = images.png_bytes(PHOTO)
    cicp = hostile.with_png_chunks(as_png, (b"cICP", bytes((12, 13, 0, 1))))
    expected = originals.canonical_pixels(cicp, limits=DEFAULT_PIXEL_LIMITS)
    found = shown(heics.written(CODED.having(heics.coded(12, 13, 6))))
    assert mean_difference(found, expected) <= LOSSY
    assert plain != wide


@pytest.mark.parametrize("transfer", [16, 18])
def test_high_dynamic_range_is_tone_mapped(transfer: int) -> None:
    data = heics.written(heics.still("small-10").having(heics.coded(9, transfer, 9)))
    cicp = hostile.with_png_chunks(images.png_bytes(hostile.SMALL), (b"cICP", bytes((9, transfer, 0, 1))))
    expected = originals.canonical_pixels(cicp, limits=DEFAULT_PIXEL_LIMITS)
    assert mean_difference(shown(data), expected) <= 8  # its matrix says another thing than it was coded by


def test_range_and_matrix_are_those_it_states() -> None:
    full = shown(heics.written(CODED.having(heics.coded(1, 13, 6))))
    narrow = shown(heics.written(CODED.having(heics.coded(1, 13, 6, full=False))))
    samples = np.asarray(full).astype(float)
    stretched = np.clip((samples - 16) * 255 / 219, 0, 255)
    greys = np.ptp(np.asarray(full), axis=2) <= 6
    assert np.abs(np.asarray(narrow)[greys] - stretched[greys]).mean() <= 3
    assert mean_difference(shown(heics.written(CODED.having(heics.coded(1, 13, 1)))), full) > 0
    constant = heics.written(CODED.having(heics.coded(1, 13, 10)))
    nearest = heics.written(CODED.having(heics.coded(1, 13, 9)))
    assert shown(constant).tobytes() == shown(nearest).tobytes()


# --- What is refused --------------------------------------------------------------------------------------


def test_a_format_whose_limit_is_zero_is_not_accepted() -> None:
    limits = DEFAULT_PIXEL_LIMITS | {SourceFormat.HEIC: 0}
    for call in (originals.identify, originals.canonical_pixels, inspection.inspect):
        with pytest.raises(ImageRejectedError) as caught:
            call(heics.file("photo"), limits=limits)
        assert caught.value.rejection.code is RejectionCode.UNSUPPORTED_FORMAT


def test_the_pixels_a_decoder_allocates_count_against_the_limit() -> None:
    limits = DEFAULT_PIXEL_LIMITS | {SourceFormat.HEIC: 64 * 64 * 4 - 1}
    with pytest.raises(ImageRejectedError) as caught:
        originals.identify(hostile.SEEDS["heic-grid"], limits=limits)
    assert caught.value.rejection.code is RejectionCode.TOO_MANY_PIXELS


def test_a_file_that_ends_inside_its_picture_is_truncated() -> None:
    assert rejection(heics.file("photo")[:-1]) is RejectionCode.TRUNCATED


@pytest.mark.parametrize(
    "refused",
    [
        pytest.param(lambda: heics.written(CODED, primary=2), id="no-such-item"),
        pytest.param(lambda: heics.written(replace(CODED, kind=b"jpeg")), id="a-jpeg-in-it"),
        pytest.param(lambda: heics.written(CODED.having((b"iscl", bytes(8)))), id="to-be-scaled"),
    ],
)
def test_other_pictures_in_a_heif_are_unsupported(refused: Callable[[], bytes]) -> None:
    assert rejection(refused()) is RejectionCode.UNSUPPORTED_FORMAT


def test_the_decoder_sees_one_picture_and_nothing_else_of_the_file() -> None:
    data = hostile.SEEDS["heic-of-a-phone"]
    stripped = b"".join(originals.accepted(data, limits=DEFAULT_PIXEL_LIMITS).stripped)
    for secret in (b"Exif", b"A. Maker", b"thmb", b"auxl", b"prof", b"irot", b"clap"):
        assert secret in data and secret not in stripped


# --- Through the pipeline ---------------------------------------------------------------------------------


def test_renditions_keep_the_copyright_and_lose_the_place() -> None:
    data = hostile.SEEDS["heic-of-a-phone"]
    preset = replace(DEFAULT_PRESETS[0], keep_copyright=True)
    (made,) = renditions.render(data, [preset], limits=DEFAULT_PIXEL_LIMITS)
    block = made.data[made.data.index(b"Exif\0\0") + 6 :]
    assert read_exif(block).copyright == b"(c) A. Maker"
    assert struct.pack(">H", 0x8825) not in block[:80]


def test_a_heic_and_the_jpeg_exported_of_it_are_near_duplicates() -> None:
    data = heics.file("photo")
    exported = images.jpeg_bytes(shown(data).resize((180, 120)), quality=85)
    first = inspection.inspect(data, limits=DEFAULT_PIXEL_LIMITS)
    assert first.verify(exported).accepted
    assert inspection.inspect(exported, limits=DEFAULT_PIXEL_LIMITS).verify(data).accepted

"""Comparison: SSIM, what is measured of each preset and format, and what is recommended."""

import io
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageFilter

from catalog.domain.comparisons import SSIM_TARGET, Encoding, PresetComparison, recommended
from catalog.domain.presets import DEFAULT_PRESETS, Fit, Format, Preset
from catalog.domain.rejections import ImageRejectedError, RejectionCode
from catalog.domain.sources import DEFAULT_PIXEL_LIMITS
from imaging import comparison, renditions
from imaging.comparison import ssim
from imaging.geometry import fills_box
from infra.pictures import images

THUMB, CARD, ZOOM = DEFAULT_PRESETS
Luma = npt.NDArray[np.uint8]


def compare(data: bytes, *presets: Preset) -> tuple[PresetComparison, ...]:
    return comparison.measure(
        data, presets or DEFAULT_PRESETS, presets_per_job=1, limits=DEFAULT_PIXEL_LIMITS
    )


def luma(image: Image.Image) -> Luma:
    return np.asarray(image.convert("L"))


def noise(shape: tuple[int, int], seed: int = 7) -> tuple[Luma, Luma]:
    """A random picture and the same with an error of up to 40 at each pixel."""
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 256, shape, dtype=np.uint8)
    second = np.clip(first.astype(int) + rng.integers(-40, 41, shape), 0, 255).astype(np.uint8)
    return first, second


def ssim_by_definition(x: Luma, y: Luma) -> float:
    """Equation 13 of the paper, window by window, with sample variances."""
    tall, wide = min(7, x.shape[0]), min(7, x.shape[1])
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    found = []
    for row in range(x.shape[0] - tall + 1):
        for column in range(x.shape[1] - wide + 1):
            a = x[row : row + tall, column : column + wide].astype(float).ravel()
            b = y[row : row + tall, column : column + wide].astype(float).ravel()
            (var_a, cov), (_, var_b) = np.cov(a, b)
            mean_a, mean_b = a.mean(), b.mean()
            likeness = (2 * mean_a * mean_b + c1) * (2 * cov + c2)
            found.append(likeness / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)))
    return float(np.mean(found))


# --- SSIM -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (6, 6), (7, 7), (200, 300)])
def test_an_image_is_wholly_like_itself(shape: tuple[int, int]) -> None:
    first, _ = noise(shape)

    assert ssim(first, first) == 1.0


def test_black_and_white_are_extremes_the_sums_can_hold() -> None:
    black, white = np.zeros((300, 60), np.uint8), np.full((300, 60), 255, np.uint8)

    assert ssim(white, white) == 1.0
    assert ssim(black, white) == pytest.approx(ssim_by_definition(black[:7, :7], white[:7, :7]))


# Taller than two strips; exactly one; smaller than a window in one direction and in both.
@pytest.mark.parametrize("shape", [(300, 12), (134, 9), (40, 30), (5, 40), (40, 3), (2, 2)])
def test_ssim_is_what_its_definition_says(shape: tuple[int, int]) -> None:
    first, second = noise(shape)

    assert ssim(first, second) == pytest.approx(ssim_by_definition(first, second), abs=1e-9)
    assert ssim(second, first) == ssim(first, second)


def test_ssim_is_what_scikit_image_computes_by_default() -> None:
    of_scikit_image = 0.9537322654614038  # structural_similarity(*noise((300, 41))), version 0.26.0

    assert ssim(*noise((300, 41))) == pytest.approx(of_scikit_image, abs=1e-12)


def test_the_worse_a_picture_is_the_less_alike_it_is() -> None:
    photo = images.noisy_scene(3, (320, 240))
    by_quality = [
        ssim(luma(photo), luma(Image.open(io.BytesIO(images.jpeg_bytes(photo, quality=quality)))))
        for quality in (95, 80, 50, 20, 5)
    ]
    by_blur = [
        ssim(luma(photo), luma(photo.filter(ImageFilter.GaussianBlur(sigma)))) for sigma in (0.5, 1, 2, 4)
    ]

    assert by_quality == sorted(by_quality, reverse=True)
    assert by_blur == sorted(by_blur, reverse=True)
    assert by_quality[0] > 0.9
    assert by_quality[-1] < 0.7


# --- What is measured -----------------------------------------------------------------------------------


@pytest.mark.parametrize("presets_per_job", [1, 2, 3])
def test_the_figures_of_a_preset_are_those_of_the_rendition_its_job_stores(presets_per_job: int) -> None:
    photo = images.jpeg_bytes(images.noisy_scene(1, (2000, 1500)))
    stored = {
        rendered.preset.name: rendered
        for start in range(0, 3, presets_per_job)
        for rendered in renditions.render(
            photo, DEFAULT_PRESETS[start : start + presets_per_job], limits=DEFAULT_PIXEL_LIMITS
        )
    }

    compared = comparison.measure(
        photo, DEFAULT_PRESETS, presets_per_job=presets_per_job, limits=DEFAULT_PIXEL_LIMITS
    )

    assert [each.preset for each in compared] == [THUMB, CARD, ZOOM]
    for each in compared:
        rendered = stored[each.preset.name]
        assert (each.own.size_bytes, each.own.width, each.own.height, each.own.quality) == (
            len(rendered.data),
            rendered.width,
            rendered.height,
            rendered.quality,
        )


def test_an_original_too_large_to_be_decoded_for_every_job_is_decoded_for_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    photo = images.jpeg_bytes(images.noisy_scene(1, (2000, 1500)))
    together = comparison.measure(photo, DEFAULT_PRESETS, presets_per_job=3, limits=DEFAULT_PIXEL_LIMITS)
    assert compare(photo) != together

    monkeypatch.setattr(comparison, "MAX_DECODED_PIXELS", 3 * 2000 * 1500 - 1)

    assert compare(photo) == together


@pytest.mark.parametrize(("pixels", "at_once"), [(2000 * 1500, True), (2000 * 1500 - 1, False)])
def test_an_original_that_ingest_renders_is_measured_as_ingest_renders_it(pixels: int, at_once: bool) -> None:
    photo = images.jpeg_bytes(images.noisy_scene(1, (2000, 1500)))
    measured = comparison.measure(
        photo, DEFAULT_PRESETS, presets_per_job=1, limits=DEFAULT_PIXEL_LIMITS, rendered_on_arrival=pixels
    )
    together = comparison.measure(photo, DEFAULT_PRESETS, presets_per_job=3, limits=DEFAULT_PIXEL_LIMITS)
    assert (measured == together) is at_once


def test_every_format_is_measured_in_the_same_size_and_order() -> None:
    for each in compare(images.jpeg_bytes(images.product_photo(1, (900, 700)))):
        assert [encoding.format for encoding in each.encodings] == ["jpeg", "webp", "avif", "png"]
        assert len({(encoding.width, encoding.height) for encoding in each.encodings}) == 1
        assert [encoding.quality for encoding in each.encodings] == [85, 85, 85, None]
        assert all(0.9 < encoding.ssim <= 1 for encoding in each.encodings)


def test_the_quality_metric_is_bytes_a_pixel() -> None:
    assert round(Encoding(Format.JPEG, 5432, 200, 200, 85, 0.97, False).bytes_per_pixel, 4) == 0.1358


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("fit", Fit)
def test_the_ideal_lies_as_the_rendition_does(fit: Fit, orientation: int) -> None:
    data = images.oriented(images.noisy_scene(4, (300, 200)), orientation, quality=95)

    (compared,) = compare(data, Preset("thumb", 120, 90, fit=fit))

    assert all(encoding.ssim > 0.9 for encoding in compared.encodings)


def test_the_ideal_has_the_colours_of_the_rendition() -> None:
    data = images.jpeg_bytes(images.noisy_scene(5, (300, 200)), icc_profile=images.wide_gamut_profile())

    (compared,) = compare(data, Preset("thumb", 120, 90))

    assert compared.own.ssim > 0.9


def test_a_lossless_rendition_without_scaling_is_the_ideal_itself() -> None:
    data = images.png_bytes(images.noisy_scene(6, (120, 90)))

    (compared,) = compare(data, Preset("card", 600, 600, format=Format.PNG))

    assert compared.own.ssim == 1.0


@pytest.mark.parametrize("fit", [Fit.INSIDE, Fit.COVER])
def test_auto_is_webp_where_the_original_is_transparent(fit: Fit) -> None:
    cutout = images.png_bytes(images.product_cutout(1, (400, 300)))

    (compared,) = compare(cutout, Preset("thumb", 200, 200, fit=fit, format=Format.AUTO))

    assert compared.format is Format.WEBP
    assert [encoding.transparent for encoding in compared.encodings] == [False, True, True, True]
    assert compared.recommended.transparent


@pytest.mark.parametrize(
    ("data", "fit"),
    [
        pytest.param(images.png_bytes(images.product_photo(1, (400, 300))), Fit.INSIDE, id="opaque"),
        pytest.param(images.png_bytes(images.product_cutout(1, (400, 300))), Fit.PAD, id="padded"),
    ],
)
def test_auto_is_jpeg_where_nothing_is_transparent(data: bytes, fit: Fit) -> None:
    (compared,) = compare(data, Preset("thumb", 200, 200, fit=fit, format=Format.AUTO))

    assert compared.format is Format.JPEG
    assert not any(encoding.transparent for encoding in compared.encodings)


def test_what_shows_through_a_transparent_image_is_the_background_of_the_preset() -> None:
    cutout = images.png_bytes(images.product_cutout(1, (400, 300)))

    for background in ("#000000", "#ffffff"):
        (compared,) = compare(cutout, Preset("thumb", 200, 200, background=background))
        assert all(encoding.ssim > 0.95 for encoding in compared.encodings)


@pytest.mark.parametrize(
    ("fit", "shown", "fills"),
    [
        (Fit.INSIDE, (200, 100), True),
        (Fit.INSIDE, (100, 200), True),
        (Fit.INSIDE, (199, 199), False),
        (Fit.PAD, (200, 100), True),
        (Fit.PAD, (199, 199), False),
        (Fit.COVER, (200, 200), True),
        (Fit.COVER, (800, 199), False),
        (Fit.COVER, (199, 800), False),
    ],
)
def test_a_box_is_filled_in_one_direction_and_covered_in_both(
    fit: Fit, shown: tuple[int, int], fills: bool
) -> None:
    assert fills_box(Preset("thumb", 200, 200, fit=fit), shown) == fills


def test_presets_that_an_image_is_too_small_for_are_marked() -> None:
    compared = compare(images.jpeg_bytes(images.product_photo(1, (600, 400))))

    assert [each.needs_upscaling for each in compared] == [False, False, True]


# --- Bounds ---------------------------------------------------------------------------------------------


def test_the_largest_presets_are_measured_in_their_own_format_only_when_pixels_run_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(comparison, "MAX_COMPARED_PIXELS", 4 * 200 * 150 + 600 * 450 + 10)

    thumb, card = compare(images.jpeg_bytes(images.product_photo(1, (800, 600))), THUMB, CARD)

    assert len(thumb.encodings) == 4
    assert [encoding.format for encoding in card.encodings] == ["jpeg"]


def test_presets_that_make_too_many_pixels_are_refused_before_anything_is_decoded() -> None:
    posters = [Preset(f"poster-{number}", 4096, 4096, fit=Fit.PAD) for number in range(3)]
    half = images.half_of(images.jpeg_bytes(images.product_photo(1, (800, 600))))

    with pytest.raises(ImageRejectedError) as refused:
        compare(half, *posters)

    assert refused.value.rejection.code is RejectionCode.TOO_MANY_PIXELS


def test_a_file_that_is_no_image_is_rejected_by_its_code() -> None:
    with pytest.raises(ImageRejectedError) as refused:
        compare(b"not an image")

    assert refused.value.rejection.code is RejectionCode.UNSUPPORTED_FORMAT


# --- What is recommended --------------------------------------------------------------------------------


def encoding(output: Format, size_bytes: int, likeness: float, *, transparent: bool = False) -> Encoding:
    return Encoding(output, size_bytes, 200, 150, 85, likeness, transparent)


def compared_as(preset: Preset, side: int, *, fills: bool) -> PresetComparison:
    own = replace(encoding(Format.JPEG, 1000, 0.97), width=side, height=side)
    return PresetComparison(preset, not fills, Format.JPEG, (own,))


def test_the_smallest_file_that_reaches_the_target_is_recommended() -> None:
    preset = PresetComparison(
        THUMB,
        False,
        Format.JPEG,
        (
            encoding(Format.JPEG, 900, 0.97),
            encoding(Format.WEBP, 800, SSIM_TARGET),
            encoding(Format.AVIF, 700, SSIM_TARGET - 0.0001),
        ),
    )

    assert preset.recommended.format is Format.WEBP


def test_the_likeliest_is_recommended_where_none_reaches_the_target() -> None:
    preset = PresetComparison(
        THUMB, False, Format.JPEG, (encoding(Format.JPEG, 900, 0.90), encoding(Format.AVIF, 700, 0.93))
    )

    assert preset.recommended.format is Format.AVIF


def test_a_format_that_loses_transparency_is_not_recommended_to_a_preset_that_keeps_it() -> None:
    preset = PresetComparison(
        THUMB,
        False,
        Format.WEBP,
        (encoding(Format.JPEG, 500, 0.99), encoding(Format.WEBP, 900, 0.97, transparent=True)),
    )

    assert preset.recommended.format is Format.WEBP


def test_the_largest_preset_that_the_image_fills_is_recommended() -> None:
    filled = [compared_as(ZOOM, 1600, fills=True), compared_as(THUMB, 200, fills=True)]
    small = [compared_as(THUMB, 200, fills=True), compared_as(CARD, 500, fills=False)]

    assert recommended(filled).preset is ZOOM
    assert recommended(small).preset is THUMB


def test_an_image_that_fills_no_box_is_recommended_the_one_it_comes_closest_to() -> None:
    tiny = [compared_as(preset, 150, fills=False) for preset in (ZOOM, THUMB, CARD)]

    assert recommended(tiny).preset is THUMB

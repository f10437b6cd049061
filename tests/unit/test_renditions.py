"""Renditions: geometry, quality, formats, metadata, repeatable bytes."""

import hashlib
import io
from collections.abc import Sequence

import pytest
from PIL import Image

from catalog.domain.presets import DEFAULT_PRESETS, ENCODER_REVISION, Fit, Format, Preset
from catalog.domain.rejections import ImageRejectedError, RejectionCode
from catalog.domain.renditions import RenderedImage
from catalog.domain.sources import DEFAULT_PIXEL_LIMITS
from imaging import renditions, resizing
from imaging.geometry import placement
from infra.pictures import images
from tests.builders.likeness import mean_difference, ssim

# Of product_photo(1, (1800, 1350)) as PNG.  These bytes stand behind year-long immutable addresses: where
# this test fails, raise catalog.domain.presets.ENCODER_REVISION and write the new digests under it.
PINNED = {
    "2026-11b": {
        "thumb": "17fa1cfaf6b67a983d48dd61ae63e49f9f8325bbbc2e7eb4f7271bb6228cf07b",
        "card": "c36b51d8c1d9a522f5287fbc774a30f8d58b4f23020215419c43ce9e0cecbfce",
        "zoom": "602f4998c4a85ecfefa9ec0533029f258d01073c7e7c6f60f98a0087f5862afd",
    }
}


def render(data: bytes, presets: Sequence[Preset]) -> list[RenderedImage]:
    return list(renditions.render(data, presets, limits=DEFAULT_PIXEL_LIMITS))


def opened(rendition: RenderedImage) -> Image.Image:
    image = Image.open(io.BytesIO(rendition.data))
    image.load()
    return image


def rendered(data: bytes, preset: Preset) -> Image.Image:
    return opened(render(data, [preset])[0])


# --- Geometry ---


@pytest.mark.parametrize(
    ("fit", "box", "shown", "expected"),
    [
        pytest.param(Fit.INSIDE, (200, 200), (800, 600), (200, 150), id="inside-wide"),
        pytest.param(Fit.INSIDE, (200, 200), (600, 800), (150, 200), id="inside-tall"),
        pytest.param(Fit.INSIDE, (200, 200), (100, 50), (100, 50), id="inside-never-upscales"),
        pytest.param(Fit.INSIDE, (200, 200), (60_000, 10), (200, 1), id="inside-keeps-a-pixel"),
        pytest.param(Fit.COVER, (200, 200), (800, 600), (200, 200), id="cover-wide"),
        pytest.param(Fit.COVER, (300, 200), (600, 800), (300, 200), id="cover-tall"),
        pytest.param(Fit.COVER, (200, 100), (100, 100), (100, 50), id="cover-smaller-cuts-the-shape"),
        pytest.param(Fit.COVER, (200, 200), (500, 100), (100, 100), id="cover-one-side-too-small"),
        pytest.param(Fit.PAD, (200, 200), (800, 600), (200, 200), id="pad-is-the-box"),
        pytest.param(Fit.PAD, (200, 200), (100, 50), (200, 200), id="pad-of-smaller-is-the-box"),
    ],
)
def test_a_rendition_has_the_size_its_fit_promises(
    fit: Fit, box: tuple[int, int], shown: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert placement(Preset("p", *box, fit=fit), shown).canvas == expected


@pytest.mark.parametrize("fit", Fit)
@pytest.mark.parametrize("shown", [(1, 1), (37, 4096), (800, 600), (5000, 3), (199, 201)])
@pytest.mark.parametrize("box", [(1, 1), (200, 200), (640, 480), (4096, 1)])
def test_nothing_is_ever_scaled_up_or_cut_beyond_its_edge(
    fit: Fit, shown: tuple[int, int], box: tuple[int, int]
) -> None:
    where = placement(Preset("p", *box, fit=fit), shown)
    for side in (0, 1):
        assert 1 <= where.scaled[side] <= shown[side]
        assert 1 <= where.crop[side] <= where.scaled[side]
        assert where.canvas[side] <= box[side]


def test_cover_takes_the_centre_and_pad_centres_on_the_background() -> None:
    source = images.flat("black", (300, 100))
    source.paste("red", (100, 0, 200, 100))
    data = images.png_bytes(source)
    covered = rendered(data, Preset("c", 100, 100, fit=Fit.COVER, format=Format.PNG))
    assert mean_difference(covered, images.flat("red", (100, 100))) == 0
    padded = rendered(data, Preset("p", 300, 300, fit=Fit.PAD, format=Format.PNG, background="#0000ff"))
    expected = images.flat("blue", (300, 300))
    expected.paste(source, (0, 100))
    assert mean_difference(padded, expected) == 0


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("fit", Fit)
def test_every_orientation_is_rendered_upright(fit: Fit, orientation: int) -> None:
    photo = images.product_photo(4, (640, 400))
    preset = Preset("p", 200, 120, fit=fit)
    plain = rendered(images.oriented(photo, 1, quality=95), preset)
    turned = rendered(images.oriented(photo, orientation, quality=95), preset)
    assert mean_difference(plain, turned) <= 1.5


# --- Quality ---


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(images.jpeg_bytes(images.product_photo(5, (3300, 1000))), id="jpeg-product"),
        pytest.param(images.jpeg_bytes(images.noisy_scene(5, (3300, 1000))), id="jpeg-scene"),
        pytest.param(images.png_bytes(images.noisy_scene(5, (1700, 1000)), compress_level=1), id="png-scene"),
    ],
)
def test_renditions_look_like_a_full_decode_and_one_lanczos_resize(data: bytes) -> None:
    original = Image.open(io.BytesIO(data)).convert("RGB")
    for rendition in render(
        data, [*DEFAULT_PRESETS, Preset("near", 1500, 1500), Preset("nearer", 1400, 1400)]
    ):
        size = (rendition.width, rendition.height)
        ideal = original.resize(size, Image.Resampling.LANCZOS)
        reference = Image.open(io.BytesIO(images.jpeg_bytes(ideal, quality=85)))
        assert ssim(opened(rendition), ideal) >= ssim(reference, ideal) - 0.012


def test_a_rendition_is_made_from_the_smallest_one_at_least_half_as_large_again() -> None:
    sizes = [(1600, 1200), (1500, 1125), (600, 450), (500, 375), (200, 150)]
    assert renditions.cascade(sizes) == [None, None, 1, 1, 3]


def test_colour_under_transparency_does_not_bleed_into_edges() -> None:
    cutout = Image.new("RGBA", (400, 400), (255, 0, 255, 0))
    cutout.paste((255, 255, 255, 255), (100, 100, 300, 300))
    image = rendered(images.png_bytes(cutout), Preset("p", 100, 100))
    green = image.getchannel("G")
    assert green.getextrema()[0] >= 250  # magenta would pull it to 128 along the edges


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "CMYK", "LA"])
def test_without_the_simd_resizer_pillow_resizes_to_nearly_the_same_pixels(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = images.in_mode(images.product_cutout(6, (900, 700)), mode)
    fast = resizing.resized(image, (300, 233))
    monkeypatch.setattr(resizing, "_simd", None)
    assert mean_difference(fast, resizing.resized(image, (300, 233))) <= 0.6


# --- Formats ---


@pytest.mark.parametrize(
    ("output", "pillow_name", "content_type", "extension", "quality"),
    [
        (Format.JPEG, "JPEG", "image/jpeg", "jpg", 70),
        (Format.WEBP, "WEBP", "image/webp", "webp", 70),
        (Format.AVIF, "AVIF", "image/avif", "avif", 70),
        (Format.PNG, "PNG", "image/png", "png", None),
    ],
)
def test_each_format_is_what_it_says(
    output: Format, pillow_name: str, content_type: str, extension: str, quality: int | None
) -> None:
    photo = images.product_photo(2, (400, 300))
    preset = Preset("p", 200, 200, format=output, quality=70)
    (rendition,) = render(images.png_bytes(photo), [preset])
    image = opened(rendition)
    assert (image.format, image.size) == (pillow_name, (200, 150))
    assert (rendition.format.content_type, rendition.format.extension, rendition.quality) == (
        content_type,
        extension,
        quality,
    )
    assert (rendition.width, rendition.height) == image.size
    assert mean_difference(image, photo.resize((200, 150), Image.Resampling.LANCZOS)) <= 3


@pytest.mark.parametrize(
    ("data", "fit", "content_type"),
    [
        pytest.param(images.png_bytes(images.product_cutout(1)), Fit.INSIDE, "image/webp", id="cutout"),
        pytest.param(images.png_bytes(images.product_cutout(1)), Fit.PAD, "image/jpeg", id="cutout-padded"),
        pytest.param(
            images.png_bytes(images.product_photo(1).convert("RGBA")),
            Fit.INSIDE,
            "image/jpeg",
            id="idle-alpha",
        ),
        pytest.param(images.jpeg_bytes(images.product_photo(1)), Fit.INSIDE, "image/jpeg", id="photo"),
    ],
)
def test_auto_is_webp_only_where_some_pixel_is_transparent(data: bytes, fit: Fit, content_type: str) -> None:
    (rendition,) = render(data, [Preset("p", 200, 200, fit=fit, format=Format.AUTO)])
    assert rendition.format.content_type == content_type


@pytest.mark.parametrize("output", [Format.WEBP, Format.AVIF, Format.PNG])
def test_transparency_is_kept_where_the_format_has_it(output: Format) -> None:
    image = rendered(images.png_bytes(images.product_cutout(1)), Preset("p", 200, 200, format=output))
    assert image.mode == "RGBA"
    assert image.getpixel((0, 0))[3] == 0  # type: ignore[index]


def test_transparency_becomes_the_background_where_the_format_has_none() -> None:
    data = images.png_bytes(images.product_cutout(1))
    red, green, blue = rendered(data, Preset("p", 200, 200, background="#20a040")).getpixel((2, 2))  # type: ignore[misc]
    assert abs(red - 0x20) <= 3 and abs(green - 0xA0) <= 3 and abs(blue - 0x40) <= 3


def test_jpeg_is_progressive_from_the_size_on_where_that_is_smaller() -> None:
    for rendition in render(images.jpeg_bytes(images.product_photo(1, (800, 600))), DEFAULT_PRESETS):
        large = rendition.width * rendition.height >= 30_000
        assert bool(opened(rendition).info.get("progressive")) is large


# --- Metadata ---


@pytest.mark.parametrize("output", list(Format))
def test_no_metadata_of_the_original_reaches_a_rendition(output: Format) -> None:
    photo = images.product_photo(1, (400, 300))
    exif = images.exif_bytes(orientation=1, gps=True, copyright_text="(c) A. Maker", artist="A. Maker")
    data = images.jpeg_bytes(photo, exif=exif, comment=b"a comment", xmp=b"<x:xmpmeta/>", dpi=(300, 300))
    image = rendered(data, Preset("p", 200, 200, format=output))
    allowed = {"jfif", "jfif_version", "jfif_unit", "jfif_density", "progressive", "progression", "loop",
               "background", "timestamp", "duration"}  # fmt: skip
    assert set(image.info) <= allowed
    assert not image.getexif()


def test_a_profile_is_applied_and_not_passed_on() -> None:
    data = images.png_bytes(images.flat((102, 109, 153), (64, 64)), icc_profile=images.wide_gamut_profile())
    image = rendered(data, Preset("p", 32, 32, format=Format.PNG))
    assert "icc_profile" not in image.info
    assert image.getpixel((16, 16)) == (128, 121, 169)


def test_bytes_after_the_image_do_not_come_out_again() -> None:
    (rendition,) = render(images.polyglot_html(images.product_photo(1)), [Preset("p", 200, 200)])
    assert b"script" not in rendition.data


@pytest.mark.parametrize("output", [Format.JPEG, Format.WEBP, Format.AVIF, Format.PNG])
def test_copyright_and_artist_are_kept_on_request_and_nothing_else(output: Format) -> None:
    data = images.camera_jpeg_bytes(images.product_photo(1, (400, 300)))
    image = rendered(data, Preset("p", 200, 200, format=output, keep_copyright=True))
    assert dict(image.getexif()) == {0x8298: "(c) A. Maker", 0x013B: "A. Maker"}


# --- Order and repetition ---


def test_presets_come_largest_first_whatever_their_order() -> None:
    data = images.jpeg_bytes(images.product_photo(1, (2000, 1500)))
    names = [rendition.preset.name for rendition in render(data, DEFAULT_PRESETS)]
    assert names == ["zoom", "card", "thumb"]


def test_the_same_input_gives_the_same_bytes() -> None:
    data = images.png_bytes(images.product_cutout(1))
    presets = [*DEFAULT_PRESETS, *(Preset(str(output), 300, 300, format=output) for output in Format)]
    assert [r.data for r in render(data, presets)] == [r.data for r in render(data, presets)]


def test_the_default_renditions_are_the_bytes_pinned_to_the_encoder_revision() -> None:
    data = images.png_bytes(images.product_photo(1, (1800, 1350)), compress_level=1)
    digests = {r.preset.name: hashlib.sha256(r.data).hexdigest() for r in render(data, DEFAULT_PRESETS)}
    assert digests == PINNED[ENCODER_REVISION]


def test_a_rejection_comes_before_the_first_rendition() -> None:
    data = images.half_of(images.jpeg_bytes(images.product_photo(1)))
    with pytest.raises(ImageRejectedError) as caught:
        renditions.render(data, DEFAULT_PRESETS, limits=DEFAULT_PIXEL_LIMITS)
    assert caught.value.rejection.code is RejectionCode.TRUNCATED

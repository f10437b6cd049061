"""What a file is: by content, from its header, before anything is decoded."""

import subprocess
import sys
from collections.abc import Callable

import pytest
from PIL import Image

from catalog.domain.rejections import ImageRejectedError, RejectionCode
from catalog.domain.sources import DEFAULT_PIXEL_LIMITS, Source, SourceFormat
from imaging import originals
from infra.pictures import heics, images

PHOTO = images.product_photo(1, (320, 240))
FILES = {
    SourceFormat.JPEG: images.jpeg_bytes(PHOTO),
    SourceFormat.PNG: images.png_bytes(PHOTO),
    SourceFormat.WEBP: images.webp_bytes(PHOTO),
    SourceFormat.GIF: images.gif_bytes(PHOTO),
    SourceFormat.AVIF: images.avif_bytes(PHOTO),
    SourceFormat.TIFF: images.tiff_bytes(PHOTO),
    SourceFormat.HEIC: heics.written(heics.still("photo"), heics.still("small"), primary=1),
}
ORIENTABLE = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF")


def identify(data: bytes) -> Source:
    return originals.identify(data, limits=DEFAULT_PIXEL_LIMITS)


def rejection(data: bytes) -> RejectionCode:
    with pytest.raises(ImageRejectedError) as caught:
        identify(data)
    return caught.value.rejection.code


@pytest.mark.parametrize("source_format", FILES)
def test_each_format_of_the_allow_list_is_identified_by_content(source_format: SourceFormat) -> None:
    size = (240, 160) if source_format is SourceFormat.HEIC else (320, 240)
    assert identify(FILES[source_format]) == Source(source_format, *size)


def test_a_multi_picture_jpeg_is_a_jpeg_of_its_first_picture() -> None:
    data = images.mpo_bytes([PHOTO, images.product_photo(2, (100, 100))])
    assert identify(data) == Source(SourceFormat.JPEG, 320, 240)


@pytest.mark.parametrize("format_name", ["GIF", "WEBP", "PNG", "AVIF", "TIFF"])
def test_an_animation_is_its_first_frame(format_name: str) -> None:
    data = images.animated_bytes([PHOTO, images.product_photo(2, (320, 240))], format_name)
    assert identify(data) == Source(SourceFormat(format_name.lower()), 320, 240)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_name", ORIENTABLE)
def test_width_and_height_are_those_a_viewer_shows(format_name: str, orientation: int) -> None:
    source = identify(images.oriented(PHOTO, orientation, format_name))
    assert (source.width, source.height) == PHOTO.size


def test_an_empty_file_is_rejected_as_empty() -> None:
    assert rejection(b"") is RejectionCode.EMPTY


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"just some text", id="text"),
        pytest.param(images.html_named_jpg(), id="html"),
        pytest.param(images.encoded(PHOTO, "BMP"), id="bmp"),
        pytest.param(b"%PDF-1.7\n", id="pdf"),
        pytest.param(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", id="mp4"),
        pytest.param(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", id="heic-of-nothing"),
        pytest.param(images.tiff_bytes(PHOTO, compression="zstd"), id="tiff-zstd"),
        pytest.param(b"\0", id="one-byte"),
    ],
)
def test_what_is_not_on_the_allow_list_is_rejected_as_unsupported_format(data: bytes) -> None:
    assert rejection(data) is RejectionCode.UNSUPPORTED_FORMAT


@pytest.mark.parametrize("bomb", [images.png_bomb, images.webp_bomb, images.gif_bomb, images.tiff_bomb])
def test_a_bomb_of_169_megapixels_is_rejected_by_its_header(bomb: Callable[[int], bytes]) -> None:
    data = bomb(13_000)
    assert len(data) < 500_000
    assert rejection(data) is RejectionCode.TOO_MANY_PIXELS


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(images.with_png_size(FILES[SourceFormat.PNG], 2**31 - 1, 2**31 - 1), id="png"),
        pytest.param(images.with_jpeg_size(FILES[SourceFormat.JPEG], 65_535, 65_535), id="jpeg"),
        pytest.param(images.with_avif_size(FILES[SourceFormat.AVIF], 60_000, 60_000), id="avif"),
    ],
)
def test_a_header_that_claims_billions_of_pixels_is_believed_and_rejected(data: bytes) -> None:
    assert rejection(data) is RejectionCode.TOO_MANY_PIXELS


def test_an_avif_is_judged_by_what_its_decoder_will_allocate_not_by_the_size_it_states() -> None:
    data = images.with_avif_size(images.avif_bytes(images.flat("red", (2000, 1500))), 100, 75)
    assert identify(data) == Source(SourceFormat.AVIF, 100, 75)
    with pytest.raises(ImageRejectedError) as caught:
        originals.identify(data, limits=DEFAULT_PIXEL_LIMITS | {SourceFormat.AVIF: 2_999_999})
    assert caught.value.rejection.code is RejectionCode.TOO_MANY_PIXELS


def test_a_webp_whose_canvas_is_not_its_pictures_is_rejected_as_corrupt() -> None:
    assert rejection(images.with_webp_canvas(FILES[SourceFormat.WEBP], 400, 240)) is RejectionCode.CORRUPT


def test_the_limit_itself_is_allowed_and_one_pixel_more_is_not() -> None:
    data = FILES[SourceFormat.PNG]
    originals.identify(data, limits={SourceFormat.PNG: 320 * 240})
    with pytest.raises(ImageRejectedError, match="too_many_pixels"):
        originals.identify(data, limits={SourceFormat.PNG: 320 * 240 - 1})


def test_a_jpeg_of_thousands_of_scans_is_rejected_before_it_costs_minutes() -> None:
    data = images.jpeg_bytes(images.flat("grey", (2000, 2000), "RGB"), progressive=True)
    last_scan = data[data.rindex(b"\xff\xda") : -2]
    assert identify(data).width == 2000
    assert rejection(data[:-2] + last_scan * 3000 + b"\xff\xd9") is RejectionCode.TOO_MANY_PIXELS


@pytest.mark.parametrize("source_format", FILES)
def test_a_header_cut_short_is_rejected_as_truncated(source_format: SourceFormat) -> None:
    assert rejection(FILES[source_format][:16]) is RejectionCode.TRUNCATED


def test_a_png_header_of_zero_width_is_rejected_as_corrupt() -> None:
    assert rejection(images.with_png_size(FILES[SourceFormat.PNG], 0, 240)) is RejectionCode.CORRUPT


def test_a_jpeg_followed_by_a_web_page_is_that_jpeg() -> None:
    assert identify(images.polyglot_html(PHOTO)) == Source(SourceFormat.JPEG, 320, 240)


def test_identifying_decodes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object) -> None:
        raise AssertionError("a decoder was made")

    monkeypatch.setattr(Image, "_getdecoder", fail)
    for data in FILES.values():
        identify(data)


def test_a_jpeg_is_identified_and_rendered_without_modules_only_other_images_need() -> None:
    script = """
import sys
from catalog.domain.presets import DEFAULT_PRESETS
from catalog.domain.sources import DEFAULT_PIXEL_LIMITS as limits
from imaging import originals, renditions
data = sys.stdin.buffer.read()
originals.identify(data, limits=limits)
list(renditions.render(data, DEFAULT_PRESETS, limits=limits))
idle = {"numpy", "scipy", "imagehash"}
idle |= {f"PIL.{name}" for name in ("ImageCms", "TiffImagePlugin", "WebPImagePlugin", "AvifImagePlugin")}
print(sorted(idle & set(sys.modules)))
"""
    data = images.jpeg_bytes(PHOTO, icc_profile=images.srgb_profile())
    assert _in_fresh_interpreter(script, data) == "[]"


def test_hashing_loads_neither_scipy_nor_pywavelets() -> None:
    script = """
import sys
from PIL import Image
from imaging import hashes
hashes.average_hash(Image.new("RGB", (9, 9))), hashes.phash256(Image.new("RGB", (9, 9)))
print(sorted({"scipy", "pywt"} & set(sys.modules)))
"""
    assert _in_fresh_interpreter(script, b"") == "[]"


def _in_fresh_interpreter(script: str, data: bytes) -> str:
    path = f"import sys; sys.path[:0] = {[entry for entry in sys.path if 'layers' in entry]!r}\n"
    run = subprocess.run([sys.executable, "-c", path + script], input=data, capture_output=True, check=True)
    return run.stdout.decode().strip()

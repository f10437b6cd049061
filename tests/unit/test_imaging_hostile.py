"""Hostile files: whatever the bytes, a rejection or a correct result, within memory and time."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from catalog.domain.presets import Format, Preset
from catalog.domain.rejections import ImageRejectedError
from catalog.domain.sources import DEFAULT_PIXEL_LIMITS, SourceFormat
from imaging import originals, renditions
from tests.builders import images

SMALL = images.product_photo(1, (61, 47))
CUTOUT = images.product_cutout(1, (61, 47))
EXIF = images.exif_bytes(orientation=6, gps=True)
SEEDS = {
    "jpeg": images.jpeg_bytes(SMALL, exif=EXIF, icc_profile=images.wide_gamut_profile()),
    "jpeg-progressive": images.jpeg_bytes(SMALL, progressive=True),
    "jpeg-cmyk": images.jpeg_bytes(SMALL.convert("CMYK")),
    "mpo": images.mpo_bytes([SMALL, SMALL]),
    "png": images.png_bytes(SMALL, exif=EXIF, icc_profile=images.wide_gamut_profile()),
    "png-palette": images.png_bytes(SMALL.quantize(16), transparency=b"\0\x80"),
    "png-rgba-16": images.rgb16_png_bytes(CUTOUT),
    "png-interlaced": images.interlaced_png_bytes(SMALL),
    "png-animated": images.animated_bytes([SMALL, CUTOUT], "PNG"),
    "webp": images.webp_bytes(SMALL, exif=EXIF),
    "webp-alpha": images.webp_bytes(CUTOUT),
    "webp-lossless": images.webp_bytes(CUTOUT, lossless=True),
    "webp-animated": images.animated_bytes([CUTOUT, images.product_cutout(2, (61, 47))], "WEBP"),
    "gif": images.animated_bytes([SMALL, images.product_photo(2, (61, 47))], "GIF"),
    "avif": images.avif_bytes(CUTOUT),
    "avif-animated": images.animated_bytes([SMALL, images.product_photo(2, (61, 47))], "AVIF"),
    "tiff": images.tiff_bytes(SMALL),
    "tiff-lzw": images.tiff_bytes(CUTOUT, compression="tiff_lzw"),
    "tiff-jpeg": images.tiff_bytes(SMALL, compression="jpeg"),
    "tiff-fax": images.tiff_bytes(SMALL.convert("1"), compression="group4"),
}
ONE_MEGAPIXEL = dict.fromkeys(SourceFormat, 1_000_000)
THUMB = [Preset("thumb", 20, 20, format=Format.AUTO)]

# MiB of a whole child process; a function has 1769 and needs some 100 for the SDK.
MEMORY_BOUND = 1400
TIME_BOUND = 20  # CPU seconds for an accepted file, renditions included


def accepted_or_rejected(data: bytes) -> None:
    """Pass both entrances; anything but ImageRejectedError or a consistent picture fails the test."""
    try:
        source = originals.identify(data, limits=ONE_MEGAPIXEL)
        image = originals.canonical_pixels(data, limits=ONE_MEGAPIXEL)
        (thumb,) = renditions.render(data, THUMB, limits=ONE_MEGAPIXEL)
    except ImageRejectedError:
        return
    assert (image.mode, image.size) == ("RGB", (source.width, source.height))
    assert max(thumb.width, thumb.height) <= 20


@pytest.mark.parametrize("name", SEEDS)
def test_a_file_cut_anywhere_is_rejected_or_shown(name: str) -> None:
    data = SEEDS[name]
    for length in range(0, len(data), max(1, len(data) // 150)):
        accepted_or_rejected(data[:length])


@pytest.mark.parametrize("name", SEEDS)
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_file_with_any_bits_flipped_is_rejected_or_shown(name: str, data: st.DataObject) -> None:
    mutated = SEEDS[name]
    # Headers are where sizes, counts and offsets lie: half of all flips go to the first 300 bytes.
    places = st.one_of(st.integers(0, 8 * 300), st.integers(0, 8 * len(mutated) - 1))
    for bit in data.draw(st.lists(places, min_size=1, max_size=6)):
        mutated = images.with_bit_flipped(mutated, bit)
    accepted_or_rejected(mutated)


@pytest.mark.parametrize("name", SEEDS)
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_file_with_any_number_overwritten_is_rejected_or_shown(name: str, data: st.DataObject) -> None:
    seed = SEEDS[name]
    at = data.draw(st.one_of(st.integers(0, 300), st.integers(0, len(seed))))
    number = data.draw(
        st.sampled_from((b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", b"\0\1\0\0", b"\1\0\0\0"))
    )
    accepted_or_rejected(seed[:at] + number + seed[at + 4 :])


def side_of(pixels: int) -> int:
    return int(pixels**0.5)


LIMITS = {name: side_of(pixels) for name, pixels in DEFAULT_PIXEL_LIMITS.items()}
WORST: dict[str, Callable[[], bytes]] = {
    # Widest: no scaled decode keeps 1,024 pixels.  Progressive, four full planes: 8 bytes a pixel of
    # coefficients beside the 4 of the picture.
    "jpeg-cmyk-progressive": lambda: images.jpeg_bytes(
        images.flat((9, 9, 9, 9), (65_000, DEFAULT_PIXEL_LIMITS[SourceFormat.JPEG] // 65_000), "CMYK"),
        progressive=True,
        subsampling=0,
    ),
    "png-rgba-16": lambda: images.png_bomb(LIMITS[SourceFormat.PNG], colour_type=6, depth=16),
    "png-palette": lambda: images.png_bytes(
        images.flat(0, (LIMITS[SourceFormat.PNG],) * 2, "P"), transparency=0, compress_level=1
    ),
    "webp-lossless": lambda: images.webp_bomb(LIMITS[SourceFormat.WEBP]),
    "gif-transparent": lambda: images.gif_bytes(
        images.flat(0, (LIMITS[SourceFormat.GIF],) * 2, "P"), transparency=0
    ),
    "avif-alpha-444": lambda: images.avif_bytes(
        images.flat((9, 9, 9, 9), (LIMITS[SourceFormat.AVIF],) * 2, "RGBA"), subsampling="4:4:4"
    ),
    "tiff-float": lambda: images.tiff_bytes(
        images.flat((0,), (LIMITS[SourceFormat.TIFF],) * 2, "F"), compression="tiff_adobe_deflate"
    ),
}
_CHILD = """
import resource, sys, time
from pathlib import Path
from catalog.domain.presets import DEFAULT_PRESETS
from catalog.domain.sources import DEFAULT_PIXEL_LIMITS as limits
from imaging import comparison, hashes, originals, renditions

data = Path(sys.argv[1]).read_bytes()
if sys.argv[2] == "ingest":
    originals.identify(data, limits=limits)
    hashes.phash256(originals.canonical_pixels(data, limits=limits))
elif sys.argv[2] == "compare":
    assert len(comparison.compare(data, DEFAULT_PRESETS, presets_per_job=1, limits=limits)) == 3
else:
    assert len(list(renditions.render(data, DEFAULT_PRESETS, limits=limits))) == 3
status = Path("/proc/self/status")
if status.exists():  # ru_maxrss would count the parent of the fork too
    peak = next(int(line.split()[1]) for line in status.open() if line.startswith("VmHWM")) // 1024
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 2**20
print(peak, round(time.process_time()))
"""


@pytest.mark.parametrize("name", WORST)
def test_the_largest_accepted_file_stays_within_the_bounds_of_memory_and_time(
    name: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(WORST[name]())
    layers = f"import sys; sys.path[:0] = {[entry for entry in sys.path if 'layers' in entry]!r}\n"
    for job in ("ingest", "render", "compare"):
        run = subprocess.run(
            [sys.executable, "-c", layers + _CHILD, str(path), job],
            capture_output=True,
            text=True,
            check=True,
        )
        peak, seconds = map(int, run.stdout.split())
        assert peak <= MEMORY_BOUND, job
        assert seconds <= TIME_BOUND, job


def test_a_rejected_bomb_costs_nothing(tmp_path: Path) -> None:
    before = Image.core.get_stats()["new_count"]
    for bomb in (images.png_bomb, images.webp_bomb, images.gif_bomb, images.tiff_bomb):
        with pytest.raises(ImageRejectedError, match="too_many_pixels"):
            originals.canonical_pixels(bomb(13_000), limits=DEFAULT_PIXEL_LIMITS)
    assert Image.core.get_stats()["new_count"] == before

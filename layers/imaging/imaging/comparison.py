"""Comparing presets on one image: each rendition in each format, held against the ideal one."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import batched
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from catalog.domain.comparisons import Encoding, PresetComparison
from catalog.domain.presets import Format, Preset
from catalog.domain.renditions import RenderedImage
from imaging.colour import to_srgb
from imaging.containers import open_container
from imaging.containers.container import too_many_pixels
from imaging.decoding import decode
from imaging.geometry import fills_box, placement
from imaging.orientation import oriented
from imaging.originals import PixelLimits, accepted, flattened
from imaging.renditions import as_stored, composed, render, resolved
from imaging.resizing import Size, resized

_COMPARED: Final = (Format.JPEG, Format.WEBP, Format.AVIF, Format.PNG)

# Two bounds that keep the worst case within API Gateway's 29 s.  Encoding, decoding and measuring a megapixel
# of a rendition takes 0.1 s (JPEG) to 0.45 (PNG), 0.22 on average: 7 to 14 s.  The three default presets in
# four formats are 12 million pixels.
MAX_COMPARED_PIXELS: Final = 32_000_000
# Decoding a megapixel of an original takes 0.01 s (JPEG) to 0.06 (HEIC): 1.5 to 9 s.
MAX_DECODED_PIXELS: Final = 150_000_000

Luma = npt.NDArray[np.uint8]

# Wang, Bovik, Sheikh, Simoncelli 2004 (doi:10.1109/TIP.2003.819861), as scikit-image computes it by default:
# uniform windows of 7 x 7, sample covariance, K1 = 0.01, K2 = 0.03, a range of 255.
_WINDOW: Final = 7
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_STRIP: Final = 128  # rows of windows at once: 4,096 x 128 take 40 MiB, however tall the image is
_DIGITS: Final = 4


def measure(
    data: bytes,
    presets: Sequence[Preset],
    *,
    presets_per_job: int,
    limits: PixelLimits,
    rendered_on_arrival: int = 0,
) -> tuple[PresetComparison, ...]:
    """What each preset would make of the original `data`, in the order given.

    Presets are rendered together as ingest or render jobs do it, since a preset scaled down from a larger one
    of its job differs by a percent of its bytes.  All are together where the original has at most
    `rendered_on_arrival` pixels, or jobs would take more than MAX_DECODED_PIXELS.
    Raises ImageRejectedError as `render` does, and too_many_pixels where the presets alone would make more
    than MAX_COMPARED_PIXELS of it.
    """
    container = accepted(data, limits=limits)
    shown = container.shown_size
    variants = _variants(presets, shown)
    jobs = list(batched(presets, presets_per_job, strict=False))
    if shown[0] * shown[1] <= rendered_on_arrival or len(jobs) * container.coded_pixels > MAX_DECODED_PIXELS:
        jobs = [tuple(presets)]
    ideals = _ideals(data, presets, limits)
    encodings: dict[str, list[Encoding]] = {preset.name: [] for preset in presets}
    for job in jobs:
        for rendered in render(
            data, [each for preset in job for each in variants[preset.name]], limits=limits
        ):
            encodings[rendered.preset.name].append(_measured(rendered, ideals[rendered.preset.name]))
    return tuple(_comparison(preset, encodings[preset.name], shown) for preset in presets)


def _comparison(preset: Preset, encodings: list[Encoding], shown: Size) -> PresetComparison:
    return PresetComparison(
        preset,
        needs_upscaling=not fills_box(preset, shown),
        format=resolved(preset.format, transparent=any(each.transparent for each in encodings)),
        encodings=tuple(sorted(encodings, key=lambda each: _COMPARED.index(each.format))),
    )


def _variants(presets: Sequence[Preset], shown: Size) -> dict[str, list[Preset]]:
    """Each preset in its own format, and then the smallest in the other formats while the pixels last."""
    pixels = {preset.name: _area(placement(preset, shown).canvas) for preset in presets}
    variants = {preset.name: _in(_own_formats(preset), preset) for preset in presets}
    left = MAX_COMPARED_PIXELS - sum(pixels[name] * len(own) for name, own in variants.items())
    if left < 0:
        raise too_many_pixels(
            f"the presets make {MAX_COMPARED_PIXELS - left:,} pixels of {shown[0]:,} x {shown[1]:,}: "
            f"at most {MAX_COMPARED_PIXELS:,} are compared at once"
        )
    for preset in sorted(presets, key=lambda each: pixels[each.name]):
        others = [output for output in _COMPARED if output not in _own_formats(preset)]
        left -= pixels[preset.name] * len(others)
        if left < 0:
            break
        variants[preset.name] += _in(others, preset)
    return variants


def _own_formats(preset: Preset) -> tuple[Format, ...]:
    """What the preset may encode as; which of the two `auto` is, only the pixels tell."""
    return (Format.JPEG, Format.WEBP) if preset.format is Format.AUTO else (preset.format,)


def _in(formats: Iterable[Format], preset: Preset) -> list[Preset]:
    return [replace(preset, format=output) for output in formats]


def _area(size: Size) -> int:
    return size[0] * size[1]


def _ideals(data: bytes, presets: Sequence[Preset], limits: PixelLimits) -> dict[str, Luma]:
    """By preset, the luma of the whole original scaled down in one Lanczos step, before any encoding."""
    container = accepted(data, limits=limits)
    whole = decode(container, (container.width, container.height), strict=True)
    ideals = {}
    for preset in presets:
        where = placement(preset, container.shown_size)
        stored = resized(whole, as_stored(where.scaled, container))
        master = oriented(to_srgb(stored, container.icc_profile), container.orientation)
        ideals[preset.name] = _luma(composed(master, preset, where, Format.JPEG), preset)
    return ideals


def _measured(rendered: RenderedImage, ideal: Luma) -> Encoding:
    container = open_container(rendered.data)
    decoded = decode(container, (rendered.width, rendered.height))
    return Encoding(
        format=rendered.format,
        size_bytes=len(rendered.data),
        width=rendered.width,
        height=rendered.height,
        quality=rendered.quality,
        ssim=round(ssim(_luma(decoded, rendered.preset), ideal), _DIGITS),
        transparent=rendered.transparent,
    )


def _luma(image: Image.Image, preset: Preset) -> Luma:
    return np.asarray(flattened(image, preset.background).convert("L"))


def ssim(first: Luma, second: Luma) -> float:
    """Mean structural similarity of two images of one shape (rows, columns), 8 bits; 1.0 if equal.

    Windows lie wholly inside the image; one of less than 7 pixels a side is covered by one window that way.
    """
    rows, columns = first.shape
    tall, wide = min(_WINDOW, rows), min(_WINDOW, columns)
    total, windows = 0.0, (rows - tall + 1) * (columns - wide + 1)
    for top in range(0, rows - tall + 1, _STRIP):
        strip = slice(top, top + _STRIP + tall - 1)
        total += _similarity(first[strip], second[strip], tall, wide)
    return float(total / windows)


def _similarity(first: Luma, second: Luma, tall: int, wide: int) -> float:
    """The sum of the similarities of all windows of `tall` x `wide` pixels."""
    x, y = first.astype(np.int32), second.astype(np.int32)
    n = tall * wide
    # Sums over a window, exact: 49 * 49 * 2 * 255 ** 2 is below 2 ** 31.
    sum_x, sum_y = _window_sums(x, tall, wide), _window_sums(y, tall, wide)
    product, squares = sum_x * sum_y, sum_x * sum_x + sum_y * sum_y
    covariance = n * _window_sums(x * y, tall, wide) - product
    variances = n * _window_sums(x * x + y * y, tall, wide) - squares
    c1, c2 = _C1 * n * n, _C2 * n * max(n - 1, 1)
    likeness = ((2.0 * product + c1) * (2.0 * covariance + c2)) / ((squares + c1) * (variances + c2))
    return float(np.sum(likeness))


def _window_sums(samples: npt.NDArray[np.int32], tall: int, wide: int) -> npt.NDArray[np.int32]:
    rows, columns = samples.shape[0] - tall + 1, samples.shape[1] - wide + 1
    across = sum((samples[:, shift : shift + columns] for shift in range(1, wide)), samples[:, :columns])
    down: npt.NDArray[np.int32] = sum(
        (across[shift : shift + rows] for shift in range(1, tall)), across[:rows]
    )
    return down

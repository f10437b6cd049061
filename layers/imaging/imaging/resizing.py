"""Lanczos, by SIMD where the resizer is installed and by Pillow where it is not."""

from typing import Final

from PIL import Image

try:
    from cykooz_resizer import FilterType, ResizeAlg, ResizeOptions, Resizer
except ModuleNotFoundError:  # no wheel for this platform: same filter, three to four times the CPU
    _simd = None
else:
    # One thread: a function has one CPU.  The fixed-point result is the same with and without AVX2.
    _simd = Resizer()
    _lanczos = ResizeOptions(ResizeAlg.convolution(FilterType.lanczos3))

_SIMD_MODES: Final = frozenset(("L", "RGB", "RGBA", "CMYK"))

# Pillow first halves by box until this many times the target is left: 0.8 of the CPU for undraftable formats.
_REDUCING_GAP: Final = 2.0

Size = tuple[int, int]


def resized(image: Image.Image, size: Size) -> Image.Image:
    """`image` at exactly `size` (width, height); colour under transparency does not bleed."""
    if image.size == size:
        return image
    if _simd is None or image.mode not in _SIMD_MODES:
        return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=_REDUCING_GAP)
    target = Image.new(image.mode, size)
    _simd.resize_pil(image, target, _lanczos)
    return target

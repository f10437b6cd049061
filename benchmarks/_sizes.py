"""Images at the sizes shops use."""

from typing import Final

import numpy as np
from PIL import Image, ImageFilter

SIZES: Final = (300, 500, 800, 1500, 3000)
"""Pixels of the longer side."""

_GRAIN: Final = 3.0  # grey levels, standard deviation before it is softened
_PAPER: Final = 250  # levels from which a pixel is taken for white background, which has no grain


def at_size(image: Image.Image, side: int, seed: int = 1) -> Image.Image:
    """`image` with its longer side at `side`, by Lanczos.

    An enlarged one gets grain as fine as its new pixels: it would hold no more than the small one otherwise.
    """
    image = image.convert("RGB")
    scale = side / max(image.size)
    if scale == 1:
        return image
    width, height = (max(1, round(length * scale)) for length in image.size)
    resized = image.resize((width, height), Image.Resampling.LANCZOS)
    return resized if scale < 1 else _with_grain(resized, seed)


def _with_grain(image: Image.Image, seed: int) -> Image.Image:
    noise = np.random.default_rng(seed).normal(128, 8 * _GRAIN, (image.height, image.width))
    soft = Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.6))
    levels = np.asarray(image, np.int16)
    grain = (np.asarray(soft, np.int16) - 128) // 8
    grain[levels.min(axis=-1) >= _PAPER] = 0
    return Image.fromarray(np.clip(levels + grain[..., None], 0, 255).astype(np.uint8))

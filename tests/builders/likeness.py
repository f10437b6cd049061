"""How alike two pictures are."""

import numpy as np
from PIL import Image


def mean_difference(one: Image.Image, other: Image.Image) -> float:
    """Mean absolute difference of the RGB samples, 0-255.  Sizes must be equal."""
    assert one.size == other.size, f"{one.size} is not {other.size}"
    first, second = (np.asarray(image.convert("RGB")).astype(float) for image in (one, other))
    return float(np.abs(first - second).mean())


def ssim(one: Image.Image, other: Image.Image) -> float:
    """Mean structural similarity of luma over 8 x 8 blocks (Wang et al. 2004, uniform window): 1 is equal."""
    assert one.size == other.size, f"{one.size} is not {other.size}"
    first, second = _blocks(one), _blocks(other)
    mean_1, mean_2 = first.mean(axis=(1, 3)), second.mean(axis=(1, 3))
    covariance = (first * second).mean(axis=(1, 3)) - mean_1 * mean_2
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    above = (2 * mean_1 * mean_2 + c1) * (2 * covariance + c2)
    below = (mean_1**2 + mean_2**2 + c1) * (first.var(axis=(1, 3)) + second.var(axis=(1, 3)) + c2)
    return float((above / below).mean())


def _blocks(image: Image.Image) -> np.ndarray:
    luma = np.asarray(image.convert("L")).astype(float)
    rows, columns = luma.shape[0] // 8, luma.shape[1] // 8
    return luma[: rows * 8, : columns * 8].reshape(rows, 8, columns, 8)

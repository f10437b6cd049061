"""Colours as people see them: CIELAB, and what of a picture is the product."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# CIE76; 2.3 is the just-noticeable difference (Mahy, Van Eycken and Oosterlinck, 1994).
JUST_NOTICEABLE: Final = 2.3

_LEVELS = np.arange(256) / 255
_LINEAR: Final = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4)
# Linear sRGB to XYZ, relative to the D65 white.
_XYZ: Final = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
) / np.array([[0.95047], [1.0], [1.08883]])


def lab(image: Image.Image) -> NDArray[np.float32]:
    """CIELAB (D65) of an sRGB image, height x width x 3."""
    xyz = _LINEAR.astype(np.float32)[np.asarray(image.convert("RGB"))] @ _XYZ.T.astype(np.float32)
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)


def product_area(image: Image.Image) -> NDArray[np.bool_]:
    """Pixels that are not background: further than 5 (CIE76) from the border's median colour."""
    colours = lab(image)
    border = np.concatenate([colours[0], colours[-1], colours[:, 0], colours[:, -1]])
    area: NDArray[np.bool_] = np.linalg.norm(colours - np.median(border, axis=0), axis=-1) > 5
    return area


def moved(left: Image.Image, right: Image.Image) -> NDArray[np.float32]:
    """CIE76 of every pixel."""
    difference: NDArray[np.float32] = np.linalg.norm(lab(left) - lab(right), axis=-1)
    return difference


def from_lab(colours: NDArray[np.floating]) -> Image.Image:
    """The sRGB image of CIELAB (D65) values, clipped to the gamut."""
    f_y = (colours[..., 0] + 16) / 116
    f = np.stack([f_y + colours[..., 1] / 500, f_y, f_y - colours[..., 2] / 200], -1)
    xyz = np.where(f > 6 / 29, f**3, (116 * f - 16) * 27 / 24389)
    linear = np.clip(xyz @ np.linalg.inv(_XYZ).T, 0, 1)
    levels = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return Image.fromarray(np.rint(255 * levels).astype(np.uint8))

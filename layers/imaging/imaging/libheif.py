"""HEIC by libheif and libde265, which come with pi-heif, and without an encoder.

They get only a new file of one picture and its alpha (imaging.containers.heic).  Its numbers of items, tiles
and pixels are checked before; libheif's own limits, which pi-heif keeps, lie far above.
"""

import pi_heif
from PIL import Image

# No threads: a function has one CPU, and each thread would hold another tile.
pi_heif.options.DECODE_THREADS = 0
pi_heif.options.THUMBNAILS = pi_heif.options.DEPTH_IMAGES = pi_heif.options.AUX_IMAGES = False


def decoded(data: bytes, *, premultiplied: bool) -> Image.Image:
    """The picture in mode L, LA, RGB or RGBA; La or RGBa if `premultiplied`; I;16 for grey above 8 bits.

    Raises pi-heif's errors for bytes it cannot decode: ValueError, EOFError, SyntaxError, RuntimeError.
    """
    found = pi_heif.open_heif(data)
    mode = found.mode.replace("A", "a") if premultiplied else found.mode
    return Image.frombytes(mode, found.size, found.data, "raw", mode, found.stride)

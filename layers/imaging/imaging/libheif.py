"""HEIC by libheif and libde265, which pi-heif brings; it has no encoder.

A new file of one picture and its alpha is all they are given (imaging.containers.heic), whose numbers of
items, tiles and pixels are checked; pi-heif keeps libheif's own limits, far above.
"""

import pi_heif
from PIL import Image

# No threads: a function has one CPU, and each thread would hold a tile more.
pi_heif.options.DECODE_THREADS = 0
pi_heif.options.THUMBNAILS = pi_heif.options.DEPTH_IMAGES = pi_heif.options.AUX_IMAGES = False


def decoded(data: bytes, *, premultiplied: bool) -> Image.Image:
    """The picture in L, LA, RGB or RGBA, La or RGBa if `premultiplied`; in I;16 where it is a deeper grey.

    Raises what pi-heif does for bytes it cannot decode: ValueError, EOFError, SyntaxError, RuntimeError.
    """
    found = pi_heif.open_heif(data)
    mode = found.mode.replace("A", "a") if premultiplied else found.mode
    return Image.frombytes(mode, found.size, found.data, "raw", mode, found.stride)

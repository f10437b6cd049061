"""PNG by image-rs's decoder, through kornia-rs: a third of the CPU of Pillow's for a photo.

Pillow spends half of a 12 MP PNG undoing the Paeth filter byte by byte, and half in the system's zlib.
"""

import importlib
from typing import Final

from PIL import Image

Size = tuple[int, int]

# By depth, colour type, compression, filter and interlace method, as a header has them: Pillow's mode, and
# kornia's.  What else there is is rare, and small.
_MODES: Final = {
    bytes((8, 0, 0, 0, 0)): ("L", "mono"),
    bytes((8, 2, 0, 0, 0)): ("RGB", "rgb"),
    bytes((8, 6, 0, 0, 0)): ("RGBA", "rgba"),
}
_MODE_AT: Final = slice(24, 29)  # of a file: after the signature, the chunk's length and name, and the size

# Importing the decoder and numpy takes 65 ms of a cold start; a megapixel decoded by it saves 18.
FROM_PIXELS: Final = 1_000_000


def decoded(data: bytes, size: Size) -> Image.Image | None:
    """The PNG of `size` (width, height) in L, RGB or RGBA.

    None where it is small, of another kind, or does not decode: what is wrong is for Pillow to say.
    Raises MemoryError.
    """
    modes = _MODES.get(data[_MODE_AT])
    if modes is None or size[0] * size[1] < FROM_PIXELS:
        return None
    mode, channels = modes
    decoder = importlib.import_module("kornia_rs").io
    try:
        pixels = decoder.decode_image_png_u8(data, size[::-1], channels)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 (it raises nothing narrower, for a checksum, an end or a size)
        return None
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # PyO3's, of a Rust program that contradicts itself
            raise
        return None
    return Image.frombuffer(mode, size, pixels, "raw", mode, 0, 1)

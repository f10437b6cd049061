"""WebP by libwebp itself, the one that Pillow brings, since Pillow's plugin can only decode an animation.

That takes 8 bytes a pixel for two canvases, twice the CPU of the plain decoder, and never scales down.
Structures are those of webp/decode.h, whose ABI `_ABI` names: libwebp refuses another.
"""

import ctypes
from functools import cache
from typing import Final

from PIL import Image

Size = tuple[int, int]

_ABI: Final = 0x0209
_OK: Final = 0  # VP8StatusCode; 1 is out of memory, and said of a broken alpha plane too
_MODE_RGB, _MODE_RGBA = 0, 1  # WEBP_CSP_MODE


class _Features(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int) for name in ("width", "height", "has_alpha", "has_animation", "format")),
        ("padding", ctypes.c_uint32 * 5),
    )


class _Packed(ctypes.Structure):
    _fields_ = (("pixels", ctypes.c_void_p), ("stride", ctypes.c_int), ("size", ctypes.c_size_t))


class _Planes(ctypes.Structure):
    _fields_ = (
        *((f"{plane}_pixels", ctypes.c_void_p) for plane in "yuva"),
        *((f"{plane}_stride", ctypes.c_int) for plane in "yuva"),
        *((f"{plane}_size", ctypes.c_size_t) for plane in "yuva"),
    )


class _Either(ctypes.Union):
    _fields_ = (("packed", _Packed), ("planes", _Planes))


class _Output(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int) for name in ("colour_space", "width", "height", "external")),
        ("buffer", _Either),
        ("padding", ctypes.c_uint32 * 4),
        ("private", ctypes.c_void_p),
    )


class _Options(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int) for name in ("bypass_filtering", "plain_upsampling")),
        *((f"crop{name}", ctypes.c_int) for name in ("", "_left", "_top", "_width", "_height")),
        *((name, ctypes.c_int) for name in ("scale", "scaled_width", "scaled_height")),
        *((name, ctypes.c_int) for name in ("threads", "dithering", "flip", "alpha_dithering")),
        ("padding", ctypes.c_uint32 * 5),
    )


class _Configuration(ctypes.Structure):
    _fields_ = (("input", _Features), ("output", _Output), ("options", _Options))


def decoded(data: bytes, size: Size, shrink: int) -> Image.Image | None:
    """The still of `size` (width, height) in RGB, or RGBA where it has alpha; all of it is decoded.

    Without alpha it comes `shrink` times smaller each way, by the mean of areas; with it, as large as it is,
    since libwebp would mix in colours nobody sees.  None where it does not decode, or libwebp is not to be
    had: what is wrong is for Pillow to say.
    """
    library = _library()
    configuration = _Configuration()
    if library is None or not library.WebPInitDecoderConfigInternal(ctypes.byref(configuration), _ABI):
        return None
    found, output, options = configuration.input, configuration.output, configuration.options
    status = library.WebPGetFeaturesInternal(data, len(data), ctypes.byref(found), _ABI)
    if status != _OK or (found.width, found.height) != size or found.has_animation:
        return None
    mode, channels = ("RGBA", 4) if found.has_alpha else ("RGB", 3)
    if shrink > 1 and not found.has_alpha:
        size = (-(-size[0] // shrink), -(-size[1] // shrink))
        options.scale, (options.scaled_width, options.scaled_height) = 1, size
    pixels = bytearray(size[0] * size[1] * channels)
    output.colour_space, output.external = _MODE_RGBA if found.has_alpha else _MODE_RGB, 1
    output.buffer.packed = _Packed(
        ctypes.addressof(ctypes.c_char.from_buffer(pixels)), size[0] * channels, len(pixels)
    )
    status = library.WebPDecode(data, len(data), ctypes.byref(configuration))
    return Image.frombytes(mode, size, pixels) if status == _OK else None


@cache
def _library() -> ctypes.CDLL | None:
    """Pillow's extension module: what is looked up in it is looked up in the libwebp it is linked to."""
    from PIL import _webp  # noqa: PLC0415

    library = ctypes.CDLL(_webp.__file__)
    try:
        library.WebPInitDecoderConfigInternal.argtypes = (ctypes.c_void_p, ctypes.c_int)
        library.WebPGetFeaturesInternal.argtypes = (
            *(ctypes.c_char_p, ctypes.c_size_t),
            *(ctypes.c_void_p, ctypes.c_int),
        )
        library.WebPDecode.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p)
    except AttributeError:  # linked statically
        return None
    return library

"""Damage in a group 4 fax, by libtiff itself, the one that Pillow brings.

For a bad code word libtiff writes an error, paints the rest of the row and goes on, and Pillow asks for no
more.
"""

import ctypes
import os
import tempfile
from functools import cache
from typing import Final

_HANDLER: Final = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p
)
_HANDLED: Final = 1  # libtiff writes nothing of its own then


def complains(data: bytes) -> bool:
    """Whether libtiff finds fault with the strips or tiles of a TIFF; False where it is not to be had."""
    library = _library()
    if library is None:
        return False
    faults = 0

    def count(*_: object) -> int:
        nonlocal faults
        faults += 1
        return _HANDLED

    handler = _HANDLER(count)
    options = library.TIFFOpenOptionsAlloc()
    library.TIFFOpenOptionsSetErrorHandlerExtR(options, handler, None)
    library.TIFFOpenOptionsSetWarningHandlerExtR(options, handler, None)
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        tiff = library.TIFFFdOpenExt(os.dup(file.fileno()), b"fax", b"rm", options)
        library.TIFFOpenOptionsFree(options)
        if not tiff:
            return False  # no damage of pixels: for Pillow to name
        faults = 0
        if library.TIFFIsTiled(tiff):
            size, count_of, read = (
                library.TIFFTileSize,
                library.TIFFNumberOfTiles,
                library.TIFFReadEncodedTile,
            )
        else:
            size, count_of, read = (
                library.TIFFStripSize,
                library.TIFFNumberOfStrips,
                library.TIFFReadEncodedStrip,
            )
        pixels = ctypes.create_string_buffer(max(1, size(tiff)))
        for piece in range(count_of(tiff)):
            read(tiff, piece, pixels, -1)
            if faults:
                break
        library.TIFFClose(tiff)
    return faults > 0


@cache
def _library() -> ctypes.CDLL | None:
    """Pillow's extension module: what is looked up in it is looked up in the libtiff it is linked to."""
    from PIL import _imaging  # noqa: PLC0415

    library = ctypes.CDLL(_imaging.__file__)
    try:
        library.TIFFOpenOptionsAlloc.restype = ctypes.c_void_p
        library.TIFFOpenOptionsFree.argtypes = (ctypes.c_void_p,)
        library.TIFFOpenOptionsSetErrorHandlerExtR.argtypes = (ctypes.c_void_p, _HANDLER, ctypes.c_void_p)
        library.TIFFOpenOptionsSetWarningHandlerExtR.argtypes = (ctypes.c_void_p, _HANDLER, ctypes.c_void_p)
        library.TIFFFdOpenExt.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
        library.TIFFFdOpenExt.restype = ctypes.c_void_p
        for name in ("TIFFIsTiled", "TIFFNumberOfTiles", "TIFFNumberOfStrips", "TIFFClose"):
            getattr(library, name).argtypes = (ctypes.c_void_p,)
        for name in ("TIFFTileSize", "TIFFStripSize"):
            getattr(library, name).argtypes = (ctypes.c_void_p,)
            getattr(library, name).restype = ctypes.c_ssize_t
        for name in ("TIFFReadEncodedTile", "TIFFReadEncodedStrip"):
            getattr(library, name).argtypes = (
                *(ctypes.c_void_p, ctypes.c_uint32),
                *(ctypes.c_void_p, ctypes.c_ssize_t),
            )
            getattr(library, name).restype = ctypes.c_ssize_t
    except AttributeError:  # linked statically, or older than 4.5
        return None
    return library

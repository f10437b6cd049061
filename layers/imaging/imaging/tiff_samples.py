"""TIFF pixels from samples that Pillow reads wrongly or not at all: planes, floats, 16 bits with alpha, Lab.

Each plane is decoded by Pillow as a grey picture of plain bytes, so every compression works; what the bytes
mean is worked out here, some rows at a time.
"""

import struct
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from imaging.containers.container import Container, Samples, corrupt

Array = npt.NDArray[Any]
Opened = Callable[[bytes], Image.Image]

_BAND_BYTES: Final = 2**23
_WHITE_IS_ZERO, _RGB, _CMYK, _YCBCR, _LAB = 0, 2, 5, 6, 8


def decoded(container: Container, samples: Samples, stripped: bytes, opened: Opened) -> Image.Image:
    """The page in L, LA, RGB, RGBA, CMYK or LAB.  `opened` is Pillow's TIFF decoder.

    Transparency of CMYK and Lab is over white, since Pillow has no such modes.
    """
    head, rest = stripped[:4], memoryview(stripped)[8:]
    order = samples.dtype[0]
    planes = [
        opened(b"".join((head, struct.pack(order + "I", start), rest))) for start in samples.directories
    ]
    image: Image.Image | None = None
    for top, values in _bands(container, samples, planes):
        band = _picture(values, samples)
        if image is None:
            image = Image.new(band.mode, (container.width, container.height))
        image.paste(band, (0, top))
    if image is None:
        raise corrupt("a page without rows")
    return image.convert({"RGBa": "RGBA", "La": "LA"}.get(image.mode, image.mode))


def _bands(container: Container, samples: Samples, planes: list[Image.Image]) -> Iterator[tuple[int, Array]]:
    """The first row, and the samples (rows, columns, samples), of some rows after the other."""
    down = samples.subsampling[1]
    rows = max(1, _BAND_BYTES // max(1, sum(plane.width for plane in planes)))
    for top in range(0, planes[0].height, rows):
        bottom = min(planes[0].height, top + rows)
        raw = [
            np.frombuffer(plane.crop((0, top, plane.width, bottom)).tobytes(), np.uint8).reshape(
                bottom - top, plane.width
            )
            for plane in planes
        ]
        if samples.subsampling != (1, 1):
            height = min(container.height - top * down, (bottom - top) * down)
            yield top * down, _upsampled(raw[0], samples.subsampling)[:height, : container.width]
            continue
        count = 1 if samples.planar else samples.count
        pieces = [_values(plane, samples, count) for plane in raw]
        yield top, np.concatenate(pieces, axis=2) if len(pieces) > 1 else pieces[0]


def _values(raw: Array, samples: Samples, count: int) -> Array:
    """Bytes of rows as samples (rows, columns, `count`), the predictor undone tile by tile."""
    size = int(samples.dtype[2:])
    if samples.predictor == 1:
        return raw.view(samples.dtype).reshape(len(raw), -1, count)
    step = samples.tile_width * count * size or raw.shape[1]
    undo = _undo_floating if samples.predictor == 3 else _undo_horizontal  # noqa: PLR2004 (TIFF's numbers)
    pieces = [
        undo(np.ascontiguousarray(raw[:, left : left + step]), samples, count)
        for left in range(0, raw.shape[1], step)
    ]
    return np.concatenate(pieces, axis=1)


def _undo_horizontal(raw: Array, samples: Samples, count: int) -> Array:
    """TIFF 6.0, section 14; over the bits of floats too, as libtiff does it."""
    unsigned = raw.view(samples.dtype.replace("f", "u")).reshape(len(raw), -1, count)
    native = unsigned.dtype.newbyteorder("=")
    summed = np.cumsum(unsigned, axis=1, dtype=native)
    return summed.view(native.str.replace("u", samples.dtype[1]))


def _undo_floating(raw: Array, samples: Samples, count: int) -> Array:
    """Adobe's technical note 3: differences of bytes, the most significant of all samples first."""
    size = int(samples.dtype[2:])
    summed = np.cumsum(raw.reshape(len(raw), -1, count), axis=1, dtype=np.uint8)
    by_byte = summed.reshape(len(raw), size, -1)
    return np.ascontiguousarray(by_byte.transpose(0, 2, 1)).view(f">f{size}").reshape(len(raw), -1, count)


def _upsampled(raw: Array, subsampling: tuple[int, int]) -> Array:
    """Data units of YCbCr (TIFF 6.0, section 21) as samples; the colours of a unit are all its pixels'."""
    across, down = subsampling
    units = raw.reshape(len(raw), -1, across * down + 2)
    rows, columns = units.shape[:2]
    luma = units[..., :-2].reshape(rows, columns, down, across).transpose(0, 2, 1, 3)
    chroma = units[..., -2:].repeat(down, axis=0).repeat(across, axis=1)
    return np.dstack((luma.reshape(rows * down, columns * across), chroma))


def _picture(values: Array, samples: Samples) -> Image.Image:
    """Rows of samples as an image of 8 bits."""
    eight = _eight_bits(values[..., : samples.colours + samples.alpha], samples)
    colours = eight[..., : samples.colours]
    if samples.photometric == _WHITE_IS_ZERO:
        colours = 255 - colours
    alpha = eight[..., samples.colours] if samples.alpha else None
    if samples.photometric == _YCBCR:
        return Image.fromarray(np.ascontiguousarray(colours), "YCbCr").convert("RGB")
    if samples.photometric in (_CMYK, _LAB):
        return _over_white(colours, alpha, samples)
    grey = samples.photometric != _RGB
    mode = "L" if grey else "RGB"
    if alpha is not None:
        mode += "a" if samples.premultiplied else "A"
        colours = np.dstack((colours, alpha))
    size = values.shape[1::-1]
    if mode in ("La", "RGBa", "LA", "RGBA", "RGB"):
        return Image.frombuffer(mode, size, np.ascontiguousarray(colours).tobytes(), "raw", mode, 0, 1)
    return Image.fromarray(np.ascontiguousarray(colours[..., 0]))


def _over_white(colours: Array, alpha: Array | None, samples: Samples) -> Image.Image:
    mode = "CMYK" if samples.photometric == _CMYK else "LAB"
    if alpha is not None and not (samples.premultiplied and mode == "CMYK"):
        white = np.array((0, 0, 0, 0) if mode == "CMYK" else (255, 128, 128), np.float32)
        share = alpha[..., None].astype(np.float32) / 255
        colours = (white + (colours - white) * share + 0.5).astype(np.uint8)
    if mode == "LAB":  # Pillow takes its bytes as a TIFF has them: a and b signed
        colours = colours ^ np.array((0, 0x80, 0x80), np.uint8)
    colours = np.ascontiguousarray(colours)
    return Image.frombytes(mode, colours.shape[1::-1], colours.tobytes())


def _eight_bits(values: Array, samples: Samples) -> Array:
    if (
        values.dtype.kind == "f"
    ):  # 0.0 is black and 1.0 white, as editors write it; what lies outside is clipped
        with np.errstate(invalid="ignore", over="ignore"):
            scaled = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=1.0, neginf=0.0)
            return (np.clip(scaled, 0, 1) * 255 + 0.5).astype(np.uint8)
    eight = values if values.dtype.itemsize == 1 else (values >> 8).astype(np.uint8)
    if samples.photometric == _LAB:  # a and b are signed
        eight = eight.copy()
        eight[..., 1:3] ^= 0x80
    return eight

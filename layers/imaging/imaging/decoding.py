"""From a container to pixels: one plugin of Pillow, one decode, as small as the caller can use."""

import importlib
import io
import zlib
from typing import Final

from PIL import Image, ImageFile

from catalog.domain.rejections import ImageRejectedError, RejectionCode
from catalog.domain.sources import SourceFormat
from imaging import libtiff, libwebp, turbojpeg
from imaging.containers import Container
from imaging.containers.container import Samples, corrupt, unsupported
from imaging.containers.png import fills_its_rows
from imaging.decoder_faults import decoder_faults

Size = tuple[int, int]

# Made directly, not by Image.open, which would import five plugins first (18 ms against 11).
_PLUGINS: Final = {
    SourceFormat.JPEG: ("JpegImagePlugin", "JpegImageFile"),
    SourceFormat.PNG: ("PngImagePlugin", "PngImageFile"),
    SourceFormat.WEBP: ("WebPImagePlugin", "WebPImageFile"),
    SourceFormat.GIF: ("GifImagePlugin", "GifImageFile"),
    SourceFormat.AVIF: ("AvifImagePlugin", "AvifImageFile"),
    SourceFormat.TIFF: ("TiffImagePlugin", "TiffImageFile"),
}
# Their plugin objects keep the decoder's own frames alive (WebP: 8 bytes a pixel) as long as the image lives.
_WITH_BUFFERS: Final = (SourceFormat.WEBP, SourceFormat.AVIF)
_TO_WORKING: Final = {"1": "L", "PA": "RGBA", "La": "LA", "RGBa": "RGBA", "YCbCr": "RGB"}


def decode(container: Container, wanted: Size, *, strict: bool = False) -> Image.Image:
    """All of the file decoded, not oriented, in L, LA, RGB, RGBA, CMYK or LAB of 8 bits.

    A JPEG, and a WebP without alpha, comes scaled down by 2, 4 or 8 where that leaves it at least `wanted`
    (width, height; as stored).  `strict` refuses a JPEG, or a group 4 fax, whose decoder had to guess at
    pixels; an original that was accepted once is decoded without.
    Raises ImageRejectedError(truncated | corrupt | damaged | unsupported_format).
    """
    stripped = b"".join(container.stripped)
    image = None
    if container.format is SourceFormat.JPEG and strict:
        image = _by_turbojpeg(container, stripped, wanted)
    elif container.format is SourceFormat.WEBP:
        image = _by_libwebp(container, stripped, wanted)
    elif container.fax and strict and libtiff.complains(stripped):
        raise ImageRejectedError(RejectionCode.DAMAGED, "a bad code word in a group 4 fax")
    if image is None:
        image = _by_pillow(container, stripped, wanted)
    return _on_canvas(_working(image, container), container)


def _by_libwebp(container: Container, stripped: bytes, wanted: Size) -> Image.Image | None:
    if container.frame_offset is not None:
        return None
    size = (container.width, container.height)
    return libwebp.decoded(stripped, size, _shrink(size, wanted))


def _by_turbojpeg(container: Container, stripped: bytes, wanted: Size) -> Image.Image | None:
    size = (container.width, container.height)
    if not container.complete:  # an end marker alone is no loss
        stripped += b"\xff\xd9"
    try:
        return turbojpeg.decoded(stripped, size, _shrink(size, wanted))
    except turbojpeg.DamagedError as error:
        code = RejectionCode.DAMAGED if container.complete else RejectionCode.TRUNCATED
        raise ImageRejectedError(code, f"the decoder says: {error}") from error


def _shrink(size: Size, wanted: Size) -> int:
    times = min(have / least for have, least in zip(size, wanted, strict=True))
    return next((by for by in (8, 4, 2) if by <= times), 1)


def _by_pillow(container: Container, stripped: bytes, wanted: Size) -> Image.Image:
    if container.samples is not None:
        return _by_samples(container, container.samples, stripped)
    if container.format is SourceFormat.HEIC:
        return _by_libheif(container, stripped)
    with decoder_faults(complete=container.complete):
        image: Image.Image = _opened(container, stripped)
        if image.mode == "I":
            raise unsupported("32-bit integer samples have no white")
        image.draft(image.mode, wanted)
        image.load()
    if container.format is SourceFormat.PNG:
        _check_png_rows(image, stripped)
    return image.copy() if container.format in _WITH_BUFFERS else image


def _by_libheif(container: Container, stripped: bytes) -> Image.Image:
    from imaging import libheif  # noqa: PLC0415 (one format in seven needs it)

    with decoder_faults(complete=container.complete):
        return libheif.decoded(stripped, premultiplied=container.premultiplied)


def _by_samples(container: Container, samples: Samples, stripped: bytes) -> Image.Image:
    from imaging import tiff_samples  # noqa: PLC0415 (numpy)

    def opened(plane: bytes) -> Image.Image:
        with decoder_faults(complete=container.complete):
            image = _plugin(container)(io.BytesIO(plane))
            image.load()
            return image

    return tiff_samples.decoded(container, samples, stripped, opened)


def _plugin(container: Container) -> type[ImageFile.ImageFile]:
    module, plugin = _PLUGINS[container.format]
    found: type[ImageFile.ImageFile] = getattr(importlib.import_module(f"PIL.{module}"), plugin)
    return found


def _opened(container: Container, stripped: bytes) -> ImageFile.ImageFile:
    try:
        image = _plugin(container)(io.BytesIO(stripped))
    except SyntaxError as error:
        if container.format is not SourceFormat.TIFF:
            raise
        # Its structure is checked by now: what Pillow does not know is the combination of samples.
        raise unsupported(f"the decoder says: {error}") from error
    part = container.frame_offset is not None or container.crop is not None
    if not part and image.size != (container.width, container.height):
        raise corrupt(
            f"the decoder finds {image.size} pixels, the header {container.width, container.height}"
        )
    return image


def _check_png_rows(image: Image.Image, stripped: bytes) -> None:
    """Pillow is content with image data that ends early and leaves the rest zero: only then, count."""
    last = image.crop((0, image.height - 1, image.width, image.height)).tobytes()
    if not image.info.get("interlace") and any(last):
        return
    try:
        whole = fills_its_rows(stripped)
    except zlib.error as error:  # at its end, which Pillow does not read
        raise corrupt("the image data does not inflate") from error
    if not whole:
        raise corrupt("the image data ends before its last row")


def _working(image: Image.Image, container: Container) -> Image.Image:
    """`image` in a working mode: depths cut to 8 bits, palettes and transparent colours resolved."""
    transparent = image.info.get("transparency") if container.transparent is None else container.transparent
    if image.mode.startswith("I;16"):
        return _from_16_bits(image, transparent)
    if image.mode == "P":
        return image.convert("RGB" if transparent is None else "RGBA")
    if image.mode in _TO_WORKING:
        image = image.convert(_TO_WORKING[image.mode])
    if transparent is not None and image.mode in ("L", "RGB"):
        image.info["transparency"] = transparent
        image = image.convert("LA" if image.mode == "L" else "RGBA")
    return image


def _from_16_bits(image: Image.Image, transparent: object) -> Image.Image:
    import numpy as np  # noqa: PLC0415 (60 ms of cold start that 8-bit images do not need)

    samples = np.asarray(image)
    grey = Image.fromarray((samples >> 8).astype(np.uint8))
    if transparent is None:
        return grey
    return Image.merge(
        "LA", (grey, Image.fromarray((samples != transparent).astype(np.uint8) * np.uint8(255)))
    )


def _on_canvas(image: Image.Image, container: Container) -> Image.Image:
    """The part that is shown; an animation's first frame where it belongs, on its transparent canvas."""
    if container.crop is not None:
        return image.crop(container.crop)
    if container.frame_offset is None:
        return image
    canvas = Image.new("RGBA", (container.width, container.height))
    canvas.paste(image.convert("RGBA"), container.frame_offset)
    return canvas

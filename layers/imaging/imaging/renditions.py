"""Renditions: one decode, a Lanczos cascade from the largest preset down, one encode each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from PIL import Image

from catalog.domain.presets import Fit, Format, Preset
from imaging.colour import to_srgb
from imaging.containers import Container
from imaging.decoding import decode
from imaging.encoding import CONTENT_TYPES, EXTENSIONS, encoded
from imaging.exif import copyright_exif
from imaging.geometry import Placement, placement
from imaging.orientation import oriented
from imaging.originals import PixelLimits, accepted, flattened
from imaging.resizing import Size, resized

# A rendition is made from a larger one only where that is at least this many times its size: two Lanczos
# passes close together soften, and many presets close together would soften step by step.
_CASCADE_STEP: Final = 1.5
_KEPT_STEP: Final = 1.25


@dataclass(frozen=True, slots=True)
class RenderedImage:
    """One rendition, encoded.  `quality` is the encoder's setting, None where it has none (PNG)."""

    preset: Preset
    data: bytes
    width: int
    height: int
    content_type: str
    extension: str
    quality: int | None


def render(data: bytes, presets: Sequence[Preset], *, limits: PixelLimits) -> Iterator[RenderedImage]:
    """The renditions of the original `data`, largest first, each as soon as it is encoded.

    Raises ImageRejectedError as `canonical_pixels` does, before the first rendition.
    """
    container = accepted(data, limits=limits)
    plan = [(preset, placement(preset, container.shown_size)) for preset in presets]
    plan.sort(key=lambda entry: entry[1].scaled, reverse=True)
    masters = _Masters(container, [_as_stored(where.scaled, container) for _, where in plan])
    return (_rendered(masters.at(where.scaled), preset, where, container) for preset, where in plan)


class _Masters:
    """The whole image in sRGB, oriented, at sizes asked for in falling order."""

    def __init__(self, container: Container, stored_sizes: Sequence[Size]) -> None:
        wanted = max(width for width, _ in stored_sizes), max(height for _, height in stored_sizes)
        self._container = container
        self._decoded = _without_idle_alpha(decode(container, wanted))
        self._last: Image.Image | None = None
        self._kept: list[Image.Image] = []  # each well below the one before: together under 2.8 of the first

    def at(self, size: Size) -> Image.Image:
        if self._last is not None and self._last.size == size:
            return self._last
        source = next((image for image in reversed(self._kept) if _times(image, size) >= _CASCADE_STEP), None)
        if source is None:
            # Orientation after the resize: 6 ms at 1600 pixels, 43 at 12 megapixels.
            stored = resized(self._decoded, _as_stored(size, self._container))
            image = oriented(to_srgb(stored, self._container.icc_profile), self._container.orientation)
        else:
            image = resized(source, size)
        if not self._kept or _times(self._kept[-1], size) >= _KEPT_STEP:
            self._kept.append(image)
        self._last = image
        return image


def _times(image: Image.Image, size: Size) -> float:
    return min(image.width / size[0], image.height / size[1])


def _as_stored(size: Size, container: Container) -> Size:
    return size if container.shown_size == (container.width, container.height) else size[::-1]


def _without_idle_alpha(image: Image.Image) -> Image.Image:
    """`image` without its alpha channel where no pixel is transparent: transparency then matters nowhere."""
    if image.mode in ("LA", "RGBA") and image.getchannel("A").getextrema() == (255, 255):
        return image.convert(image.mode[:-1])
    return image


def _rendered(master: Image.Image, preset: Preset, where: Placement, container: Container) -> RenderedImage:
    output = preset.format
    if output is Format.AUTO:
        transparent = master.mode == "RGBA" and preset.fit is not Fit.PAD
        output = Format.WEBP if transparent else Format.JPEG
    image = _cropped(master, where.crop)
    if output is Format.JPEG or preset.fit is Fit.PAD:
        image = flattened(image, preset.background)
    if where.canvas != where.crop:
        image = _padded(image, where.canvas, preset.background)
    return RenderedImage(
        preset,
        encoded(
            image,
            output,
            quality=preset.quality,
            exif=copyright_exif(container.exif) if preset.keep_copyright else b"",
        ),
        *image.size,
        content_type=CONTENT_TYPES[output],
        extension=EXTENSIONS[output],
        quality=None if output is Format.PNG else preset.quality,
    )


def _cropped(image: Image.Image, size: Size) -> Image.Image:
    if image.size == size:
        return image
    left, top = (image.width - size[0]) // 2, (image.height - size[1]) // 2
    return image.crop((left, top, left + size[0], top + size[1]))


def _padded(image: Image.Image, canvas: Size, background: str) -> Image.Image:
    padded = Image.new("RGB", canvas, background)
    padded.paste(image, ((canvas[0] - image.width) // 2, (canvas[1] - image.height) // 2))
    return padded

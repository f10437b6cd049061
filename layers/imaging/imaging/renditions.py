"""Renditions: one decode, a Lanczos cascade from the largest preset down, one encode each."""

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from PIL import Image

from catalog.domain.presets import Fit, Format, Preset
from catalog.domain.renditions import RenderedImage
from imaging.colour import to_srgb
from imaging.containers import Container
from imaging.decoding import decode
from imaging.encoding import encoded
from imaging.exif import copyright_exif
from imaging.geometry import Placement, placement
from imaging.orientation import oriented
from imaging.originals import PixelLimits, accepted, flattened
from imaging.resizing import Size, resized

# A rendition is made from a larger one only where that is at least this many times its size: two Lanczos
# passes close together soften, and many presets close together would soften step by step.
_CASCADE_STEP: Final = 1.5

# A JPEG's scaled decode must leave this many times the largest rendition, for Lanczos to work on.  Without
# it a zoom loses up to 0.0096 of SSIM (3,296 pixels wide, decoded to 1,648), with it 0.001, for 8% more CPU.
_DRAFT_MARGIN: Final = 1.2
# A small rendition loses more (a thumb alone 0.06 at 1.2, 0.002 at 2) and its margin costs next to nothing.
_SMALL_SIDE, _SMALL_DRAFT_MARGIN = 800, 2.0


def render(
    data: bytes, presets: Sequence[Preset], *, wanted: Collection[str] | None = None, limits: PixelLimits
) -> Iterator[RenderedImage]:
    """The renditions of the original `data`, largest first, each as soon as it is encoded.

    Only presets named in `wanted` are encoded, all if None; the bytes of one depend on `presets`, of some of
    which it may be made, and not on what is wanted.

    Raises ImageRejectedError as `canonical_pixels` does, before the first rendition.
    """
    container = accepted(data, limits=limits)
    plan = [(preset, placement(preset, container.shown_size)) for preset in presets]
    plan.sort(key=lambda entry: entry[1].scaled, reverse=True)
    sizes = list(dict.fromkeys(where.scaled for _, where in plan))
    masters = _masters(container, _decoded(container, sizes), sizes)
    return (
        _rendered(master, preset, where, container)
        for master, size in zip(masters, sizes, strict=True)
        for preset, where in plan
        if where.scaled == size and (wanted is None or preset.name in wanted)
    )


def cascade(sizes: Sequence[Size]) -> list[int | None]:
    """For each of the falling `sizes`, the index of the one it is resized from; None is the decoded image."""
    sources: list[int | None] = []
    for index, size in enumerate(sizes):
        serving = (i for i in reversed(range(index)) if _times(sizes[i], size) >= _CASCADE_STEP)
        sources.append(next(serving, None))
    return sources


def _times(larger: Size, size: Size) -> float:
    return min(larger[0] / size[0], larger[1] / size[1])


def _draft_margin(longest_side: int) -> float:
    return _SMALL_DRAFT_MARGIN if longest_side <= _SMALL_SIDE else _DRAFT_MARGIN


def _decoded(container: Container, sizes: Sequence[Size]) -> Image.Image:
    widest, tallest = (
        max(int(_draft_margin(max(size)) * side) for size, side in zip(sizes, sides, strict=True))
        for sides in zip(*sizes, strict=True)
    )
    image = decode(container, as_stored((widest, tallest), container))
    if image.mode in ("LA", "RGBA") and image.getchannel("A").getextrema() == (255, 255):
        return image.convert(image.mode[:-1])  # alpha without a transparent pixel matters nowhere
    return image


def _masters(container: Container, decoded: Image.Image, sizes: Sequence[Size]) -> Iterator[Image.Image]:
    """The whole image in sRGB and oriented at each of `sizes`; none is held longer than others need it."""
    sources = cascade(sizes)
    last_use = {source: index for index, source in enumerate(sources)}
    held: dict[int | None, Image.Image] = {None: decoded}
    del decoded
    for index, (size, source) in enumerate(zip(sizes, sources, strict=True)):
        image = resized(held[source], as_stored(size, container) if source is None else size)
        if source is None:  # oriented after the resize: 6 ms at 1600 pixels, 43 at 12 megapixels
            image = oriented(to_srgb(image, container.icc_profile), container.orientation)
        held[index] = image
        for done in [one for one in held if last_use.get(one, -1) <= index]:
            del held[done]
        yield image


def as_stored(size: Size, container: Container) -> Size:
    """A size of the shown image as one of the stored image, which may lie on its side."""
    return size if container.shown_size == (container.width, container.height) else size[::-1]


def _rendered(master: Image.Image, preset: Preset, where: Placement, container: Container) -> RenderedImage:
    transparent = master.mode == "RGBA" and preset.fit is not Fit.PAD
    output = resolved(preset.format, transparent=transparent)
    image = composed(master, preset, where, output)
    return RenderedImage(
        preset,
        output,
        encoded(
            image,
            output,
            quality=preset.quality,
            exif=copyright_exif(container.exif) if preset.keep_copyright else b"",
        ),
        *image.size,
        quality=None if output is Format.PNG else preset.quality,
        transparent=image.mode == "RGBA",
    )


def resolved(output: Format, *, transparent: bool) -> Format:
    """`output` itself, or what `auto` means for an image."""
    if output is not Format.AUTO:
        return output
    return Format.WEBP if transparent else Format.JPEG


def composed(master: Image.Image, preset: Preset, where: Placement, output: Format) -> Image.Image:
    """The pixels that `preset` encodes as `output`, from the whole image at `where.scaled`."""
    image = _cropped(master, where.crop)
    if output is Format.JPEG or preset.fit is Fit.PAD:
        image = flattened(image, preset.background)
    if where.canvas != where.crop:
        image = _padded(image, where.canvas, preset.background)
    return image


def _cropped(image: Image.Image, size: Size) -> Image.Image:
    if image.size == size:
        return image
    left, top = (image.width - size[0]) // 2, (image.height - size[1]) // 2
    return image.crop((left, top, left + size[0], top + size[1]))


def _padded(image: Image.Image, canvas: Size, background: str) -> Image.Image:
    padded = Image.new("RGB", canvas, background)
    padded.paste(image, ((canvas[0] - image.width) // 2, (canvas[1] - image.height) // 2))
    return padded

"""Any colour space to sRGB."""

import io
import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from PIL import Image

if TYPE_CHECKING:
    from PIL import ImageCms

# The profile's data colour space (ICC.1:2022, 7.2.6) that fits each working mode.
_SPACES: Final = {
    "L": b"GRAY",
    "LA": b"GRAY",
    "RGB": b"RGB ",
    "RGBA": b"RGB ",
    "CMYK": b"CMYK",
    "LAB": b"Lab ",
}
_SRGB_COLUMNS: Final = {  # IEC 61966-2-1 adapted to D50, as profiles store it
    b"rXYZ": (0.4361, 0.2225, 0.0139),
    b"gXYZ": (0.3851, 0.7169, 0.0971),
    b"bXYZ": (0.1431, 0.0606, 0.7141),
}
_COLUMN_TOLERANCE: Final = 0.002
_CURVE_TOLERANCE: Final = 0.0015  # a plain gamma of 2.2 differs by 0.0037
_CURVE_POINTS: Final = (0.1, 0.25, 0.5, 0.75, 0.9)
_MAX_TAGS: Final = 100


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """`image` (L, LA, RGB, RGBA, CMYK or LAB) as sRGB in RGB or RGBA.

    A profile that is broken, or is for another colour space than the pixels, is ignored: grey and RGB then
    count as sRGB, CMYK as plain ink, Lab as D50.
    """
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    colour = image.convert(image.mode[:-1]) if alpha else image
    converted = None
    if profile and profile[16:20] == _SPACES[image.mode] and not is_srgb(profile):
        converted = _converted(colour, profile)
    if converted is None and colour.mode == "LAB":
        converted = _converted(colour, None)
    if converted is None:
        return image if image.mode in ("RGB", "RGBA") else image.convert("RGBA" if alpha else "RGB")
    if alpha:
        converted.putalpha(alpha)
    return converted


def is_srgb(profile: bytes) -> bool:
    """Whether an RGB matrix profile is sRGB in all but name; half of all photos, and 30 ms of CPU saved."""
    try:
        tags = _tags(profile)
        return (
            not any(name[:3] in (b"A2B", b"D2B") for name in tags)
            and all(
                _near(struct.unpack_from(">3i", tags[name], 8), column)
                for name, column in _SRGB_COLUMNS.items()
            )
            and all(_is_srgb_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC"))
        )
    except (struct.error, KeyError, ArithmeticError):  # the last: a gamma of thousands, or below zero
        return False


def _tags(profile: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", profile, 128)
    entries = (
        struct.unpack_from(">4sII", profile, 132 + 12 * index) for index in range(min(count, _MAX_TAGS))
    )
    return {name: profile[start : start + size] for name, start, size in entries}


def _without_elements(profile: bytes) -> bytes:
    """The profile with its D2Bx tags out of sight; what they refine, A2Bx or the matrix says too (ICC.1).

    They hold a chain of any number of processing elements, which may all be the same bytes: 64 KB of profile
    cost littleCMS 13 s and 330 MiB.
    """
    hidden = bytearray(profile)
    for at in range(132, min(len(hidden), 132 + 12 * _MAX_TAGS), 12):
        if hidden[at : at + 3] == b"D2B":
            hidden[at : at + 1] = b"x"
    return bytes(hidden)


def _near(fixed: tuple[int, ...], column: tuple[float, ...]) -> bool:
    return all(abs(a / 65536 - b) <= _COLUMN_TOLERANCE for a, b in zip(fixed, column, strict=True))


def _is_srgb_curve(tag: bytes) -> bool:
    kind, (count,) = tag[:4], struct.unpack_from(">I", tag, 8)
    if kind == b"para":
        function = count >> 16
        if function != 3:  # noqa: PLR2004 (the only parametric form with sRGB's linear foot and no offset)
            return False
        gamma, a, b, c, d = (value / 65536 for value in struct.unpack_from(">5i", tag, 12))
        curve = {x: (a * x + b) ** gamma if x >= d else c * x for x in _CURVE_POINTS if a * x + b >= 0}
    elif kind == b"curv" and count > 1:
        table = struct.unpack_from(f">{count}H", tag, 12)
        curve = {x: _interpolated(table, x) for x in _CURVE_POINTS}
    else:
        return False
    return len(curve) == len(_CURVE_POINTS) and all(
        abs(y - ((x + 0.055) / 1.055) ** 2.4) <= _CURVE_TOLERANCE for x, y in curve.items()
    )


def _interpolated(table: tuple[int, ...], x: float) -> float:
    at = x * (len(table) - 1)
    below = int(at)
    above = min(below + 1, len(table) - 1)
    return (table[below] + (table[above] - table[below]) * (at - below)) / 65535


def _converted(image: Image.Image, profile: bytes | None) -> Image.Image | None:
    """`image` through littleCMS to sRGB; None where it refuses the profile.  `profile` None: Lab itself."""
    from PIL import ImageCms  # noqa: PLC0415 (few images need it; half of Pillow's import time)

    try:
        return ImageCms.applyTransform(image, _transform(image.mode, profile))
    except (ImageCms.PyCMSError, OSError):  # OSError: not a profile at all
        return None


@lru_cache(maxsize=4)
def _transform(mode: str, profile: bytes | None) -> "ImageCms.ImageCmsTransform":
    from PIL import ImageCms  # noqa: PLC0415

    source = (
        ImageCms.ImageCmsProfile(io.BytesIO(_without_elements(profile)))
        if profile
        else ImageCms.createProfile("LAB")
    )
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
    return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB", intent, flags)

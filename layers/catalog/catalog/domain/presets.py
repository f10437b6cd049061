"""Presets: the named ways an image is rendered.  Data, validated before anything is rendered."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

# Raised by hand whenever the encoder or resizer writes other bytes for the same input and preset;
# tests/unit/test_renditions.py holds the imaging layer to it.
ENCODER_REVISION: Final = "2026-11b"

MAX_PRESETS: Final = 16
MAX_BOX_SIDE: Final = 4096  # pixels; a 4096 x 4096 RGB rendition holds 48 MiB while it is encoded

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_COLOUR = re.compile(r"#[0-9a-f]{6}")


class Fit(StrEnum):
    """How an image meets its box.  None of them ever upscales."""

    INSIDE = "inside"  # the whole image, no side longer than the box
    COVER = "cover"  # fills the box's shape, centre crop
    PAD = "pad"  # the whole image on a background of the box's shape


class Format(StrEnum):
    """What a rendition is encoded as; `auto` is JPEG, or WebP where the original is transparent."""

    JPEG = "jpeg"
    WEBP = "webp"
    AVIF = "avif"
    PNG = "png"
    AUTO = "auto"

    @property
    def content_type(self) -> str:
        """Not of `auto`."""
        return f"image/{self}"

    @property
    def extension(self) -> str:
        return "jpg" if self is Format.JPEG else str(self)


class InvalidPresetsError(ValueError):
    """The PRESETS setting cannot be used; the message names every fault."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("PRESETS is invalid: " + "; ".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Preset:
    """A named way to render an image.  `width` x `height` is the box in pixels.

    `quality` is the encoder's own 1-100 scale (PNG ignores it); `background` an sRGB `#rrggbb`
    that shows through transparency where the output format has none, and fills a `pad`.
    `keep_copyright` carries the EXIF Copyright and Artist over; every other tag is dropped.
    """

    name: str
    width: int
    height: int
    fit: Fit = Fit.INSIDE
    format: Format = Format.JPEG
    quality: int = 85
    background: str = "#ffffff"
    keep_copyright: bool = False

    @property
    def version(self) -> str:
        """Ten hex digits that change whenever this preset would write other bytes."""
        definition = json.dumps(
            [
                ENCODER_REVISION,
                self.width,
                self.height,
                self.fit,
                self.format,
                self.quality,
                self.background,
                self.keep_copyright,
            ]
        )
        return hashlib.sha256(definition.encode()).hexdigest()[:10]


DEFAULT_PRESETS: Final = (
    Preset("thumb", 200, 200),
    Preset("card", 600, 600),
    Preset("zoom", 1600, 1600),
)


def parse_presets(text: str) -> tuple[Preset, ...]:
    """The presets in a JSON list of objects, each `{"name", "width", "height", ...}`; the PRESETS setting.

    Raises InvalidPresetsError naming every fault, so that one deployment attempt shows them all.
    """
    try:
        entries = json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidPresetsError([f"not JSON ({error})"]) from error
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_PRESETS:
        raise InvalidPresetsError([f"must be a list of 1 to {MAX_PRESETS} presets"])
    faults: list[str] = []
    presets: list[Preset] = []
    for index, entry in enumerate(entries):
        found = _preset_faults(entry)
        if found:
            faults += [f"[{index}] {fault}" for fault in found]
        else:
            presets.append(Preset(**_typed(entry)))
    names = [preset.name for preset in presets]
    faults += [f"{name!r} is defined twice" for name in sorted({n for n in names if names.count(n) > 1})]
    if faults:
        raise InvalidPresetsError(faults)
    return tuple(presets)


def is_preset_name(text: str) -> bool:
    """Whether a preset may be called so."""
    return _NAME.fullmatch(text) is not None


def _typed(entry: Mapping[str, Any]) -> dict[str, Any]:
    typed = dict(entry)
    if "fit" in typed:
        typed["fit"] = Fit(typed["fit"])
    if "format" in typed:
        typed["format"] = Format(typed["format"])
    return typed


def _preset_faults(entry: object) -> list[str]:
    if not isinstance(entry, dict):
        return ["must be an object"]
    faults = []
    unknown = sorted(set(entry) - set(Preset.__dataclass_fields__))
    if unknown:
        faults.append(f"unknown fields {', '.join(map(str, unknown))}")
    name = entry.get("name")
    if not (isinstance(name, str) and is_preset_name(name)):
        faults.append(f"name must match {_NAME.pattern}")
    for side in ("width", "height"):
        if not _whole(entry.get(side), 1, MAX_BOX_SIDE):
            faults.append(f"{side} must be a whole number from 1 to {MAX_BOX_SIDE}")
    for field, kinds in (("fit", Fit), ("format", Format)):
        if field in entry and entry[field] not in list(kinds):
            faults.append(f"{field} must be one of {', '.join(kinds)}")
    if "quality" in entry and not _whole(entry["quality"], 1, 100):
        faults.append("quality must be a whole number from 1 to 100")
    background = entry.get("background", "#ffffff")
    if not (isinstance(background, str) and _COLOUR.fullmatch(background)):
        faults.append("background must be #rrggbb in lower case")
    if not isinstance(entry.get("keep_copyright", False), bool):
        faults.append("keep_copyright must be true or false")
    return faults


def _whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high

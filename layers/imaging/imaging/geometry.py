"""Where a picture goes in its box, in whole pixels.  Nothing here is ever scaled up."""

from dataclasses import dataclass

from catalog.domain.presets import Fit, Preset

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Placement:
    """The whole image at `scaled`; of that the centred `crop`; that centred on `canvas`.  Width, height."""

    scaled: Size
    crop: Size
    canvas: Size


def placement(preset: Preset, shown: Size) -> Placement:
    """How `preset` places an image of `shown` pixels.

    inside: as large as fits the box, at most its own size.
    cover: the box's shape, cut from the centre; the box itself unless the image is smaller than that in
        either direction, then the largest part of the image that has the shape.
    pad: as inside, then centred on a canvas of exactly the box.
    """
    box = (preset.width, preset.height)
    if preset.fit is Fit.COVER:
        return _cover(box, shown)
    scaled = _inside(box, shown)
    return Placement(scaled, scaled, box if preset.fit is Fit.PAD else scaled)


def fills_box(preset: Preset, shown: Size) -> bool:
    """Whether an image of `shown` pixels is large enough for the box: in one direction, to cover in both."""
    wide, tall = shown[0] >= preset.width, shown[1] >= preset.height
    return wide and tall if preset.fit is Fit.COVER else wide or tall


def _inside(box: Size, shown: Size) -> Size:
    (box_width, box_height), (width, height) = box, shown
    if width <= box_width and height <= box_height:
        return shown
    if box_width * height <= box_height * width:
        return box_width, max(1, round(height * box_width / width))
    return max(1, round(width * box_height / height)), box_height


def _cover(box: Size, shown: Size) -> Placement:
    (box_width, box_height), (width, height) = box, shown
    wide = width * box_height >= height * box_width  # the image is wider than the box's shape
    if width >= box_width and height >= box_height:
        scaled = (
            (max(box_width, round(width * box_height / height)), box_height)
            if wide
            else (box_width, max(box_height, round(height * box_width / width)))
        )
        return Placement(scaled, box, box)
    crop = (
        (max(1, round(height * box_width / box_height)), height)
        if wide
        else (width, max(1, round(width * box_height / box_width)))
    )
    crop = min(crop[0], width), min(crop[1], height)
    return Placement(shown, crop, crop)

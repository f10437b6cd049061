"""One picture in another frame: margins trimmed or added, or a little cropped.  Found by registration.

A scale and a shift each way, no rotation: from where the content boxes say, or else the frames, refined by
Gauss-Newton on luma from coarse to fine.  Coordinates are continuous: a pixel's centre is at a half.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import Resampling, Transform

from imaging.hashes import Box, content_box
from imaging.verification.planes import Plane, samples

# Pixels of the content's longer side, coarse to fine, and the steps of Gauss-Newton at each.
_LEVELS: Final = ((96, 8), (192, 4), (384, 4))
_ALIKE: Final = 0.9  # correlation of what overlaps: less is another picture
_SHARED: Final = 0.8  # of the area of each content box, that both frames show
_STRETCHED: Final = 0.012  # by which the scales of the two sides may differ: more is another shape
_UNMOVED: Final = 0.002  # of a side: a pixel at the compare side is no other frame
_SCALED: Final = 10.0  # no larger or smaller
_INSET: Final = 1.5  # pixels that the edge of a frame may be blended with what it lay on
_DAMPED: Final = 0.7
_LEAST: Final = 32  # pixels a side

Vector = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Mapping:
    """Where a point of the second image is in the first: `scale` times it plus `shift`, (x, y)."""

    scale: Vector
    shift: Vector

    def of(self, box: Box) -> Box:
        x0, y0 = self.scale * box[:2] + self.shift
        x1, y1 = self.scale * box[2:] + self.shift
        return float(x0), float(y0), float(x1), float(y1)


@dataclass(frozen=True, slots=True)
class Reframed:
    """What two images both show, on the same pixels."""

    first: Image.Image
    second: Image.Image


def reframed(first: Image.Image, second: Image.Image, side: int) -> Reframed | None:
    """What both show, at most `side` pixels long; None where they are not one picture in two frames."""
    boxes = content_box(first), content_box(second)
    lumas = first.convert("L"), second.convert("L")
    wholes: tuple[Box, Box] = (0, 0, *first.size), (0, 0, *second.size)
    tried = [_registered(*lumas, _between(*pair), boxes[1]) for pair in (boxes, wholes)]
    mapping, alike = max(tried, key=lambda found: found[1])
    if alike < _ALIKE or abs(mapping.scale[0] / mapping.scale[1] - 1) > _STRETCHED:
        return None
    shown = _overlap(mapping, *wholes)
    if (
        _is_unmoved(mapping, *wholes)
        or not _shows(shown, boxes[1])
        or not _shows(mapping.of(shown), boxes[0])
    ):
        return None
    x0, y0, x1, y1 = (*np.ceil(np.add(shown[:2], _INSET)), *np.floor(np.subtract(shown[2:], _INSET)))
    if min(x1 - x0, y1 - y0) < _LEAST:
        return None
    box = mapping.of((x0, y0, x1, y1))
    longer, other = max(x1 - x0, y1 - y0), max(box[2] - box[0], box[3] - box[1])
    shrunk = min(side, longer, other) / longer
    size = max(1, round((x1 - x0) * shrunk)), max(1, round((y1 - y0) * shrunk))
    return Reframed(
        first.resize(size, Resampling.LANCZOS, box=box),
        second.resize(size, Resampling.LANCZOS, box=(x0, y0, x1, y1)),
    )


def _between(first: Box, second: Box) -> Mapping:
    """The mapping that brings one box onto the other."""
    scale = np.subtract(first[2:], first[:2]) / np.subtract(second[2:], second[:2])
    return Mapping(scale, np.asarray(first[:2]) - scale * second[:2])


def _registered(
    first: Image.Image, second: Image.Image, mapping: Mapping, content: Box
) -> tuple[Mapping, float]:
    """`mapping` refined, and the correlation of what overlaps; given up at a level that shows none."""
    longer, alike = max(content[2] - content[0], content[3] - content[1]), -1.0
    for side, steps in _LEVELS:
        there = min(1.0, side / longer)
        here = min(1.0, there / float(mapping.scale.mean()))
        source, target = _scaled(first, here), _scaled(second, there)
        ratio = np.array([source.width / first.width, source.height / first.height])
        to_ratio = np.array([target.width / second.width, target.height / second.height])
        scaled = Mapping(mapping.scale * ratio / to_ratio, mapping.shift * ratio)
        scaled, alike = _refined(source, samples(target), scaled, steps)
        mapping = Mapping(scaled.scale * to_ratio / ratio, scaled.shift / ratio)
        if alike < _ALIKE - 0.1 or not 1 / _SCALED < mapping.scale.min() <= mapping.scale.max() < _SCALED:
            return mapping, -1.0
    return mapping, alike


def _scaled(luma: Image.Image, by: float) -> Image.Image:
    return luma.resize((max(8, round(luma.width * by)), max(8, round(luma.height * by))), Resampling.BOX)


def _refined(source: Image.Image, target: Plane, mapping: Mapping, steps: int) -> tuple[Mapping, float]:
    height, width = target.shape
    x, y = np.arange(width)[None, :] + 0.5, np.arange(height)[:, None] + 0.5
    best, best_alike = mapping, -1.0
    for _ in range(steps + 1):
        warped, inside = _warped(source, mapping, x, y)
        if inside.sum() < _LEAST**2 / 4:
            break
        alike = float(np.nan_to_num(np.corrcoef(warped[inside], target[inside])[0, 1]))
        if alike > best_alike:
            best, best_alike = mapping, alike
        down, across = np.gradient(warped)
        columns = [across * (x - width / 2), across, down * (y - height / 2), down, np.ones_like(warped)]
        terms = np.stack([column[inside] for column in columns]).astype(np.float64)
        gram = terms @ terms.T
        step = np.linalg.solve(
            gram + 1e-6 * np.trace(gram) / 5 * np.eye(5), terms @ (target - warped)[inside]
        )
        # Damped: differences of neighbours understate the slope of an edge, and a full step swings past it.
        grown, moved = _DAMPED * step[[0, 2]] * mapping.scale, _DAMPED * step[[1, 3]] * mapping.scale
        mapping = Mapping(mapping.scale + grown, mapping.shift + moved - grown * (width / 2, height / 2))
    return best, best_alike


def _warped(source: Image.Image, mapping: Mapping, x: Vector, y: Vector) -> tuple[Plane, NDArray[np.bool_]]:
    """`source` on the target's pixels, and which of them it has."""
    (across, down), (right, below) = mapping.scale, mapping.shift
    size = x.shape[1], y.shape[0]
    moved = source.transform(size, Transform.AFFINE, (across, 0, right, 0, down, below), Resampling.BICUBIC)
    at_x, at_y = across * x + right, down * y + below
    inside = _within(at_x, source.width) & _within(at_y, source.height)
    return samples(moved), inside


def _within(at: Vector, length: int) -> NDArray[np.bool_]:
    return (at > 1) & (at < length - 1)


def _overlap(mapping: Mapping, first: Box, second: Box) -> Box:
    """What of the second frame is in the first too."""
    low = np.maximum(second[:2], -mapping.shift / mapping.scale)
    high = np.minimum(second[2:], (np.asarray(first[2:]) - mapping.shift) / mapping.scale)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _shows(frame: Box, content: Box) -> bool:
    sides = np.minimum(frame[2:], content[2:]) - np.maximum(frame[:2], content[:2])
    area = np.prod(np.subtract(content[2:], content[:2]))
    return bool((sides > 0).all() and np.prod(sides) >= _SHARED * area)


def _is_unmoved(mapping: Mapping, first: Box, second: Box) -> bool:
    """Whether the frames are the same to less than the filter of a comparison absorbs."""
    corners = np.abs(np.subtract(mapping.of(second), first))
    return bool(corners.max() <= _UNMOVED * max(first[2:]))

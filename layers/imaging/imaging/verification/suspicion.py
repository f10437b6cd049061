"""The same shot, edited: what a person should look at, and what is never merged by itself."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PIL import Image

from imaging.verification.framing import reframed
from imaging.verification.measures import (
    Fractions,
    LumaMaps,
    chroma_fractions,
    luma_fractions,
    luma_maps,
    worst,
)
from imaging.verification.overlay import is_overlaid
from imaging.verification.planes import Plane, opponent
from imaging.verification.registration import predicted
from imaging.verification.tone import toned


@dataclass(frozen=True, slots=True)
class Compared:
    """Two pictures on the same pixels, and what they disagree on."""

    first: Sequence[Plane]
    second: Sequence[Plane]
    maps: LumaMaps
    fractions: Fractions
    lost: float

    @property
    def agrees(self) -> bool:
        return max(worst(self.fractions).values()) <= 1


def compared(
    first: Sequence[Plane], second: Sequence[Plane], others: Sequence[Plane] = (), lost: float = 1.0
) -> Compared:
    """`second` beside what a filter makes of `first` (and of its luma as `others` resample it)."""
    maps = luma_maps(predicted(first[0], second[0], others), second[0])
    noise = maps.noise()
    fractions = luma_fractions(maps, noise, lost) | chroma_fractions(first[1:], second[1:], noise, lost)
    return Compared(first, second, maps, fractions, lost)


def is_edited(pair: Compared) -> bool:
    """Whether a tone curve, something on top, or both explain what two pictures disagree on."""
    if is_overlaid(pair.maps, pair.fractions):
        return True
    again = (compared(first, second, lost=pair.lost) for first, second in _tonings(pair))
    return any(pair.agrees or is_overlaid(pair.maps, pair.fractions) for pair in again)


def _tonings(pair: Compared) -> Iterator[tuple[Sequence[Plane], Sequence[Plane]]]:
    """Either in the other's tones: what is clipped in one is not in the other."""
    for first in toned(pair.first, pair.second):
        yield first, pair.second
    for second in toned(pair.second, pair.first):
        yield pair.first, second


def is_reframed(first: Image.Image, second: Image.Image, side: int) -> bool:
    """Whether two images show one picture in two frames, perhaps edited besides."""
    shown = reframed(first, second, side)
    if shown is None:
        return False
    pair = compared(opponent(shown.first), opponent(shown.second))
    return pair.agrees or is_edited(pair)

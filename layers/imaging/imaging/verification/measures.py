"""What two registered pictures disagree on in their worst window, and the limits of it.

Energies are in grey levels squared, sides in pixels.  Limits are measured, not derived; those of the first
version on half of a set of images, later ones on all of it: docs/near-duplicates.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from imaging.verification.planes import Plane, halved, variance, window_mean
from imaging.verification.verdicts import Refusal

WINDOW: Final = 8  # one block of JPEG, about one glyph
_NEIGHBOURHOOD: Final = 16  # over which local activity is taken
_TEXTURE_AREA: Final = 32  # over which the structure of a material is compared
_CHROMA_WINDOWS: Final = (4, 8, 12)  # at half scale, where 4:2:0 keeps chroma

# A q30 JPEG's steps are about 40 levels apart, so its error stops growing at an activity of some hundred.
# The floors are what is tolerated where nothing is going on; the outline of something near-white has an
# energy of some ten.
_ACTIVITY_CEILING: Final = 400.0
_DETAIL_FLOOR, _PRESENCE_FLOOR = 30.0, 10.0
_TONE_FLOOR, _TONE_ACTIVITY = np.float32(3), np.float32(0.02)
_CHROMA_FLOOR, _CHROMA_ACTIVITY = np.float32(2), np.float32(0.05)
# Structure under 2.2 grey levels is what a codec may invent; above, more than half of it must be shared.
_TEXTURE_FLOOR, _TEXTURE_UNSHARED = np.float32(3), np.float32(0.4)

# Those of detail and presence are multiples of the pair's noise, between bounds.
_NOISE_FLOOR: Final = 0.03
_DETAIL_TO_NOISE, _DETAIL_AT_MOST = 4.2, 1.8
_PRESENCE_TO_NOISE, _PRESENCE_AT_LEAST, _PRESENCE_AT_MOST = 20.0, 0.6, 7.2
_TONE: Final = 7.0
_COLOUR_DETAIL, _COLOUR_PART, _COLOUR = np.float32(38), np.float32(16), np.float32(9)
# Print shrinks with the picture and shows less, a small part too: at half size a fifth less of detail is
# allowed, a third less of presence and of colour.  Re-encodes keep far within each.
_DETAIL_WHEN_SMALLER, _PRESENCE_WHEN_SMALLER, _COLOUR_WHEN_SMALLER = 0.25, 0.5, 0.5
# Tone and colour get up to half as much again where luma shows a coarse quantiser (JPEG below about q70),
# colour a third less where it shows a fine one.
_COARSE_NOISE, _COARSE_ALLOWANCE, _FINE_ALLOWANCE = 0.15, 1.5, 0.7

Scores = dict[Refusal, float]
Fractions = dict[Refusal, Plane]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LumaMaps:
    """Each measure at every pixel, in units that its limit is in."""

    detail: Plane
    presence: Plane
    tone: Plane
    texture: Plane
    activity: Plane
    # Energies: what the second image has more of than the first, what the two differ by, and what of the
    # stronger no gain and offset make of the weaker.
    gain: Plane
    residue: Plane
    added: Plane

    def noise(self, where: Mask | None = None) -> float:
        """What the busiest windows stay within: where a codec errs most.

        Every second window each way; a changed line of print is too small a part of the busiest tenth to
        raise its own limit.
        """
        activity, detail = self.activity[::2, ::2], self.detail[::2, ::2]
        if where is not None:
            activity, detail = activity[where[::2, ::2]], detail[where[::2, ::2]]
        busiest = detail[activity >= np.quantile(activity, 0.9)]
        return float(np.quantile(busiest, 0.95))


def luma_maps(left: Plane, right: Plane) -> LumaMaps:
    left_mean, right_mean = window_mean(left, WINDOW), window_mean(right, WINDOW)
    left_energy = np.maximum(window_mean(left * left, WINDOW) - left_mean**2, 0)
    right_energy = np.maximum(window_mean(right * right, WINDOW) - right_mean**2, 0)
    shared = window_mean(left * right, WINDOW) - left_mean * right_mean
    activity = np.minimum(variance(left, _NEIGHBOURHOOD), variance(right, _NEIGHBOURHOOD))
    expected = activity * _ACTIVITY_CEILING / (activity + _ACTIVITY_CEILING)

    # Of the weaker image's energy, the share that no gain and offset make of the other's (1 - r squared).
    unexplained = 1 - np.maximum(shared, 0) ** 2 / np.maximum(left_energy * right_energy, 1e-3)
    weaker = np.minimum(left_energy, right_energy)
    tone: Plane = (right_mean - left_mean) ** 2 / (activity * _TONE_ACTIVITY + _TONE_FLOOR)
    residue = np.maximum(left_energy + right_energy - 2 * shared, 0)
    return LumaMaps(
        detail=np.maximum(weaker * unexplained, 0) / (expected + _DETAIL_FLOOR),
        presence=residue / (expected + _PRESENCE_FLOOR),
        tone=tone,
        texture=_texture(left_energy, right_energy, shared),
        activity=activity,
        gain=right_energy - left_energy,
        residue=residue,
        added=np.maximum(left_energy, right_energy) * unexplained,
    )


def _texture(left_energy: Plane, right_energy: Plane, shared: Plane) -> Plane:
    """How much of the weaker's structure, over an area, is not the other's.

    A codec takes structure away: what it leaves is shared in full, however little that is.  Ribs or a weave
    of another direction share nothing, at the same mean and the same energy.
    """
    left, right, common = (halved(plane) for plane in (left_energy, right_energy, shared))
    left, right, common = (window_mean(plane, _TEXTURE_AREA // 2) for plane in (left, right, common))
    weaker = np.minimum(left, right)
    unshared: Plane = np.maximum(weaker - common, 0) / (weaker * _TEXTURE_UNSHARED + _TEXTURE_FLOOR)
    return unshared


def luma_fractions(maps: LumaMaps, noise: float, lost: float) -> Fractions:
    """Each measure as a fraction of its limit.

    `noise` is the pair's; `lost` how much longer a side is in the larger image than here: 1 loses nothing.
    """
    detail_limit = min(_DETAIL_TO_NOISE * (noise + _NOISE_FLOOR), _DETAIL_AT_MOST)
    presence_limit = min(
        max(_PRESENCE_TO_NOISE * (noise + _NOISE_FLOOR), _PRESENCE_AT_LEAST), _PRESENCE_AT_MOST
    )
    return {
        Refusal.DETAIL: maps.detail * np.float32(_stricter(_DETAIL_WHEN_SMALLER, lost) / detail_limit),
        Refusal.PRESENCE: maps.presence
        * np.float32(_stricter(_PRESENCE_WHEN_SMALLER, lost) / presence_limit),
        Refusal.TEXTURE: maps.texture,
        Refusal.TONE: maps.tone / np.float32(_TONE * max(_allowance(noise), 1.0)),
    }


def chroma_fractions(left: Sequence[Plane], right: Sequence[Plane], noise: float, lost: float) -> Fractions:
    """Differences of mean Cb and Cr in windows of three sizes, as fractions of their limits; half scale."""
    fine, part, coarse = _CHROMA_WINDOWS
    allowed = np.float32(_allowance(noise) / _stricter(_COLOUR_WHEN_SMALLER, lost))
    activity: Plane = np.zeros((), np.float32)
    differences = dict.fromkeys(_CHROMA_WINDOWS, activity)
    for one, other in zip(map(halved, left), map(halved, right), strict=True):
        activity = activity + np.minimum(variance(one, coarse), variance(other, coarse))
        for window in _CHROMA_WINDOWS:
            differences[window] = differences[window] + window_mean(one - other, window) ** 2
    expected = (activity * _CHROMA_ACTIVITY + _CHROMA_FLOOR) * allowed
    detail = np.maximum(differences[fine] / _COLOUR_DETAIL, differences[part] / _COLOUR_PART)
    return {
        Refusal.COLOUR_DETAIL: detail / expected,
        Refusal.COLOUR: differences[coarse] / (expected * _COLOUR),
    }


def halved_mask(where: Mask) -> Mask:
    """As `halved` does: without the last row and column of an odd plane."""
    height, width = (side // 2 * 2 for side in where.shape)
    return where[:height:2, :width:2]


def worst(fractions: Fractions) -> Scores:
    """The worst window of each measure."""
    return {of: float(fraction.max()) for of, fraction in fractions.items()}


def _allowance(noise: float) -> float:
    """How much more or less tone and colour may differ under a quantiser as coarse as the noise shows."""
    return min(max(noise / _COARSE_NOISE, _FINE_ALLOWANCE), _COARSE_ALLOWANCE)


def _stricter(by: float, lost: float) -> float:
    return 1 + by * (lost - 1)

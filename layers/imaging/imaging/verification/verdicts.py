"""What a verification answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from catalog.domain.near_duplicates import Verdict


class Refusal(StrEnum):
    """Why two images are not one picture re-encoded or resized."""

    ASPECT = "aspect"  # other proportions
    RESOLUTION = "resolution"  # one too small to show what the other does
    HIDDEN = "hidden"  # the larger has detail that the smaller cannot show: linked, nothing else differs
    MIRRORED = "mirrored"  # closer to the other's mirror image
    DETAIL = "detail"  # print, texture or edges that changed
    PRESENCE = "presence"  # print, a badge or a part that only one has
    TEXTURE = "texture"  # ribs or a weave that runs another way
    FINE_DETAIL = "fine_detail"  # as detail, presence or texture, at full resolution only
    TONE = "tone"  # lighter or darker somewhere, or an outline moved
    COLOUR = "colour"  # another hue or saturation of an area
    COLOUR_DETAIL = "colour_detail"  # another colour of a small part


@dataclass(frozen=True, slots=True)
class Verification:
    """The verdict on two images, the same in either order.

    `scores` holds each measure, by the refusal it leads to, as a fraction of its limit: SAME when none is
    above 1.  What was not measured has no score: after a frame that does not fit (aspect, resolution), or
    fine detail where the picture differs already.
    """

    verdict: Verdict
    scores: Mapping[str, float]
    refusal: Refusal | None = None

    @property
    def accepted(self) -> bool:
        """May share renditions."""
        return self.verdict is Verdict.SAME


def named(scores: Mapping[Refusal, float]) -> dict[str, float]:
    """Scores as they are kept: by name, four decimals."""
    return {name.value: round(score, 4) for name, score in scores.items()}

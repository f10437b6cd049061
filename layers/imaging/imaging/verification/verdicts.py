"""Why two images are not the same, and how scores are kept."""

from collections.abc import Mapping
from enum import StrEnum


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


def named(scores: Mapping[Refusal, float]) -> dict[str, float]:
    """Scores as they are kept: by name, four decimals."""
    return {name.value: round(score, 4) for name, score in scores.items()}

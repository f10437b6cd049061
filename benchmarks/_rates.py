"""Rates with the bounds that their number of trials allows."""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

_CONFIDENCE: Final = 0.95


@dataclass(frozen=True)
class Rate:
    """`count` of `trials`."""

    count: int
    trials: int

    @property
    def share(self) -> float:
        return self.count / self.trials if self.trials else math.nan

    @property
    def bounds(self) -> tuple[float, float]:
        """Two-sided 95% interval (Wilson, 1927); one-sided and exact where the count is none or all.

        The exact bound is 1 - 0.05^(1/n), the "rule of three" 3/n for large n.
        """
        if not self.trials:
            return (0.0, 1.0)
        exact = 1 - (1 - _CONFIDENCE) ** (1 / self.trials)
        if self.count == 0:
            return (0.0, exact)
        if self.count == self.trials:
            return (1 - exact, 1.0)
        z = NormalDist().inv_cdf((1 + _CONFIDENCE) / 2)
        spread = z * math.sqrt(self.share * (1 - self.share) / self.trials + z * z / (4 * self.trials**2))
        centre = self.share + z * z / (2 * self.trials)
        scale = 1 + z * z / self.trials
        return ((centre - spread) / scale, (centre + spread) / scale)

    def __str__(self) -> str:
        low, high = self.bounds
        return f"{self.share:.2%} ({self.count:,}/{self.trials:,}; {low:.2%} to {high:.2%})"

    def as_json(self) -> dict[str, float]:
        low, high = self.bounds
        return {"count": self.count, "trials": self.trials, "share": self.share, "low": low, "high": high}


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table, its columns padded to read as plain text too."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in [header, *rows]
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)

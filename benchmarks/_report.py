"""What every benchmark leaves behind: its goals beside what was measured, as a table and as JSON.

    goals = [
        Goal("CPU, JPEG, ours of libvips", 0.61, at_most=0.65),
        Goal("recall, products", 0.989, at_least=0.97),
    ]
    report("render", figures={...}, goals=goals, out=arguments.out)

A goal missed is told, not an error: a benchmark ends with a status other than 0 only where it could not
measure.
"""

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks._rates import table


@dataclass(frozen=True)
class Goal:
    """What was measured against what was wished for; `at_most`, `at_least` or both bound it, inclusively.

    `unit` is printed behind the numbers: "s", "USD a million"; a ratio has none.
    """

    name: str
    measured: float
    at_most: float | None = None
    at_least: float | None = None
    unit: str = ""

    def __post_init__(self) -> None:
        if self.at_most is None and self.at_least is None:
            raise ValueError(f"{self.name} is bounded on neither side")

    @property
    def met(self) -> bool:
        """False too where nothing could be measured (NaN)."""
        above = self.at_least is None or self.measured >= self.at_least
        below = self.at_most is None or self.measured <= self.at_most
        return above and below

    @property
    def goal(self) -> str:
        """The bounds in words."""
        bounds = {"at least": self.at_least, "at most": self.at_most}
        return ", ".join(
            f"{words} {bound:g} {self.unit}".rstrip() for words, bound in bounds.items() if bound is not None
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "goal": self.goal,
            "measured": self.measured,
            "at_most": self.at_most,
            "at_least": self.at_least,
            "unit": self.unit,
            "met": self.met,
        }


def goals_table(goals: Sequence[Goal]) -> str:
    """A Markdown table, a row a goal."""
    rows: list[tuple[str, ...]] = [
        (goal.name, goal.goal, f"{goal.measured:.4g} {goal.unit}".rstrip(), "yes" if goal.met else "NO")
        for goal in goals
    ]
    return table(("goal", "wished for", "measured", "met"), rows)


def machine() -> dict[str, Any]:
    """What it ran on, for whoever compares two results; nothing that names the machine."""
    return {
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def report(
    benchmark: str, *, figures: Mapping[str, Any], goals: Sequence[Goal] = (), out: Path | None = None
) -> None:
    """Print the goals, and write them with all figures to `out`; figures of any shape JSON can hold."""
    if goals:
        print(f"\n## Goals of {benchmark}\n\n{goals_table(goals)}")
    if out:
        document = {
            "benchmark": benchmark,
            "command": [f"python -m benchmarks.{benchmark}", *sys.argv[1:]],
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine(),
            "goals": [goal.as_json() for goal in goals],
            "figures": figures,
        }
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(document, indent=1))

import json
import math
from pathlib import Path

import pytest

from benchmarks._report import Goal, goals_table, report


def test_a_goal_is_met_at_its_bound() -> None:
    assert Goal("ratio", 0.65, at_most=0.65).met
    assert Goal("recall", 0.97, at_least=0.97).met


def test_a_goal_is_missed_beyond_either_bound() -> None:
    assert not Goal("ratio", 0.651, at_most=0.65).met
    assert not Goal("recall", 0.969, at_least=0.97).met
    assert not Goal("share", 1.5, at_least=0.9, at_most=1.1).met


def test_a_goal_of_which_nothing_could_be_measured_is_missed() -> None:
    assert not Goal("ratio", math.nan, at_most=0.65).met
    assert not Goal("recall", math.nan, at_least=0.97).met


def test_a_goal_without_a_bound_is_refused() -> None:
    with pytest.raises(ValueError, match="ratio is bounded on neither side"):
        Goal("ratio", 0.65)


def test_a_missed_goal_is_told_in_the_table() -> None:
    _, _, cheap, dear = goals_table(
        [
            Goal("unique", 48.2, at_most=50, unit="USD a million"),
            Goal("exact duplicate", 6.01, at_most=5, unit="USD a million"),
        ]
    ).splitlines()
    assert [cell.strip() for cell in cheap.strip("|").split("|")] == [
        "unique", "at most 50 USD a million", "48.2 USD a million", "yes",
    ]  # fmt: skip
    assert dear.strip("| ").endswith("NO")


def test_goals_and_figures_are_written_for_a_machine_to_read(tmp_path: Path) -> None:
    out = tmp_path / "results" / "render.json"
    report("render", figures={"jpeg": {"ours": 42}}, goals=[Goal("JPEG", 0.61, at_most=0.65)], out=out)
    written = json.loads(out.read_text())
    assert written["benchmark"] == "render"
    assert written["figures"] == {"jpeg": {"ours": 42}}
    assert [(goal["name"], goal["goal"], goal["measured"], goal["met"]) for goal in written["goals"]] == [
        ("JPEG", "at most 0.65", 0.61, True)
    ]

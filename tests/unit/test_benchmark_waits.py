"""Billed time: subjects taken side by side wait together and share one core."""

import pytest

from benchmarks._waits import Stretch, Trace, played

IMAGE = [Stretch(0.1, 0.5), Stretch(0.1)]


def test_one_at_a_time_everything_adds_up() -> None:
    assert played([IMAGE] * 3, most=1) == pytest.approx(3 * 0.7)
    assert Trace([IMAGE] * 3, [Stretch(0.2, 0.1)]).billed(most=1) == pytest.approx(3 * 0.7 + 0.3)


def test_side_by_side_waits_are_shared_until_the_core_is_busy() -> None:
    assert played([IMAGE] * 100, most=2) == pytest.approx(100 * 0.7 / 2, rel=0.2)
    assert played([IMAGE] * 100, most=20) == pytest.approx(100 * 0.2, rel=0.1)
    assert played([IMAGE] * 100, most=100) >= Trace([IMAGE] * 100).processor


def test_what_is_between_subjects_is_added_to_them() -> None:
    trace = Trace([IMAGE] * 4, [Stretch(0.2, 0.1)])
    assert trace.billed(most=4) == pytest.approx(played([IMAGE] * 4, most=4) + 0.3)
    assert Trace([IMAGE], [Stretch(0.2, 0.1)]).of_a_part(100, most=1) == pytest.approx(0.7 + 0.3 / 100)
    assert trace.processor == pytest.approx(4 * 0.2 + 0.2)


def test_a_subject_that_takes_long_holds_up_those_behind_its_window() -> None:
    long = [Stretch(0.0, 10.0)]
    assert played([long, *[IMAGE] * 10], most=2) > 10 + 9 * 0.35


def test_no_subjects_take_no_time() -> None:
    assert played([], most=4) == 0

"""Live uploads beside a job: what the benchmark makes of its windows."""

import pytest

from benchmarks._windows import NO_JOB, Window, interval, of, ratio, times


def window(job: str, *ready: float) -> Window:
    return Window(job, ready, seconds=1.0)


WINDOWS = [
    window(NO_JOB, 1.0, 1.0, 1.0),
    window("rebuild", 1.1, 1.1, 1.1),
    window(NO_JOB, 1.0, 1.0, 1.0),
    window("import", 3.0, 3.0, 3.0),
]


def test_a_job_is_held_against_the_windows_without_one() -> None:
    assert ratio(WINDOWS, ["rebuild"], 0.95) == pytest.approx(1.1)
    assert ratio(WINDOWS, ["import"], 0.5) == pytest.approx(3.0)


def test_times_of_all_windows_of_a_job_are_taken_together() -> None:
    assert times(of(WINDOWS, NO_JOB)) == [1.0] * 6
    assert times(of(WINDOWS, "rebuild", "import")) == [1.1] * 3 + [3.0] * 3


def test_the_interval_is_that_of_windows_and_not_of_single_uploads() -> None:
    low, high = interval(WINDOWS, ["rebuild", "import"], 0.5)
    assert (low, high) == (pytest.approx(1.1), pytest.approx(3.0)), "either window may be drawn twice"
    assert interval(WINDOWS, ["rebuild"], 0.5) == (pytest.approx(1.1), pytest.approx(1.1))

"""Windows of live uploads, with a job and without, and how their times compare."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

NO_JOB: Final = "no job"
_DRAWS: Final = 2_000  # of the bootstrap


@dataclass(frozen=True)
class Window:
    """The same photos, sent while this job ran, or none: seconds from PUT to ready of each.

    `images` were done by the job meanwhile, and `job_cpu` is what its workers took of the processors, in
    seconds.  `covered`: the job was still at work at the end.
    """

    job: str
    ready: tuple[float, ...]
    seconds: float
    images: int = 0
    job_cpu: float = 0.0
    covered: bool = True


def quantile(values: Sequence[float], part: float) -> float:
    """NaN where nothing was measured."""
    return float(np.quantile(values, part)) if len(values) else math.nan


def of(done: Sequence[Window], *jobs: str) -> list[Window]:
    return [each for each in done if each.job in jobs]


def times(done: Sequence[Window]) -> list[float]:
    return [seconds for each in done for seconds in each.ready]


def ratio(done: Sequence[Window], jobs: Sequence[str], part: float) -> float:
    """A quantile of the time to ready while one of the jobs ran, of that while none did."""
    return quantile(times(of(done, *jobs)), part) / quantile(times(of(done, NO_JOB)), part)


def interval(done: Sequence[Window], jobs: Sequence[str], part: float) -> tuple[float, float]:
    """95% of the ratio, by drawing whole windows anew: what is sent in one is not independent."""
    rng = np.random.default_rng(14)
    busy, idle = of(done, *jobs), of(done, NO_JOB)

    def drawn(some: Sequence[Window]) -> list[Window]:
        return [some[index] for index in rng.integers(0, len(some), len(some))]

    ratios = [ratio([*drawn(busy), *drawn(idle)], jobs, part) for _ in range(_DRAWS)]
    return quantile(ratios, 0.025), quantile(ratios, 0.975)

"""Steps of a job that retries the failures of another job."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from catalog.domain.jobs import Step, Work
from catalog.domain.paging import PageRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from catalog.adapters.jobs_table import Jobs
    from catalog.domain.jobs import Job
    from catalog.domain.keys import TenantId

FAILURES_PER_STEP: Final = 1_000
SUBJECTS_PER_PART: Final = 100
# A manifest's object is named with all its references: up to 7 KB.  A line has at most 250,000 bytes.
_PART_BYTES: Final = 150_000


@dataclass(frozen=True, slots=True)
class RetrySteps:
    """Plans pages of the failures of `retry_of`; each failure keeps its tenant and phase."""

    jobs: Jobs

    def step(self, job: Job, position: str) -> Step:
        page = self.jobs.failures(str(job.retry_of), PageRequest(FAILURES_PER_STEP, position or None))
        subjects: dict[tuple[TenantId, str], list[str]] = defaultdict(list)
        for failed in page.entries:
            subjects[failed.tenant, failed.phase].append(failed.failure.subject)
        works = [
            Work(tenant, phase, None, some)
            for (tenant, phase), named in subjects.items()
            for some in _parts(dict.fromkeys(named))
        ]
        return Step(works, len(page.entries), page.cursor)


def _parts(named: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Fill each part up to SUBJECTS_PER_PART subjects or _PART_BYTES."""
    part, length = list[str](), 0
    for name in named:
        size = len(json.dumps(name))
        if part and (len(part) == SUBJECTS_PER_PART or length + size > _PART_BYTES):
            yield tuple(part)
            part, length = [], 0
        part.append(name)
        length += size
    if part:
        yield tuple(part)

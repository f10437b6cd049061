"""Steps of a job that tries again what failed in another."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import batched
from typing import TYPE_CHECKING, Final

from catalog.domain.jobs import Step, Work
from catalog.domain.paging import PageRequest

if TYPE_CHECKING:
    from catalog.adapters.jobs_table import Jobs
    from catalog.domain.jobs import Job
    from catalog.domain.keys import TenantId

FAILURES_PER_STEP: Final = 1_000
SUBJECTS_PER_PART: Final = 100  # of up to 1 KiB each


@dataclass(frozen=True, slots=True)
class RetrySteps:
    """Pages of the failures of `retry_of`, each as its own phase had it."""

    jobs: Jobs

    def step(self, job: Job, position: str) -> Step:
        page = self.jobs.failures(str(job.retry_of), PageRequest(FAILURES_PER_STEP, position or None))
        subjects: dict[tuple[TenantId, str], list[str]] = defaultdict(list)
        for failed in page.entries:
            subjects[failed.tenant, failed.phase].append(failed.failure.subject)
        works = [
            Work(tenant, phase, None, some)
            for (tenant, phase), named in subjects.items()
            for some in batched(dict.fromkeys(named), SUBJECTS_PER_PART, strict=False)
        ]
        return Step(works, len(page.entries), page.cursor)

"""Jobs: planned, carried out, paused, resumed, cancelled and tried again, by a kind that only counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from catalog.adapters.jobs_table import Jobs
from catalog.domain.jobs import Done, Failure, Job, JobKind, Step, Work, ranges
from catalog.domain.keys import TenantId
from catalog.use_cases.job_parts import Parts
from tests.functional.cloud import Cloud, Killed
from tests.functional.jobs import JobRun

IMAGES = [f"{number:03x}" for number in range(0, 4096, 64)]  # 64 names, 4 a first digit


@dataclass(frozen=True)
class Counted:
    """Steps and worker of a kind that counts names of three digits, in two phases of sixteen ranges each."""

    taken: list[tuple[str, str]] = field(default_factory=list)
    bad: frozenset[str] = frozenset()
    deadly: frozenset[str] = frozenset()

    def step(self, _: Job, position: str) -> Step:
        phase = position or "first"
        works = [Work(TenantId("acme"), phase, prefix) for prefix in ranges(1)]
        return Step(works, len(IMAGES), "second" if phase == "first" else None)

    def subjects(self, _: Job, work: Work, *, after: str | None) -> Iterator[tuple[str, str]]:
        names = IMAGES if work.within is None else [n for n in IMAGES if n.startswith(work.within)]
        names = names if work.within is not None else list(work.subjects)
        yield from ((name, name) for name in names if after is None or name > after)

    def take(self, _: Job, work: Work, subject: str) -> Done:
        if subject in self.deadly:
            raise Killed
        self.taken.append((work.phase, subject))
        if subject in self.bad:
            return Done(failures=(Failure(subject, "bad", "it always is"),))
        return Done(done=1, counts={"bytes": int(subject, 16)})


@pytest.fixture
def kind(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Counted:
    return played_by(cloud, monkeypatch, Counted())


def played_by(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, counted: Counted) -> Counted:
    """The kind recount is this one."""
    planner, worker = cloud.function("job_planner"), cloud.function("recount_worker")
    monkeypatch.setattr(planner, "planning", replace(planner.planning, steps={JobKind.RECOUNT: counted}))
    monkeypatch.setattr(worker, "parts", Parts(Jobs("JobsTable"), counted))
    return counted


def started(cloud: Cloud, **asked: Any) -> JobRun:
    body = {"kind": "recount", "tenant": "acme", "dry_run": False} | asked
    answer = cloud.job("POST", body=body)
    assert answer.status == 202, answer.json
    return JobRun(cloud, answer.json["id"])


def test_a_job_goes_through_its_steps_and_counts_every_image_once(cloud: Cloud, kind: Counted) -> None:
    run = started(cloud)

    job = run.to_the_end()

    assert (job.state, job.step, job.position) == ("completed", 2, None)
    assert job.tally.done == 2 * len(IMAGES) == job.expected
    assert job.tally.counts == {"bytes": 2 * sum(int(name, 16) for name in IMAGES)}
    assert sorted(kind.taken) == sorted((phase, name) for phase in ("first", "second") for name in IMAGES)

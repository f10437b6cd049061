"""A kind of job that only counts, in place of recount: its totals show what the engine does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pytest

from catalog.adapters.jobs_table import Jobs
from catalog.domain.jobs import Done, Failure, Job, JobKind, Step, Work
from catalog.domain.keys import TenantId
from catalog.domain.paging import PageRequest
from catalog.use_cases.job_parts import Parts
from catalog.use_cases.side_by_side import SideBySide
from tests.functional.cloud import Cloud, Killed
from tests.functional.jobs import JobRun

IMAGES = tuple(f"{number:02x}" for number in (*range(4), *range(16, 20), *range(32, 36), *range(240, 244)))
PARTS = 4  # the first digits of these names
PHASES = ("first", "second")


@dataclass(frozen=True)
class Counted:
    """Steps and worker of a kind that counts names of two digits, in parts by first digit, in two phases.

    `bad` names are failures, `deadly` ones kill their worker, `broken` ones raise a fault each time, `faulty`
    ones once.
    """

    images: tuple[str, ...] = IMAGES
    phases: tuple[str, ...] = PHASES
    digits: int = 1
    bad: frozenset[str] = frozenset()
    deadly: frozenset[str] = frozenset()
    broken: frozenset[str] = frozenset()
    faulty: set[str] = field(default_factory=set)
    wait: datetime | None = None
    taken: list[tuple[str, str]] = field(default_factory=list)
    meanwhile: list[Callable[[], Any]] = field(default_factory=list)

    def step(self, _: Job, position: str) -> Step:
        phase = position or self.phases[0]
        prefixes = sorted({name[: self.digits] for name in self.images})
        works = [Work(TenantId("acme"), phase, prefix) for prefix in prefixes]
        last = phase == self.phases[-1]
        return Step(works, len(self.images), None if last else self.phases[1], self.wait if last else None)

    def subjects(self, _: Job, work: Work, *, after: str | None) -> Iterator[tuple[str, str]]:
        within = work.within
        names = [n for n in self.images if n.startswith(within)] if within is not None else work.subjects
        return ((name, name) for name in names if after is None or name > after)

    def take(self, _: Job, work: Work, subject: str) -> Done:
        if self.meanwhile:
            self.meanwhile.pop()()
        if subject in self.deadly:
            raise Killed
        if subject in self.broken:
            raise RuntimeError(f"{subject} is broken")
        if subject in self.faulty:
            self.faulty.remove(subject)
            raise RuntimeError(subject)
        self.taken.append((work.phase, subject))
        if subject in self.bad:
            return Done(failures=(Failure(subject, "bad", "it always is"),))
        return Done(done=1, counts={"value": 1 + int(subject, 16)})

    def play(
        self, cloud: Cloud, monkeypatch: pytest.MonkeyPatch, side_by_side: SideBySide[str] | None = None
    ) -> Counted:
        """Have recount jobs use this kind from now on."""
        planner, worker = cloud.function("job_planner"), cloud.function("recount_worker")
        monkeypatch.setattr(planner, "planning", replace(planner.planning, steps={JobKind.RECOUNT: self}))
        monkeypatch.setattr(worker, "parts", Parts(Jobs("JobsTable"), self, side_by_side))
        return self

    def is_all_counted(self, run: JobRun) -> bool:
        """Whether the job is complete, and counted each image, or named it as bad, once in each phase."""
        bad = self.bad | self.deadly | self.broken
        job, good = run.job, [name for name in self.images if name not in bad]
        tally, lost = job.tally, len(self.phases) * len(bad)
        assert (job.state, job.position, job.tally.images) == ("completed", None, job.expected)
        assert (tally.done, tally.failed, tally.skipped) == (len(self.phases) * len(good), lost, 0)
        assert tally.counts.get("value", 0) == len(self.phases) * sum(1 + int(name, 16) for name in good)
        named = sorted((failed.phase, failed.failure.subject) for failed in failures_of(run))
        assert named == sorted((phase, name) for phase in self.phases for name in bad)
        return True


def failures_of(run: JobRun) -> list[Any]:
    return list(Jobs("JobsTable").failures(run.id, PageRequest(1_000)).entries)


def started(cloud: Cloud, **asked: Any) -> JobRun:
    body = {"kind": "recount", "tenant": "acme", "dry_run": False} | asked
    answer = cloud.job("POST", body=body)
    assert answer.status == 202, answer.json
    return JobRun(cloud, answer.json["id"])


def order(cloud: Cloud, run: JobRun, what: str) -> Any:
    """The job's state after a request, or the error's code if it was refused."""
    answer = cloud.job("POST", f"/{run.id}/{what}")
    return answer.json["state"] if answer.status == 202 else answer.json["error"]["code"]


def events(monkeypatch: pytest.MonkeyPatch, cloud: Cloud) -> list[dict[str, Any]]:
    """The events that are put on the bus from now on."""
    told: list[dict[str, Any]] = []
    bus = cloud.function("job_planner").planning.bus
    put = type(bus)._entry

    def entry(self: Any, event: Any) -> dict[str, Any]:
        made: dict[str, Any] = put(self, event)
        told.append({"type": made["DetailType"], **json.loads(made["Detail"])})
        return made

    monkeypatch.setattr(type(bus), "_entry", entry)
    return told

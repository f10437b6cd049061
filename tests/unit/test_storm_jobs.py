"""The storm's jobs: what the storm does to them, and that somebody looks after them."""

import random
import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any, cast

from catalog_images import Job, UnreachableError
from tests.catalog.photos import Sort, laid
from tests.end_to_end.deployment import Deployment
from tests.storm.clients import Journal, PatientClient
from tests.storm.jobs import CatalogJobs


@dataclass
class FakeWorld:
    """Deployment and API at once: a job goes on when it is looked at, and ends after three looks."""

    over: threading.Event = field(default_factory=threading.Event)
    started: list[Job] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    refuses: int = 0
    failing: int = 0

    def start_job(self, *, kind: str, dry_run: bool, **_: object) -> Job:
        assert not dry_run
        if self.refuses:
            self.refuses -= 1
            raise UnreachableError("storm")
        job = Job(f"j{len(self.started)}", kind, "running", False, 0, 0, 0, 0, {}, {"reason": "gust"})
        self.started.append(job)
        return job

    def jobs(self) -> list[Job]:
        self.calls["listed"] += 1
        if self.failing and self.started:
            self.failing -= 1
            self.started[0] = replace(self.started[0], state="failed")
        if self.calls["listed"] % 3 == 0:
            self.started = [replace(job, state="completed") for job in self.started]
            self.over.set()
        return list(self.started)

    def job(self, job_id: str) -> Job:
        return next(job for job in self.started if job.id == job_id)

    def order_job(self, job_id: str, order: str) -> None:
        self.calls[f"{order} {job_id}"] += 1
        self.started = [replace(job, state="running") for job in self.started]

    def __getattr__(self, name: str) -> Any:
        def called(*_: object, **__: object) -> int:
            self.calls[name] += 1
            return 1

        return called


def jobs_of(world: FakeWorld, *, journal: Journal | None = None, objects: int = 0) -> CatalogJobs:
    jobs = CatalogJobs(
        cast(Deployment, world),
        cast(PatientClient, world),
        "initech",
        journal or Journal(),
        random.Random(1),  # noqa: S311
        tuple(laid(objects)),
    )
    jobs.change_presets = lambda: None  # type: ignore[method-assign]
    return jobs


def test_both_jobs_are_started_once_however_often_that_fails_and_are_looked_after(monkeypatch: Any) -> None:
    monkeypatch.setattr("tests.storm.jobs._EVERY_SECONDS", 0)
    world = FakeWorld(refuses=2, failing=1)
    jobs = jobs_of(world)

    jobs.run(lambda: True, world.over)

    assert [job.kind for job in world.started] == ["rebuild", "import"]
    assert world.calls["resume j0"] == 1
    assert world.calls["sweep_jobs"] == 3
    assert world.calls["stop_executions"] > 0
    assert jobs.happened["given up: UnreachableError"] == 2
    assert jobs.happened["resumed after: gust"] == 1


def test_in_a_storm_that_ends_early_no_job_is_started() -> None:
    world = FakeWorld()
    world.over.set()
    jobs_of(world).run(lambda: False, world.over)
    assert world.started == []


def test_what_was_imported_may_not_be_lost_once_all_jobs_have_ended(monkeypatch: Any) -> None:
    monkeypatch.setattr("tests.storm.jobs.time.sleep", lambda _: None)
    world, journal = FakeWorld(), Journal()
    jobs = jobs_of(world, journal=journal, objects=20)

    last = jobs.finish()

    assert [(job.kind, job.state) for job in last] == [("rebuild", "completed"), ("import", "completed")]
    ids = {("initech", one.id) for one in jobs.objects}
    assert journal.accepted.keys() == ids
    held = {id_ for (_, id_), skus in journal.held.items() if skus}
    assert held == {one.id for one in jobs.objects if not one.is_broken}


def test_an_old_bucket_holds_copies_and_smaller_pictures_of_its_photos_and_some_broken_ones() -> None:
    objects = list(laid(40))
    assert objects == list(laid(40))
    assert Counter(one.sort for one in objects) == {
        Sort.PHOTO: 35, Sort.COPY: 2, Sort.SMALLER: 2, Sort.BROKEN: 1
    }  # fmt: skip
    assert len({one.sku for one in objects}) == 40
    assert len({one.id for one in objects}) == 38
    assert len({one.picture for one in objects}) == 36

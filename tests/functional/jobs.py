"""Plays the state machine of jobs with the real planner and the real workers on moto.

    run = JobRun(cloud, cloud.job("POST", body={"kind": "recount", "tenant": "acme"}).json["id"])
    run.to_the_end()

It follows infra/jobs.asl.json: plan, carry out the lines of the round, plan again.  A test may choose the
lines' order, repeat or drop some, kill a worker, or stop in between.  `faults` keeps the workers' faults.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Barrier
from typing import Any

from catalog.adapters.jobs_table import Jobs
from catalog.domain.jobs import Job
from tests.functional.cloud import Cloud, Killed, on_clock

WORKERS = {
    "rebuild": "rebuild_worker",
    "import": "import_worker",
    "find-duplicates": "find_duplicates_worker",
    "recount": "recount_worker",
    "erase": "erase_worker",
}

PLANNED_AGAIN = 8  # retries of the machine's state Plan

type Lines = Sequence[dict[str, Any]]


class JobRun:
    """One job's executions, step by step."""

    def __init__(self, cloud: Cloud, job_id: str) -> None:
        self.cloud = cloud
        self.id = job_id
        self.faults: list[BaseException] = []
        self.carried_out: list[dict[str, Any]] = []
        self.passed = timedelta(0)
        self._answer: dict[str, Any] | None = None

    @property
    def job(self) -> Job:
        return Jobs("JobsTable").get(self.id)

    def start(self) -> None:
        """Begin another execution, for the job's present attempt."""
        self._answer = {"job": self.id, "attempt": self.job.attempt, "round": 0}

    def plan(self) -> dict[str, Any]:
        """Ask the planner, and ask again after a fault; after too many faults, have it fail the job."""
        if self._answer is None:
            self.start()
        asked = self._answer
        assert asked is not None
        for _ in range(1 + PLANNED_AGAIN):
            try:
                self._answer = self.cloud.invoke("job_planner", asked)
            except (Exception, Killed) as fault:  # noqa: BLE001 - the machine asks again after any fault
                self.faults.append(fault)
            else:
                return self._answer
        why = {"Error": type(self.faults[-1]).__name__, "Cause": str(self.faults[-1])}
        self._answer = self.cloud.invoke("job_planner", asked | {"error": why})
        return self._answer

    def lines(self) -> Lines:
        """The lines of the last planned round."""
        assert self._answer is not None
        text = self.cloud.read(self._answer["bucket"], self._answer["key"]).decode()
        return [json.loads(line) for line in text.splitlines()]

    def work(self, line: dict[str, Any]) -> bool:
        """Carry out one line; return whether its worker succeeded.  A fault is kept; the map tolerates it."""
        self.carried_out.append(line)
        try:
            self.cloud.invoke(WORKERS[line["kind"]], line)
        except (Exception, Killed) as fault:  # noqa: BLE001 - the map tolerates a failed child
            self.faults.append(fault)
            return False
        return True

    def round(self, order: Callable[[Lines], Iterable[dict[str, Any]]] = lambda lines: lines) -> str:
        """Plan, carry out the plan, and return its `next`."""
        answer = self.plan()
        if answer["next"] == "work":
            for line in order(self.lines()):
                self.work(line)
        elif answer["next"] == "wait":
            self.wait_until(datetime.fromisoformat(answer["until"]))
        return str(answer["next"])

    def to_the_end(
        self,
        order: Callable[[Lines], Iterable[dict[str, Any]]] = lambda lines: lines,
        *,
        rounds: int = 1_000,
    ) -> Job:
        """Play rounds until the job's last execution ends, and return the job."""
        for _ in range(rounds):
            attempt = self.job.attempt
            if self.round(order) == "end":
                self._answer = None
                if self.job.is_at_rest or self.job.attempt == attempt:
                    return self.job
        raise AssertionError(f"not at its end after {rounds} rounds: {self.job}")

    def wait_until(self, moment: datetime) -> None:
        """Set the clocks of the planner and the workers to a second after this moment."""
        self.passed = max(self.passed, moment - datetime.now(UTC) + timedelta(seconds=1))

        def clock() -> datetime:
            return datetime.now(UTC) + self.passed

        for name, service in (("job_planner", "planning"), *((name, "parts") for name in WORKERS.values())):
            function = self.cloud.function(name)
            setattr(function, service, on_clock(getattr(function, service), clock))


def met_by_the_first(number: int, method: Callable[..., Any]) -> Callable[..., Any]:
    """The method; none of its first calls goes on before all of them are made."""
    everybody, calls = Barrier(number, timeout=60), count()

    def waits_for_the_others(*told: Any, **also: Any) -> Any:
        if next(calls) < number:
            everybody.wait()
        return method(*told, **also)

    return waits_for_the_others

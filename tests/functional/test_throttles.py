"""Job workers that AWS throttles: no part is lost or done twice, no image is blamed, and they slow down."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError
from moto.core.botocore_stubber import BotocoreStubber
from urllib3 import HTTPResponse

from catalog.adapters import sdk
from catalog.domain.jobs import Done, Job, Work
from infra.template import ROOT
from tests.functional.cloud import Cloud
from tests.functional.counting_jobs import IMAGES, Counted, order, started
from tests.functional.jobs import JobRun
from tests.functional.test_crashes import OTHER, PHOTO, id_of, uploaded
from tests.functional.test_rebuild import NEW, OLD

OFTEN = 12  # throttled calls: four workers give up at three each, and the round after them is the last


@dataclass(frozen=True)
class Throttle:
    """A call that AWS refuses: JSON of DynamoDB, XML of S3."""

    call: str
    code: str

    def answer(self, url: str) -> AWSResponse:
        of_s3 = self.call.startswith("s3")
        body = (
            f"<Error><Code>{self.code}</Code><Message>slow down</Message></Error>"
            if of_s3
            else f'{{"__type": "com.amazonaws.dynamodb.v20120810#{self.code}", "message": "slow down"}}'
        )
        raw = HTTPResponse(io.BytesIO(body.encode()), preload_content=False)
        return AWSResponse(url, 503 if of_s3 else 400, {}, raw)


THROTTLES = [
    Throttle("dynamodb.UpdateItem", "ThrottlingException"),
    Throttle("dynamodb.TransactWriteItems", "ProvisionedThroughputExceededException"),
    Throttle("dynamodb.Query", "ProvisionedThroughputExceededException"),
    Throttle("s3.GetObject", "SlowDown"),
    Throttle("s3.PutObject", "SlowDown"),
]


@contextmanager
def throttled(throttle: Throttle, times: int) -> Iterator[list[str]]:
    """So many of these calls are refused, and none after them; the list has those that were."""
    refused: list[str] = []

    answered = BotocoreStubber.__call__

    def answer(stubber: BotocoreStubber, event_name: str, request: Any, **more: Any) -> Any:
        if event_name == f"before-send.{throttle.call}" and len(refused) < times:
            refused.append(request.url)
            return throttle.answer(request.url)
        return answered(stubber, event_name, request, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BotocoreStubber, "__call__", answer)
        yield refused


class Throttling:
    """Only workers are throttled: the planner has a try of its own in the state machine."""

    def __init__(self, run: JobRun, throttle: Throttle) -> None:
        self.run, self.throttle, self.left = run, throttle, OFTEN
        self._work = run.work

    def __call__(self, line: dict[str, Any]) -> bool:
        with throttled(self.throttle, self.left) as refused:
            ended_well = self._work(line)
        self.left -= len(refused)
        return ended_well


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that the SDK would have slept between attempts."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


@pytest.mark.parametrize("throttle", THROTTLES, ids=lambda throttle: throttle.call)
def test_a_rebuild_whose_workers_are_throttled_ends_as_if_they_were_not(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, waits: list[float], throttle: Throttle
) -> None:
    cloud.configure(PRESETS=OLD)
    uploaded(PHOTO, OTHER)(cloud)
    cloud.configure(PRESETS=NEW)
    answer = cloud.job("POST", body={"kind": "rebuild", "tenant": "acme", "dry_run": False})
    run = JobRun(cloud, answer.json["id"])
    throttling = Throttling(run, throttle)
    monkeypatch.setattr(run, "work", throttling)
    old_enough = run.wait_until

    def pause_is_over(moment: datetime) -> None:
        """The planner does not ask whether a pause after a throttled round is over."""
        if moment - datetime.now(UTC) > timedelta(hours=1):
            old_enough(moment)

    monkeypatch.setattr(run, "wait_until", pause_is_over)

    job = run.to_the_end()

    assert throttling.left == 0, f"no worker makes the call {throttle.call}"
    assert run.faults, "no worker gave up"
    assert all(sdk.is_throttle(fault) for fault in run.faults)
    assert len(waits) > OFTEN / 2
    assert (job.state, job.tally.images, job.tally.failed) == ("completed", 2, 0)
    assert all(cloud.asset(id_of(data)).renditions["thumb"].width == 40 for data in (PHOTO, OTHER))
    assert [fault for fault in cloud.broken_guarantees() if "is counted" not in fault] == []


# --- A kind that only counts --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Refusing(Counted):
    """Is throttled so often at each of some images."""

    refusals: dict[str, int] = field(default_factory=dict)

    def take(self, job: Job, work: Work, subject: str) -> Done:
        if self.refusals.get(subject):
            self.refusals[subject] -= 1
            raise ClientError({"Error": {"Code": "SlowDown", "Message": "slow down"}}, "GetObject")
        return super().take(job, work, subject)


def played(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, refusals: dict[str, int]) -> Refusing:
    kind = Refusing(refusals=refusals)
    kind.play(cloud, monkeypatch)
    return kind


def test_an_image_at_which_workers_are_throttled_again_and_again_is_not_blamed(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = played(cloud, monkeypatch, {"21": 5})

    run = started(cloud)
    run.to_the_end()

    assert kind.is_all_counted(run)


def test_workers_that_are_throttled_keep_what_they_have_done(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = played(cloud, monkeypatch, {"21": 2})
    run = started(cloud)

    run.round()
    run.round()

    assert run.job.tally.done == len(IMAGES) - 3, "20, and those of other parts"
    run.to_the_end()
    assert kind.is_all_counted(run)
    assert kind.taken.count(("first", "20")) == 2, "again by the second worker alone"


def test_rounds_that_are_all_throttled_come_ever_more_seldom_and_end_by_name(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = played(cloud, monkeypatch, dict.fromkeys(IMAGES, 1_000))
    run = started(cloud)
    pauses: list[float] = []

    def paused(moment: datetime) -> None:
        pauses.append((moment - datetime.now(moment.tzinfo)).total_seconds())

    monkeypatch.setattr(run, "wait_until", paused)
    job = run.to_the_end()

    assert job.state == "failed"
    assert "no progress" in (job.reason or "")
    assert len(pauses) == 4
    assert all(later > 1.5 * sooner for sooner, later in pairwise(pauses))
    kind.refusals.clear()
    assert order(cloud, run, "resume") == "running"
    run.to_the_end()
    assert kind.is_all_counted(run)


def test_the_sdk_of_a_job_worker_tries_longer_and_sends_less() -> None:
    environment = {**os.environ, "AWS_RETRY_MODE": "adaptive", "AWS_MAX_ATTEMPTS": "5"}
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "from catalog.adapters.sdk import client; print(client('s3').meta.config.retries)",
        ],
        cwd=ROOT / "layers" / "catalog",
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "{'mode': 'adaptive', 'total_max_attempts': 5}"


@pytest.mark.parametrize("requested", ["pause", "cancel"])
def test_a_request_that_meets_the_reports_of_workers_waits_for_its_turn(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, waits: list[float], requested: str
) -> None:
    """DynamoDB refuses a write of an item that a transaction is at; the SDK does not send it again."""
    Counted().play(cloud, monkeypatch)
    run = started(cloud)
    run.plan()

    with throttled(Throttle("dynamodb.UpdateItem", "TransactionConflictException"), 5) as refused:
        state = order(cloud, run, requested)

    assert len(refused) == 5
    assert state == {"pause": "pausing", "cancel": "cancelling"}[requested]
    assert sum(waits) < 2


def test_reports_that_meet_many_times_are_made_all_the_same(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    kind = Counted().play(cloud, monkeypatch)
    table, met = sdk.client("dynamodb"), list[int]()
    write = table.transact_write_items

    def meeting(**asked: Any) -> Any:
        met.append(1)
        if len(met) % 9:
            reasons = [{"Code": "None"}, {"Code": "TransactionConflict"}]
            error: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
            raise ClientError(error, "TransactWriteItems")
        return write(**asked)

    monkeypatch.setattr(table, "transact_write_items", meeting)
    run = started(cloud)
    run.to_the_end()

    assert kind.is_all_counted(run)
    assert run.faults == []
    assert max(waits) <= 2, "a worker reports within 60 s of its last subject"
    assert len(set(waits)) > len(waits) / 2, "workers that met do not meet again"


def test_errors_that_are_no_throttle_are_none() -> None:
    assert not sdk.is_throttle(ClientError({"Error": {"Code": "AccessDenied", "Message": ""}}, "GetObject"))
    assert not sdk.is_throttle(KeyError("id"))
    cancelled: Any = {
        "Error": {"Code": "TransactionCanceledException", "Message": ""},
        "CancellationReasons": [{"Code": "None"}, {"Code": "ThrottlingError"}],
    }
    assert sdk.is_throttle(ClientError(cancelled, "TransactWriteItems"))

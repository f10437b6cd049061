"""Erasures whose worker is killed, whose answers are lost, or that meet others at every AWS call."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import botocore.client
import pytest

from tests.functional.cloud import Cloud, Killed
from tests.functional.interleaving import ORDERS, Scheduler
from tests.functional.jobs import JobRun
from tests.functional.streams import recorded_changes
from tests.functional.test_erase import (
    ADMIN,
    HALF,
    OTHER,
    PHOTO,
    PRESETS,
    assert_shown,
    count_changes,
    dry_run,
    id_of,
    kept_of,
    left_of,
    naming,
    started,
    to_the_end,
    told,
)
from tests.functional.test_lost_answers import answer_lost_for_good, every_answer_lost_once

READS = re.compile(":(Get|BatchGet|Query|Scan|List|Head)")
EITHER = pytest.mark.parametrize("image", [None, id_of(PHOTO)], ids=["tenant", "image"])


@pytest.fixture(autouse=True)
def followed(cloud: Cloud) -> Iterator[None]:
    cloud.configure(PRESETS=PRESETS)
    with recorded_changes() as cloud.records:
        yield


def a_group(cloud: Cloud) -> dict[str, Any]:
    """Two photos of which one shows the other's renditions, a reference, an import; and another tenant."""
    for data in (PHOTO, HALF):
        cloud.upload(data)
    cloud.reference("PUT", id_of(PHOTO), "sku-1")
    seen = {"tenant": {"S": "acme"}, "object": {"S": id_of(b"a key")}, "id": {"S": id_of(PHOTO)}}
    cloud.dynamodb.put_item(TableName="ImportedTable", Item=seen)
    cloud.upload(PHOTO, client_id=ADMIN)
    cloud.drain()
    count_changes(cloud)
    return kept_of(cloud, "globex")


def confirmed(cloud: Cloud, image: str | None = None) -> JobRun:
    asked = {"image": image} if image else {}
    token = dry_run(cloud, **asked)["confirm_token"]
    return started(cloud, dry_run=False, confirm_token=token, **asked)


def each_line(cloud: Cloud, run: JobRun, do: Callable[[dict[str, Any]], None]) -> None:
    """Every part of the job, one after the other, to its end."""
    while (answer := run.plan())["next"] != "end":
        if answer["next"] == "wait":
            run.wait_until(datetime.fromisoformat(answer["until"]))
            continue
        for line in run.lines():
            do(line)
        count_changes(cloud)
    count_changes(cloud)


def assert_erased(cloud: Cloud, run: JobRun, image: str | None, untouched: dict[str, Any]) -> None:
    assert (run.job.state, run.job.tally.failed) == ("completed", 0)
    if image:
        assert naming(cloud, image) == []
        assert_shown(cloud, [id_of(HALF)])
        assert cloud.broken_guarantees() == []
    else:
        assert left_of(cloud, "acme") == []
    assert kept_of(cloud, "globex") == untouched


def stored_now(cloud: Cloud) -> Any:
    """What is stored, but for what a job says of itself; with whatever has a version or a delete marker.

    How many versions is not compared: a near-duplicate's own rendition may be stored twice.
    """
    now = cloud.moment()
    stored = now.stored()
    versions = {
        f"{bucket}/{key}"
        for bucket in (cloud.originals, cloud.renditions)
        for key, found in now.versions[bucket].items()
        if found
    }
    objects = {name: of for name, of in stored["objects"].items() if not name.startswith(cloud.jobs_bucket)}
    items = {name: items for name, items in stored["items"].items() if name != "JobsTable"}
    return [items, objects, versions]


def in_one_go(cloud: Cloud, line: dict[str, Any]) -> list[str]:
    """Carry a part out; its calls."""
    with cloud.watched_calls() as calls:
        cloud.invoke("erase_worker", line)
    return calls.made


# --- Killed, and not answered ------------------------------------------------------------------------------


@EITHER
def test_killed_at_any_call_a_part_is_completed_by_the_next_worker(cloud: Cloud, image: str | None) -> None:
    untouched = a_group(cloud)
    run, walked = confirmed(cloud, image), set[str]()

    def killed_everywhere(line: dict[str, Any]) -> None:
        beginning, recorded = cloud.moment(), len(cloud.records)
        made = in_one_go(cloud, line)
        phase = line["work"]["phase"]
        if (calls := f"{phase} {made}") in walked:  # one range, or segment, is like the other
            return
        walked.add(calls)
        expected = stored_now(cloud)
        for number, call in enumerate(made):
            if number and READS.search(call):  # a death after the write before
                continue
            beginning.restore()
            del cloud.records[recorded:]
            with pytest.raises(Killed), cloud.watched_calls(kill_at=number, after=number > 0):
                cloud.invoke("erase_worker", line)
            cloud.invoke("erase_worker", line)
            assert stored_now(cloud) == expected, f"{phase}, killed after {number}, {call}"

    each_line(cloud, run, killed_everywhere)

    assert len(walked) > (2 if image else 5)
    assert_erased(cloud, run, image, untouched)


@EITHER
def test_with_every_answer_lost_once_an_erasure_ends_as_any_other(cloud: Cloud, image: str | None) -> None:
    untouched = a_group(cloud)
    run = confirmed(cloud, image)

    with every_answer_lost_once() as sent_again:
        to_the_end(cloud, run)
    count_changes(cloud)

    assert run.job.tally.failed == 0, cloud.job("GET", f"/{run.id}/failures").json
    assert {"DeleteObjects", "BatchWriteItem", "UpdateItem", "GenerateMac"} <= set(sent_again)
    assert run.faults == []
    assert_erased(cloud, run, image, untouched)


@EITHER
def test_an_answer_that_never_comes_changes_nothing(cloud: Cloud, image: str | None) -> None:
    untouched = a_group(cloud)
    run, walked = confirmed(cloud, image), set[str]()

    def unanswered_everywhere(line: dict[str, Any]) -> None:
        beginning, recorded = cloud.moment(), len(cloud.records)
        made = in_one_go(cloud, line)
        if (calls := f"{line['work']['phase']} {made}") in walked:
            return
        walked.add(calls)
        expected = stored_now(cloud)
        for number, call in enumerate(made):
            if READS.search(call):
                continue
            beginning.restore()
            del cloud.records[recorded:]
            with suppress(Exception), answer_lost_for_good(number):
                cloud.invoke("erase_worker", line)
            cloud.invoke("erase_worker", line)
            assert stored_now(cloud) == expected, f"{calls}: lost the answer of {number}, {call}"

    each_line(cloud, run, unanswered_everywhere)

    assert_erased(cloud, run, image, untouched)


# --- What failed, again -------------------------------------------------------------------------------------


@EITHER
def test_what_could_not_be_deleted_is_named_and_erased_by_a_retry(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, image: str | None
) -> None:
    untouched = a_group(cloud)
    run = confirmed(cloud, image)
    with monkeypatch.context() as patch:
        refuse_deletions(cloud, patch)
        to_the_end(cloud, run)
    failures = cloud.job("GET", f"/{run.id}/failures").json["failures"]
    refused = {failure["subject"] for failure in failures if failure["code"] == "object_not_deleted"}
    assert (image or f"originals/acme/{id_of(PHOTO)}") in refused
    assert told(cloud, run)["report"] is None

    again = cloud.job("POST", f"/{run.id}/retry")

    assert again.status == 202, again.json
    retried = JobRun(cloud, again.json["id"])
    retried.wait_until(datetime.now(UTC) + run.passed)
    to_the_end(cloud, retried)
    count_changes(cloud)
    assert_erased(cloud, retried, image, untouched)
    assert told(cloud, retried)["report"]["report"]["failed"] == 0


def refuse_deletions(cloud: Cloud, patch: pytest.MonkeyPatch) -> None:
    """As a policy of the originals' bucket would."""
    make = botocore.client.BaseClient._make_api_call

    def refused(self: Any, operation: str, arguments: Any) -> Any:
        if operation != "DeleteObjects" or arguments["Bucket"] != cloud.originals:
            return make(self, operation, arguments)
        errors = [
            {"Key": each["Key"], "VersionId": each["VersionId"], "Code": "AccessDenied", "Message": "Denied"}
            for each in arguments["Delete"]["Objects"]
        ]
        return {"Errors": errors}

    patch.setattr(botocore.client.BaseClient, "_make_api_call", refused)


# --- With others at once ------------------------------------------------------------------------------------


def an_upload(cloud: Cloud) -> Callable[[], Any]:
    """Bytes that were allowed before arrive now."""
    key = cloud.store(OTHER)
    return lambda: cloud.ingest(key)


def a_decision(cloud: Cloud) -> Callable[[], Any]:
    path = f"/images/{id_of(HALF)}/duplicates/{id_of(PHOTO)}"
    return lambda: cloud.call("duplicates", "PUT", path, body={"decision": "distinct"})


def a_reference(cloud: Cloud) -> Callable[[], Any]:
    return lambda: cloud.reference("PUT", id_of(PHOTO), "sku-2")


@pytest.mark.parametrize(
    ("begin", "image"),
    [(an_upload, None), (a_decision, None), (a_reference, id_of(PHOTO))],
    ids=["an upload", "a decision", "a reference to the one image"],
)
def test_whatever_goes_on_beside_it_nothing_is_left(
    cloud: Cloud, scheduler: Scheduler, begin: Callable[[Cloud], Callable[[], Any]], image: str | None
) -> None:
    cloud.announce(OTHER)
    untouched = a_group(cloud)
    run = confirmed(cloud, image)
    beginning, recorded = cloud.moment(), len(cloud.records)
    for function in ("erase_worker", "ingest", "duplicates", "references"):
        cloud.function(function)
    for turns in ORDERS[::10]:
        beginning.restore()
        del cloud.records[recorded:]
        run = JobRun(cloud, run.id)
        beside(cloud, scheduler, run, begin(cloud), [turn for turn in turns for _ in range(3)])
        assert_erased(cloud, run, image, untouched)


def beside(
    cloud: Cloud, scheduler: Scheduler, run: JobRun, other: Callable[[], Any], turns: list[int]
) -> None:
    """The other work runs beside the first part that deletes something; then all goes on to its end."""
    ours = iter([True])

    def do(line: dict[str, Any]) -> None:
        if line["work"]["phase"] not in {"ranges", "image"} or not next(ours, False):
            assert run.work(line), run.faults
            return
        with scheduler.in_charge():
            scheduler.take_turns(turns, lambda: run.work(line), lambda: tolerated(other))

    each_line(cloud, run, do)


def tolerated(work: Callable[[], Any]) -> None:
    """Who fails is delivered again, or told so."""
    with suppress(Exception):
        work()

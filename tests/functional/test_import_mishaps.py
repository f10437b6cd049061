"""Imports whose worker is killed, whose answers are lost, or that meet others at every AWS call."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from catalog.domain.jobs import Job
from tests.functional.cloud import ROOT, Cloud, Killed
from tests.functional.interleaving import ORDERS, Scheduler
from tests.functional.jobs import JobRun
from tests.functional.streams import recorded_changes
from tests.functional.test_crashes import (
    BROKEN,
    HALF,
    PHOTO,
    PRESETS,
    READS,
    Work,
    count_every_change,
    id_of,
    in_turn,
    ingested,
    is_one_group,
    nothing,
    stalled,
    status_is,
    unused,
    uploaded,
)
from tests.functional.test_import import SHOP, imported, lay, manifest, shop, started
from tests.functional.test_lost_answers import answer_lost_for_good, every_answer_lost_once

__all__ = ["shop"]


@dataclass(frozen=True)
class Story:
    """Objects that lie in the bucket, and what is in the catalog when they are imported."""

    objects: Mapping[str, bytes]
    before: Work = nothing
    also: Work = nothing
    options: Mapping[str, Any] = field(default_factory=lambda: {"reference_pattern": "{reference}.jpg"})
    action: str = "off"
    differs: frozenset[str] = frozenset()  # counts


def seen_with_other_references(cloud: Cloud) -> None:
    lay(cloud, {"A.jpg": PHOTO})
    imported(cloud, **manifest(cloud, [["key", "references"], ["A.jpg", "OLD"]]))


STORIES = {
    "a new photo": Story({"A.jpg": PHOTO}, also=status_is("ready", PHOTO)),
    "a photo that was uploaded": Story({"A.jpg": PHOTO}, uploaded(PHOTO)),
    "what is no image": Story({"A.jpg": BROKEN}, also=status_is("rejected", BROKEN)),
    "what was uploaded and is no image": Story({"A.jpg": BROKEN}, uploaded(BROKEN)),
    "a near-duplicate of what is being rendered": Story(
        {"A.jpg": HALF}, ingested(PHOTO), also=status_is("ready", HALF, PHOTO), action="reuse"
    ),
    "a photo that is larger than a group": Story(
        {"A.jpg": PHOTO}, uploaded(HALF), also=is_one_group(PHOTO, HALF), action="reuse"
    ),
    "a photo whose jobs were lost": Story(
        {"A.jpg": PHOTO}, in_turn(ingested(PHOTO), stalled), also=status_is("ready", PHOTO)
    ),
    "a photo that was announced": Story({"A.jpg": PHOTO}, lambda cloud: cloud.announce(PHOTO)),
    "references that changed": Story({}, seen_with_other_references, differs=frozenset({"referenced"})),
}
EVERY_STORY = pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
SOME_STORIES = ("a new photo", "a photo that was uploaded", "what is no image")


def begun(cloud: Cloud, story: Story) -> tuple[JobRun, dict[str, Any]]:
    """A job and its only line."""
    cloud.configure(NEAR_DUPLICATE_ACTION=story.action, PRESETS=PRESETS)
    story.before(cloud)
    lay(cloud, dict(story.objects))
    run = started(cloud, **story.options)
    assert run.plan()["next"] == "work"
    (line,) = run.lines()
    return run, line


def the_end(cloud: Cloud, run: JobRun, story: Story) -> dict[str, Any]:
    """Everything is delivered and the guarantees hold; what is left then."""
    cloud.drain()
    count_every_change(cloud)
    assert [fault for fault in cloud.broken_guarantees() if "nothing goes on with it" not in fault] == []
    story.also(cloud)
    return what_is_left(cloud, run, story)


def what_is_left(cloud: Cloud, run: JobRun, story: Story) -> dict[str, Any]:
    """What is stored, and what was counted."""
    stored, tally = cloud.snapshot(), run.job.tally
    items = {
        name: items for name, items in stored["items"].items() if name not in {"JobsTable", "UsageTable"}
    }
    objects = {
        key: value for key, value in stored["objects"].items() if not key.startswith(cloud.jobs_bucket)
    }
    counts = {name: number for name, number in tally.counts.items() if name not in story.differs}
    return items | objects | {"tally": (tally.done, tally.skipped, tally.failed, counts)}


@EVERY_STORY
def test_killed_at_any_call_the_part_is_completed_by_the_next_worker(shop: Cloud, story: Story) -> None:
    with recorded_changes() as shop.records:
        run, line = begun(shop, story)
        beginning, recorded = shop.moment(), len(shop.records)
        with shop.watched_calls() as unharmed:
            shop.invoke("import_worker", line)
        expected = the_end(shop, run, story)
        lived = set[str]()
        for number, call in enumerate(unharmed.made):
            if READS.search(call):  # what only reads leaves what was there: the death after the write before
                continue
            for after in (False, True):
                beginning.restore()
                del shop.records[recorded:]
                forget(shop)
                with pytest.raises(Killed), shop.watched_calls(kill_at=number, after=after):
                    shop.invoke("import_worker", line)
                if (future := shop.moment().future()) in lived:
                    continue
                lived.add(future)
                forget(shop)
                shop.invoke("import_worker", line)
                moment = f"killed {'after' if after else 'before'} call {number}, {call}"
                assert the_end(shop, run, story) == expected, moment


SEVERAL = Story(
    {"A.jpg": PHOTO, "B.jpg": HALF, "C.jpg": PHOTO, "D.jpg": BROKEN},
    also=in_turn(status_is("ready", PHOTO), status_is("ready", HALF), status_is("rejected", BROKEN)),
)


def test_killed_while_it_takes_several_objects_the_part_is_completed_by_the_next_worker(shop: Cloud) -> None:
    """Their calls come in any order, so either key may name the photo; all else is the same in the end."""
    with recorded_changes() as shop.records:
        run, line = begun(shop, SEVERAL)
        beginning, recorded = shop.moment(), len(shop.records)
        with shop.watched_calls() as unharmed:
            shop.invoke("import_worker", line)
        expected = the_end(shop, run, SEVERAL)["tally"]
        for number in range(2, len(unharmed.made), 3):
            beginning.restore()
            del shop.records[recorded:]
            with suppress(Killed), shop.watched_calls(kill_at=number, after=number % 2 == 0):
                shop.invoke("import_worker", line)
            forget(shop)
            shop.invoke("import_worker", line)
            assert the_end(shop, run, SEVERAL)["tally"] == expected, f"killed at call {number}"


def forget(cloud: Cloud) -> None:
    """Another process of the worker, which holds nothing of what was read."""
    cloud.cold_start()
    cloud.function("import_worker").originals._held.clear()


@pytest.mark.parametrize("name", SOME_STORIES)
def test_calls_whose_answers_are_lost_change_nothing(shop: Cloud, name: str) -> None:
    story = STORIES[name]
    run, line = begun(shop, story)
    beginning = shop.moment()

    def ended() -> dict[str, Any]:
        shop.drain()
        assert unsettled(shop) == []
        return what_is_left(shop, run, story)

    with shop.watched_calls() as unharmed:
        shop.invoke("import_worker", line)
    expected = ended()
    beginning.restore()
    forget(shop)
    with every_answer_lost_once():
        shop.invoke("import_worker", line)
    assert ended() == expected
    for number, call in enumerate(unharmed.made):
        if READS.search(call):
            continue
        beginning.restore()
        forget(shop)
        with suppress(Exception), answer_lost_for_good(number):
            shop.invoke("import_worker", line)
        forget(shop)
        shop.invoke("import_worker", line)
        assert ended() == expected, f"lost the answer of call {number}, {call}"


# --- With others at once ------------------------------------------------------------------------------------


def another_worker() -> Any:
    """A second process of the worker, with clients and memory of its own."""
    spec = importlib.util.spec_from_file_location("another", ROOT / "functions/import_worker/handler.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def two_lines(cloud: Cloud, objects: dict[str, bytes]) -> tuple[list[JobRun], list[dict[str, Any]]]:
    """A job each for two objects, as two parts of one would be."""
    lay(cloud, objects)
    runs = [started(cloud, prefix=key) for key in objects]
    for run in runs:
        run.plan()
    return runs, [line for run in runs for line in run.lines()]


def orders() -> list[tuple[int, ...]]:
    """Who makes the next calls: the orders of the tests of two functions, each turn a few calls long."""
    return [
        tuple(turn for turn in order for _ in range(stretch)) for order in ORDERS[:16] for stretch in (1, 4)
    ]


def unsettled(cloud: Cloud) -> list[str]:
    """Guarantees but for the counters, which no stream reaches here, and the jobs, which are not ended."""
    by_design = ("is counted", "nothing goes on with it")
    return [fault for fault in cloud.broken_guarantees() if not any(told in fault for told in by_design)]


def counted(runs: list[JobRun], name: str) -> int:
    return sum(run.job.tally.counts.get(name, 0) for run in runs)


def test_the_same_bytes_under_two_keys_by_two_workers_at_once_are_one_image(
    shop: Cloud, scheduler: Scheduler
) -> None:
    shop.configure(NEAR_DUPLICATE_ACTION="off")
    runs, lines = two_lines(shop, {"a.jpg": PHOTO, "b.jpg": PHOTO})
    beginning = shop.moment()
    workers = [shop.function("import_worker"), another_worker()]
    works: list[Callable[[], Any]] = [
        lambda worker=worker, line=line: worker.parts.carry_out(*worker_lines(line))
        for worker, line in zip(workers, lines, strict=True)
    ]
    with scheduler.in_charge():
        for order in orders():
            beginning.restore()
            for worker in workers:
                worker.originals._held.clear()
            scheduler.take_turns(order, *works)
            shop.drain()
            told = str(order)
            assert (counted(runs, "new"), counted(runs, "duplicates")) == (1, 1), told
            assert shop.asset(id_of(PHOTO)).duplicates == 1, told
            assert shop.get(id_of(PHOTO)).json["status"] == "ready", told
            assert unsettled(shop) == [], told


def worker_lines(line: dict[str, Any]) -> list[Any]:
    from catalog.domain.jobs import Line  # noqa: PLC0415

    return [Line.parse(line)]


def carry_out(cloud: Cloud, line: dict[str, Any]) -> Callable[[], Any]:
    parts = cloud.function("import_worker").parts
    return lambda: parts.carry_out(*worker_lines(line))


def test_an_import_beside_an_upload_of_the_same_bytes_makes_one_image(
    shop: Cloud, scheduler: Scheduler
) -> None:
    run, line = begun(shop, Story({"a.jpg": PHOTO}, options={}))
    shop.function("ingest")
    beginning, work = shop.moment(), carry_out(shop, line)

    def upload() -> None:
        if shop.announce(PHOTO).status == 201:
            with suppress(shop.s3.exceptions.ClientError):  # the copy was faster
                key = f"originals/acme/{id_of(PHOTO)}"
                shop.s3.put_object(Bucket=shop.originals, Key=key, Body=PHOTO, IfNoneMatch="*")
                shop.ingest(key)

    with scheduler.in_charge():
        for order in orders():
            beginning.restore()
            shop.function("import_worker").originals._held.clear()
            scheduler.take_turns(order, work, upload)
            shop.drain()
            told = str(order)
            assert shop.get(id_of(PHOTO)).json["status"] == "ready", told
            assert run.job.tally.done == 1, told
            assert unsettled(shop) == [], told


def test_an_import_beside_a_purge_of_the_same_image_leaves_all_of_it_or_nothing(
    shop: Cloud, scheduler: Scheduler
) -> None:
    run, line = begun(shop, Story({"A.jpg": PHOTO}, unused(PHOTO)))
    token = shop.purge().json["confirm_token"]
    beginning, work = shop.moment(), carry_out(shop, line)

    def purge() -> None:
        shop.purge(dry_run=False, confirm_token=token)

    ends = set[tuple[int, str]]()
    with scheduler.in_charge():
        for order in orders():
            beginning.restore()
            shop.function("import_worker").originals._held.clear()
            scheduler.take_turns(order, work, purge)
            shop.drain()
            told = str(order)
            image = shop.get(id_of(PHOTO))
            code = {code for _, code in failed(shop, run.job)}
            ends.add((image.status, *code))
            assert (image.status == 200 and not code) or code == {"image_being_deleted"}, told
            assert unsettled(shop) == [], told
            if image.status == 200:
                assert (image.json["status"], image.json["references"]) == ("ready", ["A"]), told
    assert len(ends) > 1


def failed(cloud: Cloud, job: Job) -> list[tuple[str, str]]:
    listed = cloud.job("GET", f"/{job.id}/failures").json["failures"]
    return [(failure["subject"], failure["code"]) for failure in listed]


def test_a_bucket_may_be_imported_by_two_jobs_at_once(shop: Cloud) -> None:
    lay(shop, {"a.jpg": PHOTO, "b.jpg": HALF, "c.jpg": BROKEN})
    one, other = started(shop), started(shop)
    for run in (one, other):
        run.plan()

    for first, second in zip(one.lines(), other.lines(), strict=True):
        shop.invoke("import_worker", first)
        shop.invoke("import_worker", second)

    assert one.to_the_end().tally.counts["new"] == 2
    assert other.to_the_end().tally.counts == {"known": 3, "rejected_before": 1}
    assert SHOP not in str(shop.broken_guarantees())

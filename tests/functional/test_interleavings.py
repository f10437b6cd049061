"""Any interleaving of uploads, renders, references, decisions and purges, duplicated, late, and killed.

The real use cases on the real adapters, interleaved at every AWS call by `interleaving`; hypothesis chooses
who runs, who dies and what is delivered when.  At the end the world comes to rest, dead letters are sent
back, and all guarantees hold.  What an image shows is computed once for the same bytes, whatever the order.

    make test TESTS="tests/functional/test_interleavings.py --hypothesis-profile=long"      # 20,000 stories
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from PIL import Image, ImageFilter

from catalog.adapters import hash_bands_table
from catalog.adapters.queues import purge_job, render_job
from catalog.domain.assets import AssetNotFoundError, AssetStateError
from catalog.domain.keys import AssetKey, asset_id, tenant_id
from catalog.domain.near_duplicates import Decision, DuplicatePairNotFoundError
from catalog.domain.purge import CLAIMED_FOR
from catalog.domain.references import Use
from catalog.domain.uploads import Announcement, UploadTicket
from catalog.use_cases.decisions import RENDERED_AFTER, Decisions
from catalog.use_cases.deletion import Deletion
from catalog.use_cases.purge_requests import PurgeRequests
from catalog.use_cases.rendering import Rendering
from catalog.use_cases.uploads import Uploads
from infra.pictures.images import half_of, jpeg_bytes, noisy_scene
from tests.builders.guarantees import History
from tests.builders.verdicts import verified_by
from tests.functional.cloud import Cloud, Killed, Moment, on_clock
from tests.functional.interleaving import AT_ONCE, Scheduler, Task
from tests.functional.streams import history_of, recorded_changes

# Softened: with pixels as sharp as noise a half-size copy cannot show, it would be linked and not share.
SCENE = noisy_scene(7, (120, 90)).filter(ImageFilter.GaussianBlur(1))
LARGE, AS_LARGE = jpeg_bytes(SCENE), jpeg_bytes(SCENE, 80)
SMALL = jpeg_bytes(SCENE.resize((60, 45), Image.Resampling.LANCZOS))
OTHER = jpeg_bytes(noisy_scene(8, (120, 90)))
PHOTOS = (LARGE, SMALL, AS_LARGE, OTHER, half_of(OTHER))
PRESETS = json.dumps(
    [{"name": name, "width": side, "height": side} for name, side in (("thumb", 30), ("card", 60))]
)

BEGINNING = datetime(2026, 11, 22, 12, tzinfo=UTC)
MAX_RECEIVES = 5
FUNCTION_TIMEOUT = timedelta(seconds=60)
VISIBILITY_TIMEOUT = timedelta(seconds=360)
URL_LIVES = timedelta(seconds=900)
# What a client is told with a status of 4xx.
REFUSALS = (AssetStateError, AssetNotFoundError, DuplicatePairNotFoundError)

TENANTS = st.sampled_from(["acme", "acme", "acme", "globex"])
ANY = st.integers(0, 1_000)
SEVERAL_CALLS = st.integers(1, 12)


SETTINGS = settings(
    max_examples=20_000 if settings.get_current_profile_name() == "long" else 60,
    derandomize=settings.get_current_profile_name() != "long",
    stateful_step_count=40,
    deadline=None,
    print_blob=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


class Message:
    """In a queue, or at its function.  `visible_at`: when it may be delivered (again)."""

    def __init__(self, queue: str, body: Any, visible_at: datetime) -> None:
        self.queue, self.body, self.visible_at, self.receives = queue, body, visible_at, 0
        self.in_time = False  # for its image to be rendered as it arrives


class OneAfterAnother:
    """For the threads of a lookup: its queries in an order that threads might take."""

    def __init__(self, _: int) -> None:
        pass

    def __enter__(self) -> "OneAfterAnother":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    map = map


def key_of(data: bytes, tenant: str = "acme") -> AssetKey:
    return AssetKey(tenant_id(tenant), asset_id(hashlib.sha256(data).hexdigest()))


class Progress(Enum):
    """How far a photo has come before a story begins."""

    UNKNOWN = auto()
    SENT = auto()
    INGESTED = auto()
    READY = auto()


class Begun:
    """Beginnings of stories, each told once and then returned to."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.known: dict[tuple[Progress, ...], tuple[Moment, list[Any], list[str]]] = {
            (): (cloud.moment(), [], [])
        }

    def __call__(self, progress: tuple[Progress, ...]) -> list[str]:
        """Return to where the photos have come so far; the render jobs that wait there."""
        if progress not in self.known:
            jobs = list(self(progress[:-1]))
            data, reached = PHOTOS[len(progress) - 1], progress[-1]
            if reached is not Progress.UNKNOWN:
                self.cloud.announce(data)
                self.cloud.store(data)
            if reached in {Progress.INGESTED, Progress.READY}:
                arriving = on_clock(self.cloud.function("ingest").arriving, lambda: BEGINNING)
                arriving.take(key_of(data), in_time=False)
            if reached is Progress.READY:
                rendering = on_clock(self.cloud.function("render").rendering, lambda: BEGINNING)
                for job in [*jobs, *self.cloud.take_jobs()]:
                    rendering.render(render_job(job))
                jobs = []
            jobs += self.cloud.take_jobs()
            self.known[progress] = self.cloud.moment(), list(self.cloud.records), jobs
        moment, records, jobs = self.known[progress]
        moment.restore()
        self.cloud.cold_start()  # nobody remembers an earlier story, which would save a call in this one
        self.cloud.records[:] = records
        return jobs


class Catalog(RuleBasedStateMachine):
    """Clients, functions and fate."""

    def __init__(self, cloud: Cloud, scheduler: Scheduler, begun: Begun) -> None:
        super().__init__()
        self.cloud, self.scheduler, self.begun = cloud, scheduler, begun
        self.running: list[tuple[Task, datetime, Callable[[Task], None]]] = []

    @initialize(progress=st.tuples(*[st.sampled_from(Progress)] * 3))
    def begin(self, progress: tuple[Progress, ...]) -> None:
        """The first photos of one tenant are on their way, or through."""
        self.time = BEGINNING
        jobs = self.begun(progress)
        self.waiting: list[Message] = [Message("render", job, self.time) for job in jobs]
        self.waiting += [
            Message("uploads", self.key("acme", photo), self.time)
            for photo, reached in enumerate(progress)
            if reached is Progress.SENT
        ]
        self.dead: list[Message] = []
        self.tickets: list[tuple[AssetKey, bytes, datetime]] = []
        self.held: dict[AssetKey, set[str]] = {}
        self.story: list[str] = []

    def clock(self) -> datetime:
        self.time += timedelta(milliseconds=1)
        return self.time

    def key(self, tenant: str, photo: int) -> AssetKey:
        return key_of(PHOTOS[photo % len(PHOTOS)], tenant)

    # --- Who begins ---------------------------------------------------------------------------------------

    def start(self, name: str, work: Callable[[], Any], then: Callable[[Task], None]) -> None:
        task = self.scheduler.start(name, work)
        self.story.append(f"start {name}")
        self.running.append((task, self.time, then))
        self.reap()

    def start_for_client(
        self, name: str, work: Callable[[], Any], then: Callable[[Any], None] = lambda _: None
    ) -> None:
        def judged(task: Task) -> None:
            if not task.failed:
                then(task.outcome)
            elif not isinstance(task.outcome, (*REFUSALS, Killed)):
                raise task.outcome

        self.start(name, work, judged)

    def room(self) -> bool:
        return len(self.running) < AT_ONCE

    def under_way(self, name: str) -> bool:
        return any(task.name == name for task, *_ in self.running)

    @precondition(room)
    @rule(tenant=TENANTS, photo=ANY)
    def announce(self, tenant: str, photo: int) -> None:
        uploads: Uploads = on_clock(self.cloud.function("request_upload").uploads, self.clock)
        key, data = self.key(tenant, photo), PHOTOS[photo % len(PHOTOS)]

        def told(answer: Any) -> None:
            if isinstance(answer, UploadTicket):
                self.tickets.append((key, data, self.time))

        self.start_for_client(
            f"announce {key.tenant}/{key.id[:4]}",
            lambda: uploads.announce(
                key, Announcement("photo.jpg", "image/jpeg", len(data)), correlation_id="request"
            ),
            told,
        )

    @precondition(lambda self: self.tickets)
    @rule(number=ANY, keep=st.booleans())
    def put(self, number: int, keep: bool) -> None:
        """The client sends the bytes, perhaps not for the last time."""
        number %= len(self.tickets)
        key, data, issued = self.tickets[number]
        if not keep:
            del self.tickets[number]
        if self.time - issued < URL_LIVES:
            self.cloud.store(data, tenant=key.tenant)
            self.story.append(f"put {key.tenant}/{key.id[:4]}")
            self.waiting.append(Message("uploads", key, self.time))

    @precondition(room)
    @rule(tenant=TENANTS, photo=ANY, name=st.sampled_from(["sku-1", "sku-2"]))
    def take(self, tenant: str, photo: int, name: str) -> None:
        key = self.key(tenant, photo)
        if self.under_way(f"release {name} of {key.tenant}/{key.id[:4]}"):
            return  # nobody could say afterwards which of the two came last
        self.start_for_client(
            f"take {name} of {key.tenant}/{key.id[:4]}",
            lambda: self.cloud.references.take(key, [Use(name)], keep=True),
            lambda _: self.held.setdefault(key, set()).add(name),
        )

    @precondition(room)
    @rule(tenant=TENANTS, photo=ANY, name=st.sampled_from(["sku-1", "sku-2"]))
    def release(self, tenant: str, photo: int, name: str) -> None:
        key = self.key(tenant, photo)
        if self.under_way(f"take {name} of {key.tenant}/{key.id[:4]}"):
            return  # here too
        self.held.get(key, set()).discard(name)
        self.start_for_client(
            f"release {name} of {key.tenant}/{key.id[:4]}",
            lambda: self.cloud.references.release(key, name, now=self.clock()),
        )

    @precondition(room)
    @rule(one=ANY, other=ANY, word=st.sampled_from([*Decision, None]))
    def decide(self, one: int, other: int, word: Decision | None) -> None:
        key, second = self.key("acme", one), self.key("acme", other).id
        if key.id == second:
            return
        decisions: Decisions = on_clock(self.cloud.function("duplicates").decisions, self.clock)
        self.start_for_client(
            f"say {word} of {key.id[:4]} and {second[:4]}",
            (lambda: decisions.decide(key, second, word, by="someone"))
            if word
            else (lambda: decisions.undo(key, second)),
        )

    @precondition(room)
    @rule(tenant=TENANTS, photo=ANY)
    def delete(self, tenant: str, photo: int) -> None:
        deletion: Deletion = on_clock(self.cloud.function("purge").deletion, self.clock)
        key = self.key(tenant, photo)
        self.start_for_client(
            f"delete {key.tenant}/{key.id[:4]}", lambda: deletion.delete(key, requested_by="someone")
        )

    @precondition(room)
    @rule(tenant=TENANTS)
    def purge(self, tenant: str) -> None:
        """An administrator purges whatever is unused at this moment."""
        requests: PurgeRequests = on_clock(self.cloud.function("purge").requests, self.clock)

        def work() -> Any:
            proposal = requests.propose(tenant_id(tenant), timedelta(0), requested_by="someone")
            return requests.begin(requests.confirm(proposal.token, tenant_id(tenant)))

        self.start_for_client(f"purge {tenant}", work)

    @rule(tenant=TENANTS)
    def daily(self, tenant: str) -> None:
        self.waiting.append(Message("purge", json.dumps({"tenant": tenant, "run_id": None}), self.time))

    # --- Who is served ------------------------------------------------------------------------------------

    def take_off_queue(self) -> bool:
        jobs = [
            Message(name, body, self.time)
            for name, url in (("render", self.cloud.render_queue), ("purge", self.cloud.purge_queue))
            for body in self.cloud.take_messages(url)
        ]
        for name, delay in (("render", RENDERED_AFTER), ("purge", CLAIMED_FOR)):
            jobs += [Message(name, body, self.time + delay) for body in self.cloud.take_delayed(name)]
        self.waiting += jobs
        return bool(jobs)

    @precondition(lambda self: self.room() and (self.waiting or self.take_off_queue()))
    @rule(number=ANY, twice=st.booleans(), in_time=st.booleans())
    def deliver(self, number: int, twice: bool, in_time: bool) -> None:
        """Some message, in no order, perhaps not for the last time."""
        self.take_off_queue()
        visible = [message for message in self.waiting if message.visible_at <= self.time]
        if visible:
            message = visible[number % len(visible)]
            self.waiting.remove(message)
            message.in_time = in_time
            if twice:
                self.waiting.append(Message(message.queue, message.body, self.time))
            self.receive(message)

    def receive(self, message: Message) -> None:
        message.receives += 1

        def judged(task: Task) -> None:
            if task.failed:
                self.story.append(f"{task.name} failed: {task.outcome!r}"[:160])
                message.visible_at = self.time + VISIBILITY_TIMEOUT
                (self.waiting if message.receives < MAX_RECEIVES else self.dead).append(message)

        def work() -> Any:
            match message.queue:
                case "uploads":
                    arriving = on_clock(self.cloud.function("ingest").arriving, self.clock)
                    return arriving.take(message.body, in_time=message.in_time)
                case "render":
                    render, job = self.cloud.function("render"), render_job(message.body)
                    if job.decided_with:
                        decisions = on_clock(render.decisions, self.clock)
                        return decisions.complete(AssetKey(job.tenant, job.id), job.decided_with)
                    return on_clock(render.rendering, self.clock).render(job)
            return on_clock(self.cloud.function("purge_worker").purging, self.clock).work(
                purge_job(message.body)
            )

        self.start(f"{message.queue} {message.body}"[:60], work, judged)

    # --- Who goes on, and who dies ------------------------------------------------------------------------

    def reap(self) -> None:
        for one in [one for one in self.running if one[0].done]:
            self.running.remove(one)
            self.scheduler.finished(one[0])
            one[2](one[0])

    @precondition(lambda self: self.running)
    @rule(number=ANY, calls=SEVERAL_CALLS)
    def step(self, number: int, calls: int) -> None:
        task = self.running[number % len(self.running)][0]
        before = len(task.calls)
        while calls and not task.done:
            task.step()
            calls -= 1
        self.story.append(f"{task.name}: {' '.join(task.calls[before:])}{' end' if task.done else ''}")
        self.reap()

    go_on = step

    @precondition(lambda self: self.running)
    @rule(number=ANY)
    def kill(self, number: int) -> None:
        task = self.running[number % len(self.running)][0]
        self.story.append(f"kill {task.name}")
        task.kill()
        self.reap()

    @precondition(lambda self: not self.running)
    @rule(
        passed=st.sampled_from(
            [VISIBILITY_TIMEOUT, timedelta(hours=1), timedelta(days=1.5), timedelta(days=31)]
        )
    )
    def pass_time(self, passed: timedelta) -> None:
        """No function outlives its timeout, and so none is running."""
        self.story.append(f"{passed} later")
        self.time += passed

    # --- At rest ------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        if not hasattr(self, "time"):
            return
        try:
            while self.running:
                self.step(0, 1_000)
            self.come_to_rest()
            faults = self.cloud.broken_guarantees(self.history())
        finally:
            for task, *_ in list(self.running):
                task.kill()
            self.reap()
        assert not faults, "\n".join([*faults, "", *self.story])

    def come_to_rest(self) -> None:
        """All that waits is delivered, then what is dead once more; the next daily purge; every change."""
        self.deliver_all()
        self.waiting, self.dead = self.dead, []
        for message in self.waiting:
            message.receives = 0
        for tenant in ("acme", "globex"):
            self.daily(tenant)
        self.deliver_all()
        assert not self.dead, "\n".join([str(self.dead[0].body), *self.story])
        changes = list(self.cloud.records)
        for start in range(len(changes) - 1, -1, -7):
            self.cloud.invoke("usage", {"Records": changes[max(0, start - 6) : start + 1]})

    def deliver_all(self) -> None:
        self.take_off_queue()
        while self.waiting:
            self.time += VISIBILITY_TIMEOUT
            self.receive(self.waiting.pop(0))
            while self.running:
                self.step(0, 1_000)
            self.take_off_queue()

    def history(self) -> History:
        known = history_of(self.cloud, self.cloud.records)
        return History(references=self.held, sent=known.sent, deletions=known.deletions)


# --- Moments that were found ------------------------------------------------------------------------------


@pytest.fixture
def jobs(cloud: Cloud) -> list[str]:
    """Those of an image that has just been ingested."""
    cloud.configure(PRESETS=PRESETS)
    cloud.announce(LARGE)
    cloud.ingest(cloud.store(LARGE))
    return cloud.take_jobs()


@pytest.fixture
def overtaken(cloud: Cloud, jobs: list[str], scheduler: Scheduler) -> Iterator[Task]:
    """A render of an asset that was rendered by others and purged when it had yet to store a rendition."""
    render = cloud.function("render")
    with scheduler.in_charge():
        task = scheduler.start("render", lambda: render.rendering.render(render_job(jobs[0])))
        task.step_to("s3:PutObject")
        for job in jobs:
            cloud.render(job)
        purge_unused(cloud)
        yield task


def purge_unused(cloud: Cloud) -> None:
    token = cloud.purge(older_than_days=0).json["confirm_token"]
    assert cloud.purge(dry_run=False, confirm_token=token).json["deleted_count"] == 1


def test_a_render_that_a_purge_overtook_leaves_no_object(cloud: Cloud, overtaken: Task) -> None:
    overtaken.finish()

    assert cloud.objects(cloud.renditions) == []


@pytest.mark.parametrize("killed_before", ["dynamodb:UpdateItem", "s3:DeleteObject"])
def test_a_render_that_a_purge_overtook_and_that_died_leaves_no_object_when_its_job_returns(
    cloud: Cloud, jobs: list[str], overtaken: Task, killed_before: str
) -> None:
    overtaken.step_to(killed_before)
    overtaken.kill()
    assert cloud.objects(cloud.renditions)

    cloud.render(jobs[0])

    assert cloud.objects(cloud.renditions) == []


@pytest.mark.parametrize(
    "begun_before",
    ["s3:PutObject", "dynamodb:UpdateItem", "s3:ListObjectVersions", "s3:DeleteObject"],
)
def test_a_render_that_a_purge_overtook_takes_nothing_from_an_asset_uploaded_since(
    cloud: Cloud, overtaken: Task, begun_before: str
) -> None:
    overtaken.step_to(begun_before)
    cloud.upload(LARGE)
    overtaken.finish()

    image = cloud.asset(key_of(LARGE).id)
    assert image.status == "ready"
    assert cloud.objects(cloud.renditions) == sorted(stored.key for stored in image.renditions.values())


def test_a_persons_distinct_holds_against_an_ingest_that_was_about_to_join_the_two(
    cloud: Cloud, scheduler: Scheduler
) -> None:
    cloud.configure(PRESETS=PRESETS)
    cloud.upload(LARGE)
    cloud.announce(SMALL)
    cloud.store(SMALL)
    ingest = cloud.function("ingest")
    with scheduler.in_charge():
        task = scheduler.start("ingest", lambda: ingest.arriving.take(key_of(SMALL), in_time=False))
        task.step_to("dynamodb:TransactWriteItems")
        path = f"/images/{key_of(SMALL).id}/duplicates/{key_of(LARGE).id}"
        assert cloud.call("duplicates", "PUT", path, body={"decision": "distinct"}).status == 200
        task.finish()
    cloud.drain()

    image = cloud.get(key_of(SMALL).id).json
    assert (image["status"], image["near_duplicate_of"]) == ("ready", None)


# --- Any moment -------------------------------------------------------------------------------------------


def test_any_interleaving_keeps_the_guarantees(
    cloud: Cloud, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.configure(PRESETS=PRESETS, PIXELS_RENDERED_ON_ARRIVAL="1000000")
    monkeypatch.setattr(hash_bands_table, "ThreadPoolExecutor", OneAfterAnother)
    seen_once(cloud)
    with recorded_changes() as cloud.records, scheduler.in_charge():
        begun = Begun(cloud)
        run_state_machine_as_test(lambda: Catalog(cloud, scheduler, begun), settings=SETTINGS)


def seen_once(cloud: Cloud) -> None:
    ingest, render = cloud.function("ingest"), cloud.function("render")
    ingestion, rendered = ingest.arriving.ingestion, render.rendering.renderer
    verdicts: dict[tuple[Any, bytes], Any] = {}

    def verify_once(inspection: Any, data: bytes) -> Any:
        seen = (inspection.hashes, data)
        if seen not in verdicts:
            verdicts[seen] = inspection.verify(data)
        return verdicts[seen]

    render_once = cache(lambda data, presets, wanted: list(rendered(data, presets, wanted=wanted)))

    def rendering_once(rendering: Rendering) -> Rendering:
        return replace(
            rendering, renderer=lambda data, presets, *, wanted: render_once(data, presets, frozenset(wanted))
        )

    ingest.arriving = replace(
        ingest.arriving,
        ingestion=replace(ingestion, inspect=verified_by(cache(ingestion.inspect), verify_once)),
        rendering=rendering_once(ingest.arriving.rendering),
    )
    render.rendering = rendering_once(render.rendering)


def test_a_late_worker_with_wrong_bytes_spares_the_right_ones_that_came_since(
    cloud: Cloud, scheduler: Scheduler
) -> None:
    ingest, key = cloud.function("ingest"), key_of(SMALL)
    cloud.announce(SMALL)
    cloud.store(b"other bytes", as_id=key.id)
    with scheduler.in_charge():
        late = scheduler.start("ingest", lambda: ingest.arriving.take(key, in_time=False))
        late.step_to("dynamodb:UpdateItem")  # it has read the wrong bytes
        ingest.arriving.take(key, in_time=False)
        cloud.announce(SMALL)
        cloud.store(SMALL)
        late.finish()
        scheduler.finished(late)

    assert cloud.objects(cloud.originals) == [key.original]
    assert cloud.asset(key.id).rejection is None
    assert cloud.asset(key.id).status == "processing"


def test_a_late_worker_deletes_nothing_once_the_image_was_announced_again(
    cloud: Cloud, scheduler: Scheduler
) -> None:
    ingest, key = cloud.function("ingest"), key_of(SMALL)
    cloud.announce(SMALL)
    cloud.store(b"other bytes", as_id=key.id)
    with scheduler.in_charge():
        late = scheduler.start("ingest", lambda: ingest.arriving.take(key, in_time=False))
        late.step_to("dynamodb:UpdateItem")
        late.step()  # it has recorded the rejection, and not deleted yet
        ingest.arriving.take(key, in_time=False)
        cloud.announce(SMALL)
        cloud.store(SMALL)
        late.finish()
        scheduler.finished(late)

    assert cloud.objects(cloud.originals) == [key.original]

"""Webhooks: put, told of events, tried for a day, given up, disabled; and never another tenant's."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import boto3
import pytest
from moto.backends import get_backend
from standardwebhooks import Webhook as Verifier

from catalog.adapters.queues import webhook_message
from catalog.adapters.receivers import Receivers
from catalog.adapters.sealing import Sealing
from catalog.adapters.webhooks_table import Webhooks
from catalog.domain.keys import tenant_id
from catalog.domain.webhooks import (
    BACKOFF,
    DISABLED_AFTER,
    DISABLED_AFTER_FAILURES,
    MOST_WEBHOOKS,
    RESTS_AFTER,
    TRIED_FOR,
    Attempt,
    Delivery,
    Fault,
    Published,
    Reply,
    Webhook,
    WebhookMovedError,
    WebhookRequest,
)
from catalog.use_cases.delivering import Delivering, Outcome
from infra.local.events import ACCOUNT, REGION, sqs_event
from infra.pictures.images import jpeg_bytes, product_photo
from tests.functional.cloud import Answer, Cloud, Killed, watched_calls
from tests.functional.interleaving import Scheduler
from tests.functional.streams import recorded_changes
from tests.functional.test_lost_answers import every_answer_lost_once

URL = "https://shop.example.com/hooks"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # of the convention's own examples
PHOTO = jpeg_bytes(product_photo(1, (320, 240)))
ACCEPTS, FAILS = Reply(200), Reply(500)


@dataclass
class Receiver:
    """A receiver at the other end: what it answers, and every request that came."""

    answers: Callable[[], Reply] = lambda: ACCEPTS
    got: list[tuple[str, Mapping[str, str], bytes]] = field(default_factory=list)

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        self.got.append((url, headers, body))
        return self.answers()

    def down(self) -> None:
        self.answers = lambda: FAILS

    def up(self) -> None:
        self.answers = lambda: ACCEPTS

    def events(self) -> list[dict[str, Any]]:
        """What it got, verified; the clock of the library is not that of a test."""
        return [json.loads(body) for _, _, body in self.got]


def taken(queue: str) -> list[str]:
    """Every message of a queue, delayed or not, taken off it."""
    kept = get_backend("sqs")[ACCOUNT][REGION].queues[queue]
    messages, kept._messages = kept._messages, []
    return [message.body for message in messages]


@dataclass
class Day:
    """The pipeline's clock, and its messages in the order in which they come."""

    cloud: Cloud
    receiver: Receiver
    now: datetime = datetime(2026, 11, 30, 12, tzinfo=UTC)

    def service(self) -> Delivering:
        service: Delivering = self.cloud.function("webhook_delivery").delivering
        return replace(
            service,
            receivers=self.receiver,
            sealing=Sealing(self.cloud.secrets_key),  # which has opened nothing yet
            clock=lambda: self.now,
            monotonic=lambda: 0.0,
        )

    def work(self) -> list[Outcome | int]:
        """Everything that is in the queue now, delayed or not, is handled once."""
        return [self.handle(message) for message in taken("webhooks")]

    def handle(self, body: str) -> Outcome | int:
        message = webhook_message(body)
        service = self.service()
        return service.tell(message) if isinstance(message, Published) else service.deliver(message)

    def pass_(self, time: timedelta, step: timedelta = timedelta(minutes=15)) -> None:
        """Messages come each quarter of an hour, which is the longest that SQS delays one."""
        end = self.now + time
        while self.now < end:
            self.now = min(self.now + step, end)
            self.work()

    def dead(self) -> list[Delivery]:
        letters = map(webhook_message, taken("webhooks-dead"))
        return [each for each in letters if isinstance(each, Delivery)]


@pytest.fixture
def day(cloud: Cloud) -> Day:
    return Day(cloud, Receiver())


def call(
    cloud: Cloud, method: str, path: str = "", *, client_id: str = "client-of-acme", **asked: Any
) -> Answer:
    scope = "catalog/read catalog/write"
    return cloud.call("webhooks", method, f"/webhooks{path}", client_id=client_id, scope=scope, **asked)


def put(cloud: Cloud, name: str = "shop", **changed: Any) -> Answer:
    client_id = changed.pop("client_id", "client-of-acme")
    body = {"url": URL, "secret": SECRET} | changed
    return call(cloud, "PUT", f"/{name}", body=body, client_id=client_id)


def kept(name: str = "shop", tenant: str = "acme") -> Webhook:
    return Webhooks("WebhooksTable").get(tenant_id(tenant), name)


def failing_hook(
    day: Day, *, failures: int = DISABLED_AFTER_FAILURES, since: timedelta = DISABLED_AFTER
) -> None:
    """Its receiver has failed so often and for so long, and has had its rest."""
    webhook = kept()
    failing = replace(
        webhook, failures=failures, failing_since=day.now - since, resting_until=None,
        revision=webhook.revision + 1,
    )  # fmt: skip
    Webhooks("WebhooksTable").record(failing, instead_of=webhook)


def published(number: int = 1, type_: str = "image.deleted", tenant: str | None = "acme") -> str:
    """An event as EventBridge sends it to a queue."""
    detail = {
        "event_id": f"00000000-0000-5000-8000-{number:012}",
        "tenant": tenant,
        "occurred_at": "2026-11-30T12:00:00.000Z",
    }
    return json.dumps({"source": "catalog.images", "detail-type": type_, "detail": detail})


@pytest.fixture
def subscribed(cloud: Cloud) -> None:
    """The rule of template.yaml."""
    events = boto3.client("events")
    pattern = json.dumps({"source": ["catalog.images"]})
    events.put_rule(Name="webhooks", EventBusName=cloud.event_bus, EventPattern=pattern)
    target = {"Id": "webhooks", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:webhooks"}
    events.put_targets(Rule="webhooks", EventBusName=cloud.event_bus, Targets=[target])


# --- Requests ---------------------------------------------------------------------------------------------


def test_a_webhook_is_put_shown_changed_and_deleted_and_its_secret_is_shown_once(cloud: Cloud) -> None:
    made = put(cloud, secret=None)
    shown = call(cloud, "GET", "/shop")
    changed = put(cloud, url=URL + "/2", events=["image.ready"], secret=None)

    assert (made.status, changed.status) == (201, 200)
    assert made.json["secret"].startswith("whsec_")
    assert changed.json["secret"] is None
    assert "secret" not in shown.json
    assert (shown.json["url"], shown.json["events"], shown.json["status"]) == (URL, ["*"], "enabled")
    assert call(cloud, "GET").json["webhooks"] == [call(cloud, "GET", "/shop").json]
    assert call(cloud, "GET", "/shop").json["events"] == ["image.ready"]

    assert call(cloud, "DELETE", "/shop").json == {"name": "shop", "status": "deleted"}
    for method, path in (("GET", "/shop"), ("DELETE", "/shop"), ("POST", "/shop/test")):
        assert call(cloud, method, path).json["error"]["code"] == "webhook_not_found"


def test_a_secret_at_rest_opens_for_its_own_tenant_and_is_nowhere_in_the_table(cloud: Cloud) -> None:
    put(cloud)
    item = cloud.dynamodb.scan(TableName="WebhooksTable")["Items"]
    (sealed,) = kept().secrets

    assert SECRET.removeprefix("whsec_") not in json.dumps(item)
    assert Sealing(cloud.secrets_key).open(sealed.sealed, tenant_id("acme"))
    with pytest.raises(Exception, match="InvalidCiphertext"):
        Sealing(cloud.secrets_key).open(sealed.sealed, tenant_id("globex"))


@pytest.mark.parametrize(
    ("changed", "field_"),
    [
        ({"url": "http://shop.example.com/"}, "url"),
        ({"url": "https://169.254.169.254/latest/meta-data/"}, "url"),
        ({"url": "http://127.0.0.1:9000/"}, "url"),
        ({"url": None}, "url"),
        ({"events": []}, "events"),
        ({"events": ["image.eaten"]}, "events"),
        ({"events": [["image.ready"]]}, "events"),
        ({"events": "image.ready"}, "events"),
        ({"secret": "short"}, "secret"),
        ({"secret": "whsec_c2hvcnQ="}, "secret"),
        ({"secret": 7}, "secret"),
        ({"color": "red"}, "color"),
    ],
)
def test_what_cannot_be_a_webhook_is_refused_by_name(cloud: Cloud, changed: Any, field_: str) -> None:
    answer = put(cloud, **changed)
    assert (answer.status, [fault["field"] for fault in answer.json["error"]["faults"]]) == (400, [field_])


def test_a_name_that_is_none_is_refused(cloud: Cloud) -> None:
    assert put(cloud, "Shop").json["error"]["faults"][0]["field"] == "name"


def test_a_tenant_has_so_many_webhooks_and_may_change_each(cloud: Cloud) -> None:
    for number in range(MOST_WEBHOOKS):
        assert put(cloud, f"shop-{number}").status == 201
    assert put(cloud, "one-more").json["error"]["code"] == "too_many_webhooks"
    assert put(cloud, "shop-0").status == 200
    assert put(cloud, "one-more", client_id="client-of-globex").status == 201


def test_no_tenant_sees_changes_tries_or_deletes_anothers_webhook(cloud: Cloud, day: Day) -> None:
    put(cloud)
    for method, path in (
        *(("GET", "/shop"), ("DELETE", "/shop")),
        *(("POST", "/shop/test"), ("GET", "/shop/deliveries")),
    ):
        assert call(cloud, method, path, client_id="client-of-globex").status == 404
    assert call(cloud, "GET", client_id="client-of-globex").json == {"webhooks": []}
    put(cloud, url=URL + "/globex", client_id="client-of-globex")
    assert kept().url == URL

    day.handle(published())
    day.work()
    assert [url for url, _, _ in day.receiver.got] == [URL]


def test_a_put_whose_answer_was_lost_is_recognised(cloud: Cloud) -> None:
    put(cloud)
    table, webhook = Webhooks("WebhooksTable"), kept()
    changed = webhook.failed(datetime.now(UTC))
    table.record(changed, instead_of=webhook)
    table.record(changed, instead_of=webhook)
    with pytest.raises(WebhookMovedError):
        table.record(webhook.failed(datetime.now(UTC) + timedelta(days=1)), instead_of=webhook)


# --- Delivery ---------------------------------------------------------------------------------------------


def test_an_image_that_becomes_ready_is_told_with_a_signature_that_the_library_verifies(
    cloud: Cloud, day: Day, subscribed: None
) -> None:
    cloud.configure(RENDITIONS_BASE_URL="https://cdn.example.com")
    put(cloud, events=["image.ready"])
    with recorded_changes() as records:
        image = cloud.upload(PHOTO)
        cloud.announce(PHOTO)
    cloud.invoke("usage", {"Records": records})
    day.now = datetime.now(UTC)  # the library refuses a signature that is minutes old
    day.work()
    day.work()

    ((url, headers, body),) = day.receiver.got
    event = Verifier(SECRET).verify(body, dict(headers))

    assert (url, headers["webhook-id"]) == (URL, event["data"]["event_id"])
    assert (event["type"], event["data"]["id"]) == ("image.ready", image["id"])
    assert event["data"]["api_url"] == f"https://api.example.com/v1/images/{image['id']}"
    for rendition in event["data"]["renditions"]:
        path = f"renditions/acme/{image['id']}/{rendition['preset']}"
        assert rendition["permanent_url"] == f"https://cdn.example.com/{path}"
    (attempt,) = call(cloud, "GET", "/shop/deliveries").json["deliveries"]
    assert (attempt["delivered"], attempt["status"], attempt["attempt"]) == (True, 200, 1)


def test_each_webhook_gets_the_events_it_asked_for_and_no_tenant_those_about_all(
    cloud: Cloud, day: Day
) -> None:
    put(cloud, "all")
    put(cloud, "ready", events=["image.ready"])
    assert day.handle(published(1, "image.ready")) == 2
    assert day.handle(published(2, "job.completed")) == 1
    assert day.handle(published(3, "job.completed", tenant=None)) == 0
    assert day.handle(published(4, tenant="globex")) == 0


def test_a_new_secret_signs_beside_the_one_before_for_a_day(cloud: Cloud, day: Day) -> None:
    new = "whsec_" + "QUJD" * 8
    put(cloud)
    put(cloud, secret=new)
    put(cloud, secret=new)  # the client got no answer, and asks again
    day.now = datetime.now(UTC)
    day.handle(published(1))
    day.work()
    ((_, headers, body),) = day.receiver.got
    for secret in (SECRET, new):
        Verifier(secret).verify(body, dict(headers))

    day.now += timedelta(days=1, minutes=1)
    day.handle(published(2))
    day.work()
    assert len(day.receiver.got[1][1]["webhook-signature"].split()) == 1


def test_a_receiver_that_was_down_gets_each_event_and_no_attempt_is_lost_from_the_log(
    cloud: Cloud, day: Day
) -> None:
    put(cloud)
    day.receiver.down()
    for number in range(4):
        day.handle(published(number))
    day.work()
    day.pass_(timedelta(minutes=1), timedelta(seconds=5))
    day.receiver.up()
    day.receiver.got.clear()
    day.pass_(timedelta(hours=1))

    assert {event["data"]["event_id"] for event in day.receiver.events()} == {
        f"00000000-0000-5000-8000-{number:012}" for number in range(4)
    }
    assert day.dead() == []
    assert call(cloud, "GET", "/shop").json["status"] == "enabled"
    log = call(cloud, "GET", "/shop/deliveries").json["deliveries"]
    assert {entry["delivered"] for entry in log[:4]} == {True}
    assert {(entry["delivered"], entry["status"]) for entry in log[4:]} == {(False, 500)}
    assert [entry["at"] for entry in log] == sorted((entry["at"] for entry in log), reverse=True)


def test_waits_grow_and_after_a_day_the_delivery_is_a_dead_letter(cloud: Cloud, day: Day) -> None:
    put(cloud)
    day.receiver.down()
    day.handle(published())
    began = day.now
    day.work()
    day.pass_(timedelta(minutes=2), timedelta(seconds=1))
    first = [entry["at"] for entry in call(cloud, "GET", "/shop/deliveries").json["deliveries"]]
    assert [datetime.fromisoformat(at) - began for at in reversed(first)] == [
        timedelta(0),
        BACKOFF[0],
        BACKOFF[0] + BACKOFF[1],
    ]
    day.pass_(TRIED_FOR, timedelta(minutes=30))

    (letter,) = day.dead()
    assert (letter.event_id, letter.dead) == ("00000000-0000-5000-8000-000000000001", True)
    assert 20 < len(day.receiver.got) < 35
    assert day.work() == []
    last = call(cloud, "GET", "/shop/deliveries").json["deliveries"][0]
    assert last["next_attempt_at"] is None


def test_a_dead_letter_that_is_sent_back_has_another_day(cloud: Cloud, day: Day) -> None:
    put(cloud)
    day.receiver.down()
    day.handle(published())
    day.work()
    day.pass_(TRIED_FOR + timedelta(hours=1), timedelta(hours=1))
    (letter,) = day.dead()
    day.service().queue.send(letter)
    assert day.work() == [Outcome.FAILED]
    day.receiver.up()
    day.pass_(timedelta(hours=1))

    assert day.receiver.events()[-1]["data"]["event_id"] == letter.event_id
    assert day.dead() == []


def test_a_receiver_that_fails_rests_and_holds_up_nobody_else(cloud: Cloud, day: Day) -> None:
    put(cloud)
    day.receiver.down()
    for number in range(50):
        day.handle(published(number))
    outcomes = day.work()

    assert outcomes.count(Outcome.FAILED) == len(day.receiver.got) == RESTS_AFTER
    assert outcomes.count(Outcome.HELD) == 50 - RESTS_AFTER
    put(cloud, url=URL, client_id="client-of-globex")
    day.receiver.up()
    day.handle(published(99, tenant="globex"))
    assert Outcome.DELIVERED in day.work()


def test_one_event_that_is_never_accepted_holds_up_no_other(cloud: Cloud, day: Day) -> None:
    put(cloud)
    for number in range(30):
        day.receiver.down()
        day.handle(published(0) if number == 0 else published(number))
        if number:
            day.receiver.up()
        outcomes = day.work()
        if number:
            assert Outcome.DELIVERED in outcomes
    assert kept().failures == 0


def test_a_receiver_that_fails_for_three_days_is_disabled_once_with_an_event_and_put_enables_it(
    cloud: Cloud, day: Day, subscribed: None
) -> None:
    put(cloud)
    put(cloud, "watch", url=URL + "/watch", events=["webhook.disabled"])
    day.receiver.answers = lambda: ACCEPTS if day.receiver.got[-1][0] == URL + "/watch" else FAILS
    for number in range(3):
        day.handle(published(number))
    failing_hook(day, since=timedelta(days=2))
    assert day.work() == [Outcome.FAILED, Outcome.HELD, Outcome.HELD]
    failing_hook(day)
    day.pass_(timedelta(hours=1))

    shown = call(cloud, "GET", "/shop").json
    assert shown["status"] == "disabled"
    assert shown["failures"] == DISABLED_AFTER_FAILURES + 1
    told = [event for event in day.receiver.events() if event["type"] == "webhook.disabled"]
    assert [event["data"]["webhook"] for event in told] == ["shop"]
    assert len(day.dead()) == 3
    assert day.handle(published(10_000)) == 0
    assert call(cloud, "POST", "/shop/test").json["error"]["code"] == "webhook_disabled"

    assert put(cloud).json["status"] == "enabled"
    assert day.handle(published(10_001)) == 1


def test_a_receiver_that_answers_410_is_disabled_at_once_unless_it_was_only_tested(
    cloud: Cloud, day: Day, subscribed: None
) -> None:
    put(cloud)
    day.receiver.answers = lambda: Reply(410)
    call(cloud, "POST", "/shop/test")
    assert day.work() == [Outcome.FAILED]
    assert call(cloud, "GET", "/shop").json["status"] == "enabled"

    day.handle(published())
    assert day.work() == [Outcome.BURIED]
    assert call(cloud, "GET", "/shop").json["status"] == "disabled"
    assert [letter.type for letter in day.dead()] == ["image.deleted"]
    assert put(cloud).json["status"] == "enabled"


@pytest.mark.parametrize(
    ("failures", "since"),
    [(DISABLED_AFTER_FAILURES - 2, DISABLED_AFTER * 2), (1_000, DISABLED_AFTER - timedelta(seconds=1))],
)
def test_neither_a_few_failures_nor_many_in_a_weekend_disable_a_webhook(
    cloud: Cloud, day: Day, failures: int, since: timedelta
) -> None:
    put(cloud)
    failing_hook(day, failures=failures, since=since)
    assert kept().failed(day.now).disabled_at is None
    assert kept().failed(day.now).failed(day.now + timedelta(seconds=1)).disabled_at is not None


def test_a_test_is_sent_once_even_while_the_receiver_rests_and_counts_for_nothing(
    cloud: Cloud, day: Day
) -> None:
    put(cloud)
    day.receiver.down()
    tested = call(cloud, "POST", "/shop/test")
    assert day.work() == [Outcome.FAILED]

    assert tested.status == 202
    assert (kept().failures, day.work(), day.dead()) == (0, [], [])
    (entry,) = call(cloud, "GET", "/shop/deliveries").json["deliveries"]
    assert (entry["event_id"], entry["type"]) == (tested.json["event_id"], "webhook.test")

    for number in range(RESTS_AFTER):
        day.handle(published(number))
    day.work()
    call(cloud, "POST", "/shop/test")
    assert Outcome.FAILED in day.work()


def test_what_is_on_its_way_to_a_deleted_webhook_is_dropped_and_one_of_the_same_name_gets_nothing_of_it(
    cloud: Cloud, day: Day
) -> None:
    put(cloud)
    day.handle(published())
    call(cloud, "DELETE", "/shop")
    put(cloud)
    assert day.work() == [Outcome.GONE]
    assert (day.receiver.got, day.dead()) == ([], [])


def test_the_log_shows_the_last_hundred(cloud: Cloud, day: Day) -> None:
    put(cloud)
    attempt = Attempt(
        event_id="0", type="image.ready", number=1, at=day.now, milliseconds=5, reply=ACCEPTS, next_at=None
    )  # fmt: skip
    for number in range(103):
        at = day.now + timedelta(seconds=number)
        Webhooks("WebhooksTable").log(kept(), replace(attempt, event_id=str(number), at=at))
    log = call(cloud, "GET", "/shop/deliveries").json["deliveries"]
    assert [entry["event_id"] for entry in log] == [str(number) for number in range(102, 2, -1)]


def test_a_batch_has_its_failures_only_returned_and_a_private_address_is_a_failure_in_the_log(
    cloud: Cloud,
) -> None:
    put(cloud)
    answer = cloud.invoke("webhook_delivery", sqs_event(published(1), json.dumps({"no": "message"})))
    assert len(answer["batchItemFailures"]) == 1
    delivering = cloud.function("webhook_delivery").delivering
    there = Receivers(resolve=lambda *_, **__: [(2, 1, 6, "", ("10.0.0.1", 443))])
    (message,) = taken("webhooks")
    delivery = webhook_message(message)
    assert isinstance(delivery, Delivery)
    assert replace(delivering, receivers=there).deliver(delivery) is Outcome.FAILED
    (entry,) = call(cloud, "GET", "/shop/deliveries").json["deliveries"]
    assert (entry["status"], entry["fault"]) == (None, Fault.NOT_ALLOWED)


# --- Crashes ----------------------------------------------------------------------------------------------


def crash_points(cloud: Cloud, day: Day, message: str) -> Iterator[tuple[int, bool]]:
    """Before and after each AWS call that handling the message makes; all is put back between them."""
    moment = cloud.moment()
    with watched_calls() as calls:
        day.handle(message)
    for point in range(len(calls.made)):
        for after in (False, True):
            moment.restore()
            yield point, after


@pytest.mark.parametrize("end", ["accepted", "failed", "given up", "disabled", "fan-out"])
def test_killed_at_any_call_an_event_is_delivered_waits_or_is_a_dead_letter(
    cloud: Cloud, day: Day, subscribed: None, end: str
) -> None:
    put(cloud)
    put(cloud, "second", url=URL + "/2", events=["image.rejected", "webhook.disabled"])
    webhook = kept()
    event = webhook_message(published(7))
    assert isinstance(event, Published)
    delivery = event.to(webhook, day.now - (TRIED_FOR if end == "given up" else timedelta(0)))
    if end == "disabled":
        failing_hook(day)
    if end not in {"accepted", "fan-out"}:
        day.receiver.down()
    day.service().queue.send(delivery)
    (message,) = [published(7)] if end == "fan-out" else taken("webhooks")
    taken("webhooks")

    for point, after in crash_points(cloud, day, message):
        day.receiver.got.clear()
        with watched_calls(kill_at=point, after=after), pytest.raises(Killed):
            day.handle(message)
        day.handle(message)  # SQS delivers it again

        waiting = list(map(json.loads, taken("webhooks")))
        dead = day.dead()
        if end == "accepted":
            assert day.receiver.got
        elif end in ("failed", "fan-out"):
            assert {each["event_id"] for each in waiting} == {delivery.event_id}
        else:
            assert {letter.event_id for letter in dead} == {delivery.event_id}
        if end == "disabled":
            told = {each["detail"]["event_id"] for each in waiting if "detail" in each}
            assert len(told) == 1
            assert kept().told


# --- At the same time, and answers that are lost ------------------------------------------------------------


@pytest.mark.parametrize("order", list(product((0, 1), repeat=4)))
def test_a_put_outlasts_a_failure_that_would_disable_the_webhook_in_any_order(
    cloud: Cloud, day: Day, scheduler: Scheduler, order: tuple[int, ...]
) -> None:
    put(cloud)
    failing_hook(day)
    day.handle(published())
    day.receiver.down()
    (message,) = taken("webhooks")
    mended = WebhookRequest(URL + "/mended", ("*",), None)
    administration = replace(cloud.function("webhooks").administration, clock=lambda: day.now)

    def mend() -> None:
        administration.put(tenant_id("acme"), "shop", mended)

    with scheduler.in_charge():
        scheduler.take_turns(order, mend, lambda: day.handle(message))

    webhook = kept()
    assert (webhook.url, webhook.disabled_at) == (URL + "/mended", None)
    assert webhook.failures <= 1
    assert len(taken("webhooks")) + len(day.dead()) == 1


def test_calls_whose_answers_are_lost_count_a_failure_once_and_lose_no_delivery(
    cloud: Cloud, day: Day
) -> None:
    day.receiver.down()
    with every_answer_lost_once() as sent_again:
        assert put(cloud).status == 201
        day.handle(published())
        message = taken("webhooks")[0]
        assert day.handle(message) is Outcome.FAILED
        assert put(cloud, url=URL + "/2").status == 200

    assert {"PutItem", "SendMessage"} <= set(sent_again)
    assert len(call(cloud, "GET", "/shop/deliveries").json["deliveries"]) == 1
    assert taken("webhooks")
    webhook = kept()
    assert (webhook.revision, webhook.url) == (3, URL + "/2")

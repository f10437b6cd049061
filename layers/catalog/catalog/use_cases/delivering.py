"""Delivering: each event becomes one message a webhook, which is sent until it is accepted, for a day.

A worker may die between any two lines, and its message returns: an event may arrive twice, never not at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from catalog.domain.clock import Clock, utc_now
from catalog.domain.events import EventRefusedError, webhook_disabled
from catalog.domain.hops import next_hop
from catalog.domain.webhooks import (
    TEST_EVENT,
    Attempt,
    Delivery,
    Published,
    Reply,
    Webhook,
    WebhookMovedError,
    signatures,
)

if TYPE_CHECKING:
    from datetime import datetime

    from catalog.adapters.event_bus import EventBus
    from catalog.adapters.queues import WebhooksQueue
    from catalog.adapters.receivers import Receivers
    from catalog.adapters.sealing import Sealing
    from catalog.adapters.webhooks_table import Webhooks

_LONGEST_DELAY: Final = timedelta(minutes=15)  # of a message of SQS
_TRIES: Final = 5


class Outcome(StrEnum):
    """What became of a delivery's message."""

    DELIVERED = "webhook delivered"
    FAILED = "webhook failed"  # it is tried again, unless it is a test
    HELD = "webhook held back"
    BURIED = "webhook given up"
    GONE = "webhook gone"


@dataclass(frozen=True, slots=True)
class Delivering:
    """Sends events to webhooks."""

    webhooks: Webhooks
    sealing: Sealing
    receivers: Receivers
    queue: WebhooksQueue
    bus: EventBus
    clock: Clock = utc_now
    monotonic: Callable[[], float] = time.monotonic

    def tell(self, event: Published) -> int:
        """Enqueue an event for each webhook that wants it; returns how many do."""
        if event.tenant is None:
            return 0
        now = self.clock()
        wanting = [webhook for webhook in self.webhooks.of(event.tenant) if webhook.wants(event.type)]
        for webhook in wanting:
            self.queue.send(event.to(webhook, now))
        return len(wanting)

    def deliver(self, delivery: Delivery) -> Outcome:
        """Try a delivery, if it is time to.  Raises EventRefusedError, ChainTooLongError, and faults."""
        now = self.clock()
        webhook = self.webhooks.find(delivery.tenant, delivery.webhook)
        if webhook is None or webhook.id != delivery.webhook_id:
            return Outcome.GONE
        due = delivery.again(now) if delivery.dead else delivery
        if webhook.disabled_at is not None:
            return self._disabled(webhook, due)
        moments = (due.not_before, None if due.type == TEST_EVENT else webhook.resting_until)
        if waits := [moment for moment in moments if moment and moment > now]:
            return self._later(due.held_until(max(waits)), due, Outcome.HELD)
        return self._try(webhook, due)

    def _try(self, webhook: Webhook, delivery: Delivery) -> Outcome:
        at, began = self.clock(), self.monotonic()
        reply = self._send(webhook, delivery, at)
        following = None if reply.accepts else delivery.after_failure(self.clock())
        attempt = Attempt(
            event_id=delivery.event_id,
            type=delivery.type,
            number=delivery.attempts + 1,
            at=at,
            milliseconds=round((self.monotonic() - began) * 1000),
            reply=reply,
            next_at=following.not_before if following else None,
        )
        self.webhooks.log(webhook, attempt)
        if reply.accepts:
            self._note_success(webhook)
            return Outcome.DELIVERED
        if delivery.type == TEST_EVENT:
            return Outcome.FAILED
        if (after := self._note_failure(webhook, reply)) and after.disabled_at is not None:
            return self._disabled(after, delivery)
        return self._later(following, delivery, Outcome.FAILED)

    def _send(self, webhook: Webhook, delivery: Delivery, at: datetime) -> Reply:
        keys = [self.sealing.open(secret.sealed, webhook.tenant) for secret in webhook.signing(at)]
        body = delivery.body.encode()
        headers = {
            "Content-Type": "application/json",
            "webhook-id": delivery.event_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": signatures(keys, id_=delivery.event_id, at=at, body=body),
        }
        return self.receivers.post(webhook.url, headers, body)

    def _later(self, following: Delivery | None, delivery: Delivery, outcome: Outcome) -> Outcome:
        """Enqueue what follows a delivery; where its day is over, it becomes a dead letter."""
        if following is None or following.not_before is None:
            return self._bury(delivery)
        hopped = replace(following, hops=next_hop(delivery.hops))
        # A whole second more: SQS takes no fractions, and early would be a hop for nothing.
        wait = following.not_before - self.clock() + timedelta(seconds=1)
        self.queue.send(hopped, delay=max(timedelta(0), min(_LONGEST_DELAY, wait)))
        return outcome

    def _bury(self, delivery: Delivery) -> Outcome:
        self.queue.bury(replace(delivery, dead=True))
        return Outcome.BURIED

    def _note_success(self, webhook: Webhook) -> None:
        """A run of failures ends.  It may go on in the record if other workers write it at every try."""
        current: Webhook | None = webhook
        for _ in range(_TRIES):
            if current is None or current.id != webhook.id or not current.failures or current.disabled_at:
                return
            try:
                self.webhooks.record(current.delivered(), instead_of=current)
            except WebhookMovedError:
                current = self.webhooks.find(webhook.tenant, webhook.name)
            else:
                return

    def _note_failure(self, webhook: Webhook, reply: Reply) -> Webhook | None:
        """The webhook afterwards, None if it is deleted.  Failures at the same moment count as one."""
        failed = webhook.failed(self.clock(), gone=reply.is_gone)
        try:
            self.webhooks.record(failed, instead_of=webhook)
        except WebhookMovedError:
            current = self.webhooks.find(webhook.tenant, webhook.name)
            return current if current and current.id == webhook.id else None
        return failed

    def _disabled(self, webhook: Webhook, delivery: Delivery) -> Outcome:
        """What waits for a disabled webhook becomes dead letters.

        Whoever finds it disabled and untold tells: the worker that disabled it may have died.
        """
        if not webhook.told:
            if not self.bus.put([webhook_disabled(webhook)]):
                raise EventRefusedError(webhook.name)
            told = replace(webhook, told=True, revision=webhook.revision + 1)
            with suppress(WebhookMovedError):  # another worker told, too, or the tenant enabled it
                self.webhooks.record(told, instead_of=webhook)
        return self._bury(delivery) if delivery.type != TEST_EVENT else Outcome.FAILED

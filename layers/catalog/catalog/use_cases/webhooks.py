"""Webhooks as their tenant sees them: put, shown, tried, deleted."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from catalog.domain.clock import Clock, utc_now
from catalog.domain.webhooks import (
    MOST_WEBHOOKS,
    TEST_EVENT,
    Published,
    SealedSecret,
    TooManyWebhooksError,
    Webhook,
    WebhookDisabledError,
    WebhookMovedError,
    WebhookRequest,
    new_secret,
    secret_key,
)

if TYPE_CHECKING:
    from catalog.adapters.queues import WebhooksQueue
    from catalog.adapters.sealing import Sealing
    from catalog.adapters.webhooks_table import Webhooks
    from catalog.domain.keys import TenantId

_TRIES: Final = 5  # a worker counts failures of the same webhook meanwhile


@dataclass(frozen=True, slots=True)
class PutWebhook:
    """`secret` is the one that was made for it, which no later answer shows."""

    webhook: Webhook
    created: bool
    secret: str | None


@dataclass(frozen=True, slots=True)
class WebhookAdministration:
    """Keeps a tenant's webhooks."""

    webhooks: Webhooks
    sealing: Sealing
    queue: WebhooksQueue
    clock: Clock = utc_now

    def put(self, tenant: TenantId, name: str, asked: WebhookRequest) -> PutWebhook:
        """Make the webhook, or change and enable it.

        Raises TooManyWebhooksError, and WebhookMovedError if others change it at every try.
        """
        for _ in range(_TRIES):
            found = self.webhooks.find(tenant, name)
            try:
                return self._change(found, asked) if found else self._create(tenant, name, asked)
            except WebhookMovedError:
                continue
        raise WebhookMovedError(name)

    def delete(self, tenant: TenantId, name: str) -> None:
        """Nothing more is sent to it.  Raises WebhookNotFoundError."""
        self.webhooks.forget(self.webhooks.get(tenant, name))

    def test(self, tenant: TenantId, name: str) -> str:
        """Have one event sent to it, once; returns its id.

        Raises WebhookNotFoundError, WebhookDisabledError.
        """
        webhook, now = self.webhooks.get(tenant, name), self.clock()
        if webhook.disabled_at is not None:
            raise WebhookDisabledError(name)
        detail = {
            "event_id": str(uuid.uuid4()),
            "tenant": tenant,
            "occurred_at": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "webhook": name,
        }
        self.queue.send(Published(TEST_EVENT, detail).to(webhook, now))
        return detail["event_id"]

    def _create(self, tenant: TenantId, name: str, asked: WebhookRequest) -> PutWebhook:
        if len(self.webhooks.of(tenant)) >= MOST_WEBHOOKS:
            raise TooManyWebhooksError(tenant)
        made = None if asked.secret else new_secret()
        sealed = self.sealing.seal(secret_key(asked.secret or made or ""), tenant)
        now = self.clock()
        webhook = Webhook(
            tenant=tenant,
            name=name,
            id=uuid.uuid4().hex,
            url=asked.url,
            events=asked.events,
            secrets=(SealedSecret(sealed),),
            created_at=now,
            updated_at=now,
        )
        self.webhooks.record(webhook, instead_of=None)
        return PutWebhook(webhook, created=True, secret=made)

    def _change(self, found: Webhook, asked: WebhookRequest) -> PutWebhook:
        sealed = self.sealing.seal(secret_key(asked.secret), found.tenant) if asked.secret else None
        changed = found.put(asked.url, asked.events, sealed, self.clock())
        self.webhooks.record(changed, instead_of=found)
        return PutWebhook(changed, created=False, secret=None)

"""The Webhooks table: a tenant's webhooks, and the last attempts at each.

`entry` is `webhook/<name>`, or `attempt/<webhook's id>/<time>/<event's id>`, which TTL removes.
"""

import base64
from datetime import datetime
from typing import Final

from pynamodb.attributes import BooleanAttribute, JSONAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DeleteError, DoesNotExist, PutError
from pynamodb.models import Model

from catalog.adapters.tables import bind, is_refused, timestamp
from catalog.domain.keys import TenantId
from catalog.domain.webhooks import (
    ATTEMPTS_KEPT_FOR,
    MOST_WEBHOOKS,
    SHOWN_ATTEMPTS,
    Attempt,
    Fault,
    Reply,
    SealedSecret,
    Webhook,
    WebhookMovedError,
    WebhookNotFoundError,
)

_WEBHOOK: Final = "webhook/"
# Concurrent requests may make one too many, and a reader must see it.
_READ: Final = 2 * MOST_WEBHOOKS


class _WebhookItem(Model):
    class Meta:
        table_name = ""

    tenant = UnicodeAttribute(hash_key=True)
    entry = UnicodeAttribute(range_key=True)
    id = UnicodeAttribute()
    url = UnicodeAttribute()
    events = JSONAttribute()
    secrets = JSONAttribute()
    created_at = UnicodeAttribute()
    updated_at = UnicodeAttribute()
    failures = NumberAttribute()
    failing_since = UnicodeAttribute(null=True)
    resting_until = UnicodeAttribute(null=True)
    disabled_at = UnicodeAttribute(null=True)
    told = BooleanAttribute()
    revision = NumberAttribute()


class _AttemptItem(Model):
    class Meta:
        table_name = ""

    tenant = UnicodeAttribute(hash_key=True)
    entry = UnicodeAttribute(range_key=True)
    event_id = UnicodeAttribute()
    type = UnicodeAttribute()
    number = NumberAttribute()
    at = UnicodeAttribute()
    milliseconds = NumberAttribute()
    status = NumberAttribute(null=True)
    fault = UnicodeAttribute(null=True)
    next_at = UnicodeAttribute(null=True)
    expires_at = NumberAttribute()


class Webhooks:
    """The Webhooks table."""

    def __init__(self, table_name: str) -> None:
        self._model = bind(_WebhookItem, table_name)
        self._attempts = bind(_AttemptItem, table_name)

    def of(self, tenant: TenantId) -> list[Webhook]:
        """The tenant's webhooks by name: a consistent read."""
        items = self._model.query(
            tenant, self._model.entry.startswith(_WEBHOOK), consistent_read=True, limit=_READ
        )
        return [_webhook(item) for item in items]

    def find(self, tenant: TenantId, name: str) -> Webhook | None:
        """A consistent read."""
        try:
            return _webhook(self._model.get(tenant, _WEBHOOK + name, consistent_read=True))
        except DoesNotExist:
            return None

    def get(self, tenant: TenantId, name: str) -> Webhook:
        """A consistent read.  Raises WebhookNotFoundError."""
        found = self.find(tenant, name)
        if found is None:
            raise WebhookNotFoundError(name)
        return found

    def record(self, webhook: Webhook, *, instead_of: Webhook | None) -> None:
        """Write what became of `instead_of`, or a new webhook.  Raises WebhookMovedError.

        A write whose answer was lost is recognised: no other makes the same revision.
        """
        item = self._model
        as_read = (
            item.entry.does_not_exist()
            if instead_of is None
            else (item.id == instead_of.id) & (item.revision == instead_of.revision)
        )
        try:
            self._item(webhook).save(condition=as_read)
        except PutError as error:
            if not is_refused(error):
                raise
            if self.find(webhook.tenant, webhook.name) != webhook:
                raise WebhookMovedError(webhook.name) from error

    def forget(self, webhook: Webhook) -> None:
        """Delete it; one that was made since under the same name stays."""
        try:
            self._model(webhook.tenant, _WEBHOOK + webhook.name).delete(
                condition=self._model.id == webhook.id
            )
        except DeleteError as error:
            if not is_refused(error):
                raise

    def log(self, webhook: Webhook, attempt: Attempt) -> None:
        """Keep an attempt for ATTEMPTS_KEPT_FOR."""
        reply = attempt.reply
        self._attempts(
            webhook.tenant,
            f"{_attempts_of(webhook)}{timestamp(attempt.at)}/{attempt.event_id}",
            event_id=attempt.event_id,
            type=attempt.type,
            number=attempt.number,
            at=timestamp(attempt.at),
            milliseconds=attempt.milliseconds,
            status=reply.status,
            fault=reply.fault,
            next_at=_text(attempt.next_at),
            expires_at=int((attempt.at + ATTEMPTS_KEPT_FOR).timestamp()),
        ).save()

    def attempts(self, webhook: Webhook) -> list[Attempt]:
        """The last SHOWN_ATTEMPTS, newest first; eventually consistent."""
        items = self._attempts.query(
            webhook.tenant,
            self._attempts.entry.startswith(_attempts_of(webhook)),
            scan_index_forward=False,
            limit=SHOWN_ATTEMPTS,
            page_size=SHOWN_ATTEMPTS,
        )
        return [_attempt(item) for item in items]

    def _item(self, webhook: Webhook) -> _WebhookItem:
        return self._model(
            webhook.tenant,
            _WEBHOOK + webhook.name,
            id=webhook.id,
            url=webhook.url,
            events=list(webhook.events),
            secrets=[
                {"sealed": base64.b64encode(each.sealed).decode(), "until": _text(each.until)}
                for each in webhook.secrets
            ],
            created_at=timestamp(webhook.created_at),
            updated_at=timestamp(webhook.updated_at),
            failures=webhook.failures,
            failing_since=_text(webhook.failing_since),
            resting_until=_text(webhook.resting_until),
            disabled_at=_text(webhook.disabled_at),
            told=webhook.told,
            revision=webhook.revision,
        )


def _attempts_of(webhook: Webhook) -> str:
    return f"attempt/{webhook.id}/"


def _webhook(item: _WebhookItem) -> Webhook:
    return Webhook(
        tenant=TenantId(item.tenant),
        name=item.entry.removeprefix(_WEBHOOK),
        id=item.id,
        url=item.url,
        events=tuple(item.events),
        secrets=tuple(
            SealedSecret(base64.b64decode(each["sealed"]), _moment(each["until"])) for each in item.secrets
        ),
        created_at=datetime.fromisoformat(item.created_at),
        updated_at=datetime.fromisoformat(item.updated_at),
        failures=int(item.failures),
        failing_since=_moment(item.failing_since),
        resting_until=_moment(item.resting_until),
        disabled_at=_moment(item.disabled_at),
        told=item.told,
        revision=int(item.revision),
    )


def _attempt(item: _AttemptItem) -> Attempt:
    return Attempt(
        event_id=item.event_id,
        type=item.type,
        number=int(item.number),
        at=datetime.fromisoformat(item.at),
        milliseconds=int(item.milliseconds),
        reply=Reply(
            None if item.status is None else int(item.status), Fault(item.fault) if item.fault else None
        ),
        next_at=_moment(item.next_at),
    )


def _text(moment: datetime | None) -> str | None:
    return timestamp(moment) if moment else None


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None

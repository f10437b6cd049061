"""Webhooks: where a tenant is told of events, and when a delivery is tried again.

Signatures follow the Standard Webhooks convention (github.com/standard-webhooks/standard-webhooks).
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from catalog.domain.errors import CallerError, Kind
from catalog.domain.keys import TenantId, tenant_id

MOST_WEBHOOKS: Final = 10  # a tenant: an event is one message to each
SHOWN_ATTEMPTS: Final = 100
ATTEMPTS_KEPT_FOR: Final = timedelta(days=7)
EVERY_EVENT: Final = "*"
TEST_EVENT: Final = "webhook.test"

TRIED_FOR: Final = timedelta(days=1)
# Waits after the first failures of one delivery; the last is repeated.
BACKOFF: Final = (
    timedelta(seconds=5),
    timedelta(seconds=30),
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(minutes=30),
    timedelta(hours=1),
)
# After so many failures in a row a receiver rests: one that hangs for 10 s a try would take the function away
# from all others.  Longer rests than two minutes keep a day's chain of messages below MAX_HOPS.
RESTS_AFTER: Final = 5
RESTS: Final = (timedelta(minutes=2), timedelta(minutes=4), timedelta(minutes=8), timedelta(minutes=15))
# A weekend's outage disables nothing; three days and 20 tries without a single success do.
DISABLED_AFTER: Final = timedelta(days=3)
DISABLED_AFTER_FAILURES: Final = 20
# A receiver may still verify with the secret before, while it is given the new one.
OLD_SECRET_LASTS: Final = timedelta(days=1)

_ACCEPTING: Final = range(200, 300)
_GONE: Final = 410
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - it begins one
_SECRET_BYTES: Final = (24, 64)  # as the convention has it


class NotAWebhookNameError(ValueError):
    """A name is 1 to 63 of a-z, 0-9 and inner hyphens."""


class NotASecretError(ValueError):
    """A secret is `whsec_` and the base64 of 24 to 64 bytes."""


class WebhookMovedError(Exception):
    """Somebody else changed the webhook since it was read."""


class WebhookNotFoundError(CallerError):
    """The tenant has no webhook of that name."""

    kind = Kind.NOT_FOUND
    code = "webhook_not_found"
    message = "your tenant has no webhook of this name"


class TooManyWebhooksError(CallerError):
    """The tenant has as many webhooks as it may have."""

    kind = Kind.CONFLICT
    code = "too_many_webhooks"
    message = f"a tenant has at most {MOST_WEBHOOKS} webhooks; delete one first"


class WebhookDisabledError(CallerError):
    """The webhook is disabled: nothing is sent to it."""

    kind = Kind.CONFLICT
    code = "webhook_disabled"
    message = (
        "this webhook is disabled since its receiver failed for days or is gone; PUT it again to enable it"
    )


def webhook_name(text: str) -> str:
    """Raises NotAWebhookNameError."""
    if not _NAME.fullmatch(text):
        raise NotAWebhookNameError(repr(text[:80]))
    return text


def new_secret() -> str:
    return _SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def secret_key(secret: str) -> bytes:
    """The bytes that sign.  Raises NotASecretError."""
    low, high = _SECRET_BYTES
    try:
        key = base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotASecretError("not base64") from error
    if not secret.startswith(_SECRET_PREFIX) or not low <= len(key) <= high:
        raise NotASecretError("too short, too long, or without its prefix")
    return key


def signatures(keys: Iterable[bytes], *, id_: str, at: datetime, body: bytes) -> str:
    """The `webhook-signature` header: one signature a key, any of which will do."""
    signed = f"{id_}.{int(at.timestamp())}.".encode() + body
    macs = (hmac.digest(key, signed, hashlib.sha256) for key in keys)
    return " ".join(f"v1,{base64.b64encode(mac).decode()}" for mac in macs)


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """What a webhook is to be.  Without a `secret` it keeps its own, and a new one is given one."""

    url: str
    events: tuple[str, ...]
    secret: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class SealedSecret:
    """A secret that only the key service can open; an earlier one signs until `until`."""

    sealed: bytes = field(repr=False)
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """One receiver of a tenant.  `id` differs each time a webhook of this name is made.

    `events` are types of events, or EVERY_EVENT.  `failures` counts attempts that failed since one succeeded,
    or since the webhook was put; `revision` grows with each change.  `told` says that the event about its
    being disabled is sent.
    """

    tenant: TenantId
    name: str
    id: str
    url: str
    events: tuple[str, ...]
    secrets: tuple[SealedSecret, ...]
    created_at: datetime
    updated_at: datetime
    failures: int = 0
    failing_since: datetime | None = None
    resting_until: datetime | None = None
    disabled_at: datetime | None = None
    told: bool = False
    revision: int = 1

    def wants(self, type_: str) -> bool:
        """Whether an event of this type is sent to it."""
        return self.disabled_at is None and bool({type_, EVERY_EVENT} & set(self.events))

    def signing(self, now: datetime) -> tuple[SealedSecret, ...]:
        return tuple(secret for secret in self.secrets if secret.until is None or now < secret.until)

    def put(self, url: str, events: tuple[str, ...], sealed: bytes | None, now: datetime) -> "Webhook":
        """As a request changes it: enabled, with a new secret or the one it has."""
        secrets = self.secrets
        if sealed is not None:
            # Two earlier ones: a request that is repeated must not end the one that receivers still use.
            before = [replace(each, until=each.until or now + OLD_SECRET_LASTS) for each in self.signing(now)]
            secrets = (SealedSecret(sealed), *before[:2])
        return replace(
            self.delivered(), url=url, events=events, secrets=secrets, updated_at=now, disabled_at=None,
            told=False,
        )  # fmt: skip

    def delivered(self) -> "Webhook":
        """After an attempt that succeeded."""
        return replace(
            self, failures=0, failing_since=None, resting_until=None, revision=self.revision + 1
        )  # fmt: skip

    def failed(self, now: datetime, *, gone: bool = False) -> "Webhook":
        """After an attempt that failed: it may rest, and may be disabled; one whose receiver is gone is."""
        failures, since = self.failures + 1, self.failing_since or now
        rest = failures - RESTS_AFTER
        resting = now + RESTS[min(rest, len(RESTS) - 1)] if rest >= 0 else None
        disabled = gone or (failures >= DISABLED_AFTER_FAILURES and now - since >= DISABLED_AFTER)
        return replace(
            self,
            failures=failures,
            failing_since=since,
            resting_until=resting,
            disabled_at=now if disabled else None,
            revision=self.revision + 1,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event on its way to one webhook.

    `body` is what is sent, byte for byte, at each attempt.  `since` begins the day for which it is tried;
    `not_before` holds it back.  `hops` messages came before it (catalog.domain.hops).  `dead`: it lay in the
    dead-letter queue; sent back from there, it has another day.
    """

    tenant: TenantId
    webhook: str
    webhook_id: str
    event_id: str
    type: str
    body: str
    since: datetime
    attempts: int = 0
    not_before: datetime | None = None
    hops: int = 0
    dead: bool = False

    def again(self, now: datetime) -> "Delivery":
        """Sent back from the dead letters."""
        return replace(self, since=now, attempts=0, not_before=None, hops=0, dead=False)

    def held_until(self, moment: datetime) -> "Delivery | None":
        """Held back until then; None if its day is over by then."""
        return replace(self, not_before=moment) if moment <= self.since + TRIED_FOR else None

    def after_failure(self, now: datetime) -> "Delivery | None":
        """Its next attempt; None if it has none, since its day is over or it is only a test."""
        if self.type == TEST_EVENT:
            return None
        tried = replace(self, attempts=self.attempts + 1)
        return tried.held_until(now + BACKOFF[min(self.attempts, len(BACKOFF) - 1)])


@dataclass(frozen=True, slots=True)
class Published:
    """An event as the bus carries it; `detail` is what docs/events/ describes."""

    type: str
    detail: Mapping[str, Any]

    @property
    def tenant(self) -> TenantId | None:
        """Whom it is about; None: every tenant, which is told to nobody."""
        named = self.detail["tenant"]
        return None if named is None else tenant_id(named)

    def to(self, webhook: Webhook, now: datetime) -> Delivery:
        """The body is the convention's, and the same for each webhook and each time."""
        body = {"type": self.type, "timestamp": self.detail["occurred_at"], "data": dict(self.detail)}
        return Delivery(
            tenant=webhook.tenant,
            webhook=webhook.name,
            webhook_id=webhook.id,
            event_id=self.detail["event_id"],
            type=self.type,
            body=json.dumps(body, separators=(",", ":")),
            since=now,
        )


class Fault(StrEnum):
    """Why an attempt had no answer, or one that is none."""

    NOT_ALLOWED = "address_not_allowed"
    NOT_RESOLVED = "name_not_resolved"
    NOT_CONNECTED = "connection_failed"
    NOT_TRUSTED = "certificate_not_trusted"
    TIMED_OUT = "timed_out"
    NO_ANSWER = "no_http_answer"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a receiver answered: a status, or a fault."""

    status: int | None = None
    fault: Fault | None = None

    @property
    def accepts(self) -> bool:
        """Any 2xx.  A redirect is a failure: it could lead anywhere."""
        return self.status in _ACCEPTING

    @property
    def is_gone(self) -> bool:
        """The receiver wants no more events, as the convention has it: 410."""
        return self.status == _GONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt at a delivery, as the log shows it; `next_at` is None if none follows."""

    event_id: str
    type: str
    number: int
    at: datetime
    milliseconds: int
    reply: Reply
    next_at: datetime | None

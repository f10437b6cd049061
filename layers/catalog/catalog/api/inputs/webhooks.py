"""Routes of /v1/webhooks."""

from collections.abc import Mapping
from typing import Any

from catalog.api.inputs.fields import Fault, InvalidRequestError, json_object, unknown_fields
from catalog.domain.events import EVENTS
from catalog.domain.receivers import NotAReceiverError, receiver
from catalog.domain.webhooks import (
    EVERY_EVENT,
    NotASecretError,
    NotAWebhookNameError,
    WebhookRequest,
    secret_key,
    webhook_name,
)

_TYPES = {EVERY_EVENT, *(event.type for event in EVENTS)}


def webhook_request(body: str | None, *, loopback: bool) -> WebhookRequest:
    """The body of PUT /v1/webhooks/{name}.  Raises InvalidRequestError."""
    given = json_object(body)
    faults = unknown_fields(given, {"url", "events", "secret"})
    url = _url(given.get("url"), loopback, faults)
    events = _events(given.get("events", [EVERY_EVENT]), faults)
    secret = given.get("secret")
    if secret is not None and not _is_secret(secret):
        faults.append(Fault("secret", "must be whsec_ and the base64 of 24 to 64 bytes"))
    if faults:
        raise InvalidRequestError(faults)
    return WebhookRequest(url, events, secret)


def check_list(query: Mapping[str, str]) -> None:
    """The query of GET /v1/webhooks, which has none.  Raises InvalidRequestError."""
    if faults := unknown_fields(query, set()):
        raise InvalidRequestError(faults)


def path_webhook(text: str) -> str:
    """The webhook in a path.  Raises InvalidRequestError."""
    try:
        return webhook_name(text)
    except NotAWebhookNameError as error:
        raise InvalidRequestError([Fault("name", "must be 1 to 63 of a-z, 0-9 and inner hyphens")]) from error


def _url(given: Any, loopback: bool, faults: list[Fault]) -> str:
    try:
        receiver(given if isinstance(given, str) else "", loopback=loopback)
    except NotAReceiverError as error:
        faults.append(Fault("url", str(error)))
    return str(given)


def _events(given: Any, faults: list[Fault]) -> tuple[str, ...]:
    if not isinstance(given, list) or not given or any(one not in sorted(_TYPES) for one in given):
        faults.append(Fault("events", f"must be a list of {', '.join(sorted(_TYPES))}"))
        return ()
    return tuple(sorted(set(given)))


def _is_secret(given: Any) -> bool:
    try:
        return isinstance(given, str) and bool(secret_key(given))
    except NotASecretError:
        return False

"""Checks that requests share."""

import json
import re
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, Final

from catalog.domain.errors import CallerError, Kind
from catalog.domain.keys import NotATenantIdError, tenant_id
from catalog.domain.paging import PageRequest
from catalog.domain.uploads import UNSTORABLE

MAX_PAGE: Final = 100
PAGE_FIELDS: Final = frozenset({"limit", "cursor"})


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a request, by the name of its field."""

    field: str
    message: str


class InvalidRequestError(CallerError):
    """The request cannot be understood; `faults` names everything that is wrong with it."""

    kind = Kind.INVALID
    code = "invalid_request"

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(f"{fault.field}: {fault.message}" for fault in faults))
        self.faults = faults


class UnsupportedTypeError(CallerError):
    """The declared content type is not accepted."""

    kind = Kind.UNSUPPORTED_TYPE
    code = "unsupported_media_type"


def json_object(body: str | bytes | None) -> dict[str, Any]:
    """The JSON object in a request's body.  Raises InvalidRequestError."""
    try:
        value = json.loads(body or "")
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError([Fault("body", "must be a JSON object")]) from error
    if not isinstance(value, dict):
        raise InvalidRequestError([Fault("body", "must be a JSON object")])
    return value


def batch_of(body: str | None, name: str, *, most: int) -> list[Mapping[str, Any]]:
    """The items of a batch, in the body's field `name`: 1 to `most` objects.  Raises InvalidRequestError."""
    given = json_object(body)
    faults = unknown_fields(given, {name})
    items = given.get(name)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        items = []
    if not 1 <= len(items) <= most:
        faults.append(Fault(name, f"must be a list of 1 to {most} objects"))
    if faults:
        raise InvalidRequestError(faults)
    return items


def is_text(value: object, longest: int) -> bool:
    """Whether a value is 1 to `longest` characters that can be shown and stored."""
    return isinstance(value, str) and 1 <= len(value) <= longest and not UNSTORABLE.search(value)


def text_of(longest: int) -> str:
    """What a fault says of a value for which `is_text` is false."""
    return f"must be 1 to {longest} characters without control characters"


def unknown_fields(given: Mapping[str, Any], known: Set[str]) -> list[Fault]:
    """A fault for every field that the request does not have."""
    return [Fault(name[:80], "is not a field of this request") for name in sorted(set(given) - known)]


def is_tenant_id(value: object) -> bool:
    """Whether a value from a request can name a tenant."""
    try:
        return isinstance(value, str) and bool(tenant_id(value))
    except NotATenantIdError:
        return False


def page_request(
    query: Mapping[str, str], faults: list[Fault], *, default: int = 50, most: int = MAX_PAGE
) -> PageRequest:
    """The page that a query asks for; a `limit` that is not 1 to `most` is added to the faults."""
    limit = query.get("limit", str(default))
    if not (re.fullmatch(rf"[0-9]{{1,{len(str(most))}}}", limit) and 1 <= int(limit) <= most):
        faults.append(Fault("limit", f"must be a whole number from 1 to {most}"))
        limit = str(default)
    return PageRequest(int(limit), query.get("cursor") or None)


def check_no_query(query: Mapping[str, str]) -> None:
    """For a call that takes none.  Raises InvalidRequestError."""
    if faults := unknown_fields(query, set()):
        raise InvalidRequestError(faults)

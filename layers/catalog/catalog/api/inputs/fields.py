"""The fields of a request: what can be wrong with any of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from catalog.domain.errors import CallerError, Kind
from catalog.domain.keys import NotATenantIdError, tenant_id

MAX_PAGE: Final = 100


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
    """The declared content type is none that this pipeline accepts."""

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


def unknown_fields(given: Mapping[str, Any], known: set[str]) -> list[Fault]:
    """A fault for every field that the request does not have."""
    return [Fault(name[:80], "is not a field of this request") for name in sorted(set(given) - known)]


def is_tenant_id(value: object) -> bool:
    """Whether a value from a request can name a tenant."""
    try:
        return isinstance(value, str) and bool(tenant_id(value))
    except NotATenantIdError:
        return False

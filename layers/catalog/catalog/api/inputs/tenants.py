"""Routes of /v1/tenants."""

import re
from dataclasses import dataclass
from typing import Final

from catalog.api.inputs.fields import (
    Fault,
    InvalidRequestError,
    is_tenant_id,
    json_object,
    unknown_fields,
)
from catalog.domain.keys import NotATenantIdError, TenantId, tenant_id
from catalog.domain.limits import MAX_STORED_BYTES, MAX_UPLOADS_PER_MINUTE, NO_LIMITS, Limits
from catalog.domain.tenants import DEFAULT_SCOPES, Scope

_CLIENT_ID: Final = re.compile(r"[A-Za-z0-9_+]{1,128}")  # what Cognito gives out
_TENANT_ID: Final = "must be 1 to 63 of a-z, 0-9 and inner hyphens"


@dataclass(frozen=True, slots=True)
class TenantRequest:
    """A tenant to make, with its limits and the scopes of its first client."""

    tenant: TenantId
    scopes: tuple[Scope, ...]
    limits: Limits


def tenant_request(body: str | None) -> TenantRequest:
    """The body of POST /v1/tenants.  Raises InvalidRequestError."""
    given = json_object(body)
    faults = unknown_fields(given, {"tenant", "scopes", "limits"})
    tenant = given.get("tenant")
    if not is_tenant_id(tenant):
        faults.append(Fault("tenant", _TENANT_ID))
    scopes = _scopes(given.get("scopes"), faults)
    limits = _limits(given.get("limits"), faults)
    if faults:
        raise InvalidRequestError(faults)
    return TenantRequest(tenant_id(str(tenant)), scopes, limits)


def client_request(body: str | None) -> tuple[Scope, ...]:
    """The scopes in the body of POST /v1/tenants/{tenant}/clients.  Raises InvalidRequestError."""
    given = json_object(body or "{}")
    faults = unknown_fields(given, {"scopes"})
    scopes = _scopes(given.get("scopes"), faults)
    if faults:
        raise InvalidRequestError(faults)
    return scopes


def limits_request(body: str | None) -> Limits:
    """The body of PUT /v1/tenants/{tenant}/limits, which replaces them all.  Raises InvalidRequestError."""
    faults: list[Fault] = []
    limits = _limits(json_object(body), faults, prefix="")
    if faults:
        raise InvalidRequestError(faults)
    return limits


def path_tenant(text: str) -> TenantId:
    """The tenant in a path.  Raises InvalidRequestError."""
    try:
        return tenant_id(text)
    except NotATenantIdError as error:
        raise InvalidRequestError([Fault("tenant", _TENANT_ID)]) from error


def path_client_id(text: str) -> str:
    """The client in a path.  Raises InvalidRequestError."""
    if not _CLIENT_ID.fullmatch(text):
        raise InvalidRequestError([Fault("client_id", "must be 1 to 128 letters, digits, _ and +")])
    return text


def _scopes(given: object, faults: list[Fault]) -> tuple[Scope, ...]:
    if given is None:
        return DEFAULT_SCOPES
    if not isinstance(given, list) or not given or any(scope not in list(Scope) for scope in given):
        faults.append(Fault("scopes", f"must be a list of {', '.join(Scope)}"))
        return ()
    return tuple(scope for scope in Scope if scope in given)


def _limits(given: object, faults: list[Fault], *, prefix: str = "limits.") -> Limits:
    if given is None:
        return NO_LIMITS
    if not isinstance(given, dict):
        faults.append(Fault("limits", "must be an object"))
        return NO_LIMITS
    highest = {"uploads_per_minute": MAX_UPLOADS_PER_MINUTE, "stored_bytes": MAX_STORED_BYTES}
    faults.extend(
        Fault(f"{prefix}{fault.field}"[:80], fault.message) for fault in unknown_fields(given, set(highest))
    )
    for name, most in highest.items():
        limit = given.get(name)
        whole = isinstance(limit, int) and not isinstance(limit, bool)
        if limit is not None and not (whole and 1 <= limit <= most):
            faults.append(
                Fault(f"{prefix}{name}", f"must be a whole number from 1 to {most}, or null for no limit")
            )
    return Limits(given.get("uploads_per_minute"), given.get("stored_bytes"))

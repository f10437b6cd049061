"""POST /v1/purge."""

from dataclasses import dataclass
from typing import Final

from catalog.api.inputs.fields import (
    Fault,
    InvalidRequestError,
    is_tenant_id,
    json_object,
    unknown_fields,
)
from catalog.domain.keys import TenantId, tenant_id

_MOST_DAYS: Final = 3650


@dataclass(frozen=True, slots=True)
class PurgeRequest:
    """A dry run, or, with a token, the deletion of what that dry run found."""

    tenant: TenantId | None
    confirm_token: str | None
    older_than_days: int | None


def purge_request(body: str | None) -> PurgeRequest:
    """The body of POST /v1/purge; none at all asks for a dry run.  Raises InvalidRequestError."""
    given = json_object(body or "{}")
    faults = unknown_fields(given, {"tenant", "dry_run", "confirm_token", "older_than_days"})
    dry_run, token, days = (
        given.get("dry_run", True),
        given.get("confirm_token"),
        given.get("older_than_days"),
    )
    if not isinstance(dry_run, bool):
        faults.append(Fault("dry_run", "must be true or false"))
    if token is not None and not isinstance(token, str):
        faults.append(Fault("confirm_token", "must be the token of a dry run"))
    if dry_run is False and token is None:
        faults.append(Fault("confirm_token", "is needed where dry_run is false"))
    if dry_run is True and token is not None:
        faults.append(Fault("confirm_token", "confirms nothing in a dry run; say dry_run false"))
    if days is not None and not (
        isinstance(days, int) and not isinstance(days, bool) and 0 <= days <= _MOST_DAYS
    ):
        faults.append(Fault("older_than_days", f"must be a whole number from 0 to {_MOST_DAYS}"))
    if days is not None and dry_run is False:
        faults.append(Fault("older_than_days", "is decided by the dry run that is confirmed"))
    tenant = given.get("tenant")
    if tenant is not None and not is_tenant_id(tenant):
        faults.append(Fault("tenant", "must be a tenant id"))
    if faults:
        raise InvalidRequestError(faults)
    return PurgeRequest(tenant_id(tenant) if tenant else None, token, days)

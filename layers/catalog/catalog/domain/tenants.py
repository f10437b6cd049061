"""Tenants and the clients that act for them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from catalog.domain.errors import CallerError, Kind
from catalog.domain.keys import TenantId
from catalog.domain.limits import NO_LIMITS, Limits
from catalog.domain.uploads import TICKETS_LAST


def late_uploads_end_after(tickets_last: timedelta) -> timedelta:
    """From a tenant's last upload ticket until nothing can come of it any more.

    A function may know the tenant as active for 60 s and run for 28 s; then the ticket is good for
    `tickets_last`, and a slow PUT begun in time may go on for a fifth of that.
    """
    return timedelta(minutes=2) + 1.2 * tickets_last


# 20 minutes, as of tickets that are good for as long as any may be.
LATE_UPLOADS_END_AFTER: Final = late_uploads_end_after(TICKETS_LAST)


class Scope(StrEnum):
    """What a client may ask for; API Gateway checks them against the token."""

    READ = "catalog/read"
    WRITE = "catalog/write"
    ADMIN = "catalog/admin"


# Administration is never given by omission.
DEFAULT_SCOPES: Final = (Scope.READ, Scope.WRITE)


class TenantStatus(StrEnum):
    """`active -> removing -> removed`; a removed tenant has no record, and its name is free."""

    ACTIVE = "active"
    REMOVING = "removing"
    REMOVED = "removed"


class UnknownClientError(CallerError):
    """A valid token whose client belongs to no tenant, or to one that is being removed."""

    kind = Kind.FORBIDDEN
    code = "unknown_client"
    message = "this client belongs to no tenant, or to one being removed"


class ClientNotFoundError(CallerError):
    """This tenant has no such client."""

    kind = Kind.NOT_FOUND
    code = "client_not_found"
    message = "this tenant has no such client"


class TenantNotFoundError(CallerError):
    """There is no such tenant."""

    kind = Kind.NOT_FOUND
    code = "tenant_not_found"
    message = "there is no such tenant"


class TenantExistsError(CallerError):
    """A tenant of this name exists."""

    kind = Kind.CONFLICT
    code = "tenant_exists"
    message = "this tenant exists; POST /v1/tenants/{tenant}/clients gives it another client"


class TenantBeingRemovedError(CallerError):
    """The tenant is being removed: it gets no client and no upload, and its name is still taken."""

    kind = Kind.CONFLICT
    code = "tenant_being_removed"
    message = "this tenant is being removed"


# Images, objects, pairs or counters of a tenant that one call looks at, or removes.
REMAINS_AT_ONCE: Final = 1_000


class TenantNotEmptyError(CallerError):
    """The tenant has assets, or objects of assets, which its removal would orphan: so many of each kind."""

    kind = Kind.CONFLICT
    code = "tenant_not_empty"

    def __init__(self, left: Mapping[str, int]) -> None:
        told = ", ".join(f"{kind}: {_counted(number)}" for kind, number in left.items() if number)
        super().__init__(f"this tenant still has {told}; release its references and purge it first")


def _counted(number: int) -> str:
    return f"{number:,}" if number < REMAINS_AT_ONCE else f"{REMAINS_AT_ONCE:,} or more"


class TenantNameTakenError(CallerError):
    """A removed tenant had this name, and deleted objects of it can still be restored."""

    kind = Kind.CONFLICT
    code = "tenant_name_taken"
    message = (
        "a removed tenant had this name, and its deleted images are kept for some days more: take another"
    )


class OwnTenantError(CallerError):
    """A client asked to remove or erase the tenant it acts for: its token would end before that does."""

    kind = Kind.CONFLICT
    code = "own_tenant"
    message = "a client cannot remove the tenant it acts for"


@dataclass(frozen=True, slots=True)
class Tenant:
    """One customer of the catalog.  Times are aware UTC.

    `erased_by` is the job that erases it: its removal cannot be cancelled any more.
    """

    id: TenantId
    created_at: datetime
    limits: Limits = NO_LIMITS
    removing_since: datetime | None = None
    erased_by: str | None = None
    late_uploads_end_after: timedelta = LATE_UPLOADS_END_AFTER

    @property
    def status(self) -> TenantStatus:
        return TenantStatus.REMOVING if self.removing_since else TenantStatus.ACTIVE

    @property
    def removable_from(self) -> datetime | None:
        """From when no upload can arrive any more; None of an active tenant."""
        return self.removing_since + self.late_uploads_end_after if self.removing_since else None


@dataclass(frozen=True, slots=True)
class Client:
    """An OAuth 2 client and the one tenant it acts for."""

    client_id: str
    tenant: TenantId


@dataclass(frozen=True, slots=True)
class KnownClient:
    """A client as recorded; `scopes` is None for records from before scopes were recorded."""

    client_id: str
    created_at: datetime
    scopes: tuple[Scope, ...] | None


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """A new client with its secret, which is shown this once and stored by the identity provider only."""

    client: Client
    client_secret: str = field(repr=False)  # a repr may end in a log
    scopes: tuple[Scope, ...]

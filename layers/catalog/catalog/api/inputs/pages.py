"""Queries for a page that several routes have."""

from collections.abc import Mapping
from dataclasses import dataclass

from catalog.api.inputs.fields import (
    PAGE_FIELDS,
    Fault,
    InvalidRequestError,
    is_tenant_id,
    page_request,
    unknown_fields,
)
from catalog.domain.keys import TenantId, tenant_id
from catalog.domain.paging import PageRequest


@dataclass(frozen=True, slots=True)
class PageOfTenant:
    """A page of what is a tenant's.  `tenant` None: the query named none."""

    tenant: TenantId | None
    page: PageRequest


def page_alone(query: Mapping[str, str]) -> PageRequest:
    """A query for a page and nothing else.  Raises InvalidRequestError."""
    faults = unknown_fields(query, PAGE_FIELDS)
    page = page_request(query, faults)
    if faults:
        raise InvalidRequestError(faults)
    return page


def page_of_tenant(query: Mapping[str, str]) -> PageOfTenant:
    """A query for a page, and for whose.  Raises InvalidRequestError."""
    faults = unknown_fields(query, PAGE_FIELDS | {"tenant"})
    page = page_request(query, faults, default=20)
    tenant = query.get("tenant")
    if tenant is not None and not is_tenant_id(tenant):
        faults.append(Fault("tenant", "must be a tenant id"))
    if faults:
        raise InvalidRequestError(faults)
    return PageOfTenant(tenant_id(tenant) if tenant else None, page)

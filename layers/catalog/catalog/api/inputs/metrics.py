"""GET /v1/metrics."""

from collections.abc import Mapping
from dataclasses import dataclass

from catalog.api.inputs.fields import Fault, InvalidRequestError, is_tenant_id, unknown_fields
from catalog.domain.keys import TenantId, tenant_id


@dataclass(frozen=True, slots=True)
class MetricsRequest:
    """The metrics of a tenant, of every tenant, or, with neither, of the caller's."""

    tenant: TenantId | None
    every_tenant: bool


def metrics_request(query: Mapping[str, str]) -> MetricsRequest:
    """The query of GET /v1/metrics.  Raises InvalidRequestError."""
    faults = unknown_fields(query, {"tenant"})
    tenant = query.get("tenant")
    if tenant not in (None, "*") and not is_tenant_id(tenant):
        faults.append(Fault("tenant", "must be a tenant id, or * for all"))
    if faults:
        raise InvalidRequestError(faults)
    return MetricsRequest(tenant_id(tenant) if tenant and tenant != "*" else None, tenant == "*")

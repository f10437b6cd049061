"""/v1/tenants: an administrator makes, lists, limits and removes tenants, and gives them clients."""

from datetime import UTC, datetime
from functools import partial
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from catalog import settings
from catalog.adapters.assets_table import Assets
from catalog.adapters.clients_table import Clients
from catalog.adapters.identity import IdentityProvider
from catalog.adapters.objects import Originals, Renditions
from catalog.adapters.pairs_table import Pairs
from catalog.adapters.tenants_table import Tenants
from catalog.adapters.usage_table import Counters
from catalog.api.http import accepted, api, body_text, client_id, created, listed, ok
from catalog.api.inputs.tenants import (
    client_request,
    limits_request,
    list_request,
    path_client_id,
    path_tenant,
    tenant_request,
)
from catalog.api.representations import client_json, credentials_json, tenant_json
from catalog.domain.keys import TenantId
from catalog.domain.tenants import TenantStatus
from catalog.telemetry import count, logger, metrics
from catalog.use_cases.tenants import add_client, create_tenant, remove_tenant, revoke_client

clock = partial(datetime.now, UTC)
clients = Clients(settings.clients_table())
tenants = Tenants(settings.tenants_table())
identity = IdentityProvider(settings.user_pool_id())
assets = Assets(settings.assets_table())
originals = Originals(settings.originals_bucket())
renditions = Renditions(settings.renditions_bucket())
pairs = Pairs(settings.pairs_table())
counters = Counters(settings.usage_table())
app = api(allow_origin=settings.cors_allow_origin())


@app.post("/tenants")
def post_tenant() -> Response[str]:
    by = caller()
    asked = tenant_request(body_text(app))
    tenant, credentials = create_tenant(
        asked.tenant,
        asked.limits,
        asked.scopes,
        tenants=tenants,
        identity=identity,
        clients=clients,
        stores=(originals, renditions),
        now=clock(),
    )
    audit("tenant created", tenant.id, by, client=credentials.client.client_id, scopes=asked.scopes)
    count("TenantCreated")
    return created(tenant_json(tenant) | credentials_json(credentials))


@app.get("/tenants")
def get_tenants() -> Response[str]:
    caller()
    page = tenants.page(list_request(app.current_event.query_string_parameters or {}))
    count("PageRead")
    return listed("tenants", page.map(tenant_json))


@app.delete("/tenants/<tenant>")
def delete_tenant(tenant: str) -> Response[str]:
    by = caller()
    id_ = path_tenant(tenant)
    left = remove_tenant(
        id_,
        asked_by=by,
        tenants=tenants,
        identity=identity,
        clients=clients,
        assets=assets,
        originals=originals,
        renditions=renditions,
        pairs=pairs,
        counters=counters,
        now=clock(),
    )
    if left:
        audit("tenant being removed", id_, by, removable_from=left.removable_from)
        count("TenantBeingRemoved")
        return accepted(tenant_json(left))
    audit("tenant removed", id_, by)
    count("TenantRemoved")
    return ok({"tenant": id_, "status": TenantStatus.REMOVED})


@app.put("/tenants/<tenant>/limits")
def put_limits(tenant: str) -> Response[str]:
    by = caller()
    changed = tenants.set_limits(path_tenant(tenant), limits_request(body_text(app)))
    audit("tenant limited", changed.id, by)
    count("TenantLimited")
    return ok(tenant_json(changed))


@app.post("/tenants/<tenant>/clients")
def post_client(tenant: str) -> Response[str]:
    by = caller()
    id_, scopes = path_tenant(tenant), client_request(body_text(app))
    credentials = add_client(id_, scopes, tenants=tenants, identity=identity, clients=clients, now=clock())
    audit("client created", id_, by, client=credentials.client.client_id, scopes=scopes)
    count("ClientCreated")
    return created(credentials_json(credentials))


@app.get("/tenants/<tenant>/clients")
def get_clients(tenant: str) -> Response[str]:
    caller()
    asked = list_request(app.current_event.query_string_parameters or {})
    found = tenants.get(path_tenant(tenant))
    page = clients.page(found.id, asked)
    count("PageRead")
    return listed("clients", page.map(client_json), tenant=found.id)


@app.delete("/tenants/<tenant>/clients/<gone>")
def delete_client(tenant: str, gone: str) -> Response[str]:
    by = caller()
    id_, revoked = path_tenant(tenant), path_client_id(gone)
    revoke_client(revoked, id_, identity=identity, clients=clients)
    audit("client revoked", id_, by, client=revoked)
    count("ClientRevoked")
    return ok({"tenant": id_, "client_id": revoked, "status": "revoked"})


def caller() -> TenantId:
    """The tenant whose administrator this is: one whose own client or tenant is gone administers nothing."""
    return clients.current_tenant_of(client_id(app))


def audit(what: str, tenant: TenantId, by: TenantId, **facts: Any) -> None:
    logger.info(what, tenant=tenant, by_tenant=by, by_client=client_id(app), **facts)


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)

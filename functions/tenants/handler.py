"""/v1/tenants: an administrator makes, lists, limits and removes tenants, and gives them clients."""

from typing import Any

from catalog import settings
from catalog.adapters.assets_table import Assets
from catalog.adapters.clients_table import Clients
from catalog.adapters.identity import IdentityProvider
from catalog.adapters.objects import Originals, Renditions
from catalog.adapters.tenant_items import TenantItems
from catalog.adapters.tenants_table import Tenants
from catalog.api.http import Answer, Api, Call, accepted, created, listed, ok
from catalog.api.inputs.pages import page_alone
from catalog.api.inputs.tenants import (
    client_request,
    limits_request,
    path_client_id,
    path_tenant,
    tenant_request,
)
from catalog.api.representations import client_json, credentials_json, tenant_json
from catalog.domain.keys import TenantId
from catalog.domain.tenants import TenantStatus
from catalog.telemetry import count, logger
from catalog.use_cases.tenants import ClientAdministration, TenantAdministration

clients = Clients(settings.clients_table())
tenants = Tenants(settings.tenants_table(), tickets_last=settings.upload_url_lasts())
client_administration = ClientAdministration(tenants, IdentityProvider(settings.user_pool_id()), clients)
administration = TenantAdministration(
    tenants=tenants,
    clients=client_administration,
    assets=Assets(settings.assets_table()),
    originals=Originals(settings.originals_bucket()),
    renditions=Renditions(settings.renditions_bucket()),
    remains=(
        TenantItems(settings.pairs_table(), "pair"),
        TenantItems(settings.references_table(), "entry"),
        TenantItems(settings.usage_table(), "counter"),
        TenantItems(settings.webhooks_table(), "entry"),
    ),
)
# An administrator whose client or tenant is gone administers nothing from that moment on.
app = Api(clients.current_tenant_of, allow_origin=settings.cors_allow_origin())


@app.route("POST", "/tenants")
def post_tenant(call: Call) -> Answer:
    asked = tenant_request(call.body)
    tenant, credentials = administration.create(asked.tenant, asked.limits, asked.scopes)
    audit(call, "tenant created", tenant.id, client=credentials.client.client_id, scopes=asked.scopes)
    count("TenantCreated")
    return created(tenant_json(tenant) | credentials_json(credentials))


@app.route("GET", "/tenants")
def get_tenants(call: Call) -> Answer:
    page = tenants.page(page_alone(call.query))
    count("PageRead")
    return listed("tenants", page.map(tenant_json))


@app.route("DELETE", "/tenants/<tenant>")
def delete_tenant(call: Call, tenant: str) -> Answer:
    id_ = path_tenant(tenant)
    left = administration.remove(id_, asked_by=call.tenant)
    if left:
        audit(call, "tenant being removed", id_, removable_from=left.removable_from)
        count("TenantBeingRemoved")
        return accepted(tenant_json(left))
    audit(call, "tenant removed", id_)
    count("TenantRemoved")
    return ok({"tenant": id_, "status": TenantStatus.REMOVED})


@app.route("PUT", "/tenants/<tenant>/limits")
def put_limits(call: Call, tenant: str) -> Answer:
    changed = tenants.set_limits(path_tenant(tenant), limits_request(call.body))
    audit(call, "tenant limited", changed.id)
    count("TenantLimited")
    return ok(tenant_json(changed))


@app.route("POST", "/tenants/<tenant>/clients")
def post_client(call: Call, tenant: str) -> Answer:
    id_, scopes = path_tenant(tenant), client_request(call.body)
    credentials = client_administration.add(id_, scopes)
    audit(call, "client created", id_, client=credentials.client.client_id, scopes=scopes)
    count("ClientCreated")
    return created(credentials_json(credentials))


@app.route("GET", "/tenants/<tenant>/clients")
def get_clients(call: Call, tenant: str) -> Answer:
    asked = page_alone(call.query)
    found = tenants.get(path_tenant(tenant))
    page = clients.page(found.id, asked)
    count("PageRead")
    return listed("clients", page.map(client_json), tenant=found.id)


@app.route("DELETE", "/tenants/<tenant>/clients/<gone>")
def delete_client(call: Call, tenant: str, gone: str) -> Answer:
    id_, revoked = path_tenant(tenant), path_client_id(gone)
    client_administration.revoke(revoked, id_)
    audit(call, "client revoked", id_, client=revoked)
    count("ClientRevoked")
    return ok({"tenant": id_, "client_id": revoked, "status": "revoked"})


def audit(call: Call, what: str, tenant: TenantId, **facts: Any) -> None:
    logger.info(what, tenant=tenant, by_tenant=call.tenant, by_client=call.client_id, **facts)


handler = app.handler

"""POST /v1/purge: propose a purge, or confirm one.  GET /v1/purge/runs: what became of them.

DELETE /v1/images/{id}: a purge of one image.
"""

from datetime import timedelta

from catalog import settings
from catalog.adapters.clients_table import Clients
from catalog.adapters.signing import Signer
from catalog.adapters.tenants_table import Tenants
from catalog.api.http import Answer, Api, Call, accepted, fitting, listed, ok
from catalog.api.inputs.images import path_asset_id
from catalog.api.inputs.pages import page_of_tenant
from catalog.api.inputs.purge import PurgeRequest, purge_request
from catalog.api.representations import candidate_json, proposal_json, run_json, summary_json
from catalog.composition import purges, viewing
from catalog.domain.keys import AssetKey, TenantId
from catalog.domain.purge import RunState
from catalog.telemetry import count, logger
from catalog.use_cases.deletion import Deletion
from catalog.use_cases.purge_requests import PurgeRequests

clients = Clients(settings.clients_table())
tenants = Tenants(settings.tenants_table())
renditions = viewing.renditions()
requests = PurgeRequests(purges.purging(), Signer(settings.signing_key_id()))
deletion = Deletion(requests.purging)
app = Api(clients.current_tenant_of, allow_origin=settings.cors_allow_origin())


@app.route("POST", "/purge")
def post_purge(call: Call) -> Answer:
    asked = purge_request(call.body)
    tenant = tenant_named(asked.tenant, call)
    if asked.confirm_token is None:
        return propose(asked, tenant, call.client_id)
    run = requests.confirm(asked.confirm_token, tenant)
    logger.info("purge confirmed", tenant=tenant, run=run.id, by=call.client_id)
    run = requests.begin(run)
    return ok(run_json(run)) if run.state is RunState.COMPLETED else accepted(run_json(run))


def propose(asked: PurgeRequest, tenant: TenantId, client_id: str) -> Answer:
    older_than = None if asked.older_than_days is None else timedelta(days=asked.older_than_days)
    proposal = requests.propose(tenant, older_than, requested_by=client_id)
    logger.info("purge proposed", tenant=tenant, run=proposal.run.id, found=len(proposal.run.candidates))
    count("PurgeProposed")
    shown = fitting(candidate_json(asset, urls=renditions) for asset in proposal.found)
    return ok(proposal_json(proposal, shown))


@app.route("GET", "/purge/runs")
def get_runs(call: Call) -> Answer:
    asked = page_of_tenant(call.query)
    page = requests.purging.runs.page(tenant_named(asked.tenant, call), asked.page)
    count("PageRead")
    return listed("runs", page.map(summary_json))


@app.route("DELETE", "/images/<id_>")
def delete_image(call: Call, id_: str) -> Answer:
    key = AssetKey(call.tenant, path_asset_id(id_))
    gone = deletion.delete(key, requested_by=call.client_id)
    logger.info("image deleted", tenant=key.tenant, asset_id=key.id, gone=gone, by=call.client_id)
    count("ImageDeleted")
    return ok({"id": key.id, "status": "deleted"}) if gone else accepted({"id": key.id, "status": "deleting"})


def tenant_named(named: TenantId | None, call: Call) -> TenantId:
    """The tenant an administrator names, if there is such a one, or the caller's own."""
    return tenants.get(named).id if named else call.tenant


handler = app.handler

"""Purge: POST /v1/purge and GET /v1/purge/runs, the daily schedule, and the queue of what they left to do."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from catalog import settings
from catalog.adapters.assets_table import Assets
from catalog.adapters.clients_table import Clients
from catalog.adapters.groups import Groups
from catalog.adapters.hash_bands_table import HashBands
from catalog.adapters.objects import Originals, Renditions
from catalog.adapters.purge_runs_table import PurgeRuns
from catalog.adapters.queues import PurgeJob, PurgeQueue, purge_job
from catalog.adapters.signing import Signer
from catalog.adapters.tenants_table import Tenants
from catalog.api.http import Answer, Api, Call, accepted, fitting, listed, ok
from catalog.api.inputs.purge import purge_request, purge_runs_request
from catalog.api.representations import candidate_json, proposal_json, run_json, summary_json
from catalog.batches import QueueBatches
from catalog.domain.hops import ChainTooLongError, next_hop
from catalog.domain.keys import TenantId
from catalog.domain.purge import CLAIMED_FOR, PurgeRun, RunClaimedError, RunState
from catalog.telemetry import count, logger, metrics
from catalog.use_cases.purging import (
    confirm_purge,
    propose_purge,
    purge_tenant,
    work_on_run,
)

# A caller waits no longer than this for the deletions; what is left goes through the queue.
ANSWER_WITHIN: Final = timedelta(seconds=15)
# Of the function's 60 seconds; the rest is for recording progress and for the next message.
WORK_FOR: Final = timedelta(seconds=40)

clock = partial(datetime.now, UTC)
clients = Clients(settings.clients_table())
tenants = Tenants(settings.tenants_table())
assets = Assets(settings.assets_table())
runs = PurgeRuns(settings.purge_runs_table())
queue = PurgeQueue(settings.purge_queue_url())
signer = Signer(settings.signing_key_id())
grace = settings.purge_grace()
renditions = Renditions(settings.renditions_bucket(), base_url=settings.renditions_base_url())
work = partial(
    work_on_run,
    assets=assets,
    originals=Originals(settings.originals_bucket()),
    renditions=renditions,
    bands=HashBands(settings.hash_bands_table()),
    groups=Groups(settings.assets_table(), settings.pairs_table()),
    runs=runs,
    clock=clock,
)
app = Api(clients.current_tenant_of, allow_origin=settings.cors_allow_origin())


@app.route("POST", "/purge")
def post_purge(call: Call) -> Answer:
    asked = purge_request(call.body)
    tenant = tenant_named(asked.tenant, call)
    if asked.confirm_token is None:
        older_than = grace if asked.older_than_days is None else timedelta(days=asked.older_than_days)
        proposal = propose_purge(
            tenant,
            older_than=older_than,
            requested_by=call.client_id,
            assets=assets,
            runs=runs,
            signer=signer,
            now=clock(),
        )
        logger.info("purge proposed", tenant=tenant, run=proposal.run.id, found=len(proposal.run.candidates))
        count("PurgeProposed")
        shown = fitting(candidate_json(asset, url_of=renditions.url) for asset in proposal.found)
        return ok(proposal_json(proposal, shown))
    run = confirm_purge(
        asked.confirm_token, tenant, runs=runs, signer=signer, see_to=come_back_to, now=clock()
    )
    logger.info("purge confirmed", tenant=tenant, run=run.id, by=call.client_id)
    with suppress(RunClaimedError):  # the daily purge has found it already
        run = work_until(run, until=clock() + ANSWER_WITHIN)
    return ok(run_json(run)) if run.state is RunState.COMPLETED else accepted(run_json(run))


@app.route("GET", "/purge/runs")
def get_runs(call: Call) -> Answer:
    asked = purge_runs_request(call.query)
    page = runs.page(tenant_named(asked.tenant, call), asked.page)
    count("PageRead")
    return listed("runs", page.map(summary_json))


def tenant_named(named: TenantId | None, call: Call) -> TenantId:
    """The tenant an administrator names, if there is such a one, or the caller's own."""
    return tenants.get(named).id if named else call.tenant


def come_back_to(run: PurgeRun) -> None:
    """Have the queue bring the run back when whoever works on it now is done or dead."""
    queue.send(PurgeJob(run.tenant, run.id), delay=CLAIMED_FOR)


def work_until(run: PurgeRun, *, until: datetime, after: PurgeJob | None = None) -> PurgeRun:
    """Delete for a while; what is then left goes on through the queue.  Raises ChainTooLongError."""
    run = work(run, until=until)
    if run.state is RunState.COMPLETED:
        logger.info("purge completed", tenant=run.tenant, run=run.id, deleted=run.deleted, kept=len(run.kept))
        count("AssetsPurged", run.deleted)
    else:
        queue.send(PurgeJob(run.tenant, run.id, next_hop(after.hops) if after else 0))
    return run


def take_message(record: SQSRecord) -> None:
    job = purge_job(record.body)
    try:
        take(job)
    except ChainTooLongError:
        logger.warning("purge goes on with the next day's", tenant=job.tenant, run=job.run_id, hops=job.hops)
        count("PurgeLeftForNextDay")


def take(job: PurgeJob) -> None:
    """Raises ChainTooLongError where a day's chain ends; the next daily purge finds what is then left."""
    until = clock() + WORK_FOR
    try:
        if job.run_id:
            run = runs.get(job.tenant, job.run_id)
            if run.state is RunState.RUNNING:
                work_until(run, until=until, after=job)
        elif purge_tenant(
            job.tenant,
            older_than=grace,
            assets=assets,
            runs=runs,
            work=partial(work_until, until=until, after=job),
            now=clock(),
        ):
            queue.send(PurgeJob(job.tenant, hops=next_hop(job.hops)))
    except RunClaimedError:
        logger.info("purge under way elsewhere", tenant=job.tenant, run=job.run_id)
        queue.send(replace(job, hops=next_hop(job.hops)), delay=CLAIMED_FOR)


batches = QueueBatches(take_message)


def begin_daily_purge() -> None:
    """One message a tenant: each is purged, retried and dead-lettered by itself."""
    begun = 0
    for tenant in tenants.ids():
        queue.send(PurgeJob(tenant))
        begun += 1
    logger.info("daily purge begun", tenants=begun)
    count("DailyPurgeBegun")


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@metrics.log_metrics(capture_cold_start_metric=True)
def from_queue_or_schedule(event: dict[str, Any], context: LambdaContext) -> dict[str, Any] | None:
    if event.get("purge") == "daily":
        begin_daily_purge()
        return None
    return dict(batches.process(event, context))


def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    return (app.handler if "httpMethod" in event else from_queue_or_schedule)(event, context)

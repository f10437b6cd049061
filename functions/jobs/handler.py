"""/v1/jobs: an administrator starts, watches and orders work over the whole catalog."""

from collections.abc import Callable, Mapping
from functools import partial

from catalog import settings
from catalog.adapters.assets_table import Assets
from catalog.adapters.clients_table import Clients
from catalog.adapters.executions import Executions
from catalog.adapters.job_groups import JobGroups
from catalog.adapters.jobs_table import Jobs
from catalog.adapters.signing import Signer
from catalog.adapters.tenants_table import Tenants
from catalog.adapters.usage_table import Counters
from catalog.api.http import Answer, Api, Call, accepted, listed, ok
from catalog.api.inputs.fields import json_object
from catalog.api.inputs.job_import import import_options
from catalog.api.inputs.job_options import OPTIONS
from catalog.api.inputs.jobs import JobRequest, job_request, path_job_id
from catalog.api.inputs.pages import page_alone, page_of_tenant
from catalog.api.representations import failure_json, group_member_json, job_json
from catalog.domain.clock import utc_now
from catalog.domain.erase import image_of
from catalog.domain.jobs import Job, JobKind, RequestKey
from catalog.domain.keys import TenantId
from catalog.domain.paging import Page, PageRequest
from catalog.telemetry import count, logger
from catalog.use_cases.erasures import ErasureRequests
from catalog.use_cases.job_requests import Asked, JobRequests

imports = partial(import_options, allowed=settings.import_buckets())
clients = Clients(settings.clients_table())
tenants = Tenants(settings.tenants_table())
jobs = Jobs(settings.jobs_table())
groups = JobGroups(settings.jobs_table())
requests = JobRequests(
    jobs,
    Executions(settings.job_machine()),
    Signer(settings.signing_key_id()),
    ErasureRequests(jobs, Assets(settings.assets_table()), Counters(settings.usage_table()), tenants),
    settings.job_concurrency(),
)
app = Api(clients.current_tenant_of, allow_origin=settings.cors_allow_origin())


@app.route("POST", "/jobs")
def post_job(call: Call) -> Answer:
    asked, key = job_request(call.body, {**OPTIONS, JobKind.IMPORT: imports}), request_key(call)
    if (known := requests.answered(key)) is not None:
        return accepted(shown(known))
    tenant = about(asked, call)
    job = requests.create(
        Asked(asked.kind, tenant, asked.dry_run, asked.options, asked.concurrency, asked.confirm_token),
        requested_by=call.client_id,
        key=key,
    )
    return ordered(call, "job created", job)


@app.route("GET", "/jobs")
def get_jobs(call: Call) -> Answer:
    asked = page_of_tenant(call.query)
    page = jobs.page(asked.tenant, asked.page)
    count("PageRead")
    return listed("jobs", page.map(shown))


@app.route("GET", "/jobs/<id_>")
def get_job(_: Call, id_: str) -> Answer:
    job = jobs.get(path_job_id(id_))
    return ok(job_json(job, now=utc_now(), confirmation=requests.confirmation(job)))


@app.route("GET", "/jobs/<id_>/failures")
def get_failures(call: Call, id_: str) -> Answer:
    return page_of_job(call, id_, jobs.failures, "failures", failure_json)


@app.route("GET", "/jobs/<id_>/groups")
def get_groups(call: Call, id_: str) -> Answer:
    return page_of_job(call, id_, groups.page, "images", group_member_json)


@app.route("POST", "/jobs/<id_>/pause")
def pause(call: Call, id_: str) -> Answer:
    return change(call, "job paused", requests.pause, id_)


@app.route("POST", "/jobs/<id_>/resume")
def resume(call: Call, id_: str) -> Answer:
    return change(call, "job resumed", requests.resume, id_)


@app.route("POST", "/jobs/<id_>/cancel")
def cancel(call: Call, id_: str) -> Answer:
    return change(call, "job cancelled", requests.cancel, id_)


@app.route("POST", "/jobs/<id_>/retry")
def retry(call: Call, id_: str) -> Answer:
    job = requests.retry(path_job_id(id_), requested_by=call.client_id, asked_by=call.tenant)
    return ordered(call, "job tried again", job)


def request_key(call: Call) -> RequestKey | None:
    name = call.idempotency_key
    return None if name is None else RequestKey.of(call.tenant, name, json_object(call.body))


def about(asked: JobRequest, call: Call) -> TenantId | None:
    """The tenant that is asked for, if a job of this kind may be about it."""
    if asked.tenant is None:
        return None
    if asked.kind is not JobKind.ERASE:
        return tenants.active(asked.tenant).id
    requests.erasures.allow(asked.tenant, image_of(asked.options), asked_by=call.tenant)
    return tenants.get(asked.tenant).id


def page_of_job[T](
    call: Call,
    id_: str,
    read: Callable[[str, PageRequest], Page[T]],
    name: str,
    as_json: Callable[[T], Mapping[str, object]],
) -> Answer:
    asked = page_alone(call.query)
    page = read(jobs.get(path_job_id(id_)).id, asked)
    count("PageRead")
    return listed(name, page.map(as_json))


def change(call: Call, what: str, order: Callable[[str], Job], id_: str) -> Answer:
    return ordered(call, what, order(path_job_id(id_)))


def ordered(call: Call, what: str, job: Job) -> Answer:
    logger.info(what, job=job.id, kind=job.kind, tenant=job.tenant, by=call.client_id)
    count("JobOrdered")
    return accepted(shown(job))


def shown(job: Job) -> dict[str, object]:
    return job_json(job, now=utc_now())


handler = app.handler

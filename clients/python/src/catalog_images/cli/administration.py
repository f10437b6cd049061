"""Purges, jobs, tenants and figures; most need the scope catalog/admin."""

from typing import Annotated, Any

import typer
from rich.progress import Progress

from catalog_images.cli.output import Exit, byte_size
from catalog_images.cli.state import State, show_answer, state_of
from catalog_images.client import CatalogClient
from catalog_images.models import Job, JobOrder

JOB_SECONDS = 30 * 24 * 3600.0
Tenant = Annotated[str, typer.Argument(metavar="TENANT", help="A tenant's name.")]
OfTenant = Annotated[str | None, typer.Option(help="Another tenant than that of the client.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="A job's id.")]
_JOB_COLUMNS = ("id", "kind", "tenant", "state", "dry_run", "created_at")

jobs = typer.Typer(help="Work over a whole catalog.", no_args_is_help=True)
tenants = typer.Typer(help="Tenants, their limits and their clients.", no_args_is_help=True)


def metrics(
    context: typer.Context,
    tenant: Annotated[str | None, typer.Option(help="Another tenant, or * for all.")] = None,
) -> None:
    """Show storage used and saved."""
    state = state_of(context)
    with state.catalog() as catalog:
        document = catalog.request("GET", "/metrics", params={"tenant": tenant} if tenant else {})
    state.output.document(document)


def purge(
    context: typer.Context,
    older_than_days: Annotated[int | None, typer.Option(min=0, help="Unused for longer than this.")] = None,
    tenant: OfTenant = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Delete what the dry run found, without asking.")
    ] = False,
) -> None:
    """Show unused images, and delete them if you say so."""
    state = state_of(context)
    with state.catalog() as catalog:
        proposed = catalog.propose_purge(older_than_days=older_than_days, tenant=tenant)
        found = f"{len(proposed.candidates)} unused images, {byte_size(proposed.candidate_bytes)}"
        state.output.rows([{"id": id_} for id_ in proposed.candidates], ("id",), none="nothing is unused")
        if not proposed.candidates or proposed.confirm_token is None:
            return
        if not yes and not typer.confirm(f"{found}. Delete them?", err=True):
            return
        done = catalog.confirm_purge(proposed.confirm_token, tenant=tenant)
    state.output.document(
        {"run": done.id, "state": done.state, "deleted": done.deleted_count, "kept": dict(done.kept)}
    )


# --- Jobs -------------------------------------------------------------------------------------------------


@jobs.command("list")
def jobs_list(context: typer.Context, tenant: OfTenant = None) -> None:
    """List jobs, newest first."""
    state = state_of(context)
    with state.catalog() as catalog:
        state.output.rows((job.document for job in catalog.jobs(tenant=tenant)), _JOB_COLUMNS, none="no jobs")


@jobs.command("show")
def jobs_show(
    context: typer.Context,
    job_id: JobId,
    watch: Annotated[bool, typer.Option(help="Follow it to its end.")] = False,
) -> None:
    """Show a job."""
    state = state_of(context)
    with state.catalog() as catalog:
        job = catalog.job(job_id)
        if watch:
            watched(state, catalog, job)
        else:
            state.output.document(job.document)


@jobs.command("start")
def jobs_start(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(help="rebuild, import, find-duplicates, recount or erase.")],
    tenant: Annotated[str, typer.Option(help="A tenant, or * for all.")],
    option: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="An option of its kind, again and again."),
    ] = None,
    do: Annotated[bool, typer.Option("--do", help="Do it; without this it is a dry run.")] = False,
    watch: Annotated[bool, typer.Option(help="Follow it to its end.")] = True,
) -> None:
    """Start a job, at first a dry run that tells what it would do and cost."""
    state = state_of(context)
    pairs = (each.partition("=") for each in option or ())
    with state.catalog() as catalog:
        asked: dict[str, Any] = {name: _value(value) for name, _, value in pairs}
        job = catalog.start_job(kind, dry_run=not do, tenant=tenant, **asked)
        if watch:
            watched(state, catalog, job)
        else:
            state.output.document(job.document)


@jobs.command("failures")
def jobs_failures(context: typer.Context, job_id: JobId) -> None:
    """List what a job could not deal with."""
    state = state_of(context)
    with state.catalog() as catalog:
        rows = catalog.failures_of(job_id)
        state.output.rows(rows, ("tenant", "phase", "subject", "code", "detail"), none="no failures")


def _order(order: JobOrder, help_: str) -> None:
    @jobs.command(order, help=help_)
    def ordered(context: typer.Context, job_id: JobId) -> None:
        state = state_of(context)
        with state.catalog() as catalog:
            state.output.document(catalog.order_job(job_id, order).document)


_order("pause", "Begin no more parts of a job.")
_order("resume", "Go on with a job that was paused or failed.")
_order("cancel", "End a job; what was begun is completed.")
_order("retry", "Start a job over what failed in another one.")


def watched(state: State, catalog: CatalogClient, job: Job) -> None:
    """Follow a job to its end under a bar, and show it.  A job goes on without being watched."""
    aside = state.output.aside
    with Progress(console=aside, transient=True, disable=not aside.is_terminal) as bar:
        task = bar.add_task(f"{job.kind} {job.id}", total=None)

        def show(now: Job) -> None:
            bar.update(task, completed=now.done + now.skipped + now.failed, total=now.expected or None)

        ended = catalog.wait_for_job(job.id, timeout_seconds=JOB_SECONDS, progress=show)
    state.output.document(ended.document)
    if ended.state != "completed" or ended.failed:
        raise typer.Exit(Exit.INCOMPLETE)


def _value(text: str) -> int | str | list[str]:
    """A number, a list with commas, or a text."""
    if text.isdigit():
        return int(text)
    return text.split(",") if "," in text else text


# --- Tenants ----------------------------------------------------------------------------------------------


@tenants.command("list")
def tenants_list(context: typer.Context) -> None:
    """List tenants, in no particular order."""
    state = state_of(context)
    with state.catalog() as catalog:
        rows = catalog.pages("/tenants", "tenants", limit="100")
        state.output.rows(rows, ("tenant", "status", "limits", "created_at"), none="no tenants")


@tenants.command("create")
def tenants_create(
    context: typer.Context,
    tenant: Tenant,
    uploads_per_minute: Annotated[int | None, typer.Option(min=0)] = None,
    stored_bytes: Annotated[int | None, typer.Option(min=0)] = None,
) -> None:
    """Create a tenant and its first client; the secret is shown this once."""
    limits = _limits(uploads_per_minute, stored_bytes)
    body = {"tenant": tenant, **({"limits": limits} if limits else {})}
    show_answer(context, "POST", "/tenants", body)


@tenants.command("limit")
def tenants_limit(
    context: typer.Context,
    tenant: Tenant,
    uploads_per_minute: Annotated[int | None, typer.Option(min=0)] = None,
    stored_bytes: Annotated[int | None, typer.Option(min=0)] = None,
) -> None:
    """Replace a tenant's limits; one that is left out is no limit."""
    show_answer(context, "PUT", f"/tenants/{tenant}/limits", _limits(uploads_per_minute, stored_bytes))


@tenants.command("remove")
def tenants_remove(context: typer.Context, tenant: Tenant) -> None:
    """Begin to remove an empty tenant, or finish it 20 minutes later."""
    show_answer(context, "DELETE", f"/tenants/{tenant}")


@tenants.command("clients")
def tenants_clients(context: typer.Context, tenant: Tenant) -> None:
    """List a tenant's clients."""
    state = state_of(context)
    with state.catalog() as catalog:
        rows = catalog.pages(f"/tenants/{tenant}/clients", "clients")
        state.output.rows(rows, ("client_id", "scopes", "created_at"), none="no clients")


@tenants.command("add-client")
def tenants_add_client(
    context: typer.Context,
    tenant: Tenant,
    scope: Annotated[
        list[str] | None, typer.Option(help="Such as catalog/read; without it, read and write.")
    ] = None,
) -> None:
    """Add a client to a tenant; the secret is shown this once."""
    show_answer(context, "POST", f"/tenants/{tenant}/clients", {"scopes": scope} if scope else {}, retries=0)


@tenants.command("remove-client")
def tenants_remove_client(context: typer.Context, tenant: Tenant, client_id: str) -> None:
    """Delete a client."""
    show_answer(context, "DELETE", f"/tenants/{tenant}/clients/{client_id}")


def _limits(uploads_per_minute: int | None, stored_bytes: int | None) -> dict[str, int]:
    given = {"uploads_per_minute": uploads_per_minute, "stored_bytes": stored_bytes}
    return {name: value for name, value in given.items() if value is not None}

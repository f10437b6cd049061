"""Where a tenant is told of its events."""

import sys
from typing import Annotated, Any

import typer

from catalog_images.cli.state import show_answer, state_of

Name = Annotated[str, typer.Argument(metavar="NAME", help="A webhook's name.")]

webhooks = typer.Typer(help="Addresses that are told of events.", no_args_is_help=True)


@webhooks.command("list")
def webhooks_list(context: typer.Context) -> None:
    """List webhooks."""
    state = state_of(context)
    with state.catalog() as catalog:
        found = catalog.request("GET", "/webhooks")["webhooks"]
    state.output.rows(found, ("name", "url", "events", "status", "failures"), none="no webhooks")


@webhooks.command("put")
def webhooks_put(
    context: typer.Context,
    name: Name,
    url: Annotated[str, typer.Argument(help="An https:// address.")],
    event: Annotated[
        list[str] | None, typer.Option(help="Only this type, such as image.ready; again and again.")
    ] = None,
    secret_stdin: Annotated[
        bool, typer.Option("--secret-stdin", help="Read a secret of your own from standard input.")
    ] = False,
) -> None:
    """Make a webhook, or change and enable it; the secret that is made is shown this once."""
    body: dict[str, Any] = {"url": url, **({"events": event} if event else {})}
    if secret_stdin:
        body["secret"] = sys.stdin.readline().strip()
    show_answer(context, "PUT", f"/webhooks/{name}", body)


@webhooks.command("test")
def webhooks_test(context: typer.Context, name: Name) -> None:
    """Send a test event, once."""
    show_answer(context, "POST", f"/webhooks/{name}/test")


@webhooks.command("deliveries")
def webhooks_deliveries(context: typer.Context, name: Name) -> None:
    """List the last 100 attempts, newest first."""
    state = state_of(context)
    with state.catalog() as catalog:
        found = catalog.request("GET", f"/webhooks/{name}/deliveries")["deliveries"]
    columns = ("at", "type", "attempt", "delivered", "status", "fault", "next_attempt_at")
    state.output.rows(found, columns, none="no deliveries")


@webhooks.command("delete")
def webhooks_delete(context: typer.Context, name: Name) -> None:
    """Delete a webhook."""
    show_answer(context, "DELETE", f"/webhooks/{name}")

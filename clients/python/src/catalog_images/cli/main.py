"""catalog-images: the catalog from a terminal or a script.

Exit status: 0 done; 1 something failed or was rejected; 2 wrong arguments; 3 credentials refused; 4 not
found; 5 no answer; 6 the API refused the request; 130 interrupted.
"""

import sys
from collections.abc import Callable, Sequence
from http import HTTPStatus
from io import TextIOWrapper
from typing import Annotated

import typer

from catalog_images import __version__, profiles
from catalog_images.cli import administration, images, login, syncing, webhooks
from catalog_images.cli.output import Exit, Output
from catalog_images.cli.state import State
from catalog_images.errors import ApiError, CatalogError, ProfileError, TokenRefusedError, UnreachableError
from catalog_images.transport import RETRIED_STATUSES

app = typer.Typer(
    name="catalog-images",
    help=__doc__,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # its locals would show secrets
)
_COMMANDS = (
    *(login.login, login.logout, syncing.sync),
    *(images.get, images.list_, images.find, images.compare, images.delete),
    *(administration.purge, administration.metrics),
)
for command in _COMMANDS:
    app.command(name=command.__name__.rstrip("_"))(command)
for name, group in (
    ("refs", images.refs),
    ("duplicates", images.duplicates),
    ("jobs", administration.jobs),
    ("tenants", administration.tenants),
    ("webhooks", webhooks.webhooks),
):
    app.add_typer(group, name=name)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"catalog-images {__version__}")
        raise typer.Exit


@app.callback()
def choices(
    context: typer.Context,
    profile: Annotated[
        str | None,
        typer.Option(help="Which login to use.", autocompletion=profiles.names, envvar="CATALOG_PROFILE"),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, one document a line; works behind the command too.")
    ] = False,
    version: Annotated[  # noqa: ARG001 - its callback prints it
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """What every command has."""
    context.obj = State(profile, Output(as_json))


def status_of(error: CatalogError) -> Exit:
    """The exit code that names an error."""
    match error:
        case TokenRefusedError() | ProfileError():
            return Exit.REFUSED
        case ApiError(status=HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN):
            return Exit.REFUSED
        case ApiError(status=HTTPStatus.NOT_FOUND):
            return Exit.NOT_FOUND
        case ApiError() if error.status not in RETRIED_STATUSES:
            return Exit.REJECTED
        case ApiError() | UnreachableError():
            return Exit.UNREACHABLE
    return Exit.INCOMPLETE


def guarded(work: Callable[[], object]) -> int:
    """Do it; errors become a line on standard error and an exit code."""
    try:
        work()
    except CatalogError as error:
        Output().say(f"error: {error}")
        return status_of(error)
    except BrokenPipeError:  # `| head` has seen enough
        return Exit.DONE
    except KeyboardInterrupt:
        Output().say("interrupted")
        return Exit.INTERRUPTED
    return Exit.DONE


def run(arguments: Sequence[str] | None = None) -> None:
    """The command of the terminal."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file's name may be no UTF-8
    given = list(sys.argv[1:] if arguments is None else arguments)
    before = given[: given.index("--")] if "--" in given else given
    if "--json" in before:
        given.remove("--json")
        given.insert(0, "--json")
    sys.exit(guarded(lambda: app(given, standalone_mode=True)))

"""Who calls."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from catalog_images import profiles
from catalog_images.cli.state import state_of
from catalog_images.client import CatalogClient
from catalog_images.errors import ProfileError
from catalog_images.models import Credentials
from catalog_images.profiles import Profile

_ASKED = {
    "API": "API URL",
    "TOKEN_URL": "Token URL",
    "CLIENT_ID": "Client id",
    "CLIENT_SECRET": "Client secret",
}


def login(
    context: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(
            help="A file with API=, TOKEN_URL=, CLIENT_ID= and CLIENT_SECRET=; what it lacks is asked."
        ),
    ] = None,
    api_url: Annotated[str, typer.Option(help="The stack's output ApiUrl.")] = "",
    token_url: Annotated[str, typer.Option(help="The stack's output TokenUrl.")] = "",
    client_id: Annotated[str, typer.Option(help="A client of your tenant.")] = "",
    secret_stdin: Annotated[bool, typer.Option(help="Read the secret from standard input.")] = False,
) -> None:
    """Check credentials and keep them: in the system's keyring, else in a file that only you can read."""
    state = state_of(context)
    given = _from_file(file) if file else {}
    options = {"API": api_url, "TOKEN_URL": token_url, "CLIENT_ID": client_id}
    given |= {name: value for name, value in options.items() if value}
    if secret_stdin:
        given["CLIENT_SECRET"] = sys.stdin.readline().strip()
    for name, question in _ASKED.items():
        if not given.get(name):
            given[name] = typer.prompt(question, hide_input=name == "CLIENT_SECRET", err=True)
    credentials = Credentials(given["CLIENT_ID"], given["CLIENT_SECRET"])
    profile = Profile(given["API"].rstrip("/"), given["TOKEN_URL"], credentials)
    with CatalogClient(**profile.arguments()) as catalog:
        catalog.token(fresh=True)
    name = state.profile_name or profiles.DEFAULT
    place = profiles.save(name, profile)
    state.output.document({"profile": name, "api_url": profile.api_url, "secret_in": place})


def logout(context: typer.Context) -> None:
    """Forget a profile and its secret."""
    state = state_of(context)
    profiles.forget(state.profile_name or profiles.DEFAULT)


def _from_file(file: Path) -> dict[str, str]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"{file}: {error}") from error
    pairs = (line.removeprefix("export ").partition("=") for line in lines if "=" in line)
    return {name.strip(): value.strip().strip("'\"") for name, _, value in pairs if name.strip() in _ASKED}

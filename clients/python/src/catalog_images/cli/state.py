"""What every command has: who calls, and how to print."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import typer

from catalog_images.cli.output import Output
from catalog_images.client import CatalogClient
from catalog_images.profiles import Profile, chosen


@dataclass(frozen=True, slots=True)
class State:
    """The choices before the command's name."""

    profile_name: str | None
    output: Output

    @property
    def profile(self) -> Profile:
        return chosen(self.profile_name)

    @contextmanager
    def catalog(self, **settings: Any) -> Iterator[CatalogClient]:
        """The client of the chosen profile.  Raises ProfileError."""
        with CatalogClient(**self.profile.arguments(), **settings) as client:
            yield client


def state_of(context: typer.Context) -> State:
    state = context.obj
    if not isinstance(state, State):
        raise TypeError("the command's callback makes the state")
    return state


def show_answer(context: typer.Context, method: str, path: str, body: Any = None, **settings: Any) -> None:
    """Print what one call answers.  `retries=0` where a repetition would do it twice."""
    state = state_of(context)
    with state.catalog(**settings) as catalog:
        state.output.document(catalog.request(method, path, json=body))

"""What every command has: who calls, and how to print."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

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
    def catalog(self) -> Iterator[CatalogClient]:
        """The client of the chosen profile.  Raises ProfileError."""
        with CatalogClient(**self.profile.arguments()) as client:
            yield client


def state_of(context: typer.Context) -> State:
    state = context.obj
    if not isinstance(state, State):
        raise TypeError("the command's callback makes the state")
    return state

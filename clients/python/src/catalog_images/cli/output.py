"""What commands print: JSON, one document a line, where it was asked for, else tables for people."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_PLAIN_WIDTH = 200  # columns of a table in a file or a pipe
_STEPS = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


class Exit(IntEnum):
    """Exit codes.  2 is the command line's own: arguments that are wrong."""

    DONE = 0
    INCOMPLETE = 1  # a file failed or was rejected, a job failed
    REFUSED = 3  # credentials, scopes, or no profile
    NOT_FOUND = 4
    UNREACHABLE = 5  # or throttled, or broken, after all tries
    REJECTED = 6  # the API refused the request
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Output:
    """Standard output for results, standard error for what happens meanwhile."""

    as_json: bool = False

    @property
    def people(self) -> Console:
        plain = None if sys.stdout.isatty() else _PLAIN_WIDTH
        return Console(highlight=False, soft_wrap=True, width=plain)

    @property
    def aside(self) -> Console:
        return Console(stderr=True, highlight=False, soft_wrap=True)

    def document(self, document: Mapping[str, Any]) -> None:
        """One document: its fields in lines for people."""
        if self.as_json:
            self._json(document)
            return
        lines = Table.grid(padding=(0, 2))
        for name, value in document.items():
            lines.add_row(Text(name.replace("_", " "), style="dim"), Text(_shown(value)))
        self.people.print(lines)

    def rows(
        self, documents: Iterable[Mapping[str, Any]], columns: Sequence[str], *, none: str = "none"
    ) -> int:
        """Documents as lines of a table of these fields; returns their number."""
        number = 0
        if self.as_json:
            for document in documents:
                self._json(document)
                number += 1
            return number
        shown = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
        for column in columns:
            shown.add_column(
                column.replace("_", " "), overflow="fold", min_width=32 if column == "id" else None
            )
        for document in documents:
            shown.add_row(*(Text(_shown(document.get(column))) for column in columns))
            number += 1
        self.people.print(shown if number else none)
        return number

    def say(self, text: str) -> None:
        """A sentence for people, aside from the result."""
        self.aside.print(Text(text))

    def _json(self, document: Mapping[str, Any]) -> None:
        print(json.dumps(document, ensure_ascii=False, default=str), flush=True)  # a program may follow it


def byte_size(number: int) -> str:
    """`1.5 MB`."""
    for step, unit in _STEPS:
        if number >= step:
            return f"{number / step:.1f} {unit}"
    return f"{number} B"


def _shown(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ", ".join(map(_shown, value))
        case dict():
            return ", ".join(f"{name} {_shown(each)}" for name, each in value.items())
    return str(value)

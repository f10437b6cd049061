"""What an act shows, and how."""

import hashlib
from dataclasses import dataclass
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from infra.local.photos import shortened

FINISH_SECONDS: Final = 120.0
_SKU_DIGITS: Final = 8
_NAME_LENGTH: Final = 24  # characters of a file's name in a table


@dataclass(frozen=True, slots=True)
class Act:
    """What a part of the API did: its title and call, a table, a sentence, and the promises that it broke."""

    title: str
    call: str
    shown: Table
    said: str
    broken: tuple[str, ...] = ()


def sku(file: str) -> str:
    """An SKU that uses the photo in this file; the same in every run."""
    return f"SKU-{hashlib.sha256(file.encode(errors='surrogateescape')).hexdigest()[:_SKU_DIGITS].upper()}"


def table(*columns: str | tuple[str, str]) -> Table:
    """A table of these columns; a pair is a name and its justification."""
    shown = Table(header_style="bold", box=SIMPLE_HEAD, padding=(0, 1))
    for column in columns:
        if isinstance(column, str):
            shown.add_column(column, overflow="fold", no_wrap=column == "Image")
        else:
            shown.add_column(column[0], justify="right", no_wrap=True)
    return shown


def short(name: str) -> Text:
    """A name that is short enough for a table on 80 columns."""
    return Text(shortened(name, _NAME_LENGTH))

"""Pages of a list: a limit and a cursor go in, entries and the cursor of the next page come out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from catalog.domain.errors import CallerError, Kind


class InvalidCursorError(CallerError):
    """Not a cursor that this list gave to this tenant."""

    kind = Kind.INVALID
    code = "invalid_cursor"
    message = "cursor is not one this API gave you"


@dataclass(frozen=True, slots=True)
class PageRequest:
    """At most `limit` entries, starting after the page that gave `cursor`."""

    limit: int
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Page[T]:
    """Some entries and the cursor of the next page, None at the end.

    `cursors` has one for each entry: a page that starts with it continues after that entry.
    """

    entries: tuple[T, ...]
    cursors: tuple[str, ...] = ()
    cursor: str | None = None

    def map[U](self, shown: Callable[[T], U | None]) -> Page[U]:
        """The page with `shown` of each entry; entries for which that is None are left out."""
        made = [
            (each, cursor)
            for entry, cursor in zip(self.entries, self.cursors, strict=True)
            if (each := shown(entry)) is not None
        ]
        return Page(tuple(each for each, _ in made), tuple(cursor for _, cursor in made), self.cursor)

    def first(self, count: int) -> Page[T]:
        """The first `count` entries (at least 1); the cursor continues after them."""
        if count >= len(self.entries):
            return self
        return Page(self.entries[:count], self.cursors[:count], self.cursors[count - 1])

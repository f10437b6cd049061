"""Cursors: the key at which DynamoDB resumes a list, in base64url.

A key contains its tenant, so a cursor is of no use to another tenant.
"""

import base64
import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from pynamodb.models import Model
from pynamodb.pagination import ResultIterator

from catalog.adapters.tables import timestamp
from catalog.domain.paging import InvalidCursorError, Page

# Base64 of a tenant (63) and a reference's place (202) with their JSON; anything longer is not ours.
_LONGEST: Final = 380


class Cursors:
    """The cursors of one list.  `attributes` are those of its key; each check raises ValueError."""

    def __init__(self, **attributes: Callable[[str], str]) -> None:
        self._attributes = attributes

    def key(self, cursor: str | None, **owner: str) -> dict[str, dict[str, str]] | None:
        """The key at which to resume, None without a cursor.

        Raises InvalidCursorError for a cursor that this list never gave, or that is not the `owner`'s.
        """
        if cursor is None:
            return None
        try:
            values = dict(zip(self._attributes, _decoded(cursor), strict=True))
            key = {name: check(values[name]) for name, check in self._attributes.items()}
        except (ValueError, TypeError) as error:
            raise InvalidCursorError(cursor[:80]) from error
        if not owner.items() <= key.items():
            raise InvalidCursorError(cursor[:80])
        return {name: {"S": value} for name, value in key.items()}

    def page[I: Model](
        self, results: ResultIterator[I], limit: int, *, wanted: Callable[[I], bool] = lambda _: True
    ) -> Page[I]:
        """The first `limit` wanted items of one call, and where the next page begins."""
        items = [item for item in results if wanted(item)]
        cursors = [_encoded(getattr(item, name) for name in self._attributes) for item in items[:limit]]
        if len(items) > limit:
            return Page(tuple(items[:limit]), tuple(cursors), cursors[-1])
        resume: Mapping[str, Mapping[str, str]] | None = results.last_evaluated_key
        end = _encoded(resume[name]["S"] for name in self._attributes) if resume else None
        return Page(tuple(items), tuple(cursors), end)


def moment(text: str) -> str:
    """A time as the tables hold it.  Raises ValueError."""
    return timestamp(datetime.fromisoformat(text))


def matching(pattern: str) -> Callable[[str], str]:
    """A check that raises ValueError unless the whole text matches."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(text[:80])
        return text

    return check


def _encoded(values: Iterable[str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(list(values)).encode()).decode().rstrip("=")


def _decoded(cursor: str) -> Any:
    if len(cursor) > _LONGEST:
        raise ValueError(len(cursor))
    return json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))

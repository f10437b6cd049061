"""Pages: a cursor says where a list goes on, to the tenant it was given to and to nobody else."""

import base64
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from catalog.adapters.pages import Cursors, matching, moment
from catalog.api.inputs.fields import MAX_PAGE, Fault, page_request
from catalog.domain.keys import asset_id, tenant_id
from catalog.domain.paging import InvalidCursorError, Page, PageRequest

ID = "5c" * 32
NOW = "2026-11-24T12:00:00.000000+00:00"
IMAGES = Cursors(tenant=tenant_id, created_at=moment, id=asset_id)
PAIRS = Cursors(tenant=tenant_id, seen_at=moment, pair=matching("[0-9a-f]{64}#[0-9a-f]{64}"))
TENANTS = Cursors(tenant=tenant_id)


class Answer:
    """One call's items as PynamoDB gives them, with the key at which the next call resumes."""

    def __init__(self, *ids: str, resume: str | None = None) -> None:
        self._items = [SimpleNamespace(tenant="acme", created_at=NOW, id=id_) for id_ in ids]
        self.last_evaluated_key = resume and {
            "id": {"S": resume},
            "tenant": {"S": "acme"},
            "created_at": {"S": NOW},
        }

    def __iter__(self) -> Iterator[SimpleNamespace]:
        return iter(self._items)


def page(answer: Any, limit: int, **wanted: Any) -> Page[Any]:
    return IMAGES.page(answer, limit, **wanted)


def resumed_at(cursor: str | None) -> str:
    key = IMAGES.key(cursor, tenant="acme")
    assert key is not None
    assert list(key) == ["tenant", "created_at", "id"]
    assert key["created_at"] == {"S": NOW}
    return key["id"]["S"]


def cursor_of(*parts: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def ids(*numbers: int) -> list[str]:
    return [f"{number:064x}" for number in numbers]


def test_without_a_cursor_a_list_begins_at_its_beginning() -> None:
    assert IMAGES.key(None, tenant="acme") is None


def test_a_page_ends_where_the_table_did() -> None:
    one, two, three = ids(1, 2, 3)

    found = page(Answer(one, two, resume=three), 5)

    assert [entry.id for entry in found.entries] == [one, two]
    assert resumed_at(found.cursor) == three  # a filter has passed over it
    assert page(Answer(one), 5).cursor is None


def test_a_page_ends_at_its_limit_when_more_was_found() -> None:
    one, two, three = ids(1, 2, 3)

    found = page(Answer(one, two, three), 2)

    assert [entry.id for entry in found.entries] == [one, two]
    assert resumed_at(found.cursor) == two


def test_what_is_not_wanted_does_not_count() -> None:
    one, two, three = ids(1, 2, 3)

    found = page(Answer(one, two, three), 2, wanted=lambda item: item.id != two)

    assert [entry.id for entry in found.entries] == [one, three]
    assert found.cursor is None


def test_a_page_cut_short_goes_on_behind_its_last_entry() -> None:
    one, two, three = ids(1, 2, 3)
    found = page(Answer(one, two, three), 3)

    assert resumed_at(found.first(2).cursor) == two
    assert found.first(2).entries == found.entries[:2]
    assert found.first(1).first(1) == found.first(1)
    assert found.first(3) == found


def test_an_entry_that_is_gone_leaves_its_page_and_no_cursor_behind() -> None:
    one, two, three = ids(1, 2, 3)
    shown = page(Answer(one, two, three), 3).map(lambda entry: entry.id if entry.id != two else None)

    assert shown.entries == (one, three)
    assert resumed_at(shown.first(1).cursor) == one


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "nonsense",
        "%%%",
        "é",
        cursor_of("globex", NOW, ID),
        cursor_of("acme", 1, ID),
        cursor_of("acme", "yesterday", ID),
        cursor_of("acme", "", ""),
        cursor_of("acme", "\ud800", ID),
        cursor_of("acme", NOW, ID.upper()),
        cursor_of("acme", NOW, ID, ID),
        cursor_of("acme", NOW),
        cursor_of("acme"),
        cursor_of("acme", NOW, ID) + "!",
        cursor_of("acme", NOW, ID).replace("W", "W\n", 1),
        cursor_of({}),
        cursor_of("acme", NOW, f"{ID}#{ID}"),
        base64.urlsafe_b64encode(b'{"tenant": "acme"}').decode(),
        base64.urlsafe_b64encode(b"7").decode(),
        base64.urlsafe_b64encode(b"[" * 90_000).decode(),
    ],
    ids=lambda cursor: repr(cursor[:40]),
)
def test_what_this_list_did_not_give_to_this_tenant_is_no_cursor(cursor: str) -> None:
    with pytest.raises(InvalidCursorError):
        IMAGES.key(cursor, tenant="acme")


def test_the_longest_cursor_there_can_be_is_accepted() -> None:
    tenant = "a" * 63
    cursor = cursor_of(tenant, NOW, f"{ID}#{ID}")

    assert PAIRS.key(cursor, tenant=tenant) is not None
    assert TENANTS.key(cursor_of(tenant)) == {"tenant": {"S": tenant}}


@pytest.mark.parametrize("limit", ["0", "101", "-1", "1e1", "9" * 400, "\u0661", "", "050a", "0050"])
def test_a_limit_out_of_range_is_a_fault(limit: str) -> None:
    faults: list[Fault] = []

    page_request({"limit": limit}, faults)

    assert faults == [Fault("limit", f"must be a whole number from 1 to {MAX_PAGE}")]


def test_a_page_request_has_the_defaults_of_its_list() -> None:
    faults: list[Fault] = []

    assert page_request({}, faults) == PageRequest(50, None)
    assert page_request({"cursor": ""}, faults, default=20) == PageRequest(20, None)
    assert page_request({"limit": "50", "cursor": "x"}, faults, most=50) == PageRequest(50, "x")
    assert faults == []
    page_request({"limit": "51"}, faults, most=50)
    assert len(faults) == 1

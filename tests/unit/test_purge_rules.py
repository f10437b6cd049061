"""Purge: who is a candidate, what a confirm token says, and how a set of candidates is kept."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from catalog.domain.assets import AWAITED_FOR, Asset, Status
from catalog.domain.hops import MAX_HOPS, ChainTooLongError, next_hop
from catalog.domain.keys import AssetId, asset_id, tenant_id
from catalog.domain.purge import (
    REJECTED_KEPT_FOR,
    Confirmation,
    InvalidConfirmTokenError,
    PurgeRun,
    RunSource,
    RunState,
    confirm_token,
    packed,
    read_confirm_token,
    stored_bytes,
    unpacked,
    unused_before,
)
from catalog.domain.renditions import Rendition

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ACME = tenant_id("acme")
SIGNATURE = bytes(range(224, 256))
SAID = Confirmation(ACME, "run-1", "d" * 64, NOW)
TOKEN = confirm_token(SAID, SIGNATURE)
STATEMENT = TOKEN.split(".", maxsplit=1)[0]
HOUR, DAY, YEAR = timedelta(hours=1), timedelta(days=1), timedelta(days=365)


@pytest.mark.parametrize(
    ("status", "older_than", "expected"),
    [
        (Status.READY, HOUR, NOW - HOUR),
        (Status.READY, YEAR, NOW - YEAR),
        (Status.PROCESSING, HOUR, NOW - AWAITED_FOR),
        (Status.PROCESSING, YEAR, NOW - YEAR),
        (Status.REJECTED, HOUR, NOW - HOUR),
        (Status.REJECTED, YEAR, NOW - REJECTED_KEPT_FOR),
        (Status.AWAITING_UPLOAD, HOUR, NOW - AWAITED_FOR),
        (Status.AWAITING_UPLOAD, YEAR, NOW - AWAITED_FOR),
        (Status.DELETING, HOUR, None),
    ],
)
def test_a_status_says_how_long_an_asset_must_have_been_unused(
    status: Status, older_than: timedelta, expected: datetime | None
) -> None:
    assert unused_before(status, as_of=NOW, older_than=older_than) == expected


def asset(status: Status, size_bytes: int, *renditions: int) -> Asset:
    made = {f"p{n}": Rendition(f"p{n}", "v", "key", size, 1, 1, None) for n, size in enumerate(renditions)}
    return Asset(ACME, asset_id("5c" * 32), status, None, size_bytes, NOW, NOW, renditions=made)


def test_originals_and_renditions_are_freed_and_what_never_came_is_not() -> None:
    found = [asset(Status.AWAITING_UPLOAD, 1000), asset(Status.READY, 100, 10, 1), asset(Status.REJECTED, 7)]
    assert stored_bytes(found) == 118


def test_a_token_says_what_was_signed() -> None:
    assert read_confirm_token(TOKEN) == (SAID, SIGNATURE)
    assert json.loads(SAID.statement()) == ["acme", "run-1", "d" * 64, int(NOW.timestamp())]
    assert b" " not in SAID.statement()
    assert not set(TOKEN) & set("=+/")


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def token_of(statement: Any, signature: bytes = SIGNATURE) -> str:
    compact = json.dumps(statement, separators=(",", ":")) if not isinstance(statement, bytes) else statement
    data = compact if isinstance(compact, bytes) else compact.encode()
    return f"{encoded(data)}.{encoded(signature)}"


STATED = ["acme", "run-1", "d" * 64, int(NOW.timestamp())]
NO_TOKENS = {
    "empty": "",
    "one part": STATEMENT,
    "three parts": TOKEN + ".",
    "padded": f"{TOKEN}=",
    "with a line break": f"{TOKEN}\n",
    "the other alphabet": f"{STATEMENT}.{base64.b64encode(SIGNATURE).decode().rstrip('=')}",
    "a short signature": token_of(STATED, SIGNATURE[:-1]),
    "a long signature": token_of(STATED, SIGNATURE + b"\0"),
    "spaces in the JSON": token_of(json.dumps(STATED).encode()),
    "no JSON": token_of(b"acme"),
    "no list": token_of({"tenant": "acme"}),
    "too little": token_of(STATED[:3]),
    "too much": token_of([*STATED, 1]),
    "a number for a name": token_of([1, *STATED[1:]]),
    "a fraction of a second": token_of([*STATED[:3], 1.5]),
    "no time": token_of([*STATED[:3], "now"]),
    "a time beyond all": token_of([*STATED[:3], 10**30]),
    "deep": token_of(b"[" * 700),
    "long": token_of(["acme", "r" * 800, "d" * 64, 1]),
}


@pytest.mark.parametrize("token", NO_TOKENS.values(), ids=NO_TOKENS.keys())
def test_no_other_spelling_is_a_token_and_the_error_shows_80_characters_of_it(token: str) -> None:
    with pytest.raises(InvalidConfirmTokenError) as caught:
        read_confirm_token(token)
    assert caught.value.args == (token[:80],)


def test_a_token_of_1024_characters_is_read_and_a_longer_one_is_not() -> None:
    lengths = {}
    for run in range(500, 700):
        token = confirm_token(Confirmation(ACME, "r" * run, "d" * 64, NOW), SIGNATURE)
        try:
            lengths[len(token)] = read_confirm_token(token)[0].run_id == "r" * run
        except InvalidConfirmTokenError:
            lengths[len(token)] = False
    assert {length for length, read in lengths.items() if read} == {n for n in lengths if n <= 1024}
    assert {1023, 1024, 1025, 1026} & set(lengths)


def test_candidates_are_kept_as_their_digests() -> None:
    ids = tuple(AssetId(f"{number:064x}") for number in (0, 1, 2**255))
    assert unpacked(packed(ids)) == ids
    assert len(packed(ids)) == 96
    assert unpacked(b"") == () == unpacked(packed(()))


def test_the_digest_of_a_run_is_of_the_set_and_not_of_its_order() -> None:
    def run(*candidates: str) -> PurgeRun:
        ids = tuple(map(AssetId, candidates))
        return PurgeRun(ACME, "r", RunState.PROPOSED, RunSource.REQUEST, "c", NOW, DAY, ids, 0, more=False)

    assert run("a", "b").digest == run("b", "a").digest != run("a", "c").digest
    assert run("ab").digest != run("a", "b").digest


def test_a_chain_has_a_last_message() -> None:
    assert next_hop(0) == 1
    assert next_hop(MAX_HOPS - 1) == MAX_HOPS
    with pytest.raises(ChainTooLongError, match="1000 messages have followed from one"):
        next_hop(MAX_HOPS)

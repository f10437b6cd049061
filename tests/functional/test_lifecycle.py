"""Every write of an asset from every state: exactly what catalog.domain.lifecycle says, on a real table."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from catalog.adapters.assets_table import Assets
from catalog.adapters.groups import Groups
from catalog.domain.assets import (
    Asset,
    AssetNotFoundError,
    AssetStateError,
    Inspection,
    PerceptualHashes,
    Status,
)
from catalog.domain.fingerprints import Fingerprint, PHashAlgorithm
from catalog.domain.keys import AssetKey, asset_id, tenant_id
from catalog.domain.lifecycle import TRANSITIONS, State, Write, transition_rows
from catalog.domain.near_duplicates import DecidedBy, Likeness, NearDuplicate, Verdict
from catalog.domain.references import Use
from catalog.domain.rejections import HEALING, Rejection, RejectionCode
from catalog.domain.renditions import Rendition
from catalog.domain.sources import Source, SourceFormat
from catalog.domain.uploads import Announcement
from tests.functional.cloud import Cloud

BORN = datetime(2026, 11, 1, 12, tzinfo=UTC)
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
CUT_OFF = NOW - timedelta(days=10)
HASH = "0123456789abcdef" * 4
PAIRED = {"join", "move", "share", "separate"}


def key_of(name: str) -> AssetKey:
    return AssetKey(tenant_id("acme"), asset_id(hashlib.sha256(name.encode()).hexdigest()))


KEY, LARGER, LARGEST = key_of("this"), key_of("larger"), key_of("largest")
INSPECTION = Inspection(
    Source(SourceFormat.JPEG, 30, 20),
    PerceptualHashes(HASH[:16], HASH),
    Fingerprint(PHashAlgorithm.PHASH256, HASH, HASH, "00" * 12),
    near_blank=False,
    verify=lambda _: Likeness(Verdict.DIFFERENT, {}),
)
WRONG, BROKEN = (Rejection(code, "") for code in (RejectionCode.CHECKSUM_MISMATCH, RejectionCode.CORRUPT))


def rendition(key: AssetKey) -> Rendition:
    return Rendition("thumb", "v", key.rendition("thumb", "v", "jpg"), 5, 3, 2, 85)


def verdict(of: AssetKey, *, shares: bool = True) -> NearDuplicate:
    return NearDuplicate(of.id, DecidedBy.PIXELS, shares=shares, distance=1)


class Table:
    """Assets that are brought to a state by the table's own writes."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud, self.assets = cloud, Assets("AssetsTable")
        self.groups = Groups("AssetsTable", "PairsTable")

    def bring(self, key: AssetKey, state: State, *, size: int = 9) -> None:
        assets = self.assets
        if state is State.NONE:
            return
        announced = Announcement("a.jpg", "image/jpeg", size)
        assets.await_upload(key, announced, correlation_id="c", known=False, now=BORN)
        if state in {State.REJECTED, State.REPAIRABLE}:
            why = WRONG if state is State.REPAIRABLE else BROKEN
            assets.reject(key, why, size_bytes=size, now=BORN)
        if state in {State.PROCESSING, State.READY}:
            assets.accept(key, INSPECTION, size_bytes=size, now=BORN)
        if state is State.READY:
            assets.add_renditions(assets.get(key), [rendition(key)], complete=True, now=BORN)
        if state is State.DELETING:
            assets.mark_deleting(key, status=Status.AWAITING_UPLOAD, unused_before=CUT_OFF, run="r", now=BORN)

    def points_at(self, of: AssetKey, *, shares: bool = True) -> None:
        """The asset is a near-duplicate, whatever its state is."""
        self.set("near_duplicate_of", {"S": of.id})
        scores = '"decided_by": "pixels", "scores": {}, "distance": 1'
        self.set("near_duplicate", {"S": f'{{{scores}, "shares": {str(shares).lower()}}}'})
        self.set("holders" if shares else "links", {"N": "1"}, of)
        entry = {"tenant": {"S": "acme"}, "pair": {"S": f"member/{of.id}/{KEY.id}"}}
        self.cloud.dynamodb.put_item(TableName="PairsTable", Item=entry)

    def set(self, name: str, value: dict[str, Any], key: AssetKey = KEY) -> None:
        self.cloud.dynamodb.update_item(
            TableName="AssetsTable",
            Key={"tenant": {"S": "acme"}, "id": {"S": key.id}},
            UpdateExpression="SET #n = :v",
            ExpressionAttributeNames={"#n": name},
            ExpressionAttributeValues={":v": value},
        )

    def item(self) -> dict[str, Any]:
        key = {"tenant": {"S": "acme"}, "id": {"S": KEY.id}}
        return dict(self.cloud.dynamodb.get_item(TableName="AssetsTable", Key=key).get("Item", {}))

    def asset(self) -> Asset:
        """As it is, or as any that is not there would have been read before."""
        found = self.assets.find(KEY)
        return found or Asset(KEY.tenant, KEY.id, Status.PROCESSING, None, 9, BORN, BORN)


def own_status(table: Table) -> Status:
    found = table.assets.find(KEY)
    return found.status if found else Status.AWAITING_UPLOAD


# Each write by its name, as its caller makes it.
WRITES: dict[str, Callable[[Table], object]] = {
    "await_upload": lambda t: t.assets.await_upload(
        KEY,
        Announcement("b.png", "image/png", 8),
        correlation_id="d",
        known=t.assets.find(KEY) is not None,
        now=NOW,
    ),
    "accept": lambda t: t.assets.accept(KEY, INSPECTION, size_bytes=8, now=NOW),
    "reject": lambda t: t.assets.reject(KEY, BROKEN, size_bytes=8, now=NOW),
    "add_renditions": lambda t: t.assets.add_renditions(t.asset(), [rendition(KEY)], complete=True, now=NOW),
    "replace_renditions": lambda t: t.assets.replace_renditions(t.asset(), {}, now=NOW),
    "mark_ready": lambda t: t.assets.mark_ready(KEY, now=NOW),
    "move_in_index": lambda t: t.assets.move_in_index(t.asset(), []),
    "note_duplicate": lambda t: t.assets.note_duplicate(KEY, now=NOW),
    "unused_from": lambda t: t.assets.unused_from(KEY, NOW),
    "take_reference": lambda t: t.cloud.references.take(KEY, [Use("new")]),
    "release_reference": lambda t: t.cloud.references.release(KEY, "sku", now=NOW),
    "join": lambda t: t.groups.join(t.asset(), t.assets.get(LARGER), verdict(LARGER), alone=True, now=NOW),
    "share": lambda t: t.groups.share(t.asset(), t.assets.get(LARGER), now=NOW),
    "move": lambda t: t.groups.move(
        t.asset(), t.assets.get(LARGER), t.assets.get(LARGEST), verdict(LARGEST), alone=True, now=NOW
    ),
    "separate": lambda t: t.groups.separate(t.asset(), t.assets.get(LARGER), now=NOW),
    "mark_deleting": lambda t: t.assets.mark_deleting(
        KEY, status=own_status(t), unused_before=CUT_OFF, run="run", now=NOW
    ),
    "mark_erasing": lambda t: t.assets.mark_erasing(t.asset(), job="job", now=NOW),
    "forget": lambda t: t.assets.forget(KEY),
    "forget_announced": lambda t: t.assets.forget_announced(KEY),
}


def prepared(cloud: Cloud, state: State, write: Write) -> Table:
    """What the write needs besides the state."""
    table = Table(cloud)
    table.bring(KEY, state)
    if write.name in PAIRED:
        table.bring(LARGER, State.READY, size=99)
        table.bring(LARGEST, State.READY, size=999)
    if state is not State.NONE:
        if write.name in PAIRED - {"join"}:
            table.points_at(LARGER)
        if write.name == "release_reference":
            table.set("references", {"SS": ["sku"]})
    return table


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("write", TRANSITIONS, ids=lambda write: write.name)
def test_a_write_is_allowed_from_its_states_only_and_does_what_the_table_says(
    cloud: Cloud, write: Write, state: State
) -> None:
    table = prepared(cloud, state, write)
    before = table.item()

    with_error = None
    try:
        WRITES[write.name](table)
    except (AssetStateError, AssetNotFoundError) as error:
        with_error = error

    after = table.item()
    if state not in write.sources:
        assert after == before
        return
    assert with_error is None
    reached = State.of(table.assets.find(KEY))
    assert reached in {state if to is None else to for to in write.to}
    if reached is State.NONE:
        return
    assert int(after["revision"]["N"]) == int(before.get("revision", {"N": "0"})["N"]) + 1
    born = {"tenant", "id", "created_at", "unused_since"} if state is State.NONE else set()
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    assert changed <= {"revision", "status", *write.sets, *write.removes, *born}
    assert not set(write.removes) & set(after)


def test_every_attribute_that_the_table_says_a_write_sets_is_set_from_some_state(cloud: Cloud) -> None:
    moment = cloud.moment()
    for write in TRANSITIONS:
        seen: set[str] = set()
        for state in sorted(write.sources):
            moment.restore()
            table = prepared(cloud, state, write)
            before = table.item()
            WRITES[write.name](table)
            after = table.item()
            seen |= {name for name in {*before, *after} if before.get(name) != after.get(name)}
        assert set(write.sets) <= seen | {"indexed_as"}, write.name


def test_every_state_is_reached_and_left_and_the_document_names_them_all() -> None:
    reached = {to for write in TRANSITIONS for to in write.to}
    left = {state for write in TRANSITIONS for state in write.sources if write.to != (None,)}
    assert reached - {None} == set(State) == left
    assert len(transition_rows()) == len(TRANSITIONS)


def test_every_rejection_that_heals_is_repairable_and_no_other() -> None:
    states = {code: State.at(Status.REJECTED, Rejection(code, "")) for code in RejectionCode}
    assert {code for code, state in states.items() if state is State.REPAIRABLE} == set(HEALING)

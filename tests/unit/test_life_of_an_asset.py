"""What the states of an asset answer to an announcement and to an event, and how a rendition is recorded."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from catalog.domain.assets import STALLED_AFTER, Asset, Status
from catalog.domain.clock import utc_now
from catalog.domain.keys import AssetKey, asset_id, tenant_id
from catalog.domain.lifecycle import State, is_finished, may_be_stored, transition_rows, wants_bytes
from catalog.domain.near_duplicates import DecidedBy, NearDuplicate
from catalog.domain.presets import Format, Preset
from catalog.domain.rejections import HEALING, Rejection, RejectionCode
from catalog.domain.renditions import RenderedImage, Rendition

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
JUST, LATE = NOW + STALLED_AFTER, NOW + STALLED_AFTER + timedelta(microseconds=1)
KEY, LARGER = AssetKey(tenant_id("acme"), asset_id("5c" * 32)), asset_id("ff" * 32)


def asset(status: Status, code: RejectionCode | None = None) -> Asset:
    rejection = Rejection(code, "why") if code else None
    return Asset(KEY.tenant, KEY.id, status, None, 1, NOW, NOW, rejection=rejection)


REPAIRABLE = [asset(Status.REJECTED, code) for code in HEALING]
REJECTED = asset(Status.REJECTED, RejectionCode.CORRUPT)
AWAITED, PROCESSING, READY, DELETING = (
    asset(status) for status in (Status.AWAITING_UPLOAD, Status.PROCESSING, Status.READY, Status.DELETING)
)
# Its members still point at it, since it has joined a larger asset.
JOINED = replace(READY, sharers=1, near_duplicate=NearDuplicate(LARGER, DecidedBy.PIXELS, shares=True))


def test_every_asset_is_in_one_state_that_has_its_status() -> None:
    assert State.of(None) is State.NONE
    assert {State.of(one) for one in REPAIRABLE} == {State.REPAIRABLE}
    assert State.of(REJECTED) is State.REJECTED
    assert State.of(replace(READY, rejection=REPAIRABLE[0].rejection)) is State.READY
    for one in (*REPAIRABLE, REJECTED, AWAITED, PROCESSING, READY, DELETING):
        assert State.of(one).status is one.status


@pytest.mark.parametrize("one", [AWAITED, *REPAIRABLE])
def test_bytes_that_never_came_or_were_wrong_are_wanted(one: Asset) -> None:
    assert wants_bytes(one, NOW)


@pytest.mark.parametrize("one", [REJECTED, READY, DELETING])
def test_bytes_that_are_here_or_are_no_image_are_not_wanted(one: Asset) -> None:
    assert not wants_bytes(one, LATE)


def test_a_processing_asset_wants_its_bytes_once_it_has_stalled() -> None:
    assert not wants_bytes(PROCESSING, JUST)
    assert wants_bytes(PROCESSING, LATE)


def test_an_announced_object_may_be_stored_only_when_its_event_is_overdue() -> None:
    assert not may_be_stored(AWAITED, JUST)
    assert may_be_stored(AWAITED, LATE)
    assert may_be_stored(PROCESSING, NOW)


def test_an_event_brings_nothing_new_to_what_is_ready_or_rejected_unless_members_must_follow() -> None:
    assert is_finished(READY) and is_finished(REJECTED)
    assert not is_finished(AWAITED) and not is_finished(PROCESSING)
    assert not is_finished(JOINED)
    assert is_finished(replace(JOINED, status=Status.DELETING))


def test_the_documents_rows_name_states_in_the_order_of_an_assets_life() -> None:
    rows = {row[0]: row for row in transition_rows()}
    by, sources, to, sets, *_ = rows["`await_upload`"][1:]
    assert (by, sources, to) == (
        "request_upload",
        "`none`, `awaiting_upload`, `repairable`",
        "`awaiting_upload`",
    )
    assert sets.startswith("`filename`, `content_type`, ")
    named = {row[2] for row in rows.values()}
    assert "any" in named and "any but `deleting`" in named
    assert any(row[3] == "same" for row in rows.values())
    assert any(re.fullmatch(r"`\w+` or (same|`\w+`)", row[3]) for row in rows.values())


def test_a_members_renditions_are_the_canonical_ones_only_if_it_shares_them_and_they_are_ready() -> None:
    thumb = Rendition("thumb", "v", "key", 1, 1, 1, None)
    ready = replace(READY, renditions={"thumb": thumb})
    shares, linked = (NearDuplicate(KEY.id, DecidedBy.PIXELS, shares=each) for each in (True, False))
    assert ready.renditions_for(shares) == {"thumb": thumb}
    assert ready.renditions_for(linked) is None
    assert replace(ready, status=Status.PROCESSING).renditions_for(shares) is None


def test_a_rendered_image_is_recorded_under_its_assets_key() -> None:
    preset = Preset("thumb", 30, 20)
    rendered = RenderedImage(preset, Format.JPEG, b"12345", 30, 15, 85, transparent=False)
    key = f"renditions/acme/{KEY.id}/thumb-{preset.version}.jpg"
    assert rendered.stored_for(KEY) == Rendition("thumb", preset.version, key, 5, 30, 15, 85)


def test_the_clock_of_a_service_is_aware() -> None:
    assert utc_now().tzinfo is UTC

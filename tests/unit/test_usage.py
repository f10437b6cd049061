"""What assets count for, which share is news, and which events follow from a change: pure, without AWS."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.domain.assets import Asset, Status
from catalog.domain.events import (
    AssetChange,
    ImageDeleted,
    ImageDuplicate,
    ImageReady,
    ImageRejected,
    PurgeCompleted,
    RunChange,
)
from catalog.domain.keys import AssetId, TenantId
from catalog.domain.purge import Kept, PurgeRun, RunSource, RunState
from catalog.domain.rejections import Rejection, RejectionCode
from catalog.domain.renditions import Rendition
from catalog.domain.sources import Source, SourceFormat
from catalog.domain.usage import NOTHING, Move, Share, Usage, usage_of

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ACME = TenantId("acme")
LAMP = AssetId("5c" * 32)
CHAIR = AssetId("c4" * 32)


def rendition(preset: str, size_bytes: int, *, of: AssetId = LAMP) -> Rendition:
    return Rendition(preset, "0a1b2c3d4e", f"renditions/acme/{of}/{preset}-0a.jpg", size_bytes, 200, 150, 85)


def asset(status: Status, **known: Any) -> Asset:
    return Asset(**{"tenant": ACME, "id": LAMP, "status": status, "filename": "lamp.jpg", "size_bytes": 1000,
                    "created_at": NOW, "updated_at": NOW, "revision": 3} | known)  # fmt: skip


def change(before: Asset | None, after: Asset | None) -> AssetChange:
    return AssetChange(before, after, NOW)


def rejected(**known: Any) -> Asset:
    return asset(Status.REJECTED, rejection=Rejection(RejectionCode.CORRUPT, "no image"), **known)


# --- What an asset counts for -----------------------------------------------------------------------------


def test_a_ready_asset_counts_its_original_its_renditions_and_the_uploads_it_spared() -> None:
    ready = asset(
        Status.READY,
        duplicates=3,
        renditions={"thumb": rendition("thumb", 20), "zoom": rendition("zoom", 500)},
    )

    assert usage_of(ready) == Usage(
        assets=1,
        bytes_originals=1000,
        duplicates_avoided=3,
        bytes_saved=3000,
        bytes_per_preset={"thumb": 20, "zoom": 500},
    )
    assert usage_of(ready).bytes_stored == 1520


def test_a_rejected_asset_counts_as_rejected_and_as_nothing_else() -> None:
    assert usage_of(rejected(duplicates=2)) == Usage(rejected=1)


@pytest.mark.parametrize("status", [Status.AWAITING_UPLOAD, Status.DELETING])
def test_an_asset_that_is_not_there_yet_or_on_its_way_out_counts_nothing(status: Status) -> None:
    assert usage_of(asset(status, duplicates=2, renditions={"thumb": rendition("thumb", 20)})) == NOTHING


def test_renditions_shared_with_another_asset_are_counted_there_only() -> None:
    shared = asset(Status.READY, renditions={"thumb": rendition("thumb", 20, of=CHAIR)})

    assert usage_of(shared).bytes_per_preset == {}


def test_a_difference_added_to_what_it_was_taken_from_is_what_it_was_taken_to() -> None:
    small = Usage(assets=1, bytes_originals=10, bytes_per_preset={"thumb": 4, "card": 5})
    large = Usage(assets=2, rejected=1, bytes_saved=7, bytes_per_preset={"thumb": 6, "zoom": 9})

    assert small + (large - small) == large
    assert small - small == NOTHING


# --- Which share is news ----------------------------------------------------------------------------------


def test_an_older_or_equal_revision_is_no_news_and_a_newer_one_is() -> None:
    older, newer = (Share.of(asset(Status.READY, revision=revision, size_bytes=9)) for revision in (4, 5))

    assert newer.replaces(older)
    assert not older.replaces(newer)
    assert not older.replaces(older)


def test_a_newer_revision_is_news_even_if_it_counts_for_the_same() -> None:
    """Else a revision between the two, delivered late, would look like news."""
    assert Share.of(asset(Status.READY, revision=5)).replaces(Share.of(asset(Status.READY, revision=3)))


def test_nothing_of_a_life_comes_after_its_end() -> None:
    gone = Share.gone(NOW)

    assert not Share.of(asset(Status.READY, revision=1_000_000)).replaces(gone)
    assert gone.replaces(Share.of(asset(Status.DELETING, revision=1_000_000)))
    assert not gone.replaces(gone)


def test_bytes_uploaded_again_after_their_deletion_count_again_from_their_first_revision() -> None:
    second_life = Share.of(asset(Status.PROCESSING, revision=1, created_at=NOW + timedelta(days=40)))

    assert second_life.replaces(Share.gone(NOW))
    assert not Share.gone(NOW).replaces(second_life)


def test_a_first_announcement_costs_no_write_and_a_later_one_does() -> None:
    assert not Share.of(asset(Status.AWAITING_UPLOAD, revision=1)).replaces(None)
    assert Share.of(asset(Status.AWAITING_UPLOAD, revision=2)).replaces(None)
    assert Share.gone(NOW).replaces(None)


VERSIONS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(1, 5), st.integers(0, 9)), min_size=1, max_size=20
)


@given(VERSIONS, st.randoms(use_true_random=False))
def test_in_whatever_order_and_however_often_shares_come_the_total_is_that_of_the_newest(
    told: list[tuple[int, int, int]], shuffle: random.Random
) -> None:
    sizes = {(life, revision): size for life, revision, size in told}
    shares = [
        Share.of(
            asset(Status.READY, size_bytes=size, revision=revision, created_at=NOW + timedelta(days=life))
        )
        for (life, revision), size in sizes.items()
    ]
    delivered = shares * 2
    shuffle.shuffle(delivered)

    counted, total = None, NOTHING
    for share in delivered:
        if share.replaces(counted):
            total += Move(LAMP, counted, share).difference
            counted = share

    assert total == max(shares, key=lambda share: share.version).usage


# --- Events -----------------------------------------------------------------------------------------------


def test_an_asset_that_becomes_ready_is_told_of_once() -> None:
    processing, ready = asset(Status.PROCESSING, revision=5), asset(Status.READY, revision=6)

    (event,) = change(processing, ready).events()

    assert isinstance(event, ImageReady)
    assert (event.tenant, event.id, event.size_bytes) == (ACME, LAMP, 1000)
    assert change(ready, asset(Status.READY, revision=7)).events() == ()


def test_a_rejection_is_told_of_with_its_reason() -> None:
    (event,) = change(None, rejected(correlation_id="request-1")).events()

    assert isinstance(event, ImageRejected)
    assert (event.code, event.detail, event.correlation_id) == ("corrupt", "no image", "request-1")
    assert change(rejected(), rejected(revision=4)).events() == ()


def test_an_upload_that_was_not_sent_is_told_of_as_a_duplicate() -> None:
    (event,) = change(asset(Status.READY), asset(Status.READY, duplicates=1, revision=4)).events()

    assert isinstance(event, ImageDuplicate)
    assert (event.duplicates, event.status) == (1, Status.READY)


def test_the_end_of_a_purged_asset_is_told_of_and_that_of_a_forgotten_announcement_is_not() -> None:
    (event,) = change(asset(Status.DELETING, purge_run="run-1"), None).events()

    assert isinstance(event, ImageDeleted)
    assert event.purge_run == "run-1"
    assert change(asset(Status.AWAITING_UPLOAD), None).events() == ()


@pytest.mark.parametrize("status", [Status.AWAITING_UPLOAD, Status.PROCESSING, Status.DELETING])
def test_a_change_on_the_way_is_told_of_to_nobody(status: Status) -> None:
    assert change(asset(status), asset(status, revision=4)).events() == ()


def test_the_same_change_has_the_same_event_id_and_no_other_change_has_it() -> None:
    before = asset(Status.PROCESSING, revision=5)
    ids = [
        change(before, asset(Status.READY, revision=6, **known)).events()[0].event_id
        for known in (
            {},
            {"updated_at": NOW + timedelta(hours=1)},
            {"created_at": NOW + timedelta(days=40)},
            {"tenant": TenantId("globex")},
            {"id": CHAIR},
        )
    ]

    assert ids[0] == ids[1]
    assert len(set(ids)) == 4


def test_a_completed_purge_is_told_of_once_with_what_became_of_its_candidates() -> None:
    def run(state: RunState) -> PurgeRun:
        kept = {CHAIR: Kept.IN_USE}
        return PurgeRun(ACME, "run-1", state, RunSource.SCHEDULE, "schedule", NOW, timedelta(days=30),
                        (LAMP, CHAIR), 1000, more=False, deleted=1, kept=kept, completed_at=NOW)  # fmt: skip

    running, completed = run(RunState.RUNNING), run(RunState.COMPLETED)
    (event,) = RunChange(running, completed).events()

    assert isinstance(event, PurgeCompleted)
    assert (event.run_id, event.candidates, event.deleted, event.kept) == ("run-1", 2, 1, 1)
    assert RunChange(None, running).events() == ()
    assert RunChange(completed, completed).events() == ()
    assert RunChange(completed, None).events() == ()


# --- Every field of an event ------------------------------------------------------------------------------


def test_an_event_tells_everything_of_the_image_it_is_about() -> None:
    known: dict[str, Any] = {"correlation_id": "request-1", "source": Source(SourceFormat.PNG, 40, 30)}
    thumb, zoom, card = (rendition(name, 1) for name in ("thumb", "zoom", "card"))
    made = {"zoom": replace(zoom, width=900), "thumb": thumb, "card": card}
    (ready,) = change(
        asset(Status.PROCESSING, **known), asset(Status.READY, renditions=made, **known)
    ).events()
    (refused,) = change(asset(Status.AWAITING_UPLOAD, **known), rejected(**known)).events()
    (again,) = change(asset(Status.READY, **known), asset(Status.READY, duplicates=2, **known)).events()
    (gone,) = change(asset(Status.DELETING, purge_run="run-1", **known), None).events()

    assert isinstance(ready, ImageReady) and isinstance(refused, ImageRejected)
    assert isinstance(again, ImageDuplicate) and isinstance(gone, ImageDeleted)
    for event in (ready, refused, again, gone):
        assert (event.tenant, event.id, event.size_bytes) == (ACME, LAMP, 1000)
        assert (event.correlation_id, event.occurred_at) == ("request-1", NOW)
    assert {each.filename for each in (ready, refused, gone)} == {"lamp.jpg"}
    assert (ready.format, ready.width, ready.height) == (SourceFormat.PNG, 40, 30)
    assert [each.preset for each in ready.renditions] == ["card", "thumb", "zoom"]
    assert (refused.code, refused.detail) == (RejectionCode.CORRUPT, "no image")
    assert (again.status, again.duplicates) == (Status.READY, 2)
    assert gone.purge_run == "run-1"


def test_the_ids_of_events_are_what_they_were_when_they_were_first_sent() -> None:
    """Whoever keeps the ids it has seen must know them again after an upgrade."""
    (ready,) = change(asset(Status.PROCESSING), asset(Status.READY)).events()
    ran = PurgeRun(ACME, "run-1", RunState.COMPLETED, RunSource.SCHEDULE, "c", NOW, timedelta(days=1),
                   (LAMP, CHAIR), 0, more=False, deleted=1, kept={CHAIR: Kept.IN_USE},
                   completed_at=NOW + timedelta(hours=1))  # fmt: skip
    (purged,) = RunChange(None, ran).events()

    assert isinstance(purged, PurgeCompleted)
    assert (purged.tenant, purged.correlation_id, purged.run_id) == (ACME, None, "run-1")
    assert (purged.source, purged.candidates, purged.deleted, purged.kept) == (RunSource.SCHEDULE, 2, 1, 1)
    assert purged.occurred_at == NOW + timedelta(hours=1)
    assert ready.event_id == "659a22d1-f567-5003-b8e4-b58af3269df6"
    assert purged.event_id == "2a99335a-1784-59b6-9646-041cdfe6044f"


def test_an_uploads_duplicates_are_counted_and_uncounted_alike() -> None:
    used = Usage(assets=1, rejected=2, bytes_originals=3, duplicates_avoided=4, bytes_saved=5)
    assert used + used - used == used
    assert (NOTHING + used).duplicates_avoided == 4
    assert (NOTHING - used).duplicates_avoided == -4


def test_an_asset_whose_record_is_no_more_counts_for_nothing() -> None:
    gone = Share.gone(NOW)
    assert gone.usage == NOTHING
    assert gone.replaces(Share.of(asset(Status.READY)))

"""Assets: what is missing, the jobs that complete it, and who ranks above whom."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from catalog.domain.assets import STALLED_AFTER, Asset, RenderJob, Status
from catalog.domain.keys import asset_id, tenant_id
from catalog.domain.near_duplicates import DecidedBy, NearDuplicate
from catalog.domain.presets import DEFAULT_PRESETS
from catalog.domain.render_plan import RenderPlan
from catalog.domain.renditions import Rendition
from catalog.domain.sources import Source, SourceFormat

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
THUMB, CARD, ZOOM = DEFAULT_PRESETS


def asset(*renditions: Rendition, status: Status = Status.PROCESSING) -> Asset:
    return Asset(
        tenant=tenant_id("acme"),
        id=asset_id("0" * 64),
        status=status,
        filename="photo.jpg",
        size_bytes=1,
        created_at=NOW,
        updated_at=NOW,
        renditions={rendition.preset: rendition for rendition in renditions},
        correlation_id="request-1",
    )


def rendition(preset: str, version: str) -> Rendition:
    return Rendition(preset, version, f"renditions/acme/{'0' * 64}/x.jpg", 1, 1, 1, 85)


def test_a_rendition_of_an_older_version_is_missing() -> None:
    stale = asset(rendition("thumb", THUMB.version), rendition("card", "older"))

    assert stale.missing(DEFAULT_PRESETS) == (CARD, ZOOM)


def test_jobs_name_what_is_missing_and_nothing_else() -> None:
    half_done = asset(rendition("thumb", THUMB.version))

    jobs = RenderPlan(DEFAULT_PRESETS, 1).jobs(half_done)

    assert [job.presets for job in jobs] == [("card",), ("zoom",)]
    assert jobs[0] == RenderJob(half_done.tenant, half_done.id, ("card",), "request-1")


def test_presets_are_grouped_into_jobs() -> None:
    assert [job.presets for job in RenderPlan(DEFAULT_PRESETS, 2).jobs(asset())] == [
        ("thumb", "card"),
        ("zoom",),
    ]


def test_only_a_processing_asset_stalls() -> None:
    late = NOW + STALLED_AFTER + timedelta(seconds=1)

    assert asset().stalled(late)
    assert not asset().stalled(NOW + STALLED_AFTER)
    assert not asset(status=Status.READY).stalled(late)


LARGER = asset_id("1" * 64)


def shared(preset: str, version: str) -> Rendition:
    return replace(rendition(preset, version), key=f"renditions/acme/{LARGER}/x.jpg")


def test_anothers_rendition_is_missing_unless_it_is_shared() -> None:
    alone = asset(shared("thumb", THUMB.version))
    sharing = replace(alone, near_duplicate=NearDuplicate(LARGER, DecidedBy.PIXELS, shares=True))
    linked = replace(alone, near_duplicate=NearDuplicate(LARGER, DecidedBy.PIXELS, shares=False))

    assert alone.missing((THUMB,)) == (THUMB,) == linked.missing((THUMB,))
    assert sharing.missing((THUMB,)) == ()


def test_a_processing_asset_is_complete_once_no_preset_is_missing() -> None:
    made = [rendition(preset.name, preset.version) for preset in DEFAULT_PRESETS]
    half = asset(made[0])

    assert not half.is_complete(DEFAULT_PRESETS)
    assert half.with_renditions(made[1:]) == asset(*made)
    assert asset(*made).is_complete(DEFAULT_PRESETS)
    assert not asset(*made, status=Status.READY).is_complete(DEFAULT_PRESETS)


def test_an_asset_is_a_member_of_what_it_joined_until_it_is_being_deleted() -> None:
    canonical = replace(asset(), id=LARGER)
    member = replace(asset(), near_duplicate=NearDuplicate(LARGER, DecidedBy.PIXELS, shares=False))

    assert member.is_member_of(canonical)
    assert not member.is_member_of(asset())
    assert not asset().is_member_of(canonical)
    assert not replace(member, status=Status.DELETING).is_member_of(canonical)


def test_more_pixels_rank_above_more_bytes_and_those_above_a_smaller_id() -> None:
    tall = replace(asset(), source=Source(SourceFormat.JPEG, 2, 10))
    heavy = replace(asset(), source=Source(SourceFormat.JPEG, 4, 4), size_bytes=9)
    light = replace(heavy, size_bytes=8)

    assert tall.outranks(heavy) and heavy.outranks(light) and light.outranks(asset())
    assert light.outranks(replace(light, id=LARGER))
    assert not light.outranks(light)

"""Assets: what is missing, and the jobs that complete it."""

from datetime import UTC, datetime, timedelta

from catalog.domain.assets import STALLED_AFTER, Asset, RenderJob, Status
from catalog.domain.keys import asset_id, tenant_id
from catalog.domain.presets import DEFAULT_PRESETS
from catalog.domain.render_plan import RenderPlan
from catalog.domain.renditions import Rendition

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

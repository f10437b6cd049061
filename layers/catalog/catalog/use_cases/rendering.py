"""Rendering: one original, the presets a job names, and the record that says they exist.

Same input, same bytes, same key: running a job twice changes nothing.  A job's renditions are recorded in one
write after all of them are stored, so what the record names exists.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Protocol

from catalog.domain.assets import (
    Asset,
    AssetNotFoundError,
    AssetStateError,
    RenderJob,
    Rendition,
    Status,
    rendered_together,
)
from catalog.domain.keys import AssetKey
from catalog.domain.presets import Preset
from catalog.domain.rejections import ImageRejectedError, Rejection, RejectionCode
from catalog.domain.uploads import OriginalMissingError
from catalog.use_cases.near_duplicates import settle_duplicate, settle_members
from catalog.use_cases.settling import make_ready, reject_original

if TYPE_CHECKING:
    from datetime import datetime

    from catalog.adapters.assets_table import Assets
    from catalog.adapters.groups import Groups
    from catalog.adapters.objects import Originals, Renditions
    from catalog.adapters.queues import RenderQueue


class RenderedImage(Protocol):
    """An encoded rendering; `width` x `height` in pixels, `quality` 1-100 or None where lossless."""

    @property
    def preset(self) -> Preset: ...
    @property
    def data(self) -> bytes: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def content_type(self) -> str: ...
    @property
    def extension(self) -> str: ...
    @property
    def quality(self) -> int | None: ...


class Render(Protocol):
    """Renders an original, decoded once, for those presets that are wanted."""

    def __call__(
        self, data: bytes, presets: Sequence[Preset], *, wanted: Collection[str]
    ) -> Iterable[RenderedImage]:
        """Same presets, same bytes, whichever are wanted.  Raises ImageRejectedError for what cannot be."""


class Outcome(StrEnum):
    """How one job ended; the name of its log line."""

    RENDERED = "asset rendered"
    NOTHING_MISSING = "nothing to render"
    REJECTED = "original rejected at rendering"
    NO_ASSET = "no asset to render"
    MEMBERS = "near-duplicates settled"


@dataclass(frozen=True, slots=True)
class Rendered:
    """The outcome, the asset as it was left, and what was written for it now."""

    outcome: Outcome
    asset: Asset | None
    renditions: tuple[Rendition, ...] = ()

    @property
    def ready(self) -> bool:
        return self.asset is not None and self.asset.status is Status.READY


def render_asset(
    job: RenderJob,
    *,
    assets: Assets,
    originals: Originals,
    renditions: Renditions,
    groups: Groups,
    queue: RenderQueue,
    render: Render,
    presets: Sequence[Preset],
    presets_per_job: int,
    max_upload_bytes: int,
    clock: Callable[[], datetime],
) -> Rendered:
    """Render what the job names and the asset lacks, and make the asset `ready` when nothing is missing.

    Presets the job names but the configuration no longer has are left out.  A ready asset keeps the
    renditions it has even where its original can no longer be read.  Faults are raised, to be retried.
    """
    key = AssetKey(job.tenant, job.id)
    settle = partial(
        settle_members,
        groups=groups,
        assets=assets,
        send=partial(queue.send, after=job),
        presets=presets,
        presets_per_job=presets_per_job,
    )
    asset: Asset | None
    if job.members is not None:
        asset = assets.find(key)
        if asset:
            settle(asset, job.members, now=clock())
        return Rendered(Outcome.MEMBERS, asset)
    written: list[Rendition] = []
    outcome = Outcome.NOTHING_MISSING
    try:
        asset = settle_duplicate(assets.get(key), groups=groups, assets=assets, now=clock())
        if asset.status is Status.PROCESSING and asset.near_duplicate and asset.near_duplicate.shares:
            return Rendered(outcome, asset)  # it waits for the one whose renditions it will have
        wanted = _wanted(asset, job, presets)
        if wanted:
            outcome, refusal = Outcome.RENDERED, None
            try:
                data = originals.read(key, max_bytes=max_upload_bytes)
                for image in _rendered(data, presets, wanted, render=render, presets_per_job=presets_per_job):
                    rendition = _rendition(key, image)
                    renditions.write(rendition.key, image.data, content_type=image.content_type)
                    written.append(rendition)
            except (OriginalMissingError, ImageRejectedError) as error:
                outcome, refusal = Outcome.REJECTED, error
            if written:
                asset = assets.add_renditions(asset, written, completing=presets, now=clock())
            if refusal:
                asset = _reject(asset, refusal, assets=assets, originals=originals, now=clock())
        if asset.status is Status.PROCESSING and not asset.missing(presets):
            asset = make_ready(key, assets=assets, now=clock())
    except (AssetStateError, AssetNotFoundError):
        # Deleted or rejected, now or before.
        asset, outcome = _left_without_objects(key, assets=assets, renditions=renditions), Outcome.NO_ASSET
    if asset and asset.status is not Status.PROCESSING and asset.has_members:
        # Near-duplicates that came while it was being rendered wait for it: also where it was settled before,
        # by a job that died there, or did not hear that it had settled it.
        settle(asset, now=clock())
    return Rendered(outcome, asset, tuple(written))


def _wanted(asset: Asset, job: RenderJob, presets: Sequence[Preset]) -> set[str]:
    """What the job names and the asset lacks.  Raises AssetStateError for one that is not to be rendered."""
    if asset.status not in {Status.PROCESSING, Status.READY}:
        raise AssetStateError(asset.id)
    return {preset.name for preset in asset.missing(presets)} & set(job.presets)


def _rendered(
    data: bytes, presets: Sequence[Preset], wanted: Set[str], *, render: Render, presets_per_job: int
) -> Iterator[RenderedImage]:
    for together in rendered_together(presets, presets_per_job):
        if names := wanted & {preset.name for preset in together}:
            yield from render(data, together, wanted=names)


def _reject(
    asset: Asset,
    error: OriginalMissingError | ImageRejectedError,
    *,
    assets: Assets,
    originals: Originals,
    now: datetime,
) -> Asset:
    if asset.status is Status.READY:
        return asset
    if isinstance(error, ImageRejectedError):
        return reject_original(
            asset.key,
            error.rejection,
            size_bytes=asset.size_bytes,
            assets=assets,
            originals=originals,
            now=now,
        )
    gone = Rejection(RejectionCode.ORIGINAL_MISSING, "the original was deleted before it was rendered")
    return assets.reject(asset.key, gone, size_bytes=asset.size_bytes, now=now)


def _left_without_objects(key: AssetKey, *, assets: Assets, renditions: Renditions) -> Asset | None:
    """The asset as it is; where a purge has taken it, also what this job, or one that died, stored since.

    The objects are listed first: if there is no asset after that, none of them belongs to one uploaded since.
    """
    stored = renditions.versions(key)
    asset = assets.find(key)
    if asset is None or asset.status is Status.DELETING:
        for object_key, version in stored:
            renditions.take_back(object_key, version)
    return asset


def _rendition(key: AssetKey, image: RenderedImage) -> Rendition:
    return Rendition(
        preset=image.preset.name,
        version=image.preset.version,
        key=key.rendition(image.preset.name, image.preset.version, image.extension),
        size_bytes=len(image.data),
        width=image.width,
        height=image.height,
        quality=image.quality,
    )

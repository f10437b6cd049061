"""Rendering: one original, the presets a job names, and the record that says they exist.

Same input, same bytes, same key: running a job twice changes nothing.  A job stores all its renditions, then
records them in one write: what the record names exists.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from catalog.domain.assets import Asset, AssetNotFoundError, AssetStateError, RenderJob, Status
from catalog.domain.clock import Clock, utc_now
from catalog.domain.keys import AssetKey
from catalog.domain.presets import Preset
from catalog.domain.rejections import ImageRejectedError, Rejection, RejectionCode
from catalog.domain.renditions import RenderedImage, Rendition
from catalog.domain.uploads import OriginalMissingError

if TYPE_CHECKING:
    from catalog.adapters.assets_table import Assets
    from catalog.adapters.objects import Originals
    from catalog.domain.render_plan import RenderPlan
    from catalog.use_cases.completion import Completion
    from catalog.use_cases.storing import Storing


class Renderer(Protocol):
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
    MEMBERS = "near-duplicates completed"


@dataclass(frozen=True, slots=True)
class Rendered:
    """The outcome, the asset afterwards, and what was written for it now."""

    outcome: Outcome
    asset: Asset | None
    renditions: tuple[Rendition, ...] = ()

    @property
    def ready(self) -> bool:
        return self.asset is not None and self.asset.status is Status.READY


@dataclass(frozen=True, slots=True)
class Rendering:
    """Carries out render jobs."""

    assets: Assets
    originals: Originals
    storing: Storing
    renderer: Renderer
    completion: Completion
    plan: RenderPlan
    max_upload_bytes: int
    clock: Clock = utc_now

    def render(self, job: RenderJob, *, data: bytes | None = None) -> Rendered:
        """Render what the job names and the asset lacks, and make the asset `ready` when it is complete.

        `data` is the original, for whoever has just read and accepted it.  Presets that the configuration no
        longer has are left out.  A ready asset keeps its renditions even where its original can no longer be
        read.  Faults are raised, to be retried.
        """
        key = AssetKey(job.tenant, job.id)
        if job.members is not None:
            if asset := self.assets.find(key):
                self.completion.complete_members(asset, job, job.members)
            return Rendered(Outcome.MEMBERS, asset)
        try:
            rendered = self._render(self.assets.get(key), job, data)
        except (AssetStateError, AssetNotFoundError):
            # Deleted or rejected, now or before.
            rendered = Rendered(Outcome.NO_ASSET, self.storing.remove_strays(key))
        asset = rendered.asset
        if asset and asset.status is not Status.PROCESSING and asset.has_members:
            # Near-duplicates wait for it.  An earlier job may have made it ready and died before this.
            self.completion.complete_members(asset, job)
        return rendered

    def render_at_once(self, key: AssetKey, presets: Set[str]) -> dict[str, Rendition]:
        """Render and store the presets of these names, from one decode; their records, yet to be written.

        Raises OriginalMissingError, OriginalTooLargeError, ImageRejectedError.
        """
        data = self.originals.read(key, max_bytes=self.max_upload_bytes)
        images = self.renderer(data, self.plan.of_one_decode(presets), wanted=presets)
        return {image.preset.name: self.storing.store(key, image) for image in images}

    def _render(self, asset: Asset, job: RenderJob, data: bytes | None) -> Rendered:
        """Raises AssetStateError, AssetNotFoundError where there is nothing to render any more."""
        asset = self.completion.grouping.follow(asset)
        if asset.awaits_canonical:
            return Rendered(Outcome.NOTHING_MISSING, asset)
        outcome, written = Outcome.NOTHING_MISSING, list[Rendition]()
        if wanted := self._wanted(asset, job):
            outcome, refusal = Outcome.RENDERED, None
            try:
                original = data or self.originals.read(asset.key, max_bytes=self.max_upload_bytes)
                for image in self._rendered(original, wanted):
                    written.append(self.storing.store(asset.key, image))
            except (OriginalMissingError, ImageRejectedError) as error:
                outcome, refusal = Outcome.REJECTED, error
            if written:
                complete = asset.with_renditions(written).is_complete(self.plan.presets)
                asset = self.assets.add_renditions(asset, written, complete=complete, now=self.clock())
            if refusal:
                asset = self._reject(asset, refusal)
        if asset.is_complete(self.plan.presets):
            asset = self.completion.make_ready(asset.key)
        self._ask_again_for_outdated(asset, job)
        return Rendered(outcome, asset, tuple(written))

    def _ask_again_for_outdated(self, asset: Asset, job: RenderJob) -> None:
        """Enqueue the presets that a deployment changed after they were rendered: their jobs are spent."""
        outdated = {p.name for p in asset.missing(self.plan.presets) if p.name in asset.renditions}
        if asset.status is Status.PROCESSING and outdated:
            self.completion.queue.send(
                [one for one in self.plan.jobs(asset) if outdated & set(one.presets)], after=job
            )

    def _wanted(self, asset: Asset, job: RenderJob) -> set[str]:
        """What the job names and the asset lacks.  Raises AssetStateError where nothing is to be rendered."""
        if not asset.is_accepted:
            raise AssetStateError(asset.id)
        return {preset.name for preset in asset.missing(self.plan.presets)} & set(job.presets)

    def _rendered(self, data: bytes, wanted: Set[str]) -> Iterator[RenderedImage]:
        for together in self.plan.together():
            if names := wanted & {preset.name for preset in together}:
                yield from self.renderer(data, together, wanted=names)

    def _reject(self, asset: Asset, error: OriginalMissingError | ImageRejectedError) -> Asset:
        if asset.status is Status.READY:
            return asset
        if isinstance(error, OriginalMissingError):
            detail = "the original was deleted before it was rendered"
            rejection = Rejection(RejectionCode.ORIGINAL_MISSING, detail)
        else:
            rejection = error.rejection
        if rejection.heals_with_the_bytes:
            # Whatever lies there is read again, and deleted, by ingest once the image is announced again.
            return self.assets.reject(asset.key, rejection, size_bytes=asset.size_bytes, now=self.clock())
        return self.completion.reject(asset.key, rejection, asset.size_bytes)

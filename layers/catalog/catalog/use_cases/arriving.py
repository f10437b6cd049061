"""Arriving: an original is ingested and, where that is soon done, rendered from the bytes that were read.

Larger originals, and those whose event comes again, are rendered by jobs: one preset each, apart from all
other uploads.  A worker that dies here leaves an asset in `processing`, and its event comes again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from catalog.domain.assets import RenderJob
from catalog.use_cases.ingestion import Outcome

if TYPE_CHECKING:
    from catalog.domain.assets import Asset
    from catalog.domain.keys import AssetKey
    from catalog.use_cases.ingestion import Ingested, Ingestion
    from catalog.use_cases.rendering import Rendered, Rendering


@dataclass(frozen=True, slots=True)
class Arriving:
    """Ingests originals, and renders those of up to `at_most` pixels.

    The completion of `ingestion` sends no jobs; that of `rendering` has one job render all presets.
    """

    ingestion: Ingestion
    rendering: Rendering
    at_most: int

    def take(self, key: AssetKey, *, in_time: bool) -> tuple[Ingested, Rendered | None]:
        """Ingest the original at `key`, and render it or have it rendered; None where jobs were sent, or
        nothing is to be rendered.

        `in_time` says whether the worker has the time to render, too.  Raises what `Ingestion.ingest` and
        `Rendering.render` raise.
        """
        ingested = self.ingestion.ingest(key)
        asset = ingested.asset
        if asset and ingested.jobs and in_time and ingested.data is not None and self._is_small(asset):
            return replace(ingested, jobs=0), self._render(asset, ingested.data)
        if asset and ingested.jobs:
            completion = self.ingestion.completion
            completion.queue.send(completion.plan.jobs(asset))
        elif asset and ingested.outcome is Outcome.DUPLICATE_EVENT and asset.has_members:
            # A worker that made it ready may have died before its near-duplicates followed.
            return ingested, self._render(asset, None)
        return ingested, None

    def _render(self, asset: Asset, data: bytes | None) -> Rendered:
        names = tuple(preset.name for preset in self.rendering.plan.presets)
        job = RenderJob(asset.tenant, asset.id, names, asset.correlation_id)
        return self.rendering.render(job, data=data)

    def _is_small(self, asset: Asset) -> bool:
        return asset.source is not None and asset.source.width * asset.source.height <= self.at_most

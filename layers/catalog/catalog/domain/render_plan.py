"""Which presets are rendered together, and the jobs that complete an asset."""

from collections.abc import Iterator, Set
from dataclasses import dataclass
from itertools import batched

from catalog.domain.assets import Asset, RenderJob
from catalog.domain.presets import Preset


@dataclass(frozen=True, slots=True)
class RenderPlan:
    """One preset a job gives the shortest wait; several share one decode."""

    presets: tuple[Preset, ...]
    presets_per_job: int

    def together(self) -> Iterator[tuple[Preset, ...]]:
        """The presets that share a decode: always the same ones, so that a preset's bytes do not depend on
        which of the others an asset has already."""
        return batched(self.presets, self.presets_per_job, strict=False)

    def of_one_decode(self, names: Set[str]) -> tuple[Preset, ...]:
        """All presets that jobs for these would render: where one job would, their bytes are that job's."""
        return tuple(
            preset
            for together in self.together()
            if names & {preset.name for preset in together}
            for preset in together
        )

    def jobs(self, asset: Asset) -> tuple[RenderJob, ...]:
        """The jobs that complete `asset`."""
        missing = {preset.name for preset in asset.missing(self.presets)}
        return tuple(
            RenderJob(asset.tenant, asset.id, names, asset.correlation_id)
            for together in self.together()
            if (names := tuple(preset.name for preset in together if preset.name in missing))
        )

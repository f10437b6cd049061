"""Referring: clients say who uses which images, many at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from catalog.domain.assets import AssetNotFoundError
from catalog.domain.clock import Clock, utc_now
from catalog.domain.errors import BATCH_WORKS_FOR, CallerError, OutOfTimeError
from catalog.domain.keys import AssetKey

if TYPE_CHECKING:
    from catalog.adapters.references_table import References
    from catalog.domain.keys import AssetId, TenantId
    from catalog.domain.references import Use


@dataclass(frozen=True, slots=True)
class Referring:
    """Sets references in batches."""

    references: References
    clock: Clock = utc_now

    def set_all(
        self, tenant: TenantId, asked: Sequence[tuple[AssetId, Use]]
    ) -> dict[AssetId, CallerError | None]:
        """Set up to 100 references with all that is said of them; what went wrong, by image.

        What is set already costs two reads together and no write; an image's references cost one transaction.
        What is not begun within BATCH_WORKS_FOR is out of time.
        """
        until = self.clock() + BATCH_WORKS_FOR
        wanted: dict[AssetId, list[Use]] = {}
        for id_, use in asked:
            wanted.setdefault(id_, []).append(use)
        held = self.references.held(
            tenant, {id_: {use.reference for use in uses} for id_, uses in wanted.items()}
        )
        outcomes: dict[AssetId, CallerError | None] = {}
        for id_, uses in wanted.items():
            try:
                if self.clock() >= until:
                    raise OutOfTimeError(id_)
                if id_ not in held:
                    raise AssetNotFoundError(id_)
                self.references.take(AssetKey(tenant, id_), uses, held=held[id_])
            except CallerError as error:
                outcomes[id_] = error
            else:
                outcomes[id_] = None
        return outcomes

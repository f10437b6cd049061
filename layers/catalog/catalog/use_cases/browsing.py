"""Browsing: one tenant's pairs of look-alikes, newest first, a page at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from catalog.adapters.assets_table import Assets
    from catalog.adapters.pairs_table import Pairs
    from catalog.domain.assets import Asset
    from catalog.domain.keys import AssetId, TenantId
    from catalog.domain.near_duplicates import Pair, Verdict
    from catalog.domain.paging import Page, PageRequest


@dataclass(frozen=True, slots=True)
class PairsPage:
    """A page of pairs with the assets they name that exist."""

    pairs: Page[Pair]
    assets: Mapping[AssetId, Asset]


@dataclass(frozen=True, slots=True)
class Browsing:
    """Reads pages."""

    pairs: Pairs
    assets: Assets

    def list_pairs(
        self, tenant: TenantId, asked: PageRequest, *, verdict: Verdict | None = None
    ) -> PairsPage:
        """Pairs that look alike: merged, suspected or decided.  Raises InvalidCursorError."""
        page = self.pairs.page(tenant, asked, verdict=verdict)
        named = {id_ for pair in page.entries for id_ in (pair.first, pair.second)}
        return PairsPage(page, self.assets.many(tenant, named))

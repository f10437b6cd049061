"""Lookup: images by who uses them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from catalog.adapters.assets_table import Assets
    from catalog.adapters.references_table import References
    from catalog.domain.assets import Asset
    from catalog.domain.keys import AssetId, TenantId
    from catalog.domain.paging import Page, PageRequest
    from catalog.domain.references import Use


@dataclass(frozen=True, slots=True)
class Found:
    """An image, and the reference by which it was found."""

    asset: Asset
    use: Use


@dataclass(frozen=True, slots=True)
class Lookup:
    """Finds images by an index, and shows each as its own record is."""

    assets: Assets
    references: References

    def by_reference(
        self, tenant: TenantId, asked: PageRequest, beginning: str, *, exact: bool
    ) -> Page[Found]:
        """The images of a reference in its gallery's order, or of all that begin so.

        One query, and one read of up to 100 assets.  Raises InvalidCursorError.
        """
        page = self.references.page(tenant, asked, beginning, exact=exact)
        assets = self.assets.many(tenant, {id_ for id_, _ in page.entries}, consistent=True)

        def found(entry: tuple[AssetId, Use]) -> Found | None:
            """None where the image is gone, or was released since the index heard of it."""
            asset, use = assets.get(entry[0]), entry[1]
            return Found(asset, use) if asset and use.reference in asset.references else None

        return page.map(found)

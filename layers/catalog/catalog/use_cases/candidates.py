"""Candidates: the assets that may show the same picture as a new one, the likeliest first.

The asset is indexed first and looks for others after, with consistent reads: of two that arrive at one moment
at least one sees the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from catalog.domain.assets import Asset, Inspection, Status
from catalog.domain.keys import AssetId, AssetKey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from catalog.adapters.assets_table import Assets
    from catalog.adapters.hash_bands_table import Found, HashBands
    from catalog.domain.near_duplicates import Candidate

# Candidates whose records are read, up to two items each.  Those that are duplicates of one asset count once
# where they are compared, and one by one here.
MOST_CONSIDERED: Final = 64


def find_candidates(asset: Asset, inspection: Inspection, *, bands: HashBands) -> Found:
    """Index the asset, and find what is near it."""
    bands.add(asset.key, inspection.fingerprint)
    return bands.near(asset.key, inspection.fingerprint)


def joinable(
    asset: Asset, candidates: tuple[Candidate, ...], *, assets: Assets
) -> Iterator[tuple[Candidate, Asset]]:
    """The canonical asset of each candidate, once, in their order; what cannot be joined is left out.

    Looks no further than MOST_CONSIDERED.
    """
    seen: set[AssetId] = {asset.id}
    for candidate in candidates[:MOST_CONSIDERED]:
        canonical = canonical_of(AssetKey(asset.tenant, candidate.id), assets)
        if canonical is None or canonical.status not in {Status.PROCESSING, Status.READY}:
            continue
        if canonical.id not in seen:
            seen.add(canonical.id)
            yield candidate, canonical


def canonical_of(key: AssetKey, assets: Assets) -> Asset | None:
    """The asset itself, or the one at whose renditions its being a duplicate ends; None where there is none.

    More than one step only while a group moves to a larger asset; each step leads to a larger one.
    """
    asset = assets.find(key)
    while asset and asset.near_duplicate:
        asset = assets.find(AssetKey(key.tenant, asset.near_duplicate.of))
    return asset

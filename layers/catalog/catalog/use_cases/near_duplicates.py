"""Near-duplicates: an asset finds other assets with the same picture, and joins the nearest.

A search first indexes the asset, then reads the index consistently.  If two assets arrive at one moment, at
least one of them finds the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from catalog.domain.assets import Asset, Inspection
from catalog.domain.clock import Clock, utc_now
from catalog.domain.keys import AssetId, AssetKey
from catalog.domain.near_duplicates import (
    MOST_COMPARED,
    Candidate,
    DecidedBy,
    Decision,
    Likeness,
    NearDuplicate,
    NearDuplicateAction,
)

if TYPE_CHECKING:
    from catalog.adapters.assets_table import Assets
    from catalog.adapters.hash_bands_table import HashBands
    from catalog.adapters.objects import Originals
    from catalog.adapters.pairs_table import Pairs
    from catalog.use_cases.grouping import Grouping

# Candidates whose records a search reads, up to two items each.  Duplicates of one asset count one by one,
# although their canonical asset is compared only once.
MOST_CONSIDERED: Final = 64


@dataclass(frozen=True, slots=True)
class Search:
    """The result of a search: the asset after it, and figures for the log.

    The search read `capped` buckets of the index only in part, and left `unseen` near candidates out.
    `joined` assets became near-duplicates, which saves `bytes_saved` of their own renditions.
    """

    asset: Asset
    compared: int = 0
    capped: int = 0
    unseen: int = 0
    joined: int = 0
    bytes_saved: int = 0


@dataclass(frozen=True, slots=True)
class NearDuplicateSearch:
    """Searches among the assets of the same tenant.  `action` says what to do with near-duplicates."""

    action: NearDuplicateAction
    assets: Assets
    originals: Originals
    bands: HashBands
    pairs: Pairs
    grouping: Grouping
    max_upload_bytes: int
    clock: Clock = utc_now

    def search(self, asset: Asset, inspection: Inspection) -> Search:
        """Index the asset, and unite it with the nearest one of the same picture; the smaller one joins.

        The search continues while the asset is the larger one: it may resemble several assets that do not
        resemble each other.  Raises every fault; the caller then renders the asset on its own.
        """
        if self.action is NearDuplicateAction.OFF or inspection.near_blank:
            return Search(asset)
        self.bands.add(asset.key, inspection.fingerprint)
        found = self.bands.near(asset.key, inspection.fingerprint)
        compared, unseen = 0, max(0, len(found.candidates) - MOST_CONSIDERED)
        joined, saved = 0, 0
        moved: list[Candidate] = []
        reuse = self.action is NearDuplicateAction.REUSE
        for candidate, canonical in self._twice(asset, found.candidates, moved):
            if compared == MOST_COMPARED:
                unseen = len(found.candidates) - found.candidates.index(candidate)
                break
            pair = self.pairs.find(asset.tenant, asset.id, canonical.id)
            if pair and pair.decision is Decision.DISTINCT:
                continue
            if pair and pair.decision is Decision.SAME:
                verdict = NearDuplicate(canonical.id, DecidedBy.PERSON, shares=reuse, distance=pair.distance)
            else:
                compared += 1
                likeness = self._likeness(asset, inspection, candidate, canonical)
                if not likeness.joins:
                    continue
                verdict = NearDuplicate(
                    canonical.id,
                    DecidedBy.PIXELS,
                    shares=reuse and likeness.accepted,
                    distance=candidate.distance if candidate.id == canonical.id else None,
                    scores=likeness.scores,
                )
            smaller = canonical if asset.outranks(canonical) else asset
            if self.grouping.unite(asset, canonical, verdict):
                joined += 1
                saved += smaller.own_rendition_bytes if verdict.shares else 0
            else:
                moved.append(candidate)
            asset = self.assets.get(asset.key)
            if asset.near_duplicate:
                unseen = 0
                break
        return Search(asset, compared, found.capped, unseen, joined, saved)

    def _twice(
        self, asset: Asset, candidates: Sequence[Candidate], moved: list[Candidate]
    ) -> Iterator[tuple[Candidate, Asset]]:
        """The candidates' canonical assets; then again for candidates that moved before they were joined."""
        yield from self._joinable(asset, candidates)
        yield from self._joinable(asset, moved)

    def _joinable(self, asset: Asset, candidates: Sequence[Candidate]) -> Iterator[tuple[Candidate, Asset]]:
        """Each candidate with its canonical asset, in order; each asset once, and only if it can be joined.

        Considers at most MOST_CONSIDERED candidates.
        """
        seen: set[AssetId] = {asset.id}
        for candidate in candidates[:MOST_CONSIDERED]:
            canonical = self.grouping.canonical_of(AssetKey(asset.tenant, candidate.id))
            if canonical is None or not canonical.is_joinable:
                continue
            if canonical.id not in seen:
                seen.add(canonical.id)
                yield candidate, canonical

    def _likeness(
        self, asset: Asset, inspection: Inspection, candidate: Candidate, canonical: Asset
    ) -> Likeness:
        data = self.originals.read(canonical.key, max_bytes=self.max_upload_bytes)
        likeness = inspection.verify(data)
        self.pairs.record(
            asset.key, canonical.id, distance=candidate.distance, likeness=likeness, now=self.clock()
        )
        return likeness

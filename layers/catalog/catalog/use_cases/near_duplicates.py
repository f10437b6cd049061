"""Near-duplicates: an asset finds those that show the same picture, and joins the nearest.

The asset is indexed first and searches after, with consistent reads: of two that arrive at one moment at
least one finds the other.
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

# Candidates whose records are read, up to two items each.  Duplicates of one asset are compared once, and
# count one by one here.
MOST_CONSIDERED: Final = 64


@dataclass(frozen=True, slots=True)
class Search:
    """The result of a search: the asset afterwards, and figures for the log.

    `capped` buckets of the index were read in part; `unseen` candidates were near, and not looked at.
    `joined` assets became near-duplicates, which need `bytes_saved` of renditions of their own no more.
    """

    asset: Asset
    compared: int = 0
    capped: int = 0
    unseen: int = 0
    joined: int = 0
    bytes_saved: int = 0


@dataclass(frozen=True, slots=True)
class NearDuplicateSearch:
    """Searches the assets of one tenant; `action` says what to do with what it finds."""

    action: NearDuplicateAction
    assets: Assets
    originals: Originals
    bands: HashBands
    pairs: Pairs
    grouping: Grouping
    max_upload_bytes: int
    clock: Clock = utc_now

    def search(self, asset: Asset, inspection: Inspection) -> Search:
        """Index the asset, and join it to the nearest one that shows the same picture; or that one to it.

        While it is the larger one the search goes on: it may resemble several assets that do not resemble
        each other.  Raises every fault; the caller then renders the asset on its own.
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
        """The canonical assets of the candidates; again of those that had moved when they were joined."""
        yield from self._joinable(asset, candidates)
        yield from self._joinable(asset, moved)

    def _joinable(self, asset: Asset, candidates: Sequence[Candidate]) -> Iterator[tuple[Candidate, Asset]]:
        """The canonical asset of each candidate, once, in their order; what cannot be joined is left out.

        Looks no further than MOST_CONSIDERED.
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

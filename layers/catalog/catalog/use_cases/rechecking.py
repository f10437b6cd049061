"""Rechecking: merges of the past are verified again, and separated where today's verifier refuses them.

Only what the pixels decided: a person's decision is left alone.  The refusal is recorded as the pixels'
verdict, so a better verifier may join the two again.  It may run twice, and die between any two lines: the
next run finds what is left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from catalog.domain.fingerprints import hamming_distance
from catalog.domain.keys import AssetKey
from catalog.domain.near_duplicates import DecidedBy
from catalog.use_cases.decisions import Decisions

if TYPE_CHECKING:
    from catalog.adapters.objects import Originals
    from catalog.domain.assets import Asset
    from catalog.domain.keys import AssetId
    from catalog.domain.near_duplicates import Likeness

VerifyBoth = Callable[[bytes, bytes], "Likeness"]
"""The verdict on two originals.  Raises ImageRejectedError."""


@dataclass(frozen=True, slots=True)
class WrongMerge:
    """An asset that the pixels once joined to another, and their verdict today."""

    asset: Asset
    canonical: Asset
    likeness: Likeness


@dataclass(frozen=True, slots=True)
class Rechecking:
    """Finds and separates wrong merges."""

    decisions: Decisions
    originals: Originals
    verify: VerifyBoth
    max_upload_bytes: int

    def recheck(self, key: AssetKey) -> WrongMerge | None:
        """The asset's merge if the verifier refuses it today; None where it stands, or there is none.

        A link needs less than shared renditions do.  Raises OriginalMissingError, OriginalTooLargeError and
        ImageRejectedError where one of the two cannot be read.
        """
        assets = self.decisions.assets
        asset = assets.find(key)
        near = asset.near_duplicate if asset else None
        if asset is None or near is None or near.decided_by is not DecidedBy.PIXELS:
            return None
        canonical = assets.find(AssetKey(key.tenant, near.of))
        if canonical is None or self._is_decided(key, near.of):
            return None
        likeness = self.verify(self._original(key), self._original(canonical.key))
        if likeness.accepted or (likeness.joins and not near.shares):
            return None
        return WrongMerge(asset, canonical, likeness)

    def separate(self, wrong: WrongMerge) -> bool:
        """Record today's verdict, and separate the two; False where the merge is another by now.

        Raises AssetNotFoundError.
        """
        key, other = wrong.asset.key, wrong.canonical.id
        asset = self.decisions.assets.find(key)
        near = asset.near_duplicate if asset else None
        if near is None or near.of != other or near.decided_by is not DecidedBy.PIXELS:
            return False
        if self._is_decided(key, other):
            return False
        self.decisions.pairs.record(
            key, other, distance=_distance(wrong), likeness=wrong.likeness, now=self.decisions.clock()
        )
        self.decisions.separate_refused(key, other)
        return True

    def _original(self, key: AssetKey) -> bytes:
        return self.originals.read(key, max_bytes=self.max_upload_bytes)

    def _is_decided(self, key: AssetKey, other: AssetId) -> bool:
        pair = self.decisions.pairs.find(key.tenant, key.id, other)
        return pair is not None and pair.decision is not None


def _distance(wrong: WrongMerge) -> int:
    one, other = wrong.asset.hashes, wrong.canonical.hashes
    if wrong.asset.near_duplicate and wrong.asset.near_duplicate.distance is not None:
        return wrong.asset.near_duplicate.distance
    return hamming_distance(one.phash256, other.phash256) if one and other else 0

"""Rechecking: what pixels merged in the past is held against the verifier of today, and separated if refused.

Only what the pixels decided: what a person said is not looked at.  A merge that is refused is recorded as the
pixels' own verdict and nobody's word, so a better verifier may join the two again.  Safe to run twice, and to
die between any two lines: the next run finds what is left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from catalog.domain.fingerprints import hamming_distance
from catalog.domain.keys import AssetKey
from catalog.domain.near_duplicates import DecidedBy
from catalog.use_cases.decisions import part_refused

if TYPE_CHECKING:
    from datetime import datetime

    from catalog.adapters.assets_table import Assets
    from catalog.adapters.objects import Originals
    from catalog.adapters.pairs_table import Pairs
    from catalog.domain.assets import Asset
    from catalog.domain.keys import AssetId
    from catalog.domain.near_duplicates import Likeness
    from catalog.use_cases.decisions import Deciding

Look = Callable[[bytes, bytes], "Likeness"]
"""The verdict on two originals.  Raises ImageRejectedError."""


@dataclass(frozen=True, slots=True)
class WrongMerge:
    """An asset that the pixels once joined to another, and what they say now."""

    asset: Asset
    canonical: Asset
    likeness: Likeness


def recheck(
    key: AssetKey, *, assets: Assets, pairs: Pairs, originals: Originals, look: Look, max_upload_bytes: int
) -> WrongMerge | None:
    """The asset's merge if the verifier refuses it today; None where it stands, or there is none to look at.

    A link needs less than shared renditions do.  Raises OriginalMissingError, OriginalTooLargeError and
    ImageRejectedError where one of the two cannot be looked at.
    """
    asset = assets.find(key)
    near = asset.near_duplicate if asset else None
    if asset is None or near is None or near.decided_by is not DecidedBy.PIXELS:
        return None
    canonical = assets.find(AssetKey(key.tenant, near.of))
    if canonical is None or _is_decided(key, near.of, pairs):
        return None
    likeness = look(*(originals.read(each, max_bytes=max_upload_bytes) for each in (key, canonical.key)))
    if likeness.accepted or (likeness.joins and not near.shares):
        return None
    return WrongMerge(asset, canonical, likeness)


def separate_wrong_merge(wrong: WrongMerge, *, deciding: Deciding, now: datetime) -> bool:
    """Record what the pixels say now, and separate the two; False where the merge is another by now."""
    key, other = wrong.asset.key, wrong.canonical.id
    asset = deciding.assets.find(key)
    near = asset.near_duplicate if asset else None
    if near is None or near.of != other or near.decided_by is not DecidedBy.PIXELS:
        return False
    if _is_decided(key, other, deciding.pairs):
        return False
    deciding.pairs.record(key, other, distance=_distance(wrong), likeness=wrong.likeness, now=now)
    part_refused(key, other, deciding=deciding, now=now)
    return True


def _is_decided(key: AssetKey, other: AssetId, pairs: Pairs) -> bool:
    pair = pairs.find(key.tenant, key.id, other)
    return pair is not None and pair.decision is not None


def _distance(wrong: WrongMerge) -> int:
    one, other = wrong.asset.hashes, wrong.canonical.hashes
    if wrong.asset.near_duplicate and wrong.asset.near_duplicate.distance is not None:
        return wrong.asset.near_duplicate.distance
    return hamming_distance(one.phash256, other.phash256) if one and other else 0

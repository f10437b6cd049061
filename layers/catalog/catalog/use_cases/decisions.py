"""Decisions: a person says that two assets show the same product, or distinct ones, and may take it back.

The word is recorded first and then acted on; whoever repeats it after a crash completes the act, and an asset
that was separated is rendered even if nobody does.  No object is deleted: an address that was given out for a
rendition goes on working until its asset is purged.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from catalog.domain.assets import Asset, AssetStateError, Status, render_jobs
from catalog.domain.keys import AssetId, AssetKey
from catalog.domain.near_duplicates import (
    DecidedBy,
    Decision,
    NearDuplicate,
    NearDuplicateAction,
    Pair,
)
from catalog.use_cases.near_duplicates import join, separate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from catalog.adapters.assets_table import Assets
    from catalog.adapters.pairs_table import Pairs
    from catalog.adapters.queues import RenderQueue
    from catalog.domain.presets import Preset


# Longer than a request lives (its timeout is in the template): the jobs find what it left, or half of it.
RENDERED_AFTER: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Deciding:
    """Where decisions are kept and carried out."""

    assets: Assets
    pairs: Pairs
    queue: RenderQueue
    action: NearDuplicateAction
    presets: Sequence[Preset]
    presets_per_job: int


def decide(
    key: AssetKey, other: AssetId, decision: Decision, *, by: str, deciding: Deciding, now: datetime
) -> Pair:
    """Record a person's word on two assets, and make it so.

    Raises AssetNotFoundError; AssetStateError where `same` is said of one that is not ready.
    """
    one, two = _both(key, other, deciding.assets)
    if decision is Decision.SAME and {one.status, two.status} != {Status.READY}:
        raise AssetStateError(key.id)
    pair = deciding.pairs.decide(key, other, decision, by=by, now=now)
    # Read again: who joined them before the word was recorded did not know of it, and who comes after does.
    one, two = _both(key, other, deciding.assets)
    _make_so(pair, one, two, deciding=deciding, now=now)
    return pair


def undo(key: AssetKey, other: AssetId, *, deciding: Deciding, now: datetime) -> Pair:
    """Forget a person's word on two assets: what the pixels said of them holds again, if they said anything.

    Raises AssetNotFoundError, DuplicatePairNotFoundError.
    """
    one, two = _both(key, other, deciding.assets)
    pair = deciding.pairs.undo(key, other)
    _make_so(pair, one, two, deciding=deciding, now=now)
    return pair


def part_refused(key: AssetKey, other: AssetId, *, deciding: Deciding, now: datetime) -> Pair:
    """Separate two assets that the pixels do not take for one picture any more, unless a person does.

    Nobody's word is recorded: what the pixels say next time holds again.  Raises AssetNotFoundError,
    DuplicatePairNotFoundError.
    """
    one, two = _both(key, other, deciding.assets)
    pair = deciding.pairs.get(key.tenant, key.id, other)
    if not pair.merged:
        _make_so(pair, one, two, deciding=deciding, now=now)
    return pair


def _both(key: AssetKey, other: AssetId, assets: Assets) -> tuple[Asset, Asset]:
    return assets.get(key), assets.get(AssetKey(key.tenant, other))


def _make_so(pair: Pair, one: Asset, two: Asset, *, deciding: Deciding, now: datetime) -> None:
    if pair.merged:
        _merge(pair, one, two, deciding=deciding, now=now)
        return
    for asset, other in ((one, two), (two, one)):
        if asset.near_duplicate and asset.near_duplicate.of == other.id:
            # Were this worker to die when they are separate, nothing else would lead to its renditions.
            _send_jobs(replace(asset, near_duplicate=None), deciding=deciding, delay=RENDERED_AFTER)
            asset = separate(asset, assets=deciding.assets, now=now)  # noqa: PLW2901
        if asset.status is Status.PROCESSING and asset.near_duplicate is None:
            _send_jobs(asset, deciding=deciding)


def _send_jobs(asset: Asset, *, deciding: Deciding, delay: timedelta = timedelta(0)) -> None:
    jobs = render_jobs(asset, deciding.presets, presets_per_job=deciding.presets_per_job)
    deciding.queue.send(jobs, delay=delay)


def _merge(pair: Pair, one: Asset, two: Asset, *, deciding: Deciding, now: datetime) -> None:
    """Have the smaller share the larger one's renditions, where neither shares any yet and both are ready."""
    if deciding.action is NearDuplicateAction.OFF or one.near_duplicate or two.near_duplicate:
        return
    if {one.status, two.status} != {Status.READY}:
        return
    by = DecidedBy.PERSON if pair.decision else DecidedBy.PIXELS
    scores = pair.likeness.scores if pair.likeness else {}
    for asset, canonical in ((one, two), (two, one)):
        verdict = NearDuplicate(canonical.id, by, shares=True, distance=pair.distance, scores=scores)
        if join(
            asset,
            canonical,
            verdict,
            action=deciding.action,
            assets=deciding.assets,
            pairs=deciding.pairs,
            now=now,
        ):
            return

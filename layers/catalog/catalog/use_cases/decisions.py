"""Decisions: a person says that two assets show the same product, or distinct ones, and may take it back.

The word is recorded first and then acted on; whoever repeats it after a crash completes the act, and an asset
that was separated is rendered even if nobody does.  No object is deleted: an address that was given out for a
rendition goes on working until its asset is purged.

No two assets that a person called distinct share renditions, also not through a third; what a person called
the same does, unless `apart` says why not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from catalog.domain.assets import Asset, AssetStateError, Status, render_jobs
from catalog.domain.keys import AssetId, AssetKey
from catalog.domain.near_duplicates import (
    Apart,
    DecidedBy,
    Decision,
    NearDuplicate,
    NearDuplicateAction,
    Pair,
)
from catalog.use_cases.candidates import canonical_of
from catalog.use_cases.near_duplicates import distinct_from_group_of, members_job, unite

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from catalog.adapters.assets_table import Assets
    from catalog.adapters.groups import Groups
    from catalog.adapters.pairs_table import Pairs
    from catalog.adapters.queues import RenderQueue
    from catalog.domain.presets import Preset


# Longer than a request lives (its timeout is in the template): the jobs find what it left, or half of it.
RENDERED_AFTER: Final = timedelta(seconds=60)
_ATTEMPTS: Final = 5
_SETTLED: Final = frozenset({Status.PROCESSING, Status.READY})


@dataclass(frozen=True, slots=True)
class Deciding:
    """Where decisions are kept and carried out."""

    assets: Assets
    pairs: Pairs
    groups: Groups
    queue: RenderQueue
    action: NearDuplicateAction
    presets: Sequence[Preset]
    presets_per_job: int


@dataclass(frozen=True, slots=True)
class Decided:
    """A pair, whether its assets share renditions now, and why they do not though they are one picture."""

    pair: Pair
    merged: bool
    apart: Apart | None


def decide(
    key: AssetKey, other: AssetId, decision: Decision, *, by: str, deciding: Deciding, now: datetime
) -> Decided:
    """Record a person's word on two assets, and make it so.

    Raises AssetNotFoundError; AssetStateError where `same` is said of one that is not ready.
    """
    one, two = _both(key, other, deciding)
    if decision is Decision.SAME and {one.status, two.status} != {Status.READY}:
        raise AssetStateError(key.id)
    deciding.groups.decide(key, other, decision, by=by, now=now)
    pair = deciding.pairs.get(key.tenant, key.id, other)
    # Read again: who joined them before the word was recorded did not know of it, and who comes after does.
    if decision is Decision.DISTINCT:
        _part(key, other, deciding=deciding, now=now)
    else:
        _bring_together(pair, deciding=deciding, now=now)
    return _outcome(pair, deciding)


def undo(key: AssetKey, other: AssetId, *, deciding: Deciding, now: datetime) -> Decided:
    """Forget a person's word on two assets: what else was said of them holds again, if anything was.

    Raises AssetNotFoundError, DuplicatePairNotFoundError.
    """
    _both(key, other, deciding)
    deciding.pairs.get(key.tenant, key.id, other)
    deciding.groups.undo(key, other)
    pair = deciding.pairs.get(key.tenant, key.id, other)
    if pair.is_one_picture:
        _bring_together(pair, deciding=deciding, now=now)
    else:
        _part(key, other, deciding=deciding, now=now, by_word=True)
    for one, two in ((key, AssetKey(key.tenant, other)), (AssetKey(key.tenant, other), key)):
        _hold_to_words(one, deciding=deciding, now=now)
        _rejoin(one, two, deciding=deciding, now=now)
    return _outcome(pair, deciding)


def part_refused(key: AssetKey, other: AssetId, *, deciding: Deciding, now: datetime) -> Pair:
    """Separate two assets that the pixels do not take for one picture any more, unless a person does.

    Nobody's word is recorded: what the pixels say next time holds again.  Raises AssetNotFoundError,
    DuplicatePairNotFoundError.
    """
    pair = deciding.pairs.get(key.tenant, key.id, other)
    if not pair.is_one_picture:
        _part(key, other, deciding=deciding, now=now, by_word=True)
    return pair


def as_it_is(pair: Pair, assets: Mapping[AssetId, Asset], *, deciding: Deciding) -> Decided:
    """The pair, and what its assets, if they exist, show."""
    one, two = assets.get(pair.first), assets.get(pair.second)
    return Decided(pair, _in_one_group(one, two), _apart(pair, one, two, deciding=deciding))


def _outcome(pair: Pair, deciding: Deciding) -> Decided:
    assets = deciding.assets.many(pair.tenant, (pair.first, pair.second), consistent=True)
    return as_it_is(pair, assets, deciding=deciding)


def _both(key: AssetKey, other: AssetId, deciding: Deciding) -> tuple[Asset, Asset]:
    return deciding.assets.get(key), deciding.assets.get(AssetKey(key.tenant, other))


# --- Distinct -----------------------------------------------------------------------------------------------


def _part(key: AssetKey, other: AssetId, *, deciding: Deciding, now: datetime, by_word: bool = False) -> None:
    """End two assets' being in one group: the smaller one leaves, and is rendered on its own.

    `by_word`: only if a word, that does not hold any more, brought it there, and no other word holds it.
    """
    for _ in range(_ATTEMPTS):
        one, two = _both(key, other, deciding)
        leaving = _leaving(one, two, deciding)
        if leaving is None or leaving.near_duplicate is None:
            break
        if by_word and not _only_that_word_holds(leaving, one, two, deciding):
            break
        former = deciding.assets.find(AssetKey(key.tenant, leaving.near_duplicate.of))
        # Were this worker to die when they are separate, nothing else would lead to its renditions.
        _send_jobs(replace(leaving, near_duplicate=None), deciding=deciding, delay=RENDERED_AFTER)
        try:
            deciding.groups.separate(leaving, former, now=now)
        except AssetStateError:
            continue
    else:
        raise AssetStateError(key.id)
    for asset in _both(key, other, deciding):
        if asset.status is Status.PROCESSING and asset.near_duplicate is None:
            _send_jobs(asset, deciding=deciding)


def _leaving(one: Asset, two: Asset, deciding: Deciding) -> Asset | None:
    """Which of two assets of one group is to leave it: the one that is a duplicate, the smaller of two."""
    first, second = (canonical_of(asset.key, deciding.assets) for asset in (one, two))
    if first is None or second is None or first.id != second.id:
        return None
    duplicates = [asset for asset in (one, two) if asset.near_duplicate]
    if len(duplicates) == 2 and one.outranks(two):  # noqa: PLR2004 - both
        return two
    return duplicates[0]


def _only_that_word_holds(leaving: Asset, one: Asset, two: Asset, deciding: Deciding) -> bool:
    near, other = leaving.near_duplicate, two if leaving.id == one.id else one
    if near is None or not (near.of == other.id or near.decided_by is DecidedBy.PERSON):
        return False
    canonical = canonical_of(leaving.key, deciding.assets)
    words = deciding.groups.words(leaving.key)
    return not any(
        decision is Decision.SAME
        and (found := canonical_of(AssetKey(leaving.tenant, id_), deciding.assets))
        and canonical
        and found.id == canonical.id
        for id_, decision in words.items()
    )


def _send_jobs(asset: Asset, *, deciding: Deciding, delay: timedelta = timedelta(0)) -> None:
    jobs = render_jobs(asset, deciding.presets, presets_per_job=deciding.presets_per_job)
    deciding.queue.send(jobs, delay=delay)


# --- Same ---------------------------------------------------------------------------------------------------


def _hold_to_words(key: AssetKey, *, deciding: Deciding, now: datetime) -> None:
    """Bring an asset together with those that a person called the same: a word against it may be gone."""
    for id_, decision in deciding.groups.words(key).items():
        if decision is Decision.SAME and deciding.assets.find(AssetKey(key.tenant, id_)):
            pair = deciding.pairs.get(key.tenant, key.id, id_)
            _bring_together(pair, deciding=deciding, now=now)


def _rejoin(key: AssetKey, other: AssetKey, *, deciding: Deciding, now: datetime) -> None:
    """Bring an asset back into the other one's group, if it and the canonical asset there are one picture."""
    canonical = canonical_of(other, deciding.assets)
    pair = canonical and deciding.pairs.find(key.tenant, key.id, canonical.id)
    if pair and pair.is_one_picture:
        _bring_together(pair, deciding=deciding, now=now)


def _bring_together(pair: Pair, *, deciding: Deciding, now: datetime) -> None:
    """Make one group of the two that the assets are in; or, where a person's word is against that, take one
    of the assets over into the other's group."""
    if deciding.action is NearDuplicateAction.OFF:
        return
    by = DecidedBy.PERSON if pair.decision else DecidedBy.PIXELS
    scores = pair.likeness.scores if pair.likeness else {}
    verdict = NearDuplicate(pair.first, by, shares=True, distance=pair.distance, scores=scores)
    one, two = (AssetKey(pair.tenant, id_) for id_ in (pair.first, pair.second))
    _unlink(one, two, deciding=deciding, now=now)
    for _ in range(_ATTEMPTS):
        first, second = (canonical_of(key, deciding.assets) for key in (one, two))
        if first is None or second is None:
            return
        if first.id == second.id:
            for key in (one, two):
                _have_members_follow(key, deciding)
            return
        if not {first.status, second.status} <= _SETTLED:
            return
        smaller = first if second.outranks(first) else second
        if smaller.has_members:
            # Were this worker to die when it has joined, nothing else would have them follow it.
            deciding.queue.send([members_job(smaller)], delay=RENDERED_AFTER)
        if unite(
            first,
            second,
            verdict,
            action=deciding.action,
            groups=deciding.groups,
            assets=deciding.assets,
            now=now,
        ):
            if smaller.has_members:
                deciding.queue.send([members_job(smaller)])
            return
        for key, group in ((one, second), (two, first)):
            if _take_over(key, group, verdict, deciding=deciding, now=now):
                return


def _have_members_follow(key: AssetKey, deciding: Deciding) -> None:
    """Send for those that still point at a smaller image on the way to the canonical one: whoever joined it
    may have died before."""
    asset = deciding.assets.find(key)
    while asset and asset.near_duplicate:
        if asset.has_members:
            deciding.queue.send([members_job(asset)])
        asset = deciding.assets.find(AssetKey(key.tenant, asset.near_duplicate.of))


def _take_over(
    key: AssetKey, canonical: Asset, verdict: NearDuplicate, *, deciding: Deciding, now: datetime
) -> bool:
    """Move a single duplicate to another group, if nobody in there is called distinct from it."""
    asset = deciding.assets.find(key)
    if asset is None or asset.near_duplicate is None or not canonical.outranks(asset):
        return False
    former = deciding.assets.find(AssetKey(key.tenant, asset.near_duplicate.of))
    words = deciding.groups.words(key)
    if former is None or canonical.status is not Status.READY or asset.has_members:
        return False
    if distinct_from_group_of(canonical, words, assets=deciding.assets):
        return False
    shares = deciding.action is NearDuplicateAction.REUSE
    if asset.near_duplicate.shares and not shares:
        return False
    try:
        deciding.groups.move(
            asset,
            former,
            canonical,
            replace(verdict, of=canonical.id, shares=shares),
            alone=Decision.DISTINCT not in words.values(),
            now=now,
        )
    except AssetStateError:
        return False
    return True


def _unlink(one: AssetKey, two: AssetKey, *, deciding: Deciding, now: datetime) -> None:
    """An asset that is only linked to the other one is to share its renditions."""
    if deciding.action is not NearDuplicateAction.REUSE:
        return
    for key, other in ((one, two), (two, one)):
        asset = deciding.assets.find(key)
        near = asset.near_duplicate if asset else None
        if asset and near and near.of == other.id and not near.shares:
            deciding.groups.separate(asset, deciding.assets.find(other), now=now)


# --- What is ------------------------------------------------------------------------------------------------


def _apart(pair: Pair, one: Asset | None, two: Asset | None, *, deciding: Deciding) -> Apart | None:
    """Why two assets that are one picture do not share renditions; None where they do, or are not one."""
    if not pair.is_one_picture or _in_one_group(one, two):
        return None
    if one is None or two is None or Status.DELETING in {one.status, two.status}:
        return Apart.DELETED
    if deciding.action is NearDuplicateAction.OFF:
        return Apart.OFF
    if {one.status, two.status} != {Status.READY}:
        return Apart.NOT_READY
    if any(each.near_duplicate and not each.near_duplicate.shares for each in (one, two)):
        return Apart.LINKED
    return Apart.DISTINCT if _are_kept_apart(one, two, deciding) else Apart.PENDING


def _are_kept_apart(one: Asset, two: Asset, deciding: Deciding) -> bool:
    """Whether a person's word is against their being in one group."""
    first, second = (canonical_of(asset.key, deciding.assets) for asset in (one, two))
    return (
        first is not None
        and second is not None
        and any(
            distinct_from_group_of(canonical, deciding.groups.words(asset.key), assets=deciding.assets)
            for asset, canonical in ((first, second), (one, second), (two, first), (second, first))
        )
    )


def _in_one_group(one: Asset | None, two: Asset | None) -> bool:
    """Whether two assets show, or are to show, the same renditions."""
    return one is not None and two is not None and one.group == two.group

"""Groups: which assets show whose renditions.  Every change is one transaction over the assets it concerns.

A duplicate names its canonical asset; that one counts its members, and an entry of the Pairs table names
each, so that the canonical asset's item does not grow with them.  Entries are read consistently, and by the
first digits of the members' ids: these are SHA-256, and cut a group of any size into equal parts.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from itertools import batched
from typing import Any, Final, cast

from pynamodb.exceptions import TransactWriteError, UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from catalog.adapters.asset_items import (
    AssetItem,
    allowed,
    asset_of,
    effects,
    microseconds,
    stored_rendition,
    stored_verdict,
)
from catalog.adapters.pairs_table import PairItem, pair_key
from catalog.adapters.tables import bind, is_refused, timestamp
from catalog.domain.assets import MAX_LINKED, Asset, AssetStateError, Status
from catalog.domain.keys import AssetId, AssetKey
from catalog.domain.lifecycle import JOIN, MOVE, SEPARATE, SHARE, Write
from catalog.domain.near_duplicates import Decision, NearDuplicate, hold_of
from catalog.domain.renditions import Rendition

# Old entries one transaction moves, two items each: it takes 100 items at most (DynamoDB quotas).
_MOVED_AT_ONCE: Final = 45
# DynamoDB cancels a transaction that meets another over the same item; a retry succeeds.
_TRIES: Final = 8
_CONDITION: Final = "ConditionalCheckFailed"
_CONFLICT: Final = "TransactionConflict"


class Groups:
    """Over the Assets table and the Pairs table."""

    def __init__(self, assets_table: str, pairs_table: str) -> None:
        self._assets = bind(AssetItem, assets_table)
        self._entries = bind(PairItem, pairs_table)

    # --- Who is in a group ------------------------------------------------------------------------------

    def members(self, key: AssetKey, *, beginning: str = "", limit: int | None) -> list[AssetId]:
        """Up to `limit` members of this asset whose ids begin so: a consistent read."""
        return self._ids("member", key, beginning, limit)

    def waiting(self, key: AssetKey, *, beginning: str = "", limit: int | None) -> list[AssetId]:
        """Up to `limit` members that joined before the asset was ready and do not show its renditions yet."""
        return self._ids("waiting", key, beginning, limit)

    def no_longer_waiting(self, key: AssetKey, id_: AssetId) -> None:
        """The member shows the asset's renditions, or has left.  Repeating this changes nothing."""
        self._entries(key.tenant, _name("waiting", key, id_)).delete()

    def no_longer_member(self, key: AssetKey, id_: AssetId) -> None:
        """Only for an asset that is being deleted, since its counts stay.  Repeating this changes nothing."""
        self._entries(key.tenant, _name("member", key, id_)).delete()

    def decisions(self, key: AssetKey) -> Mapping[AssetId, Decision]:
        """A person's decisions on this asset, by the other asset: a consistent read."""
        entries = self._query("word", key, "", None)
        return {AssetId(entry.pair.rpartition("/")[2]): Decision(entry.decision) for entry in entries}

    # --- Changes ----------------------------------------------------------------------------------------

    def join(
        self, asset: Asset, canonical: Asset, verdict: NearDuplicate, *, alone: bool, now: datetime
    ) -> Asset:
        """Make `asset` a near-duplicate of `canonical`.  Its own members, if any, follow later.

        If it shares the renditions of a ready canonical asset, it shows them at once; else it keeps what it
        has.  `alone`: no person called it distinct from any asset; if one did, the canonical asset must be
        exactly as it was read, since others may have joined it.  Raises AssetStateError where either has
        changed, or a person has called them distinct.
        """
        if asset.near_duplicate:
            raise AssetStateError(asset.id)
        canonical = self.with_entries(canonical)
        with self._transaction(asset.key) as transaction:
            self._point(transaction, JOIN, asset, canonical, verdict, alone=alone, now=now)
        return self._get(asset.key)

    def move(
        self,
        asset: Asset,
        former: Asset,
        canonical: Asset,
        verdict: NearDuplicate,
        *,
        alone: bool,
        now: datetime,
    ) -> Asset:
        """Have a near-duplicate of `former` point at `canonical`, which is ready, and show its renditions.

        One that shared and is only linked from here on is `processing` until it has renditions of its own.
        Raises AssetStateError as `join` does.
        """
        former = self.with_entries(former)
        canonical = self.with_entries(canonical)
        shared = asset.near_duplicate is not None and asset.near_duplicate.shares
        with self._transaction(asset.key) as transaction:
            self._point(transaction, MOVE, asset, canonical, verdict, alone=alone, now=now)
            # Presigned addresses of its renditions, given out for the one that moves, stay valid.
            self._leave(transaction, asset, former, shares=shared, now=now, lent=True)
        return self._get(asset.key)

    def separate(
        self,
        asset: Asset,
        former: Asset | None,
        *,
        own: Mapping[str, Rendition] | None = None,
        now: datetime,
    ) -> Asset:
        """End the asset's being a near-duplicate of `former`.

        Where it shows another's renditions it is `processing` until it has its own, or `ready` with its
        `own`, which are stored.  Raises AssetStateError where another writer was faster.
        """
        item = self._assets
        former = self.with_entries(former) if former else None
        verdict = asset.near_duplicate
        if verdict is None:
            return asset
        with self._transaction(asset.key) as transaction:
            transaction.update(
                item(asset.tenant, asset.id),
                actions=[
                    *effects(SEPARATE),
                    *(_shown(item, asset.key, own, now) if own else _unready(item, asset, now)),
                    item.revision.add(1),
                ],
                condition=_as_read(item, SEPARATE, asset),
            )
            if former:
                self._leave(transaction, asset, former, shares=verdict.shares, now=now)
        return self._get(asset.key)

    def release(self, asset: Asset, former: Asset, *, now: datetime) -> None:
        """Take an asset that is being deleted out of its group.  Repeating this changes nothing.

        Raises AssetStateError where the canonical asset is changing: look at it again.
        """
        assert asset.near_duplicate is not None, "a member of a group"  # noqa: S101  the caller looked
        former = self.with_entries(former)
        if asset.id not in self.members(former.key, beginning=asset.id, limit=1):
            return
        with self._transaction(asset.key) as transaction:
            self._leave(transaction, asset, former, shares=asset.near_duplicate.shares, now=now)

    def share(self, asset: Asset, canonical: Asset, *, now: datetime) -> Asset:
        """Show the canonical asset's renditions, and be `ready` with them.

        Raises AssetStateError where either points elsewhere by now, or is being deleted.
        """
        item = self._assets
        stored = item(asset.tenant, asset.id)
        shown = _shown(item, asset.key, canonical.renditions, now)
        condition = _as_read(item, SHARE, asset) & (item.near_duplicate_of == canonical.id)
        try:
            stored.update(actions=[*shown, item.revision.add(1)], condition=condition)
        except UpdateError as error:
            if is_refused(error):
                raise AssetStateError(asset.id) from error
            raise
        return asset_of(stored)

    # --- Decisions --------------------------------------------------------------------------------------

    def decide(self, key: AssetKey, other: AssetId, decision: Decision, *, by: str, now: datetime) -> None:
        """Record a person's decision: on the pair, in an entry for each asset, and as a change of both.

        So whoever joins one of them to anything at this moment fails, and finds the word when it looks again.
        Saying it again changes nothing but the time.  Raises AssetStateError where either is gone.
        """
        pair = self._entries
        self._write_decision(
            key,
            other,
            decision,
            [
                pair.decision.set(decision),
                pair.decided_at.set(timestamp(now)),
                pair.decided_by.set(by),
                cast(Action, pair.seen_at.set(pair.seen_at | timestamp(now))),
            ],
        )

    def undo(self, key: AssetKey, other: AssetId) -> None:
        """Forget a person's decision.  Raises AssetStateError where either is gone."""
        pair = self._entries
        self._write_decision(
            key, other, None, [pair.decision.remove(), pair.decided_at.remove(), pair.decided_by.remove()]
        )

    def _write_decision(
        self, key: AssetKey, other: AssetId, decision: Decision | None, of_pair: list[Action]
    ) -> None:
        item = self._assets
        with self._transaction(key) as transaction:
            pair = self._entries(key.tenant, pair_key(key.id, other))
            transaction.update(pair, actions=of_pair)
            for one, two in ((key.id, other), (other, key.id)):
                word = self._entries(key.tenant, _name("word", AssetKey(key.tenant, one), two))
                if decision:
                    word.decision = str(decision)
                    transaction.save(word)
                else:
                    transaction.delete(word)
                transaction.update(
                    item(key.tenant, one), actions=[item.revision.add(1)], condition=item.id.exists()
                )

    # --- How --------------------------------------------------------------------------------------------

    def _point(
        self,
        transaction: TransactWrite,
        write: Write,
        asset: Asset,
        canonical: Asset,
        verdict: NearDuplicate,
        *,
        alone: bool,
        now: datetime,
    ) -> None:
        """Make the asset, if it is as it was read, a member of `canonical`, and count it there."""
        item = self._assets
        pointing: list[Action] = [
            item.near_duplicate_of.set(verdict.of),
            item.near_duplicate.set(stored_verdict(verdict)),
            item.revision.add(1),
        ]
        shown = canonical.renditions_for(verdict)
        if shown is not None:
            pointing += _shown(item, asset.key, shown, now)
        elif not verdict.shares:
            pointing += _unready(item, asset, now)
        still_canonical = (item.status == canonical.status) & item.near_duplicate_of.does_not_exist()
        if not alone:
            still_canonical &= item.revision == canonical.revision
        pointed_at = [_counter(item, verdict.shares).add(1), item.revision.add(1)]
        if verdict.shares:
            pointed_at.append(item.unused_since.remove())
        elif write is JOIN:
            still_canonical &= item.links.does_not_exist() | (item.links < MAX_LINKED)
        self._unless_distinct(transaction, asset.key, canonical.id)
        transaction.update(
            item(asset.tenant, asset.id), actions=pointing, condition=_as_read(item, write, asset)
        )
        transaction.update(
            item(canonical.tenant, canonical.id), actions=pointed_at, condition=still_canonical
        )
        transaction.save(self._entries(asset.tenant, _name("member", canonical.key, asset.id)))
        if canonical.status is Status.PROCESSING:
            transaction.save(self._entries(asset.tenant, _name("waiting", canonical.key, asset.id)))

    def _leave(
        self,
        transaction: TransactWrite,
        asset: Asset,
        former: Asset,
        *,
        shares: bool,
        now: datetime,
        lent: bool = False,
    ) -> None:
        """End the membership, and count it out.  Without references and sharers `former` is unused."""
        item = self._assets
        entry = self._entries(asset.tenant, _name("member", former.key, asset.id))
        transaction.delete(entry, condition=self._entries.pair.exists())
        transaction.delete(self._entries(asset.tenant, _name("waiting", former.key, asset.id)))
        counter = _counter(item, shares)
        actions: list[Action] = [counter.add(-1), item.revision.add(1)]
        condition: Condition = counter > 0
        if shares:
            if lent:
                actions.append(item.lent_at.set(microseconds(now)))
            if former.sharers > 1:
                condition = item.holders > 1
            elif former.references:
                condition &= item.references.exists()
            else:
                condition = (item.holders == 1) & item.references.does_not_exist()
                actions.append(item.unused_since.set(timestamp(now)))
        transaction.update(item(former.tenant, former.id), actions=actions, condition=condition)

    def with_entries(self, asset: Asset) -> Asset:
        """The asset after its members moved from its item, where they stood until 2026-11, to entries.

        The counts stay, but for links, which were not counted.
        """
        item = self._assets
        while asset.old_holds or asset.linked_by:
            holds = next(batched(sorted(asset.old_holds), _MOVED_AT_ONCE, strict=False), ())
            links = () if holds else next(batched(sorted(asset.linked_by), _MOVED_AT_ONCE, strict=False))
            actions: list[Action] = [item.revision.add(1)]
            if holds:
                actions.append(item.references.delete({hold_of(id_) for id_ in holds}))
            else:
                actions += [item.linked_by.delete(set(links)), item.links.add(len(links))]
            with self._transaction(asset.key) as transaction:
                for id_ in (*holds, *links):
                    transaction.save(self._entries(asset.tenant, _name("member", asset.key, id_)))
                for id_ in holds:  # it may still have to follow; no other record says so
                    transaction.save(self._entries(asset.tenant, _name("waiting", asset.key, id_)))
                transaction.update(
                    item(asset.tenant, asset.id), actions=actions, condition=item.revision == asset.revision
                )
            asset = self._get(asset.key)
        return asset

    def _unless_distinct(self, transaction: TransactWrite, key: AssetKey, other: AssetId) -> None:
        """Cancel the transaction if a person has called the two distinct."""
        decision = self._entries.decision
        transaction.condition_check(
            self._entries,
            key.tenant,
            pair_key(key.id, other),
            condition=decision.does_not_exist() | (decision != Decision.DISTINCT),
        )

    def _ids(self, kind: str, key: AssetKey, beginning: str, limit: int | None) -> list[AssetId]:
        return [AssetId(entry.pair.rpartition("/")[2]) for entry in self._query(kind, key, beginning, limit)]

    def _query(self, kind: str, key: AssetKey, beginning: str, limit: int | None) -> Iterator[PairItem]:
        return self._entries.query(
            key.tenant,
            self._entries.pair.startswith(_name(kind, key, AssetId(beginning))),
            consistent_read=True,
            limit=limit,
            page_size=limit,
        )

    def _get(self, key: AssetKey) -> Asset:
        return asset_of(self._assets.get(key.tenant, key.id, consistent_read=True))

    @contextmanager
    def _transaction(self, key: AssetKey) -> Iterator[TransactWrite]:
        connection = self._assets._get_connection().connection
        transaction = TransactWrite(connection=connection)
        yield transaction
        for attempt in range(_TRIES):
            try:
                transaction._commit()
            except TransactWriteError as error:
                # No reason: it was not cancelled, but throttled, or its answer was lost.
                reasons = {reason.code for reason in error.cancellation_reasons if reason is not None}
                if not reasons or not reasons <= {_CONDITION, _CONFLICT}:
                    raise
                if reasons == {_CONFLICT} and attempt + 1 < _TRIES:
                    continue
                raise AssetStateError(key.id) from error
            else:
                return


def _name(kind: str, key: AssetKey, id_: AssetId) -> str:
    return f"{kind}/{key.id}/{id_}"


def entry_of(stored: str) -> tuple[str, AssetId, AssetId] | None:
    """The kind of an entry, the asset it belongs to and the one it names; None for a pair."""
    kind, _, rest = stored.partition("/")
    of, _, id_ = rest.partition("/")
    return (kind, AssetId(of), AssetId(id_)) if rest else None


def _counter(item: type[AssetItem], shares: bool) -> Any:
    return item.holders if shares else item.links


def _as_read(item: type[AssetItem], write: Write, asset: Asset) -> Condition:
    """The asset is in a state that allows the write, unchanged since it was read."""
    return cast(Condition, allowed(write) & (item.revision == asset.revision))


def _unready(item: type[AssetItem], asset: Asset, now: datetime) -> list[Action]:
    """Without another's renditions the asset is `processing` until it has its own."""
    if not asset.shows_anothers:
        return []
    return [item.status.set(Status.PROCESSING), item.updated_at.set(timestamp(now))]


def _shown(
    item: type[AssetItem], key: AssetKey, renditions: Mapping[str, Rendition], now: datetime
) -> list[Action]:
    """`ready`, with these renditions."""
    return [
        item.renditions.set({name: stored_rendition(each, key) for name, each in renditions.items()}),
        item.status.set(Status.READY),
        item.updated_at.set(timestamp(now)),
    ]

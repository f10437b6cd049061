"""The References table: one entry a reference of an image, and an index from references to images.

The asset's item decides whether anybody uses it.  A name enters or leaves it in one transaction with its
entry, so neither is there alone.  There are two exceptions, which a recount mends: references of before
2026-12 have no entry, and the entries of an announcement that DynamoDB's TTL removed find nothing.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import reduce
from itertools import batched
from operator import and_
from typing import Final, cast

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import TransactWriteError
from pynamodb.expressions.condition import Condition, size
from pynamodb.expressions.update import Action
from pynamodb.indexes import GlobalSecondaryIndex, IncludeProjection
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from catalog.adapters.asset_items import AssetItem, allowed, asset_of, effects
from catalog.adapters.pages import Cursors, matching
from catalog.adapters.tables import bind, timestamp
from catalog.domain.assets import (
    MAX_REFERENCES,
    Asset,
    AssetNotFoundError,
    AssetStateError,
    Status,
    TooManyReferencesError,
)
from catalog.domain.keys import AssetId, AssetKey, TenantId, tenant_id
from catalog.domain.lifecycle import RELEASE_REFERENCE, TAKE_REFERENCE
from catalog.domain.paging import InvalidCursorError, Page, PageRequest
from catalog.domain.references import MOST_POSITION, Held, Mended, Use

# A transaction takes 100 items: the asset and its entries.  A condition takes 300 operators and functions,
# and 4 KB; up to three of them are of each name (DynamoDB quotas).
_AT_ONCE: Final = 90
# DynamoDB cancels a transaction that meets another over the same item; a retry succeeds.
_TRIES: Final = 8
_CONDITION: Final = "ConditionalCheckFailed"
_CONFLICT: Final = "TransactionConflict"
# Sorts before every character of a name, so that a reference's images stand together.
_END: Final = "\t"
_LAST: Final = "~"  # sorts behind every position
_DIGITS: Final = len(str(MOST_POSITION))
_CURSORS: Final = Cursors(
    tenant=tenant_id, place=matching(rf"[^\t]{{1,128}}\t(?:[0-9]{{{_DIGITS}}}|{_LAST})\t[0-9a-f]{{64}}")
)


class _ByPlace(GlobalSecondaryIndex["ReferenceItem"]):
    class Meta:
        index_name = "by_place"
        projection = IncludeProjection(["position", "role", "alt"])

    tenant = UnicodeAttribute(hash_key=True)
    place = UnicodeAttribute(range_key=True)
    entry = UnicodeAttribute()
    position = NumberAttribute(null=True)
    role = UnicodeAttribute(null=True)
    alt = UnicodeAttribute(null=True)


class ReferenceItem(Model):
    """A reference of an image, `<id>/<reference>`.  The index sorts by reference, position and id."""

    class Meta:
        table_name = ""

    tenant = UnicodeAttribute(hash_key=True)
    entry = UnicodeAttribute(range_key=True)
    place = UnicodeAttribute()
    position = NumberAttribute(null=True)
    role = UnicodeAttribute(null=True)
    alt = UnicodeAttribute(null=True)

    by_place = _ByPlace()


class References:
    """Over the Assets table and the References table."""

    def __init__(self, table_name: str, assets_table: str) -> None:
        self._assets = bind(AssetItem, assets_table)
        self._entries = bind(ReferenceItem, table_name)

    # --- Reading ----------------------------------------------------------------------------------------

    def held(self, tenant: TenantId, wanted: Mapping[AssetId, Collection[str]]) -> dict[AssetId, Held]:
        """The assets that exist, each with what is said of these references: two consistent reads for 100."""
        uses = self._uses(tenant, wanted)
        items = self._assets.batch_get([(tenant, id_) for id_ in wanted], consistent_read=True)
        assets = {AssetId(item.id): asset_of(item) for item in items}
        return {id_: Held(asset, uses.get(id_, {})) for id_, asset in assets.items()}

    def _uses(
        self, tenant: TenantId, wanted: Mapping[AssetId, Collection[str]]
    ) -> dict[AssetId, dict[str, Use]]:
        keys = [(tenant, _entry(id_, name)) for id_, names in wanted.items() for name in names]
        uses: dict[AssetId, dict[str, Use]] = {}
        for entry in self._entries.batch_get(keys, consistent_read=True):
            id_, use = _read(entry)
            uses.setdefault(id_, {})[use.reference] = use
        return uses

    def page(
        self, tenant: TenantId, asked: PageRequest, beginning: str, *, exact: bool
    ) -> Page[tuple[AssetId, Use]]:
        """Images by reference, each reference in its gallery's order: one query.  Raises InvalidCursorError.

        `exact`: of the reference `beginning`; else of all that begin so.  The index follows by moments.
        """
        first = beginning + _END if exact else beginning
        resume = _CURSORS.key(asked.cursor, tenant=tenant)
        if resume is not None:
            place = resume["place"]["S"]
            if not place.startswith(first):
                raise InvalidCursorError(place[:80])
            name, _, id_ = place.split(_END)
            resume["entry"] = {"S": _entry(AssetId(id_), name)}
        found = self._entries.by_place.query(
            tenant,
            self._entries.place.startswith(first),
            limit=asked.limit,
            page_size=asked.limit,
            last_evaluated_key=resume,
        )
        return _CURSORS.page(found, asked.limit).map(_read)

    def within(
        self, tenant: TenantId, prefix: str, *, after: str | None = None
    ) -> Iterator[tuple[AssetId, str]]:
        """The entries, image and reference, of the images whose ids begin so, from the one behind `after` on.

        Read consistently and by id, a page when the one before it is used up.
        """
        first = f"{after}0" if after else prefix or "0"  # "0" sorts behind the "/" of `after`'s own entries
        between = self._entries.entry.between(first, f"{prefix}g")
        return map(_named, self._entries.query(tenant, between, consistent_read=True))

    # --- Writing ----------------------------------------------------------------------------------------

    def take(
        self, key: AssetKey, uses: Sequence[Use], *, keep: bool = False, held: Held | None = None
    ) -> None:
        """Add references to an asset, each in one transaction with its entry: it is no longer unused.

        `keep`: what was said of a reference that it has stays.  Repeating this changes nothing.  `held` is
        what a read for these uses found.  Raises AssetNotFoundError; AssetStateError where the asset is
        rejected or being deleted; TooManyReferencesError.
        """
        for some in batched(uses, _AT_ONCE, strict=False):
            self._take(key, some, held, keep=keep)
            held = None

    def _take(self, key: AssetKey, uses: Sequence[Use], held: Held | None, *, keep: bool) -> None:
        names = {use.reference for use in uses}
        for _ in range(_TRIES):
            found = held or self.held(key.tenant, {key.id: names}).get(key.id)
            if found is None:
                raise AssetNotFoundError(key.id)
            written = found.lacking(uses, keep=keep)
            if not written:
                return
            new = names - found.asset.references
            if new and not TAKE_REFERENCE.allows(found.asset):
                raise AssetStateError(key.id)
            if found.asset.status is Status.DELETING:
                raise AssetStateError(key.id)
            if len(found.asset.references) + len(new) > MAX_REFERENCES:
                raise TooManyReferencesError(key.id)
            if self._write(found.asset, new, written, keep=keep):
                return
            held = None  # the asset changed since the read: read again
        raise AssetStateError(key.id)

    def _write(self, asset: Asset, new: Collection[str], uses: Iterable[Use], *, keep: bool) -> bool:
        """Whether it was: False where the asset is no longer as it was read, or another said it first."""
        item, transaction = self._assets, self._transaction()
        if new:
            # Entries of groups that stand among the names do not count against the clients' limit.
            most = MAX_REFERENCES + len(asset.old_holds) - len(new)
            free = item.references.does_not_exist() | (size(item.references) <= most)
            lacks = [~item.references.contains(name) for name in new if keep]
            transaction.update(
                item(asset.tenant, asset.id),
                actions=[*effects(TAKE_REFERENCE), item.references.add(set(new)), item.revision.add(1)],
                condition=reduce(and_, lacks, allowed(TAKE_REFERENCE) & free),
            )
        else:
            holds = [item.references.contains(use.reference) for use in uses]
            there = reduce(and_, holds, item.status != Status.DELETING)
            transaction.condition_check(item, asset.tenant, asset.id, condition=there)
        for use in uses:
            unsaid = self._entries.tenant.does_not_exist() if keep and use.reference not in new else None
            transaction.save(self._item(asset.key, use), condition=unsaid)
        return _committed(transaction)

    def release(self, key: AssetKey, reference: str, *, now: datetime) -> Asset:
        """Remove a reference with its entry: the asset afterwards.  Without any it is unused from `now` on.

        Releasing it again changes nothing.  Raises AssetNotFoundError.
        """
        item = self._assets
        while True:
            found = self.held(key.tenant, {key.id: ()}).get(key.id)
            if found is None:
                raise AssetNotFoundError(key.id)
            if reference not in found.asset.references:
                return found.asset
            actions, condition = _release(item, found.asset, reference, now)
            transaction = self._transaction()
            transaction.update(
                item(key.tenant, key.id),
                actions=[*effects(RELEASE_REFERENCE), *actions, item.revision.add(1)],
                condition=allowed(RELEASE_REFERENCE) & condition,
            )
            transaction.delete(self._entries(key.tenant, _entry(key.id, reference)))
            if _committed(transaction):
                left = found.asset.references - {reference}
                unused = found.asset.unused_since if left or found.asset.sharers else now
                return replace(found.asset, references=left, unused_since=unused)
            # Another reference came or went since the read: read again.

    def mend(self, key: AssetKey, names: Collection[str], *, dry_run: bool) -> Mended:
        """Make the entries of these references agree with the asset.  A dry run counts what it would change.

        A new entry has nothing but its name.  An asset that is being deleted gets none.
        """
        done = Mended()
        for some in batched(sorted(names), _AT_ONCE, strict=False):
            done += self._mend(key, some, dry_run=dry_run)
        return done

    def _mend(self, key: AssetKey, names: Collection[str], *, dry_run: bool) -> Mended:
        for _ in range(_TRIES):
            entered = self._uses(key.tenant, {key.id: names}).get(key.id, {})
            found = self.held(key.tenant, {key.id: ()}).get(key.id)
            held = found.asset.references if found else frozenset[str]()
            may_add = found is not None and found.asset.status is not Status.DELETING
            added = [name for name in names if may_add and name in held and name not in entered]
            removed = [name for name in names if name in entered and name not in held]
            if dry_run or not (added or removed) or self._agree(key, added, removed):
                return Mended(len(added), len(removed))
        raise AssetStateError(key.id)

    def _agree(self, key: AssetKey, added: Collection[str], removed: Collection[str]) -> bool:
        """Add and remove entries: False where the asset, or an entry to add, is no longer as it was read."""
        item, transaction = self._assets, self._transaction()
        holds = [item.references.contains(name) for name in added]
        lacks = [~item.references.contains(name) for name in removed]
        stays = [item.status != Status.DELETING] if added else []
        transaction.condition_check(
            item, key.tenant, key.id, condition=reduce(and_, [*stays, *holds, *lacks])
        )
        for name in added:
            transaction.save(self._item(key, Use(name)), condition=self._entries.tenant.does_not_exist())
        for name in removed:
            transaction.delete(self._entries(key.tenant, _entry(key.id, name)))
        return _committed(transaction)

    def _item(self, key: AssetKey, use: Use) -> ReferenceItem:
        return self._entries(
            key.tenant,
            _entry(key.id, use.reference),
            place=_place(key.id, use),
            position=use.position,
            role=use.role,
            alt=use.alt,
        )

    def _transaction(self) -> TransactWrite:
        return TransactWrite(connection=self._assets._get_connection().connection)


def _committed(transaction: TransactWrite) -> bool:
    """False where a condition does not hold."""
    for attempt in range(_TRIES):
        try:
            transaction._commit()
        except TransactWriteError as error:
            # No reason: it was not cancelled, but throttled, or its answer was lost.
            reasons = {reason.code for reason in error.cancellation_reasons if reason is not None}
            if not reasons or not reasons <= {_CONDITION, _CONFLICT}:
                raise
            if _CONDITION in reasons:
                return False
            if attempt + 1 == _TRIES:
                raise
        else:
            return True
    return False


def _entry(id_: AssetId, reference: str) -> str:
    return f"{id_}/{reference}"


def _place(id_: AssetId, use: Use) -> str:
    position = _LAST if use.position is None else f"{use.position:0{_DIGITS}}"
    return _END.join((use.reference, position, id_))


def _named(entry: ReferenceItem) -> tuple[AssetId, str]:
    id_, _, reference = str(entry.entry).partition("/")
    return AssetId(id_), reference


def _read(entry: ReferenceItem | _ByPlace) -> tuple[AssetId, Use]:
    id_, _, reference = str(entry.entry).partition("/")
    position = None if entry.position is None else int(entry.position)
    return AssetId(id_), Use(
        reference, position, cast("str | None", entry.role), cast("str | None", entry.alt)
    )


def _release(
    item: type[AssetItem], asset: Asset, reference: str, now: datetime
) -> tuple[list[Action], Condition]:
    """The write that removes one reference, on the condition that nothing it depends on has changed.

    The last one is removed in the write that sets `unused_since`: a crash between two writes would leave an
    asset that nobody uses and no purge finds.
    """
    holds = item.references.contains(reference)
    if len(asset.references) > 1 or asset.old_holds:
        return [item.references.delete({reference})], holds & (item.revision == asset.revision)
    if asset.sharers:
        return [item.references.remove()], (item.references == {reference}) & (item.holders > 0)
    return [item.references.remove(), item.unused_since.set(timestamp(now))], (
        (item.references == {reference}) & (item.holders.does_not_exist() | (item.holders == 0))
    )

"""The References table: one entry a reference of an image, and an index from references to images.

The asset's item decides whether anybody uses it.  A name enters or leaves it in one transaction with its
entry, so neither is there alone.  There are two exceptions: entries of an announcement that DynamoDB's TTL
removed, which find nothing, and references of before 2026-12, which have no entry until they are set again.
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
    TooManyReferencesError,
)
from catalog.domain.keys import AssetId, AssetKey, TenantId, tenant_id
from catalog.domain.lifecycle import RELEASE_REFERENCE, TAKE_REFERENCE
from catalog.domain.paging import InvalidCursorError, Page, PageRequest
from catalog.domain.references import MOST_POSITION, Held, Use

# A transaction takes 100 items (DynamoDB quotas): the asset and its entries.
_SET_AT_ONCE: Final = 99
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
        keys = [(tenant, _entry(id_, name)) for id_, names in wanted.items() for name in names]
        uses: dict[AssetId, dict[str, Use]] = {}
        for entry in self._entries.batch_get(keys, consistent_read=True):
            id_, use = _read(entry)
            uses.setdefault(id_, {})[use.reference] = use
        items = self._assets.batch_get([(tenant, id_) for id_ in wanted], consistent_read=True)
        assets = {AssetId(item.id): asset_of(item) for item in items}
        return {id_: Held(asset, uses.get(id_, {})) for id_, asset in assets.items()}

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

    def within(self, tenant: TenantId, prefix: str) -> Iterator[tuple[AssetId, Use]]:
        """The entries of the images whose ids begin so, by id: consistent reads, a page at a time."""
        between = self._entries.entry.between(prefix or "0", f"{prefix}g")
        return map(_read, self._entries.query(tenant, between, consistent_read=True))

    # --- Writing ----------------------------------------------------------------------------------------

    def take(
        self, key: AssetKey, uses: Sequence[Use], *, keep: bool = False, held: Held | None = None
    ) -> None:
        """Add references to an asset, each in one transaction with its entry: it is no longer unused.

        `keep`: what was said of a reference that it has stays.  Repeating this changes nothing.  `held` is
        what a read for these uses found.  Raises AssetNotFoundError; AssetStateError where the asset is
        rejected or being deleted; TooManyReferencesError.
        """
        for some in batched(uses, _SET_AT_ONCE, strict=False):
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
            if len(found.asset.references) + len(new) > MAX_REFERENCES:
                raise TooManyReferencesError(key.id)
            if self._write(found.asset, new, written):
                return
            held = None  # the asset changed since the read: read again
        raise AssetStateError(key.id)

    def _write(self, asset: Asset, new: Collection[str], uses: Iterable[Use]) -> bool:
        """Whether it was: False where the asset is no longer as it was read."""
        item, transaction = self._assets, self._transaction()
        if new:
            # Entries of groups that stand among the names do not count against the clients' limit.
            most = MAX_REFERENCES + len(asset.old_holds) - len(new)
            transaction.update(
                item(asset.tenant, asset.id),
                actions=[*effects(TAKE_REFERENCE), item.references.add(set(new)), item.revision.add(1)],
                condition=allowed(TAKE_REFERENCE)
                & (item.references.does_not_exist() | (size(item.references) <= most)),
            )
        else:
            held = (item.references.contains(use.reference) for use in uses)
            transaction.condition_check(
                item, asset.tenant, asset.id, condition=cast(Condition, reduce(and_, held))
            )
        for use in uses:
            transaction.save(self._item(asset.key, use))
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

    def forget(self, key: AssetKey, reference: str) -> None:
        """Remove the entry of a reference that the asset does not have; one that it has stays."""
        item, transaction = self._assets, self._transaction()
        transaction.condition_check(item, key.tenant, key.id, condition=~item.references.contains(reference))
        transaction.delete(self._entries(key.tenant, _entry(key.id, reference)))
        _committed(transaction)

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

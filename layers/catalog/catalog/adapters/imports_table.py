"""The Imported table: which foreign objects imports have seen, and what became of each."""

from collections.abc import Collection
from datetime import datetime
from typing import Final

from pynamodb.attributes import NumberAttribute, UnicodeAttribute, UnicodeSetAttribute
from pynamodb.exceptions import TransactWriteError
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from catalog.adapters.asset_items import AssetItem, allowed, microseconds
from catalog.adapters.tables import bind, timestamp
from catalog.domain.assets import AssetStateError
from catalog.domain.clock import Clock, utc_now
from catalog.domain.imports import Outcome, Seen, object_hash
from catalog.domain.keys import AssetId, AssetKey, TenantId
from catalog.domain.lifecycle import NOTE_DUPLICATE

# DynamoDB cancels a transaction that meets another over the same item; a retry succeeds.
_TRIES: Final = 8
_CONDITION: Final = "ConditionalCheckFailed"
_CONFLICT: Final = "TransactionConflict"


class _ImportedItem(Model):
    class Meta:
        table_name = ""

    tenant = UnicodeAttribute(hash_key=True)
    object = UnicodeAttribute(range_key=True)
    etag = UnicodeAttribute()
    size_bytes = NumberAttribute()
    id = UnicodeAttribute()
    outcome = UnicodeAttribute()
    by = UnicodeAttribute()
    references = UnicodeSetAttribute(null=True)
    seen_at = UnicodeAttribute()


class Imports:
    """The Imported table: one item per object, under the hash of its bucket and key."""

    def __init__(self, table_name: str, assets_table: str, *, clock: Clock = utc_now) -> None:
        self._model = bind(_ImportedItem, table_name)
        self._assets = bind(AssetItem, assets_table)
        self._clock = clock

    def many(self, tenant: TenantId, bucket: str, keys: Collection[str]) -> dict[str, Seen]:
        """The seen ones of these objects, by key.

        Reads are eventually consistent: an object that they miss is imported again, which is harmless.
        """
        hashes = {object_hash(bucket, key): key for key in keys}
        items = self._model.batch_get([(tenant, name) for name in hashes])
        return {hashes[item.object]: _seen(item) for item in items}

    def record(self, tenant: TenantId, bucket: str, key: str, seen: Seen) -> None:
        """Record the object as seen.  Repeating this changes nothing but the time."""
        self._item(tenant, bucket, key, seen).save()

    def record_duplicate(self, asset: AssetKey, bucket: str, key: str, seen: Seen, *, now: datetime) -> None:
        """Record the object as seen, and count a duplicate of the asset: both, or neither.

        An object with the same record is not counted again.  Raises AssetStateError if the asset is gone or
        being deleted.
        """
        item, assets = self._model, self._assets
        unseen = item.object.does_not_exist() | (item.etag != seen.etag) | (item.id != seen.id)
        transaction = TransactWrite(connection=item._get_connection().connection)
        transaction.update(
            assets(asset.tenant, asset.id),
            actions=[
                assets.duplicates.add(1),
                assets.announced_at.set(microseconds(now)),
                assets.revision.add(1),
            ],
            condition=allowed(NOTE_DUPLICATE),
        )
        transaction.save(self._item(asset.tenant, bucket, key, seen), condition=unseen)
        for attempt in range(_TRIES):
            try:
                transaction._commit()
            except TransactWriteError as error:
                reasons = [reason.code if reason else None for reason in error.cancellation_reasons]
                if reasons[1:] == [_CONDITION]:
                    return
                if not reasons or not set(reasons) <= {_CONDITION, _CONFLICT, None}:
                    raise
                if _CONDITION not in reasons and attempt + 1 < _TRIES:
                    continue
                raise AssetStateError(asset.id) from error
            else:
                return

    def _item(self, tenant: TenantId, bucket: str, key: str, seen: Seen) -> _ImportedItem:
        return self._model(
            tenant,
            object_hash(bucket, key),
            etag=seen.etag,
            size_bytes=seen.size_bytes,
            id=seen.id,
            outcome=seen.outcome,
            by=seen.by,
            references=set(seen.references) or None,
            seen_at=timestamp(self._clock()),
        )


def _seen(item: _ImportedItem) -> Seen:
    return Seen(
        etag=item.etag,
        size_bytes=int(item.size_bytes),
        id=AssetId(item.id),
        outcome=Outcome(item.outcome),
        by=item.by,
        references=frozenset(item.references or ()),
    )

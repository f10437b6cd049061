"""The Assets table: every change of an asset's state is one conditional write, or one transaction.

What an item holds is told in asset_items; AWS errors are translated here and nowhere above.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, cast

from pynamodb.exceptions import DeleteError, DoesNotExist, UpdateError
from pynamodb.expressions.condition import Condition, size
from pynamodb.expressions.update import Action

from catalog.adapters.asset_items import (
    AssetItem,
    asset_of,
    microseconds,
    stored_index,
    stored_rendition,
)
from catalog.adapters.pages import Cursors, moment
from catalog.adapters.tables import bind, timestamp
from catalog.domain.assets import (
    ADDRESSES_LAST,
    AWAITED_FOR,
    MAX_REFERENCES,
    REFERABLE,
    Asset,
    AssetNotFoundError,
    AssetStateError,
    Inspection,
    Rendition,
    Status,
    TooManyReferencesError,
)
from catalog.domain.fingerprints import Indexed
from catalog.domain.keys import AssetId, AssetKey, TenantId, asset_id, tenant_id
from catalog.domain.paging import Page, PageRequest
from catalog.domain.rejections import HEALING, Rejection
from catalog.domain.uploads import Announcement

# Items a status filter may look at for one page: 1,000 index entries of about 250 bytes, 31 read units.
_FILTERED_SCAN: Final = 1_000
_CURSORS: Final = Cursors(tenant=tenant_id, created_at=moment, id=asset_id)


class Assets:
    """The Assets table: one item an asset."""

    def __init__(self, table_name: str) -> None:
        self._model = bind(AssetItem, table_name)

    def get(self, key: AssetKey) -> Asset:
        """A consistent read.  Raises AssetNotFoundError."""
        try:
            return asset_of(self._model.get(key.tenant, key.id, consistent_read=True))
        except DoesNotExist as error:
            raise AssetNotFoundError(key.id) from error

    def find(self, key: AssetKey) -> Asset | None:
        """A consistent read; None where this tenant has no such asset."""
        try:
            return self.get(key)
        except AssetNotFoundError:
            return None

    def statuses(self, tenant: TenantId, *, most: int) -> dict[AssetId, Status]:
        """Up to `most` assets of the tenant, each with its status: a consistent read of so many items."""
        wanted = ["tenant", "id", "status"]
        items = self._model.query(tenant, consistent_read=True, limit=most, attributes_to_get=wanted)
        return {AssetId(item.id): Status(item.status) for item in items}

    def forget_announced(self, key: AssetKey) -> None:
        """Remove the record of an upload that never came; what has come meanwhile stays."""
        try:
            self._model(key.tenant, key.id).delete(
                condition=self._model.status == Status.AWAITING_UPLOAD.value
            )
        except DeleteError as error:
            if error.cause_response_code != "ConditionalCheckFailedException":
                raise

    def await_upload(
        self, key: AssetKey, announced: Announcement, *, correlation_id: str, known: bool, now: datetime
    ) -> None:
        """Record that these bytes are expected; `known` says whether the asset was there when last looked at.

        Raises AssetStateError where they have arrived already.
        """
        item = self._model
        self._write(
            key,
            [
                item.status.set(Status.AWAITING_UPLOAD),
                item.filename.set(announced.filename),
                item.content_type.set(announced.content_type),
                item.size_bytes.set(announced.size_bytes),
                item.correlation_id.set(correlation_id),
                item.updated_at.set(timestamp(now)),
                item.expires_at.set(int((now + AWAITED_FOR).timestamp())),
                item.rejection_code.remove(),
                item.rejection_detail.remove(),
            ],
            (item.status == Status.AWAITING_UPLOAD) | _healing(item),
            known=known,
            now=now,
        )

    def unused_from(self, key: AssetKey, now: datetime) -> None:
        """The time that an asset without references has been unused for begins at `now`.

        One with references is not unused.  Raises AssetStateError where a purge has begun to remove it.
        """
        item = self._model
        try:
            self._update(
                key,
                [item.unused_since.set(timestamp(now))],
                item.unused_since.exists() & (item.status != Status.DELETING),
            )
        except AssetStateError:
            asset = self.find(key)
            if asset and asset.status is Status.DELETING:
                raise

    def accept(self, key: AssetKey, inspection: Inspection, *, size_bytes: int, now: datetime) -> Asset:
        """Record a checked original as `processing`.  Raises AssetStateError where it is past that."""
        item = self._model
        source, hashes = inspection.source, inspection.hashes
        indexed = (
            item.indexed_as.remove()
            if inspection.near_blank
            else item.indexed_as.set(stored_index([inspection.fingerprint.indexed], hashes))
        )
        return self._write(
            key,
            [
                item.status.set(Status.PROCESSING),
                item.size_bytes.set(size_bytes),
                item.format.set(source.format),
                item.width.set(source.width),
                item.height.set(source.height),
                item.ahash64.set(hashes.ahash64),
                item.phash256.set(hashes.phash256),
                indexed,
                _if_absent(item.renditions, {}),
                item.updated_at.set(timestamp(now)),
                item.expires_at.remove(),
                item.rejection_code.remove(),
                item.rejection_detail.remove(),
            ],
            _unsettled(item),
            now=now,
        )

    def move_in_index(self, asset: Asset, indexed: Sequence[Indexed]) -> Asset:
        """Record what the index holds, or is about to hold, of an asset as it was read.

        Raises AssetStateError where that has changed, or a purge has begun to remove the asset.
        """
        if asset.hashes is None:
            raise AssetStateError(asset.id)
        item = self._model
        was, becomes = (stored_index(each, asset.hashes) for each in (asset.indexed_as, indexed))
        return self._update(
            asset.key,
            [item.indexed_as.set(becomes)],
            (item.indexed_as == was) & item.status.is_in(Status.PROCESSING, Status.READY),
        )

    def reject(self, key: AssetKey, rejection: Rejection, *, size_bytes: int, now: datetime) -> Asset:
        """Record why this original can never be an asset.  Raises AssetStateError where it is settled."""
        item = self._model
        return self._write(
            key,
            [
                item.status.set(Status.REJECTED),
                item.size_bytes.set(size_bytes),
                item.rejection_code.set(rejection.code),
                item.rejection_detail.set(rejection.detail),
                item.updated_at.set(timestamp(now)),
                item.expires_at.remove(),
            ],
            _unsettled(item),
            now=now,
        )

    def add_renditions(
        self, asset: Asset, renditions: Sequence[Rendition], *, complete: bool, now: datetime
    ) -> Asset:
        """Record stored renditions, in one write; others of the same asset may be recorded at this moment.

        Where they make it `complete`, and nothing has changed since it was read, the same write makes it
        `ready`.  Raises AssetStateError where the asset is gone, rejected or being deleted.
        """
        item = self._model
        recorded: list[Action] = [
            item.renditions[rendition.preset].set(stored_rendition(rendition, asset.key))
            for rendition in renditions
        ]
        recorded.append(item.updated_at.set(timestamp(now)))
        if complete:
            with suppress(AssetStateError):
                return self._update(
                    asset.key,
                    [*recorded, item.status.set(Status.READY)],
                    (item.status == Status.PROCESSING) & (item.revision == asset.revision),
                )
        return self._update(asset.key, recorded, item.status.is_in(Status.PROCESSING, Status.READY))

    def mark_ready(self, key: AssetKey, *, now: datetime) -> Asset:
        """`processing -> ready`.  Raises AssetStateError where it is not processing (any more)."""
        item = self._model
        return self._update(
            key,
            [item.status.set(Status.READY), item.updated_at.set(timestamp(now))],
            item.status == Status.PROCESSING,
        )

    def note_duplicate(self, key: AssetKey, *, now: datetime) -> Asset:
        """Count one upload that was not sent because these bytes are here, and when: no purge takes an asset
        that was announced again within its grace period.

        Raises AssetStateError where they are not, or not any more.
        """
        item = self._model
        return self._update(
            key,
            # No index carries the moment, so it costs nothing more: mark_deleting looks at it.
            [item.duplicates.add(1), item.announced_at.set(microseconds(now))],
            item.status.is_in(Status.PROCESSING, Status.READY, Status.REJECTED),
        )

    # --- References -------------------------------------------------------------------------------------

    def take_reference(self, key: AssetKey, reference: str) -> Asset:
        """Add a name to the asset's references, which ends its being unused.  Taken again, nothing changes.

        Raises AssetNotFoundError; AssetStateError where it is rejected or being deleted;
        TooManyReferencesError.
        """
        item = self._model
        holds = item.references.contains(reference)
        old_holds = 0
        while True:
            room = item.references.does_not_exist() | (size(item.references) < MAX_REFERENCES + old_holds)
            try:
                return self._update(
                    key,
                    [item.references.add({reference}), item.unused_since.remove()],
                    _referable(item) & ~holds & room,
                )
            except AssetStateError:
                asset = self.get(key)
                if reference in asset.references:
                    return asset
                if asset.status not in REFERABLE:
                    raise
                if len(asset.references) >= MAX_REFERENCES:
                    raise TooManyReferencesError(key.id) from None
                if len(asset.old_holds) == old_holds:
                    raise
                old_holds = len(asset.old_holds)  # they take no client's place

    def release_reference(self, key: AssetKey, reference: str, *, now: datetime) -> Asset:
        """Remove a name from the asset's references; with the last one the asset is unused from `now` on.

        Releasing it again changes nothing.  Raises AssetNotFoundError.
        """
        item = self._model
        while True:
            asset = self.get(key)
            if reference not in asset.references:
                return asset
            actions, condition = _release(item, asset, reference, now)
            try:
                return self._update(key, actions, condition)
            except AssetStateError:
                continue  # other references came or went between the read and the write: look again

    # --- Purge ------------------------------------------------------------------------------------------

    def unused(
        self, tenant: TenantId, *, before: datetime, after: tuple[str, str] | None, limit: int
    ) -> tuple[list[tuple[AssetId, Status, datetime]], tuple[str, str] | None]:
        """Assets unused since before a moment, longest first, from behind the position `after`.

        Reads `limit` index entries at most, and no asset.  Returns them and the next position, None at the
        end.
        """
        resume: dict[str, dict[str, Any]] | None = None
        if after is not None:
            resume = {"tenant": {"S": tenant}, "unused_since": {"S": after[0]}, "id": {"S": after[1]}}
        entries = self._model.by_unused_since.query(
            tenant,
            self._model.unused_since < timestamp(before),
            limit=limit,
            page_size=limit,
            last_evaluated_key=resume,
        )
        found = [
            (AssetId(entry.id), Status(entry.status), datetime.fromisoformat(entry.unused_since))
            for entry in entries
        ]
        last = entries.last_evaluated_key
        return found, (last["unused_since"]["S"], last["id"]["S"]) if last else None

    def many(
        self, tenant: TenantId, ids: Iterable[AssetId], *, consistent: bool = False
    ) -> dict[AssetId, Asset]:
        """The assets that exist of those named, read eventually consistent unless asked otherwise."""
        items = self._model.batch_get([(tenant, id_) for id_ in ids], consistent_read=consistent)
        return {AssetId(item.id): asset_of(item) for item in items}

    def ids(self, tenant: TenantId, *, after: AssetId | None = None) -> Iterator[AssetId]:
        """Every asset of a tenant in the order of the ids, read consistently: the operator's tools only, it
        costs a read of all.
        """
        behind = self._model.id > after if after else None
        for item in self._model.query(
            tenant, behind, consistent_read=True, attributes_to_get=["tenant", "id"]
        ):
            yield AssetId(item.id)

    def mark_deleting(
        self, key: AssetKey, *, status: Status, unused_before: datetime, run: str, now: datetime
    ) -> Asset:
        """Take the asset out of use for `run`, unless somebody has begun to use it since it was found.

        Raises AssetStateError where it has a reference, others show its renditions or have addresses of them
        that are still good, it was used or announced again after `unused_before`, has another status, or is
        gone.
        """
        item = self._model
        return self._update(
            key,
            [
                item.status.set(Status.DELETING),
                item.purge_run.set(run),
                item.updated_at.set(timestamp(now)),
                item.expires_at.remove(),
            ],
            item.references.does_not_exist()
            & (item.holders.does_not_exist() | (item.holders == 0))
            & (item.lent_at.does_not_exist() | (item.lent_at < microseconds(now - ADDRESSES_LAST)))
            & (item.unused_since < timestamp(unused_before))
            & (item.announced_at.does_not_exist() | (item.announced_at < microseconds(unused_before)))
            & (item.status == status),
        )

    def forget(self, key: AssetKey) -> None:
        """Remove the record of an asset that is being deleted; removing it again changes nothing."""
        item = self._model(key.tenant, key.id)
        try:
            item.delete(condition=self._model.status == Status.DELETING)
        except DeleteError as error:
            if error.cause_response_code != "ConditionalCheckFailedException":
                raise
            if self.find(key) is not None:
                raise AssetStateError(key.id) from error

    def page(self, tenant: TenantId, asked: PageRequest, *, status: Status | None = None) -> Page[Asset]:
        """The assets of a tenant, newest first.  Raises InvalidCursorError.

        With a `status`, one call looks at no more than 1,000 index entries, so a page may be short or empty
        while more follow.
        """
        looked_at = _FILTERED_SCAN if status else asked.limit
        index = self._model.by_created_at.query(
            tenant,
            limit=looked_at,
            page_size=looked_at,
            last_evaluated_key=_CURSORS.key(asked.cursor, tenant=tenant),
            scan_index_forward=False,
        )
        page = _CURSORS.page(
            index, asked.limit, wanted=lambda entry: status is None or entry.status == status
        )
        found = self.many(tenant, (AssetId(entry.id) for entry in page.entries))
        return page.map(lambda entry: found.get(AssetId(entry.id)))

    def _write(
        self,
        key: AssetKey,
        actions: Sequence[Action],
        condition: Condition,
        *,
        known: bool = True,
        now: datetime,
    ) -> Asset:
        """Update an asset that meets `condition`, or create it where there is none.

        `known`, which is tried first: a write that is refused costs as much as one that is not.  Only a new
        asset gets a time of creation, and is unused from then on: one that exists may be referenced.
        """
        item = self._model
        born = [item.created_at.set(timestamp(now)), item.unused_since.set(timestamp(now))]
        change = list(actions), item.id.exists() & condition
        creation = [*actions, *born], item.id.does_not_exist()
        # Changed again at last: somebody may have created it in between, or this very write did, whose answer
        # was lost and which the SDK sent again.
        for changes, met in (change, creation) if known else (creation,):
            with suppress(AssetStateError):
                return self._update(key, changes, met)
        return self._update(key, *change)

    def _update(self, key: AssetKey, actions: Iterable[Action], condition: Condition) -> Asset:
        item = self._model(key.tenant, key.id)
        try:
            # The revision orders the stream's records of an asset, whatever order they arrive in.
            item.update(actions=[*actions, self._model.revision.add(1)], condition=condition)
        except UpdateError as error:
            if error.cause_response_code == "ConditionalCheckFailedException":
                raise AssetStateError(key.id) from error
            raise
        return asset_of(item)


def _if_absent(attribute: Any, value: Any) -> Action:
    return cast(Action, attribute.set(attribute | value))


def _referable(item: type[AssetItem]) -> Condition:
    return cast(Condition, item.status.is_in(*REFERABLE))


def _healing(item: type[AssetItem]) -> Condition:
    return cast(Condition, (item.status == Status.REJECTED) & item.rejection_code.is_in(*HEALING))


def _unsettled(item: type[AssetItem]) -> Condition:
    return cast(Condition, item.status.is_in(Status.AWAITING_UPLOAD, Status.PROCESSING) | _healing(item))


def _release(
    item: type[AssetItem], asset: Asset, reference: str, now: datetime
) -> tuple[list[Action], Condition]:
    """What takes one of the asset's references away, if it is still as it was read in what matters.

    The last one goes in one write with the moment it leaves behind: between two, a crash could leave an
    asset without references that is never unused.
    """
    holds = item.references.contains(reference)
    if len(asset.references) > 1 or asset.old_holds:
        return [item.references.delete({reference})], holds & (item.revision == asset.revision)
    if asset.sharers:
        return [item.references.remove()], (item.references == {reference}) & (item.holders > 0)
    return [item.references.remove(), item.unused_since.set(timestamp(now))], (
        (item.references == {reference}) & (item.holders.does_not_exist() | (item.holders == 0))
    )

"""The Assets table: every change of an asset is one conditional write.

catalog.domain.lifecycle says from which states; asset_items says what an item holds; groups has the
transactions over two assets.  AWS errors are translated here and nowhere above.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, cast

from pynamodb.exceptions import DeleteError, DoesNotExist, PynamoDBException, UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from catalog.adapters.asset_items import (
    AssetItem,
    allowed,
    asset_of,
    effects,
    microseconds,
    stored_index,
    stored_rendition,
)
from catalog.adapters.pages import Cursors, moment
from catalog.adapters.tables import bind, is_refused, timestamp
from catalog.domain.assets import (
    ADDRESSES_LAST,
    AWAITED_FOR,
    Asset,
    AssetNotFoundError,
    AssetStateError,
    Inspection,
    Status,
)
from catalog.domain.fingerprints import Indexed
from catalog.domain.jobs import ends
from catalog.domain.keys import AssetId, AssetKey, TenantId, asset_id, tenant_id
from catalog.domain.lifecycle import (
    ACCEPT,
    ADD_RENDITIONS,
    AWAIT_UPLOAD,
    FORGET,
    FORGET_ANNOUNCED,
    MARK_DELETING,
    MARK_ERASING,
    MARK_READY,
    MOVE_IN_INDEX,
    NOTE_DUPLICATE,
    REJECT,
    REPLACE_RENDITIONS,
    UNUSED_FROM,
    Write,
)
from catalog.domain.paging import InvalidCursorError, Page, PageRequest
from catalog.domain.rejections import Rejection
from catalog.domain.renditions import Rendition
from catalog.domain.uploads import Announcement

# Items a status filter may look at for one page: 1,000 index entries of about 250 bytes, 31 read units.
_FILTERED_SCAN: Final = 1_000
_UNUSED_PAGE: Final = 500  # index entries a request reads for a purge
# Assets of a range read at once, 25 read units: the last of them may have changed when its turn comes.
_RANGE_PAGE: Final = 100
_SAMPLE: Final = 100  # ids: about 13 read units, and right within a third
_SAMPLED_DIGITS: Final = 12
_CURSORS: Final = Cursors(tenant=tenant_id, created_at=moment, id=asset_id)
_NAME_CURSORS: Final = Cursors(tenant=tenant_id, id=asset_id)


class Assets:
    """The Assets table: one item an asset."""

    def __init__(self, table_name: str) -> None:
        self._model = bind(AssetItem, table_name)

    def get(self, key: AssetKey, *, consistent: bool = True) -> Asset:
        """An inconsistent read costs half.  Raises AssetNotFoundError."""
        try:
            return asset_of(self._model.get(key.tenant, key.id, consistent_read=consistent))
        except DoesNotExist as error:
            raise AssetNotFoundError(key.id) from error

    def find(self, key: AssetKey, *, consistent: bool = True) -> Asset | None:
        """None where this tenant has no such asset.  An inconsistent read costs half."""
        try:
            return self.get(key, consistent=consistent)
        except AssetNotFoundError:
            return None

    def statuses(self, tenant: TenantId, *, most: int) -> dict[AssetId, Status]:
        """Up to `most` assets of the tenant with their statuses: a consistent read."""
        wanted = ["tenant", "id", "status"]
        items = self._model.query(tenant, consistent_read=True, limit=most, attributes_to_get=wanted)
        return {AssetId(item.id): Status(item.status) for item in items}

    def forget_announced(self, key: AssetKey) -> None:
        """Remove the record of an upload that never came.  One that came meanwhile stays."""
        with suppress(AssetStateError):
            self._delete(key, FORGET_ANNOUNCED)

    def await_upload(
        self,
        key: AssetKey,
        announced: Announcement,
        *,
        correlation_id: str,
        known: bool,
        now: datetime,
        references: Collection[str] = (),
    ) -> None:
        """Record that these bytes are expected; `known` says whether the last read found the asset.

        A new asset gets the references at once, which saves a write and the index of what is unused.  Raises
        AssetStateError where the bytes have arrived already.
        """
        item = self._model
        self._create_or_update(
            key,
            AWAIT_UPLOAD,
            [
                item.filename.set(announced.filename),
                item.content_type.set(announced.content_type),
                item.size_bytes.set(announced.size_bytes),
                item.correlation_id.set(correlation_id),
                item.updated_at.set(timestamp(now)),
                item.expires_at.set(int((now + AWAITED_FOR).timestamp())),
            ],
            known=known,
            now=now,
            references=references,
        )

    def unused_from(self, key: AssetKey, now: datetime) -> None:
        """Restart the time for which an asset without references has been unused.

        One with references is not unused.  Raises AssetStateError where a purge is deleting it.
        """
        item = self._model
        try:
            self._update(
                key, UNUSED_FROM, [item.unused_since.set(timestamp(now))], item.unused_since.exists()
            )
        except AssetStateError:
            asset = self.find(key)
            if asset and not UNUSED_FROM.allows(asset):
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
        return self._create_or_update(
            key,
            ACCEPT,
            [
                item.size_bytes.set(size_bytes),
                item.format.set(source.format),
                item.width.set(source.width),
                item.height.set(source.height),
                item.ahash64.set(hashes.ahash64),
                item.phash256.set(hashes.phash256),
                indexed,
                _if_absent(item.renditions, {}),
                item.updated_at.set(timestamp(now)),
            ],
            now=now,
        )

    def move_in_index(self, asset: Asset, indexed: Sequence[Indexed]) -> Asset:
        """Record what the index holds, or is about to hold, of an asset as it was read.

        Raises AssetStateError where that has changed, or a purge is deleting the asset.
        """
        if asset.hashes is None:
            raise AssetStateError(asset.id)
        item = self._model
        was, becomes = (stored_index(each, asset.hashes) for each in (asset.indexed_as, indexed))
        as_read = item.indexed_as == was if was else item.indexed_as.does_not_exist()
        return self._update(asset.key, MOVE_IN_INDEX, [item.indexed_as.set(becomes)], as_read)

    def reject(self, key: AssetKey, rejection: Rejection, *, size_bytes: int, now: datetime) -> Asset:
        """Record why this original can never be an asset.  Raises AssetStateError where it is finished."""
        return self._create_or_update(key, REJECT, self._rejection(rejection, size_bytes, now), now=now)

    def reject_unchanged(
        self, key: AssetKey, rejection: Rejection, *, size_bytes: int, seen: Asset | None, now: datetime
    ) -> Asset:
        """`reject`, unless the asset is no longer as `seen`: then it raises AssetStateError."""
        actions = self._rejection(rejection, size_bytes, now)
        if seen is None:
            return self._create(key, REJECT, actions, now=now)
        return self._update(key, REJECT, actions, self._model.revision == seen.revision)

    def _rejection(self, rejection: Rejection, size_bytes: int, now: datetime) -> list[Action]:
        item = self._model
        return [
            item.size_bytes.set(size_bytes),
            item.rejection_code.set(rejection.code),
            item.rejection_detail.set(rejection.detail),
            item.updated_at.set(timestamp(now)),
        ]

    def add_renditions(
        self, asset: Asset, renditions: Sequence[Rendition], *, complete: bool, now: datetime
    ) -> Asset:
        """Record stored renditions in one write, while others of the same asset may be recorded.

        `complete`: it lacks none with them.  The same write makes a `processing` asset `ready`, unless it has
        changed since it was read.  Raises AssetStateError where it is gone, rejected or being deleted.
        """
        item = self._model
        recorded: list[Action] = [
            item.renditions[rendition.preset].set(stored_rendition(rendition, asset.key))
            for rendition in renditions
        ]
        recorded.append(item.updated_at.set(timestamp(now)))
        if complete:
            with suppress(AssetStateError):
                return self._update(asset.key, MARK_READY, recorded, item.revision == asset.revision)
        return self._update(asset.key, ADD_RENDITIONS, recorded)

    def replace_renditions(
        self, asset: Asset, renditions: Mapping[str, Rendition], *, now: datetime
    ) -> Asset:
        """Show these renditions, by preset, in place of all others, in one write.

        Raises AssetStateError where the asset is not ready, or not as it was read.
        """
        item = self._model
        stored = {name: stored_rendition(each, asset.key) for name, each in renditions.items()}
        return self._update(
            asset.key,
            REPLACE_RENDITIONS,
            [item.renditions.set(stored), item.updated_at.set(timestamp(now))],
            item.revision == asset.revision,
        )

    def mark_ready(self, key: AssetKey, *, now: datetime) -> Asset:
        """`processing -> ready`.  Raises AssetStateError where it is not processing (any more)."""
        return self._update(key, MARK_READY, [self._model.updated_at.set(timestamp(now))])

    def note_duplicate(self, key: AssetKey, *, now: datetime) -> Asset:
        """Count one upload that was not sent because these bytes are here.

        No purge takes an asset within the grace period after it was announced again.  Raises AssetStateError
        where the bytes are not here, or not any more.
        """
        item = self._model
        # No index carries the moment, so it costs no more.
        return self._update(
            key, NOTE_DUPLICATE, [item.duplicates.add(1), item.announced_at.set(microseconds(now))]
        )

    # --- Ranges -----------------------------------------------------------------------------------------

    def within(self, tenant: TenantId, within: str, *, after: str | None = None) -> Iterator[Asset]:
        """The assets of a part (`within` as in Work), in the order of their ids, from behind `after` on.

        Read consistently, a page when the one before it is used up.
        """
        items = self._model.query(
            tenant, _in_range(self._model, within, after), consistent_read=True, page_size=_RANGE_PAGE
        )
        return map(asset_of, items)

    def ids_within(self, tenant: TenantId, within: str, *, after: str | None = None) -> Iterator[AssetId]:
        """Their ids.  It reads, and costs, as much as `within`."""
        items = self._model.query(
            tenant,
            _in_range(self._model, within, after),
            consistent_read=True,
            attributes_to_get=["tenant", "id"],
        )
        return (AssetId(item.id) for item in items)

    def estimated(self, tenant: TenantId) -> int:
        """About how many assets a tenant has, by how dense its first ids are; exact below 100."""
        ids = list(
            self._model.query(tenant, limit=_SAMPLE, page_size=_SAMPLE, attributes_to_get=["tenant", "id"])
        )
        if len(ids) < _SAMPLE:
            return len(ids)
        return _SAMPLE * 16**_SAMPLED_DIGITS // (int(ids[-1].id[:_SAMPLED_DIGITS], 16) + 1)

    # --- Purge ------------------------------------------------------------------------------------------

    def unused(self, tenant: TenantId, *, before: datetime) -> Iterator[tuple[AssetId, Status, datetime]]:
        """Assets unused since before a moment, longest first.  Reads index entries, a page at a time."""
        entries = self._model.by_unused_since.query(
            tenant, self._model.unused_since < timestamp(before), page_size=_UNUSED_PAGE
        )
        for entry in entries:
            yield AssetId(entry.id), Status(entry.status), datetime.fromisoformat(entry.unused_since)

    def many(
        self, tenant: TenantId, ids: Iterable[AssetId], *, consistent: bool = False
    ) -> dict[AssetId, Asset]:
        """The assets that exist of those named, read eventually consistent unless asked otherwise."""
        items = self._model.batch_get([(tenant, id_) for id_ in ids], consistent_read=consistent)
        return {AssetId(item.id): asset_of(item) for item in items}

    def named(self, tenant: TenantId, ids: Sequence[AssetId], cursor: str | None) -> Page[Asset]:
        """The assets that exist of those named, in this order: a consistent read of up to 100.

        A page that is cut continues after its last id.  Raises InvalidCursorError.
        """
        if cursor is not None and cursor not in ids:
            raise InvalidCursorError(cursor[:80])
        wanted = ids if cursor is None else ids[ids.index(AssetId(cursor)) + 1 :]
        found = self.many(tenant, wanted, consistent=True)
        return Page(tuple(wanted), tuple(wanted)).map(found.get)

    def ids(self, tenant: TenantId, *, after: AssetId | None = None) -> Iterator[AssetId]:
        """Every asset of a tenant by id, read consistently.  For the operator's tools: it reads them all."""
        return self.ids_within(tenant, "", after=after)

    def mark_deleting(
        self, key: AssetKey, *, status: Status, unused_before: datetime, run: str, now: datetime
    ) -> Asset:
        """Take the asset out of use for `run`, unless someone uses it again since the run found it.

        Raises AssetStateError where it is gone, has a reference or another status, was used or announced
        after `unused_before`, or where others show its renditions or hold valid addresses of them.
        """
        item = self._model
        return self._update(
            key,
            MARK_DELETING,
            [item.purge_run.set(run), item.updated_at.set(timestamp(now))],
            item.references.does_not_exist()
            & (item.holders.does_not_exist() | (item.holders == 0))
            & (item.lent_at.does_not_exist() | (item.lent_at < microseconds(now - ADDRESSES_LAST)))
            & (item.unused_since < timestamp(unused_before))
            & (item.announced_at.does_not_exist() | (item.announced_at < microseconds(unused_before)))
            & (item.status == status),
        )

    def mark_erasing(self, asset: Asset, *, job: str, now: datetime) -> Asset:
        """Take an image out of use for a job that erases it, whoever uses it, as long as none shares it.

        Raises AssetStateError where it has changed since it was read, or others show its renditions.
        """
        item = self._model
        return self._update(
            asset.key,
            MARK_ERASING,
            [item.purge_run.set(job), item.updated_at.set(timestamp(now))],
            (item.holders.does_not_exist() | (item.holders == 0)) & (item.revision == asset.revision),
        )

    def remove_all(self, keys: Iterable[AssetKey]) -> None:
        """Remove these records whatever they say: for a tenant that is being erased."""
        with self._model.batch_write() as batch:
            for key in keys:
                batch.delete(self._model(key.tenant, key.id))

    def forget(self, key: AssetKey) -> None:
        """Remove the record of an asset that is being deleted.  Repeating this changes nothing."""
        try:
            self._delete(key, FORGET)
        except AssetStateError:
            if self.find(key) is not None:
                raise

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

    def of_filename(self, tenant: TenantId, asked: PageRequest, filename: str) -> Page[Asset]:
        """The assets announced last under this name, by id.  Raises InvalidCursorError."""
        resume = _NAME_CURSORS.key(asked.cursor, tenant=tenant)
        entries = self._model.by_filename.query(
            tenant,
            self._model.filename == filename,
            limit=asked.limit,
            page_size=asked.limit,
            last_evaluated_key={**resume, "filename": {"S": filename}} if resume else None,
        )
        page = _NAME_CURSORS.page(entries, asked.limit)
        found = self.many(tenant, (AssetId(entry.id) for entry in page.entries), consistent=True)

        def still_so(entry: Any) -> Asset | None:
            asset = found.get(AssetId(entry.id))
            return asset if asset and asset.filename == filename else None

        return page.map(still_so)

    def _create_or_update(
        self,
        key: AssetKey,
        write: Write,
        actions: Sequence[Action],
        *,
        known: bool = True,
        now: datetime,
        references: Collection[str] = (),
    ) -> Asset:
        """Apply the write to the asset, or create it where there is none.

        `known`: try the update first, since a refused write costs as much as any.  Only a new asset gets a
        time of creation, and is unused from then on: one that exists may be referenced.
        """
        if known:
            with suppress(AssetStateError):
                return self._update(key, write, actions)
        with suppress(AssetStateError):
            return self._create(key, write, actions, now=now, references=references)
        # Created in between: by another writer, or by this very write, which the SDK sent twice.
        return self._update(key, write, actions)

    def _create(
        self,
        key: AssetKey,
        write: Write,
        actions: Iterable[Action],
        *,
        now: datetime,
        references: Collection[str] = (),
    ) -> Asset:
        item = self._model
        use = item.references.add(set(references)) if references else item.unused_since.set(timestamp(now))
        born = [item.created_at.set(timestamp(now)), use]
        return self._apply(key, [*effects(write), *actions, *born], item.id.does_not_exist())

    def _update(
        self, key: AssetKey, write: Write, actions: Iterable[Action], condition: Condition | None = None
    ) -> Asset:
        met = allowed(write) if condition is None else allowed(write) & condition
        return self._apply(key, [*effects(write), *actions], met)

    def _apply(self, key: AssetKey, actions: Iterable[Action], condition: Condition) -> Asset:
        item = self._model(key.tenant, key.id)
        try:
            # The revision orders the stream's records of an asset, whatever order they arrive in.
            item.update(actions=[*actions, self._model.revision.add(1)], condition=condition)
        except UpdateError as error:
            raise _refused(key, error) from error
        return asset_of(item)

    def _delete(self, key: AssetKey, write: Write) -> None:
        try:
            self._model(key.tenant, key.id).delete(condition=allowed(write))
        except DeleteError as error:
            raise _refused(key, error) from error


def _refused(key: AssetKey, error: PynamoDBException) -> Exception:
    """A failed condition is a fact of the domain; any other error is a fault."""
    if is_refused(error):
        return AssetStateError(key.id)
    return error


def _in_range(item: type[AssetItem], within: str, after: str | None) -> Condition:
    """Ids of a part, behind `after`: `!` sorts before any digit, `g` behind them all."""
    first, last = ends(within)
    return cast(Condition, item.id.between(f"{after}!" if after else first or "0", f"{last}g"))


def _if_absent(attribute: Any, value: Any) -> Action:
    return cast(Action, attribute.set(attribute | value))

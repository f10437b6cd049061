"""The Tenants table: one item a tenant, with its limits, its removal and this minute's count of uploads."""

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DeleteError, DoesNotExist, PutError, UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.models import Model

from catalog.adapters.pages import Cursors
from catalog.adapters.remembered import Remembered
from catalog.adapters.tables import bind, is_refused, timestamp
from catalog.domain.keys import TenantId, tenant_id
from catalog.domain.limits import Limits, TooManyUploadsError, minute_of, seconds_to_next_minute
from catalog.domain.paging import Page, PageRequest
from catalog.domain.tenants import (
    LATE_UPLOADS_END_AFTER,
    Tenant,
    TenantBeingRemovedError,
    TenantExistsError,
    TenantNotFoundError,
    TenantStatus,
    UnknownClientError,
    late_uploads_end_after,
)
from catalog.domain.uploads import TICKETS_LAST

_CURSORS: Final = Cursors(tenant=tenant_id)


class _TenantItem(Model):
    class Meta:
        table_name = ""

    tenant = UnicodeAttribute(hash_key=True)
    created_at = UnicodeAttribute()
    uploads_per_minute = NumberAttribute(null=True)
    stored_bytes = NumberAttribute(null=True)
    removing_since = UnicodeAttribute(null=True)
    erased_by = UnicodeAttribute(null=True)
    # Tickets given in one minute of the clock; the next minute overwrites them.
    upload_minute = NumberAttribute(null=True)
    uploads = NumberAttribute(null=True)


def _tenant(item: _TenantItem, late: timedelta = LATE_UPLOADS_END_AFTER) -> Tenant:
    return Tenant(
        id=TenantId(item.tenant),
        created_at=datetime.fromisoformat(item.created_at),
        limits=Limits(_whole(item.uploads_per_minute), _whole(item.stored_bytes)),
        removing_since=datetime.fromisoformat(item.removing_since) if item.removing_since else None,
        erased_by=item.erased_by,
        late_uploads_end_after=late,
    )


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)


class Tenants:
    """The Tenants table.  `tickets_last`: how long this deployment's presigned PUTs are valid."""

    def __init__(
        self,
        table_name: str,
        *,
        tickets_last: timedelta = TICKETS_LAST,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._model = bind(_TenantItem, table_name)
        self._late = late_uploads_end_after(tickets_last)
        self._limits_of = Remembered(self._read_limits, monotonic=monotonic)

    def limits_of(self, tenant: TenantId) -> Limits:
        """What the tenant may do, as of at most a minute ago.

        Raises UnknownClientError where it is being removed, or unknown.
        """
        return self._limits_of(tenant)

    def get(self, tenant: TenantId) -> Tenant:
        """A consistent read.  Raises TenantNotFoundError."""
        try:
            return _tenant(self._model.get(tenant, consistent_read=True), self._late)
        except DoesNotExist as error:
            raise TenantNotFoundError(tenant) from error

    def knows(self, tenant: TenantId) -> bool:
        """Whether there is such a tenant, or one being removed: a consistent read."""
        try:
            self.get(tenant)
        except TenantNotFoundError:
            return False
        return True

    def active(self, tenant: TenantId) -> Tenant:
        """A consistent read.  Raises TenantNotFoundError, TenantBeingRemovedError."""
        found = self.get(tenant)
        if found.status is TenantStatus.REMOVING:
            raise TenantBeingRemovedError(tenant)
        return found

    def page(self, asked: PageRequest) -> Page[Tenant]:
        """Tenants, in no useful order.  Raises InvalidCursorError."""
        items = self._model.scan(
            limit=asked.limit, page_size=asked.limit, last_evaluated_key=_CURSORS.key(asked.cursor)
        )
        return _CURSORS.page(items, asked.limit).map(lambda item: _tenant(item, self._late))

    def ids(self) -> Iterator[TenantId]:
        """Every tenant, also those being removed.  The table has one small item each."""
        for item in self._model.scan(attributes_to_get=["tenant"]):
            yield TenantId(item.tenant)

    def add(self, tenant: TenantId, limits: Limits, *, now: datetime) -> Tenant:
        """Record a new tenant.  Raises TenantExistsError."""
        item = self._model(
            tenant,
            created_at=timestamp(now),
            uploads_per_minute=limits.uploads_per_minute,
            stored_bytes=limits.stored_bytes,
        )
        try:
            item.save(condition=self._model.tenant.does_not_exist())
        except PutError as error:
            if not is_refused(error):
                raise
            if self.get(tenant) != _tenant(item, self._late):
                raise TenantExistsError(tenant) from error
            # Made at this very moment, by this very write: its answer was lost, and the SDK sent it again.
        return _tenant(item, self._late)

    def set_limits(self, tenant: TenantId, limits: Limits) -> Tenant:
        """Replace the limits; seen by every function within a minute.  Raises TenantNotFoundError."""
        item = self._model
        actions = [
            attribute.remove() if limit is None else attribute.set(limit)
            for attribute, limit in (
                (item.uploads_per_minute, limits.uploads_per_minute),
                (item.stored_bytes, limits.stored_bytes),
            )
        ]
        changed = self._update(tenant, actions, item.tenant.exists())
        if changed is None:
            raise TenantNotFoundError(tenant)
        return changed

    def mark_removing(self, tenant: TenantId, *, now: datetime) -> Tenant:
        """Refuse the tenant's uploads from now on.  Repeating this keeps the first time.

        Raises TenantNotFoundError.
        """
        item = self._model
        since = item.removing_since.set(item.removing_since | timestamp(now))
        marked = self._update(tenant, [since], item.tenant.exists())
        if marked is None:
            raise TenantNotFoundError(tenant)
        return marked

    def mark_erasing(self, tenant: TenantId, *, job: str, asked_at: datetime, now: datetime) -> Tenant:
        """`mark_removing`, by a job: from now on it alone erases the tenant, and nothing cancels that.

        Raises TenantNotFoundError, also where the tenant was made after the job was `asked_at`.
        """
        item = self._model
        actions = [item.removing_since.set(item.removing_since | timestamp(now)), item.erased_by.set(job)]
        marked = self._update(tenant, actions, item.created_at <= timestamp(asked_at))
        if marked is None:
            raise TenantNotFoundError(tenant)
        return marked

    def keep(self, tenant: Tenant) -> None:
        """Cancel this removal of the tenant, if it is being removed and nobody erases it."""
        if tenant.removing_since is not None:
            item = self._model
            since = item.removing_since == timestamp(tenant.removing_since)
            kept = since & item.erased_by.does_not_exist()
            self._update(tenant.id, [item.removing_since.remove()], kept)

    def forget(self, tenant: Tenant) -> None:
        """Remove the record of this removal; removing it again changes nothing.

        A tenant that was removed and created again since stays.
        """
        if tenant.removing_since is None:
            raise ValueError(f"{tenant.id} is not being removed")
        try:
            self._model(tenant.id).delete(
                condition=self._model.removing_since == timestamp(tenant.removing_since)
            )
        except DeleteError as error:
            if not is_refused(error):
                raise

    def count_upload(self, tenant: TenantId, limits: Limits, *, now: datetime) -> None:
        """Take one of this minute's uploads.  Raises TooManyUploadsError.

        One write, two in the first upload of a minute: a fixed window, so that around the turn of a minute
        twice the limit may pass.
        """
        if limits.uploads_per_minute is None:
            return
        item, minute = self._model, minute_of(now)
        add: tuple[list[Action], Condition] = (
            [item.uploads.add(1)],
            # `>=`: a clock that is behind counts in the minute that has begun.
            (item.upload_minute >= minute) & (item.uploads < limits.uploads_per_minute),
        )
        begin: tuple[list[Action], Condition] = (
            [item.upload_minute.set(minute), item.uploads.set(1)],
            item.tenant.exists() & (item.upload_minute.does_not_exist() | (item.upload_minute < minute)),
        )
        # Last, add once more: another call may have begun the minute in between.
        for actions, condition in (add, begin, add):
            if self._update(tenant, actions, condition) is not None:
                return
        raise TooManyUploadsError(seconds_to_next_minute(now))

    def _read_limits(self, tenant: TenantId) -> Limits:
        try:
            return self.active(tenant).limits
        except (TenantNotFoundError, TenantBeingRemovedError) as error:
            raise UnknownClientError(tenant) from error

    def _update(self, tenant: TenantId, actions: Iterable[Action], condition: Condition) -> Tenant | None:
        """The tenant after the change, None where the condition does not hold."""
        item = self._model(tenant)
        try:
            item.update(actions=list(actions), condition=condition)
        except UpdateError as error:
            if is_refused(error):
                return None
            raise
        return _tenant(item, self._late)

"""The PurgeRuns table: every purge, its candidates, who confirmed it, and its result."""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, cast

from pynamodb.attributes import (
    BinaryAttribute,
    BooleanAttribute,
    MapAttribute,
    NumberAttribute,
    UnicodeAttribute,
)
from pynamodb.exceptions import DoesNotExist, PutError, UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection
from pynamodb.models import Model

from catalog.adapters.pages import Cursors, matching
from catalog.adapters.tables import bind, is_refused, timestamp
from catalog.domain.keys import AssetId, TenantId, tenant_id
from catalog.domain.paging import Page, PageRequest
from catalog.domain.purge import (
    CLAIMED_FOR,
    RUNS_KEPT_FOR,
    Kept,
    PurgeRun,
    PurgeRunNotFoundError,
    RunAlreadyConfirmedError,
    RunClaimedError,
    RunSource,
    RunState,
    packed,
    unpacked,
)

# Unfinished runs a new one looks for: more than one is the exception.
_UNFINISHED: Final = 10
_CURSORS: Final = Cursors(tenant=tenant_id, run_id=matching("[0-9TZa-f-]{1,64}"))


class _ByRunningSince(GlobalSecondaryIndex["_PurgeRunItem"]):
    class Meta:
        index_name = "by_running_since"
        projection = KeysOnlyProjection()

    tenant = UnicodeAttribute(hash_key=True)
    running_since = UnicodeAttribute(range_key=True)
    run_id = UnicodeAttribute()


class _PurgeRunItem(Model):
    class Meta:
        table_name = ""

    tenant = UnicodeAttribute(hash_key=True)
    run_id = UnicodeAttribute(range_key=True)
    state = UnicodeAttribute()
    source = UnicodeAttribute()
    requested_by = UnicodeAttribute()
    as_of = UnicodeAttribute()
    older_than_seconds = NumberAttribute()
    candidates = BinaryAttribute(legacy_encoding=False)
    size_bytes = NumberAttribute()
    more = BooleanAttribute()
    position = NumberAttribute()
    taken = BinaryAttribute(legacy_encoding=False, null=True)
    deleted = NumberAttribute()
    kept: MapAttribute[str, Any] = MapAttribute()
    running_since = UnicodeAttribute(null=True)
    claimed_by = UnicodeAttribute(null=True)
    claimed_until = UnicodeAttribute(null=True)
    confirmed_at = UnicodeAttribute(null=True)
    completed_at = UnicodeAttribute(null=True)
    expires_at = NumberAttribute()

    by_running_since = _ByRunningSince()


def _run(item: _PurgeRunItem) -> PurgeRun:
    return PurgeRun(
        tenant=TenantId(item.tenant),
        id=item.run_id,
        state=RunState(item.state),
        source=RunSource(item.source),
        requested_by=item.requested_by,
        as_of=datetime.fromisoformat(item.as_of),
        older_than=timedelta(seconds=item.older_than_seconds),
        candidates=unpacked(item.candidates),
        size_bytes=int(item.size_bytes),
        more=item.more,
        position=int(item.position),
        taken=unpacked(item.taken) if item.taken else (),
        deleted=int(item.deleted),
        kept={AssetId(id_): Kept(reason) for id_, reason in item.kept.as_dict().items()},
        confirmed_at=datetime.fromisoformat(item.confirmed_at) if item.confirmed_at else None,
        completed_at=datetime.fromisoformat(item.completed_at) if item.completed_at else None,
    )


def run_in_stream(item: Mapping[str, Any]) -> PurgeRun:
    """The run of an item as the table's stream has it, in DynamoDB's own JSON: binary values are base64."""
    binary = {
        name: {"B": base64.b64decode(item[name]["B"])} for name in ("candidates", "taken") if name in item
    }
    return _run(_PurgeRunItem.from_raw_data({**item, **binary}))


class PurgeRuns:
    """The PurgeRuns table; run ids begin with their time, so they sort by it."""

    def __init__(self, table_name: str) -> None:
        self._model = bind(_PurgeRunItem, table_name)

    def record(self, run: PurgeRun) -> None:
        """Write a new run, proposed or (for the schedule) running already."""
        item = self._model(
            run.tenant,
            run.id,
            state=run.state,
            source=run.source,
            requested_by=run.requested_by,
            as_of=timestamp(run.as_of),
            older_than_seconds=run.older_than.total_seconds(),
            candidates=packed(run.candidates),
            size_bytes=run.size_bytes,
            more=run.more,
            position=run.position,
            deleted=run.deleted,
            kept={},
            running_since=timestamp(run.as_of) if run.state is RunState.RUNNING else None,
            confirmed_at=timestamp(run.confirmed_at) if run.confirmed_at else None,
            expires_at=int((run.as_of + RUNS_KEPT_FOR).timestamp()),
        )
        try:
            item.save(condition=self._model.run_id.does_not_exist())
        except PutError as error:
            # Nobody else writes a run of this id: its answer was lost, and the SDK sent it again.
            if not is_refused(error) or self.get(run.tenant, run.id) != run:
                raise

    def get(self, tenant: TenantId, run_id: str) -> PurgeRun:
        """A consistent read.  Raises PurgeRunNotFoundError."""
        try:
            return _run(self._item(tenant, run_id))
        except DoesNotExist as error:
            raise PurgeRunNotFoundError(run_id) from error

    def confirm(self, run: PurgeRun, *, now: datetime) -> PurgeRun:
        """`proposed -> running`, once.  Raises RunAlreadyConfirmedError."""
        item = self._model
        try:
            return self._update(
                run,
                [
                    item.state.set(RunState.RUNNING),
                    item.confirmed_at.set(timestamp(now)),
                    item.running_since.set(timestamp(now)),
                ],
                item.state == RunState.PROPOSED,
            )
        except UpdateError as error:
            if not is_refused(error):
                raise
            confirmed = self.get(run.tenant, run.id)
            if confirmed.confirmed_at != now:
                raise RunAlreadyConfirmedError(run.id) from error
            return confirmed  # by this very write: its answer was lost, and the SDK sent it again

    def claim(self, run: PurgeRun, *, worker: str, now: datetime) -> PurgeRun:
        """Reserve a running run for `worker` for CLAIMED_FOR.  Raises RunClaimedError."""
        item = self._model
        free = (
            item.claimed_until.does_not_exist()
            | (item.claimed_until < timestamp(now))
            | (item.claimed_by == worker)  # by this very write: its answer was lost
        )
        try:
            return self._update(
                run,
                [item.claimed_by.set(worker), item.claimed_until.set(timestamp(now + CLAIMED_FOR))],
                (item.state == RunState.RUNNING) & free,
            )
        except UpdateError as error:
            if is_refused(error):
                raise RunClaimedError(run.id) from error
            raise

    def release(self, run: PurgeRun, *, worker: str) -> None:
        """End the worker's claim, so that another can continue the run."""
        item = self._model
        try:
            self._update(
                run, [item.claimed_by.remove(), item.claimed_until.remove()], item.claimed_by == worker
            )
        except UpdateError as error:
            if not is_refused(error):  # released already
                raise

    def take(
        self, run: PurgeRun, *, worker: str, taken: Sequence[AssetId], kept: Mapping[AssetId, Kept]
    ) -> PurgeRun:
        """Record which of the next candidates this run has taken out of use, before it deletes any of them.

        Raises RunClaimedError where the run is no longer the worker's.
        """
        item = self._model
        actions: list[Action] = [item.taken.set(packed(taken)), item.kept.set(_reasons({**run.kept, **kept}))]
        try:
            return self._update(run, actions, _is_of(item, run, worker))
        except UpdateError as error:
            if is_refused(error):
                raise RunClaimedError(run.id) from error
            raise

    def advance(
        self,
        run: PurgeRun,
        *,
        worker: str,
        position: int,
        deleted: int,
        kept: Mapping[AssetId, Kept],
        now: datetime,
    ) -> PurgeRun:
        """Record what became of the candidates up to `position`; the last one completes the run.

        Raises RunClaimedError where the run is no longer the worker's.
        """
        item = self._model
        actions: list[Action] = [
            item.position.set(position),
            item.deleted.set(run.deleted + deleted),
            item.kept.set(_reasons({**run.kept, **kept})),
            item.taken.remove(),
        ]
        if position == len(run.candidates):
            actions += [
                item.state.set(RunState.COMPLETED),
                item.completed_at.set(timestamp(now)),
                item.running_since.remove(),
            ]
        try:
            return self._update(run, actions, _is_of(item, run, worker))
        except UpdateError as error:
            if not is_refused(error):
                raise
            left = self._item(run.tenant, run.id)
            if left.claimed_by != worker:
                raise RunClaimedError(run.id) from error
            return _run(left)  # by this very write: its answer was lost, and the SDK sent it again

    def unfinished(self, tenant: TenantId) -> list[PurgeRun]:
        """Runs that were confirmed and have not completed, longest-running first."""
        entries = self._model.by_running_since.query(tenant, limit=_UNFINISHED)
        runs = (self.get(tenant, entry.run_id) for entry in entries)
        return [run for run in runs if run.state is RunState.RUNNING]

    def page(self, tenant: TenantId, asked: PageRequest) -> Page[PurgeRun]:
        """The runs of a tenant, newest first.  Raises InvalidCursorError."""
        items = self._model.query(
            tenant,
            limit=asked.limit,
            page_size=asked.limit,
            last_evaluated_key=_CURSORS.key(asked.cursor, tenant=tenant),
            scan_index_forward=False,
        )
        return _CURSORS.page(items, asked.limit).map(_run)

    def _item(self, tenant: TenantId, run_id: str) -> _PurgeRunItem:
        return self._model.get(tenant, run_id, consistent_read=True)

    def _update(self, run: PurgeRun, actions: list[Action], condition: Condition) -> PurgeRun:
        item = self._model(run.tenant, run.id)
        item.update(actions=actions, condition=condition)
        return _run(item)


def _is_of(item: type[_PurgeRunItem], run: PurgeRun, worker: str) -> Condition:
    """The worker holds the claim, and the run's position is as it was read."""
    return cast(Condition, (item.claimed_by == worker) & (item.position == run.position))


def _reasons(kept: Mapping[AssetId, Kept]) -> dict[str, str]:
    return {str(id_): str(reason) for id_, reason in kept.items()}

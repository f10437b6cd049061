"""The Jobs table: a job's record, its parts and its failures, all under the job's id.

Workers only add to the record's counters, in one transaction with their part.  Planner and requests write
everything else, on condition that `turn` is as they read it.
"""

import hashlib
import json
import random
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, Final

from botocore.exceptions import ClientError
from pynamodb.attributes import UnicodeAttribute
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection
from pynamodb.models import Model

from catalog.adapters.pages import Cursors, matching, moment
from catalog.adapters.sdk import client, is_throttle
from catalog.adapters.tables import bind, timestamp
from catalog.domain.jobs import (
    ACTIVE,
    JOBS_KEPT_FOR,
    Done,
    FailedWork,
    Failure,
    IdempotencyKeyUsedError,
    Job,
    JobKind,
    JobMovedError,
    JobNotFoundError,
    JobState,
    Part,
    PartClaimedError,
    RequestKey,
    Stage,
    Tally,
    Work,
)
from catalog.domain.keys import AssetId, TenantId, tenant_id
from catalog.domain.paging import Page, PageRequest

ALL_TENANTS: Final = "*"  # no tenant's id

_REFUSED: Final = "ConditionalCheckFailedException"
_RECORD: Final = "job"
_PART: Final = "part#"
_FAILURE: Final = "failure#"
_GROUPS: Final = ("member#", "group#")  # catalog.adapters.job_groups
_LISTED: Final = "jobs"
_COUNT: Final = "count#"
# Tries of a write to a job's record.  All its workers write there, and DynamoDB refuses a write that meets
# another.  A hundred workers report 20 times a second, each in about 10 ms; a report waits at most 15 s.
_CONFLICTS: Final = 12
_CONFLICT: Final = "TransactionConflict"
_FAILURES_AT_ONCE: Final = 98  # a transaction's 100 items, less the part and the record
_TRACES_AT_ONCE: Final = 1_000  # a megabyte of failures, which one query reads
_JOB_ID: Final = matching("[0-9A-Za-z-]{1,64}")


class _Listed(GlobalSecondaryIndex["_Entry"]):
    """Keys of records, by the time of their request."""

    class Meta:
        projection = KeysOnlyProjection()

    created_at = UnicodeAttribute(range_key=True)


class _ByCreatedAt(_Listed):
    class Meta(_Listed.Meta):
        index_name = "by_created_at"

    listed = UnicodeAttribute(hash_key=True)


class _ByTenant(_Listed):
    class Meta(_Listed.Meta):
        index_name = "by_tenant"

    tenant = UnicodeAttribute(hash_key=True)


class _ByActive(_Listed):
    class Meta(_Listed.Meta):
        index_name = "by_active"

    active = UnicodeAttribute(hash_key=True)


class _Entry(Model):
    """The attributes of an item that lists need."""

    class Meta:
        table_name = ""

    job = UnicodeAttribute(hash_key=True)
    entry = UnicodeAttribute(range_key=True)
    listed = UnicodeAttribute(null=True)
    active = UnicodeAttribute(null=True)
    tenant = UnicodeAttribute(null=True)
    created_at = UnicodeAttribute(null=True)
    subject = UnicodeAttribute(null=True)
    code = UnicodeAttribute(null=True)
    detail = UnicodeAttribute(null=True)
    phase = UnicodeAttribute(null=True)

    by_created_at = _ByCreatedAt()
    by_tenant = _ByTenant()
    by_active = _ByActive()


_FAILURES: Final = Cursors(job=_JOB_ID, entry=matching(_FAILURE + "[0-9a-f/]{1,64}"))


def _cursors(attribute: str, check: Any) -> Cursors:
    return Cursors(job=_JOB_ID, entry=matching(_RECORD), created_at=moment, **{attribute: check})


_JOBS: Final = _cursors("listed", matching(_LISTED))
_JOBS_OF_TENANT: Final = _cursors("tenant", tenant_id)


class Jobs:
    """The Jobs table."""

    def __init__(self, table_name: str) -> None:
        self._table = table_name
        self._model = bind(_Entry, table_name)

    # --- The record -----------------------------------------------------------------------------------------

    def create(self, job: Job) -> bool:
        """Record a new job; False if another job has this id."""
        item = _key(job.id, _RECORD) | _fixed(job) | _changing(job)
        try:
            client("dynamodb").put_item(
                TableName=self._table, Item=item, ConditionExpression="attribute_not_exists(job)"
            )
        except ClientError as error:
            if not _is_refusal(error):
                raise
            # The same job: this write succeeded, but its answer was lost.
            return _fixed(self.get(job.id)) == _fixed(job)
        return True

    def get(self, job_id: str) -> Job:
        """A consistent read of one item.  Raises JobNotFoundError."""
        item = self._read(job_id, _RECORD)
        if item is None:
            raise JobNotFoundError(job_id)
        return _job(item)

    def promise(self, key: RequestKey, job_id: str, *, now: datetime) -> str:
        """Record that the job `job_id` answers this request, unless another was promised to; returns which.

        Raises IdempotencyKeyUsedError if the key came with another request.
        """
        item = _key(_promised(key), _RECORD) | {
            "request": {"S": key.request},
            "promised": {"S": job_id},
            "expires_at": {"N": str(int((now + JOBS_KEPT_FOR).timestamp()))},
        }
        try:
            client("dynamodb").put_item(
                TableName=self._table, Item=item, ConditionExpression="attribute_not_exists(job)"
            )
        except ClientError as error:
            if not _is_refusal(error):
                raise
            return self.promised(key) or job_id  # at its TTL it goes between the two
        return job_id

    def promised(self, key: RequestKey) -> str | None:
        """The job that answers this request; None if none was promised.  Raises IdempotencyKeyUsedError."""
        item = self._read(_promised(key), _RECORD)
        if item is None:
            return None
        if item["request"]["S"] != key.request:
            raise IdempotencyKeyUsedError(key.digest)
        return item["promised"]["S"]  # type: ignore[no-any-return]

    def knows(self, job_id: str) -> bool:
        """Whether there is such a job: a consistent read."""
        return self._read(job_id, _RECORD) is not None

    def save(self, read: Job, changed: Job, *, now: datetime) -> Job:
        """Replace the record, except the workers' counters.  Raises JobMovedError if it is not as `read`."""
        changed = replace(changed, turn=read.turn + 1, updated_at=now)
        new = _changing(changed)
        gone = [name for name in _changing(read) if name not in new]
        names = {f"#{at}": name for at, name in enumerate([*new, *gone])}
        values = {f":{at}": value for at, value in enumerate(new.values())}
        update = "SET " + ", ".join(f"#{at} = :{at}" for at in range(len(new)))
        if gone:
            update += " REMOVE " + ", ".join(f"#{len(new) + at}" for at in range(len(gone)))
        try:
            answer = _beside_reports(
                TableName=self._table,
                Key=_key(read.id, _RECORD),
                UpdateExpression=update,
                ConditionExpression="#turn = :read",
                ExpressionAttributeNames=names | {"#turn": "turn"},
                ExpressionAttributeValues=values | {":read": {"N": str(read.turn)}},
                ReturnValues="ALL_NEW",
            )
        except ClientError as error:
            if not _is_refusal(error):
                raise
            left = self.get(read.id)
            if _changing(replace(left, updated_at=now)) != new:
                raise JobMovedError(read.id) from error
            return left  # this write succeeded: its answer was lost, and the SDK sent it again
        return _job(answer["Attributes"])

    def attach(self, job_id: str, report: Mapping[str, Any]) -> None:
        """Put the report of the job's kind into the record, in place of an earlier one."""
        _beside_reports(
            TableName=self._table,
            Key=_key(job_id, _RECORD),
            UpdateExpression="SET #report = :report ADD #turn :one",
            ConditionExpression="attribute_exists(job)",
            ExpressionAttributeNames={"#report": "report", "#turn": "turn"},
            ExpressionAttributeValues={
                ":report": {"S": json.dumps(report, sort_keys=True)},
                ":one": {"N": "1"},
            },
        )

    def page(self, tenant: TenantId | None, asked: PageRequest) -> Page[Job]:
        """Jobs, newest first: those about this tenant alone; None: all.  Raises InvalidCursorError."""
        index, owner, cursors = (
            (self._model.by_tenant, {"tenant": tenant}, _JOBS_OF_TENANT)
            if tenant
            else (self._model.by_created_at, {"listed": _LISTED}, _JOBS)
        )
        (hash_key,) = owner.values()
        items = index.query(
            hash_key,
            limit=asked.limit,
            page_size=asked.limit,
            last_evaluated_key=cursors.key(asked.cursor, **owner),
            scan_index_forward=False,
        )
        page = cursors.page(items, asked.limit)
        found = {job.id: job for job in self._many([entry.job for entry in page.entries])}
        return page.map(lambda entry: found.get(entry.job))

    def active(self) -> Iterator[Job]:
        """The active jobs, oldest first, with one consistent read each."""
        for entry in self._model.by_active.query("yes"):
            job = self.get(entry.job)
            if job.state in ACTIVE:
                yield job

    # --- Parts ----------------------------------------------------------------------------------------------

    def begin(self, job: Job, part_id: str, *, resume_only: bool, now: datetime) -> Part:
        """Take the part over from its last worker.

        Raises PartClaimedError if it is complete, or, with `resume_only`, if no worker has begun it.
        """
        condition = "attribute_not_exists(completed)"
        if resume_only:
            condition += " AND attribute_exists(job)"
        try:
            answer = client("dynamodb").update_item(
                TableName=self._table,
                Key=_key(job.id, _PART + part_id),
                UpdateExpression="SET worker = :worker, begun_at = if_not_exists(begun_at, :now), "
                "expires_at = :expires ADD attempts :one, revision :one",
                ConditionExpression=condition,
                ExpressionAttributeValues={
                    ":worker": {"S": str(uuid.uuid4())},
                    ":now": {"S": timestamp(now)},
                    ":expires": {"N": _expiry(job)},
                    ":one": {"N": "1"},
                },
                ReturnValues="ALL_NEW",
            )
        except ClientError as error:
            if _is_refusal(error):
                raise PartClaimedError(part_id) from error
            raise
        return _part(answer["Attributes"])

    def take_in_hand(self, job: Job, part: Part, subject: str) -> Part:
        """Record that the worker is about to take this subject.  Raises PartClaimedError."""
        held = part.held + 1 if part.in_hand == subject else 1
        taken = replace(part, in_hand=subject, held=held, revision=part.revision + 1)
        values = {":subject": {"S": subject}, ":held": {"N": str(held)}}
        return self._write(job, part, taken, "SET in_hand = :subject, held = :held, revision = :next", values)

    def put_down(self, job: Job, part: Part) -> Part:
        """Record that the subject in hand raised a fault, and killed no worker.  Raises PartClaimedError."""
        faults = part.faults + 1 if part.suspect == part.in_hand else 1
        put_down = replace(
            part, in_hand=None, held=0, suspect=part.in_hand, faults=faults, revision=part.revision + 1
        )
        update = "SET suspect = in_hand, faults = :faults, revision = :next REMOVE in_hand, held"
        return self._write(job, part, put_down, update, {":faults": {"N": str(faults)}})

    def _write(
        self, job: Job, part: Part, wanted: Part, update: str, values: Mapping[str, dict[str, str]]
    ) -> Part:
        try:
            client("dynamodb").update_item(
                TableName=self._table,
                Key=_key(job.id, _PART + part.id),
                UpdateExpression=update,
                ConditionExpression="worker = :worker AND revision = :revision",
                ExpressionAttributeValues={**values, **_writer(part)},
            )
        except ClientError as error:
            if not _is_refusal(error):
                raise
            self._expect(job, wanted, error)
        return wanted

    def report(
        self,
        job: Job,
        part: Part,
        work: Work,
        done: Done,
        *,
        after: str | None,
        completed: bool = False,
        now: datetime,
    ) -> Part:
        """Report what was done up to `after`: in the part, the job and its failures, together or not at all.

        Raises PartClaimedError if another worker has the part.
        """
        reported = replace(
            part,
            after=after,
            in_hand=None,
            held=0,
            suspect=None,
            faults=0,
            attempts=0,
            completed=completed,
            revision=part.revision + 1,
        )
        failures = [_failure_item(job, part, work, failure) for failure in done.failures]
        # A transaction has no room for more than 98 failures.  Writing the rest again changes nothing.
        for item in failures[_FAILURES_AT_ONCE:]:
            client("dynamodb").put_item(TableName=self._table, Item=item)
        items = [
            {"Update": self._reporting(job, part, reported)},
            {"Update": self._counting(job, done.tally, now)},
            *({"Put": {"TableName": self._table, "Item": item}} for item in failures[:_FAILURES_AT_ONCE]),
        ]
        for attempt in range(_CONFLICTS):
            try:
                client("dynamodb").transact_write_items(TransactItems=items)
            except ClientError as error:
                reasons = [reason["Code"] for reason in error.response.get("CancellationReasons", [])]
                if reasons and reasons[0] == "ConditionalCheckFailed":
                    self._expect(job, reported, error)
                elif _CONFLICT in reasons and attempt < _CONFLICTS - 1:
                    _wait(attempt)
                    continue
                else:
                    raise
            break
        return reported

    def throttled(self, fault: BaseException) -> bool:
        """Whether AWS asked the worker to slow down."""
        return is_throttle(fault)

    def completed_parts(self, job: Job, step: int) -> set[str]:
        """The parts of a step that are completed, read consistently."""
        return {part.id for part in self._parts(job, step) if part.completed}

    def begun_parts(self, job: Job, step: int) -> set[str]:
        """The parts of a step that were begun and are not completed, read consistently."""
        return {part.id for part in self._parts(job, step) if not part.completed}

    # --- Failures -------------------------------------------------------------------------------------------

    def failures(self, job_id: str, asked: PageRequest) -> Page[FailedWork]:
        """The failures of a job.  Raises InvalidCursorError."""
        items = self._model.query(
            job_id,
            self._model.entry.startswith(_FAILURE),
            limit=asked.limit,
            page_size=asked.limit,
            last_evaluated_key=_FAILURES.key(asked.cursor, job=job_id),
            consistent_read=True,
        )
        return _FAILURES.page(items, asked.limit).map(
            lambda item: FailedWork(
                Failure(item.subject, item.code, item.detail), TenantId(item.tenant), item.phase
            )
        )

    # --- Erasures -------------------------------------------------------------------------------------------

    def of_tenant(self, tenant: TenantId) -> Iterator[Job]:
        """Every job about the tenant or about all of them, by id: a read each."""
        owners = (tenant, ALL_TENANTS)
        for job_id in sorted({entry.job for owner in owners for entry in self._model.by_tenant.query(owner)}):
            with suppress(JobNotFoundError):  # its 400 days ended at this moment
                yield self.get(job_id)

    def traces(
        self, job: Job, tenant: TenantId, *, image: AssetId | None = None, after: str | None = None
    ) -> Iterator[tuple[str, list[str]]]:
        """Pages of the entries of a job that name images of a tenant, or one image, and names to go on after.

        Those are failures, groups that a dry run found, and the parts of a job of that tenant alone.  A page
        has 1,000 entries at most, and none where that many name others.
        """
        failures = {"tenant": str(tenant)} | ({"subject": str(image)} if image else {})
        kinds = [(_FAILURE, failures), *((f"{kind}{tenant}#", {}) for kind in sorted(_GROUPS))]
        if image is None and job.tenant == tenant:
            kinds.append((_PART, {}))
        for beginning, having in kinds:
            begun = after is not None and after.startswith(beginning)
            if after is not None and after > beginning and not begun:
                continue
            for name, entries in self._pages(job.id, beginning, having, after if begun else None):
                yield name, [entry for entry in entries if having or image is None or image in entry]

    def forget_entries(self, job: Job, entries: Iterable[str]) -> None:
        """Delete these.  Repeating it is harmless."""
        with self._model.batch_write() as batch:
            for entry in entries:
                batch.delete(self._model(job.id, entry))

    def _pages(
        self, job_id: str, beginning: str, having: Mapping[str, str], after: str | None
    ) -> Iterator[tuple[str, list[str]]]:
        wanted = " AND ".join(f"#{name} = :{name}" for name in having)
        asked = {
            "TableName": self._table,
            "KeyConditionExpression": "job = :job AND begins_with(#entry, :beginning)",
            "ProjectionExpression": "#entry",
            "ExpressionAttributeNames": {"#entry": "entry"} | {f"#{name}": name for name in having},
            "ExpressionAttributeValues": {":job": {"S": job_id}, ":beginning": {"S": beginning}}
            | {f":{name}": {"S": value} for name, value in having.items()},
            "Limit": _TRACES_AT_ONCE,
            "ConsistentRead": True,
            **({"FilterExpression": wanted} if wanted else {}),
        }
        key = _key(job_id, after) if after is not None else None
        while True:
            answer = client("dynamodb").query(**asked, **({"ExclusiveStartKey": key} if key else {}))
            entries, key = [item["entry"]["S"] for item in answer["Items"]], answer.get("LastEvaluatedKey")
            if entries or key:
                yield (key["entry"]["S"] if key else entries[-1]), entries
            if key is None:
                return

    # --------------------------------------------------------------------------------------------------------

    def _read(self, job_id: str, entry: str) -> dict[str, Any] | None:
        item: dict[str, Any] | None = (
            client("dynamodb")
            .get_item(TableName=self._table, Key=_key(job_id, entry), ConsistentRead=True)
            .get("Item")
        )
        return item

    def _many(self, job_ids: Iterable[str]) -> Iterator[Job]:
        keys = [_key(job_id, _RECORD) for job_id in job_ids]
        asked: dict[str, Any] = {self._table: {"Keys": keys}} if keys else {}
        while asked:
            answer = client("dynamodb").batch_get_item(RequestItems=asked)
            yield from map(_job, answer["Responses"].get(self._table, []))
            asked = answer.get("UnprocessedKeys", {})

    def _parts(self, job: Job, step: int) -> Iterator[Part]:
        pages = (
            client("dynamodb")
            .get_paginator("query")
            .paginate(
                TableName=self._table,
                KeyConditionExpression="job = :job AND begins_with(#entry, :step)",
                ExpressionAttributeNames={"#entry": "entry"},
                ExpressionAttributeValues={":job": {"S": job.id}, ":step": {"S": f"{_PART}{step:06d}/"}},
                ConsistentRead=True,
            )
        )
        for page in pages:
            yield from map(_part, page["Items"])

    def _expect(self, job: Job, wanted: Part, error: ClientError) -> None:
        """Raise PartClaimedError unless this worker's write succeeded and only its answer was lost."""
        item = self._read(job.id, _PART + wanted.id)
        left = _part(item) if item else None
        if left is None or (left.worker, left.revision) != (wanted.worker, wanted.revision):
            raise PartClaimedError(wanted.id) from error

    def _reporting(self, job: Job, part: Part, reported: Part) -> dict[str, Any]:
        update, values = "SET attempts = :zero, revision = :next", _writer(part) | {":zero": {"N": "0"}}
        if reported.after is not None:
            update, values = update + ", #after = :after", values | {":after": {"S": reported.after}}
        if reported.completed:
            update, values = update + ", completed = :true", values | {":true": {"BOOL": True}}
        names = {"#after": "after"} if reported.after is not None else {}
        return {
            "TableName": self._table,
            "Key": _key(job.id, _PART + part.id),
            "UpdateExpression": update + " REMOVE in_hand, held, suspect, faults",
            "ConditionExpression": "worker = :worker AND revision = :revision",
            "ExpressionAttributeValues": values,
            **({"ExpressionAttributeNames": names} if names else {}),
        }

    def _counting(self, job: Job, tally: Tally, now: datetime) -> dict[str, Any]:
        counts = {_COUNT + name: number for name, number in tally.counts.items()}
        numbers = {
            "done": tally.done,
            "skipped": tally.skipped,
            "failed": tally.failed,
            "reports": 1,
            **{name: number for name, number in counts.items() if number},
        }
        return {
            "TableName": self._table,
            "Key": _key(job.id, _RECORD),
            "UpdateExpression": "SET updated_at = :now ADD "
            + ", ".join(f"#{at} :{at}" for at in range(len(numbers))),
            "ConditionExpression": "attribute_exists(job)",
            "ExpressionAttributeNames": {f"#{at}": name for at, name in enumerate(numbers)},
            "ExpressionAttributeValues": {":now": {"S": timestamp(now)}}
            | {f":{at}": {"N": str(number)} for at, number in enumerate(numbers.values())},
        }


def _beside_reports(**update: Any) -> Any:
    """Update a job's record, and try again if the update meets a worker's report."""
    for attempt in range(_CONFLICTS):
        try:
            return client("dynamodb").update_item(**update)
        except ClientError as error:
            if error.response["Error"]["Code"] != f"{_CONFLICT}Exception" or attempt == _CONFLICTS - 1:
                raise
            _wait(attempt)
    raise AssertionError("the last attempt answers or raises")


def _wait(attempt: int) -> None:
    """Wait longer each time, at most 2 s, and randomly: two writes that met rarely meet again."""
    time.sleep(random.uniform(0.5, 1) * min(2, 0.05 * 2**attempt))  # noqa: S311 - no secret


def _is_refusal(error: ClientError) -> bool:
    return bool(error.response["Error"]["Code"] == _REFUSED)


def _key(job_id: str, entry: str) -> dict[str, Any]:
    return {"job": {"S": job_id}, "entry": {"S": entry}}


def _promised(key: RequestKey) -> str:
    """No job's id: it has a character that those lack."""
    return f"key#{key.digest}"


def _writer(part: Part) -> dict[str, Any]:
    """The values of a condition that only the part's worker meets, and once per revision."""
    return {
        ":worker": {"S": part.worker},
        ":revision": {"N": str(part.revision)},
        ":next": {"N": str(part.revision + 1)},
    }


def _expiry(job: Job) -> str:
    return str(int((job.created_at + JOBS_KEPT_FOR).timestamp()))


def _fixed(job: Job) -> dict[str, Any]:
    """The attributes that never change."""
    return {
        "listed": {"S": _LISTED},
        "kind": {"S": job.kind},
        "tenant": {"S": job.tenant or ALL_TENANTS},
        "dry_run": {"BOOL": job.dry_run},
        "options": {"S": json.dumps(job.options, sort_keys=True)},
        "requested_by": {"S": job.requested_by},
        "created_at": {"S": timestamp(job.created_at)},
        "expires_at": {"N": _expiry(job)},
        **({"retry_of": {"S": job.retry_of}} if job.retry_of else {}),
    }


def _changing(job: Job) -> dict[str, Any]:
    """The attributes that planner and requests write, without those that are None."""
    stage = asdict(job.stage)
    del stage["reports"]
    until = job.stage.waiting_until
    texts = {
        "position": job.position,
        "reason": job.reason,
        "active": "yes" if job.state in ACTIVE else None,
        "ended_at": timestamp(job.ended_at) if job.ended_at else None,
        "updated_at": timestamp(job.updated_at or job.created_at),
        "active_since": timestamp(job.active_since) if job.active_since else None,
        "report": None if job.report is None else json.dumps(job.report, sort_keys=True),
        "stage": json.dumps(stage | {"waiting_until": timestamp(until) if until else None}),
        "state": str(job.state),
    }
    numbers = {
        "step": job.step,
        "attempt": job.attempt,
        "expected": job.expected,
        "concurrency": job.concurrency,
        "active_seconds": round(job.active_seconds, 3),
        "turn": job.turn,
    }
    return {name: {"S": text} for name, text in texts.items() if text is not None} | {
        name: {"N": str(number)} for name, number in numbers.items()
    }


def _text(item: Mapping[str, Any], name: str) -> str | None:
    return item[name]["S"] if name in item else None


def _number(item: Mapping[str, Any], name: str) -> int:
    return int(item[name]["N"]) if name in item else 0


def _moment(item: Mapping[str, Any], name: str) -> datetime | None:
    return datetime.fromisoformat(item[name]["S"]) if name in item else None


def _job(item: Mapping[str, Any]) -> Job:
    tenant = item["tenant"]["S"]
    report = _text(item, "report")
    return Job(
        id=item["job"]["S"],
        kind=JobKind(item["kind"]["S"]),
        tenant=None if tenant == ALL_TENANTS else TenantId(tenant),
        dry_run=item["dry_run"]["BOOL"],
        options=json.loads(item["options"]["S"]),
        state=JobState(item["state"]["S"]),
        requested_by=item["requested_by"]["S"],
        created_at=datetime.fromisoformat(item["created_at"]["S"]),
        concurrency=_number(item, "concurrency"),
        position=_text(item, "position"),
        step=_number(item, "step"),
        attempt=_number(item, "attempt"),
        expected=_number(item, "expected"),
        tally=_tally(item),
        updated_at=_moment(item, "updated_at"),
        ended_at=_moment(item, "ended_at"),
        reason=_text(item, "reason"),
        retry_of=_text(item, "retry_of"),
        stage=_stage(item),
        active_since=_moment(item, "active_since"),
        active_seconds=float(item["active_seconds"]["N"]),
        report=None if report is None else json.loads(report),
        turn=_number(item, "turn"),
    )


def _stage(item: Mapping[str, Any]) -> Stage:
    told = json.loads(item["stage"]["S"])
    until = told.pop("waiting_until")
    return Stage(
        **told,
        waiting_until=datetime.fromisoformat(until) if until else None,
        reports=_number(item, "reports"),
    )


def _tally(item: Mapping[str, Any]) -> Tally:
    counts = {name.removeprefix(_COUNT): _number(item, name) for name in item if name.startswith(_COUNT)}
    done, skipped, failed = (_number(item, name) for name in ("done", "skipped", "failed"))
    return Tally(done, skipped, failed, dict(sorted(counts.items())))


def _part(item: Mapping[str, Any]) -> Part:
    return Part(
        id=item["entry"]["S"].removeprefix(_PART),
        attempts=_number(item, "attempts"),
        worker=item["worker"]["S"],
        after=_text(item, "after"),
        in_hand=_text(item, "in_hand"),
        held=_number(item, "held"),
        suspect=_text(item, "suspect"),
        faults=_number(item, "faults"),
        completed="completed" in item,
        revision=_number(item, "revision"),
    )


def _failure_item(job: Job, part: Part, work: Work, failure: Failure) -> dict[str, Any]:
    subject = hashlib.sha256(failure.subject.encode()).hexdigest()[
        :16
    ]  # an object's key may fill a whole one
    return _key(job.id, f"{_FAILURE}{part.id}/{subject}") | {
        "tenant": {"S": work.tenant},
        "phase": {"S": work.phase},
        "subject": {"S": failure.subject},
        "code": {"S": failure.code},
        "detail": {"S": failure.detail},
        "expires_at": {"N": _expiry(job)},
    }

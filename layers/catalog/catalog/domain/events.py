"""Events, derived from a record before and after a change.

One change always gives the same events with the same ids, so a receiver can recognise a second delivery.
docs/events.md is the contract.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final, TypedDict

from catalog.domain.assets import Asset, Status
from catalog.domain.jobs import Job, JobKind, JobState
from catalog.domain.keys import AssetId, AssetKey, TenantId
from catalog.domain.purge import PurgeRun, RunSource, RunState
from catalog.domain.rejections import RejectionCode
from catalog.domain.renditions import Rendition
from catalog.domain.sources import SourceFormat
from catalog.domain.webhooks import Webhook


class EventRefusedError(Exception):
    """The bus did not take an event; a later try sends it again."""


_IDS: Final = uuid.uuid5(uuid.NAMESPACE_URL, "catalog.images")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """`event_id` is the same each time an event is delivered; `correlation_id` is that of the upload."""

    type: ClassVar[str]

    event_id: str
    tenant: TenantId | None
    correlation_id: str | None
    occurred_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageReady(Event):
    """A rendition of every preset exists.  `width` x `height` in pixels, of the upright original."""

    type: ClassVar[str] = "image.ready"

    id: AssetId
    filename: str | None
    size_bytes: int
    format: SourceFormat | None
    width: int | None
    height: int | None
    renditions: Sequence[Rendition]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRejected(Event):
    """These bytes can never be an asset."""

    type: ClassVar[str] = "image.rejected"

    id: AssetId
    filename: str | None
    size_bytes: int
    code: RejectionCode
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDuplicate(Event):
    """Stored bytes were announced again and not sent; `duplicates` counts how often so far."""

    type: ClassVar[str] = "image.duplicate"

    id: AssetId
    status: Status
    size_bytes: int
    duplicates: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDeleted(Event):
    """A purge removed the asset: its renditions, its original and its record."""

    type: ClassVar[str] = "image.deleted"

    id: AssetId
    filename: str | None
    size_bytes: int
    purge_run: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeCompleted(Event):
    """A purge has dealt with all its candidates: `deleted` are gone, `kept` came into use meanwhile."""

    type: ClassVar[str] = "purge.completed"

    run_id: str
    source: RunSource
    candidates: int
    deleted: int
    kept: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEvent(Event):
    """A catalog job has ended.  `tenant` is null where it was about all of them.

    `done`, `skipped` and `failed` count images; `counts` are the kind's own.
    """

    job_id: str
    kind: JobKind
    dry_run: bool
    done: int
    skipped: int
    failed: int
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCompleted(JobEvent):
    """A job has dealt with every image; `failed` of them could not be helped."""

    type: ClassVar[str] = "job.completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFailed(JobEvent):
    """A job cannot go on; it can be resumed."""

    type: ClassVar[str] = "job.failed"

    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookDisabled(Event):
    """Nothing is sent to a webhook any more: none of `failures` attempts since `failing_since` succeeded."""

    type: ClassVar[str] = "webhook.disabled"

    webhook: str
    failures: int
    failing_since: datetime | None


EVENTS: Final[tuple[type[Event], ...]] = (
    ImageReady,
    ImageRejected,
    ImageDuplicate,
    ImageDeleted,
    PurgeCompleted,
    JobCompleted,
    JobFailed,
    WebhookDisabled,
)


@dataclass(frozen=True, slots=True)
class AssetChange:
    """One change of one asset's record: `before` None where it is new, `after` None where it is gone."""

    before: Asset | None
    after: Asset | None
    at: datetime

    @property
    def asset(self) -> Asset:
        """The asset after the change, or before it where it was deleted."""
        asset = self.after or self.before
        assert asset is not None, "a change of nothing"  # noqa: S101  a record that never was cannot change
        return asset

    @property
    def key(self) -> AssetKey:
        return self.asset.key

    def events(self) -> tuple[Event, ...]:
        before, after = self.before, self.after
        if after is None:
            return (_deleted(self.asset, self.at),) if self.asset.status is Status.DELETING else ()
        events: list[Event] = []
        was = before.status if before else None
        if after.status is Status.READY and was is not Status.READY:
            events.append(_ready(after, self.at))
        if after.status is Status.REJECTED and was is not Status.REJECTED:
            events.append(_rejected(after, self.at))
        if after.duplicates > (before.duplicates if before else 0):
            events.append(_duplicate(after, self.at))
        return tuple(events)


@dataclass(frozen=True, slots=True)
class RunChange:
    """One change of the record of a purge run."""

    before: PurgeRun | None
    after: PurgeRun | None

    def events(self) -> tuple[Event, ...]:
        before, after = self.before, self.after
        completed = after is not None and after.state is RunState.COMPLETED
        if after is None or not completed or (before and before.state is RunState.COMPLETED):
            return ()
        return (
            PurgeCompleted(
                event_id=_event_id(PurgeCompleted, after.tenant, after.id),
                tenant=after.tenant,
                correlation_id=None,
                occurred_at=after.completed_at or after.as_of,
                run_id=after.id,
                source=after.source,
                candidates=len(after.candidates),
                deleted=after.deleted,
                kept=len(after.kept),
            ),
        )


def job_event(job: Job) -> JobEvent:
    """What is told of a job that has completed or failed; an attempt at a job ends once."""
    kind = JobFailed if job.state is JobState.FAILED else JobCompleted
    told: _OfJob = {
        "event_id": _event_id(kind, job.id, job.attempt),
        "tenant": job.tenant,
        "correlation_id": None,
        "occurred_at": job.ended_at or job.created_at,
        "job_id": job.id,
        "kind": job.kind,
        "dry_run": job.dry_run,
        "done": job.tally.done,
        "skipped": job.tally.skipped,
        "failed": job.tally.failed,
        "counts": dict(job.tally.counts),
    }
    if kind is JobFailed:
        return JobFailed(**told, reason=job.reason)
    return JobCompleted(**told)


def webhook_disabled(webhook: Webhook) -> WebhookDisabled:
    """What is told of a webhook that its receiver's failures disabled."""
    at = webhook.disabled_at or webhook.updated_at
    return WebhookDisabled(
        event_id=_event_id(WebhookDisabled, webhook.id, at.isoformat()),
        tenant=webhook.tenant,
        correlation_id=None,
        occurred_at=at,
        webhook=webhook.name,
        failures=webhook.failures,
        failing_since=webhook.failing_since,
    )


class _OfJob(TypedDict):
    event_id: str
    tenant: TenantId | None
    correlation_id: str | None
    occurred_at: datetime
    job_id: str
    kind: JobKind
    dry_run: bool
    done: int
    skipped: int
    failed: int
    counts: Mapping[str, int]


def _event_id(kind: type[Event], *what: object) -> str:
    return str(uuid.uuid5(_IDS, "/".join(map(str, (kind.type, *what)))))


class _OfImage(TypedDict):
    event_id: str
    tenant: TenantId | None
    correlation_id: str | None
    occurred_at: datetime
    id: AssetId
    size_bytes: int


def _of_image(kind: type[Event], asset: Asset, at: datetime) -> _OfImage:
    """What every event about an image tells."""
    return {
        # An asset's revision happens once in each of its lives.
        "event_id": _event_id(kind, asset.tenant, asset.id, asset.created_at.isoformat(), asset.revision),
        "tenant": asset.tenant,
        "correlation_id": asset.correlation_id,
        "occurred_at": at,
        "id": asset.id,
        "size_bytes": asset.size_bytes,
    }


def _ready(asset: Asset, at: datetime) -> ImageReady:
    source = asset.source
    return ImageReady(
        **_of_image(ImageReady, asset, at),
        filename=asset.filename,
        format=source.format if source else None,
        width=source.width if source else None,
        height=source.height if source else None,
        renditions=sorted(asset.renditions.values(), key=lambda stored: (stored.width, stored.preset)),
    )


def _rejected(asset: Asset, at: datetime) -> ImageRejected:
    rejection = asset.rejection
    assert rejection is not None, "a rejected asset has its reason"  # noqa: S101  written in one update
    return ImageRejected(
        **_of_image(ImageRejected, asset, at),
        filename=asset.filename,
        code=rejection.code,
        detail=rejection.detail,
    )


def _duplicate(asset: Asset, at: datetime) -> ImageDuplicate:
    return ImageDuplicate(
        **_of_image(ImageDuplicate, asset, at),
        status=asset.status,
        duplicates=asset.duplicates,
    )


def _deleted(asset: Asset, at: datetime) -> ImageDeleted:
    return ImageDeleted(
        **_of_image(ImageDeleted, asset, at),
        filename=asset.filename,
        purge_run=asset.purge_run,
    )

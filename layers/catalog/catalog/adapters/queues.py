"""The queues: sending jobs, and reading them from messages."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, timedelta
from itertools import batched
from typing import Final

from catalog.adapters.sdk import client
from catalog.domain.assets import RenderJob
from catalog.domain.hops import next_hop
from catalog.domain.keys import AssetKey, asset_id, tenant_id
from catalog.domain.purge import PurgeJob
from catalog.domain.webhooks import Delivery, Published

_BATCH: Final = 10  # messages SendMessageBatch takes


class JobsNotSentError(Exception):
    """SQS refused some of a batch; the caller's event is retried and sends what is still missing."""


class UploadsQueue:
    """Carries S3's notifications of originals that arrived."""

    def __init__(self, url: str) -> None:
        self._url = url

    def notify(self, key: AssetKey) -> None:
        """Send the notification of an original once more.  Without an object ingest ignores it."""
        body = json.dumps({"Records": [{"s3": {"object": {"key": key.original}}}]})
        client("sqs").send_message(QueueUrl=self._url, MessageBody=body)


class RenderQueue:
    """Sends render jobs."""

    def __init__(self, url: str) -> None:
        self._url = url

    def send(
        self, jobs: Iterable[RenderJob], *, delay: timedelta = timedelta(0), after: RenderJob | None = None
    ) -> None:
        """Delivered after `delay` (15 minutes at most); `after` is the job that causes them, if one does.

        Raises JobsNotSentError where any was refused, ChainTooLongError.
        """
        seconds = int(delay.total_seconds())
        hops = next_hop(after.hops) if after else 0
        for batch in batched(jobs, _BATCH, strict=False):
            entries = [
                {"Id": str(index), "MessageBody": _message(job, hops), "DelaySeconds": seconds}
                for index, job in enumerate(batch)
            ]
            answer = client("sqs").send_message_batch(QueueUrl=self._url, Entries=entries)
            if refused := answer.get("Failed"):
                raise JobsNotSentError(", ".join(sorted({failure["Code"] for failure in refused})))


class PurgeQueue:
    """Sends what a purge has left to do."""

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, job: PurgeJob, *, delay: timedelta = timedelta(0)) -> None:
        """Send one message, delivered after `delay` (15 minutes at most).  A second delivery finds no
        work.
        """
        body = json.dumps({"tenant": job.tenant, "run_id": job.run_id, "hops": job.hops})
        seconds = int(delay.total_seconds())
        client("sqs").send_message(QueueUrl=self._url, MessageBody=body, DelaySeconds=seconds)


def purge_job(message: str) -> PurgeJob:
    """The job in a message's body.  Raises ValueError or KeyError for anything this queue never carries."""
    body = json.loads(message)
    return PurgeJob(tenant_id(body["tenant"]), body["run_id"], int(body.get("hops", 0)))


class WebhooksQueue:
    """Carries deliveries to webhooks, and what EventBridge sends of every event.

    `dead_letters` is where a delivery goes that nobody accepted for a day.
    """

    def __init__(self, url: str, *, dead_letters: str = "") -> None:
        self._url = url
        self._dead_letters = dead_letters

    def send(self, delivery: Delivery, *, delay: timedelta = timedelta(0)) -> None:
        """Delivered after `delay`, 15 minutes at most."""
        seconds = int(delay.total_seconds())
        client("sqs").send_message(
            QueueUrl=self._url, MessageBody=_delivery_message(delivery), DelaySeconds=seconds
        )

    def bury(self, delivery: Delivery) -> None:
        """Send it to the dead letters."""
        client("sqs").send_message(QueueUrl=self._dead_letters, MessageBody=_delivery_message(delivery))


def webhook_message(message: str) -> Delivery | Published:
    """A delivery, or an event as EventBridge wraps it.

    Raises ValueError, KeyError or TypeError for anything this queue never carries.
    """
    body = json.loads(message)
    if not isinstance(body, dict):
        raise TypeError("no JSON object")
    if "detail-type" in body:
        return Published(body["detail-type"], dict(body["detail"]))
    moments = {name: datetime.fromisoformat(body[name]) for name in ("since", "not_before") if body.get(name)}
    return Delivery(**{**body, "tenant": tenant_id(body["tenant"]), **moments})


def _delivery_message(delivery: Delivery) -> str:
    return json.dumps(asdict(delivery), default=datetime.isoformat)


def _message(job: RenderJob, hops: int) -> str:
    return json.dumps(
        {
            "tenant": job.tenant,
            "id": job.id,
            "presets": list(job.presets),
            "correlation_id": job.correlation_id,
            "hops": hops,
            **({} if job.members is None else {"members": job.members}),
            **({} if job.decided_with is None else {"decided_with": job.decided_with}),
        }
    )


def render_job(message: str) -> RenderJob:
    """The job in a message's body.  Raises ValueError or KeyError for anything this queue never carries."""
    body = json.loads(message)
    return RenderJob(
        tenant_id(body["tenant"]),
        asset_id(body["id"]),
        tuple(body["presets"]),
        body.get("correlation_id"),
        int(body.get("hops", 0)),
        body.get("members"),
        asset_id(body["decided_with"]) if "decided_with" in body else None,
    )

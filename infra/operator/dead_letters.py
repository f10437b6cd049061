"""See why messages died, and send them back.

    python -m infra.operator.dead_letters list    --stack catalog-images [--queue render ...] [--limit 100]
    python -m infra.operator.dead_letters redrive --stack catalog-images [--queue render ...] [--dry-run]
    python -m infra.operator.dead_letters discard --stack catalog-images --message <message_id> ...

Prints one JSON object a letter.  `list` removes no letter.  `redrive` sends each letter back and then deletes
it: if interrupted in between, the message is handled twice, which changes nothing.  Stream records stay: run
a recount, then `discard` them.  Needs the operator's AWS credentials (or AWS_ENDPOINT_URL, for the embedded
stack).
"""

import argparse
import json
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import batched
from operator import attrgetter
from typing import Any, Final
from urllib.parse import unquote_plus

from botocore.exceptions import BotoCoreError, ClientError

from catalog.adapters.assets_table import Assets
from catalog.adapters.queues import purge_job, render_job, webhook_message
from catalog.adapters.sdk import client
from catalog.domain.assets import Asset, Status
from catalog.domain.keys import AssetKey
from catalog.domain.webhooks import Published
from infra.operator.tenants import stack_outputs

# Longer than one call takes; letters that are left become visible at its end.
_HIDDEN_SECONDS: Final = 120
_WAIT_SECONDS: Final = 1  # at least 1 asks all of SQS's servers, 0 a sample of them
_BATCH: Final = 10  # messages SQS gives at once
_DAILY_PURGE: Final = {"purge": "daily"}  # the schedule's input in template.yaml
_LOG_PAGES: Final = 10
_REASON_LENGTH: Final = 300


class DailyPurgeFailedError(Exception):
    """The purge failed again; its letter stays."""


class Kind(StrEnum):
    """What a letter asks for."""

    UPLOAD = "upload"
    RENDER_JOB = "render job"
    PURGE_JOB = "purge job"
    DAILY_PURGE = "daily purge"  # EventBridge Scheduler could not start it, or the function failed
    WEBHOOK_DELIVERY = "webhook delivery"
    EVENT = "event"  # EventBridge could not enqueue it, or no webhook of its tenant could be told
    STREAM_RECORDS = "stream records"  # the stream's position, not the records
    UNREADABLE = "unreadable"


_FROM_A_QUEUE: Final = frozenset({Kind.UPLOAD, Kind.RENDER_JOB, Kind.PURGE_JOB})
_REDRIVEN: Final = _FROM_A_QUEUE | {Kind.DAILY_PURGE, Kind.WEBHOOK_DELIVERY, Kind.EVENT}


@dataclass(frozen=True, slots=True)
class DeadLetterQueue:
    """A dead-letter queue.  `source` is the output with its source queue's URL; `function` reads that."""

    name: str
    output: str
    source: str | None
    function: str


QUEUES: Final = (
    DeadLetterQueue("uploads", "UploadsDeadLetterQueueUrl", "UploadsQueueUrl", "ingest"),
    DeadLetterQueue("render", "RenderDeadLetterQueueUrl", "RenderQueueUrl", "render"),
    DeadLetterQueue("purge", "PurgeDeadLetterQueueUrl", "PurgeQueueUrl", "purge_worker"),
    DeadLetterQueue("webhooks", "WebhooksDeadLetterQueueUrl", "WebhooksQueueUrl", "webhook_delivery"),
    DeadLetterQueue("usage", "UsageDeadLetterQueueUrl", None, "usage"),
)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A received letter.  `sent_at` is when its message was first sent; `facts` are what its body says.

    SQS counts every receive, ours too; `tries` are the deliveries that failed in the function, if known.
    """

    queue: DeadLetterQueue
    message_id: str
    receipt: str
    body: str
    attributes: Mapping[str, Any]
    sent_at: datetime
    tries: int | None
    kind: Kind
    facts: Mapping[str, Any]
    assets: tuple[AssetKey, ...] = ()
    error: str | None = None


def letter_of(queue: DeadLetterQueue, message: Mapping[str, Any], *, max_tries: int | None) -> DeadLetter:
    """Read a message from SQS; one that cannot be read is UNREADABLE.

    `max_tries` is the source queue's maxReceiveCount.
    """
    attributes = message.get("MessageAttributes", {})
    try:
        kind, facts, assets = _read(queue, message["Body"], attributes)
    except (ValueError, KeyError, TypeError):
        kind, facts, assets = Kind.UNREADABLE, {}, ()
    error = None
    if kind is Kind.DAILY_PURGE:
        error = facts.get("error") or attributes.get("ERROR_MESSAGE", attributes.get("ERROR_CODE", {})).get(
            "StringValue"
        )
    elif kind is Kind.STREAM_RECORDS:
        error = facts["condition"]
    system = message["Attributes"]
    return DeadLetter(
        queue=queue,
        message_id=message["MessageId"],
        receipt=message["ReceiptHandle"],
        body=message["Body"],
        attributes=attributes,
        sent_at=datetime.fromtimestamp(int(system["SentTimestamp"]) / 1000, UTC),
        tries=facts.get("invoked", max_tries if kind in _FROM_A_QUEUE else None),
        kind=kind,
        facts=facts,
        assets=assets,
        error=error,
    )


def _read(
    queue: DeadLetterQueue, body: str, attributes: Mapping[str, Any]
) -> tuple[Kind, Mapping[str, Any], tuple[AssetKey, ...]]:
    """Raises ValueError, KeyError or TypeError for a message that this queue never carries."""
    match queue.name:
        case "uploads":
            keys = [unquote_plus(event["s3"]["object"]["key"]) for event in json.loads(body)["Records"]]
            return Kind.UPLOAD, {}, tuple(map(AssetKey.of_original, keys))
        case "render":
            job = render_job(body)
            facts = {"presets": list(job.presets), "correlation_id": job.correlation_id}
            return Kind.RENDER_JOB, facts, (AssetKey(job.tenant, job.id),)
        case "purge":
            return _purge(body, attributes)
        case "webhooks":
            return _webhook(body)
        case _:
            envelope = json.loads(body)
            batch = envelope["DDBStreamBatchInfo"]
            facts = {
                "condition": envelope["requestContext"]["condition"],
                "invoked": envelope["requestContext"]["approximateInvokeCount"],
                "table": batch["streamArn"].split("/")[1],
                "records": batch["batchSize"],
                "from": batch["startSequenceNumber"],
                "to": batch["endSequenceNumber"],
            }
            return Kind.STREAM_RECORDS, facts, ()


def _purge(body: str, attributes: Mapping[str, Any]) -> tuple[Kind, Mapping[str, Any], tuple[AssetKey, ...]]:
    if "SCHEDULE_ARN" in attributes or json.loads(body) == _DAILY_PURGE:
        return Kind.DAILY_PURGE, {}, ()
    if "requestPayload" in json.loads(body):
        return _failed_call(json.loads(body))
    purge = purge_job(body)
    return Kind.PURGE_JOB, {"tenant": purge.tenant, "run_id": purge.run_id}, ()


def _webhook(body: str) -> tuple[Kind, Mapping[str, Any], tuple[AssetKey, ...]]:
    message = webhook_message(body)
    if isinstance(message, Published):
        return Kind.EVENT, {"tenant": message.tenant, "event_id": message.detail["event_id"]}, ()
    facts = {"tenant": message.tenant, "webhook": message.webhook, "event_id": message.event_id}
    return Kind.WEBHOOK_DELIVERY, facts, ()


def _failed_call(envelope: Mapping[str, Any]) -> tuple[Kind, Mapping[str, Any], tuple[AssetKey, ...]]:
    """Read what Lambda sends to the on-failure destination of an asynchronous call.

    docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html.  Raises ValueError, KeyError.
    """
    if envelope["requestPayload"] != _DAILY_PURGE:
        raise ValueError("a call that is not the schedule's")
    context, answer = envelope["requestContext"], envelope.get("responsePayload") or {}
    error = ": ".join(str(answer[word]) for word in ("errorType", "errorMessage") if answer.get(word))
    facts = {
        "condition": context["condition"],
        "invoked": context["approximateInvokeCount"],
        **({"error": error[:_REASON_LENGTH]} if error else {}),
    }
    return Kind.DAILY_PURGE, facts, ()


class _Received:
    """Up to `limit` letters of a queue, each once; hidden from everyone else until deleted or released."""

    def __init__(self, queue: DeadLetterQueue, url: str, limit: int, *, max_tries: int | None) -> None:
        self._queue, self._url, self._limit, self._max_tries = queue, url, limit, max_tries
        self._held: dict[str, DeadLetter] = {}

    def __iter__(self) -> Iterator[DeadLetter]:
        seen: set[str] = set()
        while left := self._limit - len(seen):
            answer = client("sqs").receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=min(_BATCH, left),
                VisibilityTimeout=_HIDDEN_SECONDS,
                WaitTimeSeconds=_WAIT_SECONDS,
                AttributeNames=["All"],
                MessageAttributeNames=["All"],
            )
            letters = [
                letter_of(self._queue, message, max_tries=self._max_tries)
                for message in answer.get("Messages", [])
            ]
            self._held |= {letter.message_id: letter for letter in letters}
            fresh = [letter for letter in letters if letter.message_id not in seen]
            if not fresh:
                return
            seen.update(letter.message_id for letter in fresh)
            yield from fresh

    def delete(self, letter: DeadLetter) -> None:
        held = self._held.pop(letter.message_id)
        client("sqs").delete_message(QueueUrl=self._url, ReceiptHandle=held.receipt)

    def release(self) -> None:
        """Make the letters that are left visible at once."""
        for letters in batched(self._held.values(), _BATCH, strict=False):
            entries = [
                {"Id": str(index), "ReceiptHandle": letter.receipt, "VisibilityTimeout": 0}
                for index, letter in enumerate(letters)
            ]
            client("sqs").change_message_visibility_batch(QueueUrl=self._url, Entries=entries)


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """The dead letters of a deployment: the stack of that name with these outputs."""

    stack: str
    outputs: Mapping[str, str]

    def list(self, queue: DeadLetterQueue, *, limit: int) -> Iterator[dict[str, Any]]:
        """Describe up to `limit` letters and why they failed; all of them stay."""
        with self._received(queue, limit=limit) as letters:
            for letter in letters:
                yield self._description(letter)

    def redrive(self, queue: DeadLetterQueue, *, limit: int, dry_run: bool) -> Iterator[dict[str, Any]]:
        """Send up to `limit` letters back, one by one, and delete each after it is sent."""
        with self._received(queue, limit=limit) as letters:
            for letter in letters:
                if letter.kind not in _REDRIVEN:
                    yield {**self._description(letter), "redriven": False}
                    continue
                if not dry_run:
                    self._send_back(letter)
                    letters.delete(letter)
                yield {**_identity(letter), "redriven": not dry_run}

    def discard(
        self, queue: DeadLetterQueue, message_ids: Collection[str], *, limit: int
    ) -> Iterator[dict[str, Any]]:
        """Delete named letters that cannot be sent back; others are never deleted."""
        with self._received(queue, limit=limit) as letters:
            for letter in letters:
                if letter.message_id not in message_ids:
                    continue
                if letter.kind not in _REDRIVEN:
                    letters.delete(letter)
                yield {**_identity(letter), "discarded": letter.kind not in _REDRIVEN}

    @contextmanager
    def _received(self, queue: DeadLetterQueue, *, limit: int) -> Iterator["_Received"]:
        letters = _Received(queue, self.outputs[queue.output], limit, max_tries=self._max_tries(queue))
        try:
            yield letters
        finally:
            letters.release()

    def _max_tries(self, queue: DeadLetterQueue) -> int | None:
        """The source queue's maxReceiveCount; None without a source queue."""
        if queue.source is None:
            return None
        answer = client("sqs").get_queue_attributes(
            QueueUrl=self.outputs[queue.source], AttributeNames=["RedrivePolicy"]
        )
        policy = answer.get("Attributes", {}).get("RedrivePolicy")
        return int(json.loads(policy)["maxReceiveCount"]) if policy else None

    # --- what becomes of them ---------------------------------------------------------------------------

    def _send_back(self, letter: DeadLetter) -> None:
        """Raises DailyPurgeFailedError."""
        if letter.kind is Kind.DAILY_PURGE:
            answer = client("lambda").invoke(
                FunctionName=self.outputs["PurgeStarterFunction"], Payload=json.dumps(_DAILY_PURGE)
            )
            if "FunctionError" in answer:
                raise DailyPurgeFailedError(answer["FunctionError"])
        elif letter.queue.source:
            client("sqs").send_message(
                QueueUrl=self.outputs[letter.queue.source],
                MessageBody=letter.body,
                MessageAttributes=dict(letter.attributes),
            )

    # --- what they mean ---------------------------------------------------------------------------------

    def _description(self, letter: DeadLetter) -> dict[str, Any]:
        table = Assets(self.outputs["AssetsTable"])
        assets = {key: table.find(key) for key in letter.assets}
        return {
            **_identity(letter),
            "assets": [_state(key, asset) for key, asset in assets.items()],
            "reason": self._reason(letter, assets.values()),
        }

    def _reason(self, letter: DeadLetter, assets: Collection[Asset | None]) -> str:
        if letter.kind is Kind.STREAM_RECORDS:
            return (
                f"{letter.error}: counters may be wrong and events untold; start a job of the kind recount"
                " for every tenant (docs/operations.md, Counters), then discard this letter"
            )
        if letter.kind is Kind.UNREADABLE:
            return "no message of this pipeline; look at it in the queue, then discard it"
        if assets and all(asset and asset.status in {Status.READY, Status.REJECTED} for asset in assets):
            return "nothing is left to do: the asset is ready or rejected"
        if letter.kind is Kind.RENDER_JOB and not any(assets):
            return "nothing is left to do: the asset is gone"
        if letter.kind is Kind.WEBHOOK_DELIVERY:
            return "its receiver accepted it at no attempt; GET /v1/webhooks/{name}/deliveries says why"
        words = [*(key.id for key in letter.assets), letter.facts.get("run_id"), letter.facts.get("tenant")]
        logged = next((self._logged(letter, word) for word in words if word), None)
        silence = "nothing was logged: it was never tried, or its log is gone"
        return letter.error or logged or self._stopped(letter) or silence

    def _logged(self, letter: DeadLetter, word: str) -> str | None:
        """The last failure that the function logged about `word` since the message was sent."""
        group = f"/aws/lambda/{self.stack}/{letter.queue.function}"
        failures = [
            (event["timestamp"], reason)
            for event in _events(group, f'"{word}"', int(letter.sent_at.timestamp() * 1000))
            if (reason := _failure(event["message"]))
        ]
        return max(failures)[1] if failures else None

    def _stopped(self, letter: DeadLetter) -> str | None:
        """What Lambda itself last said of the function: it could not start, or it was ended while it ran."""
        group = f"/aws/lambda/{self.stack}/{letter.queue.function}"
        since = int(letter.sent_at.timestamp() * 1000)
        reports = sorted(
            filter(None, map(_Report.read, _events(group, '"Status: "', since))), key=attrgetter("at")
        )
        if not reports:
            return None
        last = reports[-1]
        if not any(report.explains(last) for report in reports):
            return f"the function was ended: {last.why}"
        errors = [
            event["message"]
            for event in _events(group, '"[ERROR]"', since)
            if event["logStreamName"] == last.stream and event["timestamp"] <= last.at
        ]
        error = errors[-1].removeprefix("[ERROR]").strip().splitlines()[0] if errors else last.why
        return f"the function cannot start: {error}"[:_REASON_LENGTH]


@dataclass(frozen=True, slots=True)
class _Report:
    """Lambda's text line about a failed start (INIT_REPORT) or a failed invocation (REPORT)."""

    at: int
    stream: str
    of_start: bool
    why: str

    @classmethod
    def read(cls, event: Mapping[str, Any]) -> "_Report | None":
        name, _, why = event["message"].partition("Status: ")
        if not name.startswith(("INIT_REPORT", "REPORT")):
            return None
        return cls(
            at=event["timestamp"],
            stream=event["logStreamName"],
            of_start=name.startswith("INIT_REPORT"),
            why=" ".join(why.split()),
        )

    def explains(self, last: "_Report") -> bool:
        """Whether the function could not start: Lambda reports a failed start again as an invocation."""
        return self.of_start and (self.stream, self.why) == (last.stream, last.why)


def _events(group: str, pattern: str, since: int) -> list[dict[str, Any]]:
    """Events of a log group since a time (ms) that match the pattern; none without the group."""
    pages = (
        client("logs")
        .get_paginator("filter_log_events")
        .paginate(
            logGroupName=group,
            filterPattern=pattern,
            startTime=since,
            PaginationConfig={"MaxItems": _LOG_PAGES * 1000, "PageSize": 1000},
        )
    )
    try:
        return [event for page in pages for event in page["events"]]
    except client("logs").exceptions.ResourceNotFoundException:
        return []


def _failure(line: str) -> str | None:
    """The exception in one of our log lines; None in any other line."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    if not isinstance(entry, dict) or not entry.get("exception"):
        return None
    return str(entry["exception"]).strip().splitlines()[-1].strip()[:_REASON_LENGTH]


def _identity(letter: DeadLetter) -> dict[str, Any]:
    return {
        "queue": letter.queue.name,
        "message_id": letter.message_id,
        "kind": letter.kind,
        "sent_at": letter.sent_at.isoformat(timespec="seconds"),
        "tries": letter.tries,
        **({"ids": [key.id for key in letter.assets]} if letter.assets else {}),
        **letter.facts,
    }


def _state(key: AssetKey, asset: Asset | None) -> dict[str, Any]:
    if asset is None:
        return {"tenant": key.tenant, "id": key.id, "status": None}
    return {
        "tenant": key.tenant,
        "id": key.id,
        "status": asset.status,
        "updated_at": asset.updated_at.isoformat(timespec="seconds"),
        **({"rejection": asset.rejection.code} if asset.rejection else {}),
        **({"correlation_id": asset.correlation_id} if asset.correlation_id else {}),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    names = [queue.name for queue in QUEUES]
    parser = argparse.ArgumentParser(description="See why messages died, and send them back.")
    parser.add_argument("action", choices=["list", "redrive", "discard"])
    parser.add_argument("--stack", required=True, help="name of the deployed stack")
    parser.add_argument("--queue", action="append", choices=names, help="repeatable; default: every queue")
    parser.add_argument("--limit", type=int, default=1000, help="letters a queue, at most (default: 1000)")
    parser.add_argument("--dry-run", action="store_true", help="redrive: show what would be sent")
    parser.add_argument("--message", action="append", default=[], help="discard: a message_id, repeatable")
    chosen = parser.parse_args(arguments)
    number = 0
    try:
        letters = DeadLetters(chosen.stack, stack_outputs(chosen.stack))
        for queue in QUEUES:
            if chosen.queue and queue.name not in chosen.queue:
                continue
            if chosen.action == "list":
                shown = letters.list(queue, limit=chosen.limit)
            elif chosen.action == "redrive":
                shown = letters.redrive(queue, limit=chosen.limit, dry_run=chosen.dry_run)
            else:
                shown = letters.discard(queue, chosen.message, limit=chosen.limit)
            for line in shown:
                number += 1
                print(json.dumps(line), flush=True)
    except DailyPurgeFailedError as error:
        sys.exit(f"error: the daily purge failed again ({error}); its letter stays")
    except (ClientError, BotoCoreError) as error:
        sys.exit(f"error: {error}")
    print(f"{number} dead letters", file=sys.stderr)


if __name__ == "__main__":
    main()

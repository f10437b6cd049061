"""The operator's way with dead letters, and with images that were purged."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import boto3
import pytest

from catalog.domain.keys import AssetKey, asset_id, tenant_id
from catalog.domain.tenants import TenantBeingRemovedError, TenantNotFoundError
from infra.operator import dead_letters as operator
from infra.operator import restore as restoring
from infra.operator.dead_letters import QUEUES, DeadLetterQueue, DeadLetters
from infra.operator.restore import BeingDeletedError, NotGoneError, NothingToRestoreError, restore
from tests.builders.events import REGION, s3_notification
from tests.builders.images import jpeg_bytes, product_photo
from tests.functional.cloud import Cloud, Killed

PHOTO = jpeg_bytes(product_photo(1, (64, 48)))
ID = hashlib.sha256(PHOTO).hexdigest()
KEY = AssetKey(tenant_id("acme"), asset_id(ID))
UPLOADS, RENDER, PURGE, USAGE = QUEUES
STREAM_BATCH = json.dumps(
    {
        "requestContext": {"condition": "RetryAttemptsExhausted", "approximateInvokeCount": 51},
        "DDBStreamBatchInfo": {
            "shardId": "shardId-00000001",
            "startSequenceNumber": "100",
            "endSequenceNumber": "101",
            "batchSize": 2,
            "streamArn": f"arn:aws:dynamodb:{REGION}:123456789012:table/AssetsTable/stream/2026",
        },
    }
)


@pytest.fixture
def letters(cloud: Cloud) -> Iterator[DeadLetters]:
    """The deployment's queues, all empty."""
    names = {queue.output for queue in QUEUES} | {"UploadsQueueUrl"}
    urls = {name: cloud.sqs.create_queue(QueueName=name)["QueueUrl"] for name in names}
    outputs = {
        **urls,
        "RenderQueueUrl": cloud.render_queue,
        "PurgeQueueUrl": cloud.purge_queue,
        "AssetsTable": "AssetsTable",
        "TenantsTable": "TenantsTable",
        "OriginalsBucket": cloud.originals,
        "PurgeFunction": "purge",
    }
    yield DeadLetters("catalog-images", outputs)


def die(cloud: Cloud, letters: DeadLetters, queue: DeadLetterQueue, body: str, **attributes: str) -> None:
    cloud.sqs.send_message(
        QueueUrl=letters.outputs[queue.output],
        MessageBody=body,
        MessageAttributes={
            name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
        },
    )


def shown(letters: DeadLetters, queue: DeadLetterQueue, *, limit: int = 1000) -> list[dict[str, Any]]:
    return list(letters.list(queue, limit=limit))


def redriven(letters: DeadLetters, queue: DeadLetterQueue, **options: Any) -> list[dict[str, Any]]:
    return list(letters.redrive(queue, **{"limit": 1000, "dry_run": False, **options}))


def half_done(cloud: Cloud) -> list[str]:
    """An asset of which nothing is rendered yet, and its jobs."""
    cloud.announce(PHOTO)
    cloud.ingest(cloud.store(PHOTO))
    return cloud.take_jobs()


def log_failure(word: str, error: str) -> None:
    """What a function logs of a message that failed."""
    logs = boto3.client("logs")
    place = {"logGroupName": "/aws/lambda/catalog-images/render", "logStreamName": "one"}
    logs.create_log_group(logGroupName=place["logGroupName"])
    logs.create_log_stream(**place)
    line = {"level": "ERROR", "body": word, "exception": f"Traceback (most recent call last):\n  ...\n{error}"}
    at = int(boto3.client("sqs").meta.config.connect_timeout)  # replaced below
    del at
    import time

    event = {"timestamp": int(time.time() * 1000), "message": json.dumps(line)}
    logs.put_log_events(**place, logEvents=[event])

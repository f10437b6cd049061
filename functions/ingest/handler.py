"""Uploads queue -> ingest: each S3 event names an original that has arrived."""

import json
from functools import partial
from typing import Any
from urllib.parse import unquote_plus

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from catalog import settings
from catalog.batches import QueueBatches
from catalog.composition import completing, ingesting
from catalog.domain.fingerprints import PHashAlgorithm
from catalog.domain.keys import AssetKey, NotAnOriginalKeyError
from catalog.telemetry import count, logger, metrics
from imaging.inspection import inspect

algorithm = settings.phash_algorithm()
ingestion = ingesting.ingestion(
    completing.completion(), partial(inspect, limits=settings.pixel_limits(), algorithm=algorithm)
)
if algorithm is not PHashAlgorithm.PHASH256:
    logger.warning("64-bit hashes call most of a catalog alike; phash256 does not", algorithm=algorithm)


def ingest_message(record: SQSRecord) -> None:
    """A message carries one S3 notification; S3's own test message carries no records."""
    for event in json.loads(record.body).get("Records", []):
        ingest_object(unquote_plus(event["s3"]["object"]["key"]))


def ingest_object(object_key: str) -> None:
    try:
        key = AssetKey.of_original(object_key)
    except NotAnOriginalKeyError:
        # Only an operator with access to the bucket can have written it; it is theirs to remove.
        logger.error("object is no original", object_key=object_key)
        count("ForeignObject")
        return
    ingesting.log(key, ingestion.ingest(key))


batches = QueueBatches(ingest_message)


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    return batches.process(event, context)

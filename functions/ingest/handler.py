"""Uploads queue -> ingest: each S3 event names an original that has arrived."""

import json
from dataclasses import replace
from functools import partial
from typing import Any, Final
from urllib.parse import unquote_plus

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from catalog import settings
from catalog.batches import QueueBatches
from catalog.composition import ingesting, renderers
from catalog.domain.fingerprints import PHashAlgorithm
from catalog.domain.keys import AssetKey, NotAnOriginalKeyError
from catalog.telemetry import count, logger, metrics
from catalog.use_cases.arriving import Arriving
from imaging.inspection import inspect
from imaging.renditions import render

# The costliest original takes half of it to render; the messages of a batch share the function's 60 s.
RENDERS_WITHIN_MS: Final = 30_000

algorithm, limits = settings.phash_algorithm(), settings.pixel_limits()
renders = renderers.rendering(partial(render, limits=limits))
arriving = Arriving(
    ingesting.ingestion(
        replace(renders.completion, renders_at_once=True),
        partial(inspect, limits=limits, algorithm=algorithm),
    ),
    replace(renders, plan=replace(renders.plan, presets_per_job=len(renders.plan.presets))),
    at_most=settings.pixels_rendered_on_arrival(),
)
if algorithm is not PHashAlgorithm.PHASH256:
    logger.warning("64-bit hashes call most of a catalog alike; phash256 does not", algorithm=algorithm)


def ingest_message(record: SQSRecord, context: LambdaContext) -> None:
    """A message carries one S3 notification; S3's own test message carries no records."""
    for event in json.loads(record.body).get("Records", []):
        # What kills its worker once does so again: a repeated event leaves rendering to jobs.
        in_time = (
            record.attributes.approximate_receive_count == "1"
            and context.get_remaining_time_in_millis() >= RENDERS_WITHIN_MS
        )
        ingest_object(unquote_plus(event["s3"]["object"]["key"]), in_time=in_time)


def ingest_object(object_key: str, *, in_time: bool) -> None:
    try:
        key = AssetKey.of_original(object_key)
    except NotAnOriginalKeyError:
        # Only an operator with access to the bucket can have written it; it is theirs to remove.
        logger.error("object is no original", object_key=object_key)
        count("ForeignObject")
        return
    ingested, rendered = arriving.take(key, in_time=in_time)
    ingesting.log(key, ingested)
    if rendered:
        renderers.log(key, rendered, ingested.asset.correlation_id if ingested.asset else None)


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    return QueueBatches(partial(ingest_message, context=context)).process(event, context)

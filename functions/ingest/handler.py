"""Uploads queue -> ingest: each S3 event names an original that has arrived."""

import json
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import unquote_plus

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from catalog import settings
from catalog.adapters.assets_table import Assets
from catalog.adapters.groups import Groups
from catalog.adapters.hash_bands_table import HashBands
from catalog.adapters.objects import Originals
from catalog.adapters.pairs_table import Pairs
from catalog.adapters.queues import RenderQueue
from catalog.batches import QueueBatches
from catalog.domain.fingerprints import PHashAlgorithm
from catalog.domain.keys import AssetKey, NotAnOriginalKeyError
from catalog.telemetry import count, logger, metrics
from catalog.use_cases.ingestion import ingest_upload
from catalog.use_cases.near_duplicates import NearDuplicates
from imaging.inspection import compare, inspect

algorithm = settings.phash_algorithm()
limits = settings.pixel_limits()
ingest = partial(
    ingest_upload,
    assets=Assets(settings.assets_table()),
    originals=Originals(settings.originals_bucket()),
    queue=RenderQueue(settings.render_queue_url()),
    inspect=partial(inspect, limits=limits, algorithm=algorithm),
    near=NearDuplicates(
        action=settings.near_duplicate_action(),
        bands=HashBands(
            settings.hash_bands_table(),
            threshold=settings.phash_hamming_threshold(),
        ),
        pairs=Pairs(settings.pairs_table()),
        groups=Groups(settings.assets_table(), settings.pairs_table()),
        compare=partial(compare, limits=limits),
    ),
    presets=settings.presets(),
    presets_per_job=settings.presets_per_job(),
    max_upload_bytes=settings.max_upload_bytes(),
    clock=partial(datetime.now, UTC),
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
    ingested = ingest(key)
    asset = ingested.asset
    correlation_id = asset.correlation_id if asset else None
    logger.info(
        str(ingested.outcome),
        correlation_id=correlation_id,
        tenant=key.tenant,
        asset_id=key.id,
        render_jobs=ingested.jobs,
        near_duplicate_of=asset.near_duplicate.of if asset and asset.near_duplicate else None,
        compared=ingested.compared,
        rejection=asset.rejection.code if asset and asset.rejection else None,
    )
    if ingested.capped:
        logger.warning(
            "near-duplicate buckets read in part",
            correlation_id=correlation_id,
            asset_id=key.id,
            buckets=ingested.capped,
        )
        count("BucketsCapped", ingested.capped)
    if ingested.unseen:
        logger.warning(
            "near-duplicate candidates not looked at",
            correlation_id=correlation_id,
            asset_id=key.id,
            candidates=ingested.unseen,
        )
        count("CandidatesUnseen", ingested.unseen)
    if ingested.fault:
        logger.error(
            "near-duplicates not looked for",
            correlation_id=correlation_id,
            asset_id=key.id,
            exc_info=ingested.fault,
        )
        count("NearDuplicateFault")
    count("".join(word.capitalize() for word in ingested.outcome.name.split("_")))


batches = QueueBatches(ingest_message)


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    return batches.process(event, context)

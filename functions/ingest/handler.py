"""Uploads queue -> ingest: each S3 event names an original that has arrived."""

import json
from functools import partial
from typing import Any
from urllib.parse import unquote_plus

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from catalog import settings
from catalog.adapters.hash_bands_table import HashBands
from catalog.adapters.pairs_table import Pairs
from catalog.batches import QueueBatches
from catalog.composition import completing
from catalog.domain.fingerprints import PHashAlgorithm
from catalog.domain.keys import AssetKey, NotAnOriginalKeyError
from catalog.telemetry import count, logger, metrics
from catalog.use_cases.ingestion import Ingested, Ingestion
from catalog.use_cases.near_duplicates import NearDuplicateSearch
from imaging.inspection import inspect

algorithm = settings.phash_algorithm()
limits = settings.pixel_limits()
completion = completing.completion()
ingestion = Ingestion(
    assets=completion.assets,
    originals=completion.originals,
    inspect=partial(inspect, limits=limits, algorithm=algorithm),
    near_duplicates=NearDuplicateSearch(
        action=settings.near_duplicate_action(),
        assets=completion.assets,
        originals=completion.originals,
        bands=HashBands(settings.hash_bands_table(), threshold=settings.phash_hamming_threshold()),
        pairs=Pairs(settings.pairs_table()),
        grouping=completion.grouping,
        max_upload_bytes=settings.max_upload_bytes(),
    ),
    completion=completion,
    max_upload_bytes=settings.max_upload_bytes(),
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
    log(key, ingestion.ingest(key))


def log(key: AssetKey, ingested: Ingested) -> None:
    asset, search = ingested.asset, ingested.search
    facts: dict[str, Any] = {"correlation_id": asset.correlation_id if asset else None, "asset_id": key.id}
    logger.info(
        str(ingested.outcome),
        **facts,
        tenant=key.tenant,
        render_jobs=ingested.jobs,
        near_duplicate_of=asset.near_duplicate.of if asset and asset.near_duplicate else None,
        compared=search.compared if search else 0,
        rejection=asset.rejection.code if asset and asset.rejection else None,
    )
    if search and search.capped:
        logger.warning("near-duplicate buckets read in part", **facts, buckets=search.capped)
        count("BucketsCapped", search.capped)
    if search and search.unseen:
        logger.warning("near-duplicate candidates not looked at", **facts, candidates=search.unseen)
        count("CandidatesUnseen", search.unseen)
    if ingested.fault:
        logger.error("near-duplicates not looked for", **facts, exc_info=ingested.fault)
        count("NearDuplicateFault")
    count("".join(word.capitalize() for word in ingested.outcome.name.split("_")))


batches = QueueBatches(ingest_message)


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    return batches.process(event, context)

"""What ingest and imports check and compare originals with, and what they log of each."""

from typing import Any

from catalog import settings
from catalog.adapters.hash_bands_table import HashBands
from catalog.adapters.pairs_table import Pairs
from catalog.domain.keys import AssetKey
from catalog.telemetry import count, logger
from catalog.use_cases.completion import Completion
from catalog.use_cases.ingestion import Ingested, Ingestion, Inspect
from catalog.use_cases.near_duplicates import NearDuplicateSearch


def ingestion(completion: Completion, inspect: Inspect) -> Ingestion:
    return Ingestion(
        assets=completion.assets,
        originals=completion.originals,
        inspect=inspect,
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

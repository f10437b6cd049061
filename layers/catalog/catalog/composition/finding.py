"""What a find-duplicates job searches with: in earnest, and in a dry run."""

from collections.abc import Callable
from functools import lru_cache

from catalog import settings
from catalog.adapters.hash_bands_table import HashBands
from catalog.adapters.job_groups import JobGroups
from catalog.adapters.objects import Originals
from catalog.adapters.pairs_table import Pairs
from catalog.adapters.rehearsal import (
    Joins,
    RehearsedAssets,
    RehearsedBands,
    RehearsedGroups,
    RehearsedPairs,
)
from catalog.composition import completing
from catalog.domain.assets import Inspection
from catalog.domain.duplicate_jobs import REHEARSALS_LAST
from catalog.domain.jobs import Job
from catalog.domain.near_duplicates import NearDuplicateAction
from catalog.use_cases.finding_duplicates import FindDuplicatesWorker, Rehearsal
from catalog.use_cases.grouping import Grouping
from catalog.use_cases.near_duplicates import NearDuplicateSearch


def worker(inspect: Callable[[bytes], Inspection]) -> FindDuplicatesWorker:
    completion = completing.completion()
    bands = HashBands(settings.hash_bands_table(), threshold=settings.phash_hamming_threshold())
    return FindDuplicatesWorker(
        algorithm=settings.phash_algorithm(),
        assets=completion.assets,
        originals=completion.originals,
        bands=bands,
        inspect=inspect,
        near_duplicates=NearDuplicateSearch(
            action=settings.near_duplicate_action(),
            assets=completion.assets,
            originals=completion.originals,
            bands=bands,
            pairs=Pairs(settings.pairs_table()),
            grouping=completion.grouping,
            max_upload_bytes=settings.max_upload_bytes(),
        ),
        completion=completion,
        rehearsal=_rehearsal,
        groups=JobGroups(settings.jobs_table()),
        max_upload_bytes=settings.max_upload_bytes(),
    )


def _rehearsal(job: Job) -> Rehearsal:
    return _rehearsal_until(job.id, int((job.created_at + REHEARSALS_LAST).timestamp()))


@lru_cache(maxsize=4)
def _rehearsal_until(job_id: str, expires_at: int) -> Rehearsal:
    """Where near-duplicates are off it tells what reusing them would bring."""
    action, bands_table = settings.near_duplicate_action(), settings.hash_bands_table()
    joins = Joins(bands_table, job_id, expires_at)
    assets = RehearsedAssets(settings.assets_table(), joins)
    groups = RehearsedGroups(settings.assets_table(), settings.pairs_table(), joins)
    search = NearDuplicateSearch(
        action=NearDuplicateAction.REUSE if action is NearDuplicateAction.OFF else action,
        assets=assets,
        originals=Originals(settings.originals_bucket()),
        bands=RehearsedBands(bands_table, job_id, expires_at, threshold=settings.phash_hamming_threshold()),
        pairs=RehearsedPairs(settings.pairs_table()),
        grouping=Grouping(assets, groups),
        max_upload_bytes=settings.max_upload_bytes(),
    )
    return Rehearsal(search, joins)

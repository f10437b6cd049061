"""What the API of purges and the worker of their queue delete with."""

from catalog import settings
from catalog.adapters.assets_table import Assets
from catalog.adapters.groups import Groups
from catalog.adapters.hash_bands_table import HashBands
from catalog.adapters.objects import Originals, Renditions
from catalog.adapters.purge_runs_table import PurgeRuns
from catalog.adapters.queues import PurgeQueue
from catalog.domain.purge import PurgeRun
from catalog.telemetry import count, logger
from catalog.use_cases.grouping import Grouping
from catalog.use_cases.purging import Purging


def purging() -> Purging:
    assets = Assets(settings.assets_table())
    return Purging(
        assets=assets,
        originals=Originals(settings.originals_bucket()),
        renditions=Renditions(settings.renditions_bucket()),
        bands=HashBands(settings.hash_bands_table()),
        grouping=Grouping(assets, Groups(settings.assets_table(), settings.pairs_table())),
        runs=PurgeRuns(settings.purge_runs_table()),
        queue=PurgeQueue(settings.purge_queue_url()),
        grace=settings.purge_grace(),
        completed=log_completed,
    )


def log_completed(run: PurgeRun) -> None:
    logger.info("purge completed", tenant=run.tenant, run=run.id, deleted=run.deleted, kept=len(run.kept))
    count("AssetsPurged", run.deleted)

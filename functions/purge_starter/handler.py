"""Daily schedule -> purge_starter: one job a tenant."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from catalog import settings
from catalog.adapters.queues import PurgeQueue
from catalog.adapters.tenants_table import Tenants
from catalog.telemetry import count, logger, metrics
from catalog.use_cases.purging import DailyPurge

daily = DailyPurge(Tenants(settings.tenants_table()), PurgeQueue(settings.purge_queue_url()))


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(_: dict[str, Any], __: LambdaContext) -> None:
    logger.info("daily purge begun", tenants=daily.start())
    count("DailyPurgeBegun")

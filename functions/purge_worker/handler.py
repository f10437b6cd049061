"""Purge queue -> purge_worker: each message names a run to continue, or a tenant to purge."""

from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from catalog.adapters.queues import purge_job
from catalog.batches import QueueBatches
from catalog.composition import purges
from catalog.telemetry import count, logger, metrics
from catalog.use_cases.purging import Outcome

purging = purges.purging()


def purge_message(record: SQSRecord) -> None:
    job = purge_job(record.body)
    outcome = purging.work(job)
    logger.info(str(outcome), tenant=job.tenant, run=job.run_id, hops=job.hops)
    if outcome is Outcome.LEFT_FOR_NEXT_DAY:
        count("PurgeLeftForNextDay")


batches = QueueBatches(purge_message)


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    return batches.process(event, context)

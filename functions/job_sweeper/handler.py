"""Every ten minutes -> job_sweeper: starts every active job that has no running execution."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from catalog import settings
from catalog.adapters.executions import Executions
from catalog.adapters.jobs_table import Jobs
from catalog.telemetry import count, logger, metrics
from catalog.use_cases.job_sweeping import Sweeping

sweeping = Sweeping(Jobs(settings.jobs_table()), Executions(settings.job_machine()))


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(_: dict[str, Any], __: LambdaContext) -> None:
    for job in sweeping.sweep():
        logger.warning("job started again", job=job.id, attempt=job.attempt)
        count("JobsStartedAgain")

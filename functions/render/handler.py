"""Render queue -> render: each job names an asset and the presets to render of it."""

from functools import partial
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from catalog import settings
from catalog.adapters.queues import render_job
from catalog.batches import QueueBatches
from catalog.composition import deciding, renderers
from catalog.domain.keys import AssetKey
from catalog.telemetry import logger, metrics
from imaging.renditions import render

rendering = renderers.rendering(partial(render, limits=settings.pixel_limits()))
decisions = deciding.decisions()


def render_message(record: SQSRecord) -> None:
    job = render_job(record.body)
    if job.decided_with is not None:
        decisions.complete(AssetKey(job.tenant, job.id), job.decided_with)
        return
    rendered = rendering.render(job)
    renderers.log(AssetKey(job.tenant, job.id), rendered, job.correlation_id, presets=job.presets)


batches = QueueBatches(render_message)


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    return batches.process(event, context)

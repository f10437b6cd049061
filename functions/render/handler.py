"""Render queue -> render: each job names an asset and the presets to render of it."""

from datetime import UTC, datetime
from functools import partial
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from catalog import settings
from catalog.adapters.assets_table import Assets
from catalog.adapters.groups import Groups
from catalog.adapters.objects import Originals, Renditions
from catalog.adapters.queues import RenderQueue, render_job
from catalog.batches import QueueBatches
from catalog.telemetry import count, logger, metrics
from catalog.use_cases.rendering import render_asset
from imaging.renditions import render

render_missing = partial(
    render_asset,
    assets=Assets(settings.assets_table()),
    originals=Originals(settings.originals_bucket()),
    renditions=Renditions(settings.renditions_bucket()),
    groups=Groups(settings.assets_table(), settings.pairs_table()),
    render=partial(render, limits=settings.pixel_limits()),
    queue=RenderQueue(settings.render_queue_url()),
    presets=settings.presets(),
    presets_per_job=settings.presets_per_job(),
    max_upload_bytes=settings.max_upload_bytes(),
    clock=partial(datetime.now, UTC),
)


def render_message(record: SQSRecord) -> None:
    job = render_job(record.body)
    rendered = render_missing(job)
    logger.info(
        str(rendered.outcome),
        correlation_id=job.correlation_id,
        tenant=job.tenant,
        asset_id=job.id,
        presets=job.presets,
        ready=rendered.ready,
        size_bytes=sum(rendition.size_bytes for rendition in rendered.renditions),
    )
    count("RenditionsWritten", len(rendered.renditions))


batches = QueueBatches(render_message)


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    return batches.process(event, context)

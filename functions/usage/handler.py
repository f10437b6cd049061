"""Table streams (assets, purge runs) -> usage: exact counters, and events for whoever wants to know."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.typing import LambdaContext

from catalog import settings
from catalog.adapters.asset_items import asset_of_image
from catalog.adapters.event_bus import EventBus
from catalog.adapters.purge_runs_table import run_of_image
from catalog.adapters.usage_table import Counters
from catalog.domain.events import AssetChange, RunChange
from catalog.telemetry import count, logger, metrics
from catalog.use_cases.usage import Record, follow

follow_records = partial(
    follow,
    counters=Counters(settings.usage_table()),
    bus=EventBus(settings.event_bus_name()),
    clock=partial(datetime.now, UTC),
)


def asset_change(told: Mapping[str, Any]) -> AssetChange:
    at = datetime.fromtimestamp(told["ApproximateCreationDateTime"], UTC)
    return AssetChange(_image(told, "OldImage", asset_of_image), _image(told, "NewImage", asset_of_image), at)


def run_change(told: Mapping[str, Any]) -> RunChange:
    return RunChange(_image(told, "OldImage", run_of_image), _image(told, "NewImage", run_of_image))


def _image[T](told: Mapping[str, Any], name: str, of_image: Callable[[Mapping[str, Any]], T]) -> T | None:
    return of_image(told[name]) if name in told else None


CHANGES: Final[Mapping[str, Callable[[Mapping[str, Any]], AssetChange | RunChange]]] = {
    settings.assets_table(): asset_change,
    settings.purge_runs_table(): run_change,
}


def record_of(record: Mapping[str, Any]) -> Record:
    """A record that cannot be read fails its batch; Lambda halves that until the record is alone."""
    # arn:aws:dynamodb:<region>:<account>:table/<name>/stream/<label>
    table = record["eventSourceARN"].split("/")[1]
    told = record["dynamodb"]
    return Record(told["SequenceNumber"], CHANGES[table](told))


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], _: LambdaContext) -> PartialItemFailureResponse:
    followed = follow_records([record_of(record) for record in event["Records"]])
    for told in followed.events:
        logger.info(
            told.type,
            correlation_id=told.correlation_id,
            tenant=told.tenant,
            event_id=told.event_id,
            asset_id=getattr(told, "id", None),
        )
    count("AssetsCounted", followed.counted)
    count("EventsSent", len(followed.events))
    if followed.unfinished is None:
        return {"batchItemFailures": []}
    # Lambda delivers this record again and everything behind it.
    logger.warning("event refused", sequence_number=followed.unfinished)
    return {"batchItemFailures": [{"itemIdentifier": followed.unfinished}]}

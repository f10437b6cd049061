"""Table streams (assets, purge runs) -> usage: exact counters, and events."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.typing import LambdaContext

from catalog import settings
from catalog.adapters.asset_items import asset_in_stream
from catalog.adapters.event_bus import EventBus
from catalog.adapters.purge_runs_table import run_in_stream
from catalog.adapters.tenants_table import Tenants
from catalog.adapters.usage_table import Counters
from catalog.domain.events import AssetChange, RunChange
from catalog.telemetry import count, logger, metrics
from catalog.use_cases.counting import Counting, Record

counting = Counting(
    tenants=Tenants(settings.tenants_table()),
    counters=Counters(settings.usage_table()),
    bus=EventBus(
        settings.event_bus_name(), api_url=settings.api_url(), base_url=settings.renditions_base_url()
    ),
)


def asset_change(change: Mapping[str, Any]) -> AssetChange:
    at = datetime.fromtimestamp(change["ApproximateCreationDateTime"], UTC)
    return AssetChange(
        _item(change, "OldImage", asset_in_stream), _item(change, "NewImage", asset_in_stream), at
    )


def run_change(change: Mapping[str, Any]) -> RunChange:
    return RunChange(_item(change, "OldImage", run_in_stream), _item(change, "NewImage", run_in_stream))


def _item[T](change: Mapping[str, Any], name: str, read: Callable[[Mapping[str, Any]], T]) -> T | None:
    return read(change[name]) if name in change else None


CHANGES: Final[Mapping[str, Callable[[Mapping[str, Any]], AssetChange | RunChange]]] = {
    settings.assets_table(): asset_change,
    settings.purge_runs_table(): run_change,
}


def record_of(record: Mapping[str, Any]) -> Record:
    """A record that cannot be read fails its batch; Lambda halves that until the record is alone."""
    # arn:aws:dynamodb:<region>:<account>:table/<name>/stream/<label>
    table = record["eventSourceARN"].split("/")[1]
    change = record["dynamodb"]
    return Record(change["SequenceNumber"], CHANGES[table](change))


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], _: LambdaContext) -> PartialItemFailureResponse:
    counted = counting.count([record_of(record) for record in event["Records"]])
    for sent in counted.events:
        logger.info(
            sent.type,
            correlation_id=sent.correlation_id,
            tenant=sent.tenant,
            event_id=sent.event_id,
            asset_id=getattr(sent, "id", None),
        )
    count("AssetsCounted", counted.assets)
    count("EventsSent", len(counted.events))
    if counted.unfinished is None:
        return {"batchItemFailures": []}
    # Lambda delivers this record again and everything behind it.
    logger.warning("event refused", sequence_number=counted.unfinished)
    return {"batchItemFailures": [{"itemIdentifier": counted.unfinished}]}

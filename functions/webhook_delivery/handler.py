"""Webhooks queue -> webhook_delivery: an event to hand to its tenant's webhooks, or a delivery to try."""

from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from catalog import settings
from catalog.adapters.event_bus import EventBus
from catalog.adapters.queues import WebhooksQueue, webhook_message
from catalog.adapters.receivers import Receivers
from catalog.adapters.sealing import Sealing
from catalog.adapters.webhooks_table import Webhooks
from catalog.batches import QueueBatches
from catalog.domain.webhooks import Delivery, Published
from catalog.telemetry import count, logger, metrics
from catalog.use_cases.delivering import Delivering, Outcome

delivering = Delivering(
    webhooks=Webhooks(settings.webhooks_table()),
    sealing=Sealing(settings.secrets_key_id()),
    receivers=Receivers(loopback=settings.webhooks_to_loopback()),
    queue=WebhooksQueue(settings.webhooks_queue_url(), dead_letters=settings.webhooks_dead_letters_url()),
    bus=EventBus(settings.event_bus_name()),
)


def webhook_record(record: SQSRecord) -> None:
    message = webhook_message(record.body)
    if isinstance(message, Published):
        delivering.tell(message)
    else:
        deliver(message)


def deliver(delivery: Delivery) -> None:
    outcome = delivering.deliver(delivery)
    logger.info(
        str(outcome),
        tenant=delivery.tenant,
        webhook=delivery.webhook,
        event_id=delivery.event_id,
        type=delivery.type,
        attempts=delivery.attempts,
        hops=delivery.hops,
    )
    if outcome is Outcome.DELIVERED:
        count("WebhookDelivered")
    elif outcome is Outcome.FAILED:
        count("WebhookFailed")
    elif outcome is Outcome.BURIED:
        count("WebhookGivenUp")


batches = QueueBatches(webhook_record)


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    return batches.process(event, context)

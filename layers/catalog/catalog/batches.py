"""Batches of queue messages: each succeeds or fails by itself, and a failure is logged with its cause."""

from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from catalog.telemetry import logger


class QueueBatches:
    """Hands the messages of an event to `take`, one by one."""

    def __init__(self, take: Callable[[SQSRecord], None]) -> None:
        self._take = take
        self._processor = BatchProcessor(EventType.SQS)

    def process(self, event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
        """The messages to deliver again.  Raises BatchProcessingError where that is all of them."""
        return process_partial_response(
            event=event, record_handler=self._take_or_log, processor=self._processor, context=context
        )

    def _take_or_log(self, record: SQSRecord) -> None:
        try:
            self._take(record)
        except Exception:
            # The body names the asset and the request it came from: what a dead letter is looked up by.
            logger.exception("message failed", message_id=record.message_id, body=record.body)
            raise

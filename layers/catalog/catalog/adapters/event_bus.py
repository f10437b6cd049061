"""The event bus: publishes what happened in the catalog.  docs/events.md is the contract."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import batched
from typing import Any, Final

from catalog.adapters.sdk import client
from catalog.domain.events import Event

SOURCE: Final = "catalog.images"

_AT_ONCE: Final = 10  # entries PutEvents takes


class EventBus:
    """An EventBridge bus."""

    def __init__(self, name: str) -> None:
        self._name = name

    def put(self, events: Sequence[Event]) -> int:
        """Send these in order, up to the first that the bus refuses; the number sent before it."""
        taken = 0
        for some in batched(events, _AT_ONCE, strict=False):
            answer = client("events").put_events(Entries=[self._entry(event) for event in some])
            for result in answer["Entries"]:
                if "ErrorCode" in result:
                    return taken
                taken += 1
        return taken

    def _entry(self, event: Event) -> dict[str, Any]:
        return {
            "EventBusName": self._name,
            "Source": SOURCE,
            "DetailType": event.type,
            "Time": event.occurred_at,
            "Detail": json.dumps(asdict(event), default=_instant),
        }


def _instant(moment: datetime) -> str:
    """ISO 8601, UTC, whole milliseconds, as the API answers times."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

"""The event bus: publishes what happened in the catalog.  docs/events.md is the contract."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import batched
from typing import Any, Final

from catalog.adapters.sdk import client
from catalog.domain.addresses import Address
from catalog.domain.events import Event, ImageReady
from catalog.domain.keys import AssetKey

SOURCE: Final = "catalog.images"

_AT_ONCE: Final = 10  # entries PutEvents takes


class EventBus:
    """An EventBridge bus.

    Events about images say where to read them: `api_url` is the API's address, and `base_url` a CDN's, whose
    permanent addresses they carry; presigned ones would not outlive a receiver's outage.
    """

    def __init__(self, name: str, *, api_url: str = "", base_url: str | None = None) -> None:
        self._name = name
        self._api_url = api_url
        self._base_url = base_url

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
            "Detail": json.dumps(self._detail(event), default=_instant),
        }

    def _detail(self, event: Event) -> dict[str, Any]:
        detail = asdict(event)
        if isinstance(event, ImageReady):
            detail["api_url"] = f"{self._api_url}/images/{event.id}"
            for rendition in detail["renditions"]:
                rendition["permanent_url"] = self._permanent_url(event, rendition["preset"])
        return detail

    def _permanent_url(self, event: ImageReady, preset: str) -> str | None:
        if self._base_url is None or event.tenant is None:
            return None
        return f"{self._base_url}/{Address(AssetKey(event.tenant, event.id), preset).path}"


def _instant(moment: datetime) -> str:
    """ISO 8601, UTC, whole milliseconds, as the API answers times."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

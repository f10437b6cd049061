"""What viewers get at a permanent address, as a Lambda function URL takes it.

Beside `http`, whose router would take half of the cold start that a viewer waits for.
"""

from __future__ import annotations

from base64 import b64encode
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from catalog.use_cases.showing import Shown

# Browsers and the CDN ask again after a minute.  They show what they have for ten minutes while they ask, and
# for a day while this function fails.
_FOR_A_MINUTE: Final = "public, max-age=60, stale-while-revalidate=600, stale-if-error=86400"


def known_tags(event: Mapping[str, Any]) -> frozenset[str]:
    """The tags of an If-None-Match, without quotes and `W/`."""
    listed = event["headers"].get("if-none-match", "").split(",")
    return frozenset(tag.strip().removeprefix("W/").strip('"') for tag in listed)


def shown(view: Shown) -> dict[str, Any]:
    """200: the rendition; 304: the viewer has it; 302: its own address, where an answer cannot hold it."""
    headers = {
        "ETag": f'"{view.rendition.tag}"',
        "Cache-Control": _FOR_A_MINUTE,
        # Of a 304, too: a function URL would say application/json, and caches take over what a 304 says.
        "Content-Type": view.rendition.format.content_type,
    }
    if view.is_known:
        return _view(HTTPStatus.NOT_MODIFIED, headers)
    if view.data is None:
        return _view(HTTPStatus.FOUND, headers | {"Location": f"/{view.rendition.key}"})
    return _view(HTTPStatus.OK, headers, view.data)


def nothing_there() -> dict[str, Any]:
    """404, kept for ten seconds: an image may be on its way."""
    return _view(HTTPStatus.NOT_FOUND, {"Cache-Control": "public, max-age=10", "Content-Type": "text/plain"})


def _view(status: HTTPStatus, headers: Mapping[str, str], body: bytes = b"") -> dict[str, Any]:
    return {
        "statusCode": status.value,
        "headers": dict(headers),
        "body": b64encode(body).decode(),
        "isBase64Encoded": True,
    }

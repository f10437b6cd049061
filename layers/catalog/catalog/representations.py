"""The catalog as JSON, in the shapes docs/openapi.yaml promises."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from catalog.domain.assets import Asset, Rendition, Status
from catalog.domain.uploads import UploadTicket

UrlOf = Callable[[str], str]
"""The URL at which a browser can GET the rendition stored under an object key."""


def asset_json(asset: Asset, *, url_of: UrlOf) -> dict[str, Any]:
    """An asset in the shape of the original description, with its state, hashes and times."""
    source, hashes, rejection = asset.source, asset.hashes, asset.rejection
    return {
        "id": asset.id,
        "tenant_id": asset.tenant,
        "content_hash": asset.id,
        "status": asset.status,
        "original_filename": asset.filename,
        "original_size_bytes": asset.size_bytes,
        "original_width": source.width if source else None,
        "original_height": source.height if source else None,
        "original_format": source.format if source else None,
        "perceptual_hash": hashes.ahash64 if hashes else None,
        "phash256": hashes.phash256 if hashes else None,
        "in_use_count": len(asset.references),
        "references": sorted(asset.references),
        "renditions": [
            _rendition_json(rendition, url_of)
            for rendition in sorted(
                asset.renditions.values(), key=lambda stored: (stored.width, stored.preset)
            )
        ],
        "rejection": {"code": rejection.code, "detail": rejection.detail} if rejection else None,
        "created_at": _instant(asset.created_at),
        "updated_at": _instant(asset.updated_at),
    }


def _rendition_json(rendition: Rendition, url_of: UrlOf) -> dict[str, Any]:
    return {
        "id": f"{rendition.preset}-{rendition.version}",
        "preset": rendition.preset,
        "url": url_of(rendition.key),
        "size_bytes": rendition.size_bytes,
        "width": rendition.width,
        "height": rendition.height,
        "quality": rendition.quality,
    }


def ticket_json(ticket: UploadTicket) -> dict[str, Any]:
    """Where and how to send the bytes."""
    return {
        "id": ticket.key.id,
        "status": Status.AWAITING_UPLOAD,
        "upload": {
            "method": "PUT",
            "url": ticket.upload.url,
            "headers": ticket.upload.headers,
            "expires_at": _instant(ticket.upload.expires_at),
        },
    }


def _instant(moment: datetime) -> str:
    """ISO 8601, UTC, whole milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

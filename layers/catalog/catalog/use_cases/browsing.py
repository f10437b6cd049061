"""Browsing: one tenant's assets, newest first, a page at a time."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from catalog.domain.assets import Asset, Status
from catalog.domain.keys import TenantId, asset_id

if TYPE_CHECKING:
    from catalog.adapters.assets_table import Assets

# Base64 of a tenant (63), a time (32) and an id (64) with their JSON; anything longer is not ours to parse.
_LONGEST_CURSOR: Final = 256


class InvalidCursorError(ValueError):
    """Not a cursor this API gave to this tenant."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some assets and the cursor of the next page, None at the end."""

    assets: tuple[Asset, ...]
    cursor: str | None


def list_assets(
    tenant: TenantId, *, limit: int, cursor: str | None, status: Status | None, assets: Assets
) -> Page:
    """Raises InvalidCursorError.  A page filtered by `status` may be short, or empty, while more follow."""
    after = _position(cursor, tenant) if cursor else None
    found, position = assets.page(tenant, limit=limit, after=after, status=status)
    return Page(tuple(found), _cursor(position, tenant) if position else None)


def _cursor(position: tuple[str, str], tenant: TenantId) -> str:
    return base64.urlsafe_b64encode(json.dumps([tenant, *position]).encode()).decode().rstrip("=")


def _position(cursor: str, tenant: TenantId) -> tuple[str, str]:
    try:
        if len(cursor) > _LONGEST_CURSOR:
            raise InvalidCursorError(cursor[:80])
        padded = cursor + "=" * (-len(cursor) % 4)
        owner, created_at, id_ = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if owner != tenant:
            raise InvalidCursorError(cursor[:80])
        return datetime.fromisoformat(created_at).isoformat(timespec="microseconds"), asset_id(id_)
    except (ValueError, TypeError) as error:
        raise InvalidCursorError(cursor[:80]) from error

"""Browsing: one tenant's assets, newest first, a page at a time."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from catalog.domain.assets import Asset, Status
from catalog.domain.errors import CallerError, Kind
from catalog.domain.keys import AssetId, TenantId, asset_id
from catalog.domain.near_duplicates import Pair, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from catalog.adapters.assets_table import Assets
    from catalog.adapters.pairs_table import Pairs

# Base64 of a tenant (63), a time (32) and two ids (64) with their JSON; anything longer is not ours.
_LONGEST_CURSOR: Final = 340


class InvalidCursorError(CallerError):
    """Not a cursor this API gave to this tenant."""

    kind = Kind.INVALID
    code = "invalid_cursor"
    message = "cursor is not one this API gave you"


@dataclass(frozen=True, slots=True)
class Page:
    """Some assets and the cursor of the next page, None at the end."""

    assets: tuple[Asset, ...]
    cursor: str | None

    def first(self, count: int) -> Page:
        """The page as far as its `count`th asset, with the cursor of what follows that."""
        if count >= len(self.assets):
            return self
        last = self.assets[count - 1]
        return Page(self.assets[:count], _cursor((_moment(last.created_at), last.id), last.tenant))


def list_assets(
    tenant: TenantId, *, limit: int, cursor: str | None, status: Status | None, assets: Assets
) -> Page:
    """Raises InvalidCursorError.  A page filtered by `status` may be short, or empty, while more follow."""
    after = None
    if cursor:
        created_at, id_ = _position(cursor, tenant)
        after = (created_at, id_)
    found, position = assets.page(tenant, limit=limit, after=after, status=status)
    return Page(tuple(found), _cursor(position, tenant) if position else None)


def _moment(moment: datetime) -> str:
    """As the indexes hold it."""
    return moment.isoformat(timespec="microseconds")


def _cursor(position: tuple[str, ...], tenant: TenantId) -> str:
    return base64.urlsafe_b64encode(json.dumps([tenant, *position]).encode()).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class PairsPage:
    """Some pairs with the assets they name that exist, and the cursor of the next page, None at the end."""

    pairs: tuple[Pair, ...]
    assets: Mapping[AssetId, Asset]
    cursor: str | None

    def first(self, count: int) -> PairsPage:
        """The page as far as its `count`th pair, with the cursor of what follows that."""
        if count >= len(self.pairs):
            return self
        last = self.pairs[count - 1]
        position = (_moment(last.seen_at), last.first, last.second)
        return PairsPage(self.pairs[:count], self.assets, _cursor(position, last.tenant))


def list_pairs(
    tenant: TenantId,
    *,
    limit: int,
    cursor: str | None,
    verdict: Verdict | None = None,
    pairs: Pairs,
    assets: Assets,
) -> PairsPage:
    """Pairs that look alike, merged, suspected or decided, newest first.  Raises InvalidCursorError."""
    after = None
    if cursor:
        seen_at, first, second = _position(cursor, tenant, ids=2)
        after = (seen_at, f"{first}#{second}")
    found, position = pairs.page(tenant, limit=limit, after=after, verdict=verdict)
    named = assets.many(tenant, {id_ for pair in found for id_ in (pair.first, pair.second)})
    resume = (position[0], *position[1].split("#")) if position else None
    return PairsPage(tuple(found), named, _cursor(resume, tenant) if resume else None)


def _position(cursor: str, tenant: TenantId, *, ids: int = 1) -> tuple[str, ...]:
    try:
        if len(cursor) > _LONGEST_CURSOR:
            raise InvalidCursorError(cursor[:80])
        padded = cursor + "=" * (-len(cursor) % 4)
        owner, moment, *named = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if owner != tenant or len(named) != ids:
            raise InvalidCursorError(cursor[:80])
        return _moment(datetime.fromisoformat(moment)), *map(asset_id, named)
    except (ValueError, TypeError) as error:
        raise InvalidCursorError(cursor[:80]) from error

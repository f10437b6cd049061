"""Which images are asked for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from catalog.api.inputs.fields import MAX_PAGE, Fault, InvalidRequestError, unknown_fields
from catalog.domain.assets import Status
from catalog.domain.keys import AssetId, NotAnAssetIdError, asset_id

_DEFAULT_PAGE: Final = 50


@dataclass(frozen=True, slots=True)
class ListRequest:
    """A page of at most `limit` assets."""

    limit: int
    cursor: str | None
    status: Status | None


def list_request(query: Mapping[str, str]) -> ListRequest:
    """The query of GET /v1/images.  Raises InvalidRequestError."""
    faults = unknown_fields(query, {"limit", "cursor", "status"})
    limit = query.get("limit", str(_DEFAULT_PAGE))
    if not (re.fullmatch(r"[0-9]{1,3}", limit) and 1 <= int(limit) <= MAX_PAGE):
        faults.append(Fault("limit", f"must be a whole number from 1 to {MAX_PAGE}"))
    status = query.get("status")
    if status is not None and status not in list(Status):
        faults.append(Fault("status", f"must be one of {', '.join(Status)}"))
    if faults:
        raise InvalidRequestError(faults)
    return ListRequest(int(limit), query.get("cursor") or None, Status(status) if status else None)


def path_asset_id(text: str) -> AssetId:
    """The id in a path.  Raises InvalidRequestError."""
    try:
        return asset_id(text)
    except NotAnAssetIdError as error:
        raise InvalidRequestError([Fault("id", "must be 64 lower-case hex digits")]) from error

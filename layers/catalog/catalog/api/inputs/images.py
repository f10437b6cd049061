"""GET /v1/images, and the id in a path."""

from collections.abc import Mapping
from dataclasses import dataclass

from catalog.api.inputs.fields import PAGE_FIELDS, Fault, InvalidRequestError, page_request, unknown_fields
from catalog.domain.assets import Status
from catalog.domain.keys import AssetId, NotAnAssetIdError, asset_id
from catalog.domain.paging import PageRequest


@dataclass(frozen=True, slots=True)
class ListRequest:
    """A page of assets; with a `status`, of these only."""

    page: PageRequest
    status: Status | None


def list_request(query: Mapping[str, str]) -> ListRequest:
    """The query of GET /v1/images.  Raises InvalidRequestError."""
    faults = unknown_fields(query, PAGE_FIELDS | {"status"})
    page = page_request(query, faults)
    status = query.get("status")
    if status is not None and status not in list(Status):
        faults.append(Fault("status", f"must be one of {', '.join(Status)}"))
    if faults:
        raise InvalidRequestError(faults)
    return ListRequest(page, Status(status) if status else None)


def path_asset_id(text: str) -> AssetId:
    """The id in a path.  Raises InvalidRequestError."""
    try:
        return asset_id(text)
    except NotAnAssetIdError as error:
        raise InvalidRequestError([Fault("id", "must be 64 lower-case hex digits")]) from error

"""GET /v1/images, and the id in a path."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from catalog.api.inputs.fields import PAGE_FIELDS, Fault, InvalidRequestError, page_request, unknown_fields
from catalog.domain.assets import Status
from catalog.domain.keys import AssetId, NotAnAssetIdError, asset_id
from catalog.domain.paging import PageRequest

MOST_IDS: Final = 100  # what one BatchGetItem reads
# Each asks for other images, so a request has one of them.
_CHOICES: Final = frozenset({"status", "ids"})


@dataclass(frozen=True, slots=True)
class ListRequest:
    """A page of assets: with a `status` of these only, with `ids` these in their order."""

    page: PageRequest
    status: Status | None = None
    ids: tuple[AssetId, ...] = ()


def list_request(query: Mapping[str, str]) -> ListRequest:
    """The query of GET /v1/images.  Raises InvalidRequestError."""
    faults = unknown_fields(query, PAGE_FIELDS | _CHOICES)
    page = page_request(query, faults)
    status = query.get("status")
    if status is not None and status not in list(Status):
        faults.append(Fault("status", f"must be one of {', '.join(Status)}"))
    faults += [
        Fault(name, "cannot be given with another choice")
        for name in sorted(_CHOICES & query.keys())
        if len(_CHOICES & query.keys()) > 1
    ]
    ids = _ids(query, faults)
    if faults:
        raise InvalidRequestError(faults)
    return ListRequest(page, Status(status) if status else None, ids)


def _ids(query: Mapping[str, str], faults: list[Fault]) -> tuple[AssetId, ...]:
    """The ids in a query, each once; what is wrong with them is added to the faults."""
    if "ids" not in query:
        return ()
    if "limit" in query:
        faults.append(Fault("limit", "cannot be given with ids"))
    named = query["ids"].split(",")
    try:
        ids = tuple(dict.fromkeys(map(asset_id, named)))
    except NotAnAssetIdError:
        ids = ()
    if not 1 <= len(named) <= MOST_IDS or not ids:
        faults.append(Fault("ids", f"must be 1 to {MOST_IDS} ids with commas between them"))
    return ids


def path_asset_id(text: str) -> AssetId:
    """The id in a path.  Raises InvalidRequestError."""
    try:
        return asset_id(text)
    except NotAnAssetIdError as error:
        raise InvalidRequestError([Fault("id", "must be 64 lower-case hex digits")]) from error

"""GET /v1/images, and the id in a path."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from catalog.api.inputs.fields import (
    PAGE_FIELDS,
    Fault,
    InvalidRequestError,
    is_text,
    page_request,
    text_of,
    unknown_fields,
)
from catalog.domain.assets import Status
from catalog.domain.keys import AssetId, NotAnAssetIdError, asset_id
from catalog.domain.paging import PageRequest
from catalog.domain.references import RULE, NotAReferenceError, reference_name
from catalog.domain.uploads import LONGEST_FILENAME

MOST_IDS: Final = 100  # what one BatchGetItem reads
# Each asks for other images, so a request has one of them.
_CHOICES: Final = frozenset({"status", "ids", "reference", "reference_prefix", "filename"})
_PREFIX: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 /_.:@~#+,=&()'!*$;-]{0,127}")


@dataclass(frozen=True, slots=True)
class ListRequest:
    """A page of assets: with a `status` of these only, with `ids` these in their order.

    By a `reference`, `exact` or a beginning; or by a `filename`.
    """

    page: PageRequest
    status: Status | None = None
    ids: tuple[AssetId, ...] = ()
    reference: str | None = None
    exact: bool = True
    filename: str | None = None


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
    ids, filename = _ids(query, faults), query.get("filename")
    reference = _reference(query, faults)
    if filename is not None and not is_text(filename, LONGEST_FILENAME):
        faults.append(Fault("filename", text_of(LONGEST_FILENAME)))
    if faults:
        raise InvalidRequestError(faults)
    exact = "reference" in query
    return ListRequest(page, Status(status) if status else None, ids, reference, exact, filename)


def _reference(query: Mapping[str, str], faults: list[Fault]) -> str | None:
    """The reference, or the beginning of some, in a query."""
    beginning = query.get("reference_prefix")
    if beginning is not None and not _PREFIX.fullmatch(beginning):
        faults.append(Fault("reference_prefix", "must be the beginning of a reference, 1 to 128 characters"))
    if "reference" not in query:
        return beginning
    try:
        return reference_name(query["reference"])
    except NotAReferenceError:
        faults.append(Fault("reference", RULE))
        return None


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

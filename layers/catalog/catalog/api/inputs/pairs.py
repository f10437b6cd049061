"""GET /v1/duplicates, and decisions on a pair."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from catalog.api.inputs.fields import (
    PAGE_FIELDS,
    Fault,
    InvalidRequestError,
    json_object,
    page_request,
    unknown_fields,
)
from catalog.api.inputs.images import path_asset_id
from catalog.domain.keys import AssetId
from catalog.domain.near_duplicates import Decision, Verdict
from catalog.domain.paging import PageRequest

_MOST_PAIRS: Final = 50  # each names two images, and one batch reads 100


@dataclass(frozen=True, slots=True)
class PairsRequest:
    """A page of pairs; with a `likeness`, of these only."""

    page: PageRequest
    likeness: Verdict | None = None


def pairs_request(query: Mapping[str, str]) -> PairsRequest:
    """The query of GET /v1/duplicates.  Raises InvalidRequestError."""
    faults = unknown_fields(query, PAGE_FIELDS | {"likeness"})
    page, likeness = page_request(query, faults, default=20, most=_MOST_PAIRS), query.get("likeness")
    if likeness is not None and likeness not in list(Verdict):
        faults.append(Fault("likeness", f"must be one of {', '.join(Verdict)}"))
    if faults:
        raise InvalidRequestError(faults)
    return PairsRequest(page, Verdict(likeness) if likeness else None)


def decision_request(body: str | None) -> Decision:
    """The body of PUT /v1/images/{id}/duplicates/{other}.  Raises InvalidRequestError."""
    given = json_object(body)
    faults = unknown_fields(given, {"decision"})
    if given.get("decision") not in list(Decision):
        faults.append(Fault("decision", f"must be one of {', '.join(Decision)}"))
    if faults:
        raise InvalidRequestError(faults)
    return Decision(given["decision"])


def pair_in_path(id_: str, other: str) -> tuple[AssetId, AssetId]:
    """The two ids in a path.  Raises InvalidRequestError."""
    first, second = path_asset_id(id_), path_asset_id(other)
    if first == second:
        raise InvalidRequestError([Fault("other", "must be another image")])
    return first, second

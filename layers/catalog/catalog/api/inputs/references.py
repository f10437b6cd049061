"""References: their names in paths and bodies, and what is said of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from catalog.api.inputs.fields import (
    Fault,
    InvalidRequestError,
    batch_of,
    is_text,
    json_object,
    text_of,
    unknown_fields,
)
from catalog.domain.keys import AssetId, NotAnAssetIdError, asset_id
from catalog.domain.references import (
    LONGEST_ALT,
    LONGEST_ROLE,
    MOST_POSITION,
    RULE,
    NotAReferenceError,
    Use,
    reference_name,
)

MOST_SET: Final = 100  # what one BatchGetItem reads of assets, and of entries

_DETAILS: Final = frozenset({"position", "role", "alt"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """One item of a batch: a use of an image, or why it is none; id and name as far as they are any."""

    id: AssetId | None
    reference: str | None
    use: Use | InvalidRequestError


def path_reference(text: str) -> str:
    """The name of a reference from the rest of a path, percent-encoded or decoded already.

    Raises InvalidRequestError.
    """
    try:
        return reference_name(unquote(text))
    except NotAReferenceError as error:
        raise InvalidRequestError([Fault("reference", RULE)]) from error


def details_request(reference: str, body: str | None) -> Use | None:
    """The body of PUT /v1/images/{id}/references/{reference}; None without one.

    Raises InvalidRequestError.
    """
    if not body:
        return None
    given = json_object(body)
    if faults := [*unknown_fields(given, _DETAILS), *_faults(given)]:
        raise InvalidRequestError(faults)
    return _use(reference, given)


def references_request(body: str | None) -> list[Wanted]:
    """The body of PUT /v1/references; an item's fault is its own.  Raises InvalidRequestError."""
    return [_wanted(item) for item in batch_of(body, "references", most=MOST_SET)]


def _wanted(item: Mapping[str, Any]) -> Wanted:
    faults = unknown_fields(item, _DETAILS | {"id", "reference"})
    id_, reference = _id(item.get("id")), _name(item.get("reference"))
    if id_ is None:
        faults.append(Fault("id", "must be 64 lower-case hex digits"))
    if reference is None:
        faults.append(Fault("reference", RULE))
    faults += _faults(item)
    if faults or reference is None:
        return Wanted(id_, reference, InvalidRequestError(faults))
    return Wanted(id_, reference, _use(reference, item))


def _use(reference: str, given: Mapping[str, Any]) -> Use:
    return Use(reference, **{name: given[name] for name in _DETAILS & given.keys()})


def _faults(given: Mapping[str, Any]) -> list[Fault]:
    """What is wrong with the position, the role and the alternative text."""
    faults, position = list[Fault](), given.get("position")
    whole = isinstance(position, int) and not isinstance(position, bool) and 0 <= position <= MOST_POSITION
    if position is not None and not whole:
        faults.append(Fault("position", f"must be a whole number from 0 to {MOST_POSITION}, or null"))
    for name, longest in (("role", LONGEST_ROLE), ("alt", LONGEST_ALT)):
        if given.get(name) is not None and not is_text(given[name], longest):
            faults.append(Fault(name, f"{text_of(longest)}, or null"))
    return faults


def _id(value: object) -> AssetId | None:
    try:
        return asset_id(value) if isinstance(value, str) else None
    except NotAnAssetIdError:
        return None


def _name(value: object) -> str | None:
    try:
        return reference_name(value) if isinstance(value, str) else None
    except NotAReferenceError:
        return None

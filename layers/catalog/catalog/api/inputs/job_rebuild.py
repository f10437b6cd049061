"""The options of a rebuild."""

from collections.abc import Mapping
from typing import Any

from catalog.api.inputs.fields import Fault, InvalidRequestError, unknown_fields
from catalog.api.inputs.references import path_reference
from catalog.domain.presets import MAX_PRESETS, is_preset_name
from catalog.domain.rebuilding import ANY_REFERENCE


def rebuild_options(given: Mapping[str, Any], faults: list[Fault]) -> Mapping[str, Any]:
    """`presets`: only these, which may be gone already; `reference`: only images that have it."""
    faults += unknown_fields(given, frozenset({"presets", "reference"}))
    presets, reference = given.get("presets"), given.get("reference")
    if presets is not None and not _are_preset_names(presets):
        faults.append(Fault("presets", f"must be a list of 1 to {MAX_PRESETS} names of presets"))
    if reference is not None and not _is_reference(reference):
        faults.append(Fault("reference", f'must be the name of a reference, or "{ANY_REFERENCE}" for any'))
    wanted = {"presets": presets, "reference": reference}
    return {name: value for name, value in wanted.items() if value is not None}


def _are_preset_names(value: object) -> bool:
    return (
        isinstance(value, list)
        and 1 <= len(value) <= MAX_PRESETS
        and all(isinstance(name, str) and is_preset_name(name) for name in value)
    )


def _is_reference(value: object) -> bool:
    if value == ANY_REFERENCE:
        return True
    try:
        return isinstance(value, str) and path_reference(value) == value
    except InvalidRequestError:
        return False

"""The options of a job that erases."""

from collections.abc import Mapping
from typing import Any

from catalog.api.inputs.fields import Fault, unknown_fields
from catalog.domain.keys import NotAnAssetIdError, asset_id


def erase_options(given: Mapping[str, Any], faults: list[Fault]) -> Mapping[str, Any]:
    """`image`: the one image to erase; without it, the whole tenant."""
    faults.extend(unknown_fields(given, {"image"}))
    if "image" not in given:
        return {}
    try:
        return {"image": asset_id(str(given["image"]))}
    except NotAnAssetIdError:
        faults.append(Fault("image", "must be 64 lower-case hex digits"))
        return {}

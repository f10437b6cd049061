"""The types of the Python client are those of the contract's schemas."""

from typing import Any

import pytest

from infra.contract_types import Types

FAULTS = {"items": {"properties": {"field": {"type": "string"}}}}
SCHEMAS: dict[str, Any] = {
    "Error": {"properties": {"error": {"properties": {"faults": FAULTS}}}},
    "Kind": {"type": "string", "enum": ["a", "b"]},
    "Base": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}},
    "Thing": {
        "allOf": [
            {"$ref": "#/components/schemas/Base"},
            {
                "required": ["kind", "width"],
                "properties": {
                    "kind": {"$ref": "#/components/schemas/Kind"},
                    "width": {"type": ["integer", "null"]},
                    "parts": {"type": "array", "items": {"properties": {"at": {"type": "number"}}}},
                    "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
                    "either": {"oneOf": [{"$ref": "#/components/schemas/Base"}, {"type": "null"}]},
                },
            },
        ]
    },
}


def written(name: str) -> str:
    types = Types(SCHEMAS)
    types.module()
    return types.written[name]


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("Kind", ['Kind: TypeAlias = \'Literal["a", "b"]\'']),
        (
            "Thing",
            [
                "class Thing(TypedDict):",
                "    id: str",
                "    kind: Kind",
                "    width: int | None",
                "    parts: NotRequired[list[ThingPartsItem]]",
                "    counts: NotRequired[Mapping[str, int]]",
                "    either: NotRequired[Base | None]",
            ],
        ),
        ("ThingPartsItem", ["class ThingPartsItem(TypedDict):", "    at: NotRequired[float]"]),
        ("FaultOfARequest", ["class FaultOfARequest(TypedDict):", "    field: NotRequired[str]"]),
    ],
)
def test_a_schema_becomes_a_type(name: str, lines: list[str]) -> None:
    assert written(name).splitlines() == lines


def test_a_field_that_python_cannot_name_is_refused() -> None:
    types = Types(SCHEMAS)
    with pytest.raises(ValueError, match=r"Odd\.class"):
        types.name("Odd", {"properties": {"class": {"type": "string"}}})

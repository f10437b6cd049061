"""The Python client's types, from docs/openapi.yaml: `make documents` writes them, `make check` compares.

A schema becomes a TypedDict, an enumeration a Literal, anything else an alias.
"""

import keyword
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[1]
WRITTEN: Final = ROOT / "clients/python/src/catalog_images/contract.py"
# Parts of answers that have no schema of their own.
_NAMED_PARTS: Final = {"FaultOfARequest": ("Error", "error", "faults")}
_PLAIN: Final = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "null": "None",
    "object": "Mapping[str, Any]",
}
_HEADER: Final = '''"""Answers and requests of the API, made of docs/openapi.yaml by `make documents`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict
'''


@dataclass
class Types:
    """Writes the types of one document's schemas."""

    schemas: Mapping[str, Any]
    written: dict[str, str] = field(default_factory=dict)

    def module(self) -> str:
        """The whole module, in the document's order."""
        for name, (schema, *path) in _NAMED_PARTS.items():
            self.name(name, self._part(schema, path))
        for name, schema in self.schemas.items():
            self.name(name, schema)
        return _HEADER + "\n\n" + "\n\n".join(self.written.values())

    def name(self, name: str, schema: Mapping[str, Any]) -> None:
        """Write a schema under a name."""
        self.written[name] = ""  # before the parts that it names
        properties = self._properties(schema)
        if properties is None:
            self.written[name] = f"{name}: TypeAlias = {_quoted(self.expression(schema, name))}\n"
            return
        lines = [f"    {line}" for line in self._fields(name, properties, self._required(schema))]
        self.written[name] = "\n".join([f"class {name}(TypedDict):", *(lines or ["    pass"]), ""])

    def expression(self, schema: Mapping[str, Any], name: str) -> str:
        """A schema as an annotation; an object without a name gets `name`."""
        if reference := schema.get("$ref"):
            return str(reference).rpartition("/")[2]
        if "enum" in schema:
            return _literal(schema["enum"])
        if options := schema.get("oneOf") or schema.get("anyOf"):
            numbered = enumerate(options, start=1)
            return " | ".join(
                dict.fromkeys(self.expression(each, _named(name, each, number)) for number, each in numbered)
            )
        if self._properties(schema) is not None:
            self.name(name, schema)
            return name
        kinds = schema.get("type", [])
        kinds = kinds if isinstance(kinds, list) else [kinds]
        return " | ".join(self._kind(kind, schema, name) for kind in kinds) or "Any"

    def _kind(self, kind: str, schema: Mapping[str, Any], name: str) -> str:
        if kind == "array":
            items = schema.get("items", {})
            return f"list[{self.expression(items, f'{name}Item')}]"
        if kind == "object" and isinstance(values := schema.get("additionalProperties"), Mapping):
            return f"Mapping[str, {self.expression(values, f'{name}Value')}]"
        return _PLAIN[kind]

    def _fields(self, name: str, properties: Mapping[str, Any], required: set[str]) -> Iterator[str]:
        for key, schema in properties.items():
            if not key.isidentifier() or keyword.iskeyword(key):
                raise ValueError(f"{name}.{key} is no name in Python")
            kind = self.expression(schema, name + _camel(key))
            yield f"{key}: {kind}" if key in required else f"{key}: NotRequired[{kind}]"

    def _properties(self, schema: Mapping[str, Any]) -> dict[str, Any] | None:
        """The fields of an object, those of its parts with them; None if it is none."""
        found = dict(schema.get("properties", {}))
        for part in map(self._followed, schema.get("allOf", ())):
            found |= self._properties(part) or {}
        return found or None

    def _required(self, schema: Mapping[str, Any]) -> set[str]:
        found = set(schema.get("required", ()))
        for part in map(self._followed, schema.get("allOf", ())):
            found |= self._required(part)
        return found

    def _followed(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        reference = schema.get("$ref")
        return self.schemas[reference.rpartition("/")[2]] if reference else schema

    def _part(self, name: str, path: list[str]) -> Mapping[str, Any]:
        found = self.schemas[name]
        for key in path:
            found = found["properties"][key]
        part: Mapping[str, Any] = found.get("items", found)
        return part


def contract_types() -> str:
    """The module that the contract of now makes."""
    contract = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())
    return Types(contract["components"]["schemas"]).module()


def _literal(values: list[Any]) -> str:
    told = ", ".join(f'"{value}"' if isinstance(value, str) else repr(value) for value in values)
    return f"Literal[{told}]"


def _quoted(expression: str) -> str:
    return f"'{expression}'" if '"' in expression else f'"{expression}"'


def _camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[\W_]+", name))


def _named(name: str, schema: Mapping[str, Any], number: int) -> str:
    title = schema.get("title", f"option {number}")
    return name + _camel(textwrap.shorten(title, 40))

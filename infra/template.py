"""The CloudFormation templates as plain Python: `!Ref X` is {"Ref": "X"}, `!Sub X` is {"Fn::Sub": "X"}."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]


class _Loader(yaml.SafeLoader):
    """A YAML loader of CloudFormation's short forms."""


def _short_form(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        return {name: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    if isinstance(node, yaml.MappingNode):
        return {name: loader.construct_mapping(node, deep=True)}
    raise TypeError(node)


_Loader.add_multi_constructor("!", _short_form)


class Template:
    """One template file."""

    def __init__(self, name: str) -> None:
        self.path = ROOT / name
        self.document: dict[str, Any] = yaml.load(self.path.read_text(), Loader=_Loader)  # noqa: S506 - a SafeLoader

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """The properties of every resource of a type, by logical name."""
        return {
            name: resource.get("Properties", {})
            for name, resource in self.document["Resources"].items()
            if resource["Type"] == kind
        }

    def default(self, parameter: str) -> Any:
        return self.document["Parameters"][parameter]["Default"]


APPLICATION = Template("template.yaml")
ALL = [Template(str(path.relative_to(ROOT))) for path in [ROOT / "template.yaml", *ROOT.glob("infra/*.yaml")]]

FUNCTIONS = APPLICATION.of_type("AWS::Serverless::Function")
GLOBALS: Mapping[str, Any] = APPLICATION.document["Globals"]["Function"]


def environment(function: str) -> dict[str, Any]:
    """A function's environment variables, with the global ones."""
    return {
        **GLOBALS["Environment"]["Variables"],
        **FUNCTIONS[function].get("Environment", {}).get("Variables", {}),
    }


def layers(function: str) -> list[str]:
    """A function's layers: the global ones, then its own, as SAM merges them."""
    listed = [*GLOBALS["Layers"], *FUNCTIONS[function].get("Layers", [])]
    return [layer["Ref"] for layer in listed]


def handler(function: str) -> Path:
    return ROOT / FUNCTIONS[function]["CodeUri"] / "handler.py"


def statements(policy: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list(policy["Statement"])


def as_list(value: Any) -> list[Any]:
    """A list of one or several; of a condition, both branches."""
    if isinstance(value, dict) and set(value) == {"Fn::If"}:
        _, one, other = value["Fn::If"]
        return [*as_list(one), *(each for each in as_list(other) if each not in as_list(one))]
    return value if isinstance(value, list) else [value]


def role_of(function: str) -> dict[str, Any]:
    """The function's role, which must be its own: `!GetAtt <name>Role.Arn`."""
    role, _, attribute = FUNCTIONS[function]["Role"]["Fn::GetAtt"].partition(".")
    if (role, attribute) != (f"{function}Role", "Arn"):
        raise ValueError(f"{function} has the role {role}.{attribute}")
    return APPLICATION.of_type("AWS::IAM::Role")[role]

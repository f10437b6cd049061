"""template.yaml as CloudFormation deploys it: after the transform that SAM applies."""

import copy
from functools import cache
from types import SimpleNamespace
from typing import Any

from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from infra.template import APPLICATION, as_list, statements

REGION = "us-east-1"


@cache
def expanded() -> dict[str, Any]:
    """The whole document.  Code is where `sam package` would have put it; no AWS is asked."""
    document = copy.deepcopy(APPLICATION.document)
    for resource in document["Resources"].values():
        for place in {"CodeUri", "ContentUri", "DefinitionUri"} & set(resource.get("Properties", {})):
            resource["Properties"][place] = {"Bucket": "code", "Key": "archive"}
    translator = Translator({}, Parser(), boto_session=SimpleNamespace(region_name=REGION))
    return dict(translator.translate(document, parameter_values={}))


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    """The properties of every resource of a type, by logical name."""
    return {
        name: resource.get("Properties", {})
        for name, resource in expanded()["Resources"].items()
        if resource["Type"] == kind
    }


def named(value: Any) -> str:
    """The logical name that `!Ref X`, `!GetAtt X.Arn` or `!Sub ${X.Arn}/...` begins with."""
    ((intrinsic, target),) = value.items()
    if intrinsic == "Fn::GetAtt":
        target = target if isinstance(target, str) else ".".join(target)
    return str(target).removeprefix("${").partition("}")[0].partition(".")[0]


def allowed(role: str) -> list[tuple[str, str]]:
    """(action, logical name of what it may be done to) of a role of our own."""
    return [
        (action, named(resource))
        for policy in of_type("AWS::IAM::Role")[role].get("Policies", [])
        for statement in statements(policy["PolicyDocument"])
        for action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
        if isinstance(action, str) and isinstance(resource, dict)
    ]

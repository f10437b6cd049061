"""The expanded template's policies as IAM would get them, with conditions decided and names filled in."""

from collections.abc import Iterator
from typing import Any

from infra.template import APPLICATION
from tests.template.expanded import expanded

REGION, ACCOUNT = "us-east-1", "123456789012"
_PSEUDO = {
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::StackName": "catalog-images",
    "ImportBuckets": "arn:aws:s3:::old-shop",
    "ViewKey": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab",
}
# What `!GetAtt <name>.Arn` of a resource is, by its type.
_ARNS = {
    "AWS::DynamoDB::Table": "arn:aws:dynamodb:{place}:table/{name}",
    "AWS::SQS::Queue": "arn:aws:sqs:{place}:{name}",
    "AWS::S3::Bucket": "arn:aws:s3:::{name}",
    "AWS::Logs::LogGroup": "arn:aws:logs:{place}:log-group:{name}:*",
    "AWS::KMS::Key": "arn:aws:kms:{place}:key/{name}",
    "AWS::Cognito::UserPool": "arn:aws:cognito-idp:{place}:userpool/us-east-1_{name}",
    "AWS::Events::EventBus": "arn:aws:events:{place}:event-bus/{name}",
    "AWS::Events::Rule": "arn:aws:events:{place}:rule/catalog-images/{name}",
    "AWS::Lambda::Function": "arn:aws:lambda:{place}:function:{name}",
    "AWS::StepFunctions::StateMachine": "arn:aws:states:{place}:stateMachine:{name}",
}
_HELD = {
    "TlsOnly": True,
    "Cdn": True,
    "SignedViews": True,
    "FirstSigns": True,
    "FirstViewKey": True,
    "SecondViewKey": True,
}  # what a condition says; the template's defaults, and the CDN's policies too


def policies() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every policy document of the template, each with the name of its resource."""
    for name, resource in expanded()["Resources"].items():
        properties = resource.get("Properties", {})
        inline = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
        own = [properties[key] for key in ("PolicyDocument", "KeyPolicy") if key in properties]
        for document in [*inline, *own]:
            yield name, resolve(document)


def resolve(value: Any) -> Any:  # noqa: PLR0911 - a case a function of CloudFormation
    """The value with its intrinsic functions computed; what is NoValue is left out of lists."""
    match value:
        case list():
            resolved = [resolve(each) for each in value if each != {"Ref": "AWS::NoValue"}]
            return [each for each in resolved if each is not None]
        case {"Fn::If": [condition, held, otherwise]}:
            chosen = held if _HELD[condition] else otherwise
            return None if chosen == {"Ref": "AWS::NoValue"} else resolve(chosen)
        case {"Ref": str() as name}:
            return _PSEUDO.get(name, name)
        case {"Fn::GetAtt": target}:
            return _attribute(target if isinstance(target, str) else ".".join(target))
        case {"Fn::Sub": str() as text}:
            return _substituted(text)
        case {"Fn::Join": [str() as between, each]}:
            parts = resolve(each)
            return between.join(parts if isinstance(parts, list) else [parts])
        case {"Fn::Split": [str() as between, joined]}:
            return resolve(joined).split(between)
        case dict():
            return {key: resolve(each) for key, each in value.items()}
    return value


def _attribute(target: str) -> str:
    name, _, attribute = target.partition(".")
    kind = expanded()["Resources"][name]["Type"]
    arn = _ARNS[kind].format(place=f"{REGION}:{ACCOUNT}", name=name.lower() if "S3" in kind else name)
    return f"{arn}/stream/label" if attribute == "StreamArn" else arn


def _substituted(text: str) -> str:
    before, found, rest = text.partition("${")
    if not found:
        return text
    name, _, after = rest.partition("}")
    if name in _PSEUDO:
        value = _PSEUDO[name]
    elif "." in name:
        value = _attribute(name)
    else:
        value = str(APPLICATION.document["Parameters"].get(name, {}).get("Default", name))
    return before + value + _substituted(after)

"""What SAM makes of the template, and what AWS does with it that no emulator shows."""

import json

import pytest

from infra.template import ALL, APPLICATION
from tests.template.expanded import allowed, expanded, named, of_type

FUNCTIONS = of_type("AWS::Lambda::Function")
WRITES = ("dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem")
# Whose names are one namespace for all regions of an account, or for everybody.
GLOBALLY_NAMED = {
    "AWS::S3::Bucket": "BucketName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::CloudFront::OriginAccessControl": "OriginAccessControlConfig.Name",
    "AWS::CloudFront::Function": "Name",
    "AWS::CloudFront::CachePolicy": "CachePolicyConfig.Name",
    "AWS::CloudFront::ResponseHeadersPolicy": "ResponseHeadersPolicyConfig.Name",
    "AWS::CloudFront::PublicKey": "PublicKeyConfig.Name",
    "AWS::CloudFront::KeyGroup": "KeyGroupConfig.Name",
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::User": "UserName",
}


def asynchronously_invoked() -> set[str]:
    """Functions that something calls and does not wait for: schedules, rules, topics, buckets."""
    schedules = [schedule["Target"] for schedule in of_type("AWS::Scheduler::Schedule").values()]
    rules = [target for rule in of_type("AWS::Events::Rule").values() for target in rule["Targets"]]
    topics = [
        {"Arn": subscription["Endpoint"]} for subscription in of_type("AWS::SNS::Subscription").values()
    ]
    buckets = [
        {"Arn": call["Function"]}
        for bucket in of_type("AWS::S3::Bucket").values()
        for call in bucket.get("NotificationConfiguration", {}).get("LambdaConfigurations", [])
    ]
    targets = (named(target["Arn"]) for target in [*schedules, *rules, *topics, *buckets])
    return {target for target in targets if target in FUNCTIONS}


def causes() -> dict[str, set[str]]:
    """Function -> the functions that what it writes or sends makes run."""
    readers: dict[str, set[str]] = {}  # by the queue, table or bucket that they are run by
    for mapping in of_type("AWS::Lambda::EventSourceMapping").values():
        readers.setdefault(named(mapping["EventSourceArn"]), set()).add(named(mapping["FunctionName"]))
    for bucket, properties in of_type("AWS::S3::Bucket").items():
        for notification in properties.get("NotificationConfiguration", {}).get("QueueConfigurations", []):
            readers.setdefault(bucket, set()).update(readers[named(notification["Queue"])])
    sends = ("sqs:SendMessage", "s3:PutObject", *WRITES)
    reached: dict[str, set[str]] = {name: set() for name in FUNCTIONS}
    for name, function in FUNCTIONS.items():
        for action, target in allowed(named(function["Role"])):
            if action in sends:
                reached[name] |= readers.get(target, set())
            if action.startswith("lambda:Invoke"):
                reached[name].add(target)
    for name, config in of_type("AWS::Lambda::EventInvokeConfig").items():
        if not config.get("DestinationConfig"):
            continue
        failed = named(config["DestinationConfig"]["OnFailure"]["Destination"])
        assert failed not in readers, f"{name}: a function reads the failures of another"
    return reached


def followed_from(function: str, reached: dict[str, set[str]]) -> set[str]:
    found, new = set[str](), reached[function]
    while new:
        found |= new
        new = {name for one in new for name in reached[one]} - found
    return found


def test_the_api_has_exactly_one_stage_which_is_logged_and_throttled() -> None:
    ((_, stage),) = of_type("AWS::ApiGateway::Stage").items()
    assert stage["StageName"] == "v1"
    assert stage["AccessLogSetting"]
    (settings,) = stage["MethodSettings"]
    assert settings["ThrottlingRateLimit"] > 0
    assert not any(
        "StageName" in deployment for deployment in of_type("AWS::ApiGateway::Deployment").values()
    )


def test_nobody_pays_for_metrics_of_every_method() -> None:
    for stage in of_type("AWS::ApiGateway::Stage").values():
        assert not any(settings.get("MetricsEnabled") for settings in stage["MethodSettings"])


def test_the_api_keeps_its_authorizer_and_binary_types_in_the_newer_document() -> None:
    (api,) = of_type("AWS::ApiGateway::RestApi").values()
    body = api["Body"]
    assert body["openapi"].startswith("3.")
    assert body["components"]["securitySchemes"]["Tokens"]["x-amazon-apigateway-authorizer"]["providerARNs"]
    assert set(body["x-amazon-apigateway-binary-media-types"]) == {
        kind.replace("~1", "/")
        for kind in APPLICATION.of_type("AWS::Serverless::Api")["Api"]["BinaryMediaTypes"]
    }
    unprotected = [
        (path, method)
        for path, methods in body["paths"].items()
        for method, operation in methods.items()
        if method != "options" and not operation.get("security")
    ]
    assert unprotected == []


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_a_function_that_can_cause_itself_to_run_says_so_and_no_other_does(function: str) -> None:
    """Lambda stops any other chain after about 16 turns; catalog.domain.hops bounds ours."""
    causes_itself = function in followed_from(function, causes())
    assert FUNCTIONS[function].get("RecursiveLoop") == ("Allow" if causes_itself else None)


def test_purge_render_and_webhooks_are_known_to_cause_themselves_to_run() -> None:
    reached = causes()
    assert {name for name in FUNCTIONS if name in followed_from(name, reached)} == {
        "PurgeWorker",
        "Render",
        "WebhookDelivery",
    }


def test_what_fails_in_a_function_that_nobody_waits_for_becomes_a_dead_letter_with_an_alarm() -> None:
    configs = of_type("AWS::Lambda::EventInvokeConfig")
    kept = {
        named(config["FunctionName"]): named(config["DestinationConfig"]["OnFailure"]["Destination"])
        for config in configs.values()
        if config.get("DestinationConfig")
    }
    # The sweeper's event says nothing: what it fails at, it finds again ten minutes later.
    assert asynchronously_invoked() == {"PurgeStarter", "JobSweeper"}
    assert set(kept) == {"PurgeStarter"}
    alarms = [alarm for template in ALL for alarm in template.of_type("AWS::CloudWatch::Alarm").values()]
    for function, queue in kept.items():
        assert ("sqs:SendMessage", queue) in allowed(named(FUNCTIONS[function]["Role"]))
        (alarm,) = [a for a in alarms if {"Name": "QueueName", "Value": {"Ref": queue}} in a["Dimensions"]]
        assert (alarm["Threshold"], alarm["EvaluationPeriods"]) == (0, 1)
        assert alarm["ComparisonOperator"] == "GreaterThanThreshold"


@pytest.mark.parametrize(
    ("name", "place", "properties"),
    [
        (name, place, properties)
        for template in ALL
        for kind, place in GLOBALLY_NAMED.items()
        for name, properties in template.of_type(kind).items()
    ],
)
def test_a_name_that_is_global_carries_the_region(name: str, place: str, properties: dict) -> None:
    value = properties
    for part in place.split("."):
        value = value.get(part, {})
    assert not value or "${AWS::Region}" in json.dumps(value), name


def test_nothing_depends_on_what_a_condition_can_leave_out() -> None:
    resources = expanded()["Resources"]
    for name, resource in resources.items():
        depends = resource.get("DependsOn", [])
        for other in [depends] if isinstance(depends, str) else depends:
            assert "Condition" not in resources[other], f"{name} depends on {other}"


def test_the_stage_is_made_after_the_role_that_it_logs_with() -> None:
    (api,) = of_type("AWS::ApiGateway::RestApi").values()
    condition, kept, _ = api["Description"]["Fn::If"]
    assert condition == expanded()["Resources"]["ApiGatewayAccount"]["Condition"]
    assert "${ApiGatewayAccount}" in kept["Fn::Sub"]

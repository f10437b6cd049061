"""The dashboard and the alarms: they watch what exists, and everything that must be watched is."""

import json
import re
from typing import Any

import pytest

from catalog.use_cases.ingestion import Outcome
from infra.template import APPLICATION, FUNCTIONS, GLOBALS, ROOT, Template

OBSERVABILITY = Template("infra/observability.yaml")
ALARMS = OBSERVABILITY.of_type("AWS::CloudWatch::Alarm")
NESTED = APPLICATION.of_type("AWS::CloudFormation::Stack")["Observability"]
QUEUES = APPLICATION.of_type("AWS::SQS::Queue")
DEAD_LETTER_QUEUES = sorted(name for name in QUEUES if name.endswith("DeadLetterQueue"))
WORK_QUEUES = sorted(set(QUEUES) - set(DEAD_LETTER_QUEUES))

# What AWS publishes by itself, and the dimensions it does so by.
OF_AWS = {
    "AWS/SQS": (("QueueName",), {"ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"}),
    "AWS/Lambda": (("FunctionName",), {"Errors", "Throttles", "Duration", "IteratorAge"}),
    "AWS/States": (("StateMachineArn",), {"ExecutionsFailed"}),
    "AWS/ApiGateway": (("ApiName", "Stage"), {"Count", "4XXError", "5XXError", "Latency"}),
}
OWN = "CatalogImagePipeline"


def emitted() -> set[str]:
    """The names the functions count by: literals, and the outcomes of ingest."""
    sources = [*ROOT.glob("functions/*/handler.py"), *(ROOT / "layers" / "catalog").rglob("*.py")]
    literals = {name for path in sources for name in re.findall(r'\bcount\("(\w+)"', path.read_text())}
    return literals | {"".join(map(str.capitalize, outcome.name.split("_"))) for outcome in Outcome}


def widgets() -> list[dict[str, Any]]:
    body = OBSERVABILITY.of_type("AWS::CloudWatch::Dashboard")["Dashboard"]["DashboardBody"]["Fn::Sub"]
    listed: list[dict[str, Any]] = json.loads(body)["widgets"]
    return listed


def watched() -> list[tuple[str, str, tuple[str, ...]]]:
    """Namespace, metric and dimensions of everything that is drawn or alarmed."""
    drawn = [
        (metric[0], metric[1], tuple(part for part in metric[2::2] if isinstance(part, str)))
        for widget in widgets()
        for metric in widget["properties"]["metrics"]
    ]
    alarmed = [
        (alarm["Namespace"], alarm["MetricName"], tuple(d["Name"] for d in alarm["Dimensions"]))
        for alarm in ALARMS.values()
    ]
    return sorted({*drawn, *alarmed})


def alarms_on(metric: str, target: str) -> list[dict[str, Any]]:
    return [
        alarm
        for alarm in ALARMS.values()
        if alarm["MetricName"] == metric and {"Ref": target} in [d["Value"] for d in alarm["Dimensions"]]
    ]


@pytest.mark.parametrize("metric", watched(), ids=lambda metric: metric[1])
def test_what_is_watched_is_published_by_a_function_or_by_aws(metric):
    namespace, name, dimensions = metric
    if namespace == OWN:
        assert (name in emitted(), dimensions) == (True, ("service",))
    else:
        expected, names = OF_AWS[namespace]
        assert (name in names, dimensions) == (True, expected)


def test_every_outcome_of_ingest_is_drawn():
    drawn = {metric[1] for widget in widgets() for metric in widget["properties"]["metrics"]}
    assert {"".join(map(str.capitalize, outcome.name.split("_"))) for outcome in Outcome} <= drawn


def test_own_metrics_are_looked_for_where_the_functions_publish_them():
    variables = GLOBALS["Environment"]["Variables"]
    assert variables["POWERTOOLS_METRICS_NAMESPACE"] == OWN
    assert variables["POWERTOOLS_SERVICE_NAME"] == NESTED["Parameters"]["Name"] == {"Ref": "AWS::StackName"}


@pytest.mark.parametrize("queue", DEAD_LETTER_QUEUES)
def test_a_single_dead_letter_raises_an_alarm_within_minutes(queue):
    (alarm,) = alarms_on("ApproximateNumberOfMessagesVisible", queue)
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (0, "GreaterThanThreshold")
    assert alarm["Period"] * alarm["EvaluationPeriods"] <= 300


def test_a_job_that_fails_raises_an_alarm_within_minutes_and_so_does_its_execution():
    assert NESTED["Parameters"]["JobMachine"] == {"Ref": "JobMachine"}
    for metric, target in (("JobsFailed", "Name"), ("ExecutionsFailed", "JobMachine")):
        (alarm,) = alarms_on(metric, target)
        assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (0, "GreaterThanThreshold")
        assert alarm["Period"] * alarm["EvaluationPeriods"] <= 300


@pytest.mark.parametrize("queue", WORK_QUEUES)
def test_work_that_waits_too_long_raises_an_alarm(queue):
    assert alarms_on("ApproximateAgeOfOldestMessage", queue)


def test_a_message_that_failed_once_is_not_yet_too_old():
    assert OBSERVABILITY.default("AlarmMessageAge") > max(
        QUEUES[queue]["VisibilityTimeout"] for queue in WORK_QUEUES
    )


@pytest.mark.parametrize("metric", ["Errors", "Throttles"])
@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_a_function_that_fails_or_is_throttled_raises_an_alarm(function, metric):
    assert alarms_on(metric, function)


@pytest.mark.parametrize("function", ["Ingest", "Render"])
def test_a_function_that_comes_near_its_time_limit_raises_an_alarm_before_it_is_reached(function):
    (alarm,) = alarms_on("Duration", function)
    limit = FUNCTIONS[function]["Timeout"] * 1000
    assert alarm["ExtendedStatistic"] == "p95"
    assert 0.5 * limit < alarm["Threshold"] < limit


def test_a_stream_that_is_followed_too_slowly_raises_an_alarm_before_its_records_are_given_up():
    (alarm,) = alarms_on("IteratorAge", "Usage")
    given_up = [
        event["Properties"]["MaximumRecordAgeInSeconds"] * 1000
        for event in FUNCTIONS["Usage"]["Events"].values()
    ]
    assert alarm["Threshold"] < min(given_up)


def test_server_errors_of_the_api_raise_an_alarm_on_the_stage_that_is_deployed():
    (alarm,) = alarms_on("5XXError", "Api")
    api = APPLICATION.of_type("AWS::Serverless::Api")["Api"]
    assert {"Name": "Stage", "Value": api["StageName"]} in alarm["Dimensions"]
    assert NESTED["Parameters"]["Api"] == api["Name"]


@pytest.mark.parametrize("alarm", sorted(ALARMS))
def test_an_alarm_tells_the_topic_when_it_begins_and_ends_and_is_silent_where_nothing_happens(alarm):
    assert ALARMS[alarm]["AlarmActions"] == ALARMS[alarm]["OKActions"] == [{"Ref": "Alarms"}]
    assert ALARMS[alarm]["TreatMissingData"] == "notBreaching"
    assert ALARMS[alarm]["AlarmDescription"]


def test_an_address_that_is_given_gets_the_alarms():
    subscription = OBSERVABILITY.document["Resources"]["AlarmsByEmail"]
    assert subscription["Condition"] == "Email"
    assert subscription["Properties"]["Endpoint"] == {"Ref": "AlarmEmail"}
    assert NESTED["Parameters"]["AlarmEmail"] == {"Ref": "AlarmEmail"}


@pytest.mark.parametrize("name", sorted(NESTED["Parameters"]))
def test_what_is_watched_is_named_as_it_is_in_the_application(name):
    assert name in OBSERVABILITY.document["Parameters"]
    given = NESTED["Parameters"][name]
    if name in QUEUES:
        assert given == {"Fn::GetAtt": f"{name}.QueueName"}
    elif name in FUNCTIONS:
        assert given == {"Ref": name}
    elif name in APPLICATION.document["Parameters"]:
        assert given == {"Ref": name}
        assert OBSERVABILITY.default(name) == APPLICATION.default(name)


def test_nothing_is_referred_to_by_getatt_which_the_emulator_cannot_update():
    assert "Fn::GetAtt" not in json.dumps(OBSERVABILITY.document)
    assert "Observability." not in json.dumps(APPLICATION.document)

"""What holds of every function that follows a table's stream, and of the bus its events go to."""

import pytest

from infra.template import APPLICATION, FUNCTIONS, role_of, statements

TABLES = APPLICATION.of_type("AWS::DynamoDB::Table")
FOLLOWED = {
    (function, name): event["Properties"]
    for function, properties in FUNCTIONS.items()
    for name, event in properties.get("Events", {}).items()
    if event["Type"] == "DynamoDB"
}
EVERY_STREAM = pytest.mark.parametrize("followed", sorted(FOLLOWED))


def test_the_changes_of_assets_and_of_purge_runs_are_followed():
    assert {stream["Stream"]["Fn::GetAtt"] for stream in FOLLOWED.values()} == {
        "AssetsTable.StreamArn",
        "PurgeRunsTable.StreamArn",
    }


@EVERY_STREAM
def test_a_stream_that_is_followed_holds_both_images_and_is_read_from_its_beginning(followed):
    table = FOLLOWED[followed]["Stream"]["Fn::GetAtt"].removesuffix(".StreamArn")
    assert TABLES[table]["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert FOLLOWED[followed]["StartingPosition"] == "TRIM_HORIZON"


@EVERY_STREAM
def test_a_bad_record_is_isolated_bounded_in_its_tries_and_kept_as_a_dead_letter(followed):
    stream = FOLLOWED[followed]
    assert stream["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert stream["BisectBatchOnFunctionError"] is True
    assert 1 <= stream["MaximumRetryAttempts"] <= 100
    # A stream forgets after 24 hours: the dead letter must come while its records can still be read.
    assert stream["MaximumRecordAgeInSeconds"] <= 43_200
    target = stream["DestinationConfig"]["OnFailure"]
    assert target["Type"] == "SQS"
    queue = target["Destination"]["Fn::GetAtt"].removesuffix(".Arn")
    assert APPLICATION.of_type("AWS::SQS::Queue")[queue]["MessageRetentionPeriod"] == 14 * 24 * 3600


@EVERY_STREAM
def test_a_function_may_read_the_streams_it_follows_and_keep_its_dead_letters(followed):
    function, _ = followed
    granted = [
        (statement["Action"], resource)
        for policy in role_of(function)["Policies"]
        for statement in statements(policy["PolicyDocument"])
        for resource in (
            statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        )
    ]
    streams = [actions for actions, resource in granted if resource == FOLLOWED[followed]["Stream"]]
    assert {action for actions in streams for action in actions} >= {
        "dynamodb:DescribeStream",
        "dynamodb:GetRecords",
        "dynamodb:GetShardIterator",
    }
    assert ("sqs:SendMessage", FOLLOWED[followed]["DestinationConfig"]["OnFailure"]["Destination"]) in granted


def test_events_go_to_a_bus_of_their_own_that_the_stack_names():
    assert list(APPLICATION.of_type("AWS::Events::EventBus")) == ["EventBus"]
    assert APPLICATION.document["Outputs"]["EventBusName"]["Value"] == {"Ref": "EventBus"}


def test_what_is_counted_of_gone_assets_is_forgotten_by_expires_at():
    usage = TABLES["UsageTable"]
    assert usage["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert [key["AttributeName"] for key in usage["KeySchema"]] == ["tenant", "counter"]

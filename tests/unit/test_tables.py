"""A write that failed: refused by its condition, or broken on the way."""

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError
from pynamodb.exceptions import PynamoDBException, UpdateError

from catalog.adapters.tables import is_refused


def of_code(code: str) -> PynamoDBException:
    return UpdateError(cause=ClientError({"Error": {"Code": code}}, "UpdateItem"))


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (of_code("ConditionalCheckFailedException"), True),
        (of_code("ThrottlingException"), False),
        (UpdateError(cause=ConnectionClosedError(endpoint_url="https://dynamodb")), False),
        (UpdateError(), False),
    ],
)
def test_only_a_condition_that_did_not_hold_refuses_a_write(error: PynamoDBException, refused: bool) -> None:
    assert is_refused(error) is refused

"""Shared by the tables: their client, binding a model to a table, and timestamps."""

from datetime import UTC, datetime
from typing import Any, cast

from botocore.exceptions import ClientError
from pynamodb.connection import Connection
from pynamodb.exceptions import PynamoDBException
from pynamodb.models import Model

from catalog.adapters.sdk import client


class _SharedClient(Connection):
    """Talks to DynamoDB by the process's one client; PynamoDB itself makes a session and a client a table."""

    @property
    def client(self) -> Any:
        return client("dynamodb")


def timestamp(moment: datetime) -> str:
    """ISO 8601 in UTC with microseconds: sorts as text in the order of time."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def is_refused(error: PynamoDBException) -> bool:
    """Whether the write's condition did not hold.

    PynamoDB's `cause_response_code` cannot be asked: it breaks where the connection was lost.
    """
    cause = error.cause
    return (
        isinstance(cause, ClientError)
        and cause.response["Error"]["Code"] == "ConditionalCheckFailedException"
    )


def bind[M: Model](model: type[M], table_name: str) -> type[M]:
    """The model over `table_name`, by the process's one client for DynamoDB."""
    bound = cast(
        type[M], type(model.__name__, (model,), {"Meta": type("Meta", (), {"table_name": table_name})})
    )
    table = bound._get_connection()  # makes no request yet
    shared = _SharedClient()
    shared.add_meta_table(table.get_meta_table())
    table.connection = shared
    return bound

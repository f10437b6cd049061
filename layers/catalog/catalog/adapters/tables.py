"""What the tables have in common: how a model is bound to one, and how time is written."""

from datetime import UTC, datetime
from typing import cast

from pynamodb.models import Model


def timestamp(moment: datetime) -> str:
    """ISO 8601 in UTC with microseconds: sorts as text in the order of time."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def bind[M: Model](model: type[M], table_name: str, *, connections: int = 10) -> type[M]:
    """The model over `table_name`, with botocore's standard retries instead of PynamoDB's own.

    `connections` are kept open; more requests than that at once each pay for a new one.
    """
    meta = {
        "table_name": table_name,
        "retry_configuration": {"mode": "standard", "total_max_attempts": 3},
        "connect_timeout_seconds": 2,
        "read_timeout_seconds": 10,
        "max_pool_connections": connections,
    }
    return cast(type[M], type(model.__name__, (model,), {"Meta": type("Meta", (), meta)}))

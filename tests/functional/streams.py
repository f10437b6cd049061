"""Streams of the tables: a record of every change, as Lambda's poller hands them to the usage function."""

import base64
import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import botocore.client
import pytest

from tests.builders.events import ACCOUNT, REGION

FOLLOWED = ("AssetsTable", "PurgeRunsTable")
_WRITES = {"PutItem", "UpdateItem", "DeleteItem"}


@contextmanager
def recorded_changes() -> Iterator[list[dict[str, Any]]]:
    """Every change of the followed tables meanwhile, from what the item was before and after the write."""
    records: list[dict[str, Any]] = []
    make = botocore.client.BaseClient._make_api_call

    def recorded(self: Any, operation: str, arguments: Any) -> Any:
        table = arguments.get("TableName")
        if operation not in _WRITES or table not in FOLLOWED:
            return make(self, operation, arguments)
        description = make(self, "DescribeTable", {"TableName": table})["Table"]
        item = arguments.get("Key") or arguments["Item"]
        key = {part["AttributeName"]: item[part["AttributeName"]] for part in description["KeySchema"]}
        read = {"TableName": table, "Key": key, "ConsistentRead": True}
        old = copy.deepcopy(make(self, "GetItem", read).get("Item"))
        answer = make(self, operation, arguments)
        new = copy.deepcopy(make(self, "GetItem", read).get("Item"))
        if old != new:
            records.append(_record(table, len(records), key, old, new))
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.client.BaseClient, "_make_api_call", recorded)
        yield records


def _record(table: str, number: int, key: Any, old: Any, new: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "ApproximateCreationDateTime": 1763812800.0,
        "Keys": key,
        "SequenceNumber": str(111000000000000000000 + number),
        "SizeBytes": 1,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }
    if old:
        told["OldImage"] = _as_json(old)
    if new:
        told["NewImage"] = _as_json(new)
    return {
        "eventID": f"event-{number}",
        "eventName": "MODIFY" if old and new else "INSERT" if new else "REMOVE",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": REGION,
        "dynamodb": told,
        "eventSourceARN": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{table}/stream/2026-11-22T12:00:00.000",
    }


def _as_json(value: Any) -> Any:
    """Lambda's events are JSON: binary values are base64 there."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {name: _as_json(inner) for name, inner in value.items()}
    return [_as_json(inner) for inner in value] if isinstance(value, list) else value

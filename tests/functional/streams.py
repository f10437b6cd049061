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

    def keys(client: Any, operation: str, arguments: Any) -> list[tuple[str, dict[str, Any]]]:
        """The items a call may change, by table."""
        parts = [arguments] if operation in _WRITES else []
        if operation == "TransactWriteItems":
            parts = [part for item in arguments["TransactItems"] for part in item.values()]
        found = []
        for part in parts:
            if (table := part["TableName"]) in FOLLOWED:
                schema = make(client, "DescribeTable", {"TableName": table})["Table"]["KeySchema"]
                item = part.get("Key") or part["Item"]
                found.append((table, {key["AttributeName"]: item[key["AttributeName"]] for key in schema}))
        return found

    def recorded(self: Any, operation: str, arguments: Any) -> Any:
        written = keys(self, operation, arguments)

        def images() -> list[Any]:
            reads = ({"TableName": table, "Key": key, "ConsistentRead": True} for table, key in written)
            return [copy.deepcopy(make(self, "GetItem", read).get("Item")) for read in reads]

        before = images()
        answer = make(self, operation, arguments)
        for (table, key), old, new in zip(written, before, images(), strict=True):
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

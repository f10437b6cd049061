"""Streams of the tables: a record of every change, as Lambda's poller hands them to the usage function."""

import base64
import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import botocore.client
import pytest
from moto.backends import get_backend
from moto.dynamodb.models.dynamo_type import DynamoType

from catalog.domain.keys import AssetKey, asset_id, tenant_id
from infra.local.events import ACCOUNT, REGION
from tests.builders.guarantees import History
from tests.functional.cloud import Cloud

FOLLOWED = ("AssetsTable", "PurgeRunsTable")
_WRITES = {"PutItem", "UpdateItem", "DeleteItem"}


@contextmanager
def recorded_changes() -> Iterator[list[dict[str, Any]]]:
    """Every change of the followed tables meanwhile, from what the item was before and after the write."""
    records: list[dict[str, Any]] = []
    make = botocore.client.BaseClient._make_api_call
    tables = get_backend("dynamodb")[ACCOUNT][REGION].tables

    def written_by(operation: str, arguments: Any) -> list[tuple[str, dict[str, Any]]]:
        """The items a call may change, by table."""
        parts = [arguments] if operation in _WRITES else []
        if operation == "TransactWriteItems":
            parts = [part for item in arguments["TransactItems"] for part in item.values()]
        if operation == "BatchWriteItem":
            parts = [
                {"TableName": table, **part}
                for table, requests in arguments["RequestItems"].items()
                for request in requests
                for part in request.values()
            ]
        found = []
        for part in parts:
            if (table := part["TableName"]) in FOLLOWED:
                item = part.get("Key") or part["Item"]
                schema = tables[table].schema
                found.append((table, {key["AttributeName"]: item[key["AttributeName"]] for key in schema}))
        return found

    def image(table: str, key: dict[str, Any]) -> Any:
        # Read where moto keeps it: a call for each would double the calls of a test.
        of_hash, of_range = (DynamoType(value) for value in key.values())
        item = tables[table].get_item(of_hash, of_range)
        return copy.deepcopy(item.to_json()["Attributes"]) if item else None

    def recorded(self: Any, operation: str, arguments: Any) -> Any:
        written = written_by(operation, arguments)
        before = [image(*one) for one in written]
        try:
            return make(self, operation, arguments)
        finally:  # a write whose answer was lost is told of, too, although its repetition is refused
            for (table, key), old in zip(written, before, strict=True):
                new = image(table, key)
                if old != new:
                    records.append(_record(table, len(records), key, old, new))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.client.BaseClient, "_make_api_call", recorded)
        yield records


def history_of(cloud: Cloud, records: list[dict[str, Any]]) -> History:
    """What S3 took and what was taken out of use, for the guarantees to be held against."""
    sent = cloud.moment().versions[cloud.originals]
    deletions = set()
    for record in records:
        new = record["dynamodb"].get("NewImage", {})
        if new.get("status", {}).get("S") == "deleting":
            key = AssetKey(tenant_id(new["tenant"]["S"]), asset_id(new["id"]["S"]))
            deletions.add((key, new["purge_run"]["S"]))
    return History(sent={AssetKey.of_original(key) for key in sent}, deletions=deletions)


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

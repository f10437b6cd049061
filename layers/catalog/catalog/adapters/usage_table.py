"""The Usage table: a tenant's totals, and for each of its assets the share of them that is counted.

An item holds one `Usage` as numbers, those that are 0 left out: `assets`, `rejected`, `bytes_originals`,
`duplicates_avoided`, `bytes_saved`, and `bytes_of#<preset>` a preset.  They are written and read as such, and
not through a model, since their names depend on the presets, and ADD takes attributes of the top level only.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import batched
from typing import Any, Final

from botocore.exceptions import ClientError

from catalog.adapters.sdk import client
from catalog.adapters.tables import timestamp
from catalog.domain.keys import AssetId, TenantId
from catalog.domain.usage import NOTHING, CountersMovedError, Move, Share, Total, Usage, Version

_READ_AT_ONCE: Final = 100  # keys BatchGetItem takes
_WRITTEN_AT_ONCE: Final = 25  # requests BatchWriteItem takes
_TOTAL: Final = "total"
_COUNTED: Final = "counted#"
_NUMBERS: Final = ("assets", "rejected", "bytes_originals", "duplicates_avoided", "bytes_saved")
_BYTES_OF: Final = "bytes_of#"
# A stream keeps records for 24 hours, so nothing older can arrive.
_GONE_KEPT_FOR: Final = timedelta(days=7)
_LOST_RACES: Final = {"None", "ConditionalCheckFailed", "TransactionConflict"}


class Counters:
    """The Usage table."""

    def __init__(self, table_name: str) -> None:
        self._table = table_name

    def totals(self, tenants: Iterable[TenantId]) -> dict[TenantId, Usage]:
        """Each tenant's total.  Half a read unit a tenant, whatever it stores."""
        wanted = list(dict.fromkeys(tenants))
        found: dict[TenantId, Usage] = dict.fromkeys(wanted, NOTHING)
        for item in self._items([_key(tenant, _TOTAL) for tenant in wanted]):
            found[TenantId(item["tenant"]["S"])] = _usage(item)
        return found

    def total(self, tenant: TenantId) -> Total:
        """A consistent read."""
        answer = client("dynamodb").get_item(
            TableName=self._table, Key=_key(tenant, _TOTAL), ConsistentRead=True
        )
        item = answer.get("Item", {})
        return Total(_usage(item), int(item["moves"]["N"]) if item else 0)

    def shares(self, tenant: TenantId, ids: Iterable[AssetId]) -> dict[AssetId, Share]:
        """What is counted for these assets, read consistently; those never counted are left out."""
        items = self._items([_key(tenant, _COUNTED + id_) for id_ in ids], consistent=True)
        return {_id(item): _share(item) for item in items}

    def counted(self, tenant: TenantId) -> Iterator[tuple[AssetId, Share]]:
        """Everything that is counted for a tenant, read consistently.  For the operator's recount."""
        pages = (
            client("dynamodb")
            .get_paginator("query")
            .paginate(
                TableName=self._table,
                KeyConditionExpression="tenant = :tenant AND begins_with(#counter, :counted)",
                ExpressionAttributeNames={"#counter": "counter"},
                ExpressionAttributeValues={":tenant": {"S": tenant}, ":counted": {"S": _COUNTED}},
                ConsistentRead=True,
            )
        )
        for page in pages:
            for item in page["Items"]:
                yield _id(item), _share(item)

    def forget_tenant(self, tenant: TenantId, *, most: int) -> bool:
        """Remove up to `most` counters of a tenant; True where none is left."""
        dynamodb = client("dynamodb")
        removed = 0
        while removed < most:
            found = dynamodb.query(
                TableName=self._table,
                KeyConditionExpression="tenant = :tenant",
                ProjectionExpression="tenant, #counter",
                ExpressionAttributeNames={"#counter": "counter"},
                ExpressionAttributeValues={":tenant": {"S": tenant}},
                ConsistentRead=True,
                Limit=_WRITTEN_AT_ONCE,
            )["Items"]
            if not found:
                return True
            wanted = {self._table: [{"DeleteRequest": {"Key": key}} for key in found]}
            left = dynamodb.batch_write_item(RequestItems=wanted)["UnprocessedItems"].get(self._table, [])
            removed += len(found) - len(left)
            if len(left) == len(found):
                return False  # throttled: the next call goes on
        return False

    def move(self, tenant: TenantId, moves: Sequence[Move], *, now: datetime) -> None:
        """Count all of these, at most MOVES_AT_ONCE, or none, and the total with them.

        Raises CountersMovedError where what is counted for one of them is not what the move says, or changes
        at this moment.
        """
        difference = sum((move.difference for move in moves), NOTHING)
        items = [self._counting(tenant, move, now) for move in moves]
        if difference != NOTHING:
            items.append({"Update": self._adding(tenant, difference)})
        try:
            client("dynamodb").transact_write_items(TransactItems=items)
        except ClientError as error:
            reasons = {reason["Code"] for reason in error.response.get("CancellationReasons", [])}
            if reasons and reasons <= _LOST_RACES:
                raise CountersMovedError(tenant) from error
            raise

    def correct(self, tenant: TenantId, found: Total, usage: Usage) -> None:
        """Replace a wrong total.  Raises CountersMovedError where it has changed since `found`."""
        item = _key(tenant, _TOTAL) | _numbers(usage) | {"moves": {"N": str(found.moves + 1)}}
        try:
            client("dynamodb").put_item(
                TableName=self._table,
                Item=item,
                ConditionExpression="attribute_not_exists(tenant) OR moves = :moves",
                ExpressionAttributeValues={":moves": {"N": str(found.moves)}},
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                raise CountersMovedError(tenant) from error
            raise

    def _counting(self, tenant: TenantId, move: Move, now: datetime) -> dict[str, Any]:
        version = move.share.version
        item = _key(tenant, _COUNTED + move.id) | _numbers(move.share.usage)
        item |= {"created_at": {"S": timestamp(version.created_at)}, "revision": {"N": str(version.revision)}}
        if version.is_gone:
            item["expires_at"] = {"N": str(int((now + _GONE_KEPT_FOR).timestamp()))}
        put: dict[str, Any] = {"TableName": self._table, "Item": item}
        if move.counted is None:
            put["ConditionExpression"] = "attribute_not_exists(tenant)"
        else:
            counted = move.counted.version
            put["ConditionExpression"] = "created_at = :created_at AND revision = :revision"
            put["ExpressionAttributeValues"] = {
                ":created_at": {"S": timestamp(counted.created_at)},
                ":revision": {"N": str(counted.revision)},
            }
        return {"Put": put}

    def _adding(self, tenant: TenantId, difference: Usage) -> dict[str, Any]:
        numbers = _numbers(difference) | {"moves": {"N": "1"}}
        return {
            "TableName": self._table,
            "Key": _key(tenant, _TOTAL),
            "UpdateExpression": "ADD " + ", ".join(f"#{at} :{at}" for at in range(len(numbers))),
            "ExpressionAttributeNames": {f"#{at}": name for at, name in enumerate(numbers)},
            "ExpressionAttributeValues": {f":{at}": number for at, number in enumerate(numbers.values())},
        }

    def _items(
        self, keys: Sequence[Mapping[str, Any]], *, consistent: bool = False
    ) -> Iterator[dict[str, Any]]:
        for some in batched(keys, _READ_AT_ONCE, strict=False):
            asked = {self._table: {"Keys": list(some), "ConsistentRead": consistent}}
            while asked:
                answer = client("dynamodb").batch_get_item(RequestItems=asked)
                yield from answer["Responses"].get(self._table, [])
                asked = answer.get("UnprocessedKeys", {})


def _key(tenant: TenantId, counter: str) -> dict[str, Any]:
    return {"tenant": {"S": tenant}, "counter": {"S": counter}}


def _id(item: Mapping[str, Any]) -> AssetId:
    return AssetId(item["counter"]["S"].removeprefix(_COUNTED))


def _numbers(usage: Usage) -> dict[str, Any]:
    numbers = {name: getattr(usage, name) for name in _NUMBERS}
    numbers |= {_BYTES_OF + preset: size for preset, size in usage.bytes_per_preset.items()}
    return {name: {"N": str(number)} for name, number in numbers.items() if number}


def _usage(item: Mapping[str, Any]) -> Usage:
    sizes = {
        name.removeprefix(_BYTES_OF): int(number["N"])
        for name, number in item.items()
        if name.startswith(_BYTES_OF)
    }
    return Usage(
        **{name: int(item[name]["N"]) for name in _NUMBERS if name in item},
        bytes_per_preset={preset: size for preset, size in sizes.items() if size},
    )


def _share(item: Mapping[str, Any]) -> Share:
    created_at = datetime.fromisoformat(item["created_at"]["S"])
    return Share(Version(created_at, int(item["revision"]["N"])), _usage(item))

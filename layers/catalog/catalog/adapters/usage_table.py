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
from catalog.domain.usage import (
    BYTES_OF,
    NOTHING,
    NUMBERS,
    Before,
    Counted,
    CountersMovedError,
    Move,
    Share,
    Total,
    Usage,
    Version,
    counters_of,
)

_READ_AT_ONCE: Final = 100  # keys BatchGetItem takes
TOTAL: Final = "total"
_COUNTED: Final = "counted#"
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
        for item in self._items([key_of(tenant, TOTAL) for tenant in wanted]):
            found[TenantId(item["tenant"]["S"])] = usage_of_item(item)
        return found

    def total(self, tenant: TenantId) -> Total:
        """A consistent read."""
        answer = client("dynamodb").get_item(
            TableName=self._table, Key=key_of(tenant, TOTAL), ConsistentRead=True
        )
        return total_of(answer.get("Item", {}))

    def counted(self, tenant: TenantId, ids: Iterable[AssetId]) -> Counted:
        """What is counted for these assets, read consistently; those never counted are left out."""
        keys = [key_of(tenant, TOTAL), *(key_of(tenant, _COUNTED + id_) for id_ in ids)]
        items = {item["counter"]["S"]: item for item in self._items(keys, consistent=True)}
        total = total_of(items.pop(TOTAL, {}))
        return Counted({_id(item): _share(item) for item in items.values()}, total.recount)

    def forget_gone(self, tenant: TenantId, id_: AssetId, share: Share) -> None:
        """Remove the share of an asset that is gone, which nothing is counted for; one that changed stays."""
        version = share.version
        self._forget(
            *(tenant, id_, "created_at = :created_at AND revision = :revision"),
            {
                ":created_at": {"S": timestamp(version.created_at)},
                ":revision": {"N": str(version.revision)},
            },
        )

    def forget_until(self, tenant: TenantId, id_: AssetId, moment: datetime) -> None:
        """Remove the share of an asset that was created by this moment; a later asset's stays."""
        self._forget(tenant, id_, "created_at <= :moment", {":moment": {"S": timestamp(moment)}})

    def _forget(self, tenant: TenantId, id_: AssetId, condition: str, values: Mapping[str, Any]) -> None:
        try:
            client("dynamodb").delete_item(
                TableName=self._table,
                Key=key_of(tenant, _COUNTED + id_),
                ConditionExpression=condition,
                ExpressionAttributeValues=values,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise

    def within(self, tenant: TenantId, prefix: str) -> Iterator[tuple[AssetId, Share]]:
        """What is counted for the assets whose ids begin so, by id, read consistently."""
        pages = (
            client("dynamodb")
            .get_paginator("query")
            .paginate(
                TableName=self._table,
                KeyConditionExpression="tenant = :tenant AND begins_with(#counter, :counted)",
                ExpressionAttributeNames={"#counter": "counter"},
                ExpressionAttributeValues={
                    ":tenant": {"S": tenant},
                    ":counted": {"S": _COUNTED + prefix},
                },
                ConsistentRead=True,
            )
        )
        for page in pages:
            for item in page["Items"]:
                yield _id(item), _share(item)

    def move(self, tenant: TenantId, moves: Sequence[Move], *, recount: str | None, now: datetime) -> None:
        """Count all of these, at most MOVES_AT_ONCE, or none, and the total with them.

        Raises CountersMovedError where what is counted for one of them is not what the move says, another
        recount than `recount` is under way, or either changes at this moment.
        """
        items = [self._counting(tenant, move, recount, now) for move in moves]
        if any(move.difference != NOTHING for move in moves):
            items.append({"Update": self._adding(tenant, moves, recount)})
        write_all(tenant, items)

    def _counting(self, tenant: TenantId, move: Move, recount: str | None, now: datetime) -> dict[str, Any]:
        version = move.share.version
        item = key_of(tenant, _COUNTED + move.id) | numbers_of(move.share.usage)
        item |= {"created_at": {"S": timestamp(version.created_at)}, "revision": {"N": str(version.revision)}}
        if version.is_gone:
            item["expires_at"] = {"N": str(int((now + _GONE_KEPT_FOR).timestamp()))}
        if recount:
            item |= {"recount": {"S": recount}, "before": {"M": numbers_of(move.when_began(recount))}}
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

    def _adding(self, tenant: TenantId, moves: Sequence[Move], recount: str | None) -> dict[str, Any]:
        adding = adding_to_total(self._table, tenant, sum((move.difference for move in moves), NOTHING))
        adding["ConditionExpression"] = "recount = :recount" if recount else "attribute_not_exists(recount)"
        if recount:
            adding["ExpressionAttributeValues"][":recount"] = {"S": recount}
        return adding

    def _items(
        self, keys: Sequence[Mapping[str, Any]], *, consistent: bool = False
    ) -> Iterator[dict[str, Any]]:
        for some in batched(keys, _READ_AT_ONCE, strict=False):
            asked = {self._table: {"Keys": list(some), "ConsistentRead": consistent}}
            while asked:
                answer = client("dynamodb").batch_get_item(RequestItems=asked)
                yield from answer["Responses"].get(self._table, [])
                asked = answer.get("UnprocessedKeys", {})


def write_all(tenant: TenantId, items: Sequence[Mapping[str, Any]]) -> None:
    """Write all or none.  Raises CountersMovedError where a condition fails or another write is under way."""
    try:
        client("dynamodb").transact_write_items(TransactItems=items)
    except ClientError as error:
        reasons = {reason["Code"] for reason in error.response.get("CancellationReasons", [])}
        if reasons and reasons <= _LOST_RACES:
            raise CountersMovedError(tenant) from error
        raise


def adding_to_total(table: str, tenant: TenantId, difference: Usage) -> dict[str, Any]:
    """The update that adds to a tenant's total."""
    numbers = numbers_of(difference) | {"moves": {"N": "1"}}
    return {
        "TableName": table,
        "Key": key_of(tenant, TOTAL),
        "UpdateExpression": "ADD " + ", ".join(f"#{at} :{at}" for at in range(len(numbers))),
        "ExpressionAttributeNames": {f"#{at}": name for at, name in enumerate(numbers)},
        "ExpressionAttributeValues": {f":{at}": number for at, number in enumerate(numbers.values())},
    }


def key_of(tenant: TenantId, counter: str) -> dict[str, Any]:
    return {"tenant": {"S": tenant}, "counter": {"S": counter}}


def _id(item: Mapping[str, Any]) -> AssetId:
    return AssetId(item["counter"]["S"].removeprefix(_COUNTED))


def numbers_of(usage: Usage) -> dict[str, Any]:
    """As attributes of an item."""
    return {name: {"N": str(number)} for name, number in counters_of(usage).items() if number}


def usage_of_item(item: Mapping[str, Any]) -> Usage:
    sizes = {
        name.removeprefix(BYTES_OF): int(number["N"])
        for name, number in item.items()
        if name.startswith(BYTES_OF)
    }
    return Usage(
        **{name: int(item[name]["N"]) for name in NUMBERS if name in item},
        bytes_per_preset={preset: size for preset, size in sizes.items() if size},
    )


def total_of(item: Mapping[str, Any]) -> Total:
    """The total of an item, which may be empty."""
    recount = item["recount"]["S"] if "recount" in item else None
    return Total(usage_of_item(item), int(item["moves"]["N"]) if "moves" in item else 0, recount)


def _share(item: Mapping[str, Any]) -> Share:
    created_at = datetime.fromisoformat(item["created_at"]["S"])
    before = Before(item["recount"]["S"], usage_of_item(item["before"]["M"])) if "recount" in item else None
    return Share(Version(created_at, int(item["revision"]["N"])), usage_of_item(item), before)

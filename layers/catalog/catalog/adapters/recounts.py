"""Recounts, in the Usage table: each keeps the total when it began, and what it found in each range.

Item `recount#<id>` is the recount, `recount#<id>#<prefix>` a range.  They expire after 7 days.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from botocore.exceptions import ClientError

from catalog.adapters.sdk import client
from catalog.adapters.tables import timestamp
from catalog.adapters.usage_table import (
    TOTAL,
    adding_to_total,
    key_of,
    numbers_of,
    total_of,
    usage_of_item,
    write_all,
)
from catalog.domain.keys import TenantId
from catalog.domain.recount import Range, Recount
from catalog.domain.usage import CountersMovedError, Usage

_KEPT_FOR: Final = timedelta(days=7)
_TRIES: Final = 10


class Recounts:
    """The recounts in one table."""

    def __init__(self, table_name: str) -> None:
        self._table = table_name

    def begin(self, tenant: TenantId, id_: str, *, now: datetime) -> str | None:
        """Begin the recount, unless it has begun; returns the id of the recount that is under way then.

        From the beginning on, a share that moves keeps its earlier value.  Raises CountersMovedError if the
        total changes at every try.
        """
        for attempt in range(_TRIES):
            total, item = self._items(tenant, id_)
            if item is not None:
                return total_of(total).recount
            try:
                write_all(tenant, self._beginning(tenant, id_, total, now))
            except CountersMovedError:
                if attempt + 1 == _TRIES:
                    raise
            else:
                return id_
        raise CountersMovedError(tenant)

    def keep(self, tenant: TenantId, id_: str, prefix: str, found: Range, *, now: datetime) -> Range:
        """Record what was found in a range; returns the first such record, which precedes any repair."""
        item = key_of(tenant, _name(id_, prefix)) | {
            "records": {"N": str(found.records)},
            "wrong": {"N": str(found.wrong)},
            "began_with": {"M": numbers_of(found.began_with)},
            "difference": {"M": numbers_of(found.difference)},
            "expires_at": _expires(now),
        }
        try:
            client("dynamodb").put_item(
                TableName=self._table,
                Item=item,
                ConditionExpression="attribute_not_exists(tenant)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return _range(error.response["Item"])  # type: ignore[typeddict-item]
        return found

    def get(self, tenant: TenantId, id_: str) -> Recount | None:
        """The recount with all its ranges, by consistent reads; None if it has not begun."""
        total, item = self._items(tenant, id_)
        if item is None:
            return None
        return Recount(
            tenant,
            id_,
            usage_of_item(item),
            datetime.fromisoformat(item["began_at"]["S"]),
            self._ranges(tenant, id_),
            ended="ended" in item,
            under_way=total_of(total).recount == id_,
        )

    def end(self, recount: Recount, difference: Usage) -> None:
        """End the recount, and add the difference to the total.

        Raises CountersMovedError, also if the recount has ended, or if another one is under way.
        """
        of_total = adding_to_total(self._table, recount.tenant, difference)
        of_total["UpdateExpression"] += " REMOVE recount"
        of_total["ConditionExpression"] = "recount = :recount"
        of_total["ExpressionAttributeValues"][":recount"] = {"S": recount.id}
        ended = {
            "TableName": self._table,
            "Key": key_of(recount.tenant, _name(recount.id)),
            "UpdateExpression": "SET ended = :ended",
            "ConditionExpression": "attribute_exists(tenant) AND attribute_not_exists(ended)",
            "ExpressionAttributeValues": {":ended": {"BOOL": True}},
        }
        write_all(recount.tenant, [{"Update": of_total}, {"Update": ended}])

    def _beginning(
        self, tenant: TenantId, id_: str, total: Mapping[str, Any], now: datetime
    ) -> list[dict[str, Any]]:
        """Keep a copy of the total, and name the recount in the total, if its `moves` are as read."""
        as_read = "moves = :moves" if "moves" in total else "attribute_not_exists(moves)"
        values = {":recount": {"S": id_}} | ({":moves": total["moves"]} if "moves" in total else {})
        kept = key_of(tenant, _name(id_)) | numbers_of(usage_of_item(total))
        kept |= {"began_at": {"S": timestamp(now)}, "expires_at": _expires(now)}
        return [
            {
                "Update": {
                    "TableName": self._table,
                    "Key": key_of(tenant, TOTAL),
                    "UpdateExpression": "SET recount = :recount",
                    "ConditionExpression": as_read,
                    "ExpressionAttributeValues": values,
                }
            },
            {
                "Put": {
                    "TableName": self._table,
                    "Item": kept,
                    "ConditionExpression": "attribute_not_exists(tenant)",
                }
            },
        ]

    def _items(self, tenant: TenantId, id_: str) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """The total, empty if there is none, and the recount, by consistent reads; the total is read last."""
        item = self._item(tenant, _name(id_))
        return self._item(tenant, TOTAL) or {}, item

    def _item(self, tenant: TenantId, counter: str) -> dict[str, Any] | None:
        answer = client("dynamodb").get_item(
            TableName=self._table, Key=key_of(tenant, counter), ConsistentRead=True
        )
        found: dict[str, Any] | None = answer.get("Item")
        return found

    def _ranges(self, tenant: TenantId, id_: str) -> dict[str, Range]:
        beginning = _name(id_, "")
        pages = (
            client("dynamodb")
            .get_paginator("query")
            .paginate(
                TableName=self._table,
                KeyConditionExpression="tenant = :tenant AND begins_with(#counter, :beginning)",
                ExpressionAttributeNames={"#counter": "counter"},
                ExpressionAttributeValues={":tenant": {"S": tenant}, ":beginning": {"S": beginning}},
                ConsistentRead=True,
            )
        )
        items = (item for page in pages for item in page["Items"])
        return {item["counter"]["S"].removeprefix(beginning): _range(item) for item in items}


def _name(id_: str, prefix: str | None = None) -> str:
    return f"recount#{id_}" if prefix is None else f"recount#{id_}#{prefix}"


def _expires(now: datetime) -> dict[str, str]:
    return {"N": str(int((now + _KEPT_FOR).timestamp()))}


def _range(item: Mapping[str, Any]) -> Range:
    return Range(
        records=int(item["records"]["N"]),
        wrong=int(item["wrong"]["N"]),
        began_with=usage_of_item(item["began_with"]["M"]),
        difference=usage_of_item(item["difference"]["M"]),
    )

"""Lists and deletes the items of one tenant in any table whose hash key is `tenant`."""

import time
from collections.abc import Iterator, Sequence
from itertools import batched
from typing import Any, Final

from catalog.adapters.sdk import client
from catalog.domain.keys import TenantId

_WRITTEN_AT_ONCE: Final = 25  # requests BatchWriteItem takes
_LISTED_AT_ONCE: Final = 250
_TRIES: Final = 6  # of a throttled batch: 3 s in all


class ItemsNotDeletedError(Exception):
    """DynamoDB throttled a batch of deletions at every try; a later try deletes the rest."""


class TenantItems:
    """One tenant's items.  `sort_key` is the name of the table's other key."""

    def __init__(self, table_name: str, sort_key: str) -> None:
        self._table = table_name
        self._sort_key = sort_key

    def keys(
        self,
        tenant: TenantId,
        *,
        first: str = "",
        last: str = "",
        after: str | None = None,
        having: tuple[str, str] | None = None,
    ) -> Iterator[list[str]]:
        """Pages of sort keys after `after`, by consistent reads: `first` to `last`, or all without `last`.

        `having` (attribute, value) keeps only items with that value; the reads of the others cost as much.
        Pages omit items that are deleted meanwhile.
        """
        key: dict[str, Any] | None = self._key(tenant, after) if after is not None else None
        while True:
            answer = client("dynamodb").query(
                TableName=self._table,
                ConsistentRead=True,
                Limit=_LISTED_AT_ONCE,
                ProjectionExpression="#sort",
                **self._asked(tenant, first, last, having),
                **({"ExclusiveStartKey": key} if key else {}),
            )
            if found := [item[self._sort_key]["S"] for item in answer["Items"]]:
                yield found
            key = answer.get("LastEvaluatedKey")
            if key is None:
                return

    def delete(self, tenant: TenantId, keys: Sequence[str]) -> None:
        """Delete these items.  Repeating it is harmless.  Raises ItemsNotDeletedError."""
        for some in batched(keys, _WRITTEN_AT_ONCE, strict=False):
            left = [{"DeleteRequest": {"Key": self._key(tenant, key)}} for key in some]
            for attempt in range(_TRIES):
                answer = client("dynamodb").batch_write_item(RequestItems={self._table: left})
                left = answer.get("UnprocessedItems", {}).get(self._table, [])
                if not left:
                    break
                time.sleep(0.05 * 2**attempt)
            else:
                raise ItemsNotDeletedError(self._table)

    def delete_some(self, tenant: TenantId, *, most: int) -> bool:
        """Delete at most `most` items; False if it stopped there, True if none is left."""
        deleted = 0
        for keys in self.keys(tenant):
            some = keys[: most - deleted]
            self.delete(tenant, some)
            deleted += len(some)
            if deleted == most:
                return False
        return True

    def _asked(
        self, tenant: TenantId, first: str, last: str, having: tuple[str, str] | None
    ) -> dict[str, Any]:
        names, values = {"#tenant": "tenant", "#sort": self._sort_key}, {":tenant": {"S": str(tenant)}}
        condition, filtered = "#tenant = :tenant", dict[str, str]()
        if last:
            condition += " AND #sort BETWEEN :first AND :last"
            values |= {":first": {"S": first}, ":last": {"S": last}}
        if having:
            filtered = {"FilterExpression": "#having = :having"}
            names, values = names | {"#having": having[0]}, values | {":having": {"S": having[1]}}
        return {
            "KeyConditionExpression": condition,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
            **filtered,
        }

    def _key(self, tenant: TenantId, key: str) -> dict[str, Any]:
        return {"tenant": {"S": str(tenant)}, self._sort_key: {"S": key}}

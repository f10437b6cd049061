"""DynamoDB's published rules for what an item weighs and what reading and writing it costs, in request units.

Sizes are taken from requests, answers and stream records, since what moto and MiniStack tell as
ConsumedCapacity is the same whatever was read.  Rules: the developer guide's "Item sizes and formats" and
"Read/write capacity mode"; a read unit is 4 KB read consistently, a write unit 1 KB.
"""

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

READ_UNIT: Final = 4096  # bytes
WRITE_UNIT: Final = 1024  # bytes
READS: Final = {"GetItem", "BatchGetItem", "Query", "Scan"}

Item = Mapping[str, Any]


def size_of(value: Mapping[str, Any]) -> int:
    """Bytes of one attribute's value, by the rules DynamoDB bills by."""
    ((kind, held),) = value.items()
    match kind:
        case "S":
            return len(held.encode())
        case "N":
            return (len(held.lstrip("-").replace(".", "")) + 1) // 2 + 1
        case "B":
            return len(held if isinstance(held, bytes) else base64.b64decode(held))
        case "SS":
            return sum(len(text.encode()) for text in held)
        case "M":
            return 3 + sum(len(name.encode()) + size_of(inner) + 1 for name, inner in held.items())
        case "BOOL" | "NULL":
            return 1
    raise ValueError(f"no item of these tables holds {kind}")


def size_of_item(item: Mapping[str, Any]) -> int:
    return sum(len(name.encode()) + size_of(value) for name, value in item.items())


def units(size_bytes: int, *, consistent: bool) -> float:
    """Even what is not there costs one."""
    return max(1, math.ceil(size_bytes / READ_UNIT)) * (1.0 if consistent else 0.5)


def read_units(operation: str, asked: Mapping[str, Any], answer: Mapping[str, Any]) -> float:
    if operation == "GetItem":
        return units(size_of_item(answer.get("Item", {})), consistent=asked.get("ConsistentRead", False))
    if operation == "BatchGetItem":
        total = 0.0
        for table, keys in asked["RequestItems"].items():
            consistent = keys.get("ConsistentRead", False)
            found = answer["Responses"].get(table, [])
            total += sum(units(size_of_item(item), consistent=consistent) for item in found)
            total += (len(keys["Keys"]) - len(found)) * units(0, consistent=consistent)
        return total
    assert answer["Count"] == answer["ScannedCount"], "what was looked at is not in the answer"
    looked_at = sum(map(size_of_item, answer["Items"]))
    return units(looked_at, consistent=asked.get("ConsistentRead", False))


def write_units(old: Item | None, new: Item | None) -> int:
    """Of one write to a table, by the larger of the item before and after it; half of a transaction's."""
    return max(1, *(math.ceil(size_of_item(item or {}) / WRITE_UNIT) for item in (old, new)))


@dataclass(frozen=True)
class Index:
    """A secondary index: the attributes its entries are found by, and all they hold (None: everything)."""

    keys: Sequence[str]
    projected: Sequence[str] | None

    def entry(self, item: Item | None) -> Item | None:
        if item is None or any(name not in item for name in self.keys):
            return None
        names = item if self.projected is None else self.projected
        return {name: item[name] for name in names if name in item}

    def write_units(self, old: Item | None, new: Item | None) -> int:
        """Nothing where the entry stays as it is; a delete and a put where it moves."""
        before, after = self.entry(old), self.entry(new)
        if before == after:
            return 0
        if before and after and any(before[name] != after[name] for name in self.keys):
            return write_units(before, None) + write_units(None, after)
        return write_units(before, after)


def indexes(description: Mapping[str, Any]) -> dict[str, Index]:
    """Those of a table, from DescribeTable, by name."""
    own = [key["AttributeName"] for key in description["KeySchema"]]
    found = {}
    for index in description.get("GlobalSecondaryIndexes", []):
        keys = [key["AttributeName"] for key in index["KeySchema"]]
        projection = index["Projection"]
        held = [*dict.fromkeys([*own, *keys, *projection.get("NonKeyAttributes", [])])]
        found[index["IndexName"]] = Index(keys, None if projection["ProjectionType"] == "ALL" else held)
    return found

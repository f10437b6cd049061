"""What a recount costs as a tenant grows: its steps and worker, over records generated as they are read.

Each image has one reference.

    python -m benchmarks.jobs_recount [--most 1000000] [--out results.json]

No table holds them: each Query is answered with pages of the size DynamoDB gives, as JSON, so that reading
them costs the processor what it does.  Counted are requests, items, read units by DynamoDB's published rules
(benchmarks/_units.py) and the processor's seconds; a part's own requests and its line of the map come on top.
Prices: benchmarks/prices.json; a gigabyte-second at the memory that gives one whole vCPU.
"""

import argparse
import bisect
import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from unittest import mock

import botocore.client

from benchmarks._rates import table
from benchmarks._report import Goal, report
from benchmarks._units import read_units, size_of_item, write_units
from benchmarks.jobs_machinery import PART, PRICES, WORKER_SECOND
from catalog.adapters.assets_table import Assets
from catalog.adapters.recounts import Recounts
from catalog.adapters.references_table import References
from catalog.adapters.tenants_table import Tenants
from catalog.adapters.usage_table import Counters
from catalog.domain.jobs import Job, JobKind, JobState, Tally
from catalog.domain.keys import tenant_id
from catalog.use_cases.recounting import EntriesWorker, Recounting, RecountSteps, RecountWorker

SIZES: Final = (1_000, 10_000, 100_000, 1_000_000)
TENANT: Final = tenant_id("acme")
VCPU_GB: Final = 1769 / 1024
NO_ACCOUNT: Final = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
}
_PAGE_BYTES: Final = 1_000_000
_MOMENT: Final = "2026-11-30T12:00:00.000000+00:00"


def asset_item(id_: str) -> dict[str, Any]:
    rendition = {"M": {"version": {"S": "0123456789"}, "key": {"S": "card-0123456789.jpg"}}}
    for name in ("size_bytes", "width", "height", "quality"):
        rendition["M"][name] = {"N": "600"}
    return {
        "tenant": {"S": TENANT},
        "id": {"S": id_},
        "status": {"S": "ready"},
        "filename": {"S": "photo-000001.jpg"},
        "content_type": {"S": "image/jpeg"},
        "size_bytes": {"N": "250000"},
        "format": {"S": "jpeg"},
        "width": {"N": "1600"},
        "height": {"N": "1200"},
        "ahash64": {"S": "0f" * 8},
        "phash256": {"S": "f0" * 32},
        "indexed_as": {"S": "phash256.2:::3"},
        "renditions": {"M": dict.fromkeys(("thumb", "card", "zoom"), rendition)},
        "created_at": {"S": _MOMENT},
        "updated_at": {"S": _MOMENT},
        "references": {"SS": ["sku-12345"]},
        "correlation_id": {"S": "00000000-0000-0000-0000-000000000000"},
        "revision": {"N": "5"},
    }


def share_item(id_: str) -> dict[str, Any]:
    numbers = {"assets": "1", "bytes_originals": "250000", "revision": "5"}
    numbers |= {f"bytes_of#{name}": "600" for name in ("thumb", "card", "zoom")}
    return {
        "tenant": {"S": TENANT},
        "counter": {"S": f"counted#{id_}"},
        "created_at": {"S": _MOMENT},
        **{name: {"N": number} for name, number in numbers.items()},
    }


def entry_item(id_: str) -> dict[str, Any]:
    """Of a reference; each image has one."""
    name = {"S": "sku-12345"}
    place = {"S": f"sku-12345\t000000\t{id_}"}
    return {"tenant": {"S": TENANT}, "entry": {"S": f"{id_}/sku-12345"}, "place": place, "role": name}


_KINDS: Final = {
    "Assets": ("id", asset_item),
    "Usage": ("counter", share_item),
    "References": ("entry", entry_item),
}


@dataclass
class Generated:
    """Answers what a recount asks of DynamoDB, for a tenant of these ids, and counts it."""

    ids: list[str]
    requests: Counter[str] = field(default_factory=Counter)
    items: Counter[str] = field(default_factory=Counter)
    reads: float = 0.0
    writes: float = 0.0
    kept: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def answer(self) -> Callable[..., dict[str, Any]]:
        """In place of a client's method."""
        return lambda _, operation, asked: self.call(operation, asked)

    def call(self, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        self.requests[operation] += 1
        match operation:
            case "Query":
                answer = self._query(asked)
            case "GetItem":
                item = self.kept.get(asked["Key"]["counter"]["S"])
                answer = {"Item": item} if item else {}
            case "PutItem" | "TransactWriteItems":
                return self._write(operation, asked)
            case _:
                raise ValueError(operation)
        self.reads += read_units(operation, asked, answer)
        decoded: dict[str, Any] = json.loads(json.dumps(answer))  # as botocore does
        return decoded

    def _query(self, asked: dict[str, Any]) -> dict[str, Any]:
        values = [value["S"] for value in asked["ExpressionAttributeValues"].values()]
        recounted = next((value for value in values if value.startswith("recount#")), None)
        if recounted is not None:
            found = [item for name, item in self.kept.items() if name.startswith(recounted)]
            return {"Items": found, "Count": len(found), "ScannedCount": len(found)}
        bounds = sorted(value.removeprefix("counted#") for value in values if value != TENANT)
        first, last = (bounds[0], bounds[-1]) if len(bounds) > 1 else ("".join(bounds), "")
        behind = [
            value["S"] for name, value in asked.get("ExclusiveStartKey", {}).items() if name != "tenant"
        ]
        at = bisect.bisect_left(self.ids, first)
        if behind:
            at = bisect.bisect_right(self.ids, behind[0].removeprefix("counted#").partition("/")[0])
        key, build = _KINDS[asked["TableName"]]
        most = min(asked.get("Limit", 10**9), _PAGE_BYTES // size_of_item(build("0" * 64)))

        def inside(id_: str) -> bool:
            return id_ <= last if last else id_.startswith(first)

        items = []
        while at < len(self.ids) and inside(self.ids[at]) and len(items) < most:
            items.append(build(self.ids[at]))
            at += 1
        answer = {"Items": items, "Count": len(items), "ScannedCount": len(items)}
        if at < len(self.ids) and inside(self.ids[at]):
            answer["LastEvaluatedKey"] = {"tenant": {"S": TENANT}, key: items[-1][key]}
        if "ProjectionExpression" not in asked:
            self.items[asked["TableName"]] += len(items)
        return answer

    def _write(self, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        each = (
            [asked]
            if operation == "PutItem"
            else [one for item in asked["TransactItems"] for one in item.values()]
        )
        for one in each:
            item = one.get("Item", {"recount": {"S": "job"}, "moves": {"N": "1"}})
            self.writes += write_units(None, item) * (1 if operation == "PutItem" else 2)
            self.kept[(one.get("Item") or one["Key"])["counter"]["S"]] = item
        return {}


@contextmanager
def generated(number: int) -> Iterator[Generated]:
    ids = sorted(hashlib.sha256(str(each).encode()).hexdigest() for each in range(number))
    answers = Generated(ids)
    # Of the total only what the recount reads: it is as wrong as can be, and nothing is repaired.
    answers.kept["total"] = {"moves": {"N": "1"}}
    with (
        mock.patch.dict(os.environ, NO_ACCOUNT),
        mock.patch.object(botocore.client.BaseClient, "_make_api_call", answers.answer),
    ):
        yield answers


def measured(number: int) -> dict[str, float]:
    """A dry run over a tenant of so many images: units an image, and dollars."""
    job = Job("job", JobKind.RECOUNT, TENANT, True, {}, JobState.RUNNING, "benchmark", datetime.now(UTC), 1)
    with generated(number) as seen:
        assets = Assets("Assets")
        steps = RecountSteps(assets, Tenants("Tenants"))
        worker = Recounting(
            RecountWorker(assets, Counters("Usage"), Recounts("Usage")),
            EntriesWorker(assets, References("References", "Assets")),
        )
        began, parts, tally = time.process_time(), 0, Tally()
        position: str | None = ""
        while position is not None:
            step = steps.step(job, position)
            for work in step.works:
                parts += 1
                for _, subject in worker.subjects(job, work, after=None):
                    tally += worker.take(job, work, subject).tally
            position = step.next
        seconds = time.process_time() - began
    assert tally.done == number
    assert seen.items == {"Assets": 2 * number, "Usage": number, "References": number}
    dollars = {
        "reads": seen.reads * PRICES["DynamoDB read unit"],
        "writes": seen.writes * PRICES["DynamoDB write unit"],
        "workers": seconds * VCPU_GB * PRICES["Lambda GB-second (x86)"],
        "parts": parts * PART + seconds * WORKER_SECOND,
    }
    return {
        "images": number,
        "parts": parts,
        "requests an image": sum(seen.requests.values()) / number,
        "read units an image": seen.reads / number,
        "milliseconds an image": 1000 * seconds / number,
        **{f"dollars: {name}": amount for name, amount in dollars.items()},
        "dollars": sum(dollars.values()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Dollars of a recount, by the size of the tenant.")
    parser.add_argument("--most", type=int, default=SIZES[-1], help="images of the largest tenant")
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    chosen = parser.parse_args()
    found = [measured(number) for number in SIZES if number <= chosen.most]
    print(table(tuple(found[0]), [tuple(f"{value:,.4g}" for value in each.values()) for each in found]))
    goals = [Goal("each share is read, and half as often as each record", 1.0, at_most=1.0, unit="times")]
    if found[-1]["images"] == SIZES[-1]:
        goals.append(Goal("recount of 10^6 images", found[-1]["dollars"], at_most=0.35, unit="USD"))
    report("jobs_recount", figures={"sizes": found}, goals=goals, out=chosen.out)


if __name__ == "__main__":
    main()

"""What erasing a tenant costs as it grows: its steps and worker, over what is generated as it is read.

    python -m benchmarks.jobs_erase [--most 100000] [--out results.json]

An image is a record, 10 bands, an original, three renditions and a share of the usage.  They are listed,
deleted once and not met again; the numbers deleted are checked.  Counted are requests, units by DynamoDB's
published rules (benchmarks/_units.py), listings of S3 and the processor's seconds.  Deleting objects is free.
What a deletion costs the stream, and a part the state machine, is added.  The scan of HashBands reads bands
of other tenants, and is not an image's: none are here.  Prices: benchmarks/prices.json.
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
from benchmarks.jobs_recount import NO_ACCOUNT, TENANT, VCPU_GB, asset_item, share_item
from catalog.adapters.assets_table import Assets
from catalog.adapters.hash_bands_table import HashBands
from catalog.adapters.object_versions import ObjectVersions
from catalog.adapters.tenant_items import TenantItems
from catalog.adapters.tenants_table import Tenants
from catalog.domain.jobs import Job, JobKind, JobState, Tally
from catalog.use_cases.erasing import Images, Items, Objects, TenantErasure, TenantErasureSteps

SIZES: Final = (1_000, 10_000, 100_000)
BANDS: Final = 10
RENDITIONS: Final = ("card.jpg", "thumb.jpg", "zoom.jpg")
# Of the stream: the share is written in a transaction, and a total for a batch of records.
STREAM_WRITES: Final = 2.1
_INDEXES: Final = 2  # entries of a record, of one unit each
_PAGE_BYTES: Final = 1_000_000
_LISTED: Final = 1_000
_MOMENT: Final = datetime(2026, 11, 30, tzinfo=UTC)
_DELETED: Final = {"Assets": "images", "HashBands": "bands", "Usage": "shares"}


@dataclass
class Generated:
    """Answers what an erasure asks, for a tenant of these ids, and counts it."""

    ids: list[str]
    requests: Counter[str] = field(default_factory=Counter)
    deleted: Counter[str] = field(default_factory=Counter)
    gone: dict[str, set[str]] = field(default_factory=dict)
    reads: float = 0.0
    writes: float = 0.0

    @property
    def answer(self) -> Callable[..., dict[str, Any]]:
        """In place of a client's method."""
        return lambda _, operation, asked: self.call(operation, asked)

    def call(self, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        self.requests[operation] += 1
        match operation:
            case "GetItem":
                answer: dict[str, Any] = {"Item": _tenant_item()}
            case "Query":
                answer = self._query(asked)
            case "Scan":
                answer = {"Items": [], "Count": 0, "ScannedCount": 0}
            case "BatchWriteItem":
                return self._delete_items(asked["RequestItems"])
            case "ListObjectVersions":
                return self._list(asked["Bucket"], asked["Prefix"], asked.get("KeyMarker", ""))
            case "DeleteObjects":
                keys = [each["Key"] for each in asked["Delete"]["Objects"]]
                self._delete(asked["Bucket"], keys)
                return {}
            case _:
                raise ValueError(operation)
        self.reads += read_units(operation, asked, answer)
        decoded: dict[str, Any] = json.loads(json.dumps(answer))  # as botocore does
        return decoded

    def _delete(self, place: str, keys: list[str]) -> None:
        self.deleted[place] += len(keys)
        self.gone.setdefault(place, set()).update(keys)

    def _behind(self, first: str, within: Callable[[str], bool], *, inclusive: bool) -> Iterator[str]:
        cut = bisect.bisect_left if inclusive else bisect.bisect_right
        for at in range(cut(self.ids, first), len(self.ids)):
            if not within(self.ids[at]):
                return
            yield self.ids[at]

    def _query(self, asked: dict[str, Any]) -> dict[str, Any]:
        place = asked["TableName"]
        values = [value["S"] for value in asked["ExpressionAttributeValues"].values()]
        before, sort, build = "", "id", asset_item
        if place == "Usage":
            before, sort, build = "counted#", "counter", share_item
        elif place != "Assets":  # an image alone has no pairs, and none was imported
            return {"Items": [], "Count": 0, "ScannedCount": 0}
        bounds = sorted(value.removeprefix(before) for value in values if value != TENANT)
        first, last = (*bounds, "", "")[:2]
        key = asked.get("ExclusiveStartKey", {}).get(sort, {}).get("S", "").removeprefix(before)

        def within(id_: str) -> bool:
            return id_ <= last if last else id_.startswith(first)

        most = min(asked.get("Limit", 10**9), _PAGE_BYTES // size_of_item(build("0" * 64)))
        items, gone = list[dict[str, Any]](), self.gone.get(place, set())
        for id_ in self._behind(max(first, key), within, inclusive=key < first):
            if id_ in gone:
                continue
            items.append(build(id_))
            if len(items) == most:
                break
        answer: dict[str, Any] = {"Items": items, "Count": len(items), "ScannedCount": len(items)}
        if len(items) == most:
            answer["LastEvaluatedKey"] = {"tenant": {"S": TENANT}, sort: items[-1][sort]}
        return answer

    def _delete_items(self, asked: dict[str, Any]) -> dict[str, Any]:
        for place, requests in asked.items():
            keys = [each["DeleteRequest"]["Key"] for each in requests]
            unit = {"Assets": write_units(asset_item("0" * 64), None) + _INDEXES}.get(place, 1)
            self.writes += unit * len(keys)
            name = {"Assets": "id", "Usage": "counter"}.get(place, "id")
            if place == "HashBands":
                self.deleted[place] += len(keys)
            else:
                self._delete(place, [key[name]["S"].removeprefix("counted#") for key in keys])
        return {"UnprocessedItems": {}}

    def _list(self, bucket: str, prefix: str, after: str) -> dict[str, Any]:
        folder, _, within = prefix.rpartition("/")
        key, names = after.removeprefix(f"{folder}/"), RENDITIONS if bucket == "renditions" else ("",)
        found, gone = list[dict[str, Any]](), self.gone.get(bucket, set())
        begin = max(within, key.partition("/")[0])
        for id_ in self._behind(begin, lambda id_: id_.startswith(within), inclusive=True):
            for name in names:
                full = f"{folder}/{id_}/{name}" if name else f"{folder}/{id_}"
                if full > after and full not in gone:
                    found.append({"Key": full, "VersionId": "1", "Size": 600, "LastModified": _MOMENT})
            if len(found) >= _LISTED:
                break
        found = found[:_LISTED]
        more = len(found) == _LISTED
        return {
            "Versions": found,
            "IsTruncated": more,
            **({"NextKeyMarker": found[-1]["Key"], "NextVersionIdMarker": "1"} if more else {}),
        }


def _tenant_item() -> dict[str, Any]:
    moment = {"S": "2026-11-30T12:00:00.000000+00:00"}
    item: dict[str, Any] = {"tenant": {"S": TENANT}, "created_at": moment, "removing_since": moment}
    return item | {"erased_by": {"S": "job"}, "scopes": {"SS": ["catalog/read"]}}


@contextmanager
def generated(number: int) -> Iterator[Generated]:
    answers = Generated(sorted(hashlib.sha256(str(each).encode()).hexdigest() for each in range(number)))
    with (
        mock.patch.dict(os.environ, NO_ACCOUNT),
        mock.patch.object(botocore.client.BaseClient, "_make_api_call", answers.answer),
    ):
        yield answers


def worker() -> TenantErasure:
    """All that grows with the images: clients, purge runs and what jobs wrote down are a handful."""
    objects = (
        Objects("originals", ObjectVersions("originals", "originals/")),
        Objects("renditions", ObjectVersions("renditions", "renditions/")),
    )
    ids = ("", "member/", "waiting/", "word/")
    bands = HashBands("HashBands")
    none: Any = None
    return TenantErasure(
        tenants=Tenants("Tenants"),
        clients=none,
        bands=bands,
        jobs=none,
        totals=none,
        signer=none,
        of_ranges=(
            *objects,
            Images(Assets("Assets"), bands),
            Items("pairs", TenantItems("Pairs", "pair"), of_ids=ids),
            Items("imports", TenantItems("Imported", "object"), of_ids=("",)),
        ),
        rest=(),
        counters=(Items("counters", TenantItems("Usage", "counter"), of_ids=("counted#",)),),
    )


def measured(number: int) -> dict[str, float]:
    """Sweep, sweep again and a check, of a tenant of so many images: units an image, and dollars."""
    job = Job("job", JobKind.ERASE, TENANT, False, {}, JobState.RUNNING, "benchmark", datetime.now(UTC), 1)
    with generated(number) as seen:
        steps, erasure = TenantErasureSteps(Tenants("Tenants"), Assets("Assets")), worker()
        began, parts, tally = time.process_time(), 0, Tally()
        works = [steps.step(job, position).works for position in ("sweep", "again", "check:1/0")]
        for work in (one for some in works for one in some):
            parts += 1
            for _, subject in erasure.subjects(job, work, after=None):
                tally += erasure.take(job, work, subject).tally
        seconds = time.process_time() - began
    deleted = {"Assets": 1, "HashBands": BANDS, "Usage": 1, "originals": 1, "renditions": len(RENDITIONS)}
    assert seen.deleted == {place: each * number for place, each in deleted.items()}, seen.deleted
    assert tally.counts["images"] == number
    dollars = {
        "reads": seen.reads * PRICES["DynamoDB read unit"],
        "writes": seen.writes * PRICES["DynamoDB write unit"],
        "stream": number * STREAM_WRITES * PRICES["DynamoDB write unit"],
        "listings": seen.requests["ListObjectVersions"] * PRICES["S3 PUT"],
        "workers": seconds * VCPU_GB * PRICES["Lambda GB-second (x86)"],
        "parts": parts * PART + seconds * WORKER_SECOND,
    }
    return {
        "images": number,
        "parts": parts,
        "requests an image": sum(seen.requests.values()) / number,
        "read units an image": seen.reads / number,
        "write units an image": seen.writes / number,
        "milliseconds an image": 1000 * seconds / number,
        **{f"dollars: {name}": amount for name, amount in dollars.items()},
        "dollars": sum(dollars.values()),
        "dollars a million": 1e6 * sum(dollars.values()) / number,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Dollars of an erasure, by the size of the tenant.")
    parser.add_argument("--most", type=int, default=SIZES[-1], help="images of the largest tenant")
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    chosen = parser.parse_args()
    found = [measured(number) for number in SIZES if number <= chosen.most]
    print(table(tuple(found[0]), [tuple(f"{value:,.4g}" for value in each.values()) for each in found]))
    growth = found[-1]["requests an image"] / found[0]["requests an image"]
    goals = [Goal("requests an image, of the largest over the smallest", growth, at_most=1.1, unit="times")]
    report("jobs_erase", figures={"sizes": found}, goals=goals, out=chosen.out)


if __name__ == "__main__":
    main()

"""Tenants that are generated as they are read, for what a job costs as a tenant grows.

No table holds them: each request is answered in this process, with pages of the size DynamoDB gives, as JSON,
so that reading them costs the processor what it does.  Counted are requests, units by DynamoDB's published
rules (benchmarks/_units.py) and the processor's seconds; a part's own requests and its line of the map come
on top.  Prices: benchmarks/prices.json; a gigabyte-second at the memory that gives one whole vCPU.
"""

import argparse
import bisect
import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from unittest import mock

import botocore.client

from benchmarks._rates import table
from benchmarks._units import size_of_item
from benchmarks._waits import VCPU_GB
from benchmarks.jobs_machinery import PART, PRICES, WORKER_SECOND
from catalog.domain.jobs import Job, JobKind, JobState
from catalog.domain.keys import tenant_id

SIZES: Final = (1_000, 10_000, 100_000, 1_000_000)
TENANT: Final = tenant_id("acme")
PAGE_BYTES: Final = 1_000_000
MOMENT: Final = "2026-11-30T12:00:00.000000+00:00"
NO_ACCOUNT: Final = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
}

type Item = dict[str, Any]


def asset_item(id_: str) -> Item:
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
        "indexed_as": {"S": "phash256.3::"},
        "renditions": {"M": dict.fromkeys(("thumb", "card", "zoom"), rendition)},
        "created_at": {"S": MOMENT},
        "updated_at": {"S": MOMENT},
        "unused_since": {"S": MOMENT},
        "correlation_id": {"S": "00000000-0000-0000-0000-000000000000"},
        "revision": {"N": "5"},
    }


def share_item(id_: str) -> Item:
    numbers = {"assets": "1", "bytes_originals": "250000", "revision": "5"}
    numbers |= {f"bytes_of#{name}": "600" for name in ("thumb", "card", "zoom")}
    return {
        "tenant": {"S": TENANT},
        "counter": {"S": f"counted#{id_}"},
        "created_at": {"S": MOMENT},
        **{name: {"N": number} for name, number in numbers.items()},
    }


def ids_of(number: int) -> list[str]:
    return sorted(hashlib.sha256(str(each).encode()).hexdigest() for each in range(number))


def job(kind: JobKind, *, dry_run: bool) -> Job:
    return Job("job", kind, TENANT, dry_run, {}, JobState.RUNNING, "benchmark", datetime.now(UTC), 1)


@dataclass
class Answers:
    """What is answered and counted for a tenant of these ids, in order."""

    ids: list[str]
    requests: Counter[str] = field(default_factory=Counter)
    reads: float = 0.0
    writes: float = 0.0

    def behind(self, first: str, within: Callable[[str], bool], *, inclusive: bool) -> Iterator[str]:
        """The ids from `first` on, as long as they are within."""
        cut = bisect.bisect_left if inclusive else bisect.bisect_right
        for at in range(cut(self.ids, first), len(self.ids)):
            if not within(self.ids[at]):
                return
            yield self.ids[at]

    def page(
        self,
        asked: Mapping[str, Any],
        build: Callable[[str], Item],
        *,
        sort: str = "id",
        before: str = "",
        gone: Collection[str] = (),
    ) -> Item:
        """The answer to a Query between two ids, or for ids that begin so; sort keys begin with `before`."""
        values = [value["S"] for value in asked["ExpressionAttributeValues"].values()]
        bounds = sorted(value.removeprefix(before) for value in values if value != TENANT)
        first, last = (*bounds, "", "")[:2]
        key = asked.get("ExclusiveStartKey", {}).get(sort, {}).get("S", "").removeprefix(before)

        def within(id_: str) -> bool:
            return id_ <= last if last else id_.startswith(first)

        most = min(asked.get("Limit", 10**9), PAGE_BYTES // size_of_item(build("0" * 64)))
        items = list[Item]()
        for id_ in self.behind(max(first, key), within, inclusive=key < first):
            if id_ in gone:
                continue
            if len(items) == most:
                break
            items.append(build(id_))
        else:
            return {"Items": items, "Count": len(items), "ScannedCount": len(items)}
        more = {"LastEvaluatedKey": {"tenant": {"S": TENANT}, sort: items[-1][sort]}}
        return {"Items": items, "Count": len(items), "ScannedCount": len(items), **more}


def as_sent(answer: Item) -> Item:
    """The answer as botocore decodes it."""
    decoded: Item = json.loads(json.dumps(answer))
    return decoded


@contextmanager
def answered(call: Callable[[str, Item], Item]) -> Iterator[None]:
    """Every AWS call of this process is answered by `call`."""
    with (
        mock.patch.dict(os.environ, NO_ACCOUNT),
        mock.patch.object(
            botocore.client.BaseClient, "_make_api_call", lambda _, operation, asked: call(operation, asked)
        ),
    ):
        yield


def worth(answers: Answers, *, seconds: float, parts: int, **further: float) -> dict[str, float]:
    """Dollars by what they are for; `seconds` are the workers', billed."""
    return {
        "reads": answers.reads * PRICES["DynamoDB read unit"],
        "writes": answers.writes * PRICES["DynamoDB write unit"],
        **further,
        "workers": seconds * VCPU_GB * PRICES["Lambda GB-second (x86)"],
        "parts": parts * PART + seconds * WORKER_SECOND,
    }


def an_image(
    number: int, answers: Answers, dollars: Mapping[str, float], *, parts: int, processor: float
) -> dict[str, float]:
    """The figures of a tenant of so many images; `processor` seconds."""
    return {
        "images": number,
        "parts": parts,
        "requests an image": sum(answers.requests.values()) / number,
        "read units an image": answers.reads / number,
        "write units an image": answers.writes / number,
        "milliseconds an image": 1000 * processor / number,
        **{f"dollars: {name}": amount for name, amount in dollars.items()},
        "dollars": sum(dollars.values()),
        "dollars a million": 1e6 * sum(dollars.values()) / number,
    }


def parsed(description: str, *, most: int) -> argparse.Namespace:
    return parser(description, most=most).parse_args()


def parser(description: str, *, most: int) -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--most", type=int, default=most, help="images of the largest tenant")
    options.add_argument("--out", type=Path, help="where the JSON goes")
    return options


def print_sizes(found: Sequence[Mapping[str, float]]) -> None:
    print(table(tuple(found[0]), [tuple(f"{value:,.4g}" for value in each.values()) for each in found]))

"""What a GET, a list page and the metrics cost in DynamoDB reads, in catalogs from 10^2 to 10^5 images.

    python -m benchmarks.read_cost [--sizes 100 1000 10000 100000] [--out results.json]

Calls the API functions as they are, on moto with the template's tables, and meters each call they make by the
published rules for read units: each item of a GetItem or BatchGetItem in units of 4 KB, those of a Query or
Scan together; half of it for eventually consistent reads.  Sizes are taken from the answers, since what moto
and MiniStack tell as ConsumedCapacity is the same whatever was read.  Prints a Markdown table; a call that
costs more in a larger catalog misses its goal.
"""

import argparse
import contextlib
import io
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import batched
from pathlib import Path
from typing import Any, Final

import botocore.client
import pytest
from moto import mock_aws

from benchmarks._rates import table
from benchmarks._report import Goal, report
from benchmarks._units import READS, read_units
from catalog.adapters import sdk
from tests.builders.events import REGION
from tests.builders.images import jpeg_bytes, product_photo
from tests.functional.cloud import Answer, Cloud
from tests.functional.streams import recorded_changes

SIZES: Final = (100, 1_000, 10_000, 100_000)
BORN: Final = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Cost:
    """Requests made and read units used."""

    requests: int = 0
    units: float = 0.0


@contextmanager
def metered() -> Iterator[Cost]:
    """The cost of the reads made meanwhile."""
    cost = Cost()
    make = botocore.client.BaseClient._make_api_call

    def measured(self: Any, operation: str, asked: Any) -> Any:
        answer = make(self, operation, asked)
        if operation in READS:
            cost.requests += 1
            cost.units += read_units(operation, asked, answer)
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.client.BaseClient, "_make_api_call", measured)
        yield cost


def fill(cloud: Cloud, images: int) -> str:
    """A tenant's catalog of so many copies of one real asset, each with its count; returns the last id.

    One rendition each: moto holds whole items, not index entries, against the 1 MB a query may look at, and a
    thousand of those with three are more.
    """
    cloud.configure(PRESETS='[{"name": "card", "width": 600, "height": 600}]')
    with recorded_changes() as records:
        cloud.upload(jpeg_bytes(product_photo(1)))
        cloud.invoke("usage", {"Records": records})
    (asset,) = cloud.dynamodb.scan(TableName="AssetsTable")["Items"]
    counters = cloud.dynamodb.scan(TableName="UsageTable")["Items"]
    (counted,) = (item for item in counters if item["counter"]["S"] != "total")
    for numbers in batched(range(images - 1), 25, strict=False):
        puts: dict[str, list[Any]] = {"AssetsTable": [], "UsageTable": []}
        for number in numbers:
            id_, born = (
                f"{number:064x}",
                (BORN + timedelta(seconds=number)).isoformat(timespec="microseconds"),
            )
            times = {"created_at": {"S": born}, "unused_since": {"S": born}}
            puts["AssetsTable"].append({"PutRequest": {"Item": {**asset, **times, "id": {"S": id_}}}})
            counter = {"S": f"counted#{id_}"}
            puts["UsageTable"].append({"PutRequest": {"Item": {**counted, "counter": counter}}})
        for name, requests in puts.items():
            cloud.dynamodb.batch_write_item(RequestItems={name: requests})
    return str(asset["id"]["S"])


def calls(cloud: Cloud, id_: str) -> dict[str, Callable[[], Answer]]:
    """What is measured, by name.  `status=rejected` matches nothing: the longest search a page may make."""
    return {
        "GET image": lambda: cloud.get(id_),
        "list, 50 images": lambda: cloud.list_images(limit="50"),
        "list, 50 of a status": lambda: cloud.list_images(limit="50", status="rejected"),
        "metrics": lambda: cloud.call("metrics", "GET", "/metrics"),
        "metrics of all tenants": lambda: cloud.call(
            "metrics", "GET", "/metrics", query={"tenant": "*"}, scope="catalog/read catalog/admin"
        ),
    }


def measure(images: int) -> dict[str, Cost]:
    """The cost of each call once its function has started and knows the client."""
    with pytest.MonkeyPatch.context() as patch, mock_aws(), contextlib.redirect_stdout(io.StringIO()):
        for name, value in {
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "POWERTOOLS_SERVICE_NAME": "catalog",
            "POWERTOOLS_METRICS_NAMESPACE": "CatalogImagePipeline",
        }.items():
            patch.setenv(name, value)
        sdk.client.cache_clear()
        cloud = Cloud(patch)
        measured = {}
        for name, call in calls(cloud, fill(cloud, images)).items():
            call()
            with metered() as cost:
                answer = call()
            assert answer.status == 200, answer.json
            measured[name] = cost
        sdk.client.cache_clear()
        return measured


def main() -> None:
    parser = argparse.ArgumentParser(description="Read units of API calls by the size of the catalog.")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="images in the catalog")
    parser.add_argument("--out", type=Path, help="where to write the figures as JSON")
    chosen = parser.parse_args()
    logging.disable(logging.WARNING)
    by_size = {}
    for images in chosen.sizes:
        by_size[images] = measure(images)
        print(f"{images:,} images measured", file=sys.stderr)
    names = list(by_size[chosen.sizes[0]])
    rows: list[tuple[str, ...]] = [
        (name, *(f"{costs[name].units:g} ({costs[name].requests})" for costs in by_size.values()))
        for name in names
    ]
    print(table(("read units (requests)", *(f"{images:,}" for images in by_size)), rows))
    figures = {
        images: {name: vars(cost) for name, cost in costs.items()} for images, costs in by_size.items()
    }
    report("read_cost", figures=figures, goals=goals(by_size), out=chosen.out)


def goals(by_size: Mapping[int, Mapping[str, Cost]]) -> list[Goal]:
    """Every call costs in the largest catalog what it does in the smallest."""
    found = []
    for name in by_size[min(by_size)]:
        # A search for a status looks at 1,000 index entries at most, so it grows up to there.
        smallest = min((size for size in by_size if size >= 1000 or "status" not in name), default=0)
        if smallest:
            growth = by_size[max(by_size)][name].units / by_size[smallest][name].units
            found.append(
                Goal(f"read units, {name}, {max(by_size):,} images of {smallest:,}", growth, at_most=1)
            )
    return found


if __name__ == "__main__":
    main()

"""What GET, a list page and the metrics cost in DynamoDB reads does not grow with the catalog."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import Any

import botocore.client
import pytest

from benchmarks._units import READS, read_units
from infra.pictures.images import jpeg_bytes, product_photo
from tests.functional.cloud import Answer, Cloud
from tests.functional.streams import recorded_changes

SMALL, LARGE = 60, 150  # images; a page has 50
BORN = datetime(2026, 1, 1, tzinfo=UTC)


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


def add_copies(cloud: Cloud, numbers: range) -> None:
    """Copies of the tenant's only real image, each with its counter."""
    assets = cloud.dynamodb.scan(TableName="AssetsTable")["Items"]
    asset = next(item for item in assets if not item["id"]["S"].startswith("0" * 32))
    counters = cloud.dynamodb.scan(TableName="UsageTable")["Items"]
    counted = next(item for item in counters if item["counter"]["S"] == f"counted#{asset['id']['S']}")
    for some in batched(numbers, 25, strict=False):
        puts: dict[str, list[Any]] = {"AssetsTable": [], "UsageTable": []}
        for number in some:
            id_ = f"{number:064x}"
            born = {"S": (BORN + timedelta(seconds=number)).isoformat(timespec="microseconds")}
            copied = {**asset, "created_at": born, "unused_since": born, "id": {"S": id_}}
            puts["AssetsTable"].append({"PutRequest": {"Item": copied}})
            puts["UsageTable"].append(
                {"PutRequest": {"Item": {**counted, "counter": {"S": f"counted#{id_}"}}}}
            )
        for name, requests in puts.items():
            cloud.dynamodb.batch_write_item(RequestItems={name: requests})


def calls(cloud: Cloud, id_: str) -> dict[str, Callable[[], Answer]]:
    return {
        "GET image": lambda: cloud.get(id_),
        "list, 50 images": lambda: cloud.list_images(limit="50"),
        "metrics": lambda: cloud.call("metrics", "GET", "/metrics"),
        "metrics of all tenants": lambda: cloud.call(
            "metrics", "GET", "/metrics", query={"tenant": "*"}, scope="catalog/read catalog/admin"
        ),
    }


def costs(cloud: Cloud, id_: str) -> dict[str, Cost]:
    """Of each call once its function has started and knows the client."""
    measured = {}
    for name, call in calls(cloud, id_).items():
        call()
        with metered() as cost:
            answer = call()
        assert answer.status == 200, answer.json
        measured[name] = cost
    return measured


def test_no_call_reads_more_in_a_larger_catalog(cloud: Cloud) -> None:
    # One preset: moto holds whole items, not index entries, against the 1 MB that a query may look at.
    cloud.configure(PRESETS='[{"name": "card", "width": 600, "height": 600}]')
    with recorded_changes() as records:
        id_ = cloud.upload(jpeg_bytes(product_photo(1)))["id"]
        cloud.invoke("usage", {"Records": records})
    add_copies(cloud, range(1, SMALL))
    small = costs(cloud, id_)
    add_copies(cloud, range(SMALL, LARGE))
    assert costs(cloud, id_) == small
    assert all(cost.requests for cost in small.values())

"""What references cost in DynamoDB: pages of a lookup, and a write by the references that an image has.

    python -m benchmarks.references [--out results.json]

The adapters ask, and generated items answer, so 10,000 images of a reference cost nothing to make.  Units
follow DynamoDB's published rules (benchmarks/_units.py).  Prices: benchmarks/prices.json.
"""

import argparse
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from unittest import mock

import botocore.client

from benchmarks._rates import table
from benchmarks._report import Goal, report
from benchmarks._units import Index, read_units, write_units
from benchmarks.jobs_machinery import PRICES
from benchmarks.jobs_recount import NO_ACCOUNT, TENANT, asset_item
from catalog.adapters.assets_table import Assets
from catalog.adapters.references_table import References
from catalog.domain.keys import AssetId, AssetKey
from catalog.domain.paging import PageRequest
from catalog.domain.references import Use
from catalog.use_cases.lookup import Lookup
from catalog.use_cases.referring import Referring

# Images of a reference, and references of each.
GALLERIES: Final = ((1, 1), (100, 1), (10_000, 1), (100, 1_000))
HELD: Final = (1, 10, 100, 999)  # references of an image before it gets another
PAGE: Final = 100
SKU: Final = "sku-12345"
BY_PLACE: Final = Index(("tenant", "place"), ("tenant", "entry", "place", "position", "role", "alt"))


@dataclass
class Generated:
    """Answers what is asked of a tenant whose images have `held` references each, and counts it."""

    images: int
    held: int = 1
    has_entries: bool = True
    requests: Counter[str] = field(default_factory=Counter)
    reads: float = 0.0
    writes: int = 0

    @property
    def answer(self) -> Callable[..., dict[str, Any]]:
        """In place of a client's method."""
        return lambda _, operation, asked: self.call(operation, asked)

    def call(self, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        self.requests[operation] += 1
        match operation:
            case "Query":
                answer = self._page(asked)
            case "BatchGetItem":
                found = dict(map(self._found, asked["RequestItems"].items()))
                answer = {"Responses": found, "UnprocessedKeys": {}}
            case "TransactWriteItems":
                self.writes += 2 * sum(map(self._written, asked["TransactItems"]))
                self.writes += sum(map(self._indexed, asked["TransactItems"]))
                return {}
            case _:
                raise ValueError(operation)
        self.reads += read_units(operation, asked, answer)
        return answer

    def asset(self, id_: str, *, more: int = 0) -> dict[str, Any]:
        names = [SKU, *(f"sku-{10_000 + number}" for number in range(1, self.held + more))]
        return asset_item(id_) | {"references": {"SS": names}}

    def _page(self, asked: dict[str, Any]) -> dict[str, Any]:
        behind = asked.get("ExclusiveStartKey", {}).get("entry", {}).get("S", "")
        first = int(behind.partition("/")[0], 16) + 1 if behind else 0
        last = min(first + asked["Limit"], self.images)
        items = [entry(f"{number:064x}") for number in range(first, last)]
        more = {"LastEvaluatedKey": items[-1]} if last < self.images else {}
        return {"Items": items, "Count": len(items), "ScannedCount": len(items), **more}

    def _found(self, asked: tuple[str, dict[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
        name, keys = asked
        if name == "Assets":
            return name, [self.asset(key["id"]["S"]) for key in keys["Keys"]]
        ids = (key["entry"]["S"].partition("/")[0] for key in keys["Keys"])
        return name, [entry(id_) for id_ in ids] if self.has_entries else []

    def _written(self, one: dict[str, Any]) -> int:
        """Half of what a transaction takes for it."""
        if "Put" in one:
            return write_units(None, one["Put"]["Item"])
        (asked,) = one.values()
        id_ = asked["Key"]["id"]["S"]
        return write_units(self.asset(id_), self.asset(id_, more=1))

    def _indexed(self, one: dict[str, Any]) -> int:
        return BY_PLACE.write_units(None, one["Put"]["Item"]) if "Put" in one else 0


def entry(id_: str) -> dict[str, Any]:
    """Of the reference SKU, with all that may be said of it."""
    return {
        "tenant": {"S": TENANT},
        "entry": {"S": f"{id_}/{SKU}"},
        "place": {"S": f"{SKU}\t{int(id_, 16):06}\t{id_}"},
        "position": {"N": str(int(id_, 16))},
        "role": {"S": "gallery"},
        "alt": {"S": "A brass lamp with a green shade"},
    }


@contextmanager
def generated(images: int, **more: Any) -> Iterator[Generated]:
    answers = Generated(images, **more)
    with (
        mock.patch.dict(os.environ, NO_ACCOUNT),
        mock.patch.object(botocore.client.BaseClient, "_make_api_call", answers.answer),
    ):
        yield answers


def gallery(images: int, held: int) -> dict[str, float]:
    """All pages of a reference with so many images, which have so many references each."""
    with generated(images, held=held) as seen:
        lookup = Lookup(Assets("Assets"), References("References", "Assets"))
        pages, found, dearest, cursor, left = 0, 0, 0.0, None, True
        while left:
            before = seen.reads
            page = lookup.by_reference(TENANT, PageRequest(PAGE, cursor), SKU, exact=True)
            dearest = max(dearest, seen.reads - before)
            pages, found, cursor = pages + 1, found + len(page.entries), page.cursor
            left = cursor is not None
    assert found == images
    return {
        "images of the reference": images,
        "references of each": held,
        "pages of 100": pages,
        "requests a page": sum(seen.requests.values()) / pages,
        "read units a page, most": dearest,
        "USD a million images": dearest * PRICES["DynamoDB read unit"] * 1e6 / min(images, PAGE),
    }


def writing(held: int) -> dict[str, float]:
    """One reference more for an image that has so many; then a hundred images' references, set already."""
    with generated(1, held=held, has_entries=False) as taken:
        references = References("References", "Assets")
        references.take(AssetKey(TENANT, AssetId("0" * 64)), [Use("sku-one-more", 1, "gallery")])
    with generated(PAGE, held=held) as again:
        ids = [AssetId(f"{number:064x}") for number in range(PAGE)]
        uses = [Use(SKU, number, "gallery", "A brass lamp with a green shade") for number in range(PAGE)]
        outcomes = Referring(References("References", "Assets")).set_all(
            TENANT, [*zip(ids, uses, strict=True)]
        )
    assert set(outcomes.values()) == {None}
    assert "TransactWriteItems" not in again.requests
    return {
        "references of the image": held,
        "requests": sum(taken.requests.values()),
        "read units": taken.reads,
        "write units": taken.writes,
        "USD a million": 1e6
        * (taken.reads * PRICES["DynamoDB read unit"] + taken.writes * PRICES["DynamoDB write unit"]),
        "set again: requests for 100": sum(again.requests.values()),
        "set again: USD a million": again.reads / PAGE * PRICES["DynamoDB read unit"] * 1e6,
    }


def show(rows: list[dict[str, float]]) -> None:
    print(table(tuple(rows[0]), [tuple(f"{value:,.4g}" for value in row.values()) for row in rows]))


def main() -> None:
    parser = argparse.ArgumentParser(description="What references cost in DynamoDB.")
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    chosen = parser.parse_args()
    galleries = [gallery(images, held) for images, held in GALLERIES]
    writes = [writing(held) for held in HELD]
    print("## GET /v1/images?reference=\n")
    show(galleries)
    print("\n## PUT /v1/references\n")
    show(writes)
    goals = [
        Goal("requests a page, of 10,000 images", galleries[2]["requests a page"], at_most=2.0),
        Goal("write units a reference", writes[0]["write units"], at_most=5.0),
    ]
    report("references", figures={"galleries": galleries, "writes": writes}, goals=goals, out=chosen.out)


if __name__ == "__main__":
    main()

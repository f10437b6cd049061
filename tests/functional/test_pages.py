"""A page is one answer of Lambda, which ends at 6 MB: bounded in bytes, whatever is in it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from catalog.domain.assets import MAX_REFERENCES, Asset, PerceptualHashes, Status
from catalog.domain.keys import AssetId, asset_id, tenant_id
from catalog.domain.near_duplicates import Decision, Likeness, Pair, Verdict
from catalog.domain.paging import Page
from catalog.domain.purge import Kept, PurgeRun, RunSource, RunState
from catalog.domain.renditions import Rendition
from infra.local.events import api_event
from infra.pictures.images import jpeg_bytes, product_photo
from tests.functional.cloud import Cloud

LAMBDA_ANSWERS = 6 * 1024 * 1024
ACME = tenant_id("acme")
NOW = datetime(2026, 11, 24, tzinfo=UTC)
# A temporary credential's session token makes a presigned URL this long.
URL = "https://bucket.s3.eu-central-1.amazonaws.com/key?X-Amz-Security-Token=" + "x%2F" * 360


def id_of(number: int) -> AssetId:
    return asset_id(f"{number:064x}")


def worst_asset(number: int) -> Asset:
    """Everything an asset can have, as long as it can be: characters that JSON spends twelve bytes on."""
    renditions = [
        Rendition(f"{preset:x<32}", "0123456789abcdef", f"renditions/acme/{preset}", 10**8, 4096, 4096, 100)
        for preset in range(16)
    ]
    return Asset(
        tenant=ACME,
        id=id_of(number),
        status=Status.READY,
        filename="\N{OPEN FILE FOLDER}" * 255,
        size_bytes=10**8,
        created_at=NOW - timedelta(seconds=number),
        updated_at=NOW,
        hashes=PerceptualHashes("f" * 16, "f" * 64),
        renditions={rendition.preset: rendition for rendition in renditions},
        references=frozenset(f"{name:r<128}" for name in range(MAX_REFERENCES)),
    )


def page_of[T](entries: list[T]) -> Page[T]:
    """The last page of a list."""
    return Page(tuple(entries), tuple(f"behind {number}" for number in range(1, len(entries) + 1)))


def answered(cloud: Cloud, function: str, path: str, limit: int) -> tuple[int, dict[str, Any]]:
    """The bytes of what the function hands to API Gateway, and what it says."""
    event = api_event("GET", path, client_id="client-of-acme", query={"limit": str(limit)})
    answer = cloud.invoke(function, event)
    assert answer["statusCode"] == 200
    return len(json.dumps(answer)), json.loads(answer["body"])


def test_the_worst_page_of_images_is_one_answer_and_says_where_it_goes_on(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = cloud.function("list_images")
    monkeypatch.setattr(module.renditions, "url", lambda key: f"{URL}{key}")
    worst = [worst_asset(number) for number in range(100)]
    monkeypatch.setattr(module.assets, "page", lambda *_, **__: page_of(worst))

    length, page = answered(cloud, "list_images", "/images", 100)

    assert length < LAMBDA_ANSWERS
    assert len(page["images"]) == 100 or page["cursor"]
    assert all(
        (image["in_use_count"], len(image["references"])) == (MAX_REFERENCES, 10) for image in page["images"]
    )


def test_the_worst_page_of_pairs_is_one_answer_and_says_where_it_goes_on(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = cloud.function("duplicates")
    monkeypatch.setattr(module.renditions, "url", lambda key: f"{URL}{key}")
    likeness = Likeness(Verdict.SAME, {f"score_{number}": 0.123456789 for number in range(8)})
    pairs = [
        Pair(ACME, id_of(2 * n), id_of(2 * n + 1), 31, likeness, Decision.SAME, NOW, NOW, "c" * 128)
        for n in range(50)
    ]
    named = {id_of(number): worst_asset(number) for number in range(100)}
    monkeypatch.setattr(module.decisions.pairs, "page", lambda *_, **__: page_of(pairs))
    monkeypatch.setattr(module.decisions.assets, "many", lambda *_, **__: named)

    length, page = answered(cloud, "duplicates", "/duplicates", 50)

    assert length < LAMBDA_ANSWERS
    assert len(page["duplicates"]) == 50 or page["cursor"]
    assert len(page["duplicates"]) >= 20


def test_the_worst_page_of_purge_runs_is_one_answer_and_says_where_it_goes_on(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidates = tuple(id_of(number) for number in range(500))
    runs = [
        PurgeRun(
            ACME,
            f"2026-{number}",
            RunState.COMPLETED,
            RunSource.REQUEST,
            "c" * 128,
            NOW,
            timedelta(days=30),
            candidates,
            10**12,
            True,
            kept=dict.fromkeys(candidates, Kept.IN_USE),
        )
        for number in range(100)
    ]
    monkeypatch.setattr(cloud.function("purge").requests.purging.runs, "page", lambda *_, **__: page_of(runs))

    length, page = answered(cloud, "purge", "/purge/runs", 100)

    assert length < LAMBDA_ANSWERS
    assert page["cursor"] == f"behind {len(page['runs'])}"


def all_pages(cloud: Cloud, function: str, path: str, of: str) -> tuple[list[Any], int]:
    """What the pages hold together, and how many there were."""
    listed: list[Any] = []
    query: dict[str, str] = {"limit": "50"}
    pages = 0
    while True:
        page = cloud.call(function, "GET", path, query=query, client_id="client-of-acme").json
        listed += page[of]
        pages += 1
        if not page["cursor"]:
            return listed, pages
        query["cursor"] = page["cursor"]


def upload(cloud: Cloud, count: int) -> list[str]:
    return [str(cloud.upload(jpeg_bytes(product_photo(seed, (40, 30))))["id"]) for seed in range(count)]


def pair_up(cloud: Cloud, count: int) -> None:
    first, *others = upload(cloud, count)
    for other in others:
        path = f"/images/{first}/duplicates/{other}"
        cloud.call("duplicates", "PUT", path, body={"decision": "distinct"}, client_id="client-of-acme")


def run_purges(cloud: Cloud, count: int) -> None:
    for _ in range(count):
        cloud.purge()


@pytest.mark.parametrize(
    ("make", "function", "path", "of", "name"),
    [
        (upload, "list_images", "/images", "images", lambda entry: entry["id"]),
        (pair_up, "duplicates", "/duplicates", "duplicates", lambda entry: tuple(entry["ids"])),
        (run_purges, "purge", "/purge/runs", "runs", lambda entry: entry["run_id"]),
    ],
)
def test_pages_that_end_for_their_bytes_hold_everything_once_in_the_same_order(
    cloud: Cloud,
    monkeypatch: pytest.MonkeyPatch,
    *,
    make: Callable[[Cloud, int], object],
    function: str,
    path: str,
    of: str,
    name: Callable[[Any], object],
) -> None:
    make(cloud, 5)
    whole, pages = all_pages(cloud, function, path, of)
    assert pages == 1

    monkeypatch.setattr("catalog.api.http.LONGEST_PAGE", 1)
    one_by_one, pages = all_pages(cloud, function, path, of)

    assert [name(entry) for entry in one_by_one] == [name(entry) for entry in whole]
    assert pages == len(whole) > 3

"""Ranges of ids: whoever works on a tenant in parts reads each asset once, and goes on where it stopped."""

import hashlib
from itertools import batched, islice

import pytest

from catalog.adapters import assets_table
from catalog.adapters.objects import Renditions
from catalog.domain.keys import TenantId, tenant_id
from tests.functional.cloud import Cloud

ACME = tenant_id("acme")
IDS = sorted(hashlib.sha256(bytes([number])).hexdigest() for number in range(40))


@pytest.fixture
def catalog(cloud: Cloud) -> Cloud:
    """A tenant of 40 images, and one of another tenant's in the middle of each range."""
    recorded = [("acme", id_) for id_ in IDS] + [("globex", f"{digit:x}8" * 32) for digit in range(16)]
    for some in batched(recorded, 25, strict=False):
        puts = [{"PutRequest": {"Item": item(tenant, id_)}} for tenant, id_ in some]
        cloud.dynamodb.batch_write_item(RequestItems={"AssetsTable": puts})
    return cloud


def item(tenant: str, id_: str) -> dict[str, dict[str, str]]:
    now = {"S": "2026-11-30T00:00:00.000000+00:00"}
    return {
        "tenant": {"S": tenant},
        "id": {"S": id_},
        "status": {"S": "ready"},
        "size_bytes": {"N": "1"},
        "created_at": now,
        "updated_at": now,
    }


JOINED = ["0-3", "4-7", "8-b", "c-f"]


@pytest.mark.parametrize(
    "prefixes", [[""], "0123456789abcdef", [f"7{digit}" for digit in "0123456789abcdef"], JOINED]
)
def test_ranges_have_each_asset_of_the_tenant_once_and_in_order(
    catalog: Cloud, prefixes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assets_table, "_RANGE_PAGE", 7)
    found = [asset for prefix in prefixes for asset in catalog.assets.within(ACME, prefix)]

    expected = IDS if prefixes is JOINED else [id_ for id_ in IDS if id_.startswith(tuple(prefixes))]
    assert [asset.id for asset in found] == expected
    assert {asset.tenant for asset in found} <= {ACME}
    assert [id_ for prefix in prefixes for id_ in catalog.assets.ids_within(ACME, prefix)] == expected


@pytest.mark.parametrize("prefixes", [[""], "0123456789abcdef", JOINED])
def test_objects_of_ranges_are_listed_once_and_go_on_behind_any_of_them(
    catalog: Cloud, prefixes: list[str]
) -> None:
    renditions = Renditions(catalog.renditions)
    for tenant, id_ in [
        *(("acme", id_) for id_ in IDS),
        *(("acmf", f"{digit:x}8" * 32) for digit in range(16)),
    ]:
        catalog.s3.put_object(Bucket=catalog.renditions, Key=f"renditions/{tenant}/{id_}/a.jpg", Body=b"1")

    found = [[id_ for id_, _ in renditions.stored_within(ACME, within)] for within in prefixes]

    assert [id_ for some in found for id_ in some] == IDS
    for within, some in zip(prefixes, found, strict=True):
        for position, id_ in enumerate(some[:3]):
            rest = renditions.stored_within(ACME, within, after=id_)
            assert [other for other, _ in rest] == some[position + 1 :]


@pytest.mark.parametrize("prefix", ["", "7", "f", IDS[0], "00000", "4-7"])
def test_a_range_goes_on_behind_any_of_its_assets(catalog: Cloud, prefix: str) -> None:
    whole = list(catalog.assets.ids_within(ACME, prefix))
    for position, id_ in enumerate(whole[:5]):
        assert list(catalog.assets.ids_within(ACME, prefix, after=id_)) == whole[position + 1 :]
        assert [each.id for each in catalog.assets.within(ACME, prefix, after=id_)] == whole[position + 1 :]


def test_a_page_is_read_when_the_one_before_it_is_used_up(
    catalog: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assets_table, "_RANGE_PAGE", 10)
    with catalog.watched_calls() as calls:
        found = catalog.assets.within(ACME, "")
        list(islice(found, 10))
        assert calls.made == ["dynamodb:Query"]
        list(islice(found, 1))
    assert calls.made == ["dynamodb:Query"] * 2


def test_a_tenant_without_assets_has_empty_ranges(catalog: Cloud) -> None:
    assert list(catalog.assets.within(TenantId("initech"), "")) == []

"""The operator's way from the first scheme of the near-duplicate index to the present one."""

import hashlib
import json
from typing import Any

import pytest

from catalog.domain.fingerprints import Indexed, PHashAlgorithm, indexed_at, places
from catalog.domain.keys import AssetKey, asset_id, tenant_id
from infra.operator import reindex as operator
from infra.operator.reindex import reindexed
from infra.pictures.images import jpeg_bytes, noisy_scene, webp_bytes
from tests.functional.cloud import Cloud, Killed

SCENE = noisy_scene(7, (300, 240))
PHOTO, HALF = jpeg_bytes(SCENE, 92), webp_bytes(SCENE.resize((150, 120)), 80)
ACME = tenant_id("acme")
KEY = AssetKey(ACME, asset_id(hashlib.sha256(PHOTO).hexdigest()))


def outputs(cloud: Cloud) -> dict[str, str]:
    return {
        "AssetsTable": "AssetsTable",
        "HashBandsTable": "HashBandsTable",
        "OriginalsBucket": cloud.originals,
    }


def band_items(cloud: Cloud) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = cloud.dynamodb.scan(TableName="HashBandsTable")["Items"]
    return items


def made_old(cloud: Cloud) -> None:
    """PHOTO is indexed as it was before: 16 bands of its frame, under its own id."""
    for item in band_items(cloud):
        cloud.dynamodb.delete_item(
            TableName="HashBandsTable", Key={name: item[name] for name in ("band", "id")}
        )
    hashes = cloud.asset(KEY.id).hashes
    assert hashes
    for place in places(ACME, KEY.id, Indexed(PHashAlgorithm.PHASH256, hashes.phash256, None)):
        cloud.dynamodb.put_item(
            TableName="HashBandsTable",
            Item={"band": {"S": place.bucket}, "id": {"S": place.id}, "hash": {"S": place.hash}},
        )
    cloud.dynamodb.update_item(
        TableName="AssetsTable",
        Key={"tenant": {"S": ACME}, "id": {"S": KEY.id}},
        UpdateExpression="SET indexed_as = :old",
        ExpressionAttributeValues={":old": {"S": "phash256"}},
    )


def test_an_image_of_the_first_scheme_is_found_again_once_it_is_moved(cloud: Cloud) -> None:
    cloud.upload(PHOTO)
    made_old(cloud)

    result = reindexed(ACME, outputs=outputs(cloud))

    assert result == {"tenant": "acme", "moved": 1, "current": 0, "changed": 0, "unreadable": 0, "ids": []}
    assert {item["band"]["S"].split("#")[1] for item in band_items(cloud)} == {"phash256.2"}
    assert len(band_items(cloud)) == 16
    assert cloud.upload(HALF, content_type="image/webp")["near_duplicate_of"] == KEY.id


def test_what_is_not_moved_is_not_found_and_is_still_purged_whole(cloud: Cloud) -> None:
    cloud.upload(PHOTO)
    made_old(cloud)
    assert cloud.upload(HALF, content_type="image/webp")["near_duplicate_of"] is None

    token = cloud.purge(older_than_days=0).json["confirm_token"]
    cloud.purge(dry_run=False, confirm_token=token)

    assert band_items(cloud) == []


def test_moving_again_reads_no_original(cloud: Cloud) -> None:
    cloud.upload(PHOTO)
    made_old(cloud)
    reindexed(ACME, outputs=outputs(cloud))

    with cloud.watched_calls() as calls:
        assert reindexed(ACME, outputs=outputs(cloud))["current"] == 1
    assert "s3:GetObject" not in calls.made


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_call_the_next_run_completes_it(cloud: Cloud, after: bool) -> None:
    cloud.upload(PHOTO)
    kill_at = 0
    while True:
        made_old(cloud)
        try:
            with cloud.watched_calls(kill_at=kill_at, after=after):
                reindexed(ACME, outputs=outputs(cloud))
        except Killed:
            assert reindexed(ACME, outputs=outputs(cloud))["changed"] == 0
            assert {item["band"]["S"].split("#")[1] for item in band_items(cloud)} == {"phash256.2"}
            assert len(cloud.asset(KEY.id).indexed_as) == 1
            kill_at += 1
        else:
            break
    assert kill_at >= 6


def test_a_purge_of_an_image_that_is_being_moved_leaves_no_band_of_either_scheme(cloud: Cloud) -> None:
    cloud.upload(PHOTO)
    made_old(cloud)
    kill_at = 0
    while True:
        try:
            with cloud.watched_calls(kill_at=kill_at, after=True):
                reindexed(ACME, outputs=outputs(cloud))
        except Killed:
            kill_at += 1
        else:
            break
        if len(cloud.asset(KEY.id).indexed_as) == 2:
            break
    assert len(cloud.asset(KEY.id).indexed_as) == 2

    token = cloud.purge(older_than_days=0).json["confirm_token"]
    cloud.purge(dry_run=False, confirm_token=token)

    assert band_items(cloud) == []


def test_an_image_whose_original_is_gone_is_told(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.upload(PHOTO)
    made_old(cloud)
    cloud.s3.delete_object(Bucket=cloud.originals, Key=KEY.original)
    monkeypatch.setattr(operator, "stack_outputs", lambda _: outputs(cloud))

    with pytest.raises(SystemExit) as ended:
        operator.main(["acme", "--stack", "catalog-images"])

    assert ended.value.code == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["ids"] == [KEY.id]
    assert {indexed_at(item["band"]["S"], item["id"]["S"]) for item in band_items(cloud)} == {KEY}


@pytest.mark.parametrize("arguments", [["Acme"], ["acme", "--after", "xyz"]])
def test_a_name_that_cannot_be_is_refused(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setattr(operator, "stack_outputs", lambda _: outputs(cloud))
    with pytest.raises(SystemExit, match="error: "):
        operator.main([*arguments, "--stack", "catalog-images"])

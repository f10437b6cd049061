"""The checker of the guarantees finds each of them broken: crashes and interleavings are judged by it."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image, ImageFilter

from catalog.domain.keys import AssetKey, asset_id, tenant_id
from infra.pictures.images import half_of, jpeg_bytes, noisy_scene
from tests.builders.guarantees import History
from tests.functional.cloud import Cloud
from tests.functional.streams import recorded_changes

# Softened: with pixels as sharp as noise a half-size copy cannot show, it would be linked and not share.
SCENE = noisy_scene(7, (120, 90)).filter(ImageFilter.GaussianBlur(1))
PHOTO, HALF = jpeg_bytes(SCENE), jpeg_bytes(SCENE.resize((60, 45), Image.Resampling.LANCZOS))
ID, HALF_ID = (hashlib.sha256(data).hexdigest() for data in (PHOTO, HALF))
KEY, HALF_KEY = (AssetKey(tenant_id("acme"), asset_id(id_)) for id_ in (ID, HALF_ID))


@pytest.fixture
def stored(cloud: Cloud) -> Cloud:
    """A photo, its half-size duplicate, a file that is none, and another tenant's copy; all counted."""
    cloud.configure(PRESETS=json.dumps([{"name": "thumb", "width": 40, "height": 40}]))
    with recorded_changes() as records:
        cloud.upload(PHOTO)
        assert cloud.upload(HALF)["near_duplicate_of"] == ID
        cloud.upload(half_of(PHOTO))
        cloud.upload(PHOTO, client_id="client-of-globex")
        cloud.invoke("usage", {"Records": records})
    return cloud


def change(cloud: Cloud, expression: str, *, id_: str = ID, **values: Any) -> None:
    cloud.dynamodb.update_item(
        TableName="AssetsTable",
        Key={"tenant": {"S": "acme"}, "id": {"S": id_}},
        UpdateExpression=expression.replace("status", "#s").replace("references", "#r"),
        ExpressionAttributeNames={
            name: full for name, full in (("#s", "status"), ("#r", "references")) if full in expression
        },
        **(
            {"ExpressionAttributeValues": {f":{name}": value for name, value in values.items()}}
            if values
            else {}
        ),
    )


def forget(cloud: Cloud, id_: str) -> None:
    cloud.dynamodb.delete_item(TableName="AssetsTable", Key={"tenant": {"S": "acme"}, "id": {"S": id_}})


def test_nothing_is_found_where_nothing_is_wrong(stored: Cloud) -> None:
    assert stored.broken_guarantees(History(sent={KEY, HALF_KEY})) == []


def remove_entry(cloud: Cloud, name: str) -> None:
    cloud.dynamodb.delete_item(TableName="PairsTable", Key={"tenant": {"S": "acme"}, "pair": {"S": name}})


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (lambda cloud: cloud.store(b"other", as_id=ID), "holds other bytes"),
        (lambda cloud: cloud.s3.delete_object(Bucket=cloud.originals, Key=KEY.original), "has no original"),
        (lambda cloud: forget(cloud, ID), "has no record"),
        (lambda cloud: forget(cloud, HALF_ID), "and counts"),
        (
            lambda cloud: cloud.s3.delete_object(
                Bucket=cloud.renditions, Key=cloud.asset(ID).renditions["thumb"].key
            ),
            "which is not there",
        ),
        (
            lambda cloud: cloud.s3.put_object(
                Bucket=cloud.renditions,
                Key=cloud.asset(ID).renditions["thumb"].key,
                Body=bytes(cloud.asset(ID).renditions["thumb"].size_bytes),
            ),
            "does not decode",
        ),
        (lambda cloud: cloud.configure(PRESETS='[{"name": "zoom", "width": 9, "height": 9}]'), "lacks"),
        (
            lambda cloud: change(cloud, "SET status = :s", s={"S": "processing"}),
            "nothing will go on with it",
        ),
        (lambda cloud: cloud.store(b"new") and cloud.announce(b"new"), "nobody has seen it"),
        (lambda cloud: remove_entry(cloud, f"member/{ID}/{HALF_ID}"), "no member of its group"),
        (lambda cloud: change(cloud, "REMOVE holders"), "and counts"),
        (
            lambda cloud: change(cloud, "SET width = :w", w={"N": "1"}),
            "the canonical asset of its group",
        ),
        (
            lambda cloud: change(cloud, "SET linked_by = :m", m={"SS": [f"{n:064x}" for n in range(99)]}),
            "is an item of",
        ),
        (
            lambda cloud: change(cloud, "SET unused_since = :t", t={"S": "2026-11-22T12:00:00+00:00"}),
            "unused",
        ),
        (
            lambda cloud: change(
                cloud,
                "SET near_duplicate_of = :o, near_duplicate = :n",
                o={"S": HALF_ID},
                n={"S": '{"decided_by": "pixels", "shares": false, "distance": 1, "scores": {}}'},
            ),
            "which is a duplicate itself",
        ),
        (
            lambda cloud: cloud.dynamodb.put_item(
                TableName="HashBandsTable",
                Item={"band": {"S": "acme#phash256.3#1#002"}, "id": {"S": "f" * 68}, "hash": {"S": "0"}},
            ),
            "the index holds",
        ),
        (
            lambda cloud: cloud.dynamodb.update_item(
                TableName="PairsTable",
                Key={"tenant": {"S": "acme"}, "pair": {"S": "#".join(sorted((ID, HALF_ID)))}},
                UpdateExpression="SET decision = :d",
                ExpressionAttributeValues={":d": {"S": "distinct"}},
            ),
            "a person said they are distinct",
        ),
        (lambda cloud: cloud.announce(PHOTO), "is counted"),
    ],
)
def test_each_guarantee_is_found_broken(stored: Cloud, damage: Callable[[Cloud], Any], found: str) -> None:
    damage(stored)

    assert any(found in fault for fault in stored.broken_guarantees()), stored.broken_guarantees()


def put_entry(cloud: Cloud, entry: str, **attributes: Any) -> None:
    cloud.dynamodb.put_item(
        TableName="JobsTable", Item={"job": {"S": "job-1"}, "entry": {"S": entry}} | attributes
    )


@pytest.mark.parametrize(
    ("state", "failed", "entry", "found"),
    [
        ("running", "0", {}, "nothing goes on with it"),
        ("completed", "0", {"entry": "part#000000/000000"}, "are half done"),
        ("completed", "2", {"entry": "failure#000000/000000/ab"}, "counts 2 failures and names 1"),
    ],
)
def test_a_job_that_says_something_untrue_is_found(
    stored: Cloud, state: str, failed: str, entry: dict[str, str], found: str
) -> None:
    put_entry(stored, "job", state={"S": state}, kind={"S": "rebuild"}, failed={"N": failed})
    if entry:
        put_entry(stored, **entry)

    (fault,) = stored.broken_guarantees()

    assert found in fault


def test_an_object_that_no_record_names_is_found_after_a_rebuild(stored: Cloud) -> None:
    key = f"{KEY.renditions}thumb-0123456789.jpg"
    stored.s3.put_object(Bucket=stored.renditions, Key=key, Body=b"old")

    assert stored.broken_guarantees() == []
    assert stored.broken_guarantees(rebuilt=True) == [f"{key} is stored, and no record names it"]


@pytest.mark.parametrize(
    ("history", "found"),
    [
        (History(references={KEY: {"sku-1"}}), "is referenced as ['sku-1']"),
        (History(deletions={(KEY, "run-1")}), "which was not confirmed for it"),
        (History(sent={AssetKey(KEY.tenant, asset_id("f" * 64))}), "has vanished"),
    ],
)
def test_a_broken_promise_to_a_client_is_found(stored: Cloud, history: History, found: str) -> None:
    (fault,) = stored.broken_guarantees(history)

    assert found in fault

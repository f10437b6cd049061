"""Near-duplicates, from ingest to a person's word and to purge."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from PIL import Image, ImageFilter

from catalog.use_cases.decisions import RENDERED_AFTER
from infra.pictures.images import flat, jpeg_bytes, noisy_scene, png_bytes, webp_bytes
from tests.functional.cloud import Cloud, Killed

# Softened: with pixels as sharp as noise a half-size copy cannot show, it would be linked and not share.
ORIGINAL = noisy_scene(7, (900, 700)).filter(ImageFilter.GaussianBlur(1))
PHOTO = jpeg_bytes(ORIGINAL, 92)
HALF = webp_bytes(ORIGINAL.resize((450, 350), Image.Resampling.LANCZOS), 80)
THIRD = jpeg_bytes(ORIGINAL.resize((600, 467), Image.Resampling.BICUBIC), 70)
OTHER = jpeg_bytes(noisy_scene(8, (900, 700)), 92)


def id_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def decide(cloud: Cloud, one: bytes, other: bytes, decision: str, client_id: str = "client-of-acme") -> Any:
    path = f"/images/{id_of(one)}/duplicates/{id_of(other)}"
    return cloud.call("duplicates", "PUT", path, client_id=client_id, body={"decision": decision})


def undo(cloud: Cloud, one: bytes, other: bytes) -> Any:
    return cloud.call("duplicates", "DELETE", f"/images/{id_of(one)}/duplicates/{id_of(other)}")


def pairs(cloud: Cloud, **query: str) -> Any:
    return cloud.call("duplicates", "GET", "/duplicates", query=query or None).json


def render_all(cloud: Cloud) -> None:
    for job in cloud.take_jobs():
        assert cloud.render(job) == {"batchItemFailures": []}


def upload_both(cloud: Cloud) -> tuple[dict[str, Any], dict[str, Any]]:
    return cloud.upload(PHOTO), cloud.upload(HALF, content_type="image/webp")


def test_a_half_size_webp_shares_the_renditions_of_its_photo_and_sends_no_job(cloud: Cloud) -> None:
    first = cloud.upload(PHOTO)
    cloud.ingest(cloud.store(HALF))

    assert cloud.take_jobs() == []
    second = cloud.get(id_of(HALF)).json
    assert second["status"] == "ready"
    assert second["near_duplicate_of"] == first["id"]
    assert second["verification"]["decided_by"] == "pixels"
    assert 0 <= second["verification"]["distance"] <= 31
    assert max(second["verification"]["scores"].values()) <= 1
    sizes = [[(r["preset"], r["size_bytes"]) for r in image["renditions"]] for image in (first, second)]
    assert sizes[0] == sizes[1]
    assert [name for name in cloud.objects(cloud.renditions) if id_of(HALF) in name] == []


def test_another_picture_and_another_tenants_same_picture_are_rendered_on_their_own(cloud: Cloud) -> None:
    cloud.upload(PHOTO)

    assert cloud.upload(OTHER)["near_duplicate_of"] is None
    assert (
        cloud.upload(HALF, client_id="client-of-globex", content_type="image/webp")["near_duplicate_of"]
        is None
    )
    assert len(cloud.objects(cloud.renditions)) == 9


def test_a_larger_image_is_never_served_by_a_smaller_one(cloud: Cloud) -> None:
    cloud.upload(HALF, content_type="image/webp")

    large = cloud.upload(PHOTO)

    assert large["near_duplicate_of"] is None
    assert max(r["width"] for r in large["renditions"]) == 900


def test_a_duplicate_of_a_duplicate_points_at_the_canonical_asset(cloud: Cloud) -> None:
    upload_both(cloud)

    third = cloud.upload(THIRD)

    assert third["near_duplicate_of"] == id_of(PHOTO)
    assert cloud.get(id_of(PHOTO)).json["in_use_count"] == 2


def test_a_near_duplicate_of_an_asset_that_is_still_being_rendered_waits_for_it(cloud: Cloud) -> None:
    cloud.ingest(cloud.store(PHOTO))
    jobs = cloud.take_jobs()
    cloud.ingest(cloud.store(HALF))

    assert cloud.get(id_of(HALF)).json["status"] == "processing"
    assert cloud.take_jobs() == []
    cloud.render(*jobs)

    assert cloud.get(id_of(HALF)).json["status"] == "ready"
    assert len(cloud.get(id_of(HALF)).json["renditions"]) == 3


def test_a_near_duplicate_that_waits_in_vain_is_rendered_on_its_own(cloud: Cloud) -> None:
    cloud.ingest(cloud.store(PHOTO))
    jobs = cloud.take_jobs()
    cloud.ingest(cloud.store(HALF))
    cloud.s3.delete_object(Bucket=cloud.originals, Key=f"originals/acme/{id_of(PHOTO)}")

    cloud.render(*jobs)
    render_all(cloud)

    assert cloud.get(id_of(PHOTO)).json["status"] == "rejected"
    alone = cloud.get(id_of(HALF)).json
    assert (alone["status"], alone["near_duplicate_of"]) == ("ready", None)


def test_link_records_the_likeness_and_renders_both(cloud: Cloud) -> None:
    cloud.configure(NEAR_DUPLICATE_ACTION="link")

    _, second = upload_both(cloud)

    assert second["near_duplicate_of"] == id_of(PHOTO)
    assert second["verification"]["shares_renditions"] is False
    assert len([name for name in cloud.objects(cloud.renditions) if id_of(HALF) in name]) == 3
    assert cloud.get(id_of(PHOTO)).json["in_use_count"] == 0


@pytest.mark.parametrize("first", [PHOTO, HALF], ids=["the canonical one", "the near-duplicate"])
def test_of_two_that_are_linked_either_may_be_purged_and_the_other_stays_as_it_is(
    cloud: Cloud, first: bytes
) -> None:
    cloud.configure(NEAR_DUPLICATE_ACTION="link")
    upload_both(cloud)
    (other,) = {PHOTO, HALF} - {first}

    cloud.age(id_of(first), days=40)
    token = cloud.purge().json["confirm_token"]
    assert cloud.purge(dry_run=False, confirm_token=token).json["deleted_count"] == 1

    left = cloud.get(id_of(other)).json
    assert (left["status"], left["near_duplicate_of"], len(left["renditions"])) == ("ready", None, 3)
    assert cloud.asset(id_of(other)).links == 0


def test_of_two_groups_of_links_a_person_makes_one_under_the_larger_image(cloud: Cloud) -> None:
    cloud.configure(NEAR_DUPLICATE_ACTION="link")
    upload_both(cloud)
    cloud.upload(OTHER)

    decide(cloud, PHOTO, OTHER, "same")
    render_all(cloud)

    larger, smaller = sorted((PHOTO, OTHER), key=len, reverse=True)
    assert cloud.get(id_of(larger)).json["near_duplicate_of"] is None
    linked = [cloud.get(id_of(data)).json["near_duplicate_of"] for data in (smaller, HALF)]
    assert linked == [id_of(larger)] * 2
    assert cloud.asset(id_of(larger)).links == 2


def test_off_looks_for_nothing(cloud: Cloud) -> None:
    cloud.configure(NEAR_DUPLICATE_ACTION="off")

    _, second = upload_both(cloud)

    assert second["near_duplicate_of"] is None
    assert pairs(cloud)["duplicates"] == []


@pytest.mark.parametrize("algorithm", ["ahash64", "dhash64"])
def test_a_64_bit_hash_may_propose_and_the_pixels_still_decide(cloud: Cloud, algorithm: str) -> None:
    cloud.configure(PHASH_ALGORITHM=algorithm)

    _, second = upload_both(cloud)

    assert second["near_duplicate_of"] == id_of(PHOTO)
    assert cloud.upload(OTHER)["near_duplicate_of"] is None


def test_a_near_blank_image_is_not_indexed(cloud: Cloud) -> None:
    cloud.upload(png_bytes(flat("white", (300, 300))), content_type="image/png")

    second = cloud.upload(png_bytes(flat("#fefefe", (300, 300))), content_type="image/png")

    assert second["near_duplicate_of"] is None
    assert cloud.dynamodb.scan(TableName="HashBandsTable")["Count"] == 0


@pytest.mark.parametrize("broken", ["HashBandsTable", "PairsTable"])
def test_any_failure_of_the_search_leads_to_ordinary_renditions(
    cloud: Cloud, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    cloud.upload(PHOTO)
    cloud.dynamodb.delete_table(TableName=broken)

    second = cloud.upload(HALF, content_type="image/webp")

    assert (second["status"], second["near_duplicate_of"]) == ("ready", None)
    assert len(second["renditions"]) == 3
    assert "near-duplicates not looked for" in caplog.messages


def test_two_that_look_for_each_other_at_one_moment_settle_on_one_canonical_asset(cloud: Cloud) -> None:
    same_size = webp_bytes(ORIGINAL, 80)
    photo, webp = cloud.store(PHOTO), cloud.store(same_size)
    ingest = cloud.function("ingest")

    with interleaved(ingest, lambda: cloud.ingest(webp)):
        cloud.ingest(photo)
    render_all(cloud)

    images = [cloud.get(id_of(data)).json for data in (PHOTO, same_size)]
    assert [image["status"] for image in images] == ["ready", "ready"]
    assert sorted(image["near_duplicate_of"] is None for image in images) == [False, True]


@contextmanager
def interleaved(ingest: Any, meanwhile: Any) -> Iterator[None]:
    """`meanwhile` happens after the first search for near-duplicates has indexed its asset."""
    bands = ingest.arriving.ingestion.near_duplicates.bands
    add, pending = bands.add, [meanwhile]

    def add_and_let_others_go(*arguments: Any) -> None:
        add(*arguments)
        if pending:
            pending.pop()()

    bands.add = add_and_let_others_go
    try:
        yield
    finally:
        bands.add = add


def test_the_canonical_asset_cannot_be_purged_while_it_is_shared_and_can_afterwards(cloud: Cloud) -> None:
    upload_both(cloud)
    cloud.age(id_of(HALF), days=40)

    assert cloud.purge(older_than_days=0).json["candidates"] == [id_of(HALF)]
    cloud.purge(dry_run=False, confirm_token=cloud.purge(older_than_days=0).json["confirm_token"])

    assert cloud.get(id_of(HALF)).status == 404
    assert cloud.get(id_of(PHOTO)).json["in_use_count"] == 0
    assert len(cloud.objects(cloud.renditions)) == 3
    cloud.purge(dry_run=False, confirm_token=cloud.purge(older_than_days=0).json["confirm_token"])
    assert cloud.get(id_of(PHOTO)).status == 404
    assert cloud.snapshot()["objects"] == {}
    assert cloud.dynamodb.scan(TableName="HashBandsTable")["Count"] == 0


def test_distinct_gives_a_merged_asset_renditions_of_its_own_and_is_remembered(cloud: Cloud) -> None:
    upload_both(cloud)

    answer = decide(cloud, HALF, PHOTO, "distinct")

    assert (answer.status, answer.json["merged"], answer.json["decision"]) == (200, False, "distinct")
    shown_meanwhile = cloud.get(id_of(HALF)).json
    assert (shown_meanwhile["status"], len(shown_meanwhile["renditions"])) == ("processing", 3)
    render_all(cloud)
    alone = cloud.get(id_of(HALF)).json
    assert (alone["status"], alone["near_duplicate_of"]) == ("ready", None)
    assert len([name for name in cloud.objects(cloud.renditions) if id_of(HALF) in name]) == 3
    assert cloud.get(id_of(PHOTO)).json["in_use_count"] == 0

    cloud.age(id_of(HALF), days=40)
    cloud.reference("PUT", id_of(PHOTO), "sku-1")
    cloud.purge(dry_run=False, confirm_token=cloud.purge().json["confirm_token"])
    assert cloud.upload(HALF, content_type="image/webp")["near_duplicate_of"] is None


@pytest.mark.parametrize("after", [False, True])
def test_whenever_a_persons_distinct_dies_it_holds_though_nobody_says_it_again(
    cloud: Cloud, after: bool
) -> None:
    upload_both(cloud)
    merged = cloud.moment()
    with cloud.watched_calls() as calls:
        decide(cloud, HALF, PHOTO, "distinct")
    assert "dynamodb:TransactWriteItems" in calls.made
    for number in range(len(calls.made)):
        merged.restore()
        cloud.cold_start()
        with pytest.raises(Killed), cloud.watched_calls(kill_at=number, after=after):
            decide(cloud, HALF, PHOTO, "distinct")
        for rounds in (1, 2):  # the job of the decision, and the render jobs it sends
            with cloud.later(rounds * RENDERED_AFTER):
                render_all(cloud)

        image, call = cloud.asset(id_of(HALF)), calls.made[number]
        assert image.status == "ready", call
        assert {stored.key for stored in image.renditions.values()} <= set(cloud.objects(cloud.renditions))
        distinct = cloud.call("duplicates", "GET", "/duplicates").json["duplicates"][0]["decision"]
        assert (image.near_duplicate is None) == (distinct == "distinct"), call


def test_same_joins_what_the_pixels_kept_apart(cloud: Cloud) -> None:
    cloud.upload(PHOTO)
    cloud.upload(OTHER)

    answer = decide(cloud, OTHER, PHOTO, "same")

    assert (answer.status, answer.json["merged"]) == (200, True)
    joined = [cloud.get(id_of(data)).json for data in (PHOTO, OTHER)]
    assert sorted(image["near_duplicate_of"] is None for image in joined) == [False, True]
    assert joined[0]["renditions"][0]["size_bytes"] == joined[1]["renditions"][0]["size_bytes"]
    duplicate = next(image for image in joined if image["near_duplicate_of"])
    assert duplicate["verification"]["decided_by"] == "person"


def test_a_decision_can_be_undone_and_the_pixels_hold_again(cloud: Cloud) -> None:
    upload_both(cloud)
    decide(cloud, PHOTO, HALF, "distinct")
    render_all(cloud)

    assert undo(cloud, PHOTO, HALF).json["merged"] is True
    assert cloud.get(id_of(HALF)).json["near_duplicate_of"] == id_of(PHOTO)

    cloud.upload(OTHER)
    decide(cloud, PHOTO, OTHER, "same")
    assert undo(cloud, PHOTO, OTHER).json["merged"] is False
    render_all(cloud)
    assert cloud.get(id_of(OTHER)).json["near_duplicate_of"] is None
    assert cloud.get(id_of(OTHER)).json["status"] == "ready"


def test_a_decision_repeated_changes_nothing(cloud: Cloud) -> None:
    upload_both(cloud)
    for _ in range(2):
        decide(cloud, HALF, PHOTO, "distinct")
        render_all(cloud)
    before = cloud.snapshot()

    decide(cloud, PHOTO, HALF, "distinct")

    assert cloud.take_jobs() == []
    after = cloud.snapshot()
    assert after["objects"] == before["objects"]


def test_pairs_are_listed_with_both_images_newest_first_a_page_at_a_time(cloud: Cloud) -> None:
    upload_both(cloud)
    cloud.upload(THIRD)

    first = pairs(cloud, limit="1")
    second = pairs(cloud, limit="1", cursor=first["cursor"])

    assert [len(page["duplicates"]) for page in (first, second)] == [1, 1]
    (pair,) = second["duplicates"]
    assert set(pair["ids"]) == {id_of(PHOTO), id_of(HALF)}
    assert pair["merged"] is True
    assert {image["id"] for image in pair["images"]} == set(pair["ids"])
    assert pair["images"][0]["renditions"][0]["url"].startswith("https://")
    others = cloud.call("duplicates", "GET", "/duplicates", client_id="client-of-globex").json
    assert others == {"duplicates": [], "cursor": None}


def test_another_tenant_can_decide_nothing_here(cloud: Cloud) -> None:
    upload_both(cloud)
    before = cloud.snapshot()

    answer = decide(cloud, HALF, PHOTO, "distinct", client_id="client-of-globex")

    assert (answer.status, answer.json["error"]["code"]) == (404, "image_not_found")
    assert cloud.snapshot() == before

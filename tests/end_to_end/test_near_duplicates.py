"""Near-duplicates on the deployed stack: found, shared, protected, and told apart by a person."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import requests
from PIL import Image as Pillow
from PIL import ImageFilter, ImageOps

from catalog.adapters.asset_items import asset_in_stream, stored_index
from catalog.domain.fingerprints import Place, places
from catalog.domain.keys import tenant_id
from catalog.domain.tenants import Scope
from catalog_images import CatalogClient, Image
from infra.pictures.images import jpeg_bytes, noisy_scene, webp_bytes
from tests.end_to_end.deployment import FINISH_SECONDS, Deployment, settled, ticket_for, within


def half_size_webp(picture: Pillow.Image) -> bytes:
    size = (picture.width // 2, picture.height // 2)
    return webp_bytes(picture.resize(size, Pillow.Resampling.LANCZOS), 80)


def downloads(catalog: CatalogClient, image: Image) -> list[bytes]:
    return [catalog.download(rendition) for rendition in image.renditions]


def test_a_half_size_webp_sends_no_render_job_and_shows_the_renditions_of_its_photo(
    deployment: Deployment, acme: CatalogClient
) -> None:
    picture = noisy_scene(60, (2400, 1800))
    photo = settled(acme, jpeg_bytes(picture, 92))
    half = settled(acme, half_size_webp(picture), "image/webp")

    assert half.document["near_duplicate_of"] == photo.id
    assert half.document["verification"]["distance"] <= 31
    assert downloads(acme, half) == downloads(acme, photo)
    assert deployment.objects_of(half.id, "RenditionsBucket") == []
    assert photo.id == acme.get(photo.id).id
    assert acme.get(photo.id).document["in_use_count"] == 1


def test_the_canonical_image_cannot_be_purged_while_shared_and_distinct_gives_renditions_of_its_own(
    deployment: Deployment,
) -> None:
    picture = noisy_scene(63, (900, 700))
    with deployment.client("shared", Scope.READ, Scope.WRITE, Scope.ADMIN) as shared:
        photo, half = (
            settled(shared, jpeg_bytes(picture, 92)),
            settled(shared, half_size_webp(picture), "image/webp"),
        )
        assert half.document["near_duplicate_of"] == photo.id

        proposed = shared.call("POST", "/purge", json={"older_than_days": 0}).json()
        assert proposed["candidates"] == [half.id]

        decided = shared.call(
            "PUT", f"/images/{half.id}/duplicates/{photo.id}", json={"decision": "distinct"}
        )
        assert (decided.status_code, decided.json()["merged"]) == (200, False)
        alone = shared.wait(half.id, timeout_seconds=90)
        assert (alone.status, alone.document["near_duplicate_of"]) == ("ready", None)
        assert downloads(shared, alone) != downloads(shared, photo)
        assert len(deployment.objects_of(half.id, "RenditionsBucket")) == 3
        listed = shared.call("GET", "/duplicates").json()["duplicates"]
        assert [pair["decision"] for pair in listed] == ["distinct"]


def test_near_duplicates_uploaded_at_one_moment_settle_on_one_canonical_image(deployment: Deployment) -> None:
    for seed in range(63, 66):
        picture = noisy_scene(seed, (800, 600))
        copies = [(jpeg_bytes(picture, 92), "image/jpeg"), (webp_bytes(picture, 85), "image/webp")]
        with deployment.client("at-once") as client, ThreadPoolExecutor(2) as pool:
            ids = [image.id for image in pool.map(lambda copy: settled(client, *copy), copies)]

            def both() -> list[Image]:
                """As they are now: the first to be ready may have joined the other since."""
                images = [client.get(id_) for id_ in ids]  # noqa: B023
                joined = [image.document["near_duplicate_of"] for image in images]
                return images if joined.count(None) == 1 else []

            images = within(30, both, "one of two has joined the other")

        assert [image.status for image in images] == ["ready", "ready"]
        assert {image.document["near_duplicate_of"] for image in images} - {None} <= set(ids)


def test_a_picture_in_another_frame_is_a_suspected_pair_until_a_person_joins_it(
    deployment: Deployment,
) -> None:
    picture = noisy_scene(83, (900, 700))
    framed = ImageOps.expand(picture, 20, "white")
    with deployment.client("frames") as shop:
        photo, other = (settled(shop, jpeg_bytes(each, 92)) for each in (picture, framed))
        assert photo.document["near_duplicate_of"] is None
        assert other.document["near_duplicate_of"] is None

        (pair,) = shop.call("GET", "/duplicates?likeness=suspected").json()["duplicates"]
        assert (set(pair["ids"]), pair["merged"], pair["decision"]) == ({photo.id, other.id}, False, None)

        word = shop.call("PUT", f"/images/{photo.id}/duplicates/{other.id}", json={"decision": "same"})
        assert (word.status_code, word.json()["likeness"]) == (200, "suspected")
        both = [shop.wait(each.id, timeout_seconds=90) for each in (photo, other)]
        assert sorted(each.document["near_duplicate_of"] is None for each in both) == [False, True]
        assert downloads(shop, both[0]) == downloads(shop, both[1])


def test_an_image_of_an_earlier_scheme_of_the_index_is_found_once_a_job_has_moved_it(
    deployment: Deployment,
) -> None:
    picture, acme = noisy_scene(84, (900, 700)), tenant_id("indexed-before")
    dynamodb = deployment.stack.client("dynamodb")
    with deployment.client(acme) as shop:
        photo = settled(shop, jpeg_bytes(picture, 92))
        key = {"tenant": {"S": acme}, "id": {"S": photo.id}}
        table = deployment.output("AssetsTable")
        item = dynamodb.get_item(TableName=table, Key=key)["Item"]
        asset = asset_in_stream(item)
        (indexed,) = asset.indexed_as
        assert asset.hashes
        bands = deployment.output("HashBandsTable")
        for place in places(acme, asset.id, indexed):
            dynamodb.delete_item(TableName=bands, Key=band_key(place))
        old = replace(indexed, earlier=2)
        earlier = places(acme, asset.id, old)
        for place in earlier:
            entry = {"hash": {"B": bytes.fromhex(place.hash)}, "colours": {"B": bytes(12)}}
            dynamodb.put_item(TableName=bands, Item=band_key(place) | entry)
        dynamodb.update_item(
            TableName=table,
            Key=key,
            UpdateExpression="SET indexed_as = :old",
            ExpressionAttributeValues={":old": {"S": stored_index([old], asset.hashes)}},
        )

        with deployment.client(acme, Scope.ADMIN) as administrator:
            job = administrator.start_job("find-duplicates", tenant=acme, dry_run=False)
            ended = administrator.wait_for_job(job.id, timeout_seconds=FINISH_SECONDS)
        assert (ended.state, ended.done, ended.failed) == ("completed", 1, 0), ended.document
        half = settled(shop, half_size_webp(picture), "image/webp")
        assert half.document["near_duplicate_of"] == photo.id
        left = [dynamodb.get_item(TableName=bands, Key=band_key(place)) for place in earlier]
        assert not any("Item" in answer for answer in left)


def band_key(place: Place) -> dict[str, dict[str, str]]:
    return {"band": {"S": place.bucket}, "id": {"S": place.id}}


def soft_series(seed: int) -> tuple[bytes, list[bytes]]:
    """A photo, and copies of it at 0.85 and half its size: soft enough to show all there is to see."""
    picture = noisy_scene(seed, (900, 700)).filter(ImageFilter.GaussianBlur(3))
    sizes = [(round(picture.width * scale), round(picture.height * scale)) for scale in (0.85, 0.5)]
    copies = [picture.resize(size, Pillow.Resampling.LANCZOS) for size in sizes]
    return jpeg_bytes(picture, 92), [jpeg_bytes(copies[0], 85), jpeg_bytes(copies[1], 80)]


def test_the_original_that_comes_after_its_copies_is_canonical_and_no_address_given_out_goes_dark(
    deployment: Deployment,
) -> None:
    original, copies = soft_series(90)
    with deployment.client("small-first") as shop:
        first = settled(shop, copies[0])
        given_out = first.renditions
        before = downloads(shop, first)

        large = settled(shop, original)
        last = settled(shop, copies[1])

        assert (large.status, large.document["near_duplicate_of"]) == ("ready", None)
        assert last.document["near_duplicate_of"] == large.id
        moved = within(30, lambda: (now := shop.get(first.id)).near_duplicate_of == large.id and now, "moved")
        within(30, lambda: downloads(shop, shop.get(first.id)) == downloads(shop, large), "shared")
        assert moved.status == "ready"
        assert downloads(shop, last) == downloads(shop, large) != before
        assert shop.get(large.id).document["shared_by_count"] == 2
        assert [shop.download(rendition) for rendition in given_out] == before
        deployment.assert_queues_run_empty()


def test_a_ticket_stores_one_version_and_brings_nothing_back_after_a_purge(deployment: Deployment) -> None:
    data = jpeg_bytes(noisy_scene(91, (300, 200)))
    s3, bucket = deployment.stack.client("s3"), deployment.output("OriginalsBucket")
    with deployment.client("one-ticket", Scope.READ, Scope.WRITE, Scope.ADMIN) as shop:
        ticket = ticket_for(shop, data)
        key = f"originals/one-ticket/{ticket.id}"

        def sent() -> int:
            return requests.put(ticket.url, data=data, headers=ticket.headers, timeout=30).status_code

        def versions() -> int:
            return len(s3.list_object_versions(Bucket=bucket, Prefix=key).get("Versions", []))

        assert [sent() for _ in range(3)] == [200, 412, 412]
        assert versions() == 1
        assert shop.wait(ticket.id, timeout_seconds=90).status == "ready"

        proposed = shop.call("POST", "/purge", json={"older_than_days": 0}).json()
        assert proposed["candidates"] == [ticket.id]
        shop.confirm_purge(proposed["confirm_token"])
        within(30, lambda: gone(shop, ticket.id), "purged")

        sent()
        within(60, lambda: deployment.objects_of(ticket.id, "OriginalsBucket") == [], "taken away")
        deployment.assert_queues_run_empty()
        assert gone(shop, ticket.id)
        assert deployment.items_of(ticket.id) == []


def gone(catalog: CatalogClient, id_: str) -> bool:
    return catalog.call("GET", f"/images/{id_}").status_code == 404

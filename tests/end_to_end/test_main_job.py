"""The main job, on the deployed stack and through the public API only."""

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import requests
from PIL import Image as Pillow

from catalog.domain.tenants import Scope
from catalog_images import CatalogClient, Image, Ticket
from infra.pictures import heics
from infra.pictures.images import (
    avif_bytes,
    camera_jpeg_bytes,
    gif_bytes,
    jpeg_bytes,
    mpo_bytes,
    png_bytes,
    product_cutout,
    product_photo,
    tiff_bytes,
    webp_bytes,
)
from tests.end_to_end.deployment import Deployment, announced, settled


def opened(catalog: CatalogClient, image: Image, preset: str) -> Pillow.Image:
    rendition = next(rendition for rendition in image.renditions if rendition.preset == preset)
    data = catalog.download(rendition)
    assert len(data) == rendition.size_bytes
    picture = Pillow.open(io.BytesIO(data))
    picture.load()
    assert picture.size == (rendition.width, rendition.height)
    return picture


@pytest.mark.parametrize(
    ("content_type", "data"),
    [
        ("image/jpeg", jpeg_bytes(product_photo(10, (1800, 1350)))),
        ("image/jpeg", mpo_bytes([product_photo(11), product_photo(12)])),
        ("image/jpeg", jpeg_bytes(product_photo(13).convert("CMYK"))),
        ("image/png", png_bytes(product_cutout(14))),
        ("image/webp", webp_bytes(product_photo(15))),
        ("image/gif", gif_bytes(product_photo(16))),
        ("image/avif", avif_bytes(product_photo(17))),
        ("image/tiff", tiff_bytes(product_photo(18))),
        ("image/heic", heics.file("ball-of-a-phone")),
    ],
    ids=["jpeg", "mpo", "cmyk", "png", "webp", "gif", "avif", "tiff", "heic"],
)
def test_a_photo_of_every_format_becomes_three_renditions(
    acme: CatalogClient, content_type: str, data: bytes
) -> None:
    image = settled(acme, data, content_type)

    assert image.status == "ready"
    assert [rendition.preset for rendition in image.renditions] == ["thumb", "card", "zoom"]
    thumb = opened(acme, image, "thumb")
    assert (thumb.format, thumb.mode, max(thumb.size)) == ("JPEG", "RGB", 200)


def test_a_camera_photo_comes_out_upright_and_without_gps(acme: CatalogClient) -> None:
    image = settled(acme, camera_jpeg_bytes(product_photo(20, (1200, 900)), 6))

    assert (image.document["original_width"], image.document["original_height"]) == (1200, 900)
    for preset in ("thumb", "card", "zoom"):
        picture = opened(acme, image, preset)
        assert picture.width > picture.height
        assert dict(picture.getexif()) == {}
        assert "icc_profile" not in picture.info


def test_the_same_bytes_again_are_known_and_nothing_is_sent(
    acme: CatalogClient, second_of_acme: CatalogClient
) -> None:
    data = jpeg_bytes(product_photo(21))
    first = settled(acme, data)

    again = announced(second_of_acme, data)

    assert isinstance(again, Image)
    assert (again.id, again.status) == (first.id, "ready")


def test_two_clients_uploading_the_same_bytes_at_one_moment_leave_one_asset_twenty_times_over(
    deployment: Deployment, acme: CatalogClient, second_of_acme: CatalogClient
) -> None:
    photos = [jpeg_bytes(product_photo(seed, (500, 400))) for seed in range(100, 120)]
    together = Barrier(2)

    def upload(catalog: CatalogClient) -> list[Image | Ticket]:
        receipts = []
        for data in photos:
            together.wait(timeout=60)
            receipts.append(catalog.upload(data, content_type="image/jpeg", filename="photo.jpg"))
        return receipts

    with ThreadPoolExecutor(2) as pool:
        mine, theirs = pool.map(upload, [acme, second_of_acme])

    sent_twice = [
        a.id for a, b in zip(mine, theirs, strict=True) if isinstance(a, Ticket) and isinstance(b, Ticket)
    ]
    assert sent_twice, "the clients never met"
    for data in photos:
        id_ = hashlib.sha256(data).hexdigest()
        assert acme.wait(id_, timeout_seconds=90).status == "ready"
        assert len(deployment.items_of(id_)) == 1
        assert len(deployment.objects_of(id_, "OriginalsBucket")) == 1
        assert len(deployment.objects_of(id_, "RenditionsBucket")) == 3
    deployment.assert_queues_run_empty()


def test_the_same_bytes_under_two_tenants_are_two_assets_and_neither_sees_the_other(
    deployment: Deployment, acme: CatalogClient, globex: CatalogClient
) -> None:
    data, only_acmes = jpeg_bytes(product_photo(23)), jpeg_bytes(product_photo(24))
    mine, theirs, private = settled(acme, data), settled(globex, data), settled(acme, only_acmes)

    assert mine.id == theirs.id
    assert (mine.document["tenant_id"], theirs.document["tenant_id"]) == ("acme", "globex")
    assert len(deployment.items_of(mine.id)) == 2
    assert len(deployment.objects_of(mine.id, "RenditionsBucket")) == 6
    refused = globex.call("GET", f"/images/{private.id}")
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "image_not_found")
    assert private.id not in {image.id for image in globex.images()}
    assert isinstance(announced(globex, only_acmes), Ticket)


def test_pages_list_every_image_of_the_tenant_once(deployment: Deployment) -> None:
    with deployment.client("pages") as pages:
        uploaded = [settled(pages, jpeg_bytes(product_photo(seed, (64, 48)))).id for seed in range(30, 35)]
        first = pages.page(limit=3)
        second = pages.page(limit=3, cursor=first.cursor)

    assert [image.id for image in first.images + second.images] == uploaded[::-1]
    assert second.cursor is None


def test_renditions_are_private_but_for_their_urls(deployment: Deployment, acme: CatalogClient) -> None:
    image = settled(acme, jpeg_bytes(product_photo(25)))
    url = image.renditions[0].url

    assert requests.get(url, timeout=10).status_code == 200
    assert requests.get(url.partition("?")[0], timeout=10).status_code == 403
    assert requests.get(url.replace("thumb", "other"), timeout=10).status_code == 403
    assert requests.get(url[:-1] + ("0" if url[-1] != "0" else "1"), timeout=10).status_code == 403


def test_a_call_needs_a_token_of_this_pool_with_its_scope(acme: CatalogClient, reader: CatalogClient) -> None:
    body = {"sha256": "0" * 64, "size_bytes": 1, "content_type": "image/jpeg", "filename": "x"}
    token = acme.token()
    forged = token[:-4] + ("aaaa" if token[-4:] != "aaaa" else "bbbb")

    assert acme.call("GET", "/images", token="").status_code == 401
    assert acme.call("GET", "/images", token="nonsense").status_code == 401
    assert acme.call("GET", "/images", token=forged).status_code == 401
    assert reader.call("GET", "/images").status_code == 200
    assert reader.call("POST", "/images", json=body).status_code in {401, 403}


def test_a_browser_may_ask_before_it_calls(deployment: Deployment) -> None:
    answer = requests.options(
        f"{deployment.stack.api_url}/images",
        headers={"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"},
        timeout=10,
    )

    assert answer.status_code in {200, 204}
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_an_image_is_used_under_a_name_with_slashes_spaces_and_hashes(acme: CatalogClient) -> None:
    image = settled(acme, jpeg_bytes(product_photo(31)))

    for name in ("SKU 12/34 #5", "shop/lamps/4711", "A&B 10+2"):
        assert acme.refer(image.id, name).document["references"] == [name]
        assert acme.release(image.id, name).document["references"] == []


def test_a_page_may_fetch_a_rendition(acme: CatalogClient) -> None:
    image = settled(acme, jpeg_bytes(product_photo(32)))

    answer = requests.get(image.renditions[0].url, headers={"Origin": "https://shop.example"}, timeout=30)

    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_a_dry_run_shows_a_picture_of_what_would_go(deployment: Deployment) -> None:
    with deployment.client("tidy", Scope.READ, Scope.WRITE, Scope.ADMIN) as tidy:
        image = settled(tidy, jpeg_bytes(product_photo(33)))

        proposal = tidy.call("POST", "/purge", json={"older_than_days": 0}).json()

    (shown,) = proposal["candidates_shown"]
    assert shown["id"] == image.id
    picture = requests.get(shown["url"], timeout=30)
    assert (picture.status_code, len(picture.content)) == (
        200,
        min(rendition.size_bytes for rendition in image.renditions),
    )


def test_an_image_is_deleted_once_nobody_uses_it(deployment: Deployment, acme: CatalogClient) -> None:
    image = settled(acme, jpeg_bytes(product_photo(34)))
    acme.refer(image.id, "sku-1")

    refused = acme.call("DELETE", f"/images/{image.id}")
    acme.release(image.id, "sku-1")
    deleted = acme.call("DELETE", f"/images/{image.id}")

    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "image_referenced")
    assert (deleted.status_code, deleted.json()) == (200, {"id": image.id, "status": "deleted"})
    assert acme.call("GET", f"/images/{image.id}").status_code == 404
    assert deployment.objects_of(image.id, "OriginalsBucket") == []
    assert deployment.objects_of(image.id, "RenditionsBucket") == []

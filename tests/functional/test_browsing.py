"""GET /v1/images/{id} and GET /v1/images."""

import hashlib

from infra.pictures.images import jpeg_bytes, oriented, product_photo
from tests.functional.cloud import Cloud

PHOTO = jpeg_bytes(product_photo(1, (320, 240)))
ID = hashlib.sha256(PHOTO).hexdigest()


def many(count: int) -> list[bytes]:
    return [jpeg_bytes(product_photo(seed, (40, 30))) for seed in range(count)]


def ids(answer_images: list[dict[str, object]]) -> list[object]:
    return [image["id"] for image in answer_images]


def test_an_asset_has_the_shape_of_the_original_description(cloud: Cloud) -> None:
    asset = cloud.upload(PHOTO, filename="blue shirt.jpg")

    assert asset["id"] == asset["content_hash"] == ID
    assert asset["tenant_id"] == "acme"
    assert asset["original_filename"] == "blue shirt.jpg"
    assert asset["original_size_bytes"] == len(PHOTO)
    assert (asset["original_width"], asset["original_height"]) == (320, 240)
    assert asset["in_use_count"] == 0
    assert asset["status"] == "ready"
    assert len(asset["perceptual_hash"]) == 16
    assert len(asset["phash256"]) == 64
    thumb = asset["renditions"][0]
    assert set(thumb) == {"id", "preset", "url", "permanent_url", "size_bytes", "width", "height", "quality"}
    assert (thumb["preset"], thumb["width"], thumb["height"], thumb["quality"]) == ("thumb", 200, 150, 85)


def test_dimensions_are_those_a_viewer_shows(cloud: Cloud) -> None:
    asset = cloud.upload(oriented(product_photo(2, (320, 240)), 6))

    assert (asset["original_width"], asset["original_height"]) == (320, 240)


def test_a_rendition_url_is_presigned_for_one_object(cloud: Cloud) -> None:
    asset = cloud.upload(PHOTO)

    assert f"/renditions/acme/{ID}/thumb-" in asset["renditions"][0]["url"]
    assert "X-Amz-Signature=" in asset["renditions"][0]["url"]


def test_with_a_cdn_rendition_urls_are_its_own(cloud: Cloud) -> None:
    cloud.configure(RENDITIONS_BASE_URL="https://d1.example.net/")

    asset = cloud.upload(PHOTO)

    assert asset["renditions"][0]["url"].startswith(f"https://d1.example.net/renditions/acme/{ID}/thumb-")
    assert "X-Amz" not in asset["renditions"][0]["url"]
    assert asset["renditions"][0]["permanent_url"] == f"https://d1.example.net/renditions/acme/{ID}/thumb"
    assert asset["srcset"].startswith(f"https://d1.example.net/renditions/acme/{ID}/thumb 200w, ")


def test_without_a_cdn_no_url_is_permanent_and_the_markup_has_those_of_an_hour(cloud: Cloud) -> None:
    asset = cloud.upload(PHOTO)

    assert [each["permanent_url"] for each in asset["renditions"]] == [None, None, None]
    assert asset["srcset"].count("X-Amz-Signature=") == asset["srcset"].count("w, ") + 1
    assert "&amp;X-Amz-Signature=" in asset["picture"]


def test_another_tenants_asset_does_not_exist(cloud: Cloud) -> None:
    cloud.upload(PHOTO)

    answer = cloud.get(ID, client_id="client-of-globex")

    assert (answer.status, answer.json["error"]["code"]) == (404, "image_not_found")


def test_a_path_that_leads_nowhere_is_not_found(cloud: Cloud) -> None:
    answer = cloud.call("get_image", "GET", f"/images/{ID}/../{ID}")

    assert (answer.status, answer.json["error"]["code"]) == (404, "not_found")


def test_pages_hold_every_asset_once_newest_first(cloud: Cloud) -> None:
    uploaded = [cloud.upload(photo)["id"] for photo in many(7)]
    cloud.upload(PHOTO, client_id="client-of-globex")

    listed: list[object] = []
    cursor: dict[str, str] = {}
    for _ in range(3):
        page = cloud.list_images(limit="3", **cursor).json
        listed += ids(page["images"])
        cursor = {"cursor": page["cursor"]} if page["cursor"] else {}

    assert listed == uploaded[::-1]
    assert cursor == {}


def test_a_page_can_be_of_one_status(cloud: Cloud) -> None:
    ready = [cloud.upload(photo)["id"] for photo in many(3)]
    rejected = [cloud.upload(f"no image {number}".encode())["id"] for number in range(3)]

    assert ids(cloud.list_images(status="ready").json["images"]) == ready[::-1]
    first = cloud.list_images(status="rejected", limit="2").json
    second = cloud.list_images(status="rejected", limit="2", cursor=first["cursor"]).json
    assert ids(first["images"] + second["images"]) == rejected[::-1]
    assert second["cursor"] is None


def test_an_empty_catalog_is_an_empty_page(cloud: Cloud) -> None:
    assert cloud.list_images().json == {"images": [], "cursor": None}

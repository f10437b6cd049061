"""POST /v1/compare on the deployed stack: bodies as a gateway carries them, and nothing left behind."""

import hashlib
from typing import Any

import httpx
import pytest

from catalog.api.inputs.comparisons import MAX_BODY_BYTES
from catalog_images import CatalogClient
from infra.pictures.images import jpeg_bytes, noisy_scene, png_bytes, product_cutout, product_photo
from tests.end_to_end.deployment import Deployment, settled

PHOTO = jpeg_bytes(product_photo(60, (1800, 1350)))


def compare(catalog: CatalogClient, data: bytes, content_type: str = "image/jpeg") -> httpx.Response:
    return catalog.call("POST", "/compare", data=data, headers={"Content-Type": content_type})


def compare_form(catalog: CatalogClient, data: bytes) -> httpx.Response:
    """As a browser or `curl -F` sends it; httpx draws the boundary."""
    drawn = httpx.Request("POST", catalog.api_url, files={"file": ("photo.jpg", data, "image/jpeg")})
    return compare(catalog, drawn.read(), drawn.headers["Content-Type"])


def error_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_raw_bytes_a_form_and_an_id_are_compared_alike(acme: CatalogClient) -> None:
    image = settled(acme, PHOTO)

    raw = compare(acme, PHOTO)
    sent = compare_form(acme, PHOTO)
    stored = acme.call("POST", "/compare", json={"id": image.id})

    assert [answer.status_code for answer in (raw, sent, stored)] == [200, 200, 200]
    assert raw.json() == sent.json() == stored.json()
    compared: list[dict[str, Any]] = raw.json()["results"]
    assert raw.json()["recommended"] == "zoom"
    assert {result["preset"]: (result["size_bytes"], result["width"]) for result in compared} == {
        rendition.preset: (rendition.size_bytes, rendition.width) for rendition in image.renditions
    }


def test_a_transparent_png_keeps_its_bytes_on_the_way(acme: CatalogClient) -> None:
    answer = compare(acme, png_bytes(product_cutout(61, (500, 400))), "image/png").json()

    thumb = answer["results"][0]
    assert [figures["transparent"] for figures in thumb["formats"]] == [False, True, True, True]


def test_a_read_only_client_may_compare(reader: CatalogClient) -> None:
    assert compare(reader, jpeg_bytes(product_photo(62, (300, 200)))).status_code == 200


def test_comparing_stores_nothing(deployment: Deployment, acme: CatalogClient) -> None:
    unseen = jpeg_bytes(product_photo(63, (300, 200)))
    id_ = hashlib.sha256(unseen).hexdigest()

    assert compare(acme, unseen).status_code == 200

    assert deployment.items_of(id_) == []
    for bucket in ("OriginalsBucket", "RenditionsBucket"):
        assert deployment.objects_of(id_, bucket) == []


def test_the_largest_body_is_compared_before_the_gateway_gives_up(acme: CatalogClient) -> None:
    noise = jpeg_bytes(noisy_scene(64, (4000, 3000)), quality=93)
    largest = noise + bytes(MAX_BODY_BYTES - len(noise))  # a JPEG may be followed by anything

    answer = compare(acme, largest)

    assert len(largest) == MAX_BODY_BYTES
    assert answer.status_code == 200


def test_a_larger_body_is_told_to_come_by_its_id(acme: CatalogClient) -> None:
    answer = compare(acme, bytes(MAX_BODY_BYTES + 1))

    assert error_of(answer) == (413, "too_large")
    assert '{"id": ...}' in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("data", "content_type", "expected"),
    [
        (b"just text", "image/jpeg", (422, "unsupported_format")),
        (PHOTO[:4000], "image/jpeg", (422, "truncated")),
        (PHOTO, "image/bmp", (415, "unsupported_media_type")),
        (PHOTO, "application/json", (400, "invalid_request")),
        (PHOTO, "multipart/form-data; boundary=b", (400, "invalid_request")),
    ],
    ids=["text", "half", "unknown type", "no json", "no form"],
)
def test_what_cannot_be_compared_is_refused_by_name(
    acme: CatalogClient, data: bytes, content_type: str, expected: tuple[int, str]
) -> None:
    assert error_of(compare(acme, data, content_type)) == expected


def test_another_tenants_image_cannot_be_compared(acme: CatalogClient, globex: CatalogClient) -> None:
    image = settled(acme, PHOTO)

    assert error_of(globex.call("POST", "/compare", json={"id": image.id})) == (404, "image_not_found")


def test_without_a_token_nothing_is_compared(acme: CatalogClient) -> None:
    answer = acme.call("POST", "/compare", json={"id": "0" * 64}, token="")

    assert answer.status_code == 401

"""POST /v1/compare."""

import base64
import hashlib
import json
from typing import Any

import pytest

from catalog.api.inputs.comparisons import MAX_BODY_BYTES
from infra.local.events import api_event
from infra.pictures import heics
from infra.pictures.hostile import ATTACKS
from infra.pictures.images import (
    avif_bytes,
    gif_bytes,
    half_of,
    jpeg_bytes,
    png_bomb,
    png_bytes,
    product_cutout,
    product_photo,
    tiff_bytes,
    webp_bytes,
)
from tests.functional.cloud import Answer, Cloud

PHOTO = jpeg_bytes(product_photo(1, (800, 600)))
ID = hashlib.sha256(PHOTO).hexdigest()
FIGURES = {"format", "size_bytes", "quality_metric", "quality", "ssim", "transparent"}


def compare(
    cloud: Cloud, body: bytes | str, content_type: str | None, *, client_id: str = "client-of-acme"
) -> Answer:
    """As API Gateway hands a body over: bytes of a binary media type in base64, any other as text."""
    event = api_event("POST", "/compare", client_id=client_id)
    event["headers"] = {"Content-Type": content_type} if content_type else {}
    event["isBase64Encoded"] = isinstance(body, bytes)
    event["body"] = base64.b64encode(body).decode() if isinstance(body, bytes) else body
    answer = cloud.invoke("compare", event)
    return Answer(answer["statusCode"], json.loads(answer["body"]))


def compare_id(cloud: Cloud, id_: str, **request: Any) -> Answer:
    return compare(cloud, json.dumps({"id": id_}), "application/json", **request)


def form(*fields: tuple[str, bytes]) -> bytes:
    parts = (
        f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="a"\r\n\r\n'.encode()
        + content
        + b"\r\n"
        for name, content in fields
    )
    return b"".join(parts) + b"--b--\r\n"


def refused(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json["error"]["code"]


def test_a_comparison_has_the_shape_of_the_original_description_and_more(cloud: Cloud) -> None:
    answer = compare(cloud, PHOTO, "image/jpeg")

    assert answer.status == 200
    assert set(answer.json) == {"results", "recommended", "recommended_format", "ssim_target"}
    assert [result["preset"] for result in answer.json["results"]] == ["thumb", "card", "zoom"]
    thumb = answer.json["results"][0]
    assert (thumb["width"], thumb["height"], thumb["format"], thumb["quality"]) == (200, 150, "jpeg", 85)
    assert thumb["quality_metric"] == round(thumb["size_bytes"] / (200 * 150), 4)
    assert 0.9 < thumb["ssim"] <= 1
    assert [figures["format"] for figures in thumb["formats"]] == ["jpeg", "webp", "avif", "png"]
    for figures in thumb["formats"]:
        assert set(figures) == FIGURES
    assert set(thumb) == FIGURES | {
        "preset",
        "width",
        "height",
        "needs_upscaling",
        "formats",
        "recommended_format",
    }


def test_the_largest_preset_that_the_image_fills_is_recommended_in_its_smallest_good_format(
    cloud: Cloud,
) -> None:
    answer = compare(cloud, PHOTO, "image/jpeg").json

    assert [result["needs_upscaling"] for result in answer["results"]] == [False, False, True]
    assert answer["recommended"] == "card"
    card = answer["results"][1]
    good = [figures for figures in card["formats"] if figures["ssim"] >= answer["ssim_target"]]
    smallest = min(good, key=lambda figures: int(figures["size_bytes"]))["format"]
    assert answer["recommended_format"] == card["recommended_format"] == smallest


def test_the_size_is_that_of_the_rendition_the_pipeline_then_stores(cloud: Cloud) -> None:
    compared = compare(cloud, PHOTO, "image/jpeg").json["results"]

    stored = cloud.upload(PHOTO)["renditions"]

    sizes = {rendition["preset"]: rendition["size_bytes"] for rendition in stored}
    assert {result["preset"]: result["size_bytes"] for result in compared} == sizes


def test_raw_bytes_a_form_and_a_stored_asset_are_compared_alike(cloud: Cloud) -> None:
    cloud.upload(PHOTO)

    raw = compare(cloud, PHOTO, "image/jpeg")
    sent = compare(cloud, form(("file", PHOTO)), "multipart/form-data; boundary=b")
    stored = compare_id(cloud, ID)

    assert raw.status == sent.status == stored.status == 200
    assert raw.json == sent.json == stored.json


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (png_bytes(product_cutout(1, (60, 40))), "image/png"),
        (webp_bytes(product_photo(1, (60, 40))), "image/webp"),
        (gif_bytes(product_photo(1, (60, 40))), "image/gif"),
        (avif_bytes(product_photo(1, (60, 40))), "image/avif"),
        (tiff_bytes(product_photo(1, (60, 40))), "IMAGE/TIFF; q=1"),
        (heics.file("small"), "image/heic"),
        (heics.file("small"), "image/heif"),
        (png_bytes(product_photo(1, (60, 40))), "image/jpeg"),
    ],
    ids=["png", "webp", "gif", "avif", "tiff", "heic", "heif", "png called jpeg"],
)
def test_every_accepted_format_is_compared_whatever_it_is_called(
    cloud: Cloud, data: bytes, content_type: str
) -> None:
    assert compare(cloud, data, content_type).status == 200


def test_an_asset_is_compared_while_it_is_still_being_rendered(cloud: Cloud) -> None:
    cloud.announce(PHOTO)
    cloud.ingest(cloud.store(PHOTO))

    assert compare_id(cloud, ID).status == 200


def test_comparing_reads_and_writes_nothing(cloud: Cloud) -> None:
    cloud.upload(PHOTO)
    before = cloud.snapshot()

    with cloud.watched_calls() as calls:
        for answer in (
            compare(cloud, PHOTO, "image/jpeg"),
            compare(cloud, form(("file", PHOTO)), "multipart/form-data; boundary=b"),
            compare_id(cloud, ID),
            compare(cloud, b"no image", "image/jpeg"),
        ):
            assert answer.status in {200, 422}

    assert set(calls.made) == {"dynamodb:GetItem", "s3:GetObject"}
    assert cloud.snapshot() == before
    assert cloud.take_jobs() == []


def test_bytes_sent_along_need_no_read_but_that_of_the_tenant(cloud: Cloud) -> None:
    with cloud.watched_calls() as calls:
        compare(cloud, PHOTO, "image/jpeg")

    assert calls.made == ["dynamodb:GetItem"]


# --- Refused --------------------------------------------------------------------------------------------


def test_another_tenants_asset_does_not_exist(cloud: Cloud) -> None:
    cloud.upload(PHOTO)

    answer = compare_id(cloud, ID, client_id="client-of-globex")

    assert refused(answer) == (404, "image_not_found")
    assert refused(compare_id(cloud, "0" * 64)) == (404, "image_not_found")


def test_an_asset_that_is_awaited_or_rejected_or_whose_original_is_gone_cannot_be_compared(
    cloud: Cloud,
) -> None:
    awaited = jpeg_bytes(product_photo(2, (40, 30)))
    cloud.announce(awaited)
    text = b"not an image"
    cloud.upload(text)
    cloud.upload(PHOTO)
    cloud.s3.delete_object(Bucket=cloud.originals, Key=f"originals/acme/{ID}")

    for data in (awaited, text, PHOTO):
        answer = compare_id(cloud, hashlib.sha256(data).hexdigest())
        assert refused(answer) == (404, "image_not_found")


def test_a_client_of_no_tenant_is_refused(cloud: Cloud) -> None:
    answer = compare(cloud, PHOTO, "image/jpeg", client_id="client-of-nobody")

    assert refused(answer) == (403, "unknown_client")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b"just text", "unsupported_format"),
        (half_of(PHOTO), "truncated"),
        (png_bomb(13_000), "too_many_pixels"),
        (PHOTO[:200] + bytes(len(PHOTO) - 200), "truncated"),
    ],
    ids=["empty", "text", "half", "bomb", "zeroed"],
)
def test_an_image_that_cannot_be_one_is_refused_by_the_code_of_its_rejection(
    cloud: Cloud, data: bytes, code: str
) -> None:
    assert refused(compare(cloud, data, "image/png")) == (422, code)
    assert refused(compare(cloud, form(("file", data)), "multipart/form-data; boundary=b")) == (422, code)


def test_the_largest_body_fits_the_event_of_a_function_with_its_headers_and_claims() -> None:
    in_base64 = -(-MAX_BODY_BYTES // 3) * 4

    assert 6 * 1024 * 1024 - in_base64 > 256 * 1024


def test_an_original_over_the_limit_of_today_is_too_large(cloud: Cloud) -> None:
    cloud.upload(PHOTO)
    cloud.configure(MAX_UPLOAD_BYTES="1024")

    assert refused(compare_id(cloud, ID)) == (413, "too_large")


def test_a_body_that_says_it_is_base64_and_is_not_is_told_so(cloud: Cloud) -> None:
    event = api_event("POST", "/compare", body="this is no base64!") | {"isBase64Encoded": True}

    answer = cloud.invoke("compare", event)

    assert answer["statusCode"] == 400


def test_presets_are_those_of_the_configuration(cloud: Cloud) -> None:
    cloud.configure(
        PRESETS=json.dumps(
            [
                {"name": "square", "width": 100, "height": 100, "fit": "cover", "format": "auto"},
                {"name": "row", "width": 300, "height": 100, "fit": "pad", "format": "png"},
            ]
        )
    )

    square, row = compare(cloud, png_bytes(product_cutout(1, (400, 300))), "image/png").json["results"]

    assert (square["width"], square["height"], square["format"], square["transparent"]) == (
        100,
        100,
        "webp",
        True,
    )
    assert (row["width"], row["height"], row["format"], row["quality"]) == (300, 100, "png", None)


def test_every_hostile_image_is_compared_or_refused_by_its_code(cloud: Cloud) -> None:
    for name, attack in ATTACKS.items():
        data = attack.build()
        if not 0 < len(data) < 100_000:
            continue
        answer = compare(cloud, data, "image/jpeg")
        if isinstance(attack.expected, str):
            assert refused(answer) == (422, attack.expected), name
        else:
            assert answer.status == 200, (name, answer.json)

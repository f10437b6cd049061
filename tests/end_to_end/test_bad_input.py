"""What can be wrong with an upload is answered, or recorded as a rejection, at the first try."""

import hashlib
import time

import boto3
import pytest
import requests
from botocore.config import Config

from catalog_images import ApiError, CatalogClient, UploadRefusedError
from infra.pictures.images import half_of, html_named_jpg, jpeg_bytes, png_bomb, product_photo, webp_bomb
from tests.end_to_end.deployment import Deployment, announced, settled, ticket_for


@pytest.mark.parametrize(
    ("data", "content_type", "code"),
    [
        (b"just some text\n" * 40, "image/jpeg", "unsupported_format"),
        (html_named_jpg(), "image/jpeg", "unsupported_format"),
        (half_of(jpeg_bytes(product_photo(40, (1200, 900)))), "image/jpeg", "truncated"),
        (png_bomb(13_000), "image/png", "too_many_pixels"),
        (webp_bomb(13_000), "image/webp", "too_many_pixels"),
    ],
    ids=["text", "html", "half a jpeg", "png bomb", "webp bomb"],
)
def test_a_file_that_is_no_image_is_rejected_by_name_and_never_retried(
    deployment: Deployment, acme: CatalogClient, data: bytes, content_type: str, code: str
) -> None:
    image = settled(acme, data, content_type)

    assert (image.status, image.rejection_code) == ("rejected", code)
    assert image.renditions == ()
    deployment.assert_queues_run_empty()
    tags = deployment.stack.client("s3").get_object_tagging(
        Bucket=deployment.output("OriginalsBucket"), Key=f"originals/acme/{image.id}"
    )
    assert tags["TagSet"] == [{"Key": "status", "Value": "rejected"}]


def test_an_empty_file_is_refused_before_it_is_sent(acme: CatalogClient) -> None:
    with pytest.raises(ApiError) as refused:
        announced(acme, b"")

    assert (refused.value.status, refused.value.code) == (400, "invalid_request")


def test_an_upload_over_the_limit_is_refused_before_it_is_sent(acme: CatalogClient) -> None:
    with pytest.raises(ApiError) as refused:
        acme.announce(
            sha256="0" * 64, size_bytes=20 * 1024 * 1024, content_type="image/jpeg", filename="big.jpg"
        )

    assert (refused.value.status, refused.value.code) == (413, "too_large")


def test_other_bytes_of_the_same_length_are_refused_by_s3(acme: CatalogClient) -> None:
    data = jpeg_bytes(product_photo(41))
    ticket = ticket_for(acme, data)

    with pytest.raises(UploadRefusedError) as refused:
        acme.put(ticket, data[:-1] + bytes([data[-1] ^ 1]))

    assert (refused.value.status, refused.value.code) == (400, "BadDigest")
    assert acme.get(ticket.id).status == "awaiting_upload"


def test_another_length_type_checksum_or_no_signature_is_refused_by_s3(acme: CatalogClient) -> None:
    data = jpeg_bytes(product_photo(42))
    ticket = ticket_for(acme, data)
    headers = dict(ticket.headers)
    other = hashlib.sha256(b"x").digest()
    attempts = [
        (data + b"\0", headers | {"content-length": str(len(data) + 1)}),
        (data, headers | {"content-type": "text/html"}),
        (data, headers | {"x-amz-checksum-sha256": other.hex()}),
        (data, {name: value for name, value in headers.items() if name != "x-amz-checksum-sha256"}),
    ]

    refused = [requests.put(ticket.url, data=body, headers=sent, timeout=10) for body, sent in attempts]
    unsigned = requests.put(ticket.url.partition("?")[0], data=data, headers=headers, timeout=10)

    assert [answer.status_code for answer in refused] == [403, 403, 403, 403]
    assert unsigned.status_code == 403
    assert acme.get(ticket.id).status == "awaiting_upload"


def test_a_url_signs_one_key_and_no_other(acme: CatalogClient) -> None:
    data, other = jpeg_bytes(product_photo(43)), jpeg_bytes(product_photo(44))
    ticket = ticket_for(acme, data)
    elsewhere = ticket.url.replace(ticket.id, hashlib.sha256(other).hexdigest())
    foreign = ticket.url.replace("/acme/", "/globex/")

    for url in (elsewhere, foreign):
        assert requests.put(url, data=data, headers=ticket.headers, timeout=10).status_code == 403


def test_an_expired_url_is_refused_and_a_new_one_is_given(
    deployment: Deployment, acme: CatalogClient
) -> None:
    data = jpeg_bytes(product_photo(45))
    ticket = ticket_for(acme, data)
    # The API's own URLs live 15 minutes; this one is the same but for its second of life.
    s3 = boto3.client("s3", config=Config(signature_version="s3v4"))
    short = s3.generate_presigned_url(
        "put_object",
        Params={
            "Bucket": deployment.output("OriginalsBucket"),
            "Key": f"originals/acme/{ticket.id}",
            "ContentLength": len(data),
            "ContentType": "image/jpeg",
            "ChecksumSHA256": ticket.headers["x-amz-checksum-sha256"],
        },
        ExpiresIn=1,
    )
    time.sleep(2.5)

    assert requests.put(short, data=data, headers=ticket.headers, timeout=10).status_code == 403
    assert settled(acme, data).status == "ready"


def test_an_unknown_path_and_a_wrong_method_are_named_errors(acme: CatalogClient) -> None:
    for method, path in (("GET", "/nothing"), ("PATCH", "/images"), ("DELETE", "/images")):
        answer = acme.call(method, path)
        assert answer.status_code in {403, 404}
        assert set(answer.json()["error"]) >= {"code", "message", "request_id"}

"""POST /v1/images."""

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from catalog.domain.assets import STALLED_AFTER, Status
from catalog.domain.rejections import Rejection, RejectionCode
from infra.local.events import api_event
from infra.pictures.images import jpeg_bytes, product_photo
from tests.functional.cloud import Cloud

PHOTO = jpeg_bytes(product_photo(1, (320, 240)))
ID = hashlib.sha256(PHOTO).hexdigest()


def test_unknown_bytes_get_a_url_that_signs_their_length_type_and_checksum(cloud: Cloud) -> None:
    answer = cloud.announce(PHOTO)

    assert answer.status == 201
    upload = answer.json["upload"]
    assert answer.json["id"] == ID
    assert upload["method"] == "PUT"
    assert urlsplit(upload["url"]).path == f"/originals/acme/{ID}"
    signed = parse_qs(urlsplit(upload["url"]).query)["X-Amz-SignedHeaders"][0].split(";")
    required = {"content-length", "content-type", "x-amz-checksum-sha256", "if-none-match"}
    assert set(upload["headers"]) == required < set(signed)
    assert upload["headers"]["if-none-match"] == "*"
    assert cloud.asset(ID).status == "awaiting_upload"


def announced_an_hour_ago(cloud: Cloud) -> None:
    created = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    cloud.dynamodb.update_item(
        TableName="AssetsTable",
        Key={"tenant": {"S": "acme"}, "id": {"S": ID}},
        UpdateExpression="SET created_at = :c",
        ExpressionAttributeValues={":c": {"S": created}},
    )


def test_every_ticket_stores_once_and_an_upload_whose_event_was_lost_is_ingested_again(cloud: Cloud) -> None:
    cloud.announce(PHOTO)
    cloud.store(PHOTO)  # and nobody hears of it
    assert cloud.announce(PHOTO).status == 201
    assert cloud.take_messages(cloud.uploads_queue) == []
    announced_an_hour_ago(cloud)

    upload = cloud.announce(PHOTO).json["upload"]

    assert upload["headers"]["if-none-match"] == "*"  # S3 answers 412: the bytes are there
    assert "if-none-match" in parse_qs(urlsplit(upload["url"]).query)["X-Amz-SignedHeaders"][0]
    cloud.drain()
    assert cloud.get(ID).json["status"] == "ready"


def test_an_upload_that_never_came_may_still_come(cloud: Cloud) -> None:
    cloud.announce(PHOTO)
    announced_an_hour_ago(cloud)

    assert cloud.announce(PHOTO).status == 201
    cloud.drain()

    assert cloud.asset(ID).status == "awaiting_upload"
    assert cloud.upload(PHOTO)["status"] == "ready"


def test_asking_again_before_sending_gets_another_url(cloud: Cloud) -> None:
    assert [cloud.announce(PHOTO).status for _ in range(2)] == [201, 201]


def test_bytes_the_tenant_has_are_not_sent_again_whatever_they_are_called(cloud: Cloud) -> None:
    first = cloud.upload(PHOTO, filename="first.jpg")

    answer = cloud.announce(PHOTO, filename="second.jpg")

    assert answer.status == 200
    assert answer.json["id"] == first["id"]
    assert answer.json["status"] == "ready"
    assert [rendition["preset"] for rendition in answer.json["renditions"]] == ["thumb", "card", "zoom"]


def test_another_tenant_with_the_same_bytes_gets_an_asset_of_its_own(cloud: Cloud) -> None:
    cloud.upload(PHOTO)

    assert cloud.announce(PHOTO, client_id="client-of-globex").status == 201
    assert cloud.asset(ID, "globex").status == "awaiting_upload"
    assert cloud.asset(ID, "acme").status == "ready"


def test_another_client_of_the_tenant_gets_the_tenants_asset(cloud: Cloud) -> None:
    cloud.upload(PHOTO)

    assert cloud.announce(PHOTO, client_id="second-client-of-acme").status == 200


def test_rejected_bytes_are_answered_with_their_rejection_and_not_sent_again(cloud: Cloud) -> None:
    cloud.upload(b"not an image at all")

    answer = cloud.announce(b"not an image at all")

    assert answer.status == 200
    assert answer.json["rejection"]["code"] == "unsupported_format"


def test_an_asset_whose_stored_bytes_were_wrong_is_offered_another_upload(cloud: Cloud) -> None:
    cloud.announce(PHOTO)
    wrong = Rejection(RejectionCode.CHECKSUM_MISMATCH, "wrong")
    cloud.assets.reject(cloud.asset(ID).key, wrong, size_bytes=1, now=datetime.now(UTC))

    assert cloud.announce(PHOTO).status == 201
    assert cloud.asset(ID).status == "awaiting_upload"


def test_a_stalled_asset_is_offered_another_upload_and_a_fresh_one_is_not(cloud: Cloud) -> None:
    cloud.announce(PHOTO)
    cloud.ingest(cloud.store(PHOTO))
    assert cloud.announce(PHOTO).status == 200

    long_ago = datetime.now(UTC) - STALLED_AFTER - timedelta(seconds=1)
    cloud.dynamodb.update_item(
        TableName="AssetsTable",
        Key={"tenant": {"S": "acme"}, "id": {"S": ID}},
        UpdateExpression="SET updated_at = :then",
        ExpressionAttributeValues={":then": {"S": long_ago.isoformat(timespec="microseconds")}},
    )

    cloud.announce(PHOTO)  # asking does not make it any less stalled

    assert cloud.announce(PHOTO).status == 201
    assert cloud.asset(ID).status == "processing"
    cloud.take_jobs()  # those of its first event were lost
    cloud.drain()
    assert cloud.asset(ID).status == "ready"


def test_every_upload_that_was_not_sent_is_counted_on_its_asset(cloud: Cloud) -> None:
    cloud.upload(PHOTO)

    for _ in range(3):
        cloud.announce(PHOTO)

    assert cloud.asset(ID).duplicates == 3


def test_an_upload_of_an_asset_that_is_being_deleted_is_asked_to_come_back(cloud: Cloud) -> None:
    cloud.upload(PHOTO)
    later = datetime.now(UTC) + timedelta(days=1)
    key = cloud.asset(ID).key
    cloud.assets.mark_deleting(key, status=Status.READY, unused_before=later, run="run", now=later)

    answer = cloud.announce(PHOTO)

    assert (answer.status, answer.json["error"]["code"]) == (409, "image_being_deleted")


def test_a_client_of_no_tenant_is_refused(cloud: Cloud) -> None:
    answer = cloud.announce(PHOTO, client_id="stranger")

    assert (answer.status, answer.json["error"]["code"]) == (403, "unknown_client")


@pytest.mark.parametrize(
    ("function", "method", "path"),
    [
        ("request_upload", "POST", "/images"),
        ("purge", "POST", "/purge"),
        ("tenants", "POST", "/tenants"),
        ("duplicates", "PUT", f"/images/{'5c' * 32}/duplicates/{'d7' * 32}"),
    ],
)
def test_a_body_that_is_no_text_is_a_fault_of_the_request(
    cloud: Cloud, function: str, method: str, path: str
) -> None:
    event = api_event(method, path) | {"body": base64.b64encode(PHOTO).decode(), "isBase64Encoded": True}

    answer = cloud.invoke(function, event)

    assert answer["statusCode"] == 400
    assert json.loads(answer["body"])["error"]["faults"] == [
        {"field": "body", "message": "must be a JSON object"}
    ]


def test_a_fault_of_ours_is_a_500_without_a_stack_trace(cloud: Cloud) -> None:
    cloud.function("request_upload")
    cloud.dynamodb.delete_table(TableName="AssetsTable")

    answer = cloud.announce(PHOTO)

    assert answer.status == 500
    assert answer.json["error"]["code"] == "internal_error"
    assert "Traceback" not in str(answer.json) and "AssetsTable" not in str(answer.json)

"""Workers die, events come twice, permissions go missing: nothing is lost and nothing is doubled."""

import hashlib
import time
from datetime import UTC, datetime, timedelta

import requests

from catalog_images import CatalogClient
from infra.pictures.images import jpeg_bytes, noisy_scene, product_photo
from tests.end_to_end.deployment import Deployment, settled, ticket_for, within


def test_workers_killed_in_the_middle_of_their_jobs_change_nothing_in_the_end(
    deployment: Deployment, acme: CatalogClient
) -> None:
    photos = [jpeg_bytes(noisy_scene(seed, (3000, 2200)), 95) for seed in range(4)]
    killed = {"IngestFunction": 0, "RenderFunction": 0}

    with deployment.configured(PIXELS_RENDERED_ON_ARRIVAL="0"), deployment.hidden_for(15):
        ids = [acme.upload(data, content_type="image/jpeg", filename="p.jpg").id for data in photos]
        for function in killed:
            within(60, lambda function=function: deployment.workers(function), f"{function} at work")  # type: ignore[misc]
            time.sleep(0.3)
            killed[function] += deployment.kill_workers(function)
        images = [acme.wait(id_, timeout_seconds=150) for id_ in ids]

    assert min(killed.values()) > 0
    assert [image.status for image in images] == ["ready"] * len(ids)
    for image in images:
        assert len(deployment.items_of(image.id)) == 1
        assert len(deployment.objects_of(image.id, "RenditionsBucket")) == 3
        for rendition in image.renditions:
            assert len(acme.download(rendition)) == rendition.size_bytes


def test_a_crash_of_the_emulator_keeps_what_it_saved_while_it_ran(
    deployment: Deployment, acme: CatalogClient
) -> None:
    emulator = deployment.stack.emulator
    image = settled(acme, jpeg_bytes(product_photo(153)))
    ready = datetime.now(UTC)
    within(60, lambda: (emulator.saved_at() or ready) > ready, "saved since")

    emulator.kill()
    emulator.up()

    assert acme.get(image.id).status == "ready"
    for rendition in acme.get(image.id).renditions:
        assert len(acme.download(rendition)) == rendition.size_bytes


def test_an_event_delivered_again_and_again_changes_nothing(
    deployment: Deployment, acme: CatalogClient
) -> None:
    data = jpeg_bytes(product_photo(50))
    image = settled(acme, data)
    before = deployment.items_of(image.id)

    for _ in range(5):
        deployment.send_upload_event("acme", image.id)
    deployment.assert_queues_run_empty()

    assert deployment.items_of(image.id) == before


def test_an_upload_whose_event_was_lost_is_ingested_when_it_is_announced_again(
    deployment: Deployment, acme: CatalogClient
) -> None:
    data = jpeg_bytes(product_photo(154))
    image = settled(acme, data)
    deployment.stack.client("dynamodb").update_item(  # as if nobody had heard of it for an hour
        TableName=deployment.output("AssetsTable"),
        Key={"tenant": {"S": "acme"}, "id": {"S": image.id}},
        UpdateExpression="SET #s = :awaiting, created_at = :created",
        ExpressionAttributeNames={"#s": "status"},
        ExpressionAttributeValues={
            ":awaiting": {"S": "awaiting_upload"},
            ":created": {"S": (datetime.now(UTC) - timedelta(hours=1)).isoformat(timespec="microseconds")},
        },
    )

    ticket = ticket_for(acme, data)
    refused = requests.put(ticket.url, data=data, headers=ticket.headers, timeout=10)

    assert refused.status_code == 412  # the bytes are there
    assert acme.wait(image.id, timeout_seconds=60).status == "ready"


def test_without_leave_to_write_renditions_no_asset_gets_ready_until_it_is_given_back(
    deployment: Deployment, acme: CatalogClient
) -> None:
    data = jpeg_bytes(product_photo(51))
    id_ = hashlib.sha256(data).hexdigest()

    with deployment.hidden_for(5):
        with (
            deployment.without_permission("IngestFunction", "s3:PutObject"),
            deployment.without_permission("RenderFunction", "s3:PutObject"),
        ):
            acme.upload(data, content_type="image/jpeg", filename="p.jpg")
            within(60, lambda: acme.get(id_).status == "processing", "ingested")
            time.sleep(4)
            assert acme.get(id_).status == "processing"
            assert deployment.objects_of(id_, "RenditionsBucket") == []
        assert acme.wait(id_, timeout_seconds=90).status == "ready"
    deployment.assert_queues_run_empty()


def test_without_leave_to_read_the_table_a_get_is_a_500_and_says_nothing_of_why(
    deployment: Deployment, acme: CatalogClient
) -> None:
    image = settled(acme, jpeg_bytes(product_photo(52)))

    with deployment.without_permission("GetImageFunction", "dynamodb:GetItem"):
        refused = acme.call("GET", f"/images/{image.id}")

    assert (refused.status_code, refused.json()["error"]["code"]) == (500, "internal_error")
    assert "dynamodb" not in refused.text and "AccessDenied" not in refused.text
    assert acme.get(image.id).status == "ready"


def test_without_leave_to_sign_uploads_the_url_is_worth_nothing(
    deployment: Deployment, acme: CatalogClient
) -> None:
    data = jpeg_bytes(product_photo(53))
    ticket = ticket_for(acme, data)

    with deployment.without_permission("RequestUploadFunction", "s3:PutObject"):
        refused = requests.put(ticket.url, data=data, headers=ticket.headers, timeout=10)

    assert refused.status_code == 403
    assert settled(acme, data).status == "ready"

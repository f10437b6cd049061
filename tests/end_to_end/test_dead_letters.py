"""What failed for good is seen, told apart, sent back and completed; what was purged is brought back."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from catalog.domain.keys import AssetKey, asset_id, tenant_id
from catalog.domain.tenants import Scope
from catalog_images import CatalogClient
from infra.operator.dead_letters import QUEUES, DeadLetters
from infra.operator.restore import NothingToRestoreError, restore
from infra.pictures.images import jpeg_bytes, product_photo
from tests.end_to_end.deployment import FINISH_SECONDS, Deployment, settled, within

UPLOADS, RENDER, PURGE = QUEUES[:3]


@contextmanager
def dying_at_once(deployment: Deployment, queue: str) -> Iterator[None]:
    """A queue's messages are dead once they failed once and came back.

    They come back after 15 seconds: a worker that starts on a busy machine has failed by then.
    """
    sqs, url = deployment.stack.client("sqs"), deployment.output(queue)
    names = ["VisibilityTimeout", "RedrivePolicy"]
    before = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    policy = json.dumps({**json.loads(before["RedrivePolicy"]), "maxReceiveCount": 1})
    try:
        changed = {"VisibilityTimeout": "15", "RedrivePolicy": policy}
        sqs.set_queue_attributes(QueueUrl=url, Attributes=changed)
        yield
    finally:
        sqs.set_queue_attributes(QueueUrl=url, Attributes=before)


@pytest.fixture
def letters(deployment: Deployment) -> DeadLetters:
    return DeadLetters(deployment.stack.name, deployment.stack.outputs)


def listed(letters: DeadLetters, queue: Any, id_: str) -> list[dict[str, Any]]:
    return [letter for letter in letters.list(queue, limit=100) if id_ in letter["ids"]]


def test_render_jobs_that_died_of_a_lost_permission_are_explained_and_redriven(
    deployment: Deployment, letters: DeadLetters, acme: CatalogClient
) -> None:
    data = jpeg_bytes(product_photo(9060, (500, 400)))
    id_ = hashlib.sha256(data).hexdigest()
    with (
        deployment.configured(PIXELS_RENDERED_ON_ARRIVAL="0"),
        dying_at_once(deployment, "RenderQueueUrl"),
        deployment.without_permission("RenderFunction", "s3:PutObject"),
    ):
        acme.upload(data, content_type="image/jpeg", filename="p.jpg")
        within(
            FINISH_SECONDS, lambda: deployment.depth("RenderDeadLetterQueueUrl") == 3, "three dead letters"
        )

    dead = listed(letters, RENDER, id_)
    assert sorted(preset for letter in dead for preset in letter["presets"]) == ["card", "thumb", "zoom"]
    assert {asset["status"] for letter in dead for asset in letter["assets"]} == {"processing"}
    assert {asset["tenant"] for letter in dead for asset in letter["assets"]} == {"acme"}
    for letter in dead:
        assert "AccessDenied" in letter["reason"], letter
    assert acme.get(id_).status == "processing"

    list(letters.redrive(RENDER, limit=100, dry_run=True))
    assert deployment.depth("RenderDeadLetterQueueUrl") == 3
    sent = list(letters.redrive(RENDER, limit=100, dry_run=False))

    assert [line["redriven"] for line in sent] == [True] * 3
    assert acme.wait(id_, timeout_seconds=FINISH_SECONDS).status == "ready"
    deployment.assert_queues_run_empty()


def test_a_daily_purge_that_fails_inside_the_function_is_a_letter_with_its_error_and_begins_when_sent_back(
    deployment: Deployment, letters: DeadLetters
) -> None:
    """Nobody waits for it: Lambda tries it three times and hands it to the on-failure destination."""
    assert deployment.depth("PurgeDeadLetterQueueUrl") == 0
    with deployment.without_permission("PurgeStarterFunction", "dynamodb:Scan"):
        deployment.stack.client("lambda").invoke(
            FunctionName=deployment.output("PurgeStarterFunction"),
            InvocationType="Event",
            Payload=json.dumps({"purge": "daily"}),
        )
        within(FINISH_SECONDS, lambda: deployment.depth("PurgeDeadLetterQueueUrl") == 1, "a dead letter")

    for _ in range(2):
        (letter,) = letters.list(PURGE, limit=10)
        assert (letter["kind"], letter["tries"]) == ("daily purge", 3)
        assert "AccessDenied" in letter["reason"] or "not authorized" in letter["reason"], letter

    assert [line["redriven"] for line in letters.redrive(PURGE, limit=10, dry_run=False)] == [True]
    deployment.assert_queues_run_empty()


def test_an_upload_that_died_is_redriven_and_gets_ready(
    deployment: Deployment, letters: DeadLetters, acme: CatalogClient
) -> None:
    data = jpeg_bytes(product_photo(9061, (500, 400)))
    id_ = hashlib.sha256(data).hexdigest()
    with (
        dying_at_once(deployment, "UploadsQueueUrl"),
        deployment.without_permission("IngestFunction", "s3:GetObject"),
    ):
        acme.upload(data, content_type="image/jpeg", filename="p.jpg")
        within(FINISH_SECONDS, lambda: deployment.depth("UploadsDeadLetterQueueUrl") == 1, "a dead letter")

    (letter,) = listed(letters, UPLOADS, id_)
    assert letter["assets"][0]["status"] == "awaiting_upload"
    assert "AccessDenied" in letter["reason"]

    assert [line["redriven"] for line in letters.redrive(UPLOADS, limit=100, dry_run=False)] == [True]
    assert acme.wait(id_, timeout_seconds=FINISH_SECONDS).status == "ready"
    deployment.assert_queues_run_empty()


def test_a_purged_image_is_restored_and_rendered_again(deployment: Deployment) -> None:
    data = jpeg_bytes(product_photo(9062, (500, 400)))
    key = AssetKey(tenant_id("restored"), asset_id(hashlib.sha256(data).hexdigest()))
    with deployment.client("restored", Scope.READ, Scope.WRITE, Scope.ADMIN) as catalog:
        with pytest.raises(NothingToRestoreError):
            restore(key, outputs=deployment.stack.outputs)
        settled(catalog, data)
        proposed = catalog.call("POST", "/purge", json={"older_than_days": 0}).json()
        confirmation = {"dry_run": False, "confirm_token": proposed["confirm_token"]}
        assert catalog.call("POST", "/purge", json=confirmation).json()["deleted_count"] == 1
        assert catalog.call("GET", f"/images/{key.id}").status_code == 404

        assert restore(key, outputs=deployment.stack.outputs).size_bytes == len(data)

        within(
            FINISH_SECONDS,
            lambda: catalog.call("GET", f"/images/{key.id}").status_code == 200,
            "ingested again",
        )
        image = catalog.wait(key.id, timeout_seconds=FINISH_SECONDS)
        assert image.status == "ready"
        for rendition in image.renditions:
            assert len(catalog.download(rendition)) == rendition.size_bytes


def test_the_correlation_id_of_an_upload_is_in_the_logs_of_every_function_it_passes(
    deployment: Deployment, acme: CatalogClient
) -> None:
    data = jpeg_bytes(product_photo(9063, (500, 400)))
    with deployment.configured(PIXELS_RENDERED_ON_ARRIVAL="0"):
        image = settled(acme, data)
    correlation_id = image.document["correlation_id"]
    logs = deployment.stack.client("logs")

    def passed() -> set[str]:
        return {
            function
            for function in ("request-upload", "ingest", "render", "usage")
            for event in logs.filter_log_events(
                logGroupName=f"/aws/lambda/{deployment.stack.name}/{function}",
                filterPattern=f'"{correlation_id}"',
            )["events"]
            if event["message"].startswith("{")
            and (line := json.loads(event["message"])).get("correlation_id") == correlation_id
            and line["asset_id"] == image.id
        }

    within(FINISH_SECONDS, lambda: len(passed()) == 4, "logged by all four functions")


def test_every_dead_letter_queue_is_watched_by_an_alarm_on_the_deployed_stack(deployment: Deployment) -> None:
    pages = deployment.stack.client("cloudwatch").get_paginator("describe_alarms").paginate()
    watched = {
        dimension["Value"]
        for page in pages
        for alarm in page["MetricAlarms"]
        for dimension in alarm["Dimensions"]
        if alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
    }
    assert watched == {deployment.output(queue.output).rpartition("/")[2] for queue in QUEUES}

"""The operator's way with dead letters, and with images that were purged."""

import hashlib
import json
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import boto3
import pytest

from catalog.adapters.queues import WebhooksQueue, webhook_message
from catalog.domain.keys import AssetKey, asset_id, tenant_id
from catalog.domain.tenants import TenantBeingRemovedError, TenantNotFoundError
from catalog.domain.webhooks import Delivery, Published
from infra.local.events import REGION, s3_notification
from infra.operator import dead_letters as operator
from infra.operator import restore as restoring
from infra.operator.dead_letters import QUEUES, DeadLetterQueue, DeadLetters
from infra.operator.restore import BeingDeletedError, NotGoneError, NothingToRestoreError, restore
from infra.pictures.images import jpeg_bytes, product_photo
from tests.functional.cloud import Cloud

PHOTO = jpeg_bytes(product_photo(1, (64, 48)))
ID = hashlib.sha256(PHOTO).hexdigest()
KEY = AssetKey(tenant_id("acme"), asset_id(ID))
UPLOADS, RENDER, PURGE, WEBHOOKS, USAGE = QUEUES
STREAM_BATCH = json.dumps(
    {
        "requestContext": {"condition": "RetryAttemptsExhausted", "approximateInvokeCount": 51},
        "DDBStreamBatchInfo": {
            "shardId": "shardId-00000001",
            "startSequenceNumber": "100",
            "endSequenceNumber": "101",
            "batchSize": 2,
            "streamArn": f"arn:aws:dynamodb:{REGION}:123456789012:table/AssetsTable/stream/2026",
        },
    }
)


@pytest.fixture
def letters(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> DeadLetters:
    """The deployment's queues, all empty."""
    monkeypatch.setattr(operator, "_WAIT_SECONDS", 0)
    names = {queue.output for queue in QUEUES} | {"UploadsQueueUrl"}
    urls = {name: cloud.sqs.create_queue(QueueName=name)["QueueUrl"] for name in names}
    outputs = {
        **urls,
        "RenderQueueUrl": cloud.render_queue,
        "PurgeQueueUrl": cloud.purge_queue,
        "WebhooksQueueUrl": cloud.webhooks_queue,
        "AssetsTable": "AssetsTable",
        "TenantsTable": "TenantsTable",
        "OriginalsBucket": cloud.originals,
        "PurgeStarterFunction": "purge_starter",
    }
    return DeadLetters("catalog-images", outputs)


def die(cloud: Cloud, letters: DeadLetters, queue: DeadLetterQueue, body: str, **attributes: str) -> None:
    cloud.sqs.send_message(
        QueueUrl=letters.outputs[queue.output],
        MessageBody=body,
        MessageAttributes={
            name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
        },
    )


def shown(letters: DeadLetters, queue: DeadLetterQueue, *, limit: int = 1000) -> list[dict[str, Any]]:
    return list(letters.list(queue, limit=limit))


def redriven(letters: DeadLetters, queue: DeadLetterQueue, **options: Any) -> list[dict[str, Any]]:
    return list(letters.redrive(queue, **{"limit": 1000, "dry_run": False, **options}))


def half_done(cloud: Cloud) -> list[str]:
    """An asset of which nothing is rendered yet, and its jobs."""
    cloud.announce(PHOTO)
    cloud.ingest(cloud.store(PHOTO))
    return cloud.take_jobs()


def log_failure(word: str, error: str) -> None:
    """What a function logs of a message that failed."""
    logs = boto3.client("logs")
    place: Any = {"logGroupName": "/aws/lambda/catalog-images/render", "logStreamName": "one"}
    logs.create_log_group(logGroupName=place["logGroupName"])
    logs.create_log_stream(**place)
    line = {
        "level": "ERROR",
        "body": word,
        "exception": f"Traceback (most recent call last):\n  ...\n{error}",
    }
    event: Any = {"timestamp": int(time.time() * 1000), "message": json.dumps(line)}
    logs.put_log_events(**place, logEvents=[event])


# --- List -------------------------------------------------------------------------------------------------


def test_a_dead_letter_is_shown_with_its_asset_and_what_went_wrong_and_stays(
    cloud: Cloud, letters: DeadLetters
) -> None:
    job = half_done(cloud)[0]
    die(cloud, letters, RENDER, job)
    log_failure(job, "AccessDenied: s3:PutObject")

    for _ in range(2):
        (letter,) = shown(letters, RENDER)
        assert letter["kind"] == "render job"
        assert letter["presets"] == json.loads(job)["presets"]
        assert letter["correlation_id"] == "request-1"
        (asset,) = letter["assets"]
        assert (asset["tenant"], asset["id"], asset["status"]) == ("acme", ID, "processing")
        assert letter["reason"] == "AccessDenied: s3:PutObject"


def test_a_letter_of_a_finished_or_unknown_asset_says_so(cloud: Cloud, letters: DeadLetters) -> None:
    for job in half_done(cloud):
        cloud.render(job)
    die(cloud, letters, UPLOADS, s3_notification(cloud.originals, KEY.original))
    die(cloud, letters, UPLOADS, s3_notification(cloud.originals, f"originals/globex/{ID}"))

    finished, unknown = sorted(shown(letters, UPLOADS), key=lambda letter: letter["assets"][0]["tenant"])

    assert (finished["assets"][0]["status"], finished["reason"]) == (
        "ready",
        "nothing is left to do: the asset is ready or rejected",
    )
    assert unknown["assets"] == [{"tenant": "globex", "id": ID, "status": None}]
    assert unknown["reason"].startswith("nothing was logged")
    die(cloud, letters, RENDER, json.dumps({"tenant": "globex", "id": ID, "presets": ["thumb"]}))
    assert shown(letters, RENDER)[0]["reason"] == "nothing is left to do: the asset is gone"


def test_more_letters_than_sqs_gives_at_once_are_shown_each_once_up_to_the_limit(
    cloud: Cloud, letters: DeadLetters
) -> None:
    for number in range(23):
        die(cloud, letters, PURGE, json.dumps({"tenant": "acme", "run_id": f"run-{number}"}))

    assert len({letter["run_id"] for letter in shown(letters, PURGE)}) == 23
    assert len(shown(letters, PURGE, limit=12)) == 12
    assert len(shown(letters, PURGE)) == 23


@pytest.mark.parametrize("body", ["", "[]", "{}", '"text"', '{"Records": [{}]}', '{"tenant": 1, "id": 2}'])
@pytest.mark.parametrize("queue", QUEUES, ids=lambda queue: queue.name)
def test_what_this_pipeline_never_sent_is_shown_and_never_sent_back(
    cloud: Cloud, letters: DeadLetters, queue: DeadLetterQueue, body: str
) -> None:
    die(cloud, letters, queue, body or " ")

    (letter,) = shown(letters, queue)
    assert letter["kind"] == "unreadable"
    assert [line["redriven"] for line in redriven(letters, queue)] == [False]
    assert len(shown(letters, queue)) == 1


# --- Redrive ----------------------------------------------------------------------------------------------


def test_render_jobs_that_are_sent_back_complete_their_asset(cloud: Cloud, letters: DeadLetters) -> None:
    jobs = half_done(cloud)
    for job in jobs:
        die(cloud, letters, RENDER, job)

    assert [line["redriven"] for line in redriven(letters, RENDER, dry_run=True)] == [False] * 3
    assert (cloud.take_jobs(), len(shown(letters, RENDER))) == ([], 3)

    assert [line["redriven"] for line in redriven(letters, RENDER)] == [True] * 3
    sent = cloud.take_jobs()
    assert sorted(sent) == sorted(jobs)
    assert shown(letters, RENDER) == []
    for job in sent:
        cloud.render(job)
    assert cloud.get(ID).json["status"] == "ready"


def test_an_upload_that_is_sent_back_is_ingested(cloud: Cloud, letters: DeadLetters) -> None:
    cloud.announce(PHOTO)
    cloud.store(PHOTO)
    die(cloud, letters, UPLOADS, s3_notification(cloud.originals, KEY.original))

    (line,) = redriven(letters, UPLOADS)
    (body,) = cloud.take_messages(letters.outputs["UploadsQueueUrl"])

    assert line["ids"] == [ID]
    assert AssetKey.of_original(json.loads(body)["Records"][0]["s3"]["object"]["key"]) == KEY


def test_no_more_letters_are_sent_back_than_asked(cloud: Cloud, letters: DeadLetters) -> None:
    for number in range(12):
        die(cloud, letters, PURGE, json.dumps({"tenant": "acme", "run_id": f"run-{number}"}))

    assert len(redriven(letters, PURGE, limit=11)) == 11
    assert (len(cloud.take_messages(cloud.purge_queue)), len(shown(letters, PURGE))) == (11, 1)


def test_events_and_deliveries_that_no_webhook_took_are_named_and_sent_back(
    cloud: Cloud, letters: DeadLetters
) -> None:
    detail = {"event_id": "1", "tenant": "acme", "occurred_at": "2026-11-30T12:00:00.000Z"}
    event = json.dumps({"detail-type": "image.ready", "detail": detail})
    delivery = Delivery(
        tenant=KEY.tenant,
        webhook="shop",
        webhook_id="a",
        event_id="2",
        type="image.ready",
        body="{}",
        since=cloud.now(),
        dead=True,
    )
    die(cloud, letters, WEBHOOKS, event)
    WebhooksQueue("", dead_letters=letters.outputs[WEBHOOKS.output]).bury(delivery)

    shown_letters = {line["kind"]: line for line in shown(letters, WEBHOOKS)}
    assert shown_letters["webhook delivery"]["webhook"] == "shop"
    assert "/deliveries" in shown_letters["webhook delivery"]["reason"]
    assert [line["redriven"] for line in redriven(letters, WEBHOOKS)] == [True, True]
    sent = [webhook_message(body) for body in cloud.take_messages(cloud.webhooks_queue)]
    assert delivery in sent
    assert Published("image.ready", detail) in sent


FAILED_CALL = {
    "version": "1.0",
    "timestamp": "2026-11-24T03:19:12.511Z",
    "requestContext": {
        "requestId": "e4b46cbf-b738-xmpl-8880-a18cdf61200e",
        "functionArn": f"arn:aws:lambda:{REGION}:123456789012:function:purge:$LATEST",
        "condition": "RetriesExhausted",
        "approximateInvokeCount": 3,
    },
    "requestPayload": {"purge": "daily"},
    "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
    "responsePayload": {"errorMessage": "no such table", "errorType": "ScanError", "stackTrace": []},
}


def test_a_daily_purge_that_failed_inside_the_function_is_shown_with_its_error_and_begun_again(
    cloud: Cloud, letters: DeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = []
    monkeypatch.setattr(DeadLetters, "_send_back", lambda _, letter: begun.append(letter.kind))
    die(cloud, letters, PURGE, json.dumps(FAILED_CALL))

    (letter,) = shown(letters, PURGE)
    assert (letter["kind"], letter["condition"], letter["tries"]) == ("daily purge", "RetriesExhausted", 3)
    assert letter["reason"] == "ScanError: no such table"

    assert [letter["redriven"] for letter in redriven(letters, PURGE)] == [True]
    assert begun == ["daily purge"]


def test_a_failed_call_that_is_not_the_schedules_is_never_sent_back(
    cloud: Cloud, letters: DeadLetters
) -> None:
    die(cloud, letters, PURGE, json.dumps(FAILED_CALL | {"requestPayload": {"httpMethod": "POST"}}))
    assert [letter["redriven"] for letter in redriven(letters, PURGE)] == [False]


def test_looking_at_a_letter_does_not_add_to_the_tries_it_had(cloud: Cloud, letters: DeadLetters) -> None:
    url = letters.outputs["RenderDeadLetterQueueUrl"]
    target = cloud.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]["QueueArn"]
    cloud.sqs.set_queue_attributes(
        QueueUrl=cloud.render_queue,
        Attributes={"RedrivePolicy": json.dumps({"deadLetterTargetArn": target, "maxReceiveCount": 5})},
    )
    die(cloud, letters, RENDER, half_done(cloud)[0])

    assert [shown(letters, RENDER)[0]["tries"] for _ in range(3)] == [5, 5, 5]


def log_platform(*lines: str) -> None:
    """What Lambda itself writes to the log group of the render function, about no asset."""
    logs = boto3.client("logs")
    place: Any = {"logGroupName": "/aws/lambda/catalog-images/render", "logStreamName": "one"}
    logs.create_log_group(logGroupName=place["logGroupName"])
    logs.create_log_stream(**place)
    now = int(time.time() * 1000)
    logs.put_log_events(
        **place, logEvents=[{"timestamp": now + at, "message": line} for at, line in enumerate(lines)]
    )


# Python functions that cannot start, as CloudWatch showed them in 2024 and in April 2026: by then the
# invocation's line repeats the error.  awslambdaric's `log_error` writes the line with the message.
IMPORT_ERROR = (
    "[ERROR] Runtime.ImportModuleError: Unable to import module 'search': No module named 'search'\n"
    "Traceback (most recent call last):"
)
CANNOT_START_2024 = (
    "INIT_START Runtime Version: python:3.11.v39\tRuntime Version ARN: arn:aws:lambda:...",
    IMPORT_ERROR,
    "INIT_REPORT Init Duration: 1670.77 ms\tPhase: init\tStatus: error\tError Type: Runtime.Unknown",
    IMPORT_ERROR,
    "INIT_REPORT Init Duration: 1712.41 ms\tPhase: invoke\tStatus: error\tError Type: Runtime.Unknown",
    "START RequestId: c16b0a58-61af-4b5e-ae57-b5dad549e389 Version: $LATEST",
    "Unknown application error occurred\nRuntime.Unknown",
    "END RequestId: c16b0a58-61af-4b5e-ae57-b5dad549e389",
    "REPORT RequestId: c16b0a58-61af-4b5e-ae57-b5dad549e389\tDuration: 1713.36 ms\tBilled Duration: 1714 ms\t"
    "Memory Size: 3008 MB\tMax Memory Used: 102 MB",
)
CANNOT_START_2026 = (
    "INIT_START Runtime Version: python:3.12.mainlinev2.v7\tRuntime Version ARN: arn:aws:lambda:...",
    "[WARNING]\t2026-04-22T21:00:55.004Z\t\tLAMBDA_WARNING: Unhandled exception. ...",
    IMPORT_ERROR,
    "INIT_REPORT Init Duration: 137.69 ms\tPhase: init\tStatus: error\tError Type: Runtime.ImportModuleError",
    IMPORT_ERROR,
    "INIT_REPORT Init Duration: 80.49 ms\tPhase: invoke\tStatus: error\t"
    "Error Type: Runtime.ImportModuleError",
    "START RequestId: 12131914-ade7-4b3b-adbf-f01e971190d5 Version: $LATEST",
    "END RequestId: 12131914-ade7-4b3b-adbf-f01e971190d5",
    "REPORT RequestId: 12131914-ade7-4b3b-adbf-f01e971190d5\tDuration: 98.71 ms\tBilled Duration: 99 ms\t"
    "Memory Size: 512 MB\tMax Memory Used: 46 MB\tStatus: error\tError Type: Runtime.ImportModuleError",
)


@pytest.mark.parametrize("lines", [CANNOT_START_2024, CANNOT_START_2026], ids=["2024", "2026"])
def test_a_letter_of_a_function_that_cannot_start_names_the_error_it_does_not_start_for(
    cloud: Cloud, letters: DeadLetters, lines: tuple[str, ...]
) -> None:
    die(cloud, letters, RENDER, half_done(cloud)[0])
    log_platform(*lines)
    assert shown(letters, RENDER)[0]["reason"] == (
        "the function cannot start: Runtime.ImportModuleError: "
        "Unable to import module 'search': No module named 'search'"
    )


def test_a_letter_of_a_function_that_was_too_slow_to_start_says_so(
    cloud: Cloud, letters: DeadLetters
) -> None:
    die(cloud, letters, RENDER, half_done(cloud)[0])
    log_platform("INIT_REPORT Init Duration: 60000.00 ms\tPhase: invoke\tStatus: timeout")
    assert shown(letters, RENDER)[0]["reason"] == "the function cannot start: timeout"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("REPORT RequestId: 1\tDuration: 60000.00 ms\tStatus: timeout", "timeout"),
        (
            "REPORT RequestId: 1\tMax Memory Used: 512 MB\tStatus: error\tError Type: Runtime.OutOfMemory",
            "error Error Type: Runtime.OutOfMemory",
        ),
    ],
)
def test_a_letter_of_a_function_that_was_ended_says_how(
    cloud: Cloud, letters: DeadLetters, line: str, why: str
) -> None:
    die(cloud, letters, RENDER, half_done(cloud)[0])
    log_platform("START RequestId: 1 Version: $LATEST", line)
    assert shown(letters, RENDER)[0]["reason"] == f"the function was ended: {why}"


def test_a_daily_purge_that_could_not_begin_is_begun_and_not_put_in_the_purge_queue(
    cloud: Cloud, letters: DeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    attributes = {"SCHEDULE_ARN": "arn:aws:scheduler:::schedule/default/daily", "ERROR_MESSAGE": "throttled"}
    die(cloud, letters, PURGE, '{"purge": "daily"}', **attributes)
    (letter,) = shown(letters, PURGE)
    assert (letter["kind"], letter["reason"]) == ("daily purge", "throttled")
    aws, answers = operator.client, [{"FunctionError": "Unhandled"}, {}]

    class Functions:
        def invoke(self, **called: Any) -> dict[str, Any]:
            assert called["FunctionName"] == "purge_starter"
            cloud.invoke("purge_starter", json.loads(called["Payload"]))
            return answers.pop(0)

    monkeypatch.setattr(operator, "client", lambda name: Functions() if name == "lambda" else aws(name))

    with pytest.raises(operator.DailyPurgeFailedError):
        redriven(letters, PURGE)
    cloud.take_messages(cloud.purge_queue)

    assert [line["redriven"] for line in redriven(letters, PURGE)] == [True]
    tenants = {json.loads(body)["tenant"] for body in cloud.take_messages(cloud.purge_queue)}
    assert tenants == {"acme", "globex"}
    assert shown(letters, PURGE) == []


# --- Stream records, and what is no letter of ours --------------------------------------------------------


def test_stream_records_are_left_for_a_recount_and_discarded_by_name(
    cloud: Cloud, letters: DeadLetters
) -> None:
    die(cloud, letters, USAGE, STREAM_BATCH)

    (letter,) = redriven(letters, USAGE)
    assert (letter["kind"], letter["table"], letter["records"]) == ("stream records", "AssetsTable", 2)
    assert letter["redriven"] is False
    assert letter["reason"].startswith("RetryAttemptsExhausted: ")
    assert "job of the kind recount" in letter["reason"]

    assert list(letters.discard(USAGE, ["another"], limit=10)) == []
    (gone,) = letters.discard(USAGE, [letter["message_id"]], limit=10)
    assert gone["discarded"] is True
    assert shown(letters, USAGE) == []


def test_a_letter_that_can_be_sent_back_is_never_discarded(cloud: Cloud, letters: DeadLetters) -> None:
    die(cloud, letters, RENDER, half_done(cloud)[0])
    (letter,) = shown(letters, RENDER)

    (line,) = letters.discard(RENDER, [letter["message_id"]], limit=10)

    assert line["discarded"] is False
    assert len(shown(letters, RENDER)) == 1


def test_the_command_goes_through_every_queue_or_those_that_are_named(
    cloud: Cloud,
    letters: DeadLetters,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    die(cloud, letters, USAGE, STREAM_BATCH)
    die(cloud, letters, PURGE, json.dumps({"tenant": "acme", "run_id": None}))
    monkeypatch.setattr(operator, "stack_outputs", lambda _: letters.outputs)

    def run(*arguments: str) -> list[str]:
        operator.main([*arguments, "--stack", "catalog-images"])
        return [json.loads(line)["queue"] for line in capsys.readouterr().out.splitlines()]

    assert run("list") == ["purge", "usage"]
    assert run("list", "--queue", "usage") == ["usage"]
    assert run("redrive", "--dry-run") == ["purge", "usage"]
    assert run("redrive") == ["purge", "usage"]
    assert run("list") == ["usage"]


# --- Restore ----------------------------------------------------------------------------------------------


def purged(cloud: Cloud) -> None:
    cloud.upload(PHOTO)
    cloud.age(ID, days=40)
    token = cloud.purge().json["confirm_token"]
    assert cloud.purge(dry_run=False, confirm_token=token).json["deleted_count"] == 1
    assert cloud.get(ID).status == 404


def ingest_and_render(cloud: Cloud, letters: DeadLetters) -> None:
    for body in cloud.take_messages(letters.outputs["UploadsQueueUrl"]):
        (event,) = json.loads(body)["Records"]
        cloud.ingest(event["s3"]["object"]["key"])
    for job in cloud.take_jobs():
        cloud.render(job)


def test_a_purged_image_is_restored_with_its_bytes_and_its_renditions(
    cloud: Cloud, letters: DeadLetters
) -> None:
    purged(cloud)
    cloud.s3.delete_object(Bucket=cloud.originals, Key=KEY.original)  # a second marker

    restored = restore(KEY, outputs=letters.outputs)
    ingest_and_render(cloud, letters)

    assert restored.size_bytes == len(PHOTO)
    assert restored.deleted_at is not None
    assert cloud.get(ID).json["status"] == "ready"
    assert cloud.read(cloud.originals, KEY.original) == PHOTO
    with pytest.raises(NotGoneError, match="ready"):
        restore(KEY, outputs=letters.outputs)


def test_an_image_that_is_being_deleted_is_left_to_the_purge(cloud: Cloud, letters: DeadLetters) -> None:
    cloud.upload(PHOTO)
    cloud.dynamodb.update_item(
        TableName="AssetsTable",
        Key={"tenant": {"S": "acme"}, "id": {"S": ID}},
        UpdateExpression="SET #s = :s",
        ExpressionAttributeNames={"#s": "status"},
        ExpressionAttributeValues={":s": {"S": "deleting"}},
    )
    with pytest.raises(BeingDeletedError):
        restore(KEY, outputs=letters.outputs)


def test_what_is_no_longer_kept_or_was_never_here_cannot_be_restored(
    cloud: Cloud, letters: DeadLetters
) -> None:
    purged(cloud)
    with pytest.raises(NothingToRestoreError):
        restore(replace(KEY, tenant=tenant_id("globex")), outputs=letters.outputs)
    for version in cloud.s3.list_object_versions(Bucket=cloud.originals)["Versions"]:
        cloud.s3.delete_object(
            Bucket=cloud.originals, Key=version["Key"], VersionId=version["VersionId"]
        )  # as the bucket's lifecycle does after PurgeRestoreDays
    with pytest.raises(NothingToRestoreError):
        restore(KEY, outputs=letters.outputs)


def test_nothing_is_restored_for_a_tenant_that_is_gone_or_going(cloud: Cloud, letters: DeadLetters) -> None:
    purged(cloud)
    with pytest.raises(TenantNotFoundError):
        restore(replace(KEY, tenant=tenant_id("nobody")), outputs=letters.outputs)
    cloud.tenants.mark_removing(KEY.tenant, now=cloud.now() - timedelta(minutes=1))
    with pytest.raises(TenantBeingRemovedError):
        restore(KEY, outputs=letters.outputs)
    assert cloud.objects(cloud.originals) == []


def test_the_command_says_what_it_restored_or_why_it_could_not(
    cloud: Cloud,
    letters: DeadLetters,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    purged(cloud)
    monkeypatch.setattr(restoring, "stack_outputs", lambda _: letters.outputs)
    capsys.readouterr()

    def refused(tenant: str, id_: str) -> str:
        with pytest.raises(SystemExit) as ended:
            restoring.main([tenant, id_, "--stack", "catalog-images"])
        return str(ended.value.code)

    assert "no version of this original is left" in refused("globex", ID)
    assert "no image id" in refused("acme", ID[:-1])
    assert "no tenant id" in refused("Acme!", ID)
    assert "there is no tenant nobody" in refused("nobody", ID)
    restoring.main(["acme", ID, "--stack", "catalog-images"])
    line = json.loads(capsys.readouterr().out)
    assert (line["tenant"], line["id"], line["size_bytes"]) == ("acme", ID, len(PHOTO))
    ingest_and_render(cloud, letters)
    assert "it is ready" in refused("acme", ID)

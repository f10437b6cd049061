"""Events: what the bus receives for what happens, in the documented shape, at least once."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from cfnlint.decode import cfn_yaml
from jsonschema import Draft202012Validator, FormatChecker

from catalog.adapters import event_bus
from catalog.adapters.purge_runs_table import PurgeRuns
from catalog.domain.assets import Status
from catalog.domain.events import EVENTS
from catalog.domain.keys import AssetId, AssetKey, asset_id, tenant_id
from catalog.domain.purge import Kept, PurgeRun, RunSource, RunState
from catalog.domain.rejections import RejectionCode
from catalog.domain.sources import SourceFormat
from infra.local.events import ACCOUNT, REGION
from infra.pictures.images import html_named_jpg, jpeg_bytes, product_photo
from tests.examples import texts
from tests.functional.cloud import Cloud
from tests.functional.streams import recorded_changes

Records = list[dict[str, Any]]

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "events.md").read_text()
SCHEMAS = {
    path.name.removesuffix(".json"): json.loads(path.read_text())
    for path in (ROOT / "docs" / "events").glob("*.json")
}
PHOTO = jpeg_bytes(product_photo(1, (320, 240)))


@pytest.fixture
def records(cloud: Cloud) -> Iterator[Records]:
    """The streams of everything that changes during a test."""
    with recorded_changes() as records:
        yield records


class Subscriber:
    """A queue behind a rule."""

    def __init__(self, cloud: Cloud, name: str, pattern: dict[str, Any]) -> None:
        self._sqs = cloud.sqs
        self._queue = cloud.sqs.create_queue(QueueName=name)["QueueUrl"]
        events = boto3.client("events")
        events.put_rule(Name=name, EventBusName=cloud.event_bus, EventPattern=json.dumps(pattern))
        target = {"Id": "queue", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"}
        events.put_targets(Rule=name, EventBusName=cloud.event_bus, Targets=[target])

    def received(self) -> list[dict[str, Any]]:
        """Every event that has come, taken off the queue."""
        events = []
        while messages := self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for message in messages:
                self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
                events.append(json.loads(message["Body"]))
        return events


@pytest.fixture
def subscriber(cloud: Cloud) -> Subscriber:
    return Subscriber(cloud, "everything", {"source": ["catalog.images"]})


def deliver(cloud: Cloud, records: Records) -> dict[str, Any]:
    return cloud.invoke("usage", {"Records": records})


def faults_of(event: dict[str, Any]) -> list[str]:
    """How an event breaks the schema of its type, which must name every field it has."""
    schema = SCHEMAS[event["detail-type"]] | {"additionalProperties": False}
    validator = Draft202012Validator(schema, format_checker=FormatChecker())
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(event["detail"])]


def purge(cloud: Cloud, id_: AssetId) -> None:
    """One purge of one asset, with its run, as the purge function writes them."""
    key, now = AssetKey(tenant_id("acme"), id_), datetime.now(UTC) + timedelta(days=40)
    runs = PurgeRuns("PurgeRunsTable")
    run = PurgeRun(
        tenant=key.tenant,
        id="20261122T120000Z-0a1b",
        state=RunState.RUNNING,
        source=RunSource.SCHEDULE,
        requested_by="schedule",
        as_of=now,
        older_than=timedelta(days=30),
        candidates=(id_, asset_id("f" * 64)),
        size_bytes=1,
        more=False,
    )
    runs.record(run)
    runs.claim(run, worker="worker", now=now)
    cloud.assets.mark_deleting(key, status=Status.READY, unused_before=now, run=run.id, now=now)
    cloud.assets.forget(key)
    runs.advance(run, worker="worker", position=2, deleted=1, kept={asset_id("f" * 64): Kept.IN_USE}, now=now)


def test_a_whole_life_is_told_of_in_the_documented_shapes(
    cloud: Cloud, subscriber: Subscriber, records: Records
) -> None:
    announced = cloud.announce(PHOTO, filename="lamp.jpg")
    image = cloud.upload(PHOTO, filename="lamp.jpg")
    cloud.announce(PHOTO)
    rejected = cloud.upload(html_named_jpg(), client_id="client-of-globex")
    purge(cloud, asset_id(image["id"]))
    for record in records:
        assert deliver(cloud, [record]) == {"batchItemFailures": []}

    events = subscriber.received()

    assert announced.status == 201
    assert [(event["detail-type"], event["detail"]["tenant"]) for event in events] == [
        ("image.ready", "acme"),
        ("image.duplicate", "acme"),
        ("image.rejected", "globex"),
        ("image.deleted", "acme"),
        ("purge.completed", "acme"),
    ]
    for event in events:
        assert event["source"] == "catalog.images"
        assert faults_of(event) == [], event["detail-type"]
    ready, _, refused, deleted, completed = (event["detail"] for event in events)
    assert ready["id"] == image["id"]
    assert ready["correlation_id"] == "request-1"
    assert {each["key"] for each in ready["renditions"]} <= {
        version["Key"] for version in cloud.s3.list_object_versions(Bucket=cloud.renditions)["Versions"]
    }
    assert (refused["id"], refused["code"]) == (rejected["id"], "unsupported_format")
    assert deleted["purge_run"] == completed["run_id"]
    assert (completed["candidates"], completed["deleted"], completed["kept"]) == (2, 1, 1)


def test_the_same_records_again_are_the_same_events_with_the_same_ids(
    cloud: Cloud, subscriber: Subscriber, records: Records
) -> None:
    cloud.upload(PHOTO)
    deliver(cloud, records)
    deliver(cloud, records)

    first, again = subscriber.received()

    assert first["detail"] == again["detail"]


def test_more_events_than_one_call_takes_are_sent_all(
    cloud: Cloud, subscriber: Subscriber, records: Records
) -> None:
    cloud.upload(PHOTO)
    for _ in range(25):
        cloud.announce(PHOTO)
    deliver(cloud, records)

    duplicates = [
        event["detail"]["duplicates"]
        for event in subscriber.received()
        if event["detail-type"] == "image.duplicate"
    ]
    assert sorted(duplicates) == list(range(1, 26))


def test_an_event_the_bus_refuses_is_reported_by_its_sequence_number_and_sent_the_next_time(
    cloud: Cloud, subscriber: Subscriber, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.upload(PHOTO)
    for _ in range(3):
        cloud.announce(PHOTO)
    put = event_bus.client

    class Busy:
        """Takes two events and is then throttled."""

        def put_events(self, **request: Any) -> dict[str, Any]:
            taken, refused = request["Entries"][:2], request["Entries"][2:]
            answer = put("events").put_events(Entries=taken)
            failures = [{"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"} for _ in refused]
            return {"Entries": [*answer["Entries"], *failures], "FailedEntryCount": len(failures)}

    with monkeypatch.context() as patch:
        patch.setattr(event_bus, "client", lambda _: Busy())
        answer = deliver(cloud, records)
    second_duplicate = records[-2]["dynamodb"]["SequenceNumber"]
    assert answer == {"batchItemFailures": [{"itemIdentifier": second_duplicate}]}
    assert len(subscriber.received()) == 2

    assert deliver(cloud, records[-2:]) == {"batchItemFailures": []}
    assert [event["detail"]["duplicates"] for event in subscriber.received()] == [2, 3]


def test_the_rule_of_the_documentation_hears_what_it_says_and_nothing_else(
    cloud: Cloud, records: Records
) -> None:
    (template,) = texts("docs/events.md", "yaml")
    rule = cfn_yaml.loads(template)["Resources"]["GoneImagesRule"]["Properties"]
    subscriber = Subscriber(cloud, "gone", json.loads(json.dumps(rule["EventPattern"])))
    image = cloud.upload(PHOTO)
    cloud.upload(html_named_jpg(), client_id="client-of-globex")
    purge(cloud, asset_id(image["id"]))
    deliver(cloud, records)

    (event,) = subscriber.received()

    assert (event["detail-type"], event["detail"]["id"]) == ("image.deleted", image["id"])


# --- The documents ----------------------------------------------------------------------------------------


def test_every_event_has_a_schema_and_a_line_in_the_documentation() -> None:
    assert set(SCHEMAS) == {event.type for event in EVENTS}
    for name, schema in SCHEMAS.items():
        Draft202012Validator.check_schema(schema)
        assert schema["title"] == name
        assert set(schema["required"]) == set(schema["properties"])
        assert f"|[`{name}`](events/{name}.json)|" in DOCUMENT


def test_the_codes_and_formats_of_the_schemas_are_those_of_the_domain() -> None:
    assert SCHEMAS["image.rejected"]["properties"]["code"]["enum"] == list(RejectionCode)
    assert SCHEMAS["image.ready"]["properties"]["format"]["enum"] == list(SourceFormat)
    assert SCHEMAS["purge.completed"]["properties"]["source"]["enum"] == list(RunSource)


def test_the_example_of_the_documentation_is_what_its_schema_says() -> None:
    (example,) = texts("docs/events.md", "json")

    assert faults_of(json.loads(example)) == []

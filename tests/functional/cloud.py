"""The pipeline on moto: tables exactly as template.yaml defines them, handlers as Lambda loads them."""

from __future__ import annotations

import copy
import hashlib
import importlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from types import ModuleType, SimpleNamespace
from typing import Any

import boto3
import botocore.client
import pytest
from cfnlint.decode import cfn_yaml
from moto.backends import get_backend

from catalog.adapters.assets_table import Assets
from catalog.adapters.clients_table import Clients
from catalog.adapters.references_table import References
from catalog.adapters.remembered import Remembered
from catalog.adapters.tenants_table import Tenants
from catalog.adapters.usage_table import Counters
from catalog.domain.assets import Asset
from catalog.domain.keys import AssetKey, asset_id, tenant_id
from catalog.domain.limits import NO_LIMITS
from catalog.domain.tenants import Client
from infra.local.events import ACCOUNT, REGION, api_event, s3_notification, sqs_event
from tests.builders.guarantees import History, Names, World, broken_guarantees, read_world

ROOT = Path(__file__).parents[2]
PRESETS = json.dumps(
    [
        {"name": name, "width": side, "height": side}
        for name, side in (("thumb", 200), ("card", 600), ("zoom", 1600))
    ]
)
_NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
# What differs between two tellings of one story: times, the names of runs, and how often something was tried.
_TIMES = {
    *(
        "created_at",
        "updated_at",
        "unused_since",
        "lent_at",
        "announced_at",
        "expires_at",
        "seen_at",
        "decided_at",
        "as_of",
    ),
    *("confirmed_at", "completed_at", "running_since", "removing_since", "upload_minute"),
    *("revision", "moves", "run_id", "purge_run"),
}
TENANTS = {"client-of-acme": "acme", "second-client-of-acme": "acme", "client-of-globex": "globex"}


def tables_of_the_template() -> dict[str, dict[str, Any]]:
    """Logical name -> the create_table arguments that the template's properties amount to."""
    template = cfn_yaml.load(str(ROOT / "template.yaml"))
    accepted = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
    return {
        name: {
            argument: resource["Properties"][argument]
            for argument in accepted
            if argument in resource["Properties"]
        }
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::DynamoDB::Table"
    }


@dataclass(frozen=True)
class Moment:
    """What moto holds of an account, copied: items, objects, messages, clients of the user pool."""

    tables: dict[str, Any]
    versions: dict[str, dict[str, list[Any]]]
    tags: dict[str, dict[str, str]]
    messages: dict[str, list[Any]]
    clients: dict[str, dict[str, Any]]

    @classmethod
    def now(cls) -> Moment:
        return cls(
            tables={name: copy.deepcopy(table.items) for name, table in _backend("dynamodb").tables.items()},
            versions={
                name: {key: list(versions) for key, versions in bucket.keys.lists()}
                for name, bucket in _backend("s3", "aws").buckets.items()
            },
            tags=copy.deepcopy(_backend("s3", "aws").tagger.tags),
            messages={
                name: [copy.copy(message) for message in queue._messages]
                for name, queue in _backend("sqs").queues.items()
            },
            clients={name: dict(pool.clients) for name, pool in _backend("cognito-idp").user_pools.items()},
        )

    def restore(self) -> None:
        """Everything is as it was; what has been created since (a table, a queue) stays, empty."""
        for name, table in _backend("dynamodb").tables.items():
            table.items = copy.deepcopy(self.tables[name])
        for name, bucket in _backend("s3", "aws").buckets.items():
            dict.clear(bucket.keys)
            for key, versions in self.versions[name].items():
                dict.__setitem__(bucket.keys, key, list(versions))
        _backend("s3", "aws").tagger.tags = copy.deepcopy(self.tags)
        for name, queue in _backend("sqs").queues.items():
            queue._messages = [copy.copy(message) for message in self.messages.get(name, [])]
            queue._pending_messages, queue.deleted_messages = set(), set()
        for name, pool in _backend("cognito-idp").user_pools.items():
            pool.clients.clear()
            pool.clients.update(self.clients[name])

    def stored(self) -> dict[str, Any]:
        """Items by table and the hashes of current objects, without what tells the time or a try."""
        items = {
            name: sorted(
                (
                    {
                        field: value
                        for field, value in item.to_json()["Attributes"].items()
                        if field not in _TIMES
                    }
                    for of_key in table.values()
                    for item in (of_key.values() if isinstance(of_key, dict) else [of_key])
                ),
                key=lambda item: json.dumps(item, sort_keys=True, default=repr),
            )
            for name, table in self.tables.items()
        }
        objects = {
            f"{bucket}/{key}": hashlib.sha256(versions[-1].value).hexdigest()
            for bucket, keys in self.versions.items()
            for key, versions in sorted(keys.items())
            if versions and hasattr(versions[-1], "value")
        }
        return {"items": items, "objects": objects}

    def future(self) -> str:
        """Equal of two moments from which the same will happen: all that is stored, tagged and queued."""
        queued = {name: sorted(message.body for message in some) for name, some in self.messages.items()}
        clients = {name: sorted(found) for name, found in self.clients.items()}
        told = [self.stored(), self.tags, queued, clients]
        return json.dumps(told, sort_keys=True, default=repr)


def _backend(service: str, region: str = REGION) -> Any:
    return get_backend(service)[ACCOUNT][region]


def on_clock[S](service: S, clock: Callable[[], datetime]) -> S:
    """The service, and every service that it holds, on this clock."""
    changed: dict[str, Any] = {}
    for held in fields(service):  # type: ignore[arg-type]
        value = getattr(service, held.name)
        if held.name == "clock":
            changed["clock"] = clock
        elif is_dataclass(value) and not isinstance(value, type):
            changed[held.name] = on_clock(value, clock)
        elif isinstance(value, dict):  # by a key, as the planner holds the steps of every kind
            changed[held.name] = {
                key: on_clock(one, clock) if is_dataclass(one) and not isinstance(one, type) else one
                for key, one in value.items()
            }
    return replace(service, **changed)  # type: ignore[type-var]


class Killed(BaseException):
    """The function's process is gone: no handler, and no `except Exception`, may survive it."""


@dataclass
class Calls:
    """AWS calls seen while recording, `service:Operation` in order."""

    made: list[str] = field(default_factory=list)


@contextmanager
def watched_calls(*, kill_at: int | None = None, after: bool = False) -> Iterator[Calls]:
    """Record every AWS call; die at the `kill_at`-th (from 0), before or after it takes effect."""
    calls, counting = Calls(), Lock()
    make = botocore.client.BaseClient._make_api_call

    def watched(self: Any, operation: str, arguments: Any) -> Any:
        with counting:  # the sixteen queries of a lookup come from as many threads
            number = len(calls.made)
            calls.made.append(f"{self.meta.service_model.service_name}:{operation}")
        if number == kill_at and not after:
            raise Killed
        try:
            return make(self, operation, arguments)
        finally:
            if number == kill_at and after:
                raise Killed  # whatever the call came to, nobody is left to hear of it

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.client.BaseClient, "_make_api_call", watched)
        yield calls


@dataclass(frozen=True)
class Answer:
    """An API function's answer."""

    status: int
    json: dict[str, Any]
    headers: dict[str, list[str]] = field(default_factory=dict)


class Cloud:
    """One account with the pipeline in it, made once a process; each test takes a `new` one."""

    originals = "originals-bucket"
    renditions = "renditions-bucket"
    jobs_bucket = "jobs-bucket"
    event_bus = "catalog"
    milliseconds_left = 60_000  # of each invocation

    _monkeypatch: pytest.MonkeyPatch
    _handlers: dict[str, ModuleType]
    assets: Assets
    references: References
    tenants: Tenants
    records: list[dict[str, Any]]  # of the tables' streams, where a test follows them

    def __init__(self) -> None:
        self.s3 = boto3.client("s3")
        self.sqs = boto3.client("sqs")
        self.dynamodb = boto3.client("dynamodb")
        boto3.client("events").create_event_bus(Name=self.event_bus)
        self.cognito = boto3.client("cognito-idp")
        for bucket in (self.originals, self.renditions, self.jobs_bucket):
            self.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
            self.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        for name, arguments in tables_of_the_template().items():
            self.dynamodb.create_table(TableName=name, **arguments)
        self.render_queue = self.sqs.create_queue(QueueName="render")["QueueUrl"]
        self.uploads_queue = self.sqs.create_queue(QueueName="uploads")["QueueUrl"]
        self.purge_queue = self.sqs.create_queue(QueueName="purge")["QueueUrl"]
        self.webhooks_queue = self.sqs.create_queue(QueueName="webhooks")["QueueUrl"]
        self.webhooks_dead_letters = self.sqs.create_queue(QueueName="webhooks-dead")["QueueUrl"]
        machine = boto3.client("stepfunctions").create_state_machine(
            name="catalog-jobs",
            definition='{"StartAt": "Plan", "States": {"Plan": {"Type": "Succeed"}}}',
            roleArn=f"arn:aws:iam::{ACCOUNT}:role/jobs",
        )
        self.job_machine: str = machine["stateMachineArn"]
        key = boto3.client("kms").create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
        self.signing_key: str = key["KeyMetadata"]["KeyId"]
        self.secrets_key: str = boto3.client("kms").create_key()["KeyMetadata"]["KeyId"]
        self._user_pool: str = self.cognito.create_user_pool(PoolName="clients")["UserPool"]["Id"]
        tenants, clients = Tenants("TenantsTable"), Clients("ClientsTable")
        for tenant in dict.fromkeys(TENANTS.values()):
            tenants.add(tenant_id(tenant), NO_LIMITS, now=_NOW)
        for client_id, tenant in TENANTS.items():
            clients.add(Client(client_id, tenant_id(tenant)), now=_NOW)

    def new(self, monkeypatch: pytest.MonkeyPatch) -> Cloud:
        """The same account for another test: settings as in template.yaml, no function has been started."""
        cloud = copy.copy(self)
        cloud._monkeypatch = monkeypatch
        cloud._handlers = {}
        cloud.configure(
            ASSETS_TABLE="AssetsTable",
            CLIENTS_TABLE="ClientsTable",
            TENANTS_TABLE="TenantsTable",
            USER_POOL_ID=cloud._user_pool,
            ORIGINALS_BUCKET=cloud.originals,
            RENDITIONS_BUCKET=cloud.renditions,
            RENDER_QUEUE_URL=cloud.render_queue,
            UPLOADS_QUEUE_URL=cloud.uploads_queue,
            PRESETS=PRESETS,
            PRESETS_PER_JOB="1",
            PIXELS_RENDERED_ON_ARRIVAL="0",  # most tests look at single jobs
            UPLOAD_URL_SECONDS="900",
            MAX_UPLOAD_BYTES=str(10 * 1024 * 1024),
            CORS_ALLOW_ORIGIN="*",
            HASH_BANDS_TABLE="HashBandsTable",
            PAIRS_TABLE="PairsTable",
            PHASH_ALGORITHM="phash256",
            PHASH_HAMMING_THRESHOLD="-1",
            NEAR_DUPLICATE_ACTION="reuse",
            PURGE_RUNS_TABLE="PurgeRunsTable",
            USAGE_TABLE="UsageTable",
            EVENT_BUS_NAME=cloud.event_bus,
            PURGE_QUEUE_URL=cloud.purge_queue,
            PURGE_GRACE_DAYS="30",
            OLD_RENDITIONS_SECONDS="86400",
            SIGNING_KEY_ID=cloud.signing_key,
            JOBS_TABLE="JobsTable",
            JOBS_BUCKET=cloud.jobs_bucket,
            JOB_MACHINE=cloud.job_machine,
            JOB_CONCURRENCY="2",
            IMPORTED_TABLE="ImportedTable",
            REFERENCES_TABLE="ReferencesTable",
            API_URL="https://api.example.com/v1",
            WEBHOOKS_TABLE="WebhooksTable",
            WEBHOOKS_QUEUE_URL=cloud.webhooks_queue,
            WEBHOOKS_DEAD_LETTERS_URL=cloud.webhooks_dead_letters,
            SECRETS_KEY_ID=cloud.secrets_key,
            WEBHOOKS_TO_LOOPBACK="false",
            IMPORT_BUCKETS="arn:aws:s3:::old-shop-*",
        )
        cloud.assets = Assets("AssetsTable")
        cloud.references = References("ReferencesTable", "AssetsTable")
        cloud.tenants = Tenants("TenantsTable")
        return cloud

    def cold_start(self) -> None:
        """Functions remember nothing, as in a new process; their modules stay loaded."""
        for module in self._handlers.values():
            for collaborator in vars(module).values():
                services = is_dataclass(collaborator) and not isinstance(collaborator, type)
                held = [getattr(collaborator, f.name) for f in fields(collaborator)] if services else []
                for adapter in (collaborator, *held):
                    for remembered in getattr(adapter, "__dict__", {}).values():
                        if isinstance(remembered, Remembered):
                            remembered._loaded.clear()

    def configure(self, **environment: str) -> None:
        """Change settings; functions started from now on read them."""
        for name, value in environment.items():
            self._monkeypatch.setenv(name, value)
        self._handlers.clear()

    def function(self, name: str) -> ModuleType:
        """A started function: its module is imported anew after every change of settings."""
        if name not in self._handlers:
            module = importlib.import_module(f"functions.{name}.handler")
            self._handlers[name] = importlib.reload(module)
        return self._handlers[name]

    def invoke(self, name: str, event: dict[str, Any]) -> dict[str, Any]:
        context = SimpleNamespace(
            function_name=name,
            memory_limit_in_mb=1769,
            invoked_function_arn=f"arn:aws:lambda:{REGION}:123456789012:function:{name}",
            aws_request_id="invocation-1",
            get_remaining_time_in_millis=lambda: self.milliseconds_left,
        )
        answer: dict[str, Any] = self.function(name).handler(event, context)
        return answer

    # --- as a client ------------------------------------------------------------------------------------

    def call(self, function: str, method: str, path: str, **request: Any) -> Answer:
        answer = self.invoke(function, api_event(method, path, **request))
        return Answer(
            answer["statusCode"], json.loads(answer["body"]), dict(answer.get("multiValueHeaders", {}))
        )

    def announce(self, data: bytes, *, client_id: str = "client-of-acme", **changed: Any) -> Answer:
        body = {
            "sha256": hashlib.sha256(data).hexdigest(),
            "size_bytes": len(data),
            "content_type": "image/jpeg",
            "filename": "photo.jpg",
        }
        return self.call("request_upload", "POST", "/images", client_id=client_id, body=body | changed)

    def get(self, id_: str, *, client_id: str = "client-of-acme") -> Answer:
        return self.call("get_image", "GET", f"/images/{id_}", client_id=client_id)

    def list_images(self, *, client_id: str = "client-of-acme", **query: str) -> Answer:
        return self.call("list_images", "GET", "/images", client_id=client_id, query=query or None)

    # --- as S3 and SQS ----------------------------------------------------------------------------------

    def store(self, data: bytes, *, tenant: str = "acme", as_id: str | None = None) -> str:
        """The bytes are PUT (S3 has checked them); returns the object's key."""
        key = f"originals/{tenant}/{as_id or hashlib.sha256(data).hexdigest()}"
        self.s3.put_object(Bucket=self.originals, Key=key, Body=data)
        return key

    def ingest(self, *object_keys: str) -> dict[str, Any]:
        return self.invoke(
            "ingest", sqs_event(*(s3_notification(self.originals, key) for key in object_keys))
        )

    def take_jobs(self) -> list[str]:
        """Every message now in the render queue, taken off it."""
        return self.take_messages(self.render_queue)

    def take_delayed_jobs(self) -> list[str]:
        return self.take_delayed("render")

    def take_delayed(self, queue_name: str) -> list[str]:
        """Every message of a queue that is not to be delivered yet, taken off it."""
        queue = _backend("sqs").queues[queue_name]
        delayed = [message for message in queue._messages if message.delayed]
        queue._messages = [message for message in queue._messages if message not in delayed]
        return [message.body for message in delayed]

    def take_messages(self, queue_url: str) -> list[str]:
        """Every message now in a queue, taken off it."""
        taken = []
        while messages := self.sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for message in messages:
                self.sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
                taken.append(message["Body"])
        return taken

    def render(self, *jobs: str) -> dict[str, Any]:
        return self.invoke("render", sqs_event(*jobs))

    def upload(self, data: bytes, *, client_id: str = "client-of-acme", **changed: Any) -> dict[str, Any]:
        """The whole way of one photo; returns the asset as GET shows it at the end."""
        announced = self.announce(data, client_id=client_id, **changed)
        if announced.status == 201:
            assert self.ingest(self.store(data, tenant=TENANTS[client_id])) == {"batchItemFailures": []}
            for job in self.take_jobs():
                assert self.render(job) == {"batchItemFailures": []}
        return self.get(announced.json["id"], client_id=client_id).json

    def purge(self, *, client_id: str = "client-of-acme", **body: Any) -> Answer:
        return self.call(
            "purge", "POST", "/purge", client_id=client_id, body=body, scope="catalog/read catalog/admin"
        )

    def job(
        self, method: str, path: str = "", *, client_id: str = "client-of-globex", **request: Any
    ) -> Answer:
        """A call of /v1/jobs{path} by an administrator."""
        return self.call(
            "jobs", method, f"/jobs{path}", client_id=client_id, scope="catalog/admin", **request
        )

    def delete(self, id_: str, *, client_id: str = "client-of-acme") -> Answer:
        return self.call("purge", "DELETE", f"/images/{id_}", client_id=client_id)

    def reference(self, method: str, id_: str, name: str, *, client_id: str = "client-of-acme") -> Answer:
        return self.call("references", method, f"/images/{id_}/references/{name}", client_id=client_id)

    # --- as fate ----------------------------------------------------------------------------------------

    def watched_calls(
        self, *, kill_at: int | None = None, after: bool = False
    ) -> AbstractContextManager[Calls]:
        """The AWS calls made meanwhile; see `watched_calls`."""
        return watched_calls(kill_at=kill_at, after=after)

    def age(self, id_: str, *, days: float, tenant: str = "acme") -> None:
        """The asset has been unused since so many days ago."""
        since = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="microseconds")
        self.dynamodb.update_item(
            TableName="AssetsTable",
            Key={"tenant": {"S": tenant}, "id": {"S": id_}},
            UpdateExpression="SET unused_since = :since",
            ExpressionAttributeValues={":since": {"S": since}},
        )

    def now(self) -> datetime:
        return datetime.now(UTC)

    @contextmanager
    def later(self, passed: timedelta) -> Iterator[None]:
        """The purge's clock is ahead by so much, and messages have been delayed for as long."""
        for queue in _backend("sqs").queues.values():
            for message in queue._messages:
                message.delayed_until -= passed.total_seconds() * 1_000

        def clock() -> datetime:
            return datetime.now(UTC) + passed

        with pytest.MonkeyPatch.context() as patch:
            for name, service in (("purge", "requests"), ("purge", "deletion"), ("purge_worker", "purging")):
                function = self.function(name)
                patch.setattr(function, service, on_clock(getattr(function, service), clock))
            yield

    def moment(self) -> Moment:
        """Everything that is stored and queued now, to come back to."""
        return Moment.now()

    # --- as whoever comes after --------------------------------------------------------------------------

    def drain(self) -> None:
        """Every message still queued is delivered, render jobs twice, as SQS may."""
        while True:
            uploads = self.take_messages(self.uploads_queue)
            jobs, purges = self.take_jobs(), self.take_messages(self.purge_queue)
            if not uploads and not jobs and not purges:
                return
            for message in uploads:
                self.invoke("ingest", sqs_event(message))
            for job in jobs:
                self.render(job)
                self.render(job)
            for message in purges:
                self.invoke("purge_worker", sqs_event(message))

    # --- what is left -----------------------------------------------------------------------------------

    def asset(self, id_: str, tenant: str = "acme") -> Asset:
        return self.assets.get(AssetKey(tenant_id(tenant), asset_id(id_)))

    def objects(self, bucket: str) -> list[str]:
        return [entry["Key"] for entry in self.s3.list_objects_v2(Bucket=bucket).get("Contents", [])]

    def read(self, bucket: str, key: str) -> bytes:
        data: bytes = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return data

    def world(self) -> World:
        """Everything that is stored, for `broken_guarantees`."""
        return read_world(
            Names(
                assets="AssetsTable",
                hash_bands="HashBandsTable",
                pairs="PairsTable",
                purge_runs="PurgeRunsTable",
                originals=self.originals,
                renditions=self.renditions,
                jobs="JobsTable",
                references="ReferencesTable",
            ),
            dynamodb=self.dynamodb,
            s3=self.s3,
            tenants=self.tenants.ids(),
            usage_of=lambda tenant: Counters("UsageTable").total(tenant).usage,
        )

    def broken_guarantees(self, history: History | None = None, *, rebuilt: bool = False) -> list[str]:
        presets = {preset["name"] for preset in json.loads(os.environ["PRESETS"])}
        return broken_guarantees(self.world(), history, presets=presets, rebuilt=rebuilt)

    def snapshot(self) -> dict[str, Any]:
        """Everything the pipeline has stored, less the times, to compare two ends of the same story."""
        return self.moment().stored()

"""What an upload costs on AWS: every request counted on the running stack, every GB-second billed there.

    python -m benchmarks.cost [--images DIR] [--take 30] [--clients 12] [--out results.json]

Unique images, then the half-size WebP of each (near-duplicates), then the same bytes again (exact
duplicates), each alone, one after the other, and under load, from many clients at once; rendered by ingest
(the default) and by a job a preset.  Requests are counted by a proxy between functions
and emulator; invocations, durations and log bytes in the logs of a second deployment without it.  DynamoDB
units follow its published rules (benchmarks/_units.py), asset by asset from the table's stream.  Prices:
benchmarks/prices.json.

GB-seconds are those billed alone, under load too: on AWS every instance has a processor of its own, here they
share what there is.  Workers are warm.  The emulator answers within milliseconds; what a function waits for
S3 and DynamoDB on AWS comes on top.

What an upload is: one POST, one PUT where bytes are sent, and all that follows from them until the counters
and events are done.  Asking whether it is ready is not part of it, nor is storage.

References, no part of an upload, are priced by benchmarks/references.py.  A job's machinery is priced beside
them, at list prices and without its workers' own time, which benchmarks/jobs_rebuild.py, jobs_import.py,
jobs_recount.py and jobs_erase.py measure.
"""

import json
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from benchmarks._contenders import PIPELINE, Picture, Pipeline, deployed
from benchmarks._rates import table
from benchmarks._report import Goal, report
from benchmarks._units import READS, Index, indexes, read_units, write_units
from benchmarks.jobs_machinery import PER_PART, SIZES, dollars_a_million
from benchmarks.pipeline import pictures
from benchmarks.references import HELD, writing
from catalog.domain.assets import Status
from catalog_images import CatalogClient, Image
from infra.local.emulator import Emulator, arguments
from infra.local.proxy import Call, Passage, Proxy

PRICES: Final = Path(__file__).with_name("prices.json")
GB_SECOND: Final = "Lambda GB-second (x86)"
KINDS: Final = ("unique", "near-duplicate", "exact duplicate")
ALONE, BUSY, BY_JOBS = "alone", "under load", "alone, rendered by jobs"
LOADS: Final = (ALONE, BUSY, BY_JOBS)
WARM_UP: Final = 6
FEW: Final = 8  # images sent where each has to wait for the one before it
FINISH_SECONDS: Final = 120.0
_WEBHOOKS: Final = "WebhookDeliveryFunction"  # every event comes to it; these tenants have no webhook
_REPORT: Final = re.compile(r"Billed Duration: (\d+) ms\s+Memory Size: (\d+) MB")
_GOALS: Final = {"unique": 50.0, "exact duplicate": 5.0}


@dataclass(frozen=True)
class Seen:
    """One call of a function to AWS, with what was asked and answered where that was JSON."""

    call: Call
    status: int
    asked: Mapping[str, Any]
    answer: Mapping[str, Any]


class _Recording(Passage):
    server: "Recorder"

    def serve(self, call: Call, body: bytes) -> None:
        answer = self.forward(body)
        in_json = call.service != "s3" and body[:1] == b"{"
        seen = Seen(
            call,
            answer.status,
            json.loads(body) if in_json else {},
            json.loads(answer.body) if in_json and answer.body[:1] == b"{" else {},
        )
        with self.server.lock:
            self.server.seen.append(seen)
        self.answer(answer)


class Recorder(Proxy):
    """Keeps what passes."""

    def __init__(self, port: int, behind: int) -> None:
        super().__init__(port, behind, _Recording)
        self.seen: list[Seen] = []
        self.lock = threading.Lock()

    def take(self) -> list[Seen]:
        """What has passed since the last time."""
        with self.lock:
            taken, self.seen = self.seen, []
        return taken


@dataclass
class Bill:
    """Units used, by what is priced and by what they were used for."""

    used: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, priced: str, what: str, units: float = 1) -> None:
        self.used[priced, what] += units  # type: ignore[assignment]  # a Counter counts fractions too


class Scene:
    """A deployment that is sent images, and what can be seen of it from outside its functions."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline, self.stack = pipeline, pipeline.stack
        stack = self.stack
        self.dynamodb, self.streams = stack.client("dynamodb"), stack.client("dynamodbstreams")
        self.lambdas, self.logs = stack.client("lambda"), stack.client("logs")
        self.tables: dict[str, dict[str, Index]] = {}
        for output, name in stack.outputs.items():
            if output.endswith("Table"):
                self.tables[name] = indexes(self.dynamodb.describe_table(TableName=name)["Table"])
        mappings = self.lambdas.list_event_source_mappings()["EventSourceMappings"]
        self._counting = next(
            one for one in mappings if f"{stack.outputs['AssetsTable']}/stream" in one["EventSourceArn"]
        )
        self._iterator: str | None = None
        self._since = 0

    def hold_back(self) -> None:
        """The emulator reads a stream several times a second; on AWS a window of 5 s gathers its records."""
        self.lambdas.update_event_source_mapping(UUID=self._counting["UUID"], Enabled=False)

    def release(self) -> None:
        self.lambdas.update_event_source_mapping(UUID=self._counting["UUID"], Enabled=True)
        time.sleep(1)
        self.pipeline.settle()
        self.hold_back()

    def configure(self, **settings: str) -> None:
        """Change settings of ingest."""
        name = self.stack.outputs["IngestFunction"]
        variables = self.lambdas.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        self.lambdas.update_function_configuration(
            FunctionName=name, Environment={"Variables": {**variables, **settings}}
        )

    def await_ready(self, tenant: str, ids: Sequence[str]) -> None:
        """Looked at in the table: asking the functions would be counted."""
        ends = time.monotonic() + FINISH_SECONDS
        left = set(ids)
        while left:
            assert time.monotonic() < ends, f"not ready: {left}"
            time.sleep(0.05)
            for id_ in list(left):
                key = {"tenant": {"S": tenant}, "id": {"S": id_}}
                item = self.dynamodb.get_item(TableName=self.stack.outputs["AssetsTable"], Key=key)["Item"]
                assert item["status"]["S"] != Status.REJECTED, item
                if item["status"]["S"] == Status.READY:
                    left.discard(id_)

    def changes(self) -> list[tuple[dict[str, Any] | None, dict[str, Any] | None]]:
        """What became of each asset since the last time, before and after."""
        arn = self._counting["EventSourceArn"]
        if self._iterator is None:
            (shard,) = self.streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
            self._iterator = self.streams.get_shard_iterator(
                StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
        found = []
        while True:
            answer = self.streams.get_records(ShardIterator=self._iterator)
            self._iterator = answer["NextShardIterator"]
            if not answer["Records"]:
                return found
            for record in answer["Records"]:
                told = record["dynamodb"]
                found.append((told.get("OldImage"), told.get("NewImage")))

    def log_lines(self) -> Iterator[tuple[str, str]]:
        """Function (as its stack output is called) and line, of all that was logged since the last time."""
        until = int(time.time() * 1000) + 1
        for output in (*PIPELINE, _WEBHOOKS):
            name = self.stack.outputs[output]
            group = self.lambdas.get_function_configuration(FunctionName=name)["LoggingConfig"]["LogGroup"]
            pages = self.logs.get_paginator("filter_log_events").paginate(
                logGroupName=group, startTime=self._since, endTime=until
            )
            for page in pages:
                for event in page["events"]:
                    yield output, event["message"]
        self._since = until


def written(seen: Seen) -> list[tuple[str, str, Mapping[str, Any]]]:
    """The writes a request asks for: table, operation, and what is asked of it."""
    asked = seen.asked
    match seen.call.operation:
        case "PutItem" | "UpdateItem" | "DeleteItem" as operation:
            return [(asked["TableName"], operation, asked)]
        case "BatchWriteItem":
            return [
                (name, "PutItem" if "PutRequest" in one else "DeleteItem", one.get("PutRequest", {}))
                for name, requests in asked["RequestItems"].items()
                for one in requests
            ]
        case "TransactWriteItems":
            return [
                (one["TableName"], operation, one)
                for item in asked["TransactItems"]
                for operation, one in item.items()
            ]
    return []


def bill_requests(scene: Scene, seen: Sequence[Seen], bill: Bill) -> None:
    """Everything the functions asked of AWS, and the PUTs they signed."""
    names = {name: output.removesuffix("Table") for output, name in scene.stack.outputs.items()}
    assets = scene.stack.outputs["AssetsTable"]
    for one in seen:
        service, operation = one.call.service, one.call.operation
        if service == "s3":
            kind = "S3 GET" if operation in {"GetObject", "HeadObject"} else "S3 PUT"
            bill.add(kind, "originals" if one.call.presigned or kind == "S3 GET" else "renditions")
        elif service == "sqs":
            bill.add("SQS request", "render jobs sent")
        elif service == "events":
            bill.add("EventBridge custom event", "events", len(one.asked["Entries"]))
        elif service == "kms":
            bill.add("KMS request", operation)
        elif service == "dynamodb" and operation in READS:
            target = one.asked.get("TableName") or next(iter(one.asked["RequestItems"]))
            bill.add("DynamoDB read unit", names[target], read_units(operation, one.asked, one.answer))
        elif service == "dynamodb":
            _bill_write(one, scene, names, assets, bill)
        else:
            raise ValueError(f"no price for {one.call}")
    for old, new in scene.changes():
        bill.add("DynamoDB write unit", "Assets", write_units(old, new))
        for index in scene.tables[assets].values():
            if units := index.write_units(old, new):
                bill.add("DynamoDB write unit", "Assets' indexes", units)


def _bill_write(seen: Seen, scene: Scene, names: Mapping[str, str], assets: str, bill: Bill) -> None:
    """A write that took place is told by the stream of its table, if it has one: here, what that leaves out.

    One that was refused costs what it would have; in a transaction everything costs twice.
    """
    transaction = seen.call.operation == "TransactWriteItems"
    for name, operation, asked in written(seen):
        if operation == "ConditionCheck":
            bill.add("DynamoDB write unit", names[name], 2)
            continue
        refused = seen.status != 200
        if name == assets:
            extra = int(transaction) + int(refused)
            if extra:
                bill.add("DynamoDB write unit", "Assets refused" if refused else "Assets", extra)
            continue
        item = asked.get("Item")
        units = write_units(None, item) + sum(
            index.write_units(None, item) if item else 1 for index in scene.tables[name].values()
        )
        bill.add("DynamoDB write unit", names[name], units * (2 if transaction else 1))


def bill_invocations(scene: Scene, bill: Bill) -> None:
    """Invocations, GB-seconds and log bytes as the functions' logs tell them, and what feeds the queues."""
    for output, line in scene.log_lines():
        name = output.removesuffix("Function")
        bill.add("CloudWatch Logs byte", name, len(line.encode()))
        if told := _REPORT.search(line):
            bill.add("Lambda request", name)
            bill.add(GB_SECOND, name, int(told[1]) / 1000 * int(told[2]) / 1024)
            if name in {"Ingest", "Render"}:
                bill.add("SQS request", f"{name.lower()}: received and deleted", 2)
            if output == _WEBHOOKS:
                bill.add("SQS request", "events for webhooks: sent, received and deleted", 3)


@dataclass(frozen=True)
class Sending:
    """Images of one kind, in one way."""

    kind: str
    load: str

    def __call__(
        self, scene: Scene, tenant: str, client: CatalogClient, images: Sequence[Picture], clients: int
    ) -> None:
        if self.load != BUSY:
            for image in images:
                scene.await_ready(tenant, [self._send(client, image)])
                scene.release()
            return
        with ThreadPoolExecutor(clients) as pool:
            ids = list(pool.map(lambda image: self._send(client, image), images))
        scene.await_ready(tenant, ids)
        scene.release()

    def _send(self, client: CatalogClient, image: Picture) -> str:
        receipt = client.upload(image.data, content_type=image.content_type, filename=image.name)
        known = isinstance(receipt, Image)
        assert known == (self.kind == "exact duplicate"), f"{image.name} is no {self.kind}"
        return receipt.id


Bills = dict[tuple[str, str], tuple[Bill, int]]


def observe(
    emulator: Emulator, images: Sequence[Picture], clients: int, look: Callable[[Scene, Bill], None]
) -> Bills:
    """Every kind under every load, and what `look` sees of it; with the number of uploads."""
    bills: Bills = {}
    with deployed(emulator) as pipeline:
        scene = Scene(pipeline)
        scene.hold_back()
        for load in LOADS:
            tenant = f"tenant-{LOADS.index(load)}"
            client = pipeline.add_tenant(tenant)
            warm, chosen = images[:WARM_UP], images[WARM_UP:]
            if load != BUSY:
                chosen = chosen[:FEW]
            if load == BY_JOBS:
                scene.configure(PIXELS_RENDERED_ON_ARRIVAL="0")
            for kind in KINDS:
                sent = {"near-duplicate": lambda some: [one.halved() for one in some]}.get(kind, list)
                sending = Sending(kind, load)
                # Workers start, and keep who the client is for a minute: not what an upload costs.
                sending(scene, tenant, client, sent(warm), clients)
                look(scene, Bill())
                sending(scene, tenant, client, sent(chosen), clients)
                bill = Bill()
                look(scene, bill)
                bills[kind, load] = bill, len(chosen)
                print(f"{kind}, {load}: {len(chosen)} sent", file=sys.stderr)
    return bills


def observed_requests(emulator: Emulator, images: Sequence[Picture], clients: int) -> Bills:
    recorder = Recorder(emulator.port + 1, emulator.port)
    through = replace(emulator, functions_endpoint=f"http://127.0.0.1:{recorder.server_port}")

    def look(scene: Scene, bill: Bill) -> None:
        bill_requests(scene, recorder.take(), bill)

    with recorder.running():
        return observe(through, images, clients, look)


def price(
    bill: Bill, uploads: int, prices: Mapping[str, float]
) -> dict[tuple[str, str], tuple[float, float]]:
    """Units an upload, and dollars a million uploads, of each line."""
    return {
        line: (used / uploads, used / uploads * prices[line[0]] * 1e6)
        for line, used in sorted(bill.used.items(), key=lambda one: -one[1] * prices[one[0][0]])
    }


def driven(kind: str, uploads: int) -> Bill:
    """What the client's own calls cost: the POST, and S3's message to the queue about what it PUT."""
    bill = Bill()
    bill.add("API Gateway REST request", "POST /v1/images", uploads)
    if kind != "exact duplicate":
        bill.add("SQS request", "S3's event", uploads)
    return bill


def jobs_a_million() -> dict[str, dict[int, float]]:
    """Dollars a million images of each kind of job's own machinery, by the images of the tenant."""
    return {kind: {size: dollars_a_million(kind, size) for size in SIZES} for kind in (*PER_PART, "import")}


def lines_table(priced: Mapping[tuple[str, str], tuple[float, float]]) -> str:
    rows = [
        (f"{name}: {what}", f"{units:,.4g}", f"{dollars:.2f}")
        for (name, what), (units, dollars) in priced.items()
    ]
    total = sum(dollars for _, dollars in priced.values())
    return table(("priced", "units an upload", "USD a million"), [*rows, ("**all**", "", f"**{total:.2f}**")])


def main() -> None:
    parser = arguments("Dollars a million uploads, counted on the running stack.")
    parser.set_defaults(port=4588, name="cost", account="000000000088")
    parser.add_argument("--images", type=Path, help="folder of images (default: drawn ones)")
    parser.add_argument("--take", type=int, default=30, help="images sent under load")
    parser.add_argument("--clients", type=int, default=12, help="that send them")
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    chosen = parser.parse_args()
    emulator = Emulator(chosen.port, chosen.name, chosen.account)
    prices = json.loads(PRICES.read_text())["per_unit"]
    images = [image for image, _ in pictures(chosen.images, chosen.take + WARM_UP)]

    requests = observed_requests(emulator, images, chosen.clients)
    invocations = observe(emulator, images, chosen.clients, bill_invocations)
    totals: dict[str, dict[str, float]] = {kind: {} for kind in KINDS}
    figures: dict[str, Any] = {}
    for (kind, load), (bill, uploads) in requests.items():
        seen = Counter(invocations[kind, load][0].used)
        if load == BUSY:
            alone, few = invocations[kind, ALONE]
            for line in [line for line in seen if line[0] == GB_SECOND]:
                seen[line] = alone.used[line] / few * uploads  # type: ignore[assignment]
        whole = Bill(bill.used + seen + driven(kind, uploads).used)
        priced = price(whole, uploads, prices)
        totals[kind][load] = sum(dollars for _, dollars in priced.values())
        print(f"\n## {kind}, {load} ({uploads} uploads)\n\n{lines_table(priced)}")
        figures[f"{kind}, {load}"] = {
            f"{name}: {what}": {"units": units, "usd_a_million": dollars}
            for (name, what), (units, dollars) in priced.items()
        }
    floor = 4 * prices["S3 PUT"] * 1e6
    rows = [(kind, *(f"{totals[kind][load]:.2f}" for load in LOADS)) for kind in KINDS]
    print("\n## USD a million uploads\n")
    print(table(("", *LOADS), [*rows, ("floor: four S3 PUTs", *([f"{floor:.2f}"] * len(LOADS)))]))
    jobs = jobs_a_million()
    print("\n## USD a million images, of a job's machinery, by the images of the tenant\n")
    rows = [(kind, *(f"{each:.2f}" for each in by_size.values())) for kind, by_size in jobs.items()]
    print(table(("", *(f"{size:,}" for size in SIZES)), rows))
    references = {held: writing(held)["USD a million"] for held in HELD}
    print("\n## USD a million references, by those that their image has already\n")
    print(table(tuple(map(str, HELD)), [tuple(f"{each:.2f}" for each in references.values())]))
    goals = [
        Goal(f"{kind}, {load}", totals[kind][load], at_most=most, unit="USD a million")
        for kind, most in _GOALS.items()
        for load in LOADS
    ]
    report(
        "cost",
        figures={"totals": totals, "floor": floor, "lines": figures, "jobs": jobs, "references": references},
        goals=goals,
        out=chosen.out,
    )


if __name__ == "__main__":
    main()

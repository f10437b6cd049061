"""What an import costs on AWS: every request counted on the running stack, at list prices; and again.

    python -m benchmarks.jobs_import --images DIR [--take 40] [--out results.json]

Photos of a folder, each unique and with a reference, lie in a bucket; one job imports them, a second imports
them again.  Requests are counted by a proxy between functions and emulator, log bytes in the logs of a second
deployment without it, as in benchmarks.cost.  What Lambda bills the worker is its processor time, traced in
this process, with modelled waits for S3 and DynamoDB (benchmarks/_waits.py).  What is a job's and not an
object's (benchmarks/jobs_machinery.py) is that of a job of a million.

Then listings of 10^3 to 10^6 objects are planned and looked up, all seen, against a bucket and tables that
are generated: requests and CPU an object must not grow.
"""

import importlib
import io
import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

from benchmarks._contenders import Picture, deployed
from benchmarks._rates import table
from benchmarks._report import Goal, report
from benchmarks._waits import VCPU_GB, Trace, Traced
from benchmarks.cost import GB_SECOND, PRICES, Bill, Recorder, Scene, bill_requests, lines_table, price
from benchmarks.jobs_machinery import WORKER_SECOND, dollars_a_million
from benchmarks.pipeline import pictures
from catalog.adapters.sources import SourcePage, Sources
from catalog.domain.imports import OBJECTS_PER_PART, Outcome, Seen, SourceObject
from catalog.domain.jobs import Job, JobKind, JobState, Line
from catalog.domain.keys import asset_id, tenant_id
from catalog.domain.tenants import Scope
from catalog.use_cases.importing import AT_ONCE, Importing, ImportSteps
from catalog.use_cases.intake import Intake
from catalog.use_cases.job_parts import Parts
from catalog_images import CatalogClient, Credentials
from infra.local.emulator import Emulator, arguments
from infra.operator.tenants import create_tenant_client

SHOP: Final = "old-shop-benchmark"
FUNCTIONS: Final = ("ImportWorkerFunction", "JobPlannerFunction", "UsageFunction")
FIRST, AGAIN = "unique image", "again"
SIZES: Final = (1_000, 10_000, 100_000, 1_000_000)
ETAG: Final = "d" * 32
_REPORT: Final = re.compile(r"Billed Duration: (\d+) ms\s+Memory Size: (\d+) MB")

Bills = dict[str, tuple[Bill, int]]
Traces = dict[str, Trace]
# Of the job; priced as that of a large one.
_MACHINERY: Final = frozenset(
    {
        ("DynamoDB write unit", "Jobs"),
        ("DynamoDB read unit", "Jobs"),
        ("DynamoDB read unit", "Clients"),
        (GB_SECOND, "ImportWorkerFunction"),
        *((priced, "JobPlannerFunction") for priced in (GB_SECOND, "Lambda request", "CloudWatch Logs byte")),
    }
)


# --- On the stack -------------------------------------------------------------------------------------------


def observe(emulator: Emulator, images: Sequence[Picture], recorder: Recorder | None) -> tuple[Bills, Traces]:
    """Both imports, and what is seen of them: requests with a recorder, else invocations and traces."""
    bills: Bills = {}
    traces: Traces = {}
    with deployed(emulator) as pipeline:
        scene, outputs = Scene(pipeline), pipeline.stack.outputs
        scene.hold_back()
        s3 = pipeline.stack.client("s3")
        s3.create_bucket(Bucket=SHOP)
        for number, image in enumerate(images):
            s3.put_object(Bucket=SHOP, Key=f"SKU-{number}/{image.name}", Body=image.data)
        pipeline.add_tenant("acme")
        admin = create_tenant_client("operators", scopes=(Scope.ADMIN,), outputs=outputs)
        credentials = Credentials(admin.client.client_id, admin.client_secret)
        with CatalogClient(pipeline.stack.api_url, pipeline.stack.token_url, credentials) as client:
            for kind in ("warm-up", FIRST, AGAIN):
                scene.changes()
                if recorder:
                    recorder.take()
                since, written = int(time.time() * 1000), _files(s3, outputs)
                _import(client, prefix="SKU-0/" if kind == "warm-up" else "")
                scene.release()
                bill = Bill()
                if recorder:
                    seen = [one for one in recorder.take() if one.call.service != "states"]
                    bill_requests(scene, seen, bill)
                    bill.add("S3 PUT", "renditions", written - _files(s3, outputs))
                else:
                    time.sleep(1)  # the last lines of the logs
                    bill_invocations(scene, outputs, since, bill)
                bills[kind] = bill, len(images) - (kind == FIRST)  # the first one was the warm-up's
                print(f"{kind}: {len(images)} objects", file=sys.stderr)
        if recorder is None:
            tenants = {"warm-up": "warm-up", FIRST: "traced", AGAIN: "traced"}
            for tenant in set(tenants.values()):
                pipeline.add_tenant(tenant)
            traces = {kind: traced(scene, outputs, tenant) for kind, tenant in tenants.items()}
    return bills, traces


def _files(s3: Any, outputs: Mapping[str, str]) -> int:
    """Files of jobs; the planner wrote them."""
    return int(s3.list_objects_v2(Bucket=outputs["JobsBucket"])["KeyCount"])


def traced(scene: Scene, outputs: Mapping[str, str], tenant: str) -> Trace:
    """The worker's trace, of an import in this process."""
    configuration = scene.lambdas.get_function_configuration(FunctionName=outputs["ImportWorkerFunction"])
    os.environ.update(configuration["Environment"]["Variables"] | scene.stack.emulator.credentials)
    with redirect_stdout(io.StringIO()):
        worker = importlib.import_module("functions.import_worker.handler")
        options = {"bucket": SHOP, "reference_pattern": "{reference}/{filename}"}
        job = replace(_job(), id=f"job-{time.time_ns()}", tenant=tenant_id(tenant), options=options)
        worker.parts.jobs.create(job)
        found = Traced(worker.importing)
        parts = Parts(worker.parts.jobs, found)
        with found.watching():
            for number, work in enumerate(ImportSteps(Sources()).step(job, "").works):
                parts.carry_out(Line(job.id, job.kind, f"000000/{number:06}", work))
    return found.trace


def _import(client: CatalogClient, *, prefix: str) -> None:
    asked = {"tenant": "acme", "bucket": SHOP, "prefix": prefix, "concurrency": 1}
    job = client.start_job("import", dry_run=False, reference_pattern="{reference}/{filename}", **asked)
    job = client.wait_for_job(job.id, timeout_seconds=1_800)
    assert (job.state, job.failed) == ("completed", 0), job


def bill_invocations(scene: Scene, outputs: Mapping[str, str], since: int, bill: Bill) -> None:
    for output in FUNCTIONS:
        name = outputs[output]
        group = scene.lambdas.get_function_configuration(FunctionName=name)["LoggingConfig"]["LogGroup"]
        pages = scene.logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since)
        for line in (event["message"] for page in pages for event in page["events"]):
            bill.add("CloudWatch Logs byte", output, len(line.encode()))
            if told := _REPORT.search(line):
                seconds, memory = int(told[1]) / 1000, int(told[2]) / 1024
                bill.add("Lambda request", output)
                bill.add(GB_SECOND, output, seconds * memory)


# --- Generated listings -------------------------------------------------------------------------------------


@dataclass
class Generated:
    """A bucket of so many objects, and what was seen: all of them.  Counts requests."""

    objects: int
    requests: Counter[str]

    def page(self, _: str, __: str, *, after: str, token: str | None) -> SourcePage:
        self.requests["ListObjectsV2"] += 1
        first = int(token) if token else int(after[:9]) + 1 if after else 0
        last = min(first + 1_000, self.objects)
        listed = tuple(SourceObject(_key(number), ETAG, 2_500_000) for number in range(first, last))
        return SourcePage(listed, str(last) if last < self.objects else None)

    def many(self, *asked: Any, **_: Any) -> dict[Any, Any]:
        self.requests["BatchGetItem"] += 1
        names: Collection[str] = asked[-1]
        if len(asked) == 2:  # the assets themselves
            return {name: object() for name in names}
        return {name: Seen(ETAG, 2_500_000, asset_id("0" * 64), Outcome.NEW) for name in names}


def _key(number: int) -> str:
    return f"{number:09}/front.jpg"


def _job() -> Job:
    return Job(
        id="job",
        kind=JobKind.IMPORT,
        tenant=tenant_id("acme"),
        dry_run=False,
        options={"bucket": SHOP},
        state=JobState.RUNNING,
        requested_by="",
        created_at=datetime.now(UTC),
        concurrency=1,
    )


def grown(objects: int) -> dict[str, float]:
    """Requests, bytes of lines and CPU-microseconds an object, of planning and looking up a listing."""
    bucket, job = Generated(objects, Counter()), _job()
    steps = ImportSteps(cast(Sources, bucket))
    intake = cast(Intake, type("_", (), {"imports": bucket, "assets": bucket, "max_upload_bytes": 10**8})())
    worker, position, length, skipped, longest = Importing(intake), "", 0, 0, 0
    began = time.process_time()
    while position is not None:
        step = steps.step(job, position)
        for work in step.works:
            longest = max(longest, size := sum(map(len, work.subjects)))
            length += size
            for _, subject in worker.subjects(job, work, after=None):
                skipped += worker.take(job, work, subject).skipped
        position = cast(str, step.next)
    assert skipped == objects
    return {
        "objects": objects,
        "requests": sum(bucket.requests.values()) / objects,
        "line_bytes": length / objects,
        "longest_line": longest,
        "cpu_us": (time.process_time() - began) / objects * 1e6,
    }


def main() -> None:
    parser = arguments("Dollars a million imported images, counted on the running stack.")
    parser.set_defaults(port=4592, name="jobs-import", account="000000000092")
    parser.add_argument("--images", type=Path, help="folder of images (default: drawn ones)")
    parser.add_argument("--take", type=int, default=40, help="images imported")
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    chosen = parser.parse_args()
    growth = [grown(objects) for objects in SIZES]
    rows = [tuple(f"{value:,.4g}" for value in one.values()) for one in growth]
    print("\n## An object that was seen, by the size of the listing\n")
    print(table(("objects", "requests", "bytes of its line", "longest line", "CPU-us"), rows))

    emulator = Emulator(chosen.port, chosen.name, chosen.account)
    prices = json.loads(PRICES.read_text())["per_unit"]
    images = [image for image, _ in pictures(chosen.images, chosen.take)]
    recorder = Recorder(emulator.port + 1, emulator.port)
    with recorder.running():
        through = replace(emulator, functions_endpoint=f"http://127.0.0.1:{recorder.server_port}")
        requests, _ = observe(through, images, recorder)
    invocations, traces = observe(emulator, images, None)
    totals: dict[str, float] = {}
    figures: dict[str, Any] = {"growth": growth}
    for kind in (FIRST, AGAIN):
        bill, objects = requests[kind]
        trace = traces[kind]
        seconds = trace.of_a_part(OBJECTS_PER_PART, most=AT_ONCE) * objects
        used = Counter(
            {line: n for line, n in (bill.used + invocations[kind][0].used).items() if line not in _MACHINERY}
        )
        whole = Bill(used)
        whole.add(GB_SECOND, "worker", seconds * VCPU_GB)
        priced = price(whole, objects, prices)
        priced["machinery", "a part, its step and its reports"] = (
            1,
            dollars_a_million("import", 10**6) + seconds / objects * WORKER_SECOND * 1e6,
        )
        totals[kind] = sum(dollars for _, dollars in priced.values())
        print(f"\n## {kind} ({objects} objects)\n\n{lines_table(priced)}")
        billed = {n: 1000 * trace.of_a_part(OBJECTS_PER_PART, most=n) for n in (1, 4, 8, 16)}
        cpu = 1000 * trace.processor / len(images)
        told = ", ".join(f"{n}: {ms:.0f}" for n, ms in billed.items())
        print(f"\nCPU-ms an object: {cpu:.0f}; billed ms, by objects taken at once: {told}")
        figures[f"{kind}, billed ms"] = billed | {"processor": cpu}
        figures[kind] = {f"{name}: {what}": dollars for (name, what), (_, dollars) in priced.items()}
    ends = growth[0], growth[-1]
    goals = [
        Goal("a unique image", totals[FIRST], at_most=45, unit="USD a million"),
        Goal("again", totals[AGAIN], at_most=2, unit="USD a million"),
        Goal("requests an object, 10^6 of 10^3", ends[1]["requests"] / ends[0]["requests"], at_most=1.01),
        Goal("CPU an object, 10^6 of 10^3", ends[1]["cpu_us"] / ends[0]["cpu_us"], at_most=1.3),
    ]
    report("jobs_import", figures=figures | {"totals": totals}, goals=goals, out=chosen.out)


if __name__ == "__main__":
    main()

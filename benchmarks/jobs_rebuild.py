"""What a rebuild costs on AWS: every request of its workers, and their processor time beside a plain loop.

    python -m benchmarks.jobs_rebuild [--images DIR] [--take 20] [--out results.json]

The worker's own code runs in this process, on tables and buckets of the emulator; requests are counted where
they leave it.  One of three presets changes.  The plain loop reads the same files, renders that preset with
the same engine and writes it to the disk.

Growth: tenants of 10^3 to 10^6 generated records that are as the presets are.  Of the ranges such a tenant is
cut into, a few are made, as full as they would be: ids are hashes, so ranges are alike.

DynamoDB units follow its published rules (benchmarks/_units.py).  Counted besides the workers' requests: a
part's invocation, its child of the map (an Express request and a transition, $25 and $1 a million), and the
stream's counting of each changed image (2 write units in a transaction, a share of the total, 1 read unit).
GB-seconds are processor time at 1,769 MiB; what a worker waits for S3 on AWS comes on top, about 60 ms an
image.
"""

import hashlib
import json
import os
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import batched, islice
from pathlib import Path
from typing import Any, Final

import boto3
import botocore.client

from benchmarks._contenders import Picture
from benchmarks._rates import table
from benchmarks._report import Goal, report
from benchmarks._units import READS, read_units
from benchmarks._waits import VCPU_GB, Trace, Traced
from benchmarks.cost import GB_SECOND, PRICES, Bill, price
from benchmarks.jobs_machinery import LOOK, planning_of
from benchmarks.pipeline import pictures
from catalog.adapters import sdk
from catalog.adapters.assets_table import Assets
from catalog.adapters.groups import Groups
from catalog.adapters.jobs_table import Jobs
from catalog.adapters.objects import Originals, Renditions
from catalog.adapters.queues import RenderQueue
from catalog.domain.assets import Inspection, PerceptualHashes
from catalog.domain.fingerprints import Fingerprint, PHashAlgorithm
from catalog.domain.jobs import Job, JobKind, JobState, Line, Work, digits_for, ranges, ranges_of_a_part
from catalog.domain.keys import AssetKey, TenantId, asset_id
from catalog.domain.near_duplicates import Likeness, Verdict
from catalog.domain.presets import DEFAULT_PRESETS, Preset
from catalog.domain.rebuilding import digest
from catalog.domain.render_plan import RenderPlan
from catalog.domain.sources import DEFAULT_PIXEL_LIMITS, Source, SourceFormat
from catalog.use_cases.completion import Completion
from catalog.use_cases.grouping import Grouping
from catalog.use_cases.job_parts import Parts
from catalog.use_cases.rebuilding import AT_ONCE, MOST_IMAGES_PER_PART, Look, Rebuilding
from catalog.use_cases.rendering import Rendering
from catalog.use_cases.storing import Storing
from imaging.renditions import render
from infra.local.emulator import Emulator, arguments
from infra.template import APPLICATION

SIZES: Final = (1_000, 10_000, 100_000, 1_000_000)
MOST_GENERATED: Final = 2_000  # records of a tenant
TENANT: Final = TenantId("benchmark")
CHANGED: Final = (Preset("thumb", 240, 240), *DEFAULT_PRESETS[1:])
LARGEST: Final = 100 * 1024 * 1024
# Besides benchmarks/prices.json, USD each.
TRANSITION, EXPRESS = 0.000025, 0.000001
_HASH: Final = "0f" * 32
_LARGE: Final = 244  # images of a part of 10^6


def make_account(buckets: Sequence[str]) -> None:
    dynamodb, s3 = boto3.client("dynamodb"), boto3.client("s3")
    kept = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
    for name, properties in APPLICATION.of_type("AWS::DynamoDB::Table").items():
        dynamodb.create_table(TableName=name, **{one: properties[one] for one in kept if one in properties})
    for bucket in buckets:
        s3.create_bucket(Bucket=bucket)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    boto3.client("sqs").create_queue(QueueName="render")


def worker(presets: Sequence[Preset]) -> Rebuilding:
    assets, originals = Assets("AssetsTable"), Originals("originals")
    renditions, plan = Renditions("renditions"), RenderPlan(tuple(presets), 1)
    queue = RenderQueue("render")
    completion = Completion(
        assets, originals, Grouping(assets, Groups("AssetsTable", "PairsTable")), queue, plan
    )
    renderer = partial(render, limits=DEFAULT_PIXEL_LIMITS)
    rendering = Rendering(assets, originals, Storing(assets, renditions), renderer, completion, plan, LARGEST)
    return Rebuilding(assets, renditions, rendering, timedelta(days=1))


@contextmanager
def requests() -> Iterator[Bill]:
    """What is asked of AWS meanwhile, priced as `benchmarks.cost` prices it."""
    bill = Bill()
    make = botocore.client.BaseClient._make_api_call

    def counted(self: Any, operation: str, asked: Any) -> Any:
        answer = make(self, operation, asked)
        if operation in READS:
            bill.add("DynamoDB read unit", operation, read_units(operation, asked, answer))
        elif operation == "TransactWriteItems":
            bill.add("DynamoDB write unit", "reports of parts", 2 * len(asked["TransactItems"]))
        elif operation in {"UpdateItem", "PutItem"}:
            bill.add("DynamoDB write unit", asked["TableName"])
        elif operation in {"GetObject", "HeadObject"}:
            bill.add("S3 GET", operation)
        elif operation in {"PutObject", "ListObjectVersions", "ListObjectsV2"}:
            bill.add("S3 PUT", operation)
        elif operation != "DeleteObjects":
            raise ValueError(operation)
        return answer

    botocore.client.BaseClient._make_api_call = counted  # type: ignore[method-assign]
    try:
        yield bill
    finally:
        botocore.client.BaseClient._make_api_call = make  # type: ignore[method-assign]


def look(jobs: Jobs, rebuilding: Rebuilding, within: Sequence[str], number: int) -> tuple[Bill, Trace, Job]:
    """One look over these ranges by one worker, and its trace."""
    now = datetime.now(UTC)
    job = Job(
        f"job-{time.time_ns()}", JobKind.REBUILD, TENANT, False, {}, JobState.RUNNING, "benchmark", now, 1
    )
    jobs.create(job)
    phase = Look(number, digest(rebuilding.rendering.plan.presets)).phase
    lines = [
        Line(job.id, job.kind, f"000000/{at:06d}", Work(TENANT, phase, prefix))
        for at, prefix in enumerate(within)
    ]
    traced = Traced(rebuilding)
    with requests() as bill, traced.watching():
        for line in lines:
            while not all(Parts(jobs, traced).carry_out(line)):
                pass
    bill.add("Lambda request", "parts", len(lines))
    bill.add("Step Functions transition", "children of the map", len(lines))
    bill.add("Step Functions Express request", "children of the map", len(lines))
    return bill, traced.trace, jobs.get(job.id)


def counted_by_the_stream(bill: Bill, images: int) -> Bill:
    bill.add("DynamoDB write unit", "counters, from the stream", images * 2 * (1 + 1 / 99))
    bill.add("DynamoDB read unit", "counters, from the stream", images)
    return bill


# --- One changed preset -----------------------------------------------------------------------------------


def inspected() -> Inspection:
    return Inspection(
        Source(SourceFormat.JPEG, 100, 100),
        PerceptualHashes(_HASH[:16], _HASH),
        Fingerprint(PHashAlgorithm.PHASH256, _HASH, _HASH, "00" * 12),
        near_blank=True,
        verify=lambda _: Likeness(Verdict.DIFFERENT, {}),
    )


def uploaded(images: Sequence[Picture]) -> None:
    """As live traffic leaves them, with the default presets."""
    live = worker(DEFAULT_PRESETS).rendering
    names = {preset.name for preset in DEFAULT_PRESETS}
    for image in images:
        key = AssetKey(TENANT, asset_id(hashlib.sha256(image.data).hexdigest()))
        boto3.client("s3").put_object(Bucket="originals", Key=key.original, Body=image.data)
        now = datetime.now(UTC)
        asset = live.assets.accept(key, inspected(), size_bytes=len(image.data), now=now)
        made = list(live.render_at_once(key, names).values())
        live.assets.add_renditions(asset, made, complete=True, now=now)


def plain_loop(images: Sequence[Picture]) -> float:
    """Processor seconds of rendering the changed preset from file to file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for at, image in enumerate(images):
            (folder / f"{at}.in").write_bytes(image.data)
        began = time.process_time()
        for at in range(len(images)):
            data = (folder / f"{at}.in").read_bytes()
            (made,) = render(data, CHANGED[:1], limits=DEFAULT_PIXEL_LIMITS)
            (folder / f"{at}.out").write_bytes(made.data)
        return time.process_time() - began


def old_enough(rebuilding: Rebuilding) -> Rebuilding:
    """Two days later."""
    return replace(rebuilding, clock=lambda: datetime.now(UTC) + timedelta(days=2))


def as_in_a_large_tenant(used: Counter[tuple[str, str]], count: int) -> Counter[tuple[str, str]]:
    """A part has _LARGE images; what is asked for once a part, as many as were taken."""
    once = ("ListObjectVersions", "JobsTable", "reports of parts", "parts", "children of the map")
    shares = {line: n * count / _LARGE if line[1] in once else n for line, n in used.items()}
    return Counter(shares)  # type: ignore[arg-type]  # a Counter counts fractions too


# --- Growth -----------------------------------------------------------------------------------------------


def generated(images: int, tenant_of: str = TENANT) -> list[str]:
    """A few ranges of a tenant of so many, filled with records that are as the presets are."""
    digits = digits_for(images, per_part=MOST_IMAGES_PER_PART)
    few = max(1, round(MOST_GENERATED / (images / 16**digits)))
    chosen = list(islice(ranges(digits), few))
    dynamodb, drawn = boto3.client("dynamodb"), random.Random(images)  # noqa: S311
    items = []
    for prefix in chosen:
        for _ in range(round(images / 16**digits)):
            id_ = prefix + f"{drawn.getrandbits(256):064x}"[len(prefix) :]
            items.append(record(tenant_of, id_))
    for start in range(0, len(items), 25):
        puts = [{"PutRequest": {"Item": item}} for item in items[start : start + 25]]
        dynamodb.batch_write_item(RequestItems={"AssetsTable": puts})
    each = ranges_of_a_part(images, digits)
    return [f"{some[0]}-{some[-1]}" if each > 1 else some[0] for some in batched(chosen, each, strict=True)]


def record(tenant: str, id_: str) -> dict[str, Any]:
    now = {"S": datetime.now(UTC).isoformat(timespec="microseconds")}
    stored = {
        preset.name: {
            "M": {
                "version": {"S": preset.version},
                "key": {"S": f"{preset.name}-{preset.version}.jpg"},
                "size_bytes": {"N": "54321"},
                "width": {"N": "600"},
                "height": {"N": "450"},
                "quality": {"N": "85"},
            }
        }
        for preset in CHANGED
    }
    texts = {"tenant": tenant, "id": id_, "status": "ready", "format": "jpeg", "filename": "photo-12345.jpg"}
    texts |= {
        "ahash64": _HASH[:16],
        "phash256": _HASH,
        "indexed_as": "phash256.2:::3",
        "correlation_id": id_[:36],
    }
    numbers = {"size_bytes": "2500000", "width": "4000", "height": "3000", "revision": "4"}
    return {
        **{name: {"S": text} for name, text in texts.items()},
        **{name: {"N": number} for name, number in numbers.items()},
        "renditions": {"M": stored},
        "references": {"SS": ["sku-12345"]},
        **dict.fromkeys(("created_at", "updated_at"), now),
    }


def forget_records() -> None:
    dynamodb = boto3.client("dynamodb")
    for page in dynamodb.get_paginator("scan").paginate(
        TableName="AssetsTable", ProjectionExpression="tenant, id"
    ):
        for item in page["Items"]:
            dynamodb.delete_item(TableName="AssetsTable", Key=item)


def shown(priced: dict[tuple[str, str], tuple[float, float]]) -> tuple[str, float]:
    rows = [
        (f"{name}: {what}", f"{units:,.4g}", f"{usd:.3f}") for (name, what), (units, usd) in priced.items()
    ]
    total = sum(usd for _, usd in priced.values())
    all_ = ("**all**", "", f"**{total:.2f}**")
    return table(("priced", "units an image", "USD a million"), [*rows, all_]), total


def main() -> None:
    parser = arguments("Dollars a million images of a rebuild, counted at its workers.")
    parser.set_defaults(port=4598, name="jobs-rebuild", account="000000000098")
    parser.add_argument("--images", type=Path, help="folder of images (default: drawn ones)")
    parser.add_argument("--take", type=int, default=20, help="images rebuilt")
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    chosen = parser.parse_args()
    emulator = Emulator(chosen.port, chosen.name, chosen.account)
    images = [image for image, _ in pictures(chosen.images, chosen.take)]
    shutil.rmtree(emulator.folder, ignore_errors=True)
    with emulator.running():
        os.environ.update(emulator.credentials)
        sdk.client.cache_clear()
        figures, goals = measured(images)
    shutil.rmtree(emulator.folder, ignore_errors=True)
    report("jobs_rebuild", figures=figures, goals=goals, out=chosen.out)


def measured(images: Sequence[Picture]) -> tuple[dict[str, Any], list[Goal]]:
    prices = json.loads(PRICES.read_text())["per_unit"]
    prices |= {"Step Functions transition": TRANSITION, "Step Functions Express request": EXPRESS}
    make_account(["originals", "renditions"])
    jobs, rebuilding, count = Jobs("JobsTable"), worker(CHANGED), len(images)
    uploaded(images)
    bill, trace, job = look(jobs, rebuilding, [""], 0)
    assert job.tally.counts["rebuilt"] == count, job
    later, later_trace, job = look(jobs, old_enough(rebuilding), [""], 1)
    assert job.tally.counts["removed"] == count, job
    whole = Bill(as_in_a_large_tenant(bill.used + later.used, count))
    seconds, more = trace.processor, later_trace.processor
    billed = {
        n: sum(one.of_a_part(_LARGE, most=n) for one in (trace, later_trace)) for n in (1, 4, 8, 16, 32)
    }
    whole.add(GB_SECOND, "worker", billed[AT_ONCE] * count * VCPU_GB)
    text, first = shown(price(counted_by_the_stream(whole, count), count, prices))
    loop = plain_loop(images)
    print(f"\n## One changed preset, {count} images, and what it replaced removed\n\n{text}")
    rates = [
        (name, f"{1000 * cpu / count:.1f}", f"{count / cpu:.0f}")
        for name, cpu in (("worker", seconds + more), ("plain loop, same engine", loop))
    ]
    print(f"\n{table(('', 'CPU-ms an image', 'images a second and core'), rates)}")
    told = ", ".join(f"{n}: {1000 * seconds:.0f}" for n, seconds in billed.items())
    print(f"\nbilled ms an image, by images taken at once: {told}")

    growth, totals = [], {}
    for size in SIZES:
        forget_records()
        within = generated(size)
        there = sum(1 for prefix in within for _ in rebuilding.assets.ids_within(TENANT, prefix))
        bill, again, job = look(jobs, rebuilding, within, 0)
        assert (job.tally.skipped, job.tally.done) == (there, 0), job
        bill.add(GB_SECOND, "worker", again.billed(most=AT_ONCE) * VCPU_GB)
        priced = price(bill, there, prices)
        _, looked = shown(priced)
        totals[size] = looked + planning_of(LOOK, size)
        made = sum(n for (name, what), n in bill.used.items() if what == "ListObjectVersions")
        reads = sum(units for (name, _), (units, _) in priced.items() if name == "DynamoDB read unit")
        growth.append((f"{size:,}", f"{there / len(within):.0f}", f"{made / there:.4f}", f"{reads:.3f}",
                       f"{1000 * again.processor / there:.2f}", f"{totals[size]:.3f}"))  # fmt: skip
    header = ("records", "a part", "listings an image", "read units an image", "CPU-ms an image",
              "USD a million")  # fmt: skip
    print(f"\n## Nothing to do\n\n{table(header, growth)}")
    goals = [
        Goal("one changed preset", first, at_most=9.0, unit="USD a million"),
        *(
            Goal(f"second run, {size:,} images", usd, at_most=0.5, unit="USD a million")
            for size, usd in totals.items()
        ),
    ]
    return {
        "first": first,
        "second": totals,
        "growth": growth,
        "billed_ms": billed,
        "cpu_of_plain_loop": (seconds + more) / loop,
    }, goals


if __name__ == "__main__":
    main()

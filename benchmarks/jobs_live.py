"""Live uploads while catalog jobs run, beside the same uploads while none does.

    python -m benchmarks.jobs_live [--images DIR] [--take 20] [--catalog 240] [--rounds 5] [--every 1.0]

Short windows in turns, in one run on one machine: no job, a rebuild, no job, an import, and again.  In each
the same photos go to a tenant of their own, one every so often, as a shop's clients would; measured is the
time from PUT to `ready`.  A job has begun to report before its window, and how much it did in it is told: its
images, and the processor time of its workers.

The emulator, all functions, the clients and this program share the machine's cores, which functions on AWS do
not: there a job's workers have cores of their own.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks._contenders import Picture, Pipeline, deployed
from benchmarks._rates import table
from benchmarks._report import Goal, report
from benchmarks._windows import NO_JOB, Window, interval, of, quantile, ratio, times
from benchmarks.pipeline import milliseconds, pictures
from catalog.domain.tenants import Scope
from catalog_images import CatalogClient, Credentials
from infra.local.emulator import Emulator, arguments
from infra.local.photos import content_type_of
from infra.operator.tenants import create_tenant_client
from infra.pictures.images import jpeg_bytes, noisy_scene, product_photo

JOBS: Final = ("rebuild", "import")
# Two jobs, of a tenant each: a tenant of a few hundred images is one part, so one worker's.
CATALOGS: Final = ("catalog-0", "catalog-1")
WARM_UP: Final = 8
JOB_SECONDS: Final = 600.0
# A version that no preset has: the record's rendition is as of presets of long ago.
_OF_LONG_AGO: Final = "0000000000"
_WORKERS: Final = {"rebuild": "RebuildWorkerFunction", "import": "ImportWorkerFunction"}
_DRAWN: Final = (1600, 1200)
_NO_LIVE_SEED: Final = 100_000
_SUFFIXES: Final = {".jpg", ".jpeg", ".png", ".webp"}


class Shop:
    """A deployment with a catalog to work on, and a bucket to import from."""

    def __init__(self, pipeline: Pipeline, photos: Sequence[bytes]) -> None:
        self.pipeline, self.stack = pipeline, pipeline.stack
        outputs = self.stack.outputs
        self._dynamodb, self._assets = self.stack.client("dynamodb"), outputs["AssetsTable"]
        self._numbers = count()
        created = create_tenant_client("operator", scopes=(Scope.ADMIN,), outputs=outputs)
        credentials = Credentials(created.client.client_id, created.client_secret)
        self.admin = CatalogClient(self.stack.api_url, self.stack.token_url, credentials)
        self.bucket = f"old-shop-{self.stack.emulator.account}"
        self._lay(photos)

    def _lay(self, photos: Sequence[bytes]) -> None:
        s3 = self.stack.client("s3")
        s3.create_bucket(Bucket=self.bucket)
        for number, data in enumerate(photos):
            name = f"{number:05}.jpg"
            s3.put_object(
                Bucket=self.bucket, Key=name, Body=data, ContentType=content_type_of(name, data[:16])
            )

    def fill(self) -> None:
        """Import the catalogs that rebuilds work on."""
        for tenant in CATALOGS:
            self.pipeline.add_tenant(tenant)
        for job_id in [self._start("import", tenant) for tenant in CATALOGS]:
            job = self.admin.wait_for_job(job_id, timeout_seconds=JOB_SECONDS)
            assert job.state == "completed", job
            assert job.done > 0, job

    def start(self, kind: str) -> list[str]:
        """Two jobs that have all photos to do."""
        if kind == "import":
            tenants = [f"import-{next(self._numbers)}" for _ in CATALOGS]
            for tenant in tenants:
                self.pipeline.add_tenant(tenant)
            return [self._start(kind, tenant) for tenant in tenants]
        for tenant in CATALOGS:
            self._age(tenant)
        return [self._start(kind, tenant) for tenant in CATALOGS]

    def _start(self, kind: str, tenant: str) -> str:
        options = {"bucket": self.bucket} if kind == "import" else {}
        return self.admin.start_job(kind, dry_run=False, tenant=tenant, **options).id

    def _age(self, tenant: str) -> None:
        """Have every rendition of a catalog be as of presets of long ago."""
        key: dict[str, Any] = {}
        while True:
            answer = self._dynamodb.query(
                TableName=self._assets,
                KeyConditionExpression="tenant = :tenant",
                ExpressionAttributeValues={":tenant": {"S": tenant}},
                **key,
            )
            for item in answer["Items"]:
                self._age_one(item)
            if "LastEvaluatedKey" not in answer:
                return
            key = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def _age_one(self, item: Mapping[str, Any]) -> None:
        renditions = item.get("renditions", {"M": {}})["M"]
        for rendition in renditions.values():
            rendition["M"]["version"] = {"S": _OF_LONG_AGO}
        self._dynamodb.update_item(
            TableName=self._assets,
            Key={"tenant": item["tenant"], "id": item["id"]},
            UpdateExpression="SET renditions = :renditions",
            ConditionExpression="revision = :revision",
            ExpressionAttributeValues={":renditions": {"M": renditions}, ":revision": item["revision"]},
        )

    def tally(self, jobs: Sequence[str]) -> tuple[int, bool]:
        """Images these jobs have done, and whether one of them has more to do."""
        seen = [self.admin.job(job_id) for job_id in jobs]
        done = [job.done + job.skipped + job.failed for job in seen]
        at_work = [
            job.state == "running" and images < job.expected for job, images in zip(seen, done, strict=True)
        ]
        return sum(done), any(at_work)

    @contextmanager
    def running(self, kind: str) -> Iterator[list[str]]:
        """Such jobs, from their first report until they were cancelled and rest."""
        jobs = self.start(kind)
        ends = time.monotonic() + JOB_SECONDS
        while not self.tally(jobs)[0]:
            assert time.monotonic() < ends, [self.admin.job(job_id) for job_id in jobs]
            time.sleep(0.2)
        yield jobs
        for job_id in jobs:
            if not self.admin.job(job_id).is_ended:
                self.admin.order_job(job_id, "cancel")
        for job_id in jobs:
            self.admin.wait_for_job(job_id, timeout_seconds=JOB_SECONDS)


def windows(
    shop: Shop, live: Sequence[Picture], rounds: int, send: Callable[..., list[float]]
) -> list[Window]:
    """No job, a job, no job, the other job; the jobs' order changes with each round."""
    done: list[Window] = []
    for number in range(rounds):
        for kind in JOBS[:: 1 if number % 2 else -1]:
            for job in (NO_JOB, kind):
                shop.pipeline.settle()
                done.append(window(shop, live, job, send))
                tell_window(done[-1])
    return done


def window(shop: Shop, live: Sequence[Picture], job: str, send: Callable[..., list[float]]) -> Window:
    if job == NO_JOB:
        began = time.monotonic()
        return Window(job, tuple(send(live)), time.monotonic() - began)
    with shop.running(job) as jobs:
        cpu, (images, _), began = _cpu(shop, job), shop.tally(jobs), time.monotonic()
        ready = tuple(send(live))
        seconds = time.monotonic() - began
        done, covered = shop.tally(jobs)
        return Window(job, ready, seconds, done - images, _cpu(shop, job) - cpu, covered)


def tell_window(done: Window) -> None:
    p50, p95 = (milliseconds(quantile(done.ready, part)) for part in (0.5, 0.95))
    print(f"{done.job}: p50 {p50} ms, p95 {p95} ms, the job did {done.images} images", file=sys.stderr)


def _cpu(shop: Shop, job: str) -> float:
    return shop.pipeline.cpu()[_WORKERS[job]]


def paced(pipeline: Pipeline, clients: int, every: float) -> Callable[[Sequence[Picture]], list[float]]:
    """Sends photos to a new tenant, one every so many seconds, by so many clients."""
    tenants = (f"live-{number}" for number in count())

    def send(live: Sequence[Picture]) -> list[float]:
        tenant = next(tenants)
        pipeline.add_tenant(tenant).token()
        began = time.monotonic()

        def one(number: int, picture: Picture) -> float:
            time.sleep(max(0.0, began + number * every - time.monotonic()))
            return pipeline.send(tenant, picture).ready

        with ThreadPoolExecutor(clients) as pool:
            return list(pool.map(one, range(len(live)), live))

    return send


def others(folder: Path | None, number: int, live: Sequence[Picture]) -> Iterator[bytes]:
    """Up to so many images that are none of the live ones, spread over the folder; or drawn ones."""
    if folder is None:
        for seed in range(number):
            yield jpeg_bytes((product_photo, noisy_scene)[seed % 2](_NO_LIVE_SEED + seed, _DRAWN), 90)
        return
    sent = {picture.data for picture in live}
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    found = [path for path in paths if path.read_bytes() not in sent]
    for index in sorted({*np.linspace(0, len(found) - 1, min(number, len(found))).round().astype(int)}):
        yield found[index].read_bytes()


def tell(chosen: argparse.Namespace, live: Sequence[Picture], done: Sequence[Window]) -> None:
    rows = []
    for job in (NO_JOB, *JOBS):
        some = of(done, job)
        seconds = sum(each.seconds for each in some)
        rows.append(
            (
                job,
                str(len(times(some))),
                milliseconds(quantile(times(some), 0.5)),
                milliseconds(quantile(times(some), 0.95)),
                *(
                    ("", "", "", "")
                    if job == NO_JOB
                    else (
                        f"{ratio(done, [job], 0.5):.2f}",
                        f"{ratio(done, [job], 0.95):.2f}",
                        f"{sum(each.images for each in some) / seconds:.1f}",
                        f"{sum(each.job_cpu for each in some) / seconds:.2f}",
                    )
                ),
            )
        )
    header = ("", "live uploads", "PUT to ready, ms: p50", "p95", "ratio p50", "ratio p95")
    print(table((*header, "job's images/s", "job's CPU-s/s"), rows))
    unfit = [each.job for each in done if not each.covered]
    if unfit:
        print(f"\nwindows whose job ended in them: {dict(Counter(unfit))}; take a larger --catalog")
    low, high = interval(done, JOBS, 0.95)
    print(f"\np95 while a job ran, of that while none did: 95% within {low:.2f} to {high:.2f}")
    goals = [
        Goal(f"p95 of PUT to ready while a job runs: {job}", ratio(done, [job], 0.95), at_most=1.1)
        for job in JOBS
    ]
    report(
        "jobs_live",
        figures={
            "live": len(live),
            "clients": chosen.clients,
            "every_seconds": chosen.every,
            "catalog": chosen.catalog,
            "windows": [vars(each) for each in done],
            "ratio": {
                job: {
                    f"p{100 * part:.0f}": {
                        "ratio": ratio(done, [job], part),
                        "interval": interval(done, [job], part),
                    }
                    for part in (0.5, 0.95)
                }
                for job in JOBS
            },
        },
        goals=goals,
        out=chosen.out,
    )


def main() -> None:
    parser = arguments(__doc__.split("\n")[0])
    parser.set_defaults(port=4770, name="jobs-live", account="000000000770")
    parser.add_argument("--images", type=Path, help="a folder, searched recursively; else images are drawn")
    parser.add_argument("--take", type=int, default=20, help="live uploads a window")
    parser.add_argument("--catalog", type=int, default=240, help="images that jobs work on")
    parser.add_argument("--rounds", type=int, default=5, help="of four windows each")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--every", type=float, default=1.0, help="seconds between live uploads")
    parser.add_argument("--out", type=Path, help="where to write every figure as JSON")
    chosen = parser.parse_args()

    live = [picture for picture, _ in pictures(chosen.images, chosen.take + WARM_UP)]
    catalog = list(others(chosen.images, chosen.catalog, live))
    if len(live) < chosen.take + WARM_UP or len(catalog) < chosen.catalog:
        sys.exit(f"{chosen.images} has too few images: {len(live)} live, {len(catalog)} for the catalog")
    with deployed(Emulator(port=chosen.port, name=chosen.name, account=chosen.account)) as pipeline:
        shop = Shop(pipeline, catalog)
        shop.fill()
        send = paced(pipeline, chosen.clients, chosen.every)
        send(live[chosen.take :])
        done = windows(shop, live[: chosen.take], chosen.rounds, send)
        shop.admin.close()
    tell(chosen, live[: chosen.take], done)


if __name__ == "__main__":
    main()

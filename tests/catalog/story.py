"""The life of a catalog, chapter by chapter: what each chapter does, and which promises it breaks.

    story = Story(deployment, "acme", catalog, admin, objects)
    for chapter in story.told():
        print(chapter.title, chapter.facts)
        assert chapter.broken == ()

The story imports an old bucket, imports it again, changes a preset, rebuilds while it stops executions, finds
near-duplicates, recounts and erases.  It switches presets and near-duplicates as a deployment does.
"""

import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from catalog.adapters.usage_table import Counters
from catalog.domain.keys import tenant_id
from catalog_images import CatalogClient, Image, Job
from infra.local.tour.jobs import seconds
from infra.local.tour.presets import other_shape
from tests.catalog.photos import Laid, Sort
from tests.end_to_end.deployment import Deployment, within

OLD_BUCKET: Final = "old-shop-of-a-story"
_PATTERN: Final = "media/catalog/{reference}/{filename}"
_THREADS: Final = 4
_NOT_LONG: Final = timedelta(seconds=10)
_COUNTED_WITHIN_SECONDS: Final = 90.0  # the stream gathers changes for 5 s before it counts them


@dataclass(frozen=True, slots=True)
class Chapter:
    """What happened: the figures to show, and the broken promises."""

    title: str
    facts: Mapping[str, Any]
    broken: tuple[str, ...] = ()


@dataclass(frozen=True)
class Story:
    """One tenant and the bucket it comes from.

    `catalog` is the tenant's client.  `admin` is another tenant's, with the scope catalog/admin, since an
    erasure deletes the tenant's clients.  A job may take `job_seconds`; `watch` gets each of its states.
    Unless `patient`, the story cuts an erasure's waits short.
    """

    deployment: Deployment
    tenant: str
    catalog: CatalogClient
    admin: CatalogClient
    objects: Sequence[Laid]
    job_seconds: float = 300.0
    watch: Callable[[Job], None] = lambda _: None
    patient: bool = False

    def told(self) -> Iterator[Chapter]:
        """Every chapter, once it is over."""
        with ExitStack() as undo:
            yield self._lay()
            with self.deployment.configured(NEAR_DUPLICATE_ACTION="off"):
                yield self._import()
                yield self._import_again()
            name, presets = self._other_presets()
            undo.enter_context(self.deployment.configured(PRESETS=presets))
            yield self._rebuild(name)
            yield self._find_duplicates()
            yield self._recount()
            yield self._erase()

    # --- Import -----------------------------------------------------------------------------------------

    def _lay(self) -> Chapter:
        s3 = self.deployment.stack.client("s3")
        s3.create_bucket(Bucket=OLD_BUCKET)
        began = time.monotonic()

        def lay(one: Laid) -> None:
            s3.put_object(Bucket=OLD_BUCKET, Key=one.key, Body=one.data, ContentType=one.content_type)

        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(lay, self.objects))
        sorts = Counter(str(one.sort) for one in self.objects)
        size = sum(len(one.data) for one in self.objects)
        took = round(time.monotonic() - began, 1)
        facts = {"objects": len(self.objects), **sorts, "bytes": size, "seconds": took}
        return Chapter("laid in the old bucket", facts)

    def _import(self) -> Chapter:
        """Every object becomes an image that is ready with its SKUs, or rejected.  A dry run comes first."""
        asked = {"bucket": OLD_BUCKET, "reference_pattern": _PATTERN}
        foretold = self._run("import", dry_run=True, **asked)
        job = self._run("import", dry_run=False, **asked)
        skus: dict[str, set[str]] = defaultdict(set)
        for one in self.objects:
            skus[one.id].add(one.sku)
        broken = {one.id for one in self.objects if one.is_broken}
        images = {image.id: image for image in self.catalog.images()}
        faults = [f"{id_} of {sorted(skus[id_])} is no image" for id_ in skus.keys() - images.keys()]
        faults += [f"{id_} came from nowhere" for id_ in images.keys() - skus.keys()]
        for id_, image in images.items():
            if image.status != ("rejected" if id_ in broken else "ready"):
                faults.append(f"{id_} is {image.status}")
            elif image.status == "ready" and set(image.document["references"]) != skus[id_]:
                faults.append(f"{id_} is used by {image.document['references']}, not {sorted(skus[id_])}")
        failed = [failure["subject"] for failure in self.admin.failures_of(job.id)]
        if len(failed) != len(broken):
            faults.append(f"the failures are {failed}")
        return self._told("imported", [foretold, job], faults)

    def _import_again(self) -> Chapter:
        """The second import skips every object, and stores, writes and counts nothing."""
        before = self._everything()
        job = self._run("import", dry_run=False, bucket=OLD_BUCKET, reference_pattern=_PATTERN)
        faults = [] if job.done == 0 else [f"{job.done} images were imported a second time"]
        if job.skipped != len(self.objects):
            faults.append(f"{job.skipped} of {len(self.objects)} objects were known")
        if self._everything() != before:
            faults.append("something was stored or written")
        return self._told("imported again", [job], faults)

    # --- Rebuild ----------------------------------------------------------------------------------------

    def _other_presets(self) -> tuple[str, str]:
        name, presets = other_shape(json.loads(self.deployment.variable("RenderFunction", "PRESETS")))
        return name, json.dumps(presets)

    def _rebuild(self, name: str) -> Chapter:
        """Stop the rebuild's execution at once, and again after an image changed; the sweeper restarts it."""
        foretold = self._run("rebuild", dry_run=True)
        before = self._stored("RenditionsBucket", "renditions/")
        version = {image.id: _rendition(image, name).id for image in self._ready()}
        started = self.admin.start_job("rebuild", dry_run=False, tenant=self.tenant)
        stopped = self._stop(started)
        changed = next(iter(version))
        within(
            self.job_seconds,
            lambda: _rendition(self.catalog.get(changed), name).id != version[changed],
            "the first image shows its new rendition",
        )
        stopped += self._stop(started)
        job = self._ended(started)
        faults = [] if stopped else ["no execution was there to be stopped"]
        faults += [
            f"{image.id} shows the {name} from before"
            for image in self._ready()
            if _rendition(image, name).id == version[image.id]
        ]
        # The next worker skips an image that a stopped worker rebuilt but did not report.
        if foretold.done + foretold.skipped != job.done + job.skipped or not job.done:
            faults.append(f"{foretold.done} images of {foretold.expected} were foretold, {job.done} rebuilt")
        again = self._run("rebuild", dry_run=False)
        if again.done:
            faults.append(f"{again.done} images were rebuilt a second time")
        facts = {"executions stopped": stopped, "objects before": len(before)}
        return self._told("rebuilt with another preset", [foretold, job, again], faults, facts)

    def _stop(self, job: Job) -> int:
        """Stop the job's executions, run the sweeper, and return how many were stopped."""
        stopped = self.deployment.stop_executions(job.id)
        self.deployment.sweep_jobs()
        return stopped

    # --- Near-duplicates, counters ------------------------------------------------------------------------

    def _find_duplicates(self) -> Chapter:
        """Half-size copies that came while near-duplicates were off join their photos."""
        foretold = self._run("find-duplicates", dry_run=True)
        if any(image.near_duplicate_of for image in self._ready()):
            return self._told("near-duplicates", [foretold], ["the dry run joined some"])
        job = self._run("find-duplicates", dry_run=False)
        joined = {image.id: image.near_duplicate_of for image in self._ready() if image.near_duplicate_of}
        small = {one.id for one in self.objects if one.sort is Sort.SMALLER}
        faults = [] if joined else ["no near-duplicate was found"]
        again = self._run("find-duplicates", dry_run=False)
        facts = {
            "near-duplicates": len(joined),
            "of half-size copies": f"{len(joined.keys() & small)}/{len(small)}",
        }
        return self._told("near-duplicates found", [foretold, job, again], faults, facts)

    def _recount(self) -> Chapter:
        """Falsify the total; the recount restores it."""
        right = self._usage()
        self.deployment.stack.client("dynamodb").update_item(
            TableName=self.deployment.output("UsageTable"),
            Key={"tenant": {"S": self.tenant}, "counter": {"S": "total"}},
            UpdateExpression="ADD assets :n, bytes_originals :n",
            ExpressionAttributeValues={":n": {"N": "1000"}},
        )
        foretold = self._run("recount", dry_run=True)
        faults = [] if self._usage() != right else ["the dry run repaired it"]
        job = self._run("recount", dry_run=False)
        if self._usage() != right:
            faults.append(f"recounted to {self._usage()}, and it was {right}")
        return self._told("recounted", [foretold, job], faults)

    # --- Erase ------------------------------------------------------------------------------------------

    def _erase(self) -> Chapter:
        """Erase the tenant; nothing is left under its name in any table or bucket."""
        foretold = self._run("erase", dry_run=True)
        token = foretold.document["confirm_token"]
        started = self.admin.start_job("erase", dry_run=False, tenant=self.tenant, confirm_token=token)
        job = self.admin.wait_for_job(started.id, timeout_seconds=self.job_seconds, progress=self._hasten)
        return self._told("erased", [foretold, job], self._left())

    def _hasten(self, job: Job) -> None:
        """End the job's waits early: it waits up to 5 minutes for late uploads and workers to end."""
        self.watch(job)
        until = job.document["progress"]["waiting_until"]
        if self.patient or until is None or datetime.fromisoformat(until) < datetime.now(UTC) + _NOT_LONG:
            return
        table, key = self.deployment.output("JobsTable"), {"job": {"S": job.id}, "entry": {"S": "job"}}
        dynamodb = self.deployment.stack.client("dynamodb")
        stage = json.loads(dynamodb.get_item(TableName=table, Key=key)["Item"]["stage"]["S"])
        dynamodb.update_item(
            TableName=table,
            Key=key,
            UpdateExpression="SET stage = :passed",
            ExpressionAttributeValues={
                ":passed": {"S": json.dumps(stage | {"waiting_until": job.document["created_at"]})}
            },
        )
        self._stop(job)

    def _left(self) -> list[str]:
        """Everything under the tenant's name in any table or bucket, except the records of jobs."""
        stack = self.deployment.stack
        pages = stack.client("cloudformation").get_paginator("list_stack_resources")
        resources = [
            (one["ResourceType"], one["PhysicalResourceId"])
            for page in pages.paginate(StackName=stack.name)
            for one in page["StackResourceSummaries"]
        ]
        kept = {self.deployment.output("JobsTable"), self.deployment.output("JobsBucket")}
        tables = [name for kind, name in resources if kind == "AWS::DynamoDB::Table" and name not in kept]
        buckets = [name for kind, name in resources if kind == "AWS::S3::Bucket" and name not in kept]
        assert len(tables) > 5 and len(buckets) > 1
        return [f"{name}: {what}" for name in tables for what in self._items_of(name)] + [
            f"{name}: {what}" for name in buckets for what in self._versions_of(name)
        ]

    def _items_of(self, table: str) -> Iterator[str]:
        named = re.compile(rf'"{self.tenant}["#/]')
        pages = self.deployment.stack.client("dynamodb").get_paginator("scan")
        for page in pages.paginate(TableName=table, ConsistentRead=True):
            for item in page["Items"]:
                if named.search(text := json.dumps(item, default=str)):
                    yield text[:200]

    def _versions_of(self, bucket: str) -> Iterator[str]:
        pages = self.deployment.stack.client("s3").get_paginator("list_object_versions")
        for page in pages.paginate(Bucket=bucket):
            for kind in ("Versions", "DeleteMarkers"):
                yield from (f"{kind} {one['Key']}" for one in page.get(kind, []) if self._owns(one["Key"]))

    def _owns(self, key: str) -> bool:
        return f"/{self.tenant}/" in f"/{key}"

    # ----------------------------------------------------------------------------------------------------

    def _run(self, kind: str, *, dry_run: bool, **asked: Any) -> Job:
        return self._ended(self.admin.start_job(kind, dry_run=dry_run, tenant=self.tenant, **asked))

    def _ended(self, job: Job) -> Job:
        return self.admin.wait_for_job(job.id, timeout_seconds=self.job_seconds, progress=self.watch)

    def _told(
        self, title: str, jobs: Sequence[Job], faults: Sequence[str], facts: Mapping[str, Any] | None = None
    ) -> Chapter:
        """The chapter, with the jobs' figures; a job that did not complete is a broken promise."""
        told: dict[str, Any] = dict(facts or {})
        found = [*faults]
        for number, job in enumerate(jobs, start=1):
            name = f"{number}. {job.kind}{', dry run' if job.dry_run else ''}"
            told[name] = _figures(job)
            if job.state != "completed":
                found.append(f"{name} ended {job.state}: {job.document['reason']}")
        return Chapter(title, told, tuple(found))

    def _ready(self) -> list[Image]:
        return list(self.catalog.images(status="ready"))

    def _stored(self, bucket: str, prefix: str) -> list[tuple[str, str]]:
        """Keys and versions of all the tenant's objects below `prefix`."""
        pages = self.deployment.stack.client("s3").get_paginator("list_object_versions")
        found = pages.paginate(Bucket=self.deployment.output(bucket), Prefix=f"{prefix}{self.tenant}/")
        return [(one["Key"], one["VersionId"]) for page in found for one in page.get("Versions", [])]

    def _everything(self) -> list[Any]:
        """Everything of the tenant that a write changes: records, versions of objects, counters."""
        records = sorted((image.id, image.document["updated_at"]) for image in self.catalog.images())
        return [
            records,
            self._stored("OriginalsBucket", "originals/"),
            self._stored("RenditionsBucket", "renditions/"),
            self._usage(),
        ]

    def _usage(self) -> Any:
        return Counters(self.deployment.output("UsageTable")).total(tenant_id(self.tenant)).usage


def _figures(job: Job) -> str:
    took = seconds(job)
    images = job.done + job.skipped + job.failed
    counted = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in job.counts.items())
    return (
        f"{job.done} done, {job.skipped} skipped, {job.failed} failed; {counted}; {took:.1f} s,"
        f" {images / max(took, 0.001):.1f}/s, ${job.document['estimate']['dollars']:.4f}"
    )


def _rendition(image: Image, preset: str) -> Any:
    return next(rendition for rendition in image.renditions if rendition.preset == preset)

"""Catalog jobs: starts them, watches them, and shows them side by side."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table

from catalog_images import CatalogClient, Image, Job
from infra.local.contact_sheet import ContactSheet
from infra.local.deploy import Stack
from infra.local.progress import progress
from infra.local.report import byte_size
from infra.local.tour.acts import table

JOB_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class Shop:
    """A tenant that moves in with a catalog of its own; `catalog` has the scope catalog/admin."""

    tenant: str
    catalog: CatalogClient
    stack: Stack
    sheet: ContactSheet
    console: Console

    def run(
        self, kind: str, *, dry_run: bool = True, look: Callable[[Job], None] | None = None, **asked: Any
    ) -> Job:
        """Run a job to its end under a bar; `look` sees each of its states."""
        what = f"{kind}, dry run" if dry_run else kind
        with progress(self.console, what, starting=f"{what}: workers start") as advance:

            def watched(job: Job) -> None:
                advance(job.done + job.skipped + job.failed, job.expected or None)
                if look:
                    look(job)

            started = self.catalog.start_job(kind, dry_run=dry_run, tenant=self.tenant, **asked)
            return self.catalog.wait_for_job(started.id, timeout_seconds=JOB_SECONDS, progress=watched)

    def stored(self, output: str, prefix: str) -> dict[str, int]:
        """Keys of this tenant's objects in a bucket of the stack, with their sizes."""
        s3, bucket = self.stack.client("s3"), self.stack.outputs[output]
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}{self.tenant}/")
        return {entry["Key"]: entry["Size"] for page in pages for entry in page.get("Contents", [])}


def side_by_side(jobs: Mapping[str, Job]) -> Table:
    """A table with one column per job, under its name in `jobs`, and one line per figure."""
    shown = table("", *((name, "right") for name in jobs))
    counts = dict.fromkeys(name for job in jobs.values() for name in job.counts)
    lines: dict[str, Callable[[Job], str]] = {
        "images": lambda job: str(job.done),
        "skipped": lambda job: str(job.skipped),
        "failed": lambda job: str(job.failed),
        **{name.replace("_", " "): lambda job, name=name: _count(name, job.counts) for name in counts},
        "dollars": lambda job: f"{job.document['estimate']['dollars']:.4f}",
        "estimated": lambda job: f"{job.document['estimate']['seconds']:.1f} s",
        "took": lambda job: f"{seconds(job):.1f} s",
    }
    for name, value in lines.items():
        shown.add_row(name, *(value(job) for job in jobs.values()))
    return shown


def seconds(job: Job) -> float:
    """Seconds from the job's start to its end, by the API's clock."""
    started, ended = (datetime.fromisoformat(job.document[name]) for name in ("created_at", "ended_at"))
    return (ended - started).total_seconds()


def not_completed(jobs: Mapping[str, Job]) -> list[str]:
    return [
        f"the job {name} ended {job.state}: {job.document.get('reason')}"
        for name, job in jobs.items()
        if job.state != "completed"
    ]


def paths(images: Iterable[Image]) -> set[str]:
    """The paths of all renditions' URLs, without signatures."""
    return {urlsplit(rendition.url).path for image in images for rendition in image.renditions}


def _count(name: str, counts: Mapping[str, int]) -> str:
    number = counts.get(name, 0)
    return byte_size(number) if name.startswith("bytes") or name.endswith("bytes") else str(number)

"""Catalog jobs in a storm: presets change, a job rebuilds everything, and another imports a bucket.

The storm stops executions, and runs the sweeper every few seconds instead of every ten minutes.  It resumes a
job that failed, as the job's alarm tells an operator to.
"""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from catalog_images import CatalogError, Job
from infra.local.tour.presets import other_shape
from tests.catalog.photos import Laid, laid
from tests.end_to_end.deployment import Deployment
from tests.storm.clients import Journal, PatientClient

OLD_BUCKET: Final = "old-shop-of-a-storm"
OBJECTS: Final = 40
# Renditions of about ten images: from then on there is something to rebuild.
RENDERED: Final = 30
_PATTERN: Final = "media/catalog/{reference}/{filename}"
_EVERY_SECONDS: Final = 5.0
_STOPPED: Final = 0.4  # probability that a look at an active job stops its executions
_ENDED_WITHIN_SECONDS: Final = 240.0


@dataclass
class CatalogJobs:
    """A rebuild of all tenants, and an import into one.  `catalog` has the scope catalog/admin."""

    deployment: Deployment
    catalog: PatientClient
    tenant: str
    journal: Journal
    rng: random.Random
    objects: tuple[Laid, ...] = field(default_factory=lambda: tuple(laid(OBJECTS)))
    happened: Counter[str] = field(default_factory=Counter)
    deployed_at: float = 0.0

    def lay(self) -> None:
        """Put objects into the bucket to import."""
        s3 = self.deployment.stack.client("s3")
        s3.create_bucket(Bucket=OLD_BUCKET)
        for one in self.objects:
            s3.put_object(Bucket=OLD_BUCKET, Key=one.key, Body=one.data, ContentType=one.content_type)

    def has_something_to_do(self) -> bool:
        stored = self.deployment.stack.client("s3").list_objects_v2(
            Bucket=self.deployment.output("RenditionsBucket"), MaxKeys=RENDERED
        )
        return bool(stored["KeyCount"] >= RENDERED)

    def run(self, begin: Callable[[], bool], over: threading.Event) -> None:
        """Once `begin` is true, start both jobs; look after them and stop executions until `over` is set."""
        while not begin():
            if over.wait(1):
                return
        self.change_presets()
        asked: list[dict[str, Any]] = [{"kind": "rebuild", "tenant": "*"}, self.importing]
        while not over.is_set():
            try:
                while asked:
                    self.catalog.start_job(dry_run=False, **asked[0])
                    del asked[0]
                active = self.look_after()
            except (CatalogError, httpx.HTTPError) as error:
                self.happened[f"given up: {type(error).__name__}"] += 1
                continue
            for job in active:
                if self.rng.random() < _STOPPED:
                    self.happened["executions stopped"] += self.deployment.stop_executions(job.id)
            over.wait(self.rng.uniform(0.5, 1.5) * _EVERY_SECONDS)

    @property
    def importing(self) -> dict[str, Any]:
        return {
            "kind": "import",
            "tenant": self.tenant,
            "bucket": OLD_BUCKET,
            "reference_pattern": _PATTERN,
        }

    def change_presets(self) -> None:
        """Change the presets during traffic, as a deployment does."""
        _, presets = other_shape(json.loads(self.deployment.variable("RenderFunction", "PRESETS")))
        self.deployment.configure(PRESETS=json.dumps(presets))
        self.deployed_at = time.time()

    def look_after(self) -> list[Job]:
        """Resume failed jobs and run the sweeper; return the jobs that have not ended."""
        jobs = list(self.catalog.jobs())
        for job in jobs:
            if job.state == "failed":
                self.happened[f"resumed after: {job.document['reason']}"[:90]] += 1
                self.catalog.order_job(job.id, "resume")
        self.deployment.sweep_jobs()
        return [job for job in jobs if job.state not in {"completed", "cancelled"}]

    def finish(self) -> list[Job]:
        """After the storm: let all jobs end, then run another rebuild and another import to their ends.

        Returns these two.  Notes every imported object as accepted and in use.
        """
        self._settle()
        last = [
            self.catalog.start_job(dry_run=False, **asked)
            for asked in ({"kind": "rebuild", "tenant": "*"}, self.importing)
        ]
        self._settle()
        for one in self.objects:
            self.journal.accept(self.tenant, one.id)
            # A broken image may have got its reference before ingestion rejected it.
            self.journal.hold(self.tenant, one.id, one.sku, None if one.is_broken else True)
        return [self.catalog.job(job.id) for job in last]

    def _settle(self) -> None:
        ends = time.monotonic() + _ENDED_WITHIN_SECONDS
        while self.look_after() and time.monotonic() < ends:
            time.sleep(1)

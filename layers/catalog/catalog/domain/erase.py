"""Erasing: everything of a tenant, or of one image, is deleted for good, and a signed report says so."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from catalog.domain.assets import Asset
from catalog.domain.errors import CallerError, Kind
from catalog.domain.jobs import Job
from catalog.domain.keys import AssetId
from catalog.domain.purge import stored_bytes

# By then every function that began before has ended: none that stores or deletes something outlives the 180 s
# of a job's worker, and the stream counts what it left within seconds.
WORKERS_END_AFTER: Final = timedelta(seconds=180)
# A check after the last sweep sweeps what it finds.  After this many checks the job reports that, and stops.
MOST_CHECKS: Final = 5
STILL_FOUND: Final = "still-found"  # tells the last part that the last check still found something
# Counts of a dry run, which are compared before it is confirmed.
IMAGES_COUNTED: Final = "images_counted"
BYTES_COUNTED: Final = "bytes_counted"
# Items that a check after the last sweep has found.
LATE: Final = "found_late"


class DryRunOutdatedError(CallerError):
    """The images to erase are not those that the dry run found."""

    kind = Kind.CONFLICT
    code = "confirm_token_outdated"
    message = "images came or went since the dry run; another one gives a token for what is there now"


class TenantHasJobsError(CallerError):
    """Other jobs would go on storing images during the erasure."""

    kind = Kind.CONFLICT
    code = "tenant_has_jobs"
    message = "other jobs of this tenant are under way; let them end, or cancel them"


def image_of(options: Mapping[str, Any]) -> AssetId | None:
    """The image that a job with these options erases; None: the whole tenant."""
    id_ = options.get("image")
    return AssetId(id_) if id_ else None


def standing(assets: Iterable[Asset]) -> dict[str, int]:
    """A dry run's counts of these images, which are compared before it is confirmed."""
    found = list(assets)
    return {IMAGES_COUNTED: len(found), BYTES_COUNTED: stored_bytes(found)}


def report_of(job: Job, *, at: datetime) -> dict[str, Any]:
    """What was erased, when, and who requested it.  If `failed` is above 0, something is left."""
    counts = {name: number for name, number in job.tally.counts.items() if number}
    return {
        "job": job.id,
        "tenant": job.tenant,
        "image": image_of(job.options),
        "requested_by": job.requested_by,
        "requested_at": _instant(job.created_at),
        "erased_at": _instant(at),
        "erased": counts,
        "failed": job.tally.failed,
    }


def statement_of(report: Mapping[str, Any]) -> bytes:
    """The bytes of a report to sign: JSON, keys sorted, no spaces, ASCII only."""
    return json.dumps(report, sort_keys=True, separators=(",", ":")).encode()


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

"""The environment, read here and nowhere else: typed, at import, and naming what is wrong.

Where AWS is comes from the SDK's own variables; nothing here knows whether this runs on AWS or a laptop.
"""

import os
from collections.abc import Iterable
from datetime import timedelta

from catalog.domain.fingerprints import PHashAlgorithm
from catalog.domain.near_duplicates import NearDuplicateAction
from catalog.domain.presets import Preset, parse_presets
from catalog.domain.sources import SourceFormat, parse_pixel_limits


class SettingError(RuntimeError):
    """A setting is missing or cannot be used; it fails the cold start by name."""


def text(name: str) -> str:
    """A setting that must be there.  Raises SettingError."""
    value = os.environ.get(name, "")
    if not value:
        raise SettingError(f"{name} is not set")
    return value


def whole(name: str, *, low: int, high: int) -> int:
    """A whole number from `low` to `high`, both included.  Raises SettingError."""
    value = text(name)
    try:
        number = int(value)
    except ValueError:
        number = low - 1
    if not low <= number <= high:
        raise SettingError(f"{name} must be a whole number from {low} to {high}, not {value!r}")
    return number


def assets_table() -> str:
    return text("ASSETS_TABLE")


def clients_table() -> str:
    return text("CLIENTS_TABLE")


def tenants_table() -> str:
    return text("TENANTS_TABLE")


def user_pool_id() -> str:
    return text("USER_POOL_ID")


def originals_bucket() -> str:
    return text("ORIGINALS_BUCKET")


def renditions_bucket() -> str:
    return text("RENDITIONS_BUCKET")


def renditions_base_url() -> str | None:
    """Where a CDN serves the renditions bucket, without a trailing slash; None: presigned URLs."""
    return os.environ.get("RENDITIONS_BASE_URL", "").rstrip("/") or None


def view_signer() -> tuple[str, str] | None:
    """CloudFront's id of a public key and the KMS key that signs views with it; None: anybody may view."""
    key_pair, _, key_id = os.environ.get("VIEW_SIGNER", "").partition(" ")
    return (key_pair, key_id) if key_pair and key_id else None


def uploads_queue_url() -> str:
    return text("UPLOADS_QUEUE_URL")


def render_queue_url() -> str:
    return text("RENDER_QUEUE_URL")


def cors_allow_origin() -> str:
    return text("CORS_ALLOW_ORIGIN")


def max_upload_bytes() -> int:
    """Bytes; a presigned PUT carries up to 5 GiB, a function's memory far less."""
    return whole("MAX_UPLOAD_BYTES", low=1, high=100 * 1024 * 1024)


def presets() -> tuple[Preset, ...]:
    """Raises SettingError naming every fault of PRESETS."""
    try:
        return parse_presets(text("PRESETS"))
    except ValueError as error:
        raise SettingError(str(error)) from error


def presets_per_job() -> int:
    return whole("PRESETS_PER_JOB", low=1, high=16)


def pixels_rendered_on_arrival() -> int:
    """Pixels (width x height) up to which ingest renders an original; 0: none."""
    return whole("PIXELS_RENDERED_ON_ARRIVAL", low=0, high=100_000_000)


def pixel_limits() -> dict[SourceFormat, int]:
    """Pixels (width x height) by format.  Raises SettingError."""
    try:
        return dict(parse_pixel_limits(os.environ.get("PIXEL_LIMITS") or "{}"))
    except ValueError as error:
        raise SettingError(str(error)) from error


def purge_runs_table() -> str:
    return text("PURGE_RUNS_TABLE")


def purge_queue_url() -> str:
    return text("PURGE_QUEUE_URL")


def signing_key_id() -> str:
    return text("SIGNING_KEY_ID")


def purge_grace() -> timedelta:
    """How long an asset stays unused before the schedule, or a request that says nothing else, purges it."""
    return timedelta(days=whole("PURGE_GRACE_DAYS", low=0, high=3650))


def usage_table() -> str:
    return text("USAGE_TABLE")


def event_bus_name() -> str:
    return text("EVENT_BUS_NAME")


def api_url() -> str:
    """Where the API answers, without a trailing slash."""
    return text("API_URL")


def webhooks_table() -> str:
    return text("WEBHOOKS_TABLE")


def webhooks_queue_url() -> str:
    return text("WEBHOOKS_QUEUE_URL")


def webhooks_dead_letters_url() -> str:
    return text("WEBHOOKS_DEAD_LETTERS_URL")


def secrets_key_id() -> str:
    return text("SECRETS_KEY_ID")


def webhooks_to_loopback() -> bool:
    """Whether webhooks may be sent to this very machine; only the local configuration says so."""
    return _one_of("WEBHOOKS_TO_LOOPBACK", ("true", "false")) == "true"


def hash_bands_table() -> str:
    return text("HASH_BANDS_TABLE")


def references_table() -> str:
    return text("REFERENCES_TABLE")


def pairs_table() -> str:
    return text("PAIRS_TABLE")


def near_duplicate_action() -> NearDuplicateAction:
    return NearDuplicateAction(_one_of("NEAR_DUPLICATE_ACTION", NearDuplicateAction))


def phash_algorithm() -> PHashAlgorithm:
    return PHashAlgorithm(_one_of("PHASH_ALGORITHM", PHashAlgorithm))


def phash_hamming_threshold() -> int:
    """Bits; -1 stands for the algorithm's own."""
    algorithm = phash_algorithm()
    bits = whole("PHASH_HAMMING_THRESHOLD", low=-1, high=algorithm.bits)
    return algorithm.default_threshold if bits < 0 else bits


def _one_of(name: str, choices: Iterable[str]) -> str:
    value, known = text(name), list(choices)
    if value not in known:
        raise SettingError(f"{name} must be one of {', '.join(known)}, not {value!r}")
    return value


def jobs_table() -> str:
    return text("JOBS_TABLE")


def jobs_bucket() -> str:
    return text("JOBS_BUCKET")


def job_machine() -> str:
    """The ARN of the state machine."""
    return text("JOB_MACHINE")


def job_concurrency() -> int:
    """Workers of a job at once, at most."""
    return whole("JOB_CONCURRENCY", low=1, high=100)


def imported_table() -> str:
    return text("IMPORTED_TABLE")


def import_buckets() -> tuple[str, ...]:
    """Names of the buckets that imports may read, from their ARNs; a `*` may end one."""
    arns = os.environ.get("IMPORT_BUCKETS", "").split(",")
    return tuple(arn.rpartition(":")[2] for arn in arns if arn)


def old_renditions() -> timedelta:
    """How long the addresses of replaced renditions last, before a rebuild removes the objects."""
    return timedelta(seconds=whole("OLD_RENDITIONS_SECONDS", low=0, high=31_536_000))


def upload_url_lasts() -> timedelta:
    """How long a presigned PUT is valid."""
    return timedelta(seconds=whole("UPLOAD_URL_SECONDS", low=60, high=900))

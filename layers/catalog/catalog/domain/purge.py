"""Purge: which assets are unused, and the confirmation that deleting them requires."""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from catalog.domain.assets import AWAITED_FOR, Asset, AssetStateError, Status
from catalog.domain.errors import CallerError, Kind
from catalog.domain.keys import AssetId, TenantId

# Assets one run removes: at 50-100 ms each it ends within a minute; what is left is the next run's.
MAX_CANDIDATES: Final = 500
CONFIRMATION_VALID_FOR: Final = timedelta(minutes=15)
REJECTED_KEPT_FOR: Final = timedelta(days=7)
RUNS_KEPT_FOR: Final = timedelta(days=400)
# A worker's claim on a run: longer than a function lives (its timeout is in the template), so that of two
# workers one is dead.
CLAIMED_FOR: Final = timedelta(seconds=90)
_DIGEST_BYTES: Final = 32
# A token of ours has about 300 characters; KMS refuses to look at a statement of over 4,096 bytes.
_LONGEST_TOKEN: Final = 1_024
_SIGNATURE_BYTES: Final = 32


class InvalidConfirmTokenError(CallerError):
    """No token of this API for this tenant: altered, foreign, or never given."""

    kind = Kind.FORBIDDEN
    code = "invalid_confirm_token"
    message = "confirm_token is not one of a dry run of this tenant"


class ConfirmTokenExpiredError(CallerError):
    """The token was valid and is not any more; a new dry run gives a new one."""

    kind = Kind.CONFLICT
    code = "confirm_token_expired"
    message = "confirm_token has expired; a new dry run gives a new one"


class RunAlreadyConfirmedError(CallerError):
    """The token has done its work; using it again deletes nothing."""

    kind = Kind.CONFLICT
    code = "confirm_token_used"
    message = "confirm_token was used; GET /v1/purge/runs tells what became of the run"


class ImageReferencedError(AssetStateError):
    """Someone uses the image: it is not deleted."""

    code = "image_referenced"
    message = "this image has references; release them first"


class ImageSharedError(AssetStateError):
    """Near-duplicates show the image's renditions: they would be left without any."""

    code = "image_shared"
    message = (
        "near-duplicates show this image's renditions; delete those first,"
        " or decide `distinct` for each: PUT /v1/images/{id}/duplicates/{other}"
    )


class ImageLentError(AssetStateError):
    """Addresses of its renditions were given out for a near-duplicate that has moved away, and are valid."""

    code = "image_lent"
    message = "addresses of this image's renditions were given out for a near-duplicate; try again in an hour"


class ImageInWorkError(AssetStateError):
    """The image is being checked or rendered, or its upload has just arrived."""

    code = "image_in_work"
    message = "this image is being processed; try again when it is ready, rejected or a day old"


class RunClaimedError(Exception):
    """The run is claimed or completed; retry after CLAIMED_FOR."""


class PurgeRunNotFoundError(LookupError):
    """This tenant has no such run."""


class RunState(StrEnum):
    """`proposed -> running -> completed`; a proposal nobody confirms stays one."""

    PROPOSED = "proposed"
    RUNNING = "running"
    COMPLETED = "completed"


class RunSource(StrEnum):
    """Who asked: an administrator, the daily schedule, or a client that deletes one image."""

    REQUEST = "request"
    SCHEDULE = "schedule"
    DELETION = "deletion"


class Kept(StrEnum):
    """Why a candidate was not deleted after all."""

    IN_USE = "in_use"  # referenced, or used again since it was found
    ANNOUNCED = "announced_again"  # a client was told within the grace period that these bytes are here
    GONE = "gone"  # another run has deleted it or is deleting it, or its announcement was forgotten


@dataclass(frozen=True, slots=True)
class PurgeRun:
    """One purge of one tenant: what was found, what was confirmed and what became of it.

    `as_of` is the moment the candidates were judged at; `position` counts those that have been dealt with;
    `taken` are those after it that this run has taken out of use and is deleting.
    """

    tenant: TenantId
    id: str
    state: RunState
    source: RunSource
    requested_by: str
    as_of: datetime
    older_than: timedelta
    candidates: tuple[AssetId, ...]
    size_bytes: int
    more: bool
    position: int = 0
    taken: tuple[AssetId, ...] = ()
    deleted: int = 0
    kept: Mapping[AssetId, Kept] = field(default_factory=dict)
    confirmed_at: datetime | None = None
    completed_at: datetime | None = None

    @property
    def is_dry_run(self) -> bool:
        """Nobody has confirmed it."""
        return self.state is RunState.PROPOSED

    def unused_before(self, status: Status) -> datetime | None:
        """`unused_before` of this run.  A client that deletes an image does so before it is uploaded, too."""
        if self.source is RunSource.DELETION and status is Status.AWAITING_UPLOAD:
            return self.as_of
        return unused_before(status, as_of=self.as_of, older_than=self.older_than)

    @property
    def digest(self) -> str:
        """SHA-256 over exactly this set of candidates, whatever their order."""
        return hashlib.sha256("\n".join(sorted(self.candidates)).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class PurgeJob:
    """Work on a tenant's run, or, without one, start the scheduled purge of that tenant.

    `hops` jobs came before it, each of which caused the next (catalog.domain.hops).
    """

    tenant: TenantId
    run_id: str | None = None
    hops: int = 0


def unused_before(status: Status, *, as_of: datetime, older_than: timedelta) -> datetime | None:
    """The moment before which an asset of this status must have become unused to be a candidate.

    None: assets of this status are never candidates.  Rejected ones are kept 7 days at most, announced ones
    that never came a day, and one that is being processed is given at least a day to finish.
    """
    match status:
        case Status.READY:
            return as_of - older_than
        case Status.PROCESSING:
            return as_of - max(older_than, AWAITED_FOR)
        case Status.REJECTED:
            return as_of - min(older_than, REJECTED_KEPT_FOR)
        case Status.AWAITING_UPLOAD:
            return as_of - AWAITED_FOR
        case Status.DELETING:
            return None


def stored_bytes(assets: Iterable[Asset]) -> int:
    """Bytes that deleting these assets frees: originals and renditions."""
    return sum(
        asset.size_bytes + sum(rendition.size_bytes for rendition in asset.renditions.values())
        for asset in assets
        if asset.status is not Status.AWAITING_UPLOAD
    )


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What a confirm token says, once its signature is verified: this run, this set, until then."""

    tenant: TenantId
    run_id: str
    digest: str
    expires_at: datetime

    def statement(self) -> bytes:
        """The bytes that are signed."""
        return json.dumps(
            [self.tenant, self.run_id, self.digest, int(self.expires_at.timestamp())], separators=(",", ":")
        ).encode()


def confirm_token(confirmation: Confirmation, signature: bytes) -> str:
    """The statement and its signature, each in unpadded URL-safe base64, with a dot between."""
    return f"{_encoded(confirmation.statement())}.{_encoded(signature)}"


def read_confirm_token(token: str) -> tuple[Confirmation, bytes]:
    """What the token says and the signature that must be verified before any of it is believed.

    Raises InvalidConfirmTokenError.
    """
    if len(token) > _LONGEST_TOKEN:
        raise InvalidConfirmTokenError(token[:80])
    try:
        statement, signature = (_decoded(part) for part in token.split("."))
        tenant, run_id, digest, expires_at = json.loads(statement)
        confirmation = Confirmation(
            TenantId(str(tenant)), str(run_id), str(digest), datetime.fromtimestamp(expires_at, UTC)
        )
        # Only the one spelling that was signed is a token: no padding, white space or other JSON.
        canonical = confirm_token(confirmation, signature) == token
    except (ValueError, TypeError, OverflowError, OSError, RecursionError) as error:
        raise InvalidConfirmTokenError(token[:80]) from error
    if not canonical or len(signature) != _SIGNATURE_BYTES:
        raise InvalidConfirmTokenError(token[:80])
    return confirmation, signature


def packed(candidates: Iterable[AssetId]) -> bytes:
    """The ids as one string of 32-byte digests: half the size of their text."""
    return b"".join(bytes.fromhex(id_) for id_ in candidates)


def unpacked(digests: bytes) -> tuple[AssetId, ...]:
    """The inverse of `packed`."""
    starts = range(0, len(digests), _DIGEST_BYTES)
    return tuple(AssetId(digests[start : start + _DIGEST_BYTES].hex()) for start in starts)


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)

"""Limits: how often a tenant may upload, and how much it may store."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from catalog.domain.errors import CallerError, Kind, TooManyError

MAX_UPLOADS_PER_MINUTE: Final = 1_000_000
MAX_STORED_BYTES: Final = 10**15  # a petabyte


class TooManyUploadsError(TooManyError):
    """The tenant has used this minute's uploads; more are available in `retry_after` seconds."""

    code = "too_many_uploads"
    message = "your tenant's uploads of this minute are used up; Retry-After says when to go on"


class StorageLimitReachedError(CallerError):
    """With these bytes the tenant would store more than it may."""

    kind = Kind.FORBIDDEN
    code = "storage_limit_reached"
    message = "this upload would take your tenant over the bytes it may store"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one tenant may do; None is no limit.

    `uploads_per_minute` counts the tickets given in a minute of the clock (UTC): announcements of bytes that
    are here already send nothing, and cost nothing.  `stored_bytes` is originals and renditions together.
    """

    uploads_per_minute: int | None = None
    stored_bytes: int | None = None

    def check_storage(self, stored_bytes: int, announced_bytes: int) -> None:
        """Raises StorageLimitReachedError where the announced bytes do not fit beside the stored ones."""
        if self.stored_bytes is not None and stored_bytes + announced_bytes > self.stored_bytes:
            raise StorageLimitReachedError(f"{stored_bytes} of {self.stored_bytes} bytes are in use")


NO_LIMITS: Final = Limits()


def minute_of(moment: datetime) -> int:
    """Whole minutes since 1970: the window in which uploads are counted."""
    return int(moment.timestamp()) // 60


def seconds_to_next_minute(moment: datetime) -> int:
    """1-60."""
    return 60 - int(moment.timestamp()) % 60

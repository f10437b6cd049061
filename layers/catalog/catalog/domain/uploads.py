"""Uploads: what a client announces, the leave it gets to send it, and what may then lie in the bucket."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from catalog.domain.errors import CallerError, Kind
from catalog.domain.keys import AssetKey
from catalog.domain.sources import SourceFormat

# A presigned PUT is good for this long.
TICKETS_LAST: Final = timedelta(minutes=15)
# Versions of one original that are stored within that time, before ingest leaves the last one in its place.
MOST_VERSIONS: Final = 3

# What a client may declare.  The content decides in the end; this keeps obvious mistakes from being sent.
DECLARED_TYPES: Final = tuple(f"image/{kind}" for kind in SourceFormat)


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a client says of the bytes it is about to send.  Nothing here is trusted but the hash, by S3."""

    filename: str
    content_type: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class PresignedUpload:
    """A PUT that S3 accepts only with exactly these headers, and so only with exactly the announced bytes."""

    url: str
    headers: dict[str, str]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class UploadTicket:
    """Leave to send the announced bytes of one asset, and nothing else."""

    key: AssetKey
    upload: PresignedUpload


class SentOverAndOverError(Exception):
    """Purged bytes that nobody announced are sent again and again; once their tickets expire they go."""


class OriginalMissingError(LookupError):
    """No object lies where the original should."""


class OriginalTooLargeError(CallerError):
    """The object is larger than an upload may be; it was not read."""

    kind = Kind.TOO_LARGE
    code = "too_large"
    message = "this original is larger than an upload may be today"

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"{size_bytes} bytes")
        self.size_bytes = size_bytes

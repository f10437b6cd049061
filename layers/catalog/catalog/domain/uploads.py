"""Uploads: announcements and presigned tickets."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from catalog.domain.errors import CallerError, Kind
from catalog.domain.keys import AssetKey
from catalog.domain.sources import SourceFormat

# A presigned PUT is valid for this long, or for less where the deployment says so (UploadUrlSeconds).
TICKETS_LAST: Final = timedelta(minutes=15)
# Versions of a purged original within that time; at the last one ingest stops deleting them.
MOST_VERSIONS: Final = 3

# What a client may declare.  The content decides in the end; this keeps obvious mistakes from being sent.
# image/heif is what some browsers call a HEIC.
DECLARED_TYPES: Final = (*(f"image/{kind}" for kind in SourceFormat), "image/heif")
LONGEST_FILENAME: Final = 255  # characters
# Control characters and lone surrogates cannot be shown; the latter cannot be stored either.
UNSTORABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a client says about the bytes it will send.  S3 checks the hash; nothing else is trusted."""

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
    """Permission to send the announced bytes of one asset.

    Logs and events of the asset carry the `correlation_id`.
    """

    key: AssetKey
    upload: PresignedUpload
    correlation_id: str | None


class SentOverAndOverError(Exception):
    """A purged, unannounced original was sent repeatedly.  It is deleted when its tickets have expired."""


class OriginalMissingError(LookupError):
    """The original is not in the bucket."""


class OriginalTooLargeError(CallerError):
    """The object is larger than an upload may be; it was not read."""

    kind = Kind.TOO_LARGE
    code = "too_large"
    message = "this original is larger than an upload may be today"

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"{size_bytes} bytes")
        self.size_bytes = size_bytes

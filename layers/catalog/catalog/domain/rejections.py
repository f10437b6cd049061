"""Why an upload can never become an asset.  Not a fault: never retried."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from catalog.domain.errors import CallerError, Kind


class RejectionCode(StrEnum):
    """Stable codes, part of the API: clients branch on them."""

    EMPTY = "empty"
    TOO_LARGE = "too_large"
    CHECKSUM_MISMATCH = "checksum_mismatch"
    UNSUPPORTED_FORMAT = "unsupported_format"
    TOO_MANY_PIXELS = "too_many_pixels"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    DAMAGED = "damaged"  # it decodes, but the decoder had to guess at pixels
    ORIGINAL_MISSING = "original_missing"  # deleted from the bucket before it could be rendered
    ORIGINAL_ARCHIVED = "original_archived"  # in a storage class that cannot be read, GLACIER for one


HEALING: Final = (
    RejectionCode.CHECKSUM_MISMATCH,
    RejectionCode.ORIGINAL_MISSING,
    RejectionCode.ORIGINAL_ARCHIVED,
)


@dataclass(frozen=True, slots=True)
class Rejection:
    """The recorded reason; `detail` is for people and may change its words."""

    code: RejectionCode
    detail: str

    @property
    def heals_with_the_bytes(self) -> bool:
        """The stored object was wrong, not these bytes: sending them again repairs it."""
        return self.code in HEALING


class ImageRejectedError(CallerError):
    """These bytes cannot become an asset.  Raised by checks and decoders, recorded by ingest."""

    kind = Kind.UNUSABLE_IMAGE

    def __init__(self, code: RejectionCode, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code, self.message = code, detail
        self.rejection = Rejection(code, detail)

"""POST /v1/images."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from catalog.api.inputs.fields import (
    Fault,
    InvalidRequestError,
    UnsupportedTypeError,
    batch_of,
    is_text,
    json_object,
    text_of,
    unknown_fields,
)
from catalog.domain.errors import CallerError, Kind
from catalog.domain.keys import AssetId, asset_id
from catalog.domain.uploads import DECLARED_TYPES, LONGEST_FILENAME, Announcement

MOST_ANNOUNCED: Final = 100  # what one BatchGetItem reads

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Announced:
    """One item of a batch: the announcement, or why it is none; the id where it names one."""

    id: AssetId | None
    announcement: Announcement | CallerError


class UploadTooLargeError(CallerError):
    """The announced size is over the limit."""

    kind = Kind.TOO_LARGE
    code = "too_large"


def upload_request(body: str | None, *, max_upload_bytes: int) -> tuple[AssetId, Announcement]:
    """The body of POST /v1/images.  Raises InvalidRequestError, UnsupportedTypeError, UploadTooLargeError."""
    return _announcement(json_object(body), max_upload_bytes)


def announcements_request(body: str | None, *, max_upload_bytes: int) -> list[Announced]:
    """The body of POST /v1/images/batch; an item's fault is its own.  Raises InvalidRequestError."""
    return [_announced(item, max_upload_bytes) for item in batch_of(body, "images", most=MOST_ANNOUNCED)]


def _announced(item: Mapping[str, Any], max_upload_bytes: int) -> Announced:
    try:
        return Announced(*_announcement(item, max_upload_bytes))
    except CallerError as error:
        sha256 = str(item.get("sha256"))
        return Announced(asset_id(sha256) if _SHA256.fullmatch(sha256) else None, error)


def _announcement(given: Mapping[str, Any], max_upload_bytes: int) -> tuple[AssetId, Announcement]:
    faults = unknown_fields(given, {"sha256", "size_bytes", "content_type", "filename"})
    sha256, size_bytes = given.get("sha256"), given.get("size_bytes")
    content_type, filename = given.get("content_type"), given.get("filename")
    if not (isinstance(sha256, str) and _SHA256.fullmatch(sha256)):
        faults.append(Fault("sha256", "must be the SHA-256 of the bytes as 64 lower-case hex digits"))
    if not isinstance(size_bytes, int) or isinstance(size_bytes, bool) or size_bytes < 1:
        faults.append(Fault("size_bytes", "must be a whole number of bytes above 0"))
    if not isinstance(content_type, str):
        faults.append(Fault("content_type", "must be a media type"))
    if not is_text(filename, LONGEST_FILENAME):
        faults.append(Fault("filename", text_of(LONGEST_FILENAME)))
    if faults:
        raise InvalidRequestError(faults)
    assert isinstance(sha256, str) and isinstance(size_bytes, int)  # noqa: S101  checked above, for the types
    assert isinstance(content_type, str) and isinstance(filename, str)  # noqa: S101
    if content_type not in DECLARED_TYPES:
        raise UnsupportedTypeError(f"content_type must be one of {', '.join(DECLARED_TYPES)}")
    if size_bytes > max_upload_bytes:
        raise UploadTooLargeError(f"size_bytes is {size_bytes}; at most {max_upload_bytes} are accepted")
    return asset_id(sha256), Announcement(filename, content_type, size_bytes)

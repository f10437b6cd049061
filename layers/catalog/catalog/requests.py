"""What callers send, checked: every fault is named, unknown fields are refused, nothing is guessed."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from catalog.domain.assets import Status
from catalog.domain.keys import (
    AssetId,
    NotAnAssetIdError,
    NotATenantIdError,
    TenantId,
    asset_id,
    tenant_id,
)
from catalog.domain.near_duplicates import Decision, Verdict
from catalog.domain.uploads import DECLARED_TYPES, Announcement

MAX_PAGE: Final = 100
_DEFAULT_PAGE: Final = 50
_MAX_FILENAME: Final = 255  # characters
_MOST_PAIRS: Final = 50  # each names two images, and one batch reads 100
# No segment that clients or proxies normalise away (`//`, `/./`, `/../`), and no `%`: a name is the same
# whether a gateway has decoded the path or not.
_REFERENCE: Final = re.compile(r"[A-Za-z0-9](?: *(?:/?[A-Za-z0-9_:@~#+,=&()'!*$;-]|\.))*")
_LONGEST_REFERENCE: Final = 128
_HOLDS: Final = "duplicate/"  # what near-duplicates hold an image by
# Control characters and lone surrogates: neither can be shown, and the latter cannot be stored.
_UNSTORABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a request, by the name of its field."""

    field: str
    message: str


class InvalidRequestError(ValueError):
    """The request cannot be understood; `faults` names everything that is wrong with it."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(f"{fault.field}: {fault.message}" for fault in faults))
        self.faults = faults


class UnsupportedTypeError(ValueError):
    """The declared content type is none that this pipeline accepts."""


class UploadTooLargeError(ValueError):
    """The announced size is over the limit."""


def json_object(body: str | bytes | None) -> dict[str, Any]:
    """The JSON object in a request's body.  Raises InvalidRequestError."""
    try:
        value = json.loads(body or "")
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError([Fault("body", "must be a JSON object")]) from error
    if not isinstance(value, dict):
        raise InvalidRequestError([Fault("body", "must be a JSON object")])
    return value


def unknown_fields(given: Mapping[str, Any], known: set[str]) -> list[Fault]:
    """A fault for every field that the request does not have."""
    return [Fault(name[:80], "is not a field of this request") for name in sorted(set(given) - known)]


def is_tenant_id(value: object) -> bool:
    """Whether a value from a request can name a tenant."""
    try:
        return isinstance(value, str) and bool(tenant_id(value))
    except NotATenantIdError:
        return False


def upload_request(body: str | None, *, max_upload_bytes: int) -> tuple[AssetId, Announcement]:
    """The body of POST /v1/images.  Raises InvalidRequestError, UnsupportedTypeError, UploadTooLargeError."""
    given = json_object(body)
    faults = unknown_fields(given, {"sha256", "size_bytes", "content_type", "filename"})
    sha256, size_bytes = given.get("sha256"), given.get("size_bytes")
    content_type, filename = given.get("content_type"), given.get("filename")
    if not (isinstance(sha256, str) and re.fullmatch(r"[0-9a-f]{64}", sha256)):
        faults.append(Fault("sha256", "must be the SHA-256 of the bytes as 64 lower-case hex digits"))
    if not isinstance(size_bytes, int) or isinstance(size_bytes, bool) or size_bytes < 1:
        faults.append(Fault("size_bytes", "must be a whole number of bytes above 0"))
    if not isinstance(content_type, str):
        faults.append(Fault("content_type", "must be a media type"))
    if (
        not isinstance(filename, str)
        or not 1 <= len(filename) <= _MAX_FILENAME
        or _UNSTORABLE.search(filename)
    ):
        faults.append(
            Fault("filename", f"must be 1 to {_MAX_FILENAME} characters without control characters")
        )
    if faults:
        raise InvalidRequestError(faults)
    assert isinstance(sha256, str) and isinstance(size_bytes, int)  # noqa: S101  checked above, for the types
    assert isinstance(content_type, str) and isinstance(filename, str)  # noqa: S101
    if content_type not in DECLARED_TYPES:
        raise UnsupportedTypeError(f"content_type must be one of {', '.join(DECLARED_TYPES)}")
    if size_bytes > max_upload_bytes:
        raise UploadTooLargeError(f"size_bytes is {size_bytes}; at most {max_upload_bytes} are accepted")
    return asset_id(sha256), Announcement(filename, content_type, size_bytes)


@dataclass(frozen=True, slots=True)
class ListRequest:
    """A page of at most `limit` assets."""

    limit: int
    cursor: str | None
    status: Status | None


def list_request(query: Mapping[str, str]) -> ListRequest:
    """The query of GET /v1/images.  Raises InvalidRequestError."""
    faults = unknown_fields(query, {"limit", "cursor", "status"})
    limit = query.get("limit", str(_DEFAULT_PAGE))
    if not (re.fullmatch(r"[0-9]{1,3}", limit) and 1 <= int(limit) <= MAX_PAGE):
        faults.append(Fault("limit", f"must be a whole number from 1 to {MAX_PAGE}"))
    status = query.get("status")
    if status is not None and status not in list(Status):
        faults.append(Fault("status", f"must be one of {', '.join(Status)}"))
    if faults:
        raise InvalidRequestError(faults)
    return ListRequest(int(limit), query.get("cursor") or None, Status(status) if status else None)


@dataclass(frozen=True, slots=True)
class MetricsRequest:
    """Metrics of the named tenant, of the caller's where none is named, or of all."""

    tenant: TenantId | None
    every_tenant: bool


def metrics_request(query: Mapping[str, str]) -> MetricsRequest:
    """The query of GET /v1/metrics.  Raises InvalidRequestError."""
    faults = unknown_fields(query, {"tenant"})
    tenant = query.get("tenant")
    if tenant not in (None, "*") and not is_tenant_id(tenant):
        faults.append(Fault("tenant", "must be a tenant id, or * for all"))
    if faults:
        raise InvalidRequestError(faults)
    return MetricsRequest(tenant_id(tenant) if tenant and tenant != "*" else None, tenant == "*")


def path_reference(text: str) -> str:
    """The name of a reference from the rest of a path, percent-encoded or decoded already.

    Raises InvalidRequestError.
    """
    name = unquote(text)
    if len(name) > _LONGEST_REFERENCE or not _REFERENCE.fullmatch(name) or name.startswith(_HOLDS):
        message = (
            "must be 1 to 128 of A-Z a-z 0-9 / # space . _ : @ ~ + , = & ( ) ' ! * $ ; - in percent-encoding,"
            " begin with a letter or digit, not with duplicate/, and not end with a space or slash;"
            " what follows a slash is no slash, dot or space"
        )
        raise InvalidRequestError([Fault("reference", message)])
    return name


@dataclass(frozen=True, slots=True)
class PairsRequest:
    """A page of at most `limit` pairs; of those of one `likeness`, if one is named."""

    limit: int
    cursor: str | None
    likeness: Verdict | None = None


def pairs_request(query: Mapping[str, str]) -> PairsRequest:
    """The query of GET /v1/duplicates.  Raises InvalidRequestError."""
    faults = unknown_fields(query, {"limit", "cursor", "likeness"})
    limit, likeness = query.get("limit", "20"), query.get("likeness")
    if not (re.fullmatch(r"[0-9]{1,2}", limit) and 1 <= int(limit) <= _MOST_PAIRS):
        faults.append(Fault("limit", f"must be a whole number from 1 to {_MOST_PAIRS}"))
    if likeness is not None and likeness not in list(Verdict):
        faults.append(Fault("likeness", f"must be one of {', '.join(Verdict)}"))
    if faults:
        raise InvalidRequestError(faults)
    return PairsRequest(int(limit), query.get("cursor") or None, Verdict(likeness) if likeness else None)


def decision_request(body: str | None) -> Decision:
    """The body of PUT /v1/images/{id}/duplicates/{other}.  Raises InvalidRequestError."""
    given = json_object(body)
    faults = unknown_fields(given, {"decision"})
    if given.get("decision") not in list(Decision):
        faults.append(Fault("decision", f"must be one of {', '.join(Decision)}"))
    if faults:
        raise InvalidRequestError(faults)
    return Decision(given["decision"])


def pair_in_path(id_: str, other: str) -> tuple[AssetId, AssetId]:
    """The two ids in a path.  Raises InvalidRequestError."""
    first, second = path_asset_id(id_), path_asset_id(other)
    if first == second:
        raise InvalidRequestError([Fault("other", "must be another image")])
    return first, second


def path_asset_id(text: str) -> AssetId:
    """The id in a path.  Raises InvalidRequestError."""
    try:
        return asset_id(text)
    except NotAnAssetIdError as error:
        raise InvalidRequestError([Fault("id", "must be 64 lower-case hex digits")]) from error

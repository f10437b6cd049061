"""What callers send, checked: every fault is named, unknown fields are refused, nothing is guessed."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from catalog.domain.assets import Status
from catalog.domain.keys import (
    AssetId,
    NotAnAssetIdError,
    NotATenantIdError,
    TenantId,
    asset_id,
    tenant_id,
)
from catalog.domain.limits import MAX_STORED_BYTES, MAX_UPLOADS_PER_MINUTE, NO_LIMITS, Limits
from catalog.domain.near_duplicates import Decision
from catalog.domain.tenants import DEFAULT_SCOPES, Scope
from catalog.domain.uploads import DECLARED_TYPES, Announcement
from catalog.multipart import MultipartError, form_parts

MAX_PAGE: Final = 100
_DEFAULT_PAGE: Final = 50
_MAX_FILENAME: Final = 255  # characters
_MOST_DAYS: Final = 3650
_MOST_PAIRS: Final = 50  # each names two images, and one batch reads 100
_REFERENCE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@~-]{0,127}")
_CLIENT_ID: Final = re.compile(r"[A-Za-z0-9_+]{1,128}")  # what Cognito gives out
_TENANT_ID: Final = "must be 1 to 63 of a-z, 0-9 and inner hyphens"
# Lambda takes an event of 6 MiB, in which base64 makes 6,000,000 of these bytes; headers and claims have the
# rest, 290 kB.
MAX_BODY_BYTES: Final = 4_500_000
# Control characters and lone surrogates: neither can be shown, and the latter cannot be stored.
_UNSTORABLE: Final = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


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


class BodyTooLargeError(ValueError):
    """The body is larger than the request can carry; the message says what to do instead."""


def json_object(body: str | bytes | None) -> dict[str, Any]:
    """The JSON object in a request's body.  Raises InvalidRequestError."""
    try:
        value = json.loads(body or "")
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError([Fault("body", "must be a JSON object")]) from error
    if not isinstance(value, dict):
        raise InvalidRequestError([Fault("body", "must be a JSON object")])
    return value


def upload_request(body: str | None, *, max_upload_bytes: int) -> tuple[AssetId, Announcement]:
    """The body of POST /v1/images.  Raises InvalidRequestError, UnsupportedTypeError, UploadTooLargeError."""
    given = json_object(body)
    faults = _unknown(given, {"sha256", "size_bytes", "content_type", "filename"})
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
    faults = _unknown(query, {"limit", "cursor", "status"})
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
class PurgeRequest:
    """What POST /v1/purge asks: a dry run, or, with a token, to do what a dry run found."""

    tenant: TenantId | None
    confirm_token: str | None
    older_than_days: int | None


def purge_request(body: str | None) -> PurgeRequest:
    """The body of POST /v1/purge; none at all asks for a dry run.  Raises InvalidRequestError."""
    given = json_object(body or "{}")
    faults = _unknown(given, {"tenant", "dry_run", "confirm_token", "older_than_days"})
    dry_run, token, days = (
        given.get("dry_run", True),
        given.get("confirm_token"),
        given.get("older_than_days"),
    )
    if not isinstance(dry_run, bool):
        faults.append(Fault("dry_run", "must be true or false"))
    if token is not None and not isinstance(token, str):
        faults.append(Fault("confirm_token", "must be the token of a dry run"))
    if dry_run is False and token is None:
        faults.append(Fault("confirm_token", "is needed where dry_run is false"))
    if dry_run is True and token is not None:
        faults.append(Fault("confirm_token", "confirms nothing in a dry run; say dry_run false"))
    if days is not None and not (
        isinstance(days, int) and not isinstance(days, bool) and 0 <= days <= _MOST_DAYS
    ):
        faults.append(Fault("older_than_days", f"must be a whole number from 0 to {_MOST_DAYS}"))
    if days is not None and dry_run is False:
        faults.append(Fault("older_than_days", "is decided by the dry run that is confirmed"))
    tenant = given.get("tenant")
    if tenant is not None and not _is_tenant_id(tenant):
        faults.append(Fault("tenant", "must be a tenant id"))
    if faults:
        raise InvalidRequestError(faults)
    return PurgeRequest(tenant_id(tenant) if tenant else None, token, days)


@dataclass(frozen=True, slots=True)
class PurgeRunsRequest:
    """A page of at most `limit` runs."""

    tenant: TenantId | None
    limit: int
    cursor: str | None


def purge_runs_request(query: Mapping[str, str]) -> PurgeRunsRequest:
    """The query of GET /v1/purge/runs.  Raises InvalidRequestError."""
    faults = _unknown(query, {"tenant", "limit", "cursor"})
    limit = query.get("limit", "20")
    if not (re.fullmatch(r"[0-9]{1,3}", limit) and 1 <= int(limit) <= MAX_PAGE):
        faults.append(Fault("limit", f"must be a whole number from 1 to {MAX_PAGE}"))
    cursor = query.get("cursor") or None
    if cursor is not None and not re.fullmatch(r"[0-9TZa-f-]{1,64}", cursor):
        faults.append(Fault("cursor", "is not one this API gave you"))
    tenant = query.get("tenant")
    if tenant is not None and not _is_tenant_id(tenant):
        faults.append(Fault("tenant", "must be a tenant id"))
    if faults:
        raise InvalidRequestError(faults)
    return PurgeRunsRequest(tenant_id(tenant) if tenant else None, int(limit), cursor)


@dataclass(frozen=True, slots=True)
class MetricsRequest:
    """Metrics of the named tenant, of the caller's where none is named, or of all."""

    tenant: TenantId | None
    every_tenant: bool


def metrics_request(query: Mapping[str, str]) -> MetricsRequest:
    """The query of GET /v1/metrics.  Raises InvalidRequestError."""
    faults = _unknown(query, {"tenant"})
    tenant = query.get("tenant")
    if tenant not in (None, "*") and not _is_tenant_id(tenant):
        faults.append(Fault("tenant", "must be a tenant id, or * for all"))
    if faults:
        raise InvalidRequestError(faults)
    return MetricsRequest(tenant_id(tenant) if tenant and tenant != "*" else None, tenant == "*")


def path_reference(text: str) -> str:
    """The name of a reference in a path.  Raises InvalidRequestError."""
    if not _REFERENCE.fullmatch(text):
        message = "must be 1 to 128 of A-Z a-z 0-9 . _ : @ ~ - and begin with a letter or digit"
        raise InvalidRequestError([Fault("reference", message)])
    return text


def _is_tenant_id(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(tenant_id(value))
    except NotATenantIdError:
        return False


def compare_request(body: str | None, *, is_base64: bool, content_type: str) -> bytes | AssetId:
    """The body of POST /v1/compare: an image's bytes, or the id of an asset.

    Raises InvalidRequestError, UnsupportedTypeError, BodyTooLargeError.
    """
    data = _body_bytes(body or "", is_base64=is_base64)
    if len(data) > MAX_BODY_BYTES:
        raise BodyTooLargeError(
            f"the body has {len(data):,} bytes, a request carries {MAX_BODY_BYTES:,}: upload the image with "
            'POST /v1/images and compare it by {"id": ...}'
        )
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type in DECLARED_TYPES:
        return data
    if media_type == "multipart/form-data":
        return _file(data, content_type)
    if media_type not in {"", "application/json"}:
        known = ", ".join((*DECLARED_TYPES, "multipart/form-data", "application/json"))
        raise UnsupportedTypeError(f"Content-Type must be one of {known}")
    given = json_object(data)
    faults = _unknown(given, {"id"})
    if not isinstance(given.get("id"), str):
        faults.append(Fault("id", "must be 64 lower-case hex digits"))
    if faults:
        raise InvalidRequestError(faults)
    return path_asset_id(given["id"])


def _body_bytes(body: str, *, is_base64: bool) -> bytes:
    try:
        return base64.b64decode(body, validate=True) if is_base64 else body.encode()
    except ValueError as error:
        raise InvalidRequestError([Fault("body", "cannot be read")]) from error


def _file(body: bytes, content_type: str) -> bytes:
    """The content of the one field `file` of a form."""
    try:
        parts = form_parts(body, content_type)
    except MultipartError as error:
        raise InvalidRequestError([Fault("body", f"must be multipart/form-data: {error}")]) from error
    faults = _unknown(dict(parts), {"file"})
    files = [content for name, content in parts if name == "file"]
    if len(files) != 1:
        faults.append(Fault("file", "must be there once"))
    if faults:
        raise InvalidRequestError(faults)
    return files[0]


@dataclass(frozen=True, slots=True)
class PairsRequest:
    """A page of at most `limit` pairs."""

    limit: int
    cursor: str | None


def pairs_request(query: Mapping[str, str]) -> PairsRequest:
    """The query of GET /v1/duplicates.  Raises InvalidRequestError."""
    faults = _unknown(query, {"limit", "cursor"})
    limit = query.get("limit", "20")
    if not (re.fullmatch(r"[0-9]{1,2}", limit) and 1 <= int(limit) <= _MOST_PAIRS):
        faults.append(Fault("limit", f"must be a whole number from 1 to {_MOST_PAIRS}"))
    if faults:
        raise InvalidRequestError(faults)
    return PairsRequest(int(limit), query.get("cursor") or None)


def decision_request(body: str | None) -> Decision:
    """The body of PUT /v1/images/{id}/duplicates/{other}.  Raises InvalidRequestError."""
    given = json_object(body)
    faults = _unknown(given, {"decision"})
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


@dataclass(frozen=True, slots=True)
class TenantRequest:
    """A tenant to make, with its limits and the scopes of its first client."""

    tenant: TenantId
    scopes: tuple[Scope, ...]
    limits: Limits


def tenant_request(body: str | None) -> TenantRequest:
    """The body of POST /v1/tenants.  Raises InvalidRequestError."""
    given = json_object(body)
    faults = _unknown(given, {"tenant", "scopes", "limits"})
    tenant = given.get("tenant")
    if not _is_tenant_id(tenant):
        faults.append(Fault("tenant", _TENANT_ID))
    scopes = _scopes(given.get("scopes"), faults)
    limits = _limits(given.get("limits"), faults)
    if faults:
        raise InvalidRequestError(faults)
    return TenantRequest(tenant_id(str(tenant)), scopes, limits)


def client_request(body: str | None) -> tuple[Scope, ...]:
    """The scopes in the body of POST /v1/tenants/{tenant}/clients.  Raises InvalidRequestError."""
    given = json_object(body or "{}")
    faults = _unknown(given, {"scopes"})
    scopes = _scopes(given.get("scopes"), faults)
    if faults:
        raise InvalidRequestError(faults)
    return scopes


def limits_request(body: str | None) -> Limits:
    """The body of PUT /v1/tenants/{tenant}/limits, which replaces them all.  Raises InvalidRequestError."""
    faults: list[Fault] = []
    limits = _limits(json_object(body), faults, prefix="")
    if faults:
        raise InvalidRequestError(faults)
    return limits


@dataclass(frozen=True, slots=True)
class TenantsRequest:
    """A page of at most `limit` tenants."""

    limit: int
    cursor: str | None


def tenants_request(query: Mapping[str, str]) -> TenantsRequest:
    """The query of GET /v1/tenants.  Raises InvalidRequestError."""
    faults = _unknown(query, {"limit", "cursor"})
    limit = query.get("limit", str(_DEFAULT_PAGE))
    if not (re.fullmatch(r"[0-9]{1,3}", limit) and 1 <= int(limit) <= MAX_PAGE):
        faults.append(Fault("limit", f"must be a whole number from 1 to {MAX_PAGE}"))
    if faults:
        raise InvalidRequestError(faults)
    return TenantsRequest(int(limit), query.get("cursor") or None)


def path_tenant(text: str) -> TenantId:
    """The tenant in a path.  Raises InvalidRequestError."""
    try:
        return tenant_id(text)
    except NotATenantIdError as error:
        raise InvalidRequestError([Fault("tenant", _TENANT_ID)]) from error


def path_client_id(text: str) -> str:
    """The client in a path.  Raises InvalidRequestError."""
    if not _CLIENT_ID.fullmatch(text):
        raise InvalidRequestError([Fault("client_id", "must be 1 to 128 letters, digits, _ and +")])
    return text


def _scopes(given: object, faults: list[Fault]) -> tuple[Scope, ...]:
    if given is None:
        return DEFAULT_SCOPES
    if not isinstance(given, list) or not given or any(scope not in list(Scope) for scope in given):
        faults.append(Fault("scopes", f"must be a list of {', '.join(Scope)}"))
        return ()
    return tuple(scope for scope in Scope if scope in given)


def _limits(given: object, faults: list[Fault], *, prefix: str = "limits.") -> Limits:
    if given is None:
        return NO_LIMITS
    if not isinstance(given, dict):
        faults.append(Fault("limits", "must be an object"))
        return NO_LIMITS
    highest = {"uploads_per_minute": MAX_UPLOADS_PER_MINUTE, "stored_bytes": MAX_STORED_BYTES}
    faults.extend(
        Fault(f"{prefix}{fault.field}"[:80], fault.message) for fault in _unknown(given, set(highest))
    )
    for name, most in highest.items():
        limit = given.get(name)
        whole = isinstance(limit, int) and not isinstance(limit, bool)
        if limit is not None and not (whole and 1 <= limit <= most):
            faults.append(
                Fault(f"{prefix}{name}", f"must be a whole number from 1 to {most}, or null for no limit")
            )
    return Limits(given.get("uploads_per_minute"), given.get("stored_bytes"))


def _unknown(given: Mapping[str, Any], known: set[str]) -> list[Fault]:
    return [Fault(name[:80], "is not a field of this request") for name in sorted(set(given) - known)]

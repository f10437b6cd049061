"""POST /v1/compare: an image as raw bytes, in a form, or by its id."""

import base64
from typing import Final

from catalog.api.inputs.fields import (
    Fault,
    InvalidRequestError,
    UnsupportedTypeError,
    json_object,
    unknown_fields,
)
from catalog.api.inputs.images import path_asset_id
from catalog.api.multipart import MultipartError, form_parts
from catalog.domain.errors import CallerError, Kind
from catalog.domain.keys import AssetId
from catalog.domain.uploads import DECLARED_TYPES

# Lambda takes an event of 6 MiB.  In base64 these bytes are 6,000,000, and 290 kB are left for the rest.
MAX_BODY_BYTES: Final = 4_500_000


class BodyTooLargeError(CallerError):
    """The body is too large for a request; the message names the other way."""

    kind = Kind.TOO_LARGE
    code = "too_large"


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
    faults = unknown_fields(given, {"id"})
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
    faults = unknown_fields(dict(parts), {"file"})
    files = [content for name, content in parts if name == "file"]
    if len(files) != 1:
        faults.append(Fault("file", "must be there once"))
    if faults:
        raise InvalidRequestError(faults)
    return files[0]

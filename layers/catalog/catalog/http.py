"""HTTP: the one place that knows status codes.  Facts go in, answers of docs/openapi.yaml come out."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, CORSConfig, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError

from catalog.domain.assets import (
    MAX_REFERENCES,
    AssetBeingDeletedError,
    AssetNotFoundError,
    AssetStateError,
    TooManyReferencesError,
)
from catalog.domain.tenants import UnknownClientError
from catalog.requests import InvalidRequestError, UnsupportedTypeError, UploadTooLargeError
from catalog.telemetry import count, logger
from catalog.use_cases.browsing import InvalidCursorError

# The facts a caller can act on, with the stable code each is answered with.
_ANSWERS: Final[Mapping[type[Exception], tuple[HTTPStatus, str, str | None]]] = {
    InvalidRequestError: (HTTPStatus.BAD_REQUEST, "invalid_request", None),
    InvalidCursorError: (HTTPStatus.BAD_REQUEST, "invalid_cursor", "cursor is not one this API gave you"),
    UnknownClientError: (HTTPStatus.FORBIDDEN, "unknown_client", "this client belongs to no tenant"),
    AssetNotFoundError: (HTTPStatus.NOT_FOUND, "image_not_found", "you have no image with this id"),
    AssetBeingDeletedError: (
        HTTPStatus.CONFLICT,
        "image_being_deleted",
        "this image is being deleted; try again in a minute",
    ),
    AssetStateError: (
        HTTPStatus.CONFLICT,
        "image_state",
        "this image is rejected or being deleted, and cannot be used",
    ),
    TooManyReferencesError: (
        HTTPStatus.CONFLICT,
        "too_many_references",
        f"an image has at most {MAX_REFERENCES} references",
    ),
    NotFoundError: (HTTPStatus.NOT_FOUND, "not_found", "there is no such resource"),
    UploadTooLargeError: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", None),
    UnsupportedTypeError: (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", None),
}


def api(*, allow_origin: str) -> APIGatewayRestResolver:
    """A resolver that answers every known fact with its code, and anything unknown with a logged 500."""
    cors = CORSConfig(allow_origin=allow_origin, allow_headers=["Authorization", "Content-Type"], max_age=600)
    app = APIGatewayRestResolver(cors=cors, strip_prefixes=["/v1"])

    def answer_known(error: Exception) -> Response[str]:
        status, code, message = _ANSWERS[type(error)]
        faults = (
            [{"field": f.field, "message": f.message} for f in error.faults]
            if isinstance(error, InvalidRequestError)
            else None
        )
        return _error(app, status, code, message or str(error), faults)

    def answer_unknown(error: Exception) -> Response[str]:
        logger.exception("unhandled error", exc_info=error)
        count("UnhandledError")
        return _error(
            app, HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "something went wrong on our side"
        )

    app.exception_handler([*_ANSWERS])(answer_known)
    app.exception_handler(Exception)(answer_unknown)
    return app


def ok(body: Any) -> Response[str]:
    """200: here it is."""
    return _answer(HTTPStatus.OK, body)


def created(body: Any) -> Response[str]:
    """201: it exists because of this request."""
    return _answer(HTTPStatus.CREATED, body)


def client_id(app: APIGatewayRestResolver) -> str:
    """The client of the token that API Gateway has verified; never anything the caller could write."""
    claims = app.current_event.request_context.authorizer.claims or {}
    return str(claims.get("client_id", ""))


def request_id(app: APIGatewayRestResolver) -> str:
    """The id of this request: in every answer's error, in the logs, and on the asset it created."""
    return app.current_event.request_context.request_id or ""


def _error(
    app: APIGatewayRestResolver,
    status: HTTPStatus,
    code: str,
    message: str,
    faults: list[dict[str, str]] | None = None,
) -> Response[str]:
    error: dict[str, Any] = {"code": code, "message": message, "request_id": request_id(app)}
    if faults:
        error["faults"] = faults
    return _answer(status, {"error": error})


def _answer(status: HTTPStatus, body: Any) -> Response[str]:
    """A JSON answer that no cache keeps: assets change, and their URLs expire."""
    return Response(
        status_code=status.value,
        content_type="application/json",
        body=json.dumps(body),
        headers={"Cache-Control": "no-store"},
    )

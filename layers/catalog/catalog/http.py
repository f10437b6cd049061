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
from catalog.domain.limits import StorageLimitReachedError, TooManyUploadsError
from catalog.domain.near_duplicates import DuplicatePairNotFoundError
from catalog.domain.purge import (
    ConfirmTokenExpiredError,
    InvalidConfirmTokenError,
    RunAlreadyConfirmedError,
)
from catalog.domain.rejections import ImageRejectedError
from catalog.domain.tenants import (
    ClientNotFoundError,
    OwnTenantError,
    Scope,
    TenantBeingRemovedError,
    TenantExistsError,
    TenantNotEmptyError,
    TenantNotFoundError,
    UnknownClientError,
)
from catalog.domain.uploads import OriginalTooLargeError
from catalog.requests import (
    BodyTooLargeError,
    Fault,
    InvalidRequestError,
    UnsupportedTypeError,
    UploadTooLargeError,
)
from catalog.telemetry import count, logger
from catalog.use_cases.browsing import InvalidCursorError
from catalog.use_cases.metrics import NotYourTenantError

# The facts a caller can act on, with the stable code each is answered with.
_ANSWERS: Final[Mapping[type[Exception], tuple[HTTPStatus, str, str | None]]] = {
    InvalidRequestError: (HTTPStatus.BAD_REQUEST, "invalid_request", None),
    InvalidCursorError: (HTTPStatus.BAD_REQUEST, "invalid_cursor", "cursor is not one this API gave you"),
    UnknownClientError: (
        HTTPStatus.FORBIDDEN,
        "unknown_client",
        "this client belongs to no tenant, or to one being removed",
    ),
    AssetNotFoundError: (HTTPStatus.NOT_FOUND, "image_not_found", "you have no image with this id"),
    AssetBeingDeletedError: (
        HTTPStatus.CONFLICT,
        "image_being_deleted",
        "this image is being deleted; try again in a minute",
    ),
    AssetStateError: (
        HTTPStatus.CONFLICT,
        "image_state",
        "this image is not in a state that allows it: rejected, being deleted, or not ready yet",
    ),
    TooManyReferencesError: (
        HTTPStatus.CONFLICT,
        "too_many_references",
        f"an image has at most {MAX_REFERENCES} references",
    ),
    InvalidConfirmTokenError: (
        HTTPStatus.FORBIDDEN,
        "invalid_confirm_token",
        "confirm_token is not one of a dry run of this tenant",
    ),
    ConfirmTokenExpiredError: (
        HTTPStatus.CONFLICT,
        "confirm_token_expired",
        "confirm_token has expired; a new dry run gives a new one",
    ),
    RunAlreadyConfirmedError: (
        HTTPStatus.CONFLICT,
        "confirm_token_used",
        "confirm_token was used; GET /v1/purge/runs tells what became of the run",
    ),
    TenantNotFoundError: (HTTPStatus.NOT_FOUND, "tenant_not_found", "there is no such tenant"),
    ClientNotFoundError: (HTTPStatus.NOT_FOUND, "client_not_found", "this tenant has no such client"),
    TenantExistsError: (
        HTTPStatus.CONFLICT,
        "tenant_exists",
        "this tenant exists; POST /v1/tenants/{tenant}/clients gives it another client",
    ),
    TenantNotEmptyError: (
        HTTPStatus.CONFLICT,
        "tenant_not_empty",
        "this tenant has images; purge them first",
    ),
    TenantBeingRemovedError: (HTTPStatus.CONFLICT, "tenant_being_removed", "this tenant is being removed"),
    OwnTenantError: (
        HTTPStatus.CONFLICT,
        "own_tenant",
        "a client cannot remove the tenant it acts for",
    ),
    NotYourTenantError: (
        HTTPStatus.FORBIDDEN,
        "forbidden",
        "only a token with the scope catalog/admin may name another tenant",
    ),
    StorageLimitReachedError: (
        HTTPStatus.FORBIDDEN,
        "storage_limit_reached",
        "this upload would take your tenant over the bytes it may store",
    ),
    TooManyUploadsError: (
        HTTPStatus.TOO_MANY_REQUESTS,
        "too_many_uploads",
        "your tenant's uploads of this minute are used up; Retry-After says when to go on",
    ),
    DuplicatePairNotFoundError: (
        HTTPStatus.NOT_FOUND,
        "pair_not_found",
        "these two images were never proposed as duplicates, and nothing was decided",
    ),
    NotFoundError: (HTTPStatus.NOT_FOUND, "not_found", "there is no such resource"),
    UploadTooLargeError: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", None),
    BodyTooLargeError: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", None),
    OriginalTooLargeError: (
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "too_large",
        "this original is larger than an upload may be today",
    ),
    UnsupportedTypeError: (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", None),
}
# An image that was sent to be looked at and cannot be: its code is that of the rejection.
_REJECTED: Final = HTTPStatus.UNPROCESSABLE_ENTITY


def api(*, allow_origin: str) -> APIGatewayRestResolver:
    """A resolver that answers every known fact with its code, and anything unknown with a logged 500."""
    cors = CORSConfig(
        allow_origin=allow_origin,
        allow_headers=["Authorization", "Content-Type"],
        expose_headers=["Retry-After"],
        max_age=600,
    )
    app = APIGatewayRestResolver(cors=cors, strip_prefixes=["/v1"])

    def answer_known(error: Exception) -> Response[str]:
        count("RequestRefused")
        status, code, message = _ANSWERS[type(error)]
        faults = (
            [{"field": f.field, "message": f.message} for f in error.faults]
            if isinstance(error, InvalidRequestError)
            else None
        )
        answer = _error(app, status, code, message or str(error), faults)
        if isinstance(error, TooManyUploadsError):
            answer.headers["Retry-After"] = str(error.retry_after)
        return answer

    def answer_rejected(error: ImageRejectedError) -> Response[str]:
        return _error(app, _REJECTED, error.rejection.code, error.rejection.detail)

    def answer_unknown(error: Exception) -> Response[str]:
        logger.exception("unhandled error", exc_info=error)
        count("UnhandledError")
        return _error(
            app, HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "something went wrong on our side"
        )

    app.exception_handler([*_ANSWERS])(answer_known)
    app.exception_handler(ImageRejectedError)(answer_rejected)
    app.exception_handler(Exception)(answer_unknown)
    return app


def ok(body: Any) -> Response[str]:
    """200: here it is."""
    return _answer(HTTPStatus.OK, body)


def created(body: Any) -> Response[str]:
    """201: it exists because of this request."""
    return _answer(HTTPStatus.CREATED, body)


def body_text(app: APIGatewayRestResolver) -> str | None:
    """The body of a request that carries no image.  Raises InvalidRequestError where it is no text.

    API Gateway hands a body over in base64 where it is declared to be an image, whatever it is.
    """
    try:
        return app.current_event.decoded_body
    except ValueError as error:
        raise InvalidRequestError([Fault("body", "must be a JSON object")]) from error


def client_id(app: APIGatewayRestResolver) -> str:
    """The client of the token that API Gateway has verified; never anything the caller could write."""
    claims = app.current_event.request_context.authorizer.claims or {}
    return str(claims.get("client_id", ""))


def is_admin(app: APIGatewayRestResolver) -> bool:
    """Whether the verified token has the scope catalog/admin."""
    claims = app.current_event.request_context.authorizer.claims or {}
    return Scope.ADMIN in str(claims.get("scope", "")).split()


def request_id(app: APIGatewayRestResolver) -> str:
    """The id of this request: in every answer's error, in the logs, and on the asset it created."""
    return app.current_event.request_context.request_id or ""


def accepted(body: Any) -> Response[str]:
    """202: it has begun; the answer says how it goes on."""
    return _answer(HTTPStatus.ACCEPTED, body)


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

"""HTTP: the one place that knows status codes.  Facts go in, answers of docs/openapi.yaml come out."""

import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, CORSConfig, Response

from catalog.api.inputs.fields import Fault, InvalidRequestError
from catalog.domain.assets import MAX_REFERENCES
from catalog.domain.rejections import ImageRejectedError
from catalog.domain.tenants import UnknownClientError
from catalog.telemetry import count, logger

# The facts a caller can act on, with the stable code each is answered with.  By name: to import every error
# there is would cost each function's cold start the modules of all the others.
_ANSWERS: Final[Mapping[str, tuple[HTTPStatus, str, str | None]]] = {
    "catalog.api.inputs.fields.InvalidRequestError": (HTTPStatus.BAD_REQUEST, "invalid_request", None),
    "catalog.use_cases.browsing.InvalidCursorError": (
        HTTPStatus.BAD_REQUEST,
        "invalid_cursor",
        "cursor is not one this API gave you",
    ),
    "catalog.domain.tenants.UnknownClientError": (
        HTTPStatus.FORBIDDEN,
        "unknown_client",
        "this client belongs to no tenant, or to one being removed",
    ),
    "catalog.domain.assets.AssetNotFoundError": (
        HTTPStatus.NOT_FOUND,
        "image_not_found",
        "you have no image with this id",
    ),
    "catalog.domain.assets.AssetBeingDeletedError": (
        HTTPStatus.CONFLICT,
        "image_being_deleted",
        "this image is being deleted; try again in a minute",
    ),
    "catalog.domain.assets.AssetStateError": (
        HTTPStatus.CONFLICT,
        "image_state",
        "this image is not in a state that allows it: rejected, being deleted, or not ready yet",
    ),
    "catalog.domain.assets.TooManyReferencesError": (
        HTTPStatus.CONFLICT,
        "too_many_references",
        f"an image has at most {MAX_REFERENCES} references",
    ),
    "catalog.domain.purge.InvalidConfirmTokenError": (
        HTTPStatus.FORBIDDEN,
        "invalid_confirm_token",
        "confirm_token is not one of a dry run of this tenant",
    ),
    "catalog.domain.purge.ConfirmTokenExpiredError": (
        HTTPStatus.CONFLICT,
        "confirm_token_expired",
        "confirm_token has expired; a new dry run gives a new one",
    ),
    "catalog.domain.purge.RunAlreadyConfirmedError": (
        HTTPStatus.CONFLICT,
        "confirm_token_used",
        "confirm_token was used; GET /v1/purge/runs tells what became of the run",
    ),
    "catalog.domain.tenants.TenantNotFoundError": (
        HTTPStatus.NOT_FOUND,
        "tenant_not_found",
        "there is no such tenant",
    ),
    "catalog.domain.tenants.ClientNotFoundError": (
        HTTPStatus.NOT_FOUND,
        "client_not_found",
        "this tenant has no such client",
    ),
    "catalog.domain.tenants.TenantExistsError": (
        HTTPStatus.CONFLICT,
        "tenant_exists",
        "this tenant exists; POST /v1/tenants/{tenant}/clients gives it another client",
    ),
    "catalog.domain.tenants.TenantNameTakenError": (
        HTTPStatus.CONFLICT,
        "tenant_name_taken",
        "a removed tenant had this name, and its deleted images are kept for some days more: take another",
    ),
    "catalog.domain.tenants.TenantNotEmptyError": (
        HTTPStatus.CONFLICT,
        "tenant_not_empty",
        None,
    ),
    "catalog.domain.tenants.TenantBeingRemovedError": (
        HTTPStatus.CONFLICT,
        "tenant_being_removed",
        "this tenant is being removed",
    ),
    "catalog.domain.tenants.OwnTenantError": (
        HTTPStatus.CONFLICT,
        "own_tenant",
        "a client cannot remove the tenant it acts for",
    ),
    "catalog.use_cases.metrics.NotYourTenantError": (
        HTTPStatus.FORBIDDEN,
        "forbidden",
        "only a token with the scope catalog/admin may name another tenant",
    ),
    "catalog.domain.limits.StorageLimitReachedError": (
        HTTPStatus.FORBIDDEN,
        "storage_limit_reached",
        "this upload would take your tenant over the bytes it may store",
    ),
    "catalog.domain.limits.TooManyUploadsError": (
        HTTPStatus.TOO_MANY_REQUESTS,
        "too_many_uploads",
        "your tenant's uploads of this minute are used up; Retry-After says when to go on",
    ),
    "catalog.domain.near_duplicates.DuplicatePairNotFoundError": (
        HTTPStatus.NOT_FOUND,
        "pair_not_found",
        "these two images were never proposed as duplicates, and nothing was decided",
    ),
    "aws_lambda_powertools.event_handler.exceptions.NotFoundError": (
        HTTPStatus.NOT_FOUND,
        "not_found",
        "there is no such resource",
    ),
    "catalog.api.inputs.uploads.UploadTooLargeError": (
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "too_large",
        None,
    ),
    "catalog.api.inputs.comparisons.BodyTooLargeError": (
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "too_large",
        None,
    ),
    "catalog.domain.uploads.OriginalTooLargeError": (
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "too_large",
        "this original is larger than an upload may be today",
    ),
    "catalog.api.inputs.fields.UnsupportedTypeError": (
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        None,
    ),
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

    def answer(error: Exception) -> Response[str]:
        if isinstance(error, ImageRejectedError):
            return _error(app, _REJECTED, error.rejection.code, error.rejection.detail)
        known = _known(error)
        if known is None:
            logger.exception("unhandled error", exc_info=error)
            count("UnhandledError")
            return _error(
                app, HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "something went wrong on our side"
            )
        count("RequestRefused")
        status, code, message = known
        faults = (
            [{"field": f.field, "message": f.message} for f in error.faults]
            if isinstance(error, InvalidRequestError)
            else None
        )
        refusal = _error(app, status, code, message or str(error), faults)
        if status is HTTPStatus.TOO_MANY_REQUESTS:
            refusal.headers["Retry-After"] = str(error.retry_after)  # type: ignore[attr-defined]
        return refusal

    app.exception_handler(Exception)(answer)
    return app


def _known(error: Exception) -> tuple[HTTPStatus, str, str | None] | None:
    named = (_ANSWERS.get(f"{kind.__module__}.{kind.__qualname__}") for kind in type(error).__mro__)
    return next(filter(None, named), None)


# Lambda's answers end at 6 MB (docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html): of the JSON
# object that the body is a string in, which counts its quotes and backslashes twice.
LONGEST_PAGE: Final = 4 * 1024 * 1024


def fitting[T](shown: Iterable[T]) -> list[T]:
    """As many of a page's entries, from its first, as one answer takes; always one."""
    kept: list[T] = []
    length = 0
    for entry in shown:
        length += len(json.dumps(json.dumps(entry)))
        if kept and length > LONGEST_PAGE:
            break
        kept.append(entry)
    return kept


def ok(body: Any) -> Response[str]:
    """200: here it is."""
    return _answer(HTTPStatus.OK, body)


def created(body: Any) -> Response[str]:
    """201: it exists because of this request."""
    return _answer(HTTPStatus.CREATED, body)


def accepted(body: Any) -> Response[str]:
    """202: it has begun; the answer says how it goes on."""
    return _answer(HTTPStatus.ACCEPTED, body)


def body_text(app: APIGatewayRestResolver) -> str | None:
    """The body of a request that carries no image.  Raises InvalidRequestError where it is no text.

    API Gateway hands a body over in base64 where it is declared to be an image, whatever it is.
    """
    try:
        return app.current_event.decoded_body
    except ValueError as error:
        raise InvalidRequestError([Fault("body", "must be a JSON object")]) from error


def client_id(app: APIGatewayRestResolver) -> str:
    """The client of the token that API Gateway has verified; never anything the caller could write.

    Raises UnknownClientError where the token has none, as an ID token has not.
    """
    named = _claims(app).get("client_id")
    if not isinstance(named, str) or not named:
        raise UnknownClientError
    return named


def scopes(app: APIGatewayRestResolver) -> frozenset[str]:
    """The scopes of the token that API Gateway has verified."""
    return frozenset(str(_claims(app).get("scope", "")).split())


def _claims(app: APIGatewayRestResolver) -> Mapping[str, Any]:
    return app.current_event.request_context.authorizer.get("claims") or {}


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

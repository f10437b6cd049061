"""HTTP: the one place that knows status codes.  Facts go in, answers of docs/openapi.yaml come out."""

import json
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, CORSConfig, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError

from catalog.api.inputs.fields import Fault, InvalidRequestError
from catalog.domain.errors import CallerError, Kind, TooManyError
from catalog.domain.paging import Page
from catalog.domain.tenants import UnknownClientError
from catalog.telemetry import count, logger

_STATUS: Final[Mapping[Kind, HTTPStatus]] = {
    Kind.INVALID: HTTPStatus.BAD_REQUEST,
    Kind.FORBIDDEN: HTTPStatus.FORBIDDEN,
    Kind.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Kind.CONFLICT: HTTPStatus.CONFLICT,
    Kind.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Kind.TOO_MANY: HTTPStatus.TOO_MANY_REQUESTS,
    Kind.UNSUPPORTED_TYPE: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Kind.UNUSABLE_IMAGE: HTTPStatus.UNPROCESSABLE_ENTITY,
}


def api(*, allow_origin: str) -> APIGatewayRestResolver:
    """A resolver that answers every known fact with its code, and anything unknown with a logged 500."""
    cors = CORSConfig(
        allow_origin=allow_origin,
        allow_headers=["Authorization", "Content-Type"],
        expose_headers=["Retry-After"],
        max_age=600,
    )
    app = APIGatewayRestResolver(cors=cors, strip_prefixes=["/v1"])

    def refuse(error: CallerError) -> Response[str]:
        count("RequestRefused")
        faults = error.faults if isinstance(error, InvalidRequestError) else []
        refusal = _error(app, _STATUS[error.kind], error.code, error.message, faults)
        if isinstance(error, TooManyError):
            refusal.headers["Retry-After"] = str(error.retry_after)
        return refusal

    def no_such_route(_: NotFoundError) -> Response[str]:
        count("RequestRefused")
        return _error(app, HTTPStatus.NOT_FOUND, "not_found", "there is no such resource")

    def fail(error: Exception) -> Response[str]:
        logger.exception("unhandled error", exc_info=error)
        count("UnhandledError")
        return _error(
            app, HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "something went wrong on our side"
        )

    app.exception_handler(CallerError)(refuse)
    app.not_found(no_such_route)
    app.exception_handler(Exception)(fail)
    return app


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


def listed(name: str, page: Page[Any], **facts: Any) -> Response[str]:
    """200: as much of a page of a list as one answer takes, and the cursor of what follows that."""
    shown = fitting(page.entries)
    return ok(facts | {name: shown, "cursor": page.first(len(shown)).cursor})


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
    faults: Sequence[Fault] = (),
) -> Response[str]:
    error: dict[str, Any] = {"code": code, "message": message, "request_id": request_id(app)}
    if faults:
        error["faults"] = [{"field": fault.field, "message": fault.message} for fault in faults]
    return _answer(status, {"error": error})


def _answer(status: HTTPStatus, body: Any) -> Response[str]:
    """A JSON answer that no cache keeps: assets change, and their URLs expire."""
    return Response(
        status_code=status.value,
        content_type="application/json",
        body=json.dumps(body),
        headers={"Cache-Control": "no-store"},
    )

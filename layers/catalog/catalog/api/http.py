"""HTTP: routes, statuses and answers, as docs/openapi.yaml has them.  Only `views` knows statuses besides."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Concatenate, Final

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, CORSConfig, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent

from catalog.api.inputs.fields import Fault, InvalidRequestError
from catalog.domain.errors import CallerError, Kind, TooManyError
from catalog.domain.keys import TenantId
from catalog.domain.paging import Page
from catalog.domain.tenants import UnknownClientError
from catalog.telemetry import count, logger, metrics

type Answer = Response[str]

_STATUS: Final[Mapping[Kind, HTTPStatus]] = {
    Kind.INVALID: HTTPStatus.BAD_REQUEST,
    Kind.FORBIDDEN: HTTPStatus.FORBIDDEN,
    Kind.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Kind.CONFLICT: HTTPStatus.CONFLICT,
    Kind.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Kind.TOO_MANY: HTTPStatus.TOO_MANY_REQUESTS,
    Kind.UNSUPPORTED_TYPE: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Kind.UNUSABLE_IMAGE: HTTPStatus.UNPROCESSABLE_ENTITY,
    Kind.OUT_OF_TIME: HTTPStatus.GATEWAY_TIMEOUT,
}


_KEY: Final = re.compile("[ -~]{1,128}")


@dataclass(frozen=True, slots=True)
class Call:
    """A request of a client whose token API Gateway has verified, and the tenant it acts for."""

    tenant: TenantId
    client_id: str
    event: APIGatewayProxyEvent

    @property
    def scopes(self) -> frozenset[str]:
        """The scopes of the token."""
        return frozenset(str(_claims(self.event).get("scope", "")).split())

    @property
    def query(self) -> Mapping[str, str]:
        """The query string."""
        return self.event.query_string_parameters or {}

    @property
    def body(self) -> str | None:
        """The body of a request without an image.  Raises InvalidRequestError if it is no text.

        API Gateway sends a body in base64 if its Content-Type is an image's.
        """
        try:
            return self.event.decoded_body
        except ValueError as error:
            raise InvalidRequestError([Fault("body", "must be a JSON object")]) from error

    @property
    def idempotency_key(self) -> str | None:
        """The header Idempotency-Key.  Raises InvalidRequestError."""
        key = self.event.headers.get("Idempotency-Key")
        if key is not None and not _KEY.fullmatch(key):
            raise InvalidRequestError([Fault("Idempotency-Key", "must be 1 to 128 printable characters")])
        return key

    @property
    def request_id(self) -> str:
        """Written to errors, logs and the asset that this request creates."""
        return self.event.request_context.request_id or ""


class Api:
    """The routes of a function.  A route gets the Call and the variables of its path.

    A CallerError is answered with its code, any other with a logged 500.  `tenant_of` gives the tenant of a
    client and raises UnknownClientError.
    """

    def __init__(self, tenant_of: Callable[[str], TenantId], *, allow_origin: str) -> None:
        self._tenant_of = tenant_of
        self._resolver = APIGatewayRestResolver(
            cors=CORSConfig(
                allow_origin=allow_origin,
                allow_headers=["Authorization", "Content-Type", "Idempotency-Key"],
                expose_headers=["Retry-After"],
                max_age=600,
            ),
            strip_prefixes=["/v1"],
        )
        self._resolver.exception_handler(CallerError)(self._refuse)
        self._resolver.not_found(self._no_such_route)
        self._resolver.exception_handler(Exception)(self._fail)
        self.handler = logger.inject_lambda_context(
            metrics.log_metrics(self._resolver.resolve, capture_cold_start_metric=True),
            correlation_id_path="requestContext.requestId",
        )

    def route[**P](
        self, method: str, path: str
    ) -> Callable[[Callable[Concatenate[Call, P], Answer]], Callable[P, Answer]]:
        """Register what answers a method of a path."""

        def register(answer: Callable[Concatenate[Call, P], Answer]) -> Callable[P, Answer]:
            def answered(*args: P.args, **kwargs: P.kwargs) -> Answer:
                return answer(self._call(), *args, **kwargs)

            self._resolver.route(path, method)(answered)
            return answered

        return register

    def _call(self) -> Call:
        event = self._resolver.current_event
        client_id = _claims(event).get("client_id")
        if not isinstance(client_id, str) or not client_id:  # an ID token has none
            raise UnknownClientError
        return Call(self._tenant_of(client_id), client_id, event)

    def _refuse(self, error: CallerError) -> Answer:
        count("RequestRefused")
        faults = error.faults if isinstance(error, InvalidRequestError) else []
        refusal = self._error(_STATUS[error.kind], error.code, error.message, faults)
        if isinstance(error, TooManyError):
            refusal.headers["Retry-After"] = str(error.retry_after)
        return refusal

    def _no_such_route(self, _: NotFoundError) -> Answer:
        count("RequestRefused")
        return self._error(HTTPStatus.NOT_FOUND, "not_found", "there is no such resource")

    def _fail(self, error: Exception) -> Answer:
        logger.exception("unhandled error", exc_info=error)
        count("UnhandledError")
        return self._error(
            HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "something went wrong on our side"
        )

    def _error(self, status: HTTPStatus, code: str, message: str, faults: Sequence[Fault] = ()) -> Answer:
        request_id = self._resolver.current_event.request_context.request_id or ""
        error: dict[str, Any] = {"code": code, "message": message, "request_id": request_id}
        if faults:
            error["faults"] = [{"field": fault.field, "message": fault.message} for fault in faults]
        return _answer(status, {"error": error})


def item_ok(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to one item of a batch, as the single call's 200."""
    return {"status": HTTPStatus.OK.value, **facts, "error": None}


def item_created(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to one item of a batch, as the single call's 201."""
    return {"status": HTTPStatus.CREATED.value, **facts, "error": None}


def item_refused(error: CallerError, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to one item of a batch, with the status of the single call and an ItemError."""
    told: dict[str, Any] = {"code": error.code, "message": error.message}
    if isinstance(error, TooManyError):
        told["retry_after"] = error.retry_after
    if isinstance(error, InvalidRequestError):
        told["faults"] = [{"field": fault.field, "message": fault.message} for fault in error.faults]
    return {"status": _STATUS[error.kind].value, **facts, "error": told}


def _claims(event: APIGatewayProxyEvent) -> Mapping[str, Any]:
    return event.request_context.authorizer.get("claims") or {}


# Lambda answers at most 6 MB (docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html).  The body is
# a string in a JSON object, so its quotes and backslashes count twice.
LONGEST_PAGE: Final = 4 * 1024 * 1024


def fitting[T](shown: Iterable[T]) -> list[T]:
    """The first entries that fit into one answer; at least one."""
    kept: list[T] = []
    length = 0
    for entry in shown:
        length += len(json.dumps(json.dumps(entry)))
        if kept and length > LONGEST_PAGE:
            break
        kept.append(entry)
    return kept


def listed(name: str, page: Page[Any], **facts: Any) -> Answer:
    """200: the entries of a page that fit into one answer, and the cursor of the next page."""
    shown = fitting(page.entries)
    return ok(facts | {name: shown, "cursor": page.first(len(shown)).cursor})


def ok(body: Any) -> Answer:
    """200: it is there."""
    return _answer(HTTPStatus.OK, body)


def created(body: Any) -> Answer:
    """201: this request created it."""
    return _answer(HTTPStatus.CREATED, body)


def accepted(body: Any) -> Answer:
    """202: it has begun and goes on without the caller."""
    return _answer(HTTPStatus.ACCEPTED, body)


def _answer(status: HTTPStatus, body: Any) -> Answer:
    """A JSON answer that no cache keeps: assets change, and their URLs expire."""
    return Response(
        status_code=status.value,
        content_type="application/json",
        body=json.dumps(body),
        headers={"Cache-Control": "no-store"},
    )

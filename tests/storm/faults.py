"""A proxy between the functions and AWS that throttles, fails and hangs up as AWS does on a bad day.

The functions find it through the SDK's own AWS_ENDPOINT_URL; nothing in them knows.  Which calls it harms is
decided by a seed and by how many calls of that operation came before: the same storm harms the same share of
the same operations, whatever the order in which threads get there.
"""

import hashlib
import http.client
import json
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import urlsplit

MARK: Final = "injected by the storm"
"""In the message of every error this proxy answers: what a failure in a log is recognized by."""

_CREDENTIAL: Final = re.compile(r"Credential=[^/]+/\d+/[^/]+/([a-z0-9-]+)/aws4_request")
_HOP_BY_HOP: Final = {"connection", "keep-alive", "expect", "transfer-encoding", "proxy-connection", "te"}
_FORWARD_SECONDS: Final = 60


class Kind(StrEnum):
    """What is done to a call."""

    THROTTLED = "throttled"
    SERVER_ERROR = "5xx"
    RESET_BEFORE = "reset before"  # it never reached the service
    RESET_AFTER = "reset after"  # it took effect, and the caller does not know
    CUT_ANSWER = "cut answer"  # the connection ends in the middle of an object's bytes
    REFUSED_IN_PART = "refused in part"  # 200, and some or all of the batch is handed back


_LIKELY: Final = {
    Kind.THROTTLED: 30,
    Kind.SERVER_ERROR: 25,
    Kind.RESET_BEFORE: 15,
    Kind.RESET_AFTER: 30,
}
# Operations with an answer that says "not all of it", and how they say so.
_PARTIAL: Final = {"BatchWriteItem", "BatchGetItem", "SendMessageBatch", "DeleteObjects", "PutEvents"}

_THROTTLES: Final = {
    "dynamodb": (
        (400, "ProvisionedThroughputExceededException"),
        (400, "ThrottlingException"),
        (400, "RequestLimitExceeded"),
    ),
    "s3": ((503, "SlowDown"),),
    "sqs": ((400, "RequestThrottled"),),
}
_FAILURES: Final = {
    "dynamodb": ((500, "InternalServerError"), (503, "ServiceUnavailable")),
    "s3": ((500, "InternalError"), (503, "ServiceUnavailable")),
    "sqs": ((500, "InternalFailure"), (503, "ServiceUnavailable")),
}


@dataclass(frozen=True, slots=True)
class Call:
    """One call to AWS.  `presigned`: made by a client of ours with a URL that a function signed."""

    service: str
    operation: str
    presigned: bool


@dataclass(frozen=True, slots=True)
class Fault:
    """One call that was harmed, `at` seconds since the epoch."""

    at: float
    call: Call
    kind: Kind


@dataclass
class Weather:
    """What share of calls is harmed now: `share` of all, and while a gust lasts, more of one service."""

    seed: int
    share: float = 0.0
    gusts: dict[str, float] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    calls: Counter[Call] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def decide(self, call: Call) -> tuple[Kind | None, float]:
        """What becomes of the next call of this kind, and a number from 0 to 1 for what is left to choose."""
        with self._lock:
            number = self.calls[call]
            self.calls[call] += 1
        told = f"{self.seed}/{call.service}/{call.operation}/{call.presigned}/{number}".encode()
        drawn = struct.unpack(">3I", hashlib.sha256(told).digest()[:12])
        harmed, which, rest = (number / 2**32 for number in drawn)
        if harmed >= self.gusts.get(call.service, self.share):
            return None, rest
        kind = _pick(which, call)
        with self._lock:
            self.faults.append(Fault(time.time(), call, kind))
        return kind, rest

    def calm(self) -> None:
        """Nothing is harmed any more."""
        self.share = 0.0
        self.gusts.clear()


def _pick(drawn: float, call: Call) -> Kind:
    likely = dict(_LIKELY)
    if call.operation in _PARTIAL:
        likely[Kind.REFUSED_IN_PART] = 40
    if call.operation == "GetObject":
        likely[Kind.CUT_ANSWER] = 15
    at = drawn * sum(likely.values())
    for kind, weight in likely.items():
        at -= weight
        if at < 0:
            return kind
    return kind


def call_of(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Call:
    """Which operation of which service a request is."""
    query = urlsplit(path).query
    if "X-Amz-Signature=" in query:
        return Call("s3", "PutObject" if method == "PUT" else "GetObject", presigned=True)
    signed = _CREDENTIAL.search(headers.get("Authorization", ""))
    service = signed[1] if signed else "unsigned"
    if target := headers.get("X-Amz-Target"):
        return Call(service, target.rpartition(".")[2], presigned=False)
    if service == "s3":
        return Call(service, _s3_operation(method, path, query), presigned=False)
    action = re.match(rb"(?:.*&)?Action=(\w+)", body)
    return Call(service, action[1].decode() if action else method, presigned=False)


def _s3_operation(method: str, path: str, query: str) -> str:
    if "tagging" in query:
        return "PutObjectTagging" if method == "PUT" else "GetObjectTagging"
    if method == "POST" and "delete" in query:
        return "DeleteObjects"
    if method == "GET" and "list-type" in query:
        return "ListObjectsV2"
    return {"GET": "GetObject", "PUT": "PutObject", "DELETE": "DeleteObject", "HEAD": "HeadObject"}.get(
        method, method
    )


def refusal(call: Call, kind: Kind, drawn: float) -> tuple[int, str, bytes]:
    """Status, content type and body of an error as this service words it."""
    known = _THROTTLES if kind is Kind.THROTTLED else _FAILURES
    default = ((400, "ThrottlingException"),) if kind is Kind.THROTTLED else ((500, "InternalFailure"),)
    errors = known.get(call.service, default)
    status, code = errors[int(drawn * len(errors)) % len(errors)]
    if call.service == "s3":
        text = f"<Error><Code>{code}</Code><Message>{MARK}</Message><RequestId>storm</RequestId></Error>"
        return status, "application/xml", text.encode()
    told = {"__type": f"com.amazonaws.{call.service}#{code}", "message": MARK}
    return status, "application/x-amz-json-1.0", json.dumps(told).encode()


def handed_back(call: Call, body: bytes) -> tuple[str, bytes]:
    """Content type and body of a success that did none of it."""
    if call.operation == "DeleteObjects":
        keys = re.findall(r"<Key>(.*?)</Key>", body.decode())
        errors = "".join(
            f"<Error><Key>{key}</Key><Code>SlowDown</Code><Message>{MARK}</Message></Error>" for key in keys
        )
        return "application/xml", f"<DeleteResult>{errors}</DeleteResult>".encode()
    asked = json.loads(body)
    answer: dict[str, Any]
    match call.operation:
        case "BatchWriteItem":
            answer = {"UnprocessedItems": asked["RequestItems"]}
        case "BatchGetItem":
            none = {table: list[Any]() for table in asked["RequestItems"]}
            answer = {"Responses": none, "UnprocessedKeys": asked["RequestItems"]}
        case "SendMessageBatch":
            failed = [
                {"Id": entry["Id"], "Code": "InternalError", "Message": MARK, "SenderFault": False}
                for entry in asked["Entries"]
            ]
            answer = {"Successful": [], "Failed": failed}
        case _:
            refused = [{"ErrorCode": "ThrottlingException", "ErrorMessage": MARK} for _ in asked["Entries"]]
            answer = {"FailedEntryCount": len(refused), "Entries": refused}
    return "application/x-amz-json-1.0", json.dumps(answer).encode()


class _Handler(BaseHTTPRequestHandler):
    """One connection of a caller; it has one of its own to the service behind."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "FaultProxy"
    _behind: http.client.HTTPConnection | None = None

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = self._chunks()
        call = call_of(self.command, self.path, self.headers, body)
        kind, drawn = self.server.weather.decide(call)
        match kind:
            case Kind.RESET_BEFORE:
                self._reset()
            case Kind.RESET_AFTER:
                self._forward(body)
                self._reset()
            case Kind.THROTTLED | Kind.SERVER_ERROR:
                status, content_type, told = refusal(call, kind, drawn)
                self._answer(status, {"Content-Type": content_type}, told)
            case Kind.REFUSED_IN_PART:
                content_type, told = handed_back(call, body)
                self._answer(200, {"Content-Type": content_type}, told)
            case Kind.CUT_ANSWER:
                status, headers, told = self._forward(body)
                self._answer(status, headers, told, sent=len(told) // 2)
                self._reset()
            case _:
                self._answer(*self._forward(body))

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_OPTIONS = _handle  # noqa: N815 - http.server's

    def _chunks(self) -> bytes:
        whole = b""
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return whole

    def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
        if body or self.command in {"PUT", "POST"}:
            headers["Content-Length"] = str(len(body))
        for fresh in (False, True):
            if fresh or self._behind is None:
                self._behind = http.client.HTTPConnection(*self.server.behind, timeout=_FORWARD_SECONDS)
            try:
                self._behind.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in headers.items():
                    self._behind.putheader(name, value)
                self._behind.endheaders(body)
                answer = self._behind.getresponse()
            except (http.client.RemoteDisconnected, ConnectionError):
                self._behind.close()
                if fresh:
                    raise
                continue  # a kept-alive connection that the service had closed: nothing was read of ours
            kept = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP}
            return answer.status, kept, answer.read()
        raise ConnectionError(self.server.behind)

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes, sent: int | None = None) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() != "content-length" or self.command == "HEAD":
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:sent])
            self.wfile.flush()

    def _reset(self) -> None:
        """End the connection at once, with a reset and not with an end."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def finish(self) -> None:
        if self._behind is not None:
            self._behind.close()
        try:
            super().finish()
        except (OSError, ValueError):
            return  # it was reset: by us, or by a worker that was killed

    def log_message(self, format: str, *args: Any) -> None:
        """Said in the storm's own report."""


class FaultProxy(ThreadingHTTPServer):
    """Answers on `port` for the service on the port `behind` it."""

    daemon_threads = True
    request_queue_size = 256
    allow_reuse_address = True

    def __init__(self, port: int, behind: int, weather: Weather) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.behind = ("127.0.0.1", behind)
        self.weather = weather

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that was killed, or the emulator restarting: what came of it is seen from both ends."""

    @contextmanager
    def running(self) -> Iterator["FaultProxy"]:
        """It answers for the length of a `with` block."""
        thread = threading.Thread(target=self.serve_forever, name="fault-proxy", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            self.server_close()

"""A proxy in front of the emulator that sees, and may disturb, the functions' calls to AWS.

The functions use it by the SDK's AWS_ENDPOINT_URL (`Emulator.functions_endpoint`); their code does not know
of it.
"""

import http.client
import re
import socket
import struct
import threading
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import urlsplit

_CREDENTIAL: Final = re.compile(r"Credential=[^/]+/\d+/[^/]+/([a-z0-9-]+)/aws4_request")
_HOP_BY_HOP: Final = {"connection", "keep-alive", "expect", "transfer-encoding", "proxy-connection", "te"}
_FORWARD_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Call:
    """One call to AWS.  A `presigned` one comes from a client, by a URL that a function signed."""

    service: str
    operation: str
    presigned: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a service, or one in its place."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def call_of(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Call:
    """The service and operation of a request."""
    query = urlsplit(path).query
    if "X-Amz-Signature=" in query:
        return Call("s3", "PutObject" if method == "PUT" else "GetObject", presigned=True)
    signed = _CREDENTIAL.search(headers.get("Authorization", ""))
    service = signed[1] if signed else "unsigned"
    if target := headers.get("X-Amz-Target"):
        return Call(service, target.rpartition(".")[2], presigned=False)
    if service == "s3":
        return Call(service, _s3_operation(method, query), presigned=False)
    action = re.match(rb"(?:.*&)?Action=(\w+)", body)
    return Call(service, action[1].decode() if action else method, presigned=False)


def _s3_operation(method: str, query: str) -> str:
    if "tagging" in query:
        return "PutObjectTagging" if method == "PUT" else "GetObjectTagging"
    if method == "POST" and "delete" in query:
        return "DeleteObjects"
    if method == "GET" and "list-type" in query:
        return "ListObjectsV2"
    return {"GET": "GetObject", "PUT": "PutObject", "DELETE": "DeleteObject", "HEAD": "HeadObject"}.get(
        method, method
    )


class Passage(BaseHTTPRequestHandler):
    """A caller's connection, with a connection of its own to the service."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "Proxy"
    _behind: http.client.HTTPConnection | None = None

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = self._chunks()
        self.serve(call_of(self.command, self.path, self.headers, body), body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_OPTIONS = _handle  # noqa: N815 - http.server's

    @abstractmethod
    def serve(self, call: Call, body: bytes) -> None:
        """Override this: `forward` the call, and `answer`."""

    def forward(self, body: bytes) -> Answer:
        """Send the request to the service and return its answer."""
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
                continue  # the service had closed a kept-alive connection and read nothing
            kept = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP}
            return Answer(answer.status, kept, answer.read())
        raise ConnectionError(self.server.behind)

    def answer(self, answer: Answer, sent: int | None = None) -> None:
        """Answer the caller; of the body, send only the first `sent` bytes."""
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            if name.lower() != "content-length" or self.command == "HEAD":
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body[:sent])
            self.wfile.flush()

    def reset(self) -> None:
        """Reset the connection."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _chunks(self) -> bytes:
        whole = b""
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return whole

    def finish(self) -> None:
        if self._behind is not None:
            self._behind.close()
        try:
            super().finish()
        except (OSError, ValueError):
            return  # reset by this proxy, or by a killed worker

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing; the proxy's users do."""


class Proxy(ThreadingHTTPServer):
    """Answers on `port` for the service on the port `behind` it."""

    daemon_threads = True
    request_queue_size = 256
    allow_reuse_address = True

    def __init__(self, port: int, behind: int, passage: type[Passage]) -> None:
        super().__init__(("127.0.0.1", port), passage)
        self.behind = ("127.0.0.1", behind)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore killed callers and a restarting emulator; both ends notice."""

    @contextmanager
    def running(self) -> Iterator["Proxy"]:
        """Serve during a `with` block."""
        thread = threading.Thread(target=self.serve_forever, name="proxy", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            self.server_close()

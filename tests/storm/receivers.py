"""Receivers of webhooks in a storm: one a tenant, which verify what comes, and fail now and then."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any, Final

from standardwebhooks import Webhook, WebhookVerificationError

from tests.storm.clients import PatientClient

# Of the requests; a third failure of one delivery would wait five minutes, which a storm has not.
_REFUSES_EACH: Final = 12
_NAME: Final = "storm"


@dataclass
class Receivers:
    """What came, as each tenant's shop would keep it.  `events` are those that were accepted."""

    secrets: dict[str, str] = field(default_factory=dict)
    events: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    refused: int = 0
    calm: bool = False
    address: str = ""
    _requests: Iterator[int] = field(default_factory=lambda: count(1))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def listening(self) -> Iterator["Receivers"]:
        """They have addresses of this machine while the context lasts."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, name="receivers")
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def subscribe(self, tenant: str, catalog: PatientClient) -> None:
        """Every event of the tenant comes to its receiver from now on."""
        body = {"url": f"{self.address}/{tenant}", "events": ["*"]}
        self.secrets[tenant] = catalog.request("PUT", f"/webhooks/{_NAME}", json=body)["secret"]

    def take(self, tenant: str, headers: Mapping[str, str], body: bytes) -> int:
        """The status that a request is answered with."""
        with self._lock:
            try:
                event = Webhook(self.secrets[tenant]).verify(body, dict(headers))
            except WebhookVerificationError as error:
                self.broken.append(f"a delivery to {tenant} is not verified: {error}: {body[:200]!r}")
                return 400
            if event["data"]["tenant"] != tenant:
                self.broken.append(f"{tenant} was told of {event['data']['tenant']}: {body[:200]!r}")
            if next(self._requests) % _REFUSES_EACH == 0 and not self.calm:
                self.refused += 1
                return 503
            self.events.append((tenant, json.loads(body)))
            return 204

    def ids(self, type_: str) -> set[tuple[str, str]]:
        """Tenant and image of each event of this type that was accepted."""
        with self._lock:
            return {(tenant, event["data"]["id"]) for tenant, event in self.events if event["type"] == type_}

    def repeated(self) -> int:
        """How many deliveries were of an event that had come before."""
        with self._lock:
            return len(self.events) - len({(tenant, e["data"]["event_id"]) for tenant, e in self.events})


def _handler(receivers: Receivers) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.send_response(receivers.take(self.path.strip("/"), headers, body))
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            """The storm's report is enough."""

    return Handler

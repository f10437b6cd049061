"""Sends a request to a receiver that a tenant names, and to nothing else.

A name is resolved once, and the connection goes to that very address, so no second answer of a name server
can lead elsewhere.  Redirects are not followed, proxies not used, and of the answer only its first line is
read.  The standard library alone would follow none of these bounds: its timeouts count from the last byte.
"""

import re
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from catalog.domain.receivers import NotAReceiverError, Receiver, may_be_reached, receiver
from catalog.domain.webhooks import Fault, Reply

LASTS: Final = 10.0  # seconds for connecting, sending and the first line; resolving is bounded by RES_OPTIONS
_CONNECTS_IN: Final = 4.0  # seconds an address
_ADDRESSES: Final = 2  # tried in turn, as happy eyeballs would
_LONGEST_LINE: Final = 1_024  # bytes of a status line

_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})[ \r\n]")

Resolve = Callable[..., list[Any]]


class _FailedError(Exception):
    """The request failed; why is its only argument."""


@dataclass(frozen=True, slots=True)
class Receivers:
    """The receivers of webhooks.  `loopback` allows those on this machine, which the emulator's tests use."""

    loopback: bool = False
    resolve: Resolve = socket.getaddrinfo
    monotonic: Callable[[], float] = time.monotonic
    trust: ssl.SSLContext = field(default_factory=ssl.create_default_context)

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """POST these bytes.  Takes LASTS at most, after the name is resolved."""
        try:
            to = receiver(url, loopback=self.loopback)
            addresses = self._addresses(to)
            until = self.monotonic() + LASTS
            with self._connected(to, addresses, until) as connection:
                self._send(connection, _request(to, headers, body), until)
                return Reply(status=self._status(connection, until))
        except NotAReceiverError:
            return Reply(fault=Fault.NOT_ALLOWED)
        except _FailedError as error:
            return Reply(fault=error.args[0])

    def _addresses(self, to: Receiver) -> list[tuple[int, Any]]:
        """Family and socket address of each.  One that is not public refuses the name as a whole."""
        try:
            found = self.resolve(to.host, to.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise _FailedError(Fault.NOT_RESOLVED) from error
        if not found:
            raise _FailedError(Fault.NOT_RESOLVED)
        if not all(may_be_reached(str(address[4][0]), loopback=self.loopback) for address in found):
            raise _FailedError(Fault.NOT_ALLOWED)
        return [(family, address) for family, _, _, _, address in found[:_ADDRESSES]]

    def _connected(self, to: Receiver, addresses: list[tuple[int, Any]], until: float) -> socket.socket:
        plain = self._first_connection(addresses, until)
        if to.scheme != "https":
            return plain
        try:
            plain.settimeout(self._left(until))
            return self.trust.wrap_socket(plain, server_hostname=to.host.rstrip("."))
        except ssl.SSLCertVerificationError as error:
            plain.close()
            raise _FailedError(Fault.NOT_TRUSTED) from error
        except OSError as error:
            plain.close()
            raise _FailedError(_fault(error)) from error

    def _first_connection(self, addresses: list[tuple[int, Any]], until: float) -> socket.socket:
        fault = Fault.NOT_CONNECTED
        for family, address in addresses:
            connection = socket.socket(family, socket.SOCK_STREAM)
            connection.settimeout(min(_CONNECTS_IN, self._left(until)))
            try:
                connection.connect(address)
            except OSError as error:
                connection.close()
                fault = _fault(error)
            else:
                return connection
        raise _FailedError(fault)

    def _send(self, connection: socket.socket, request: bytes, until: float) -> None:
        unsent = memoryview(request)
        while unsent:
            connection.settimeout(self._left(until))
            try:
                unsent = unsent[connection.send(unsent) :]
            except OSError as error:
                raise _FailedError(_fault(error)) from error

    def _status(self, connection: socket.socket, until: float) -> int:
        line = b""
        while b"\n" not in line and len(line) < _LONGEST_LINE:
            connection.settimeout(self._left(until))
            try:
                some = connection.recv(_LONGEST_LINE)
            except OSError as error:
                raise _FailedError(_fault(error)) from error
            if not some:
                break
            line += some
        found = _STATUS_LINE.match(line)
        if found is None:
            raise _FailedError(Fault.NO_ANSWER)
        return int(found[1])

    def _left(self, until: float) -> float:
        left = until - self.monotonic()
        if left <= 0:
            raise _FailedError(Fault.TIMED_OUT)
        return left


def _fault(error: OSError) -> Fault:
    return Fault.TIMED_OUT if isinstance(error, TimeoutError) else Fault.NOT_CONNECTED


def _request(to: Receiver, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [
        f"POST {to.target} HTTP/1.1",
        f"Host: {to.authority}",
        "User-Agent: catalog-images",
        "Connection: close",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body

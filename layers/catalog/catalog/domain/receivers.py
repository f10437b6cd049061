"""Which addresses a tenant's webhooks may be sent to: never one inside this account, or of its machines."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import urlsplit

LONGEST_URL: Final = 2_048

_PORTS: Final = {"https": 443, "http": 80}
_TEXT: Final = re.compile(r"[!-~]+")  # printable ASCII without spaces: nothing can end a line of a request
# The last label begins with a letter, so that no number is taken for a name: 0x7f.1 would be 127.0.0.1.
_LABEL: Final = r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?"
_NAME: Final = re.compile(rf"(?:{_LABEL}\.)*(?=[a-z]){_LABEL}\.?")
# What the registry gives out (iana.org/assignments/ipv6-address-space); translations of IPv4 lie outside,
# except 6to4.
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_SIX_TO_FOUR: Final = IPv6Network("2002::/16")


class NotAReceiverError(ValueError):
    """Nothing is sent to such a URL; the message says why."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """A URL, taken apart.  `host` is a name or an address without brackets, `target` path and query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """What the Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def receiver(url: str, *, loopback: bool = False) -> Receiver:
    """The receiver at a URL of a webhook.  `loopback` also takes plain HTTP to this very machine.

    Raises NotAReceiverError.  A name is judged by what it resolves to, when something is sent.
    """
    if len(url) > LONGEST_URL or not _TEXT.fullmatch(url):
        raise NotAReceiverError(f"must be 1 to {LONGEST_URL} characters of ASCII, percent-encoded")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise NotAReceiverError("is not a URL") from error
    if parts.username is not None or parts.fragment or "#" in url or port == 0:
        raise NotAReceiverError("must have no user, no fragment, and no port 0")
    address = _address(host)
    if parts.scheme not in _PORTS or not (address or _NAME.fullmatch(host)):
        raise NotAReceiverError("must be https:// with a host name or an address")
    if address and not may_be_reached(host, loopback=loopback):
        raise NotAReceiverError("must not name a private address")
    if parts.scheme != "https" and not (loopback and address and address.is_loopback):
        raise NotAReceiverError("must be https://")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Receiver(parts.scheme, host, port or _PORTS[parts.scheme], target)


def may_be_reached(text: str, *, loopback: bool = False) -> bool:
    """Whether a resolved address belongs to the public Internet, or to this machine where that is allowed."""
    address = _address(text)
    if address is None:
        return False
    if address.is_loopback:
        return loopback
    if isinstance(address, IPv6Address) and (address not in _GLOBAL_UNICAST or address in _SIX_TO_FOUR):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None

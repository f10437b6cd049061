"""What both clients send by: timeouts, which answers are tried again, and how long to wait before."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

RETRIES: Final = 4
CONNECTIONS: Final = 32  # at once, to one host or several
TIMEOUT: Final = httpx.Timeout(60.0, connect=5.0)  # a cold Lambda on a busy laptop takes some seconds
RETRIED_STATUSES: Final = frozenset({429, 500, 502, 503, 504})
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.2, 20.0
_LONGEST_RETRY_AFTER_SECONDS: Final = 60.0  # a tenant's minute of uploads
_CHUNK_BYTES: Final = 64 * 1024

Progress = Callable[[int], object]  # is told how many bytes more were handed to the connection


def client_settings(api_url: str) -> dict[str, Any]:
    """Arguments of httpx.Client and AsyncClient.  A proxy of the environment is none for this machine."""
    local = urlsplit(api_url).hostname in {"127.0.0.1", "localhost", "::1"}
    return {
        "timeout": TIMEOUT,
        "follow_redirects": False,
        "trust_env": not local,
        "limits": httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
    }


def pause_seconds(attempt: int, retry_after: str | None) -> float:
    """How long to wait after a try, the first is 0: what the server asks for, else longer each time."""
    if retry_after and retry_after.isdigit():
        return min(float(retry_after), _LONGEST_RETRY_AFTER_SECONDS)
    longest = min(_FIRST_PAUSE_SECONDS * float(2**attempt), _LONGEST_PAUSE_SECONDS)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - so that clients do not come back together


def chunks(source: bytes | Path, progress: Progress | None) -> Iterator[bytes]:
    """The bytes in pieces; `progress` is told the size of each, once the next one is asked for."""
    for chunk in _pieces(source):
        yield chunk
        if progress is not None:
            progress(len(chunk))


def _pieces(source: bytes | Path) -> Iterator[bytes]:
    if isinstance(source, bytes):
        for start in range(0, len(source), _CHUNK_BYTES):
            yield source[start : start + _CHUNK_BYTES]
        return
    with source.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk

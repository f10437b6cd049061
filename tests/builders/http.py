"""Answers in place of a network, for clients of httpx."""

from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx


@dataclass
class Answers(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Answers a method and URL in turn, the last one again and again; keeps what was asked.

    A URL is told without its query.  `requests` have been read.
    """

    told: defaultdict[tuple[str, str], deque[httpx.Response | Exception]] = field(
        default_factory=lambda: defaultdict(deque)
    )
    requests: list[httpx.Request] = field(default_factory=list)

    def add(self, method: str, url: str, status: int = 200, **answer: Any) -> None:
        self.told[method, url.partition("?")[0]].append(httpx.Response(status, **answer))

    def fail(self, method: str, url: str, error: Exception) -> None:
        self.told[method, url.partition("?")[0]].append(error)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        return self._answer(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        return self._answer(request)

    def of(self, method: str, url: str) -> Iterator[httpx.Request]:
        """The requests for one call."""
        wanted = method, url.partition("?")[0]
        return (each for each in self.requests if (each.method, str(each.url).partition("?")[0]) == wanted)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        waiting = self.told[request.method, str(request.url).partition("?")[0]]
        assert waiting, f"nobody answers {request.method} {request.url}"
        answer = waiting.popleft() if len(waiting) > 1 else waiting[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

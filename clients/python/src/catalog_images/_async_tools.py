"""What the asyncio client waits, locks and reads with; `_blocking_tools` has the same for threads."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

from catalog_images.transport import Progress, chunks

Lock = asyncio.Lock
_T = TypeVar("_T")


class Closing:
    """Whether a client is being closed; whoever waits is woken by it."""

    def __init__(self) -> None:
        self._closed = asyncio.Event()

    def is_set(self) -> bool:
        return self._closed.is_set()

    def set(self) -> None:
        self._closed.set()

    async def wait(self, seconds: float) -> bool:
        """Wait; True if the client was closed meanwhile."""
        try:
            await asyncio.wait_for(self._closed.wait(), seconds)
        except TimeoutError:
            return False
        return True


async def in_thread(work: Callable[[], _T]) -> _T:
    """Do what blocks without blocking the loop."""
    return await asyncio.to_thread(work)


async def body(source: bytes | Path, progress: Progress | None) -> AsyncIterator[bytes]:
    """The bytes of a PUT in pieces."""
    for chunk in chunks(source, progress):
        yield chunk

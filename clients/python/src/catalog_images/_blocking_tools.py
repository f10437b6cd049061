"""What the client waits, locks and reads with; `_async_tools` has the same for asyncio."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from catalog_images.transport import Progress, chunks

Lock = threading.Lock
_T = TypeVar("_T")


class Closing:
    """Whether a client is being closed; whoever waits is woken by it."""

    def __init__(self) -> None:
        self._closed = threading.Event()

    def is_set(self) -> bool:
        return self._closed.is_set()

    def set(self) -> None:
        self._closed.set()

    def wait(self, seconds: float) -> bool:
        """Wait; True if the client was closed meanwhile."""
        return self._closed.wait(seconds)


def in_thread(work: Callable[[], _T]) -> _T:
    """Do it here: whoever calls is in a thread already."""
    return work()


def body(source: bytes | Path, progress: Progress | None) -> Iterator[bytes]:
    """The bytes of a PUT in pieces."""
    return chunks(source, progress)

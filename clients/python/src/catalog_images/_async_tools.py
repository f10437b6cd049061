"""What the asyncio client waits, locks and reads with; `_blocking_tools` has the same for threads."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from catalog_images.transport import Progress, chunks

Lock = asyncio.Lock
_T = TypeVar("_T")


class Closing:
    """Whether a client is being closed; whoever listens is woken by it, or when its image was heard of."""

    def __init__(self) -> None:
        self._closed = False
        self._listening: dict[str, set[Listener]] = {}
        self._lock = threading.Lock()

    def is_set(self) -> bool:
        return self._closed

    def set(self) -> None:
        self._closed = True
        with self._lock:
            woken = [listener for listeners in self._listening.values() for listener in listeners]
        for listener in woken:
            listener.wake()

    def hear(self, image_id: str) -> None:
        with self._lock:
            woken = list(self._listening.get(image_id, ()))
        for listener in woken:
            listener.wake()

    @contextmanager
    def listening(self, image_id: str = "") -> "Iterator[Listener]":
        """A listener for the image; without one for the end alone."""
        listener = Listener(self)
        with self._lock:
            self._listening.setdefault(image_id, set()).add(listener)
        try:
            yield listener
        finally:
            with self._lock:
                self._listening[image_id].discard(listener)
                if not self._listening[image_id]:
                    del self._listening[image_id]

    async def wait(self, seconds: float) -> bool:
        """Wait; True if the client was closed meanwhile."""
        with self.listening() as listener:
            return await listener.wait(seconds)


class Listener:
    """Waits for one image, or for the end."""

    def __init__(self, closing: Closing) -> None:
        self._closing = closing
        self._woken = asyncio.Event()

    def wake(self) -> None:
        self._woken.set()

    async def wait(self, seconds: float) -> bool:
        """Wait until it is woken; True if the client was closed."""
        if self._closing.is_set():
            return True
        try:
            await asyncio.wait_for(self._woken.wait(), seconds)
        except TimeoutError:
            return self._closing.is_set()
        self._woken.clear()
        return self._closing.is_set()


async def in_thread(work: Callable[[], _T]) -> _T:
    """Do what blocks without blocking the loop."""
    return await asyncio.to_thread(work)


async def body(source: bytes | Path, progress: Progress | None) -> AsyncIterator[bytes]:
    """The bytes of a PUT in pieces."""
    for chunk in chunks(source, progress):
        yield chunk

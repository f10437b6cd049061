"""What the client waits, locks and reads with; `_async_tools` has the same for asyncio."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from catalog_images.transport import Progress, chunks

Lock = threading.Lock
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

    def wait(self, seconds: float) -> bool:
        """Wait; True if the client was closed meanwhile."""
        with self.listening() as listener:
            return listener.wait(seconds)


class Listener:
    """Waits for one image, or for the end."""

    def __init__(self, closing: Closing) -> None:
        self._closing = closing
        self._woken = threading.Event()

    def wake(self) -> None:
        self._woken.set()

    def wait(self, seconds: float) -> bool:
        """Wait until it is woken; True if the client was closed."""
        if self._closing.is_set():
            return True
        self._woken.wait(seconds)
        self._woken.clear()
        return self._closing.is_set()


def in_thread(work: Callable[[], _T]) -> _T:
    """Do it here: whoever calls is in a thread already."""
    return work()


def body(source: bytes | Path, progress: Progress | None) -> Iterator[bytes]:
    """The bytes of a PUT in pieces."""
    return chunks(source, progress)

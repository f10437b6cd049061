"""Threads that hand work to each other, and end together at the first fault."""

import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final, Generic, TypeVar

_T = TypeVar("_T")


class Over:
    """Whether a run is over, and by which fault; the first counts."""

    def __init__(self, *, on_end: Callable[[], object]) -> None:
        self.fault: BaseException | None = None
        self._on_end = on_end
        self._event = threading.Event()
        self._lock = threading.Lock()

    def is_set(self) -> bool:
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        return self._event.wait(seconds)

    def set(self, fault: BaseException | None = None) -> None:
        with self._lock:
            if self._event.is_set():
                return
            self.fault = fault
            self._event.set()
        self._on_end()

    def guarded(self, work: Callable[[], object]) -> None:
        """Do it; a fault ends the run instead of only this thread."""
        try:
            work()
        except BaseException as fault:  # noqa: BLE001 - whoever waits for the run raises it
            self.set(fault)


class Later(Generic[_T]):
    """What is to be done at a later time; threads may share it."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, _T]] = []
        self._lock = threading.Lock()

    def put(self, item: _T, seconds: float) -> None:
        with self._lock:
            self._waiting.append((time.monotonic() + seconds, item))

    def due(self) -> list[_T]:
        """Take what is due."""
        now = time.monotonic()
        with self._lock:
            found = [item for at, item in self._waiting if at <= now]
            self._waiting = [(at, item) for at, item in self._waiting if at > now]
        return found


class _Flush:
    """Nothing follows that a batch could wait for."""


_FLUSH: Final = _Flush()


class Stage(Generic[_T]):
    """Threads that take what waits, up to `most` at once, and do `work` with it.

    One thread collects at a time, and lets a batch fill for `linger` seconds: all but the last are full.
    `linger` may be changed at any time.
    """

    def __init__(
        self,
        work: Callable[[list[_T]], object],
        *,
        threads: int,
        over: Over,
        most: int = 1,
        linger: float = 0.0,
    ) -> None:
        self._work, self._over = work, over
        self._most, self.linger = most, linger
        self._waiting: SimpleQueue[_T | _Flush | None] = SimpleQueue()
        self._collecting = threading.Lock()
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def put(self, item: _T) -> None:
        self._waiting.put(item)

    def flush(self) -> None:
        """What waits need not wait for more."""
        self._waiting.put(_FLUSH)

    def end(self) -> None:
        """Wait until nothing is being worked on; what waits is done too, unless the run is over."""
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        while batch := self._batch():
            if not self._over.is_set():
                self._over.guarded(lambda batch=batch: self._work(batch))  # type: ignore[misc]

    def _batch(self) -> list[_T]:
        """What waits; empty at this thread's end."""
        with self._collecting:
            first = self._waiting.get()
            while isinstance(first, _Flush):
                first = self._waiting.get()
            if first is None:
                return []
            batch, until = [first], time.monotonic() + self.linger
            while len(batch) < self._most:
                try:
                    item = self._waiting.get(timeout=max(0.0, until - time.monotonic()))
                except Empty:
                    break
                if isinstance(item, _Flush):
                    break
                if item is None:
                    self._waiting.put(None)  # the end of this thread later, or of another
                    break
                batch.append(item)
            return batch

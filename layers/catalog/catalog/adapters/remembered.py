"""A cache of a minute for facts that may be a minute old."""

import time
from collections.abc import Callable
from typing import Final

REMEMBERED_SECONDS: Final = 60.0


class Remembered[K, V]:
    """Calls `load` once a minute a key.  Errors are not remembered.

    A process sees few keys (the clients that call it), so nothing is ever evicted.
    """

    def __init__(self, load: Callable[[K], V], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._load = load
        self._monotonic = monotonic
        self._loaded: dict[K, tuple[float, V]] = {}

    def __call__(self, key: K) -> V:
        asked_at = self._monotonic()
        known = self._loaded.get(key)
        if known and known[0] >= asked_at - REMEMBERED_SECONDS:
            return known[1]
        value = self._load(key)
        self._loaded[key] = (asked_at, value)
        return value

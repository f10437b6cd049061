"""Side by side: a worker takes several subjects of its part at once, because it mostly waits for S3.

What needs the processor or much memory stays one at a time: a function has one core, and one decode may need
most of its memory.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Condition, Lock
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from catalog.domain.assets import Inspection
    from catalog.domain.near_duplicates import Likeness
    from catalog.domain.presets import Preset
    from catalog.domain.renditions import RenderedImage
    from catalog.use_cases.ingestion import Inspect
    from catalog.use_cases.rendering import Renderer

# Bytes of originals in memory: four at the default MaxUploadBytes.  A larger one is taken alone.
ROOM: Final = 40 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class SideBySide[S]:
    """At most `most` subjects at once, which weigh at most `room` bytes together."""

    weight: Callable[[S], int]
    most: int
    room: int = ROOM

    def has_room(self, taken: Collection[int], weight: int) -> bool:
        """Whether one more subject may be taken beside those with these weights."""
        return not taken or (len(taken) < self.most and sum(taken) + weight <= self.room)


class Turns:
    """Who names the same thing waits until it is free: two threads would do its work twice."""

    def __init__(self) -> None:
        self._taken: set[Hashable] = set()
        self._changed = Condition()

    @contextmanager
    def of(self, name: Hashable) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: name not in self._taken)
            self._taken.add(name)
        try:
            yield
        finally:
            with self._changed:
                self._taken.remove(name)
                self._changed.notify_all()


class Processor:
    """Has one thread at a time decode, compare or render."""

    def __init__(self) -> None:
        self._free = Lock()

    def rendering(self, render: Renderer) -> Renderer:
        """The renderer; it renders all that is wanted before it returns."""

        def rendered(
            data: bytes, presets: Sequence[Preset], *, wanted: Collection[str]
        ) -> list[RenderedImage]:
            with self._free:
                return list(render(data, presets, wanted=wanted))

        return rendered

    def inspecting(self, inspect: Inspect) -> Inspect:
        """The inspection, and the comparisons of what it finds."""

        def inspected(data: bytes) -> Inspection:
            with self._free:
                found = inspect(data)
            return replace(found, verify=self._verifying(found.verify))

        return inspected

    def _verifying(self, verify: Callable[[bytes], Likeness]) -> Callable[[bytes], Likeness]:
        def verified(data: bytes) -> Likeness:
            with self._free:
                return verify(data)

        return verified

"""Functions that run at the same time, one AWS call at a time, in an order that the test chooses.

Each runs in a thread of its own, which waits before every call until it is told to go on; between two calls
nothing else runs.  So any interleaving of the calls of many functions can be played, and played again.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from queue import SimpleQueue
from typing import Any

import botocore.client
import pytest

from tests.functional.cloud import Killed

_PATIENCE = 60.0  # seconds for what takes milliseconds, unless a test has a deadlock to tell of


AT_ONCE = 4  # functions

# Whose turn it is, for two functions that make a few calls each: every order of the first five.
ORDERS = tuple(product((0, 1), repeat=5))


@dataclass
class Task:
    """A function under way.  `calls` are those it was let make, `outcome` what it returned or raised."""

    name: str
    work: Callable[[], Any]
    calls: list[str] = field(default_factory=list)
    done: bool = False
    outcome: Any = None
    _next: str = ""
    _go: SimpleQueue[bool] = field(default_factory=SimpleQueue)
    _parked: SimpleQueue[None] = field(default_factory=SimpleQueue)

    @property
    def failed(self) -> bool:
        return isinstance(self.outcome, BaseException)

    def run(self) -> None:
        """In the thread: from the first call to the end."""
        try:
            self.outcome = self.work()
        except Killed as killed:
            self.outcome = killed
        except Exception as error:  # noqa: BLE001 - whoever let it run judges what it came to
            self.outcome = error
        self.done = True
        self._parked.put(None)

    def wait_for_turn(self, call: str) -> None:
        """In the thread: before a call.  The queries of one lookup run at once, and are one call here."""
        if call == "dynamodb:Query" == (self.calls or [""])[-1]:
            return
        self._next = call
        self._parked.put(None)
        if not self._go.get(timeout=_PATIENCE):
            raise Killed
        self.calls.append(call)

    def until_parked(self) -> None:
        self._parked.get(timeout=_PATIENCE)

    def step(self) -> None:
        """Let it make its next call and go on to the one after that, or to its end."""
        self._go.put(True)
        self.until_parked()

    def step_to(self, call: str) -> None:
        """Let it go on until it waits to make this call."""
        while self._next != call:
            assert not self.done, f"{self.name} never makes {call}: {self.calls}"
            self.step()

    def finish(self) -> Any:
        """Let it go on to its end; what it returned."""
        while not self.done:
            self.step()
        if self.failed:
            raise self.outcome
        return self.outcome

    def kill(self) -> None:
        """Its process is gone: the call it waits for is never made."""
        self._go.put(False)
        self.until_parked()


class Scheduler:
    """Starts tasks in a few threads that are kept, since each has AWS clients of its own."""

    def __init__(self, threads: int) -> None:
        self.free: list[SimpleQueue[Task | None]] = []
        self._tasks: dict[int, Task] = {}
        self._of_task: dict[int, SimpleQueue[Task | None]] = {}
        for _ in range(threads):
            waiting: SimpleQueue[Task | None] = SimpleQueue()
            threading.Thread(target=self._serve, args=(waiting,), daemon=True).start()
            self.free.append(waiting)

    def _serve(self, waiting: SimpleQueue[Task | None]) -> None:
        while task := waiting.get():
            self._tasks[threading.get_ident()] = task
            task.run()

    def start(self, name: str, work: Callable[[], Any]) -> Task:
        """Run up to its first call.  A thread must be free."""
        task, thread = Task(name, work), self.free.pop()
        self._of_task[id(task)] = thread
        thread.put(task)
        task.until_parked()
        return task

    def take_turns(self, order: Iterable[int], *works: Callable[[], Any]) -> list[Any]:
        """Let the works make their calls in this order, then end one after the other; what they returned."""
        tasks = [self.start(f"work {number}", work) for number, work in enumerate(works)]
        for turn in order:
            if not tasks[turn].done:
                tasks[turn].step()
        outcomes = [task.finish() for task in tasks]
        for task in tasks:
            self.finished(task)
        return outcomes

    def finished(self, task: Task) -> None:
        self.free.append(self._of_task.pop(id(task)))

    def close(self) -> None:
        for thread in self.free:
            thread.put(None)

    @contextmanager
    def in_charge(self) -> Iterator[None]:
        """Every AWS call of a task waits for its turn; those of the test itself do not."""
        make = botocore.client.BaseClient._make_api_call

        def in_turn(client: Any, operation: str, arguments: Any) -> Any:
            if task := self._tasks.get(threading.get_ident()):
                task.wait_for_turn(f"{client.meta.service_model.service_name}:{operation}")
            return make(client, operation, arguments)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(botocore.client.BaseClient, "_make_api_call", in_turn)
            yield

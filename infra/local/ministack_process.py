"""MiniStack as a process that saves its state while it runs, and not only when it stops.

    .venvs/emulator/bin/python -P infra/local/ministack_process.py <folder>

Runs in the emulator's environment, which lacks this project's packages.  While requests come in it saves
every few seconds, all but the functions.  `POST /_catalog/save` saves these too.  After a crash,
`Emulator.up` goes back to the last save.
"""

import asyncio
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from ministack import app as ministack
from ministack.core import lambda_runtime, persistence

SAVE_PATH: Final = "/_catalog/save"
ONLY_DEPLOYED: Final = "lambda"  # 44 MB with the layers, and only a deployment changes it
SAVE_SECONDS: Final = 2.0  # between two saves at least
MAX_SHARE: Final = 0.1  # of the time is spent on saving at most
_TRIES: Final = 20  # a copy fails if another thread changes what is copied

# Functions that nobody waits for, as CloudFormation names them: workers of jobs and purges, and the planner.
_BACKGROUND: Final = re.compile(r"-(?:\w+Worker|JobPlanner|WebhookDelivery)-\w+$")
# On AWS each has a processor of its own; here they take what live functions leave.
_NICER: Final = 15
_NICEST: Final = 19

_STARTS_AT_ONCE: Final = os.cpu_count() or 1  # of workers of one function
_FRESH_SECONDS: Final = 0.5  # it may be free again after a short call
_LOOK_SECONDS: Final = 0.02
_leasing: Final = threading.Lock()
_unpacking: Final = threading.Lock()
_acquire_worker: Final = lambda_runtime.acquire_worker

type Scope = Mapping[str, Any]
type Receive = Callable[[], Awaitable[Mapping[str, Any]]]
type Send = Callable[[Mapping[str, Any]], Awaitable[None]]


class SavedMinistack:
    """The ASGI application of MiniStack, with saves between its requests."""

    def __init__(self, inner: Callable[[Scope, Receive, Send], Awaitable[None]], folder: Path) -> None:
        self._inner = inner
        self._folder = folder
        self._changed = False
        self._saving = asyncio.Lock()
        self._saver: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._inner(scope, receive, send)  # saves the state itself when it ends
            self._write_listing(self._listing())
            return
        if self._saver is None:
            self._saver = asyncio.create_task(self._save_while_it_changes())
            self._saver.add_done_callback(asyncio.Task.result)  # so that its failure is logged
        if scope.get("path") == SAVE_PATH and scope.get("method") == "POST":
            status = 204 if await self.save(without=()) is not None else 503
            await send({"type": "http.response.start", "status": status, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        await self._inner(scope, receive, send)
        self._changed = self._changed or scope.get("path") not in ministack._HEALTH_PATHS

    async def save(self, *, without: Collection[str] = (ONLY_DEPLOYED,)) -> float | None:
        """Save the services and return the seconds it took; None if no consistent copy could be made."""
        async with self._saving:
            for _ in range(_TRIES):
                started = time.monotonic()
                try:
                    # Requests run on this thread, so they all wait: the copies are of one moment.
                    states = {
                        name: state()
                        for name, state in ministack._build_persistence_save_dict().items()
                        if name not in without
                    }
                except RuntimeError:  # a dictionary changed size: a poller's thread was at work
                    await asyncio.sleep(0.01)
                    continue
                await asyncio.to_thread(self._write, states, self._listing())
                return time.monotonic() - started
        return None

    async def _save_while_it_changes(self) -> None:
        pause = SAVE_SECONDS
        while True:
            await asyncio.sleep(pause)
            if self._changed:
                self._changed = False
                took = await self.save()
                self._changed = self._changed or took is None
                pause = max(SAVE_SECONDS, (took or 0) / MAX_SHARE)

    def _write(self, states: Mapping[str, Any], listing: str) -> None:
        for name, state in states.items():
            if state is not None:
                persistence.save_state(name, state)
        self._write_listing(listing)

    def _listing(self) -> str:
        """The files of all objects.  MiniStack writes them at once: a crash leaves some without a record."""
        objects = self._folder / "s3"
        return "\n".join(
            sorted(str(file.relative_to(objects)) for file in objects.rglob("*") if file.is_file())
        )

    def _write_listing(self, listing: str) -> None:
        new = self._folder / "saved.tmp"
        new.write_text(listing)
        new.replace(self._folder / "saved")


class Popen(subprocess.Popen[str]):
    """A process, of low priority where it is a worker of a background function."""

    def __init__(self, *args: Any, env: Mapping[str, str] | None = None, **options: Any) -> None:
        super().__init__(*args, env=env, **options)
        if _BACKGROUND.search((env or {}).get("AWS_LAMBDA_FUNCTION_NAME", "")):
            niceness = os.getpriority(os.PRIO_PROCESS, 0) + _NICER
            os.setpriority(os.PRIO_PROCESS, self.pid, min(_NICEST, niceness))


class SharedZip(zipfile.ZipFile):
    """A layer or a function's code, unpacked once for all workers, which find a link to it.

    MiniStack unpacks both layers for each worker: 1,777 files, 94 MB, and half a second of processor.
    """

    def extractall(self, path: Any = None, members: Any = None, pwd: bytes | None = None) -> None:
        held = [(each.filename, each.CRC, each.file_size, each.external_attr) for each in self.infolist()]
        folder = Path(tempfile.gettempdir())  # the emulator's own, removed with it
        shared = folder / f"unpacked-{hashlib.sha256(repr(held).encode()).hexdigest()}"
        with _unpacking:
            if not shared.exists():
                new = Path(tempfile.mkdtemp(dir=folder))
                super().extractall(new, members, pwd)
                new.rename(shared)
        Path(path).rmdir()
        Path(path).symlink_to(shared)


def lease_worker(name: str, config: Any, code: bytes, qualifier: str = "$LATEST", **options: Any) -> Any:
    """A worker of a function, as MiniStack leases it: one that is free, else a new one.

    On AWS a worker that starts has a processor of its own.  Here 20 first calls at once started 20 workers,
    which took 23 s on two processors, and longer than CloudFront's 30 s when these were busy (504).  So a
    call waits while as many are starting as there are processors, and mostly takes one of these.
    """
    key = lambda_runtime._worker_key(name, config, qualifier)
    while True:
        with _leasing:
            with lambda_runtime._lock:
                workers = list(lambda_runtime._workers.get(key, ()))
            if may_lease(workers, time.time()):
                return _acquire_worker(name, config, code, qualifier, **options)
        time.sleep(_LOOK_SECONDS)


def may_lease(workers: Collection[Any], now: float) -> bool:
    """Whether one of a function's workers is free, or so few are starting that another one may."""
    starting = sum(each._start_time is None or now - each._start_time < _FRESH_SECONDS for each in workers)
    return starting < _STARTS_AT_ONCE or not all(each.in_use for each in workers)


if __name__ == "__main__":
    folder = Path(sys.argv.pop())
    ministack.app = SavedMinistack(ministack.app, folder)
    subprocess.Popen = Popen  # type: ignore[misc]
    lambda_runtime.acquire_worker = lease_worker
    lambda_runtime.zipfile = SimpleNamespace(**{**vars(zipfile), "ZipFile": SharedZip})
    ministack.main()

"""What is put around MiniStack, without MiniStack: how its workers share this machine's processors."""

import importlib.util
import os
import subprocess
import sys
import tempfile
import threading
import zipfile
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from infra.local import emulator


@pytest.fixture
def wrapper(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The process's module; the emulator's environment has what it imports."""
    core_modules = ("ministack.core.persistence", "ministack.core.lambda_runtime")
    for name in ("ministack", "ministack.app", "ministack.core", *core_modules):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setattr(sys.modules["ministack"], "app", sys.modules["ministack.app"], raising=False)
    core = sys.modules["ministack.core"]
    for name in core_modules:
        monkeypatch.setattr(core, name.rpartition(".")[2], sys.modules[name], raising=False)
    runtime = sys.modules["ministack.core.lambda_runtime"]
    for attribute, value in (
        ("_lock", threading.Lock()),
        ("_workers", {}),
        ("_worker_key", lambda name, _, qualifier: f"{name}:{qualifier}"),
        ("acquire_worker", lambda name, *_: f"a worker of {name}"),
    ):
        monkeypatch.setattr(runtime, attribute, value, raising=False)
    spec = importlib.util.spec_from_file_location("ministack_process", emulator._PROCESS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def niceness(wrapper: ModuleType, function: str) -> int:
    """Of a process that is started as a worker of this function, above this process's own."""
    environment = {"AWS_LAMBDA_FUNCTION_NAME": function}
    with wrapper.Popen(
        [sys.executable, "-c", "input()"], env=environment, stdin=subprocess.PIPE, text=True
    ) as process:
        return os.getpriority(os.PRIO_PROCESS, process.pid) - os.getpriority(os.PRIO_PROCESS, 0)


@pytest.mark.parametrize("function", ["RebuildWorker", "JobPlanner", "PurgeWorker", "WebhookDelivery"])
def test_a_worker_that_nobody_waits_for_leaves_live_functions_the_processor(
    wrapper: ModuleType, function: str
) -> None:
    assert niceness(wrapper, f"catalog-images-{function}-1A2B3C4D5E6F") > 0


@pytest.mark.parametrize("function", ["Ingest", "Render", "RequestUpload", "Jobs", "Usage"])
def test_live_functions_keep_their_priority(wrapper: ModuleType, function: str) -> None:
    assert niceness(wrapper, f"catalog-images-{function}-1A2B3C4D5E6F") == 0


NOW = 1_000.0


@dataclass
class Worker:
    """As MiniStack's: `_start_time` is None until the process is ready."""

    in_use: bool = True
    _start_time: float | None = NOW - 60


def starting() -> Worker:
    return Worker(_start_time=None)


def free() -> Worker:
    return Worker(in_use=False)


@pytest.fixture
def two_processors(wrapper: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(wrapper, "_STARTS_AT_ONCE", 2)
    return wrapper


@pytest.mark.parametrize(
    ("workers", "may"),
    [
        ([], True),
        ([Worker()] * 9, True),  # all are at work: one more starts, however many there are
        ([starting()], True),
        ([starting(), starting()], False),
        ([starting(), starting(), free()], True),
        ([starting(), Worker(_start_time=NOW - 0.1)], False),  # it answers its first call, and is free soon
        ([starting(), Worker(_start_time=NOW - 5)], True),  # its first call takes long
    ],
)
def test_a_call_waits_while_as_many_workers_start_as_there_are_processors(
    two_processors: ModuleType, workers: list[Worker], may: bool
) -> None:
    assert two_processors.may_lease(workers, NOW) is may


def test_a_call_that_waits_looks_again_and_takes_what_is_free(
    two_processors: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime: Any = sys.modules["ministack.core.lambda_runtime"]
    runtime._workers["show:$LATEST"] = [starting(), starting()]
    looks: list[float] = []

    def pause(seconds: float) -> None:
        looks.append(seconds)
        assert len(looks) == 1
        runtime._workers["show:$LATEST"].append(free())

    monkeypatch.setattr(two_processors.time, "sleep", pause)

    assert (
        two_processors.lease_worker("other", {}, b"") == "a worker of other"
    )  # a function waits for its own only
    assert not looks
    assert two_processors.lease_worker("show", {}, b"") == "a worker of show"
    assert len(looks) == 1


def unpacked(wrapper: ModuleType, target: Path, text: str) -> Path:
    """Where a worker's module lies, after MiniStack unpacked a layer that holds it."""
    packed = target.with_suffix(".zip")
    with zipfile.ZipFile(packed, "w") as written:
        written.writestr("python/catalog.py", text)
    target.mkdir()
    with wrapper.SharedZip(packed) as opened:
        opened.extractall(target)
    return target / "python" / "catalog.py"


def test_a_layer_is_unpacked_once_for_all_workers_and_anew_where_it_changed(
    wrapper: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    first, second = (unpacked(wrapper, tmp_path / name, "A = 1") for name in ("first", "second"))
    changed = unpacked(wrapper, tmp_path / "changed", "A = 2")

    assert first.samefile(second)
    assert (first.read_text(), changed.read_text()) == ("A = 1", "A = 2")
    (tmp_path / "first").unlink()  # its worker is gone
    assert second.read_text() == "A = 1"

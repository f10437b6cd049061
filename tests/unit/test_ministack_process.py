"""What is put around MiniStack, without MiniStack: background workers leave live ones the processor."""

import importlib.util
import os
import subprocess
import sys
from types import ModuleType

import pytest

from infra.local import emulator


@pytest.fixture
def wrapper(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The process's module; the emulator's environment has what it imports."""
    for name in ("ministack", "ministack.app", "ministack.core", "ministack.core.persistence"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setattr(sys.modules["ministack"], "app", sys.modules["ministack.app"], raising=False)
    core = sys.modules["ministack.core"]
    monkeypatch.setattr(core, "persistence", sys.modules["ministack.core.persistence"], raising=False)
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

"""Linux only, as what is tested: it reads /proc."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from benchmarks._processes import ITSELF, ProcessorTime

BUSY = """
import sys, time
while time.process_time() < {seconds}: pass
print("done", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def busy(processes: ExitStack, seconds: float, function: str) -> subprocess.Popen[bytes]:
    """A Lambda worker, as the emulator starts one, that has used so much CPU and now waits."""
    process = processes.enter_context(
        subprocess.Popen(
            [sys.executable, "-c", BUSY.format(seconds=seconds)],
            env={**os.environ, "AWS_LAMBDA_FUNCTION_NAME": function},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"done\n"
    return process


def test_processor_time_is_told_by_function(processes: ExitStack) -> None:
    busy(processes, 0.3, "render")
    busy(processes, 0.2, "ingest")
    used = ProcessorTime(os.getpid()).look()
    assert used["render"] == pytest.approx(0.3, abs=0.05)  # told in ticks of 10 ms
    assert used["ingest"] == pytest.approx(0.2, abs=0.05)
    assert used[ITSELF] > 0


def test_the_time_of_a_worker_that_ended_is_kept(processes: ExitStack) -> None:
    process = busy(processes, 0.2, "render")
    time = ProcessorTime(os.getpid())
    before = time.look()["render"]
    process.communicate()
    assert time.look()["render"] == before == pytest.approx(0.2, abs=0.05)


def test_other_processes_are_not_counted(processes: ExitStack) -> None:
    process = busy(processes, 0.2, "render")
    busy(processes, 0.1, "ingest")
    assert set(ProcessorTime(process.pid).look()) == {"render"}

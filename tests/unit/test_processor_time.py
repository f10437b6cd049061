"""Processor time is read from a /proc made for the test, so that figures are exact on any machine."""

import os
from pathlib import Path

from benchmarks._processes import ITSELF, ProcessorTime

TICKS = os.sysconf("SC_CLK_TCK")  # a second
EMULATOR, RENDER, INGEST = 10, 11, 12


def process(proc: Path, pid: int, *, parent: int, user: int, system: int, environment: bytes = b"") -> None:
    """Write what Linux tells of a process, by proc(5); `user` and `system` are in seconds."""
    (proc / str(pid)).mkdir(exist_ok=True)
    fields = [b"S", b"%d" % parent, *[b"0"] * 9, b"%d" % (user * TICKS), b"%d" % (system * TICKS), b"0"]
    (proc / str(pid) / "stat").write_bytes(b"%d (a name) with 1 2) " % pid + b" ".join(fields))
    (proc / str(pid) / "environ").write_bytes(environment)


def worker(proc: Path, pid: int, function: str, *, parent: int = EMULATOR, user: int, system: int) -> None:
    environment = b"PATH=/bin\0AWS_LAMBDA_FUNCTION_NAME=" + function.encode() + b"\0HOME=/\0"
    process(proc, pid, parent=parent, user=user, system=system, environment=environment)


def test_processor_time_is_told_by_function(tmp_path: Path) -> None:
    process(tmp_path, EMULATOR, parent=1, user=5, system=2)
    worker(tmp_path, RENDER, "render", user=3, system=1)
    worker(tmp_path, INGEST, "ingest", user=2, system=0)
    assert ProcessorTime(EMULATOR, tmp_path).look() == {ITSELF: 7, "render": 4, "ingest": 2}


def test_workers_of_one_function_are_added_up_however_deep_they_are(tmp_path: Path) -> None:
    process(tmp_path, EMULATOR, parent=1, user=0, system=0)
    worker(tmp_path, RENDER, "render", user=3, system=0)
    worker(tmp_path, INGEST, "render", parent=RENDER, user=2, system=0)
    assert ProcessorTime(EMULATOR, tmp_path).look()["render"] == 5


def test_the_time_of_a_worker_that_ended_is_kept(tmp_path: Path) -> None:
    process(tmp_path, EMULATOR, parent=1, user=0, system=0)
    worker(tmp_path, RENDER, "render", user=3, system=0)
    time = ProcessorTime(EMULATOR, tmp_path)
    time.look()
    (tmp_path / str(RENDER) / "stat").unlink()
    assert time.look()["render"] == 3


def test_the_name_of_a_worker_that_had_not_started_is_asked_again(tmp_path: Path) -> None:
    process(tmp_path, EMULATOR, parent=1, user=0, system=0)
    process(tmp_path, RENDER, parent=EMULATOR, user=1, system=0)
    time = ProcessorTime(EMULATOR, tmp_path)
    assert time.look() == {ITSELF: 1}
    worker(tmp_path, RENDER, "render", user=3, system=0)
    assert time.look() == {ITSELF: 0, "render": 3}


def test_other_processes_are_not_counted(tmp_path: Path) -> None:
    worker(tmp_path, RENDER, "render", parent=1, user=3, system=0)
    worker(tmp_path, INGEST, "ingest", parent=1, user=2, system=0)
    assert ProcessorTime(RENDER, tmp_path).look() == {"render": 3}
    assert ProcessorTime(EMULATOR, tmp_path).look() == {}

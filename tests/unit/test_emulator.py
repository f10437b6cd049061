"""A crash of the emulator falls back to its last save, and only its user can read what it keeps."""

import subprocess
import sys
from pathlib import Path

import pytest

from infra.local import emulator
from infra.local.emulator import Emulator


@pytest.fixture
def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    monkeypatch.setattr(emulator, "STATE_ROOT", tmp_path)
    stopped = Emulator(name="one")
    stopped.folder.mkdir()
    return stopped


def test_an_emulator_that_was_stopped_in_good_order_has_lost_nothing(stopped: Emulator) -> None:
    (stopped.folder / "saved").touch()

    assert stopped.crashed() is None


def test_a_crash_says_from_when_the_state_is_or_that_there_is_none(stopped: Emulator) -> None:
    (stopped.folder / "emulator.pid").write_text("no number")

    assert "crashed before its first save" in (stopped.crashed() or "")

    (stopped.folder / "saved").touch()
    assert "is back as saved at 2" in (stopped.crashed() or "")


def test_after_a_crash_objects_that_came_after_the_last_save_are_gone(stopped: Emulator) -> None:
    known, late = (stopped.folder / "s3" / "1" / "originals" / name for name in ("known", "late"))
    known.parent.mkdir(parents=True)
    known.touch()
    late.touch()
    (stopped.folder / "saved").write_text("1/originals/known")

    stopped.go_back_to_last_save()

    assert (known.exists(), late.exists()) == (True, False)


def test_a_crash_before_the_first_save_leaves_nothing_in_the_way_of_a_deployment(stopped: Emulator) -> None:
    (stopped.folder / "s3").mkdir()

    stopped.go_back_to_last_save()

    assert not stopped.folder.exists()


def test_an_emulator_is_known_again_however_long_its_path_and_narrow_the_terminal(
    stopped: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    waits = [sys.executable, "-c", "input()", "long/" * 50 + "ministack_process.py"]
    with subprocess.Popen(waits, stdin=subprocess.PIPE) as process:
        (stopped.folder / "emulator.pid").write_text(str(process.pid))

        assert stopped.pid() == process.pid


def test_nobody_else_reads_what_the_emulator_keeps(stopped: Emulator) -> None:
    secret = stopped.folder / "state" / "cognito.json"
    secret.parent.mkdir()
    secret.write_text("{}")
    secret.chmod(0o644)

    emulator.private(stopped.folder)

    assert stopped.folder.stat().st_mode & 0o777 == 0o700
    assert secret.stat().st_mode & 0o777 == 0o600

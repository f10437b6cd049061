"""What a crash of the emulator costs is told, and what it keeps is nobody else's to read."""

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
    (stopped.folder / "checkpointed").touch()

    assert stopped.crashed() is None


def test_a_crash_says_from_when_the_state_is_or_that_there_is_none(stopped: Emulator) -> None:
    (stopped.folder / "emulator.pid").write_text("no number")

    assert "had saved nothing" in (stopped.crashed() or "")

    (stopped.folder / "checkpointed").touch()
    assert "tables, queues and clients are as they were at 2" in (stopped.crashed() or "")


def test_nobody_else_reads_what_the_emulator_keeps(stopped: Emulator) -> None:
    secret = stopped.folder / "state" / "cognito.json"
    secret.parent.mkdir()
    secret.write_text("{}")
    secret.chmod(0o644)

    emulator.private(stopped.folder)

    assert stopped.folder.stat().st_mode & 0o777 == 0o700
    assert secret.stat().st_mode & 0o777 == 0o600

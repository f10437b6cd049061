"""Lock files hold hashes and no address; a missing wheel is not a missing index."""

import subprocess
from pathlib import Path

import pytest

from infra import wheels


def test_every_pin_has_hashes_and_no_lock_file_has_an_address() -> None:
    files = wheels.requirements()

    assert {file.parent.name for file in files} == {"catalog", "imaging", "requirements"}
    for file in files:
        pins = [line for line in file.read_text().splitlines() if line[:1].isalnum()]
        assert pins and all(line.endswith("\\") for line in pins)  # the next line is its first hash
        assert "://" not in file.read_text()


def answering(monkeypatch: pytest.MonkeyPatch, status: int, said: str) -> None:
    monkeypatch.setattr(wheels.environments, "uv_environ", dict)
    monkeypatch.setattr(
        wheels.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], status, stderr=said)
    )


def test_pins_with_wheels_lack_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, 0, "")

    assert wheels.missing(Path("a.txt"), wheels.PLATFORMS[0]) is None


def test_a_pin_without_a_wheel_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, 1, "Because a==1 has no usable wheels")

    assert wheels.missing(Path("a.txt"), wheels.PLATFORMS[0]) == "Because a==1 has no usable wheels"


def test_an_index_that_cannot_be_reached_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, 2, "error: Failed to fetch\n  Caused by: error sending request for url")

    with pytest.raises(wheels.UnreachableIndexError):
        wheels.missing(Path("a.txt"), wheels.PLATFORMS[0])

"""The check of arm64 wheels tells what is missing from what could not be asked."""

import subprocess
from pathlib import Path

import pytest

from infra import wheels


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

"""The project's virtual environments under .venvs/, each exactly what its hashed requirement file pins.

    python3 -m infra.local.environments [dev sam emulator bench]

Runs under the bare system Python 3.13, so it imports the standard library only.  pip installs uv into `dev`;
uv installs everything else.  One environment cannot hold `dev`, `sam` and `emulator`: they pin different
versions of the same packages, and a function can import whatever lies beside the emulator that runs it.
`bench` is `dev` with the benchmarks' competitors and the fuzzer, and is made only when it is named.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENVS = ROOT / ".venvs"
NAMES = ("dev", "sam", "emulator", "bench")
ALWAYS = NAMES[:3]
BOOTSTRAP = ROOT / "requirements" / "bootstrap.txt"  # uv alone


class EnvironmentSetupError(RuntimeError):
    """An environment could not be made; the message says which step failed."""


def ensure(*names: str) -> None:
    """Make each named environment unless it is up to date, which takes milliseconds to see.

    Raises EnvironmentSetupError.
    """
    if sys.version_info[:2] != (3, 13):
        raise EnvironmentSetupError(
            f"Python 3.13 is needed, the Lambda functions' own version; this is {sys.version.split()[0]}. "
            "Install it and run again, or name it: make PYTHON=/path/to/python3.13 ..."
        )
    VENVS.mkdir(exist_ok=True)
    with (VENVS / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two makes at once
        for name in sorted({"dev", *names}, key=NAMES.index):
            stamp = VENVS / name / ".installed"
            if not stamp.exists() or stamp.read_text() != _fingerprint(name):
                _install(name)
                stamp.write_text(_fingerprint(name))


def python(name: str) -> Path:
    return VENVS / name / "bin" / "python"


def command(environment: str, program: str) -> str:
    """The path of a program installed in an environment."""
    return str(VENVS / environment / "bin" / program)


def uv_environ() -> dict[str, str]:
    """uv does not read pip's configuration, so this hands on the machine's package index and certificates."""
    environ = {**os.environ, "UV_NO_CONFIG": "1"}
    listing = subprocess.run(
        [str(python("dev")), "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    settings = {}
    for line in listing.splitlines():
        key, _, value = line.partition("=")
        settings[key.rpartition(".")[2]] = value.strip("'\"")
    for variable, setting in (("UV_DEFAULT_INDEX", "index-url"), ("SSL_CERT_FILE", "cert")):
        if setting in settings:
            environ.setdefault(variable, settings[setting])
    return environ


def _requirements(name: str) -> Path:
    return ROOT / "requirements" / f"{name}.txt"


def _fingerprint(name: str) -> str:
    """What the environment was made of.  It holds absolute paths, so a moved checkout needs a new one."""
    parts = [
        sys.version.encode(),
        str(VENVS).encode(),
        BOOTSTRAP.read_bytes(),
        _requirements(name).read_bytes(),
    ]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _install(name: str) -> None:
    packages = sum(line[:1].isalnum() for line in _requirements(name).read_text().splitlines())
    print(f"  {name} environment: {packages} packages ...", file=sys.stderr, flush=True)
    started = time.monotonic()
    _run([sys.executable, "-m", "venv", "--clear", str(VENVS / name)], dict(os.environ))
    if name == "dev":
        # A machine's own constraints are about other projects; every version here is pinned and hashed.
        pip = [str(python(name)), "-m", "pip", "--disable-pip-version-check", "install", "-qq"]
        _run([*pip, "--require-hashes", "-r", str(BOOTSTRAP)], {**os.environ, "PIP_CONSTRAINT": os.devnull})
    uv = [command("dev", "uv"), "pip", "install", "--quiet", "--require-hashes", "--compile-bytecode"]
    _run([*uv, "--python", str(python(name)), "-r", str(_requirements(name))], uv_environ())
    print(f"  {name} environment: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


def _run(command_line: list[str], environ: dict[str, str]) -> None:
    if subprocess.run(command_line, stdout=sys.stderr, env=environ, cwd=ROOT, check=False).returncode:
        raise EnvironmentSetupError(f"this failed, for the reason above: {' '.join(command_line)}")


if __name__ == "__main__":
    try:
        ensure(*(sys.argv[1:] or ALWAYS))
    except EnvironmentSetupError as error:
        sys.exit(f"error: {error}")

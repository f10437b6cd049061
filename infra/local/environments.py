"""The project's virtual environments, each exactly what its hashed requirement file pins.

Runs under the bare system Python 3.13, so it imports the standard library only:
`python3 -m infra.local.environments dev sam emulator`.

Three, because they do not fit in one: the SAM command line and the emulator pin other versions of the
same packages, and whatever lies in the emulator's environment can be imported by a Lambda it runs.  A fourth,
`bench`, is `dev` with the peers and the fuzzer, and is made only when it is named.
"""

import hashlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENVS = ROOT / ".venvs"
NAMES = ("dev", "sam", "emulator", "bench")
ALWAYS = NAMES[:3]
BOOTSTRAP = ROOT / "requirements" / "bootstrap.txt"  # uv alone, installed into `dev` by pip


class EnvironmentSetupError(RuntimeError):
    """An environment could not be made; the message says which step failed and where its log is."""


def ensure(*names: str) -> None:
    """Make each named environment unless it is already what its requirement file pins (then: milliseconds).

    `sam` and `emulator` are installed by the uv of `dev`, so `dev` comes first whatever the order given.
    """
    if sys.version_info[:2] != (3, 13):
        raise EnvironmentSetupError(
            f"Python 3.13 is needed, the Lambda functions' own version; this is {sys.version.split()[0]}. "
            "Install it and run again, or name it: make PYTHON=/path/to/python3.13 ..."
        )
    for name in sorted({"dev", *names}, key=NAMES.index):
        if not _is_current(name):
            _install(name)


def python(name: str) -> Path:
    return VENVS / name / "bin" / "python"


def command(environment: str, program: str) -> str:
    """The path of a program installed in an environment."""
    return str(VENVS / environment / "bin" / program)


def _requirements(name: str) -> Path:
    return ROOT / "requirements" / f"{name}.txt"


def _fingerprint(name: str) -> str:
    digest = hashlib.sha256(sys.version.encode() + _requirements(name).read_bytes())
    if name == "dev":
        digest.update(BOOTSTRAP.read_bytes())
    # A virtual environment holds absolute paths: a moved checkout needs new ones.
    digest.update(str(VENVS.resolve()).encode())
    return digest.hexdigest()


def _is_current(name: str) -> bool:
    stamp = VENVS / name / ".installed"
    return stamp.exists() and stamp.read_text() == _fingerprint(name) and python(name).exists()


def _install(name: str) -> None:
    requirements = _requirements(name)
    packages = sum(1 for line in requirements.read_text().splitlines() if line[:1].isalnum())
    log = VENVS / f"{name}.log"
    log.parent.mkdir(exist_ok=True)
    log.write_text("")
    with _Progress(f"{name} environment: {packages} packages"):
        _run([sys.executable, "-m", "venv", "--clear", str(VENVS / name)], log)
        if name == "dev":
            pip = [str(python(name)), "-m", "pip", "--disable-pip-version-check"]
            _run([*pip, "install", "--quiet", "--require-hashes", "-r", str(BOOTSTRAP)], log, _pip_environ())
        uv = [command("dev", "uv"), "pip", "install", "--quiet", "--require-hashes", "--compile-bytecode"]
        _run([*uv, "--python", str(python(name)), "-r", str(requirements)], log, uv_environ())
    (VENVS / name / ".installed").write_text(_fingerprint(name))


def _pip_environ() -> dict[str, str]:
    # A machine's own constraints are about other projects; every version here is pinned and hashed.
    return {**os.environ, "PIP_CONSTRAINT": os.devnull}


def uv_environ() -> dict[str, str]:
    """uv does not read pip's configuration, so a machine's package index and certificates are handed on."""
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


def _run(command_line: list[str], log: Path, environ: dict[str, str] | None = None) -> None:
    with log.open("a") as output:
        done = subprocess.run(command_line, stdout=output, stderr=output, env=environ, cwd=ROOT, check=False)
    if done.returncode:
        tail = "\n".join(log.read_text().splitlines()[-15:])
        raise EnvironmentSetupError(f"{' '.join(command_line)}\nfailed ({log}):\n{tail}")


class _Progress:
    """One line that says what is being waited for; on a terminal it counts the seconds."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._done = threading.Event()
        self._live = sys.stderr.isatty()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> None:
        self._started = time.monotonic()
        if self._live:
            self._ticker.start()
        else:
            print(f"  {self._title} ...", file=sys.stderr, flush=True)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        seconds = time.monotonic() - self._started
        if self._live:
            self._done.set()
            self._ticker.join()
        if kind is None:
            start = "\r" if self._live else ""
            print(f"{start}  {self._title}: {seconds:.0f} s      ", file=sys.stderr, flush=True)

    def _tick(self) -> None:
        while not self._done.wait(1):
            seconds = time.monotonic() - self._started
            print(f"\r  {self._title} ... {seconds:.0f} s", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        ensure(*(sys.argv[1:] or ALWAYS))
    except EnvironmentSetupError as error:
        sys.exit(f"error: {error}")

"""MiniStack: an AWS account on one local port, with IAM enforced and its state kept between runs.

    python -m infra.local.emulator up|down|status [--port 4566] [--name demo]

It has its own virtual environment and a bare process environment, because its Lambda workers inherit
both.  It saves its state every few seconds and when it stops (infra/local/ministack_process.py).  After a
crash, `up` goes back to the last save.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from infra.local import environments

STATE_ROOT: Final = environments.ROOT / ".local"
REGION: Final = "us-east-1"
_PROCESS: Final = Path(__file__).with_name("ministack_process.py")
START_SECONDS: Final = 60  # a cold start takes 2-4 s; a loaded machine more
STOP_SECONDS: Final = 60  # stopping writes the state of every service

# The only variables that the emulator, and so its Lambda workers, get from the caller.
_INHERITED: Final = (
    "PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"
)  # fmt: skip


class EmulatorError(RuntimeError):
    """The emulator could not be started or stopped; the message says why and where its log is."""


@dataclass(frozen=True)
class Emulator:
    """One emulated account.  `name` is its folder under `.local/`; two need different names and ports.

    `account` is the twelve-digit access key that selects the account and is its root user: with IAM
    enforced, only a root may deploy without a policy.  Its secret is the emulator's own default.
    `functions_endpoint` is where its functions find AWS, if not at the emulator itself (tests.storm).
    """

    port: int = 4566
    name: str = "demo"
    account: str = "000000000001"
    functions_endpoint: str | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def folder(self) -> Path:
        return STATE_ROOT / self.name

    @property
    def log(self) -> Path:
        return self.folder / "emulator.log"

    @property
    def credentials(self) -> dict[str, str]:
        """Environment variables that point AWS SDKs and command lines to this account."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.account,
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
        }

    def is_healthy(self) -> bool:
        """Whether MiniStack answers on this port, with IAM enforced."""
        try:
            with urllib.request.urlopen(f"{self.endpoint}/_ministack/health", timeout=5) as answer:
                return b'"auth": "enabled"' in answer.read()
        except (urllib.error.URLError, OSError):
            return False

    def pid(self) -> int | None:
        """The process that `up` started, if it still runs."""
        try:
            pid = int(self._pid_file.read_text())
            os.kill(pid, 0)
        except (FileNotFoundError, ValueError, ProcessLookupError):
            return None
        return pid if self._is_ours(pid) else None

    def crashed(self) -> str | None:
        """What a crash has lost; None if the emulator runs or was stopped by `down`."""
        if not self._pid_file.exists() or self.pid():
            return None
        if (saved_at := self.saved_at()) is None:
            return f"the emulator {self.name} crashed before its first save: it starts empty"
        return (
            f"the emulator {self.name} crashed: it is back as saved at {saved_at:%Y-%m-%d %H:%M:%S};"
            " send again what came later"
        )

    def saved_at(self) -> datetime | None:
        """When its state was last saved; None before the first time."""
        if not self._saved.exists():
            return None
        return datetime.fromtimestamp(self._saved.stat().st_mtime).astimezone()

    def up(self) -> None:
        """Start it in the background and wait until it answers; after a crash, say what was lost.

        Does nothing if it runs already.  Raises EmulatorError if the port is taken or it does not start.
        """
        if self.pid() and self._wait_healthy():
            return
        if _is_listening(self.port):
            raise EmulatorError(
                f"port {self.port} is taken by something that `make up` did not start. "
                f"Stop it, or choose another port: make up PORT={self.port + 1}"
            )
        if lost := self.crashed():
            print(lost, file=sys.stderr)
            self.go_back_to_last_save()
        private(self.folder)
        # Not the machine's temporary folder: killed workers leave their folders behind.
        shutil.rmtree(self._temporary, ignore_errors=True)
        self._temporary.mkdir(mode=0o700)
        self._rewind_streams()
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [environments.command("emulator", "python"), "-P", str(_PROCESS), str(self.folder)],
                env=self._environ(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                umask=0o077,  # its state has the clients' secrets
            )
        self._pid_file.write_text(str(process.pid))
        if not self._wait_healthy(process):
            self.kill()
            raise EmulatorError(f"the emulator did not come up; the end of {self.log}:\n{self._log_tail()}")

    def down(self) -> bool:
        """Stop it and wait until its state is saved.  False if it was not running."""
        pid = self.pid()
        if pid is None:
            self._pid_file.unlink(missing_ok=True)
            return False
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while self._runs(pid):
            if time.monotonic() > deadline:
                raise EmulatorError(
                    f"the emulator (process {pid}) did not stop in {STOP_SECONDS} s: {self.log}"
                )
            time.sleep(0.05)
        self._pid_file.unlink(missing_ok=True)
        shutil.rmtree(self._temporary, ignore_errors=True)
        return True

    def save(self) -> None:
        """Save its state now.  Raises EmulatorError."""
        try:
            urllib.request.urlopen(f"{self.endpoint}/_catalog/save", data=b"", timeout=STOP_SECONDS).close()
        except OSError as error:  # URLError is one
            raise EmulatorError(f"the emulator could not save its state ({error}): {self.log}") from error

    def kill(self) -> None:
        """End it as a power cut would: the next `up` goes back to the last save."""
        pid = self.pid()
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            while self._runs(pid):
                time.sleep(0.05)

    @contextlib.contextmanager
    def running(self) -> Iterator["Emulator"]:
        """Run it during a `with` block."""
        self.up()
        try:
            yield self
        finally:
            self.down()

    def go_back_to_last_save(self) -> None:
        """Remove the objects that came later: no record knows them, and S3 would refuse to store them again.

        What was overwritten or deleted later stays so.
        """
        if not self._saved.exists():
            shutil.rmtree(self.folder)
            return
        objects = self.folder / "s3"
        known = {objects / line for line in self._saved.read_text().splitlines()}
        for file in [file for file in objects.rglob("*") if file.is_file() and file not in known]:
            file.unlink()

    def _rewind_streams(self) -> None:
        """Let functions read table streams from their beginning.

        MiniStack 1.5 saves how many records of a stream a function has read, but not the records.  After a
        restart it would skip as many new ones (788 after 131 uploads), and nothing would be counted.
        """
        saved = self.folder / "state" / "lambda.json"
        if saved.exists():
            state = json.loads(saved.read_text())
            state["payload"].pop("dynamodb_stream_positions", None)
            saved.write_text(json.dumps(state))

    @property
    def _pid_file(self) -> Path:
        return self.folder / "emulator.pid"

    @property
    def _temporary(self) -> Path:
        return self.folder / "tmp"

    @property
    def _saved(self) -> Path:
        """The list of object files at the last save; its age is the save's."""
        return self.folder / "saved"

    def _environ(self) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        elsewhere = {"AWS_ENDPOINT_URL": self.functions_endpoint} if self.functions_endpoint else {}
        return {
            **inherited,
            **elsewhere,
            "PYTHONNOUSERSITE": "1",
            "TMPDIR": str(self._temporary),
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "MINISTACK_ACCOUNT_ID": self.account,
            "MINISTACK_REGION": REGION,
            "AUTH": "true",
            "PERSIST_STATE": "1",
            "STATE_DIR": str(self.folder / "state"),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(self.folder / "s3"),
            "LAMBDA_EXECUTOR": "local",
            # Listeners on fixed ports would not allow a second emulator.
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
        }

    def _wait_healthy(self, process: subprocess.Popen[bytes] | None = None) -> bool:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.is_healthy():
                return True
            if process is not None and process.poll() is not None:
                return False
            time.sleep(0.1)
        return False

    def _is_ours(self, pid: int) -> bool:
        # After a reboot the number in a pid file may be another process's.
        shown = subprocess.run(
            ["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False
        ).stdout
        return "ministack" in shown

    def _runs(self, pid: int) -> bool:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)  # reap it when this process started it
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True

    def _log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])


def private(folder: Path) -> None:
    """Make the folder, readable for its owner only, as everything in it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.stat().st_mode & 0o077:
            path.chmod(path.stat().st_mode & 0o700)


def _is_listening(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def arguments(description: str) -> argparse.ArgumentParser:
    """The options that choose an emulator, for every program here."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--port", type=int, default=Emulator.port)
    parser.add_argument("--name", default=Emulator.name, help="its folder under .local/")
    parser.add_argument("--account", default=Emulator.account, help="twelve digits")
    return parser


def main() -> None:
    parser = arguments("Start or stop the local AWS emulator.")
    parser.add_argument("action", choices=["up", "down", "status"])
    chosen = parser.parse_args()
    emulator = Emulator(port=chosen.port, name=chosen.name, account=chosen.account)
    try:
        if chosen.action == "up":
            environments.ensure("emulator")
            emulator.up()
            print(f"the emulator runs at {emulator.endpoint} (log: {emulator.log})")
        elif chosen.action == "down":
            print("stopped; its state is kept" if emulator.down() else "it was not running")
        else:
            print("up" if emulator.is_healthy() else "down")
    except (EmulatorError, environments.EnvironmentSetupError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()

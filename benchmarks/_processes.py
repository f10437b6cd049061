"""Processor time of running processes, from /proc: what each Lambda worker took, and the emulator itself."""

import os
from collections import Counter
from pathlib import Path
from typing import Final

_TICK: Final = 1 / os.sysconf("SC_CLK_TCK")  # seconds; 0.01 on Linux
_FUNCTION: Final = b"AWS_LAMBDA_FUNCTION_NAME="
ITSELF: Final = ""


class ProcessorTime:
    """User and system CPU seconds of a process and of all below it, added up by Lambda function.

    The name is that of the function, ITSELF for what is no worker.  What a process took after the last look
    before its end is lost.  Without /proc, so anywhere but on Linux, there is nothing.
    """

    def __init__(self, root: int, proc: Path = Path("/proc")) -> None:
        self._root = root
        self._proc = proc
        self._names: dict[int, str] = {}
        self._last: dict[int, float] = {}

    def look(self) -> Counter[str]:
        """CPU seconds so far, by name; of processes that have ended too."""
        stats = dict(_stats(self._proc))
        children: dict[int, list[int]] = {}
        for pid, (parent, _) in stats.items():
            children.setdefault(parent, []).append(pid)
        waiting = [self._root] if self._root in stats else []
        while waiting:
            pid = waiting.pop()
            waiting += children.get(pid, [])
            self._last[pid] = stats[pid][1]
            # A worker's environment is its own only once it has been started: asked again until then.
            if not self._names.get(pid):
                self._names[pid] = _function(self._proc, pid)
        total: Counter[str] = Counter()
        for pid, seconds in self._last.items():
            total[self._names[pid]] += seconds  # type: ignore[assignment]
        return total


def _stats(proc: Path) -> list[tuple[int, tuple[int, float]]]:
    """Process id, parent's id and CPU seconds of every process."""
    found = []
    for path in proc.glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        # The second field is a name in brackets, which may hold anything; proc(5) counts the others from it.
        fields = text.rpartition(")")[2].split()
        found.append((int(path.parent.name), (int(fields[1]), _TICK * (int(fields[11]) + int(fields[12])))))
    return found


def _function(proc: Path, pid: int) -> str:
    try:
        environment = (proc / str(pid) / "environ").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return ITSELF
    for variable in environment:
        if variable.startswith(_FUNCTION):
            return variable.removeprefix(_FUNCTION).decode()
    return ITSELF

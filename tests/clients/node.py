"""Tools of requirements/node, which `make test` installs where there is npm."""

import subprocess
from pathlib import Path

TOOLS = Path(__file__).parents[2] / ".venvs" / "node" / "node_modules" / ".bin"


def run(tool: str, *arguments: str | Path) -> None:
    assert (TOOLS / tool).exists(), "`make test TESTS=tests/clients` installs what this needs"
    done = subprocess.run([TOOLS / tool, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

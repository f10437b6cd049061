"""The generated parts of the Python client, and its wheel.

    python -m infra.python_client            # write them
    python -m infra.python_client --check    # fail if one is stale, or if the wheel is not whole

`contract` holds the types of docs/openapi.yaml, `client` is `aio` without async and await, and
`key_patterns` is the pipeline's own.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from infra.contract_types import contract_types
from infra.local import environments

PROJECT: Final = environments.ROOT / "clients" / "python"
PACKAGE: Final = PROJECT / "src" / "catalog_images"
CATALOG: Final = environments.ROOT / "layers" / "catalog" / "catalog"
_BLOCKING: Final = (
    (r"_async_tools", "_blocking_tools"),
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"AsyncCatalogClient", "CatalogClient"),
    (r"httpx\.AsyncClient", "httpx.Client"),
    (r"httpx\.AsyncBaseTransport", "httpx.BaseTransport"),
    (r"AsyncIterator", "Iterator"),
    (r"for document in page\[name\]:\n +yield document", "yield from page[name]"),
    (r"__aenter__", "__enter__"),
    (r"__aexit__", "__exit__"),
    (r"\baclose\b", "close"),
    (r"The API for asyncio; `client` is made of this module by `make documents` and has the same calls\.",
     "The API for threads, which may share a client; made of `aio` by `make documents`."),
)  # fmt: skip


def generated() -> dict[Path, str]:
    """The text of every generated module."""
    source = (PACKAGE / "aio.py").read_text()
    for pattern, replacement in _BLOCKING:
        source = re.sub(pattern, replacement, source)
    return {
        PACKAGE / "client.py": _formatted(source),
        PACKAGE / "contract.py": _formatted(contract_types()),
        PACKAGE / "key_patterns.py": (CATALOG / "domain" / "key_patterns.py").read_text(),
    }


def write() -> None:
    """Write every generated module that differs."""
    for file, text in generated().items():
        if not file.exists() or file.read_text() != text:
            file.write_text(text)


def stale(modules: Mapping[Path, str]) -> list[str]:
    """Generated modules that are not what they would be now."""
    return [
        f"error: {file.relative_to(environments.ROOT)} is stale; run: make documents"
        for file, text in modules.items()
        if not file.exists() or file.read_text() != text
    ]


def _formatted(source: str) -> str:
    ruff = [environments.command("dev", "ruff")]
    stdin = [
        "--config",
        str(PROJECT / "pyproject.toml"),
        "--stdin-filename",
        str(PACKAGE / "generated.py"),
        "-",
    ]
    for step in (["check", "--select", "I", "--fix", "--quiet"], ["format", "--quiet"]):
        done = subprocess.run(
            [*ruff, *step, *stdin], input=source, capture_output=True, text=True, check=True
        )
        source = done.stdout
    return source


class WheelError(Exception):
    """The wheel cannot be built, or lacks something; the message says what."""


def built(folder: Path) -> Path:
    """The wheel, built in `folder`, from a copy: setuptools leaves files beside what it builds.

    Raises WheelError.
    """
    source = folder / "source"
    shutil.copytree(PROJECT, source, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "build"))
    uv = [environments.command("dev", "uv"), "build", "--wheel", "--no-build-isolation", "--quiet"]
    _run([*uv, "--python", str(environments.python("dev")), "--out-dir", str(folder), str(source)])
    (wheel,) = folder.glob("*.whl")
    return wheel


def faults_of(wheel: Path) -> list[str]:
    """What the wheel lacks: a module, the mark of types, the licence, or a command that runs."""
    with zipfile.ZipFile(wheel) as opened:
        held = set(opened.namelist())
    needed = {file.relative_to(PACKAGE.parent).as_posix() for file in PACKAGE.rglob("*.py")}
    lacking = [f"{wheel.name} lacks {name}" for name in sorted((needed | {"catalog_images/py.typed"}) - held)]
    if not any(name.endswith("/LICENSE") for name in held):
        lacking.append(f"{wheel.name} lacks the licence")
    with tempfile.TemporaryDirectory() as name:
        installed = Path(name) / "installed"
        uv = [environments.command("dev", "uv"), "pip", "install", "--quiet", "--no-deps", "--no-index"]
        _run([*uv, "--python", str(environments.python("dev")), "--target", str(installed), str(wheel)])
        _run([str(environments.python("dev")), "-c", _FIRST_RUN, str(installed)])
    return lacking


# As an installed command runs: nothing of this project is on the path.
_FIRST_RUN: Final = """
import sys
from importlib.metadata import distribution
sys.path.insert(0, sys.argv[1])
(command,) = distribution("catalog-images").entry_points
assert command.name == "catalog-images"
command.load()(["--version"])
"""


def _run(command: list[str]) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environments.uv_environ(), cwd="/"
    )
    if done.returncode:
        raise WheelError(done.stderr.strip())


def main() -> None:
    if "--check" not in sys.argv[1:]:
        write()
        return
    faults = stale(generated())
    with tempfile.TemporaryDirectory() as name:
        try:
            faults += faults_of(built(Path(name)))
        except WheelError as error:
            faults.append(f"error: {error}")
    sys.exit("\n".join(faults) if faults else 0)


if __name__ == "__main__":
    main()

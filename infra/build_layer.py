"""Build a Lambda layer from pinned wheels and our package, compiled and reproducible.

    python -m infra.build_layer layers/imaging <target folder>

Called by `sam build` through layers/*/Makefile.  Wheels are for Lambda (x86_64, CPython 3.13) unless
LAYER_PLATFORM=host, which the local deployment sets: the emulator runs functions on this machine.
"""

import compileall
import os
import py_compile
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from infra.local import environments

# Lambda's python3.13 is Amazon Linux 2023, glibc 2.34.
LAMBDA_PLATFORM: Final = "x86_64-manylinux_2_28"

# Nothing opens these at run time: test suites, typing stubs, headers, and pip's records, which are wrong
# after pruning.  METADATA, for importlib.metadata, and the licences stay.
_JUNK_FOLDERS: Final = ("tests", "__pycache__", "include")
_JUNK_AT_THE_TOP: Final = ("bin", "images")  # command-line programs; imagehash's test images
_JUNK_FILES: Final = (
    *("*.pyi", "*.pxd", "*.h", "*.a", "*.c", "*.f90"),
    *("RECORD", "INSTALLER", "REQUESTED", "WHEEL"),
)

_MODIFIED: Final = 315_619_200  # 1980-01-02 00:00 UTC, a time every zip can hold wherever it is made
_MIB: Final = 1024 * 1024


def build_layer(source: Path, target: Path) -> None:
    """Fill `target` with the layer's `python/` folder, from the requirements and packages in `source`."""
    python = target / "python"
    shutil.rmtree(python, ignore_errors=True)
    python.mkdir(parents=True)
    _install(source / "requirements.txt", python)
    shutil.copytree(source / source.name, python / source.name)
    _prune(python)
    # Lambda cannot write beside the code: without these every cold start compiles, 2.0-2.45x the import.
    # Unchecked: the source's time is not compared, so the files do not depend on when they were made.
    compiled = compileall.compile_dir(
        python,
        quiet=1,
        workers=os.cpu_count() or 1,
        stripdir=str(python),
        prependdir="/opt/python",
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    if not compiled:
        raise SystemExit("error: a module of the layer does not compile")
    _fix_times(target)
    size = sum(path.stat().st_size for path in python.rglob("*") if path.is_file())
    print(f"layer {source.name}: {size / _MIB:.1f} MiB unzipped", file=sys.stderr)


def _install(requirements: Path, target: Path) -> None:
    platform = ["--python-platform", LAMBDA_PLATFORM, "--python-version", "3.13"]
    if os.environ.get("LAYER_PLATFORM") == "host":
        platform = []
    subprocess.run(
        [
            environments.command("dev", "uv"),
            *("pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:"),
            *("--link-mode", "copy", "--python", sys.executable, "--target", str(target)),
            *platform,
            *("--requirement", str(requirements)),
        ],
        env=environments.uv_environ(),
        check=True,
    )


def _prune(python: Path) -> None:
    for name in _JUNK_AT_THE_TOP:
        shutil.rmtree(python / name, ignore_errors=True)
    for name in _JUNK_FOLDERS:
        for folder in list(python.rglob(name)):
            shutil.rmtree(folder, ignore_errors=True)  # it may lie in one that is gone
    for pattern in _JUNK_FILES:
        for path in list(python.rglob(pattern)):
            path.unlink()


def _fix_times(target: Path) -> None:
    for path in _everything(target):
        path.chmod(0o755 if path.is_dir() or path.suffix == ".so" else 0o644)
        os.utime(path, (_MODIFIED, _MODIFIED))


def _everything(target: Path) -> Iterator[Path]:
    """Contents before their folder, so that a folder's own time is set last."""
    for folder, _, names in os.walk(target, topdown=False):
        yield from (Path(folder, name) for name in names)
        yield Path(folder)


if __name__ == "__main__":
    environments.ensure("dev")
    build_layer(Path(sys.argv[1]), Path(sys.argv[2]))

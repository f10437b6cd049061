"""Check that every pin has a wheel for Apple silicon and for arm64 Linux, where nobody has run this yet.

    python -m infra.wheels [--download] [--allow-offline]

Asks the package index for each pinned version.  With --download it downloads the wheels, checks their
hashes, unpacks them into a temporary folder and deletes that.  The benchmarks' packages are left out: atheris
has no such wheels.  The exit status is 1 if a wheel is missing or the index cannot be reached;
--allow-offline accepts the latter and says so.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from infra.local import environments

PLATFORMS: Final = ("aarch64-apple-darwin", "aarch64-manylinux_2_28")
# What uv says if it cannot reach the index.
_UNREACHABLE: Final = ("error sending request", "dns error", "Connection refused", "timed out", "Network")


class UnreachableIndexError(Exception):
    """The package index could not be asked."""


def requirements() -> list[Path]:
    """Every locked requirement file but the benchmarks'."""
    root = environments.ROOT
    files = [*root.glob("layers/*/requirements.txt"), *root.glob("requirements/*.txt")]
    return sorted(file for file in files if file.name != "bench.txt")


def missing(file: Path, platform: str, *, download: bool = False) -> str | None:
    """Why what a requirement file pins cannot be installed on a platform; None if it can.

    Raises UnreachableIndexError.
    """
    with tempfile.TemporaryDirectory() as target:
        asked = subprocess.run(
            [
                *(environments.command("dev", "uv"), "pip", "install", "--quiet", "--no-deps"),
                *(() if download else ("--dry-run",)),
                *("--only-binary", ":all:", "--python-version", "3.13", "--python-platform", platform),
                *("--target", target, "-r", str(file)),
            ],
            env=environments.uv_environ(),
            capture_output=True,
            text=True,
            check=False,
        )
    if asked.returncode == 0:
        return None
    if any(word in asked.stderr for word in _UNREACHABLE):
        raise UnreachableIndexError(asked.stderr.strip().splitlines()[0])
    return asked.stderr.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description="Whether every pin has a wheel for arm64 macOS and Linux.")
    parser.add_argument("--allow-offline", action="store_true", help="succeed if the index cannot be reached")
    parser.add_argument("--download", action="store_true", help="download every wheel and check its hash")
    chosen = parser.parse_args()
    lacking: list[str] = []
    try:
        for platform in PLATFORMS:
            found = [(file, missing(file, platform, download=chosen.download)) for file in requirements()]
            lacking += [f"{file.relative_to(environments.ROOT)}: {why}" for file, why in found if why]
            whole = sum(why is None for _, why in found)
            print(f"{platform}: {whole} of {len(found)} requirement files have all their wheels")
    except UnreachableIndexError as error:
        print(f"NOT CHECKED, the package index could not be reached: {error}", file=sys.stderr)
        sys.exit(0 if chosen.allow_offline else 1)
    sys.exit("\n".join(lacking) if lacking else 0)


if __name__ == "__main__":
    main()

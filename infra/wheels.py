"""Ask the package index whether every pin has a wheel for the laptops of today, without installing any.

    python -m infra.wheels [--allow-offline]

Apple silicon and arm64 Linux, where nobody has run this yet: the check is that the pinned versions can be
installed there, nothing built from source, for all but benchmarks and fuzzing (atheris has no such wheels).
The status is 1 where one cannot, and where the index could not be asked; with --allow-offline that last one
is said and let pass.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from infra.audit import requirements
from infra.local import environments

PLATFORMS: Final = ("aarch64-apple-darwin", "aarch64-manylinux_2_28")
# What uv says where there is no network, or nobody at the other end of it.
_UNREACHABLE: Final = ("error sending request", "dns error", "Connection refused", "timed out", "Network")


class UnreachableIndexError(Exception):
    """The package index could not be asked."""


def missing(file: Path, platform: str) -> str | None:
    """Why what a file of requirements pins cannot be installed there; None where it can.

    Raises UnreachableIndexError.
    """
    with tempfile.TemporaryDirectory() as target:
        asked = subprocess.run(
            [
                *(environments.command("dev", "uv"), "pip", "install", "--dry-run", "--quiet", "--no-deps"),
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
    parser.add_argument("--allow-offline", action="store_true", help="pass where the index cannot be asked")
    offline_is_fine = parser.parse_args().allow_offline
    lacking: list[str] = []
    try:
        for platform in PLATFORMS:
            found = [(file, missing(file, platform)) for file in requirements() if file.name != "bench.txt"]
            lacking += [f"{file.relative_to(environments.ROOT)}: {why}" for file, why in found if why]
            whole = sum(why is None for _, why in found)
            print(f"{platform}: {whole} of {len(found)} files of pins have wheels")
    except UnreachableIndexError as error:
        print(f"NOT CHECKED, the package index could not be reached: {error}", file=sys.stderr)
        sys.exit(0 if offline_is_fine else 1)
    sys.exit("\n".join(lacking) if lacking else 0)


if __name__ == "__main__":
    main()

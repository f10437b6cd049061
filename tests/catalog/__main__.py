"""A catalog's whole life on this machine: make catalog

    python -m tests.catalog [--photos 1000] [--folder FOLDER]

Starts its own emulator, deploys the same template with IAM on, and tells the story (tests/catalog/story.py)
of so many photos, drawn or made from those in FOLDER.  The story imports them, imports them again, changes a
preset, rebuilds while it stops executions, finds near-duplicates, recounts and erases.  Prints each chapter
with its figures; exits with 1 if a chapter breaks a promise.
"""

import os
import shutil
import sys
import time
from pathlib import Path

from rich.console import Console

from catalog.adapters import sdk
from catalog.domain.tenants import Scope
from catalog_images import Job
from infra.local import environments
from infra.local.deploy import ensure_deployed
from infra.local.emulator import Emulator, arguments
from tests.catalog.photos import laid
from tests.catalog.story import Story
from tests.end_to_end.deployment import Deployment

TENANT = "story"
_SAY_AFTER_SECONDS = 10.0


def main() -> None:
    parser = arguments("A catalog's whole life on the deployed stack.")
    parser.set_defaults(port=4580, name="catalog", account="000000000580")
    parser.add_argument("--photos", type=int, default=1000, help="objects of the old bucket")
    parser.add_argument("--folder", type=Path, help="photos to make them of; default: drawn ones")
    parser.add_argument("--keep", action="store_true", help="leave the emulator running, to look at it")
    options = parser.parse_args()
    emulator = Emulator(options.port, options.name, options.account)
    environments.ensure("sam", "emulator")
    emulator.down()
    shutil.rmtree(emulator.folder, ignore_errors=True)
    emulator.up()
    try:
        broken = told(emulator, options.photos, options.folder)
    finally:
        if not options.keep:
            emulator.down()
    sys.exit(1 if broken else 0)


def told(emulator: Emulator, photos: int, folder: Path | None) -> list[str]:
    """Tell the story, and return the broken promises."""
    console = Console(highlight=False, soft_wrap=True)
    os.environ.update(emulator.credentials)
    sdk.client.cache_clear()
    sdk._session.cache_clear()
    began = time.monotonic()
    deployment = Deployment(ensure_deployed(emulator))
    objects = list(laid(photos, folder))
    console.print(f"deployed, and {photos} objects made, after {time.monotonic() - began:.0f} s")
    broken: list[str] = []
    with deployment.client(TENANT) as catalog, deployment.client("operator", Scope.ADMIN) as admin:
        watch, seconds = _Teller(console).watch, 900 + 3.0 * photos
        story = Story(deployment, TENANT, catalog, admin, objects, seconds, watch, patient=True)
        for chapter in story.told():
            console.print(f"\n[bold]{chapter.title}[/bold]")
            for name, value in chapter.facts.items():
                console.print(f"  {name:<24} {value}")
            for fault in chapter.broken:
                console.print(f"  BROKEN PROMISE: {fault}", style="bold red", markup=False)
            broken += chapter.broken
    console.print(f"\n{time.monotonic() - began:.0f} s in all; {len(broken)} broken promises")
    return broken


class _Teller:
    """Prints a line about every 10 seconds while a job runs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said = time.monotonic()

    def watch(self, job: Job) -> None:
        if not job.is_ended and time.monotonic() - self._said < _SAY_AFTER_SECONDS:
            return
        self._said = time.monotonic()
        done = job.done + job.skipped + job.failed
        self._console.print(f"  {job.kind}: {done} of {job.expected}, {job.state}", style="dim")


if __name__ == "__main__":
    main()

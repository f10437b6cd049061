"""The whole pipeline on real photos, through its public API only: token, POST, PUT, poll, download.

    python -m infra.local.demo [--photos FOLDER] [--out .demo] [--port 4566] [--name demo]

Starts the emulator, deploys the application, makes the tenant `demo` with a client, and sends every file
below FOLDER, or photos that it draws.  Then it shows references, compare, near-duplicates, purge and metrics.
Only images of a second tenant, `demo-cleanup`, are merged and deleted.  A third, `demo-shop`, imports photos
from a bucket and has a preset changed.  It writes a report and a page.  A second run sends nothing: the
catalog knows every file.

Exit status: 0; 1 if a promise was broken; 2 if there was nothing to send; 130 after Ctrl-C.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.markup import escape

from catalog_images import (
    ApiError,
    CatalogClient,
    CatalogError,
    Credentials,
    Image,
    NotFinishedError,
    Ticket,
    TokenRefusedError,
    UnreachableError,
)
from catalog_images.tokens import write_private
from infra.local import environments
from infra.local.cdn import localhost_names
from infra.local.contact_sheet import Change, ContactSheet, RenditionDiffersError
from infra.local.deploy import DeploymentError, Stack, ensure_deployed
from infra.local.emulator import Emulator, EmulatorError
from infra.local.emulator import arguments as emulator_arguments
from infra.local.photos import Photo, PhotoGoneError, Unreadable, collect, printable
from infra.local.progress import progress
from infra.local.report import BROKEN_PROMISES, End, Row, figures, json_lines, remarks, summary, table
from infra.local.tour import catalog_jobs, tour
from infra.local.tour.acts import Act
from infra.local.tour.jobs import Shop
from infra.pictures.demo_photos import draw_photos

TENANT: Final = "demo"
CLEANUP_TENANT: Final = "demo-cleanup"
SHOP_TENANT: Final = "demo-shop"
ADMIN_SCOPES: Final = ("catalog/read", "catalog/write", "catalog/admin")  # for purges and catalog jobs
THREADS: Final = 4
FINISH_SECONDS: Final = 120.0  # a render job that failed is tried again after its visibility timeout
_STARTING: Final = "workers start, the first files take some 12 seconds"
_PLAIN_WIDTH: Final = 200  # columns of a table that goes to a file or a pipe


class NothingToSendError(Exception):
    """The chosen folder is missing or empty."""


class TenantError(RuntimeError):
    """No client could be made for a tenant of the demo."""


# --- One file's journey -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Journey:
    """Sends files through the public API and adds their pictures to the page."""

    catalog: CatalogClient
    sheet: ContactSheet

    def of_copies(self, photos: Sequence[Photo]) -> list[Row]:
        """Send files with the same bytes: the first is sent, the others are only announced."""
        first, *copies = photos
        row = self.of(first)
        if row.end is End.UNFINISHED:  # its copies would wait as long
            others = [replace(row, file=copy.name, sent=False) for copy in copies]
        else:
            others = [self.of(copy) for copy in copies]
        return [row, *(replace(other, duplicate_of=first.name) for other in others)]

    def of(self, photo: Photo) -> Row:
        """Send one file and wait for its end.  Raises ClientClosedError if interrupted."""
        row = Row(photo.name, End.UNFINISHED, photo.size_bytes, id=photo.sha256)
        started = time.time()
        try:
            announced = self._announced(photo)
            if isinstance(announced, Ticket):
                started = time.time()
                self.catalog.put(announced, photo.read())
                row = replace(row, sent=True)
            image = self._finished(announced)
        except (ApiError, NotFinishedError, UnreachableError, PhotoGoneError) as error:
            return _failed(row, error)
        row = replace(
            row,
            end=End(image.status),
            code=image.rejection_code,
            width=image.document["original_width"],
            height=image.document["original_height"],
            renditions=image.renditions,
            near_duplicate_of=image.near_duplicate_of,
        )
        if row.sent:
            # Polling is late by up to its interval, so this takes the API's own time of the last change.
            row = replace(row, seconds=max(0.0, _updated_at(image) - started))
        elif image.document["original_filename"] != photo.filename:
            row = replace(row, duplicate_of=image.document["original_filename"])
        return self._shown(row, photo)

    def _announced(self, photo: Photo) -> Image | Ticket:
        return self.catalog.announce(
            sha256=photo.sha256,
            size_bytes=photo.size_bytes,
            content_type=photo.content_type,
            filename=photo.filename,
        )

    def _finished(self, announced: Image | Ticket) -> Image:
        if isinstance(announced, Image) and announced.is_finished:
            return announced
        return self.catalog.wait(announced.id, timeout_seconds=FINISH_SECONDS)

    def _shown(self, row: Row, photo: Photo) -> Row:
        if row.end is not End.READY:
            return row
        try:
            self.sheet.add_renditions(photo.sha256, row.renditions, download=self.catalog.download)
        except (ApiError, UnreachableError, RenditionDiffersError):
            return replace(row, end=End.INCOMPLETE, code="rendition_missing")
        self.sheet.add_original(photo)
        return row


def _failed(row: Row, error: ApiError | NotFinishedError | UnreachableError | PhotoGoneError) -> Row:
    match error:
        case PhotoGoneError():
            return replace(row, end=End.UNREADABLE, id=None, code="gone_while_sending")
        case NotFinishedError():
            return replace(row, code=error.status)
        case UnreachableError():
            return replace(row, code="unreachable")
    # A server fault or throttling is no refusal, nor is any error after the PUT.
    refused = not row.sent and 400 <= error.status < 500 and error.status != 429
    return (
        replace(row, end=End.REFUSED, id=None, code=error.code) if refused else replace(row, code=error.code)
    )


def _updated_at(image: Image) -> float:
    return datetime.fromisoformat(image.document["updated_at"]).timestamp()


# --- All files --------------------------------------------------------------------------------------------


def send_all(photos: Sequence[Photo], journey: Journey, *, console: Console) -> tuple[list[Row], bool]:
    """Send all photos.  Returns their rows in any order, and whether Ctrl-C ended it early."""
    copies: dict[str, list[Photo]] = {}
    for photo in photos:
        copies.setdefault(photo.sha256, []).append(photo)
    rows: list[Row] = []
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="upload")
    try:
        with progress(console, "files", total=len(photos), starting=_STARTING) as advance:
            journeys = [pool.submit(journey.of_copies, same) for same in copies.values()]
            for done in as_completed(journeys):
                rows += done.result()
                advance(len(rows), len(photos))
    except KeyboardInterrupt:
        journey.catalog.interrupt()
        return rows, True
    finally:
        pool.shutdown(cancel_futures=True)
    return rows, False


def unlisted(catalog: CatalogClient, rows: Sequence[Row]) -> list[str]:
    """Files that ended `ready` or `rejected`, but that GET /images does not list with that status."""
    listed = {image.id: image.status for image in catalog.images()}
    return [
        row.file
        for row in rows
        if row.end in {End.READY, End.REJECTED} and row.id and listed.get(row.id) != row.end
    ]


# --- The tenants ------------------------------------------------------------------------------------------


def tenant_credentials(stack: Stack, file: Path, *, tenant: str, scopes: Sequence[str] = ()) -> Credentials:
    """The tenant's client in `file`, or a new one if the stack does not know it.

    `file` is for `catalog-images login`.  Without `scopes` it reads and writes.  Raises TenantError.
    """
    stored = _stored(file)
    if stored is not None and _is_known(stack, stored):
        credentials = stored
    else:
        credentials = _created(stack, tenant, scopes)
    write_private(
        file,
        f"API={stack.api_url}\nTOKEN_URL={stack.token_url}\n"
        f"CLIENT_ID={credentials.client_id}\nCLIENT_SECRET={credentials.client_secret}\n",
    )
    return credentials


def _stored(file: Path) -> Credentials | None:
    if not file.exists():
        return None
    stored = dict(line.split("=", 1) for line in file.read_text().splitlines())
    return Credentials(stored["CLIENT_ID"], stored["CLIENT_SECRET"])


def _created(stack: Stack, tenant: str, scopes: Sequence[str]) -> Credentials:
    """A new client, as the operator makes it."""
    created = subprocess.run(
        [
            *(sys.executable, "-m", "infra.operator.tenants", "create", tenant, "--stack", stack.name),
            *(f"--scope={scope}" for scope in scopes),
        ],
        cwd=environments.ROOT,
        env={**os.environ, **stack.emulator.credentials},
        capture_output=True,
        text=True,
        check=False,
    )
    if created.returncode:
        raise TenantError(f"no client for the tenant {tenant}: {created.stderr.strip()}")
    answer = json.loads(created.stdout)
    return Credentials(answer["client_id"], answer["client_secret"])


def _is_known(stack: Stack, credentials: Credentials) -> bool:
    """Whether the stack accepts these credentials; a rebuilt stack does not."""
    with CatalogClient(stack.api_url, stack.token_url, credentials) as catalog:
        try:
            catalog.page(limit=1)
        except TokenRefusedError:
            return False
        except ApiError as error:
            if error.code == "unknown_client":
                return False
            raise
    return True


# --- The command ------------------------------------------------------------------------------------------


def run(emulator: Emulator, chosen: Path | None, out: Path, console: Console) -> int:
    """Run the whole demo and return the exit status."""
    found = _found(chosen, out, console)
    environments.ensure("sam", "emulator")
    emulator.up()
    stack = ensure_deployed(emulator)
    credentials_file = emulator.folder / "client.env"
    credentials = tenant_credentials(stack, credentials_file, tenant=TENANT)
    sheet = ContactSheet(out)
    photos = [photo for photo in found if isinstance(photo, Photo)]
    console.print(f"the API answers at {stack.api_url}; {len(photos)} files to send, {THREADS} at a time")
    rows = [Row(one.name, End.UNREADABLE, 0, code=one.code) for one in found if isinstance(one, Unreadable)]
    with CatalogClient(stack.api_url, stack.token_url, credentials) as catalog:
        sent, interrupted = send_all(photos, Journey(catalog, sheet), console=console)
        rows = sorted([*rows, *sent], key=lambda row: row.file)
        out.mkdir(parents=True, exist_ok=True)
        (out / "report.jsonl").write_text(json_lines(rows), encoding="utf-8")
        pairs = list(catalog.pairs(likeness="suspected"))
        page = sheet.write(rows, pairs)
        console.print(table(rows, width=console.width))
        for remark in remarks(rows):
            console.print(remark, markup=False, highlight=False)
        if interrupted:
            console.print(summary(figures(rows)), style="bold", highlight=False)
            console.print(f"interrupted after {len(rows)} of {len(found)} files; run it again to go on")
            return 130
        broken = [
            f"{printable(row.file)} was accepted and came to nothing"
            for row in rows
            if row.end in BROKEN_PROMISES
        ]
        missing = unlisted(catalog, rows)
        broken += [f"GET /images does not list {printable(file)}" for file in missing]
        if not missing:
            console.print("GET /v1/images lists every file that ended ready or rejected, in that state")
        cleanup_credentials = tenant_credentials(
            stack, emulator.folder / "cleanup.env", tenant=CLEANUP_TENANT, scopes=ADMIN_SCOPES
        )
        with CatalogClient(stack.api_url, stack.token_url, cleanup_credentials) as cleanup:
            broken += show(tour(catalog, cleanup, rows=rows, photos=photos), console=console)
        broken += _shop(stack, sheet, photos, lambda changes: sheet.write(rows, pairs, changes), console)
    emulator.save()  # so that a crash loses nothing of the demo
    console.print(_next_steps(credentials_file), highlight=False, markup=False, soft_wrap=True)
    console.print(summary(figures(rows)), style="bold", highlight=False)
    for promise in broken:
        console.print(f"BROKEN PROMISE: {promise}", style="bold red", markup=False, highlight=False)
    console.print(
        f"the stack stays up; `{down_command(emulator)}` stops it and keeps its state", highlight=False
    )
    console.print(f"[bold]look at[/bold]  {page.resolve().as_uri()}", highlight=False, soft_wrap=True)
    return 1 if broken else 0


def _shop(
    stack: Stack,
    sheet: ContactSheet,
    photos: Sequence[Photo],
    write: Callable[[list[Change]], object],
    console: Console,
) -> list[str]:
    """Catalog jobs in a tenant of their own; `write` puts what a preset changed on the page."""
    credentials = tenant_credentials(
        stack, stack.emulator.folder / "shop.env", tenant=SHOP_TENANT, scopes=ADMIN_SCOPES
    )
    with CatalogClient(stack.api_url, stack.token_url, credentials) as catalog:
        shop = Shop(SHOP_TENANT, catalog, stack, sheet, console)
        return show(catalog_jobs(shop, photos, write), console=console)


def down_command(emulator: Emulator) -> str:
    return f"make down NAME={emulator.name} PORT={emulator.port} ACCOUNT={emulator.account}"


def show(acts: Iterator[Act], *, console: Console) -> list[str]:
    """Show each act when it is done, and return the broken promises."""
    broken: list[str] = []
    for act in acts:
        console.print(f"\n[bold]{act.title}[/bold]  [dim]{escape(act.call)}[/dim]", highlight=False)
        console.print(act.shown)
        console.print(act.said, markup=False, highlight=False)
        broken += act.broken
    return broken


def _found(chosen: Path | None, out: Path, console: Console) -> list[Photo | Unreadable]:
    folder = chosen
    if folder is None:
        folder = out / "photos"
        console.print("no PHOTOS given: drawing some")
        draw_photos(folder)
    try:
        found = list(collect(folder))
    except FileNotFoundError as error:
        raise NothingToSendError(f"{folder}: no such file or folder") from error
    if not found:
        raise NothingToSendError(f"{folder}: no files in it")
    return found


def _next_steps(credentials_file: Path) -> str:
    return f"""
call the API yourself
  pip install ./clients/python
  catalog-images login {os.path.relpath(credentials_file)}
  catalog-images list
"""


def main() -> None:
    parser = emulator_arguments("Send photos through the whole pipeline on this machine.")
    parser.add_argument("--photos", default="", help="a folder, with any files in it; default: drawn photos")
    parser.add_argument("--out", type=Path, default=environments.ROOT / ".demo", help="default: .demo")
    given = parser.parse_args()
    emulator = Emulator(port=given.port, name=given.name, account=given.account)
    console = Console() if sys.stdout.isatty() else Console(width=_PLAIN_WIDTH)
    try:
        with localhost_names():
            status = run(emulator, Path(given.photos) if given.photos else None, given.out, console)
    except NothingToSendError as error:
        parser.exit(2, f"error: {error}\n")
    except (
        CatalogError,
        DeploymentError,
        EmulatorError,
        TenantError,
        environments.EnvironmentSetupError,
    ) as error:
        parser.exit(1, f"error: {error}\n")
    except KeyboardInterrupt:
        parser.exit(130, "interrupted\n")
    sys.exit(status)


if __name__ == "__main__":
    main()

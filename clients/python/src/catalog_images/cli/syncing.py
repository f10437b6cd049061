"""catalog-images sync."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from catalog_images import profiles
from catalog_images.cli.administration import watched
from catalog_images.cli.output import Exit, byte_size
from catalog_images.cli.state import State, state_of
from catalog_images.key_patterns import KeyPattern, NotAKeyPatternError
from catalog_images.reports import End, Outcome, Report
from catalog_images.syncing import FINISH_SECONDS, SENDERS, Sync

_SHOWN_FAULTS: Final = 20


def sync(
    context: typer.Context,
    source: Annotated[
        str, typer.Argument(help="A folder, a file, or s3://bucket/prefix, which a job imports.")
    ],
    reference_from: Annotated[
        str | None,
        typer.Option(
            metavar="PATTERN",
            help="Where references stand in paths: 'products/{reference}/{filename}'; {*} is any text.",
        ),
    ] = None,
    parallel: Annotated[int, typer.Option(min=1, max=32, help="Uploads at once.")] = SENDERS,
    wait: Annotated[bool, typer.Option(help="Wait until each image is ready.")] = True,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for an image.")] = FINISH_SECONDS,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Of s3://: tell what would be done.")] = False,
) -> None:
    """Send what the catalog does not have; run it again after an interruption, and it goes on."""
    state = state_of(context)
    pattern = _pattern(reference_from)
    if source.startswith("s3://"):
        _import(state, source, reference_from, dry_run=dry_run)
        return
    folder = Path(source)
    if dry_run:
        raise typer.BadParameter("is for s3:// only", param_hint="--dry-run")
    if not folder.exists():
        raise typer.BadParameter(f"{folder}: no such file or folder", param_hint="SOURCE")
    hashes = profiles.cache_folder() / "hashes.sqlite"
    with state.catalog() as catalog:
        one = Sync(catalog, pattern, hashes, parallel, wait, timeout)
        report = _shown(state, one, folder)
    _print(state, report)
    if report.interrupted:
        state.output.say("interrupted: run it again to go on")
        raise typer.Exit(Exit.INTERRUPTED)
    raise typer.Exit(Exit.DONE if report.is_whole else Exit.INCOMPLETE)


def _pattern(text: str | None) -> KeyPattern | None:
    try:
        return KeyPattern.parse(text) if text is not None else None
    except NotAKeyPatternError as error:
        raise typer.BadParameter(str(error), param_hint="--reference-from") from error


def _shown(state: State, one: Sync, folder: Path) -> Report:
    """Run it under a bar; outcomes are printed at once where JSON is asked for."""
    aside = state.output.aside
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[size]} sent"),
        TimeElapsedColumn(),
    )
    sent = Counter[str]()
    with Progress(*columns, console=aside, transient=True, disable=not aside.is_terminal) as bar:
        task = bar.add_task("photos", total=None, size="0 B")

        def told(outcome: Outcome) -> None:
            bar.advance(task)
            if state.output.as_json:
                state.output.document(_line(outcome))

        def progress(number: int) -> None:
            sent["bytes"] += number
            bar.update(task, size=byte_size(sent["bytes"]))

        return one.run(
            folder, told=told, found=lambda total: bar.update(task, total=total), progress=progress
        )


def _line(outcome: Outcome) -> dict[str, object]:
    return {
        "file": outcome.file,
        "end": outcome.end.value,
        "id": outcome.id,
        "sent": outcome.sent,
        "size_bytes": outcome.size_bytes,
        "code": outcome.code,
        "references": list(outcome.references),
    }


def _print(state: State, report: Report) -> None:
    """Who failed and why, then the numbers."""
    if state.output.as_json:
        return
    faults = [*report.of(End.REJECTED), *report.of(End.FAILED)]
    if faults:
        shown = [_line(outcome) for outcome in faults[:_SHOWN_FAULTS]]
        state.output.rows(shown, ("file", "end", "code"))
    if len(faults) > _SHOWN_FAULTS:
        state.output.say(f"and {len(faults) - _SHOWN_FAULTS} more; --json prints every file")
    state.output.people.print(summary(report), markup=False)


def summary(report: Report) -> str:
    """One line: what was done with how many files."""
    sent_bytes = sum(outcome.size_bytes for outcome in report.sent)
    ends = [f"{len(report.of(end))} {end}" for end in End if end is not End.READY and report.of(end)]
    return ", ".join(
        [
            f"{len(report.outcomes)} files in {report.seconds:.1f} s: {len(report.sent)} sent"
            f" ({byte_size(sent_bytes)})",
            f"{len(report.known)} known",
            f"{len(report.of(End.READY))} ready",
            *ends,
        ]
    )


def _import(state: State, source: str, pattern: str | None, *, dry_run: bool) -> None:
    """A job reads the bucket beside the catalog; no byte comes through this machine."""
    named = urlsplit(source)
    asked = {"bucket": named.netloc, "prefix": named.path.removeprefix("/")}
    given = {name: value for name, value in {**asked, "reference_pattern": pattern}.items() if value}
    with state.catalog() as catalog:
        (tenant,) = catalog.metrics().assets
        job = catalog.start_job("import", dry_run=dry_run, tenant=tenant, **given)
        watched(state, catalog, job)

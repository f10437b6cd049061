"""How each file of the demo ended: one row a file, as a table, as JSON lines and in figures."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from catalog_images import Rendition
from infra.local.photos import printable, shortened


class End(StrEnum):
    """How a file ended.  The last two are broken promises of the pipeline."""

    READY = "ready"
    REJECTED = "rejected"  # ingest: these bytes can never be an image; `code` says why
    REFUSED = "refused"  # the API or S3 would not take them; `code` is theirs
    UNREADABLE = "unreadable"  # never left this machine
    INCOMPLETE = "incomplete"  # ready, but a rendition cannot be fetched as promised
    UNFINISHED = "unfinished"  # accepted, and then neither ready nor rejected in time


# What a code means, for whoever sent the file.
SENTENCES: Final[Mapping[str, str]] = {
    "unsupported_format": "this is no JPEG, PNG, WebP, GIF, AVIF, HEIC or TIFF, whatever its name says",
    "unsupported_media_type": "no image format has this name",
    "truncated": "the file ends before the picture does: send the whole file",
    "corrupt": "the picture cannot be decoded",
    "damaged": "a part of the picture is lost or overwritten",
    "too_many_pixels": "the picture has more pixels than its format may have here",
    "too_large": "the file has more bytes than an upload may have",
    "upload_too_large": "the file has more bytes than an upload may have",
    "empty": "the file has no bytes",
    "invalid_request": "the file cannot be announced: it has no bytes, or a name the API does not take",
    "checksum_mismatch": "other bytes arrived than were announced",
    "original_archived": "the original was archived before it was rendered",
    "original_missing": "the original was deleted before it was rendered",
    "rendition_missing": "a rendition could not be fetched as promised",
    "gone_while_sending": "the file could not be read any more",
    "not_a_file": "this is no file that has bytes",
    "EACCES": "this user may not read the file",
}

_NARROW: Final = 120  # columns: below, the presets share one and file names are shortened
_NARROW_NAME: Final = 20  # characters
_NARROW_DUPLICATE: Final = 16
_SHOWN: Final = 10  # files; with more of them, the first so many and every one that is not ready

_ONE_LINE_WIDTH: Final = 130  # columns; three presets and a name of 20 characters need as many

BROKEN_PROMISES: Final = frozenset({End.INCOMPLETE, End.UNFINISHED})
_STYLES: Final = {
    End.READY: "green",
    End.REJECTED: "yellow",
    End.REFUSED: "yellow",
    End.UNREADABLE: "yellow",
    End.INCOMPLETE: "bold red",
    End.UNFINISHED: "bold red",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One file.  `seconds` from the start of its PUT to its end; None if nothing was sent."""

    file: str
    end: End
    size_bytes: int
    id: str | None = None
    code: str | None = None
    sent: bool = False
    duplicate_of: str | None = None
    seconds: float | None = None
    width: int | None = None  # pixels, as a viewer shows it
    height: int | None = None
    renditions: tuple[Rendition, ...] = ()
    near_duplicate_of: str | None = None  # id of the image that shows the same picture

    @property
    def known(self) -> bool:
        """The catalog had these bytes, so nothing was sent."""
        return self.id is not None and not self.sent and self.end in {End.READY, End.REJECTED}


def json_lines(rows: Iterable[Row]) -> str:
    """The report: one JSON object a line, without URLs, since they expire."""
    return "".join(f"{json.dumps(_json(row))}\n" for row in rows)


def _json(row: Row) -> dict[str, Any]:
    return {
        "file": row.file,
        "id": row.id,
        "status": row.end,
        "code": row.code,
        "renditions": [
            {
                "preset": rendition.preset,
                "size_bytes": rendition.size_bytes,
                "width": rendition.width,
                "height": rendition.height,
                "quality": rendition.quality,
            }
            for rendition in row.renditions
        ],
        "seconds": None if row.seconds is None else round(row.seconds, 3),
        "sent": row.sent,
        "duplicate_of": row.duplicate_of,
        "near_duplicate_of": row.near_duplicate_of,
        "size_bytes": row.size_bytes,
        "width": row.width,
        "height": row.height,
    }


def table(rows: Sequence[Row], *, width: int) -> Table:
    """The rows for a terminal `width` columns wide; a column a preset, smallest first."""
    files = files_by_id(rows)
    narrow = width < _NARROW
    presets = [] if narrow else presets_of(rows)
    between = " " if width >= _ONE_LINE_WIDTH else "\n"
    shown = Table(header_style="bold", box=SIMPLE_HEAD, padding=(0, 1 if width >= _ONE_LINE_WIDTH else 0))
    shown.add_column("File", no_wrap=narrow, overflow="fold", min_width=10, max_width=60)
    shown.add_column("End state", min_width=8, overflow="fold")
    shown.add_column("Duplicate of", no_wrap=narrow, overflow="fold", min_width=9, max_width=40)
    shown.add_column("Size in", justify="right", no_wrap=True)
    for preset in presets:
        shown.add_column(preset, justify="right", min_width=9)
    if not presets:
        shown.add_column("Renditions", justify="right", no_wrap=True)
    shown.add_column("PUT to ready", justify="right", min_width=8)
    for row in notable(rows):
        by_preset = {rendition.preset: rendition for rendition in row.renditions}
        duplicate = _duplicate_of(row, files)
        shown.add_row(
            Text(shortened(row.file, _NARROW_NAME) if narrow else printable(row.file)),
            Text(f"{row.end}: {row.code}" if row.code else row.end, _STYLES[row.end]),
            Text(shortened(duplicate, _NARROW_DUPLICATE) if narrow else printable(duplicate)),
            byte_size(row.size_bytes),
            *(_rendition_cell(by_preset.get(preset), between) for preset in presets),
            *([] if presets else [_renditions_cell(row)]),
            journey(row),
        )
    return shown


def notable(rows: Sequence[Row]) -> list[Row]:
    """The first ten, and every one with a problem."""
    return [row for number, row in enumerate(rows) if number < _SHOWN or row.end is not End.READY]


def remarks(rows: Sequence[Row]) -> list[str]:
    """How many files the table leaves out, and what its codes mean."""
    left_out = len(rows) - len(notable(rows))
    said = [f"and {left_out} more that are ready: they are on the page and in the report"] if left_out else []
    codes = dict.fromkeys(row.code for row in rows if row.code in SENTENCES)
    return said + [f"{code}: {SENTENCES[code]}" for code in codes if code]


def _renditions_cell(row: Row) -> str:
    total = sum(rendition.size_bytes for rendition in row.renditions)
    return f"{len(row.renditions)}, {byte_size(total)}" if row.renditions else ""


def files_by_id(rows: Iterable[Row]) -> dict[str, str]:
    """One file name for each image: the first, and not that of a copy."""
    files: dict[str, str] = {}
    for row in sorted(rows, key=lambda row: row.duplicate_of is not None):
        if row.id:
            files.setdefault(row.id, row.file)
    return files


def _duplicate_of(row: Row, files: Mapping[str, str]) -> str:
    """The file with the same bytes; or, after a `~`, the one that shows the same picture."""
    if row.duplicate_of or not row.near_duplicate_of:
        return row.duplicate_of or ""
    return f"~ {files.get(row.near_duplicate_of, row.near_duplicate_of[:12])}"


def presets_of(rows: Iterable[Row]) -> list[str]:
    """The presets of the rows, narrowest first as in the API."""
    widest: dict[str, int] = {}
    for row in rows:
        for rendition in row.renditions:
            widest[rendition.preset] = max(widest.get(rendition.preset, 0), rendition.width, rendition.height)
    return sorted(widest, key=lambda preset: (widest[preset], preset))


def _rendition_cell(rendition: Rendition | None, between: str) -> str:
    if rendition is None:
        return ""
    return f"{rendition.width}x{rendition.height}{between}{byte_size(rendition.size_bytes)}"


def journey(row: Row) -> str:
    """How long it took, or that nothing was sent."""
    if row.seconds is not None:
        return f"{row.seconds:.2f} s"
    return "known, not sent" if row.known else ""


def byte_size(size_bytes: int) -> str:
    """`0 B`, `999 B`, `1.0 kB`, `12.3 MB`: three digits, powers of 1000."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    amount, unit = size_bytes / 1000, "kB"
    for larger in ("MB", "GB", "TB"):
        if amount < 999.5:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.1f} {unit}" if amount < 99.95 else f"{amount:.0f} {unit}"


@dataclass(frozen=True, slots=True)
class Figures:
    """A run in figures.  A rendition that several files show counts once."""

    files: int
    ends: Counter[End]
    sent: int
    known: int
    bytes_in: int
    bytes_sent: int
    renditions: int
    rendition_bytes: int
    p50_seconds: float | None
    p95_seconds: float | None


def figures(rows: Sequence[Row]) -> Figures:
    renditions = {urlsplit(rendition.url).path: rendition for row in rows for rendition in row.renditions}
    seconds = sorted(row.seconds for row in rows if row.seconds is not None and row.end is End.READY)
    return Figures(
        files=len(rows),
        ends=Counter(row.end for row in rows),
        sent=sum(row.sent for row in rows),
        known=sum(row.known for row in rows),
        bytes_in=sum(row.size_bytes for row in rows),
        bytes_sent=sum(row.size_bytes for row in rows if row.sent),
        renditions=len(renditions),
        rendition_bytes=sum(rendition.size_bytes for rendition in renditions.values()),
        p50_seconds=_percentile(seconds, 50),
        p95_seconds=_percentile(seconds, 95),
    )


def _percentile(ordered: Sequence[float], percent: int) -> float | None:
    """By nearest rank: a value that was really measured."""
    return ordered[math.ceil(percent / 100 * len(ordered)) - 1] if ordered else None


def summary(run: Figures) -> str:
    """One line for the end of the run."""
    ends = ", ".join(f"{run.ends[end]} {end}" for end in End if run.ends[end])
    parts = [
        f"{run.files} files: {ends}",
        f"{run.sent} sent ({byte_size(run.bytes_sent)} of {byte_size(run.bytes_in)}), {run.known} known",
        f"{run.renditions} renditions, {byte_size(run.rendition_bytes)}",
    ]
    if run.p50_seconds is not None and run.p95_seconds is not None:
        parts.append(f"PUT to ready p50 {run.p50_seconds:.2f} s, p95 {run.p95_seconds:.2f} s")
    return " | ".join(parts)

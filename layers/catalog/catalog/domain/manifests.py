"""Manifests: CSV or JSON Lines that name the objects of an import, read in blocks by byte offset."""

import csv
import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from catalog.domain.imports import (
    LONGEST_KEY,
    MOST_REFERENCES_AT_ONCE,
    BadLine,
    ImportFailedError,
    ImportOptions,
    ManifestFormat,
    SourceObject,
    Subject,
    is_folder,
    storable,
)
from catalog.domain.references import NotAReferenceError, reference_name
from catalog.domain.uploads import DECLARED_TYPES

# A CSV record may span lines within quotes.  If a quote is still open after this many bytes, only its first
# line is bad.
LONGEST_RECORD: Final = 16 * 1024
_LONGEST_LINE: Final = 1024 * 1024  # a file with a longer line is no list of keys
_MOST_COLUMNS: Final = 256

Read = Callable[[int], bytes]
"""Reads a block of the manifest from a byte offset on; empty at its end."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a manifest a step begins: byte from 0, line from 1, and the CSV columns, read only once."""

    offset: int = 0
    line: int = 1
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """The subject of a record, and where the next record begins."""

    subject: Subject
    then: Place


class BadRecordError(ValueError):
    """The record names no object; the message says why."""


Value = list[str] | Mapping[str, Any] | BadRecordError
"""The fields of a CSV record, an object of JSON Lines, or what is wrong with it; `[]` for a blank line."""


@dataclass(frozen=True, slots=True)
class _Record:
    """The value of a record, and the bytes and lines that it takes in the manifest."""

    value: Value
    size: int
    lines: int = 1


def entries(read: Read, place: Place, options: ImportOptions) -> Iterator[Entry]:
    """The records of the manifest from `place` on, without blank lines and folders.

    Raises ImportFailedError if the file is no manifest.
    """
    manifest = options.manifest
    if manifest is None:
        return
    in_csv = manifest.format is ManifestFormat.CSV
    lines = _lines(read, place.offset)
    for record in _csv_records(lines, manifest.delimiter) if in_csv else map(_json_record, lines):
        first = place.line
        place = replace(place, offset=place.offset + record.size, line=place.line + record.lines)
        if in_csv and not place.columns:
            place = replace(place, columns=_columns(record.value, options))
        elif record.value != []:
            subject = _subject(record.value, place.columns, options, first)
            if isinstance(subject, BadLine) or not is_folder(subject.key):
                yield Entry(subject, place)


def _lines(read: Read, offset: int) -> Iterator[bytes]:
    """Physical lines, each with its line break.  Raises ImportFailedError."""
    rest = b""
    while block := read(offset):
        offset += len(block)
        *whole, rest = (rest + block).split(b"\n")
        yield from (line + b"\n" for line in whole)
        if len(rest) > _LONGEST_LINE:
            raise ImportFailedError("manifest_unreadable", f"a line has more than {_LONGEST_LINE} bytes")
    if rest:
        yield rest


def _csv_records(lines: Iterator[bytes], delimiter: str) -> Iterator[_Record]:
    """The CSV records; a bad record takes only its first line, and the next record begins after it."""
    waiting = deque[bytes]()
    while line := waiting.popleft() if waiting else next(lines, b""):
        taken = [line]

        def record(taken: list[bytes] = taken) -> Iterator[str]:
            yield taken[0].decode()
            while sum(map(len, taken)) < LONGEST_RECORD:
                more = waiting.popleft() if waiting else next(lines, b"")
                if not more:
                    return
                taken.append(more)
                yield more.decode()

        try:
            fields = next(csv.reader(record(), delimiter=delimiter, strict=True), [])
        except (csv.Error, UnicodeDecodeError) as error:
            waiting.extendleft(reversed(taken[1:]))
            yield _Record(BadRecordError(_said(error)), len(line))
        else:
            yield _Record(fields, sum(map(len, taken)), len(taken))


def _json_record(line: bytes) -> _Record:
    if not line.strip():
        return _Record([], len(line))
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return _Record(BadRecordError("is no JSON"), len(line))
    if not isinstance(value, dict):
        return _Record(BadRecordError("is no JSON object"), len(line))
    return _Record(value, len(line))


def _said(error: Exception) -> str:
    return "is not in UTF-8" if isinstance(error, UnicodeDecodeError) else f"is no CSV: {error}"


def _columns(header: object, options: ImportOptions) -> tuple[str, ...]:
    """The columns that the first record names.  Raises ImportFailedError if a required one is missing."""
    if not isinstance(header, list) or len(header) > _MOST_COLUMNS:
        raise ImportFailedError("manifest_unreadable", f"its first line names no columns: {header!s:.200}")
    if sum(map(len, header)) > LONGEST_RECORD:  # the job's record keeps them
        raise ImportFailedError("manifest_unreadable", f"its first line has over {LONGEST_RECORD} characters")
    columns = tuple(name.removeprefix("\ufeff").strip() for name in header)
    if lacking := [name for name in ("key", *options.reference_columns) if name not in columns]:
        raise ImportFailedError("manifest_unreadable", f"it has no column {lacking[0]!r:.80}")
    return columns


def _subject(value: Value, columns: tuple[str, ...], options: ImportOptions, line: int) -> Subject:
    if isinstance(value, BadRecordError):
        return BadLine(line, str(value)[:200])
    try:
        return source_object(
            dict(zip(columns, value, strict=False)) if isinstance(value, list) else value, options
        )
    except BadRecordError as error:
        return BadLine(line, str(error)[:200])


def source_object(facts: Mapping[str, Any], options: ImportOptions) -> SourceObject:
    """The object that a record names, from its values by column.  Raises BadRecordError."""
    key = facts.get("key")
    if not isinstance(key, str) or not key or not 1 <= _bytes(key) <= LONGEST_KEY:
        raise BadRecordError(f"key must be 1 to {LONGEST_KEY} bytes")
    content_type, filename = facts.get("content_type") or None, facts.get("filename") or None
    if content_type not in (None, *DECLARED_TYPES):
        raise BadRecordError(f"content_type must be one of {', '.join(DECLARED_TYPES)}")
    if not isinstance(filename, str | None):
        raise BadRecordError("filename must be text")
    return SourceObject(
        key,
        filename=filename and storable(filename),
        references=_references(facts, options),
        content_type=content_type,
    )


def _bytes(key: str) -> int:
    """The key's length in UTF-8; 0 if UTF-8 cannot hold it, for then S3 cannot either."""
    try:
        return len(key.encode())
    except UnicodeEncodeError:
        return 0


def _references(facts: Mapping[str, Any], options: ImportOptions) -> tuple[str, ...]:
    """The references in the column `references` and in `reference_columns`.  Raises BadRecordError."""
    several = facts.get("references") or []
    told = several if isinstance(several, list) else str(several).split(options.reference_separator)
    told = [*told, *(facts.get(column) for column in options.reference_columns)]
    names = [str(each).strip() for each in told if each not in (None, "")]
    references = tuple(dict.fromkeys(filter(None, names)))
    if len(references) > MOST_REFERENCES_AT_ONCE:
        raise BadRecordError(f"has more than {MOST_REFERENCES_AT_ONCE} references")
    for name in references:
        try:
            reference_name(name)
        except NotAReferenceError as error:
            raise BadRecordError(f"{error} is no reference") from error
    return references

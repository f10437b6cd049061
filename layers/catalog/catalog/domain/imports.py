"""Imports: objects of a foreign bucket become assets, each once.

An import records every object that it has dealt with as seen.  No import reads an object again while its key,
ETag and size stay the same.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Final, Self

from catalog.domain.errors import CallerError, Kind
from catalog.domain.jobs import JobFailedError
from catalog.domain.key_patterns import KeyPattern
from catalog.domain.keys import AssetId
from catalog.domain.references import NotAReferenceError, reference_name
from catalog.domain.sources import SourceFormat
from catalog.domain.uploads import DECLARED_TYPES, LONGEST_FILENAME, UNSTORABLE

# One step of the planner lists 100 pages of 1,000 objects: about 15 seconds and 20 MB.
OBJECTS_PER_STEP: Final = 100_000
PAGES_PER_STEP: Final = 100  # folders fill pages, too
# Keys of a listing, or whole lines of a manifest.  The planner holds each about eight times over, in 512 MB.
BYTES_PER_STEP: Final = 25_000_000
# One lookup of seen objects (BatchGetItem takes 100), and a minute or two of a worker.
OBJECTS_PER_PART: Final = 100
# A line of the map's input is an event of at most 256 KiB, in which the subjects are escaped once more.
PART_BYTES: Final = 150_000
MOST_SAMPLED: Final = 1_000
MOST_REFERENCES_AT_ONCE: Final = 50
LONGEST_KEY: Final = 1_024  # bytes (S3)
_FOLDER: Final = "/"

_EXTENSION: Final = re.compile(r"\.([A-Za-z0-9]{1,5})\Z")
_OF_EXTENSION: Final[Mapping[str, str]] = {
    **{kind: f"image/{kind}" for kind in SourceFormat},
    **{"jpg": "image/jpeg", "jpe": "image/jpeg", "jfif": "image/jpeg", "tif": "image/tiff"},
    "heif": "image/heif",
}
_UNKNOWN_TYPE: Final = "application/octet-stream"


class BucketNotAllowedError(CallerError):
    """The deployment's ImportBuckets does not name this bucket."""

    kind = Kind.FORBIDDEN
    code = "bucket_not_allowed"

    def __init__(self, bucket: str) -> None:
        super().__init__(f"imports may not read {bucket}: the parameter ImportBuckets does not name it")


class ImportFailedError(JobFailedError):
    """The bucket or the manifest cannot be read."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")


class ObjectCode(StrEnum):
    """Why an object was not imported, beside the codes of rejections and of refused uploads."""

    MISSING = "source_missing"
    FORBIDDEN = "source_forbidden"
    ARCHIVED = "source_archived"
    CHANGING = "source_changing"
    TOO_LARGE = "too_large"
    EMPTY = "empty"
    BAD_LINE = "bad_line"
    BAD_REFERENCE = "bad_reference"


class SourceObjectError(Exception):
    """One object of the bucket cannot be imported; the others may."""

    def __init__(self, code: ObjectCode, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code, self.detail = code, detail


class SourceChangedError(SourceObjectError):
    """The object changed after it was read."""

    def __init__(self) -> None:
        super().__init__(ObjectCode.CHANGING, "the object changed each time between being read and copied")


class ManifestFormat(StrEnum):
    CSV = "csv"
    JSON_LINES = "jsonl"


@dataclass(frozen=True, slots=True)
class ManifestOptions:
    """The object `key` in `bucket` that lists the objects to import.  `delimiter` applies to CSV only."""

    bucket: str
    key: str
    format: ManifestFormat
    delimiter: str = ","


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What to import from `bucket`: the objects under `prefix`, or those that `manifest` names.

    In a manifest, each of `reference_columns` holds one reference, and the column `references` holds several,
    separated by `reference_separator`.  `reference_pattern` takes references from the key.  A dry run reads
    about `sample` objects.
    """

    bucket: str
    prefix: str = ""
    manifest: ManifestOptions | None = None
    reference_columns: tuple[str, ...] = ()
    reference_separator: str = "|"
    reference_pattern: str | None = None
    sample: int = 0

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """From a job's options, as `as_json` wrote them."""
        manifest = options.get("manifest")
        return cls(
            **{
                **options,
                "manifest": manifest
                and ManifestOptions(**{**manifest, "format": ManifestFormat(manifest["format"])}),
                "reference_columns": tuple(options.get("reference_columns", ())),
            }
        )

    def as_json(self) -> dict[str, Any]:
        """The job's options, without those left out."""
        told = asdict(self) | {"reference_columns": list(self.reference_columns)}
        return {name: value for name, value in told.items() if value not in (None, "", [], 0)}

    @property
    def pattern(self) -> KeyPattern | None:
        return KeyPattern.parse(self.reference_pattern) if self.reference_pattern else None


@dataclass(frozen=True, slots=True)
class SourceObject:
    """An object to import.  A listing knows `etag` and `size_bytes`, a manifest the rest."""

    key: str
    etag: str | None = None
    size_bytes: int | None = None
    filename: str | None = None
    references: tuple[str, ...] = ()
    content_type: str | None = None

    @property
    def text(self) -> str:
        """The object as a part's subject: JSON with the fields that are known."""
        facts = {name: value for name, value in asdict(self).items() if value not in (None, ())}
        return json.dumps(facts, ensure_ascii=False, separators=(",", ":"))

    @property
    def name(self) -> str:
        """The object's name in failures and progress, with everything that a retry needs."""
        named = SourceObject(self.key, None, None, self.filename, self.references, self.content_type)
        plain = named == SourceObject(self.key) and not self.key.startswith("{")
        return self.key if plain else named.text

    @property
    def declared_type(self) -> str | None:
        """The content type by the manifest, or else by the key's extension; None if neither gives one."""
        extension = _EXTENSION.search(self.key)
        return self.content_type or (_OF_EXTENSION.get(extension[1].lower()) if extension else None)

    @property
    def is_no_image(self) -> bool:
        """Whether the key's extension belongs to no accepted format; False without an extension."""
        return self.declared_type is None and _EXTENSION.search(self.key) is not None

    def check_size(self, max_bytes: int) -> None:
        """Raises SourceObjectError if the size is known, and 0 or above `max_bytes`."""
        if self.size_bytes is not None:
            check_size(self.size_bytes, max_bytes)


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line of a manifest that names no object.  `line` counts from 1."""

    line: int
    detail: str

    @property
    def text(self) -> str:
        return json.dumps({"line": self.line, "detail": self.detail}, separators=(",", ":"))

    @property
    def name(self) -> str:
        return self.text


Subject = SourceObject | BadLine


def check_size(size_bytes: int, max_bytes: int) -> None:
    """Raises SourceObjectError if the size is 0 or above `max_bytes`."""
    if size_bytes > max_bytes:
        raise SourceObjectError(ObjectCode.TOO_LARGE, f"{size_bytes} bytes; at most {max_bytes} are accepted")
    if size_bytes == 0:
        raise SourceObjectError(ObjectCode.EMPTY, "the object has no bytes")


def subject_of(text: str) -> Subject:
    """The subject with this `text` or `name`."""
    if not text.startswith("{"):
        return SourceObject(text)
    facts = json.loads(text)
    if "line" in facts:
        return BadLine(facts["line"], facts["detail"])
    return SourceObject(**{**facts, "references": tuple(facts.get("references", ()))})


def parts(subjects: Iterable[Subject]) -> Iterator[tuple[str, ...]]:
    """The subjects' texts in parts of at most OBJECTS_PER_PART and PART_BYTES.  No part repeats a text."""
    part, length = dict[str, None](), 0
    for subject in subjects:
        text = subject.text
        size = len(json.dumps(text))
        if part and (len(part) == OBJECTS_PER_PART or length + size > PART_BYTES):
            yield tuple(part)
            part, length = {}, 0
        part[text] = None
        length += size
    if part:
        yield tuple(part)


def is_folder(key: str) -> bool:
    """Whether the key names a folder, which consoles create as an empty object."""
    return key.endswith(_FOLDER)


# --- Descriptions -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Described:
    """What the catalog records of an object besides its bytes."""

    filename: str
    references: frozenset[str]

    @property
    def digest(self) -> str:
        """16 hex digits that differ if the references differ; "" without any."""
        if not self.references:
            return ""
        return hashlib.sha256("\n".join(sorted(self.references)).encode()).hexdigest()[:16]


def described(source: SourceObject, pattern: KeyPattern | None) -> Described:
    """The filename by the manifest, by `pattern` or else by the key's last part, and all references.

    Raises SourceObjectError if a reference is no valid name.
    """
    named = pattern.match(source.key) if pattern else None
    references = frozenset({*source.references, *(named.references if named else ())})
    for reference in sorted(references):
        try:
            reference_name(reference)
        except NotAReferenceError as error:
            raise SourceObjectError(ObjectCode.BAD_REFERENCE, f"{error} is no reference") from error
    filename = source.filename or (named and named.filename) or source.key.rpartition("/")[2]
    return Described(storable(filename), references)


def storable(filename: str) -> str:
    """The filename with "_" for what cannot be shown; of a long one the end, to keep the extension."""
    return UNSTORABLE.sub("_", filename)[-LONGEST_FILENAME:] or "_"


def content_type_of(source: SourceObject, stored: str | None) -> str:
    """The type to record: by the manifest or key, else as S3 states it.  Ingestion trusts the content."""
    return source.declared_type or (stored if stored in DECLARED_TYPES else None) or _UNKNOWN_TYPE


# --- Seen objects -------------------------------------------------------------------------------------------


class Outcome(StrEnum):
    """What became of an object."""

    NEW = "new"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Seen:
    """An object that an import has dealt with: its ETag and size, its asset's id, and its outcome.

    `by` is the `subject_of_job` that dealt with it.  `references` has a digest of each set of references that
    it got: several lines of a manifest may name one object.
    """

    etag: str
    size_bytes: int
    id: AssetId
    outcome: Outcome
    by: str = ""
    references: frozenset[str] = frozenset()

    def is_of(self, source: SourceObject) -> bool:
        """Whether the object still has the ETag and size that were seen."""
        return (self.etag, self.size_bytes) == (source.etag, source.size_bytes)

    def referred(self, digest: str) -> Self:
        """The record after the object got the references with this digest, too."""
        kept = self.references if len(self.references) < MOST_REFERENCES_AT_ONCE else frozenset()
        return replace(self, references=kept | {digest} - {""})


def object_hash(bucket: str, key: str) -> str:
    """64 hex digits that name an object where its key would be too long or have forbidden characters."""
    return hashlib.sha256(f"{bucket}/{key}".encode()).hexdigest()


def subject_of_job(job: str, name: str) -> str:
    """16 hex digits that identify one subject of one job."""
    return hashlib.sha256(f"{job}/{name}".encode()).hexdigest()[:16]


def mark(bucket: str, key: str) -> str:
    """The correlation id of an object's asset.  By it an import knows the assets that it created."""
    return f"import-{object_hash(bucket, key)[:32]}"

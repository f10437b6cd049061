"""The options of an import, in the body of POST /v1/jobs."""

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

from catalog.api.inputs.fields import Fault, unknown_fields
from catalog.domain.imports import (
    LONGEST_KEY,
    MOST_SAMPLED,
    BucketNotAllowedError,
    ImportOptions,
    ManifestFormat,
    ManifestOptions,
)
from catalog.domain.key_patterns import KeyPattern, NotAKeyPatternError

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_MOST_COLUMNS: Final = 10
_DELIMITERS: Final = (",", ";", "\t", "|")


def import_options(
    given: Mapping[str, Any], faults: list[Fault], *, allowed: Sequence[str]
) -> Mapping[str, Any]:
    """What a job keeps; `allowed` are the buckets that may be read.  Raises BucketNotAllowedError."""
    bucket = _bucket(given, "bucket", faults)
    manifest = _manifest(given.get("manifest"), bucket, faults)
    faults += unknown_fields(
        given,
        {"bucket", "prefix", "manifest", "sample"}
        | {"reference_columns", "reference_separator", "reference_pattern"},
    )
    options = ImportOptions(
        bucket,
        prefix=_prefix(given, faults),
        manifest=manifest,
        reference_columns=_columns(given, faults),
        reference_separator=_separator(given, faults),
        reference_pattern=_pattern(given, faults),
        sample=_sample(given, faults),
    )
    for name in ("reference_columns", "reference_separator"):
        if name in given and manifest is None:
            faults.append(Fault(name, "is about a manifest, and there is none"))
    if "prefix" in given and manifest is not None:
        faults.append(Fault("prefix", "is for imports without a manifest"))
    if not faults:
        for name in dict.fromkeys((bucket, *([manifest.bucket] if manifest else []))):
            if not any(fnmatchcase(name, pattern) for pattern in allowed):
                raise BucketNotAllowedError(name)
    return options.as_json()


def _bucket(given: Mapping[str, Any], name: str, faults: list[Fault]) -> str:
    bucket = given.get(name)
    if isinstance(bucket, str) and _BUCKET.fullmatch(bucket):
        return bucket
    faults.append(Fault(name, "must be the name of a bucket"))
    return ""


def _prefix(given: Mapping[str, Any], faults: list[Fault]) -> str:
    prefix = given.get("prefix", "")
    if isinstance(prefix, str) and len(prefix) <= LONGEST_KEY:
        return prefix
    faults.append(Fault("prefix", f"must be at most {LONGEST_KEY} characters"))
    return ""


def _manifest(manifest: object, bucket: str, faults: list[Fault]) -> ManifestOptions | None:
    if manifest is None:
        return None
    if not isinstance(manifest, dict) or set(manifest) - {"bucket", "key", "format", "delimiter"}:
        faults.append(Fault("manifest", "must have a key, and may have bucket, format and delimiter"))
        return None
    key, delimiter = manifest.get("key"), manifest.get("delimiter", ",")
    if not isinstance(key, str) or not 1 <= len(key) <= LONGEST_KEY:
        faults.append(Fault("manifest.key", f"must be 1 to {LONGEST_KEY} characters"))
        key = ""
    if delimiter not in _DELIMITERS:
        faults.append(Fault("manifest.delimiter", "must be a comma, a semicolon, a tab or a bar"))
    kind = manifest.get("format", ManifestFormat.JSON_LINES if key.endswith("l") else ManifestFormat.CSV)
    if kind not in list(ManifestFormat):
        faults.append(Fault("manifest.format", f"must be one of {', '.join(ManifestFormat)}"))
        kind = ManifestFormat.CSV
    where = _bucket(manifest, "bucket", faults) if "bucket" in manifest else bucket
    return ManifestOptions(where, key, ManifestFormat(kind), str(delimiter))


def _columns(given: Mapping[str, Any], faults: list[Fault]) -> tuple[str, ...]:
    columns = given.get("reference_columns", [])
    names = columns if isinstance(columns, list) else [None]
    if len(names) <= _MOST_COLUMNS and all(isinstance(name, str) and 1 <= len(name) <= 80 for name in names):  # noqa: PLR2004
        return tuple(names)
    faults.append(Fault("reference_columns", f"must be at most {_MOST_COLUMNS} names of columns"))
    return ()


def _separator(given: Mapping[str, Any], faults: list[Fault]) -> str:
    separator = given.get("reference_separator", "|")
    if isinstance(separator, str) and len(separator) == 1:
        return separator
    faults.append(Fault("reference_separator", "must be one character"))
    return "|"


def _pattern(given: Mapping[str, Any], faults: list[Fault]) -> str | None:
    pattern = given.get("reference_pattern")
    if pattern is None:
        return None
    try:
        KeyPattern.parse(pattern if isinstance(pattern, str) else "")
    except NotAKeyPatternError as error:
        faults.append(Fault("reference_pattern", str(error)))
    return str(pattern)


def _sample(given: Mapping[str, Any], faults: list[Fault]) -> int:
    sample = given.get("sample", 0)
    if type(sample) is int and 0 <= sample <= MOST_SAMPLED:
        return sample
    faults.append(Fault("sample", f"must be a whole number from 0 to {MOST_SAMPLED}, for a dry run"))
    return 0

"""Every version and delete marker under a prefix.  A purge leaves these; an erasure deletes them."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from catalog.adapters.sdk import client
from catalog.domain.jobs import Failure

# S3 answers so for single keys of a batch while it is busy; among 10^8 objects this happens to some.
_PASSING: Final = frozenset({"InternalError", "ServiceUnavailable", "SlowDown", "OperationAborted"})
_TRIES: Final = 4


class VersionsNotDeletedError(Exception):
    """S3 failed to delete some versions at every try; a later try deletes them."""


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """One version of an object, or a delete marker, whose size is 0."""

    key: str
    version: str
    size_bytes: int
    is_marker: bool


class ObjectVersions:
    """The versions in one bucket whose keys begin with `prefix`."""

    def __init__(self, bucket: str, prefix: str) -> None:
        self._bucket = bucket
        self._prefix = prefix

    def pages(
        self, below: str, *, after: str | None = None
    ) -> Iterator[tuple[str, tuple[StoredVersion, ...]]]:
        """Pages of up to 1,000 versions of keys that begin with the prefix and `below`, each with its name.

        `after` is the name of the page to continue after.  Pages omit versions that are deleted meanwhile.
        """
        markers: dict[str, str] = _markers(*json.loads(after)) if after else {}
        while True:
            answer = client("s3").list_object_versions(
                Bucket=self._bucket, Prefix=self._prefix + below, **markers
            )
            found = tuple(_versions(answer))
            if found:
                yield json.dumps([found[-1].key, found[-1].version]), found
            if not answer["IsTruncated"]:
                return
            markers = _markers(answer["NextKeyMarker"], answer.get("NextVersionIdMarker", ""))

    def delete(self, versions: Sequence[StoredVersion]) -> tuple[Failure, ...]:
        """Delete at most 1,000 versions for good.  Returns those that S3 refuses as failures.

        Raises VersionsNotDeletedError if S3 fails to delete some at every try.
        """
        named = [{"Key": each.key, "VersionId": each.version} for each in versions]
        refused: list[Failure] = []
        for attempt in range(_TRIES):
            answer = client("s3").delete_objects(
                Bucket=self._bucket, Delete={"Objects": named, "Quiet": True}
            )
            errors = answer.get("Errors", [])
            named = [
                {"Key": error["Key"], "VersionId": error["VersionId"]}
                for error in errors
                if error["Code"] in _PASSING
            ]
            refused += [_failure(error) for error in errors if error["Code"] not in _PASSING]
            if not named:
                return tuple(refused)
            time.sleep(0.1 * 2**attempt)
        raise VersionsNotDeletedError(f"{len(named)} of {self._bucket}")


def _failure(error: dict[str, str]) -> Failure:
    return Failure(error["Key"], "object_not_deleted", f"{error['Code']}: {error.get('Message', '')}"[:1000])


def _markers(key: str, version: str) -> dict[str, str]:
    return {"KeyMarker": key, **({"VersionIdMarker": version} if version else {})}


def _versions(answer: dict[str, Any]) -> list[StoredVersion]:
    """In the order of the listing: by key, then newest first."""
    found = [
        *((entry, False) for entry in answer.get("Versions", [])),
        *((entry, True) for entry in answer.get("DeleteMarkers", [])),
    ]
    found.sort(key=lambda one: (one[0]["Key"], -one[0]["LastModified"].timestamp()))
    return [
        StoredVersion(entry["Key"], entry["VersionId"], 0 if marker else entry["Size"], marker)
        for entry, marker in found
    ]

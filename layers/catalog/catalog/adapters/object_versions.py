"""Every version and delete marker under a prefix: what a purge leaves, and an erasure does not."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from catalog.adapters.sdk import client
from catalog.domain.jobs import Failure


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """One version of an object, or a delete marker, which has no bytes."""

    key: str
    version: str
    size_bytes: int
    is_marker: bool


class ObjectVersions:
    """Those of one bucket below `prefix`."""

    def __init__(self, bucket: str, prefix: str) -> None:
        self._bucket = bucket
        self._prefix = prefix

    def pages(
        self, below: str, *, after: str | None = None
    ) -> Iterator[tuple[str, tuple[StoredVersion, ...]]]:
        """Pages of up to 1,000, of keys that begin with the prefix and `below`, and names to go on after.

        What is deleted meanwhile is not met again.
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
        """Delete these for good, at most 1,000.  Those that S3 refuses are failures."""
        named = [{"Key": each.key, "VersionId": each.version} for each in versions]
        answer = client("s3").delete_objects(Bucket=self._bucket, Delete={"Objects": named, "Quiet": True})
        return tuple(
            Failure(error["Key"], "object_not_deleted", f"{error['Code']}: {error.get('Message', '')}"[:1000])
            for error in answer.get("Errors", [])
        )


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

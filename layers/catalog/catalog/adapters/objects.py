"""The S3 buckets: originals, which clients write through presigned URLs, and renditions, which they read."""

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import batched, groupby
from typing import Any, Final

from botocore.exceptions import ClientError

from catalog.adapters.sdk import client
from catalog.adapters.signing import Viewers
from catalog.domain.addresses import Address
from catalog.domain.jobs import ends
from catalog.domain.keys import ORIGINALS_PREFIX, RENDITIONS_PREFIX, AssetId, AssetKey, TenantId
from catalog.domain.rejections import ImageRejectedError, RejectionCode
from catalog.domain.renditions import StoredVersion
from catalog.domain.uploads import (
    TICKETS_LAST,
    Announcement,
    OriginalMissingError,
    OriginalTooLargeError,
    PresignedUpload,
)

DOWNLOAD_URL_SECONDS: Final = 3600

_IMMUTABLE: Final = "public, max-age=31536000, immutable"  # a changed rendition has a changed key


_MISSING: Final = frozenset({"NoSuchKey", "404"})
_DELETED_AT_ONCE: Final = 1_000  # S3's own bound
_TRIES: Final = 3  # of a write that meets another of the same key, or its deletion


class ObjectInMotionError(Exception):
    """Others wrote and deleted an object at every try; it is retried."""


class ObjectsNotDeletedError(Exception):
    """S3 refused to delete some of a batch; the purge is retried."""


class Originals:
    """The originals bucket.  `tickets_last`: how long a presigned PUT is valid."""

    def __init__(self, bucket: str, *, tickets_last: timedelta = TICKETS_LAST) -> None:
        self._bucket = bucket
        self._tickets_last = tickets_last

    def presign_upload(self, key: AssetKey, announced: Announcement, *, now: datetime) -> PresignedUpload:
        """A URL for a PUT of the announced bytes.

        S3 takes them only while no object is there (`If-None-Match: *`): each further PUT would store another
        version.
        """
        seconds = int(self._tickets_last.total_seconds())
        checksum = base64.b64encode(bytes.fromhex(key.id)).decode()
        url = client("s3").generate_presigned_url(
            "put_object",
            Params={
                "Bucket": self._bucket,
                "Key": key.original,
                "ContentLength": announced.size_bytes,
                "ContentType": announced.content_type,
                "ChecksumSHA256": checksum,
                "IfNoneMatch": "*",
            },
            ExpiresIn=seconds,
        )
        headers = {
            "content-length": str(announced.size_bytes),
            "content-type": announced.content_type,
            "x-amz-checksum-sha256": checksum,
            "if-none-match": "*",
        }
        return PresignedUpload(url, headers, now + self._tickets_last)

    def read(self, key: AssetKey, *, max_bytes: int) -> bytes:
        """The original's bytes.

        Raises OriginalMissingError, OriginalTooLargeError (before reading any), and ImageRejectedError where
        it was archived: no retry would find it readable.
        """
        try:
            answer = client("s3").get_object(Bucket=self._bucket, Key=key.original)
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                raise OriginalMissingError(key.original) from error
            if error.response["Error"]["Code"] == "InvalidObjectState":
                detail = "the original is in a storage class that cannot be read; send the bytes again"
                raise ImageRejectedError(RejectionCode.ORIGINAL_ARCHIVED, detail) from error
            raise
        with answer["Body"] as body:
            if answer["ContentLength"] > max_bytes:
                raise OriginalTooLargeError(answer["ContentLength"])
            data: bytes = body.read()
        return data

    def tag_rejected(self, key: AssetKey) -> None:
        """Hand the object to the bucket's lifecycle rule, which keeps it for 7 days."""
        client("s3").put_object_tagging(
            Bucket=self._bucket,
            Key=key.original,
            Tagging={"TagSet": [{"Key": "status", "Value": "rejected"}]},
        )

    def delete(self, key: AssetKey) -> None:
        """Remove the original; its version stays restorable as long as the bucket keeps old versions.

        Deleting again adds no delete marker: the lifecycle keeps only the newest two entries of a key.
        """
        if self.has(key):
            client("s3").delete_object(Bucket=self._bucket, Key=key.original)

    def stored_after_purge(self, key: AssetKey) -> list[datetime]:
        """When each version of an original was stored, newest first; none if it was never deleted."""
        pages = (
            client("s3")
            .get_paginator("list_object_versions")
            .paginate(Bucket=self._bucket, Prefix=key.original)
        )
        stored: list[datetime] = []
        deleted = False
        for page in pages:
            deleted = deleted or bool(page.get("DeleteMarkers"))
            stored += [entry["LastModified"] for entry in page.get("Versions", [])]
        return sorted(stored, reverse=True) if deleted else []

    def has(self, key: AssetKey) -> bool:
        """Whether the original is stored."""
        return _has_any(self._bucket, key.original)

    def count(self, tenant: TenantId) -> int:
        """How many originals of the tenant are stored, with or without a record; 1,000 at most."""
        return _count(self._bucket, f"{ORIGINALS_PREFIX}{tenant}/")

    def has_versions(self, tenant: TenantId) -> bool:
        """Whether anything of a tenant is here, deleted objects that can be restored included."""
        return _has_versions(self._bucket, f"{ORIGINALS_PREFIX}{tenant}/")


class Renditions:
    """The renditions bucket.  `base_url` is a CDN in front of it; without one, URLs are presigned GETs.

    With `viewers` the CDN asks for a signature, and URLs carry one.
    """

    def __init__(self, bucket: str, *, base_url: str | None = None, viewers: Viewers | None = None) -> None:
        self._bucket = bucket
        self._base_url = base_url
        self._viewers = viewers

    def write(self, object_key: str, data: bytes, *, content_type: str) -> int:
        """Store a rendition; how many bytes are stored.

        The bytes under a key never change: those that are there stay, whatever is given.  They are stored
        anew, so that whoever is about to take back the version before leaves them (`take_back`).
        """
        for _ in range(_TRIES):
            if self._put(object_key, data, content_type, IfNoneMatch="*"):
                return len(data)
            stored = self.read(object_key)
            if stored is not None and self._put(object_key, stored, content_type):
                return len(stored)
        raise ObjectInMotionError(object_key)

    def _put(self, object_key: str, data: bytes, content_type: str, **condition: str) -> bool:
        """False where the condition does not hold, or another write or delete is at the same key."""
        try:
            client("s3").put_object(
                Bucket=self._bucket,
                Key=object_key,
                Body=data,
                ContentType=content_type,
                CacheControl=_IMMUTABLE,
                **condition,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"PreconditionFailed", "ConditionalRequestConflict"}:
                raise
            return False
        return True

    def read(self, object_key: str) -> bytes | None:
        """The bytes of a rendition; None where there is none."""
        try:
            with client("s3").get_object(Bucket=self._bucket, Key=object_key)["Body"] as body:
                data: bytes = body.read()
        except ClientError as error:
            if error.response["Error"]["Code"] not in _MISSING:
                raise
            return None
        return data

    def versions(self, key: AssetKey) -> list[tuple[str, str]]:
        """Every current rendition of an asset: its key and the id of its version."""
        pages = (
            client("s3")
            .get_paginator("list_object_versions")
            .paginate(Bucket=self._bucket, Prefix=key.renditions)
        )
        return [
            (entry["Key"], entry["VersionId"])
            for page in pages
            for entry in page.get("Versions", [])
            if entry["IsLatest"]
        ]

    def stored_within(
        self, tenant: TenantId, within: str, *, after: str | None = None
    ) -> Iterator[tuple[AssetId, tuple[StoredVersion, ...]]]:
        """Every version of the renditions of a part's assets (`within` as in Work), by id and key.

        From behind the id `after` on.
        """
        first, last = ends(within)
        beginning = f"{RENDITIONS_PREFIX}{tenant}/"
        stored = (
            self._stored(beginning + first)
            if first == last
            else self._stored(beginning, KeyMarker=beginning + first)
        )
        by_id = groupby(stored, key=lambda one: AssetId(one.key.split("/")[2]))
        for id_, versions in by_id:
            if id_ > f"{last}g":  # behind every id of the range
                return
            if after is None or id_ > after:
                yield id_, tuple(versions)

    def stored(self, key: AssetKey) -> tuple[StoredVersion, ...]:
        """Every version of an asset's renditions, by key."""
        return tuple(self._stored(key.renditions))

    def _stored(self, prefix: str, **behind: str) -> Iterator[StoredVersion]:
        pages = (
            client("s3")
            .get_paginator("list_object_versions")
            .paginate(Bucket=self._bucket, Prefix=prefix, **behind)
        )
        for page in pages:
            for entry in page.get("Versions", []):
                yield StoredVersion(
                    entry["Key"], entry["VersionId"], entry["LastModified"], entry["Size"], entry["IsLatest"]
                )

    def remove(self, versions: Iterable[StoredVersion]) -> None:
        """Remove these versions for good; those written since stay.  Raises ObjectsNotDeletedError."""
        for some in batched(versions, _DELETED_AT_ONCE, strict=False):
            self._delete([{"Key": one.key, "VersionId": one.version} for one in some])

    def take_back(self, object_key: str, version: str) -> None:
        """Remove this version for good.  A version that was written since stays."""
        client("s3").delete_object(Bucket=self._bucket, Key=object_key, VersionId=version)

    def url(self, object_key: str) -> str:
        """A URL a browser can GET, valid for DOWNLOAD_URL_SECONDS where it is signed."""
        if self._base_url:
            tenant = TenantId(object_key.split("/")[1])
            return self._signed(f"{self._base_url}/{object_key}", tenant)
        params: dict[str, Any] = {"Bucket": self._bucket, "Key": object_key}
        url: str = client("s3").generate_presigned_url(
            "get_object", Params=params, ExpiresIn=DOWNLOAD_URL_SECONDS
        )
        return url

    def permanent_url(self, address: Address) -> str | None:
        """A URL to store, without a signature; None without a CDN."""
        return f"{self._base_url}/{address.path}" if self._base_url else None

    def page_url(self, address: Address, object_key: str) -> str:
        """The URL for a page that is made now: that of the address where there is a CDN."""
        permanent = self.permanent_url(address)
        return self._signed(permanent, address.key.tenant) if permanent else self.url(object_key)

    def _signed(self, url: str, tenant: TenantId) -> str:
        return f"{url}?{self._viewers.pass_for(tenant).query}" if self._viewers else url

    def delete_all(self, key: AssetKey) -> None:
        """Remove every rendition of an asset, also those of older presets.  Raises ObjectsNotDeletedError."""
        pages = (
            client("s3").get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=key.renditions)
        )
        for page in pages:
            stored = [{"Key": entry["Key"]} for entry in page.get("Contents", [])]
            if stored:
                self._delete(stored)

    def _delete(self, named: Sequence[Mapping[str, str]]) -> None:
        answer = client("s3").delete_objects(Bucket=self._bucket, Delete={"Objects": named, "Quiet": True})
        if left := answer.get("Errors"):
            raise ObjectsNotDeletedError(", ".join(sorted({error["Code"] for error in left})))

    def count(self, tenant: TenantId) -> int:
        """How many renditions of the tenant are stored, with or without a record; 1,000 at most."""
        return _count(self._bucket, f"{RENDITIONS_PREFIX}{tenant}/")

    def has_versions(self, tenant: TenantId) -> bool:
        """Whether anything of a tenant is here, deleted objects that can be restored included."""
        return _has_versions(self._bucket, f"{RENDITIONS_PREFIX}{tenant}/")


def _has_any(bucket: str, prefix: str) -> bool:
    answer = client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)
    return bool(answer["KeyCount"])


def _count(bucket: str, prefix: str) -> int:
    return int(client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix)["KeyCount"])


def _has_versions(bucket: str, prefix: str) -> bool:
    answer = client("s3").list_object_versions(Bucket=bucket, Prefix=prefix, MaxKeys=1)
    return bool(answer.get("Versions") or answer.get("DeleteMarkers"))

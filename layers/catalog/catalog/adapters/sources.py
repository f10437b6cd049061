"""Foreign buckets, from which imports read, and the originals bucket, to which they copy."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from botocore.exceptions import ClientError

from catalog.adapters.objects import Originals
from catalog.adapters.sdk import client
from catalog.domain.imports import (
    ImportFailedError,
    ObjectCode,
    SourceChangedError,
    SourceObject,
    SourceObjectError,
    check_size,
)
from catalog.domain.keys import AssetKey

MANIFEST_BLOCK: Final = 8 * 1024 * 1024  # bytes of a manifest that one GET reads

# S3 answers HEAD without a body, so the error's code is then the HTTP status.
_CODES: Final = {
    "NoSuchKey": ObjectCode.MISSING,
    "404": ObjectCode.MISSING,
    "AccessDenied": ObjectCode.FORBIDDEN,
    "403": ObjectCode.FORBIDDEN,
    "InvalidObjectState": ObjectCode.ARCHIVED,
}
_DETAILS: Final = {
    ObjectCode.MISSING: "the bucket has no such object",
    ObjectCode.FORBIDDEN: "the import may not read this object: its bucket's policy, or its key's",
    ObjectCode.ARCHIVED: "the object is in a storage class that cannot be read; restore it first",
}
_DENIED: Final = "access is denied, by the bucket's policy or as ImportBuckets does not name it"
_UNREADABLE: Final = {
    "NoSuchBucket": "there is no such bucket",
    "NoSuchKey": "there is no such object",
    "404": "there is no such object",
    "AccessDenied": _DENIED,
    "403": _DENIED,
    "PermanentRedirect": "the bucket is in another region",
    "PreconditionFailed": "the manifest changed while it was read; start a new job",
}


@dataclass(frozen=True, slots=True)
class SourcePage:
    """Up to 1,000 objects in the order of their keys, and the token of the next page."""

    objects: tuple[SourceObject, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class SourceBytes:
    """The bytes of an object, and its ETag.  `content_type` is what its uploader stated; it may be wrong."""

    data: bytes = field(repr=False)
    etag: str
    content_type: str | None


@dataclass(frozen=True, slots=True)
class Manifest:
    """One version of a manifest, by its `etag`."""

    bucket: str
    key: str
    etag: str
    size_bytes: int

    def block(self, offset: int) -> bytes:
        """Up to MANIFEST_BLOCK bytes from `offset` on.  Raises ImportFailedError, also if it has changed."""
        if offset >= self.size_bytes:
            return b""
        with _reading(f"{self.bucket}/{self.key}", "manifest_unreadable"):
            answer = client("s3").get_object(
                Bucket=self.bucket,
                Key=self.key,
                Range=f"bytes={offset}-{offset + MANIFEST_BLOCK - 1}",
                IfMatch=f'"{self.etag}"',
            )
            with answer["Body"] as body:
                data: bytes = body.read()
        return data


class Sources:
    """The buckets that the function's role may read."""

    def page(self, bucket: str, prefix: str, *, after: str, token: str | None) -> SourcePage:
        """A page of the listing, after the key `after` or at a `token`.  Raises ImportFailedError."""
        where = {"ContinuationToken": token} if token else {"StartAfter": after} if after else {}
        with _reading(bucket, "bucket_unreadable"):
            answer = client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix, **where)
        objects = tuple(
            SourceObject(entry["Key"], _bare(entry["ETag"]), entry["Size"])
            for entry in answer.get("Contents", [])
        )
        return SourcePage(objects, answer.get("NextContinuationToken"))

    def look(self, bucket: str, source: SourceObject) -> SourceObject:
        """The object with its ETag and size, without reading its bytes.  Raises SourceObjectError."""
        with _one_object():
            answer = client("s3").head_object(Bucket=bucket, Key=source.key)
        return replace(source, etag=_bare(answer["ETag"]), size_bytes=answer["ContentLength"])

    def read(self, bucket: str, key: str, *, max_bytes: int) -> SourceBytes:
        """The object's bytes.  Raises SourceObjectError; if it is too large, before reading a byte."""
        with _one_object():
            answer = client("s3").get_object(Bucket=bucket, Key=key)
        with answer["Body"] as body:
            check_size(answer["ContentLength"], max_bytes)
            data: bytes = body.read()
        return SourceBytes(data, _bare(answer["ETag"]), answer.get("ContentType"))

    def manifest(self, bucket: str, key: str, *, etag: str | None) -> Manifest:
        """The manifest at `etag`; None: its present version.  Raises ImportFailedError."""
        with _reading(f"{bucket}/{key}", "manifest_unreadable"):
            answer = client("s3").head_object(Bucket=bucket, Key=key)
        return Manifest(bucket, key, etag or _bare(answer["ETag"]), answer["ContentLength"])


class CopiedOriginals(Originals):
    """The originals bucket; it holds the bytes of copied originals, so that they are read once."""

    def __init__(self, bucket: str) -> None:
        super().__init__(bucket)
        self._held: dict[AssetKey, bytes] = {}

    def copy(self, key: AssetKey, bucket: str, source: str, found: SourceBytes, content_type: str) -> None:
        """Copy the object that was read, inside S3.  Raises SourceObjectError.

        Copies no metadata and no tags: a tag could make our lifecycle rules delete the original.
        """
        with _one_object():
            client("s3").copy_object(
                Bucket=self._bucket,
                Key=key.original,
                CopySource={"Bucket": bucket, "Key": source},
                CopySourceIfMatch=f'"{found.etag}"',
                MetadataDirective="REPLACE",
                TaggingDirective="REPLACE",
                ContentType=content_type,
                ChecksumAlgorithm="SHA256",
            )
        self._held[key] = found.data

    def let_go(self, key: AssetKey) -> None:
        """Hold the bytes of this original no longer."""
        self._held.pop(key, None)

    def read(self, key: AssetKey, *, max_bytes: int) -> bytes:
        """Like Originals.read.  A copy has the bytes that were read, since their ETags are equal."""
        return self._held.get(key) or super().read(key, max_bytes=max_bytes)

    def holds(self, key: AssetKey) -> bool:
        """Whether the original is stored; costs a twelfth of `has`."""
        try:
            client("s3").head_object(Bucket=self._bucket, Key=key.original)
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"404", "NoSuchKey"}:
                raise
            return False
        return True


def _bare(etag: str) -> str:
    return etag.strip('"')


@contextmanager
def _one_object() -> Iterator[None]:
    """Translate S3's answers about one object into SourceObjectError; every other error is a fault."""
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in {"PreconditionFailed", "412"}:
            raise SourceChangedError from error
        if code not in _CODES:
            raise
        raise SourceObjectError(_CODES[code], _DETAILS[_CODES[code]]) from error


@contextmanager
def _reading(what: str, code: str) -> Iterator[None]:
    """Translate S3's answers that end the job into ImportFailedError; every other error is a fault."""
    try:
        yield
    except ClientError as error:
        said: Any = error.response["Error"]["Code"]
        if said not in _UNREADABLE:
            raise
        raise ImportFailedError(code, f"{what}: {_UNREADABLE[said]}") from error

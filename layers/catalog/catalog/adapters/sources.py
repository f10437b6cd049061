"""Foreign buckets, from which imports read, and the originals bucket, into which they copy."""

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

MANIFEST_BLOCK: Final = 8 * 1024 * 1024  # bytes one GET takes of a manifest

# S3 answers HEAD without a body: the code is the status then.
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
    """An object as it was read.  `content_type` is what whoever stored it said."""

    data: bytes = field(repr=False)
    etag: str
    content_type: str | None


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest of one `etag`."""

    bucket: str
    key: str
    etag: str
    size_bytes: int

    def block(self, offset: int) -> bytes:
        """Up to MANIFEST_BLOCK bytes from there on.  Raises ImportFailedError where it has changed."""
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
        """A page of the listing behind the key `after`, or at a `token`.  Raises ImportFailedError."""
        where = {"ContinuationToken": token} if token else {"StartAfter": after} if after else {}
        with _reading(bucket, "bucket_unreadable"):
            answer = client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix, **where)
        objects = tuple(
            SourceObject(entry["Key"], _bare(entry["ETag"]), entry["Size"])
            for entry in answer.get("Contents", [])
        )
        return SourcePage(objects, answer.get("NextContinuationToken"))

    def look(self, bucket: str, source: SourceObject) -> SourceObject:
        """The object with its ETag and size, unread.  Raises SourceObjectError."""
        with _one_object():
            answer = client("s3").head_object(Bucket=bucket, Key=source.key)
        return replace(source, etag=_bare(answer["ETag"]), size_bytes=answer["ContentLength"])

    def read(self, bucket: str, key: str, *, max_bytes: int) -> SourceBytes:
        """The object.  Raises SourceObjectError, before reading any byte of one that is too large."""
        with _one_object():
            answer = client("s3").get_object(Bucket=bucket, Key=key)
        with answer["Body"] as body:
            check_size(answer["ContentLength"], max_bytes)
            data: bytes = body.read()
        return SourceBytes(data, _bare(answer["ETag"]), answer.get("ContentType"))

    def manifest(self, bucket: str, key: str, *, etag: str | None) -> Manifest:
        """The manifest, as it was at `etag` where that is known.  Raises ImportFailedError."""
        with _reading(f"{bucket}/{key}", "manifest_unreadable"):
            answer = client("s3").head_object(Bucket=bucket, Key=key)
        return Manifest(bucket, key, etag or _bare(answer["ETag"]), answer["ContentLength"])


class CopiedOriginals(Originals):
    """The originals bucket; the bytes of the original that was copied last need not be read again."""

    def __init__(self, bucket: str) -> None:
        super().__init__(bucket)
        self._held: tuple[AssetKey, bytes] | None = None

    def copy(self, key: AssetKey, bucket: str, source: str, found: SourceBytes, content_type: str) -> None:
        """Copy the object that was read, inside S3.  Raises SourceObjectError.

        Its metadata and tags stay behind: a tag could have our lifecycle rules delete it.
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
        self._held = key, found.data

    def read(self, key: AssetKey, *, max_bytes: int) -> bytes:
        """As Originals does; what was copied last is what was read then, since their ETags are equal."""
        if self._held and self._held[0] == key:
            return self._held[1]
        return super().read(key, max_bytes=max_bytes)

    def holds(self, key: AssetKey) -> bool:
        """Whether the original is stored: a twelfth of what `has` costs."""
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
    """AWS's answers about one object of the bucket as facts; everything else is a fault."""
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
    """What ends the job; everything else is a fault."""
    try:
        yield
    except ClientError as error:
        said: Any = error.response["Error"]["Code"]
        if said not in _UNREADABLE:
            raise
        raise ImportFailedError(code, f"{what}: {_UNREADABLE[said]}") from error

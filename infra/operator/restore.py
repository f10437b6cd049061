"""Restore a purged image while its original is kept as an earlier version (PurgeRestoreDays).

    python -m infra.operator.restore acme <sha256> --stack catalog-images

Removes the delete markers of the original and sends its upload event again; the pipeline then checks, hashes
and renders it like a new upload.  Its references and filename are lost.  It may be run again after any
failure.  Needs the operator's AWS credentials (or AWS_ENDPOINT_URL, for the embedded stack).  Prints one JSON
object: `tenant, id, size_bytes, stored_at, deleted_at`.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from catalog.adapters.assets_table import Assets
from catalog.adapters.queues import UploadsQueue
from catalog.adapters.sdk import client
from catalog.adapters.tenants_table import Tenants
from catalog.domain.assets import Status
from catalog.domain.keys import AssetKey, asset_id, tenant_id
from catalog.domain.tenants import TenantBeingRemovedError, TenantNotFoundError
from infra.operator.commands import refusals
from infra.operator.tenants import stack_outputs

# An announced upload, or no record at all; anything else is not purged.
_RESTORABLE: Final = (None, Status.AWAITING_UPLOAD)


class NotGoneError(Exception):
    """The image has a record: it was not purged, or it was restored."""


class BeingDeletedError(Exception):
    """A purge has not finished with the image."""


class NothingToRestoreError(LookupError):
    """No version of the original is left, or there never was one."""


@dataclass(frozen=True, slots=True)
class Restored:
    """An original that the pipeline processes again.  `deleted_at` is None if it was not deleted."""

    key: AssetKey
    size_bytes: int
    stored_at: datetime
    deleted_at: datetime | None


def restore(key: AssetKey, *, outputs: Mapping[str, str]) -> Restored:
    """Undelete the original of a purged image and have it ingested, in the deployment with these outputs.

    Raises TenantNotFoundError, TenantBeingRemovedError, NotGoneError, BeingDeletedError,
    NothingToRestoreError.
    """
    Tenants(outputs["TenantsTable"]).active(key.tenant)
    asset = Assets(outputs["AssetsTable"]).find(key)
    status = asset.status if asset else None
    if status is Status.DELETING:
        raise BeingDeletedError(key.id)
    if status not in _RESTORABLE:
        raise NotGoneError(status)
    bucket = outputs["OriginalsBucket"]
    newest, markers = _versions(bucket, key)
    if newest is None:
        raise NothingToRestoreError(key.id)
    for marker in markers:
        client("s3").delete_object(Bucket=bucket, Key=key.original, VersionId=marker["VersionId"])
    UploadsQueue(outputs["UploadsQueueUrl"]).notify(key)  # S3 sends no event for a removed marker
    return Restored(
        key=key,
        size_bytes=newest["Size"],
        stored_at=newest["LastModified"],
        deleted_at=max((marker["LastModified"] for marker in markers), default=None),
    )


def _versions(bucket: str, key: AssetKey) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """The newest version of the original, and every delete marker.

    All versions have the same bytes, since the key is their hash; ingest finds a wrong one.
    """
    pages = client("s3").get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key.original)
    versions: list[dict[str, Any]] = []
    markers: list[dict[str, Any]] = []
    for page in pages:
        versions += page.get("Versions", [])
        markers += page.get("DeleteMarkers", [])
    return max(versions, key=lambda version: version["LastModified"], default=None), markers


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Bring a purged image back.")
    parser.add_argument("tenant")
    parser.add_argument("id", help="the SHA-256 of the original, 64 hex digits")
    parser.add_argument("--stack", required=True, help="name of the deployed stack")
    chosen = parser.parse_args(arguments)
    with refusals():
        try:
            key = AssetKey(tenant_id(chosen.tenant), asset_id(chosen.id))
            restored = restore(key, outputs=stack_outputs(chosen.stack))
        except TenantNotFoundError:
            sys.exit(
                f"error: there is no tenant {chosen.tenant}; make it first (infra.operator.tenants create)"
            )
        except TenantBeingRemovedError:
            sys.exit(f"error: the tenant {chosen.tenant} is being removed")
        except NotGoneError as error:
            sys.exit(f"error: this image is not gone, it is {error}")
        except BeingDeletedError:
            sys.exit("error: a purge is still deleting this image; try again when GET /v1/images/{id} is 404")
        except NothingToRestoreError:
            sys.exit(
                "error: no version of this original is left: it was never stored for this tenant, or deleted "
                "longer ago than PurgeRestoreDays"
            )
    print(
        json.dumps(
            {
                "tenant": restored.key.tenant,
                "id": restored.key.id,
                "size_bytes": restored.size_bytes,
                "stored_at": restored.stored_at.isoformat(timespec="seconds"),
                "deleted_at": restored.deleted_at and restored.deleted_at.isoformat(timespec="seconds"),
            }
        )
    )


if __name__ == "__main__":
    main()

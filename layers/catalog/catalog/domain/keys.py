"""Where objects live.  One content, one key: a repeated upload writes the same object again."""

import re
from dataclasses import dataclass
from typing import Final, NewType

TenantId = NewType("TenantId", str)
AssetId = NewType("AssetId", str)
"""The lower-case hex SHA-256 of the original's bytes (64 digits)."""

_TENANT: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")

ORIGINALS_PREFIX: Final = "originals/"
RENDITIONS_PREFIX: Final = "renditions/"


class NotATenantIdError(ValueError):
    """A tenant id is 1 to 63 of a-z, 0-9 and inner hyphens, so that it can stand in keys and URLs."""


class NotAnAssetIdError(ValueError):
    """An asset id is 64 lower-case hex digits."""


class NotAnOriginalKeyError(ValueError):
    """No upload of this pipeline writes such a key."""


def tenant_id(text: str) -> TenantId:
    """Raises NotATenantIdError."""
    if not _TENANT.fullmatch(text):
        raise NotATenantIdError(repr(text[:80]))
    return TenantId(text)


def asset_id(text: str) -> AssetId:
    """Raises NotAnAssetIdError."""
    if not _SHA256.fullmatch(text):
        raise NotAnAssetIdError(repr(text[:80]))
    return AssetId(text)


@dataclass(frozen=True, slots=True)
class AssetKey:
    """Names one asset of one tenant; nothing in the catalog is named by its id alone."""

    tenant: TenantId
    id: AssetId

    @property
    def original(self) -> str:
        """The object key of the original."""
        return f"{ORIGINALS_PREFIX}{self.tenant}/{self.id}"

    @property
    def renditions(self) -> str:
        """The prefix under which all renditions of this asset lie."""
        return f"{RENDITIONS_PREFIX}{self.tenant}/{self.id}/"

    def rendition(self, preset: str, version: str, extension: str) -> str:
        """The object key of one rendition: another version is another object, so caches never lie."""
        return f"{self.renditions}{preset}-{version}.{extension}"

    @classmethod
    def of_original(cls, object_key: str) -> "AssetKey":
        """The asset whose original lies at `object_key`.  Raises NotAnOriginalKeyError."""
        try:
            prefix, tenant, digest = object_key.split("/")
            if f"{prefix}/" != ORIGINALS_PREFIX:
                raise NotAnOriginalKeyError(object_key)
            return cls(tenant_id(tenant), asset_id(digest))
        except ValueError as error:
            raise NotAnOriginalKeyError(object_key) from error

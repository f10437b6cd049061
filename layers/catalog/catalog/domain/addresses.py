"""Permanent addresses: what a preset shows of an image now, whatever was rebuilt or merged meanwhile."""

from dataclasses import dataclass

from catalog.domain.errors import CallerError, Kind
from catalog.domain.keys import AssetKey, asset_id, tenant_id
from catalog.domain.presets import is_preset_name


class NothingThereError(CallerError):
    """No address, or no rendition at it now: a viewer learns nothing more."""

    kind = Kind.NOT_FOUND
    code = "not_found"
    message = "there is no such image"


@dataclass(frozen=True, slots=True)
class Address:
    """The rendition that an asset has of a preset.

    Lies where renditions do, so that one signature is good for both, and has no dot, which each of them has:
    neither version nor extension, since a rebuild may change the format.
    """

    key: AssetKey
    preset: str

    @property
    def path(self) -> str:
        """Behind the CDN's address and a slash: `renditions/{tenant}/{id}/{preset}`."""
        return f"{self.key.renditions}{self.preset}"

    @classmethod
    def of_path(cls, path: str) -> "Address":
        """The address at a URL's path, which begins with a slash.  Raises NothingThereError."""
        try:
            _, _, tenant, id_, preset = path.split("/")
            address = cls(AssetKey(tenant_id(tenant), asset_id(id_)), preset)
        except ValueError as error:
            raise NothingThereError(path) from error
        if not is_preset_name(preset) or path != f"/{address.path}":
            raise NothingThereError(path)
        return address

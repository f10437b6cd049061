"""Showing: what a permanent address stands for now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from catalog.domain.addresses import NothingThereError

if TYPE_CHECKING:
    from collections.abc import Collection

    from catalog.adapters.assets_table import Assets
    from catalog.adapters.objects import Renditions
    from catalog.domain.addresses import Address
    from catalog.domain.renditions import Rendition

# Bytes.  Lambda answers at most 6 MB, in base64; presets of photos stay below a tenth of it.
LARGEST_SHOWN: Final = 4_500_000


@dataclass(frozen=True, slots=True)
class Shown:
    """A rendition.  Without `data` the viewer has it (`is_known`), or it is too large for an answer."""

    rendition: Rendition
    is_known: bool = False
    data: bytes | None = None


@dataclass(frozen=True, slots=True)
class Showing:
    """Follows permanent addresses."""

    assets: Assets
    renditions: Renditions

    def show(self, address: Address, *, known: Collection[str] = ()) -> Shown:
        """`known`: tags of renditions that the viewer has.  Raises NothingThereError."""
        rendition = self._rendition(address)
        if rendition.tag in known:
            return Shown(rendition, is_known=True)
        if rendition.size_bytes > LARGEST_SHOWN:
            return Shown(rendition)
        data = self.renditions.read(rendition.key)
        if data is not None:
            return Shown(rendition, data=data)
        # The record was read a moment before its replacement: half the price of a read that never is.
        rendition = self._rendition(address, consistent=True)
        data = self.renditions.read(rendition.key)
        if data is None:
            raise NothingThereError(rendition.key)
        return Shown(rendition, data=data)

    def _rendition(self, address: Address, *, consistent: bool = False) -> Rendition:
        asset = self.assets.find(address.key, consistent=consistent)
        rendition = asset.renditions.get(address.preset) if asset and asset.is_accepted else None
        if rendition is None:
            raise NothingThereError(address.path)
        return rendition

"""Usage: what a tenant's assets amount to, and how each asset's share of it is counted exactly once.

The table's stream tells of every change at least once: perhaps twice, perhaps after a newer one.  So no
change is ever added to a total.  Per asset, the share that is counted is remembered with its version; a newer
version replaces it, and the totals move by the difference of the two.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Self

from catalog.domain.assets import Asset, Status
from catalog.domain.keys import AssetId

# What one transaction of DynamoDB holds beside the total.
MOVES_AT_ONCE: Final = 99

NUMBERS: Final = ("assets", "rejected", "bytes_originals", "duplicates_avoided", "bytes_saved")
BYTES_OF: Final = "bytes_of#"
# After every revision an asset can reach: at a thousand changes a second, in 285,000 years.
_GONE: Final = 2**53 - 1


class CountersMovedError(Exception):
    """The counters have changed since they were read: read them again and decide again."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What is stored and what was spared, in images and bytes; of one asset, a tenant, or a difference.

    `assets` are those that are processing or ready.  `bytes_per_preset` holds renditions by preset and leaves
    out those without any.  `duplicates_avoided` uploads were not sent because the bytes were there, which
    spared `bytes_saved`.
    """

    assets: int = 0
    rejected: int = 0
    bytes_originals: int = 0
    duplicates_avoided: int = 0
    bytes_saved: int = 0
    bytes_per_preset: Mapping[str, int] = field(default_factory=dict)

    @property
    def bytes_stored(self) -> int:
        """Bytes of originals and renditions together."""
        return self.bytes_originals + sum(self.bytes_per_preset.values())

    def __add__(self, other: Self) -> "Usage":
        return self._with(other, 1)

    def __sub__(self, other: Self) -> "Usage":
        return self._with(other, -1)

    def _with(self, other: "Usage", sign: int) -> "Usage":
        presets = {
            preset: self.bytes_per_preset.get(preset, 0) + sign * other.bytes_per_preset.get(preset, 0)
            for preset in {*self.bytes_per_preset, *other.bytes_per_preset}
        }
        return Usage(
            assets=self.assets + sign * other.assets,
            rejected=self.rejected + sign * other.rejected,
            bytes_originals=self.bytes_originals + sign * other.bytes_originals,
            duplicates_avoided=self.duplicates_avoided + sign * other.duplicates_avoided,
            bytes_saved=self.bytes_saved + sign * other.bytes_saved,
            bytes_per_preset={preset: size for preset, size in presets.items() if size},
        )


NOTHING: Final = Usage()


def counters_of(usage: Usage) -> dict[str, int]:
    """By the names of counters: those of NUMBERS, and `bytes_of#<preset>` a preset."""
    numbers = {name: getattr(usage, name) for name in NUMBERS}
    return numbers | {BYTES_OF + preset: size for preset, size in usage.bytes_per_preset.items()}


def usage_of(asset: Asset) -> Usage:
    """An asset's part of its tenant's usage: nothing before it is accepted or once it is being deleted.

    Renditions that lie under another asset's key are that asset's.
    """
    match asset.status:
        case Status.PROCESSING | Status.READY:
            return Usage(
                assets=1,
                bytes_originals=asset.size_bytes,
                duplicates_avoided=asset.duplicates,
                bytes_saved=asset.duplicates * asset.size_bytes,
                bytes_per_preset={
                    preset: stored.size_bytes
                    for preset, stored in asset.renditions.items()
                    if stored.key.startswith(asset.key.renditions) and stored.size_bytes
                },
            )
        case Status.REJECTED:
            return Usage(rejected=1)
        case Status.AWAITING_UPLOAD | Status.DELETING:
            return NOTHING


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """Orders all changes that ever happen to one id.

    `revision` grows by one with every change and starts again when deleted bytes are uploaded once more;
    `created_at` tells such lives apart.
    """

    created_at: datetime
    revision: int

    @property
    def is_gone(self) -> bool:
        """Whether the asset was deleted in this version: no later change of this life follows."""
        return self.revision == _GONE


@dataclass(frozen=True, slots=True)
class Before:
    """What was counted for an asset when a recount began; `recount` is the id of its job."""

    recount: str
    usage: Usage


@dataclass(frozen=True, slots=True)
class Share:
    """An asset's part of its tenant's usage, as of one version of the asset.

    `before` is there if it has moved since a recount began.
    """

    version: Version
    usage: Usage
    before: Before | None = field(default=None, compare=False)

    @classmethod
    def of(cls, asset: Asset) -> Self:
        return cls(Version(asset.created_at, asset.revision), usage_of(asset))

    @classmethod
    def gone(cls, created_at: datetime) -> Self:
        """The share of an asset whose record is no more."""
        return cls(Version(created_at, _GONE), NOTHING)

    def when_began(self, recount: str) -> Usage:
        """What was counted when the recount began."""
        return self.before.usage if self.before and self.before.recount == recount else self.usage

    def replaces(self, counted: "Share | None") -> bool:
        """Whether this is newer than the counted share.  Older changes that arrive late are ignored."""
        if counted is None:
            # Before a first revision there is nothing it could correct: an announcement costs no write.
            return self.usage != NOTHING or self.version.revision > 1
        return self.version >= counted.version and self != counted


@dataclass(frozen=True, slots=True)
class Move:
    """Count `share` for an asset in place of what was `counted` for it."""

    id: AssetId
    counted: Share | None
    share: Share

    @property
    def difference(self) -> Usage:
        return self.share.usage - (self.counted.usage if self.counted else NOTHING)

    def when_began(self, recount: str) -> Usage:
        """What was counted for the asset when the recount began."""
        return self.counted.when_began(recount) if self.counted else NOTHING


@dataclass(frozen=True, slots=True)
class Total:
    """A tenant's total.  `moves` counts its changes, and so identifies one state of it.

    `recount` is the one under way: every share that moves meanwhile keeps what it was when that began.
    """

    usage: Usage
    moves: int
    recount: str | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """The shares that are counted for some assets, and the recount under way."""

    shares: Mapping[AssetId, Share]
    recount: str | None

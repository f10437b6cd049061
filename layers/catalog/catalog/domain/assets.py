"""Assets: one tenant's original image and all that is known of it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from catalog.domain.errors import CallerError, Kind
from catalog.domain.fingerprints import Fingerprint, Indexed
from catalog.domain.keys import AssetId, AssetKey, TenantId
from catalog.domain.near_duplicates import Likeness, NearDuplicate
from catalog.domain.presets import Preset
from catalog.domain.rejections import Rejection
from catalog.domain.renditions import Rendition
from catalog.domain.sources import Source

# An announcement without an upload expires after this.
AWAITED_FOR: Final = timedelta(days=1)
# A processing asset this old is offered an upload again: the announcement restarts it.
STALLED_AFTER: Final = timedelta(minutes=30)


class Status(StrEnum):
    """`awaiting_upload -> processing -> ready`, or `-> rejected`; `deleting` until gone."""

    AWAITING_UPLOAD = "awaiting_upload"
    PROCESSING = "processing"
    READY = "ready"
    REJECTED = "rejected"
    DELETING = "deleting"


ACCEPTED: Final = frozenset({Status.PROCESSING, Status.READY})
# Names of up to 128 characters: they take a third of the 400 KiB an item may have.
MAX_REFERENCES: Final = 1_000
# Assets linked to one: a purge of that one separates each of them.
MAX_LINKED: Final = 1_000
# A presigned address of a rendition is valid for this long.
ADDRESSES_LAST: Final = timedelta(hours=1)


class AssetNotFoundError(CallerError):
    """This tenant has no such asset."""

    kind = Kind.NOT_FOUND
    code = "image_not_found"
    message = "you have no image with this id"


class AssetStateError(CallerError):
    """The asset's state does not allow the change, or not any more."""

    kind = Kind.CONFLICT
    code = "image_state"
    message = "this image is not in a state that allows it: rejected, being deleted, or not ready yet"


class AssetBeingDeletedError(AssetStateError):
    """The asset is on its way out; what is asked can be asked again once it is gone."""

    code = "image_being_deleted"
    message = "this image is being deleted; try again in a minute"


class TooManyReferencesError(CallerError):
    """The asset has as many references as it can hold."""

    kind = Kind.CONFLICT
    code = "too_many_references"
    message = f"an image has at most {MAX_REFERENCES} references"


@dataclass(frozen=True, slots=True)
class PerceptualHashes:
    """Hashes of the canonical pixels, as lower-case hex: `ahash64` 64 bits, `phash256` 256 bits."""

    ahash64: str
    phash256: str


Verify = Callable[[bytes], Likeness]


@dataclass(frozen=True, slots=True)
class Inspection:
    """What one decode of an original says about it.

    `fingerprint` is what it is indexed by; `near_blank` says that it means nothing.  `verify` compares it
    with the bytes of another original; it raises ImageRejectedError, and keeps the pixels in memory.
    """

    source: Source
    hashes: PerceptualHashes
    fingerprint: Fingerprint
    near_blank: bool
    verify: Verify = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Asset:
    """All that is known of one original.  Times are aware UTC.

    `duplicates` counts the uploads that were not sent because it was here, the last at `announced_at`;
    `purge_run` names the run that is deleting it; `revision` grows by one with every change; `indexed_as` is
    what the near-duplicate index holds of it.  `references` are its clients'; `sharers` near-duplicates show
    its renditions, `links` more have their own; one moved away from sharing at `lent_at`.  `old_holds` and
    `linked_by` are those of them that its item names, as all did until 2026-11.
    """

    tenant: TenantId
    id: AssetId
    status: Status
    filename: str | None
    size_bytes: int
    created_at: datetime
    updated_at: datetime
    source: Source | None = None
    hashes: PerceptualHashes | None = None
    renditions: Mapping[str, Rendition] = field(default_factory=dict)
    references: frozenset[str] = frozenset()
    rejection: Rejection | None = None
    correlation_id: str | None = None
    unused_since: datetime | None = None
    duplicates: int = 0
    announced_at: datetime | None = None
    purge_run: str | None = None
    revision: int = 0
    near_duplicate: NearDuplicate | None = None
    indexed_as: tuple[Indexed, ...] = ()
    sharers: int = 0
    links: int = 0
    lent_at: datetime | None = None
    old_holds: frozenset[AssetId] = frozenset()
    linked_by: frozenset[AssetId] = frozenset()

    @property
    def key(self) -> AssetKey:
        return AssetKey(self.tenant, self.id)

    @property
    def is_accepted(self) -> bool:
        """Its original was checked, and no purge is deleting it."""
        return self.status in ACCEPTED

    def is_lent(self, now: datetime) -> bool:
        """Whether presigned addresses of its renditions, given out for another asset, may be valid."""
        return self.lent_at is not None and now - self.lent_at <= ADDRESSES_LAST

    @property
    def is_in_use(self) -> bool:
        """Whether clients refer to it, or other assets show its renditions: no purge takes it."""
        return self.status is not Status.DELETING and bool(self.references or self.sharers)

    @property
    def has_members(self) -> bool:
        """Whether other assets are near-duplicates of it."""
        return bool(self.sharers or self.links or self.linked_by)

    @property
    def group(self) -> AssetId:
        """The asset whose renditions this one shows or will show: itself, unless it shares another's."""
        return self.near_duplicate.of if self.near_duplicate and self.near_duplicate.shares else self.id

    @property
    def shows_its_own(self) -> bool:
        """Whether it is ready with renditions of its own pixels."""
        own = self.key.renditions
        return self.status is Status.READY and all(r.key.startswith(own) for r in self.renditions.values())

    @property
    def own_rendition_bytes(self) -> int:
        """Bytes of the renditions of its own pixels that it shows."""
        own = self.key.renditions
        return sum(each.size_bytes for each in self.renditions.values() if each.key.startswith(own))

    @property
    def shows_anothers(self) -> bool:
        """Whether it shows another asset's renditions or waits for them: alone, it must be rendered."""
        shares = self.near_duplicate is not None and self.near_duplicate.shares
        return shares and self.is_accepted and not self.shows_its_own

    def renditions_for(self, verdict: NearDuplicate) -> Mapping[str, Rendition] | None:
        """The renditions a near-duplicate of this asset shows at once; None: it keeps its own for now."""
        return self.renditions if verdict.shares and self.status is Status.READY else None

    def outranks(self, other: "Asset") -> bool:
        """Which of two assets of a group is the canonical one: that of more pixels, then of more bytes."""
        return self._rank > other._rank

    @property
    def _rank(self) -> tuple[int, int, int]:
        pixels = self.source.width * self.source.height if self.source else 0
        return pixels, self.size_bytes, -int(self.id, 16)

    def missing(self, presets: Iterable[Preset]) -> tuple[Preset, ...]:
        """The presets for which this asset has no rendition, or only an older version.

        One that it shared with an asset it is no longer a duplicate of does not count.
        """
        own = None if self.near_duplicate and self.near_duplicate.shares else self.key.renditions
        return tuple(
            preset
            for preset in presets
            if (stored := self.renditions.get(preset.name)) is None
            or stored.version != preset.version
            or (own is not None and not stored.key.startswith(own))
        )

    def with_renditions(self, added: Iterable[Rendition]) -> "Asset":
        return replace(self, renditions={**self.renditions, **{one.preset: one for one in added}})

    def is_complete(self, presets: Iterable[Preset]) -> bool:
        """Whether it becomes `ready`: it is processed, and lacks none of the presets."""
        return self.status is Status.PROCESSING and not self.missing(presets)

    @property
    def awaits_canonical(self) -> bool:
        """It gets the renditions of another asset, which are not ready."""
        shares = self.near_duplicate is not None and self.near_duplicate.shares
        return self.status is Status.PROCESSING and shares

    @property
    def is_joinable(self) -> bool:
        """Canonical, and in use: near-duplicates may join it, or it may join another."""
        return self.near_duplicate is None and self.is_accepted

    def is_member_of(self, other: "Asset") -> bool:
        near = self.near_duplicate
        return near is not None and near.of == other.id and self.status is not Status.DELETING

    @property
    def members_must_follow(self) -> bool:
        """It joined a larger asset, and its own members still point at it."""
        return self.near_duplicate is not None and self.has_members

    def stalled(self, now: datetime) -> bool:
        """Processing for so long that its jobs must have been lost or dead-lettered."""
        return self.status is Status.PROCESSING and now - self.updated_at > STALLED_AFTER


@dataclass(frozen=True, slots=True)
class RenderJob:
    """Render these presets of this asset.  `correlation_id` ties the logs to the request it came from.

    `hops` render jobs came before it, each of which caused the next (catalog.domain.hops).
    With `members`: the near-duplicates of the asset whose ids begin so follow it; nothing is rendered.
    With `decided_with`: what a person said of it and that asset is applied; nothing is rendered.
    """

    tenant: TenantId
    id: AssetId
    presets: tuple[str, ...]
    correlation_id: str | None = None
    hops: int = 0
    members: str | None = None
    decided_with: AssetId | None = None

"""Rebuilding: which renditions of an image do not match the present presets, and which objects are unnamed.

A rebuild looks at every image of a tenant, perhaps several times.  The first look renders.  A later look
removes the objects that no record names any more, once their addresses have expired.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, Final, Self

from catalog.domain.assets import Asset, Status
from catalog.domain.presets import Preset
from catalog.domain.renditions import Rendition, StoredVersion

ANY_REFERENCE: Final = "*"  # never a reference's name: those begin with a letter or digit


@dataclass(frozen=True, slots=True)
class RebuildOptions:
    """The presets and the reference whose images to rebuild; None: all.  `reference` may be ANY_REFERENCE."""

    presets: frozenset[str] | None = None
    reference: str | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """From a job's options, in JSON."""
        names = options.get("presets")
        return cls(None if names is None else frozenset(names), options.get("reference"))

    def include(self, asset: Asset) -> bool:
        if self.reference in {None, ANY_REFERENCE}:
            return self.reference is None or bool(asset.references)
        return self.reference in asset.references


@dataclass(frozen=True, slots=True)
class Outdated:
    """Presets that an asset lacks or has in an older version, and names of its presets that were removed."""

    render: tuple[Preset, ...]
    drop: frozenset[str]

    @classmethod
    def of(cls, asset: Asset, presets: Iterable[Preset], options: RebuildOptions) -> Self:
        presets = tuple(presets)
        gone = asset.renditions.keys() - {preset.name for preset in presets}
        missing = asset.missing(presets)
        if options.presets is not None:
            gone &= options.presets
            missing = tuple(preset for preset in missing if preset.name in options.presets)
        return cls(missing, frozenset(gone))

    def __bool__(self) -> bool:
        return bool(self.render or self.drop)

    @property
    def names(self) -> frozenset[str]:
        """The names of the presets to render."""
        return frozenset(preset.name for preset in self.render)

    def replaced(self, asset: Asset, rendered: Mapping[str, Rendition]) -> dict[str, Rendition]:
        """All renditions of the asset by preset, with the newly rendered ones in place."""
        kept = {name: one for name, one in asset.renditions.items() if name not in self.drop}
        return kept | {name: rendered[name] for name in self.names}

    def expected_bytes(self, asset: Asset) -> int:
        """About how many bytes the new renditions take, from the bytes per pixel of the present ones."""
        pixels = sum(one.width * one.height for one in asset.renditions.values())
        if not pixels or asset.source is None:
            return 0
        each = sum(one.size_bytes for one in asset.renditions.values()) / pixels
        width, height = asset.source.width, asset.source.height
        scales = (min(1, preset.width / width, preset.height / height) for preset in self.render)
        return round(sum(each * width * height * scale**2 for scale in scales))


def digest(presets: Iterable[Preset]) -> str:
    """Ten hex digits that differ when names or versions of presets differ."""
    versions = sorted((preset.name, preset.version) for preset in presets)
    return hashlib.sha256(json.dumps(versions).encode()).hexdigest()[:10]


def names_anothers(asset: Asset) -> bool:
    """Whether the asset's record names renditions of another asset although it shares none."""
    shares = asset.near_duplicate is not None and asset.near_duplicate.shares
    own = asset.key.renditions
    return not shares and any(not one.key.startswith(own) for one in asset.renditions.values())


def named_by(assets: Iterable[Asset]) -> set[str]:
    """The keys of objects that these records name."""
    return {one.key for asset in assets for one in asset.renditions.values()}


@dataclass(frozen=True, slots=True)
class Unnamed:
    """An object that no record names: all its versions, including the present one."""

    versions: tuple[StoredVersion, ...]

    @property
    def size_bytes(self) -> int:
        """Bytes of the present version."""
        return next(one.size_bytes for one in self.versions if one.is_latest)

    def is_older_than(self, moment: datetime) -> bool:
        """Whether every version is older.  A younger version may be about to be named."""
        return all(one.stored_at < moment for one in self.versions)


def unnamed(stored: Iterable[StoredVersion], named: Collection[str]) -> Iterator[Unnamed]:
    """The present objects among the versions (sorted by key) whose keys are not in `named`."""
    for key, versions in groupby(stored, key=lambda one: one.key):
        some = tuple(versions)
        if key not in named and any(one.is_latest for one in some):
            yield Unnamed(some)


def may_lose_objects(owner: Asset | None, members: Iterable[Asset], before: datetime) -> bool:
    """Whether objects that these records do not name have had no address since `before`.

    The API gives out no such address after the records' last change.  A `processing` asset is about to name
    objects.  An asset that is being deleted is left to its purge.  A member that is younger than `before`
    never named the replaced objects.
    """
    if owner is None:
        return True
    if owner.status in {Status.PROCESSING, Status.DELETING} or owner.updated_at >= before:
        return False
    return all(one.updated_at < before or one.created_at >= before for one in members)

"""Finding near-duplicates among stored images."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from catalog.domain.assets import Asset
from catalog.domain.fingerprints import Indexed, PHashAlgorithm
from catalog.domain.jobs import JobFailedError
from catalog.domain.keys import AssetId, TenantId
from catalog.domain.near_duplicates import NearDuplicate

# How long a dry run's index entries are kept.  A dry run over 10^6 images takes two workers 3 days.
REHEARSALS_LAST: Final = timedelta(days=14)
# A part of a dry run's last phase looks at the joins of this many images, with three requests per join.
IMAGES_PER_GROUPING: Final = 20_000


class NearDuplicatesOffError(JobFailedError):
    """This deployment does not join near-duplicates: change NearDuplicateAction, then resume the job."""


def is_current(asset: Asset, algorithm: PHashAlgorithm) -> bool:
    """Whether the asset's record names exactly the index entries that a new image gets."""
    return len(asset.indexed_as) == 1 and asset.indexed_as[0].is_of(algorithm)


def others(asset: Asset, present: Indexed) -> tuple[Indexed, ...]:
    """The other index entries that the asset's record names."""
    return tuple(each for each in asset.indexed_as if each != present)


def unfinished(asset: Asset, present: Indexed) -> tuple[Indexed, ...]:
    """The index entries that the record names while a worker moves the asset: at least two.

    If the record names no other entry, the second one is a placeholder that was never indexed.
    """
    frame = asset.hashes.phash256 if asset.hashes else ""
    return (present, *(others(asset, present) or (Indexed(PHashAlgorithm.PHASH256, frame, "", earlier=1),)))


@dataclass(frozen=True, slots=True)
class Join:
    """In a dry run: the image would become a near-duplicate, and save `bytes_saved` of renditions."""

    image: AssetId
    verdict: NearDuplicate
    bytes_saved: int


@dataclass(frozen=True, slots=True)
class GroupMember:
    """In a dry run's report: a join, and the canonical image of the group in which the image would end."""

    tenant: TenantId
    canonical: AssetId
    join: Join

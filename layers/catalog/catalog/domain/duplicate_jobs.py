"""Looking for near-duplicates among images that are here already."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from catalog.domain.assets import Asset
from catalog.domain.fingerprints import Indexed, PHashAlgorithm
from catalog.domain.keys import AssetId, TenantId
from catalog.domain.near_duplicates import NearDuplicate

# What a dry run indexes; one of 10^6 images takes 3 days of two workers.
REHEARSALS_LAST: Final = timedelta(days=14)
# A part of a dry run's last phase looks at what these would join, three requests each.
IMAGES_PER_GROUPING: Final = 20_000


class NearDuplicatesOffError(Exception):
    """This deployment does not join near-duplicates: change NearDuplicateAction, then resume the job."""


def is_current(asset: Asset, algorithm: PHashAlgorithm) -> bool:
    """Whether its record says that it is indexed as new images are, and nothing else."""
    return len(asset.indexed_as) == 1 and asset.indexed_as[0].is_of(algorithm)


def others(asset: Asset, present: Indexed) -> tuple[Indexed, ...]:
    """What its record names of the index besides."""
    return tuple(each for each in asset.indexed_as if each != present)


def unfinished(asset: Asset, present: Indexed) -> tuple[Indexed, ...]:
    """What its record names while a worker is at it: always two.  The other may be what was never there."""
    frame = asset.hashes.phash256 if asset.hashes else ""
    return (present, *(others(asset, present) or (Indexed(PHashAlgorithm.PHASH256, frame, None),)))


@dataclass(frozen=True, slots=True)
class Join:
    """In a dry run: the image would become a near-duplicate, and spare bytes of renditions."""

    image: AssetId
    verdict: NearDuplicate
    bytes_saved: int


@dataclass(frozen=True, slots=True)
class GroupMember:
    """In a dry run's report: an image, and the canonical one of the group in which it would end."""

    tenant: TenantId
    canonical: AssetId
    join: Join

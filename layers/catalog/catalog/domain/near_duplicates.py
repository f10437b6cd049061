"""Near-duplicates: one picture, two sets of bytes.  Hashes propose, pixels decide, a person outranks both."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from catalog.domain.errors import CallerError, Kind
from catalog.domain.keys import AssetId, TenantId

# Candidates compared on pixels, likeliest first: each costs a read of an original and up to a second of CPU.
MOST_COMPARED: Final = 5

_HOLD: Final = "duplicate/"


class NearDuplicateAction(StrEnum):
    """What is done with a verified near-duplicate: the NEAR_DUPLICATE_ACTION setting."""

    REUSE = "reuse"  # it shows the canonical asset's renditions
    LINK = "link"  # it is recorded, and has its own renditions
    OFF = "off"


class DecidedBy(StrEnum):
    """Who found two assets to be one picture."""

    PIXELS = "pixels"
    PERSON = "person"


class Decision(StrEnum):
    """A person's decision on a pair.  It outlives both assets."""

    SAME = "same"
    DISTINCT = "distinct"


class DuplicatePairNotFoundError(CallerError):
    """These two assets were never compared, and no person decided on them."""

    kind = Kind.NOT_FOUND
    code = "pair_not_found"
    message = "these two images were never proposed as duplicates, and nothing was decided"


class Verdict(StrEnum):
    """What the pixels of two images say of them."""

    SAME = "same"  # one picture, re-encoded or resized: may share renditions
    TOO_SMALL = "too_small"  # the same as far as the smaller one shows it: linked, never reused
    SUSPECTED = "suspected"  # the same shot, edited: a person decides, nothing is merged by itself
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Likeness:
    """The verdict on two images, the same in either order.

    `scores` holds each measure, by the refusal it leads to, as a fraction of its limit: SAME when none is
    above 1.  What was not measured has no score.  `refusal` says why not SAME.
    """

    verdict: Verdict
    scores: Mapping[str, float]
    refusal: str | None = None

    @property
    def accepted(self) -> bool:
        """May share renditions."""
        return self.verdict is Verdict.SAME

    @property
    def joins(self) -> bool:
        """Whether one becomes the other's near-duplicate without a person's decision."""
        return self.verdict in {Verdict.SAME, Verdict.TOO_SMALL}


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """What an asset is a near-duplicate of.  `of` is always canonical: chains never form.

    `distance` is the Hamming distance of the two perceptual hashes in bits, None where a person saw it.
    `shares` says that the renditions are the canonical asset's.
    """

    of: AssetId
    decided_by: DecidedBy
    shares: bool
    distance: int | None = None
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An indexed asset whose perceptual hash is near: how near in bits, and its colours in grey levels."""

    id: AssetId
    distance: int
    colours: float

    @property
    def unlikeness(self) -> float:
        """What candidates are ranked by.  A bit and a grey level count alike: a re-encode of a picture is
        2 bits and half a level away, the next hue of a garment 2 bits and several levels.
        """
        return self.distance + self.colours


@dataclass(frozen=True, slots=True)
class Pair:
    """Two assets of a tenant, in the order of their ids, with verdict and decision."""

    tenant: TenantId
    first: AssetId
    second: AssetId
    distance: int | None
    likeness: Likeness | None
    decision: Decision | None
    seen_at: datetime
    decided_at: datetime | None = None
    decided_by: str | None = None

    @property
    def is_one_picture(self) -> bool:
        """By a person's decision if there is one, else by the pixels."""
        if self.decision:
            return self.decision is Decision.SAME
        return self.likeness is not None and self.likeness.accepted


class Apart(StrEnum):
    """Why two assets that are one picture do not share renditions."""

    DELETED = "deleted"  # one of them was purged, or is being purged
    NOT_READY = "not_ready"  # one of them is not ready: they are united by its next event, or never
    OFF = "off"  # this deployment shares no renditions
    LINKED = "linked"  # each has renditions of its own
    DISTINCT = (
        "distinct"  # a person said that one of them is distinct from another image of the other's group
    )
    PENDING = "pending"  # nothing prevents it: they will soon, or when `same` is said again


def in_order(one: AssetId, other: AssetId) -> tuple[AssetId, AssetId]:
    """The order in which a pair names its assets."""
    return (one, other) if one < other else (other, one)


def hold_of(duplicate: AssetId) -> str:
    """The reference by which a duplicate held its canonical asset until 2026-11."""
    return f"{_HOLD}{duplicate}"


def is_hold(reference: str) -> bool:
    """Whether this reference is a duplicate's hold; clients' references cannot begin so."""
    return reference.startswith(_HOLD)


def held_for(references: frozenset[str]) -> frozenset[AssetId]:
    """The duplicates that held an asset by these names."""
    return frozenset(AssetId(name.removeprefix(_HOLD)) for name in references if is_hold(name))

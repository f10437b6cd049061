"""Recounts: a recount compares a tenant's total with its shares, and the shares with its assets.

Live traffic moves shares and total meanwhile.  A recount compares both as they were when it began: from then
on, a share that moves keeps its earlier value.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from catalog.domain.keys import TenantId
from catalog.domain.usage import NOTHING, Usage

# A range of 5,000 takes about 3 seconds.  A range of 200 would cost more to begin than to read.
RECORDS_PER_PART: Final = 5_000
# A deleted asset's share, with its value at the recount's beginning, is kept for 7 days.
RECOUNTED_WITHIN: Final = timedelta(days=6)


@dataclass(frozen=True, slots=True)
class Range:
    """What a recount found in a range of ids: `records` assets or shares, of which `wrong` do not agree.

    `began_with` is the sum of its shares when the recount began.  `difference` is the sum of its assets minus
    the sum of their shares.
    """

    records: int = 0
    wrong: int = 0
    began_with: Usage = NOTHING
    difference: Usage = NOTHING


@dataclass(frozen=True, slots=True)
class Recount:
    """A tenant's recount.  `total` is the total when it began, `ranges` has the findings by prefix.

    `ended`: the total was compared and, unless in a dry run, repaired.  `under_way`: no other one has begun.
    """

    tenant: TenantId
    id: str
    total: Usage
    began_at: datetime
    ranges: Mapping[str, Range]
    ended: bool
    under_way: bool

    @property
    def is_whole(self) -> bool:
        """Whether its ranges cover all ids: 16 prefixes of one digit, or 256 of two."""
        return sum(16.0 ** -len(prefix) for prefix in self.ranges) == 1

    @property
    def difference(self) -> Usage:
        """The sum of the shares minus the total, as both were when the recount began."""
        return sum((found.began_with for found in self.ranges.values()), NOTHING) - self.total

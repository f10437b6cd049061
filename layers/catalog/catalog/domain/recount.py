"""Recounts: a tenant's total is held against its shares, and these against its assets.

Live traffic moves shares and the total all the while.  A recount compares them as they were at one moment,
the one at which it began: from then on a share that moves keeps what it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from catalog.domain.keys import TenantId
from catalog.domain.usage import NOTHING, Usage

# A range of so many takes about 3 seconds; of 200 it would cost more to begin than to read.
RECORDS_PER_PART: Final = 5_000
# The share of a deleted asset is kept for 7 days, and with it what it was when a recount began.
RECOUNTED_WITHIN: Final = timedelta(days=6)


@dataclass(frozen=True, slots=True)
class Range:
    """What a recount found in a range of ids: `records` assets or shares, of which `wrong` do not agree.

    `began_with` is what its shares amounted to when the recount began, `difference` what its assets amount to
    beyond what is counted for them.
    """

    records: int = 0
    wrong: int = 0
    began_with: Usage = NOTHING
    difference: Usage = NOTHING


@dataclass(frozen=True, slots=True)
class Recount:
    """A tenant's recount.  `total` is what was counted when it began, `ranges` what was found by prefix.

    `ended`: the total was compared, and repaired if that was asked for.  `under_way`: no other has begun.
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
        """Whether its ranges are all there are: of two digits 256, of one 16."""
        return sum(16.0 ** -len(prefix) for prefix in self.ranges) == 1

    @property
    def difference(self) -> Usage:
        """What the shares amounted to beyond the total."""
        return sum((found.began_with for found in self.ranges.values()), NOTHING) - self.total

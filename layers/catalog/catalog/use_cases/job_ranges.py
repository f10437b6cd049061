"""Steps of the kinds that go over a tenant's ids: ranges of hex digits, phase after phase.

The planner lists nothing: ids are hashes, so the ranges of one tenant hold about the same number of images.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from catalog.domain.jobs import IMAGES_PER_PART, Step, Work, digits_for, ranges_of_a_part
from catalog.domain.keys import TenantId

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from catalog.adapters.tenants_table import Tenants
    from catalog.adapters.usage_table import Counters
    from catalog.domain.jobs import Job

# The planner reads a step's completed parts before each round: at most 1.2 MB.
RANGES_PER_STEP: Final = 4_096
_HEX: Final = 16


@dataclass(frozen=True, slots=True)
class Place:
    """Where a step begins: range `number` of a tenant that is cut by `digits`; None: it is not cut yet.

    A tenant keeps its ranges, however much it grows meanwhile.
    """

    phase: int = 0
    tenant: str = ""
    digits: int | None = None
    number: int = 0

    @classmethod
    def parse(cls, position: str) -> Place:
        return cls(*json.loads(position)) if position else cls()

    def text(self) -> str:
        return json.dumps([self.phase, self.tenant, self.digits, self.number])


@dataclass(frozen=True, slots=True)
class RangeSteps:
    """Cuts one tenant, or all tenants one after the other, into ranges for each phase.

    A range has at most `per_part` images on average.  With `joined`, a part of a small tenant has several.
    """

    tenants: Tenants
    counters: Counters
    phases: Sequence[str]
    per_part: int = IMAGES_PER_PART
    joined: bool = False

    def step(self, job: Job, position: str) -> Step:
        """At most RANGES_PER_STEP ranges of one phase, from `position` on."""
        place = Place.parse(position)
        phase = self.phases[place.phase]
        works: list[Work] = []
        images = 0
        for tenant in self._tenants_from(job, place.tenant):
            at = place if place.tenant == tenant else Place(place.phase, tenant)
            assets = self.counters.total(tenant).usage.assets
            digits = digits_for(assets, per_part=self.per_part) if at.digits is None else at.digits
            end = min(_HEX**digits, at.number + RANGES_PER_STEP - len(works))
            if end == at.number:
                return Step(works, images, at.text())
            each = ranges_of_a_part(assets, digits) if self.joined else 1
            works += [
                Work(tenant, phase, _within(first, min(first + each, end) - 1, digits))
                for first in range(at.number, end, each)
            ]
            images += round(assets * (end - at.number) / _HEX**digits)
            if end < _HEX**digits:
                return Step(works, images, Place(place.phase, tenant, digits, end).text())
        last = place.phase == len(self.phases) - 1
        return Step(works, images, None if last else Place(place.phase + 1).text())

    def _tenants_from(self, job: Job, first: str) -> Iterator[TenantId]:
        if job.tenant is not None:
            yield job.tenant
            return
        yield from sorted(tenant for tenant in self.tenants.ids() if tenant >= first)


def _within(first: int, last: int, digits: int) -> str:
    """The ranges from the first to the last, as in Work."""
    if first == last:
        return _prefix(first, digits)
    return f"{_prefix(first, digits)}-{_prefix(last, digits)}"


def _prefix(number: int, digits: int) -> str:
    return f"{number:0{digits}x}" if digits else ""

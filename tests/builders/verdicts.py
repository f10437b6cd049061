"""What the pixels of two originals say, said by a test."""

from collections.abc import Callable
from dataclasses import replace

from catalog.domain.assets import Inspection
from catalog.domain.near_duplicates import Likeness
from catalog.use_cases.ingestion import Inspect


def verified_by(inspect: Inspect, verify: Callable[[Inspection, bytes], Likeness]) -> Inspect:
    """Inspects as before, and compares with another original by `verify`."""

    def inspected(data: bytes) -> Inspection:
        inspection = inspect(data)
        return replace(inspection, verify=lambda other: verify(inspection, other))

    return inspected

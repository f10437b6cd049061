"""What a job costs and how long it takes, from its tally: dollars and seconds per unit of each count.

`benchmarks/cost.py` measures dollars, `benchmarks/jobs.py` both.  Each kind's use case names its counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from catalog.domain.jobs import JobKind, Tally


@dataclass(frozen=True, slots=True)
class Unit:
    """What one unit of a count costs, in dollars, and how long it takes one worker, in seconds."""

    dollars: float = 0.0
    seconds: float = 0.0


# By the name of a count; "done", "skipped" and "failed" are the tally's own.
UNITS: Final[Mapping[JobKind, Mapping[str, Unit]]] = {
    # Reading the original, writing the record, counting by the stream; one PUT per rendition.
    JobKind.REBUILD: {
        "rebuilt": Unit(3.5e-6, 0.03),
        "renditions": Unit(5.2e-6, 0.01),
        "followed": Unit(2.1e-6, 0.02),
        "completed": Unit(5e-6, 0.2),
        "removed": Unit(0.02e-6, 0.001),
        "skipped": Unit(0.18e-6, 0.0005),
        "failed": Unit(0.6e-6, 0.1),
    },
    # A rejected object or a duplicate is read, too.  A seen object is only looked up.
    JobKind.IMPORT: {
        "new": Unit(40e-6, 0.2),
        "duplicates": Unit(4e-6, 0.1),
        "known": Unit(0.5e-6, 0.001),
        "not_images": Unit(0.1e-6, 0.001),
        "failed": Unit(5e-6, 0.1),
    },
    # Ten writes of bands are nearly half of "done".  Each candidate is read and compared on pixels.
    JobKind.FIND_DUPLICATES: {
        "done": Unit(13e-6, 0.1),
        "skipped": Unit(0.2e-6, 0.001),
        "failed": Unit(3e-6, 0.1),
        "compared": Unit(11e-6, 0.3),
        "joined": Unit(10e-6, 0.1),
    },
    JobKind.RECOUNT: {
        "done": Unit(0.08e-6, 0.0005),
        "shares_wrong": Unit(1.3e-6, 0.0005),
        "entries_missing": Unit(3.2e-6, 0.001),
        "entries_left_over": Unit(3.2e-6, 0.001),
    },
    # benchmarks/jobs_erase.py: a record goes with three index entries; its share is written in a transaction,
    # then deleted: 7.1 write units in all.  Every other item takes one; versions are deleted by the thousand.
    JobKind.ERASE: {
        "images": Unit(7.1 * 0.625e-6, 0.001),
        "reference_entries": Unit(2 * 0.625e-6, 0.0005),
        "bands": Unit(0.625e-6, 0.0005),
        "pairs": Unit(2 * 0.625e-6, 0.0005),
        "imports": Unit(0.625e-6, 0.0005),
        "originals": Unit(0.02e-6, 0.001),
        "renditions": Unit(0.02e-6, 0.001),
    },
}


def estimate(kind: JobKind, tally: Tally) -> Unit:
    """The dollars, and the seconds of one worker, that the tally took."""
    units = UNITS[kind]
    counted = {"done": tally.done, "skipped": tally.skipped, "failed": tally.failed, **tally.counts}
    return Unit(
        sum(units[name].dollars * number for name, number in counted.items() if name in units),
        sum(units[name].seconds * number for name, number in counted.items() if name in units),
    )

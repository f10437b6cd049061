"""What a catalog job costs besides its images: the state machine, the planner, and reports, at list prices.

    python -m benchmarks.jobs_machinery [--out results.json]

A part costs the same whatever its kind; tests/functional/test_jobs.py counts its requests.  What it comes to
an image depends on how a kind cuts a tenant: ids have hex digits, so a range has up to 16 times the images of
the smallest.  Prices: benchmarks/prices.json.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from benchmarks._rates import table
from benchmarks._report import report
from catalog.domain.imports import OBJECTS_PER_PART
from catalog.domain.jobs import IMAGES_PER_PART, digits_for, ranges_of_a_part
from catalog.domain.recount import RECORDS_PER_PART
from catalog.use_cases import erasing
from catalog.use_cases.job_parts import REPORT_AFTER
from catalog.use_cases.job_ranges import RANGES_PER_STEP
from catalog.use_cases.rebuilding import MOST_IMAGES_PER_PART

_FILE: Final = Path(__file__).with_name("prices.json")
PRICES: Final[Mapping[str, float]] = json.loads(_FILE.read_text())["per_unit"]
SIZES: Final = (1_000, 10_000, 100_000, 1_000_000)

# The job is read, consistently; the planner reads 250 bytes of each part before each of about two rounds.
PART_READS: Final = 1 + 2 * 250 / 4096
# It is begun and, with the job's totals, reported, in a transaction: a record of 1 to 2 KB and the part.
BEGINNING, REPORT = 1, 2 * (1 + 2)
PART_WRITES: Final = BEGINNING + REPORT
# A Distributed Map's child is a transition of its parent (docs.aws.amazon.com/step-functions/latest/dg/
# concepts-transitions.html), and an Express execution of 64 MB while its worker runs.
CHILD: Final = PRICES["Step Functions transition"] + PRICES["Step Functions Express request"]
CHILD_SECOND: Final = 64 / 1024 * PRICES["Step Functions Express GB-second"]
PART: Final = (
    CHILD
    + PRICES["Lambda request"]
    + PART_READS * PRICES["DynamoDB read unit"]
    + PART_WRITES * PRICES["DynamoDB write unit"]
)
# While a worker is at a part, it reports every few seconds.
WORKER_SECOND: Final = CHILD_SECOND + REPORT * PRICES["DynamoDB write unit"] / REPORT_AFTER.total_seconds()
# A step is planned, written down and carried out by one map: three transitions a round, two rounds, a planner
# of 0.5 GB for two seconds each, and four files.
STEP: Final = 2 * (
    3 * PRICES["Step Functions transition"]
    + PRICES["Lambda request"]
    + PRICES["Lambda GB-second (x86)"]
    + 2 * PRICES["S3 PUT"]
)

LOOK: Final = "rebuild, a look"
# Images of a part at most; an import's are counted out.
PER_PART: Final = {
    LOOK: MOST_IMAGES_PER_PART,
    "find-duplicates": IMAGES_PER_PART,
    "recount": RECORDS_PER_PART,
    "erase": erasing.IMAGES_PER_PART,
}


def parts_of(kind: str, images: int) -> int:
    """Parts that a tenant of so many images is cut into."""
    if kind == "import":
        return -(-images // OBJECTS_PER_PART)
    digits = digits_for(images, per_part=PER_PART[kind])
    ranges = int(16**digits)
    if kind == LOOK:
        return ranges // ranges_of_a_part(images, digits)
    if kind == "erase":  # swept twice; besides what no range has: three parts, two checks and the end
        return 2 * ranges + 3 + 2 * (1 + erasing.SEGMENTS) + 1
    if kind == "recount":  # shares, and entries of references
        return ranges + max(1, ranges // 16)
    return ranges


def planning_of(kind: str, images: int) -> float:
    """Dollars a million images of planning these parts."""
    return -(-parts_of(kind, images) // RANGES_PER_STEP) * STEP / images * 1e6


def dollars_a_million(kind: str, images: int) -> float:
    """Of a job's machinery, without the seconds its workers take."""
    return parts_of(kind, images) * PART / images * 1e6 + planning_of(kind, images)


def main() -> None:
    parser = argparse.ArgumentParser(description="Dollars of a catalog job's own machinery.")
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    chosen = parser.parse_args()
    kinds = (*PER_PART, "import")
    found = {kind: {size: dollars_a_million(kind, size) for size in SIZES} for kind in kinds}
    rows = [(kind, *(f"{dollars:.2f}" for dollars in each.values())) for kind, each in found.items()]
    print("USD a million images, by the images of the tenant\n")
    print(table(("", *(f"{size:,}" for size in SIZES)), rows))
    lambda_second = 1769 / 1024 * PRICES["Lambda GB-second (x86)"]
    print(f"\nand {WORKER_SECOND / lambda_second:.1%} of what the workers' own time costs at 1,769 MiB")
    report(
        "jobs_machinery",
        figures={"usd_a_million": found, "part": PART, "worker_second": WORKER_SECOND, "step": STEP},
        out=chosen.out,
    )


if __name__ == "__main__":
    main()

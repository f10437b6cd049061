"""What a job's machinery costs is what the goals and the estimates of dry runs allow for."""

import pytest

from benchmarks.jobs_machinery import PART, PER_PART, SIZES, dollars_a_million, parts_of
from catalog.domain.estimates import UNITS
from catalog.domain.jobs import JobKind

MILLION = 1_000_000


def test_a_part_costs_about_three_thousandths_of_a_cent_most_of_it_the_maps_transition() -> None:
    assert pytest.approx(30.8e-6, rel=0.05) == PART


@pytest.mark.parametrize("kind", sorted({*PER_PART, "import"} - {"erase"}))  # an erasure always deletes
def test_a_job_that_finds_nothing_to_do_costs_under_a_dollar_a_million_images(kind: str) -> None:
    assert all(dollars_a_million(kind, size) < 1.0 for size in SIZES)
    assert dollars_a_million(kind, MILLION) < 0.5


def test_an_import_has_a_part_for_each_hundred_objects_and_ranges_are_powers_of_sixteen() -> None:
    assert parts_of("import", 101) == 2
    assert parts_of("recount", MILLION) == 16**2 + 16


@pytest.mark.parametrize(
    ("kind", "of_job", "least"),
    [
        (JobKind.REBUILD, "rebuild, a look", "skipped"),
        (JobKind.IMPORT, "import", "known"),
        (JobKind.FIND_DUPLICATES, "find-duplicates", "skipped"),
        (JobKind.RECOUNT, "recount", "done"),
    ],
)
def test_an_estimate_covers_the_machinery_of_a_large_job(kind: JobKind, of_job: str, least: str) -> None:
    assert UNITS[kind][least].dollars * MILLION >= dollars_a_million(of_job, MILLION)

"""The pictures of docs/near-duplicates.md say of each pair what the verifier says."""

import pytest

from benchmarks.near_duplicate_pictures import PAIRS, VERDICTS, Pair, picture


@pytest.mark.parametrize(
    ("name", "pair"),
    [(name, pair) for name, pairs in PAIRS.items() for pair in pairs],
    ids=lambda value: value.caption.replace("\n", " ") if isinstance(value, Pair) else value,
)
def test_a_pair_has_the_verdict_its_picture_says(name: str, pair: Pair) -> None:
    assert pair.verdict in VERDICTS[name]


def test_a_picture_shows_its_pairs_beside_each_other() -> None:
    assert picture(PAIRS["merged"]).size == (1032, 220)

import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.domain.fingerprints import (
    BIT_PERMUTATION,
    InvalidHashError,
    PHashAlgorithm,
    band_keys,
    bands,
    hamming_distance,
    probe_keys,
    probes,
)

PHASH256 = PHashAlgorithm.PHASH256
ALGORITHMS = list(PHashAlgorithm)


def hashes(bits: int) -> st.SearchStrategy[str]:
    return st.integers(0, 2**bits - 1).map(lambda value: f"{value:0{bits // 4}x}")


def with_bits_flipped(hash_hex: str, positions: set[int]) -> str:
    return f"{int(hash_hex, 16) ^ sum(1 << position for position in positions):0{len(hash_hex)}x}"


@st.composite
def perturbed_pairs(draw: st.DrawFn, algorithm: PHashAlgorithm, within: int) -> tuple[str, str]:
    original = draw(hashes(algorithm.bits))
    flipped = draw(st.sets(st.integers(0, algorithm.bits - 1), max_size=within))
    return original, with_bits_flipped(original, flipped)


def test_the_permutation_is_the_documented_one() -> None:
    order = sorted(range(256), key=lambda bit: hashlib.sha256(f"near-duplicate bit {bit}".encode()).digest())
    assert list(BIT_PERMUTATION) == order


@given(hashes(256), hashes(256))
def test_distance_counts_the_differing_bits(left: str, right: str) -> None:
    assert hamming_distance(left, right) == bin(int(left, 16) ^ int(right, 16)).count("1")
    assert hamming_distance(left, left) == 0


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_bands_hold_every_bit_of_the_hash_exactly_once(algorithm: PHashAlgorithm) -> None:
    zero = "0" * (algorithm.bits // 4)
    seen = [bands(with_bits_flipped(zero, {position})) for position in range(algorithm.bits)]
    assert len(set(seen)) == algorithm.bits
    assert all(sum(value.bit_count() for value in values) == 1 for values in seen)
    assert all(len(values) == algorithm.band_count for values in seen)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@settings(max_examples=300)
@given(data=st.data())
def test_two_hashes_within_the_plain_bound_share_a_band_key(
    algorithm: PHashAlgorithm, data: st.DataObject
) -> None:
    left, right = data.draw(perturbed_pairs(algorithm, algorithm.complete_within(exact=False)))
    assert set(band_keys("acme", algorithm, left)) & set(band_keys("acme", algorithm, right))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@settings(max_examples=300)
@given(data=st.data())
def test_two_hashes_within_the_exact_bound_share_a_probe(
    algorithm: PHashAlgorithm, data: st.DataObject
) -> None:
    left, right = data.draw(perturbed_pairs(algorithm, algorithm.complete_within(exact=True)))
    assert set(probe_keys("acme", algorithm, left)) & set(band_keys("acme", algorithm, right))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_bounds_are_tight(algorithm: PHashAlgorithm) -> None:
    """One differing bit in every band defeats the plain lookup, two the exact one."""
    original = "0" * (algorithm.bits // 4)
    by_band: dict[int, list[int]] = {}
    for position in range(algorithm.bits):
        flipped = bands(with_bits_flipped(original, {position}))
        by_band.setdefault(next(band for band, value in enumerate(flipped) if value), []).append(position)
    one_each = with_bits_flipped(original, {positions[0] for positions in by_band.values()})
    two_each = with_bits_flipped(original, {p for positions in by_band.values() for p in positions[:2]})
    assert hamming_distance(original, one_each) == algorithm.complete_within(exact=False) + 1
    assert not set(bands(original)) & set(bands(one_each))
    assert hamming_distance(original, two_each) == algorithm.complete_within(exact=True) + 1
    assert not set(probe_keys("a", algorithm, original)) & set(band_keys("a", algorithm, two_each))


@pytest.mark.parametrize(("exact", "threshold"), [(False, 15), (True, 31)])
@settings(max_examples=30, deadline=None)
@given(source=st.randoms(use_true_random=True))
def test_lookup_by_bands_equals_brute_force_in_a_crowd(
    exact: bool, threshold: int, source: random.Random
) -> None:
    """A hundred unrelated hashes and a hundred near the query, at every distance around the bound."""
    query = f"{source.getrandbits(256):064x}"
    crowd = [f"{source.getrandbits(256):064x}" for _ in range(100)]
    crowd += [
        with_bits_flipped(query, set(source.sample(range(256), source.randrange(threshold + 10))))
        for _ in range(100)
    ]
    index: dict[str, set[str]] = {}
    for stored in crowd:
        for key in band_keys("acme", PHASH256, stored):
            index.setdefault(key, set()).add(stored)
    keys = (probe_keys if exact else band_keys)("acme", PHASH256, query)
    candidates = {stored for key in keys for stored in index.get(key, ())}
    found = {stored for stored in candidates if hamming_distance(query, stored) <= threshold}
    assert found == {stored for stored in crowd if hamming_distance(query, stored) <= threshold}


def test_an_exact_lookup_reads_272_different_keys_of_a_256_bit_hash_and_68_of_a_64_bit_one() -> None:
    assert len(set(probes("5a" * 32))) == 272
    assert len(set(probes("5a" * 8))) == 68


def test_band_keys_name_tenant_scheme_band_and_value() -> None:
    keys = band_keys("acme", PHASH256, "f" * 64)
    assert keys[7] == "acme#phash256#7#ffff"
    assert len(keys) == 16


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_exact_lookup_covers_the_default_threshold(algorithm: PHashAlgorithm) -> None:
    assert algorithm.default_threshold <= algorithm.complete_within(exact=True)


@pytest.mark.parametrize(
    "text", ["", "g" * 64, "F" * 64, "ab" * 31, "0x" + "0" * 62, "-1" + "0" * 62, "1_0" * 5 + "1"]
)
def test_text_that_is_not_a_hash_is_refused(text: str) -> None:
    with pytest.raises(InvalidHashError):
        bands(text)


def test_hashes_of_different_lengths_are_not_compared() -> None:
    with pytest.raises(InvalidHashError, match="16 and 64"):
        hamming_distance("0" * 16, "0" * 64)


def test_a_hash_of_another_algorithm_has_no_keys() -> None:
    with pytest.raises(InvalidHashError, match="64 hex digits, not 16"):
        band_keys("acme", PHASH256, "0" * 16)

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.domain.fingerprints import (
    BIT_PERMUTATION,
    Indexed,
    InvalidHashError,
    PHashAlgorithm,
    colour_distance,
    hamming_distance,
    indexed_at,
    places,
)
from catalog.domain.keys import AssetId, AssetKey, tenant_id

PHASH256 = PHashAlgorithm.PHASH256
ALGORITHMS = list(PHashAlgorithm)
ACME = tenant_id("acme")
ID = AssetId("0123456789abcdef" * 4)


def buckets(algorithm: PHashAlgorithm, frame: str, box: str | None) -> list[str]:
    return [place.bucket for place in places(ACME, ID, Indexed(algorithm, frame, box))]


def narrowed(frame: str) -> list[tuple[str, str]]:
    found = places(ACME, ID, Indexed(PHASH256, frame, frame))
    return [(place.bucket, place.narrow) for place in found]


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


@pytest.mark.parametrize(("algorithm", "count"), [(PHASH256, 16), (PHashAlgorithm.DHASH64, 8)])
def test_half_of_the_bands_are_of_the_frame_and_half_of_the_content_box(
    algorithm: PHashAlgorithm, count: int
) -> None:
    digits = algorithm.bits // 4
    zero, ones = (
        buckets(algorithm, "0" * digits, "0" * digits),
        buckets(algorithm, "0" * digits, "f" * digits),
    )
    assert len(set(zero)) == count
    assert [one == other for one, other in zip(zero, ones, strict=True)] == [True] * (count // 2) + [
        False
    ] * (count // 2)


def test_the_bands_of_both_hashes_hold_every_bit() -> None:
    zero = "0" * 64
    plain = buckets(PHASH256, zero, zero)
    for position in range(256):
        flipped = with_bits_flipped(zero, {position})
        changed = [a != b for a, b in zip(plain, buckets(PHASH256, flipped, flipped), strict=True)]
        assert sum(changed) == 1


@settings(max_examples=300)
@given(data=st.data())
def test_fifteen_flipped_bits_of_a_picture_without_a_border_leave_it_a_bucket(data: st.DataObject) -> None:
    """Each is in one band of 16; real re-encodes flip 2 bits at the median and 12 at most."""
    left, right = data.draw(perturbed_pairs(PHASH256, 15))
    assert set(buckets(PHASH256, left, left)) & set(buckets(PHASH256, right, right))


@settings(max_examples=300)
@given(data=st.data())
def test_seven_flipped_bits_leave_it_among_what_is_read_of_a_full_bucket(data: st.DataObject) -> None:
    """Each is in one band, or in one and among the four bits behind another."""
    left, right = data.draw(perturbed_pairs(PHASH256, 7))
    assert set(narrowed(left)) & set(narrowed(right))


@given(hashes(256), hashes(256))
def test_a_trimmed_picture_shares_the_bands_of_the_content_box_alone(frame: str, box: str) -> None:
    trimmed = buckets(PHASH256, box, box)
    assert buckets(PHASH256, frame, box)[8:] == trimmed[8:]


def test_a_place_names_tenant_scheme_band_and_value_and_a_rotated_id() -> None:
    found = places(ACME, ID, Indexed(PHASH256, "f" * 64, "f" * 64))
    assert found[7].bucket == "acme#phash256.2#7#ffff"
    assert [place.id[:5] for place in found[:5]] == ["f0123", "f4567", "f89ab", "fcdef", "f0123"]
    assert {indexed_at(place.bucket, place.id) for place in found} == {AssetKey(ACME, ID)}


def test_the_first_scheme_is_still_known_so_that_it_can_be_removed() -> None:
    found = places(ACME, ID, Indexed(PHASH256, "f" * 64, None))
    assert [place.bucket for place in found] == [f"acme#phash256#{band}#ffff" for band in range(16)]
    assert {place.id for place in found} == {ID}
    assert {indexed_at(place.bucket, place.id) for place in found} == {AssetKey(ACME, ID)}


def test_colours_are_as_far_apart_as_the_mean_of_their_differences() -> None:
    assert colour_distance("80" * 12, "80" * 12) == 0
    assert colour_distance("80" * 12, "86" * 6 + "80" * 6) == 3


@pytest.mark.parametrize(
    "text", ["", "g" * 64, "F" * 64, "ab" * 31, "0x" + "0" * 62, "-1" + "0" * 62, "1_0" * 5 + "1"]
)
def test_text_that_is_not_a_hash_is_refused(text: str) -> None:
    with pytest.raises(InvalidHashError):
        hamming_distance(text, text)


def test_hashes_of_different_lengths_are_not_compared() -> None:
    with pytest.raises(InvalidHashError, match="16 and 64"):
        hamming_distance("0" * 16, "0" * 64)


def test_a_hash_of_another_algorithm_has_no_keys() -> None:
    with pytest.raises(InvalidHashError, match="64 hex digits, not 16"):
        buckets(PHASH256, "0" * 16, "0" * 16)


def test_colours_of_two_lengths_are_not_compared() -> None:
    assert colour_distance("00" * 12, "03" * 12) == 3
    with pytest.raises(ValueError, match="longer"):
        colour_distance("00" * 11, "00" * 12)


ZEROS, ALL_DIGITS = "0" * 64, "0123456789abcdef" * 4


@pytest.mark.parametrize("bad", ["X" * 64, "x" * 16, "A" * 64, "0" * 15, "0" * 65, ""])
def test_what_is_no_hash_is_shown_in_its_first_80_characters(bad: str) -> None:
    with pytest.raises(InvalidHashError, match="is not 16 or 64 lower-case hex digits"):
        hamming_distance(bad, bad)
    with pytest.raises(InvalidHashError) as caught:
        hamming_distance("A" * 81, "A" * 81)
    assert str(caught.value) == f"{'A' * 80!r} is not 16 or 64 lower-case hex digits"


def test_a_hash_may_have_every_digit() -> None:
    assert hamming_distance(ALL_DIGITS, ZEROS) == 128


def test_each_band_of_an_image_names_the_hash_it_is_of() -> None:
    id_ = AssetId("5c" * 32)
    for algorithm, each, digits in ((PHashAlgorithm.PHASH256, 8, 1), (PHashAlgorithm.AHASH64, 4, 0)):
        size = algorithm.bits // 4
        found = places(tenant_id("acme"), id_, Indexed(algorithm, ALL_DIGITS[:size], ZEROS[:size]))
        hashes = [place.hash for place in found]
        assert hashes == [ALL_DIGITS[:size]] * each + [ZEROS[:size]] * each
        assert {len(place.narrow) for place in found} == {digits}
        assert all(place.id.startswith(place.narrow) and len(place.id) == 64 + digits for place in found)
        old = places(tenant_id("acme"), id_, Indexed(algorithm, ALL_DIGITS[:size], None))
        assert {(place.hash, place.id, place.narrow) for place in old} == {(ALL_DIGITS[:size], id_, "")}
        assert len(old) == algorithm.bits // 16


def test_the_bands_of_an_image_are_where_they_were_first_stored() -> None:
    """Items of the index are found by these keys: other keys would need all images to be indexed again."""
    stored = {}
    for algorithm in (PHashAlgorithm.PHASH256, PHashAlgorithm.AHASH64):
        size = algorithm.bits // 4
        for box in (ZEROS[:size], ALL_DIGITS[:size], None):
            indexed = Indexed(algorithm, ALL_DIGITS[:size], box)
            keys = [
                f"{place.bucket} {place.id}"
                for place in places(tenant_id("acme"), AssetId("5c" * 32), indexed)
            ]
            name = f"{algorithm} {box and box[:2]}"
            stored[name] = hashlib.sha256("\n".join(keys).encode()).hexdigest()[:16]
    assert stored == {
        "phash256 00": "362c88a4a73c0ebe",
        "phash256 01": "88f0e365ad063a1f",
        "phash256 None": "7090f2e288b9fa80",
        "ahash64 00": "38095801fd638a8a",
        "ahash64 01": "9a947287a4a2812f",
        "ahash64 None": "3107270b243651ac",
    }

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


def buckets(algorithm: PHashAlgorithm, frame: str, box: str) -> list[str]:
    return [place.bucket for place in places(ACME, ID, Indexed(algorithm, frame, box))]


def alike(frame: str) -> list[tuple[str, str]]:
    found = places(ACME, ID, Indexed(PHASH256, frame, frame))
    return [(place.bucket, place.alike) for place in found]


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


@pytest.mark.parametrize(
    ("algorithm", "of_frame", "of_box"), [(PHASH256, 4, 6), (PHashAlgorithm.DHASH64, 4, 4)]
)
def test_some_bands_are_of_the_frame_and_some_of_the_content_box(
    algorithm: PHashAlgorithm, of_frame: int, of_box: int
) -> None:
    zero, ones = (digit * (algorithm.bits // 4) for digit in "0f")
    plain, other = buckets(algorithm, zero, zero), buckets(algorithm, zero, ones)
    assert len(set(plain)) == of_frame + of_box
    same = [one == another for one, another in zip(plain, other, strict=True)]
    assert same == [True] * of_frame + [False] * of_box


def test_a_bit_names_one_bucket_at_most_and_orders_another_at_most() -> None:
    zero = "0" * 64
    plain = places(ACME, ID, Indexed(PHASH256, zero, zero))
    named = ordered = 0
    for position in range(256):
        flipped = with_bits_flipped(zero, {position})
        changed = places(ACME, ID, Indexed(PHASH256, flipped, flipped))
        of_bucket = sum(one.bucket != other.bucket for one, other in zip(plain, changed, strict=True))
        of_order = sum(one.id != other.id for one, other in zip(plain, changed, strict=True))
        assert of_bucket <= 1
        assert of_order <= 2
        named, ordered = named + of_bucket, ordered + of_order
    assert (named, ordered) == (10 * 12, 10 * 16)


@settings(max_examples=300)
@given(data=st.data())
def test_nine_flipped_bits_of_a_picture_without_a_border_leave_it_a_bucket(data: st.DataObject) -> None:
    """Each is in one band of 10; real re-encodes flip 2 bits at the median and 12 at most."""
    left, right = data.draw(perturbed_pairs(PHASH256, 9))
    assert set(buckets(PHASH256, left, left)) & set(buckets(PHASH256, right, right))


@settings(max_examples=300)
@given(data=st.data())
def test_nine_flipped_bits_leave_it_among_those_most_alike(data: st.DataObject) -> None:
    """20 bits of each of 10 bands, none in two of them."""
    left, right = data.draw(perturbed_pairs(PHASH256, 9))
    assert set(alike(left)) & set(alike(right))


@given(hashes(256), hashes(256))
def test_a_trimmed_picture_shares_the_bands_of_the_content_box_alone(frame: str, box: str) -> None:
    trimmed = buckets(PHASH256, box, box)
    assert buckets(PHASH256, frame, box)[4:] == trimmed[4:]


def test_a_place_names_tenant_scheme_band_and_value_and_a_rotated_id() -> None:
    found = places(ACME, ID, Indexed(PHASH256, "f" * 64, "f" * 64))
    assert found[7].bucket == "acme#phash256.3#7#fff"
    assert [place.id[:8] for place in found[:5]] == [
        "ffff0123", "ffff4567", "ffff89ab", "ffffcdef", "ffff0123"
    ]  # fmt: skip
    assert {indexed_at(place.bucket, place.id) for place in found} == {AssetKey(ACME, ID)}


@pytest.mark.parametrize(
    ("earlier", "scheme", "ids"),
    [(1, "phash256", [""] * 4), (2, "phash256.2", ["f0123", "f4567", "f89ab", "fcdef"])],
)
def test_earlier_schemes_are_still_known_so_that_they_can_be_removed(
    earlier: int, scheme: str, ids: list[str]
) -> None:
    found = places(ACME, ID, Indexed(PHASH256, "f" * 64, "f" * 64, earlier))
    assert [place.bucket for place in found] == [f"acme#{scheme}#{band}#ffff" for band in range(16)]
    assert all(place.id.startswith(start) for place, start in zip(found, ids, strict=False))
    assert {indexed_at(place.bucket, place.id) for place in found} == {AssetKey(ACME, ID)}


def test_only_the_present_scheme_of_an_algorithm_is_present() -> None:
    assert Indexed(PHASH256, "f" * 64, "f" * 64).is_of(PHASH256)
    assert Indexed.blank(PHASH256).is_of(PHASH256)
    assert not Indexed(PHASH256, "f" * 64, "f" * 64, earlier=2).is_of(PHASH256)
    assert not Indexed(PHASH256, "f" * 64, "f" * 64).is_of(PHashAlgorithm.DHASH64)


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


SCHEMES = {  # bands of the frame and of the box, digits of a bucket's order, those of the most alike
    (PHASH256, None): (4, 6, 4, 2),
    (PHASH256, 2): (8, 8, 1, 1),
    (PHASH256, 1): (16, 0, 0, 0),
    (PHashAlgorithm.AHASH64, None): (4, 4, 0, 0),
    (PHashAlgorithm.AHASH64, 1): (4, 0, 0, 0),
}


@pytest.mark.parametrize(("algorithm", "earlier"), SCHEMES)
def test_each_band_of_an_image_names_the_hash_it_is_of(
    algorithm: PHashAlgorithm, earlier: int | None
) -> None:
    frames, boxes, ordered, alike = SCHEMES[algorithm, earlier]
    size = algorithm.bits // 4
    indexed = Indexed(algorithm, ALL_DIGITS[:size], ZEROS[:size], earlier)
    found = places(tenant_id("acme"), AssetId("5c" * 32), indexed)
    assert [place.hash for place in found] == [ALL_DIGITS[:size]] * frames + [ZEROS[:size]] * boxes
    assert {len(place.alike) for place in found} == {alike}
    assert all(place.id.startswith(place.alike) and len(place.id) == 64 + ordered for place in found)


def test_the_bands_of_an_image_are_where_they_were_first_stored() -> None:
    """Items of the index are found by these keys: other keys would need all images to be indexed again."""
    stored = {}
    for algorithm, earlier in SCHEMES:
        size = algorithm.bits // 4
        for box in (ZEROS[:size], ALL_DIGITS[:size]):
            indexed = Indexed(algorithm, ALL_DIGITS[:size], box, earlier)
            keys = [
                f"{place.bucket} {place.id}"
                for place in places(tenant_id("acme"), AssetId("5c" * 32), indexed)
            ]
            name = f"{indexed.scheme.name(algorithm)} {box[:2]}"
            stored[name] = hashlib.sha256("\n".join(keys).encode()).hexdigest()[:16]
    assert stored == {
        "phash256.3 00": "f30e760c5cb46c68",
        "phash256.3 01": "dbcf09765f6480a4",
        "phash256.2 00": "362c88a4a73c0ebe",
        "phash256.2 01": "88f0e365ad063a1f",
        "phash256 00": "7090f2e288b9fa80",
        "phash256 01": "7090f2e288b9fa80",
        "ahash64.2 00": "38095801fd638a8a",
        "ahash64.2 01": "9a947287a4a2812f",
        "ahash64 00": "3107270b243651ac",
        "ahash64 01": "3107270b243651ac",
    }

"""Imports: objects as subjects of parts, and what is taken over of them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.domain.imports import (
    PART_BYTES,
    BadLine,
    ImportOptions,
    ManifestFormat,
    ManifestOptions,
    ObjectCode,
    Outcome,
    Seen,
    SourceObject,
    SourceObjectError,
    content_type_of,
    described,
    mark,
    object_hash,
    parts,
    storable,
    subject_of,
)
from catalog.domain.jobs import JobKind, Line, Work
from catalog.domain.key_patterns import KeyPattern
from catalog.domain.keys import asset_id, tenant_id

KEYS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)


@given(
    st.builds(
        SourceObject,
        key=KEYS,
        etag=st.none() | st.text("0123456789abcdef-", min_size=1),
        size_bytes=st.none() | st.integers(0, 10**9),
        filename=st.none() | KEYS,
        references=st.lists(st.text("AB-/", min_size=1)).map(tuple),
        content_type=st.sampled_from([None, "image/png"]),
    )
)
def test_a_subject_is_read_as_it_was_written_and_its_name_suffices_to_try_it_again(one: SourceObject) -> None:
    assert subject_of(one.text) == one
    again = subject_of(one.name)
    assert again == SourceObject(one.key, None, None, one.filename, one.references, one.content_type)
    assert again.name == one.name


def test_an_object_of_a_listing_is_named_by_its_key() -> None:
    assert SourceObject("a b/ü.jpg", "etag", 7).name == "a b/ü.jpg"
    assert SourceObject("{a}.jpg").name == '{"key":"{a}.jpg"}'


def test_a_bad_line_is_a_subject_too() -> None:
    bad = BadLine(17, "is no JSON")
    assert subject_of(bad.text) == bad == subject_of(bad.name)


def test_a_part_holds_a_hundred_objects() -> None:
    some = [SourceObject(f"{number}.jpg") for number in range(250)]

    assert [len(part) for part in parts([*some, some[0]])] == [100, 100, 51]
    assert [len(part) for part in parts([some[0]] * 3)] == [1]
    assert list(parts([])) == []


@given(
    st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=341), max_size=8), st.integers(1, 90)
)
def test_a_line_of_the_map_is_well_under_256_kib(keys: list[str], times: int) -> None:
    longest = SourceObject("日" * 341, "e" * 40, 10**9, "日" * 255, tuple(f"{n:0128}" for n in range(50)))
    objects = [*map(SourceObject, keys), *(SourceObject(f"{n}", filename="日" * 255) for n in range(times))]

    for part in parts([longest, *objects, longest]):
        line = Line("job", JobKind.IMPORT, "part", Work(tenant_id("acme"), "import", None, part))
        assert len(line.text().encode()) < PART_BYTES + 20_000


def test_options_are_kept_as_json() -> None:
    manifest = ManifestOptions("lists", "a.csv", ManifestFormat.CSV, ";")
    for one in (
        ImportOptions("shop"),
        ImportOptions("shop", "products/", reference_pattern="{reference}.jpg", sample=7),
        ImportOptions("shop", manifest=manifest, reference_columns=("sku",), reference_separator=","),
    ):
        assert ImportOptions.of(json.loads(json.dumps(one.as_json()))) == one


def test_filename_and_references_come_from_the_manifest_the_pattern_or_the_key() -> None:
    pattern = KeyPattern.parse("p/{reference}/{filename}")

    by_key = described(SourceObject("p/A/1.jpg"), None)
    assert (by_key.filename, by_key.references, by_key.digest) == ("1.jpg", frozenset(), "")
    by_pattern = described(SourceObject("p/A/1.jpg"), pattern)
    assert (by_pattern.filename, by_pattern.references) == ("1.jpg", {"A"})
    by_both = described(SourceObject("p/A/1.jpg", filename="front.jpg", references=("B",)), pattern)
    assert (by_both.filename, by_both.references) == ("front.jpg", {"A", "B"})
    assert described(SourceObject("q.jpg", references=("B",)), pattern).references == {"B"}
    assert len({by_key.digest, by_pattern.digest, by_both.digest}) == 3


def test_a_key_that_gives_no_reference_by_the_pattern_is_a_named_failure() -> None:
    with pytest.raises(SourceObjectError, match="no reference") as raised:
        described(SourceObject("p/ü/1.jpg"), KeyPattern.parse("p/{reference}/{filename}"))
    assert raised.value.code == ObjectCode.BAD_REFERENCE


def test_a_filename_is_cut_at_its_front_and_shows_no_control_characters() -> None:
    assert storable("a\n\x00b.jpg") == "a__b.jpg"
    assert storable("x" * 300 + ".jpg") == "x" * 251 + ".jpg"
    assert storable("") == "_"


@pytest.mark.parametrize(
    ("key", "declared", "no_image"),
    [
        ("a.JPG", "image/jpeg", False),
        ("a.tif", "image/tiff", False),
        ("a.webp", "image/webp", False),
        ("a", None, False),
        ("a.b/c", None, False),
        ("v1.2 final", None, False),
        ("a.pdf", None, True),
        ("a.heic", "image/heic", False),
        ("a.svg", None, True),
    ],
)
def test_the_extension_says_what_is_no_image(key: str, declared: str | None, no_image: bool) -> None:
    assert (SourceObject(key).declared_type, SourceObject(key).is_no_image) == (declared, no_image)


def test_a_manifest_may_say_that_any_key_is_an_image() -> None:
    assert not SourceObject("a.dat", content_type="image/png").is_no_image


def test_the_type_is_that_of_the_manifest_the_name_or_the_object() -> None:
    assert content_type_of(SourceObject("a.png", content_type="image/webp"), "image/gif") == "image/webp"
    assert content_type_of(SourceObject("a.png"), "image/gif") == "image/png"
    assert content_type_of(SourceObject("a"), "image/gif") == "image/gif"
    assert content_type_of(SourceObject("a"), "binary/octet-stream") == "application/octet-stream"


@pytest.mark.parametrize(("size", "code"), [(0, ObjectCode.EMPTY), (11, ObjectCode.TOO_LARGE)])
def test_an_object_of_no_size_or_too_large_a_one_is_refused_unread(size: int, code: ObjectCode) -> None:
    with pytest.raises(SourceObjectError) as raised:
        SourceObject("a", "etag", size).check_size(10)
    assert raised.value.code == code
    SourceObject("a", "etag", 10).check_size(10)
    SourceObject("a").check_size(10)


def test_what_was_seen_is_of_an_object_of_the_same_etag_and_size() -> None:
    seen = Seen("etag", 7, asset_id("0" * 64), Outcome.NEW)
    assert seen.is_of(SourceObject("a", "etag", 7))
    assert not seen.is_of(SourceObject("a", "other", 7))
    assert not seen.is_of(SourceObject("a", "etag", 8))


def test_what_was_seen_remembers_the_references_of_several_lines_and_forgets_them_when_there_are_many() -> (
    None
):
    seen = Seen("etag", 7, asset_id("0" * 64), Outcome.NEW)
    assert seen.referred("") == seen
    assert seen.referred("a").referred("b").references == {"a", "b"}
    for number in range(60):
        seen = seen.referred(str(number))
        assert str(number) in seen.references
        assert len(seen.references) <= 50


def test_an_object_is_told_by_its_bucket_and_key() -> None:
    names = {object_hash(bucket, key) for bucket, key in (("a", "b/c"), ("a", "b"), ("b", "b/c"))}
    assert len(names) == 3
    assert mark("a", "b") == f"import-{object_hash('a', 'b')[:32]}"

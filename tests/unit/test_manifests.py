"""Manifests: what their lines say, wherever the blocks that are read begin and end."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.domain.imports import (
    BadLine,
    ImportFailedError,
    ImportOptions,
    ManifestFormat,
    ManifestOptions,
    SourceObject,
    Subject,
)
from catalog.domain.manifests import LONGEST_RECORD, Entry, Place, entries


def options(kind: str = "csv", delimiter: str = ",", **others: Any) -> ImportOptions:
    manifest = ManifestOptions("lists", "list", ManifestFormat(kind), delimiter)
    return ImportOptions("shop", manifest=manifest, **others)


def blocks(data: bytes, size: int = 1_000_000) -> Callable[[int], bytes]:
    return lambda offset: data[offset : offset + size]


def read(data: bytes | str, asked: ImportOptions, size: int = 1_000_000) -> list[Subject]:
    data = data.encode() if isinstance(data, str) else data
    return [entry.subject for entry in entries(blocks(data, size), Place(), asked)]


ODD = [
    "plain.jpg",
    "a b.jpg",
    "a+b.jpg",
    'a"b.jpg',
    "a,b.jpg",
    "ü/日本.jpg",
    "a\nb.jpg",
    "a\r\nb.jpg",
    "'; --.jpg",
]


def as_csv(keys: list[str], delimiter: str = ",", end: str = "\r\n") -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end)
    writer.writerows([["sku", "key"], *([f"S{n}", key] for n, key in enumerate(keys))])
    return text.getvalue()


@pytest.mark.parametrize("end", ["\r\n", "\n"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_names_odd_keys_and_their_references(delimiter: str, end: str) -> None:
    found = read(as_csv(ODD, delimiter, end), options(delimiter=delimiter, reference_columns=("sku",)))

    assert found == [SourceObject(key, references=(f"S{n}",)) for n, key in enumerate(ODD)]


@given(st.lists(st.sampled_from(ODD), max_size=8), st.integers(1, 40), st.booleans())
def test_blocks_may_end_anywhere(keys: list[str], size: int, in_csv: bool) -> None:
    lines = "\n".join(json.dumps({"key": key}) for key in keys)
    data, asked = (as_csv(keys), options()) if in_csv else (lines, options("jsonl"))

    assert read(data, asked, size) == [SourceObject(key) for key in keys]


@given(st.lists(st.sampled_from(ODD), min_size=1, max_size=8), st.data())
def test_a_step_goes_on_where_the_one_before_it_ended(keys: list[str], drawn: st.DataObject) -> None:
    data = as_csv(keys).encode()
    whole = list(entries(blocks(data), Place(), options()))
    cut = drawn.draw(st.integers(0, len(whole) - 1))

    assert list(entries(blocks(data), whole[cut].then, options())) == whole[cut + 1 :]


def test_json_lines_say_filename_type_and_references() -> None:
    line = {
        "key": "a.jpg",
        "filename": "front\n.jpg",
        "content_type": "image/png",
        "references": ["one", "two"],
        "sku": 17,
    }

    found = read(json.dumps(line) + "\n\n", options("jsonl", reference_columns=("sku", "parent")))

    expected = SourceObject("a.jpg", None, None, "front_.jpg", ("one", "two", "17"), "image/png")
    assert found == [expected]


def test_several_references_stand_in_one_column() -> None:
    asked = options(reference_separator=";")

    assert read("key,references\na.jpg, A ; B;;A", asked) == [SourceObject("a.jpg", references=("A", "B"))]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"key": ""}', "key must be"),
        ('{"name": "a.jpg"}', "key must be"),
        ('{"key": 1}', "key must be"),
        (json.dumps({"key": "ü" * 513}), "key must be"),
        (r'{"key": "\ud800"}', "key must be"),
        ("[]", "no JSON object"),
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ('{"key": "a", "content_type": "text/html"}', "content_type must be"),
        ('{"key": "a", "filename": 1}', "filename must be"),
        ('{"key": "a", "references": "%"}', "no reference"),
        (json.dumps({"key": "a", "references": [f"r{n}" for n in range(51)]}), "more than 50"),
    ],
)
def test_a_line_that_names_no_object_is_a_bad_line_and_the_others_count(line: str, why: str) -> None:
    first, bad, last = read(f'{{"key": "a"}}\n{line}\n{{"key": "b"}}', options("jsonl"))

    assert (first, last) == (SourceObject("a"), SourceObject("b"))
    assert isinstance(bad, BadLine)
    assert bad.line == 2
    assert why in bad.detail


def test_a_quote_that_is_never_closed_costs_its_own_line() -> None:
    lines = ["key", 'a"b.jpg', '"never.jpg', *[f"{number:050}.jpg" for number in range(1_000)]]
    data = "\n".join(lines)
    assert len(data) > 2 * LONGEST_RECORD

    first, bad, *others = read(data, options())

    assert first == SourceObject('a"b.jpg')
    assert isinstance(bad, BadLine)
    assert bad.line == 3
    assert others == [SourceObject(key) for key in lines[3:]]


def test_lines_are_counted_though_records_span_several() -> None:
    found = read(b'key\n"a\nb"\n\n\xff\nc', options())

    assert found == [SourceObject("a\nb"), BadLine(5, "is not in UTF-8"), SourceObject("c")]


def test_what_a_spreadsheet_puts_before_the_first_column_is_no_part_of_its_name() -> None:
    assert read(b"\xef\xbb\xbfkey\na.jpg\n", options()) == [SourceObject("a.jpg")]


def test_folders_and_blank_lines_are_left_out() -> None:
    assert read("key\na/\n\n\nb.jpg\n", options()) == [SourceObject("b.jpg")]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("path\na.jpg", "no column 'key'"),
        ("key\na.jpg", "no column 'sku'"),
        ('"', "names no columns"),
        ("k" * 1_100_000, "more than 1048576 bytes"),
        ("key," + "k" * 20_000 + "\na.jpg", "over 16384 characters"),
    ],
)
def test_what_is_no_manifest_ends_the_job(data: str, why: str) -> None:
    with pytest.raises(ImportFailedError, match=why):
        read(data, options(reference_columns=("sku",)), 500_000)


def test_an_empty_manifest_names_nothing() -> None:
    assert read("", options()) == [] == read("", options("jsonl"))


def test_an_entry_says_where_the_next_one_begins() -> None:
    (entry,) = entries(blocks(b"key\n\na.jpg\n"), Place(), options())

    assert entry == Entry(SourceObject("a.jpg"), Place(11, 4, ("key",)))

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from catalog.domain.rejections import RejectionCode
from catalog_images import Rendition
from infra.local.report import (
    SENTENCES,
    End,
    Row,
    byte_size,
    figures,
    json_lines,
    notable,
    remarks,
    summary,
    table,
)

ID = "ab" * 32


def rendition(preset: str, width: int, height: int, size_bytes: int = 1000) -> Rendition:
    return Rendition(f"{preset}-v1", preset, f"http://s3/{preset}.jpg?X-Amz=1", size_bytes, width, height, 85)


READY = Row(
    "mug.jpg",
    End.READY,
    2_000_000,
    id=ID,
    sent=True,
    seconds=0.5,
    width=1800,
    height=1200,
    renditions=(rendition("thumb", 200, 133, 3400), rendition("zoom", 1600, 1067, 51_200)),
)
KNOWN = replace(READY, file="copy.jpg", sent=False, seconds=None, duplicate_of="mug.jpg")
REJECTED = Row("cut.jpg", End.REJECTED, 900, id="cd" * 32, code="truncated", sent=True, seconds=0.1)
REFUSED = Row("notes.txt", End.REFUSED, 45, code="unsupported_media_type")


def shown(*rows: Row, width: int = 200) -> str:
    output = io.StringIO()
    Console(file=output, width=width).print(table(rows, width=width))
    return output.getvalue()


def test_the_report_has_one_json_object_a_file_and_no_url_that_expires() -> None:
    lines = [json.loads(line) for line in json_lines([READY, KNOWN, REJECTED, REFUSED]).splitlines()]
    assert [line["file"] for line in lines] == ["mug.jpg", "copy.jpg", "cut.jpg", "notes.txt"]
    assert lines[0] | {"renditions": None} == {
        "file": "mug.jpg",
        "id": ID,
        "status": "ready",
        "code": None,
        "renditions": None,
        "seconds": 0.5,
        "sent": True,
        "duplicate_of": None,
        "near_duplicate_of": None,
        "size_bytes": 2_000_000,
        "width": 1800,
        "height": 1200,
    }
    assert lines[0]["renditions"][0] == {
        "preset": "thumb", "size_bytes": 3400, "width": 200, "height": 133, "quality": 85
    }  # fmt: skip
    assert (lines[2]["status"], lines[2]["code"]) == ("rejected", "truncated")
    assert (lines[3]["id"], lines[3]["seconds"]) == (None, None)


def test_a_name_that_is_not_text_still_makes_a_line_of_ascii_json() -> None:
    line = json_lines([replace(READY, file="bad\udcff\n.jpg")])
    assert line.isascii() and line.count("\n") == 1
    assert json.loads(line)["file"] == "bad\udcff\n.jpg"


def test_the_table_says_for_each_file_how_it_ended_and_what_came_of_it() -> None:
    text = shown(READY, KNOWN, REJECTED, REFUSED)
    assert "200x133 3.4 kB" in text and "1600x1067 51.2 kB" in text and "2.0 MB" in text
    assert "0.50 s" in text and "known, not sent" in text
    assert "rejected: truncated" in text and "refused: unsupported_media_type" in text


def test_a_near_duplicate_is_shown_with_the_file_it_looks_like() -> None:
    small = replace(READY, file="mug-small.webp", id="ef" * 32, near_duplicate_of=ID)
    assert "~ mug.jpg" in shown(small, KNOWN, READY)
    assert "~ 121212121212 " in shown(replace(small, near_duplicate_of="12" * 32))
    assert "~" not in shown(READY, replace(KNOWN, near_duplicate_of="12" * 32))
    assert json.loads(json_lines([small]))["near_duplicate_of"] == ID


def test_renditions_that_a_near_duplicate_shares_are_counted_once() -> None:
    small = replace(READY, file="mug-small.webp", id="ef" * 32, near_duplicate_of=ID)
    signed_again = tuple(replace(each, url=f"{each.url}2") for each in READY.renditions)
    run = figures([READY, replace(small, renditions=signed_again)])
    assert (run.renditions, run.rendition_bytes) == (2, 54_600)


def test_the_table_has_a_column_a_preset_smallest_first() -> None:
    header = next(line for line in shown(READY).splitlines() if "File" in line)
    assert header.index("thumb") < header.index("zoom")


def test_markup_and_control_characters_in_names_are_shown_and_not_obeyed() -> None:
    text = shown(replace(READY, file="[red]a[/red]\x1b[31m.jpg"))
    assert "[red]a[/red]\ufffd[31m.jpg" in text and "\x1b" not in text


def test_the_table_fits_a_narrow_terminal() -> None:
    lines = shown(READY, KNOWN, REJECTED, width=80).splitlines()
    assert max(map(len, lines)) <= 80
    assert READY.file in "".join(lines) and not any("1600x1067" in line for line in lines)
    assert any("0.50 s" in line for line in lines)


def test_figures_count_an_image_once_however_many_files_it_came_from() -> None:
    run = figures([READY, KNOWN, REJECTED, REFUSED])
    assert (run.files, run.sent, run.known) == (4, 2, 1)
    assert (run.renditions, run.rendition_bytes) == (2, 54_600)
    assert (run.bytes_sent, run.bytes_in) == (2_000_900, 4_000_945)
    assert run.ends == {End.READY: 2, End.REJECTED: 1, End.REFUSED: 1}


def test_percentiles_are_of_ready_files_that_were_sent() -> None:
    rows = [replace(READY, seconds=float(seconds)) for seconds in range(1, 101)]
    run = figures([*rows, KNOWN, REJECTED])
    assert (run.p50_seconds, run.p95_seconds) == (50.0, 95.0)


def test_a_run_that_sent_nothing_has_no_percentiles() -> None:
    run = figures([KNOWN])
    assert run.p50_seconds is None
    assert summary(run).startswith("1 files: 1 ready | 0 sent (0 B of 2.0 MB), 1 known")


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (99_949, "99.9 kB"), (99_999, "100 kB"),
     (999_499, "999 kB"), (999_500, "1.0 MB"), (4_030_142, "4.0 MB"), (2_500_000_000, "2.5 GB")],
)  # fmt: skip
def test_bytes_are_shown_with_the_digits_that_matter(size_bytes: int, text: str) -> None:
    assert byte_size(size_bytes) == text


def test_of_many_files_the_first_ten_and_every_problem_are_shown() -> None:
    rows = [replace(READY, file=f"{number:03}.jpg") for number in range(40)]
    rows[30] = replace(REJECTED, file="030.jpg", code="truncated")

    assert [row.file for row in notable(rows)] == [*(f"{number:03}.jpg" for number in range(10)), "030.jpg"]
    assert remarks(rows) == [
        "and 29 more that are ready: they are on the page and in the report",
        "truncated: the file ends before the picture does: send the whole file",
    ]


@pytest.mark.parametrize("code", [*RejectionCode])
def test_every_code_of_a_rejection_has_a_sentence(code: str) -> None:
    assert SENTENCES[code].endswith(tuple("abcdefghijklmnopqrstuvwxyz"))

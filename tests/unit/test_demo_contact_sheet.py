import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from catalog_images import Pair, Rendition
from infra.local.contact_sheet import Change, ContactSheet, RenditionDiffersError
from infra.local.photos import Photo
from infra.local.report import End, Row
from infra.pictures import images

DATA = images.jpeg_bytes(images.product_photo(1, (200, 150)))
THUMB = Rendition("thumb-0a1b", "thumb", "http://s3/r/thumb-0a1b.jpg?X-Amz-Sig=1", len(DATA), 200, 150, 85)


def photo(folder: Path, data: bytes, name: str = "photo.jpg") -> Photo:
    path = folder / name
    path.write_bytes(data)
    return Photo(path, name, len(data), hashlib.sha256(data).hexdigest(), "image/jpeg")


def ready(of: Photo, file: str = "photo.jpg") -> Row:
    return Row(
        file, End.READY, 10, id=of.sha256, sent=True, seconds=1.0, width=800, height=600, renditions=(THUMB,)
    )


class Page(HTMLParser):
    """Collects the tags and attributes a browser would see."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_page_shows_the_original_and_its_renditions_from_files_beside_it(tmp_path: Path) -> None:
    sheet, sent = ContactSheet(tmp_path / "demo"), photo(tmp_path, DATA)
    sheet.add_original(sent)
    sheet.add_renditions(sent.sha256, [THUMB], download=lambda _: DATA)
    html = sheet.write([ready(sent)]).read_text()
    shown = [attributes["src"] for tag, attributes in Page(html).tags if tag == "img"]
    assert shown == [f"originals/{sent.sha256}.webp", f"renditions/{sent.sha256}/thumb-0a1b.jpg"]
    assert (tmp_path / "demo" / str(shown[1])).read_bytes() == DATA
    assert "800 x 600" in html and "200 x 150" in html


def test_the_page_needs_no_network_and_no_script(tmp_path: Path) -> None:
    html = ContactSheet(tmp_path).write([ready(photo(tmp_path, DATA))]).read_text()
    assert not re.search(r"https?:|//|<script|<link|@import|url\(", html)


@pytest.mark.parametrize(
    "name",
    [
        "<img src=x onerror=alert(1)>.jpg",
        "\"><script>alert('x')</script>",
        "{cards} {0} %s &amp;.jpg",
        "\u202egpj.exe\udcff\x00.jpg",
    ],
)
def test_a_hostile_file_name_is_text_and_nothing_else(tmp_path: Path, name: str) -> None:
    sent = photo(tmp_path, DATA)
    refused = Row("calm", End.REFUSED, 1, code="too_large", duplicate_of="calm")
    calm = ContactSheet(tmp_path / "calm").write([ready(sent, "calm"), refused])
    rows = [ready(sent, name), replace(refused, file=name, code=name, duplicate_of=name)]
    hostile = ContactSheet(tmp_path / "hostile").write(rows)
    assert Page(hostile.read_text(encoding="utf-8")).tags == Page(calm.read_text()).tags


def test_a_file_without_renditions_is_listed_with_its_reason(tmp_path: Path) -> None:
    html = ContactSheet(tmp_path).write([Row("cut.jpg", End.REJECTED, 9, code="truncated")]).read_text()
    assert "cut.jpg" in html and "rejected: truncated" in html
    assert "img" not in [tag for tag, _ in Page(html).tags]


def test_a_rendition_that_is_here_already_is_not_fetched_again(tmp_path: Path) -> None:
    sheet = ContactSheet(tmp_path)
    fetched: list[str] = []

    def download(rendition: Rendition) -> bytes:
        fetched.append(rendition.id)
        return DATA

    for _ in range(2):
        sheet.add_renditions("ab", [THUMB], download=download)
    assert fetched == ["thumb-0a1b"]


def test_a_rendition_that_was_replaced_is_fetched_again(tmp_path: Path) -> None:
    sheet = ContactSheet(tmp_path)
    sheet.add_renditions("ab", [THUMB], download=lambda _: DATA)
    sheet.add_renditions("ab", [replace(THUMB, size_bytes=3)], download=lambda _: b"own")
    assert (tmp_path / "renditions/ab/thumb-0a1b.jpg").read_bytes() == b"own"


def test_a_near_duplicate_names_the_file_it_looks_like(tmp_path: Path) -> None:
    sent = photo(tmp_path, DATA)
    small = replace(ready(sent, "small.webp"), id="ab" * 32, near_duplicate_of=sent.sha256)
    html = ContactSheet(tmp_path / "demo").write([ready(sent, "large.jpg"), small]).read_text()
    assert html.count("near-duplicate of large.jpg") == 1
    assert "<h2>large.jpg = small.webp</h2>" in html


def test_pairs_that_wait_for_a_person_are_shown_side_by_side_with_what_differs(tmp_path: Path) -> None:
    sent = photo(tmp_path, DATA)
    other = replace(ready(sent, "labelled.jpg"), id="ab" * 32)
    pair = Pair(
        (sent.sha256, "ab" * 32), merged=False, likeness="suspected", refusal="presence", decision=None
    )
    decided, elsewhere = replace(pair, decision="distinct"), replace(pair, ids=(sent.sha256, "cd" * 32))
    rows = [ready(sent, "plain.jpg"), other]

    sheet = ContactSheet(tmp_path / "demo")
    sheet.add_original(sent)

    html = sheet.write(rows, [pair, decided, elsewhere]).read_text()

    assert html.count("<h2>plain.jpg ? labelled.jpg</h2>") == 1
    assert html.count("differs: presence") == 1


def test_a_rendition_is_shown_before_and_after_its_preset_changed(tmp_path: Path) -> None:
    sheet, other = ContactSheet(tmp_path), images.jpeg_bytes(images.product_photo(1, (200, 100)))
    after = replace(THUMB, id="thumb-2c3d", height=100, size_bytes=len(other))
    sheet.add_renditions("ab", [THUMB], download=lambda _: DATA)
    sheet.add_renditions("ab", [after], download=lambda _: other)

    html = sheet.write([], changes=[Change("ab", "<mug>.jpg", THUMB, after)]).read_text()

    shown = [attributes["src"] for tag, attributes in Page(html).tags if tag == "img"]
    assert shown == ["renditions/ab/thumb-0a1b.jpg", "renditions/ab/thumb-2c3d.jpg"]
    assert "&lt;mug&gt;.jpg, thumb" in html and "200 x 150" in html and "200 x 100" in html


def test_a_png_whose_exif_is_none_is_shown_as_it_is(tmp_path: Path) -> None:
    data = images.png_bytes(images.product_photo(3, (80, 60)), exif=b"Exif\0\0this is no TIFF")
    sheet, sent = ContactSheet(tmp_path / "demo"), photo(tmp_path, data, "odd.png")

    sheet.add_original(sent)

    assert (tmp_path / "demo" / "originals" / f"{sent.sha256}.webp").exists()


def test_a_rendition_of_another_size_than_promised_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    sheet = ContactSheet(tmp_path)
    with pytest.raises(RenditionDiffersError):
        sheet.add_renditions("ab", [THUMB], download=lambda _: DATA[:-1])
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_preview_of_a_turned_original_stands_upright(tmp_path: Path, orientation: int) -> None:
    sent = photo(tmp_path, images.oriented(images.product_photo(2, (300, 200)), orientation))
    ContactSheet(tmp_path).add_original(sent)
    with Image.open(tmp_path / "originals" / f"{sent.sha256}.webp") as preview:
        assert preview.size == (300, 200)
        assert not preview.getexif()


@pytest.mark.parametrize(
    "data",
    [
        images.jpeg_bytes(images.product_photo(3).convert("CMYK"), icc_profile=images.cmyk_profile()),
        images.png_bytes(images.in_mode(images.product_photo(3), "I;16")),
        images.tiff_bytes(images.in_mode(images.product_photo(3), "F")),
        images.tiff_bytes(images.in_mode(images.product_photo(3), "LAB")),
        images.png_bytes(images.in_mode(images.product_photo(3), "P")),
        images.gif_bytes(images.product_photo(3)),
    ],
    ids=["cmyk", "16-bit", "float", "lab", "palette", "gif"],
)
def test_an_original_no_browser_shows_gets_a_preview_that_is_neither_black_nor_white(
    tmp_path: Path, data: bytes
) -> None:
    sent = photo(tmp_path, data)
    ContactSheet(tmp_path).add_original(sent)
    with Image.open(tmp_path / "originals" / f"{sent.sha256}.webp") as preview:
        low, high = preview.convert("L").getextrema()
    assert isinstance(low, int) and isinstance(high, int)
    assert low < 120 and high > 230


def test_a_preview_that_cannot_be_made_leaves_a_place_that_says_so(tmp_path: Path) -> None:
    sheet, sent = ContactSheet(tmp_path / "demo"), photo(tmp_path, b"no image")
    sheet.add_original(sent)
    assert "no preview" in sheet.write([ready(sent)]).read_text()

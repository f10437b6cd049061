import hashlib
import os
from pathlib import Path

import pytest
from PIL import Image

from infra.local.photos import Photo, Unreadable, collect, content_type_of, printable
from infra.pictures.demo_photos import draw_photos


def photos_by_name(folder: Path) -> dict[str, Photo]:
    return {found.name: found for found in collect(folder) if isinstance(found, Photo)}


def unreadable_by_name(folder: Path) -> dict[str, str]:
    return {found.name: found.code for found in collect(folder) if isinstance(found, Unreadable)}


def test_every_file_below_a_folder_is_collected_whatever_it_is(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("z.jpg", ".hidden", "a/notes.txt", "a/b/empty"):
        (tmp_path / name).write_bytes(b"x" if name != "a/b/empty" else b"")
    found = photos_by_name(tmp_path)
    assert set(found) == {"z.jpg", ".hidden", "a/notes.txt", "a/b/empty"}
    assert found["z.jpg"].sha256 == hashlib.sha256(b"x").hexdigest()
    assert (found["z.jpg"].size_bytes, found["a/b/empty"].size_bytes) == (1, 0)


def test_a_link_that_leads_back_up_ends(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "photo.jpg").write_bytes(b"x")
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    assert set(photos_by_name(tmp_path)) == {"sub/photo.jpg"}


def test_a_folder_behind_a_link_is_collected(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "photo.jpg").write_bytes(b"x")
    chosen = tmp_path / "chosen"
    chosen.mkdir()
    (chosen / "link").symlink_to(elsewhere)
    assert set(photos_by_name(chosen)) == {"link/photo.jpg"}


def test_what_has_no_bytes_to_read_is_named_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "nowhere.jpg").symlink_to(tmp_path / "missing")
    (tmp_path / "itself.jpg").symlink_to("itself.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    assert unreadable_by_name(tmp_path) == {
        "nowhere.jpg": "enoent",
        "itself.jpg": "eloop",
        "pipe.jpg": "not_a_file",
    }


def test_a_name_that_is_not_text_is_collected_and_can_be_announced(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.jpg")).write_bytes(b"x")
    (found,) = photos_by_name(tmp_path).values()
    assert found.filename == "bad\N{REPLACEMENT CHARACTER}.jpg"
    assert found.filename.encode()


def test_one_file_can_be_chosen_instead_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"x")
    assert set(photos_by_name(tmp_path / "photo.jpg")) == {"photo.jpg"}


def test_a_missing_folder_is_an_error_and_not_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(collect(tmp_path / "missing"))


@pytest.mark.parametrize(
    ("name", "head", "expected"),
    [
        ("a.JPG", b"", "image/jpeg"),
        ("a.webp", b"\xff\xd8\xff", "image/webp"),
        ("a.avif", b"", "image/avif"),
        ("a.tif", b"", "image/tiff"),
        ("IMG_0001.HEIC", b"", "image/heic"),
        ("photo", b"\0\0\0\x20ftypheic", "image/heic"),
        ("notes.txt", b"\xff\xd8\xff", "text/plain"),
        ("photo", b"\xff\xd8\xff\xe0", "image/jpeg"),
        ("photo", b"\x89PNG\r\n\x1a\n", "image/png"),
        ("photo", b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        ("photo", b"\0\0\0\x20ftypavif", "image/avif"),
        ("photo", b"GIF89a", "image/gif"),
        ("photo", b"MM\0*", "image/tiff"),
        ("a.jpg.gz", b"\x1f\x8b", "application/octet-stream"),
        ("", b"", "application/octet-stream"),
    ],
)
def test_the_declared_type_follows_the_name_and_then_the_first_bytes(
    name: str, head: bytes, expected: str
) -> None:
    assert content_type_of(name, head) == expected


def test_printable_text_keeps_every_script_and_drops_what_garbles() -> None:
    assert printable("Öl 油 café.jpg") == "Öl 油 café.jpg"
    assert printable("a\nb\x1b[31m\u202egpj\udcff") == "a\ufffdb\ufffd[31m\ufffdgpj\ufffd"


def test_the_drawn_photos_are_the_same_bytes_every_time_and_cover_what_they_promise(tmp_path: Path) -> None:
    draw_photos(tmp_path / "first")
    draw_photos(tmp_path / "second")
    first, second = photos_by_name(tmp_path / "first"), photos_by_name(tmp_path / "second")
    assert {name: photo.sha256 for name, photo in first.items()} == {
        name: photo.sha256 for name, photo in second.items()
    }
    types = {photo.content_type for photo in first.values()}
    assert types >= {f"image/{kind}" for kind in ("jpeg", "png", "webp", "avif", "heic", "tiff", "gif")}
    assert len({photo.sha256 for photo in first.values()}) == len(first) - 1  # one exact copy
    with Image.open(first["book-print-cmyk.jpg"].path) as image:
        assert image.mode == "CMYK"
    with Image.open(first["book-sideways.jpg"].path) as image:
        assert image.getexif()[0x0112] == 6
    with Image.open(first["mug-cutout.png"].path) as image:
        assert image.has_transparency_data

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from catalog_images import (
    ApiError,
    CatalogClient,
    Image,
    NotFinishedError,
    Rendition,
    Ticket,
    UnreachableError,
    UploadRefusedError,
)
from infra.local.contact_sheet import ContactSheet
from infra.local.demo import Journey, send_all, unlisted
from infra.local.photos import Photo
from infra.local.report import End

THUMB = Rendition("thumb-v", "thumb", "http://s3/thumb.jpg", 3, 200, 150, 85)


@dataclass
class FakeCatalog:
    """The API as the demo sees it: keeps what is sent; `rejects` and the failures are by file name."""

    stored: dict[str, str] = field(default_factory=dict)  # id -> the name it was first sent under
    rejects: dict[str, str] = field(default_factory=dict)
    announcing: dict[str, Exception] = field(default_factory=dict)
    sending: dict[str, Exception] = field(default_factory=dict)
    waiting: dict[str, Exception] = field(default_factory=dict)
    look_alikes: dict[str, str] = field(default_factory=dict)  # name -> the id it is a near-duplicate of
    download_bytes: bytes = b"abc"
    puts: list[str] = field(default_factory=list)
    closed: bool = False

    def announce(self, *, sha256: str, filename: str, **_: object) -> Image | Ticket:
        if error := self.announcing.get(filename):
            raise error
        if sha256 in self.puts:
            return self._image(sha256)
        self.stored[sha256] = filename
        return Ticket(sha256, "http://s3/put", {}, "")

    def put(self, ticket: Ticket, data: bytes) -> None:
        if error := self.sending.get(self.stored[ticket.id]):
            raise error
        assert hashlib.sha256(data).hexdigest() == ticket.id
        self.puts.append(ticket.id)

    def wait(self, image_id: str, **_: object) -> Image:
        if error := self.waiting.get(self.stored[image_id]):
            raise error
        return self._image(image_id)

    def download(self, _: Rendition) -> bytes:
        return self.download_bytes

    def images(self) -> list[Image]:
        return [self._image(image_id) for image_id in self.puts]

    def interrupt(self) -> None:
        self.closed = True

    def _image(self, image_id: str) -> Image:
        name = self.stored[image_id]
        code = self.rejects.get(name)
        document = {
            "original_filename": name,
            "near_duplicate_of": self.look_alikes.get(name),
            "original_width": None if code else 800,
            "original_height": None if code else 600,
            "updated_at": (datetime.now(UTC) + timedelta(seconds=2)).isoformat(),
        }
        status = "rejected" if code else "ready"
        return Image(image_id, status, code, () if code else (THUMB,), document)


@pytest.fixture
def catalog() -> FakeCatalog:
    return FakeCatalog()


@pytest.fixture
def journey(catalog: FakeCatalog, tmp_path: Path) -> Journey:
    return Journey(cast(CatalogClient, catalog), ContactSheet(tmp_path / "demo"))


@pytest.fixture
def photo(tmp_path: Path) -> Callable[..., Photo]:
    def write(name: str, data: bytes = b"data") -> Photo:
        path = tmp_path / name
        path.write_bytes(data)
        return Photo(path, name, len(data), hashlib.sha256(data).hexdigest(), "image/jpeg")

    return write


def quiet() -> Console:
    return Console(file=io.StringIO())


def test_a_new_file_is_sent_and_timed_to_the_moment_it_was_ready(
    journey: Journey, photo: Callable[..., Photo]
) -> None:
    row = journey.of(photo("a.jpg"))
    assert (row.end, row.sent, row.renditions, row.width) == (End.READY, True, (THUMB,), 800)
    assert row.seconds == pytest.approx(2, abs=0.5)


def test_a_second_run_finds_every_file_known_and_sends_nothing(
    journey: Journey, catalog: FakeCatalog, photo: Callable[..., Photo]
) -> None:
    photos = [photo("a.jpg", b"1"), photo("b.jpg", b"2"), photo("cut.jpg", b"3")]
    catalog.rejects["cut.jpg"] = "truncated"
    send_all(photos, journey, console=quiet())
    sent = list(catalog.puts)
    rows, interrupted = send_all(photos, journey, console=quiet())
    assert catalog.puts == sent and not interrupted
    assert all(row.known and row.seconds is None and row.duplicate_of is None for row in rows)
    assert sorted((row.file, row.end, row.code) for row in rows) == [
        ("a.jpg", End.READY, None),
        ("b.jpg", End.READY, None),
        ("cut.jpg", End.REJECTED, "truncated"),
    ]


def test_files_with_the_same_bytes_are_sent_once(
    journey: Journey, catalog: FakeCatalog, photo: Callable[..., Photo]
) -> None:
    rows, _ = send_all([photo("a.jpg"), photo("b.jpg"), photo("c.jpg")], journey, console=quiet())
    assert len(catalog.puts) == 1
    assert [(row.file, row.sent, row.duplicate_of, row.end) for row in rows] == [
        ("a.jpg", True, None, End.READY),
        ("b.jpg", False, "a.jpg", End.READY),
        ("c.jpg", False, "a.jpg", End.READY),
    ]


def test_bytes_known_under_another_name_say_which(journey: Journey, photo: Callable[..., Photo]) -> None:
    journey.of(photo("first.jpg"))
    assert journey.of(photo("renamed.jpg")).duplicate_of == "first.jpg"


def test_a_near_duplicate_says_what_it_looks_like(
    journey: Journey, catalog: FakeCatalog, photo: Callable[..., Photo]
) -> None:
    catalog.look_alikes["small.jpg"] = "ab" * 32
    assert journey.of(photo("small.jpg")).near_duplicate_of == "ab" * 32
    assert journey.of(photo("other.jpg", b"other")).near_duplicate_of is None


@pytest.mark.parametrize(
    ("stage", "error", "ends"),
    [
        ("announcing", ApiError(415, "unsupported_media_type", ""), (End.REFUSED, "unsupported_media_type")),
        ("announcing", ApiError(413, "too_large", ""), (End.REFUSED, "too_large")),
        ("announcing", ApiError(500, "internal_error", ""), (End.UNFINISHED, "internal_error")),
        ("announcing", ApiError(429, "throttled", ""), (End.UNFINISHED, "throttled")),
        ("announcing", UnreachableError(""), (End.UNFINISHED, "unreachable")),
        ("sending", UploadRefusedError(400, "BadDigest", ""), (End.REFUSED, "BadDigest")),
        ("waiting", NotFinishedError("", "processing", 120), (End.UNFINISHED, "processing")),
        ("waiting", ApiError(404, "image_not_found", ""), (End.UNFINISHED, "image_not_found")),
        ("waiting", UnreachableError(""), (End.UNFINISHED, "unreachable")),
    ],
)
def test_every_failure_ends_in_a_row_and_only_a_refusal_is_no_broken_promise(
    journey: Journey,
    photo: Callable[..., Photo],
    stage: str,
    error: Exception,
    ends: tuple[End, str],
) -> None:
    getattr(journey.catalog, stage)["a.jpg"] = error
    row = journey.of(photo("a.jpg"))
    assert (row.end, row.code) == ends
    assert not row.known


def test_a_file_that_changes_while_it_is_sent_is_unreadable_and_not_lost(
    journey: Journey, photo: Callable[..., Photo]
) -> None:
    gone = photo("a.jpg")
    gone.path.unlink()
    assert journey.of(gone).end is End.UNREADABLE


def test_a_rendition_that_is_not_what_the_api_promised_is_a_broken_promise(
    journey: Journey, catalog: FakeCatalog, photo: Callable[..., Photo]
) -> None:
    catalog.download_bytes = b"ab"
    assert journey.of(photo("a.jpg")).end is End.INCOMPLETE


def test_copies_of_a_lost_upload_do_not_wait_for_it_again(
    journey: Journey, catalog: FakeCatalog, photo: Callable[..., Photo]
) -> None:
    catalog.waiting["a.jpg"] = NotFinishedError("", "processing", 120)
    rows = journey.of_copies([photo("a.jpg"), photo("b.jpg")])
    assert [(row.end, row.sent) for row in rows] == [(End.UNFINISHED, True), (End.UNFINISHED, False)]
    assert len(catalog.puts) == 1


def test_ctrl_c_keeps_what_is_done_and_interrupts_the_client(
    journey: Journey, catalog: FakeCatalog, photo: Callable[..., Photo], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(journeys: list[Any]) -> Any:
        yield journeys[0]
        raise KeyboardInterrupt

    monkeypatch.setattr("infra.local.demo.as_completed", interrupted)
    rows, was_interrupted = send_all([photo("a.jpg", b"1"), photo("b.jpg", b"2")], journey, console=quiet())
    assert ([row.file for row in rows], was_interrupted, catalog.closed) == (["a.jpg"], True, True)


def test_a_file_the_list_does_not_show_in_its_end_state_is_told(
    journey: Journey, catalog: FakeCatalog, photo: Callable[..., Photo]
) -> None:
    rows, _ = send_all([photo("a.jpg", b"1"), photo("b.jpg", b"2")], journey, console=quiet())
    client = cast(CatalogClient, catalog)
    assert unlisted(client, rows) == []
    catalog.rejects["a.jpg"] = "corrupt"
    catalog.puts.remove(hashlib.sha256(b"2").hexdigest())
    assert sorted(unlisted(client, rows)) == ["a.jpg", "b.jpg"]

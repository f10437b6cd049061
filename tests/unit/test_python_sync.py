"""Synchronizing a folder with a catalog that remembers what it was asked."""

import hashlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from catalog_images import (
    ApiError,
    CatalogClient,
    Image,
    Known,
    NewReference,
    Ticket,
    UnreachableError,
    UploadRefusedError,
)
from catalog_images import syncing as module
from catalog_images.key_patterns import KeyPattern
from catalog_images.models import Announcement
from catalog_images.reports import End, Outcome, Report
from catalog_images.syncing import Sync

JPEG = b"\xff\xd8\xff\xe0"


def id_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Catalog:
    """Images by id and status; `becomes` is what an image is after its PUT."""

    images: dict[str, str] = field(default_factory=dict)
    becomes: Callable[[str], str] = lambda _: "ready"
    announced: list[list[str]] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    puts: list[str] = field(default_factory=list)
    references: list[NewReference] = field(default_factory=list)
    referred: list[int] = field(default_factory=list)
    refusals: dict[str, list[ApiError]] = field(default_factory=dict)  # of announcements, by id, in turn
    put_errors: dict[str, list[Exception]] = field(default_factory=dict)
    on_put: Callable[[], None] = lambda: None
    interrupted: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def announce_many(self, announcements: Sequence[Announcement]) -> list[Known | Ticket | ApiError]:
        assert len(announcements) <= 100
        with self.lock:
            self.announced.append([each.sha256 for each in announcements])
            return [self._announced(each.sha256) for each in announcements]

    def _announced(self, id_: str) -> Known | Ticket | ApiError:
        if waiting := self.refusals.get(id_):
            return waiting.pop(0)
        status = self.images.get(id_)
        if status in {None, "mismatched"}:
            return Ticket(id_, "", {}, "")
        held = tuple(new.reference for new in self.references if new.id == id_)[:10]
        return Known(id_, str(status), "corrupt" if status == "rejected" else None, held)

    def put(self, ticket: Ticket, source: Path, **_: Any) -> None:
        self.on_put()
        with self.lock:
            if waiting := self.put_errors.get(ticket.id):
                raise waiting.pop(0)
            assert id_of(source.read_bytes()) == ticket.id
            self.puts.append(ticket.id)
            self.images[ticket.id] = self.becomes(ticket.id)

    def get_many(self, ids: Sequence[str]) -> dict[str, Image]:
        assert 1 <= len(ids) <= 100
        self.asked.append(len(ids))
        with self.lock:
            return {id_: self._image(id_) for id_ in ids if id_ in self.images}

    def _image(self, id_: str) -> Image:
        status = self.images[id_]
        codes = {"rejected": "corrupt", "mismatched": "checksum_mismatch"}
        known = "rejected" if status == "mismatched" else status
        return Image(id_, known, codes.get(status), (), cast("Any", {}))

    def refer_many(self, references: Sequence[NewReference]) -> list[ApiError | None]:
        assert 1 <= len(references) <= 100
        self.referred.append(len(references))
        self.references += references
        return [
            ApiError(409, "too_many_references", "") if new.reference == "full" else None
            for new in references
        ]

    def interrupt(self) -> None:
        self.interrupted = True


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is waited for; a run that hangs ends after 30 seconds."""
    for name in ("_FIRST_POLL_SECONDS", "_LONGEST_POLL_SECONDS", "_AGAIN_SECONDS", "_LINGER_SECONDS"):
        monkeypatch.setattr(module, name, 0.001)
    signal.alarm(30)
    yield
    signal.alarm(0)


def synced(
    catalog: Catalog, folder: Path, told: Callable[[Outcome], object] = print, **options: Any
) -> Report:
    return Sync(cast("CatalogClient", catalog), **options).run(folder, told=told)


def write(folder: Path, **files: bytes) -> dict[str, str]:
    """Files by name, and their ids."""
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return {name: id_of(data) for name, data in files.items()}


def ends(report: Report) -> dict[str, tuple[str, str | None]]:
    return {outcome.file: (outcome.end.value, outcome.code) for outcome in report.outcomes}


def test_only_what_the_catalog_does_not_have_is_sent(tmp_path: Path) -> None:
    ids = write(tmp_path, a=JPEG + b"a", b=JPEG + b"b")
    catalog = Catalog({ids["a"]: "ready"})

    report = synced(catalog, tmp_path)

    assert catalog.puts == [ids["b"]]
    assert ends(report) == {"a": ("ready", None), "b": ("ready", None)}
    assert ([one.file for one in report.sent], [one.file for one in report.known]) == (["b"], ["a"])
    assert report.is_whole and not report.interrupted


def test_folders_below_are_visited_and_a_loop_of_links_ends(tmp_path: Path) -> None:
    (tmp_path / "lamps" / "brass").mkdir(parents=True)
    (tmp_path / "lamps" / "brass" / "one.jpg").write_bytes(JPEG)
    (tmp_path / "lamps" / "again").symlink_to(tmp_path)

    assert list(ends(synced(Catalog(), tmp_path))) == ["lamps/brass/one.jpg"]


def test_one_file_can_be_synchronized(tmp_path: Path) -> None:
    write(tmp_path, a=JPEG)
    assert ends(synced(Catalog(), tmp_path / "a")) == {"a": ("ready", None)}


def test_250_files_are_announced_in_batches_and_each_is_sent_once(tmp_path: Path) -> None:
    ids = write(tmp_path, **{f"{number:03}": JPEG + bytes([number]) for number in range(250)})
    catalog = Catalog()

    report = synced(catalog, tmp_path)

    assert sorted(catalog.puts) == sorted(ids.values())
    assert sum(map(len, catalog.announced)) == 250
    assert len(report.of(End.READY)) == 250


def test_a_thousand_known_files_are_ten_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LINGER_SECONDS", 5.0)
    ids = write(tmp_path, **{f"{number:04}": JPEG + number.to_bytes(2) for number in range(1000)})
    catalog = Catalog(dict.fromkeys(ids.values(), "ready"))

    assert len(synced(catalog, tmp_path).known) == 1000

    assert [len(batch) for batch in catalog.announced] == [100] * 10
    assert catalog.asked == [] and catalog.puts == []


def test_files_with_the_same_bytes_are_sent_once_and_each_is_told(tmp_path: Path) -> None:
    write(tmp_path, a=JPEG, b=JPEG, c=JPEG)
    catalog = Catalog()

    report = synced(catalog, tmp_path)

    assert len(catalog.puts) == 1
    assert list(ends(report).values()) == [("ready", None)] * 3
    assert len(report.sent) == 1


def test_what_is_no_image_is_skipped(tmp_path: Path) -> None:
    write(tmp_path, notes=b"hello", empty=b"")
    report = synced(Catalog(), tmp_path)
    assert ends(report) == {"empty": ("skipped", None), "notes": ("skipped", None)}
    assert report.is_whole


def test_a_rejected_image_is_named_with_its_code(tmp_path: Path) -> None:
    write(tmp_path, a=JPEG)
    report = synced(Catalog(becomes=lambda _: "rejected"), tmp_path)
    assert ends(report) == {"a": ("rejected", "corrupt")}
    assert not report.is_whole


def test_a_file_that_cannot_be_read_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    write(tmp_path, a=JPEG)
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    assert ends(synced(Catalog(), tmp_path)) == {"a": ("ready", None), "gone": ("failed", "enoent")}


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    import os  # noqa: PLC0415

    os.mkfifo(tmp_path / "pipe")
    assert ends(synced(Catalog(), tmp_path)) == {"pipe": ("failed", "not_a_file")}


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (UploadRefusedError(400, "BadDigest", ""), ("failed", "changed_while_sending")),
        (UploadRefusedError(403, "AccessDenied", ""), ("ready", None)),  # the next ticket is good
        (UnreachableError("lost"), ("ready", None)),
    ],
)
def test_a_put_that_failed_is_tried_again_where_that_may_help(
    tmp_path: Path, error: Exception, end: tuple[str, str | None]
) -> None:
    ids = write(tmp_path, a=JPEG)
    assert ends(synced(Catalog(put_errors={ids["a"]: [error]}), tmp_path)) == {"a": end}


def test_tries_of_a_put_come_to_an_end(tmp_path: Path) -> None:
    ids = write(tmp_path, a=JPEG)
    catalog = Catalog(put_errors={ids["a"]: [UnreachableError("lost")] * 9})
    assert ends(synced(catalog, tmp_path)) == {"a": ("failed", "unreachable")}
    assert len(catalog.announced) == 3


def test_an_image_that_heals_is_sent_again(tmp_path: Path) -> None:
    ids = write(tmp_path, a=JPEG)
    statuses = iter(["mismatched", "ready"])
    catalog = Catalog(becomes=lambda _: next(statuses))
    assert ends(synced(catalog, tmp_path)) == {"a": ("ready", None)}
    assert catalog.puts == [ids["a"]] * 2


@pytest.mark.parametrize("code", ["too_many_uploads", "timeout"])
def test_what_is_not_taken_yet_is_announced_again_however_often(tmp_path: Path, code: str) -> None:
    ids = write(tmp_path, a=JPEG)
    full = ApiError(429, code, "", retry_after=0.001)
    assert ends(synced(Catalog(refusals={ids["a"]: [full] * 9}), tmp_path)) == {"a": ("ready", None)}


def test_a_refused_announcement_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    ids = write(tmp_path, a=JPEG + b"a", b=JPEG + b"b")
    catalog = Catalog(refusals={ids["a"]: [ApiError(413, "too_large", "")]})
    assert ends(synced(catalog, tmp_path)) == {"a": ("failed", "too_large"), "b": ("ready", None)}


def test_refused_credentials_end_the_run(tmp_path: Path) -> None:
    ids = write(tmp_path, a=JPEG)
    catalog = Catalog(refusals={ids["a"]: [ApiError(403, "unknown_client", "nobody")]})
    with pytest.raises(ApiError, match="nobody"):
        synced(catalog, tmp_path)
    assert catalog.interrupted  # no thread tries on


def test_an_image_that_is_not_finished_in_time_is_named_with_its_state(tmp_path: Path) -> None:
    write(tmp_path, a=JPEG)
    catalog = Catalog(becomes=lambda _: "processing")
    assert ends(synced(catalog, tmp_path, timeout_seconds=0)) == {"a": ("failed", "still_processing")}


def test_without_waiting_a_run_ends_with_the_last_put(tmp_path: Path) -> None:
    ids = write(tmp_path, a=JPEG + b"a", b=JPEG + b"b")
    catalog = Catalog({ids["b"]: "processing"}, becomes=lambda _: "processing")
    report = synced(catalog, tmp_path, wait=False)
    assert ends(report) == {"a": ("sent", None), "b": ("unfinished", None)}
    assert catalog.asked == [] and report.is_whole


def test_references_come_from_the_paths_of_every_file(tmp_path: Path) -> None:
    for sku, data in (("4711", JPEG + b"a"), ("4712", JPEG + b"a"), ("full", JPEG + b"b")):
        (tmp_path / sku).mkdir()
        (tmp_path / sku / "front.jpg").write_bytes(data)
    (tmp_path / "other.jpg").write_bytes(JPEG + b"c")
    catalog = Catalog()

    report = synced(catalog, tmp_path, pattern=KeyPattern.parse("{reference}/{filename}"))

    assert {(new.id, new.reference) for new in catalog.references} == {
        (id_of(JPEG + b"a"), "4711"),
        (id_of(JPEG + b"a"), "4712"),
        (id_of(JPEG + b"b"), "full"),
    }
    assert ends(report)["full/front.jpg"] == ("failed", "too_many_references")
    assert report.outcomes[0].references == ("4711",)


def test_ctrl_c_keeps_what_is_done_and_a_second_run_sends_the_rest(tmp_path: Path) -> None:
    write(tmp_path, **{f"{number:02}": JPEG + bytes([number]) for number in range(40)})
    catalog = Catalog()

    def interrupt(_: Outcome) -> None:
        raise KeyboardInterrupt

    first = synced(catalog, tmp_path, told=interrupt, senders=2)
    assert first.interrupted and not first.is_whole and catalog.interrupted
    second = synced(catalog, tmp_path)

    assert len(second.of(End.READY)) == 40
    assert len(set(catalog.puts)) == len(catalog.puts) == 40


def test_a_fault_of_a_thread_ends_the_run_with_it(tmp_path: Path) -> None:
    write(tmp_path, a=JPEG)

    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        synced(Catalog(on_put=fail), tmp_path)


def test_a_second_run_reads_only_what_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    write(folder, a=JPEG + b"a", b=JPEG + b"b", fresh=JPEG + b"c")
    import os  # noqa: PLC0415

    for name in "ab":
        os.utime(folder / name, (1_700_000_000, 1_700_000_000))
    catalog, hashes = Catalog(), tmp_path / "cache" / "hashes.sqlite"
    synced(catalog, folder, hashes=hashes)
    (folder / "b").write_bytes(JPEG + b"changed")
    read: list[str] = []
    reading = module.Hashes.photo.__globals__["read_photo"]

    def noted(path: Path) -> Any:
        read.append(path.name)
        return reading(path)

    monkeypatch.setitem(module.Hashes.photo.__globals__, "read_photo", noted)
    report = synced(catalog, folder, hashes=hashes)

    assert sorted(read) == ["b", "fresh"]  # the time stamp of what just changed may hide another change
    assert [one.file for one in report.sent] == ["b"]


def test_a_damaged_index_costs_reading_again_and_no_more(tmp_path: Path) -> None:
    write(tmp_path, a=JPEG)
    damaged = tmp_path / "index"
    damaged.write_bytes(b"no database" * 100)
    assert ends(synced(Catalog(), tmp_path / "a", hashes=damaged)) == {"a": ("ready", None)}


@pytest.mark.parametrize("files", [1_000, 2_050])
def test_known_files_are_synchronized_again_by_a_hundred_a_call_and_their_references_are_not_set_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: int
) -> None:
    """So 100,000 files take 1,000 calls.  Here a batch waits for its files, however slow the machine is; the
    last one knows that none follow."""
    for number in range(files):
        write(tmp_path, **{f"SKU-{number:04}": JPEG + number.to_bytes(4)})
    catalog = Catalog()
    pattern = KeyPattern.parse("{reference}")
    synced(catalog, tmp_path, told=lambda _: None, pattern=pattern)
    assert sum(catalog.referred) == files
    calls = len(catalog.announced), len(catalog.referred), len(catalog.asked)
    for name in ("_LINGER_SECONDS", "_LONGEST_LINGER_SECONDS"):
        monkeypatch.setattr(module, name, 60.0)

    report = synced(catalog, tmp_path, told=lambda _: None, pattern=pattern)

    assert len(report.known) == files
    full, rest = divmod(files, 100)
    assert [len(batch) for batch in catalog.announced[calls[0] :]] == [100] * full + [rest] * (rest > 0)
    assert (len(catalog.referred), len(catalog.asked)) == calls[1:]


def test_batches_wait_longer_for_files_while_all_are_known_and_not_once_one_is_new(tmp_path: Path) -> None:
    ids = write(tmp_path, a=JPEG + b"a", b=JPEG + b"b")
    lingered: list[float] = []

    class Watched(Catalog):
        def announce_many(self, announcements: Sequence[Announcement]) -> list[Known | Ticket | ApiError]:
            lingered.append(run.announcing.linger)
            return super().announce_many(announcements)

    catalog = cast("CatalogClient", Watched({ids["a"]: "ready"}))
    run = module._Run(Sync(catalog), tmp_path, module.Hashes.of(None), print, print, None)
    known, new = (module._Item(run.hashes.photo(tmp_path / name), [name]) for name in "ab")
    for item in (known, known, known, new, known):
        run._announce([item])
    run.over.set()
    for stage in (run.reading, run.announcing, run.sending, run.referring):
        stage.end()

    assert lingered == [0.001, 0.002, 0.004, 0.008, 0.001]

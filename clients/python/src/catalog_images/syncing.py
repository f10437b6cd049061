"""Bring a folder into the catalog: only what it does not have is sent, in parallel.

    report = Sync(catalog).run(Path("photos"), told=print)

A run that was interrupted or killed is run again: the catalog knows what arrived.
"""

import errno
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, TypeVar

from catalog_images.client import CatalogClient
from catalog_images.errors import ApiError, FileChangedError, UnreachableError, UploadRefusedError
from catalog_images.folders import Hashes, NotAFileError, files_below
from catalog_images.key_patterns import KeyPattern
from catalog_images.models import Image, Known, NewReference, Ticket
from catalog_images.photos import UNKNOWN_TYPE, Photo
from catalog_images.reports import End, Outcome, Report
from catalog_images.stages import Later, Over, Stage
from catalog_images.transport import Progress

BATCH: Final = 100  # announcements, ids or references a call
SENDERS: Final = 8
FINISH_SECONDS: Final = 900.0
_READERS: Final = 4
_CALLERS: Final = 2  # of batches: one is on its way while the next is collected
_LINGER_SECONDS: Final = 0.1  # for a batch to fill
_LONGEST_LINGER_SECONDS: Final = 2.0  # where all is known: no upload waits, and a full batch saves a call
_TRIES: Final = 3
_TICKETS: Final = 400  # offered and not used; one expires after 15 minutes
_FIRST_POLL_SECONDS, _POLL_GROWTH, _LONGEST_POLL_SECONDS = 0.2, 1.3, 1.5
_AGAIN_SECONDS: Final = 5.0  # until what passes by itself is tried again
_REFUSED_ALL: Final = frozenset({"unauthorized", "unknown_client", "forbidden"})
# The next minute has room; a batch that took too long has dealt with its first images.
_NOT_YET: Final = frozenset({"too_many_uploads", "timeout"})
_REFERABLE: Final = frozenset({End.READY, End.SENT, End.UNFINISHED})

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Sync:
    """How folders are synchronized.

    `pattern` finds references in a file's path below the folder; `hashes` is the file that remembers what was
    read.  `timeout_seconds` is what an image may take after its PUT; without `wait` nothing is waited for.
    """

    catalog: CatalogClient
    pattern: KeyPattern | None = None
    hashes: Path | None = None
    senders: int = SENDERS
    wait: bool = True
    timeout_seconds: float = FINISH_SECONDS

    def run(
        self,
        folder: Path,
        *,
        told: Callable[[Outcome], object] = lambda _: None,
        found: Callable[[int], object] = lambda _: None,
        progress: Progress | None = None,
    ) -> Report:
        """Synchronize a folder, or one file.

        In this thread `told` gets every outcome.  In others `found` gets the number of files so far, and
        `progress` the bytes sent.  After Ctrl-C the report tells what was done.  Raises CatalogError where
        nothing can be done, such as for credentials that are refused.  Both interrupt the client.
        """
        hashes = Hashes.of(self.hashes)
        try:
            return _Run(self, folder, hashes, told, found, progress).run()
        finally:
            hashes.close()


@dataclass(slots=True)
class _Item:
    """Bytes on their way, the files that have them, and the references that the catalog has of them."""

    photo: Photo
    files: list[str]
    held: frozenset[str] = frozenset()
    tries: int = 0
    sent: bool = False
    waited_until: float = 0.0  # monotonic seconds
    outcome: Outcome | None = None  # once it has ended

    @property
    def id(self) -> str:
        return self.photo.announcement.sha256


@dataclass
class _Run:
    """One run: a file goes from stage to stage, and ends in `results`."""

    sync: Sync
    folder: Path
    hashes: Hashes
    told: Callable[[Outcome], object]
    found: Callable[[int], object]
    progress: Progress | None
    results: "SimpleQueue[Outcome | None]" = field(default_factory=SimpleQueue)
    items: dict[str, _Item] = field(default_factory=dict)
    waiting: deque[_Item] = field(default_factory=deque)
    again: "Later[_Item]" = field(default_factory=Later)
    lock: threading.Lock = field(default_factory=threading.Lock)
    room: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(_TICKETS))
    number: int = 0  # of files found
    read: int = 0  # of these, those that are announced or have ended
    is_walked: bool = False

    def __post_init__(self) -> None:
        self.over = Over(on_end=lambda: self.results.put(None))
        batches: dict[str, Any] = {"threads": _CALLERS, "most": BATCH, "linger": _LINGER_SECONDS}
        self.reading = Stage(self._read, threads=_READERS, over=self.over)
        self.announcing = Stage(self._announce, over=self.over, **batches)
        self.sending = Stage(self._send, threads=self.sync.senders, over=self.over)
        self.referring = Stage(self._refer, over=self.over, **batches)

    def run(self) -> Report:
        """See Sync.run."""
        began, outcomes, interrupted = time.monotonic(), list[Outcome](), False
        helpers = [
            threading.Thread(target=self.over.guarded, args=(work,), daemon=True)
            for work in (self._walk, self._watch)
        ]
        for helper in helpers:
            helper.start()
        try:
            self._collect(outcomes)
        except KeyboardInterrupt:
            interrupted = True
        if interrupted or self.over.fault is not None:
            self.sync.catalog.interrupt()
        self.over.set()
        for stage in (self.reading, self.announcing, self.sending, self.referring):
            stage.end()
        for helper in helpers:
            helper.join()
        if self.over.fault is not None and not interrupted:
            raise self.over.fault
        by_name = sorted(outcomes, key=lambda outcome: outcome.file)
        return Report(tuple(by_name), time.monotonic() - began, interrupted)

    def _collect(self, outcomes: list[Outcome]) -> None:
        """Take outcomes until every file has one, or the run is over."""
        while not self.over.is_set() and not (self.is_walked and len(outcomes) == self.number):
            if (outcome := self.results.get()) is not None:
                outcomes.append(outcome)
                self.told(outcome)

    # --- Finding and reading ------------------------------------------------------------------------------

    def _walk(self) -> None:
        for path in files_below(self.folder, failed=self._unreadable_folder):
            if self.over.is_set():
                return
            self._count()
            self.reading.put(path)
        self.is_walked = True
        self._flush_at_the_end(files=0)
        self.results.put(None)

    def _flush_at_the_end(self, *, files: int = 1) -> None:
        """Count files as read; the last batch waits for no more."""
        with self.lock:
            self.read += files
            if self.is_walked and self.read == self.number:
                self.announcing.flush()

    def _count(self) -> None:
        self.number += 1
        self.found(self.number)

    def _unreadable_folder(self, error: OSError) -> None:
        self._count()
        self.results.put(Outcome(self._name(Path(error.filename)), End.FAILED, code=_code(error)))
        self._flush_at_the_end()

    def _name(self, path: Path) -> str:
        return path.name if path == self.folder else path.relative_to(self.folder).as_posix()

    def _read(self, paths: Sequence[Path]) -> None:
        for path in paths:
            self._read_one(path)
            self._flush_at_the_end()

    def _read_one(self, path: Path) -> None:
        name = self._name(path)
        try:
            photo = self.hashes.photo(path)
        except OSError as error:
            self.results.put(Outcome(name, End.FAILED, code=_code(error)))
            return
        if photo.announcement.content_type == UNKNOWN_TYPE:
            self.results.put(Outcome(name, End.SKIPPED, size_bytes=photo.announcement.size_bytes))
        else:
            self._add(name, photo)

    def _add(self, name: str, photo: Photo) -> None:
        """Begin with bytes that are new to this run; files with the same bytes share what becomes of them."""
        with self.lock:
            item = self.items.get(photo.announcement.sha256)
            if item is None:
                item = self.items[photo.announcement.sha256] = _Item(photo, [name])
                self.announcing.put(item)
                return
            item.files.append(name)
            ended = item.outcome
        if ended is not None:
            self._file_ended(item, name, replace(ended, sent=False))

    # --- Announcing and sending ---------------------------------------------------------------------------

    def _announce(self, items: Sequence[_Item]) -> None:
        for _ in items:
            while not self.room.acquire(timeout=0.5):
                if self.over.is_set():
                    return
        announced = self.sync.catalog.announce_many([item.photo.announcement for item in items])
        some_are_new = any(isinstance(answer, Ticket) for answer in announced)
        longer = min(2 * self.announcing.linger, _LONGEST_LINGER_SECONDS)
        self.announcing.linger = _LINGER_SECONDS if some_are_new else longer
        for item, answer in zip(items, announced, strict=True):
            if isinstance(answer, Ticket):
                self.sending.put((item, answer))
                continue
            self.room.release()
            if isinstance(answer, ApiError):
                self._refused(item, answer)
                continue
            item.held = frozenset(answer.references)
            if answer.is_finished:
                self._finished(item, answer)
            else:
                self._await(item)

    def _refused(self, item: _Item, error: ApiError) -> None:
        if error.code in _REFUSED_ALL:
            raise error
        if error.code in _NOT_YET:  # as often as it takes
            self.again.put(item, error.retry_after or _AGAIN_SECONDS)
        elif error.code == "image_being_deleted":
            self._try_again(item, error.code)
        else:
            self._ended(item, End.FAILED, code=error.code)

    def _try_again(self, item: _Item, code: str) -> None:
        item.tries += 1
        if item.tries >= _TRIES:
            self._ended(item, End.FAILED, code=code)
        else:
            self.again.put(item, _AGAIN_SECONDS)

    def _send(self, tickets: Sequence[tuple[_Item, Ticket]]) -> None:
        for item, ticket in tickets:
            try:
                self.sync.catalog.put(ticket, item.photo.path, progress=self.progress)
            except FileChangedError:
                self._ended(item, End.FAILED, code="changed_while_sending")
            except OSError as error:
                self._ended(item, End.FAILED, code=_code(error))
            except UploadRefusedError as error:
                self._put_refused(item, error)
            except UnreachableError:
                self._try_again(item, "unreachable")
            else:
                item.sent = True
                self._await(item)
            finally:
                self.room.release()

    def _put_refused(self, item: _Item, error: ApiError) -> None:
        """S3 answers 400 to other bytes than announced, and 403 to a ticket that expired."""
        if error.status == HTTPStatus.BAD_REQUEST:
            self._ended(item, End.FAILED, code="changed_while_sending")
        else:
            self._try_again(item, error.code)

    # --- Waiting ------------------------------------------------------------------------------------------

    def _await(self, item: _Item) -> None:
        if not self.sync.wait:
            self._ended(item, End.SENT if item.sent else End.UNFINISHED)
            return
        item.waited_until = time.monotonic() + self.sync.timeout_seconds
        self.waiting.append(item)

    def _watch(self) -> None:
        """Ask for those that wait, the longest first, and announce again what is due."""
        pause = _FIRST_POLL_SECONDS
        while not self.over.wait(pause):
            for item in self.again.due():
                self.announcing.put(item)
            asked = [self.waiting.popleft() for _ in range(min(BATCH, len(self.waiting)))]
            found = self.sync.catalog.get_many([item.id for item in asked]) if asked else {}
            left = [item for item in asked if not self._looked_at(item, found.get(item.id))]
            self.waiting.extend(left)
            still = bool(left) and len(left) == len(asked)
            pause = min(pause * _POLL_GROWTH, _LONGEST_POLL_SECONDS) if still else _FIRST_POLL_SECONDS

    def _looked_at(self, item: _Item, image: Image | None) -> bool:
        """Whether waiting for it is over."""
        if image is None:
            self._ended(item, End.FAILED, code="image_not_found")
        elif image.heals:
            self._try_again(item, str(image.rejection_code))
        elif image.is_finished:
            self._finished(item, image)
        elif time.monotonic() > item.waited_until:
            self._ended(item, End.FAILED, code=f"still_{image.status}")
        else:
            return False
        return True

    # --- Ends ---------------------------------------------------------------------------------------------

    def _finished(self, item: _Item, image: Image | Known) -> None:
        if image.status == "ready":
            self._ended(item, End.READY)
        else:
            self._ended(item, End.REJECTED, code=image.rejection_code)

    def _ended(self, item: _Item, end: End, *, code: str | None = None) -> None:
        photo = item.photo.announcement
        arrived = item.sent or end is not End.FAILED
        outcome = Outcome("", end, photo.sha256 if arrived else None, item.sent, photo.size_bytes, code)
        with self.lock:
            item.outcome, files = outcome, list(item.files)
        for number, name in enumerate(files):
            self._file_ended(item, name, replace(outcome, sent=item.sent and number == 0))

    def _file_ended(self, item: _Item, name: str, outcome: Outcome) -> None:
        named = self.sync.pattern.match(name) if self.sync.pattern else None
        references = named.references if named and outcome.end in _REFERABLE else ()
        outcome = replace(outcome, file=name, references=tuple(dict.fromkeys(references)))
        new = [NewReference(item.id, each) for each in outcome.references if each not in item.held]
        if new:
            self.referring.put((outcome, new))
        else:
            self.results.put(outcome)

    def _refer(self, asked: Sequence[tuple[Outcome, Sequence[NewReference]]]) -> None:
        wanted = list(dict.fromkeys(each for _, new in asked for each in new))
        refused: dict[NewReference, ApiError | None] = {}
        for batch in batched(wanted, BATCH):
            refused.update(zip(batch, self.sync.catalog.refer_many(batch), strict=True))
        for outcome, new in asked:
            error = next((error for each in new if (error := refused[each])), None)
            self.results.put(replace(outcome, end=End.FAILED, code=error.code) if error else outcome)


def batched(items: Sequence[_T], most: int) -> Iterator[Sequence[_T]]:
    """As itertools has it from Python 3.12."""
    return (items[start : start + most] for start in range(0, len(items), most))


def _code(error: OSError) -> str:
    if isinstance(error, NotAFileError):
        return "not_a_file"
    return errno.errorcode.get(error.errno or 0, "unreadable").lower()

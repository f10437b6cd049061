"""The photos of a folder, each read once: an index of hashes spares the next run what did not change."""

import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from catalog_images.models import Announcement
from catalog_images.photos import Photo, read_photo, sendable_name

# A file may change again within its time stamp's resolution (2 s on FAT): such hashes are not kept.
_SETTLED_SECONDS: Final = 2.0
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS hashes (
    path TEXT PRIMARY KEY, size INTEGER, changed INTEGER, inode INTEGER, sha256 TEXT, content_type TEXT
) WITHOUT ROWID
"""


def files_below(chosen: Path, *, failed: Callable[[OSError], None]) -> Iterator[Path]:
    """Every file at or below `chosen`, by name.  Visits no folder twice.

    `failed` is told of each folder that cannot be read.
    """
    if not chosen.is_dir():
        yield chosen
        return
    visited: set[tuple[int, int]] = set()
    for folder, folders, files in os.walk(chosen, followlinks=True, onerror=failed):
        here = Path(folder).stat()
        if (here.st_dev, here.st_ino) in visited:
            folders.clear()
            continue
        visited.add((here.st_dev, here.st_ino))
        folders.sort()
        for file in sorted(files):
            yield Path(folder, file)


class NotAFileError(OSError):
    """A pipe or a device, which is not opened: it would wait for a writer."""


@dataclass(frozen=True, slots=True)
class Hashes:
    """Hashes of files by path, size, time of change and inode; threads may share it.

    A damaged or locked index costs reading the files again, and no more.
    """

    index: sqlite3.Connection | None
    lock: threading.Lock

    @classmethod
    def of(cls, file: Path | None) -> "Hashes":
        """The index in a file, made if need be; None keeps nothing."""
        if file is None:
            return cls(None, threading.Lock())
        try:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            index = sqlite3.connect(file, check_same_thread=False, timeout=1.0)
            index.execute("PRAGMA synchronous = OFF")  # a lost hash is found again
            index.execute(_SCHEMA)
        except (OSError, sqlite3.Error):
            return cls(None, threading.Lock())
        return cls(index, threading.Lock())

    def photo(self, path: Path) -> Photo:
        """The file with its hash, read only if it changed.  Raises OSError."""
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise NotAFileError(f"{path} is not a file")
        kept = self._kept(path, found)
        if kept is not None:
            return Photo(path, kept)
        photo = read_photo(path)
        if time.time() - found.st_mtime > _SETTLED_SECONDS and photo.announcement.size_bytes == found.st_size:
            self._keep(photo, found)
        return photo

    def close(self) -> None:
        with suppress(sqlite3.Error):
            if self.index is not None:
                self.index.commit()
                self.index.close()

    def _kept(self, path: Path, found: os.stat_result) -> Announcement | None:
        if self.index is None:
            return None
        asked = "SELECT sha256, content_type FROM hashes WHERE path=? AND size=? AND changed=? AND inode=?"
        key = (_name(path), found.st_size, found.st_mtime_ns, found.st_ino)
        with suppress(sqlite3.Error), self.lock:
            row = self.index.execute(asked, key).fetchone()
            return row and Announcement(row[0], found.st_size, row[1], sendable_name(path.name))
        return None

    def _keep(self, photo: Photo, found: os.stat_result) -> None:
        if self.index is None:
            return
        of = photo.announcement
        row = (_name(photo.path), found.st_size, found.st_mtime_ns, found.st_ino, of.sha256, of.content_type)
        with suppress(sqlite3.Error), self.lock:
            self.index.execute("INSERT OR REPLACE INTO hashes VALUES (?, ?, ?, ?, ?, ?)", row)


def _name(path: Path) -> str:
    """Also of names that are no UTF-8, which SQLite does not take."""
    return os.fsencode(path.absolute()).decode("utf-8", "backslashreplace")

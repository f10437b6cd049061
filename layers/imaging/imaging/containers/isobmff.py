"""ISO base media files of still images (ISO 14496-12, 23008-12): boxes, and the items that an index lists.

AVIF holds AV1 pictures in this format, HEIC holds HEVC pictures.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from imaging.coded_colours import coded_profile
from imaging.containers.container import MAX_PARTS, corrupt, truncated, unsupported

# Boxes that list items, and their largest size in all.  A grid of 256 tiles takes 12 KB.  For each item,
# libavif searches all earlier ones: 100,000 items (1 MB) took it 23 s.
_LISTS: Final = frozenset((b"iloc", b"iinf", b"iref", b"grpl", b"ipma"))
_MAX_LIST_BYTES: Final = 2**16
_IN_IDAT: Final = 1  # a construction method of `iloc`

Box = tuple[bytes, int, int]
"""Type, and start and end of the body."""
Extents = tuple[tuple[int, int], ...]
"""Offset and length of each piece of an item, in bytes; length 0 extends to the end."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An item of the index; `kind_at` is the file's offset of its kind."""

    item: int
    kind: bytes
    kind_at: int


@dataclass(frozen=True, slots=True)
class Reference:
    kind: bytes
    source: int
    targets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Location:
    """Where the bytes of an item are.  Offsets of method 1 count from the start of `idat`."""

    item: int
    method: int
    extents: Extents

    @property
    def in_idat(self) -> bool:
        return self.method == _IN_IDAT


@dataclass(frozen=True, slots=True)
class ItemIndex:
    """A file, and the index of items in its `meta` box.  `primary` is 0, no item's id, if none is named.

    `bodies` has the start and end of each box's body in `meta`; `properties` are the boxes that items share.
    """

    data: bytes
    boxes: tuple[Box, ...]
    complete: bool
    bodies: dict[bytes, tuple[int, int]]
    properties: tuple[Box, ...]
    associations_at: int | None
    primary: int
    entries: tuple[Entry, ...]
    references: tuple[Reference, ...]

    def properties_of(self, item: int) -> Iterator[Box]:
        """The item's properties in the order of their association (ISO 23008-12, 9.3)."""
        if self.associations_at is None:
            return
        for number in _associated(self.data, self.associations_at, item):
            if 1 <= number <= len(self.properties):
                yield self.properties[number - 1]

    def locations(self) -> Iterator[Location]:
        """The items' locations.  Raises ImageRejectedError(corrupt) if they exceed twice the file's bytes.

        Shared extents, as of equal tiles of a grid, count once.
        """
        return _locations(self.data, *self.bodies[b"iloc"])

    def nclx_at(self, item: int) -> int:
        """The file's offset of the values in the item's last `nclx` colour box; 0 without one."""
        found = 0
        for name, start, _ in self.properties_of(item):
            if name == b"colr" and self.data[start : start + 4] == b"nclx":
                found = start + 4
        return found


def read_index(data: bytes) -> ItemIndex:
    """The index of a file.

    Raises ImageRejectedError(truncated | corrupt | unsupported_format), the last if it has no still image;
    IndexError or struct.error if the index contradicts itself.
    """
    boxes = tuple(walk(data, 0, len(data)))
    complete = all(end <= len(data) for _, _, end in boxes)
    meta = next(((start + 4, end) for name, start, end in boxes if name == b"meta"), None)
    if meta is None:
        raise unsupported("an image sequence without a still") if complete else truncated("no image index")
    if meta[1] > len(data):
        raise truncated("the file ends inside its image index")
    inner = list(walk(data, *meta))
    bodies = _bodies(inner)
    if not {b"iprp", b"iinf", b"iloc"} <= bodies.keys():
        raise corrupt("an image index without properties, items or locations")
    properties = list(walk(data, *bodies[b"iprp"]))
    list_bytes = sum(end - start for name, start, end in (*inner, *properties) if name in _LISTS)
    if list_bytes > _MAX_LIST_BYTES:
        raise corrupt(f"{list_bytes:,} bytes that list its items")
    of_items = _bodies(properties)
    shared = tuple(walk(data, *of_items[b"ipco"])) if b"ipco" in of_items else ()
    return ItemIndex(
        data,
        boxes,
        complete,
        bodies,
        shared,
        of_items[b"ipma"][0] if b"ipma" in of_items else None,
        _primary(data, bodies),
        tuple(_entries(data, *bodies[b"iinf"])),
        tuple(_references(data, *bodies[b"iref"])) if b"iref" in bodies else (),
    )


def walk(data: bytes, at: int, stop: int) -> Iterator[Box]:
    """The boxes in `data[at:stop]`; the stated end of the last box may lie beyond `stop`."""
    for _ in range(MAX_PARTS):
        if at + 8 > stop:
            return
        size, body = int.from_bytes(data[at : at + 4]), at + 8
        if size == 1:
            size, body = int.from_bytes(data[at + 8 : at + 16]), at + 16
        end = at + size if size else stop
        if end < body:
            raise corrupt("a box shorter than its own header")
        yield data[at + 4 : at + 8], body, end
        at = end
    raise corrupt(f"more than {MAX_PARTS:,} boxes")


def clean_aperture(clap: bytes, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the shown pixels (ISO 14496-12, 12.1.4)."""
    edges = []
    values = struct.unpack(">IIIIiIiI", clap)
    for have, kept, offset in ((size[0], values[0:2], values[4:6]), (size[1], values[2:4], values[6:8])):
        if not kept[1] or not offset[1]:
            raise corrupt("a crop by zero")
        wide = Fraction(*kept)
        start = Fraction(have, 2) + Fraction(*offset) - wide / 2
        # Halves occur if only one of the two sides is odd; then round to a whole pixel.
        first, last = round(start), round(start + wide)
        if not 0 <= first < last <= have:
            raise corrupt(f"a crop to {wide} from {start} of {have} pixels")
        edges.append((first, last))
    return edges[0][0], edges[1][0], edges[0][1], edges[1][1]


def profile_of(nclx: bytes) -> bytes:
    """The ICC profile for the values of a colour box; empty if they mean sRGB or are unknown."""
    if len(nclx) < 7:
        return b""
    return coded_profile(int.from_bytes(nclx[:2]), int.from_bytes(nclx[2:4])) or b""


def exif_block(item: bytes) -> bytes:
    """The TIFF block of an Exif item, whose first four bytes give the offset of the block behind them."""
    return item[4 + int.from_bytes(item[:4]) :].removeprefix(b"Exif\0\0")  # ISO 23008-12, A.2.1


def _bodies(boxes: list[Box]) -> dict[bytes, tuple[int, int]]:
    """Start and end of each box's body by type; of several boxes of one type, the first counts."""
    return {name: (start, end) for name, start, end in reversed(boxes)}


def _primary(data: bytes, bodies: dict[bytes, tuple[int, int]]) -> int:
    if b"pitm" not in bodies:
        return 0
    start = bodies[b"pitm"][0]
    return int.from_bytes(data[start + 4 : start + (6 if data[start] == 0 else 8)])


def _entries(data: bytes, start: int, end: int) -> Iterator[Entry]:
    """The items of `iinf` (ISO 14496-12, 8.11.6)."""
    start += 6 if data[start] == 0 else 8
    for _, entry, _ in walk(data, start, end):
        wide = data[entry] > 2
        item = int.from_bytes(data[entry + 4 : entry + (8 if wide else 6)])
        at = entry + (10 if wide else 8)
        yield Entry(item, data[at : at + 4], at)


def _references(data: bytes, start: int, end: int) -> Iterator[Reference]:
    """The references of `iref` (ISO 14496-12, 8.11.12)."""
    size = 2 if data[start] == 0 else 4
    for name, at, stop in walk(data, start + 4, end):
        source, count = int.from_bytes(data[at : at + size]), int.from_bytes(data[at + size : at + size + 2])
        first = at + size + 2
        targets = range(first, min(stop, first + size * count), size)
        yield Reference(name, source, tuple(int.from_bytes(data[to : to + size]) for to in targets))


def _associated(data: bytes, at: int, item: int) -> list[int]:
    """The numbers of an item's properties, from 1 (ISO 23008-12, 9.3.1)."""
    version, wide = data[at], data[at + 3] & 1
    entries, at = int.from_bytes(data[at + 4 : at + 8]), at + 8
    id_size, size = 2 if version == 0 else 4, 2 if wide else 1
    for _ in range(min(entries, MAX_PARTS)):
        found, count = int.from_bytes(data[at : at + id_size]), data[at + id_size]
        at += id_size + 1
        if found == item:
            mask = 0x7FFF if wide else 0x7F
            return [int.from_bytes(data[to : to + size]) & mask for to in range(at, at + size * count, size)]
        at += size * count
    return []


def _locations(data: bytes, at: int, stop: int) -> Iterator[Location]:
    """The locations of `iloc` (ISO 14496-12, 8.11.3)."""
    version, sizes, more = data[at], data[at + 4], data[at + 5]
    offset_size, length_size, base_size = sizes >> 4, sizes & 15, more >> 4
    index_size = more & 15 if version else 0
    wide = 4 if version > 1 else 2
    items, at = int.from_bytes(data[at + 6 : at + 6 + wide]), at + 6 + wide
    total, counted = 0, set[tuple[object, ...]]()
    for _ in range(items):
        item, at = int.from_bytes(data[at : at + wide]), at + wide
        method = int.from_bytes(data[at : at + 2]) & 15 if version else 0
        at += (2 if version else 0) + 2
        base, at = int.from_bytes(data[at : at + base_size]), at + base_size
        count, at = int.from_bytes(data[at : at + 2]), at + 2
        extents = []
        for _ in range(count):
            at += index_size
            offset, at = int.from_bytes(data[at : at + offset_size]), at + offset_size
            length, at = int.from_bytes(data[at : at + length_size]), at + length_size
            extents.append((base + offset, length))
        if (method, *extents) not in counted:
            counted.add((method, *extents))
            total += sum(length or len(data) for _, length in extents)
        if at > stop or total > 2 * len(data):
            raise corrupt("item locations that overlap or leave their box")
        yield Location(item, method, tuple(extents))

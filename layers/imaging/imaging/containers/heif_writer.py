"""Writes a new HEIC of checked pictures, and of nothing else (ISO 23008-12)."""

import itertools
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from imaging.containers.hevc import Still

_ALPHA_TYPE: Final = bytes(4) + b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"


@dataclass(frozen=True, slots=True)
class Picture:
    """One still, or a grid of `rows` x `columns` stills, row by row; 0 x 0 is no grid."""

    width: int
    height: int
    rows: int
    columns: int
    stills: tuple[Still, ...]

    @property
    def coded_pixels(self) -> int:
        return sum(still.coded_pixels for still in self.stills)


@dataclass(frozen=True, slots=True)
class _Item:
    kind: bytes
    body: bytes
    properties: tuple[bytes, ...]


def written(colour: Picture, alpha: Picture | None, nclx: bytes) -> tuple[bytes, ...]:
    """The pieces of a file with the primary picture `colour`, and `alpha` of the same size.

    `nclx` is the body of a colour box after its type; empty for none.
    """
    coloured = (_box(b"colr", b"nclx" + nclx),) if nclx else ()
    items = list(_items(colour, coloured))
    references = _tiles(1, len(items))
    if alpha:
        item = 1 + len(items)
        items += _items(alpha, (_box(b"auxC", _ALPHA_TYPE),))
        references += _tiles(item, 1 + len(items) - item) + _reference(b"auxl", item, 1)
    bodies = dict.fromkeys(each.body for each in items)  # tiles with the same bytes are written once
    start = _box(b"ftyp", b"heic" + bytes(4) + b"mif1heic")
    at = len(start) + len(_meta(items, references, dict.fromkeys(bodies, 0))) + 8
    places = dict(zip(bodies, itertools.accumulate(map(len, bodies), initial=at), strict=False))
    size = sum(map(len, bodies))
    return (start, _meta(items, references, places), struct.pack(">I", 8 + size) + b"mdat", *bodies)


def _items(picture: Picture, properties: tuple[bytes, ...]) -> Iterator[_Item]:
    if picture.rows:
        form = struct.pack(
            ">BBBBII", 0, 1, picture.rows - 1, picture.columns - 1, picture.width, picture.height
        )
        yield _Item(b"grid", form, (_size_box(picture.width, picture.height), *properties))
    for still in picture.stills:
        configured = (_box(b"hvcC", still.configuration), _size_box(still.width, still.height))
        yield _Item(b"hvc1", still.slices, (*configured, *properties))


def _tiles(item: int, count: int) -> bytes:
    """The reference of a grid to the items after it; empty for a picture of one item."""
    return _reference(b"dimg", item, *range(item + 1, item + count)) if count > 1 else b""


def _reference(kind: bytes, source: int, *targets: int) -> bytes:
    return _box(kind, struct.pack(f">HH{len(targets)}H", source, len(targets), *targets))


def _meta(items: list[_Item], references: bytes, places: dict[bytes, int]) -> bytes:
    numbered = list(enumerate(items, 1))
    entries = (
        _box(b"infe", struct.pack(">IHH", 2 << 24, item, 0) + each.kind + b"\0") for item, each in numbered
    )
    located = (
        struct.pack(">HHHII", item, 0, 1, places[each.body], len(each.body)) for item, each in numbered
    )
    boxes = (
        _box(b"hdlr", bytes(8) + b"pict" + bytes(13)),
        _box(b"pitm", struct.pack(">IH", 0, 1)),
        _box(b"iinf", struct.pack(">IH", 0, len(items)) + b"".join(entries)),
        _box(b"iloc", struct.pack(">IBBH", 0, 0x44, 0, len(items)) + b"".join(located)),
        _box(b"iref", bytes(4) + references) if references else b"",
        _properties(items),
    )
    return _box(b"meta", bytes(4) + b"".join(boxes))


def _properties(items: list[_Item]) -> bytes:
    shared = list(dict.fromkeys(box for each in items for box in each.properties))
    numbers = {box: number for number, box in enumerate(shared, 1)}
    associated = b"".join(
        struct.pack(f">HB{len(each.properties)}H", item, len(each.properties),
                    *(0x8000 | numbers[box] for box in each.properties))
        for item, each in enumerate(items, 1)
    )  # fmt: skip
    association = _box(b"ipma", struct.pack(">II", 1, len(items)) + associated)
    return _box(b"iprp", _box(b"ipco", b"".join(shared)) + association)


def _size_box(width: int, height: int) -> bytes:
    return _box(b"ispe", struct.pack(">III", 0, width, height))


def _box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + name + body

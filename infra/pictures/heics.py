"""HEIC files of any structure, written by code around pictures that an encoder coded once.

`heics/` holds those, since no encoder is among our packages: pillow-heif 1.4 (x265) wrote them at quality 80
of `hostile.SMALL` and `CUTOUT`, in 4:2:0 and 8 bits where the name says nothing; `photo` is product_photo(1,
(240, 160)); `tile-0` to `-3` are quarters of 128 x 128
pixels with `SMALL` at 34, 40; `noise` is 256 x 256 random pixels, 4:4:4,
quality 28; `largest` is 7,064 x 7,064 pixels of one grey, 4:4:4, 10 bits, deflated.
`ball-of-a-phone` is a drawn photo at quality 55 in tiles of 512 x 512, turned, as an iPhone writes one.
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

import infra.operator  # noqa: F401 - puts the layers on the path
from imaging.containers.isobmff import read_index

FOLDER: Final = Path(__file__).parent / "heics"
ALPHA: Final = (b"auxC", bytes(4) + b"urn:mpeg:hevc:2015:auxid:1\0")
DEPTH: Final = (b"auxC", bytes(4) + b"urn:mpeg:hevc:2015:auxid:2\0")

Property = tuple[bytes, bytes]
"""Type and body."""


@dataclass(frozen=True, slots=True)
class Item:
    """An item of a file; `refers` are kinds of references and the items, from 1, that each names."""

    kind: bytes
    body: bytes
    properties: tuple[Property, ...] = ()
    refers: tuple[tuple[bytes, tuple[int, ...]], ...] = ()
    in_idat: bool = False

    def having(self, *properties: Property) -> "Item":
        """With further properties; one of a type that is there takes its place, if it is no turn."""
        named = {name for name, _ in properties}
        return replace(
            self, properties=(*(has for has in self.properties if has[0] not in named), *properties)
        )

    def referring(self, kind: bytes, *items: int) -> "Item":
        return replace(self, refers=(*self.refers, (kind, items)))


def file(name: str) -> bytes:
    """What an encoder wrote."""
    packed = FOLDER / f"{name}.heic.zlib"
    return zlib.decompress(packed.read_bytes()) if packed.exists() else (FOLDER / f"{name}.heic").read_bytes()


@cache
def still(name: str, item: int = 1) -> Item:
    """A picture of such a file: its configuration, size and, where it needs one, crop."""
    index = read_index(file(name))
    where = next(each for each in index.locations() if each.item == item)
    body = b"".join(index.data[at : at + size] for at, size in where.extents)
    kept = (b"hvcC", b"ispe", b"clap")
    properties = ((kind, index.data[at:end]) for kind, at, end in index.properties_of(item) if kind in kept)
    return Item(b"hvc1", body, tuple(properties))


def size(width: int, height: int) -> Property:
    return b"ispe", struct.pack(">III", 0, width, height)


def turned(quarters: int) -> Property:
    """Against the clock."""
    return b"irot", bytes((quarters,))


def mirrored(*, left_right: bool) -> Property:
    return b"imir", bytes((left_right,))


def cropped(width: int, height: int, across: int = 0, down: int = 0) -> Property:
    """To this size; its middle lies `across` and `down` halves of a pixel from the picture's."""
    return b"clap", struct.pack(">IIIIiIiI", width, 1, height, 1, across, 2, down, 2)


def coded(primaries: int, transfer: int, matrix: int, *, full: bool = True) -> Property:
    return b"colr", b"nclx" + struct.pack(">HHHB", primaries, transfer, matrix, full << 7)


def profiled(icc: bytes) -> Property:
    return b"colr", b"prof" + icc


def grid(columns: int, rows: int, width: int, height: int, tiles: Sequence[int]) -> Item:
    form = struct.pack(">BBBBII", 0, 1, rows - 1, columns - 1, width, height)
    return Item(b"grid", form, (size(width, height),), ((b"dimg", tuple(tiles)),), in_idat=True)


def exif(block: bytes, of: int = 1) -> Item:
    return Item(b"Exif", bytes(4) + block.removeprefix(b"Exif\0\0"), (), ((b"cdsc", (of,)),))


def written(*items: Item, primary: int = 1, brands: bytes = b"heicmif1", shared: bool = False) -> bytes:
    """A file of these items.  Equal bytes are in it once for each item, or once where `shared`."""
    start = _box(b"ftyp", brands[:4] + bytes(4) + brands)
    inline = b"".join(item.body for item in items if item.in_idat)
    bodies = [item.body for item in items if not item.in_idat]
    bodies = list(dict.fromkeys(bodies)) if shared else bodies
    head = len(start) + len(_meta(items, primary, inline, [0] * len(items))) + 8
    offsets: list[int] = []
    at, within, places = head, 0, dict[bytes, int]()
    for item in items:
        if item.in_idat:
            offsets.append(within)
            within += len(item.body)
        elif shared and item.body in places:
            offsets.append(places[item.body])
        else:
            offsets.append(at)
            places[item.body] = at
            at += len(item.body)
    return start + _meta(items, primary, inline, offsets) + _box(b"mdat", b"".join(bodies))


def _meta(items: Sequence[Item], primary: int, inline: bytes, offsets: Sequence[int]) -> bytes:
    numbered = list(enumerate(items, 1))
    infes = (
        _box(b"infe", struct.pack(">IHH", 2 << 24, item, 0) + each.kind + b"\0") for item, each in numbered
    )
    located = (
        struct.pack(">HHHHII", item, each.in_idat, 0, 1, offset, len(each.body))
        for (item, each), offset in zip(numbered, offsets, strict=True)
    )
    references = (
        _box(kind, struct.pack(f">HH{len(targets)}H", item, len(targets), *targets))
        for item, each in numbered
        for kind, targets in each.refers
    )
    properties = list(dict.fromkeys(has for each in items for has in each.properties))
    associated = (
        struct.pack(">HB", item, len(each.properties))
        + b"".join(struct.pack(">H", 0x8001 + properties.index(has)) for has in each.properties)
        for item, each in numbered
    )
    boxes = (
        (b"hdlr", bytes(8) + b"pict" + bytes(13)),
        (b"pitm", struct.pack(">IH", 0, primary)),
        (b"iinf", struct.pack(">IH", 0, len(items)) + b"".join(infes)),
        (b"iloc", struct.pack(">IBBH", 1 << 24, 0x44, 0, len(items)) + b"".join(located)),
        (b"iref", bytes(4) + b"".join(references)),
        (
            b"iprp",
            _box(b"ipco", b"".join(_box(*has) for has in properties))
            + _box(b"ipma", struct.pack(">II", 1, len(items)) + b"".join(associated)),
        ),
        (b"idat", inline),
    )
    return _box(b"meta", bytes(4) + b"".join(_box(*each) for each in boxes))


def _box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + name + body

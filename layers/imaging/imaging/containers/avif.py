"""AVIF (AV1 image in ISO-BMFF): the primary still; of a sequence too, never its track.

The box sizes an image states (`ispe`) are not what a decoder allocates: the AV1 sequence header is, and
libavif scales whatever comes to the stated size.  So both are read here, before libavif sees the file.
"""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from PIL import AvifImagePlugin

from catalog.domain.sources import SourceFormat
from imaging.coded_colours import coded_profile
from imaging.containers.container import (
    MAX_PARTS,
    MAX_PROFILE_BYTES,
    Container,
    corrupt,
    too_many_pixels,
    truncated,
    unsupported,
)
from imaging.decoder_faults import decoder_faults
from imaging.exif import read_exif

# One decoder thread: dav1d's frame threads multiply its memory, and a function has one CPU.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1

_BRANDS = frozenset((b"avif", b"avis"))
_SEQUENCE_HEADER = 1
_FRAMES = frozenset((3, 6))  # OBU types: a frame's header, a whole frame
_CONSTANT_LUMINANCE, _NON_CONSTANT_LUMINANCE = b"\0\x0a", b"\0\x09"  # of BT.2020 (ITU-T H.273)
_LIBAVIF_MAX_PIXELS = 16_384**2  # it calls larger ones invalid
# Frames of one file a decoder may decode, in areas of the largest: colour, alpha, progressive layers, and
# what grids round up.  A frame that is never shown takes some hundred bytes, and is decoded all the same.
_MAX_LAYERS = 4
_MAX_BRANDS = 64
# Of what lists the items of a file.  libavif looks each up among all before: 100,000 (1 MB) cost it 23 s.  A
# grid of 256 tiles takes 12 KB.
_LISTS = frozenset((b"iloc", b"iinf", b"iref", b"grpl", b"ipma"))
_MAX_LIST_BYTES = 2**16

Box = tuple[bytes, int, int]  # type, start and end of its body


@dataclass(frozen=True, slots=True)
class _Index:
    """Pixels of the largest picture, as stated or in AV1; EXIF, and where the index names it.

    `clap` and `nclx` are the bodies of the properties of the primary item, `nclx_at` where the last one is.
    """

    pixels: int
    exif: bytes
    exif_types: tuple[int, ...]
    clap: bytes
    nclx: bytes
    nclx_at: int


def parse(data: bytes) -> Container:
    boxes = list(_boxes(data, 0, len(data)))
    _check_brands(data, boxes)
    complete = all(end <= len(data) for _, _, end in boxes)
    meta = next(((start + 4, end) for name, start, end in boxes if name == b"meta"), None)
    if meta is None:
        raise unsupported("an image sequence without a still") if complete else truncated("no image index")
    if meta[1] > len(data):
        raise truncated("the file ends inside its image index")
    try:
        index = _read_index(data, list(_boxes(data, *meta)))
    except (struct.error, IndexError) as error:
        raise corrupt("the image index does not hold together") from error
    if index.pixels > _LIBAVIF_MAX_PIXELS:
        raise too_many_pixels(f"{index.pixels:,} pixels: more than the decoder takes")
    stripped = _still(data, boxes, index)
    with decoder_faults(complete=complete):
        image = AvifImagePlugin.AvifImageFile(io.BytesIO(stripped))
    profile: bytes = image.info.get("icc_profile", b"") or _coded(index.nclx)
    crop = _clean_aperture(index.clap, image.size) if index.clap else None
    size = image.size if crop is None else (crop[2] - crop[0], crop[3] - crop[1])
    # libavif's orientation (irot, imir) is authoritative; Pillow puts it into an EXIF block of its own.
    orientation = read_exif(image.info.get("exif", b"").removeprefix(b"Exif\0\0")).orientation
    exif = replace(read_exif(index.exif), orientation=orientation)
    return Container(
        SourceFormat.AVIF,
        *size,
        coded_pixels=max(index.pixels, image.width * image.height),
        stripped=(stripped,),
        complete=complete,
        orientation=orientation,
        crop=crop,
        icc_profile=profile if 0 < len(profile) <= MAX_PROFILE_BYTES else None,
        exif=exif,
    )


def _check_brands(data: bytes, boxes: list[Box]) -> None:
    _, start, end = boxes[0]
    brands = {
        data[at : at + 4]
        for at in (start, *range(start + 8, min(end, len(data), start + 4 * _MAX_BRANDS), 4))
    }
    if not brands & _BRANDS:
        raise unsupported("an ISO media file, but not an AVIF")


def _still(data: bytes, boxes: list[Box], index: _Index) -> bytes:
    """The file with its sequence brands, track (`moov`) and EXIF renamed: same offsets, only the still left.

    Pillow would read the EXIF whole, every entry as large as it says it is.
    """
    _, start, end = boxes[0]
    brands = data[start:end].replace(b"avis", b"avif").replace(b"msf1", b"mif1")
    blanked = bytearray(data)
    blanked[start : start + len(brands)] = brands
    moov = [data.rindex(b"moov", 0, start) for name, start, _ in boxes if name == b"moov"]
    for at in (*moov, *index.exif_types):
        blanked[at : at + 4] = b"free"
    if index.nclx[4:6] == _CONSTANT_LUMINANCE:  # libavif knows no such matrix; the nearest it knows
        blanked[index.nclx_at + 4 : index.nclx_at + 6] = _NON_CONSTANT_LUMINANCE
    return bytes(blanked)


def _boxes(data: bytes, at: int, stop: int) -> Iterator[Box]:
    """The boxes in `data[at:stop]`; the stated end of the last may lie beyond it."""
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


def _read_index(data: bytes, meta: list[Box]) -> _Index:
    """IndexError or struct.error where it does not hold together."""
    bodies = {name: (start, end) for name, start, end in reversed(meta)}
    if not {b"iprp", b"iinf", b"iloc"} <= bodies.keys():
        raise corrupt("an image index without properties, items or locations")
    properties = list(_boxes(data, *bodies[b"iprp"]))
    list_bytes = sum(end - start for name, start, end in (*meta, *properties) if name in _LISTS)
    if list_bytes > _MAX_LIST_BYTES:
        raise corrupt(f"{list_bytes:,} bytes that list its items")
    stated = 0
    for name, start, end in properties:
        for inner, inner_start, _ in _boxes(data, start, end) if name == b"ipco" else ():
            if inner == b"ispe":
                width, height = struct.unpack_from(">II", data, inner_start + 4)
                stated = max(stated, width * height)
    entries = list(_entries(data, *bodies[b"iinf"]))
    primary = _primary(data, bodies)
    shown = _shown(data, bodies, primary)
    kinds = {item: kind for item, kind, _ in entries if kind != b"av01" or item in shown}
    items = list(_items(data, bodies, kinds))
    named = dict(_properties(data, properties, primary))
    nclx_at = named.get(b"nclx", 0)
    clap_at = named.get(b"clap", 0)
    read: dict[bytes, tuple[int, int]] = {}
    for kind, content in items:
        if kind == b"av01" and content not in read:
            read[content] = _picture(content)
    pictures = [read[content] for kind, content in items if kind == b"av01"]
    exif = next((content for kind, content in items if kind == b"Exif"), b"")
    coded = max((pixels for pixels, _ in pictures), default=0)
    decoded = sum(pixels * max(1, frames) for pixels, frames in pictures)
    if decoded > _MAX_LAYERS * max(stated, coded):
        raise corrupt(
            f"{len(pictures)} AV1 pictures of {decoded:,} pixels for an image of {max(stated, coded):,}"
        )
    return _Index(
        max(stated, coded),
        # ISO 23008-12, A.2.1: how far behind these four bytes the TIFF header is.
        exif[4 + int.from_bytes(exif[:4]) :].removeprefix(b"Exif\0\0"),
        tuple(at for _, kind, at in entries if kind == b"Exif"),
        data[clap_at : clap_at + 32] if clap_at else b"",
        data[nclx_at : nclx_at + 7] if nclx_at else b"",
        nclx_at,
    )


def _primary(data: bytes, bodies: dict[bytes, tuple[int, int]]) -> int:
    """The id of the item that is the image; 0, which is no item's, where none is named."""
    if b"pitm" not in bodies:
        return 0
    start = bodies[b"pitm"][0]
    return int.from_bytes(data[start + 4 : start + (6 if data[start] == 0 else 8)])


def _shown(data: bytes, bodies: dict[bytes, tuple[int, int]], primary: int) -> set[int]:
    """The items a decoder may decode for the primary one: itself, its tiles, their alpha and depth.

    Not other images in the file, thumbnails and gain maps (ISO 14496-12, 8.11.12).
    """
    if b"iref" not in bodies:
        return {primary}
    start, end = bodies[b"iref"]
    size = 2 if data[start] == 0 else 4
    references = []
    for name, at, stop in _boxes(data, start + 4, end):
        source, count = int.from_bytes(data[at : at + size]), int.from_bytes(data[at + size : at + size + 2])
        first = at + size + 2
        targets = [
            int.from_bytes(data[to : to + size]) for to in range(first, min(stop, first + size * count), size)
        ]
        references.append((name, source, targets))
    shown = {primary}
    for _ in range(3):  # the image, its tiles; its alpha, whose tiles
        for name, source, targets in references:
            if name == b"dimg" and source in shown:
                shown.update(targets)
            elif name == b"auxl" and not shown.isdisjoint(targets):
                shown.add(source)
    return shown


def _properties(data: bytes, properties: list[Box], item: int) -> Iterator[tuple[bytes, int]]:
    """Name and place of what matters here among the properties of an item (ISO 23008-12, 9.3).

    A colour box of type `nclx` goes by that name, and its place is that of its values.
    """
    found = {name: (start, end) for name, start, end in reversed(properties)}
    if not {b"ipco", b"ipma"} <= found.keys():
        return
    boxes = list(_boxes(data, *found[b"ipco"]))
    for number in _associated(data, found[b"ipma"][0], item):
        if not 1 <= number <= len(boxes):
            continue
        name, start, _ = boxes[number - 1]
        if name == b"colr" and data[start : start + 4] == b"nclx":
            yield b"nclx", start + 4
        elif name == b"clap":
            yield name, start


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


def _coded(nclx: bytes) -> bytes:
    if len(nclx) < 7:
        return b""
    return coded_profile(int.from_bytes(nclx[:2]), int.from_bytes(nclx[2:4])) or b""


def _clean_aperture(clap: bytes, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what is shown (ISO 14496-12, 12.1.4)."""
    edges = []
    values = struct.unpack(">IIIIiIiI", clap)
    for have, kept, offset in ((size[0], values[0:2], values[4:6]), (size[1], values[2:4], values[6:8])):
        if not kept[1] or not offset[1]:
            raise corrupt("a crop by zero")
        wide = Fraction(*kept)
        start = Fraction(have, 2) + Fraction(*offset) - wide / 2
        # Halves happen where one side is odd: the pixel that is mostly seen.
        first, last = round(start), round(start + wide)
        if not 0 <= first < last <= have:
            raise corrupt(f"a crop to {wide} from {start} of {have} pixels")
        edges.append((first, last))
    return edges[0][0], edges[1][0], edges[0][1], edges[1][1]


def _entries(data: bytes, start: int, end: int) -> Iterator[tuple[int, bytes, int]]:
    """Id, type and where that stands, of each item (ISO 14496-12, 8.11.6)."""
    start += 6 if data[start] == 0 else 8
    for _, entry, _ in _boxes(data, start, end):
        version = data[entry]
        wide = version > 2
        item = int.from_bytes(data[entry + 4 : entry + (8 if wide else 6)])
        at = entry + (10 if wide else 8)
        yield item, data[at : at + 4], at


def _items(
    data: bytes, bodies: dict[bytes, tuple[int, int]], kinds: dict[int, bytes]
) -> Iterator[tuple[bytes, bytes]]:
    """Type and bytes of each AV1 and EXIF item (ISO 14496-12, 8.11.3)."""
    inline, joined = bodies.get(b"idat", (0, 0))[0], dict[tuple[object, ...], bytes]()
    for item, extents, in_idat in _locations(data, *bodies[b"iloc"]):
        if kinds.get(item) in (b"av01", b"Exif"):
            base, key = inline if in_idat else 0, (in_idat, *extents)
            if key not in joined:
                joined[key] = b"".join(
                    data[base + offset : base + offset + length if length else len(data)]
                    for offset, length in extents
                )
            yield kinds[item], joined[key]


def _locations(data: bytes, at: int, stop: int) -> Iterator[tuple[int, list[tuple[int, int]], bool]]:
    """Item id, its (offset, length) extents, and whether they count from the `idat` box.

    Extents that items share, as equal tiles of a grid may, count once; what they decode to is bounded.
    """
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
        yield item, extents, method == 1


def _picture(item: bytes) -> tuple[int, int]:
    """Pixels of the largest frame the sequence headers of an AV1 item allow, and the number of its frames.

    AV1 bitstream, 5.3 and 5.5.
    """
    at, largest, frames = 0, 0, 0
    for _ in range(MAX_PARTS):
        if at >= len(item):
            return largest, frames
        header, at = item[at], at + 1
        at += header >> 2 & 1  # extension byte
        length = len(item) - at
        if header >> 1 & 1:
            length, at = _leb128(item, at)
        kind = header >> 3 & 15
        frames += kind in _FRAMES
        if kind == _SEQUENCE_HEADER:
            largest = max(largest, _sequence_pixels(item[at : at + length]))
        at += length
    raise corrupt(f"more than {MAX_PARTS:,} units in an AV1 picture")


def _leb128(item: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 56, 7):
        byte, at = item[at], at + 1
        value |= (byte & 127) << shift
        if byte < 128:
            break
    return value, at


def _sequence_pixels(header: bytes) -> int:
    bits = _Bits(header)
    bits.take(4)  # profile, still picture
    reduced = bits.take(1)
    if reduced:
        bits.take(5)
    else:
        _skip_operating_points(bits)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    width, height = bits.take(width_bits) + 1, bits.take(height_bits) + 1
    # Without the reduced header a frame may override its size up to what the bits hold.  Honest encoders
    # take the fewest bits, up to 4 times the area; twice the area still fits the memory bound.
    return width * height if reduced else max(width * height, (1 << width_bits + height_bits) // 2)


def _skip_operating_points(bits: "_Bits") -> None:
    decoder_model, delay_bits = 0, 0
    if bits.take(1):  # timing info
        bits.take(64)
        if bits.take(1):
            bits.skip_uvlc()
        decoder_model = bits.take(1)
        if decoder_model:
            delay_bits = bits.take(5) + 1
            bits.take(42)
    display_delay = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.take(1)
        if decoder_model and bits.take(1):
            bits.take(2 * delay_bits + 1)
        if display_delay and bits.take(1):
            bits.take(4)


class _Bits:
    """A big-endian bit reader; past the end it raises IndexError."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data[:512])
        self._left = 8 * min(len(data), 512)

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise IndexError("the sequence header ends early")
        return self._value >> self._left & (1 << count) - 1

    def skip_uvlc(self) -> None:
        zeros = 0
        while not self.take(1):
            zeros += 1
        if zeros < 32:
            self.take(zeros)

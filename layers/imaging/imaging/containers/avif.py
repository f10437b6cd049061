"""AVIF (AV1 image in ISO-BMFF): the primary still; of a sequence too, never its track.

The box sizes an image states (`ispe`) are not what a decoder allocates: the AV1 sequence header is, and
libavif scales whatever comes to the stated size.  So both are read here, before libavif sees the file.
"""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from PIL import AvifImagePlugin

from catalog.domain.sources import SourceFormat
from imaging.containers.bits import Bits
from imaging.containers.container import (
    MAX_PARTS,
    MAX_PROFILE_BYTES,
    Container,
    corrupt,
    too_many_pixels,
)
from imaging.containers.isobmff import ItemIndex, clean_aperture, exif_block, profile_of, read_index
from imaging.decoder_faults import decoder_faults
from imaging.exif import read_exif

# One decoder thread: dav1d's frame threads multiply its memory, and a function has one CPU.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1

_SEQUENCE_HEADER = 1
_FRAMES = frozenset((3, 6))  # OBU types: a frame's header, a whole frame
_CONSTANT_LUMINANCE, _NON_CONSTANT_LUMINANCE = b"\0\x0a", b"\0\x09"  # of BT.2020 (ITU-T H.273)
_LIBAVIF_MAX_PIXELS = 16_384**2  # it calls larger ones invalid
# Frames of one file a decoder may decode, in areas of the largest: colour, alpha, progressive layers, and
# what grids round up.  A frame that is never shown takes some hundred bytes, and is decoded all the same.
_MAX_LAYERS = 4


@dataclass(frozen=True, slots=True)
class _Facts:
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
    try:
        index = read_index(data)
        facts = _read_facts(index)
    except (struct.error, IndexError) as error:
        raise corrupt("the image index does not hold together") from error
    if facts.pixels > _LIBAVIF_MAX_PIXELS:
        raise too_many_pixels(f"{facts.pixels:,} pixels: more than the decoder takes")
    stripped = _still(index, facts)
    with decoder_faults(complete=index.complete):
        image = AvifImagePlugin.AvifImageFile(io.BytesIO(stripped))
    profile: bytes = image.info.get("icc_profile", b"") or profile_of(facts.nclx)
    crop = clean_aperture(facts.clap, image.size) if facts.clap else None
    size = image.size if crop is None else (crop[2] - crop[0], crop[3] - crop[1])
    # libavif's orientation (irot, imir) is authoritative; Pillow puts it into an EXIF block of its own.
    orientation = read_exif(image.info.get("exif", b"").removeprefix(b"Exif\0\0")).orientation
    exif = replace(read_exif(facts.exif), orientation=orientation)
    return Container(
        SourceFormat.AVIF,
        *size,
        coded_pixels=max(facts.pixels, image.width * image.height),
        stripped=(stripped,),
        complete=index.complete,
        orientation=orientation,
        crop=crop,
        icc_profile=profile if 0 < len(profile) <= MAX_PROFILE_BYTES else None,
        exif=exif,
    )


def _still(index: ItemIndex, facts: _Facts) -> bytes:
    """The file with its sequence brands, track (`moov`) and EXIF renamed: same offsets, only the still left.

    Pillow would read the EXIF whole, every entry as large as it says it is.
    """
    data, (_, start, end) = index.data, index.boxes[0]
    brands = data[start:end].replace(b"avis", b"avif").replace(b"msf1", b"mif1")
    blanked = bytearray(data)
    blanked[start : start + len(brands)] = brands
    moov = [data.rindex(b"moov", 0, start) for name, start, _ in index.boxes if name == b"moov"]
    for at in (*moov, *facts.exif_types):
        blanked[at : at + 4] = b"free"
    if facts.nclx[4:6] == _CONSTANT_LUMINANCE:  # libavif knows no such matrix; the nearest it knows
        blanked[facts.nclx_at + 4 : facts.nclx_at + 6] = _NON_CONSTANT_LUMINANCE
    return bytes(blanked)


def _read_facts(index: ItemIndex) -> _Facts:
    """IndexError or struct.error where the index does not hold together."""
    data, stated = index.data, 0
    for name, start, _ in index.properties:
        if name == b"ispe":
            width, height = struct.unpack_from(">II", data, start + 4)
            stated = max(stated, width * height)
    shown = _shown(index)
    kinds = {each.item: each.kind for each in index.entries if each.kind != b"av01" or each.item in shown}
    items = list(_items(index, kinds))
    nclx_at = index.nclx_at(index.primary)
    clap_at = next((start for name, start, _ in index.properties_of(index.primary) if name == b"clap"), 0)
    read: dict[bytes, tuple[int, int]] = {}
    for kind, content in items:
        if kind == b"av01" and content not in read:
            read[content] = _picture(content)
    pictures = [read[content] for kind, content in items if kind == b"av01"]
    coded = max((pixels for pixels, _ in pictures), default=0)
    decoded = sum(pixels * max(1, frames) for pixels, frames in pictures)
    if decoded > _MAX_LAYERS * max(stated, coded):
        raise corrupt(
            f"{len(pictures)} AV1 pictures of {decoded:,} pixels for an image of {max(stated, coded):,}"
        )
    return _Facts(
        max(stated, coded),
        exif_block(next((content for kind, content in items if kind == b"Exif"), b"")),
        tuple(each.kind_at for each in index.entries if each.kind == b"Exif"),
        data[clap_at : clap_at + 32] if clap_at else b"",
        data[nclx_at : nclx_at + 7] if nclx_at else b"",
        nclx_at,
    )


def _shown(index: ItemIndex) -> set[int]:
    """The items a decoder may decode for the primary one: itself, its tiles, their alpha and depth.

    Not other images in the file, thumbnails and gain maps (ISO 14496-12, 8.11.12).
    """
    shown = {index.primary}
    for _ in range(3):  # the image, its tiles; its alpha, whose tiles
        for each in index.references:
            if each.kind == b"dimg" and each.source in shown:
                shown.update(each.targets)
            elif each.kind == b"auxl" and not shown.isdisjoint(each.targets):
                shown.add(each.source)
    return shown


def _items(index: ItemIndex, kinds: dict[int, bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Type and bytes of each AV1 and EXIF item."""
    data, joined = index.data, dict[tuple[object, ...], bytes]()
    inline = index.bodies.get(b"idat", (0, 0))[0]
    for each in index.locations():
        if kinds.get(each.item) in (b"av01", b"Exif"):
            base, key = inline if each.in_idat else 0, (each.in_idat, *each.extents)
            if key not in joined:
                joined[key] = b"".join(
                    data[base + offset : base + offset + length if length else len(data)]
                    for offset, length in each.extents
                )
            yield kinds[each.item], joined[key]


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
    bits = Bits(header)
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


def _skip_operating_points(bits: Bits) -> None:
    decoder_model, delay_bits = 0, 0
    if bits.take(1):  # timing info
        bits.take(64)
        if bits.take(1):
            bits.take_golomb()
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

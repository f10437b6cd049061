"""HEIC (HEVC image in ISO-BMFF): the primary still or grid; never a thumbnail, depth or gain map.

The decoder never sees the file.  The parser takes out and checks the primary picture, and writes a new file
(`written`) without turn, crop, profile or metadata.  The pipeline applies these itself, as for other formats.
Of a sequence it shows the still in the index, never the track.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from catalog.domain.sources import SourceFormat
from imaging.containers.container import MAX_PROFILE_BYTES, Container, corrupt, truncated, unsupported
from imaging.containers.heif_writer import Picture, written
from imaging.containers.hevc import Still, read_still
from imaging.containers.isobmff import (
    Box,
    ItemIndex,
    Location,
    clean_aperture,
    exif_block,
    profile_of,
    read_index,
)
from imaging.exif import read_exif

# libheif accepts files of at most 1,000 items.  A photo of 48 megapixels has 192 tiles.
_MAX_TILES: Final = 900
# Bytes to decode beyond the file's size: equal tiles may share bytes.  A megabyte takes 0.2 s.
_MAX_SHARED_BYTES: Final = 2**20
_ALPHA: Final = (b"urn:mpeg:hevc:2015:auxid:1", b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha")
_CONSTANT_LUMINANCE, _NON_CONSTANT_LUMINANCE = 10, 9  # of BT.2020 (ITU-T H.273)
_SRGB_COLOURS: Final = (1, 13)  # keeps the decoder from converting colours; the pipeline converts them
_CORNERS: Final = "0123"  # top left, top right, bottom right, bottom left
# EXIF's orientation by the order of the stored corners after turning (EXIF 2.32, 4.6.4 A).
_ORIENTATIONS: Final = {
    corners: 1 + number
    for number, corners in enumerate(("0123", "1032", "2301", "3210", "0321", "3012", "2103", "1230"))
}


@dataclass(frozen=True, slots=True)
class _Shape:
    """How the stored pixels are shown: left, top, right and bottom of the crop, and EXIF's orientation."""

    crop: tuple[int, int, int, int] | None
    orientation: int


def parse(data: bytes) -> Container:
    try:
        reader = _Reader(read_index(data))
        return reader.container()
    except (struct.error, IndexError) as error:
        raise corrupt("the image index does not hold together") from error


def _coded_bytes(picture: Picture) -> int:
    return sum(len(still.slices) for still in picture.stills)


class _Reader:
    """Reads the items of one file's primary picture."""

    def __init__(self, index: ItemIndex) -> None:
        self._index = index
        self._kinds = {each.item: each.kind for each in index.entries}
        self._locations = {each.item: each for each in index.locations()}
        self._stills: dict[tuple[int, Location], Still] = {}

    def container(self) -> Container:
        primary = self._index.primary
        colour = self._picture(primary)
        alpha_item = self._alpha_item(primary)
        alpha = self._picture(alpha_item) if alpha_item else None
        if alpha and (alpha.width, alpha.height) != (colour.width, colour.height):
            raise corrupt("alpha of another size")
        pictures = [picture for picture in (colour, alpha) if picture]
        if sum(map(_coded_bytes, pictures)) > len(self._index.data) + _MAX_SHARED_BYTES:
            raise corrupt("tiles that share megabytes")
        shape = self._shape(primary, (colour.width, colour.height))
        left, top, right, bottom = shape.crop or (0, 0, colour.width, colour.height)
        coded = max(picture.coded_pixels for picture in pictures)
        return Container(
            SourceFormat.HEIC,
            right - left,
            bottom - top,
            coded_pixels=max(coded, colour.width * colour.height),
            stripped=written(colour, alpha, self._matrix(primary)),
            complete=self._index.complete,
            orientation=shape.orientation,
            premultiplied=alpha_item in self._targets(b"prem", primary),
            crop=shape.crop,
            icc_profile=self._profile(primary),
            exif=replace(read_exif(exif_block(self._exif())), orientation=shape.orientation),
        )

    def _picture(self, item: int) -> Picture:
        kind = self._kinds.get(item)
        if kind == b"hvc1":
            still = self._still(item)
            picture = Picture(still.width, still.height, 0, 0, (still,))
        elif kind == b"grid":
            picture = self._grid(item)
        else:
            raise unsupported(f"a primary picture of type {kind!r}")
        self._check_stated(item, picture.width, picture.height)
        return picture

    def _grid(self, item: int) -> Picture:
        """The picture of a grid (ISO 23008-12, 6.6.2.3)."""
        body = self._bytes(item)
        rows, columns = body[2] + 1, body[3] + 1
        width, height = struct.unpack_from(">II" if body[1] & 1 else ">HH", body, 4)
        tiles = self._targets(b"dimg", item)
        if rows * columns > _MAX_TILES:
            raise corrupt(f"a grid of {rows} x {columns} tiles")
        if len(tiles) != rows * columns or any(self._kinds.get(tile) != b"hvc1" for tile in tiles):
            raise corrupt(f"{len(tiles)} tiles for a grid of {rows} x {columns}")
        stills = tuple(self._still(tile) for tile in tiles)
        first = stills[0]
        if len({(each.width, each.height, each.depth, each.chroma) for each in stills}) > 1:
            raise corrupt("a grid of unlike tiles")
        covered = (columns - 1) * first.width < width <= columns * first.width
        if not covered or not (rows - 1) * first.height < height <= rows * first.height:
            raise corrupt(f"tiles that do not fit a grid of {width} x {height}")
        for tile in set(tiles):
            self._check_stated(tile, first.width, first.height)
        return Picture(width, height, rows, columns, stills)

    def _still(self, item: int) -> Still:
        configured = next((box for box in self._index.properties_of(item) if box[0] == b"hvcC"), None)
        if configured is None or item not in self._locations:
            raise corrupt("a picture without configuration or location")
        _, start, end = configured
        key = (start, replace(self._locations[item], item=0))
        if key not in self._stills:
            self._stills[key] = read_still(self._index.data[start:end], self._bytes(item))
        return self._stills[key]

    def _bytes(self, item: int) -> bytes:
        """The bytes of an item.  Raises IndexError if it has no location."""
        if item not in self._locations:
            raise IndexError(f"item {item} is nowhere")
        where, data = self._locations[item], self._index.data
        base, stop = self._index.bodies.get(b"idat", (0, 0)) if where.in_idat else (0, len(data))
        if where.method > 1:
            raise unsupported("a picture made of another item's bytes")
        pieces = []
        for offset, length in where.extents:
            start = base + offset
            end = start + length if length else stop
            if not start <= end <= stop:
                raise (
                    truncated("it ends inside its picture") if end > len(data) else corrupt("a stray picture")
                )
            pieces.append(data[start:end])
        return b"".join(pieces)

    def _check_stated(self, item: int, width: int, height: int) -> None:
        for name, start, _ in self._index.properties_of(item):
            if name == b"ispe":
                stated = struct.unpack_from(">II", self._index.data, start + 4)
                if stated != (width, height):
                    raise corrupt(
                        f"a picture of {width} x {height} pixels, stated as {stated[0]} x {stated[1]}"
                    )

    def _targets(self, kind: bytes, source: int) -> tuple[int, ...]:
        found = (each for each in self._index.references if (each.kind, each.source) == (kind, source))
        return next((each.targets for each in found), ())

    def _alpha_item(self, primary: int) -> int | None:
        """The primary picture's alpha among its auxiliary pictures; never depth, a gain map or a matte."""
        for each in self._index.references:
            if each.kind == b"auxl" and primary in each.targets:
                for name, start, end in self._index.properties_of(each.source):
                    if name == b"auxC" and self._index.data[start + 4 : end].split(b"\0")[0] in _ALPHA:
                        return each.source
        return None

    def _shape(self, item: int, size: tuple[int, int]) -> _Shape:
        """The shape that an item's transformations give, in their order (ISO 23008-12, 6.5.10, 6.5.12)."""
        crop, corners = None, _CORNERS
        for name, start, end in self._index.properties_of(item):
            if name == b"clap":
                if crop or corners != _CORNERS:
                    raise unsupported("a second crop, or one behind a turn")
                crop = clean_aperture(self._index.data[start:end][:32], size)
            elif name == b"irot":
                turns = self._index.data[start] & 3  # of 90 degrees, against the clock
                corners = corners[turns:] + corners[:turns]
            elif name == b"imir":
                left_right = self._index.data[start] & 1
                corners = "".join(corners[at] for at in ((1, 0, 3, 2) if left_right else (3, 2, 1, 0)))
            elif name == b"iscl":
                raise unsupported("a picture to be scaled")
        return _Shape(crop, _ORIENTATIONS[corners])

    def _colour_boxes(self, primary: int) -> Iterable[Box]:
        """The colour boxes of the picture, or else of its first tile."""
        for item in (primary, *self._targets(b"dimg", primary)[:1]):
            if found := [box for box in self._index.properties_of(item) if box[0] == b"colr"]:
                return found
        return ()

    def _nclx(self, primary: int) -> bytes:
        data = self._index.data
        found = (
            data[start + 4 : start + 11]
            for _, start, _ in self._colour_boxes(primary)
            if data[start : start + 4] == b"nclx"
        )
        return next(found, b"")

    def _matrix(self, primary: int) -> bytes:
        """The colour box that has the decoder convert its planes to RGB; empty: the stream's own values."""
        nclx = self._nclx(primary)
        if len(nclx) < 7:
            return b""
        matrix = int.from_bytes(nclx[4:6])
        if matrix == _CONSTANT_LUMINANCE:  # libheif lacks this matrix: take the nearest it has
            matrix = _NON_CONSTANT_LUMINANCE
        return struct.pack(">HHHB", *_SRGB_COLOURS, matrix, nclx[6] & 0x80)

    def _profile(self, primary: int) -> bytes | None:
        data = self._index.data
        profile = next(
            (data[start + 4 : end] for _, start, end in self._colour_boxes(primary)
             if data[start : start + 4] in (b"prof", b"rICC")),
            b"",
        )  # fmt: skip
        profile = profile or profile_of(self._nclx(primary))
        return profile if 0 < len(profile) <= MAX_PROFILE_BYTES else None

    def _exif(self) -> bytes:
        item = next((item for item, kind in self._kinds.items() if kind == b"Exif"), None)
        return self._bytes(item) if item in self._locations and item else b""

"""A matrix of TIFFs by tifffile: each as tifffile reads it itself, or refused by the right name."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

from catalog.domain.rejections import ImageRejectedError, RejectionCode
from catalog.domain.sources import DEFAULT_PIXEL_LIMITS
from imaging import originals
from imaging.containers import open_container
from imaging.decoding import decode
from infra.pictures import hostile, images
from infra.pictures.tiffs import DTYPES, LAYOUTS, SCENE, SIZE, cells, written

Array = npt.NDArray[Any]

TOLERANCE = 1.01  # of 255: 16 bits and floats are cut or rounded to 8
# Nobody defines what ink, or Lab, of floating point is.
REFUSED = {
    (layout, dtype) for layout in ("cmyk", "cmyk-alpha", "cmyk-extra", "lab") for dtype in ("f2", "f4")
}


def read_back(data: bytes) -> Array:
    """Rows, columns, samples as tifffile reads them."""
    page = tifffile.TiffFile(io.BytesIO(data)).pages[0]
    values = page.asarray()  # type: ignore[union-attr]
    if values.ndim == 2:
        return values[..., None]
    return np.moveaxis(values, 0, 2) if page.planarconfig == 2 else values  # type: ignore[union-attr]


def expected(layout: str, values: Array) -> Array:
    """Samples as those of the working mode, 0 to 255."""
    _, colours, extra = LAYOUTS[layout]
    eight = np.clip(values.astype("f8"), 0, 1) * 255 if values.dtype.kind == "f" else values.astype("f8")
    if values.dtype == np.uint16:
        eight = eight / 257
    if layout == "white":
        eight[..., :1] = 255 - eight[..., :1]
    if layout == "cmyk-alpha":
        return eight[..., :4] * eight[..., 4:] / 255
    return eight if extra == ("unassalpha",) else eight[..., :colours]


def outcome(data: bytes) -> Image.Image | RejectionCode:
    try:
        return decode(originals.accepted(data, limits=DEFAULT_PIXEL_LIMITS), SIZE)
    except ImageRejectedError as error:
        return error.rejection.code


def wrong(data: bytes, layout: str, dtype: str) -> str | None:
    """What is wrong with what becomes of `data`."""
    found = outcome(data)
    if (layout, dtype) in REFUSED:
        return None if found is RejectionCode.UNSUPPORTED_FORMAT else f"refused by {found}"
    if not isinstance(found, Image.Image):
        return f"refused: {found}"
    want, have = expected(layout, read_back(data)), np.asarray(found).astype("f8")
    have = have if have.ndim == 3 else have[..., None]
    if have.shape != want.shape:
        return f"{found.mode} {have.shape}, not {want.shape}"
    distance = np.abs(have - want)
    if layout == "lab":  # a and b go round
        distance = np.minimum(distance, 256 - distance)
    return None if distance.max() <= TOLERANCE else f"{found.mode} differs by {distance.max():.1f}"


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_tiff_of_any_order_planes_packing_and_extra_samples_is_shown_or_refused_by_name(
    layout: str, dtype: str
) -> None:
    found = {name: wrong(data, layout, dtype) for name, data in cells(layout, dtype)}
    assert {name: problem for name, problem in found.items() if problem} == {}


def plain(tags: dict[int, tuple[int, bytes]], strip: bytes, bits: tuple[int, ...], packing: int = 1) -> bytes:
    return hostile.tiff(SIZE, strips=[strip], bits=bits, compression=packing, tags=tags)


@pytest.mark.parametrize("across", [1, 2])
@pytest.mark.parametrize("down", [1, 2])
def test_an_uncompressed_ycbcr_tiff_is_shown(across: int, down: int) -> None:
    flat = images.flat((200, 90, 40), SIZE).convert("YCbCr")
    luma, *chroma = flat.getpixel((0, 0))  # type: ignore[misc]
    units = -(-SIZE[0] // across) * -(-SIZE[1] // down)
    strip = (bytes([luma]) * (across * down) + bytes(chroma)) * units
    tags = {262: (3, b"\6\0"), 530: (3, struct.pack("<HH", across, down))}
    found = outcome(plain(tags, strip, (8, 8, 8)))
    assert isinstance(found, Image.Image)
    assert np.abs(np.asarray(found).astype(int) - (200, 90, 40)).max() <= 2


def test_the_floating_point_predictor_is_undone() -> None:
    values = (SCENE[..., :3] / 255).astype(">f4")
    by_byte = values.view("u1").reshape(SIZE[1], -1, 4).transpose(0, 2, 1).reshape(SIZE[1], -1, 3)
    differences = np.diff(by_byte, axis=1, prepend=np.zeros_like(by_byte[:, :1]))
    strip = zlib.compress(differences.tobytes())
    tags = {317: (3, b"\3\0"), 339: (3, b"\3\0" * 3)}
    found = outcome(plain(tags, strip, (32, 32, 32), 8))
    assert isinstance(found, Image.Image)
    assert np.abs(np.asarray(found).astype(int) - SCENE[..., :3]).max() <= 1


@pytest.mark.parametrize("bits", [(4, 4, 4), (24,), (16, 16, 16, 16, 16), (8, 16, 8), (32, 32, 32)])
def test_a_valid_tiff_of_samples_nobody_here_reads_is_unsupported_and_not_corrupt(
    bits: tuple[int, ...],
) -> None:
    strip = bytes(SIZE[1] * -(-SIZE[0] * sum(bits) // 8))
    assert outcome(plain({}, strip, bits)) is RejectionCode.UNSUPPORTED_FORMAT


def _with_thumbnail() -> bytes:
    """A DNG in structure: the first directory is a thumbnail, the picture is in a sub-directory."""
    small = images.product_photo(1, (16, 11)).tobytes()
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(
            np.frombuffer(small, np.uint8).reshape(11, 16, 3),
            photometric="rgb",
            subfiletype=1,
            subifds=1,
            metadata=None,
        )
        writer.write(SCENE[..., :3], photometric="rgb", subfiletype=0, metadata=None, compression="zlib")
    return file.getvalue()


def test_a_tiff_whose_first_page_is_a_thumbnail_is_shown_at_its_picture() -> None:
    found = outcome(_with_thumbnail())
    assert isinstance(found, Image.Image)
    assert found.size == SIZE
    assert (np.asarray(found) == SCENE[..., :3]).all()


def test_a_raw_file_is_refused_and_not_shown_at_its_thumbnail() -> None:
    data = _with_thumbnail()
    rgb = struct.pack("<HHIHH", 262, 3, 1, 2, 0)
    at = data.rindex(rgb)
    raw = data[:at] + struct.pack("<HHIHH", 262, 3, 1, 32803, 0) + data[at + 12 :]
    assert outcome(raw) is RejectionCode.UNSUPPORTED_FORMAT


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("kind", [3, 4])
def test_the_orientation_of_a_cmyk_tiff_is_heeded_whatever_its_type(big: bool, kind: int) -> None:
    data = written("cmyk", "u1", "<", False, {}, bigtiff=big, extratags=[(274, kind, 1, 6, True)])
    assert originals.identify(data, limits=DEFAULT_PIXEL_LIMITS).width == SIZE[1]


def test_a_damaged_group_4_fax_is_refused_and_an_intact_one_is_not() -> None:
    data = images.tiff_bytes(images.noisy_scene(3, (200, 150)).convert("1"), compression="group4")
    at = len(data) // 2
    damaged = data[:at] + bytes(range(7, 247, 4)) + data[at + 60 :]

    def checked(file: bytes) -> Image.Image:
        return originals.canonical_pixels(file, limits=DEFAULT_PIXEL_LIMITS, strict=True)

    assert checked(data).size == (200, 150)
    with pytest.raises(ImageRejectedError) as caught:
        checked(damaged)
    assert caught.value.rejection.code is RejectionCode.DAMAGED


def test_samples_wider_than_those_of_16_bit_rgba_count_as_more_pixels() -> None:
    container = open_container(written("rgb", "f4", "<", False, {}))
    assert container.coded_pixels == SIZE[0] * SIZE[1] * 12 // 8


@pytest.mark.parametrize("planar", [False, True])
def test_a_bigtiff_of_strips_beyond_4_gigabytes_is_rejected_and_no_fault(planar: bool) -> None:
    data = written("rgb", "u2", "<", planar, {"rowsperstrip": 40}, bigtiff=True)
    at = tifffile.TiffFile(io.BytesIO(data)).pages[0].dataoffsets[0]  # type: ignore[union-attr]
    assert outcome(data.replace(struct.pack("<Q", at), struct.pack("<Q", 2**40 + at))) in (
        RejectionCode.TRUNCATED,
        RejectionCode.CORRUPT,
    )

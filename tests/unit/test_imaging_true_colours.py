"""What a file says of its colours, its crop and its canvas, other than by a profile."""

import struct

import numpy as np
import pytest
from PIL import Image

from catalog.domain.rejections import ImageRejectedError, RejectionCode
from catalog.domain.sources import DEFAULT_PIXEL_LIMITS
from imaging import coded_colours, originals
from infra.pictures import hostile, images

SIZE = (64, 48)
RGB = (200, 80, 60)
FLAT = images.flat(RGB, SIZE)
FULL_RANGE = 0x80


def shown(data: bytes) -> Image.Image:
    return originals.canonical_pixels(data, limits=DEFAULT_PIXEL_LIMITS)


def middle(data: bytes) -> tuple[int, ...]:
    image = shown(data)
    return tuple(np.asarray(image)[image.height // 2, image.width // 2].tolist())


def near(found: tuple[int, ...], wanted: tuple[int, ...], tolerance: int = 3) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(found, wanted, strict=True))


# --- PNG ---------------------------------------------------------------------------------------------------


def png_with(*chunks: tuple[bytes, bytes]) -> bytes:
    return hostile.with_png_chunks(images.png_bytes(FLAT), *chunks)


def gama(value: int) -> tuple[bytes, bytes]:
    return (b"gAMA", struct.pack(">I", value))


def chrm(*values: float) -> tuple[bytes, bytes]:
    return (b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in values)))


def test_a_linear_png_by_its_gamma_is_brightened_to_srgb() -> None:
    wanted = tuple(round(255 * (1.055 * (value / 255) ** (1 / 2.4) - 0.055)) for value in RGB)
    assert near(middle(png_with(gama(100_000))), wanted)


@pytest.mark.parametrize("chunks", [[gama(45_455)], [gama(100_000), (b"sRGB", b"\0")], [gama(0)], []])
def test_a_png_that_says_srgb_or_nonsense_keeps_its_pixels(chunks: list[tuple[bytes, bytes]]) -> None:
    assert middle(png_with(*chunks)) == RGB


def test_a_png_of_wide_primaries_is_converted_and_one_of_impossible_ones_is_not() -> None:
    p3 = chrm(0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
    red, green, _ = middle(png_with(gama(45_455), p3))
    assert red > RGB[0] + 8 and green < RGB[1]
    assert middle(png_with(gama(45_455), chrm(*[0.3] * 8))) == RGB
    assert middle(png_with(gama(45_455), chrm(*[0.0] * 8))) == RGB


def test_cicp_goes_before_a_profile_and_a_profile_before_gamma() -> None:
    wide = images.png_bytes(FLAT, icc_profile=images.wide_gamut_profile())
    p3 = (b"cICP", bytes((12, 13, 0, 1)))
    assert middle(hostile.with_png_chunks(wide, p3)) == middle(png_with(p3)) != middle(wide)
    assert middle(hostile.with_png_chunks(wide, gama(100_000))) == middle(wide)


def test_a_grey_png_heeds_its_gamma() -> None:
    grey = images.png_bytes(images.flat((64,), SIZE, "L"))
    assert near(middle(hostile.with_png_chunks(grey, gama(100_000))), (137, 137, 137))


def _moved(data: bytes, name: bytes, before: bytes) -> bytes:
    """A PNG with its chunk `name` put just before the first `before`."""
    start = data.index(name) - 4
    chunk = data[start : start + 12 + int.from_bytes(data[start : start + 4])]
    rest = data[:start] + data[start + len(chunk) :]
    at = rest.index(before) - 4
    return rest[:at] + chunk + rest[at:]


def test_png_chunks_out_of_place_count_as_absent_as_for_libpng() -> None:
    seen_through = images.png_bytes(FLAT.convert("RGB"), transparency=RGB)
    assert middle(seen_through) == (255, 255, 255)
    assert middle(_moved(seen_through, b"tRNS", b"IEND")) == RGB
    palette = images.png_bytes(FLAT.quantize(2), icc_profile=images.wide_gamut_profile())
    assert middle(palette) != RGB
    assert middle(_moved(palette, b"iCCP", b"IDAT")) == RGB


# --- GIF ---------------------------------------------------------------------------------------------------


def test_around_a_first_gif_frame_smaller_than_its_screen_nothing_is_shown() -> None:
    data = images.gif_bytes(images.flat("red", (20, 10)).quantize(2))
    frame = data.index(b",", 13)
    placed = (
        data[:6]
        + struct.pack("<HH", *SIZE)
        + data[10 : frame + 1]
        + struct.pack("<HH", 5, 7)
        + data[frame + 5 :]
    )
    found = shown(placed)
    wanted = images.flat("white", SIZE)
    wanted.paste(images.flat("red", (20, 10)), (5, 7))
    assert found.tobytes() == wanted.tobytes()


# --- AVIF --------------------------------------------------------------------------------------------------


def coded(primaries: int, transfer: int, matrix: int = 1, full_range: int = FULL_RANGE) -> bytes:
    return b"nclx" + struct.pack(">HHHB", primaries, transfer, matrix, full_range)


def avif_with(image: Image.Image, *properties: tuple[bytes, bytes]) -> bytes:
    """An AVIF whose one item has these properties too; a colour box of its own goes."""
    parts = dict(hostile.boxes(images.avif_bytes(image, quality=100, subsampling="4:4:4")))
    index = dict(hostile.boxes(parts[b"meta"][4:]))
    groups = dict(hostile.boxes(index[b"iprp"]))
    kept = [(name, body) for name, body in hostile.boxes(groups[b"ipco"]) if name != b"colr"]
    if not any(name == b"colr" for name, _ in properties):
        kept.append((b"colr", coded(1, 13, 6)))
    kept += properties
    essential = {b"av1C", b"clap"}
    numbers = bytes(number | (0x80 if name in essential else 0) for number, (name, _) in enumerate(kept, 1))
    ipma = bytes(4) + struct.pack(">IHB", 1, 1, len(kept)) + numbers
    ipco = b"".join(hostile.box(*each) for each in kept)
    index[b"iprp"] = hostile.box(b"ipco", ipco) + hostile.box(b"ipma", ipma)
    parts[b"meta"] = bytes(4) + b"".join(hostile.box(*part) for part in index.items())
    return hostile.avif(b"".join(hostile.box(*part) for part in parts.items()))


def clap(width: int, height: int, across: int = 0, down: int = 0) -> tuple[bytes, bytes]:
    return (b"clap", struct.pack(">IIIIiIiI", width, 1, height, 1, across, 2, down, 2))


def test_what_an_avif_crops_away_is_not_shown() -> None:
    picture = images.flat("black", SIZE)
    picture.paste(FLAT.crop((0, 0, 20, 10)), (4, 6))
    # Centres: 4 + 10 of 32, 6 + 5 of 24; offsets are in halves.
    data = avif_with(picture, clap(20, 10, 2 * (14 - 32), 2 * (11 - 24)))
    source = originals.identify(data, limits=DEFAULT_PIXEL_LIMITS)
    assert (source.width, source.height) == (20, 10)
    found = np.asarray(shown(data)).astype(int)
    assert found.shape == (10, 20, 3)
    assert np.abs(found - RGB).max() < 24


def test_an_avif_cropped_to_what_it_has_not_is_corrupt() -> None:
    with pytest.raises(ImageRejectedError) as caught:
        shown(avif_with(FLAT, clap(100, 10)))
    assert caught.value.rejection.code is RejectionCode.CORRUPT


def test_an_avif_of_display_p3_is_converted_to_srgb() -> None:
    plain, wide = middle(avif_with(FLAT)), middle(avif_with(FLAT, (b"colr", coded(12, 13, 6))))
    assert near(plain, RGB)
    assert wide[0] > plain[0] + 8 and wide[1] < plain[1]


@pytest.mark.parametrize("transfer", [16, 18])
def test_an_avif_of_high_dynamic_range_is_tone_mapped(transfer: int) -> None:
    """The signal of BT.2408's white, and of the brightest light there is."""
    white, most = {16: (148, 255), 18: (191, 255)}[transfer]
    levels = []
    for signal in (0, white // 2, white, most):
        grey = avif_with(images.flat((signal,) * 3, SIZE), (b"colr", coded(9, transfer, 6)))
        red, green, blue = middle(grey)
        assert max(red, green, blue) - min(red, green, blue) <= 3
        levels.append(green)
    assert levels[0] <= 2 and levels[3] >= 250
    assert levels == sorted(levels)
    assert 205 <= levels[2] <= 235  # bright, with room above it for highlights


def test_an_avif_of_a_matrix_its_decoder_does_not_know_is_shown_by_the_nearest() -> None:
    assert near(middle(avif_with(FLAT, (b"colr", coded(1, 13, 10)))), RGB, 25)


def test_other_pictures_in_an_avif_do_not_count_as_layers_of_the_primary_one() -> None:
    one = b"\0\0\0\x15infe\2\0\0\0"
    more = b"".join(one + struct.pack(">H", item) + b"\0\0av01\0" for item in range(2, 9))
    # Seven further items that share the bytes of the first: more than twice the file, and 8 pictures in all.
    assert near(middle(_with_items(images.avif_bytes(FLAT), more, 7)), RGB, 6)


def _with_items(data: bytes, entries: bytes, count: int) -> bytes:
    parts = dict(hostile.boxes(data))
    index = dict(hostile.boxes(parts[b"meta"][4:]))
    picture, groups = parts[b"mdat"], dict(hostile.boxes(index[b"iprp"]))
    one = groups[b"ipma"][10:]
    associated = groups[b"ipma"][:4] + struct.pack(">I", 1 + count)
    associated += b"".join(struct.pack(">H", item) + one for item in range(1, 2 + count))

    def meta(offset: int) -> bytes:
        first = struct.pack(">IHHHII", 1, 0, 0, 1, offset, len(picture))
        others = b"".join(
            struct.pack(">IHHHII", item, 0, 0, 1, offset, len(picture)) for item in range(2, 2 + count)
        )
        infes = struct.pack(">I", 1 + count) + index[b"iinf"][6:] + entries
        changed = {
            b"iloc": bytes((2, 0, 0, 0, 0x44, 0)) + struct.pack(">I", 1 + count) + first + others,
            b"iinf": b"\1\0\0\0" + infes,
            b"iprp": hostile.box(b"ipco", groups[b"ipco"]) + hostile.box(b"ipma", associated),
        }
        return bytes(4) + b"".join(hostile.box(*part) for part in (index | changed).items())

    start = hostile.box(b"ftyp", parts[b"ftyp"])
    at = len(start) + 8 + len(meta(0)) + 8
    return start + hostile.box(b"meta", meta(at)) + hostile.box(b"mdat", picture)


def test_coded_colours_that_mean_srgb_need_no_profile() -> None:
    assert coded_colours.coded_profile(1, 13) is None
    assert coded_colours.coded_profile(2, 2) is None
    assert coded_colours.coded_profile(1, 1) is None
    assert coded_colours.coded_profile(9, 16) is not None

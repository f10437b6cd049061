"""Images drawn and encoded in code: every format, mode, orientation, profile and attack the tests need.

Nothing is read from disk.  A `seed` fixes a drawing completely: the same seed and size are the same pixels.
"""

import io
import struct
import zlib
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from PIL import Image, ImageCms, ImageDraw, ImageFilter, ImageFont

Size = tuple[int, int]

# Stored pixels -> what a viewer shows, for each EXIF orientation; its inverse builds the stored pixels.
_UNDO_ORIENTATION: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
_GREY_DEPTHS: Final = {"I;16": (np.uint16, 65535), "I": (np.int32, 65535), "F": (np.float32, 1.0)}
_COPYRIGHT, _ARTIST, _ORIENTATION, _GPS_IFD = 0x8298, 0x013B, 0x0112, 0x8825


# --- Drawings -------------------------------------------------------------------------------------------


def product_photo(seed: int, size: Size = (800, 600)) -> Image.Image:
    """A coloured, shaded object with a label and a soft shadow on white: what a catalog mostly holds."""
    image = Image.new("RGB", size, "white")
    shape = product_cutout(seed, size)
    shadow = shape.getchannel("A").filter(ImageFilter.GaussianBlur(max(size) / 60)).point(lambda a: a // 4)
    image.paste((90, 90, 95), (size[0] // 60, size[1] // 40), shadow)
    image.paste(shape, (0, 0), shape)
    return image


def product_cutout(seed: int, size: Size = (800, 600)) -> Image.Image:
    """The object of `product_photo(seed)` alone, as RGBA with a transparent background."""
    rng = np.random.default_rng(seed)
    width, height = size
    image = Image.new("RGBA", size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    body = tuple(int(c) for c in rng.integers(20, 220, 3))
    accent = tuple(int(c) for c in rng.integers(20, 240, 3))
    left, top = width * rng.uniform(0.15, 0.3), height * rng.uniform(0.1, 0.25)
    right, bottom = width * rng.uniform(0.65, 0.85), height * rng.uniform(0.75, 0.9)
    radius = min(width, height) * rng.uniform(0.02, 0.15)
    draw.rounded_rectangle((left, top, right, bottom), radius, fill=(*body, 255))
    for _ in range(int(rng.integers(3, 8))):
        x, y = rng.uniform(left, right), rng.uniform(top, bottom)
        reach = min(width, height) * rng.uniform(0.02, 0.12)
        box = (max(left, x - reach), max(top, y - reach), min(right, x + reach), min(bottom, y + reach))
        draw.ellipse(box, fill=(*(int(c) for c in rng.integers(0, 255, 3)), 255))
    band = (left, top + (bottom - top) * 0.7, right, top + (bottom - top) * 0.85)
    draw.rectangle(band, fill=(*accent, 255))
    shading = np.linspace(1.1, 0.7, width)[None, :, None]
    pixels = np.asarray(image).astype(float)
    pixels[..., :3] = np.clip(pixels[..., :3] * shading, 0, 255)
    return Image.fromarray(pixels.astype(np.uint8))


def noisy_scene(seed: int, size: Size = (800, 600)) -> Image.Image:
    """A full-frame scene: smooth colour fields, hard edges and sensor noise; the worst for encoders."""
    rng = np.random.default_rng(seed)
    width, height = size
    field = Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8))
    image = field.resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        corners = [(int(rng.integers(0, width)), int(rng.integers(0, height))) for _ in range(3)]
        draw.polygon(corners, fill=tuple(int(c) for c in rng.integers(0, 256, 3)))
    noise = rng.normal(0, 8, (height, width, 3))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def with_text(image: Image.Image, text: str, pixels: int = 24, fill: str = "black") -> Image.Image:
    """`image` with `text` printed in its middle, its letters about `pixels` tall."""
    printed = image.copy()
    centre = (image.width / 2, image.height / 2)
    ImageDraw.Draw(printed).text(centre, text, fill, ImageFont.load_default(pixels), anchor="mm")
    return printed


def flat(colour: str | tuple[int, ...] = "white", size: Size = (800, 600), mode: str = "RGB") -> Image.Image:
    """One colour everywhere."""
    return Image.new(mode, size, colour)


def in_mode(image: Image.Image, mode: str) -> Image.Image:
    """`image` in any Pillow mode: 16-bit (`I;16`, `I`) and float grey and LAB too, over their full range."""
    if mode in _GREY_DEPTHS:
        kind, white = _GREY_DEPTHS[mode]
        return Image.fromarray((np.asarray(image.convert("L")) / 255 * white).astype(kind))
    if mode in ("P", "PA"):
        return image.convert("RGB").quantize(64).convert(mode)
    if mode == "LAB":
        to_lab = ImageCms.buildTransform(
            ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
        )
        return ImageCms.applyTransform(image.convert("RGB"), to_lab) or image
    return image.convert(mode)


# --- Encoded ---------------------------------------------------------------------------------------------


def encoded(image: Image.Image, format_name: str, **save: Any) -> bytes:
    """`image` as Pillow writes it; `format_name` is Pillow's own (`JPEG`, `TIFF`, `BMP`...)."""
    buffer = io.BytesIO()
    image.save(buffer, format_name, **save)
    return buffer.getvalue()


def jpeg_bytes(image: Image.Image, quality: int = 90, **save: Any) -> bytes:
    return encoded(image, "JPEG", quality=quality, **save)


def png_bytes(image: Image.Image, **save: Any) -> bytes:
    return encoded(image, "PNG", **save)


def webp_bytes(image: Image.Image, quality: int = 90, **save: Any) -> bytes:
    return encoded(image, "WEBP", quality=quality, **save)


def gif_bytes(image: Image.Image, **save: Any) -> bytes:
    return encoded(image, "GIF", **save)


def avif_bytes(image: Image.Image, quality: int = 90, **save: Any) -> bytes:
    return encoded(image, "AVIF", quality=quality, speed=10, **save)


def tiff_bytes(image: Image.Image, **save: Any) -> bytes:
    return encoded(image, "TIFF", **save)


def mpo_bytes(frames: Iterable[Image.Image], quality: int = 90) -> bytes:
    """A multi-picture JPEG, as some cameras write; a viewer shows the first frame."""
    first, *rest = frames
    return encoded(first, "MPO", quality=quality, save_all=True, append_images=rest)


def animated_bytes(frames: Iterable[Image.Image], format_name: str) -> bytes:
    """An animation (`GIF`, `WEBP`, `PNG` or `AVIF`), or a many-page `TIFF`."""
    first, *rest = frames
    timing = {} if format_name == "TIFF" else {"duration": 100}
    return encoded(first, format_name, save_all=True, append_images=rest, **timing)


def rgb16_png_bytes(image: Image.Image) -> bytes:
    """A PNG of 16 bits a channel, RGB or RGBA as `image` is (Pillow cannot write one)."""
    channels = np.asarray(image).astype(">u2") * 257
    colour_type = {3: 2, 4: 6}[channels.shape[2]]
    rows = b"".join(b"\0" + row.tobytes() for row in channels)
    header = struct.pack(">IIBBBBB", image.width, image.height, 16, colour_type, 0, 0, 0)
    return _png(header, zlib.compress(rows))


def interlaced_png_bytes(image: Image.Image) -> bytes:
    """An RGB PNG in Adam7's seven passes (Pillow cannot write one)."""
    pixels = np.asarray(image.convert("RGB"))
    passes = (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    )
    rows = b"".join(
        b"\0" + row.tobytes()
        for left, top, across, down in passes
        for row in pixels[top::down, left::across]
        if row.size
    )
    return _png(struct.pack(">IIBBBBB", *image.size, 8, 2, 0, 0, 1), zlib.compress(rows))


# --- Metadata --------------------------------------------------------------------------------------------


def exif_bytes(
    *, orientation: int | None = None, gps: bool = False, copyright_text: str = "", artist: str = ""
) -> bytes:
    """An EXIF block with just what is asked for; `gps` is a made-up place."""
    exif = Image.Exif()
    if orientation is not None:
        exif[_ORIENTATION] = orientation
    if copyright_text:
        exif[_COPYRIGHT] = copyright_text
    if artist:
        exif[_ARTIST] = artist
    if gps:
        exif.get_ifd(_GPS_IFD).update({1: "N", 2: (51.0, 30.0, 0.0), 3: "W", 4: (0.0, 7.0, 0.0)})
    return exif.tobytes()


def oriented(image: Image.Image, orientation: int, format_name: str = "JPEG", **save: Any) -> bytes:
    """A file stored turned or mirrored whose EXIF orientation makes a viewer show `image`."""
    undo = _UNDO_ORIENTATION.get(orientation)
    stored = image if undo is None else image.transpose(undo)
    return encoded(stored, format_name, exif=exif_bytes(orientation=orientation), **save)


def camera_jpeg_bytes(image: Image.Image, orientation: int = 6) -> bytes:
    """A JPEG as a phone writes it: turned, with GPS, copyright, artist, comment and a thumbnail-less EXIF."""
    undo = _UNDO_ORIENTATION.get(orientation)
    stored = image if undo is None else image.transpose(undo)
    exif = exif_bytes(orientation=orientation, gps=True, copyright_text="(c) A. Maker", artist="A. Maker")
    return jpeg_bytes(stored, exif=exif, comment=b"made by a test", xmp=b"<x:xmpmeta/>")


def srgb_profile() -> bytes:
    """littleCMS's own sRGB profile."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def wide_gamut_profile() -> bytes:
    """An RGB profile with sRGB's red and green primaries exchanged and gamma 1.8: no eye can miss it."""
    columns = {
        b"rXYZ": (0.3851, 0.7169, 0.0971),
        b"gXYZ": (0.4361, 0.2225, 0.0139),
        b"bXYZ": (0.1431, 0.0606, 0.7139),
    }
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(1.8 * 256)) + bytes(2)
    tags = {name: b"XYZ " + bytes(4) + s15f16(*xyz) for name, xyz in columns.items()}
    return icc(b"RGB ", b"XYZ ", tags | {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve})


def grey_profile(gamma: float = 1.0) -> bytes:
    """A grey profile of one gamma; 1.0 makes mid-grey 128 a bright 188 in sRGB."""
    return icc(
        b"GRAY", b"XYZ ", {b"kTRC": b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)}
    )


def cmyk_profile() -> bytes:
    """A tiny CMYK profile (2-point table to Lab) under which every ink is a neutral grey: colour vanishes."""
    table = bytearray()
    for index in range(16):
        ink = bin(index).count("1")
        table += bytes((round(255 * (1 - min(1.0, ink / 3))), 128, 128))
    ramp = bytes(range(256))
    lut = (
        b"mft1"
        + bytes(4)
        + bytes((4, 3, 2, 0))
        + s15f16(1, 0, 0, 0, 1, 0, 0, 0, 1)
        + ramp * 4
        + bytes(table)
        + ramp * 3
    )
    return icc(b"CMYK", b"Lab ", {b"A2B0": lut}, device_class=b"prtr")


# --- Attacks and damage ----------------------------------------------------------------------------------


def png_bomb(side: int = 13_000, *, colour_type: int = 2, depth: int = 8) -> bytes:
    """A valid PNG of `side` x `side` zeros: half a megabyte that asks for half a gigabyte.

    `colour_type` 2 is RGB (black), 6 RGBA (transparent); `depth` is 8 or 16 bits a channel.
    """
    rows_at_once = 100
    row = 1 + {2: 3, 6: 4}[colour_type] * depth // 8 * side
    deflater = zlib.compressobj(9, wbits=-15)
    block = deflater.compress(bytes(row * rows_at_once)) + deflater.flush(zlib.Z_FULL_FLUSH)
    whole, rest = divmod(side, rows_at_once)
    last = zlib.compressobj(9, wbits=-15)
    tail = last.compress(bytes(row * rest)) + last.flush()
    adler = (row * side % 65521) << 16 | 1  # of zeros only, in closed form
    header = struct.pack(">IIBBBBB", side, side, depth, colour_type, 0, 0, 0)
    return _png(header, b"\x78\xda" + block * whole + tail + struct.pack(">I", adler))


def webp_bomb(side: int = 13_000, *, alpha: bool = False) -> bytes:
    """A valid lossless WebP of one colour, `side` x `side` (up to 16,384): some forty bytes."""
    bits = [(side - 1, 14), (side - 1, 14), (int(alpha), 1), (0, 3), (0, 1), (0, 1), (0, 1)]
    for symbol in (0, 0, 0, 255, 0):  # green, red, blue, alpha, distance: each a code of one symbol, no bits
        bits += [(1, 1), (0, 1), (1, 1), (symbol, 8)]
    value = shift = 0
    for number, width in bits:
        value |= number << shift
        shift += width
    stream = b"\x2f" + value.to_bytes((shift + 7) // 8, "little")
    return riff(riff_chunk(b"VP8L", stream))


def gif_bomb(side: int = 13_000) -> bytes:
    """A GIF header that declares `side` x `side` for the canvas and the frame, with next to no data."""
    frame = b"," + struct.pack("<HHHHB", 0, 0, side, side, 0)
    return (
        b"GIF89a"
        + struct.pack("<HHBBB", side, side, 0x80, 0, 0)
        + bytes(6)
        + frame
        + b"\x02\x02\x4c\x01\x00;"
    )


def tiff_bomb(side: int = 13_000) -> bytes:
    """A valid deflated RGB TIFF of `side` x `side` black pixels: half a megabyte for 13,000."""
    strip = zlib.compress(bytes(3 * side * 100), 9)  # every 100 rows
    strips = -(-side // 100)
    entries = [
        (256, 4, 1, side), (257, 4, 1, side), (258, 3, 3, 0), (259, 3, 1, 8), (262, 3, 1, 2),
        (273, 4, strips, 0), (277, 3, 1, 3), (278, 4, 1, 100), (279, 4, strips, 0),
    ]  # fmt: skip
    after = 8 + 2 + 12 * len(entries) + 4
    places = {258: after, 273: after + 8, 279: after + 8 + 4 * strips}
    ifd = struct.pack("<H", len(entries))
    for tag, kind, count, value in entries:
        place = places.get(tag, value)
        ifd += struct.pack("<HHII", tag, kind, count, place)
    data_at = after + 8 + 8 * strips
    arrays = struct.pack("<HHH", 8, 8, 8) + bytes(2)
    arrays += struct.pack(
        f"<{strips}I", *(data_at + len(strip) * index for index in range(strips))
    ) + struct.pack(f"<{strips}I", *([len(strip)] * strips))
    return b"II*\0" + struct.pack("<I", 8) + ifd + bytes(4) + arrays + strip * strips


def with_png_size(data: bytes, width: int, height: int) -> bytes:
    """A PNG whose header lies about its size (its CRC is right)."""
    ihdr = struct.pack(">II", width, height) + data[24:29]
    return data[:16] + ihdr + struct.pack(">I", zlib.crc32(b"IHDR" + ihdr)) + data[33:]


def with_jpeg_size(data: bytes, width: int, height: int) -> bytes:
    """A JPEG whose frame header (SOF) lies about its size."""
    at = 2
    while not (0xC0 <= data[at + 1] <= 0xCF and data[at + 1] not in (0xC4, 0xC8, 0xCC)):
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]


def with_webp_canvas(data: bytes, width: int, height: int) -> bytes:
    """The WebP wrapped in (or patched to) an extended header (VP8X) with a canvas of its own."""
    body = data[12:]
    if body[:4] == b"VP8X":
        body = body[18:]
    canvas = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return riff(riff_chunk(b"VP8X", canvas) + body)


def with_avif_size(data: bytes, width: int, height: int) -> bytes:
    """An AVIF whose every image-size property (`ispe`) lies."""
    at = data.find(b"ispe")
    while at >= 0:
        data = data[: at + 8] + struct.pack(">II", width, height) + data[at + 16 :]
        at = data.find(b"ispe", at + 16)
    return data


def half_of(data: bytes) -> bytes:
    return data[: len(data) // 2]


def with_bit_flipped(data: bytes, bit: int) -> bytes:
    """`data` with one bit inverted, counted from its start, modulo its length."""
    at, mask = (bit // 8) % len(data), 1 << bit % 8
    return data[:at] + bytes((data[at] ^ mask,)) + data[at + 1 :]


def polyglot_html(image: Image.Image) -> bytes:
    """A good JPEG followed by a web page: still the JPEG, and no byte of the page may come out again."""
    return jpeg_bytes(image) + b"<html><script>alert(1)</script></html>"


def html_named_jpg() -> bytes:
    return b"<!doctype html><title>no picture</title>"


def riff_chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def riff(body: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def _png(header: bytes, compressed: bytes) -> bytes:
    chunks = ((b"IHDR", header), (b"IDAT", compressed), (b"IEND", b""))
    framed = (struct.pack(">I", len(b)) + n + b + struct.pack(">I", zlib.crc32(n + b)) for n, b in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def s15f16(*numbers: float) -> bytes:
    return struct.pack(f">{len(numbers)}i", *(round(n * 65536) for n in numbers))


def icc(space: bytes, connection: bytes, tags: dict[bytes, bytes], device_class: bytes = b"mntr") -> bytes:
    text = b"test".ljust(5, b"\0")
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(79),
        b"wtpt": b"XYZ " + bytes(4) + s15f16(0.9642, 1.0, 0.8249),
        **tags,
    }
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    size = start + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02400000, device_class, space, connection)
    head += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + s15f16(0.9642, 1.0, 0.8249)
    return head.ljust(128, b"\0") + table + body

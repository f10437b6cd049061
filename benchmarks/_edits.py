"""What happens to an image between two uploads of it: re-encodes and resizes that keep it the same image."""

import io
import struct
from collections.abc import Callable, Mapping
from typing import Final

from PIL import Image, ImageCms
from PIL.Image import Resampling, Transpose

Edit = Callable[[Image.Image], bytes]


def jpeg(image: Image.Image, quality: int, **options: object) -> bytes:
    return encoded(image, "JPEG", quality=quality, **options)


def encoded(image: Image.Image, container: str, **options: object) -> bytes:
    """`image` in Pillow's `container` format; `options` as Image.save takes them."""
    buffer = io.BytesIO()
    image.save(buffer, container, **options)
    return buffer.getvalue()


def resized(image: Image.Image, percent: int, resample: Resampling = Resampling.LANCZOS) -> Image.Image:
    """`image` with both sides at `percent`, rounded to whole pixels."""
    return image.resize(
        (max(1, round(image.width * percent / 100)), max(1, round(image.height * percent / 100))), resample
    )


def rotated_with_orientation(image: Image.Image) -> bytes:
    """The pixels on their side and an EXIF orientation of 6 that puts them upright, as phones store them."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return jpeg(image.transpose(Transpose.ROTATE_90), 92, exif=exif)


def in_adobe_rgb(image: Image.Image) -> bytes:
    """The same colours in Adobe RGB (1998) values, with that profile embedded."""
    profile = adobe_rgb_profile()
    wide = ImageCms.profileToProfile(
        image,
        ImageCms.createProfile("sRGB"),
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )
    assert wide is not None
    return jpeg(wide, 92, icc_profile=profile)


def adobe_rgb_profile() -> bytes:
    """A minimal ICC v2 matrix profile: Adobe RGB's primaries adapted to D50 and its gamma of 563/256."""

    def fixed(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    def xyz(*values: float) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(fixed(value) for value in values)

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(563 / 256 * 256)) + b"\0\0"
    name = b"Adobe RGB compatible\0"
    description = b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + bytes(78)
    description += bytes(-len(description) % 4)
    tags = {
        b"desc": description,
        b"cprt": b"text\0\0\0\0none\0\0\0\0",
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
        b"rXYZ": xyz(0.60974, 0.31111, 0.01947),
        b"gXYZ": xyz(0.20528, 0.62567, 0.06087),
        b"bXYZ": xyz(0.14919, 0.06322, 0.74457),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for signature, data in tags.items():
        table += signature + struct.pack(">II", start + len(body), len(data))
        body += data
    header = struct.pack(">I4sI4s4s4s", start + len(body), bytes(4), 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    header += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    header += fixed(0.9642) + fixed(1.0) + fixed(0.8249)
    return header + bytes(128 - len(header)) + table + body


def without_antialiasing(image: Image.Image, percent: int) -> Image.Image:
    """Bilinear at the target's sample points only, as OpenCV's INTER_LINEAR and many browsers shrink."""
    width, height = (max(1, round(side * percent / 100)) for side in image.size)
    x_step, y_step = image.width / width, image.height / height
    return image.transform(
        (width, height), Image.Transform.AFFINE, (x_step, 0, 0, 0, y_step, 0), Resampling.BILINEAR
    )


EDITS: Final[Mapping[str, Edit]] = {
    "JPEG q30": lambda image: jpeg(image, 30),
    "JPEG q40": lambda image: jpeg(image, 40),
    "JPEG q50": lambda image: jpeg(image, 50),
    "JPEG q70": lambda image: jpeg(image, 70),
    "JPEG q85": lambda image: jpeg(image, 85),
    "JPEG q95": lambda image: jpeg(image, 95),
    "JPEG q60 4:4:4": lambda image: jpeg(image, 60, subsampling=0),
    "JPEG q80 progressive": lambda image: jpeg(image, 80, progressive=True),
    "JPEG q80, then q60": lambda image: jpeg(Image.open(io.BytesIO(jpeg(image, 80))), 60),
    "WebP q50": lambda image: encoded(image, "WEBP", quality=50),
    "WebP q80": lambda image: encoded(image, "WEBP", quality=80),
    "AVIF q50": lambda image: encoded(image, "AVIF", quality=50, speed=8),
    "AVIF q75": lambda image: encoded(image, "AVIF", quality=75, speed=8),
    "PNG": lambda image: encoded(image, "PNG"),
    "90% Lanczos, JPEG q85": lambda image: jpeg(resized(image, 90), 85),
    "75% Lanczos, JPEG q85": lambda image: jpeg(resized(image, 75), 85),
    "75% bilinear, JPEG q60": lambda image: jpeg(resized(image, 75, Resampling.BILINEAR), 60),
    "67% bicubic, JPEG q80": lambda image: jpeg(resized(image, 67, Resampling.BICUBIC), 80),
    "50% Lanczos, JPEG q85": lambda image: jpeg(resized(image, 50), 85),
    "50% bilinear, JPEG q85": lambda image: jpeg(resized(image, 50, Resampling.BILINEAR), 85),
    "50% box, PNG": lambda image: encoded(resized(image, 50, Resampling.BOX), "PNG"),
    "50% Lanczos, WebP q80": lambda image: encoded(resized(image, 50), "WEBP", quality=80),
    "40% Hamming, JPEG q75": lambda image: jpeg(resized(image, 40, Resampling.HAMMING), 75),
    "33% bilinear, JPEG q80": lambda image: jpeg(resized(image, 33, Resampling.BILINEAR), 80),
    "25% Lanczos, JPEG q85": lambda image: jpeg(resized(image, 25), 85),
    "25% bicubic, PNG": lambda image: encoded(resized(image, 25, Resampling.BICUBIC), "PNG"),
    "EXIF orientation 6": rotated_with_orientation,
    "metadata stripped": lambda image: jpeg(image, 90),
    "Adobe RGB": in_adobe_rgb,
}
"""Edits by name, each of an upright sRGB image.  Recall is over all of them."""

BEYOND: Final[Mapping[str, Edit]] = {
    "50% without antialiasing, JPEG q85": lambda image: jpeg(without_antialiasing(image, 50), 85),
    "33% without antialiasing, JPEG q85": lambda image: jpeg(without_antialiasing(image, 33), 85),
    "50% nearest, PNG": lambda image: encoded(resized(image, 50, Resampling.NEAREST), "PNG"),
    "JPEG q15": lambda image: jpeg(image, 15),
    "GIF": lambda image: encoded(image.quantize(256), "GIF"),
    "150% bicubic, JPEG q85": lambda image: jpeg(resized(image, 150, Resampling.BICUBIC), 85),
}
"""Reported beside the others and not counted: nobody promised these."""

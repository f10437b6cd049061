"""What happens to an image between two uploads of it, in groups that each have a target of their own.

Re-encodes and resizes keep it the same image.  Another frame, another tone and a mark make a picture that a
person should be shown, and that must not be merged unseen where a customer would notice.
"""

import io
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, ImageChops, ImageCms, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps
from PIL.Image import Dither, Resampling, Transpose

Edit = Callable[[Image.Image], bytes | None]
"""An upright sRGB image to the file that is uploaded; None where the image has nothing to edit so."""


def jpeg(image: Image.Image, quality: int, **options: object) -> bytes:
    return encoded(image, "JPEG", quality=quality, **options)


def encoded(image: Image.Image, container: str, **options: object) -> bytes:
    """`image` in Pillow's `container` format; `options` as Image.save takes them."""
    buffer = io.BytesIO()
    image.save(buffer, container, **options)
    return buffer.getvalue()


def resized(image: Image.Image, percent: float, resample: Resampling = Resampling.LANCZOS) -> Image.Image:
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


def sharpened(image: Image.Image, percent: int) -> Image.Image:
    """Reduced by Lanczos and sharpened (unsharp mask, sigma 1, 60%), as shops' image tools do."""
    return resized(image, percent).filter(ImageFilter.UnsharpMask(radius=1, percent=60, threshold=0))


def halved_stepwise(image: Image.Image, percent: int) -> Image.Image:
    """Halved by bilinear filtering until one more step would be too small, then brought there: a canvas."""
    width, height = (max(1, round(side * percent / 100)) for side in image.size)
    while image.width // 2 >= width and image.height // 2 >= height:
        image = image.resize((image.width // 2, image.height // 2), Resampling.BILINEAR)
    return image.resize((width, height), Resampling.BILINEAR)


_NETWORKS_SMALLEST: Final = 1080


def saved_by_a_network(image: Image.Image, longest: int) -> bytes | None:
    """At most `longest` pixels a side, JPEG 4:2:0 at q71, and that saved once more at q70.

    None for an image that is small enough already, unless `longest` is the smaller of the two in use.
    """
    if max(image.size) <= longest and longest > _NETWORKS_SMALLEST:
        return None
    small = image.copy()
    small.thumbnail((longest, longest), Resampling.BICUBIC, reducing_gap=None)
    return jpeg(reopened(jpeg(small, 71, subsampling=2)), 70, subsampling=2)


def reopened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


# The luma and chroma table that mozjpeg uses by default (its table 3, by N. Robidoux), at quality 50.
_ROBIDOUX: Final = (
    16, 16, 16, 18, 25, 37, 56, 85, 16, 17, 20, 27, 34, 40, 53, 75, 16, 20, 24, 31, 43, 62, 91, 135,
    18, 27, 31, 40, 53, 74, 106, 156, 25, 34, 43, 53, 69, 94, 131, 189, 37, 40, 62, 74, 94, 124, 169, 238,
    56, 53, 91, 106, 131, 169, 226, 311, 85, 75, 135, 156, 189, 238, 311, 418,
)  # fmt: skip


def with_mozjpegs_table(image: Image.Image, quality: int) -> bytes:
    """A progressive, optimised JPEG with mozjpeg's quantisation table; its trellis is not imitated."""
    scale = 5000 / quality if quality < 50 else 200 - 2 * quality
    steps = [min(255, max(1, int((step * scale + 50) / 100))) for step in _ROBIDOUX]
    return encoded(image, "JPEG", qtables=[steps, steps], progressive=True, optimize=True)


def in_256_colours(image: Image.Image, *, dithered: bool) -> bytes:
    """A PNG of 8 bits a pixel.  Its palette is refined by k-means, as that of pngquant and TinyPNG is."""
    small = image.copy()
    small.thumbnail((400, 400))
    palette = small.quantize(256, kmeans=1)
    dither = Dither.FLOYDSTEINBERG if dithered else Dither.NONE
    return encoded(image.quantize(palette=palette, dither=dither), "PNG")


def background(image: Image.Image) -> tuple[int, int, int]:
    """The median colour of the outermost pixels."""
    colours = np.asarray(image.convert("RGB"))
    border = np.concatenate([colours[0], colours[-1], colours[:, 0], colours[:, -1]])
    red, green, blue = (int(level) for level in np.median(border, axis=0))
    return red, green, blue


def content_box(image: Image.Image) -> tuple[int, int, int, int] | None:
    """What differs from the background by more than 12 levels; None unless a side loses 2% or more."""
    plain = Image.new("RGB", image.size, background(image))
    moved = ImageChops.difference(image.convert("RGB"), plain).convert("L")
    box = moved.point([0] * 13 + [255] * 243).getbbox()
    if box is None or (box[2] - box[0] > 0.98 * image.width and box[3] - box[1] > 0.98 * image.height):
        return None
    return box


def trimmed(image: Image.Image) -> bytes | None:
    box = content_box(image)
    return jpeg(image.crop(box), 90) if box else None


def padded_to_a_square(image: Image.Image) -> bytes | None:
    """The content in the middle of a white square with 5% to spare; a picture without margins letterboxed.

    None for a square without margins: nothing would change.
    """
    box = content_box(image)
    if box is None and image.width == image.height:
        return None
    content = image.crop(box) if box else image
    side = round(max(content.size) * (1.1 if box else 1))
    square = Image.new("RGB", (side, side), background(image) if box else (255, 255, 255))
    square.paste(content, ((side - content.width) // 2, (side - content.height) // 2))
    return jpeg(square, 90)


def cropped(image: Image.Image, percent: float) -> Image.Image:
    """Without `percent` of the side at each of the four edges, at least a pixel."""
    x, y = (max(1, round(side * percent / 100)) for side in image.size)
    return image.crop((x, y, image.width - x, image.height - y))


def levelled(image: Image.Image, curve: Callable[[float], float]) -> Image.Image:
    """Every channel through one curve of 0 to 1."""
    return image.point([min(255, max(0, round(255 * curve(level / 255)))) for level in range(256)] * 3)


_TO_P3: Final = np.array(  # linear sRGB to linear Display P3, both D65
    [[0.8224620, 0.1775380, 0.0], [0.0331942, 0.9668058, 0.0], [0.0170826, 0.0723974, 0.9105199]], np.float32
)


def p3_taken_as_srgb(image: Image.Image) -> Image.Image:
    """The numbers the picture has in Display P3, shown as if they were sRGB: its profile was stripped."""
    levels = np.arange(256, dtype=np.float32) / 255
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4).astype(np.float32)
    wide = np.clip(linear[np.asarray(image)] @ _TO_P3.T, 0, 1)
    shown = np.where(wide <= 0.0031308, 12.92 * wide, 1.055 * wide ** (1 / 2.4) - 0.055)
    return Image.fromarray(np.rint(255 * shown).astype(np.uint8))


def watermarked(image: Image.Image) -> Image.Image:
    """A word across the middle, white with a dark edge, at a third of full opacity."""
    side = max(image.size)
    layer = Image.new("RGBA", image.size)
    ImageDraw.Draw(layer).text(
        (image.width / 2, image.height / 2),
        "SAMPLE SHOP",
        fill=(255, 255, 255, 90),
        stroke_width=max(1, side // 250),
        stroke_fill=(60, 60, 60, 90),
        font=ImageFont.load_default(max(8, side // 10)),
        anchor="mm",
    )
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


def with_logo(image: Image.Image) -> Image.Image:
    """A solid badge of an eighth of the longer side in the lower right corner."""
    marked = image.copy()
    side = max(16, max(image.size) // 8)
    x, y = image.width - side - side // 5, image.height - side - side // 5
    draw = ImageDraw.Draw(marked)
    draw.rounded_rectangle((x, y, x + side, y + side), side // 6, fill=(20, 70, 140))
    font = ImageFont.load_default(max(8, side // 3))
    draw.text((x + side / 2, y + side / 2), "SHOP", fill=(255, 255, 255), font=font, anchor="mm")
    return marked


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
    "50% Lanczos, sharpened, JPEG q85": lambda image: jpeg(sharpened(image, 50), 85),
    "75% Lanczos, sharpened, JPEG q85": lambda image: jpeg(sharpened(image, 75), 85),
    "33% canvas, JPEG q92": lambda image: jpeg(halved_stepwise(image, 33), 92),
    "50% Lanczos, WebP q75 (Next.js)": lambda image: encoded(resized(image, 50), "WEBP", quality=75),
    "1,080 px and JPEG q71, then q70": lambda image: saved_by_a_network(image, 1080),
    "2,048 px and JPEG q71, then q70": lambda image: saved_by_a_network(image, 2048),
    "mozjpeg's table, q75": lambda image: with_mozjpegs_table(image, 75),
    "PNG8": lambda image: in_256_colours(image, dithered=False),
    "PNG8, dithered": lambda image: in_256_colours(image, dithered=True),
    "50% nearest, PNG": lambda image: encoded(resized(image, 50, Resampling.NEAREST), "PNG"),
}
"""Re-encodes and resizes: what a shop expects to be merged.  Recall is over all of them."""

FRAMES: Final[Mapping[str, Edit]] = {
    "margins trimmed": trimmed,
    "padded to a square": padded_to_a_square,
    "white border of 10 px": lambda image: jpeg(ImageOps.expand(image, 10, (255, 255, 255)), 90),
    "1% cropped at each edge": lambda image: jpeg(cropped(image, 1), 90),
    "2% cropped at each edge": lambda image: jpeg(cropped(image, 2), 90),
}
TONES: Final[Mapping[str, Edit]] = {
    "levels 245 to 255": lambda image: jpeg(levelled(image, lambda level: level * 255 / 245), 90),
    "brightness +2%": lambda image: jpeg(ImageEnhance.Brightness(image).enhance(1.02), 90),
    "gamma 1.05": lambda image: jpeg(levelled(image, lambda level: level ** (1 / 1.05)), 90),
    "P3 profile stripped": lambda image: jpeg(p3_taken_as_srgb(image), 90),
    "autocontrast": lambda image: jpeg(ImageOps.autocontrast(image), 90),
}
MARKS: Final[Mapping[str, Edit]] = {
    "watermark": lambda image: jpeg(watermarked(image), 90),
    "logo": lambda image: jpeg(with_logo(image), 90),
}

BEYOND: Final[Mapping[str, Edit]] = {
    "50% without antialiasing, JPEG q85": lambda image: jpeg(without_antialiasing(image, 50), 85),
    "33% without antialiasing, JPEG q85": lambda image: jpeg(without_antialiasing(image, 33), 85),
    "JPEG q15": lambda image: jpeg(image, 15),
    "GIF": lambda image: encoded(image.quantize(256), "GIF"),
    "150% bicubic, JPEG q85": lambda image: jpeg(resized(image, 150, Resampling.BICUBIC), 85),
}
"""Reported beside the others and not counted: nobody promised these."""


@dataclass(frozen=True)
class Group:
    """Edits that a shop means alike, and the shares of them that are wished for.

    Joined are those that are merged, and those linked as too small a copy to be sure of.  Paired are those
    too that are shown to a person: candidates that are not told to be different.
    """

    name: str
    edits: Mapping[str, Edit]
    joined_at_least: float | None = None
    merged_at_most: float | None = None
    paired_at_least: float | None = None


GROUPS: Final = (
    Group("re-encoded or resized", EDITS, joined_at_least=0.96),
    Group("another frame", FRAMES, paired_at_least=0.95),
    Group("another tone", TONES, paired_at_least=0.98),
    Group("marked", MARKS, merged_at_most=0.0, paired_at_least=0.95),
    Group("beyond", BEYOND),
)

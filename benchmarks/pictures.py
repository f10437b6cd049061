"""What we show of a folder of images beside what libvips shows, and everything that differs.

    python -m benchmarks.pictures [--images DIR] [--out DIR]

Without `--images` it draws: the matrix of TIFFs, every format and mode, and JPEGs with a part lost.  Both
decode, turn upright, convert to sRGB and lay transparency on white; libvips refuses at its first warning, as
sharp does.  `pictures.json` in `--out` has every file, `pictures.html` a contact sheet of those that differ:
shown by one and refused by the other, luma SSIM below 0.98 or a mean colour difference (CIE 1976) above 2.
"""

import argparse
import base64
import html
import io
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks._rates import table
from catalog.domain.rejections import ImageRejectedError
from catalog.domain.sources import DEFAULT_PIXEL_LIMITS
from imaging.comparison import ssim
from imaging.originals import canonical_pixels
from infra.pictures import hostile, images, tiffs

LONGEST: Final = 512  # pixels of a side at which two pictures are compared
SSIM_LEAST: Final = 0.98
DIFFERENCE_MOST: Final = 2.0
LOST: Final = 4096
_PREVIEW: Final = 200


@dataclass(frozen=True)
class Compared:
    """One file.  `ours` and `libvips` are "shown" or why it is not; the figures are of two that are shown."""

    name: str
    ours: str
    libvips: str
    ssim: float | None = None
    difference: float | None = None

    @property
    def agreement(self) -> str:
        shown = self.ours == "shown", self.libvips == "shown"
        if shown == (True, True):
            assert self.ssim is not None and self.difference is not None
            alike = self.ssim >= SSIM_LEAST and self.difference <= DIFFERENCE_MOST
            return "shown alike" if alike else "shown differently"
        return {(True, False): "only we show", (False, True): "only libvips shows"}.get(shown, "both refuse")


def ours(data: bytes) -> Image.Image | str:
    try:
        return canonical_pixels(data, limits=DEFAULT_PIXEL_LIMITS, strict=True)
    except ImageRejectedError as error:
        return f"{error.rejection.code}: {error.rejection.detail}"


def theirs(data: bytes) -> Image.Image | str:
    import pyvips  # noqa: PLC0415 (in the environment of benchmarks only)

    try:
        image = pyvips.Image.new_from_buffer(data, "", fail_on="warning").autorot()
        if image.get_typeof("icc-profile-data"):
            image = image.icc_transform(
                "srgb", embedded=True, intent="relative", black_point_compensation=True
            )
        image = image.colourspace("srgb")
        if image.hasalpha():
            image = image.flatten(background=[255, 255, 255])
        pixels = image.cast("uchar").numpy()
    except pyvips.Error as error:
        return str(error).strip().splitlines()[-1][:120]
    return Image.fromarray(np.ascontiguousarray(pixels[..., :3])).convert("RGB")


def compared(name: str, first: Image.Image | str, second: Image.Image | str) -> Compared:
    if isinstance(first, str) or isinstance(second, str):
        told = ("shown" if isinstance(each, Image.Image) else each for each in (first, second))
        return Compared(name, *told)
    # At one size, however each was scaled by its decoder; one turned the other way is told by its figures.
    longest = max(*first.size, *second.size)
    scale = min(1.0, LONGEST / longest)
    size = tuple(max(1, round(side * scale)) for side in second.size)
    left, right = (each.resize(size, Image.Resampling.LANCZOS) for each in (first, second))
    luma = ssim(np.asarray(left.convert("L")), np.asarray(right.convert("L")))
    apart = np.linalg.norm(_lab(left) - _lab(right), axis=-1).mean()
    return Compared(name, "shown", "shown", round(luma, 4), round(float(apart), 2))


def _lab(image: Image.Image) -> npt.NDArray[np.float64]:
    """CIE L*a*b* of sRGB, for D65."""
    signal = np.asarray(image, np.float64) / 255
    light = np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505)))
    ratio = light @ to_xyz.T / np.array((0.9505, 1.0, 1.089))
    x, y, z = np.moveaxis(np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116), -1, 0)
    return np.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), axis=-1)


def drawn() -> Iterator[tuple[str, bytes]]:
    """The generated matrix."""
    for layout in tiffs.LAYOUTS:
        for dtype in tiffs.DTYPES:
            yield from ((f"tiff/{name}", data) for name, data in tiffs.cells(layout, dtype))
    yield from ((f"seed/{name}", data) for name, data in hostile.SEEDS.items())
    for seed in range(25):
        whole = images.jpeg_bytes(images.noisy_scene(seed, (480, 360)), progressive=seed % 5 == 0)
        at = len(whole) // 2
        yield f"jpeg/{seed}-whole", whole
        yield f"jpeg/{seed}-cut", whole[:at] + whole[at + LOST :]
        yield f"jpeg/{seed}-zeroed", whole[:at] + bytes(LOST) + whole[at + LOST :]


def found(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(folder)), path.read_bytes()


def contact_sheet(rows: list[tuple[Compared, Image.Image | str, Image.Image | str]]) -> str:
    cells = "".join(
        f"<tr><td>{html.escape(each.name)}<td>{each.agreement}<td>{_cell(first)}<td>{_cell(second)}"
        f"<td>{each.ssim if each.ssim is not None else ''}"
        f"<td>{each.difference if each.difference is not None else ''}"
        for each, first, second in rows
    )
    return (
        "<!doctype html><meta charset=utf-8><title>Pictures</title><style>body{font:14px sans-serif}"
        "td,th{padding:4px 8px;text-align:left;border-top:1px solid #ccc}</style>"
        f"<h1>{len(rows)} files that differ</h1><table>"
        f"<tr><th>file<th><th>ours<th>libvips<th>SSIM<th>ΔE{cells}</table>"
    )


def _cell(shown: Image.Image | str) -> str:
    if isinstance(shown, str):
        return html.escape(shown)
    file = io.BytesIO()
    small = shown.copy()
    small.thumbnail((_PREVIEW, _PREVIEW))
    small.save(file, "JPEG", quality=80)
    return f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}">'


def _kind(name: str) -> str:
    """What a disagreement is counted under: a drawn file's layout and depth, a found one's suffix."""
    folder, _, rest = name.partition("/")
    if folder == "tiff":
        depth = next(dtype for dtype in tiffs.DTYPES if f"-{dtype}-" in rest)
        return f"TIFF {rest[: rest.index(f'-{depth}-')]} {depth}"
    if folder == "jpeg" and "-" in rest:
        return f"JPEG {rest.partition('-')[2]}"
    return rest if folder == "seed" else Path(name).suffix.lower()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=Path, help="a folder; drawn files without it")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/pictures"))
    options = parser.parse_args(arguments)
    everything: list[Compared] = []
    differing = []
    for name, data in found(options.images) if options.images else drawn():
        first, second = ours(data), theirs(data)
        each = compared(name, first, second)
        everything.append(each)
        if each.agreement not in ("shown alike", "both refuse"):
            small = [shown if isinstance(shown, str) else _small(shown) for shown in (first, second)]
            differing.append((each, small[0], small[1]))
    options.out.mkdir(parents=True, exist_ok=True)
    told: list[dict[str, Any]] = [asdict(each) | {"agreement": each.agreement} for each in everything]
    (options.out / "pictures.json").write_text(json.dumps(told, indent=1))
    (options.out / "pictures.html").write_text(contact_sheet(differing))
    counts = Counter(each.agreement for each in everything)
    print(table(("outcome", "files"), [(name, str(count)) for name, count in counts.most_common()]))
    kinds = Counter((each.agreement, _kind(each.name)) for each, _, _ in differing)
    if kinds:
        print(
            table(
                ["differs", "kind", "files"], [[*kind, str(count)] for kind, count in sorted(kinds.items())]
            )
        )
    print(f"Contact sheet: {options.out / 'pictures.html'}")
    return 0


def _small(shown: Image.Image) -> Image.Image:
    shown = shown.copy()
    shown.thumbnail((_PREVIEW, _PREVIEW))
    return shown


if __name__ == "__main__":
    sys.exit(main())

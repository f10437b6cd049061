"""What rendering an original costs: this engine, Pillow as tutorials write it, libvips and sharp, in one run.

    python -m benchmarks.render [--images DIR] [--photos 3] [--rounds 4] [--formats PNG ...] [--out FILE]

Originals of 2, 12 and 24 megapixels as JPEG, PNG and WebP, made of the largest images of DIR (a smaller one
is continued by its mirror image, a larger one scaled down), or of drawn ones; JPEGs of DIR also as they are.
Every engine renders each of them in turn, round after round; of CPU and wall the least of an original's
rounds counts, of memory the most.  Prints Markdown tables; benchmarks/_engines.py says what each engine does.
"""

import argparse
import contextlib
import io
import math
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from benchmarks._engines import (
    LIBVIPS,
    OURS,
    PILLOW,
    SHARP,
    SIDES,
    Engine,
    EngineUnavailableError,
    Run,
    started,
)
from benchmarks._rates import table
from benchmarks._report import Goal, report
from imaging.colour import to_srgb
from imaging.comparison import ssim
from infra.pictures.images import noisy_scene, product_photo

ENGINES: Final = (OURS, PILLOW, LIBVIPS, SHARP)
PEERS: Final = (LIBVIPS, SHARP)
SIZES: Final = {"2 MP": (1600, 1200), "12 MP": (4000, 3000), "24 MP": (6000, 4000)}
AS_IT_IS: Final = "as it is"
# As a camera, an editor and a web shop's export write them.
FORMATS: Final[dict[str, dict[str, Any]]] = {
    "JPEG": {"quality": 92},
    "PNG": {"compress_level": 6},
    "WebP": {"quality": 90, "method": 4},
}
CPU_GOALS: Final = {"JPEG": 0.65, "PNG": 1.0, "WebP": 0.8}
SSIM_TOLERANCE: Final = 0.002
_MIB: Final = 2**20


@dataclass(frozen=True)
class Original:
    path: Path
    format: str
    size: str

    @property
    def case(self) -> tuple[str, str]:
        return (self.format, self.size)


@dataclass
class Measured:
    """One engine on one case.  By original the least CPU and wall in seconds, its bytes and its SSIM."""

    cpu: dict[str, float] = field(default_factory=dict)
    wall: dict[str, float] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)
    ssim: dict[str, float] = field(default_factory=dict)
    resident: int = 0  # before the first original, in bytes
    peak: int = 0  # above that, of all originals

    def add(self, name: str, run: Run) -> None:
        self.cpu[name] = min(run.cpu, self.cpu.get(name, math.inf))
        self.wall[name] = min(run.wall, self.wall.get(name, math.inf))

    def as_json(self) -> dict[str, Any]:
        return {
            "cpu_ms": 1000 * mean(self.cpu.values()),
            "wall_ms": 1000 * mean(self.wall.values()),
            "peak_mib": self.peak / _MIB,
            "resident_mib": self.resident / _MIB,
            "bytes": mean(self.bytes.values()),
            "ssim": mean(self.ssim.values()),
            "by_original": {
                name: {"cpu_ms": 1000 * cpu, "bytes": self.bytes[name], "ssim": self.ssim[name]}
                for name, cpu in self.cpu.items()
            },
        }


Case = tuple[str, str]
Results = dict[Case, dict[str, Measured]]


def mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed) if listed else math.nan


# --- Originals ---------------------------------------------------------------------------------------------


def photos_of(folder: Path, count: int) -> list[Path]:
    """The images of `folder` with the most pixels, largest first."""
    found: list[tuple[int, Path]] = []
    for path in sorted(folder.rglob("*")):
        with contextlib.suppress(UnidentifiedImageError, IsADirectoryError), Image.open(path) as image:
            found.append((image.width * image.height, path))
    return [path for _, path in sorted(found, key=lambda one: -one[0])[:count]]


def continued(photo: Image.Image, size: tuple[int, int]) -> Image.Image:
    """`photo` filling `size`: scaled down where larger both ways, else continued by its mirror image."""
    if photo.width >= size[0] and photo.height >= size[1]:
        return ImageOps.fit(photo, size, Image.Resampling.LANCZOS)
    pixels = np.asarray(photo)
    missing = [max(0, side - have) for side, have in zip(size[::-1], pixels.shape, strict=False)]
    filled = np.pad(pixels, [(0, missing[0]), (0, missing[1]), (0, 0)], mode="symmetric")
    return Image.fromarray(filled[: size[1], : size[0]])


def originals(images: Path | None, count: int, formats: Sequence[str], folder: Path) -> Iterator[Original]:
    """What is rendered, written into `folder`."""
    photos = photos_of(images, count) if images else []
    if images and not photos:
        sys.exit(f"error: {images} holds no image")
    for path in photos:
        with Image.open(path) as image:
            if image.format in ("JPEG", "MPO") and "JPEG" in formats:
                yield Original(path, "JPEG", AS_IT_IS)
    for label, size in SIZES.items():
        for index in range(len(photos) or count):
            if photos:
                with Image.open(photos[index]) as image:
                    picture = continued(image.convert("RGB"), size)
            else:
                picture = (noisy_scene, product_photo)[index % 2](index, size)
            for name in formats:
                path = folder / f"{index}-{label.replace(' ', '')}.{name.lower()}"
                picture.save(path, name, **FORMATS[name])
                yield Original(path, name, label)


# --- Measuring ---------------------------------------------------------------------------------------------


def measured(
    case: Sequence[Original], rounds: int, folder: Path, missing: dict[str, str]
) -> dict[str, Measured]:
    """Every engine on originals of one case, interleaved; `missing` is told why an engine does not run."""
    results: dict[str, Measured] = {}
    warm_up = folder / "warm-up.jpg"
    product_photo(0, (320, 240)).save(warm_up)
    with contextlib.ExitStack() as running:
        engines: dict[str, Engine] = {}
        for name in ENGINES:
            if name in missing:
                continue
            try:
                engines[name] = running.enter_context(started(name))
            except EngineUnavailableError as error:
                missing[name] = str(error)
                continue
            engines[name].render(warm_up, folder)
            results[name] = Measured(resident=engines[name].reset_peak())
        for turn in range(rounds):
            for original in case:
                for name, engine in engines.items():
                    into = folder / name
                    into.mkdir(exist_ok=True)
                    results[name].add(original.path.name, engine.render(original.path, into))
                if turn == 0:
                    _judge(original, results, folder)
        for name, engine in engines.items():
            results[name].peak = engine.peak() - results[name].resident
    return results


def _judge(original: Original, results: dict[str, Measured], folder: Path) -> None:
    """Bytes, and likeness to one Lanczos step from all pixels, of what every engine has just written."""
    whole = _whole(original.path)
    for name, result in results.items():
        files = [folder / name / f"{preset}.jpg" for preset in SIDES]
        result.bytes[original.path.name] = sum(file.stat().st_size for file in files)
        result.ssim[original.path.name] = mean(_likeness(file, whole) for file in files)


def _whole(path: Path) -> Image.Image:
    with Image.open(path) as opened:
        upright = ImageOps.exif_transpose(opened)
        return to_srgb(upright.convert("RGB"), opened.info.get("icc_profile"))


def _likeness(file: Path, whole: Image.Image) -> float:
    with Image.open(io.BytesIO(file.read_bytes())) as rendition:
        luma = np.asarray(rendition.convert("L"))
    ideal = whole.resize(luma.shape[::-1], Image.Resampling.LANCZOS).convert("L")
    return ssim(luma, np.asarray(ideal))


# --- Telling -----------------------------------------------------------------------------------------------


def ratio(results: Results, case: Case, peer: str) -> float:
    engines = results[case]
    if peer not in engines:
        return math.nan
    return mean(engines[OURS].cpu.values()) / mean(engines[peer].cpu.values())


def goals(results: Results) -> list[Goal]:
    """By format the worst ratio of CPU and the worst loss of SSIM over its sizes; the worst memory of all."""
    told = []
    for name, wished in CPU_GOALS.items():
        cases = [case for case in results if case[0] == name]
        if not cases:
            continue
        for peer in PEERS:
            ratios = [ratio(results, case, peer) for case in cases]
            told.append(Goal(f"CPU, {name}, ours of {peer}, worst size", _worst(ratios), at_most=wished))
            lost = [
                mean(results[case][peer].ssim.values()) - mean(results[case][OURS].ssim.values())
                if peer in results[case]
                else math.nan
                for case in cases
            ]
            told.append(
                Goal(f"SSIM, {name}, {peer} above ours, worst size", _worst(lost), at_most=SSIM_TOLERANCE)
            )
    memory = [
        engines[OURS].peak / max(other.peak for name, other in engines.items() if name != OURS)
        for engines in results.values()
    ]
    told.append(Goal("peak memory, ours of the worst engine's, worst case", _worst(memory), at_most=1.0))
    return told


def _worst(values: Sequence[float]) -> float:
    return math.nan if any(map(math.isnan, values)) else max(values)


def figures_table(results: Results) -> str:
    rows: list[tuple[str, ...]] = []
    for (name, size), engines in results.items():
        for engine, result in engines.items():
            row = result.as_json()
            rows.append(
                (
                    name,
                    size,
                    engine,
                    f"{row['cpu_ms']:.0f}",
                    f"{row['wall_ms']:.0f}",
                    f"{row['peak_mib']:.0f}",
                    f"{row['bytes'] / 1000:.0f}",
                    f"{row['ssim']:.4f}",
                )
            )
    header = ("format", "size", "engine", "CPU ms", "wall ms", "peak MiB", "kB", "SSIM")
    return table(header, rows)


def ratios_table(results: Results) -> str:
    rows: list[tuple[str, ...]] = [
        (*case, *(f"{ratio(results, case, peer):.2f}" for peer in ENGINES[1:])) for case in results
    ]
    return table(("format", "size", *(f"ours of {peer}" for peer in ENGINES[1:])), rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.render", description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=Path, help="a folder, searched recursively; else images are drawn")
    parser.add_argument("--photos", type=int, default=3, help="images in every case")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--out", type=Path, help="JSON")
    chosen = parser.parse_args()

    missing: dict[str, str] = {}
    cases: dict[Case, list[Original]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for original in originals(chosen.images, chosen.photos, chosen.formats, folder):
            cases[original.case].append(original)
        in_order = sorted(cases, key=lambda case: list(FORMATS).index(case[0]))
        results: Results = {case: measured(cases[case], chosen.rounds, folder, missing) for case in in_order}
    print(f"# Rendering zoom, card and thumb\n\n{figures_table(results)}\n\n{ratios_table(results)}")
    for engine, why in missing.items():
        print(f"\n{engine} was not measured: {why}.")
    report(
        "render",
        figures={
            "missing": missing,
            "cases": [
                {"format": case[0], "size": case[1], "engine": engine, **result.as_json()}
                for case, engines in results.items()
                for engine, result in engines.items()
            ],
        },
        goals=goals(results),
        out=chosen.out,
    )


if __name__ == "__main__":
    main()

"""The deployed stack under load, beside a service that does the same work inside the upload request.

    python -m benchmarks.pipeline [--images DIR] [--take 60] [--clients 4] [--sizes 0 1000 10000]

Both take the same images from as many clients, in turns, in catalogs of several sizes: images a second, time
from PUT to `ready`, processor time an image, and how these grow.  Then near-duplicates, one after the other:
a photo, and its half-size WebP; and exact duplicates.  The pipeline runs on the emulator, on the same cores
as its functions and clients, so its times hold the emulator's own work too; the processor time of functions
and emulator is told apart.  The peer is benchmarks/peers/inline_reference.py.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import batched
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from benchmarks._contenders import (
    PIPELINE,
    Contender,
    InlineReference,
    Journey,
    Picture,
    Pipeline,
    deployed,
    inline,
)
from benchmarks._hashes import distances, packed
from benchmarks._rates import Rate, table
from benchmarks._report import Goal, report
from benchmarks._windows import quantile
from benchmarks.lookup_growth import bred, hexadecimal
from catalog.domain.rejections import ImageRejectedError
from catalog.domain.sources import DEFAULT_PIXEL_LIMITS
from imaging.hashes import phash256
from imaging.originals import canonical_pixels
from imaging.verification import is_near_blank
from infra.local.emulator import Emulator, arguments
from infra.local.photos import content_type_of
from infra.pictures.images import jpeg_bytes, noisy_scene, product_photo, webp_bytes

SIZES: Final = (0, 1_000, 10_000)
# Of the peer alone: 100,000 images are 1.6 million items of the index, all in the emulator's memory.  What a
# lookup reads there, benchmarks.lookup_growth counts.
PEER_SIZES: Final = (100_000,)
CHUNK: Final = 8  # images a contender is sent before it is another's turn
WARM_UP: Final = 8
# Seeded images have no bytes to be compared with: farther from every image than any candidate (31 bits).
FARTHER_THAN: Final = 40
OURS, THEIRS = "pipeline", "reference"


@dataclass
class Load:
    """What one contender did in a catalog of one size."""

    journeys: dict[str, Journey] = field(default_factory=dict)
    seconds: float = 0.0
    cpu: Counter[str] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Images a second, while its clients were busy."""
        return len(self.journeys) / self.seconds

    def quantile(self, part: float) -> float:
        """Seconds from PUT to ready."""
        return quantile([journey.ready for journey in self.journeys.values()], part)

    def cpu_each(self, name: str) -> float:
        """CPU seconds an image, of one function or process."""
        return self.cpu[name] / len(self.journeys)

    def as_json(self) -> dict[str, Any]:
        return {
            "images": len(self.journeys),
            "images_a_second": self.rate,
            "put_to_ready_seconds": {"p50": self.quantile(0.5), "p95": self.quantile(0.95)},
            "announced_to_seen_ready_seconds_p50": quantile([j.waited for j in self.journeys.values()], 0.5),
            "cpu_seconds_an_image": {name: used / len(self.journeys) for name, used in self.cpu.items()},
            "taken_for_near_duplicates": sum(j.near_duplicate for j in self.journeys.values()),
        }


def growth(small: Load, large: Load) -> float:
    """How much longer the same image takes in the larger catalog: the median over all images."""
    return quantile(
        [large.journeys[name].ready / journey.ready for name, journey in small.journeys.items()], 0.5
    )


def pictures(folder: Path | None, take: int) -> Iterator[tuple[Picture, str]]:
    """Up to `take` images of the folder, or drawn ones, spread over it; each with its perceptual hash."""
    if folder is None:
        named = [(f"drawn {seed}", _drawn(seed)) for seed in range(take)]
    else:
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        named = [(path.relative_to(folder).as_posix(), path.read_bytes()) for path in paths]
        named = [
            named[index] for index in sorted({*np.linspace(0, len(named) - 1, take).round().astype(int)})
        ]
    for data, name in {data: name for name, data in named}.items():
        try:
            pixels = canonical_pixels(data, limits=DEFAULT_PIXEL_LIMITS)
        except ImageRejectedError as error:
            print(f"left out {name}: {error}", file=sys.stderr)
            continue
        if is_near_blank(pixels):
            print(f"left out {name}: near-blank", file=sys.stderr)
            continue
        half = pixels.convert("RGB").resize(
            (max(1, pixels.width // 2), max(1, pixels.height // 2)), Image.Resampling.LANCZOS
        )
        picture = Picture(name, data, content_type_of(name, data[:16]), webp_bytes(half, 80))
        yield picture, phash256(pixels)


def _drawn(seed: int) -> bytes:
    """A product shot or a scene with noise, of 2 to 6 megapixels, as JPEG."""
    size = ((1600, 1200), (2000, 2000), (3000, 2000))[seed % 3]
    return jpeg_bytes((product_photo, noisy_scene)[seed % 2](seed, size), 90)


def drawn_hashes(real: Sequence[str], count: int) -> list[str]:
    """Hashes as unevenly spread as the real ones, none near any of those."""
    rng = np.random.default_rng(5)
    taken = packed(list(real))
    kept: list[str] = []
    while len(kept) < count:
        drawn = bred(taken, count, rng)
        near = np.min([distances(one, drawn) for one in taken], axis=0) <= FARTHER_THAN
        kept += [hexadecimal(words) for words in drawn[~near]]
    return kept[:count]


def run(contender: Contender, tenant: str, batch: Sequence[Picture], *, clients: int, load: Load) -> None:
    """Send a batch from so many clients, each its next image once the last is ready."""
    before = contender.cpu()
    began = time.monotonic()
    with ThreadPoolExecutor(clients) as pool:
        journeys = list(pool.map(lambda picture: contender.send(tenant, picture), batch))
    load.seconds += time.monotonic() - began
    contender.settle()
    load.cpu += contender.cpu() - before
    load.journeys.update(zip((picture.name for picture in batch), journeys, strict=True))


def loads(
    contenders: Mapping[str, Contender],
    shown: Sequence[Picture],
    sizes: Mapping[str, Sequence[int]],
    clients: int,
) -> dict[tuple[str, int], Load]:
    """Every image to every contender in catalogs of all sizes; in turns, so that all meet one machine."""
    done = {(name, size): Load() for name in contenders for size in sizes[name]}
    for number, batch in enumerate(batched(shown, CHUNK, strict=False)):
        turns = list(done)
        first = number % len(turns)
        for name, size in turns[first:] + turns[:first]:
            run(contenders[name], f"size-{size}", batch, clients=clients, load=done[name, size])
        print(f"{min(len(shown), (number + 1) * CHUNK)} of {len(shown)} images sent", file=sys.stderr)
    return done


@dataclass(frozen=True)
class Pair:
    """Journeys of a photo, of its half-size WebP after it, and of that WebP in a catalog without it."""

    name: str
    photo: Journey
    half: Journey
    alone: Journey

    @property
    def found(self) -> bool:
        return self.half.near_duplicate

    @property
    def is_sooner(self) -> bool:
        return self.half.ready < self.photo.ready


PAIRED: Final = ("photo", "half", "alone")


def pairs(contender: Contender, shown: Sequence[Picture]) -> tuple[list[Pair], dict[str, Counter[str]]]:
    """One image at a time; and the CPU seconds of all photos, all their WebPs, and all of these alone."""
    done = []
    cpu: dict[str, Counter[str]] = {part: Counter() for part in PAIRED}
    for number, picture in enumerate(shown):
        halved = picture.halved()
        sends = [("photo", "pairs", picture), ("half", "pairs", halved)]
        # Alone first or last, in turns: neither always meets the warmer machine.
        sends.insert(0 if number % 2 else 2, ("alone", "alone", halved))
        journeys = {}
        for part, tenant, sent in sends:
            before = contender.cpu()
            journeys[part] = contender.send(tenant, sent)
            contender.settle()
            cpu[part] += contender.cpu() - before
        done.append(Pair(picture.name, **journeys))
    return done, cpu


def work(name: str, cpu: Counter[str], images: int) -> float:
    """CPU seconds an image: the peer's, or the functions', without those that clients ask if it is ready."""
    return sum(cpu[part] for part in (PIPELINE if name == OURS else (THEIRS,))) / images


def milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:,.0f}"


def main() -> None:
    parser = arguments(__doc__.split("\n")[0])
    parser.set_defaults(port=4590, name="benchmark-pipeline", account="000000000090")
    parser.add_argument("--images", type=Path, help="a folder, searched recursively; else images are drawn")
    parser.add_argument("--take", type=int, default=60, help="images of it at most")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="images in the catalog already")
    parser.add_argument("--peer-sizes", type=int, nargs="*", default=PEER_SIZES, help="of the peer alone")
    parser.add_argument("--out", type=Path, help="where to write every figure as JSON")
    chosen = parser.parse_args()

    prepared = list(pictures(chosen.images, chosen.take))
    if len(prepared) < 2:
        sys.exit(f"{chosen.images} needs two images or more")
    shown = [picture for picture, _ in prepared]
    sizes = {OURS: chosen.sizes, THEIRS: [*chosen.sizes, *chosen.peer_sizes]}
    hashes = drawn_hashes([hash_hex for _, hash_hex in prepared], max(sizes[THEIRS]))
    emulator = Emulator(port=chosen.port, name=chosen.name, account=chosen.account)
    with deployed(emulator) as pipeline, inline() as reference:
        contenders: dict[str, Contender] = {OURS: pipeline, THEIRS: reference}
        prepare(pipeline, reference, sizes, hashes)
        done = loads(contenders, shown, sizes, chosen.clients)
        known = {
            name: [contender.send(f"size-{chosen.sizes[-1]}", picture).waited for picture in shown]
            for name, contender in contenders.items()
        }
        reference.reuse = True
        paired = {name: pairs(contender, shown) for name, contender in contenders.items()}
    tell(chosen, shown, done, known, paired)


def prepare(
    pipeline: Pipeline, reference: InlineReference, sizes: Mapping[str, Sequence[int]], hashes: Sequence[str]
) -> None:
    """Tenants, their catalogs, and every worker warm."""
    warm = [
        Picture(f"warm {seed}", jpeg_bytes(noisy_scene(10_000 + seed)), "image/jpeg", b"")
        for seed in range(WARM_UP)
    ]
    for tenant in ("warm", "pairs", "alone", *(f"size-{size}" for size in sizes[OURS])):
        pipeline.add_tenant(tenant)
    for contender in (pipeline, reference):
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda picture, to=contender: to.send("warm", picture), warm))
    for name, contender in ((OURS, pipeline), (THEIRS, reference)):
        for size in sizes[name]:
            contender.send(f"size-{size}", warm[0])
            began = time.monotonic()
            contender.seed(f"size-{size}", hashes[:size])
            contender.settle()
            print(f"{name}: {size:,} images seeded in {time.monotonic() - began:.0f} s", file=sys.stderr)


def tell(
    chosen: argparse.Namespace,
    shown: Sequence[Picture],
    done: Mapping[tuple[str, int], Load],
    known: Mapping[str, Sequence[float]],
    paired: Mapping[str, tuple[list[Pair], dict[str, Counter[str]]]],
) -> None:
    megabytes = sum(len(picture.data) for picture in shown) / 1e6
    print(f"{len(shown)} images, {megabytes:.0f} MB, {chosen.clients} clients\n")
    works = {(name, size): work(name, load.cpu, len(shown)) for (name, size), load in done.items()}
    rows: list[tuple[str, ...]] = []
    for (name, size), load in done.items():
        smallest = done[name, chosen.sizes[0]]
        ours = name == OURS
        rows.append(
            (
                name,
                f"{size:,}",
                f"{load.rate:.1f}",
                milliseconds(load.quantile(0.5)),
                milliseconds(load.quantile(0.95)),
                f"{growth(smallest, load):.2f}",
                milliseconds(works[name, size]),
                f"{works[name, size] / works[name, chosen.sizes[0]]:.2f}",
                milliseconds(load.cpu_each("emulator")) if ours else "",
                milliseconds(load.cpu_each("GetImageFunction")) if ours else "",
            )
        )
    header = ("", "in the catalog", "images/s", "PUT to ready, ms: p50", "p95", "growth")
    print(table((*header, "CPU-ms an image", "growth", "emulator", "questions"), rows))
    for name in known:
        merged = sum(journey.near_duplicate for journey in done[name, chosen.sizes[0]].journeys.values())
        print(f"\n{name}: {merged} of {len(shown)} different images taken for one another", end="")
    print()

    print("\nA photo, then its half-size WebP, one at a time; medians in ms, CPU-ms a mean\n")
    rows = []
    sooner, medians, means = {}, {}, {}
    for name, (several, cpu) in paired.items():
        found = [pair for pair in several if pair.found]
        sooner[name] = Rate(sum(pair.is_sooner for pair in found), len(found))
        for part in PAIRED:
            medians[name, part] = quantile([getattr(pair, part).ready for pair in found], 0.5)
            means[name, part] = work(name, cpu[part], len(several))
        rows.append(
            (
                name,
                *(milliseconds(medians[name, part]) for part in PAIRED),
                f"{len(found)} of {len(several)}",
                str(sooner[name]),
                *(milliseconds(means[name, part]) for part in PAIRED),
                milliseconds(quantile(known[name], 0.5)),
            )
        )
    header = ("", "photo", "its WebP", "that WebP alone", "found", "sooner than the photo")
    print(table((*header, "CPU: photo", "its WebP", "alone", "exact duplicate"), rows))
    few, many = chosen.sizes[0], chosen.sizes[-1]
    filled = f"with {many:,} images in the catalog, of that with {few:,}"
    goals = [
        Goal(
            f"PUT to ready {filled}",
            growth(done[OURS, few], done[OURS, many]),
            at_most=1.1,
        ),
        Goal(
            f"functions' CPU {filled}",
            works[OURS, many] / works[OURS, few],
            at_most=1.1,
        ),
        Goal(
            "functions' CPU an image, of the reference's",
            works[OURS, few] / works[THEIRS, few],
            at_most=1.0,
        ),
        Goal(
            "half-size WebP, PUT to ready of its photo's (medians)",
            medians[OURS, "half"] / medians[OURS, "photo"],
            at_most=1.0,
        ),
        Goal(
            "half-size WebP, functions' CPU of its photo's",
            means[OURS, "half"] / means[OURS, "photo"],
            at_most=1.0,
        ),
        Goal("half-size WebPs ready sooner than their photo", sooner[OURS].share, at_least=0.95),
    ]
    report(
        "pipeline",
        figures={
            "images": len(shown),
            "megabytes": megabytes,
            "clients": chosen.clients,
            "load": {
                name: {size: done[n, size].as_json() for n, size in done if n == name} for name in known
            },
            "growth": {
                name: {
                    size: growth(done[name, chosen.sizes[0]], done[n, size]) for n, size in done if n == name
                }
                for name in known
            },
            "exact_duplicate_seconds_p50": {name: quantile(times, 0.5) for name, times in known.items()},
            "pairs": {name: [asdict(pair) for pair in several] for name, (several, _) in paired.items()},
            "cpu_seconds_of_pairs": {name: {part: means[name, part] for part in PAIRED} for name in paired},
            "sooner": {name: rate.as_json() for name, rate in sooner.items()},
        },
        goals=goals,
        out=chosen.out,
    )


if __name__ == "__main__":
    main()

"""Near-duplicate detection on any folder of images, at the sizes shops use, with bounds.

    python -m benchmarks.near_duplicates --images DIR [--variants DIR] [--out results.json]
        [--quick] [--only recall different negatives cost] [--sizes 300 1500] [--sample N]

Every image against edits of it, in groups with a target each; against every other image; and against
products that differ from it in one thing.  `--variants` is a folder of photos named product-colour: all
pairs of a product, and each photo's nearest others.  Both orders, equal and unequal sizes.  Prints Markdown
tables; the JSON names every pair that went wrong.
"""

import argparse
import multiprocessing
import os
import random
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from benchmarks._colours import moved, product_area
from benchmarks._edits import EDITS, GROUPS, TONES, Group, jpeg, reopened, resized
from benchmarks._hard_negatives import (
    CONDITIONS,
    FULL,
    HALF,
    Change,
    HardNegative,
    is_visible,
    near_white_shape,
    on_drawn_product,
    on_image,
    shows_another_product,
)
from benchmarks._hashes import HASHES, PDQ_INSTALLED, distances, packed
from benchmarks._rates import Rate, table
from benchmarks._report import Goal, report
from benchmarks._sizes import SIZES, at_size
from benchmarks._verdicts import (
    SAME,
    VERDICTS,
    Outcome,
    Upload,
    canonical,
    counted,
    milliseconds,
    outcome,
    uploaded,
)
from catalog.domain.fingerprints import hamming_distance
from catalog.domain.rejections import ImageRejectedError
from imaging.verification import is_near_blank, verify

# Beside every pair a hash proposes, each image's nearest others whatever their distance: the verifier alone.
NEAREST: Final = 5
NEVER: Final = 257  # further than any hash

SECTIONS: Final = ("recall", "different", "negatives", "cost")


@dataclass(frozen=True)
class Scope:
    """How much is measured."""

    sizes: Sequence[int] = SIZES
    sample: int | None = None  # images of a folder that are edited; None takes all
    pairs: int | None = None  # different products that are compared
    negatives_on: int = 12  # images that get hard negatives drawn on them; as many drawn products, and shapes
    changes: int = 16  # hard negatives of each at each size


QUICK: Final = Scope(sizes=(500, 1500), sample=6, pairs=60, negatives_on=3, changes=10)


@dataclass(frozen=True)
class EditResult:
    """One image at one size against one edit of it."""

    image: str
    size: int
    group: str
    edit: str
    distances: dict[str, int]
    delta_e: float | None
    outcome: Outcome


@dataclass(frozen=True)
class PairResult:
    """Photos of two products at one size, the second perhaps smaller."""

    left: str
    right: str
    size: int
    other_size: int
    outcome: Outcome


@dataclass(frozen=True)
class NegativeResult:
    """One generated pair; the second image went through `condition`.

    `visible` in the files as uploaded, the larger brought to the size of the smaller; `comparable` in the
    canonical pixels, which are all that the pipeline keeps of a large original.
    """

    kind: str
    detail: str
    source: str
    size: int
    scale: str
    condition: str
    visible: bool
    comparable: bool
    outcome: Outcome


# ---- Recall -----------------------------------------------------------------------------------------------


def edits_of(task: tuple[Path, int]) -> list[EditResult]:
    path, size = task
    data = jpeg(at_size(opened(path), size), 92)
    shown, original = reopened(data), uploaded(data)
    hashed = hashes(original.pixels)
    results = []
    for group in GROUPS:
        for name, edit in group.edits.items():
            made = edit(shown)
            if made is None:
                continue
            edited = uploaded(made)
            results.append(
                EditResult(
                    path.name,
                    size,
                    group.name,
                    name,
                    distances_of(hashed, edited.pixels) if group is GROUPS[0] else {},
                    delta_e(original.pixels, edited.pixels) if group.edits is TONES else None,
                    outcome(original, edited, both_orders=False),
                )
            )
    return results


def delta_e(left: Image.Image, right: Image.Image) -> float:
    """How far the product's colour moved on average (CIE76)."""
    small = (max(1, left.width // 4), max(1, left.height // 4))
    left, right = (image.resize(small, Image.Resampling.BOX) for image in (left, right))
    area = product_area(left)
    return float(moved(left, right)[area].mean()) if area.any() else 0.0


def _recall(pool: Executor, paths: list[Path], scope: Scope) -> dict[str, Any]:
    tasks = [(path, size) for size in scope.sizes for path in sampled(paths, scope.sample)]
    results = [result for results in pool.map(edits_of, tasks) for result in results]
    sizes = [*scope.sizes, None]
    figures: dict[str, Any] = {}
    rows: list[tuple[str, ...]] = []
    for group in GROUPS:
        figures[group.name] = {}
        for size in sizes:
            verdicts = counted(r.outcome for r in results if r.group == group.name and size in (r.size, None))
            figures[group.name][str(size or "all")] = verdicts.as_json()
            rows.append(
                (group.name, f"{size:,}" if size else "all", f"{verdicts.trials:,}", *verdicts.shares(),
                 str(verdicts.join_rate), str(verdicts.pair_rate))
            )  # fmt: skip
    header = ("edits", "px", "tried", "candidates", *VERDICTS, "merged or linked", "or shown to a person")
    print("\n## What is edited, by group and size\n\n" + table(header, rows))

    rows = []
    for group in GROUPS:
        for edit in group.edits:
            cells = [f"{edit}"]
            for size in sizes:
                one = counted(r.outcome for r in results if r.edit == edit and size in (r.size, None))
                rates = (one.merge_rate, one.join_rate, one.pair_rate)
                cells.append(" ".join(f"{rate.share:.0%}" for rate in rates) if one.trials else "-")
            toned = [r for r in results if r.edit == edit and r.delta_e is not None]
            changes = [[r.delta_e or 0.0 for r in chosen] for chosen in (toned, _merged(toned))]
            typical = f"{statistics.median(changes[0]):.1f}" if changes[0] else ""
            rows.append((*cells, typical, f"{max(changes[1]):.1f}" if changes[1] else ""))
    columns = tuple(f"{size:,} px" if size else "all" for size in sizes)
    header = ("edit: merged, or linked, or shown", *columns, "ΔE", "ΔE, merged, at most")
    print("\n## Edit by edit\n\n" + table(header, rows))
    lost: dict[str, int] = defaultdict(int)
    for result in results:
        if result.edit in EDITS and not result.outcome.joined:
            lost[f"{result.outcome.verdict} for {result.outcome.refusal}"] += 1
    told = ", ".join(f"{count} {words}" for words, count in lost.items()) or "none"
    print(f"\nRe-encodes neither merged nor linked: {told}")

    merging = [r for r in results if r.group == GROUPS[0].name]
    peers = {
        name: {
            str(size or "all"): Rate(
                sum(r.distances[name] <= one.threshold for r in merging if size in (r.size, None)),
                sum(size in (r.size, None) for r in merging),
            ).as_json()
            for size in sizes
        }
        for name, one in HASHES.items()
    }
    return {
        "by_group": figures,
        "peers": peers,
        "not_joined": [
            _told(result) for result in results if result.edit in EDITS and not result.outcome.joined
        ],
        "not_paired": [
            _told(result)
            for result in results
            if result.group in ("another frame", "another tone", "marked") and not result.outcome.paired
        ],
    }


def _merged(results: list[EditResult]) -> list[EditResult]:
    return [result for result in results if result.outcome.merged]


def _told(result: EditResult) -> dict[str, Any]:
    return {name: value for name, value in asdict(result).items() if name != "distances"}


# ---- Different images -------------------------------------------------------------------------------------


def compared(task: tuple[Path, Path, int]) -> list[PairResult]:
    """Both at the size, in either order; then either at half of it."""
    left, right, size = task
    results = []
    for one, other in ((size, size), (size, size // 2), (size // 2, size)):
        found = outcome(uploaded_at(left, one, 92), uploaded_at(right, other, 85), both_orders=one == other)
        results.append(PairResult(left.name, right.name, one, other, found))
    return results


@lru_cache(maxsize=48)
def uploaded_at(path: Path, size: int, quality: int) -> Upload:
    return uploaded(jpeg(at_size(opened(path), size), quality))


def hashes_at(task: tuple[Path, int]) -> dict[str, str]:
    return hashes(uploaded_at(*task, 92).pixels)


def tells_apart(pair: tuple[Path, Path]) -> bool:
    """Whether a person can: at 500 pixels of the longer side."""
    left, right = (at_size(opened(path), 500) for path in pair)
    return shows_another_product(left, right)


def _different(
    pool: Executor, paths: list[Path], scope: Scope, product_of: Callable[[Path], str]
) -> dict[str, Any]:
    """Every pair of one product, each image's nearest others, and all that the candidate stage proposes."""
    columns = len(paths)
    of_one_product = {
        (a, b) for a, b in combinations(range(columns), 2) if product_of(paths[a]) == product_of(paths[b])
    }
    by_size = {
        size: list(pool.map(hashes_at, [(path, size) for path in paths], chunksize=4)) for size in scope.sizes
    }
    near: dict[tuple[int, int], int] = {}
    for hashed in by_size.values():
        stored = packed([entry["pHash256 @31"] for entry in hashed])
        for index in range(columns):
            distance = distances(stored[index], stored)
            distance[index] = NEVER
            nearest = {*np.argsort(distance, kind="stable")[:NEAREST].tolist()}
            for other in nearest | {*np.flatnonzero(distance <= HASHES["pHash256 @31"].threshold).tolist()}:
                near[min(index, other), max(index, other)] = 1
    chosen = sampled(sorted(of_one_product | set(near)), scope.pairs)
    alike = {
        pair
        for pair, apart in zip(
            chosen, pool.map(tells_apart, [(paths[a], paths[b]) for a, b in chosen], chunksize=8), strict=True
        )
        if not apart
    }
    for a, b in sorted(alike):
        print(f"no person can tell apart, so left out: {paths[a].name} and {paths[b].name}")
    tasks = [(paths[a], paths[b], size) for size in scope.sizes for a, b in chosen if (a, b) not in alike]
    results = [result for results in pool.map(compared, tasks, chunksize=8) for result in results]
    figures: dict[str, Any] = {"pairs": len(chosen) - len(alike), "indistinguishable": len(alike)}
    rows: list[tuple[str, ...]] = []
    for shown, are_equal in (("equal sizes", True), ("one of half size", False)):
        of_shape = [r for r in results if (r.size == r.other_size) is are_equal]
        figures[shown] = {}
        for size in scope.sizes:
            verdicts = counted(r.outcome for r in of_shape if max(r.size, r.other_size) == size)
            figures[shown][str(size)] = verdicts.as_json()
            rows.append(
                (shown, f"{size:,}", f"{verdicts.trials:,}", *verdicts.shares(), str(verdicts.same_rate),
                 f"{verdicts.merged:,}")
            )  # fmt: skip
    print(f"\n## Different products: {figures['pairs']:,} pairs\n")
    print(table(("", "px", "tried", "candidates", *VERDICTS, "told to be the same", "merged"), rows))
    figures["peers"] = _wrong_by_hash(by_size, alike, columns)
    figures["merged_images"] = {
        str(size): Rate(
            len(
                {
                    name
                    for r in results
                    if max(r.size, r.other_size) == size and r.outcome.merged
                    for name in (r.left, r.right)
                }
            ),
            columns,
        ).as_json()
        for size in scope.sizes
    }
    figures["asymmetric"] = sum(not r.outcome.symmetric for r in results)
    print(f"\nOf other verdict in the other order: {figures['asymmetric']}")
    figures["told_the_same"] = [asdict(r) for r in results if r.outcome.verdict == SAME]
    for result in results:
        if result.outcome.verdict == SAME:
            print(f"told the same: {result.left} at {result.size} and {result.right} at {result.other_size}")
    return figures


def _wrong_by_hash(
    by_size: dict[int, list[dict[str, str]]], alike: set[tuple[int, int]], columns: int
) -> dict[str, Any]:
    """What each hash alone would merge."""
    figures: dict[str, Any] = {}
    for name, one in HASHES.items():
        figures[name] = {}
        for size, hashed in by_size.items():
            stored = packed([entry[name] for entry in hashed])
            pairs, touched = 0, 0
            for index in range(columns):
                distance = distances(stored[index], stored)
                distance[index] = NEVER
                for a, b in alike:
                    if index in (a, b):
                        distance[a + b - index] = NEVER
                found = np.flatnonzero(distance <= one.threshold)
                touched += bool(len(found))
                pairs += int((found > index).sum())
            figures[name][str(size)] = {"pairs": pairs, "images": Rate(touched, columns).as_json()}
    return figures


# ---- Hard negatives ---------------------------------------------------------------------------------------


def negatives_of(task: tuple[str, Path | int, int, int]) -> list[NegativeResult]:
    """The changes of one source at one size, each at full size under one condition, at half and a quarter."""
    suite, source, size, count = task
    chance = random.Random(f"{suite} {source if isinstance(source, int) else source.name} {size}")  # noqa: S311
    return [
        result
        for change in spread(_changes(suite, source, size), count, chance)
        for result in _under_conditions(change.drawn(), size, chance)
    ]


def _changes(suite: str, source: Path | int, size: int) -> list[Change]:
    if isinstance(source, Path):
        return on_image(opened(source), source.name, seed=1, side=size)
    if suite == "drawn":
        return on_drawn_product(source, size)
    return [near_white_shape(source, size)]


def spread(changes: list[Change], count: int, chance: random.Random) -> Iterator[Change]:
    """`count` of them, as many of each kind as of any other."""
    kinds: dict[str, list[Change]] = defaultdict(list)
    for change in chance.sample(changes, len(changes)):
        kinds[change.kind].append(change)
    waiting = list(kinds.values())
    while waiting and count:
        for of_a_kind in list(waiting):
            if count:
                yield of_a_kind.pop()
                count -= 1
            if not of_a_kind:
                waiting.remove(of_a_kind)


def _under_conditions(pair: HardNegative, size: int, chance: random.Random) -> Iterator[NegativeResult]:
    encode = CONDITIONS[FULL]["PNG"] if pair.source.startswith("drawn") else lambda image: jpeg(image, 92)
    left = uploaded(encode(pair.left))
    for scale, conditions in CONDITIONS.items():
        condition = chance.choice(list(conditions))
        percent = {FULL: 100, HALF: 50}.get(scale, 25)
        if not is_visible(_at(pair, percent)):
            continue
        right = uploaded(conditions[condition](pair.right))
        yield NegativeResult(
            pair.kind,
            pair.detail,
            pair.source,
            size,
            scale,
            condition,
            True,
            is_visible(_at(pair, _kept(pair, left, right))),
            outcome(left, right, both_orders=scale == FULL),
        )


def _kept(pair: HardNegative, left: Upload, right: Upload) -> float:
    """Percent of the pair's sides that the smaller one's canonical pixels have."""
    smaller = min(max(upload.pixels.size) for upload in (left, right))
    return min(100, 100 * smaller / max(pair.left.size))


def _at(pair: HardNegative, percent: float) -> HardNegative:
    if percent == 100:
        return pair
    left, right = (resized(image, percent) for image in (pair.left, pair.right))
    return HardNegative(pair.kind, pair.detail, pair.source, left, right)


def _hard_negatives(pool: Executor, paths: list[Path], scope: Scope) -> dict[str, Any]:
    sources: list[tuple[str, Path | int]] = [("image", path) for path in sampled(paths, scope.negatives_on)]
    sources += [("drawn", index) for index in range(scope.negatives_on)]
    sources += [("near-white", index) for index in range(scope.negatives_on)]
    tasks = [(*source, size, scope.changes) for size in scope.sizes for source in sources]
    results = [result for results in pool.map(negatives_of, tasks) for result in results]
    figures: dict[str, Any] = {"pairs": len({(r.kind, r.detail, r.source, r.size) for r in results})}
    print(
        f"\n## Hard negatives, told to be the same of tried: {figures['pairs']:,} pairs, visible as uploaded"
    )
    for scale in CONDITIONS:
        rows: list[tuple[str, ...]] = []
        figures[scale] = {}
        at_scale = [r for r in results if r.scale == scale]
        kinds = sorted({r.kind for r in at_scale})
        for kind in [*kinds, None]:
            cells = []
            for size in scope.sizes:
                verdicts = counted(r.outcome for r in at_scale if kind in (r.kind, None) and r.size == size)
                cells.append(f"{verdicts.by_verdict[SAME]}/{verdicts.trials}" if verdicts.trials else "-")
            everywhere = counted(r.outcome for r in at_scale if kind in (r.kind, None))
            figures[scale][kind or "all"] = {
                str(size or "all"): counted(
                    r.outcome for r in at_scale if kind in (r.kind, None) and size in (r.size, None)
                ).as_json()
                for size in (*scope.sizes, None)
            }
            rows.append((kind or "all", *cells, str(everywhere.same_rate), *everywhere.shares()[1:]))
        header = (
            f"{scale} size",
            *(f"{size:,} px" for size in scope.sizes),
            "told to be the same",
            *VERDICTS,
        )
        print("\n" + table(header, rows))
        lost = [r for r in at_scale if not r.comparable]
        figures[scale]["not_comparable"] = counted(r.outcome for r in lost).as_json()
        kept = counted(r.outcome for r in at_scale if r.comparable)
        figures[scale]["comparable"] = kept.as_json()
        print(
            f"\nStill visible in the pixels that are kept: {kept.same_rate}; of {len(lost)} that are not,",
            end=" ",
        )
        print(f"{sum(r.outcome.verdict == SAME for r in lost)} were told to be the same")
    figures["asymmetric"] = sum(not r.outcome.symmetric for r in results)
    print(f"\nOf other verdict in the other order: {figures['asymmetric']}")
    blind = Rate(sum(r.outcome.candidate for r in results), len(results))
    figures["candidates"] = blind.as_json()
    print(f"\nProposed by the candidate stage, so merged without the verifier: {blind}")
    figures["told_the_same"] = [asdict(r) for r in results if r.outcome.verdict == SAME]
    return figures


# ---- Cost -------------------------------------------------------------------------------------------------


def cost_of(task: tuple[Path, Path]) -> tuple[float, float]:
    """CPU-ms to verify a file and another saved again, both of their own size, and to decode the file.

    Medians of three.
    """
    file, again = task[0].read_bytes(), canonical(jpeg(opened(task[1]), 90))
    decoding, verifying = [], []
    for _ in range(3):
        began = time.process_time()
        pixels = canonical(file)
        decoding.append(milliseconds(began))
        began = time.process_time()
        verify(pixels, again)
        verifying.append(milliseconds(began))
    return statistics.median(verifying), statistics.median(decoding)


def _cost(pool: Executor, paths: list[Path]) -> dict[str, Any]:
    """Of pairs that are one picture, and of an image with its neighbour in the folder."""
    chosen = sampled(paths, 24)
    suites = {
        "the same picture": [(path, path) for path in chosen[::2]],
        "another product": list(zip(chosen[::2], chosen[1::2], strict=False)),
    }
    figures: dict[str, Any] = {}
    print("\n## Cost at the photos' own size\n")
    for name, tasks in suites.items():
        costs = list(pool.map(cost_of, tasks))
        figures[name] = {
            "pairs": len(costs),
            "verify_cpu_ms": statistics.median(verifying for verifying, _ in costs),
            "verify_cpu_ms_at_most": max(verifying for verifying, _ in costs),
            "decode_cpu_ms": statistics.median(decoding for _, decoding in costs),
        }
        one = {key: f"{value:.0f}" for key, value in figures[name].items()}
        print(
            f"{name}: {one['verify_cpu_ms']} CPU-ms to verify, median of {one['pairs']} pairs; "
            f"{one['verify_cpu_ms_at_most']} at most; {one['decode_cpu_ms']} to decode one"
        )
    return figures


# ---- The command ------------------------------------------------------------------------------------------


def opened(path: Path) -> Image.Image:
    """Upright sRGB pixels; at most about twice 768 a side of a large original, as the pipeline keeps them."""
    return canonical(path.read_bytes())


def hashes(image: Image.Image) -> dict[str, str]:
    """Of the image reduced to 256 to 512 pixels a side: none of the hashes looks at more than 64."""
    reduced = image.reduce(max(1, max(image.size) // 256))
    return {name: one.hashed(reduced) for name, one in HASHES.items()}


def distances_of(hashed: dict[str, str], edited: Image.Image) -> dict[str, int]:
    return {key: hamming_distance(value, hashed[key]) for key, value in hashes(edited).items()}


def sampled[T: (Path, tuple[int, int])](found: Iterable[T], count: int | None) -> list[T]:
    listed = list(found)
    if count is None or count >= len(listed):
        return listed
    return sorted(random.Random(1).sample(listed, count))  # noqa: S311 (repeatable, not secret)


def readable(folder: Path) -> list[Path]:
    """The files that are images and not near-blank; what is left out is printed."""
    paths = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            image = opened(path)
        except ImageRejectedError as error:
            print(f"left out {path.name}: {error}")
            continue
        if is_near_blank(image):
            print(f"left out {path.name}: near-blank")
            continue
        paths.append(path)
    if not paths:
        sys.exit(f"no image in {folder}")
    return paths


def product_in(path: Path) -> str:
    return path.stem.rpartition("-")[0]


def _peers(figures: dict[str, Any], scope: Scope) -> None:
    """Every hash, and ours with the verifier, in one table."""
    rows: list[tuple[str, ...]] = []
    sizes = [str(size) for size in scope.sizes]
    for name in HASHES:
        cells = [name]
        for part in ("different", "variants"):
            if part in figures:
                cells += [f"{figures[part]['peers'][name][size]['images']['share']:.0%}" for size in sizes]
        if "recall" in figures:
            cells += [f"{figures['recall']['peers'][name][size]['share']:.1%}" for size in sizes]
        rows.append(tuple(cells))
    ours = ["candidates, then verified"]
    for part in ("different", "variants"):
        if part in figures:
            ours += [f"{figures[part]['merged_images'][size]['share']:.0%}" for size in sizes]
    if "recall" in figures:
        merging = figures["recall"]["by_group"][GROUPS[0].name]
        ours += [f"{merging[size]['join_rate']['share']:.1%}" for size in sizes]
    rows.append(tuple(ours))
    header = ["", *(f"wrong, images, {size} px" for size in sizes if "different" in figures)]
    header += [f"wrong, variants, {size} px" for size in sizes if "variants" in figures]
    header += [f"recall, {size} px" for size in sizes if "recall" in figures]
    print(
        "\n## Hashes alone: images with a wrong match, and recall of re-encodes\n\n"
        + table(tuple(header), rows)
    )


def goals_of(figures: dict[str, Any], scope: Scope, recall: float) -> list[Goal]:
    goals: list[Goal] = []
    groups = [replace(GROUPS[0], joined_at_least=recall), *GROUPS[1:]]
    for group in groups if "recall" in figures else ():
        goals += _goals_of(group, figures["recall"]["by_group"][group.name], scope)
    for part in ("different", "variants"):
        if part in figures:
            for shown in ("equal sizes", "one of half size"):
                same = sum(figures[part][shown][str(size)]["by_verdict"][SAME] for size in scope.sizes)
                goals.append(Goal(f"{part} told to be the same, {shown}", same, at_most=0))
    if "hard_negatives" in figures:
        for scale in (FULL, HALF):
            same = figures["hard_negatives"][scale]["comparable"]["by_verdict"][SAME]
            goals.append(Goal(f"hard negatives told to be the same, {scale} size", same, at_most=0))
    if "cost" in figures:
        for name, one in figures["cost"].items():
            ms = one["verify_cpu_ms"]
            goals.append(Goal(f"a verification of {name}, median", ms, at_most=60, unit="CPU-ms"))
    return goals


def _goals_of(group: Group, by_size: dict[str, Any], scope: Scope) -> Iterator[Goal]:
    wishes = {
        "merged": ("merge_rate", None, group.merged_at_most),
        "merged or linked": ("join_rate", group.joined_at_least, None),
        "merged, linked or shown": ("pair_rate", group.paired_at_least, None),
    }
    for size in map(str, scope.sizes):
        for words, (rate, at_least, at_most) in wishes.items():
            if at_least is not None or at_most is not None:
                share = by_size[size][rate]["share"]
                yield Goal(f"{group.name}, {size} px: {words}", share, at_most=at_most, at_least=at_least)


def measured(
    pool: Executor, images: Path | None, variants: Path | None, scope: Scope, sections: Sequence[str]
) -> dict[str, Any]:
    """Figures of every section, each printed as it is known.  One of the two folders must be given."""
    figures: dict[str, Any] = {"scope": asdict(scope)}
    in_colours = readable(variants) if variants else []
    paths = readable(images) if images else in_colours
    print(f"{len(paths):,} images, {len(in_colours):,} variants")
    if "different" in sections and variants:
        figures["variants"] = _different(pool, in_colours, scope, product_in)
    if "different" in sections and images:
        figures["different"] = _different(pool, paths, scope, lambda path: path.stem)
    if "recall" in sections:
        figures["recall"] = _recall(pool, paths, scope)
    if "negatives" in sections:
        figures["hard_negatives"] = _hard_negatives(pool, paths, scope)
    if "cost" in sections:
        figures["cost"] = _cost(pool, in_colours or paths)
    _peers(figures, scope)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.near_duplicates", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--images", type=Path, help="a folder of different images, searched recursively")
    parser.add_argument("--variants", type=Path, help="a folder of photos named product-colour")
    parser.add_argument("--out", type=Path, help="where to write every result as JSON")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--nice", type=int, default=5, help="of the processes that measure")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS)
    parser.add_argument("--quick", action="store_true", help="two sizes, a few images: a minute or two")
    parser.add_argument("--sizes", type=int, nargs="+", help="pixels of the longer side")
    parser.add_argument("--sample", type=int, help="images that are edited; all if not given")
    parser.add_argument("--pairs", type=int, help="different products that are compared; all if not given")
    parser.add_argument(
        "--negatives-on", type=int, help="images, and drawn products, that hard negatives are made of"
    )
    parser.add_argument("--recall-goal", type=float, default=0.96, help="of re-encodes, merged or linked")
    parser.add_argument("--changes", type=int, help="hard negatives of each at each size")
    arguments = parser.parse_args()
    if arguments.images is None and arguments.variants is None:
        parser.error("--images, --variants or both")
    given = {
        name: getattr(arguments, name)
        for name in ("sizes", "sample", "pairs", "negatives_on", "changes")
        if getattr(arguments, name) is not None
    }
    scope = replace(QUICK if arguments.quick else Scope(), **given)
    if not PDQ_INSTALLED:
        print("PDQ is left out: pdqhash is not installed")

    # Read by numpy when it is imported, in the processes that are spawned; threads would share the cores.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(
        arguments.processes,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=os.nice,
        initargs=(arguments.nice,),
    ) as pool:
        figures = measured(pool, arguments.images, arguments.variants, scope, arguments.only)
    report(
        "near_duplicates",
        figures=figures,
        goals=goals_of(figures, scope, arguments.recall_goal),
        out=arguments.out,
    )


if __name__ == "__main__":
    main()

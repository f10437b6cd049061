"""Near-duplicate detection on any folder of images: recall, false merges and hard negatives, with bounds.

    python -m benchmarks.near_duplicates --images DIR [--out results.json]

Every image against its re-encodes and resizes, against every other image, and against products that differ
from it in one thing.  Prints Markdown tables; the JSON names every pair.
"""

import argparse
import random
import sys
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from benchmarks._edits import BEYOND, EDITS, encoded, jpeg
from benchmarks._hard_negatives import (
    CONDITIONS,
    HardNegative,
    is_visible,
    near_white_shapes,
    on_drawn_products,
    on_image,
)
from benchmarks._hashes import HASHES, PDQ_INSTALLED, distances, packed
from benchmarks._rates import Rate, table
from benchmarks._report import Goal, report
from catalog.domain.fingerprints import hamming_distance
from catalog.domain.rejections import ImageRejectedError
from catalog.domain.sources import DEFAULT_PIXEL_LIMITS
from imaging.hashes import phash256
from imaging.originals import canonical_pixels
from imaging.verification import is_near_blank, verify

THRESHOLD: Final = 31
# Beside every pair a hash proposes, each image's nearest others whatever their distance: the verifier alone.
NEAREST: Final = 5
DRAWN: Final = 12
NEAR_WHITE: Final = 24


@dataclass(frozen=True)
class EditResult:
    """One image against one edit of it."""

    image: str
    edit: str
    distances: dict[str, int]
    accepted: bool
    refusal: str | None
    score: float


@dataclass(frozen=True)
class PairResult:
    """Two different images."""

    left: str
    right: str
    distance: int
    accepted: bool
    refusal: str | None


@dataclass(frozen=True)
class NegativeResult:
    """One generated pair under one condition."""

    kind: str
    detail: str
    source: str
    condition: str
    distance: int
    accepted: bool
    refusal: str | None


def pixels(data: bytes) -> Image.Image:
    return canonical_pixels(data, limits=DEFAULT_PIXEL_LIMITS)


def hashes(image: Image.Image) -> dict[str, str]:
    return {name: hashed(image) for name, (hashed, _) in HASHES.items()}


def edits_of(path: Path) -> list[EditResult]:
    original = pixels(path.read_bytes())
    hashed = hashes(original)
    results = []
    for name, edit in {**EDITS, **BEYOND}.items():
        edited = pixels(edit(original))
        verification = verify(original, edited)
        results.append(
            EditResult(
                path.name,
                name,
                {key: hamming_distance(value, hashed[key]) for key, value in hashes(edited).items()},
                verification.accepted,
                verification.refusal,
                max(verification.scores.values()),
            )
        )
    return results


def compared(pair: tuple[Path, Path, int]) -> PairResult:
    left, right, distance = pair
    verification = verify(pixels(left.read_bytes()), pixels(right.read_bytes()))
    return PairResult(left.name, right.name, distance, verification.accepted, verification.refusal)


def negatives_of(task: tuple[str, Path | int]) -> list[NegativeResult]:
    """Every visible pair of one source, under every condition."""
    return [result for pair in _pairs(*task) if is_visible(pair) for result in _under_conditions(pair)]


def _pairs(suite: str, source: Path | int) -> Iterator[HardNegative]:
    if isinstance(source, Path):
        yield from on_image(pixels(source.read_bytes()), source.name, seed=1)
    elif suite == "drawn":
        yield from on_drawn_products(source, source + 1)
    else:
        yield from near_white_shapes(source, source + 1)


def _under_conditions(pair: HardNegative) -> Iterator[NegativeResult]:
    is_drawn = pair.source.startswith("drawn")
    left = pixels(encoded(pair.left, "PNG") if is_drawn else jpeg(pair.left, 92))
    hashed = phash256(left)
    for condition, encode in CONDITIONS.items():
        right = pixels(encode(pair.right))
        verification = verify(left, right)
        yield NegativeResult(
            pair.kind,
            pair.detail,
            pair.source,
            condition,
            hamming_distance(hashed, phash256(right)),
            verification.accepted,
            verification.refusal,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.near_duplicates", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--images", type=Path, required=True, help="a folder; searched recursively")
    parser.add_argument("--out", type=Path, help="where to write every result as JSON")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--negatives-on", type=int, default=10, help="images that get hard negatives drawn on them"
    )
    parser.add_argument("--every", type=int, default=1, help="take one image in N")
    parser.add_argument("--first", type=int, default=0, help="starting with the image of this index")
    arguments = parser.parse_args()

    found = [path for path in sorted(arguments.images.rglob("*")) if path.is_file()]
    paths, hashed = _readable(found[arguments.first :: arguments.every])
    if not paths:
        sys.exit(f"no image in {arguments.images}")
    print(f"{len(paths):,} images of {arguments.images.name}")
    if not PDQ_INSTALLED:
        print("PDQ is left out: pdqhash is not installed")

    with ProcessPoolExecutor(arguments.processes) as pool:
        figures = {
            "images": len(paths),
            "recall": _recall(pool, paths),
            "false_merges": _false_merges(pool, paths, hashed),
            "hard_negatives": _hard_negatives(pool, paths, arguments.negatives_on),
        }
    report("near_duplicates", figures=figures, goals=_goals(figures), out=arguments.out)


def _goals(figures: dict[str, Any]) -> list[Goal]:
    """What any folder must reach: product shots do better (97% is wished of their re-encodes)."""
    return [
        Goal(
            "recall of re-encodes and resizes",
            figures["recall"]["overall"]["pHash256 and verified"]["share"],
            at_least=0.92,
        ),
        Goal("different images merged, pairs", figures["false_merges"]["verified"]["pairs"], at_most=0),
        Goal(
            "hard negatives at full size merged",
            figures["hard_negatives"]["overall"]["at full size"]["count"],
            at_most=0,
        ),
    ]


def _readable(found: list[Path]) -> tuple[list[Path], list[dict[str, str]]]:
    """The files that are images and not near-blank, with their hashes; what is left out is printed."""
    paths, hashed = [], []
    for path in found:
        try:
            image = pixels(path.read_bytes())
        except ImageRejectedError as error:
            print(f"left out {path.name}: {error}")
            continue
        if is_near_blank(image):
            print(f"left out {path.name}: near-blank")
            continue
        paths.append(path)
        hashed.append(hashes(image))
    return paths, hashed


def _recall(pool: Executor, paths: list[Path]) -> dict[str, Any]:
    results = [result for results in pool.map(edits_of, paths) for result in results]

    def rates(chosen: list[EditResult]) -> dict[str, Rate]:
        by_hash = {
            name: Rate(sum(r.distances[name] <= limit for r in chosen), len(chosen))
            for name, (_, limit) in HASHES.items()
        }
        merged = sum(r.distances["pHash256"] <= THRESHOLD and r.accepted for r in chosen)
        return by_hash | {"pHash256 and verified": Rate(merged, len(chosen))}

    by_edit = {edit: rates([r for r in results if r.edit == edit]) for edit in {**EDITS, **BEYOND}}
    overall = rates([r for r in results if r.edit in EDITS])
    columns = (*(f"{name} @{limit}" for name, (_, limit) in HASHES.items()), "pHash256 and verified")
    rows = [(edit, *(f"{rate.share:.1%}" for rate in shares.values())) for edit, shares in by_edit.items()]
    rows.insert(len(EDITS), ("all of the above", *(f"{rate.share:.2%}" for rate in overall.values())))
    print("\n## Recall by edit\n\n" + table(("edit", *columns), rows))
    print(f"\nEnd to end: {overall['pHash256 and verified']}")
    lost: dict[str, int] = defaultdict(int)
    for result in results:
        if result.edit in EDITS and not result.accepted:
            lost[str(result.refusal)] += 1
    print("Refused by the verifier: " + (", ".join(f"{name} {n}" for name, n in lost.items()) or "none"))
    return {
        "overall": {name: rate.as_json() for name, rate in overall.items()},
        "by_edit": {e: {name: rate.as_json() for name, rate in r.items()} for e, r in by_edit.items()},
        "refused": [asdict(r) for r in results if not r.accepted],
    }


def _false_merges(pool: Executor, paths: list[Path], hashed: list[dict[str, str]]) -> dict[str, Any]:
    """Every image against all others: what each hash alone would merge, and what verification leaves."""
    report: dict[str, Any] = {}
    rows: list[tuple[str, ...]] = []
    candidates: dict[tuple[int, int], int] = {}
    proposed = 0
    for name, (_, limit) in HASHES.items():
        stored = packed([entry[name] for entry in hashed])
        pairs, touched = 0, 0
        for index in range(len(paths)):
            distance = distances(stored[index], stored)
            distance[index] = np.iinfo(np.int64).max
            near = np.flatnonzero(distance <= limit)
            touched += bool(len(near))
            pairs += int((near > index).sum())
            if name == "pHash256":
                proposed = pairs
                for other in {*near.tolist(), *np.argsort(distance, kind="stable")[:NEAREST].tolist()} - {
                    index
                }:
                    candidates[min(index, other), max(index, other)] = int(distance[other])
        wrong = Rate(touched, len(paths))
        report[name] = {"threshold": limit, "pairs": pairs, "images_with_a_wrong_match": wrong.as_json()}
        rows.append((f"{name} @{limit}", f"{pairs:,}", str(wrong)))
    work = [(paths[a], paths[b], distance) for (a, b), distance in candidates.items()]
    verified = list(pool.map(compared, work, chunksize=16))
    merged = [pair for pair in verified if pair.accepted and pair.distance <= THRESHOLD]
    images = Rate(len({name for pair in merged for name in (pair.left, pair.right)}), len(paths))
    alone = Rate(sum(pair.accepted for pair in verified), len(verified))
    rows.append(("pHash256 and verified", f"{len(merged):,}", str(images)))
    print("\n## Different images taken for one\n\n" + table(("", "pairs", "images with a wrong match"), rows))
    print(f"\n{proposed:,} pairs proposed of {len(paths) * (len(paths) - 1) // 2:,}.", end=" ")
    print(f"The verifier alone, on those and each image's {NEAREST} nearest others: {alone}")
    for pair in verified:
        if pair.accepted:
            print(f"accepted: {pair.left} and {pair.right}, distance {pair.distance}")
    report["verified"] = {
        "pairs": len(merged),
        "images_with_a_wrong_match": images.as_json(),
        "verifier_alone": alone.as_json(),
        "accepted": [asdict(pair) for pair in verified if pair.accepted],
    }
    return report


def _hard_negatives(pool: Executor, paths: list[Path], count: int) -> dict[str, Any]:
    chosen = random.Random(1).sample(paths, min(count, len(paths)))  # noqa: S311 (repeatable, not secret)
    tasks: list[tuple[str, Path | int]] = [("image", path) for path in chosen]
    tasks += [("drawn", index) for index in range(DRAWN)] + [
        ("near-white", index) for index in range(NEAR_WHITE)
    ]
    results = [result for results in pool.map(negatives_of, tasks) for result in results]
    grouped: dict[str, dict[str, list[NegativeResult]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        kind = f"{result.kind} {result.detail}" if result.kind == "print" else result.kind
        grouped[kind][result.condition].append(result)
    rows: list[tuple[str, ...]] = []
    by_kind = {}
    for kind, by_condition in sorted(grouped.items()):
        rates = {c: Rate(sum(r.accepted for r in by_condition[c]), len(by_condition[c])) for c in CONDITIONS}
        by_kind[kind] = {condition: rate.as_json() for condition, rate in rates.items()}
        rows.append((kind, *(f"{rate.count}/{rate.trials}" for rate in rates.values())))
    overall = {}
    for name, belongs in (
        ("at full size", lambda condition: "size" not in condition),
        ("at half size", lambda condition: condition.startswith("half")),
        ("at a quarter of the size", lambda condition: condition.startswith("quarter")),
    ):
        group = [result for result in results if belongs(result.condition)]
        overall[name] = Rate(sum(result.accepted for result in group), len(group))
    pairs = len({(r.kind, r.detail, r.source) for r in results})
    print(f"\n## Hard negatives: accepted of tried, {pairs:,} pairs under {len(CONDITIONS)} conditions\n")
    print(table(("difference", *CONDITIONS), rows))
    for name, rate in overall.items():
        print(f"\nAccepted {name}: {rate}")
    blind = Rate(sum(r.distance <= THRESHOLD for r in results), len(results))
    print(f"\nWithin pHash256's threshold, so merged without the verifier: {blind}")
    return {
        "pairs": pairs,
        "overall": {name: rate.as_json() for name, rate in overall.items()},
        "by_kind": by_kind,
        "without_the_verifier": blind.as_json(),
        "accepted": [asdict(r) for r in results if r.accepted],
    }


if __name__ == "__main__":
    main()

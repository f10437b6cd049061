"""What a near-duplicate lookup costs as the catalog grows from a thousand images to a million.

    python -m benchmarks.lookup_growth --images DIR [--out results.json]

Hashes come from the real distribution: each is bred from two real hashes, keeping the bits on which they
agree (so buckets fill as unevenly as real ones) and drawing the rest.  Queries are, a third each: stored
hashes with the bits flipped that a real re-encode flipped, stored hashes with any number of bits up to the
threshold flipped at random, and unseen ones.  Buckets are counted, not stored: the figures
are what DynamoDB would be asked for, whatever runs it.
"""

import argparse
import math
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from benchmarks._edits import EDITS
from benchmarks._hashes import distances, packed
from benchmarks._rates import Rate, table
from benchmarks._report import Goal, report
from catalog.domain.fingerprints import BAND_BITS, BIT_PERMUTATION, PHashAlgorithm, band_key, bands, probes
from catalog.domain.rejections import ImageRejectedError
from catalog.domain.sources import DEFAULT_PIXEL_LIMITS
from imaging.hashes import average_hash, difference_hash, phash256
from imaging.originals import canonical_pixels

SIZES: Final = (1_000, 10_000, 100_000, 1_000_000)
QUERIES: Final = 600
REENCODES: Final = ("JPEG q50", "WebP q80", "AVIF q50", "50% Lanczos, JPEG q85", "25% Lanczos, JPEG q85")
HASHED: Final[dict[PHashAlgorithm, Callable[[Image.Image], str]]] = {
    PHashAlgorithm.PHASH256: phash256,
    PHashAlgorithm.AHASH64: average_hash,
    PHashAlgorithm.DHASH64: difference_hash,
}
# A key, an id of 64 hex digits, the hash in hex and the names of the attributes.
ITEM_BYTES: Final = len(band_key("t" * 16, PHashAlgorithm.PHASH256, 15, 0)) + 64 + 64 + len("bandidhash")
_CHUNK: Final = 50_000

Words = np.ndarray[tuple[int, int], np.dtype[np.uint64]]
Bands = np.ndarray[tuple[int, int], np.dtype[np.uint16]]


@dataclass(frozen=True)
class Growth:
    """One catalog size and one mode.  Items, requests and read units are means a lookup."""

    images: int
    exact: bool
    requests: int
    items_read: float
    items_read_at_most: int
    read_units: float
    largest_bucket: int
    recall_within_bound: dict[str, float]
    recall_of_reencodes: dict[str, float]
    recall_of_random_flips: dict[str, float]
    brute_force_ms: float


def real_hashes(folder: Path, algorithm: PHashAlgorithm) -> tuple[list[str], list[str]]:
    """The hashes of a folder's images, and as hex what re-encodes of them flip, up to the threshold."""
    hashed, flips = [], []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            original = canonical_pixels(path.read_bytes(), limits=DEFAULT_PIXEL_LIMITS)
        except ImageRejectedError as error:
            print(f"left out {path.name}: {error}")
            continue
        own = HASHED[algorithm](original)
        hashed.append(own)
        for edit in REENCODES:
            edited = canonical_pixels(EDITS[edit](original), limits=DEFAULT_PIXEL_LIMITS)
            flipped = int(own, 16) ^ int(HASHED[algorithm](edited), 16)
            if flipped.bit_count() <= algorithm.default_threshold:
                flips.append(f"{flipped:0{len(own)}x}")
    return hashed, flips


def bred(real: Words, count: int, rng: np.random.Generator) -> Words:
    """`count` hashes, each of two real ones: their common bits, the others drawn, one bit in 16 flipped."""
    mothers, fathers = (real[rng.integers(0, len(real), count)] for _ in range(2))
    shape = (count, real.shape[1])
    drawn = rng.integers(0, 2**64, shape, np.uint64, endpoint=False)
    noise = np.full(shape, 2**64 - 1, np.uint64)
    for _ in range(4):
        noise &= rng.integers(0, 2**64, shape, np.uint64, endpoint=False)
    differing = mothers ^ fathers
    return (mothers & ~differing | drawn & differing) ^ noise


def banded(hashes: Words) -> Bands:
    """`catalog.domain.fingerprints.bands` of many hashes at once."""
    length = 64 * hashes.shape[1]
    order = [bit for bit in BIT_PERMUTATION if bit < length]
    parts = []
    for start in range(0, len(hashes), _CHUNK):
        bits = np.unpackbits(hashes[start : start + _CHUNK].astype(">u8").view(np.uint8), axis=1)
        packed_bits = np.ascontiguousarray(np.packbits(bits[:, order], axis=1))
        parts.append(packed_bits.view(">u2").astype(np.uint16))
    return np.concatenate(parts)


def random_flips(count: int, length: int, at_most: int, rng: np.random.Generator) -> Words:
    """Rows of `length` bits, 0 to `at_most` of them set, every number as likely."""
    ranks = rng.random((count, length)).argsort(axis=1).argsort(axis=1)
    bits = ranks < rng.integers(0, at_most + 1, (count, 1))
    return np.packbits(bits, axis=1).view(">u8").astype(np.uint64)


def hexadecimal(words: np.ndarray[Any, np.dtype[np.uint64]]) -> str:
    return words.astype(">u8").tobytes().hex()


def measured(
    stored: Words, real: Words, flips: Words, algorithm: PHashAlgorithm, *, exact: bool, seed: int
) -> Growth:
    rng = np.random.default_rng(seed)
    stored_bands = banded(stored)
    buckets = np.stack([np.bincount(column, minlength=2**BAND_BITS) for column in stored_bands.T])
    bound = algorithm.complete_within(exact=exact)
    third = QUERIES // 3
    reencoded, flipped = (stored[rng.integers(0, len(stored), third)] for _ in range(2))
    reencoded = reencoded ^ flips[rng.integers(0, len(flips), third)]
    flipped = flipped ^ random_flips(third, 64 * stored.shape[1], algorithm.default_threshold, rng)
    queries = np.concatenate([reencoded, flipped, bred(real, third, rng)])
    items, units, brute_force = [], [], []
    tallies = {"bound": [0, 0], "reencodes": [0, 0], "flips": [0, 0]}
    for index, query in enumerate(queries):
        text = hexadecimal(query)
        keys = list(probes(text)) if exact else list(enumerate(bands(text)))
        counts = [int(buckets[band, value]) for band, value in keys]
        items.append(sum(counts))
        # Eventually consistent: half a unit for each 4 KB begun, of every query, empty ones too.
        units.append(sum(0.5 * max(1, math.ceil(count * ITEM_BYTES / 4096)) for count in counts))
        began = time.perf_counter()
        distance = distances(query, stored)
        near = np.flatnonzero(distance <= max(bound, algorithm.default_threshold))
        brute_force.append(time.perf_counter() - began)
        own = np.array(bands(text), np.uint16)
        apart = np.bitwise_count(stored_bands[near] ^ own).min(axis=1)
        found = apart <= (1 if exact else 0)
        limits = {"bound": bound}
        if index < 2 * third:
            limits["reencodes" if index < third else "flips"] = algorithm.default_threshold
        for name, limit in limits.items():
            tallies[name][0] += int(found[distance[near] <= limit].sum())
            tallies[name][1] += int((distance[near] <= limit).sum())
    return Growth(
        images=len(stored),
        exact=exact,
        requests=len(keys),
        items_read=float(np.mean(items)),
        items_read_at_most=max(items),
        read_units=float(np.mean(units)),
        largest_bucket=int(buckets.max()),
        recall_within_bound=Rate(*tallies["bound"]).as_json(),
        recall_of_reencodes=Rate(*tallies["reencodes"]).as_json(),
        recall_of_random_flips=Rate(*tallies["flips"]).as_json(),
        brute_force_ms=1000 * float(np.median(brute_force)),
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lookup_growth")
    parser.add_argument("--images", type=Path, required=True, help="a folder the distribution is taken from")
    parser.add_argument("--algorithm", type=PHashAlgorithm, choices=list(PHashAlgorithm), default="phash256")
    parser.add_argument("--out", type=Path, help="where to write the figures as JSON")
    parser.add_argument("--largest", type=int, default=SIZES[-1])
    arguments = parser.parse_args()

    algorithm: PHashAlgorithm = arguments.algorithm
    hashed, flipped = real_hashes(arguments.images, algorithm)
    if len(hashed) < 2 or not flipped:
        sys.exit(f"{arguments.images} needs two images or more")
    real, flips = packed(hashed), packed(flipped)
    everything = bred(real, arguments.largest, np.random.default_rng(1))
    assert [tuple(row) for row in banded(real)] == [bands(text) for text in hashed], (
        "bands differ from the index's"
    )

    results = [
        measured(everything[:size], real, flips, algorithm, exact=exact, seed=2)
        for exact in (False, True)
        for size in SIZES
        if size <= arguments.largest
    ]
    print(
        f"{algorithm}: {len(hashed)} real hashes, {len(flipped)} real re-encodes, {ITEM_BYTES}-byte items\n"
    )
    rows: list[tuple[str, ...]] = [
        (
            f"{r.images:,}",
            "exact" if r.exact else "plain",
            f"{r.requests}",
            f"{r.items_read:,.1f}",
            f"{r.items_read_at_most:,}",
            f"{r.read_units:,.1f}",
            f"{r.largest_bucket:,}",
            f"{r.recall_within_bound['share']:.2%} of {r.recall_within_bound['trials']:,}",
            f"{r.recall_of_reencodes['share']:.2%} of {r.recall_of_reencodes['trials']:,}",
            f"{r.recall_of_random_flips['share']:.2%} of {r.recall_of_random_flips['trials']:,}",
            f"{r.brute_force_ms:.2f}",
        )
        for r in results
    ]
    bounds = [algorithm.complete_within(exact=exact) for exact in (False, True)]
    header = ("images", "lookup", "requests", "items read", "at most", "read units", "largest bucket")
    recalls = (f"found within {bounds[0]} (plain), {bounds[1]} (exact)", "of re-encodes", "of random flips")
    print(table((*header, *recalls, "brute force, ms"), rows))
    figures = {"algorithm": algorithm, "lookups": [asdict(result) for result in results]}
    report("lookup_growth", figures=figures, goals=_goals(results), out=arguments.out)


def _goals(results: list[Growth]) -> list[Goal]:
    """Requests that do not grow, and nothing missed within the bound."""
    goals = []
    for exact, name in ((False, "plain"), (True, "exact")):
        lookups = [result for result in results if result.exact is exact]
        smallest, largest = lookups[0], lookups[-1]
        growth = largest.requests / smallest.requests
        goals += [
            Goal(f"requests, {name}, {largest.images:,} images of {smallest.images:,}", growth, at_most=1),
            Goal(
                f"found within the bound, {name}",
                min(lookup.recall_within_bound["share"] for lookup in lookups),
                at_least=1,
            ),
        ]
    return goals


if __name__ == "__main__":
    main()

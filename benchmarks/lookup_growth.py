"""What a near-duplicate lookup costs and finds as a tenant grows from a thousand images to a hundred million.

    python -m benchmarks.lookup_growth --images DIR [DIR ...] [--out results.json]

No catalog of that size is made.  Its hashes are taken to be bred: each from two real ones of other products,
keeping the bits on which they agree (so buckets fill as unevenly as real ones), drawing the rest, flipping
one bit in 16.  How many of N such hashes fall into a bucket that a real image reads, and how many of them lie
between it and its copy, is computed, not sampled.  An entry of a bucket that holds more than is read of it is
seen with the probability read : held, in each band by itself, since ids are rotated.  What edits flip is
real: every image, brought to 500 pixels, is re-encoded, resized and put into other frames, and hashed again.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from benchmarks._edits import EDITS, FRAMES
from benchmarks._rates import table
from benchmarks._report import Goal, report
from catalog.adapters.hash_bands_table import BUCKET_BEGINNING, MORE_ALIKE, NEIGHBOURS
from catalog.domain.fingerprints import (
    BIT_PERMUTATION,
    Indexed,
    PHashAlgorithm,
    colour_distance,
    hamming_distance,
    places,
)
from catalog.domain.keys import AssetId, TenantId
from catalog.domain.rejections import ImageRejectedError
from catalog.domain.sources import DEFAULT_PIXEL_LIMITS
from imaging.inspection import fingerprint
from imaging.originals import canonical_pixels

SIZES: Final = (1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000)
LONGEST_SIDE: Final = 500  # pixels: a hash takes 64 x 64
REENCODES: Final = (
    "JPEG q30", "JPEG q50", "JPEG q70", "WebP q50", "WebP q80", "AVIF q50", "PNG8", "Adobe RGB",
    "mozjpeg's table, q75", "50% Lanczos, JPEG q85", "50% Lanczos, sharpened, JPEG q85", "50% nearest, PNG",
    "33% bilinear, JPEG q80", "25% Lanczos, JPEG q85",
)  # fmt: skip
THRESHOLD: Final = PHashAlgorithm.PHASH256.default_threshold
PRICES: Final = json.loads(Path(__file__).with_name("prices.json").read_text())["per_unit"]
_FLIPPED: Final = 1 / 16  # of the bits on which the parents of a bred hash agree

Words = np.ndarray[tuple[int, int], np.dtype[np.uint64]]
Bits = np.ndarray[tuple[int], np.dtype[np.uint8]]
Hashes = tuple[Bits, Bits]
"""Of the frame and of the content box."""


@dataclass(frozen=True)
class Design:
    """Bands of the frame's hash, then of the box's.  `named` bits name a bucket, the next `ordered` order it.

    Of a bucket of more than `beginning`, a lookup reads as many on either side of its own place; with
    `neighbours` 0 up to 400 of those that share all its bits.  With `probes` it also reads the buckets whose
    names differ in one bit.
    """

    name: str
    frame: int
    box: int
    named: int = 16
    ordered: int = 4
    stride: int = 16
    beginning: int = 50
    neighbours: int = 0
    more: int = 0
    probes: bool = False

    def bands(self) -> Iterator[tuple[int, np.ndarray[Any, Any]]]:
        """Of which hash (0 the frame's), and which of its bits: those that name the bucket come first."""
        order = np.array(BIT_PERMUTATION)
        for band in range(self.frame + self.box):
            start = self.stride * band
            yield int(band >= self.frame), order[np.arange(start, start + self.named + self.ordered) % 256]


_ALIKE: Final = 20  # bits; more is read of those that share them
_NARROWED: Final = 400  # that are read of those that share all bits


def in_order(frame: int, box: int, ordered: int, stride: int, more: int = MORE_ALIKE) -> Design:
    """Buckets of 12 bits, of which a lookup reads what stands beside its own place."""
    return Design(
        f"{frame} + {box} of 12 bits in order",
        frame,
        box,
        named=12,
        ordered=ordered,
        stride=stride,
        beginning=BUCKET_BEGINNING,
        neighbours=NEIGHBOURS,
        more=more,
    )


BEFORE: Final = Design("8 + 8 of 16 bits (before)", 8, 8)
BUILT: Final = in_order(4, 6, 16, 25)
DESIGNS: Final = (
    BEFORE,
    Design("16 + 0 of 16 bits", 16, 0),
    Design("8 + 0 of 16 bits", 8, 0),
    Design("6 + 2 of 16 bits", 6, 2),
    Design("5 + 3 of 16 bits", 5, 3),
    Design("4 + 4 of 16 bits", 4, 4),
    Design("2 + 6 of 16 bits", 2, 6),
    Design("4 + 4 of 16 bits, one-bit probes", 4, 4, probes=True),
    Design("2 + 3 of 16 bits, one-bit probes", 2, 3, probes=True),
    in_order(4, 4, 20, 32),
    in_order(3, 5, 20, 32),
    in_order(4, 5, 16, 28),
    BUILT,
    in_order(5, 7, 16, 21),
    in_order(8, 8, 16, 16),
)


@dataclass(frozen=True)
class Sample:
    """An image, and what becomes of its hashes by each re-encode and in each other frame."""

    product: str
    hashes: Hashes
    reencoded: tuple[Hashes, ...]
    reframed: tuple[Hashes, ...]


@dataclass(frozen=True)
class Growth:
    """Means a lookup, of one design in a tenant of `images`."""

    design: str
    images: int
    requests: float
    items_read: float
    read_units: float
    cpu_ms: float
    recall_of_reencodes: float
    recall_of_reframes: float
    lookups_usd: float
    writes_usd: float


def samples(folder: Path) -> Iterator[Sample]:
    """Every image of a folder; files whose names begin alike up to a hyphen are one product's."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            original = canonical_pixels(path.read_bytes(), limits=DEFAULT_PIXEL_LIMITS)
            original.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        except ImageRejectedError as error:
            print(f"left out {path.name}: {error}")
            continue
        edited = [EDITS[name](original) for name in REENCODES]
        framed = [edit(original) for edit in FRAMES.values()]
        yield Sample(
            path.stem.split("-")[0],
            _hashes(original),
            tuple(_hashes(Image.open(BytesIO(data)).convert("RGB")) for data in edited if data),
            tuple(_hashes(Image.open(BytesIO(data)).convert("RGB")) for data in framed if data),
        )


def _hashes(image: Image.Image) -> Hashes:
    seen = fingerprint(image, PHashAlgorithm.PHASH256)
    return _bits(seen.frame), _bits(seen.box)


def _bits(hash_hex: str) -> Bits:
    return np.unpackbits(np.frombuffer(bytes.fromhex(hash_hex), np.uint8))


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


def shares_of_bred(
    real: np.ndarray[Any, np.dtype[np.uint8]], wanted: Bits, first: int
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The shares of hashes bred from two different ones of `real` that have the first bits of `wanted`.

    By how many of them: from `first` to all.
    """
    # 15/16 where both parents agree with it, 1/2 where one does, 1/16 where none does: a sum of two terms.
    terms = _FLIPPED / 2 + (0.5 - _FLIPPED) * (real == wanted)
    likely = np.ones((len(real), len(real)))
    np.fill_diagonal(likely, 0)
    sums = [likely.sum()]
    for bit in range(len(wanted)):
        likely *= terms[:, None, bit] + terms[None, :, bit]
        sums.append(likely.sum())
    return np.array(sums[first:]) / sums[0]


def hexadecimal(words: np.ndarray[Any, np.dtype[np.uint64]]) -> str:
    return words.astype(">u8").tobytes().hex()


Reached = tuple[int, Bits, Bits]
"""A band whose bucket an edited image reads: the bits that order the original there, and which differ."""


def grown(design: Design, catalog: Sequence[Sample], item_ms: float) -> list[Growth]:
    """The design in tenants of every size, whose images look like the catalog's."""
    bands = list(design.bands())
    shares, reached = [], []
    for sample in catalog:
        others = [other.hashes for other in catalog if other.product != sample.product]
        real = [np.array([hashes[which] for hashes in others]) for which in range(2)]
        mine = sample.hashes
        shares.append(
            [shares_of_bred(real[which][:, bits], mine[which][bits], design.named) for which, bits in bands]
        )
        reached.append(
            [
                [_reached(design, bands, mine, edited) for edited in edits]
                for edits in (sample.reencoded, sample.reframed)
            ]
        )
    return [_at_size(design, images, np.array(shares), reached, item_ms) for images in SIZES]


def _reached(design: Design, bands: Sequence[tuple[int, Any]], mine: Hashes, edited: Hashes) -> list[Reached]:
    flips = [one ^ other for one, other in zip(mine, edited, strict=True)]
    near = [flipped.sum() <= THRESHOLD for flipped in flips]
    return [
        (band, mine[which][bits[design.named :]], flips[which][bits[design.named :]])
        for band, (which, bits) in enumerate(bands)
        if near[which] and flips[which][bits[: design.named]].sum() <= design.probes
    ]


def _at_size(
    design: Design, images: int, shares: np.ndarray[Any, Any], reached: list[Any], item_ms: float
) -> Growth:
    """`shares` of the catalog have the first bits of a band: by sample, band, and bits above `named`."""
    held = np.maximum(images * shares, 1e-9)
    queries, items, units = _read(design, held)
    recalls = [
        np.mean(
            [
                1 - np.prod([1 - _seen_in(design, of_sample[band], *bits) for band, *bits in edit])
                for of_sample, edits in zip(held, reached, strict=True)
                for edit in edits[kind]
            ]
        )
        for kind in range(2)
    ]
    paid = float(units.sum(axis=1).mean())
    return Growth(
        design.name,
        images,
        requests=float(queries.sum(axis=1).mean()),
        items_read=float(items.sum(axis=1).mean()),
        read_units=paid,
        cpu_ms=item_ms * float(items.sum(axis=1).mean()),
        recall_of_reencodes=float(recalls[0]),
        recall_of_reframes=float(recalls[1]),
        lookups_usd=1e6 * paid * PRICES["DynamoDB read unit"],
        writes_usd=1e6 * held.shape[1] * PRICES["DynamoDB write unit"],
    )


Figures = np.ndarray[Any, np.dtype[np.float64]]


def _read(design: Design, held: Figures) -> tuple[Figures, Figures, Figures]:
    """Queries, items and read units of each band."""
    bucket = held[:, :, 0]
    full = bucket > design.beginning
    items = np.minimum(bucket, design.beginning)
    queries, units = np.ones_like(bucket), _units(items)
    if design.neighbours:
        dense = full & (_alike(design, held) > 2 * design.neighbours)
        beside = np.where(full, np.minimum(design.neighbours, bucket / 2), 0)
        further = np.where(dense, design.more, 0)
        queries += 2 * full + 2 * dense
        units += 2 * full * _units(beside) + 2 * dense * _units(further)
        items += 2 * (beside + further)
    else:
        narrowed = np.where(full, np.minimum(held[:, :, -1], _NARROWED), 0)
        queries += 2 * full
        units += full * (1 + _units(narrowed))
        items += narrowed
    buckets = design.named + 1 if design.probes else 1
    return buckets * queries, buckets * items, buckets * units


def _alike(design: Design, held: Figures) -> Figures:
    return held[..., min(_ALIKE - design.named, design.ordered)]


def _units(items: Figures) -> Figures:
    return np.ceil(items * item_bytes() / 4096).clip(1)


def _seen_in(design: Design, held: Figures, mine: Bits, flipped: Bits) -> float:
    """The probability that an edited image finds its original in a bucket that it reads."""
    by_beginning = min(1.0, design.beginning / held[0])
    if by_beginning == 1 or (flipped.any() and not design.neighbours):
        return float(by_beginning)
    if not design.neighbours:
        return float(max(by_beginning, min(1.0, _NARROWED / held[-1])))
    dense = _alike(design, held) > 2 * design.neighbours
    side = design.neighbours + (design.more if dense else 0)
    if not flipped.any():  # somewhere among those of the same bits
        return float(max(by_beginning, 1 - (1 - min(1.0, side / held[-1])) ** 2))
    return 1.0 if between(held, mine, int(flipped.argmax())) <= side else float(by_beginning)


def between(held: Figures, mine: Bits, bit: int) -> float:
    """How many lie between an entry and its copy in which `bit` is the first that differs.

    Those on this side of the bit are counted.  On the other the copy stands as far in, by their share.
    """
    here, there = held[bit + 1], held[bit] - held[bit + 1]
    outward = mine[bit + 1 :] == mine[bit]  # a branch off these bits lies towards the copy
    branches = held[bit + 1 : -1] - held[bit + 2 :]
    passed = min(float(here), float(held[-1] / 2 + branches[outward].sum()))
    return float(passed + there * (1 - passed / here))


def item_bytes() -> int:
    """A key, an id of 64 hex digits, a hash, colours, and the names of the attributes."""
    indexed = Indexed(PHashAlgorithm.PHASH256, "0" * 64, "0" * 64)
    place = places(TenantId("t" * 16), AssetId("0" * 64), indexed)[-1]
    return len(place.bucket) + len(place.id) + 32 + 12 + len("bandidhashcolours")


def cpu_ms_of_an_item() -> float:
    """What it takes to turn an answer's item into a candidate, its JSON apart."""
    from catalog.adapters.hash_bands_table import _BandItem  # noqa: PLC0415 - nothing else has its shape

    indexed = Indexed(PHashAlgorithm.PHASH256, "5a" * 32, "5a" * 32)
    place = places(TenantId("t" * 16), AssetId("0" * 64), indexed)[3]
    raw = {
        "band": {"S": place.bucket},
        "id": {"S": place.id},
        "hash": {"B": bytes(32)},
        "colours": {"B": bytes(12)},
    }
    count = 3_000
    began = time.process_time()
    for _ in range(count):
        item = _BandItem.from_raw_data(raw)
        hamming_distance(place.hash, item.hash.hex())
        colour_distance("80" * 12, item.colours.hex())
    return 1000 * (time.process_time() - began) / count


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lookup_growth")
    parser.add_argument(
        "--images", type=Path, nargs="+", required=True, help="folders the distributions are taken from"
    )
    parser.add_argument("--out", type=Path, help="where to write the figures as JSON")
    arguments = parser.parse_args()

    item_ms = cpu_ms_of_an_item()
    figures: dict[str, list[dict[str, Any]]] = {}
    goals = []
    for folder in arguments.images:
        catalog = list(samples(folder))
        if len({sample.product for sample in catalog}) < 3:
            sys.exit(f"{folder} needs images of three products or more")
        growths = {design.name: grown(design, catalog, item_ms) for design in DESIGNS}
        print(f"\n{folder.name}: {len(catalog)} images, {item_bytes()}-byte items\n")
        largest = [growth[-1] for growth in growths.values()]
        print(table(("design", *_HEADER), [(one.design, *_row(one)) for one in largest]))
        print(f"\n{BUILT.name}\n")
        print(table(_HEADER, [_row(one) for one in growths[BUILT.name]]))
        figures[folder.name] = [asdict(one) for growth in growths.values() for one in growth]
        goals += _goals(folder.name, growths[BUILT.name])
    report("lookup_growth", figures=figures, goals=goals, out=arguments.out)


_HEADER: Final = (
    "images", "re-encodes found", "other frames found", "requests", "items read", "read units", "CPU-ms",
    "lookups, $ a million", "writes, $ a million",
)  # fmt: skip


def _row(one: Growth) -> tuple[str, ...]:
    return (
        f"{one.images:,}",
        f"{one.recall_of_reencodes:.2%}",
        f"{one.recall_of_reframes:.1%}",
        f"{one.requests:.0f}",
        f"{one.items_read:,.0f}",
        f"{one.read_units:,.0f}",
        f"{one.cpu_ms:,.0f}",
        f"{one.lookups_usd:.2f}",
        f"{one.writes_usd:.2f}",
    )


def _goals(folder: str, growths: Sequence[Growth]) -> list[Goal]:
    largest = growths[-1]
    return [
        Goal(
            f"re-encodes found, {folder}, {largest.images:,} images",
            largest.recall_of_reencodes,
            at_least=0.98,
        ),
        Goal(f"requests, {folder}", largest.requests, at_most=48),
    ]


if __name__ == "__main__":
    main()

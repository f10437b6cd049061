"""What a near-duplicate lookup costs and finds as a tenant grows from a thousand images to a hundred million.

    python -m benchmarks.lookup_growth --images DIR [DIR ...] [--out results.json]

No catalog of that size is made.  Its hashes are taken to be bred: each from two real ones of other products,
keeping the bits on which they agree (so buckets fill as unevenly as real ones), drawing the rest, flipping
one bit in 16.  How many of N such hashes fall into a bucket that a real image reads is computed, not sampled.
An entry of a bucket that holds more than is read of it is seen with the probability read : held, in each band
by itself where ids are rotated, in all bands at once where they are not.  What edits flip is real: every
image is re-encoded, resized and put into other frames, and hashed again.
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
from catalog.adapters.hash_bands_table import BUCKET_BEGINNING, BUCKET_NARROWED
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
REENCODES: Final = (
    "JPEG q50", "WebP q80", "AVIF q50", "50% Lanczos, JPEG q85", "25% Lanczos, JPEG q85", "PNG8"
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
    """Bands of `width` bits, each 16 further on (`stride`): of the frame's hash, then of the box's.

    With `narrowed` bits a bucket of more than BUCKET_BEGINNING is read by the bits behind the band's own.
    """

    name: str
    width: int
    frame: int
    box: int
    stride: int = 16
    rotated: bool = True
    narrowed: int = 0

    def bands(self) -> Iterator[tuple[int, np.ndarray[Any, Any]]]:
        """Of which hash (0 the frame's), and which of its bits; those that narrow it come last."""
        order = np.array(BIT_PERMUTATION)
        for band in range(self.frame + self.box):
            start = self.stride * band
            yield int(band >= self.frame), order[np.arange(start, start + self.width + self.narrowed) % 256]


BUILT: Final = Design("8 of 16 bits of each, narrowed by 4", 16, 8, 8, narrowed=4)
CAP: Final = 500  # entries read of a bucket by the other designs
DESIGNS: Final = (
    Design("16 of 16 bits of the frame, same ids (before)", 16, 16, 0, rotated=False),
    Design("16 of 16 bits of the frame", 16, 16, 0),
    Design("8 of 16 bits of the frame", 16, 8, 0),
    Design("8 of 16 bits of the frame, 8 of the box", 16, 8, 8),
    Design("8 of 18 bits of each", 18, 8, 8),
    Design("8 of 20 bits of each", 20, 8, 8),
    Design("6 of 20 bits of each", 20, 6, 6, stride=20),
    Design("8 of 24 bits of each", 24, 8, 8),
    BUILT,
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


def share_of_bred(real: np.ndarray[Any, np.dtype[np.uint8]], wanted: Bits) -> float:
    """The share of hashes bred from two different ones of `real` that have the bits `wanted`."""
    agrees = (real == wanted).astype(np.float64)
    both, neither = agrees @ agrees.T, (1 - agrees) @ (1 - agrees).T
    likely = (1 - _FLIPPED) ** both * _FLIPPED**neither * 0.5 ** (len(wanted) - both - neither)
    np.fill_diagonal(likely, 0)
    return float(likely.sum() / (len(real) * (len(real) - 1)))


def hexadecimal(words: np.ndarray[Any, np.dtype[np.uint64]]) -> str:
    return words.astype(">u8").tobytes().hex()


def grown(design: Design, catalog: Sequence[Sample], item_ms: float) -> list[Growth]:
    """The design in tenants of every size, whose images look like the catalog's."""
    wide, narrow, found = [], [], []
    bands = list(design.bands())
    for sample in catalog:
        others = [other.hashes for other in catalog if other.product != sample.product]
        real = [np.array([hashes[which] for hashes in others]) for which in range(2)]
        hashes = sample.hashes
        narrow.append([share_of_bred(real[which][:, bits], hashes[which][bits]) for which, bits in bands])
        cut = [(which, bits[: design.width]) for which, bits in bands]
        wide.append([share_of_bred(real[which][:, bits], hashes[which][bits]) for which, bits in cut])
        found.append(
            [
                [_kept(hashes, edited, bands, design) for edited in edits]
                for edits in (sample.reencoded, sample.reframed)
            ]
        )
    shares = np.array(wide), np.array(narrow)
    return [_at_size(design, images, shares, found, item_ms) for images in SIZES]


def _kept(hashes: Hashes, edited: Hashes, bands: Sequence[tuple[int, Any]], design: Design) -> list[int]:
    """By band, whether an edited image reads the bucket its original is in and would take it for near (1);
    and whether it is among those that are most alike there (2).
    """
    flips = [one ^ other for one, other in zip(hashes, edited, strict=True)]
    near = [flipped.sum() <= THRESHOLD for flipped in flips]
    return [
        int(near[which] and not flips[which][bits[: design.width]].any())
        + int(near[which] and not flips[which][bits].any())
        for which, bits in bands
    ]


def _at_size(
    design: Design,
    images: int,
    shares: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]],
    found: list[Any],
    item_ms: float,
) -> Growth:
    """`shares` of the catalog are in a bucket, and among those that are most alike there."""
    held, alike = (np.maximum(images * share, 1e-9) for share in shares)
    beginning = BUCKET_BEGINNING if design.narrowed else CAP
    first = np.minimum(held, beginning)
    second = np.where((held > beginning) & (design.narrowed > 0), np.minimum(alike, BUCKET_NARROWED), 0)
    # Among the first entries, or by the bits that narrow it: whichever shows more of the bucket's.
    by_band = first / held
    by_bits = np.maximum(by_band, np.minimum(1, BUCKET_NARROWED / alike) if design.narrowed else 0)
    recalls = [
        np.mean(
            [
                _seen_in_any(np.choose(kept, [np.zeros_like(coarse), coarse, fine]), rotated=design.rotated)
                for coarse, fine, edits in zip(by_band, by_bits, found, strict=True)
                for kept in edits[kind]
            ]
        )
        for kind in range(2)
    ]
    queries = 1 + 2 * (second > 0)
    units = np.ceil(first * item_bytes() / 4096).clip(1) + np.where(
        second > 0, 1 + np.ceil(second * item_bytes() / 4096), 0
    )
    read, paid = float((first + second).sum(axis=1).mean()), float(units.sum(axis=1).mean())
    return Growth(
        design.name,
        images,
        requests=float(queries.sum(axis=1).mean()),
        items_read=read,
        read_units=paid,
        cpu_ms=item_ms * read,
        recall_of_reencodes=float(recalls[0]),
        recall_of_reframes=float(recalls[1]),
        lookups_usd=1e6 * paid * PRICES["DynamoDB read unit"],
        writes_usd=1e6 * held.shape[1] * PRICES["DynamoDB write unit"],
    )


def _seen_in_any(seen: np.ndarray[Any, Any], *, rotated: bool) -> float:
    return float(1 - np.prod(1 - seen)) if rotated else float(seen.max())


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

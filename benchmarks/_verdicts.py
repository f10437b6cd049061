"""What the pipeline would do with two uploads, and how often: verdicts and their counts."""

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

from PIL import Image

from benchmarks._hashes import Entry, entry_of
from benchmarks._rates import Rate
from catalog.domain.near_duplicates import Verdict
from catalog.domain.sources import DEFAULT_PIXEL_LIMITS
from imaging.originals import canonical_pixels, identify
from imaging.verification import verify

SAME: Final = Verdict.SAME
VERDICTS: Final = tuple(Verdict)
"""From the one that merges to the one that does nothing."""


@dataclass(frozen=True)
class Outcome:
    """Two uploads: whether the candidate stage proposes them, and the verifier's verdict in either order."""

    candidate: bool
    verdict: Verdict
    refusal: str | None
    score: float
    symmetric: bool

    @property
    def merged(self) -> bool:
        return self.candidate and self.verdict == SAME

    @property
    def joined(self) -> bool:
        """Merged, or linked as too small a copy to be sure of."""
        return self.candidate and self.verdict in {Verdict.SAME, Verdict.TOO_SMALL}

    @property
    def paired(self) -> bool:
        """Joined, or shown to a person."""
        return self.candidate and self.verdict != Verdict.DIFFERENT


def canonical(data: bytes) -> Image.Image:
    return canonical_pixels(data, limits=DEFAULT_PIXEL_LIMITS)


@dataclass(frozen=True)
class Upload:
    """What the pipeline makes of a file: its longer side, canonical pixels and what they are found by."""

    side: int
    pixels: Image.Image
    entry: Entry


def uploaded(data: bytes) -> Upload:
    source, pixels = identify(data, limits=DEFAULT_PIXEL_LIMITS), canonical(data)
    return Upload(max(source.width, source.height), pixels, entry_of(pixels))


def outcome(left: Upload, right: Upload, *, both_orders: bool = True) -> Outcome:
    """The worse of both orders, where they differ: the verdict that merges more."""
    scale = max(left.side, right.side) / min(left.side, right.side)
    verification = verify(left.pixels, right.pixels, scale=scale)
    found = verification.verdict
    reverse = verify(right.pixels, left.pixels, scale=scale).verdict if both_orders else found
    return Outcome(
        left.entry.finds(right.entry),
        min(found, reverse, key=VERDICTS.index),
        verification.refusal,
        max(verification.scores.values(), default=0.0),
        found == reverse,
    )


@dataclass(frozen=True)
class Verdicts:
    """Counts over outcomes."""

    trials: int
    candidates: int
    merged: int
    joined: int
    paired: int
    by_verdict: dict[Verdict, int]

    @property
    def merge_rate(self) -> Rate:
        return Rate(self.merged, self.trials)

    @property
    def join_rate(self) -> Rate:
        return Rate(self.joined, self.trials)

    @property
    def pair_rate(self) -> Rate:
        return Rate(self.paired, self.trials)

    @property
    def same_rate(self) -> Rate:
        """The verifier alone, whatever the candidate stage found."""
        return Rate(self.by_verdict[SAME], self.trials)

    def shares(self) -> tuple[str, ...]:
        """Candidates and each verdict, in percent."""
        counts = (self.candidates, *(self.by_verdict[name] for name in VERDICTS))
        return tuple(f"{Rate(count, self.trials).share:.1%}" if self.trials else "-" for count in counts)

    def as_json(self) -> dict[str, Any]:
        rates = {"merge_rate": self.merge_rate, "join_rate": self.join_rate, "pair_rate": self.pair_rate}
        return asdict(self) | {name: rate.as_json() for name, rate in rates.items()}


def counted(outcomes: Iterable[Outcome]) -> Verdicts:
    listed = list(outcomes)
    return Verdicts(
        len(listed),
        sum(one.candidate for one in listed),
        sum(one.merged for one in listed),
        sum(one.joined for one in listed),
        sum(one.paired for one in listed),
        {name: sum(one.verdict == name for one in listed) for name in VERDICTS},
    )


def milliseconds(began: float) -> float:
    """CPU time of this process since `began`, a time.process_time()."""
    return 1000 * (time.process_time() - began)

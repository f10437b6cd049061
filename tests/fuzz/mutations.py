"""Mutations that know the formats: what a parser reads is changed, what it only checks is put right again."""

import random
import struct
from collections.abc import Callable, Sequence
from typing import Final

from imaging.containers import sniff
from infra.pictures import hostile

_INTERESTING: Final = (0, 1, 2, 4, 8, 16, 127, 128, 255, 256, 4096, 32_767, 32_768, 65_535, 65_536)
_HUGE: Final = (2**31 - 1, 2**31, 2**32 - 1, 2**24, 10**6)
_MARKS_LOOKED_AT: Final = 400
_LARGEST: Final = 60_000  # bytes; more makes slow rounds and no new ways through the parsers


def mutated(data: bytes, seed: int, others: Sequence[bytes]) -> bytes:
    """`data` changed in one to four ways at places its structure has, the same for the same seed."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        data = rng.choice(_WAYS)(data, rng, others)[:_LARGEST]
    return hostile.repaired(data) if rng.random() < 0.9 else data


def _marks(data: bytes) -> list[int]:
    """Boundaries, as far as a damaged file still has them."""
    if sniff(data) is None or len(data) < 16:
        return [0, len(data)]
    found = [0, len(data)]
    try:
        for at in hostile.marks(data):
            found.append(at)
            if len(found) > _MARKS_LOOKED_AT:
                break
    except (IndexError, ValueError, struct.error):
        pass  # where the damage lies there are no further boundaries
    return sorted({at for at in found if 0 <= at <= len(data)})


def _place(data: bytes, rng: random.Random) -> int:
    at = rng.choice(_marks(data)) + rng.choice((0, 0, 0, 1, 2, 4, 8, -1, -4))
    return min(max(at, 0), len(data)) if rng.random() < 0.8 else rng.randint(0, len(data))


def _number(data: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    width, at = rng.choice((1, 2, 4)), _place(data, rng)
    order = rng.choice(("little", "big"))
    old = int.from_bytes(data[at : at + width], order)  # type: ignore[arg-type]
    near = (old + 1, old - 1, old * 2, old // 2, len(data), len(data) - at)
    new = rng.choice((*_INTERESTING, *_HUGE, *near)) % (1 << 8 * width)
    return data[:at] + new.to_bytes(width, order) + data[at + width :]  # type: ignore[arg-type]


def _flip(data: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    at = _place(data, rng)
    return data[:at] + bytes(byte ^ 1 << rng.randrange(8) for byte in data[at : at + 1]) + data[at + 1 :]


def _part(data: bytes, rng: random.Random) -> tuple[int, int]:
    marks = _marks(data)
    start = rng.choice(marks)
    return start, rng.choice([mark for mark in marks if mark >= start][:12])


def _delete(data: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    start, end = _part(data, rng)
    return data[:start] + data[end:]


def _repeat(data: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    start, end = _part(data, rng)
    return data[:end] + data[start:end] * rng.choice((1, 1, 2, 9)) + data[end:]


def _move(data: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    start, end = _part(data, rng)
    rest = data[:start] + data[end:]
    at = min(_place(data, rng), len(rest))
    return rest[:at] + data[start:end] + rest[at:]


def _splice(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    other = rng.choice(others)
    start, end = _part(other, rng)
    at = _place(data, rng)
    return data[:at] + other[start:end] + data[at + rng.choice((0, end - start)) :]


def _cut(data: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    return data[: _place(data, rng)] if rng.random() < 0.3 else data


_WAYS: Final[Sequence[Callable[[bytes, random.Random, Sequence[bytes]], bytes]]] = (
    _number, _number, _number, _flip, _delete, _repeat, _move, _splice, _cut,
)  # fmt: skip

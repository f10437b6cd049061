"""Colours that a file names by number instead of by a profile: CICP (ITU-T H.273), PNG's gAMA and cHRM.

They become an ICC profile, which goes the way of any other.  High dynamic range (PQ, HLG) is tone-mapped by
the profile's curve: absolute light of up to 1,000 cd/m2 is pressed into the 203 that BT.2408 calls white,
with the roll-off of BT.2390 (5.4.1) on each channel; what is darker than 92 cd/m2 stays as it is.
"""

import math
import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Final

# x and y of white, red, green and blue, by H.273's number; the order of PNG's cHRM.
_D65: Final = (0.3127, 0.3290)
_SRGB: Final = (*_D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
_PRIMARIES: Final = {
    1: _SRGB,
    4: (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    22: (*_D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
}
_PQ, _HLG = 16, 18
# Whose curves count as sRGB's: BT.709's and its likes are shown so by every viewer, and 2 is "not known".
_LIKE_SRGB: Final = frozenset((1, 2, 6, 7, 13, 14, 15))
_GAMMAS: Final = {4: 2.2, 5: 2.8, 8: 1.0, 17: 2.6}
_POINTS: Final = 1024
_WHITE_NITS, _PEAK_NITS, _PQ_NITS = 203.0, 1000.0, 10_000.0
_PLAIN_GAMMAS: Final = (1 / 2.4, 1 / 2.0)  # gAMA that means sRGB: 45455 nearly always
_NEAR: Final = 0.005
_SRGB_FOOT: Final = 0.04045

Matrix = tuple[tuple[float, ...], ...]


@lru_cache(maxsize=16)
def coded_profile(primaries: int, transfer: int, *, grey: bool = False) -> bytes | None:
    """The ICC profile of H.273's numbers; None where they mean sRGB, or nothing known."""
    chromaticities = _PRIMARIES.get(primaries, _SRGB)
    if transfer in (_PQ, _HLG):
        curve: Callable[[float], float] = _pq_shown if transfer == _PQ else _hlg_shown
    elif transfer in _GAMMAS:
        exponent = _GAMMAS[transfer]
        curve = lambda signal: signal**exponent  # noqa: E731
    elif chromaticities == _SRGB or transfer not in _LIKE_SRGB or grey:
        return None
    else:
        curve = _srgb
    return _profile(chromaticities, curve, grey=grey)


@lru_cache(maxsize=16)
def gamma_profile(gamma: float, chromaticities: tuple[float, ...] | None, *, grey: bool) -> bytes | None:
    """The ICC profile of PNG's gAMA (0.45455 for most) and cHRM; None where they mean sRGB, or nonsense."""
    primaries = chromaticities or _SRGB
    plain = _PLAIN_GAMMAS[0] < gamma < _PLAIN_GAMMAS[1]
    near = all(abs(a - b) <= _NEAR for a, b in zip(primaries, _SRGB, strict=True))
    if not 0.1 <= gamma <= 10 or (plain and (near or grey)):  # noqa: PLR2004 (beyond, nothing is seen)
        return None
    try:
        return _profile(primaries, _srgb if plain else lambda signal: signal ** (1 / gamma), grey=grey)
    except ArithmeticError:  # primaries that span no triangle
        return None


def _srgb(signal: float) -> float:
    return float(signal / 12.92 if signal <= _SRGB_FOOT else ((signal + 0.055) / 1.055) ** 2.4)


def _pq_to_nits(signal: float) -> float:
    """SMPTE ST 2084."""
    root = signal ** (1 / 78.84375)
    return float(
        _PQ_NITS * (max(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)
    )


def _nits_to_pq(nits: float) -> float:
    power = (nits / _PQ_NITS) ** 0.1593017578125
    return float(((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375)


def _pq_shown(signal: float) -> float:
    return _tone_mapped(_pq_to_nits(signal))


def _hlg_shown(signal: float) -> float:
    """BT.2100: scene light, then the OOTF of a display of 1,000 cd/m2 on each channel."""

    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = signal * signal / 3 if signal <= 0.5 else (math.exp((signal - c) / a) + b) / 12  # noqa: PLR2004
    return _tone_mapped(_PEAK_NITS * float(scene) ** 1.2)


def _tone_mapped(nits: float) -> float:
    """Light of 0 to 1,000 cd/m2 as a share of white (BT.2390, 5.4.1: a Hermite spline above the knee)."""
    peak = _nits_to_pq(_PEAK_NITS)
    value, largest = min(_nits_to_pq(nits) / peak, 1.0), _nits_to_pq(_WHITE_NITS) / peak
    knee = 1.5 * largest - 0.5
    if value > knee:
        t = (value - knee) / (1 - knee)
        value = (
            (2 * t**3 - 3 * t**2 + 1) * knee
            + (t**3 - 2 * t**2 + t) * (1 - knee)
            + (-2 * t**3 + 3 * t**2) * largest
        )
    return min(_pq_to_nits(value * peak) / _WHITE_NITS, 1.0)


def _profile(chromaticities: tuple[float, ...], curve: Callable[[float], float], *, grey: bool) -> bytes:
    """A matrix profile of version 2 (ICC.1:2001-04), or a grey one.  ArithmeticError where there is none."""
    points = [round(65535 * min(max(curve(at / (_POINTS - 1)), 0), 1)) for at in range(_POINTS)]
    tone = b"curv" + bytes(4) + struct.pack(f">I{_POINTS}H", _POINTS, *points)
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", 6) + b"coded\0" + bytes(79),
        b"wtpt": b"XYZ " + bytes(4) + _fixed(0.9642, 1.0, 0.8249),
    }
    if grey:
        tags[b"kTRC"] = tone
    else:
        columns = zip(*_to_d50(chromaticities), strict=True)
        for name, column in zip((b"r", b"g", b"b"), columns, strict=True):
            tags[name + b"XYZ"] = b"XYZ " + bytes(4) + _fixed(*column)
            tags[name + b"TRC"] = tone
    table, body, places = struct.pack(">I", len(tags)), b"", dict[bytes, int]()
    start = 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        if value not in places:
            places[value] = start + len(body)
            body += value + bytes(-len(value) % 4)
        table += name + struct.pack(">II", places[value], len(value))
    head = struct.pack(
        ">I4xI4s4s4s", start + len(body), 0x02400000, b"mntr", b"GRAY" if grey else b"RGB ", b"XYZ "
    )
    head = (head.ljust(36, b"\0") + b"acsp").ljust(68, b"\0") + _fixed(0.9642, 1.0, 0.8249)
    return head.ljust(128, b"\0") + table + body


def _fixed(*numbers: float) -> bytes:
    if not all(-32768 < number < 32768 for number in numbers):  # noqa: PLR2004 (of s15Fixed16Number)
        raise ArithmeticError("a number no profile holds")
    return struct.pack(f">{len(numbers)}i", *(round(number * 65536) for number in numbers))


def _to_d50(chromaticities: tuple[float, ...]) -> Matrix:
    """RGB to XYZ, adapted to D50 (Bradford), rows of three."""
    white, *primaries = (
        (x / y, 1.0, (1 - x - y) / y) for x, y in zip(chromaticities[::2], chromaticities[1::2], strict=True)
    )
    columns: Matrix = tuple(zip(*primaries, strict=True))
    scales = _applied(_inverse(columns), white)
    to_xyz = tuple(tuple(value * by for value, by in zip(row, scales, strict=True)) for row in columns)
    bradford = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
    have, want = _applied(bradford, white), _applied(bradford, (0.96422, 1.0, 0.82521))
    scaled = tuple(
        tuple(value * to / of for value in row) for row, to, of in zip(bradford, want, have, strict=True)
    )
    return _times(_times(_inverse(bradford), scaled), to_xyz)


def _applied(matrix: Matrix, vector: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)


def _times(left: Matrix, right: Matrix) -> Matrix:
    columns = tuple(zip(*right, strict=True))
    return tuple(
        tuple(sum(a * b for a, b in zip(row, column, strict=True)) for column in columns) for row in left
    )


def _inverse(matrix: Matrix) -> Matrix:
    """Of three by three; ZeroDivisionError where there is none."""
    (a, b, c), (d, e, f), (g, h, i) = matrix
    by = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    adjugate = (
        (e * i - f * h, c * h - b * i, b * f - c * e),
        (f * g - d * i, a * i - c * g, c * d - a * f),
        (d * h - e * g, b * g - a * h, a * e - b * d),
    )
    return tuple(tuple(value / by for value in row) for row in adjugate)

"""What holds for any bytes: a rejection by name, or the same correct renditions every time."""

import io
import warnings
from collections.abc import Callable, Mapping
from typing import Final

from PIL import Image

from catalog.domain.presets import Fit, Format, Preset
from catalog.domain.rejections import ImageRejectedError, RejectionCode
from catalog.domain.sources import SourceFormat
from imaging import comparison, inspection, originals, renditions
from imaging.geometry import placement

# Small, so that a round takes milliseconds: what is larger is a bomb, and has tests of its own.
LIMITS: Final[Mapping[SourceFormat, int]] = dict.fromkeys(SourceFormat, 1_000_000)
PRESETS: Final = (
    Preset("inside", 24, 24, format=Format.AUTO),
    Preset("cover", 16, 20, fit=Fit.COVER, keep_copyright=True),
    Preset("pad", 12, 12, fit=Fit.PAD, format=Format.PNG),
)
Outcome = RejectionCode | tuple[int, int]
"""Why it is rejected, or its width and height as shown."""


def identified(data: bytes) -> Outcome:
    """Identify alone."""
    try:
        source = originals.identify(data, limits=LIMITS)
    except ImageRejectedError as error:
        return error.rejection.code
    return source.width, source.height


def inspected(data: bytes) -> Outcome:
    """What ingest does, against itself as the near-duplicate too."""
    try:
        first = inspection.inspect(data, limits=LIMITS)
        likeness = first.verify(data)
    except ImageRejectedError as error:
        return error.rejection.code
    shown = first.source.width, first.source.height
    pixels = originals.canonical_pixels(data, limits=LIMITS)
    assert (pixels.mode, pixels.size) == ("RGB", shown)
    assert len(first.hashes.phash256) == 64 and len(first.hashes.ahash64) == 16
    assert likeness.accepted or min(shown) < 32, likeness  # a picture is its own near-duplicate
    return shown


def rendered(data: bytes) -> Outcome:
    """What render does, twice."""
    try:
        made = list(renditions.render(data, PRESETS, limits=LIMITS))
    except ImageRejectedError as error:
        return error.rejection.code
    shown = originals.accepted(data, limits=LIMITS).shown_size
    assert {each.preset.name for each in made} == {preset.name for preset in PRESETS}
    for each in made:
        with Image.open(io.BytesIO(each.data)) as image:
            image.load()
            assert image.size == (each.width, each.height) == placement(each.preset, shown).canvas
    assert [each.data for each in renditions.render(data, PRESETS, limits=LIMITS)] == [
        each.data for each in made
    ]
    return shown


def compared(data: bytes) -> Outcome:
    """What POST compare does."""
    try:
        made = comparison.measure(data, PRESETS[:1], presets_per_job=1, limits=LIMITS)
    except ImageRejectedError as error:
        return error.rejection.code
    assert all(encoding.size_bytes > 0 and -1 <= encoding.ssim <= 1 for encoding in made[0].encodings)
    return originals.accepted(data, limits=LIMITS).shown_size


ENTRIES: Final[Mapping[str, Callable[[bytes], Outcome]]] = {
    "identify": identified,
    "inspect": inspected,
    "render": rendered,
    "compare": compared,
}


def kept(data: bytes) -> Outcome:
    """Every entrance keeps the promise for `data`, says the same of it, and warns of nothing.

    Only AssertionError, or whatever escaped, is raised.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outcomes = {name: entry(data) for name, entry in ENTRIES.items()}
    identified_as = outcomes.pop("identify")
    if outcomes["inspect"] in (RejectionCode.DAMAGED, RejectionCode.TRUNCATED):
        outcomes.pop("render")  # takes what was accepted before anybody looked for damage
    assert len(set(outcomes.values())) == 1, outcomes
    outcome = outcomes["inspect"]
    # Headers alone may promise what pixels do not hold; never the other way round.
    assert outcome == identified_as or isinstance(identified_as, tuple), (identified_as, outcome)
    if isinstance(outcome, tuple):
        assert outcome == identified_as
    return outcome

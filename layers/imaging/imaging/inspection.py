"""Inspecting an original: what it is and what it looks like, from one decode; and what looks like it."""

from collections.abc import Callable, Mapping
from typing import Final

from PIL.Image import Image

from catalog.domain.assets import Inspection, PerceptualHashes
from catalog.domain.fingerprints import Fingerprint, PHashAlgorithm
from catalog.domain.near_duplicates import Likeness
from catalog.domain.sources import SourceFormat
from imaging.hashes import average_hash, colours, content_box, difference_hash, phash256, shrunk
from imaging.originals import canonical_pixels, identify
from imaging.verification import is_near_blank
from imaging.verification import verify as verify_pixels

_HASHES: Final[Mapping[PHashAlgorithm, Callable[[Image], str]]] = {
    PHashAlgorithm.PHASH256: phash256,
    PHashAlgorithm.AHASH64: average_hash,
    PHashAlgorithm.DHASH64: difference_hash,
}


def inspect(
    data: bytes, *, limits: Mapping[SourceFormat, int], algorithm: PHashAlgorithm = PHashAlgorithm.PHASH256
) -> Inspection:
    """The source's facts and the hashes of its canonical pixels.  Raises ImageRejectedError."""
    source = identify(data, limits=limits)
    pixels = canonical_pixels(data, limits=limits, strict=True)
    hashes = PerceptualHashes(ahash64=average_hash(pixels), phash256=phash256(pixels))
    known = {PHashAlgorithm.PHASH256: hashes.phash256, PHashAlgorithm.AHASH64: hashes.ahash64}
    return Inspection(
        source=source,
        hashes=hashes,
        fingerprint=fingerprint(pixels, algorithm, frame=known.get(algorithm)),
        near_blank=is_near_blank(pixels),
        pixels=pixels,
    )


def fingerprint(pixels: Image, algorithm: PHashAlgorithm, *, frame: str | None = None) -> Fingerprint:
    """What canonical pixels are indexed by; `frame` is the hash of all of them, where it is known."""
    hashed, luma, small = _HASHES[algorithm], pixels.convert("L"), shrunk(pixels)
    frame = frame or hashed(luma)
    box = content_box(small)
    across, down = pixels.width / small.width, pixels.height / small.height
    content = luma.crop((box[0] * across, box[1] * down, box[2] * across, box[3] * down))
    if content.size == pixels.size or is_near_blank(content):
        return Fingerprint(algorithm, frame, frame, colours(small))
    return Fingerprint(algorithm, frame, hashed(content), colours(small.crop(box)))


def verify(inspection: Inspection, data: bytes, *, limits: Mapping[SourceFormat, int]) -> Likeness:
    """Whether an inspected original and another show the same picture.  Raises ImageRejectedError."""
    if not isinstance(inspection.pixels, Image):
        raise TypeError("an inspection by this module has its pixels")
    sides = [
        max(source.width, source.height) for source in (inspection.source, identify(data, limits=limits))
    ]
    verification = verify_pixels(
        inspection.pixels, canonical_pixels(data, limits=limits), scale=max(sides) / min(sides)
    )
    return Likeness(verification.verdict, verification.scores, verification.refusal)

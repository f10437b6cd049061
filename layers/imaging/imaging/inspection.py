"""Inspecting an original: what it is and what it looks like, from one decode; and what looks like it."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from PIL.Image import Image

from catalog.domain.assets import Inspection, PerceptualHashes
from catalog.domain.fingerprints import Fingerprint, PHashAlgorithm
from catalog.domain.near_duplicates import Likeness
from catalog.domain.sources import SourceFormat
from imaging.hashes import average_hash, colours, content_box, difference_hash, phash256, shrunk
from imaging.originals import canonical_pixels, identify
from imaging.verification import is_near_blank, verify

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
        verify=partial(_verify, pixels=pixels, longest=max(source.width, source.height), limits=limits),
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


def _verify(data: bytes, *, pixels: Image, longest: int, limits: Mapping[SourceFormat, int]) -> Likeness:
    """Whether another original shows the picture whose pixels these are; `longest` is its longer side."""
    other = identify(data, limits=limits)
    sides = longest, max(other.width, other.height)
    return verify(pixels, canonical_pixels(data, limits=limits), scale=max(sides) / min(sides))

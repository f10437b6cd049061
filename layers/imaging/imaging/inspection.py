"""Inspecting an original: what it is and what it looks like, from one decode."""

from collections.abc import Mapping

from catalog.domain.assets import Inspection, PerceptualHashes
from catalog.domain.sources import SourceFormat
from imaging.hashes import average_hash, phash256
from imaging.originals import canonical_pixels, identify


def inspect(data: bytes, *, limits: Mapping[SourceFormat, int]) -> Inspection:
    """The source's facts and the hashes of its canonical pixels.  Raises ImageRejectedError."""
    source = identify(data, limits=limits)
    pixels = canonical_pixels(data, limits=limits)
    return Inspection(source, PerceptualHashes(ahash64=average_hash(pixels), phash256=phash256(pixels)))

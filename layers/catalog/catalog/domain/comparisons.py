"""Comparisons: what every preset would make of an image, in every format, and which of them to take."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from catalog.domain.presets import Format, Preset

# What JPEG at quality 85 leaves of an ideal downscale: 0.952 to 0.985 on 49 photos at 200 pixels, 0.960 to
# 0.985 on 10 at 1600.
SSIM_TARGET: Final = 0.95


@dataclass(frozen=True, slots=True)
class Encoding:
    """A rendition in one format, as it would be stored.

    `width` x `height` in pixels; `quality` is the encoder's setting, None where lossless; `ssim` the
    likeness of its luma to the ideal rendition, 1.0 if equal; `transparent` whether it has an alpha channel.
    """

    format: Format
    size_bytes: int
    width: int
    height: int
    quality: int | None
    ssim: float
    transparent: bool

    @property
    def pixels(self) -> int:
        return self.width * self.height

    @property
    def bytes_per_pixel(self) -> float:
        """`quality_metric` of docs/openapi.yaml."""
        return self.size_bytes / self.pixels


@dataclass(frozen=True, slots=True)
class PresetComparison:
    """One preset on one image.  `format` is what the preset itself makes, `auto` resolved.

    `encodings` always has that one; the others are left out of the largest presets where time would run out.
    `needs_upscaling`: the image is too small for the preset's box, and the rendition stays smaller than it.
    """

    preset: Preset
    needs_upscaling: bool
    format: Format
    encodings: tuple[Encoding, ...]

    @property
    def own(self) -> Encoding:
        """The rendition as the pipeline stores it."""
        return next(encoding for encoding in self.encodings if encoding.format is self.format)

    @property
    def recommended(self) -> Encoding:
        """The smallest file that reaches SSIM_TARGET; where none does, the likeliest.

        Where the preset itself keeps transparency, only what keeps it too is considered.
        """
        usable = [each for each in self.encodings if each.transparent or not self.own.transparent]
        reaching = [encoding for encoding in usable if encoding.ssim >= SSIM_TARGET]
        if reaching:
            return min(reaching, key=lambda encoding: encoding.size_bytes)
        return max(usable, key=lambda encoding: (encoding.ssim, -encoding.size_bytes))


def recommended(comparisons: Sequence[PresetComparison]) -> PresetComparison:
    """The largest rendition among the presets whose box the image fills.

    Where it fills none, the largest rendition of all; of equals, the one with the smallest box, which is
    the one the image comes closest to filling.
    """
    return max(
        comparisons,
        key=lambda each: (
            not each.needs_upscaling,
            each.own.pixels,
            -each.preset.width * each.preset.height,
        ),
    )

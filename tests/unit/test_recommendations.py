"""Which encoding and which preset a comparison recommends."""

from catalog.domain.comparisons import SSIM_TARGET, Encoding, PresetComparison, recommended
from catalog.domain.presets import Format, Preset


def encoding(
    format_: Format, size_bytes: int, ssim: float, *, side: int = 10, transparent: bool = False
) -> Encoding:
    return Encoding(format_, size_bytes, side, side, 85, ssim, transparent)


def compared(
    *encodings: Encoding, own: Format = Format.JPEG, box: int = 10, needs_upscaling: bool = False
) -> PresetComparison:
    return PresetComparison(Preset("thumb", box, box), needs_upscaling, own, encodings)


def test_the_smallest_file_that_reaches_the_target_is_taken() -> None:
    small_and_bad = encoding(Format.WEBP, 50, SSIM_TARGET - 0.01)
    just_good = encoding(Format.JPEG, 80, SSIM_TARGET)
    best = encoding(Format.PNG, 200, 1.0)
    assert compared(small_and_bad, best, just_good).recommended is just_good


def test_where_none_reaches_it_the_likeliest_and_of_equals_the_smallest() -> None:
    worst = encoding(Format.WEBP, 10, 0.5)
    likeliest, larger = encoding(Format.JPEG, 80, 0.9), encoding(Format.PNG, 90, 0.9)
    assert compared(worst, larger, likeliest).recommended is likeliest


def test_where_the_preset_keeps_transparency_only_what_keeps_it_is_taken() -> None:
    flat = encoding(Format.JPEG, 10, 1.0)
    clear = encoding(Format.PNG, 90, 1.0, transparent=True)
    assert compared(flat, clear, own=Format.PNG).recommended is clear
    assert compared(flat, clear, own=Format.JPEG).recommended is flat


def one(side: int, box: int, *, needs_upscaling: bool = False) -> PresetComparison:
    return compared(encoding(Format.JPEG, 1, 1.0, side=side), box=box, needs_upscaling=needs_upscaling)


def test_the_largest_rendition_is_recommended_among_the_boxes_the_image_fills() -> None:
    small, large = one(10, 10), one(20, 20)
    too_large = one(30, 40, needs_upscaling=True)
    assert recommended([small, too_large, large]) is large


def test_where_it_fills_none_the_largest_and_of_equals_the_one_of_the_smallest_box() -> None:
    small, near, far = (one(side, box, needs_upscaling=True) for side, box in ((5, 10), (30, 40), (30, 400)))
    assert recommended([small, far, near]) is near
    assert recommended([small, near, far]) is near


def test_the_quality_metric_is_bytes_a_pixel() -> None:
    assert encoding(Format.JPEG, 250, 1.0, side=10).bytes_per_pixel == 2.5

"""Compare: the renditions that every preset would make of one photo."""

import time
from collections.abc import Sequence
from typing import Final

from catalog_images import CatalogClient, PresetComparison
from infra.local.photos import Photo, printable
from infra.local.report import Row, byte_size
from infra.local.tour.acts import Act, table

_COMPARED_BYTES: Final = 4_500_000  # the most that a request carries
_COMPARED_PIXELS: Final = 4_000_000  # three presets in four formats take 2-4 s at 12 megapixels


def showpieces(ready: Sequence[Row], photos: Sequence[Photo]) -> list[Photo]:
    """Photos small enough for one request, best first: JPEGs of at most 4 megapixels, the largest first."""

    def rank(row: Row) -> tuple[bool, bool, int]:
        pixels = (row.width or 0) * (row.height or 0)
        small = pixels <= _COMPARED_PIXELS
        return small, by_name[row.file].content_type == "image/jpeg", pixels if small else -pixels

    by_name = {photo.name: photo for photo in photos if photo.content_type.startswith("image/")}
    sendable = [
        row
        for row in ready
        if row.file in by_name and row.size_bytes <= _COMPARED_BYTES and not row.duplicate_of
    ]
    return [by_name[row.file] for row in sorted(sendable, key=rank, reverse=True)]


def comparison(catalog: CatalogClient, photo: Photo) -> Act:
    """Compare the renditions that each preset would make of one photo, in every format; store nothing."""
    started = time.monotonic()
    found = catalog.compare(photo.read(), content_type=photo.content_type)
    seconds = time.monotonic() - started
    shown = table("Preset", "Format", ("Bytes", "right"), ("Bytes/pixel", "right"), ("SSIM", "right"), "")
    for preset in found.presets:
        for index, encoding in enumerate(preset.formats):
            chosen = encoding.format == preset.recommended_format
            best = chosen and preset.preset == found.recommended
            shown.add_row(
                ("" if index > 1 else _upscaled(preset) if index else _named(preset)),
                encoding.format,
                byte_size(encoding.size_bytes),
                f"{encoding.quality_metric:.3f}",
                f"{encoding.ssim:.3f}",
                "recommended" if best else "best of its preset" if chosen else "",
                style="bold green" if best else "green" if chosen else "",
                end_section=index == len(preset.formats) - 1,
            )
    said = (
        f"{printable(photo.name)}: take {found.recommended} as {found.recommended_format}, the largest it"
        f" fills, the smallest file with SSIM {found.ssim_target} or more; {seconds:.1f} s, nothing stored"
    )
    return Act("Compare", "POST /v1/compare", shown, said)


def _named(preset: PresetComparison) -> str:
    return f"{preset.preset} {preset.width}x{preset.height}"


def _upscaled(preset: PresetComparison) -> str:
    return "not enlarged" if preset.needs_upscaling else ""

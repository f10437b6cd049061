"""Metrics: the counters equal a count of the images."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from catalog_images import CatalogClient, Image, Metrics
from infra.local.report import byte_size
from infra.local.tour.acts import Act, table

COUNT_SECONDS: Final = 30.0  # the stream gathers changes for 5 s before they are counted
_POLL_SECONDS: Final = 0.25


def usage(tenants: Mapping[str, CatalogClient], *, patience: float = COUNT_SECONDS) -> Act:
    """Poll each tenant's counters until they equal a count of its images, or `patience` seconds are over."""
    started = time.monotonic()
    found: dict[str, Metrics] = {}
    behind = []
    for tenant, catalog in tenants.items():
        wanted, found[tenant] = counted(catalog.images()), catalog.metrics()
        while _countable(found[tenant]) != wanted and time.monotonic() - started < patience:
            time.sleep(_POLL_SECONDS)
            found[tenant] = catalog.metrics()
        if _countable(found[tenant]) != wanted:
            behind.append(f"the metrics of {tenant} do not equal a count of its images")
    seconds = time.monotonic() - started
    shown = table("", *((tenant, "right") for tenant in found))
    presets = sorted({preset for each in found.values() for preset in each.bytes_per_preset})
    lines: list[tuple[str, Callable[[Metrics], str]]] = [
        ("images", lambda each: str(_countable(each).images)),
        ("originals", lambda each: byte_size(each.bytes_originals)),
        *(
            (preset, lambda each, preset=preset: byte_size(each.bytes_per_preset.get(preset, 0)))
            for preset in presets
        ),
        ("duplicates avoided", lambda each: str(each.duplicates_avoided)),
        ("bytes saved by that", lambda each: byte_size(each.bytes_saved)),
        ("rejected", lambda each: str(each.rejected)),
    ]
    for name, value in lines:
        shown.add_row(name, *(value(each) for each in found.values()))
    said = f"counted from the table's stream, read after {seconds:.1f} s" + (
        "" if behind else "; images and bytes equal a count over GET /v1/images"
    )
    return Act("Metrics", "GET /v1/metrics", shown, said, tuple(behind))


@dataclass(frozen=True, slots=True)
class Count:
    """Counts of a tenant's images, made through the public API."""

    images: int
    rejected: int
    bytes_originals: int
    bytes_per_preset: Mapping[str, int]


def counted(images: Iterable[Image]) -> Count:
    """Count the images.  Shared renditions count once, with their canonical image."""
    taken = rejected = bytes_originals = 0
    bytes_per_preset: Counter[str] = Counter()
    for image in images:
        rejected += image.status == "rejected"
        if image.status not in {"processing", "ready"}:
            continue
        taken += 1
        bytes_originals += image.document["original_size_bytes"]
        if not image.shares_renditions:
            bytes_per_preset.update({each.preset: each.size_bytes for each in image.renditions})
    return Count(taken, rejected, bytes_originals, dict(bytes_per_preset))


def _countable(metrics: Metrics) -> Count:
    images = sum(metrics.assets.values())  # of one tenant: its own client made the request
    return Count(images, metrics.rejected, metrics.bytes_originals, dict(metrics.bytes_per_preset))

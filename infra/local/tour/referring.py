"""References: who uses which image."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from catalog_images import CatalogClient
from infra.local.photos import printable
from infra.local.report import Row, files_by_id
from infra.local.tour.acts import Act, short, sku, table

THREADS: Final = 4
_SHOWN: Final = 5  # images in the table


def references(catalog: CatalogClient, ready: Sequence[Row]) -> Act:
    """Take one reference per file, so that an image with two files is used twice."""
    names, files = files_by_id(ready), dict[str, list[str]]()
    for row in ready:
        files.setdefault(str(row.id), []).append(row.file)
    before = {image.id: set(image.document["references"]) for image in catalog.images()}
    missing = [
        (id_, sku(file)) for id_ in files for file in files[id_] if sku(file) not in before.get(id_, ())
    ]
    started = time.monotonic()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="reference") as pool:
        list(pool.map(lambda taken: catalog.refer(*taken), missing))
    seconds = time.monotonic() - started
    images = sorted(
        (image for image in catalog.images() if image.id in files),
        key=lambda image: (-image.in_use_count, names[image.id]),
    )
    shown = table("Image", "Used by", ("in_use_count", "right"))
    for image in images[:_SHOWN]:
        used_by = ", ".join(image.document["references"])
        shown.add_row(short(names[image.id]), short(used_by), str(image.in_use_count))
    if len(images) > _SHOWN:
        shown.add_row(f"and {len(images) - _SHOWN} more", "", "")
    broken = [
        f"{printable(file)} is not in use as {sku(file)}"
        for image in images
        for file in files[image.id]
        if sku(file) not in image.document["references"]
    ]
    took = f"{len(missing)} references taken in {seconds:.1f} s" if missing else "every reference was there"
    said = f"{len(ready)} files use {len(files)} images: {took}"
    return Act("References", "PUT /v1/images/{id}/references/{sku}", shown, said, tuple(broken))

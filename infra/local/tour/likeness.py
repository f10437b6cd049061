"""Near-duplicates: a photo and its half-size copy show the same renditions."""

import io
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import urlsplit

from PIL import Image as Picture
from rich.text import Text

from catalog_images import CatalogClient, Image, Rendition, Ticket
from catalog_images.photos import announcement_of
from infra.local.photos import Photo, printable, upright
from infra.local.report import byte_size
from infra.local.tour.acts import FINISH_SECONDS, Act, short, sku, table

_HALF_QUALITY: Final = 85
_TRIED: Final = 3


def near_duplicates(catalog: CatalogClient, photos: Sequence[Photo]) -> Act:
    """Upload a photo and its half-size WebP copy, which shows the photo's renditions.

    If the pixels leave a doubt, as for one photo in forty, try the next photo.
    """
    shown = table("Image", ("Pixels", "right"), ("Bytes", "right"), ("Ready in", "right"), "Renditions")
    said, broken = "", []
    for photo in photos[:_TRIED]:
        half_name = f"{PurePosixPath(photo.filename).stem}-half.webp"
        try:
            half_data = half_size_webp(photo)
        except (OSError, ValueError, SyntaxError, Picture.DecompressionBombError):
            said += f"no half-size WebP can be made of {printable(photo.filename)}\n"
            continue
        original, original_seconds = _sent(catalog, photo.read(), photo.content_type, photo.filename)
        half, half_seconds = _sent(catalog, half_data, "image/webp", half_name)
        for image in (original, half):
            catalog.refer(image.id, sku(image.id))  # the next act's purge keeps them
        shared = half.near_duplicate_of == original.id and half.shares_renditions
        linked = half.near_duplicate_of == original.id
        shown.add_row(*_facts(original), f"{original_seconds:.2f} s", _own(original))
        shown.add_row(
            *_facts(half),
            f"{half_seconds:.2f} s",
            "~ those of the one above" if shared else f"~ {_own(half)}" if linked else _own(half),
            end_section=True,
        )
        if shared:
            said += _likeness(half)
            if _stored(half.renditions) != _stored(original.renditions):
                broken.append(f"{half_name} does not show the renditions of {photo.filename}")
            break
        said += f"{printable(half_name)} may show something else, so it has renditions of its own\n"
    return Act("Near-duplicates", "POST /v1/images", shown, said.rstrip(), tuple(broken))


def _facts(image: Image) -> tuple[Text, str, str]:
    document = image.document
    return (
        short(document["original_filename"]),
        f"{document['original_width']}x{document['original_height']}",
        byte_size(document["original_size_bytes"]),
    )


def _likeness(half: Image) -> str:
    found = half.document["verification"]
    scores = ", ".join(f"{name} {score:.2f}" for name, score in found["scores"].items())
    return (
        f"no render job: both show the same {len(half.renditions)} files\n"
        f"the hashes differ in {found['distance']} of 256 bits, the pixels decide; 1 is the limit: {scores}"
    )


def half_size_webp(photo: Photo) -> bytes:
    """The photo upright, at half its width and height, as WebP; its colour profile stays."""
    with Picture.open(photo.path) as opened:
        turned = upright(opened)
        profile = opened.info.get("icc_profile") if turned.mode in {"RGB", "RGBA"} else None
    if turned.mode not in {"RGB", "RGBA"}:
        turned = turned.convert("RGBA" if turned.has_transparency_data else "RGB")
    half = turned.resize((max(1, turned.width // 2), max(1, turned.height // 2)), Picture.Resampling.LANCZOS)
    encoded = io.BytesIO()
    half.save(encoded, "WEBP", quality=_HALF_QUALITY, icc_profile=profile)
    return encoded.getvalue()


def _own(image: Image) -> str:
    size_bytes = sum(rendition.size_bytes for rendition in image.renditions)
    return f"{len(image.renditions)} of its own, {byte_size(size_bytes)}"


def _stored(renditions: Iterable[Rendition]) -> set[str]:
    """The paths of the renditions' URLs, without signatures."""
    return {urlsplit(rendition.url).path for rendition in renditions}


def _sent(catalog: CatalogClient, data: bytes, content_type: str, filename: str) -> tuple[Image, float]:
    """The finished image, and the seconds from its PUT (local clock) to its last change (the API's clock)."""
    asked = announcement_of(data, content_type=content_type, filename=filename)
    announced = catalog.announce(**asked.request())
    started = time.time()
    if isinstance(announced, Ticket):
        catalog.put(announced, data)
    image = catalog.wait(announced.id, timeout_seconds=FINISH_SECONDS)
    return image, max(0.0, datetime.fromisoformat(image.document["updated_at"]).timestamp() - started)

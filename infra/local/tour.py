"""The rest of the API, shown act by act on the demo's photos by public calls.

The demo's tenant only gets references.  Images that are merged or deleted belong to a second tenant, which
every tour empties first.
"""

import hashlib
import io
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import urlsplit

from PIL import Image as Picture
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from infra.local.client import ApiError, CatalogClient, Image, Metrics, PresetComparison, Rendition, Ticket
from infra.local.photos import Photo, printable, shortened, upright
from infra.local.report import End, Row, byte_size, files_by_id
from infra.pictures.demo_photos import draw_throwaways

THREADS: Final = 4
FINISH_SECONDS: Final = 120.0
COUNT_SECONDS: Final = 30.0  # the stream gathers changes for 5 s before they are counted
_POLL_SECONDS: Final = 0.25
_COMPARED_BYTES: Final = 4_500_000  # what a request carries
_COMPARED_PIXELS: Final = 4_000_000  # three presets in four formats take 2-4 s at 12 megapixels
_SHOWN: Final = 5  # images in the table of references
_PASSES: Final = 5  # of emptying a tenant: a duplicate goes first, and then what it was a duplicate of
_SKU_DIGITS: Final = 8
_NAME_LENGTH: Final = 24  # characters of a file's name in a table
_HALF_QUALITY: Final = 85
_TRIED: Final = 3


@dataclass(frozen=True, slots=True)
class Act:
    """Something the API did: its name, a table that shows it, and broken promises."""

    title: str
    call: str
    shown: Table
    said: str
    broken: tuple[str, ...] = ()


def tour(
    demo: CatalogClient, cleanup: CatalogClient, *, rows: Sequence[Row], photos: Sequence[Photo]
) -> Iterator[Act]:
    """Every act, as soon as it is done.  If no photo became ready, only those that need none.

    `cleanup` needs the scope catalog/admin.  Raises CatalogError.
    """
    ready = [row for row in rows if row.end is End.READY]
    if ready:
        yield references(demo, ready)
    empty(cleanup)
    if best := showpieces(ready, photos):
        yield comparison(demo, best[0])
        yield near_duplicates(cleanup, best)
    yield purge(cleanup)
    yield usage({"demo": demo, "demo-cleanup": cleanup})


# --- References -------------------------------------------------------------------------------------------


def sku(file: str) -> str:
    """An SKU that uses the photo in this file; the same in every run."""
    return f"SKU-{hashlib.sha256(file.encode(errors='surrogateescape')).hexdigest()[:_SKU_DIGITS].upper()}"


def references(catalog: CatalogClient, ready: Sequence[Row]) -> Act:
    """One reference a file: an image that two files show is used twice."""
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
    shown = _table("Image", "Used by", ("in_use_count", "right"))
    for image in images[:_SHOWN]:
        used_by = ", ".join(image.document["references"])
        shown.add_row(_text(names[image.id]), _text(used_by), str(image.in_use_count))
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


# --- Compare ----------------------------------------------------------------------------------------------


def showpieces(ready: Sequence[Row], photos: Sequence[Photo]) -> list[Photo]:
    """Photos small enough for one request; first the largest JPEGs that take at most two seconds."""

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
    """What every preset would make of one photo, in every format; nothing is stored."""
    started = time.monotonic()
    found = catalog.compare(photo.read(), content_type=photo.content_type)
    seconds = time.monotonic() - started
    shown = _table("Preset", "Format", ("Bytes", "right"), ("Bytes/pixel", "right"), ("SSIM", "right"), "")
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


# --- Near-duplicates --------------------------------------------------------------------------------------


def near_duplicates(catalog: CatalogClient, photos: Sequence[Photo]) -> Act:
    """A photo, and its half-size WebP copy, which shows the renditions of the first.

    If the pixels leave a doubt, as for one photo in forty, the next photo is tried.
    """
    shown = _table("Image", ("Pixels", "right"), ("Bytes", "right"), ("Ready in", "right"), "Renditions")
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
            catalog.refer(image.id, sku(image.id))  # keep them from the purge that follows
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
        _text(document["original_filename"]),
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
    """The image at its end, and the seconds from its PUT to there by the API's clock."""
    announced = catalog.announce(
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        content_type=content_type,
        filename=filename,
    )
    started = time.time()
    if isinstance(announced, Ticket):
        catalog.put(announced, data)
    image = catalog.wait(announced.id, timeout_seconds=FINISH_SECONDS)
    return image, max(0.0, datetime.fromisoformat(image.document["updated_at"]).timestamp() - started)


# --- Purge ------------------------------------------------------------------------------------------------


def purge(catalog: CatalogClient) -> Act:
    """Purge three images: one in use, one used after the dry run, one unused."""
    drawn = draw_throwaways()
    receipts = [
        catalog.upload(data, content_type="image/jpeg", filename=name) for name, data in drawn.items()
    ]
    used, saved, unwanted = (catalog.wait(receipt.id, timeout_seconds=FINISH_SECONDS) for receipt in receipts)
    used = catalog.refer(used.id, "SKU-IN-USE")
    proposed = catalog.propose_purge(older_than_days=0)
    token = proposed.confirm_token or ""
    saved = catalog.refer(saved.id, "SKU-LATE")
    confirmed = catalog.confirm_purge(token)
    shown = _table("Image", ("Stored", "right"), "Dry run", "Meanwhile", "Confirmed", "GET now")
    now = {image.id: _status(catalog, image.id) for image in (used, saved, unwanted)}
    for image, change in ((used, ""), (saved, "SKU-LATE takes it"), (unwanted, "")):
        found = image.id in proposed.candidates
        kept = confirmed.kept.get(image.id)
        shown.add_row(
            _text(image.document["original_filename"]),
            byte_size(_bytes(image)),
            "would go" if found else f"in use by {image.in_use_count}",
            change,
            f"kept: {kept}" if kept else "deleted" if found else "",
            now[image.id].replace("_", " "),
            style="green" if not found or kept else "yellow",
        )
    said = (
        f"dry run: {len(proposed.candidates)} images, {byte_size(proposed.candidate_bytes)} would go;"
        f" confirm_token {token[:8]}...{token[-4:]} (15 minutes)\n"
        f"confirmed: {confirmed.deleted_count} deleted, {len(confirmed.kept)} kept;"
        f" the same token again: {_refusal(catalog, token)}"
    )
    promises = {
        "the dry run found what nobody uses, and nothing else": set(proposed.candidates)
        == {saved.id, unwanted.id},
        "the confirmed purge deleted what nobody uses": confirmed.deleted_count == 1
        and now[unwanted.id] == "image_not_found",
        "a reference taken before the confirmation saved its image": set(confirmed.kept) == {saved.id}
        and now[saved.id] == "ready",
        "an image in use was left alone": now[used.id] == "ready",
    }
    broken = tuple(f"not so: {promise}" for promise, holds in promises.items() if not holds)
    return Act("Purge", "POST /v1/purge, in the tenant demo-cleanup", shown, said, broken)


def empty(catalog: CatalogClient) -> None:
    """Delete every image of the tenant, left by an earlier tour.  Raises ApiError."""
    for image in catalog.images():
        for reference in list(image.document["references"]):
            catalog.release(image.id, reference)
    for _ in range(_PASSES):
        proposed = catalog.propose_purge(older_than_days=0)
        if not proposed.candidates or proposed.confirm_token is None:
            return
        catalog.confirm_purge(proposed.confirm_token)


def _bytes(image: Image) -> int:
    return int(image.document["original_size_bytes"]) + sum(each.size_bytes for each in image.renditions)


def _status(catalog: CatalogClient, id_: str) -> str:
    try:
        return catalog.get(id_).status
    except ApiError as error:
        return error.code


def _refusal(catalog: CatalogClient, token: str) -> str:
    try:
        return catalog.confirm_purge(token).state
    except ApiError as error:
        return f"{error.status} {error.code}"


# --- Metrics ----------------------------------------------------------------------------------------------


def usage(tenants: Mapping[str, CatalogClient], *, patience: float = COUNT_SECONDS) -> Act:
    """Each tenant's counters, polled until they equal a count of its images or the time is up."""
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
    shown = _table("", *((tenant, "right") for tenant in found))
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
    images = sum(metrics.assets.values())  # one tenant's: its own client has asked
    return Count(images, metrics.rejected, metrics.bytes_originals, dict(metrics.bytes_per_preset))


# --- Tables -----------------------------------------------------------------------------------------------


def _table(*columns: str | tuple[str, str]) -> Table:
    """A table of these columns; a pair is a name and its justification."""
    shown = Table(header_style="bold", box=SIMPLE_HEAD, padding=(0, 1))
    for column in columns:
        if isinstance(column, str):
            shown.add_column(column, overflow="fold", no_wrap=column == "Image")
        else:
            shown.add_column(column[0], justify="right", no_wrap=True)
    return shown


def _text(text: str) -> Text:
    """A file's name or the like, short enough for a table on 80 columns."""
    return Text(shortened(text, _NAME_LENGTH))

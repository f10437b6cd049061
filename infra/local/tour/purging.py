"""Purge: it deletes the images that nobody uses, and no others."""

from typing import Final

from catalog_images import ApiError, CatalogClient, Image
from infra.local.report import byte_size
from infra.local.tour.acts import FINISH_SECONDS, Act, short, table
from infra.pictures.demo_photos import draw_throwaways

_PASSES: Final = 5  # of emptying a tenant: near-duplicates go first, their canonical images after


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
    shown = table("Image", ("Stored", "right"), "Dry run", "Meanwhile", "Confirmed", "GET now")
    now = {image.id: _status(catalog, image.id) for image in (used, saved, unwanted)}
    for image, change in ((used, ""), (saved, "SKU-LATE takes it"), (unwanted, "")):
        found = image.id in proposed.candidates
        kept = confirmed.kept.get(image.id)
        shown.add_row(
            short(image.document["original_filename"]),
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

"""Import: a shop's old bucket is imported, and imported again."""

from collections.abc import Sequence
from typing import Any, Final

from catalog_images import Job
from infra.local.photos import Photo, printable
from infra.local.tour.acts import Act
from infra.local.tour.jobs import Shop, not_completed, side_by_side

OLD_BUCKET: Final = "old-shop"
_PREFIX: Final = "photos/"
_TAKEN: Final = 60  # photos at most


def moving_in(shop: Shop, photos: Sequence[Photo]) -> Act:
    """Put photos into a bucket that stands for the shop's old one, and import them twice."""
    taken = photos[:_TAKEN]
    bucket = lay(shop, taken)
    asked: dict[str, Any] = {"bucket": bucket, "prefix": _PREFIX}
    jobs = {
        "dry run": shop.run("import", **asked),
        "import": shop.run("import", dry_run=False, **asked),
    }
    before = _all_there_is(shop)
    jobs["the same again"] = again = shop.run("import", dry_run=False, **asked)
    missing = _missing(shop, taken, jobs["import"])
    broken = not_completed(jobs)
    broken += [f"{printable(name)} was laid in the old bucket and came to nothing" for name in missing]
    if again.done or _all_there_is(shop) != before:
        broken.append(f"importing again did something: {again.done} images")
    said = (
        f"{len(taken)} objects of s3://{bucket}/{_PREFIX}: {len(taken) - len(missing)} are images of"
        f" {shop.tenant}, or refused; imported again, nothing was read or stored"
    )
    return Act(
        "Import", "POST /v1/jobs, kind import", side_by_side(jobs), "" if broken else said, tuple(broken)
    )


def lay(shop: Shop, photos: Sequence[Photo]) -> str:
    """Put the photos into the old bucket as objects, and return its name."""
    s3, bucket = shop.stack.client("s3"), f"{OLD_BUCKET}-{shop.stack.emulator.account}"
    s3.create_bucket(Bucket=bucket)
    for photo in photos:
        s3.put_object(Bucket=bucket, Key=_key(photo), Body=photo.read(), ContentType=photo.content_type)
    return bucket


def _key(photo: Photo) -> str:
    return f"{_PREFIX}{printable(photo.name)}"


def _missing(shop: Shop, photos: Sequence[Photo], job: Job) -> list[str]:
    """The names of photos that became neither a ready or rejected image, nor a failure of the job.

    Leaves out files that are no image by their type: an import does not read them.
    """
    listed = {image.id for image in shop.catalog.images() if image.is_finished}
    refused = {failure["subject"] for failure in shop.catalog.failures_of(job.id)}
    return [
        photo.name
        for photo in photos
        if photo.content_type.startswith("image/")
        and photo.sha256 not in listed
        and not any(_key(photo) in subject for subject in refused)
    ]


def _all_there_is(shop: Shop) -> tuple[object, ...]:
    """Everything of the shop that an import could add to."""
    images = sorted((image.id, str(image.document["updated_at"])) for image in shop.catalog.images())
    return (
        images,
        shop.stored("OriginalsBucket", "originals/"),
        shop.stored("RenditionsBucket", "renditions/"),
    )

"""Erasing one image: its record, objects with all versions, bands, pairs and decisions, for good.

Near-duplicates that show its renditions get their own first.  The record stays `deleting` until uploads that
were allowed before can no longer arrive: without a record, a late upload would create the image anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from catalog.domain.assets import AssetStateError, Status
from catalog.domain.clock import Clock, utc_now
from catalog.domain.erase import (
    LATE,
    MOST_CHECKS,
    STILL_FOUND,
    WORKERS_END_AFTER,
    image_of,
    report_of,
    standing,
)
from catalog.domain.jobs import Done, Failure, Step, Work, digits_for, ranges
from catalog.domain.keys import AssetId, AssetKey
from catalog.domain.rejections import ImageRejectedError
from catalog.domain.uploads import OriginalMissingError
from catalog.use_cases.erasing import signed

if TYPE_CHECKING:
    from datetime import timedelta

    from catalog.adapters.assets_table import Assets
    from catalog.adapters.groups import Groups
    from catalog.adapters.hash_bands_table import HashBands
    from catalog.adapters.jobs_table import Jobs
    from catalog.adapters.object_versions import StoredVersion
    from catalog.adapters.signing import Signer
    from catalog.adapters.usage_table import Counters
    from catalog.domain.assets import Asset
    from catalog.domain.jobs import Job
    from catalog.domain.keys import TenantId
    from catalog.use_cases.erasing import Items, Objects
    from catalog.use_cases.grouping import Grouping
    from catalog.use_cases.rendering import Rendering

    type Stored = tuple[Objects, tuple[StoredVersion, ...]]

_ATTEMPTS: Final = 10
# A worker reads 10,000 keys of pairs in a second; a range with more keys takes it longer.
_IMAGES_PER_PART: Final = 20_000
_MOST_DIGITS: Final = 3


class Phase:
    """What a part does."""

    MEMBERS: Final = "members"
    IMAGE: Final = "image"
    PAIRS: Final = "image-pairs"
    FORGET: Final = "image-forget"
    CHECK: Final = "image-check"


@dataclass(frozen=True, slots=True)
class ImageErasureSteps:
    """members -> image -> [late uploads end] again, the record, pairs -> [workers end] check."""

    assets: Assets
    late_uploads_end_after: timedelta
    clock: Clock = utc_now

    def step(self, job: Job, position: str) -> Step:
        tenant, id_ = job.tenant, image_of(job.options)
        assert tenant is not None, "an erasure is of one tenant"  # noqa: S101  the request had one
        assert id_ is not None, "of one image"  # noqa: S101  ErasureSteps has checked it
        phase, _, told = position.partition(":")
        if job.dry_run:
            return Step([Work(tenant, Phase.IMAGE, "", (id_,)), *self._pairs(tenant)], 1, None)
        match phase:
            case "":
                members = [Work(tenant, Phase.MEMBERS, digit, (id_,)) for digit in ranges(1)]
                return Step(members, 0, "image")
            case "image":
                return Step([Work(tenant, Phase.IMAGE, "", (id_,))], 1, "forget")
            case "forget":
                works = [Work(tenant, Phase.FORGET, "", (id_,)), *self._pairs(tenant)]
                return Step(works, 0, "check:1/0", self.clock() + self.late_uploads_end_after)
        number, seen = map(int, told.split("/"))
        found = job.tally.counts.get(LATE, 0)
        last = number > MOST_CHECKS or (number > 1 and found == seen)
        said = ("last", *((STILL_FOUND,) if found != seen else ())) if last else ()
        works = [Work(tenant, Phase.CHECK, "", (id_, *said))]
        if last:
            return Step(works, 0, None)
        return Step(works, 0, f"check:{number + 1}/{found}", self.clock() + WORKERS_END_AFTER)

    def _pairs(self, tenant: TenantId) -> list[Work]:
        digits = min(_MOST_DIGITS, digits_for(self.assets.estimated(tenant), per_part=_IMAGES_PER_PART))
        return [Work(tenant, Phase.PAIRS, prefix) for prefix in ranges(digits)]


@dataclass(frozen=True, slots=True)
class ImageErasure:
    """Carries out the parts of one image's erasure."""

    assets: Assets
    groups: Groups
    grouping: Grouping
    bands: HashBands
    rendering: Rendering
    jobs: Jobs
    counters: Counters
    signer: Signer
    objects: tuple[Objects, ...]
    pairs: Items
    references: Items
    imports: Items
    clock: Clock = utc_now

    def subjects(self, job: Job, work: Work, *, after: str | None) -> Iterator[tuple[str, Any]]:
        if work.phase == Phase.PAIRS:
            yield from self._naming(job, work, after)
        elif work.phase == Phase.MEMBERS:
            key = self._key(job)
            for id_ in self.groups.members(key, beginning=work.within or "", limit=None):
                if after is None or id_ > after:
                    yield id_, AssetKey(key.tenant, id_)
        elif after is None:
            yield str(image_of(job.options)), None

    def take(self, job: Job, work: Work, subject: Any) -> Done:
        match work.phase:
            case Phase.MEMBERS:
                return self._give_own(self._key(job), subject)
            case Phase.PAIRS:
                return self._forget_pairs(job, *subject)
            case Phase.IMAGE:
                return self._stand(self._key(job)) if job.dry_run else self._erase(job)
            case Phase.FORGET:
                return self._forget(job)
        if "last" not in work.subjects:
            return self._check(job)
        return self._finish(job, still_found=STILL_FOUND in work.subjects)

    def _naming(self, job: Job, work: Work, after: str | None) -> Iterator[tuple[str, Any]]:
        """Pages of a range: imports whose asset is the image, then pairs that name it on either side."""
        id_ = str(image_of(job.options))
        begun, _, name = (after or "").partition("/")
        if begun != "pairs":
            for found, keys in self.imports.pages(
                work.tenant, work.within, after=name or None, having=("id", id_)
            ):
                yield f"imports/{found}", (self.imports, keys)
        behind = name if begun == "pairs" else None
        for found, keys in self.pairs.pages(work.tenant, work.within, after=behind):
            if naming := [key for key in keys if id_ in key]:
                yield f"pairs/{found}", (self.pairs, naming)

    def _forget_pairs(self, job: Job, store: Items, keys: list[str]) -> Done:
        """Delete a page, unless the erasure keeps the image, and with it its members, pairs and decisions."""
        if not job.dry_run:
            asset = self.assets.find(self._key(job))
            if asset is not None and not _is_erased(asset, job):
                return Done()
            store.delete(self._key(job).tenant, keys)
        return Done(counts=store.counts(keys))

    # --- The image ----------------------------------------------------------------------------------

    def _stand(self, key: AssetKey) -> Done:
        asset = self.assets.find(key)
        counts = _counted(self._stored(key)) | standing([asset] if asset else [])
        if asset:
            counts |= {"images": 1, "references": len(asset.references), "near_duplicates": asset.sharers}
        return Done(done=1 if asset else 0, counts=counts)

    def _erase(self, job: Job) -> Done:
        key = self._key(job)
        asset = self.assets.find(key)
        if asset is None:
            return self._delete_strays(key)
        if asset.created_at > job.created_at:
            return Done(
                failures=(Failure(key.id, "image_newer", "it was uploaded after this job was asked for"),)
            )
        try:
            asset = self._take_out_of_use(asset, job)
        except (OriginalMissingError, ImageRejectedError) as error:
            why = f"a near-duplicate cannot be given renditions of its own: {error}"
            return Done(failures=(Failure(key.id, "image_shared", why[:1000]),))
        self.grouping.release(asset)
        for indexed in asset.indexed_as:
            self.bands.remove(key, indexed)
        deleted = self._delete_objects(key, self._stored(key))
        if deleted.failures:
            return deleted
        erased = {"images": 1, "references": len(asset.references)} | self._delete_entries(key)
        return deleted + Done(done=1, counts=erased)

    def _delete_entries(self, key: AssetKey) -> dict[str, int]:
        """Delete the entries of its references.  None is written while it is `deleting`."""
        counts: dict[str, int] = {}
        for _, keys in self.references.pages(key.tenant, key.id, after=None):
            self.references.delete(key.tenant, keys)
            counts = _sum(counts, self.references.counts(keys))
        return counts

    def _take_out_of_use(self, asset: Asset, job: Job) -> Asset:
        """Mark the asset `deleting`, once no other asset shows its renditions.

        Raises OriginalMissingError, ImageRejectedError.
        """
        for _ in range(_ATTEMPTS):
            if _is_erased(asset, job):
                return asset
            for id_ in self.groups.members(asset.key, limit=None):
                self._free(asset.key, AssetKey(asset.tenant, id_))
            with suppress(AssetStateError):
                return self.assets.mark_erasing(self.assets.get(asset.key), job=job.id, now=self.clock())
            asset = self.assets.get(asset.key)
        raise AssetStateError(asset.id)

    # --- Members that show its renditions -------------------------------------------------------------

    def _give_own(self, key: AssetKey, member: AssetKey) -> Done:
        try:
            return Done(counts={"given_renditions": self._free(key, member)})
        except (OriginalMissingError, ImageRejectedError) as error:
            return Done(failures=(Failure(member.id, "not_rendered", str(error)[:1000]),))

    def _free(self, key: AssetKey, member: AssetKey) -> int:
        """Give a sharing near-duplicate its own renditions and take it out of the group, in one transaction.

        Returns 1, or 0 if it shared none.  Raises OriginalMissingError, ImageRejectedError.
        """
        for _ in range(_ATTEMPTS):
            former, asset = self.assets.get(key), self.assets.find(member)
            if asset is None or not asset.is_member_of(former) or not asset.shows_anothers:
                return 0
            presets = {preset.name for preset in self.rendering.plan.presets}
            own = self.rendering.render_at_once(member, presets)
            with suppress(AssetStateError):  # an asset changed: read both again
                self.groups.separate(asset, former, own=own, now=self.clock())
                return 1
        raise AssetStateError(member.id)

    # --- Its end --------------------------------------------------------------------------------------

    def _forget(self, job: Job) -> Done:
        """Delete late objects, the record, and the entries of jobs that name the image.

        The record stays while S3 refuses to delete any of its objects: a retry finds them by it.
        """
        key = self._key(job)
        asset = self.assets.find(key)
        if asset and not _is_erased(asset, job):
            return Done(failures=(Failure(key.id, "not_erased", "it is in use: see the other failures"),))
        deleted = self._delete_objects(key, self._stored(key)) if asset else self._delete_strays(key)
        if deleted.failures:
            return deleted
        if asset:
            self.grouping.release(asset)
            self.assets.forget(key)
        return deleted + Done(counts={"job_entries": self._forget_traces(key)})

    def _forget_traces(self, key: AssetKey) -> int:
        forgotten = 0
        for job in self.jobs.of_tenant(key.tenant):
            for _, entries in self.jobs.traces(job, key.tenant, image=key.id):
                self.jobs.forget_entries(job, entries)
                forgotten += len(entries)
        return forgotten

    def _check(self, job: Job) -> Done:
        """Delete and count what workers and the stream left behind.

        Deletes the image's share of the counters once the stream has counted the deletion.
        """
        key = self._key(job)
        deleted = self._delete_strays(key)
        if self.assets.find(key) is not None:
            return Done()
        late = sum(number for name, number in deleted.counts.items() if name != "bytes")
        share = self.counters.counted(key.tenant, [key.id]).shares.get(key.id)
        if share is not None:
            late += 1
            if share.version.is_gone:
                self.counters.forget_gone(key.tenant, key.id, share)
        return deleted + Done(counts={LATE: late})

    def _finish(self, job: Job, *, still_found: bool) -> Done:
        key = self._key(job)
        share = self.counters.counted(key.tenant, [key.id]).shares.get(key.id)
        if job.tally.failed or still_found or share is not None or self.assets.find(key) is not None:
            why = "something of this image is left: see the other failures, and retry"
            return Done(failures=(Failure(key.id, "not_erased", why),))
        self.jobs.attach(job.id, signed(report_of(job, at=self.clock()), self.signer))
        return Done()

    # ----------------------------------------------------------------------------------------------------

    def _stored(self, key: AssetKey) -> Iterator[Stored]:
        for store in self.objects:
            for _, page in store.pages(key.tenant, key.id, after=None):
                yield store, page

    def _delete_strays(self, key: AssetKey) -> Done:
        """Delete objects without a record.

        Lists them before it reads the record, so that none belongs to a later upload.
        """
        stored = list(self._stored(key))
        return Done() if self.assets.find(key) is not None else self._delete_objects(key, stored)

    def _delete_objects(self, key: AssetKey, stored: Iterable[Stored]) -> Done:
        """Delete these.  The image is a failure if S3 refuses to delete some of them."""
        deleted, refused = Done(), list[Failure]()
        for store, page in stored:
            refused += store.versions.delete(page)
            deleted += Done(counts=store.counts(page))
        if not refused:
            return deleted
        why = f"{len(refused)} versions, such as {refused[0].subject}: {refused[0].detail}"
        return deleted + Done(failures=(Failure(key.id, "object_not_deleted", why[:1000]),))

    def _key(self, job: Job) -> AssetKey:
        tenant, id_ = job.tenant, image_of(job.options)
        assert tenant is not None, "an erasure is of one tenant"  # noqa: S101  the request had one
        return AssetKey(tenant, AssetId(str(id_)))


def _is_erased(asset: Asset, job: Job) -> bool:
    """Whether this job has marked the asset `deleting`."""
    return asset.status is Status.DELETING and asset.purge_run == job.id


def _counted(stored: Iterable[Stored]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for store, page in stored:
        counts = _sum(counts, store.counts(page))
    return counts


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in {*one, *other}}

"""Finding near-duplicates among stored images that are not indexed as new images are.

These came while near-duplicates were off, or an earlier algorithm or scheme indexed them.  The use cases of
live traffic index, search and join each image.  So the same promises hold: any order, any number of workers,
people's decisions.

The record names index entries before they are written, so that a purge removes them.  An image is unfinished
while its record also names other entries: if a worker dies, the next one finishes the image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import batched
from typing import TYPE_CHECKING, Final

from catalog.domain.assets import Asset, AssetStateError, Inspection
from catalog.domain.duplicate_jobs import (
    GroupMember,
    Join,
    NearDuplicatesOffError,
    is_current,
    others,
    unfinished,
)
from catalog.domain.fingerprints import Indexed, PHashAlgorithm
from catalog.domain.jobs import Done, Failure, Step, Work
from catalog.domain.keys import AssetId, AssetKey
from catalog.domain.near_duplicates import NearDuplicateAction
from catalog.domain.rejections import ImageRejectedError
from catalog.domain.uploads import OriginalMissingError, OriginalTooLargeError
from catalog.use_cases.near_duplicates import NearDuplicateSearch, Search

if TYPE_CHECKING:
    from catalog.adapters.assets_table import Assets
    from catalog.adapters.hash_bands_table import HashBands
    from catalog.adapters.job_groups import JobGroups
    from catalog.adapters.objects import Originals
    from catalog.adapters.rehearsal import Joins
    from catalog.domain.jobs import Job
    from catalog.use_cases.completion import Completion
    from catalog.use_cases.ingestion import Inspect
    from catalog.use_cases.job_ranges import RangeSteps

# An image waits about 0.25 s for S3 and DynamoDB.
AT_ONCE: Final = 8
SEARCH: Final = "search"
GROUPS: Final = "groups"
_ATTEMPTS: Final = 5
_LOOKED_UP_AT_ONCE: Final = 100  # keys BatchGetItem takes


@dataclass(frozen=True, slots=True)
class FindDuplicatesSteps:
    """Plans a search for every image; then a dry run gathers its joins into groups, in few large parts."""

    action: NearDuplicateAction
    searches: RangeSteps
    groups: RangeSteps

    def step(self, job: Job, position: str) -> Step:
        """Raises NearDuplicatesOffError if near-duplicates are off and the job is no dry run."""
        if self.action is NearDuplicateAction.OFF and not job.dry_run:
            raise NearDuplicatesOffError(NearDuplicatesOffError.__doc__)
        phase, _, place = position.partition(":")
        if phase == GROUPS:
            step = self.groups.step(job, place)
            return Step(step.works, 0, step.next and f"{GROUPS}:{step.next}")
        step = self.searches.step(job, place)
        if step.next:
            return Step(step.works, step.images, f"{SEARCH}:{step.next}")
        return Step(step.works, step.images, f"{GROUPS}:" if job.dry_run else None)


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A search that changes no asset, and the joins that it would have made."""

    search: NearDuplicateSearch
    joins: Joins


Subject = AssetId | Join | None
"""An image to search for, or a join of a dry run; None: the image needs no search."""


@dataclass(frozen=True, slots=True)
class FindDuplicatesWorker:
    """Searches for near-duplicates of stored images.  `rehearsal` gives the rehearsal of a dry run."""

    algorithm: PHashAlgorithm
    assets: Assets
    originals: Originals
    bands: HashBands
    inspect: Inspect
    near_duplicates: NearDuplicateSearch
    completion: Completion
    rehearsal: Callable[[Job], Rehearsal]
    groups: JobGroups
    max_upload_bytes: int

    def weight(self, subject: Subject) -> int:
        """Bytes in memory while it is taken: as many as an original may have, where one is read."""
        return self.max_upload_bytes if isinstance(subject, str) else 0

    def subjects(self, job: Job, work: Work, *, after: str | None) -> Iterator[tuple[str, Subject]]:
        """Images by id; in a dry run's last phase, its joins by the id of the image that would join."""
        if work.phase == GROUPS:
            joins = self.rehearsal(job).joins.within(work.tenant, work.within or "", after=after)
            yield from ((join.image, join) for join in joins)
        elif work.within is None:
            yield from ((id_, AssetId(id_)) for id_ in sorted(work.subjects) if after is None or id_ > after)
        else:
            assets = self.assets.within(work.tenant, work.within, after=after)
            for some in batched(assets, _LOOKED_UP_AT_ONCE, strict=False):
                yield from self._to_do(some)

    def _to_do(self, some: tuple[Asset, ...]) -> Iterator[tuple[str, Subject]]:
        """Whether each image needs a search.

        A record may name entries that the index lacks: nothing is indexed while near-duplicates are off.
        """
        said = {asset.key: asset.indexed_as[0] for asset in some if is_current(asset, self.algorithm)}
        blank = {key for key, indexed in said.items() if indexed.is_blank}
        there = blank | self.bands.holds({key: each for key, each in said.items() if key not in blank})
        for asset in some:
            done = asset.key in there or not asset.is_accepted
            yield asset.id, None if done else asset.id

    def take(self, job: Job, work: Work, subject: Subject) -> Done:
        """Raises faults."""
        if subject is None:
            return Done(skipped=1)
        if isinstance(subject, Join):
            return self._group(job, work, subject)
        return self._search(job, AssetKey(work.tenant, subject))

    # --- Searching ------------------------------------------------------------------------------------------

    def _search(self, job: Job, key: AssetKey) -> Done:
        asset = self.assets.find(key)
        if asset is None or not asset.is_accepted:
            return Done(skipped=1)
        try:
            data = self.originals.read(key, max_bytes=self.max_upload_bytes)
            inspection = self.inspect(data)
        except OriginalMissingError:
            return _failed(key, "original_missing", "its original is not there")
        except OriginalTooLargeError as error:
            return _failed(key, "too_large", f"its original has {error.size_bytes} bytes")
        except ImageRejectedError as error:
            return _failed(key, error.rejection.code, error.rejection.detail)
        if job.dry_run:
            return self._rehearse(job, key, inspection)
        return self._index_and_search(key, inspection)

    def _index_and_search(self, key: AssetKey, inspection: Inspection) -> Done:
        present, search = self._present(inspection), None
        for _ in range(_ATTEMPTS):
            asset = self.assets.find(key)
            if asset is None or not asset.is_accepted:
                # Its purge may have run before its entries were written.
                self.bands.remove(key, present)
                return Done(skipped=1)
            if search and is_current(asset, self.algorithm):
                return _found(search)  # the last write's answer was lost, or another worker made it
            with suppress(AssetStateError):  # the asset changed: read it again
                old = others(asset, present)
                asset = self.assets.move_in_index(asset, unfinished(asset, present))
                search = _search_for(self.near_duplicates, asset, inspection)
                self._complete(search.asset)
                for indexed in old:
                    self.bands.remove(key, indexed)
                self.assets.move_in_index(asset, [present])
                return _found(search)
        return _failed(key, "image_changed", "others changed it at every try")

    def _complete(self, asset: Asset) -> None:
        """Complete the asset if it joined another one, and its members if they must follow."""
        if asset.near_duplicate:
            self.completion.complete(asset)
        asset = self.assets.get(asset.key)
        if not asset.has_members:
            return
        members = self.completion.grouping.groups.members(asset.key, limit=None)
        for some in batched(members, _LOOKED_UP_AT_ONCE, strict=False):
            for member in self.assets.many(asset.tenant, some, consistent=True).values():
                if member.members_must_follow:
                    self.completion.complete(member)

    def _present(self, inspection: Inspection) -> Indexed:
        return Indexed.blank(self.algorithm) if inspection.near_blank else inspection.fingerprint.indexed

    # --- Dry runs -------------------------------------------------------------------------------------------

    def _rehearse(self, job: Job, key: AssetKey, inspection: Inspection) -> Done:
        """Search without joining.  The last phase counts the joins, once their groups are known."""
        search = self.rehearsal(job).search
        asset = search.assets.find(key)
        if asset is None:
            return Done(skipped=1)
        return Done(done=1, counts=_counts(compared=_search_for(search, asset, inspection).compared))

    def _group(self, job: Job, work: Work, join: Join) -> Done:
        canonical = self.rehearsal(job).search.grouping.canonical_of(AssetKey(work.tenant, join.image))
        if canonical is None:
            return Done()
        first = self.groups.keep(job, GroupMember(work.tenant, canonical.id, join))
        return Done(counts=_counts(groups=int(first), joined=1, bytes_saved=join.bytes_saved))


def _search_for(by: NearDuplicateSearch, asset: Asset, inspection: Inspection) -> Search:
    """Search for an image; if it has joined another already, only index it, so that others find the group."""
    if asset.near_duplicate is None:
        return by.search(asset, inspection)
    if not inspection.near_blank:
        by.bands.add(asset.key, inspection.fingerprint)
    return Search(asset)


def _found(search: Search) -> Done:
    counts = _counts(compared=search.compared, joined=search.joined, bytes_saved=search.bytes_saved)
    return Done(done=1, counts=counts)


def _counts(**numbers: int) -> dict[str, int]:
    return {name: number for name, number in numbers.items() if number}


def _failed(key: AssetKey, code: str, detail: str) -> Done:
    return Done(failures=(Failure(key.id, code, detail),))

"""Rebuilding: a job brings every image to the present presets, and removes objects that no record names.

A look goes over all ranges of ids.  A worker renders and stores each outdated image, and shows the result by
one conditional write; near-duplicates that share follow their canonical asset.  Another look follows while
a look changes or leaves anything.  It waits until replaced addresses have expired; only then it removes
objects.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Final, Self

from catalog.domain.assets import Asset, AssetStateError, RenderJob, Status
from catalog.domain.clock import Clock, utc_now
from catalog.domain.jobs import Done, Failure, JobFailedError, Step, Work
from catalog.domain.keys import AssetId, AssetKey
from catalog.domain.rebuilding import (
    Outdated,
    RebuildOptions,
    digest,
    may_lose_objects,
    named_by,
    names_anothers,
    unnamed,
)
from catalog.domain.rejections import ImageRejectedError, RejectionCode
from catalog.domain.uploads import OriginalMissingError, OriginalTooLargeError
from catalog.use_cases.job_ranges import RangeSteps
from catalog.use_cases.side_by_side import Turns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from catalog.adapters.assets_table import Assets
    from catalog.adapters.objects import Renditions
    from catalog.adapters.tenants_table import Tenants
    from catalog.adapters.usage_table import Counters
    from catalog.domain.jobs import Job
    from catalog.domain.keys import TenantId
    from catalog.domain.presets import Preset
    from catalog.domain.renditions import Rendition, StoredVersion
    from catalog.use_cases.rendering import Rendering

# The counts of a rebuild.
REBUILT: Final = "rebuilt"  # images that got renditions of their own, or lost those of removed presets
RENDITIONS: Final = "renditions"  # rendered
BYTES: Final = "bytes"  # of the rendered renditions; in a dry run an estimate
FOLLOWED: Final = "followed"  # near-duplicates that show what their canonical asset shows now
COMPLETED: Final = "completed"  # images whose own render jobs were lost
REMOVED: Final = "removed"  # objects
REMOVED_BYTES: Final = "removed_bytes"
LEFT: Final = "left"  # objects that no record names, counted at each look that may not remove them yet
AGAIN: Final = "again"  # images that another process was changing
INTERRUPTED: Final = "interrupted"  # parts whose worker had other presets than the planner

# Ranges have 100 to 1,600 images: even the smallest costs less to begin and list than to read.
MOST_IMAGES_PER_PART: Final = 1_600
# An image of one changed preset waits about 0.3 s for S3, and needs the processor for 0.02 to 0.05 s.
AT_ONCE: Final = 16
# Looks after the second serve images that others change.  Objects left by the last look are failures.
MOST_LOOKS: Final = 5
# A deployment updates planner and workers one after the other, within a minute.
_DEPLOYED_WITHIN: Final = timedelta(seconds=30)
_MOST_REPEATS: Final = 20
_ATTEMPTS: Final = 5


class PresetsDisagreeError(JobFailedError):
    """The planner and workers have had different presets for ten minutes: deploy again."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at every image.  `presets` is the digest of the presets its workers must have.

    The first look removes nothing: records of other ranges may still name the objects that it replaced.
    """

    number: int
    presets: str

    @property
    def phase(self) -> str:
        return f"{self.number}/{self.presets}"

    @classmethod
    def of(cls, work: Work) -> Self:
        number, _, presets = work.phase.partition("/")
        return cls(int(number), presets)

    @property
    def is_last(self) -> bool:
        return self.number == MOST_LOOKS - 1


# --- Planning ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Position:
    """A look, and the position in its ranges where it continues; `ranges` None: the look is over.

    `changed`, `left` and `interrupted` are the job's counts when the look began.  `repeats` counts how often
    the look was repeated because presets differed.
    """

    look: int
    presets: str
    changed: int
    left: int
    interrupted: int
    repeats: int = 0
    ranges: str | None = ""

    def text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str) -> Self:
        return cls(**json.loads(text))


@dataclass(frozen=True, slots=True)
class RebuildSteps:
    """Plans look after look over all ranges, while a look changes or leaves anything."""

    tenants: Tenants
    counters: Counters
    presets: Sequence[Preset]
    old_after: timedelta
    clock: Clock = utc_now

    def step(self, job: Job, position: str) -> Step:
        """Raises PresetsDisagreeError."""
        if not position:
            return self._looking(job, self._beginning(job, 0))
        at = Position.parse(position)
        return self._looking(job, at) if at.ranges is not None else self._next_look(job, at)

    def _beginning(self, job: Job, look: int, repeats: int = 0) -> Position:
        return Position(look, digest(self.presets), *_counted(job), repeats)

    def _looking(self, job: Job, at: Position, wait: timedelta | None = None) -> Step:
        phase = Look(at.look, at.presets).phase
        ranges = RangeSteps(self.tenants, self.counters, [phase], per_part=MOST_IMAGES_PER_PART, joined=True)
        step = ranges.step(job, at.ranges or "")
        return replace(
            step,
            images=step.images if at.look == 0 and at.repeats == 0 else 0,
            next=replace(at, ranges=step.next).text(),
            wait_until=None if wait is None else self.clock() + wait,
        )

    def _next_look(self, job: Job, at: Position) -> Step:
        changed, left, interrupted = _counted(job)
        if at.presets != digest(self.presets) or interrupted > at.interrupted:
            if at.repeats == _MOST_REPEATS:
                raise PresetsDisagreeError(
                    "planner and workers have had different presets for ten minutes: deploy again"
                )
            wait = _DEPLOYED_WITHIN if interrupted > at.interrupted else None
            return self._looking(job, self._beginning(job, at.look, at.repeats + 1), wait)
        goes_on = changed > at.changed or left > at.left
        if job.dry_run or not goes_on or at.look + 1 == MOST_LOOKS:
            return Step((), images=0, next=None)
        # A first look that changed nothing found only objects of earlier jobs: these have waited already.
        wait = self.old_after if changed > at.changed or at.look > 0 else None
        return self._looking(job, self._beginning(job, at.look + 1), wait)


def _counted(job: Job) -> tuple[int, int, int]:
    counts = job.tally.counts
    return (
        sum(counts.get(name, 0) for name in (REBUILT, FOLLOWED, COMPLETED)),
        sum(counts.get(name, 0) for name in (LEFT, AGAIN)),
        counts.get(INTERRUPTED, 0),
    )


# --- Working ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Seen:
    """An image as a worker reads it in its range: its record, and every version of its objects."""

    key: AssetKey
    asset: Asset | None
    stored: tuple[StoredVersion, ...]


@dataclass(frozen=True, slots=True)
class Rebuilding:
    """Carries out parts of looks.  `old_after` is how long a replaced address stays valid."""

    assets: Assets
    renditions: Renditions
    rendering: Rendering
    old_after: timedelta
    turns: Turns = field(default_factory=Turns)
    clock: Clock = utc_now

    def weight(self, subject: Seen | None) -> int:
        """Bytes in memory while it is taken: its original's."""
        return subject.asset.size_bytes if subject and subject.asset else 0

    # --- Subjects -------------------------------------------------------------------------------------------

    def subjects(self, _: Job, work: Work, *, after: str | None) -> Iterator[tuple[str, Seen | None]]:
        """Images by id, each with a record, objects or both.  None: this worker has other presets."""
        if work.within is None:
            keys = (AssetKey(work.tenant, AssetId(id_)) for id_ in sorted(work.subjects))
            behind = (key for key in keys if after is None or key.id > after)
            return ((key.id, Seen(key, self.assets.find(key), self.renditions.stored(key))) for key in behind)
        if Look.of(work).presets != digest(self.rendering.plan.presets):
            return iter([(INTERRUPTED, None)])
        assets = self.assets.within(work.tenant, work.within, after=after)
        stored = self.renditions.stored_within(work.tenant, work.within, after=after)
        return _side_by_side(work.tenant, assets, stored)

    def take(self, job: Job, work: Work, subject: Seen | None) -> Done:
        """Bring one image to the present presets, then remove its unnamed objects.  Raises faults."""
        if subject is None:
            return Done(counts={INTERRUPTED: 1})
        group = subject.asset.group if subject.asset else subject.key.id
        with self.turns.of((work.tenant, group)):
            return self._taken(job, work, subject)

    def _taken(self, job: Job, work: Work, subject: Seen) -> Done:
        look = Look.of(work)
        asset, options = subject.asset, RebuildOptions.of(job.options)
        brought = self._brought(job, look, asset, options) if asset else Done()
        whole = brought + self._cleared(job, look, subject)
        if asset is None or whole.failures:
            return whole
        changed = any(brought.counts.get(name) for name in (REBUILT, FOLLOWED, COMPLETED))
        return whole + Done(done=int(changed), skipped=int(not changed and look.number == 0))

    # --- To the present presets -----------------------------------------------------------------------------

    def _brought(self, job: Job, look: Look, asset: Asset, options: RebuildOptions) -> Done:
        if asset.status is Status.PROCESSING:
            return self._completed(job, look, asset)
        if asset.status is not Status.READY:
            return Done()
        if asset.group != asset.id:
            return self._followed(job, asset, options)
        if not options.include(asset) or not self._outdated(asset, options):
            return Done()
        if asset.sharers:  # their parts may have rebuilt it since the range was read
            now = self.assets.find(asset.key)
            return self._rebuilt(job, now, options) if now and now.shows_its_own else Done(counts={AGAIN: 1})
        return self._rebuilt(job, asset, options)

    def _rebuilt(self, job: Job, asset: Asset, options: RebuildOptions) -> Done:
        """Render the image's outdated renditions, and show the new ones in their place."""
        rendered: dict[str, Rendition] = {}
        shown = asset.renditions
        for _ in range(_ATTEMPTS):
            outdated = self._outdated(asset, options)
            if not outdated:
                return Done()
            if job.dry_run:
                sizes = outdated.expected_bytes(asset)
                return Done(counts={REBUILT: 1, RENDITIONS: len(outdated.render), BYTES: sizes})
            try:
                if names := outdated.names - rendered.keys():
                    rendered |= self.rendering.render_at_once(asset.key, names)
            except (OriginalMissingError, OriginalTooLargeError, ImageRejectedError) as error:
                return Done(failures=(_failure(asset.id, error),))
            wanted = outdated.replaced(asset, rendered)
            found: Asset | None
            try:
                found = self.assets.replace_renditions(asset, wanted, now=self.clock())
            except AssetStateError:
                found = self.rendering.storing.remove_strays(asset.key)
            if found and found.renditions == wanted:
                sizes = sum(one.size_bytes for one in rendered.values())
                return Done(counts={REBUILT: 1, RENDITIONS: len(rendered), BYTES: sizes})
            if found is None or found.status is not Status.READY or found.renditions != shown:
                # Gone, or rendered by another worker.  Its presets may be newer, so its result stays.
                return Done(counts={AGAIN: 1})
            asset = found
        raise AssetStateError(asset.id)

    def _followed(self, job: Job, member: Asset, options: RebuildOptions) -> Done:
        """Rebuild the canonical asset, then have its sharing near-duplicate show the same renditions."""
        done, shown = Done(), member.renditions
        for _ in range(_ATTEMPTS):
            near = member.near_duplicate
            if near is None or member.status is not Status.READY:
                return done + Done(counts={AGAIN: 1})
            if not self._outdated(member, options):
                return done + Done(counts={FOLLOWED: int(member.renditions != shown)})
            canonical = self.assets.find(AssetKey(member.tenant, near.of))
            wanted = canonical is not None and (options.include(member) or options.include(canonical))
            if canonical and wanted and canonical.status is Status.READY and not canonical.near_duplicate:
                done += self._canonical_rebuilt(job, canonical, member, options)
            if job.dry_run:
                return done + Done(counts={FOLLOWED: int(wanted)})
            try:
                followed = self.rendering.completion.have_follow(member)
            except AssetStateError:
                member = self.assets.find(member.key) or replace(member, status=Status.DELETING)
                continue
            if followed.renditions != member.renditions:
                return done + Done(counts={FOLLOWED: 1})
            return done if done.failures or not wanted else done + Done(counts={AGAIN: 1})
        raise AssetStateError(member.id)

    def _canonical_rebuilt(self, job: Job, canonical: Asset, member: Asset, options: RebuildOptions) -> Done:
        done = self._rebuilt(job, canonical, options)
        if job.dry_run and options.include(canonical):
            return Done()  # its own range counts it
        why = f"of its canonical image {canonical.id}: "
        failures = (
            replace(failure, subject=member.id, detail=why + failure.detail) for failure in done.failures
        )
        return replace(done, failures=tuple(failures))

    def _completed(self, job: Job, look: Look, asset: Asset) -> Done:
        """Complete an image that live traffic has lost, or that names another asset's objects.

        Leave every other one to live traffic; one from before the job until the second look.
        """
        if asset.awaits_canonical:
            return Done()
        waits = asset.updated_at < job.created_at
        lost = asset.stalled(self.clock()) or (waits and look.number > 0)
        if not (lost or names_anothers(asset)):
            return Done(counts={AGAIN: 1}) if waits else Done()
        if job.dry_run:
            return Done(counts={COMPLETED: 1})
        presets = tuple(preset.name for preset in self.rendering.plan.presets)
        rendered = self.rendering.render(RenderJob(asset.tenant, asset.id, presets, asset.correlation_id))
        if rendered.asset and rendered.asset.rejection:
            rejection = rendered.asset.rejection
            return Done(failures=(Failure(asset.id, rejection.code, rejection.detail),))
        sizes = sum(one.size_bytes for one in rendered.renditions)
        counts = {COMPLETED: int(rendered.ready), RENDITIONS: len(rendered.renditions), BYTES: sizes}
        return Done(counts=counts)

    def _outdated(self, asset: Asset, options: RebuildOptions) -> Outdated:
        return Outdated.of(asset, self.rendering.plan.presets, options)

    # --- What no record names -------------------------------------------------------------------------------

    def _cleared(self, job: Job, look: Look, seen: Seen) -> Done:
        """Remove the objects that no record names, once no client can still use their addresses."""
        if seen.asset and seen.asset.status is Status.DELETING:
            return Done()  # its purge removes them
        if not any(unnamed(seen.stored, named_by([seen.asset] if seen.asset else []))):
            return Done()
        before = self.clock() - self.old_after
        owner, members = self._owner(seen.key)
        found = list(unnamed(seen.stored, named_by([*([owner] if owner else []), *members])))
        if owner and owner.status is Status.PROCESSING:
            found = [one for one in found if one.is_older_than(before)]  # the record may yet name the rest
        removed = []
        if look.number > 0 and not job.dry_run and may_lose_objects(owner, members, before):
            removed = [one for one in found if one.is_older_than(before)]
            self.renditions.remove(version for one in removed for version in one.versions)
        sizes = sum(one.size_bytes for one in removed)
        left = len(found) - len(removed)
        failures = (Failure(seen.key.id, "objects_left", f"{left} objects"),) if left and look.is_last else ()
        counts = {REMOVED: len(removed), REMOVED_BYTES: sizes, LEFT: left}
        return Done(failures=failures, counts={name: number for name, number in counts.items() if number})

    def _owner(self, key: AssetKey) -> tuple[Asset | None, Sequence[Asset]]:
        """The asset and its near-duplicates, read after its objects were listed."""
        owner = self.assets.find(key)
        if owner is None or not owner.has_members:
            return owner, ()
        groups = self.rendering.completion.grouping.groups
        ids = {*groups.members(key, limit=None), *owner.old_holds, *owner.linked_by}
        return owner, list(self.assets.many(key.tenant, ids, consistent=True).values())


def _side_by_side(
    tenant: TenantId,
    assets: Iterator[Asset],
    stored: Iterator[tuple[AssetId, tuple[StoredVersion, ...]]],
) -> Iterator[tuple[str, Seen]]:
    """Join records and objects by id; either may be missing."""
    records: Iterator[tuple[AssetId, Asset | None, tuple[StoredVersion, ...]]]
    records = ((asset.id, asset, ()) for asset in assets)
    objects = ((id_, None, versions) for id_, versions in stored)
    for id_, entries in groupby(merge(records, objects, key=itemgetter(0)), itemgetter(0)):
        both = list(entries)
        asset = next((asset for _, asset, _ in both if asset), None)
        yield id_, Seen(AssetKey(tenant, id_), asset, both[-1][2] or both[0][2])


def _failure(
    id_: AssetId, error: OriginalMissingError | OriginalTooLargeError | ImageRejectedError
) -> Failure:
    if isinstance(error, ImageRejectedError):
        return Failure(id_, error.rejection.code, error.rejection.detail)
    if isinstance(error, OriginalTooLargeError):
        return Failure(id_, error.code, f"{error.size_bytes} bytes")
    return Failure(id_, RejectionCode.ORIGINAL_MISSING, "the original is not in the bucket")

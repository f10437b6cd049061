"""Completion: a recorded asset becomes `ready`, or `rejected` with its reason.

Ingest and render both complete assets.  Each does what is left, so either may die and be repeated.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from catalog.domain.assets import Asset, AssetStateError, RenderJob, Status
from catalog.domain.clock import Clock, utc_now
from catalog.domain.keys import AssetKey

if TYPE_CHECKING:
    from catalog.adapters.assets_table import Assets
    from catalog.adapters.objects import Originals
    from catalog.adapters.queues import RenderQueue
    from catalog.domain.keys import AssetId
    from catalog.domain.rejections import Rejection
    from catalog.domain.render_plan import RenderPlan
    from catalog.use_cases.grouping import Grouping

_ATTEMPTS: Final = 5
# Members one job moves, at about 20 ms each; of more, sixteen jobs take a part each.
MOST_MOVED: Final = 100
_DIGITS: Final = "0123456789abcdef"


@dataclass(frozen=True, slots=True)
class Completion:
    """Completes assets, and their near-duplicates with them.

    With `renders_at_once` whoever completes an asset renders it right away: its own jobs are not sent.
    """

    assets: Assets
    originals: Originals
    grouping: Grouping
    queue: RenderQueue
    plan: RenderPlan
    clock: Clock = utc_now
    renders_at_once: bool = False

    def complete(self, asset: Asset) -> tuple[Asset, int]:
        """Do what is left to do for a recorded asset; returns how many render jobs that takes, too."""
        asset = self.grouping.follow(asset)
        if asset.status is Status.READY and asset.members_must_follow:
            self.queue.send([members_job(asset)])
        if asset.status is not Status.PROCESSING or asset.awaits_canonical:
            return asset, 0
        if asset.is_complete(self.plan.presets):
            return self.make_ready(asset.key), 0
        jobs = self.plan.jobs(asset)
        if not self.renders_at_once:
            self.queue.send(jobs)
        return asset, len(jobs)

    def make_ready(self, key: AssetKey) -> Asset:
        """`ready`, for an asset that is complete.  Raises AssetNotFoundError."""
        try:
            return self.assets.mark_ready(key, now=self.clock())
        except AssetStateError:
            # Two jobs recorded the last two renditions at once; the other one made it ready.
            return self.assets.get(key)

    def reject(self, key: AssetKey, rejection: Rejection, size_bytes: int) -> Asset:
        """Raises AssetStateError where the asset is ready, rejected or being deleted already."""
        # Tag before recording: a crash in between leaves an unrecorded rejection, which the retry repeats.
        # The other order could leave a rejected object that no lifecycle rule removes.
        self.originals.tag_rejected(key)
        return self.assets.reject(key, rejection, size_bytes=size_bytes, now=self.clock())

    def complete_members(self, asset: Asset, job: RenderJob, beginning: str = "") -> None:
        """Have the members follow whose ids begin so: those that wait for the asset, or all where it moved.

        More than MOST_MOVED are split among sixteen jobs; `job` is the one that asks.
        """
        if asset.status is Status.PROCESSING and asset.near_duplicate is None:
            return
        groups = self.grouping.groups
        asset = groups.with_entries(asset)
        find = groups.members if asset.near_duplicate else groups.waiting
        ids = find(asset.key, beginning=beginning, limit=MOST_MOVED + 1)
        if len(ids) > MOST_MOVED:
            parts = [
                RenderJob(asset.tenant, asset.id, (), asset.correlation_id, members=beginning + digit)
                for digit in _DIGITS
            ]
            self.queue.send(parts, after=job)
            return
        for id_ in ids:
            self._complete_member(asset, id_, job)
            groups.no_longer_waiting(asset.key, id_)

    def _complete_member(self, asset: Asset, id_: AssetId, job: RenderJob) -> None:
        for _ in range(_ATTEMPTS):
            member = self.assets.find(AssetKey(asset.tenant, id_))
            if member is None or not member.is_member_of(asset):
                return
            with suppress(AssetStateError):  # it is changing: look again
                self.have_follow(member, after=job)
                return
        raise AssetStateError(id_)

    def have_follow(self, member: Asset, *, after: RenderJob | None = None) -> Asset:
        """Put a near-duplicate in its place; one that is to be alone gets render jobs, which separate it.

        Raises AssetStateError where anything has changed meanwhile.
        """
        place = self.grouping.place_of(member)
        if place.needs_renditions_of(member):
            # Do not separate it here: a crash before enqueuing would orphan it.  Its first job does.
            self.queue.send(self.plan.jobs(replace(member, near_duplicate=None)), after=after)
            return member
        member = self.grouping.take(member, place)
        if member.members_must_follow:
            self.queue.send([members_job(member)], after=after)
        return member


def members_job(asset: Asset) -> RenderJob:
    """The job that has an asset's members follow it."""
    return RenderJob(asset.tenant, asset.id, (), asset.correlation_id, members="")

"""Intake: a foreign object becomes an asset as an upload does; its bytes are copied inside S3.

A worker has the record await the bytes, copies, ingests, renders and references them, and records the object
as seen last.  If the worker dies in between, the next one completes its work.  The asset carries the object's
mark, so that worker can tell an asset of this import from one that came another way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from catalog.domain.assets import (
    ACCEPTED,
    Asset,
    AssetBeingDeletedError,
    AssetNotFoundError,
    AssetStateError,
    RenderJob,
    Status,
)
from catalog.domain.clock import Clock, utc_now
from catalog.domain.imports import (
    Described,
    Outcome,
    Seen,
    SourceChangedError,
    SourceObject,
    content_type_of,
    mark,
)
from catalog.domain.keys import AssetKey, asset_id
from catalog.domain.lifecycle import wants_bytes
from catalog.domain.references import Use
from catalog.domain.uploads import Announcement
from catalog.use_cases.side_by_side import Turns

if TYPE_CHECKING:
    from catalog.adapters.assets_table import Assets
    from catalog.adapters.imports_table import Imports
    from catalog.adapters.queues import UploadsQueue
    from catalog.adapters.references_table import References
    from catalog.adapters.sources import CopiedOriginals, SourceBytes, Sources
    from catalog.adapters.tenants_table import Tenants
    from catalog.adapters.usage_table import Counters
    from catalog.domain.keys import TenantId
    from catalog.use_cases.ingestion import Ingested, Ingestion
    from catalog.use_cases.rendering import Rendering

_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class Wanted:
    """An object to import into a tenant's catalog.  `told` is what to record of it; `by` is as in Seen."""

    tenant: TenantId
    bucket: str
    source: SourceObject
    told: Described
    by: str

    @property
    def mark(self) -> str:
        return mark(self.bucket, self.source.key)


@dataclass(frozen=True, slots=True)
class Brought:
    """What became of an object, and the asset with its bytes."""

    outcome: Outcome
    asset: Asset


@dataclass(frozen=True, slots=True)
class Intake:
    """Takes objects in.  Calls `told` with each ingested original, for the log.

    The tenant's limit `stored_bytes` applies.  `uploads_per_minute` does not: no client sends anything, and
    JobConcurrency limits an import.
    """

    sources: Sources
    assets: Assets
    references: References
    originals: CopiedOriginals
    queue: UploadsQueue
    imports: Imports
    tenants: Tenants
    counters: Counters
    ingestion: Ingestion
    rendering: Rendering
    max_upload_bytes: int
    told: Callable[[AssetKey, Ingested], None]
    turns: Turns = field(default_factory=Turns)
    clock: Clock = utc_now

    def bring(self, wanted: Wanted) -> Brought:
        """Import the object.

        Raises SourceObjectError, and the refusals of an upload: AssetBeingDeletedError,
        StorageLimitReachedError, UnknownClientError, TooManyReferencesError.
        """
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._bring(wanted)
            except AssetBeingDeletedError:
                raise
            except (SourceChangedError, AssetStateError, AssetNotFoundError):
                continue  # the object or the asset changed meanwhile: read both again
        return self._bring(wanted)

    def refer(self, wanted: Wanted, seen: Seen) -> None:
        """Take new references for the asset of an object that was seen.

        Raises AssetNotFoundError, AssetStateError, TooManyReferencesError.
        """
        key = AssetKey(wanted.tenant, seen.id)
        self._take_references(self.assets.get(key), wanted.told)
        referred = seen.referred(wanted.told.digest)
        self.imports.record(wanted.tenant, wanted.bucket, wanted.source.key, referred)

    def _bring(self, wanted: Wanted) -> Brought:
        """One try of `bring`.  Also raises SourceChangedError, AssetStateError, AssetNotFoundError."""
        found = self.sources.read(wanted.bucket, wanted.source.key, max_bytes=self.max_upload_bytes)
        key = AssetKey(wanted.tenant, asset_id(hashlib.sha256(found.data).hexdigest()))
        with self.turns.of(key):
            try:
                return self._brought(key, wanted, found)
            finally:
                self.originals.let_go(key)

    def _brought(self, key: AssetKey, wanted: Wanted, found: SourceBytes) -> Brought:
        known = self.assets.find(key)
        if known and known.status is Status.DELETING:
            raise AssetBeingDeletedError(key.id)
        if known is None or wants_bytes(known, self.clock()):
            self._store(key, known, wanted, found)
            if known and known.status is Status.PROCESSING:
                # Another upload's asset has stalled.  Send its event again, as for a client.  If this worker
                # ingested it and died, the asset would look as if it were still in work.
                self.queue.notify(key)
                return self._duplicate(known, wanted, found)
        elif known.correlation_id != wanted.mark:
            return self._duplicate(known, wanted, found)
        asset = self._processed(key, resumed=known is not None)
        if asset.correlation_id != wanted.mark:
            return self._duplicate(asset, wanted, found)
        outcome = Outcome.REJECTED if asset.rejection else Outcome.NEW
        asset = self._take_references(asset, wanted.told)
        self.imports.record(
            wanted.tenant, wanted.bucket, wanted.source.key, self._seen(asset, outcome, wanted, found)
        )
        return Brought(outcome, asset)

    def _store(self, key: AssetKey, known: Asset | None, wanted: Wanted, found: SourceBytes) -> None:
        """Have the record await the bytes, and copy them.  Raises the refusals of an upload."""
        size_bytes = len(found.data)
        limits = self.tenants.limits_of(key.tenant)
        if limits.stored_bytes is not None:
            limits.check_storage(self.counters.total(key.tenant).usage.bytes_stored, size_bytes)
        if known and known.unused_since:
            self.assets.unused_from(key, self.clock())
        announced = Announcement(
            wanted.told.filename, content_type_of(wanted.source, found.content_type), size_bytes
        )
        if known is None or known.status is not Status.PROCESSING:
            self.assets.await_upload(
                key,
                announced,
                correlation_id=wanted.mark,
                known=known is not None,
                now=self.clock(),
                references=wanted.told.references,
            )
        # A second copy would be a second version.  Only an awaited original may be stored already: check it.
        if known is None or known.status is not Status.AWAITING_UPLOAD or not self.originals.holds(key):
            self.originals.copy(key, wanted.bucket, wanted.source.key, found, announced.content_type)

    def _processed(self, key: AssetKey, *, resumed: bool) -> Asset:
        """Ingest and render.  Raises AssetStateError, AssetNotFoundError if a purge came between."""
        ingested = self.ingestion.ingest(key)
        self.told(key, ingested)
        asset = ingested.asset
        if asset and asset.status in ACCEPTED and (ingested.jobs or resumed):
            names = tuple(preset.name for preset in self.rendering.plan.presets)
            asset = self.rendering.render(RenderJob(key.tenant, key.id, names, asset.correlation_id)).asset
        if asset is None or asset.status not in {*ACCEPTED, Status.REJECTED}:
            raise AssetStateError(key.id)
        return asset

    def _duplicate(self, asset: Asset, wanted: Wanted, found: SourceBytes) -> Brought:
        """The bytes came another way: count a duplicate in the write that records the object as seen."""
        outcome = Outcome.REJECTED if asset.rejection else Outcome.DUPLICATE
        asset = self._take_references(asset, wanted.told)
        self.imports.record_duplicate(
            asset.key,
            wanted.bucket,
            wanted.source.key,
            self._seen(asset, outcome, wanted, found),
            now=self.clock(),
        )
        return Brought(outcome, asset)

    def _take_references(self, asset: Asset, told: Described) -> Asset:
        """Take all references, or complete those that the record was created with if it was rejected."""
        names = told.references & asset.references if asset.rejection else told.references
        if names:
            self.references.take(asset.key, [Use(name) for name in sorted(names)], keep=True)
        return asset

    def _seen(self, asset: Asset, outcome: Outcome, wanted: Wanted, found: SourceBytes) -> Seen:
        seen = Seen(found.etag, len(found.data), asset.id, outcome, wanted.by)
        return seen.referred(wanted.told.digest)

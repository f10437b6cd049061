"""Ingestion: an original has arrived; check it, hash it, record it, and have it rendered.

An event may come twice, late, or at the same time as itself, and its worker may die between any two lines:
every write is conditional, jobs are sent after it, and a second run sends only the jobs that are missing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from catalog.domain.assets import (
    AWAITED_FOR,
    Asset,
    AssetBeingDeletedError,
    AssetStateError,
    Inspection,
    Status,
)
from catalog.domain.clock import Clock, utc_now
from catalog.domain.lifecycle import is_finished
from catalog.domain.rejections import ImageRejectedError, Rejection, RejectionCode
from catalog.domain.uploads import (
    MOST_VERSIONS,
    TICKETS_LAST,
    OriginalMissingError,
    OriginalTooLargeError,
    SentOverAndOverError,
)
from catalog.use_cases.near_duplicates import NearDuplicateSearch, Search

if TYPE_CHECKING:
    from catalog.adapters.assets_table import Assets
    from catalog.adapters.objects import Originals
    from catalog.domain.keys import AssetKey
    from catalog.use_cases.completion import Completion


_ATTEMPTS: Final = 3

Inspect = Callable[[bytes], Inspection]
"""Decodes an original within its bounds.  Raises ImageRejectedError for what can never be an asset."""


class Outcome(StrEnum):
    """How one event ended; the name of its log line and of its metric."""

    ACCEPTED = "original accepted"
    NEAR_DUPLICATE = "near-duplicate found"
    RESUMED = "half-done asset resumed"
    REJECTED = "original rejected"
    DUPLICATE_EVENT = "duplicate event"
    ORIGINAL_GONE = "original gone before ingest"
    UNANNOUNCED = "original sent again after its purge, and not announced"


@dataclass(frozen=True, slots=True)
class Ingested:
    """The outcome, the asset afterwards (None where there is none), and figures for the log.

    `fault` is what kept the asset from being compared with others; it is rendered on its own then.  `data` is
    the accepted original, where this event read it.
    """

    outcome: Outcome
    asset: Asset | None
    jobs: int = 0
    search: Search | None = None
    fault: Exception | None = None
    data: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Ingestion:
    """Ingests originals."""

    assets: Assets
    originals: Originals
    inspect: Inspect
    near_duplicates: NearDuplicateSearch
    completion: Completion
    max_upload_bytes: int
    clock: Clock = utc_now

    def ingest(self, key: AssetKey) -> Ingested:
        """Bring the original at `key` to `processing` with its render jobs sent, or to `rejected`.

        A near-duplicate shares another asset's renditions and gets no jobs.

        Raises AssetBeingDeletedError while a purge is removing it: retried later, the event finds nothing, or
        an original that was sent anew.  Faults (S3, DynamoDB, SQS, memory) are raised, to be retried; nothing
        a file contains is.
        """
        for _ in range(_ATTEMPTS):
            known = self.assets.find(key)
            if done := self._without_its_bytes(key, known):
                return done
            try:
                asset, accepted = self._accept_or_reject(key, known)
            except OriginalMissingError:
                return Ingested(Outcome.ORIGINAL_GONE, known)
            except AssetStateError:
                continue  # it changed while its original was read: look again
            return self._completed(asset, *accepted) if accepted else Ingested(Outcome.REJECTED, asset)
        raise AssetStateError(key.id)

    def _completed(self, asset: Asset, inspection: Inspection, data: bytes) -> Ingested:
        try:
            search, fault = self.near_duplicates.search(asset, inspection), None
        except Exception as error:  # noqa: BLE001 - a miss costs a rendering; no fault may cost the upload
            # The join may have been written, and its answer lost.
            search, fault = Search(self.assets.get(asset.key)), error
        outcome = Outcome.NEAR_DUPLICATE if search.asset.near_duplicate else Outcome.ACCEPTED
        return Ingested(outcome, *self.completion.complete(search.asset), search, fault, data)

    def _without_its_bytes(self, key: AssetKey, known: Asset | None) -> Ingested | None:
        """How an event ends for which the original need not be read; None where it must be."""
        if known is None:
            if not self._was_sent_after_its_purge(key):
                return None
            self.originals.delete(key)  # which leaves a version, as a purge does: no function destroys one
            return Ingested(Outcome.UNANNOUNCED, None)
        if known.status is Status.DELETING:
            raise AssetBeingDeletedError(key.id)
        if is_finished(known):
            return Ingested(Outcome.DUPLICATE_EVENT, known)
        if known.is_accepted and (known.renditions or known.near_duplicate):
            return Ingested(Outcome.RESUMED, *self.completion.complete(known))
        return None

    def _was_sent_after_its_purge(self, key: AssetKey) -> bool:
        """Whether the bytes came after their purge, with a ticket from before it.

        An announcement is kept for a day.  An object half as old may have been announced since, and its event
        have waited among the dead letters: that is accepted.  Raises SentOverAndOverError: while the object
        is there, S3 refuses further PUTs.
        """
        stored, now = self.originals.stored_after_purge(key), self.clock()
        if not stored or now - stored[0] > AWAITED_FOR / 2:
            return False
        if sum(now - sent_at < TICKETS_LAST for sent_at in stored) >= MOST_VERSIONS:
            raise SentOverAndOverError(key.id)
        return True

    def _accept_or_reject(
        self, key: AssetKey, known: Asset | None
    ) -> tuple[Asset, tuple[Inspection, bytes] | None]:
        """The asset as recorded, with its inspection and bytes; None where it is rejected."""
        size_bytes = 0
        try:
            data = self.originals.read(key, max_bytes=self.max_upload_bytes)
            size_bytes = len(data)
            inspection = self._inspect(key, data)
        except OriginalTooLargeError as error:
            size_bytes = error.size_bytes
            detail = f"{size_bytes} bytes; at most {self.max_upload_bytes} are accepted"
            rejection = Rejection(RejectionCode.TOO_LARGE, detail)
        except ImageRejectedError as error:
            rejection = error.rejection
        else:
            accepted = self.assets.accept(key, inspection, size_bytes=size_bytes, now=self.clock())
            return accepted, (inspection, data)
        if rejection.heals_with_the_bytes:
            return self._reject_wrong_bytes(key, rejection, size_bytes, known), None
        return self.completion.reject(key, rejection, size_bytes), None

    def _reject_wrong_bytes(
        self, key: AssetKey, rejection: Rejection, size_bytes: int, known: Asset | None
    ) -> Asset:
        """Reject what lies in the place of the right bytes, and delete it: S3 refuses a PUT over an object.

        Raises AssetStateError if the asset changed since it was read: the right bytes may be there now.
        """
        rejected = self.assets.reject_unchanged(
            key, rejection, size_bytes=size_bytes, seen=known, now=self.clock()
        )
        if self.assets.find(key) == rejected:
            self.originals.delete(key)
        return rejected

    def _inspect(self, key: AssetKey, data: bytes) -> Inspection:
        digest = hashlib.sha256(data).hexdigest()
        if digest != key.id:
            raise ImageRejectedError(
                RejectionCode.CHECKSUM_MISMATCH, f"the object's SHA-256 is {digest}, its key says {key.id}"
            )
        return self.inspect(data)

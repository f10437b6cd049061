"""The life of an asset, told once: its states, and every write with what it needs, sets and leads to.

The adapter derives its conditions from this table, docs/data-model.md is generated from it, and a test walks
every state and write against it.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from catalog.domain.assets import ACCEPTED, STALLED_AFTER, Asset, Status
from catalog.domain.rejections import Rejection


class State(StrEnum):
    """A status, or none; rejections are two states, by whether sending the bytes again repairs them."""

    NONE = "none"
    AWAITING_UPLOAD = "awaiting_upload"
    PROCESSING = "processing"
    READY = "ready"
    REPAIRABLE = "repairable"
    REJECTED = "rejected"
    DELETING = "deleting"

    @classmethod
    def of(cls, asset: Asset | None) -> "State":
        return cls.at(asset.status, asset.rejection) if asset else cls.NONE

    @classmethod
    def at(cls, status: Status, rejection: Rejection | None) -> "State":
        if rejection and status is Status.REJECTED and rejection.heals_with_the_bytes:
            return cls.REPAIRABLE
        return cls(status)

    @property
    def status(self) -> Status:
        """Of an asset that exists."""
        return Status.REJECTED if self is State.REPAIRABLE else Status(self)


_ACCEPTED: Final = frozenset(State(status) for status in ACCEPTED)
_EXISTING: Final = frozenset(State) - {State.NONE}
_IN_USE: Final = _EXISTING - {State.DELETING}
_UNPROCESSED: Final = frozenset({State.NONE, State.AWAITING_UPLOAD, State.PROCESSING, State.REPAIRABLE})


@dataclass(frozen=True, slots=True)
class Write:
    """One conditional write: allowed `sources`, then the state is one of `to`, where None is the same.

    `sets` and `removes` are attributes of the item; a write that creates it also sets `created_at` and
    `unused_since`.  Every write raises `revision`.  `needs` is what must hold besides the state.
    """

    name: str
    by: str
    sources: frozenset[State]
    to: tuple[State | None, ...] = (None,)
    sets: tuple[str, ...] = ()
    removes: tuple[str, ...] = ()
    needs: str = ""

    def allows(self, asset: Asset | None) -> bool:
        return State.of(asset) in self.sources


AWAIT_UPLOAD: Final = Write(
    "await_upload",
    by="request_upload",
    sources=frozenset({State.NONE, State.AWAITING_UPLOAD, State.REPAIRABLE}),
    to=(State.AWAITING_UPLOAD,),
    sets=("filename", "content_type", "size_bytes", "correlation_id", "updated_at", "expires_at"),
    removes=("rejection_code", "rejection_detail"),
)
ACCEPT: Final = Write(
    "accept",
    by="ingest",
    sources=_UNPROCESSED,
    to=(State.PROCESSING,),
    sets=(
        *("size_bytes", "format", "width", "height", "ahash64", "phash256"),
        *("indexed_as", "renditions", "updated_at"),
    ),
    removes=("expires_at", "rejection_code", "rejection_detail"),
)
REJECT: Final = Write(
    "reject",
    by="ingest, render",
    sources=_UNPROCESSED,
    to=(State.REJECTED, State.REPAIRABLE),
    sets=("size_bytes", "rejection_code", "rejection_detail", "updated_at"),
    removes=("expires_at",),
    needs="as read, where the stored bytes are the wrong ones",
)
ADD_RENDITIONS: Final = Write(
    "add_renditions",
    by="render",
    sources=_ACCEPTED,
    to=(None, State.READY),
    sets=("renditions", "updated_at"),
    needs="`ready` if no preset is missing",
)
REPLACE_RENDITIONS: Final = Write(
    "replace_renditions",
    by="rebuild jobs",
    sources=frozenset({State.READY}),
    sets=("renditions", "updated_at"),
    needs="as read",
)
MARK_READY: Final = Write(
    "mark_ready",
    by="ingest, render",
    sources=frozenset({State.PROCESSING}),
    to=(State.READY,),
    sets=("updated_at",),
)
MOVE_IN_INDEX: Final = Write(
    "move_in_index",
    by="find_duplicates_worker",
    sources=_ACCEPTED,
    sets=("indexed_as",),
    needs="`indexed_as` as read",
)
NOTE_DUPLICATE: Final = Write(
    "note_duplicate",
    by="request_upload",
    sources=_IN_USE - {State.AWAITING_UPLOAD},
    sets=("duplicates", "announced_at"),
)
UNUSED_FROM: Final = Write(
    "unused_from",
    by="request_upload, purge",
    sources=_IN_USE,
    sets=("unused_since",),
    needs="`unused_since` present",
)
# Whoever announces an upload may already say what it is for.
TAKE_REFERENCE: Final = Write(
    "take_reference",
    by="references",
    sources=_ACCEPTED | {State.AWAITING_UPLOAD},
    sets=("references",),
    removes=("unused_since",),
    needs="room for the name",
)
RELEASE_REFERENCE: Final = Write(
    "release_reference",
    by="references",
    sources=_EXISTING,
    sets=("references", "unused_since"),
    needs="references as read; `unused_since` is set with the last, where nobody shares",
)
JOIN: Final = Write(
    "join",
    by="ingest, duplicates",
    sources=_ACCEPTED,
    to=(None, State.READY),
    sets=("near_duplicate_of", "near_duplicate", "renditions", "updated_at"),
    needs="both as read, no `distinct` pair; `ready` if the canonical asset is and shares",
)
MOVE: Final = Write(
    "move",
    by="render, duplicates",
    sources=_ACCEPTED,
    to=(None, State.READY, State.PROCESSING),
    sets=("near_duplicate_of", "near_duplicate", "renditions", "updated_at"),
    needs="as `join`; `processing` if it shares no more and has no renditions of its own",
)
SHARE: Final = Write(
    "share",
    by="ingest, render",
    sources=_ACCEPTED,
    to=(State.READY,),
    sets=("renditions", "updated_at"),
    needs="as read, near-duplicate of that asset",
)
SEPARATE: Final = Write(
    "separate",
    by="duplicates, ingest, render, purge, erase",
    sources=_IN_USE,
    to=(None, State.PROCESSING),
    sets=("updated_at",),
    removes=("near_duplicate_of", "near_duplicate"),
    needs="as read, near-duplicate of that asset; `processing` if it has no renditions of its own",
)
MARK_DELETING: Final = Write(
    "mark_deleting",
    by="purge",
    sources=_IN_USE,
    to=(State.DELETING,),
    sets=("purge_run", "updated_at"),
    removes=("expires_at",),
    needs="status as read; no references, no sharers, `lent_at` over an hour ago, `unused_since` and"
    " `announced_at` before the cut-off",
)
MARK_ERASING: Final = replace(
    MARK_DELETING, name="mark_erasing", by="erase", sources=_EXISTING, needs="as read, no sharers"
)
FORGET: Final = Write("forget", by="purge, erase", sources=frozenset({State.DELETING}), to=(State.NONE,))
FORGET_ANNOUNCED: Final = Write(
    "forget_announced",
    by="tenants, DynamoDB's TTL",
    sources=frozenset({State.AWAITING_UPLOAD}),
    to=(State.NONE,),
)

TRANSITIONS: Final = (
    *(AWAIT_UPLOAD, ACCEPT, REJECT, ADD_RENDITIONS, REPLACE_RENDITIONS, MARK_READY, MOVE_IN_INDEX),
    *(
        NOTE_DUPLICATE,
        UNUSED_FROM,
        TAKE_REFERENCE,
        RELEASE_REFERENCE,
        JOIN,
        MOVE,
        SHARE,
        SEPARATE,
        MARK_DELETING,
        MARK_ERASING,
        FORGET,
    ),
    FORGET_ANNOUNCED,
)


def transition_rows() -> list[tuple[str, str, str, str, str, str, str]]:
    """For the document: write, by, from, to, sets, removes, needs."""
    return [
        (
            f"`{write.name}`",
            write.by,
            _listed(write.sources),
            " or ".join(f"`{state}`" if state else "same" for state in write.to),
            _listed(write.sets),
            _listed(write.removes),
            write.needs,
        )
        for write in TRANSITIONS
    ]


def _listed(names: Collection[str]) -> str:
    """States in the order of an asset's life, attributes in that of the table."""
    if isinstance(names, frozenset):
        if names == _EXISTING:
            return "any"
        if names == _IN_USE:
            return f"any but `{State.DELETING}`"
        names = [state for state in State if state in names]
    return ", ".join(f"`{name}`" for name in names)


# --- Predicates ---------------------------------------------------------------------------------------------


def wants_bytes(asset: Asset, now: datetime) -> bool:
    """Whether an announcement is answered with a ticket."""
    return AWAIT_UPLOAD.allows(asset) or asset.stalled(now)


def may_be_stored(asset: Asset, now: datetime) -> bool:
    """Of one that wants bytes: whether the bucket may hold wrong ones, or some whose event was lost."""
    overdue = now - asset.created_at > STALLED_AFTER
    return asset.status is not Status.AWAITING_UPLOAD or overdue


def is_finished(asset: Asset) -> bool:
    """Its upload's event brings nothing new: it is ready or rejected, and no member has to follow it."""
    return not ACCEPT.allows(asset) and not (asset.status is Status.READY and asset.members_must_follow)

"""An item of the Assets table, and the asset it stands for: what is stored under which name.

docs/data-model.md describes the items.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pynamodb.attributes import (
    MapAttribute,
    NumberAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
)
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.indexes import GlobalSecondaryIndex, IncludeProjection, KeysOnlyProjection
from pynamodb.models import Model

from catalog.domain.assets import Asset, PerceptualHashes, Status
from catalog.domain.fingerprints import Indexed, PHashAlgorithm
from catalog.domain.keys import AssetId, AssetKey, TenantId
from catalog.domain.lifecycle import State, Write
from catalog.domain.near_duplicates import DecidedBy, NearDuplicate, held_for, is_hold
from catalog.domain.rejections import HEALING, Rejection, RejectionCode
from catalog.domain.renditions import Rendition
from catalog.domain.sources import Source, SourceFormat

_BLANK: Final = "blank"
_SECOND: Final = 2  # scheme of the index, of which records give no number
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class _ByCreatedAt(GlobalSecondaryIndex["AssetItem"]):
    class Meta:
        index_name = "by_created_at"
        projection = IncludeProjection(["status"])

    tenant = UnicodeAttribute(hash_key=True)
    created_at = UnicodeAttribute(range_key=True)
    id = UnicodeAttribute()
    status = UnicodeAttribute()


class _ByUnusedSince(GlobalSecondaryIndex["AssetItem"]):
    class Meta:
        index_name = "by_unused_since"
        projection = IncludeProjection(["status"])

    tenant = UnicodeAttribute(hash_key=True)
    unused_since = UnicodeAttribute(range_key=True)
    id = UnicodeAttribute()
    status = UnicodeAttribute()


class _ByFilename(GlobalSecondaryIndex["AssetItem"]):
    class Meta:
        index_name = "by_filename"
        projection = KeysOnlyProjection()

    tenant = UnicodeAttribute(hash_key=True)
    filename = UnicodeAttribute(range_key=True)
    id = UnicodeAttribute()


class AssetItem(Model):
    """One asset, by its tenant and id."""

    class Meta:
        table_name = ""

    tenant = UnicodeAttribute(hash_key=True)
    id = UnicodeAttribute(range_key=True)
    status = UnicodeAttribute()
    filename = UnicodeAttribute(null=True)
    content_type = UnicodeAttribute(null=True)
    size_bytes = NumberAttribute()
    format = UnicodeAttribute(null=True)
    width = NumberAttribute(null=True)
    height = NumberAttribute(null=True)
    ahash64 = UnicodeAttribute(null=True)
    phash256 = UnicodeAttribute(null=True)
    renditions: MapAttribute[str, Any] = MapAttribute(null=True)
    references = UnicodeSetAttribute(null=True)
    unused_since = UnicodeAttribute(null=True)
    rejection_code = UnicodeAttribute(null=True)
    rejection_detail = UnicodeAttribute(null=True)
    created_at = UnicodeAttribute()
    updated_at = UnicodeAttribute()
    correlation_id = UnicodeAttribute(null=True)
    expires_at = NumberAttribute(null=True)
    duplicates = NumberAttribute(null=True)
    announced_at = NumberAttribute(null=True)
    purge_run = UnicodeAttribute(null=True)
    revision = NumberAttribute(null=True)
    indexed_as = UnicodeAttribute(null=True)
    near_duplicate_of = UnicodeAttribute(null=True)
    near_duplicate = UnicodeAttribute(null=True)
    holders = NumberAttribute(null=True)
    links = NumberAttribute(null=True)
    lent_at = NumberAttribute(null=True)
    linked_by = UnicodeSetAttribute(null=True)

    by_created_at = _ByCreatedAt()
    by_unused_since = _ByUnusedSince()
    by_filename = _ByFilename()


def asset_of(item: AssetItem) -> Asset:
    """The asset that an item read from the table stands for."""
    renditions = (item.renditions.as_dict() if item.renditions else {}).items()
    return Asset(
        tenant=TenantId(item.tenant),
        id=AssetId(item.id),
        status=Status(item.status),
        filename=item.filename,
        size_bytes=int(item.size_bytes),
        created_at=datetime.fromisoformat(item.created_at),
        updated_at=datetime.fromisoformat(item.updated_at),
        source=Source(SourceFormat(item.format), int(item.width), int(item.height)) if item.format else None,
        hashes=PerceptualHashes(item.ahash64, item.phash256) if item.phash256 else None,
        renditions={name: _rendition(name, stored, item) for name, stored in renditions},
        references=frozenset(name for name in item.references or () if not is_hold(name)),
        rejection=Rejection(RejectionCode(item.rejection_code), item.rejection_detail)
        if item.rejection_code
        else None,
        correlation_id=item.correlation_id,
        unused_since=datetime.fromisoformat(item.unused_since) if item.unused_since else None,
        duplicates=int(item.duplicates or 0),
        announced_at=_moment(item.announced_at) if item.announced_at else None,
        purge_run=item.purge_run,
        revision=int(item.revision or 0),
        near_duplicate=_near_duplicate(item),
        indexed_as=_indexed_as(item),
        sharers=int(item.holders or 0),
        links=int(item.links or 0),
        lent_at=_moment(item.lent_at) if item.lent_at else None,
        old_holds=held_for(frozenset(item.references or ())),
        linked_by=frozenset(AssetId(id_) for id_ in item.linked_by or ()),
    )


def allowed(write: Write) -> Condition:
    """The condition that the stored asset is in a state from which the write is allowed."""
    status = AssetItem.status
    found = status.is_in(*sorted(write.sources.intersection(Status)))
    if State.REPAIRABLE in write.sources and State.REJECTED not in write.sources:
        found |= (status == Status.REJECTED) & AssetItem.rejection_code.is_in(*HEALING)
    return found


def effects(write: Write) -> list[Action]:
    """The actions that every such write has: set the one status it leads to, remove attributes."""
    statuses = {state and state.status for state in write.to}
    becomes = statuses.pop() if len(statuses) == 1 else None
    return [
        *([AssetItem.status.set(becomes)] if becomes else []),
        *(getattr(AssetItem, name).remove() for name in write.removes),
    ]


def asset_in_stream(item: Mapping[str, Any]) -> Asset:
    """The asset of an item as the table's stream has it, in DynamoDB's own JSON."""
    return asset_of(AssetItem.from_raw_data(dict(item)))


def microseconds(moment: datetime) -> int:
    """Since 1970.  A third of the bytes of a timestamp, for attributes that no index sorts by."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _moment(stored: float) -> datetime:
    return _EPOCH + timedelta(microseconds=int(stored))


def _rendition(preset: str, stored: Mapping[str, Any], item: AssetItem) -> Rendition:
    key = stored["key"]
    if "/" not in key:
        key = AssetKey(TenantId(item.tenant), AssetId(item.id)).renditions + key
    known = {field.name: stored[field.name] for field in fields(Rendition) if field.name in stored}
    return Rendition(**{**known, "preset": preset, "key": key})


def _indexed_as(item: AssetItem) -> tuple[Indexed, ...]:
    """`algorithm[:frame]` of the first scheme, `algorithm.2:[frame]:[box]` of the second; or two of them.

    Of later ones `:<number>` follows: so functions of the version before, which run beside new ones during a
    deployment and after it is rolled back, read these records too.  `algorithm.2:blank` of near-blank images.
    """
    return tuple(_indexed(text, item) for text in (item.indexed_as or "").split())


def _indexed(text: str, item: AssetItem) -> Indexed:
    name, *hashes = text.split(":")
    name, is_later, _ = name.partition(".")
    algorithm = PHashAlgorithm(name)
    if hashes == [_BLANK]:
        return Indexed.blank(algorithm)
    known = {PHashAlgorithm.PHASH256: item.phash256, PHashAlgorithm.AHASH64: item.ahash64}
    frame, box, number = [*hashes, "", "", ""][:3]
    frame = frame or known[algorithm]
    if not is_later:
        return Indexed(algorithm, frame, "", earlier=1)
    scheme = int(number or _SECOND)
    return Indexed(algorithm, frame, box or frame, None if scheme == algorithm.scheme else scheme)


def _near_duplicate(item: AssetItem) -> NearDuplicate | None:
    return near_duplicate_of(item.near_duplicate_of, item.near_duplicate) if item.near_duplicate_of else None


def near_duplicate_of(id_: str, verdict: str) -> NearDuplicate:
    """The verdict that `stored_verdict` gave, on this asset."""
    facts = json.loads(verdict)
    return NearDuplicate(
        of=AssetId(id_),
        decided_by=DecidedBy(facts["decided_by"]),
        shares=facts["shares"],
        distance=facts["distance"],
        scores=facts["scores"],
    )


def stored_rendition(rendition: Rendition, key: AssetKey) -> dict[str, str | int | None]:
    """As an item holds it.  The asset's own prefix is left out of the key, to stay within a write unit."""
    stored = asdict(rendition) | {"key": rendition.key.removeprefix(key.renditions)}
    del stored["preset"]  # which names it
    return stored


def stored_index(indexed: Sequence[Indexed], hashes: PerceptualHashes) -> str:
    """What an asset is indexed by, without the hashes that its item has anyway."""
    return " ".join(_stored_index(each, hashes) for each in indexed)


def _stored_index(indexed: Indexed, hashes: PerceptualHashes) -> str:
    if indexed.is_blank:
        return f"{indexed.algorithm}.2:{_BLANK}"
    frame = "" if indexed.frame in (hashes.phash256, hashes.ahash64) else indexed.frame
    if indexed.earlier == 1:
        return f"{indexed.algorithm}:{frame}".removesuffix(":")
    box = "" if indexed.box == indexed.frame else indexed.box
    second = f"{indexed.algorithm}.2:{frame}:{box}"
    return second if indexed.scheme.number == _SECOND else f"{second}:{indexed.scheme.number}"


def stored_verdict(verdict: NearDuplicate) -> str:
    """Why an asset is a near-duplicate of the one that `near_duplicate_of` names."""
    facts = {
        "decided_by": verdict.decided_by,
        "shares": verdict.shares,
        "distance": verdict.distance,
        "scores": dict(verdict.scores),
    }
    return json.dumps(facts, sort_keys=True)

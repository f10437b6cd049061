"""The Pairs table: near-duplicates that were proposed, what the pixels said, and what a person decided."""

import json
from datetime import datetime
from typing import Final

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex
from pynamodb.models import Model

from catalog.adapters.pages import Cursors, matching, moment
from catalog.adapters.tables import bind, timestamp
from catalog.domain.keys import AssetId, AssetKey, TenantId, tenant_id
from catalog.domain.near_duplicates import (
    Decision,
    DuplicatePairNotFoundError,
    Likeness,
    Pair,
    Verdict,
    in_order,
)
from catalog.domain.paging import Page, PageRequest


class _BySeenAt(GlobalSecondaryIndex["PairItem"]):
    class Meta:
        index_name = "by_seen_at"
        projection = AllProjection()

    tenant = UnicodeAttribute(hash_key=True)
    seen_at = UnicodeAttribute(range_key=True)


class PairItem(Model):
    """A pair of assets (`id#id`); or an entry of a group (catalog.adapters.groups): then it has no `seen_at`,
    which keeps it out of the index."""

    class Meta:
        table_name = ""

    tenant = UnicodeAttribute(hash_key=True)
    pair = UnicodeAttribute(range_key=True)
    distance = NumberAttribute(null=True)
    verdict = UnicodeAttribute(null=True)
    refusal = UnicodeAttribute(null=True)
    scores = UnicodeAttribute(null=True)
    decision = UnicodeAttribute(null=True)
    decided_at = UnicodeAttribute(null=True)
    decided_by = UnicodeAttribute(null=True)
    seen_at = UnicodeAttribute(null=True)

    by_seen_at = _BySeenAt()


# Items one filtered page looks at: of about 500 bytes, 25 read units at most.
_FILTERED_SCAN: Final = 200
_CURSORS: Final = Cursors(tenant=tenant_id, seen_at=moment, pair=matching("[0-9a-f]{64}#[0-9a-f]{64}"))


def _verdict(item: PairItem) -> Verdict:
    """Pairs of before there were four words have only a refusal, or none."""
    if item.verdict:
        return Verdict(item.verdict)
    return Verdict.SAME if item.refusal is None else Verdict.DIFFERENT


def _pair(item: PairItem) -> Pair:
    first, second = item.pair.split("#")
    scores = json.loads(item.scores) if item.scores else None
    return Pair(
        tenant=TenantId(item.tenant),
        first=AssetId(first),
        second=AssetId(second),
        distance=None if item.distance is None else int(item.distance),
        likeness=None if scores is None else Likeness(_verdict(item), scores, item.refusal),
        decision=Decision(item.decision) if item.decision else None,
        seen_at=datetime.fromisoformat(item.seen_at),
        decided_at=datetime.fromisoformat(item.decided_at) if item.decided_at else None,
        decided_by=item.decided_by,
    )


class Pairs:
    """The Pairs table: one item two assets, whichever of them came first."""

    def __init__(self, table_name: str) -> None:
        self._model = bind(PairItem, table_name)

    def find(self, tenant: TenantId, one: AssetId, other: AssetId) -> Pair | None:
        """A consistent read."""
        try:
            return _pair(self._model.get(tenant, pair_key(one, other), consistent_read=True))
        except DoesNotExist:
            return None

    def get(self, tenant: TenantId, one: AssetId, other: AssetId) -> Pair:
        """A consistent read.  Raises DuplicatePairNotFoundError."""
        pair = self.find(tenant, one, other)
        if pair is None:
            raise DuplicatePairNotFoundError(pair_key(one, other))
        return pair

    def record(
        self, key: AssetKey, other: AssetId, *, distance: int, likeness: Likeness, now: datetime
    ) -> None:
        """What the pixels say of a pair; what a person has said of it stays."""
        item = self._model
        refusal = (
            item.refusal.set(likeness.refusal) if likeness.refusal is not None else item.refusal.remove()
        )
        item(key.tenant, pair_key(key.id, other)).update(
            actions=[
                item.distance.set(distance),
                item.verdict.set(likeness.verdict),
                item.scores.set(json.dumps(dict(likeness.scores), sort_keys=True)),
                item.seen_at.set(item.seen_at | timestamp(now)),
                refusal,
            ]
        )

    def page(self, tenant: TenantId, asked: PageRequest, *, verdict: Verdict | None = None) -> Page[Pair]:
        """The pairs of a tenant, newest first.  Raises InvalidCursorError.

        With a `verdict`, those that the pixels say it of; one call looks at no more than 200 pairs, so a page
        may be short or empty while more follow.
        """
        looked_at = _FILTERED_SCAN if verdict else asked.limit
        items = self._model.by_seen_at.query(
            tenant,
            limit=looked_at,
            page_size=looked_at,
            last_evaluated_key=_CURSORS.key(asked.cursor, tenant=tenant),
            scan_index_forward=False,
        )

        def wanted(item: PairItem) -> bool:
            if verdict is None:
                return True
            likeness = _pair(item).likeness
            return likeness is not None and likeness.verdict is verdict

        return _CURSORS.page(items, asked.limit, wanted=wanted).map(_pair)


def pair_key(one: AssetId, other: AssetId) -> str:
    """A pair has one key, in whichever order its assets are named."""
    return "#".join(in_order(one, other))

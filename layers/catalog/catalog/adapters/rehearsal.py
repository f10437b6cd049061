"""A dry run of find-duplicates: the real tables, overlaid with what the job would have written.

The overlay lies in the HashBands table under a name that live traffic never reads, and expires.  Search and
grouping are those of live traffic; only their writes are replaced here.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist, PutError
from pynamodb.models import Model

from catalog.adapters.asset_items import near_duplicate_of, stored_verdict
from catalog.adapters.assets_table import Assets
from catalog.adapters.groups import Groups
from catalog.adapters.hash_bands_table import Found, HashBands
from catalog.adapters.pairs_table import Pairs
from catalog.adapters.tables import bind, is_refused
from catalog.domain.assets import Asset, AssetStateError
from catalog.domain.duplicate_jobs import Join
from catalog.domain.fingerprints import Fingerprint, shadow_of
from catalog.domain.keys import AssetId, AssetKey, TenantId
from catalog.domain.near_duplicates import Likeness, NearDuplicate


class _JoinItem(Model):
    class Meta:
        table_name = ""

    band = UnicodeAttribute(hash_key=True)
    id = UnicodeAttribute(range_key=True)
    of = UnicodeAttribute()
    verdict = UnicodeAttribute()
    bytes_saved = NumberAttribute()
    expires_at = NumberAttribute()


class Joins:
    """The joins that a dry run would have made."""

    def __init__(self, bands_table: str, job_id: str, expires_at: int) -> None:
        self._model = bind(_JoinItem, bands_table)
        self._job_id = job_id
        self._expires_at = expires_at

    def find(self, key: AssetKey) -> Join | None:
        """The image's join, by a consistent read; None without one."""
        try:
            return _join(self._model.get(self._band(key.tenant), key.id, consistent_read=True))
        except DoesNotExist:
            return None

    def within(self, tenant: TenantId, prefix: str, *, after: str | None = None) -> Iterator[Join]:
        """The joins of images whose ids begin with `prefix`, by id, from the one after `after` on."""
        first = f"{after}!" if after else prefix or "0"  # a "!" comes before every digit
        between = self._model.id.between(first, f"{prefix}g")
        return map(_join, self._model.query(self._band(tenant), between, consistent_read=True))

    def add(self, tenant: TenantId, join: Join) -> None:
        """Record the join.  Raises AssetStateError if the image has joined another asset."""
        item = self._model(
            self._band(tenant),
            join.image,
            of=join.verdict.of,
            verdict=stored_verdict(join.verdict),
            bytes_saved=join.bytes_saved,
            expires_at=self._expires_at,
        )
        try:
            item.save(condition=self._model.id.does_not_exist())
        except PutError as error:
            if not is_refused(error):
                raise
            if self.find(AssetKey(tenant, join.image)) != join:
                raise AssetStateError(join.image) from error

    def _band(self, tenant: TenantId) -> str:
        return f"{shadow_of(tenant, self._job_id)}#joins#0#"


class RehearsedAssets(Assets):
    """Assets as they would be after the joins."""

    def __init__(self, table_name: str, joins: Joins) -> None:
        super().__init__(table_name)
        self._joins = joins

    def get(self, key: AssetKey, *, consistent: bool = True) -> Asset:
        asset = super().get(key, consistent=consistent)
        join = None if asset.near_duplicate else self._joins.find(key)
        return replace(asset, near_duplicate=join.verdict) if join else asset


class RehearsedGroups(Groups):
    """Groups that record joins in the overlay only; a person's decisions are read as they are."""

    def __init__(self, assets_table: str, pairs_table: str, joins: Joins) -> None:
        super().__init__(assets_table, pairs_table)
        self._joins = joins

    def join(
        self,
        asset: Asset,
        canonical: Asset,
        verdict: NearDuplicate,
        *,
        alone: bool,  # noqa: ARG002 - a dry run need not heed a decision made meanwhile
        now: datetime,  # noqa: ARG002
    ) -> Asset:
        if asset.near_duplicate or self._joins.find(canonical.key):
            raise AssetStateError(asset.id)
        saved = asset.own_rendition_bytes if verdict.shares else 0
        self._joins.add(asset.tenant, Join(asset.id, verdict, saved))
        return replace(asset, near_duplicate=verdict)


class RehearsedPairs(Pairs):
    """Pairs that record nothing."""

    def record(
        self, key: AssetKey, other: AssetId, *, distance: int, likeness: Likeness, now: datetime
    ) -> None:
        pass


class RehearsedBands(HashBands):
    """Bands that index images in the overlay only, and search both the overlay and the index."""

    def __init__(self, table_name: str, job_id: str, expires_at: int, *, threshold: int) -> None:
        super().__init__(table_name, threshold=threshold)
        self._job_id = job_id
        self._expires_at = expires_at

    def add(self, key: AssetKey, fingerprint: Fingerprint, *, expires_at: int | None = None) -> None:
        super().add(self._aside(key), fingerprint, expires_at=expires_at or self._expires_at)

    def near(self, key: AssetKey, fingerprint: Fingerprint) -> Found:
        """The candidates that one index of both would give."""
        real, aside = super().near(key, fingerprint), super().near(self._aside(key), fingerprint)
        both = {one.id: one for one in (*real.candidates, *aside.candidates)}
        likeliest = sorted(both.values(), key=lambda one: (one.unlikeness, one.id))
        return Found(tuple(likeliest), real.capped + aside.capped)

    def _aside(self, key: AssetKey) -> AssetKey:
        return AssetKey(shadow_of(key.tenant, self._job_id), key.id)


def _join(item: _JoinItem) -> Join:
    return Join(AssetId(item.id), near_duplicate_of(item.of, item.verdict), int(item.bytes_saved))

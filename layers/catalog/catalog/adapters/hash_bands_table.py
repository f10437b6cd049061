"""The HashBands table: the near-duplicate index, one item a band of an asset's perceptual hashes."""

import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from pynamodb.attributes import BinaryAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.expressions.condition import Condition
from pynamodb.models import Model

from catalog.adapters.sdk import client
from catalog.adapters.tables import bind
from catalog.domain.assets import Asset
from catalog.domain.fingerprints import (
    Fingerprint,
    Indexed,
    PHashAlgorithm,
    Place,
    colour_distance,
    hamming_distance,
    indexed_at,
    places,
    shadow_of,
)
from catalog.domain.keys import AssetId, AssetKey, TenantId
from catalog.domain.near_duplicates import Candidate

# Items read of one bucket: 24 of about 165 bytes are one read unit.  Of a bucket that has more, 24 before the
# asset's own place and 24 behind it: they share most bits with it.  Where even the last of them shares 20
# bits, 172 more.  At 10^8 images of one tenant an average bucket holds 24,414, and 95 that share 20 bits; one
# of look-alikes thousands.
BUCKET_BEGINNING: Final = 24
NEIGHBOURS: Final = 24
MORE_ALIKE: Final = 172
_AT_ONCE: Final = 16
_END: Final = "end"  # of a segment, behind every key


def _band_key(band: str, id_: str) -> dict[str, Any]:
    return {"band": {"S": band}, "id": {"S": id_}}


class _BandItem(Model):
    class Meta:
        table_name = ""

    band = UnicodeAttribute(hash_key=True)
    id = UnicodeAttribute(range_key=True)
    hash = BinaryAttribute(legacy_encoding=False)
    colours = BinaryAttribute(legacy_encoding=False)
    expires_at = NumberAttribute(null=True)  # of what a dry run indexes


@dataclass(frozen=True, slots=True)
class Found:
    """The candidates, likeliest first, and of how many buckets some of the most alike were not read."""

    candidates: tuple[Candidate, ...]
    capped: int


class HashBands:
    """The index; `threshold` is the largest distance of two hashes that are near."""

    def __init__(
        self, table_name: str, *, threshold: int = PHashAlgorithm.PHASH256.default_threshold
    ) -> None:
        self._table = table_name
        self._model = bind(_BandItem, table_name)
        self._threshold = threshold

    def add(self, key: AssetKey, fingerprint: Fingerprint, *, expires_at: int | None = None) -> None:
        """Write the asset's bands; writing them again changes nothing."""
        colours = bytes.fromhex(fingerprint.colours)
        with self._model.batch_write() as batch:
            for place in places(key.tenant, key.id, fingerprint.indexed):
                item = self._model(place.bucket, place.id, hash=bytes.fromhex(place.hash), colours=colours)
                item.expires_at = expires_at
                batch.save(item)

    def remove(self, key: AssetKey, indexed: Indexed) -> None:
        """Remove the asset's bands, of any scheme.  Repeating this changes nothing."""
        with self._model.batch_write() as batch:
            for place in places(key.tenant, key.id, indexed):
                batch.delete(self._model(place.bucket, place.id))

    def holds(self, indexed: Mapping[AssetKey, Indexed]) -> set[AssetKey]:
        """Those of the assets whose last band is there: it is written with the others, or after them.

        A consistent read of one item an asset.
        """
        last = {key: places(key.tenant, key.id, each)[-1] for key, each in indexed.items()}
        keys = [(place.bucket, place.id) for place in last.values()]
        found = self._model.batch_get(keys, consistent_read=True, attributes_to_get=["band", "id"])
        return {indexed_at(item.band, item.id) for item in found}

    def remove_all(self, assets: Iterable[Asset]) -> None:
        """Remove the bands of all of these.  Repeating this changes nothing."""
        with self._model.batch_write() as batch:
            for asset in assets:
                for indexed in asset.indexed_as:
                    for place in places(asset.tenant, asset.id, indexed):
                        batch.delete(self._model(place.bucket, place.id))

    def of_tenant(
        self, tenant: TenantId, *, segment: int, segments: int, after: str | None = None
    ) -> Iterator[tuple[str, list[tuple[str, str]]]]:
        """Scan one of so many segments of the whole table for a tenant's bands, whatever the records say.

        For each page of 1 MB read: a name to go on after, and the keys found.
        """
        if after == _END:
            return
        start = _band_key(*json.loads(after)) if after else None
        while True:
            answer = client("dynamodb").scan(
                TableName=self._table,
                Segment=segment,
                TotalSegments=segments,
                FilterExpression="begins_with(band, :tenant) OR begins_with(band, :shadows)",
                ProjectionExpression="band, id",
                ExpressionAttributeValues={
                    ":tenant": {"S": f"{tenant}#"},
                    ":shadows": {"S": shadow_of(tenant, "")},
                },
                **({"ExclusiveStartKey": start} if start else {}),
            )
            start = answer.get("LastEvaluatedKey")
            name = json.dumps([start["band"]["S"], start["id"]["S"]]) if start else _END
            yield name, [(item["band"]["S"], item["id"]["S"]) for item in answer["Items"]]
            if start is None:
                return

    def remove_found(self, keys: Iterable[tuple[str, str]]) -> None:
        """Remove bands that a scan has found."""
        with self._model.batch_write() as batch:
            for band, id_ in keys:
                batch.delete(self._model(band, id_))

    def near(self, key: AssetKey, fingerprint: Fingerprint) -> Found:
        """Other assets of the tenant within the threshold of either hash, by a fixed number of queries.

        A picture whose hash and colours differ least comes first.
        """
        wanted = places(key.tenant, key.id, fingerprint.indexed)
        found: dict[AssetId, Candidate] = {}
        capped = 0
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for place, (items, more) in zip(wanted, pool.map(self._bucket, wanted), strict=True):
                capped += more
                for item in items:
                    id_ = indexed_at(place.bucket, item.id).id
                    distance = hamming_distance(place.hash, item.hash.hex())
                    known = found.get(id_)
                    if distance <= self._threshold and (known is None or distance < known.distance):
                        colours = colour_distance(fingerprint.colours, item.colours.hex())
                        found[id_] = Candidate(id_, distance, colours)
        found.pop(key.id, None)
        return Found(tuple(sorted(found.values(), key=lambda one: (one.unlikeness, one.id))), capped)

    def _bucket(self, place: Place) -> tuple[list[_BandItem], bool]:
        """The items read from a bucket, and whether it may hold more that are most alike."""
        beginning = self._read(place.bucket, None, BUCKET_BEGINNING)
        if len(beginning) < BUCKET_BEGINNING:
            return beginning, False
        before, more_before = self._neighbours(place, forward=False)
        behind, more_behind = self._neighbours(place, forward=True)
        return beginning + before + behind, more_before or more_behind

    def _neighbours(self, place: Place, *, forward: bool) -> tuple[list[_BandItem], bool]:
        """The items on one side of the place, the nearest first; and whether more may be as alike."""
        item, found = self._model.id, list[_BandItem]()
        for limit in (NEIGHBOURS, MORE_ALIKE):
            last = found[-1].id if found else place.id
            beyond = item > last if forward else item < last
            read = self._read(place.bucket, beyond, limit, forward=forward)
            found += read
            if len(read) < limit or not read[-1].id.startswith(place.alike):
                return found, False
        return found, True

    def _read(
        self, bucket: str, where: Condition | None, limit: int, *, forward: bool = True
    ) -> list[_BandItem]:
        # Consistent: of two assets indexed at one moment, at least one must see the other.
        query = self._model.query(
            bucket,
            where,
            consistent_read=True,
            scan_index_forward=forward,
            limit=limit,
            page_size=limit,
        )
        return list(query)

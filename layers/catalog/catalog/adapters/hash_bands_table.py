"""The HashBands table: the near-duplicate index, one item a band of an asset's perceptual hashes."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from pynamodb.attributes import BinaryAttribute, UnicodeAttribute
from pynamodb.models import Model

from catalog.adapters.tables import bind
from catalog.domain.fingerprints import (
    Fingerprint,
    Indexed,
    PHashAlgorithm,
    Place,
    colour_distance,
    hamming_distance,
    indexed_at,
    places,
)
from catalog.domain.keys import AssetId, AssetKey
from catalog.domain.near_duplicates import Candidate

# Items read of one bucket: 100 of about 160 bytes are 4 read units.  A bucket that has more is read on from
# the point where the asset itself stands, 400 more: another part of it for every asset.  At 10^8 images of
# one tenant an average bucket holds 95 (a million values a band), one of look-alikes thousands.
BUCKET_BEGINNING: Final = 100
BUCKET_LIMIT: Final = 500
_AT_ONCE: Final = 16


class _BandItem(Model):
    class Meta:
        table_name = ""

    band = UnicodeAttribute(hash_key=True)
    id = UnicodeAttribute(range_key=True)
    hash = BinaryAttribute(legacy_encoding=False)
    colours = BinaryAttribute(legacy_encoding=False)


@dataclass(frozen=True, slots=True)
class Found:
    """What a lookup found: candidates, likeliest first; and how many buckets were too full to read whole."""

    candidates: tuple[Candidate, ...]
    capped: int


class HashBands:
    """The index, and how far from each other two hashes may be."""

    def __init__(
        self, table_name: str, *, threshold: int = PHashAlgorithm.PHASH256.default_threshold
    ) -> None:
        self._model = bind(_BandItem, table_name)
        self._threshold = threshold

    def add(self, key: AssetKey, fingerprint: Fingerprint) -> None:
        """Write the asset's bands; writing them again changes nothing."""
        colours = bytes.fromhex(fingerprint.colours)
        with self._model.batch_write() as batch:
            for place in places(key.tenant, key.id, fingerprint.indexed):
                item = self._model(place.bucket, place.id, hash=bytes.fromhex(place.hash), colours=colours)
                batch.save(item)

    def remove(self, key: AssetKey, indexed: Indexed) -> None:
        """Take the asset's bands out, of whichever scheme; removing them again changes nothing."""
        with self._model.batch_write() as batch:
            for place in places(key.tenant, key.id, indexed):
                batch.delete(self._model(place.bucket, place.id))

    def near(self, key: AssetKey, fingerprint: Fingerprint) -> Found:
        """Other assets of the tenant within the threshold of either hash, by a fixed number of queries.

        A picture whose hash and colours differ least comes first.
        """
        wanted = places(key.tenant, key.id, fingerprint.indexed)
        found: dict[AssetId, Candidate] = {}
        capped = 0
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for place, items in zip(wanted, pool.map(self._bucket, wanted), strict=True):
                capped += len(items) >= BUCKET_LIMIT
                for item in items:
                    id_ = indexed_at(place.bucket, item.id).id
                    distance = hamming_distance(place.hash, item.hash.hex())
                    known = found.get(id_)
                    if distance <= self._threshold and (known is None or distance < known.distance):
                        colours = colour_distance(fingerprint.colours, item.colours.hex())
                        found[id_] = Candidate(id_, distance, colours)
        found.pop(key.id, None)
        return Found(tuple(sorted(found.values(), key=lambda one: (one.unlikeness, one.id))), capped)

    def _bucket(self, place: Place) -> list[_BandItem]:
        # Consistent: of two assets indexed at one moment, at least one must see the other.
        beginning = list(
            self._model.query(
                place.bucket, consistent_read=True, limit=BUCKET_BEGINNING, page_size=BUCKET_BEGINNING
            )
        )
        if len(beginning) < BUCKET_BEGINNING:
            return beginning
        read_to, here = beginning[-1].id, max(place.id, beginning[-1].id)
        items = beginning + self._part(place.bucket, here, "g", BUCKET_LIMIT - BUCKET_BEGINNING)
        if len(items) < BUCKET_LIMIT and here > read_to:
            items += self._part(place.bucket, read_to, here, BUCKET_LIMIT - len(items))
        return items

    def _part(self, bucket: str, after: str, to: str, limit: int) -> list[_BandItem]:
        """At most `limit` items behind `after`, up to `to`; no id begins with a "g"."""
        between = self._model.id.between(after, to)
        items = self._model.query(bucket, between, consistent_read=True, limit=limit + 1, page_size=limit + 1)
        return [item for item in items if item.id != after][:limit]

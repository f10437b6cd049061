"""The HashBands table: the near-duplicate index, one item a band of an asset's perceptual hash."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from pynamodb.attributes import UnicodeAttribute
from pynamodb.models import Model

from catalog.adapters.tables import bind
from catalog.domain.fingerprints import PHashAlgorithm, band_keys, hamming_distance, probe_keys
from catalog.domain.keys import AssetId, AssetKey
from catalog.domain.near_duplicates import Candidate

# Items read of one bucket: 500 of about 200 bytes are 25 read units.  At 10^6 images of one tenant the
# average bucket holds 15 (65,536 values a band); a fuller one is a catalog of look-alikes.
BUCKET_LIMIT: Final = 500
_AT_ONCE: Final = 16


class _BandItem(Model):
    class Meta:
        table_name = ""

    band = UnicodeAttribute(hash_key=True)
    id = UnicodeAttribute(range_key=True)
    hash = UnicodeAttribute()


@dataclass(frozen=True, slots=True)
class Found:
    """What a lookup found: candidates, nearest first; and how many buckets were too full to read whole."""

    candidates: tuple[Candidate, ...]
    capped: int


class HashBands:
    """The index of one scheme: an algorithm, and how far from each other two of its hashes may be."""

    def __init__(
        self,
        table_name: str,
        *,
        algorithm: PHashAlgorithm = PHashAlgorithm.PHASH256,
        threshold: int | None = None,
        exact: bool = False,
    ) -> None:
        self._model = bind(_BandItem, table_name)
        self._algorithm = algorithm
        self._threshold = algorithm.default_threshold if threshold is None else threshold
        self._exact = exact

    def add(self, key: AssetKey, hash_hex: str) -> None:
        """Write the asset's bands; writing them again changes nothing."""
        with self._model.batch_write() as batch:
            for band in band_keys(key.tenant, self._algorithm, hash_hex):
                batch.save(self._model(band, key.id, hash=hash_hex))

    def remove(self, key: AssetKey, algorithm: PHashAlgorithm, hash_hex: str) -> None:
        """Take the asset's bands out, of whichever scheme; removing them again changes nothing."""
        with self._model.batch_write() as batch:
            for band in band_keys(key.tenant, algorithm, hash_hex):
                batch.delete(self._model(band, key.id))

    def near(self, key: AssetKey, hash_hex: str) -> Found:
        """Other assets of the tenant within the threshold, by a fixed number of consistent queries.

        Misses nothing within `PHashAlgorithm.complete_within`, but for buckets over BUCKET_LIMIT.
        """
        wanted = probe_keys if self._exact else band_keys
        bands = wanted(key.tenant, self._algorithm, hash_hex)
        found: dict[AssetId, int] = {}
        capped = 0
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for items in pool.map(self._bucket, bands):
                capped += len(items) == BUCKET_LIMIT
                for id_, other in items:
                    if id_ != key.id and id_ not in found:
                        found[id_] = hamming_distance(hash_hex, other)
        near = (Candidate(id_, distance) for id_, distance in found.items() if distance <= self._threshold)
        return Found(tuple(sorted(near, key=lambda one: (one.distance, one.id))), capped)

    def _bucket(self, band: str) -> list[tuple[AssetId, str]]:
        # Consistent: of two assets indexed at one moment, at least one must see the other.
        items = self._model.query(band, consistent_read=True, limit=BUCKET_LIMIT, page_size=BUCKET_LIMIT)
        return [(AssetId(item.id), item.hash) for item in items]

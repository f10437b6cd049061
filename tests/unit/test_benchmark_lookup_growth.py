"""The simulated index is the one that is built, and its buckets are as full as bred hashes make them."""

import numpy as np
import pytest

from benchmarks.lookup_growth import BUILT, between, bred, shares_of_bred
from catalog.domain.fingerprints import Indexed, PHashAlgorithm, places
from catalog.domain.keys import AssetId, tenant_id


def test_the_design_that_is_built_has_the_bands_of_the_index() -> None:
    rng = np.random.default_rng(1)
    frame, box = (rng.bytes(32) for _ in range(2))
    found = places(
        tenant_id("acme"), AssetId("0" * 64), Indexed(PHashAlgorithm.PHASH256, frame.hex(), box.hex())
    )
    hashes = [np.unpackbits(np.frombuffer(each, np.uint8)) for each in (frame, box)]
    for place, (which, bits) in zip(found, BUILT.bands(), strict=True):
        value = int("".join(map(str, hashes[which][bits])), 2)
        digits = place.bucket.rpartition("#")[2] + place.id.removesuffix(64 * "0")
        assert f"{value:07x}" == digits.ljust(7, "0")


def test_the_share_of_a_bucket_is_what_bred_hashes_put_there() -> None:
    rng = np.random.default_rng(2)
    real = rng.integers(0, 2**64, (6, 4), np.uint64, endpoint=False)
    bits = np.unpackbits(real.astype(">u8").view(np.uint8), axis=1)
    made = np.unpackbits(bred(real, 200_000, rng).astype(">u8").view(np.uint8), axis=1)
    band = np.arange(40, 45)
    counted = (made[:, band] == bits[0, band]).all(axis=1).mean()
    # One in six of the bred has one parent twice; the simulation has no such twins.
    twins = np.mean(
        [(15 / 16) ** same * (1 / 16) ** (5 - same) for same in (bits[:, band] == bits[0, band]).sum(1)]
    )
    expected = 5 / 6 * shares_of_bred(bits[:, band], bits[0, band], first=5)[-1] + twins / 6
    assert counted == pytest.approx(expected, rel=0.05)


def test_as_many_lie_between_an_entry_and_its_copy_as_bred_hashes_put_there() -> None:
    rng = np.random.default_rng(3)
    real = rng.integers(0, 2**64, (40, 1), np.uint64, endpoint=False)
    bits = np.unpackbits(real.astype(">u8").view(np.uint8), axis=1)[:, :16]
    made = np.sort(bred(real, 400_000, rng)[:, 0] >> np.uint64(48))
    counted, computed = [], []
    for entry in range(40):
        for bit in range(4, 10):
            copy = bits[entry].copy()
            copy[bit] ^= 1
            ends = np.sort([int("".join(map(str, each)), 2) for each in (bits[entry], copy)])
            first, last = np.searchsorted(made, ends.astype(np.uint64))
            counted.append(last - first)
            held = 400_000 * shares_of_bred(bits, bits[entry], first=0)
            computed.append(between(held, bits[entry], bit))
    assert np.median(np.abs(np.array(computed) - counted) / np.maximum(counted, 1)) < 0.35
    assert np.sum(computed) == pytest.approx(np.sum(counted), rel=0.15)

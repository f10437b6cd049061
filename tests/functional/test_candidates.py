"""Candidates: what the index proposes, in which order, and what it says of what it left out."""

import cmath
import hashlib
import io
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from PIL import Image

from catalog.adapters import hash_bands_table
from catalog.adapters.hash_bands_table import HashBands
from catalog.adapters.pairs_table import Pairs
from catalog.adapters.sdk import client
from catalog.domain.fingerprints import Fingerprint, Indexed, PHashAlgorithm, Place
from catalog.domain.keys import AssetId, AssetKey, tenant_id
from catalog.domain.near_duplicates import Likeness, Verdict
from imaging.inspection import fingerprint
from infra.pictures.images import jpeg_bytes, noisy_scene, product_photo
from tests.builders.verdicts import verified_by
from tests.functional.cloud import Cloud

PHASH256 = PHashAlgorithm.PHASH256
ACME = tenant_id("acme")
PICTURE = product_photo(5, (900, 700))


def key_of(name: str) -> AssetKey:
    return AssetKey(ACME, AssetId(hashlib.sha256(name.encode()).hexdigest()))


def seen(image: Image.Image, quality: int = 90) -> Fingerprint:
    return fingerprint(Image.open(io.BytesIO(jpeg_bytes(image, quality))), PHASH256)


def hue(image: Image.Image, step: int) -> Image.Image:
    """`image` in another colour of as much chroma, and of the same luma: `step` of 24 round the circle."""
    luma, blue, red = (np.asarray(plane, float) for plane in image.convert("YCbCr").split())
    turn = cmath.rect(1, 2 * math.pi * step / 24)
    chroma = (blue - 128 + 1j * (red - 128)) * turn
    planes = np.stack([luma, 128 + chroma.real, 128 + chroma.imag], axis=2)
    return Image.fromarray(np.clip(planes, 0, 255).astype(np.uint8), "YCbCr").convert("RGB")


@pytest.fixture
def bands(cloud: Cloud) -> HashBands:
    return HashBands("HashBandsTable")


@pytest.mark.parametrize(
    "edit",
    [
        lambda image: image.crop((90, 40, 800, 660)),
        lambda image: image.crop((9, 7, 891, 693)),
        lambda image: padded(image, (900, 900), (0, 100)),
        lambda image: padded(image, (920, 720), (10, 10)),
        lambda image: padded(image.resize((450, 350)), (500, 500), (25, 75)),
    ],
    ids=[
        "trimmed margins",
        "a crop of 1%",
        "padded to a square",
        "a border of 10 px",
        "half size, on a square",
    ],
)
def test_another_frame_round_a_product_is_proposed(
    bands: HashBands, edit: Callable[[Image.Image], Image.Image]
) -> None:
    for seed in range(1, 5):
        picture = product_photo(seed, (900, 700))
        bands.add(key_of(f"original {seed}"), seen(picture))
        found = bands.near(key_of("edited"), seen(edit(picture), 80))
        assert found.candidates[0].id == key_of(f"original {seed}").id


def padded(image: Image.Image, size: tuple[int, int], at: tuple[int, int]) -> Image.Image:
    canvas = Image.new("RGB", size, "white")
    canvas.paste(image, at)
    return canvas


@pytest.mark.parametrize("variant", [0, 7, 15])
def test_of_24_hues_of_one_product_a_copys_own_comes_first(bands: HashBands, variant: int) -> None:
    for step in range(24):
        bands.add(key_of(f"hue {step}"), seen(hue(PICTURE, step)))

    copy = hue(PICTURE, variant).resize((450, 350), Image.Resampling.LANCZOS)
    found = bands.near(key_of("copy"), seen(copy, 75))

    assert len(found.candidates) == 24
    assert found.candidates[0].id == key_of(f"hue {variant}").id


def test_every_lookup_reads_another_part_of_a_bucket_too_full_to_be_read_whole(
    bands: HashBands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """60 look-alikes in buckets of which 20 are read: were the same 20 read of all, 40 were never found."""
    read(monkeypatch, beginning=4, neighbours=3, more=5)
    look = seen(PICTURE)
    keys = [key_of(f"look-alike {number}") for number in range(60)]
    for key in keys:
        bands.add(key, look)

    lookups = [bands.near(key_of(f"upload {number}"), look) for number in range(3)]

    for found in lookups:
        assert found.capped == 10
        assert len(found.candidates) >= 50
    assert {one.id for found in lookups for one in found.candidates} == {key.id for key in keys}


def read(monkeypatch: pytest.MonkeyPatch, *, beginning: int, neighbours: int, more: int) -> None:
    """So many items are read of a bucket."""
    monkeypatch.setattr(hash_bands_table, "BUCKET_BEGINNING", beginning)
    monkeypatch.setattr(hash_bands_table, "NEIGHBOURS", neighbours)
    monkeypatch.setattr(hash_bands_table, "MORE_ALIKE", more)


def test_as_many_look_alikes_as_are_read_on_one_side_are_all_found(
    bands: HashBands, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(monkeypatch, beginning=3, neighbours=4, more=17)
    look = seen(PICTURE)
    keys = [key_of(f"look-alike {number}") for number in range(20)]
    for key in keys:
        bands.add(key, look)

    for number in range(5):
        found = bands.near(key_of(f"upload {number}"), look)
        assert {one.id for one in found.candidates} == {key.id for key in keys}
        assert found.capped == 0


@pytest.fixture
def one_bucket(bands: HashBands, monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], HashBands]:
    """An index of one bucket, whose entries stand in the given order of bits; a lookup's own is "8000"."""
    read(monkeypatch, beginning=2, neighbours=2, more=3)

    def filled(orders: list[str]) -> HashBands:
        for order in orders:
            item = {"band": {"S": "bucket#phash256.3#0#000"}, "id": {"S": order + key_of(order).id}}
            look = {"hash": {"B": bytes(32)}, "colours": {"B": bytes(12)}}
            client("dynamodb").put_item(TableName="HashBandsTable", Item=item | look)
        place = Place("bucket#phash256.3#0#000", f"8000{key_of('upload').id}", "0" * 64, "80")
        monkeypatch.setattr(hash_bands_table, "places", lambda *_: (place,))
        return bands

    return filled


def looked_up(bands: HashBands) -> tuple[set[str], int]:
    """What a lookup finds, and whether it says that it left some of the most alike out."""
    found = bands.near(key_of("upload"), Fingerprint(PHASH256, "0" * 64, "0" * 64, "00" * 12))
    return {one.id for one in found.candidates}, found.capped


@pytest.mark.parametrize(
    ("orders", "out_of_reach", "capped"),
    [
        (["0000"], [], 0),
        (
            ["0000", "0001", "0002", "7000", "7ffe", "8003", "9000", "9001", "a000"],
            ["0002", "a000", "9001"],
            0,
        ),
        (["0000", "0001", "8001", "8002", "8003", "8004"], [], 0),
        (["0000", "0001", "0002", "8001", "8002", "8003", "8004", "8100"], [], 0),
        (["0000", "0001", *(f"80{number:02x}" for number in range(1, 8))], ["8006", "8007"], 1),
        (
            ["0000", "0001", *(f"80{number:02x}" for number in range(1, 8)), "8fff"],
            ["8006", "8007", "8fff"],
            1,
        ),
    ],
    ids=[
        "few are read whole",
        "of a full bucket two on either side",
        "more of those most alike",
        "a bucket's most alike end before what is read",
        "of too many alike the nearest",
        "and it is told",
    ],
)
def test_of_a_full_bucket_those_beside_the_images_own_place_are_read(
    one_bucket: Callable[[list[str]], HashBands], orders: list[str], out_of_reach: list[str], capped: int
) -> None:
    found, told = looked_up(one_bucket(orders))

    wanted = {key_of(order).id for order in orders if order not in out_of_reach}
    assert (found, told) == (wanted, capped)


def test_what_was_added_is_removed_and_another_tenant_sees_none_of_it(cloud: Cloud, bands: HashBands) -> None:
    look = seen(PICTURE)
    bands.add(key_of("one"), look)
    assert bands.near(AssetKey(tenant_id("globex"), key_of("two").id), look).candidates == ()

    bands.remove(key_of("one"), Indexed(PHASH256, look.frame, look.box))

    assert cloud.dynamodb.scan(TableName="HashBandsTable")["Count"] == 0


def test_candidates_that_nobody_looked_at_are_counted(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scene = noisy_scene(7, (300, 240))
    first, second = (jpeg_bytes(hue(scene, step)) for step in (0, 6))
    for data in (first, second):
        cloud.ingest(cloud.store(data))
    composed = cloud.function("ingest").ingesting
    monkeypatch.setattr("catalog.use_cases.near_duplicates.MOST_COMPARED", 1)
    counted: list[tuple[str, int]] = []
    monkeypatch.setattr(composed, "count", lambda name, value=1: counted.append((name, value)))

    cloud.ingest(cloud.store(jpeg_bytes(hue(scene, 12))))

    assert ("CandidatesUnseen", 1) in counted
    assert "near-duplicate candidates not looked at" in caplog.messages


def verdicts(cloud: Cloud, verdict: Verdict) -> None:
    """From now on the pixels of any two images say this."""
    ingest = cloud.function("ingest")
    ingestion = ingest.arriving.ingestion
    refusal = None if verdict is Verdict.SAME else "tone"
    said = verified_by(ingestion.inspect, lambda *_: Likeness(verdict, {"tone": 1.5}, refusal))
    ingest.arriving = replace(ingest.arriving, ingestion=replace(ingestion, inspect=said))


def pairs_of(cloud: Cloud, **query: str) -> list[dict[str, Any]]:
    answer = cloud.call("duplicates", "GET", "/duplicates", query=query or None)
    assert answer.status == 200, answer.json
    pairs: list[dict[str, Any]] = answer.json["duplicates"]
    return pairs


def test_a_suspected_pair_is_shown_as_such_and_joined_only_by_a_persons_word(cloud: Cloud) -> None:
    scene = noisy_scene(7, (300, 240))
    original, edited = jpeg_bytes(scene, 92), jpeg_bytes(scene, 60)
    one, other = (hashlib.sha256(data).hexdigest() for data in (original, edited))
    verdicts(cloud, Verdict.SUSPECTED)

    cloud.upload(original)
    assert cloud.upload(edited)["near_duplicate_of"] is None

    (pair,) = pairs_of(cloud, likeness="suspected")
    assert (pair["likeness"], pair["merged"], pair["refusal"]) == ("suspected", False, "tone")
    assert pairs_of(cloud, likeness="different") == []
    path = f"/images/{one}/duplicates/{other}"
    answer = cloud.call("duplicates", "PUT", path, body={"decision": "same"}).json
    assert (answer["likeness"], answer["merged"], answer["decision"]) == ("suspected", True, "same")
    joined = {cloud.get(id_).json["near_duplicate_of"] for id_ in (one, other)}
    assert None in joined
    assert joined & {one, other}


def test_an_image_too_small_to_tell_is_linked_and_keeps_its_own_renditions(cloud: Cloud) -> None:
    scene = noisy_scene(7, (400, 320))
    large, small = jpeg_bytes(scene, 92), jpeg_bytes(scene.resize((100, 80)), 90)
    verdicts(cloud, Verdict.TOO_SMALL)

    original, thumbnail = cloud.upload(large), cloud.upload(small)

    assert thumbnail["near_duplicate_of"] == original["id"]
    assert thumbnail["verification"]["shares_renditions"] is False
    assert thumbnail["renditions"][0]["url"] != original["renditions"][0]["url"]
    (pair,) = pairs_of(cloud, likeness="too_small")
    assert pair["likeness"] == "too_small"


def test_a_page_of_one_likeness_goes_on_behind_pairs_of_others(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalog.adapters.pairs_table._FILTERED_SCAN", 2)
    pairs, now = Pairs("PairsTable"), datetime(2026, 11, 24, tzinfo=UTC)
    wanted = []
    for number in range(6):
        said = Verdict.SUSPECTED if number in (0, 1, 5) else Verdict.DIFFERENT
        key, other = key_of(f"one {number}"), key_of(f"other {number}").id
        likeness, seen_at = Likeness(said, {}, "tone"), now + timedelta(seconds=number)
        pairs.record(key, other, distance=3, likeness=likeness, now=seen_at)
        wanted += [sorted((key.id, other))] * (said is Verdict.SUSPECTED)

    found, cursor, pages = [], "", 0
    while cursor is not None:
        query = {"likeness": "suspected", "limit": "1"} | ({"cursor": cursor} if cursor else {})
        page = cloud.call("duplicates", "GET", "/duplicates", query=query).json
        found += [pair["ids"] for pair in page["duplicates"]]
        cursor, pages = page["cursor"], pages + 1

    assert found == wanted[::-1]
    assert pages >= 3


def test_pairs_of_before_the_four_words_are_the_same_or_different(cloud: Cloud) -> None:
    pairs, key = Pairs("PairsTable"), key_of("one")
    for other, refusal in (("joined", None), ("refused", "detail")):
        likeness = Likeness(Verdict.SUSPECTED, {}, refusal)
        pairs.record(key, key_of(other).id, distance=3, likeness=likeness, now=datetime.now(UTC))
        range_key = "#".join(sorted((key.id, key_of(other).id)))
        cloud.dynamodb.update_item(
            TableName="PairsTable",
            Key={"tenant": {"S": "acme"}, "pair": {"S": range_key}},
            UpdateExpression="REMOVE verdict",
        )

    assert len(pairs_of(cloud, likeness="same")) == len(pairs_of(cloud, likeness="different")) == 1


def test_an_unknown_likeness_is_refused(cloud: Cloud) -> None:
    assert cloud.call("duplicates", "GET", "/duplicates", query={"likeness": "alike"}).status == 400

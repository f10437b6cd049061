import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from PIL import Image as Picture
from rich.console import Console

from catalog_images import (
    ApiError,
    CatalogClient,
    Comparison,
    Encoding,
    Image,
    Metrics,
    PresetComparison,
    PurgeRun,
    Rendition,
    Ticket,
)
from infra.local.demo import show
from infra.local.photos import Photo
from infra.local.report import End, Row
from infra.local.tour import tour
from infra.local.tour.acts import Act, sku
from infra.local.tour.comparing import showpieces
from infra.local.tour.likeness import half_size_webp, near_duplicates
from infra.local.tour.metrics import counted, usage
from infra.local.tour.purging import empty, purge
from infra.local.tour.referring import references
from infra.pictures import images


@dataclass
class FakeCatalog:
    """The API of one tenant as the tour sees it.  WebP is taken for a near-duplicate of what came before."""

    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    merges: list[bool] = field(default_factory=list)  # the verdicts on WebPs, in turn; True when used up
    shares_foreign: bool = False
    saves: bool = True  # a reference taken after the dry run counts
    lag: int = 0  # readings of the metrics that are of an earlier time
    puts: list[str] = field(default_factory=list)
    proposals: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def announce(self, *, sha256: str, size_bytes: int, content_type: str, filename: str) -> Image | Ticket:
        if sha256 in self.documents:
            return self.get(sha256)
        merged = content_type == "image/webp" and (self.merges.pop(0) if self.merges else True)
        of = next(reversed(self.documents)) if merged else None
        holder = of if of and not self.shares_foreign else sha256
        self.documents[sha256] = {
            "id": sha256,
            "original_filename": filename,
            "original_size_bytes": size_bytes,
            "original_width": 400,
            "original_height": 300,
            "references": [],
            "near_duplicate_of": of,
            "verification": {"shares_renditions": True, "distance": 3, "scores": {"tone": 0.5}}
            if of
            else None,
            "renditions": [
                Rendition("thumb-v", "thumb", f"http://s3/{holder}?sig={sha256}", 10, 200, 150, 85)
            ],
            "updated_at": datetime.now(UTC).isoformat(),
        }
        return Ticket(sha256, "", {}, "")

    def put(self, ticket: Ticket, data: bytes) -> None:
        assert hashlib.sha256(data).hexdigest() == ticket.id
        self.puts.append(ticket.id)

    def upload(self, data: bytes, *, content_type: str, filename: str) -> Image | Ticket:
        announced = self.announce(
            sha256=hashlib.sha256(data).hexdigest(),
            size_bytes=len(data),
            content_type=content_type,
            filename=filename,
        )
        if isinstance(announced, Ticket):
            self.put(announced, data)
        return announced

    def get(self, id_: str) -> Image:
        if id_ not in self.documents:
            raise ApiError(404, "image_not_found", "")
        document = self.documents[id_]
        held = any(other["near_duplicate_of"] == id_ for other in self.documents.values())
        shown = document | {"in_use_count": len(document["references"]) + held}
        return Image(id_, "ready", None, tuple(document["renditions"]), shown)

    def wait(self, id_: str, **_: object) -> Image:
        return self.get(id_)

    def images(self) -> Iterator[Image]:
        return iter([self.get(id_) for id_ in self.documents])

    def refer(self, id_: str, reference: str) -> Image:
        names = self.documents[id_]["references"]
        names += [reference] if reference not in names else []
        return self.get(id_)

    def release(self, id_: str, reference: str) -> Image:
        self.documents[id_]["references"].remove(reference)
        return self.get(id_)

    def propose_purge(self, **_: object) -> PurgeRun:
        found = tuple(image.id for image in self.images() if image.in_use_count == 0)
        token = f"token-number-{len(self.proposals)}"
        self.proposals[token] = found
        return PurgeRun("run", "proposed", found, 100 * len(found), 0, {}, token)

    def confirm_purge(self, confirm_token: str) -> PurgeRun:
        if confirm_token not in self.proposals:
            raise ApiError(409, "confirm_token_used", "")
        found = self.proposals.pop(confirm_token)
        kept = {id_: "in_use" for id_ in found if self.saves and self.get(id_).in_use_count}
        for id_ in set(found) - set(kept):
            del self.documents[id_]
        return PurgeRun("run", "completed", found, 0, len(found) - len(kept), kept, None)

    def compare(self, _: bytes, **__: object) -> Comparison:
        formats = (Encoding("jpeg", 5432, 0.1358, 0.961), Encoding("webp", 4321, 0.108, 0.955))
        thumb = PresetComparison("thumb", 200, 200, False, "jpeg", formats, "webp")
        zoom = PresetComparison("zoom", 400, 300, True, "jpeg", formats, "webp")
        return Comparison((thumb, zoom), "thumb", "webp", 0.95)

    def metrics(self) -> Metrics:
        if self.lag:
            self.lag -= 1
            return Metrics({"demo": 0}, 0, {}, 0, 0, 0)
        count = counted(self.images())
        return Metrics(
            {"demo": count.images}, count.bytes_originals, count.bytes_per_preset, 2, 2000, count.rejected
        )

    @property
    def client(self) -> CatalogClient:
        return cast(CatalogClient, self)


@pytest.fixture
def photo(tmp_path: Path) -> Callable[..., Photo]:
    def write(name: str, seed: int = 1, size: tuple[int, int] = (400, 300)) -> Photo:
        path = tmp_path / name
        path.write_bytes(data := images.jpeg_bytes(images.product_photo(seed, size)))
        return Photo(path, name, len(data), hashlib.sha256(data).hexdigest(), "image/jpeg")

    return write


def sent(catalog: FakeCatalog, photo: Photo) -> Row:
    catalog.upload(photo.read(), content_type="image/jpeg", filename=photo.name)
    return Row(photo.name, End.READY, photo.size_bytes, id=photo.sha256, width=400, height=300)


def text(act: Act, *, width: int = 160) -> str:
    output = io.StringIO()
    show(iter([act]), console=Console(file=output, width=width))
    return output.getvalue()


def test_the_tour_shows_every_act_and_breaks_no_promise(photo: Callable[..., Photo]) -> None:
    demo, cleanup = FakeCatalog(), FakeCatalog()
    mug = photo("mug.jpg")
    row = sent(demo, mug)
    for _ in range(2):
        acts = list(tour(demo.client, cleanup.client, rows=[row], photos=[mug]))
        assert [act.title for act in acts] == [
            "References", "Compare", "Near-duplicates", "Purge", "Metrics"
        ]  # fmt: skip
        assert [promise for act in acts for promise in act.broken] == []
        assert demo.puts == [mug.sha256]


def test_the_tour_goes_without_photos_where_none_became_ready() -> None:
    demo, cleanup = FakeCatalog(), FakeCatalog()
    assert [act.title for act in tour(demo.client, cleanup.client, rows=[], photos=[])] == [
        "Purge",
        "Metrics",
    ]


def test_an_image_that_two_files_show_is_used_by_both(photo: Callable[..., Photo]) -> None:
    catalog = FakeCatalog()
    row = sent(catalog, photo("mug.jpg"))
    act = references(catalog.client, [row, replace(row, file="copy.jpg")])
    assert catalog.documents[str(row.id)]["references"] == [sku("mug.jpg"), sku("copy.jpg")]
    assert "2 files use 1 images: 2 references taken" in act.said and not act.broken


def test_references_of_an_earlier_run_are_not_taken_again(photo: Callable[..., Photo]) -> None:
    catalog = FakeCatalog()
    row = sent(catalog, photo("mug.jpg"))
    references(catalog.client, [row])
    assert "every reference was there" in references(catalog.client, [row]).said


def test_the_photo_compared_is_the_largest_that_takes_no_more_than_two_seconds(
    photo: Callable[..., Photo],
) -> None:
    photos = [photo(f"{side}.jpg", size=(side, side)) for side in (10, 20, 30)]
    rows = [
        Row(each.name, End.READY, each.size_bytes, id=each.sha256, width=side, height=side)
        for each, side in zip(photos, (300, 1800, 4000), strict=True)
    ]
    assert [each.name for each in showpieces(rows, photos)] == ["20.jpg", "10.jpg", "30.jpg"]
    too_large = [replace(row, size_bytes=4_500_001) for row in rows]
    assert showpieces(too_large, photos) == []


def test_on_80_columns_every_word_of_the_tables_stays_whole(photo: Callable[..., Photo]) -> None:
    demo, name = FakeCatalog(), photo("a-product-name-that-is-longer-than-most-of-them.jpg")
    acts = list(tour(demo.client, FakeCatalog().client, rows=[sent(demo, name)], photos=[name]))
    shown = "\n".join(text(act, width=80) for act in acts)

    for word in (
        "a-product-na…of-them.jpg",
        "Bytes/pixel",
        "recommended",
        "SKU-LATE",
        "found",
        "Confirmed",
    ):
        assert word in shown


def test_a_comparison_is_shown_by_preset_and_format_with_what_to_take(photo: Callable[..., Photo]) -> None:
    demo, mug = FakeCatalog(), photo("mug.jpg")
    acts = tour(demo.client, FakeCatalog().client, rows=[sent(demo, mug)], photos=[mug])
    shown = text(next(act for act in acts if act.title == "Compare"))
    for said in ("thumb 200x200", "5.4 kB", "0.136", "0.955", "not enlarged", "take thumb as webp"):
        assert said in shown


def test_a_near_duplicate_is_shown_with_its_original_and_scores(photo: Callable[..., Photo]) -> None:
    act = near_duplicates(FakeCatalog().client, [photo("mug.jpg"), photo("unused.jpg", 2)])
    shown = text(act)
    for said in ("mug.jpg", "~ those of the one above", "differ in 3 of 256 bits", "tone 0.50"):
        assert said in shown
    assert "unused" not in shown and not act.broken


def test_where_the_pixels_leave_a_doubt_the_next_photo_is_tried(photo: Callable[..., Photo]) -> None:
    catalog = FakeCatalog(merges=[False])
    shown = text(near_duplicates(catalog.client, [photo("first.jpg"), photo("second.jpg", 2)]))
    assert "first-half.webp may show something else" in shown and "~ those of the one above" in shown


def test_a_near_duplicate_that_shows_other_renditions_is_a_broken_promise(
    photo: Callable[..., Photo],
) -> None:
    assert near_duplicates(FakeCatalog(shares_foreign=True).client, [photo("mug.jpg")]).broken


@pytest.mark.parametrize("orientation", [1, 6])
def test_the_half_size_webp_is_upright(tmp_path: Path, orientation: int) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(data := images.oriented(images.product_photo(2, (300, 200)), orientation))
    webp = half_size_webp(Photo(path, "a.jpg", len(data), "", "image/jpeg"))
    with Picture.open(io.BytesIO(webp)) as half:
        assert (half.format, half.size) == ("WEBP", (150, 100))


def test_a_purge_shows_one_image_in_use_one_saved_and_one_deleted() -> None:
    catalog = FakeCatalog()
    act = purge(catalog.client)
    shown = text(act)
    assert not act.broken and len(catalog.documents) == 2
    for said in ("in use by 1", "kept: in_use", "deleted", "image not found", "409 confirm_token_used"):
        assert said in shown


def test_a_purge_that_deletes_what_was_taken_meanwhile_is_a_broken_promise() -> None:
    broken = purge(FakeCatalog(saves=False).client).broken
    assert "not so: a reference taken before the confirmation saved its image" in broken


def test_a_tenant_is_emptied_with_what_a_near_duplicate_holds(photo: Callable[..., Photo]) -> None:
    catalog = FakeCatalog()
    near_duplicates(catalog.client, [photo("mug.jpg")])
    purge(catalog.client)
    empty(catalog.client)
    assert catalog.documents == {}


def test_metrics_are_waited_for_until_they_equal_a_count(
    photo: Callable[..., Photo], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.local.tour.metrics._POLL_SECONDS", 0)
    catalog = FakeCatalog(lag=3)
    near_duplicates(catalog.client, [photo("mug.jpg")])
    act = usage({"demo": catalog.client})
    assert not act.broken
    assert "10 B" in text(act)  # the thumb that both images show is stored once


def test_metrics_that_never_equal_a_count_are_a_broken_promise(photo: Callable[..., Photo]) -> None:
    catalog = FakeCatalog(lag=10)
    near_duplicates(catalog.client, [photo("mug.jpg")])
    assert usage({"demo": catalog.client}, patience=0).broken


def test_an_image_too_wide_for_a_webp_is_told_and_the_next_one_tried(tmp_path: Path) -> None:
    path = tmp_path / "long.jpg"
    path.write_bytes(data := images.jpeg_bytes(images.flat((9, 9, 9), (40_000, 40))))

    act = near_duplicates(FakeCatalog().client, [Photo(path, "long.jpg", len(data), "", "image/jpeg")])

    assert (act.said, act.broken) == ("no half-size WebP can be made of long.jpg", ())

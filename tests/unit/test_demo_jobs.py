"""The demo's acts about a whole catalog: what they show, and that each broken promise is told."""

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from catalog_images import ApiError, CatalogClient, Image, Job, Rendition
from infra.local.contact_sheet import Change, ContactSheet
from infra.local.demo import show
from infra.local.deploy import Stack
from infra.local.photos import Photo
from infra.local.progress import progress
from infra.local.tour import catalog_jobs
from infra.local.tour.acts import Act
from infra.local.tour.jobs import Shop
from infra.local.tour.moving_in import moving_in
from infra.local.tour.presets import change_of_a_preset, other_shape
from infra.pictures import images

PRESETS = '[{"name":"thumb","width":2,"height":2},{"name":"card","width":6,"height":6}]'


@dataclass
class FakeShop:
    """A deployment with one tenant, whose jobs are over at once.  Each fault breaks one promise."""

    fault: str = ""
    presets: str = PRESETS
    bucket: dict[str, bytes] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    shown: dict[str, str] = field(default_factory=dict)  # id -> the presets its renditions are of
    stored: dict[str, int] = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list)

    # --- the API ---

    def start_job(self, kind: str, *, dry_run: bool, tenant: str, **_: object) -> Job:
        assert tenant == "shop"
        does = {"import": self._import, "rebuild": self._rebuild}[kind]
        done, skipped = does(dry_run)
        failed = self.fault == "job"
        document = {
            "reason": "out of luck" if failed else None,
            "estimate": {"dollars": 0.0012, "seconds": 3.0},
            "created_at": "2026-11-30T00:00:00.000Z",
            "ended_at": "2026-11-30T00:00:02.500Z",
        }
        state = "failed" if failed else "completed"
        counts = {"rendered": done, "bytes_stored": 1000 * done}
        self.jobs.append(
            Job(str(len(self.jobs)), kind, state, dry_run, done + skipped, done, skipped, 0, counts, document)
        )
        return self.jobs[-1]

    def wait_for_job(self, job_id: str, *, progress: Callable[[Job], None], **_: object) -> Job:
        job = self.jobs[int(job_id)]
        if self.fault == "dark":
            self._remove_old()
        progress(job)
        if job.kind == "rebuild" and not job.dry_run and self.fault != "orphans":
            self._remove_old()
        return job

    def failures_of(self, _: str) -> Iterator[Mapping[str, str]]:
        return iter(())

    def images(self, **_: object) -> Iterator[Image]:
        return (self.get(id_) for id_ in self.shown)

    def get(self, id_: str) -> Image:
        document = {"updated_at": "", "verification": None, "original_filename": "mug.jpg"}
        return Image(id_, "ready", None, tuple(self._renditions(id_)), document)

    def download(self, rendition: Rendition) -> bytes:
        key = rendition.url.partition("/renditions/")[2]
        if f"renditions/{key}" not in self.stored and self.fault != "for ever":
            raise ApiError(404, "NoSuchKey", "")
        return b"x" * rendition.size_bytes

    # --- what jobs do ---

    def _import(self, dry_run: bool) -> tuple[int, int]:
        new = set(self.bucket) - (set() if self.fault == "twice" else self.seen)
        if not dry_run:
            self.seen |= new
            for key in sorted(new)[self.fault == "lost" :]:
                self.shown[hashlib.sha256(self.bucket[key]).hexdigest()] = self.presets
            self._store()
        return len(new), len(self.bucket) - len(new)

    def _rebuild(self, dry_run: bool) -> tuple[int, int]:
        stale = [id_ for id_, presets in self.shown.items() if presets != self.presets]
        if not dry_run and self.fault != "stale":
            self.shown = dict.fromkeys(self.shown, self.presets)
            self._store()
        return len(stale), len(self.shown) - len(stale)

    def _remove_old(self) -> None:
        self.stored.clear()
        self._store()

    def _store(self) -> None:
        for id_ in self.shown:
            for rendition in self._renditions(id_):
                self.stored[f"renditions/{rendition.url.partition('/renditions/')[2]}"] = rendition.size_bytes

    def _renditions(self, id_: str) -> list[Rendition]:
        version = hashlib.sha256(self.shown[id_].encode()).hexdigest()[:4]
        url = f"http://s3/bucket-of-renditions/renditions/shop/{id_}"
        return [
            Rendition(f"{name}-{version}", name, f"{url}/{name}-{version}.jpg", 9, side, side, 85)
            for name, side in (("thumb", 2), ("card", 6))
        ]

    # --- the account ---

    def client(self, _: str) -> Any:
        paginator = SimpleNamespace(paginate=self._listed)
        return SimpleNamespace(
            create_bucket=lambda **_: None,
            put_object=lambda **put: self.bucket.update({put["Key"]: put["Body"]}),
            get_paginator=lambda _: paginator,
        )

    def _listed(self, Prefix: str, **_: object) -> list[dict[str, Any]]:  # noqa: N803 - boto's name
        found = [(key, size) for key, size in self.stored.items() if key.startswith(Prefix)]
        return [{"Contents": [{"Key": key, "Size": size} for key, size in found]}]

    def parameters(self) -> dict[str, str]:
        return {"Presets": self.presets, "OldRenditionsSeconds": "5"}


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[FakeShop], Shop]:
    def made(fake: FakeShop) -> Shop:
        @contextmanager
        def deployed_with(_: object, **parameters: str) -> Iterator[None]:
            before, fake.presets = fake.presets, parameters["Presets"]
            yield
            fake.presets = before

        monkeypatch.setattr("infra.local.tour.presets.deployed_with", deployed_with)
        stack = SimpleNamespace(
            client=fake.client,
            parameters=fake.parameters,
            outputs={"OriginalsBucket": "o", "RenditionsBucket": "r"},
            emulator=SimpleNamespace(account="1"),
        )
        sheet, console = ContactSheet(tmp_path / "sheet"), Console(file=io.StringIO())
        return Shop("shop", cast(CatalogClient, fake), cast(Stack, stack), sheet, console)

    return made


@pytest.fixture
def photos(tmp_path: Path) -> list[Photo]:
    made = []
    for seed in (1, 2, 3):
        path = tmp_path / f"{seed}.jpg"
        path.write_bytes(data := images.jpeg_bytes(images.product_photo(seed, (60, 40))))
        made.append(Photo(path, path.name, len(data), hashlib.sha256(data).hexdigest(), "image/jpeg"))
    return made


def text(acts: list[Act]) -> str:
    output = io.StringIO()
    show(iter(acts), console=Console(file=output, width=80))
    return output.getvalue()


def test_both_acts_keep_their_promises_in_one_run_and_in_the_next(
    shop: Callable[[FakeShop], Shop], photos: list[Photo]
) -> None:
    fake = FakeShop()
    for _ in range(2):
        written: list[list[Change]] = []
        acts = list(catalog_jobs(shop(fake), photos, written.append))

        assert [act.title for act in acts] == ["Import", "Change a preset"]
        assert [promise for act in acts for promise in act.broken] == []
        ((change,),) = written
        assert (change.before.preset, change.before.id == change.after.id) == ("card", False)
        assert fake.presets == PRESETS
        for said in ("rendered", "3.0 kB", "0.0012", "2.5 s", "3 objects", "and back"):
            assert said in text(acts)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("lost", "1.jpg was laid in the old bucket and came to nothing"),
        ("twice", "importing again did something"),
        ("job", "the job import ended failed: out of luck"),
    ],
)
def test_an_import_that_breaks_a_promise_says_so(
    shop: Callable[[FakeShop], Shop], photos: list[Photo], fault: str, told: str
) -> None:
    assert any(told in promise for promise in moving_in(shop(FakeShop(fault)), photos).broken)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("orphans", "is stored, and no image shows it"),
        ("dark", "went dark too soon"),
        ("stale", "has the card from before"),
        ("stale", "something is left to rebuild"),
        ("for ever", "the old address works for ever"),
        ("job", "the job rebuild ended failed: out of luck"),
    ],
)
def test_a_rebuild_that_breaks_a_promise_says_so(
    shop: Callable[[FakeShop], Shop], photos: list[Photo], fault: str, told: str
) -> None:
    fake = FakeShop()
    moving_in(shop(fake), photos)
    fake.fault = fault
    act, _ = change_of_a_preset(shop(fake))
    assert any(told in promise for promise in act.broken)
    assert act.said == ""


def test_the_middle_preset_gets_another_shape_and_the_others_keep_theirs() -> None:
    presets = [
        {"name": name, "width": side, "height": side} for name, side in (("a", 9), ("b", 400), ("c", 40))
    ]
    name, changed = other_shape(presets)
    assert (name, changed[2]) == ("c", {"name": "c", "width": 40, "height": 30, "fit": "cover"})
    assert changed[:2] == presets[:2]
    assert other_shape(changed)[1][2]["height"] == 40


def test_progress_is_a_line_at_the_end_where_there_is_no_terminal() -> None:
    output = io.StringIO()
    with progress(Console(file=output), "rebuild", starting="workers start") as advance:
        for done in range(5):
            advance(done, 4)
    assert output.getvalue().splitlines() == ["  workers start", "  4 of 4 rebuild, 0 s"]

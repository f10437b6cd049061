"""What the near-duplicate benchmark compares: its edits, its hard negatives, and what it calls visible."""

import io
import json
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from benchmarks._colours import from_lab, lab
from benchmarks._edits import EDITS, FRAMES, GROUPS, content_box, halved_stepwise, jpeg
from benchmarks._hard_negatives import (
    FINE_FROM,
    HardNegative,
    darkened,
    is_visible,
    near_white_shape,
    on_drawn_product,
    on_image,
    ribbed,
    shows_another_product,
    with_print,
)
from benchmarks._sizes import at_size
from benchmarks._verdicts import Outcome, counted, outcome, uploaded
from benchmarks.near_duplicates import (
    SECTIONS,
    Scope,
    edits_of,
    goals_of,
    measured,
    negatives_of,
    spread,
)
from catalog.domain.near_duplicates import Verdict
from infra.pictures.products import Drawn, drawn

MUG = Drawn(
    shape="mug",
    body=(38, 92, 160),
    accent=(228, 172, 52),
    label="500 ml",
    text_size=20,
    badge="",
    handle="left",
    width=0.5,
    height=0.7,
    grain=1.5,
    seed=3,
)


@pytest.fixture(scope="module")
def mug() -> Image.Image:
    return drawn(MUG, 300)


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    """Noise to its edges, so without a margin."""
    grain = np.random.default_rng(1).normal(128, 40, (30, 40, 3))
    return Image.fromarray(np.clip(grain, 0, 255).astype(np.uint8)).resize((400, 300))


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_every_edit_of_a_product_shot_is_a_file_of_another_content(group: object, mug: Image.Image) -> None:
    edits = getattr(group, "edits")  # noqa: B009 (object: pytest's ids lose the type)
    files = {name: edit(mug) for name, edit in edits.items()}
    assert all(Image.open(io.BytesIO(data)).size for data in files.values() if data)
    unchanged = {name for name, data in files.items() if data and _same(data, mug)}
    assert unchanged <= {"PNG"}
    made = [data for data in files.values() if data]
    assert len(set(made)) == len(made)


def _same(data: bytes, image: Image.Image) -> bool:
    edited = Image.open(io.BytesIO(data))
    return edited.size == image.size and edited.convert("RGB").tobytes() == image.tobytes()


def test_a_product_shot_is_trimmed_to_the_product(mug: Image.Image) -> None:
    assert content_box(mug) == pytest.approx((75, 87, 262, 255), abs=4)


def test_a_photo_to_the_edges_has_nothing_to_trim(photo: Image.Image) -> None:
    assert FRAMES["margins trimmed"](photo) is None


def test_a_canvas_brings_a_picture_to_a_third(photo: Image.Image) -> None:
    assert halved_stepwise(photo, 33).size == (132, 99)


@pytest.mark.parametrize("edit", ["PNG8", "PNG8, dithered"])
def test_a_png8_has_256_colours(edit: str, photo: Image.Image) -> None:
    data = EDITS[edit](photo)
    assert data is not None
    colours = Image.open(io.BytesIO(data)).convert("RGB").getcolors(256)
    assert colours is not None


def test_an_enlarged_picture_has_grain_and_its_white_has_none() -> None:
    half = Image.new("RGB", (100, 50), "white")
    half.paste((120, 120, 120), (0, 0, 50, 50))
    levels = np.asarray(at_size(half, 300), np.float32)
    assert levels.shape == (150, 300, 3)
    assert levels[:, 160:].min() == 255
    assert 1 < levels[:, :130].std() < 4


@pytest.mark.parametrize("side", [300, FINE_FROM])
def test_every_change_is_drawn_at_the_size_asked_for(side: int, photo: Image.Image) -> None:
    changes = on_image(photo, "photo", 1, side) + on_drawn_product(1, side) + [near_white_shape(2, side)]
    for kind, change in {change.kind: change for change in changes}.items():
        pair = change.drawn()
        assert {max(pair.left.size), max(pair.right.size)} == {side}, kind
    fine = {change.kind for change in changes if "fine" in change.kind}
    assert fine == (
        {"fine print", "fine print gone", "recoloured part, fine"} if side >= FINE_FROM else set()
    )


def test_fine_print_has_its_pixels_at_any_size() -> None:
    plain = replace(MUG, label="", grain=0.0)
    for side in (800, 1600):
        changed = np.asarray(drawn(plain, side), np.int16) - np.asarray(
            drawn(replace(plain, fine_print="64 GB", fine_size=12), side), np.int16
        )
        rows = np.flatnonzero(np.abs(changed).max(axis=(1, 2)) > 40)
        assert 6 <= rows[-1] - rows[0] <= 14


@pytest.mark.parametrize("degrees", [0, 45, 90])
def test_ribs_keep_the_mean(degrees: int, mug: Image.Image) -> None:
    shirt = mug.resize((150, 150))
    ribs = ribbed(shirt, degrees, amplitude=12, period=6, at=(75, 75))
    held = np.clip(np.asarray(shirt, np.int16), 12, 243)
    change = np.asarray(ribs, np.int16) - held
    assert abs(change.mean()) < 0.2
    assert 9 <= np.abs(change).max() <= 12


def test_lab_and_back_is_the_same_picture(photo: Image.Image) -> None:
    back = np.asarray(from_lab(lab(photo)), np.int16)
    assert np.abs(back - np.asarray(photo, np.int16)).max() <= 1


def test_print_in_the_colour_of_its_ground_is_not_visible(mug: Image.Image) -> None:
    assert not is_visible(HardNegative("print", "", "mug", mug, mug.copy()))
    assert is_visible(HardNegative("print", "", "mug", mug, with_print(mug, "64 GB", 14, (0.4, 0.4))))


def test_a_person_tells_black_from_navy_and_not_from_a_shade_of_black(mug: Image.Image) -> None:
    black, darker, navy = (darkened(mug, ab) for ab in ((0.0, 0.0), (0.5, -1.0), (4.0, -14.0)))
    assert not shows_another_product(black, darker)
    assert shows_another_product(black, navy)


def test_a_detail_in_another_colour_is_another_product(mug: Image.Image) -> None:
    other = mug.copy()
    other.paste((200, 30, 40), (130, 130, 148, 148))
    assert shows_another_product(mug, other)


def test_as_many_changes_of_each_kind_are_tried(photo: Image.Image) -> None:
    changes = on_image(photo, "photo", 1, 300)
    chosen = Counter(change.kind for change in spread(changes, 20, random.Random(1)))  # noqa: S311
    assert sum(chosen.values()) == 20
    assert chosen.keys() == {change.kind for change in changes}
    assert max(chosen.values()) == 2


def test_a_pair_merges_only_if_the_candidate_stage_proposes_it() -> None:
    proposed = Outcome(True, Verdict.SAME, None, 0.5, symmetric=True)
    verdicts = counted(
        [
            proposed,
            replace(proposed, candidate=False),
            replace(proposed, verdict=Verdict.SUSPECTED),
            replace(proposed, verdict=Verdict.DIFFERENT),
        ]
    )
    assert (verdicts.candidates, verdicts.merged, verdicts.paired) == (3, 1, 2)
    assert verdicts.by_verdict[Verdict.SAME] == 2


def test_an_image_merges_with_itself_and_not_with_its_mirror_image(mug: Image.Image) -> None:
    first, again, mirror = (uploaded(jpeg(image, 90)) for image in (mug, mug.copy(), ImageOps.mirror(mug)))
    assert outcome(first, again).merged
    mirrored = outcome(first, mirror)
    assert mirrored.verdict is Verdict.DIFFERENT
    assert mirrored.symmetric


def test_an_image_is_edited_at_every_size(mug: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "mug.png"
    mug.resize((100, 100)).save(path)
    results = edits_of((path, 120))
    assert {result.group for result in results} == {group.name for group in GROUPS}
    assert {result.size for result in results} == {120}
    merging = [result for result in results if result.edit in EDITS]
    assert {result.edit for result in merging} == EDITS.keys() - {"2,048 px and JPEG q71, then q70"}
    assert all(result.distances for result in merging)


def test_a_negative_is_tried_at_full_half_and_quarter_size() -> None:
    results = negatives_of(("near-white", 3, 300, 1))
    assert [result.scale for result in results] == ["full", "half", "quarter"]
    assert all(result.visible and result.outcome.symmetric for result in results)


def test_every_section_is_measured_printed_and_held_against_its_goals(
    mug: Image.Image, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for colour, turned in {"blue": 0, "navy": 180}.items():
        mug.rotate(turned).resize((80, 80)).save(tmp_path / f"mug-{colour}.png")
    scope = Scope(sizes=(72,), sample=1, negatives_on=1, changes=2)
    with ThreadPoolExecutor(1) as pool:
        figures = measured(pool, tmp_path, tmp_path, scope, SECTIONS)
    assert figures["variants"]["pairs"] == 1
    goals = [goal.name for goal in goals_of(figures, scope, 0.98)]
    assert "re-encoded or resized, 72 px: merged or linked" in goals
    assert "variants told to be the same, one of half size" in goals
    assert "a verification of the same picture, median" in goals
    printed = capsys.readouterr().out
    assert "| candidates, then verified |" in printed
    assert "| levels 245 to 255 " in printed
    json.dumps(figures)

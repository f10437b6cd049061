"""What the render benchmark makes of images and of engines that are not there."""

import math

import numpy as np
from PIL import Image

from benchmarks._engines import LIBVIPS, OURS, PILLOW, SHARP, Run
from benchmarks.render import Measured, Results, continued, goals
from infra.pictures import images


def measured(cpu: float, peak: int = 1, ssim: float = 0.97) -> Measured:
    engine = Measured(peak=peak, ssim={"a": ssim})
    engine.add("a", Run(cpu, cpu))
    return engine


def test_a_small_photo_is_continued_by_its_mirror_image_and_a_large_one_scaled_down() -> None:
    photo = images.noisy_scene(1, (40, 30))
    filled = np.asarray(continued(photo, (100, 20)))
    assert filled.shape == (20, 100, 3)
    assert (filled[:, :40] == np.asarray(photo)[:20]).all()
    assert (filled[:, 40:80] == np.asarray(photo)[:20, ::-1]).all()
    assert continued(photo, (20, 15)).tobytes() == photo.resize((20, 15), Image.Resampling.LANCZOS).tobytes()


def test_the_worst_size_decides_a_goal() -> None:
    results: Results = {
        ("JPEG", "2 MP"): {
            OURS: measured(9),
            PILLOW: measured(99),
            LIBVIPS: measured(10),
            SHARP: measured(30),
        },
        ("JPEG", "12 MP"): {
            OURS: measured(9),
            PILLOW: measured(99),
            LIBVIPS: measured(90),
            SHARP: measured(30),
        },
    }
    told = {goal.name: (goal.measured, goal.met) for goal in goals(results)}
    assert told["CPU, JPEG, ours of libvips, worst size"] == (0.9, False)
    assert told["CPU, JPEG, ours of sharp, worst size"] == (0.3, True)


def test_the_least_of_an_originals_rounds_counts() -> None:
    engine = measured(3.0)
    engine.add("a", Run(cpu=2.0, wall=5.0))
    assert (engine.cpu, engine.wall) == ({"a": 2.0}, {"a": 3.0})


def test_a_goal_is_not_met_by_a_peer_that_did_not_run() -> None:
    results: Results = {("PNG", "2 MP"): {OURS: measured(1), PILLOW: measured(9), LIBVIPS: measured(9)}}
    told = {goal.name: goal for goal in goals(results)}
    missing = told["CPU, PNG, ours of sharp, worst size"]
    assert math.isnan(missing.measured)
    assert not missing.met
    assert told["CPU, PNG, ours of libvips, worst size"].met

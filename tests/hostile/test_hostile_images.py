"""Hostile files: whatever the bytes, a rejection by name or correct renditions, within memory and work.

What is heavy runs in processes of its own.  Work is counted, never timed: steps of Python and pictures made.
The limit of processor time only ends a process that would not end by itself; it is far above what is used.
"""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from catalog.domain.rejections import ImageRejectedError
from catalog.domain.sources import DEFAULT_PIXEL_LIMITS, parse_pixel_limits
from imaging import originals
from infra.pictures import hostile, images
from infra.pictures.hostile import ATTACKS, SEEDS
from infra.template import APPLICATION, FUNCTIONS, GLOBALS
from tests.fuzz.promise import kept

FOUND = sorted((Path(__file__).parents[1] / "fuzz" / "corpus").iterdir())

# Of one attack of up to 10 MB, through all entrances, renditions made twice.
ATTACK_MEMORY = 400  # MiB of a process that has run all of them
ATTACK_STEPS = 5_000_000  # loops, calls and resumptions in Python code; the most is 3.9 million
ATTACK_PICTURES = 120  # allocated by Pillow, as for a plain PNG of 1024 x 960, whatever a file holds
RUNAWAY_SECONDS = 600  # CPU


@pytest.mark.parametrize("name", SEEDS)
def test_a_valid_file_of_any_format_and_mode_is_accepted(name: str) -> None:
    assert kept(SEEDS[name]) in (hostile.SIZE, hostile.SIZE[::-1])


@pytest.mark.parametrize("name", SEEDS)
def test_a_file_cut_at_a_boundary_of_its_structure_is_rejected_or_shown(name: str) -> None:
    for data in hostile.cut_at_boundaries(SEEDS[name]):
        kept(data)


@pytest.mark.parametrize("name", SEEDS)
def test_a_file_whose_lengths_counts_and_offsets_lie_is_rejected_or_shown(name: str) -> None:
    # Every third lie, another one at each boundary: the fuzzer tells them all.
    for data in itertools.islice(hostile.with_lies(SEEDS[name]), 0, None, 3):
        kept(hostile.repaired(data))


@pytest.mark.parametrize("name", SEEDS)
@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_file_with_any_bits_flipped_is_rejected_or_shown(name: str, data: st.DataObject) -> None:
    mutated = SEEDS[name]
    # Headers are where sizes, counts and offsets lie: half of all flips go to the first 300 bytes.
    places = st.one_of(st.integers(0, 8 * 300), st.integers(0, 8 * len(mutated) - 1))
    for bit in data.draw(st.lists(places, min_size=1, max_size=6)):
        mutated = images.with_bit_flipped(mutated, bit)
    kept(hostile.repaired(mutated))


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.name)
def test_what_fuzzing_once_found_is_rejected_or_shown(path: Path) -> None:
    kept(path.read_bytes())


def child(script: str, *arguments: str, memory: int) -> list[dict[str, object]]:
    """The JSON lines a script writes, run in a process of `memory` MiB of addresses.

    It must write nothing else, to stderr neither.
    """
    layers = [entry for entry in sys.path if "layers" in entry]
    prelude = f"""
import json, resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_CPU, ({RUNAWAY_SECONDS}, {RUNAWAY_SECONDS}))
if sys.platform == "linux":
    resource.setrlimit(resource.RLIMIT_AS, ({memory} * 2**20, {memory} * 2**20))
sys.path[:0] = {[str(Path(__file__).parents[2]), *layers]!r}

def peak():
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would count the parent of the fork too
        return next(int(line.split()[1]) for line in status.open() if line.startswith("VmHWM")) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 2**20

def tell(**facts):
    print(json.dumps(facts | {{"peak": peak()}}), flush=True)
"""
    run = subprocess.run(
        [sys.executable, "-c", prelude + script, *arguments], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (0, ""), run.stdout[-500:] + run.stderr[-2000:]
    return [json.loads(line) for line in run.stdout.splitlines()]


_ATTACKED = """
from PIL import Image
from infra.pictures.hostile import ATTACKS
from tests.fuzz.promise import kept
steps, tool, events = 0, sys.monitoring.PROFILER_ID, sys.monitoring.events

def step(*_):
    global steps
    steps += 1

sys.monitoring.use_tool_id(tool, "steps")
for event in (events.PY_START, events.PY_RESUME, events.JUMP):
    sys.monitoring.register_callback(tool, event, step)
for name, attack in ATTACKS.items():
    data, steps, before = attack.build(), 0, Image.core.get_stats()["new_count"]
    sys.monitoring.set_events(tool, events.PY_START | events.PY_RESUME | events.JUMP)
    outcome = kept(data)
    sys.monitoring.set_events(tool, events.NO_EVENTS)
    tell(name=name, outcome=outcome, steps=steps, pictures=Image.core.get_stats()["new_count"] - before)
"""


@pytest.fixture(scope="module")
def attacked() -> dict[object, dict[str, object]]:
    told = child(_ATTACKED, memory=2048)
    return {facts["name"]: facts for facts in told}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_ends_as_it_should_within_its_work_and_memory(
    name: str, attacked: dict[object, dict[str, object]]
) -> None:
    facts, expected = attacked[name], ATTACKS[name].expected
    outcome = facts["outcome"]
    assert (tuple(outcome) if isinstance(outcome, list) else outcome) == expected
    assert facts["steps"] <= ATTACK_STEPS  # type: ignore[operator]
    assert facts["pictures"] <= ATTACK_PICTURES  # type: ignore[operator]
    assert facts["peak"] <= ATTACK_MEMORY  # type: ignore[operator]


# --- The costliest files the limits let in, and the memory the template gives ---------------------

LIMITS = parse_pixel_limits(APPLICATION.default("PixelLimits"))
AT_THE_LIMIT = hostile.at_the_limit(LIMITS)
# MiB of a function that are not ours to use: the runtime's own processes.
RESERVED = 100

_JOB = """
import botocore.session, pynamodb.models, aws_lambda_powertools.event_handler  # what a function holds besides
from catalog.domain.presets import DEFAULT_PRESETS as presets
from catalog.domain.sources import parse_pixel_limits
from imaging import comparison, inspection, renditions

path, job, limits = sys.argv[1:]
data, limits = Path(path).read_bytes(), parse_pixel_limits(limits)
if job == "ingest":  # the original is its own near-duplicate: two of the costliest at once
    first = inspection.inspect(data, limits=limits)
    assert first.verify(data).refusal != "corrupt"
elif job == "render":
    assert len(list(renditions.render(data, presets, limits=limits))) == len(presets)
else:  # every preset, for the file that takes longest; their encoders' memory is a fraction of the decoder's
    presets = presets if "png-rgba-16" in path else presets[:1]
    assert len(comparison.measure(data, presets, presets_per_job=1, limits=limits)) == len(presets)
tell(job=job)
"""


def memory_of(function: str) -> int:
    memory = FUNCTIONS[function].get("MemorySize", GLOBALS["MemorySize"])
    return int(APPLICATION.default(memory["Ref"]) if isinstance(memory, dict) else memory)


@pytest.mark.parametrize("name", AT_THE_LIMIT)
def test_the_costliest_file_of_a_format_stays_within_the_memory_of_each_function(
    name: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(AT_THE_LIMIT[name]())
    for job, function in (("ingest", "Ingest"), ("render", "Render"), ("compare", "Compare")):
        (facts,) = child(
            _JOB,
            str(path),
            job,
            APPLICATION.default("PixelLimits"),
            memory=memory_of(function) + 512,  # addresses: what is mapped and never touched costs nothing
        )
        assert facts["peak"] <= memory_of(function) - RESERVED, job  # type: ignore[operator]


def test_the_pixel_limits_of_the_template_are_those_of_the_code() -> None:
    assert LIMITS == DEFAULT_PIXEL_LIMITS


def test_a_rejected_bomb_costs_nothing() -> None:
    before = Image.core.get_stats()["new_count"]
    for bomb in (images.png_bomb, images.webp_bomb, images.gif_bomb, images.tiff_bomb):
        with pytest.raises(ImageRejectedError, match="too_many_pixels"):
            originals.canonical_pixels(bomb(13_000), limits=DEFAULT_PIXEL_LIMITS)
    assert Image.core.get_stats()["new_count"] == before

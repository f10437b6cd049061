"""Every benchmark, one after the other, and a table of every goal: what `make bench` runs.

    python -m benchmarks [--images DIR] [--only render cost ...] [--out benchmarks/results]

Each writes its figures and goals to NAME.json and what it prints to NAME.txt.  A goal missed is told; the
status is 1 only where a benchmark itself broke.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks._rates import table
from infra.pictures.images import jpeg_bytes, noisy_scene, product_photo

DRAWN: Final = 24
RESULTS: Final = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Benchmark:
    """A module of this package: whether it takes a folder of images, and draws its own if given none."""

    name: str
    images: bool = True
    draws: bool = True


BENCHMARKS: Final = (
    Benchmark("near_duplicates", draws=False),
    Benchmark("lookup_growth", draws=False),
    Benchmark("render"),
    Benchmark("cold_start", images=False),
    Benchmark("pipeline"),
    Benchmark("jobs_rebuild"),
    Benchmark("cost"),
    Benchmark("references", images=False),
    Benchmark("jobs_recount", images=False),
    Benchmark("jobs_erase", images=False),
    Benchmark("jobs_duplicates"),
    Benchmark("jobs_live", images=False),
    Benchmark("jobs_machinery", images=False),
    Benchmark("client_sync", images=False),
)


def draw(folder: Path) -> None:
    """Product shots and scenes, for those that draw none."""
    for seed in range(DRAWN):
        drawn = (product_photo, noisy_scene)[seed % 2](seed)
        (folder / f"drawn-{seed:02}.jpg").write_bytes(jpeg_bytes(drawn))


def run(benchmark: Benchmark, images: Path | None, results: Path) -> dict[str, Any] | None:
    """What it wrote; None where it broke."""
    out, log = results / f"{benchmark.name}.json", results / f"{benchmark.name}.txt"
    out.unlink(missing_ok=True)
    command = [sys.executable, "-m", f"benchmarks.{benchmark.name}", "--out", str(out)]
    if benchmark.images and images is not None:
        command += ["--images", str(images)]
    print(f"── {benchmark.name} ──", flush=True)
    began = time.monotonic()
    with (
        log.open("w") as kept,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            kept.write(line)
            print(line, end="", flush=True)
    print(f"\n{benchmark.name}: {time.monotonic() - began:.0f} s\n", flush=True)
    if process.returncode or not out.exists():
        return None
    written: dict[str, Any] = json.loads(out.read_text())
    return written


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=Path, help="a folder, searched recursively; else photos are drawn")
    parser.add_argument("--only", nargs="+", choices=[benchmark.name for benchmark in BENCHMARKS])
    parser.add_argument("--out", type=Path, default=RESULTS, help="a folder")
    chosen = parser.parse_args()
    if chosen.images is not None and not chosen.images.is_dir():
        parser.error(f"{chosen.images} is no folder")

    chosen.out.mkdir(parents=True, exist_ok=True)
    wanted = [one for one in BENCHMARKS if chosen.only is None or one.name in chosen.only]
    results = {}
    with tempfile.TemporaryDirectory() as name:
        draw(Path(name))
        for one in wanted:
            images = chosen.images or (None if one.draws else Path(name))
            results[one.name] = run(one, images, chosen.out)

    rows: list[tuple[str, ...]] = [
        (
            name,
            goal["name"],
            goal["goal"],
            f"{goal['measured']:.4g} {goal['unit']}".rstrip(),
            "yes" if goal["met"] else "NO",
        )
        for name, result in results.items()
        for goal in (result["goals"] if result else ())
    ]
    met = sum(row[-1] == "yes" for row in rows)
    print(table(("benchmark", "goal", "wished for", "measured", "met"), rows))
    print(f"\n{met} of {len(rows)} goals met; figures and output in {chosen.out}")
    broken = [name for name, result in results.items() if result is None]
    if broken:
        sys.exit(f"error: did not run to its end: {', '.join(broken)}")


if __name__ == "__main__":
    main()

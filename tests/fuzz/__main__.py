"""`python -m tests.fuzz --seconds N`: fuzz every entrance of the imaging layer, one after the other.

Coverage guides it through our parsers, which are Python; the decoders below are compiled, and reached but not
seen.  What breaks the promise is made as short as it stays broken and written to tests/fuzz/corpus, where
`make test` tries it from then on.
"""

import argparse
import contextlib
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "layers" / "catalog"), str(ROOT / "layers" / "imaging")]

import atheris  # noqa: E402

with contextlib.redirect_stderr(io.StringIO()), atheris.instrument_imports(include=["imaging"]):
    from imaging.containers import avif, gif, jpeg, png, tiff, webp  # noqa: F401 - imported late otherwise
    from tests.fuzz import promise

from infra.pictures.hostile import ATTACKS, SEEDS  # noqa: E402
from tests.fuzz.mutations import mutated  # noqa: E402

CORPUS: Final = Path(__file__).parent / "corpus"
ENTRIES: Final = (*promise.ENTRIES, "kept")
MEMORY_MIB: Final = 1500
SECONDS_AN_INPUT: Final = 30  # of wall time on a busy machine; an input takes milliseconds
_LARGEST: Final = 60_000
_MINIMISING_SECONDS: Final = 20


def entry(name: str) -> Callable[[bytes], promise.Outcome]:
    return promise.ENTRIES.get(name, promise.kept)


def reason(name: str, data: bytes) -> str:
    """Why an input breaks the promise of an entry; empty where it does not."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            entry(name)(data)
    except Exception as error:  # noqa: BLE001 - whatever escapes is what is looked for
        at = error.__traceback__
        while at and at.tb_next and "site-packages" not in at.tb_next.tb_frame.f_code.co_filename:
            at = at.tb_next
        where = at.tb_frame.f_code.co_name if at else ""
        return f"{type(error).__name__}-in-{where}"
    return ""


def minimised(name: str, data: bytes, why: str) -> bytes:
    """`data` with as much cut out as leaves it broken for the same reason."""
    started, step = time.monotonic(), max(1, len(data) // 2)
    while step and time.monotonic() - started < _MINIMISING_SECONDS:
        at = 0
        while at < len(data) and time.monotonic() - started < _MINIMISING_SECONDS:
            shorter = data[:at] + data[at + step :]
            if reason(name, shorter) == why:
                data = shorter
            else:
                at += step
        step //= 2
    return data


class Fuzzer:
    """One entry; counts what it runs and keeps what it finds, one input a reason."""

    def __init__(self, name: str, *, report: Path) -> None:
        self.name, self.report = name, report
        self.runs, self.accepted, self.slowest = 0, 0, 0.0
        self.found: dict[str, str] = {}
        self.others = [*SEEDS.values()]
        self.told = time.monotonic()

    def one(self, data: bytes) -> None:
        started = time.process_time()
        self.runs += 1
        try:
            outcome = entry(self.name)(data)
            self.accepted += isinstance(outcome, tuple)
        except Exception:  # noqa: BLE001 - written down, and on with the next
            self.keep(data)
        self.slowest = max(self.slowest, time.process_time() - started)
        if time.monotonic() - self.told > 1:
            self.tell()

    def keep(self, data: bytes) -> None:
        why = reason(self.name, data)
        if why and why not in self.found:
            self.found[why] = ""
            data = minimised(self.name, data, why)
            path = CORPUS / f"{hashlib.sha1(data, usedforsecurity=False).hexdigest()}-{why}"
            path.write_bytes(data)
            self.found[why] = path.name
            self.tell()

    def tell(self) -> None:
        self.told = time.monotonic()
        facts = {"runs": self.runs, "accepted": self.accepted, "slowest": round(self.slowest, 2)}
        self.report.write_text(json.dumps(facts | {"found": self.found}))

    def mutate(self, data: bytes, max_size: int, seed: int) -> bytes:
        if seed % 4 == 0:
            return bytes(atheris.Mutate(data, max_size))
        return mutated(data, seed, self.others)[:max_size]


def fuzz(name: str, corpus: Path, report: Path, *, seconds: int, seed: int) -> None:
    """Run in a process of its own: libFuzzer ends it."""
    fuzzer = Fuzzer(name, report=report)
    warnings.simplefilter("error")
    options = [
        sys.argv[0],
        str(corpus),
        f"-max_total_time={seconds}",
        f"-seed={seed}",
        f"-rss_limit_mb={MEMORY_MIB}",
        f"-timeout={SECONDS_AN_INPUT}",
        f"-report_slow_units={SECONDS_AN_INPUT}",  # by the clock: below that, only a busy machine
        f"-max_len={_LARGEST}",
        f"-artifact_prefix={corpus.parent}/",
        "-print_final_stats=1",
        "-reload=0",
        "-len_control=0",
    ]
    atheris.Setup(options, fuzzer.one, custom_mutator=fuzzer.mutate)
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=120, help="of all entries together")
    parser.add_argument("--entry", choices=ENTRIES, action="append", help="one or more; all, if left out")
    parser.add_argument("--seed", type=int, default=1, help="the same seed tries the same inputs first")
    parser.add_argument("--child", nargs=2, type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    names = given.entry or list(ENTRIES)
    if given.child:
        fuzz(names[0], *given.child, seconds=given.seconds, seed=given.seed)
        return 0
    CORPUS.mkdir(exist_ok=True)
    broken = [run(name, max(1, given.seconds // len(names)), given.seed) for name in names]
    return 1 if any(broken) else 0


def run(name: str, seconds: int, seed: int) -> bool:
    """Fuzz one entry and say what came of it; True where something broke the promise."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        corpus, report = Path(folder, "corpus"), Path(folder, "report.json")
        corpus.mkdir()
        for label, data in seeds().items():
            (corpus / label).write_bytes(data)
        command = [sys.executable, "-m", "tests.fuzz", "--entry", name, "--seconds", str(seconds)]
        command += ["--seed", str(seed), "--child", str(corpus), str(report)]
        # -rss_limit_mb and -timeout end the process and leave the input as an artifact.
        ended = subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
            capture_output=True,
            check=False,
        )
        facts = json.loads(report.read_text()) if report.exists() else {"runs": 0, "found": {}}
        artifacts = [path for path in Path(folder).iterdir() if path not in (corpus, report)]
        for path in artifacts:
            why = path.name.partition("-")[0]
            data = path.read_bytes()
            digest = hashlib.sha1(data, usedforsecurity=False).hexdigest()
            facts["found"][why] = f"{digest}-{why}"
            (CORPUS / facts["found"][why]).write_bytes(data)
        log = ended.stderr.decode(errors="replace")
        edges = [line for line in log.splitlines() if " cov: " in line]
        print(f"{name:9} {json.dumps(facts)}")
        print(f"          {edges[-1].strip() if edges else log[-1500:]}", flush=True)
        return bool(facts["found"]) or not edges


def seeds() -> dict[str, bytes]:
    """Valid files, attacks of a size to be worth bending, and what was found before."""
    attacks = {f"attack-{name}": attack.build() for name, attack in ATTACKS.items()}
    small = {name: data for name, data in attacks.items() if 0 < len(data) <= _LARGEST}
    return dict(SEEDS) | small | {path.name: path.read_bytes() for path in CORPUS.iterdir()}


if __name__ == "__main__":
    sys.exit(main())

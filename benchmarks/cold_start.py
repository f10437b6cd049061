"""What a cold start costs: CPU of a fresh interpreter up to a handler's first call of AWS, beside boto3's.

    python -m benchmarks.cold_start [--rounds 15] [--functions Render Ingest] [--out results.json]

Each program runs in an interpreter of its own, isolated, with what Lambda gives it and nothing else: the
layers as infra.build_layer makes them (for this machine's platform, with their .pyc), the runtime's SDK (a
compiled copy of this environment's), the handler's own source, which Lambda compiles at every cold start, and
the variables of the template.  A handler is imported and given its first event; when it makes its first call
of AWS, with the client made and the request about to be built, the process ends.  The peer is
`import boto3; boto3.client("dynamodb")`.

CPU is user and system time of the child.  Right before each run of a function its peer runs, and a bare
interpreter once a round; a run's ratio is (function - bare) / (peer - bare), its median over all rounds
is what the goals are for.  Beside it stands the median of function / peer, the interpreter in both.  Prints a
table and the goals.
"""

import argparse
import compileall
import json
import os
import py_compile
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from benchmarks._rates import table
from benchmarks._report import Goal, report
from infra.local.events import REGION, api_event, s3_notification, sqs_event, view_event
from infra.template import APPLICATION, FUNCTIONS, ROOT, environment, handler, layers

FOLDERS: Final = {"CatalogLayer": "catalog", "ImagingLayer": "imaging"}
# What comes with Lambda's python3.13 runtime.
RUNTIME: Final = ("boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six", "urllib3")
# Every other function: _GOAL.  Compare is the one API function that decodes images, so it has render's.
GOALS: Final = {"Ingest": 2.2, "Render": 1.8, "Compare": 1.8}
_GOAL: Final = 1.3
_ROUNDS: Final = 15
_ID: Final = "5c" * 32

# Every program ends in os._exit, as a function's process ends: frozen or killed, never torn down.
BARE: Final = "import os; os._exit(0)"
PEER: Final = 'import os, boto3; boto3.client("dynamodb"); os._exit(0)'
FUNCTION: Final = """\
import sys
sys.path[:0] = {path!r}
import os
import handler
import botocore.client
def first_call(client, operation, _):
    os.write(1, f"{{client.meta.service_model.service_name}}:{{operation}}".encode())
    os._exit(0)
botocore.client.BaseClient._make_api_call = first_call
class Context:
    function_name = "function"
    function_version = "1"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:{region}:123456789012:function:function"
    aws_request_id = "invocation-1"
    get_remaining_time_in_millis = lambda self: 60_000
import json
handler.handler(json.loads({event!r}), Context())
"""


@dataclass(frozen=True)
class Program:
    """What one interpreter runs."""

    name: str
    source: str
    environ: Mapping[str, str]
    calls: bool = False  # whether it is to come to a call of AWS


@dataclass(frozen=True)
class Measured:
    """Medians of a function's CPU time in ms and of its ratios, and the AWS call it came to."""

    name: str
    first_call: str
    cpu_ms: float
    above_bare_ms: float
    ratio: float
    ratio_with_interpreter: float
    goal: float


@dataclass(frozen=True)
class Results:
    """All of a run.  `bare_ms` and `peer_ms` are medians of CPU time in ms."""

    rounds: int
    bare_ms: float
    peer_ms: float
    functions: list[Measured]


def compiled(folder: Path) -> Path:
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    assert compileall.compile_dir(folder, quiet=1, workers=2, invalidation_mode=mode)
    return folder


def build_layers(target: Path) -> dict[str, Path]:
    """Both layers for this machine: what a function imports from, by logical name."""
    for logical, folder in FOLDERS.items():
        subprocess.run(
            [sys.executable, "-m", "infra.build_layer", f"layers/{folder}", str(target / logical)],
            env={**os.environ, "LAYER_PLATFORM": "host"},
            cwd=ROOT,
            check=True,
        )
    return {logical: target / logical / "python" for logical in FOLDERS}


def copy_runtime(target: Path) -> Path:
    """The SDK, compiled, and nothing else of this environment."""
    target.mkdir()
    for name in RUNTIME:
        spec = find_spec(name)
        assert spec and spec.origin
        origin = Path(spec.origin)
        if spec.submodule_search_locations:
            shutil.copytree(origin.parent, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(origin, target)
    return compiled(target)


def first_event(function: str) -> dict[str, Any]:
    """The first of a function's events as the template routes them, in the shape AWS sends."""
    events = FUNCTIONS[function].get("Events", {}).values()
    routes = [event["Properties"] for event in events if event["Type"] == "Api"]
    if routes:
        path = routes[0]["Path"].format(
            id=_ID, other="6d" * 32, reference="sku-1", tenant="acme", client_id="x"
        )
        return api_event(routes[0]["Method"].upper(), path)
    if function == "Ingest":
        return sqs_event(s3_notification("originals", f"originals/acme/{_ID}"))
    if function == "Render":
        return sqs_event(json.dumps({"tenant": "acme", "id": _ID, "presets": ["thumb"]}))
    if function == "ShowRendition":
        return view_event(f"/renditions/acme/{_ID}/thumb")
    assert function == "Usage", f"no event is known for {function}"
    born = "2026-11-22T12:00:00.000000+00:00"
    texts = {"tenant": "acme", "id": _ID, "status": "processing", "created_at": born, "updated_at": born}
    image = {name: {"S": value} for name, value in texts.items()} | {"size_bytes": {"N": "1"}}
    table = settings_of(function)["ASSETS_TABLE"]
    return {
        "Records": [
            {
                "eventSourceARN": f"arn:aws:dynamodb:{REGION}:123456789012:table/{table}/stream/2026",
                "eventName": "INSERT",
                "dynamodb": {
                    "ApproximateCreationDateTime": 1763812800,
                    "SequenceNumber": "1",
                    "NewImage": image,
                },
            }
        ]
    }


def settings_of(function: str) -> dict[str, str]:
    """A function's variables: literals and defaults as they are, names of resources made up."""
    parameters = APPLICATION.document["Parameters"]

    def value_of(name: str, given: Any) -> str:
        if isinstance(given, str):
            return given
        if given.get("Ref") in parameters:
            return str(APPLICATION.default(given["Ref"]))
        return "" if name == "RENDITIONS_BASE_URL" else name.lower().replace("_", "-")

    return {name: value_of(name, given) for name, given in environment(function).items()}


def programs(chosen: list[str], scratch: Path) -> list[Program]:
    """The bare interpreter, the peer, and the chosen functions."""
    built, runtime = build_layers(scratch), copy_runtime(scratch / "runtime")
    environ = {
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token",
        "AWS_LAMBDA_FUNCTION_NAME": "function",
        "LAMBDA_TASK_ROOT": str(scratch),
    }
    listed = [
        Program("bare interpreter", BARE, environ),
        Program(
            'boto3.client("dynamodb")', f"import sys; sys.path[:0] = {[str(runtime)]!r}; {PEER}", environ
        ),
    ]
    for name in chosen:
        task = scratch / "task" / name
        task.mkdir(parents=True)
        shutil.copy(handler(name), task)
        path = [str(task), *(str(built[layer]) for layer in reversed(layers(name))), str(runtime)]
        source = FUNCTION.format(path=path, event=json.dumps(first_event(name)), region=REGION)
        listed.append(Program(name, source, {**environ, **settings_of(name)}, calls=True))
    return listed


def run(program: Program) -> tuple[float, str]:
    """CPU in ms, user and system, of one run in a new process, and the AWS call it ended at."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        # -B: Lambda cannot write beside the code.
        command = [sys.executable, "-I", "-S", "-B", "-c", program.source]
        files = [(os.POSIX_SPAWN_DUP2, out.fileno(), 1), (os.POSIX_SPAWN_DUP2, err.fileno(), 2)]
        child = os.posix_spawn(command[0], command, program.environ, file_actions=files)
        _, status, used = os.wait4(child, 0)
        out.seek(0)
        said = out.read().decode().strip()
        if status or bool(said) is not program.calls:
            err.seek(0)
            raise SystemExit(
                f"error: {program.name} ended before a call of AWS\n{said}\n{err.read().decode()}"
            )
    return 1000 * (used.ru_utime + used.ru_stime), said.splitlines()[-1] if said else ""


def measure(listed: list[Program], rounds: int) -> Results:
    """Interleaved, after one round that fills the page cache."""
    bare, peer, *functions = listed
    bares, peers = [], []
    runs: dict[str, list[tuple[float, float, float]]] = {function.name: [] for function in functions}
    ended_at = {}
    for number in range(rounds + 1):
        bare_ms, _ = run(bare)
        for function in functions:
            peer_ms, _ = run(peer)
            cpu_ms, ended_at[function.name] = run(function)
            if number:
                peers.append(peer_ms)
                runs[function.name].append(
                    (cpu_ms, (cpu_ms - bare_ms) / (peer_ms - bare_ms), cpu_ms / peer_ms)
                )
        if number:
            bares.append(bare_ms)
        print(f"round {number} of {rounds}", file=sys.stderr)
    measured = []
    for name, figures in runs.items():
        cpu_ms, ratio, with_interpreter = (statistics.median(column) for column in zip(*figures, strict=True))
        measured.append(
            Measured(
                name=name,
                first_call=ended_at[name],
                cpu_ms=cpu_ms,
                above_bare_ms=cpu_ms - statistics.median(bares),
                ratio=ratio,
                ratio_with_interpreter=with_interpreter,
                goal=GOALS.get(name, _GOAL),
            )
        )
    return Results(rounds, statistics.median(bares), statistics.median(peers), measured)


def as_table(results: Results) -> str:
    """Markdown, a row a program."""
    bare, peer = results.bare_ms, results.peer_ms
    rows = [
        ("bare interpreter", "", f"{bare:.0f}", "0", "", ""),
        ('`boto3.client("dynamodb")`', "", f"{peer:.0f}", f"{peer - bare:.0f}", "1.00", "1.00"),
        *(
            (
                it.name,
                it.first_call,
                f"{it.cpu_ms:.0f}",
                f"{it.above_bare_ms:.0f}",
                f"{it.ratio:.2f}",
                f"{it.ratio_with_interpreter:.2f}",
            )
            for it in results.functions
        ),
    ]
    return table(("", "first call of AWS", "CPU ms", "above bare", "ratio", "interpreter in both"), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description="CPU of a cold start, by function, beside boto3's client.")
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help="interleaved runs of each (11 or more)")
    parser.add_argument("--functions", nargs="+", choices=sorted(FUNCTIONS), default=sorted(FUNCTIONS))
    parser.add_argument("--out", type=Path, help="write the figures there as JSON")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        results = measure(programs(chosen.functions, Path(scratch)), chosen.rounds)
    print(as_table(results))
    goals = [Goal(f"{it.name}, CPU of boto3's client", it.ratio, at_most=it.goal) for it in results.functions]
    report("cold_start", figures=asdict(results), goals=goals, out=chosen.out)


if __name__ == "__main__":
    main()

"""`catalog-images sync` beside the fastest plain threaded loop against the same stack, in turns.

    python -m benchmarks.client_sync [--photos 500] [--threads 8 16] [--rounds 2]

Both bring the same folder of drawn photos of 100 KB to `ready`, each time in a tenant of its own.  The loop
is what a developer would write for speed: threads with a kept-alive connection each, that announce, PUT and
poll one photo after the other, with a token that is there.  The command runs as installed: its start, its
token and its index of hashes count.  Then the folder is synchronized once more, all known.

Emulator, functions and clients share the machine's cores.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from http.client import HTTPConnection
from pathlib import Path
from statistics import mean
from typing import Any, Final
from urllib.parse import urlsplit

from benchmarks._contenders import Pipeline, deployed
from benchmarks._rates import table
from benchmarks._report import Goal, report
from catalog.domain.tenants import Scope
from infra.local import environments
from infra.local.emulator import Emulator, arguments
from infra.operator.tenants import create_tenant_client
from infra.pictures.images import jpeg_bytes, noisy_scene

AT_MOST: Final = 1.15
SIZE: Final = (640, 480)  # of noise: 100 KB at quality 90
WARM_UP: Final = 24
_FIRST_POLL_SECONDS, _POLL_GROWTH, _LONGEST_POLL_SECONDS = 0.2, 1.5, 1.5


@dataclass(frozen=True)
class Run:
    """How long a contender took for all photos."""

    name: str
    seconds: float


class Loop:
    """The plain loop: a connection a thread and host."""

    def __init__(self, api_url: str, token: str) -> None:
        self._api = urlsplit(api_url)
        self._token = token
        self._local = threading.local()

    def run(self, files: Sequence[Path], threads: int) -> float:
        """Seconds until every file is ready."""
        began = time.monotonic()
        with ThreadPoolExecutor(threads) as pool:
            statuses = set(pool.map(self._bring, files))
        assert statuses == {"ready"}, statuses
        return time.monotonic() - began

    def _bring(self, file: Path) -> str:
        data = file.read_bytes()
        id_ = sha256(data).hexdigest()
        body = {"sha256": id_, "size_bytes": len(data), "content_type": "image/jpeg", "filename": file.name}
        ticket = self._call("POST", "/images", json.dumps(body).encode())["upload"]
        url = urlsplit(ticket["url"])
        status, answer = self._ask(url.netloc, "PUT", f"{url.path}?{url.query}", data, ticket["headers"])
        assert status == 200, answer
        pause = _FIRST_POLL_SECONDS
        while (image := self._call("GET", f"/images/{id_}"))["status"] in {"awaiting_upload", "processing"}:
            time.sleep(pause)
            pause = min(pause * _POLL_GROWTH, _LONGEST_POLL_SECONDS)
        return str(image["status"])

    def _call(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        status, answer = self._ask(self._api.netloc, method, self._api.path + path, body, headers)
        assert status in {200, 201}, answer
        document: dict[str, Any] = json.loads(answer)
        return document

    def _ask(
        self, host: str, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        connections: dict[str, HTTPConnection] = self._local.__dict__.setdefault("connections", {})
        connection = connections.setdefault(host, HTTPConnection(host, timeout=60))
        connection.request(method, path, body, dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read()


def draw(folder: Path, number: int, first: int = 0) -> list[Path]:
    """Photos of 100 KB, each of another scene."""
    files = [folder / f"{seed:05}.jpg" for seed in range(first, first + number)]
    for seed, file in enumerate(files, start=first):
        file.write_bytes(jpeg_bytes(noisy_scene(seed, SIZE)))
    return files


def looped(pipeline: Pipeline, tenant: str, files: Sequence[Path], threads: int) -> Run:
    """The plain loop, in a tenant of its own."""
    token = pipeline.add_tenant(tenant).token()
    seconds = Loop(pipeline.stack.api_url, token).run(files, threads)
    pipeline.settle()
    return Run(f"loop, {threads} threads", seconds)


def synced(environ: Mapping[str, str], folder: Path, *, known: bool) -> float:
    """Seconds of the command, from its start to its end."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "catalog_images", "--json", "sync", str(folder)],
        env=dict(environ),
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - began
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert {(one["end"], one["sent"]) for one in outcomes} == {("ready", not known)}, done.stdout[:500]
    return seconds


def commanded(pipeline: Pipeline, tenant: str, folder: Path) -> tuple[Run, Run]:
    """The command, in a tenant and with a home of its own; and once more."""
    created = create_tenant_client(tenant, scopes=(Scope.READ, Scope.WRITE), outputs=pipeline.stack.outputs)
    with tempfile.TemporaryDirectory() as home:
        environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(environments.ROOT / "clients" / "python" / "src"),
            "XDG_CACHE_HOME": home,
            "XDG_CONFIG_HOME": home,
            "CATALOG_API_URL": pipeline.stack.api_url,
            "CATALOG_TOKEN_URL": pipeline.stack.token_url,
            "CATALOG_CLIENT_ID": created.client.client_id,
            "CATALOG_CLIENT_SECRET": created.client_secret,
        }
        first = Run("sync", synced(environ, folder, known=False))
        pipeline.settle()
        return first, Run("sync, all known", synced(environ, folder, known=True))


def main() -> None:
    parser = arguments(__doc__.split("\n")[0])
    parser.set_defaults(port=4780, name="client-sync", account="000000000780")
    parser.add_argument("--photos", type=int, default=500)
    parser.add_argument("--threads", type=int, nargs="+", default=[8, 16], help="of the loop, each in a turn")
    parser.add_argument("--rounds", type=int, default=1, help="of one turn of the loop and one of sync each")
    parser.add_argument("--out", type=Path, help="where to write every figure as JSON")
    chosen = parser.parse_args()
    emulator = Emulator(port=chosen.port, name=chosen.name, account=chosen.account)
    runs: list[Run] = []
    with tempfile.TemporaryDirectory() as name, deployed(emulator) as pipeline:
        files = draw(Path(name), chosen.photos)
        with tempfile.TemporaryDirectory() as other:
            looped(pipeline, "warm-up", draw(Path(other), WARM_UP, first=chosen.photos), 4)
        turns = [threads for _ in range(chosen.rounds) for threads in chosen.threads]
        for number, threads in enumerate(turns):
            runs.append(looped(pipeline, f"loop-{number}", files, threads))
            runs += commanded(pipeline, f"sync-{number}", Path(name))
            print(*(f"{run.name}: {run.seconds:.1f} s" for run in runs[-3:]), sep="; ", flush=True)
    tell(runs, chosen.photos, chosen.out)


def tell(runs: Sequence[Run], photos: int, out: Path | None) -> None:
    """Every run, and the mean of sync over the fastest loop."""
    rows = [(run.name, f"{run.seconds:.1f}", f"{photos / run.seconds:.1f}") for run in runs]
    print(table(("contender", "seconds", "photos a second"), rows))
    fastest = min(run.seconds for run in runs if run.name.startswith("loop"))
    ours = mean(run.seconds for run in runs if run.name == "sync")
    goals = [Goal("sync over the fastest plain loop", ours / fastest, at_most=AT_MOST)]
    figures = {"photos": photos, "runs": [{"name": run.name, "seconds": run.seconds} for run in runs]}
    report("client_sync", figures=figures, goals=goals, out=out)


if __name__ == "__main__":
    main()

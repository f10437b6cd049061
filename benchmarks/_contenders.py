"""The deployed pipeline and its inline peer, each started, filled with a catalog, and sent images."""

import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import batched
from pathlib import Path
from typing import Any, Final, Protocol

import requests

from benchmarks._processes import ITSELF, ProcessorTime
from benchmarks.peers import inline_reference
from catalog.adapters import sdk
from catalog.domain.fingerprints import Indexed, PHashAlgorithm, places
from catalog.domain.keys import AssetId, TenantId
from catalog.domain.tenants import Scope
from catalog_images import CatalogClient, Credentials, Image
from catalog_images.photos import announcement_of
from infra.local import environments
from infra.local.deploy import Stack, ensure_deployed
from infra.local.emulator import Emulator
from infra.operator.tenants import create_tenant_client

FINISH_SECONDS: Final = 480.0  # a message whose function failed is tried again after 360
_BORN: Final = datetime(2026, 1, 1, tzinfo=UTC)
# Of one upload, without the questions whether it is ready; what a function was called when it was deployed.
PIPELINE: Final = ("RequestUploadFunction", "IngestFunction", "RenderFunction", "UsageFunction")


@dataclass(frozen=True)
class Picture:
    """An original as it is sent, and the same picture at half its size as WebP."""

    name: str
    data: bytes
    content_type: str
    half: bytes

    def halved(self) -> "Picture":
        return Picture(f"{self.name} (half)", self.half, "image/webp", b"")


@dataclass(frozen=True)
class Journey:
    """One image.  Seconds from the first byte of its PUT to `ready`, and of all that its client waited.

    For a known image nothing is put, and both are what it took to be told so.
    """

    ready: float
    waited: float
    known: bool
    near_duplicate: bool


class Contender(Protocol):
    """What takes images.  `send` may be called by many threads."""

    def send(self, tenant: str, picture: Picture) -> Journey: ...

    def seed(self, tenant: str, hashes: Sequence[str]) -> None: ...

    def settle(self) -> None: ...

    def cpu(self) -> Counter[str]: ...


class Pipeline:
    """The application on the emulator.  CPU is told by function (its stack output), and of the emulator."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._clients: dict[str, CatalogClient] = {}
        self._functions = {
            name: output for output, name in stack.outputs.items() if output.endswith("Function")
        }
        pid = stack.emulator.pid()
        assert pid is not None
        self._time = ProcessorTime(pid)
        self._dynamodb = stack.client("dynamodb")

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def add_tenant(self, tenant: str) -> CatalogClient:
        created = create_tenant_client(tenant, scopes=(Scope.READ, Scope.WRITE), outputs=self.stack.outputs)
        credentials = Credentials(created.client.client_id, created.client_secret)
        self._clients[tenant] = CatalogClient(self.stack.api_url, self.stack.token_url, credentials)
        return self._clients[tenant]

    def send(self, tenant: str, picture: Picture) -> Journey:
        client = self._clients[tenant]
        asked = time.time()
        announcement = announcement_of(picture.data, content_type=picture.content_type, filename="photo")
        announced = client.announce(**announcement.request())
        began = time.time()
        if isinstance(announced, Image):
            return Journey(began - asked, began - asked, known=True, near_duplicate=False)
        client.put(announced, picture.data)
        image = client.wait(announced.id, timeout_seconds=FINISH_SECONDS)
        assert image.status == "ready", f"{picture.name} is {image.status}: {image.rejection_code}"
        # What the record says, by the clock both share; the client learns of it at its next question.
        ready = datetime.fromisoformat(image.document["updated_at"]).timestamp()
        return Journey(
            ready - began, time.time() - asked, known=False, near_duplicate=bool(image.near_duplicate_of)
        )

    def seed(self, tenant: str, hashes: Sequence[str]) -> None:
        """Records and bands, as of images that were ingested; copies of the tenant's first but for the hash.

        No object lies behind them: nothing may come so near to them as to be compared.
        """
        tables = self.stack.outputs
        (first,) = self._dynamodb.query(
            TableName=tables["AssetsTable"],
            KeyConditionExpression="tenant = :tenant",
            ExpressionAttributeValues={":tenant": {"S": tenant}},
        )["Items"]
        puts: list[tuple[str, dict[str, Any]]] = []
        for number, hash_hex in enumerate(hashes):
            id_ = {"S": _sha256(f"{tenant} {number}".encode())}
            born = {"S": (_BORN + timedelta(seconds=number)).isoformat(timespec="microseconds")}
            record = {
                **first,
                "id": id_,
                "created_at": born,
                "unused_since": born,
                "phash256": {"S": hash_hex},
                "indexed_as": {"S": "phash256.2:::3"},
            }
            puts.append((tables["AssetsTable"], record))
            indexed = Indexed(PHashAlgorithm.PHASH256, hash_hex, hash_hex)
            for place in places(TenantId(tenant), AssetId(id_["S"]), indexed):
                item = {
                    "band": {"S": place.bucket},
                    "id": {"S": place.id},
                    "hash": {"B": bytes.fromhex(hash_hex)},
                    "colours": {"B": bytes(12)},
                }
                puts.append((tables["HashBandsTable"], item))
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(self._put, batched(puts, 25, strict=False)))

    def _put(self, puts: Sequence[tuple[str, dict[str, Any]]]) -> None:
        requests_: dict[str, list[Any]] = {}
        for table, item in puts:
            requests_.setdefault(table, []).append({"PutRequest": {"Item": item}})
        answer = self._dynamodb.batch_write_item(RequestItems=requests_)
        assert not answer["UnprocessedItems"]

    def settle(self) -> None:
        """Wait until nothing works any more: counters and events come after `ready`."""
        before = self._time.look()
        while True:
            time.sleep(0.5)
            now = self._time.look()
            if now.total() - before.total() < 0.05:
                return
            before = now

    def cpu(self) -> Counter[str]:
        return Counter(
            {self._functions.get(name, "emulator"): used for name, used in self._time.look().items()}
        )


class InlineReference:
    """The peer, in a process of its own.  A seeded image has its hash and no file."""

    def __init__(self, url: str, folder: Path, pid: int) -> None:
        self._url = url
        self._folder = folder
        self._time = ProcessorTime(pid)
        self._session = requests.Session()
        self._session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=64))
        self.reuse = False

    def send(self, tenant: str, picture: Picture) -> Journey:
        began = time.time()
        answer = self._session.post(
            f"{self._url}/v1/images",
            params={"tenant": tenant, "filename": "photo", "reuse": str(self.reuse).lower()},
            data=picture.data,
            headers={"Content-Type": "application/octet-stream"},
            timeout=FINISH_SECONDS,
        )
        seconds = time.time() - began
        answer.raise_for_status()
        told = answer.json()
        return Journey(seconds, seconds, told["known"], told["near_duplicate_of"] is not None)

    def seed(self, tenant: str, hashes: Sequence[str]) -> None:
        """A row each, of the first 64 bits of a hash."""
        rows = [
            (tenant, f"{number:064x}", inline_reference.signed(int(hash_hex[:16], 16)))
            for number, hash_hex in enumerate(hashes)
        ]
        with closing(inline_reference.connect(self._folder)) as connection, connection:
            connection.executemany(
                "INSERT INTO images VALUES (NULL, ?, ?, ?, 'photo', 100000, 800, 600, NULL)", rows
            )

    def settle(self) -> None:
        """It does nothing that its client does not wait for."""

    def cpu(self) -> Counter[str]:
        return Counter({"reference": self._time.look()[ITSELF]})


@contextmanager
def deployed(emulator: Emulator) -> Iterator[Pipeline]:
    """The application on an emulator of its own; its state goes before, and after unless it broke."""
    environments.ensure("sam", "emulator")
    emulator.down()
    shutil.rmtree(emulator.folder, ignore_errors=True)
    before = dict(os.environ)
    try:
        with emulator.running():
            os.environ.update(emulator.credentials)
            sdk.client.cache_clear()
            sdk._session.cache_clear()
            with closing(Pipeline(ensure_deployed(emulator))) as pipeline:
                yield pipeline
        shutil.rmtree(emulator.folder)
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def inline() -> Iterator[InlineReference]:
    """The peer, started in a folder that goes with it."""
    with tempfile.TemporaryDirectory() as name, closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        command = [sys.executable, "-m", "uvicorn", "benchmarks.peers.inline_reference:app"]
        process = subprocess.Popen(
            [*command, "--port", str(port), "--log-level", "warning"],
            env={**os.environ, "INLINE_REFERENCE_DIR": name},
            stdin=subprocess.DEVNULL,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _await_answer(f"{url}/health", process)
            yield InlineReference(url, Path(name), process.pid)
        finally:
            process.terminate()
            process.wait(30)


def _await_answer(url: str, process: "subprocess.Popen[bytes]") -> None:
    ends = time.monotonic() + 60
    while True:
        try:
            requests.get(url, timeout=5).raise_for_status()
        except requests.ConnectionError:
            if process.poll() is not None or time.monotonic() > ends:
                raise
            time.sleep(0.1)
        else:
            return


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()

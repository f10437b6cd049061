"""Clients in a storm: each does its turns, retries as an SDK would, and remembers what it was promised."""

import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import httpx

from catalog_images import ApiError, CatalogClient, CatalogError, Credentials, Ticket, UnreachableError
from tests.storm.plan import TENANTS, Upload

_ATTEMPTS: Final = 9
_LONGEST_PAUSE_SECONDS: Final = 6.0
_PURGE_WITHIN_SECONDS: Final = 120.0
_TRIES_OF_A_CONFLICT: Final = 20  # an image that is being deleted, asked for again
_RETRIED: Final = frozenset({429, 500, 502, 503, 504})
_STACK_TRACE: Final = re.compile(r"Traceback|File \"|\.py\b|botocore|pynamodb|ClientError", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Bad:
    """An answer a client had to try again after.  `status` 0: no answer.  Times are seconds of the epoch."""

    began: float
    ended: float
    method: str
    path: str
    status: int
    code: str
    request_id: str
    presigned: bool


@dataclass
class Journal:
    """What all clients saw, and what they may rely on; written by many threads."""

    calls: Counter[str] = field(default_factory=Counter)
    bad: list[Bad] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    sent: Counter[str] = field(default_factory=Counter)
    accepted: dict[tuple[str, str], float] = field(default_factory=dict)
    held: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    unsure: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    distinct: set[tuple[str, frozenset[str]]] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def accept(self, tenant: str, id_: str) -> None:
        """These bytes were taken: from now on they may not vanish but by a purge."""
        with self.lock:
            self.accepted[tenant, id_] = time.time()

    def hold(self, tenant: str, id_: str, reference: str, held: bool | None) -> None:
        """The client knows of this reference that it is taken, or not; None: it does not know."""
        key = tenant, id_
        with self.lock:
            self.held.setdefault(key, set()).discard(reference)
            self.unsure.setdefault(key, set()).discard(reference)
            if held is None:
                self.unsure[key].add(reference)
            elif held:
                self.held[key].add(reference)

    def complain(self, what: str) -> None:
        """A promise was broken in front of a client's eyes."""
        with self.lock:
            self.broken.append(what)


class PatientClient(CatalogClient):
    """A client that tries again after 429, 5xx and lost connections, with growing jittered pauses.

    Every answer is written down, so the retries are its own and not the connection pool's.
    """

    def __init__(self, api_url: str, token_url: str, credentials: Credentials, journal: Journal) -> None:
        super().__init__(api_url, token_url, credentials, retries=0)
        self._journal = journal
        self._jitter = random.Random(credentials.client_id)

    def _send(self, method: str, url: str, **request: Any) -> httpx.Response:
        for attempt in range(_ATTEMPTS):
            began = time.time()
            try:
                answer = super()._send(method, url, **request)
            except UnreachableError as error:
                self._note(began, method, url, None, str(error))
                if attempt == _ATTEMPTS - 1:
                    raise
            else:
                self._note(began, method, url, answer, "")
                if answer.status_code not in _RETRIED or attempt == _ATTEMPTS - 1:
                    return answer
            pause = min(_LONGEST_PAUSE_SECONDS, 0.2 * 2**attempt)
            time.sleep(pause * self._jitter.uniform(0.5, 1.0))
        raise UnreachableError(url)

    def _note(self, began: float, method: str, url: str, answer: httpx.Response | None, error: str) -> None:
        path = re.sub(r"[0-9a-f]{64}", "{id}", url.partition("?")[0].removeprefix(self.api_url))
        presigned = "X-Amz-Signature=" in url
        status = answer.status_code if answer is not None else 0
        code = request_id = ""
        if answer is not None and status >= 400 and not presigned:
            try:
                told = answer.json().get("error", {})
                told = told if isinstance(told, Mapping) else {"code": told}
            except (json.JSONDecodeError, AttributeError):
                told = {}
            code, request_id = str(told.get("code", "")), str(told.get("request_id", ""))
        with self._journal.lock:
            self._journal.calls[f"{method} {'(presigned)' if presigned else path.split('/sku')[0]}"] += 1
            # A 502 in no shape of ours is the gateway's: MiniStack 1.5 puts a dead worker's last words in it,
            # where API Gateway says "Internal server error".
            ours = code or status != HTTPStatus.BAD_GATEWAY
            if answer is not None and ours and not presigned and _STACK_TRACE.search(answer.text):
                self._journal.leaks.append(f"{method} {path}: {answer.text[:300]}")
            if status == 0 or status >= 500 or status == HTTPStatus.TOO_MANY_REQUESTS:
                self._journal.bad.append(
                    Bad(began, time.time(), method, path, status, code or error[:160], request_id, presigned)
                )


@dataclass
class Turns:
    """One client's way through the storm.  `foreign` are ids that other tenants alone have."""

    name: int
    tenant: str
    catalog: PatientClient
    administers: bool
    uploads: tuple[Upload, ...]
    foreign: frozenset[str]
    journal: Journal
    write_object: Callable[[str, bytes], None]
    rng: random.Random
    mine: list[Upload] = field(default_factory=list)

    def run(self) -> None:
        """Every upload, and between them what clients do besides."""
        for number, upload in enumerate(self.uploads):
            try:
                self._upload(upload)
                for _ in range(self.rng.randrange(1, 4)):
                    self._something_else()
                if self.administers and number % 8 == 7:
                    self._purge()
            except (CatalogError, httpx.HTTPError) as error:
                # A good client gives up after so many tries; that its upload was not taken, it knows.
                with self.journal.lock:
                    self.journal.sent[f"given up: {type(error).__name__}: {str(error)[:90]}"] += 1
            time.sleep(self.rng.uniform(0, 0.8))
        if self.administers:
            self._purge_at_last()

    # --- uploads ----------------------------------------------------------------------------------------

    def _upload(self, upload: Upload) -> None:
        file = upload.file
        referred = self.rng.random() < 0.7
        if upload.sort == "other bytes than announced":
            self._send_other_bytes(upload)
        for _ in range(_TRIES_OF_A_CONFLICT):
            try:
                announced = self.catalog.announce(
                    sha256=file.id,
                    size_bytes=len(file.data),
                    content_type=file.content_type,
                    filename=f"{upload.number}.img",
                )
                if isinstance(announced, Ticket):
                    if referred:
                        self._refer(file.id, f"sku-{self.name}-{upload.number}")
                    self.catalog.put(announced, file.data)
                self.journal.accept(self.tenant, file.id)
                if referred and not isinstance(announced, Ticket):
                    self._refer(file.id, f"sku-{self.name}-{upload.number}")
            except ApiError as error:
                if error.code != "image_being_deleted":
                    raise
                time.sleep(0.5)
                continue
            break
        else:
            raise CatalogError("still being deleted")
        self.mine.append(upload)
        with self.journal.lock:
            self.journal.sent[upload.sort] += 1

    def _send_other_bytes(self, upload: Upload) -> None:
        """S3 refuses them; then an operator's careless copy puts some there all the same, and they heal."""
        file = upload.file
        other = file.data[::-1]
        announced = self.catalog.announce(
            sha256=file.id, size_bytes=len(file.data), content_type=file.content_type, filename="other.img"
        )
        if not isinstance(announced, Ticket):
            return
        try:
            self.catalog.put(announced, other)
        except ApiError as error:
            if error.status >= 500:
                return
        else:
            self.journal.complain(f"S3 took other bytes than announced for {file.id}")
        self.write_object(f"originals/{self.tenant}/{file.id}", other)
        time.sleep(self.rng.uniform(0, 4))

    # --- references -------------------------------------------------------------------------------------

    def _refer(self, id_: str, reference: str) -> None:
        self.journal.hold(self.tenant, id_, reference, None)
        try:
            image = self.catalog.refer(id_, reference)
        except ApiError as error:
            if error.status < 500:
                # Not here (any more), rejected or on its way out: none of these has references of ours.
                self.journal.hold(self.tenant, id_, reference, False)
                return
            raise
        self.journal.hold(self.tenant, id_, reference, True)
        if image.in_use_count < 1:
            self.journal.complain(f"a reference was taken and is not counted: {self.tenant}/{id_}")

    def _release(self, id_: str) -> None:
        with self.journal.lock:
            held = sorted(
                name
                for name in self.journal.held.get((self.tenant, id_), ())
                if name.startswith(f"sku-{self.name}-")
            )
        if not held:
            return
        self.journal.hold(self.tenant, id_, held[0], None)
        try:
            self.catalog.release(id_, held[0])
        except ApiError as error:
            if error.status < 500:
                self.journal.complain(f"a held image refused a release: {self.tenant}/{id_}: {error}")
            raise
        self.journal.hold(self.tenant, id_, held[0], False)

    # --- everything else --------------------------------------------------------------------------------

    def _something_else(self) -> None:
        if not self.mine:
            return
        upload = self.rng.choice(self.mine)
        id_ = upload.file.id
        match self.rng.choices(
            ("get", "list", "refer", "release", "compare", "metrics", "decide", "pry", "dry run"),
            (30, 8, 15, 12, 5, 5, 8, 8, 3),
        )[0]:
            case "get":
                self._get(id_)
            case "list":
                page = self.catalog.page(limit=20)
                for image in page.images:
                    if image.document["tenant_id"] != self.tenant:
                        self.journal.complain(
                            f"{self.tenant} was shown {image.document['tenant_id']}'s image"
                        )
            case "refer":
                self._refer(id_, f"sku-{self.name}-{self.rng.randrange(1000, 9999)}")
            case "release":
                self._release(id_)
            case "compare":
                self._compare(upload)
            case "metrics":
                self.catalog.metrics()
            case "decide":
                self._decide(upload)
            case "pry":
                self._pry()
            case _ if self.administers:
                self.catalog.propose_purge(older_than_days=0)

    def _get(self, id_: str) -> None:
        try:
            image = self.catalog.get(id_)
        except ApiError as error:
            with self.journal.lock:
                held = bool(self.journal.held.get((self.tenant, id_)))
            if error.status == HTTPStatus.NOT_FOUND and not held:
                return  # purged
            raise
        if image.status == "ready" and image.renditions:
            rendition = self.rng.choice(image.renditions)
            data = self._download(rendition)
            if data is not None and len(data) != rendition.size_bytes:
                self.journal.complain(
                    f"a rendition of {id_} has {len(data)} bytes, not {rendition.size_bytes}"
                )

    def _download(self, rendition: Any) -> bytes | None:
        try:
            return self.catalog.download(rendition)
        except (ApiError, UnreachableError):
            return None  # purged since, or the storm; the verdict reads them all once more

    def _compare(self, upload: Upload) -> None:
        try:
            self.catalog.compare(upload.file.data, content_type=upload.file.content_type)
        except ApiError as error:
            if error.status >= 500 or (error.status != 413 and not upload.file.poison):
                raise

    def _decide(self, upload: Upload) -> None:
        others = [
            other
            for other in self.mine
            if other.file.id != upload.file.id and other.file.picture and upload.file.picture
        ]
        if not others:
            return
        other = self.rng.choice(others)
        path = f"/images/{upload.file.id}/duplicates/{other.file.id}"
        if other.file.picture == upload.file.picture:
            decision = self.rng.choice(("same", "distinct", None))
        else:
            decision = self.rng.choice(("distinct", None))
        if decision:
            self.catalog.call("PUT", path, json={"decision": decision})
        else:
            self.catalog.call("DELETE", path)

    def _pry(self) -> None:
        """Another tenant's image is as unknown as any."""
        if not self.foreign:
            return
        id_ = self.rng.choice(sorted(self.foreign))
        answers = [
            self.catalog.call("GET", f"/images/{id_}"),
            self.catalog.call("PUT", f"/images/{id_}/references/mine-now"),
        ]
        for answer in answers:
            if answer.status_code != HTTPStatus.NOT_FOUND and answer.status_code < 500:
                self.journal.complain(f"{self.tenant} asked for a foreign {id_}: {answer.status_code}")

    def _purge_at_last(self) -> None:
        """Until something is found and confirmed: a slow machine has nothing ready before the uploads end."""
        ends = time.monotonic() + _PURGE_WITHIN_SECONDS
        while time.monotonic() < ends:
            try:
                if self._purge():
                    return
            except (CatalogError, httpx.HTTPError) as error:
                with self.journal.lock:
                    self.journal.sent[f"given up: {type(error).__name__}: {str(error)[:90]}"] += 1
            time.sleep(3)

    def _purge(self) -> bool:
        """Whether there was anything to confirm."""
        proposed = self.catalog.propose_purge(older_than_days=0)
        if not proposed.candidates or proposed.confirm_token is None:
            return False
        try:
            self.catalog.confirm_purge(proposed.confirm_token)
        except ApiError as error:
            if error.code != "confirm_token_used":  # the answer to the first try was lost
                raise
        return True


def foreign_ids(uploads: Mapping[str, set[str]], tenant: str) -> frozenset[str]:
    """What other tenants throw, and this one never."""
    others = (uploads[other] for other in TENANTS if other != tenant)
    return frozenset(set().union(*others) - uploads[tenant])

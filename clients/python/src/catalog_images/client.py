"""The API for threads, which may share a client; made of `aio` by `make documents`.

    with CatalogClient(api_url, token_url, credentials) as catalog:
        sent = catalog.upload(Path("mug.jpg"))
        image = catalog.wait(sent.id)

Every call is idempotent: an image's id is the hash of its bytes, a reference is its name, and a purge is
confirmed once.  So lost connections, throttling and server faults are tried again, a bounded number of times.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote
from uuid import uuid4

import httpx

from catalog_images import _blocking_tools as tools
from catalog_images import answers
from catalog_images.errors import (
    ApiError,
    ClientClosedError,
    FileChangedError,
    JobNotEndedError,
    NotFinishedError,
    TokenRefusedError,
    UnreachableError,
    UploadRefusedError,
)
from catalog_images.models import (
    Announcement,
    Comparison,
    Credentials,
    Image,
    Job,
    JobOrder,
    Known,
    Metrics,
    NewReference,
    Page,
    Pair,
    PurgeRun,
    Rendition,
    Ticket,
)
from catalog_images.photos import announcement_of, read_photo
from catalog_images.tokens import Token, TokenStore
from catalog_images.transport import RETRIED_STATUSES, RETRIES, Progress, client_settings, pause_seconds

_JOB_POLL_SECONDS: Final = 0.5
_POLL_BESIDE_EVENTS_SECONDS: Final = 15.0
_FIRST_POLL_SECONDS, _POLL_GROWTH, _LONGEST_POLL_SECONDS = 0.15, 1.5, 1.5


class CatalogClient:
    """Speaks to one deployment as one OAuth client.  `api_url` ends with the stage: `https://.../v1`."""

    def __init__(
        self,
        api_url: str,
        token_url: str,
        credentials: Credentials,
        *,
        retries: int = RETRIES,
        tokens: TokenStore | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`tokens` keeps a token beyond this object; `transport` replaces the network, for tests."""
        self.api_url = api_url.rstrip("/")
        self._token_url = token_url
        self._credentials = credentials
        self._retries = retries
        self._http = httpx.Client(transport=transport, **client_settings(api_url))
        self._tokens = tokens
        self._token: Token | None = None
        self._token_lock = tools.Lock()
        self._closing = tools.Closing()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def interrupt(self) -> None:
        """End every wait and refuse every new request with ClientClosedError; answers on their way arrive."""
        self._closing.set()

    def close(self) -> None:
        """Interrupt, and close every connection."""
        self.interrupt()
        self._http.close()

    # --- Identity ---------------------------------------------------------------------------------------

    def token(self, *, fresh: bool = False) -> str:
        """An access token, kept until a minute before it expires.  Raises TokenRefusedError."""
        with self._token_lock:
            if self._token is None and self._tokens is not None:
                self._token = self._tokens.load()
            if fresh or self._token is None or not self._token.is_good:
                self._token = self._new_token()
                if self._tokens is not None:
                    self._tokens.save(self._token)
            return self._token.text

    def _new_token(self) -> Token:
        form = {"grant_type": "client_credentials"}
        if self._credentials.scopes:
            form["scope"] = " ".join(self._credentials.scopes)
        secret = (self._credentials.client_id, self._credentials.client_secret)
        asked = time.time()
        answer = self._send("POST", self._token_url, data=form, auth=secret)
        document = answers.json_object(answer)
        if not answer.is_success or "access_token" not in document:
            code = str(document.get("error", "no_token"))
            raise TokenRefusedError(answer.status_code, code, answer.text[:200])
        return Token(str(document["access_token"]), asked + float(document.get("expires_in", 3600)))

    # --- Raw calls --------------------------------------------------------------------------------------

    def call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        data: bytes | str | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, Any] | None = None,
        token: str | None = None,
    ) -> httpx.Response:
        """Send any request and return any answer.  `token` replaces the client's own; "" sends none."""
        sent = dict(headers or {})
        bearer = self.token() if token is None else token
        if bearer:
            sent.setdefault("Authorization", f"Bearer {bearer}")
        url = f"{self.api_url}{path}"
        return self._send(method, url, json=json, content=data, params=params, headers=sent)

    # --- Images -----------------------------------------------------------------------------------------

    def announce(self, *, sha256: str, size_bytes: int, content_type: str, filename: str) -> Image | Ticket:
        """POST /images: the image if this tenant has these bytes, otherwise a ticket.

        Raises ApiError, as do all calls below.
        """
        asked = Announcement(sha256, size_bytes, content_type, filename)
        return answers.announced(self._answer("POST", "/images", json=asked.request()))

    def announce_many(self, announcements: Sequence[Announcement]) -> list[Known | Ticket | ApiError]:
        """POST /images/batch: up to 100 announcements, each with its own answer, in their order."""
        asked = {"images": [each.request() for each in announcements]}
        document = self._answer("POST", "/images/batch", json=asked)
        return list(map(answers.announcement_answer, document["answers"]))

    def put(self, ticket: Ticket, source: bytes | Path, *, progress: Progress | None = None) -> None:
        """PUT the bytes with the ticket's URL and headers.  Raises UploadRefusedError.

        A 412 counts as sent: the object is there, by an earlier try whose answer was lost, or by another
        client.  If it has other bytes, the image ends `rejected` with `checksum_mismatch`; upload it again.
        A file of another size than announced raises FileChangedError.
        """
        if isinstance(source, Path) and source.stat().st_size != int(ticket.headers["content-length"]):
            raise FileChangedError(f"{source} changed after it was announced")
        whole = isinstance(source, bytes) and progress is None
        answer = self._send(
            "PUT",
            ticket.url,
            content=source if whole else lambda: tools.body(source, progress),
            headers=ticket.headers,
        )
        if not answer.is_success and answer.status_code != HTTPStatus.PRECONDITION_FAILED:
            code, message = answers.s3_error(answer)
            raise UploadRefusedError(answer.status_code, code, message)

    def upload(
        self,
        source: bytes | Path | str,
        *,
        content_type: str | None = None,
        filename: str | None = None,
        progress: Progress | None = None,
    ) -> Image | Ticket:
        """Announce bytes or a file, and send if needed.

        An Image means that nothing was sent, a Ticket that it was used.  The type comes from the first bytes.
        """
        if isinstance(source, bytes):
            asked = announcement_of(source, content_type=content_type, filename=filename or "photo")
        else:
            path = source = Path(source)
            photo = tools.in_thread(lambda: read_photo(path, content_type=content_type, filename=filename))
            asked = photo.announcement
        announced = self.announce(**asked.request())
        if isinstance(announced, Ticket):
            self.put(announced, source, progress=progress)
        return announced

    def get(self, image_id: str) -> Image:
        """GET /images/{id}."""
        return answers.image(self._answer("GET", f"/images/{image_id}"))

    def delete(self, image_id: str) -> str:
        """DELETE /images/{id}, which nobody may use: `deleted`, or `deleting` while it goes on."""
        return str((self._answer("DELETE", f"/images/{image_id}"))["status"])

    def page(self, *, limit: int | None = None, cursor: str | None = None, status: str | None = None) -> Page:
        """GET /images: one page."""
        asked = {"limit": str(limit) if limit else None, "cursor": cursor, "status": status}
        return answers.page(self._answer("GET", "/images", params=_given(asked)))

    def get_many(self, image_ids: Sequence[str]) -> dict[str, Image]:
        """GET /images?ids=: up to 100 images by id, without those that the tenant does not have."""
        page = answers.page(self._answer("GET", "/images", params={"ids": ",".join(image_ids)}))
        return {image.id: image for image in page.images}

    def images(self, *, status: str | None = None) -> Iterator[Image]:
        """Every image of the tenant, newest first, page by page."""
        for document in self.pages("/images", "images", limit="100", status=status):
            yield answers.image(document)

    def find(
        self,
        *,
        reference: str | None = None,
        reference_prefix: str | None = None,
        filename: str | None = None,
    ) -> Iterator[Image]:
        """The images of a reference, in its gallery's order; of references with a prefix; or of a filename.

        Give one of them.  The index behind it is behind by moments.
        """
        named = {"reference": reference, "reference_prefix": reference_prefix, "filename": filename}
        for document in self.pages("/images", "images", limit="100", **named):
            yield answers.image(document)

    def pairs(self, *, likeness: str | None = None) -> Iterator[Pair]:
        """GET /duplicates: every pair of the tenant, newest first, page by page."""
        for document in self.pages("/duplicates", "duplicates", likeness=likeness):
            yield answers.pair(document)

    def wait(self, image_id: str, *, timeout_seconds: float = 60.0, by_events: bool = False) -> Image:
        """Ask until the image is `ready` or `rejected`.  Raises NotFinishedError.

        `by_events`: `heard` is told of events, so polling is only for those that are lost.
        """
        ends = time.monotonic() + timeout_seconds
        pause = _POLL_BESIDE_EVENTS_SECONDS if by_events else _FIRST_POLL_SECONDS
        with self._closing.listening(image_id) as listener:
            while True:
                image = self.get(image_id)
                if image.is_finished:
                    return image
                left = ends - time.monotonic()
                if left <= 0:
                    raise NotFinishedError(image_id, image.status, timeout_seconds)
                if listener.wait(min(pause, left)):
                    raise ClientClosedError(image_id)
                pause = pause if by_events else min(pause * _POLL_GROWTH, _LONGEST_POLL_SECONDS)

    def heard(self, event: Mapping[str, Any]) -> None:
        """Tell of an event that came, by a webhook or a queue: who waits for its image asks at once.

        `event` is a webhook's body, or the `detail` of EventBridge's.
        """
        told = event.get("data", event)
        self._closing.hear(str(told.get("id", "")))

    def download(self, rendition: Rendition) -> bytes:
        """Fetch the rendition's URL as a browser does, without a token."""
        answer = self._send("GET", rendition.url)
        if not answer.is_success:
            code, message = answers.s3_error(answer)
            raise ApiError(answer.status_code, code, message)
        return answer.content

    # --- Who uses an image, and which show the same -------------------------------------------------------

    def refer(self, image_id: str, reference: str) -> Image:
        """PUT /images/{id}/references/{reference}: say that an SKU or a page uses the image."""
        return answers.image(self._answer("PUT", _reference(image_id, reference)))

    def refer_many(self, references: Sequence[NewReference]) -> list[ApiError | None]:
        """PUT /references: up to 100, each with its own answer, in their order; None where it is set."""
        asked = {"references": [each.request() for each in references]}
        document = self._answer("PUT", "/references", json=asked)
        return list(map(answers.reference_answer, document["answers"]))

    def release(self, image_id: str, reference: str) -> Image:
        """DELETE /images/{id}/references/{reference}: say that it no longer does."""
        return answers.image(self._answer("DELETE", _reference(image_id, reference)))

    def decide(self, image_id: str, other: str, decision: str | None) -> Pair:
        """PUT /images/{id}/duplicates/{other}: a person says `same` or `distinct`; None undoes it."""
        path = f"/images/{image_id}/duplicates/{other}"
        if decision is None:
            return answers.pair(self._answer("DELETE", path))
        return answers.pair(self._answer("PUT", path, json={"decision": decision}))

    # --- Compare, purge, metrics --------------------------------------------------------------------------

    def compare(self, source: bytes | str, *, content_type: str = "image/jpeg") -> Comparison:
        """POST /compare with the bytes, at most 4,500,000, or with an id.  Nothing is stored."""
        if isinstance(source, str):
            return answers.comparison(self._answer("POST", "/compare", json={"id": source}))
        headers = {"Content-Type": content_type}
        return answers.comparison(self._answer("POST", "/compare", data=source, headers=headers))

    def propose_purge(self, *, older_than_days: int | None = None, tenant: str | None = None) -> PurgeRun:
        """POST /purge, a dry run: the unused images, and a token that confirms exactly these.

        Needs the scope catalog/admin, as does `confirm_purge`.
        """
        asked = _given({"older_than_days": older_than_days, "tenant": tenant})
        return answers.purge_run(self._answer("POST", "/purge", json={"dry_run": True, **asked}))

    def confirm_purge(self, confirm_token: str, *, tenant: str | None = None) -> PurgeRun:
        """POST /purge with a dry run's token: delete those that are still unused.

        The run is `running` if the pipeline goes on with it.  A retry after a lost answer raises ApiError
        with `confirm_token_used`.
        """
        asked = {"dry_run": False, "confirm_token": confirm_token, **_given({"tenant": tenant})}
        return answers.purge_run(self._answer("POST", "/purge", json=asked))

    def metrics(self, *, tenant: str | None = None) -> Metrics:
        """GET /metrics of the client's own tenant; with catalog/admin of another, or of all as `*`."""
        return answers.metrics(self._answer("GET", "/metrics", params=_given({"tenant": tenant})))

    # --- Catalog jobs, with the scope catalog/admin -------------------------------------------------------

    def start_job(self, kind: str, *, dry_run: bool = True, **asked: Any) -> Job:
        """POST /jobs: `asked` are its tenant, concurrency and the options of its kind."""
        body = {"kind": kind, "dry_run": dry_run, **asked}
        headers = {"Idempotency-Key": uuid4().hex}  # a try after a lost answer starts no second job
        return answers.job(self._answer("POST", "/jobs", json=body, headers=headers))

    def job(self, job_id: str) -> Job:
        """GET /jobs/{id}."""
        return answers.job(self._answer("GET", f"/jobs/{job_id}"))

    def jobs(self, *, tenant: str | None = None) -> Iterator[Job]:
        """GET /jobs: every job, newest first, page by page."""
        for document in self.pages("/jobs", "jobs", tenant=tenant):
            yield answers.job(document)

    def wait_for_job(
        self, job_id: str, *, timeout_seconds: float, progress: Callable[[Job], None] | None = None
    ) -> Job:
        """Poll until the job has ended, and show each answer to `progress`.  Raises JobNotEndedError."""
        ends = time.monotonic() + timeout_seconds
        while True:
            job = self.job(job_id)
            if progress is not None:
                progress(job)
            if job.is_ended:
                return job
            if time.monotonic() > ends:
                raise JobNotEndedError(f"{job.kind} {job.id} is {job.state} after {timeout_seconds:.0f} s")
            if self._closing.wait(_JOB_POLL_SECONDS):
                raise ClientClosedError(job_id)

    def failures_of(self, job_id: str) -> Iterator[Mapping[str, Any]]:
        """GET /jobs/{id}/failures: each one's `subject`, `code` and `detail`."""
        return self.pages(f"/jobs/{job_id}/failures", "failures")

    def order_job(self, job_id: str, order: JobOrder) -> Job:
        """POST /jobs/{id}/{order}: `pause`, `resume`, `cancel`, or `retry`, which answers a new job."""
        return answers.job(self._answer("POST", f"/jobs/{job_id}/{order}"))

    # --- HTTP -------------------------------------------------------------------------------------------

    def pages(self, path: str, name: str, **params: str | None) -> Iterator[dict[str, Any]]:
        """What every page of a list has under `name`."""
        asked = _given(params)
        while True:
            page = self._answer("GET", path, params=asked)
            yield from page[name]
            if page["cursor"] is None:
                return
            asked["cursor"] = page["cursor"]

    def request(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """The JSON of any call, as `call` sends it.  Raises ApiError."""
        return self._answer(method, path, **request)

    def _answer(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        answer = self.call(method, path, **request)
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            # A rebuilt deployment refuses tokens that have not expired.
            answer = self.call(method, path, token=self.token(fresh=True), **request)
        document = answers.json_object(answer)
        if not answer.is_success:
            raise answers.api_error(answer.status_code, document, answer.text)
        return document

    def _send(self, method: str, url: str, **request: Any) -> httpx.Response:
        """One answer, after tries that were throttled, failed or lost.

        `content` is bytes, or a function that makes a body for each try.
        """
        for attempt in range(self._retries + 1):
            last = attempt == self._retries
            try:
                answer = self._once(method, url, **request)
            except httpx.TransportError as error:
                if last:
                    told = f"{type(error).__name__}: {error}"
                    raise UnreachableError(f"{method} {url.partition('?')[0]}: {told}") from error
                pause = pause_seconds(attempt, None)
            else:
                if last or answer.status_code not in RETRIED_STATUSES:
                    return answer
                pause = pause_seconds(attempt, answer.headers.get("Retry-After"))
            if self._closing.wait(pause):
                raise ClientClosedError(url.partition("?")[0])
        raise AssertionError("the last try returns or raises")

    def _once(self, method: str, url: str, *, content: Any = None, **request: Any) -> httpx.Response:
        if self._closing.is_set():
            raise ClientClosedError(url.partition("?")[0])
        body = content() if callable(content) else content
        return self._http.request(method, url, content=body, **request)


def _given(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if value is not None}


def _reference(image_id: str, reference: str) -> str:
    return f"/images/{image_id}/references/{quote(reference, safe='')}"

"""A client of the public API.  It does nothing that an outside caller could not do.

    with CatalogClient(api_url, token_url, credentials) as catalog:
        receipt = catalog.upload(data, content_type="image/jpeg", filename="mug.jpg")
        image = catalog.wait(receipt.id)

Threads may share a client.  Every call is idempotent: an image's id is the hash of its bytes, a reference is
its name, and a purge is confirmed once.  So the client retries lost connections, throttling and server
faults, a bounded number of times.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote
from xml.etree import ElementTree

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import ChunkedEncodingError
from urllib3.util import Retry

RETRIES: Final = 4
TIMEOUT_SECONDS: Final = (5.0, 60.0)  # connect, read; a cold Lambda on a busy laptop takes some seconds
FINISHED: Final = frozenset({"ready", "rejected"})
ENDED: Final = frozenset({"completed", "failed", "cancelled"})
HEALING: Final = frozenset({"checksum_mismatch", "original_missing", "original_archived"})

_RETRIED_STATUSES: Final = (429, 500, 502, 503, 504)
_TOKEN_MARGIN_SECONDS: Final = 60.0  # a token this close to its expiry is not used
_JOB_POLL_SECONDS: Final = 0.5
_FIRST_POLL_SECONDS, _POLL_GROWTH, _LONGEST_POLL_SECONDS = 0.15, 1.5, 1.5


class CatalogError(Exception):
    """A call failed."""


class ApiError(CatalogError):
    """The API answered with an error.  `code` is its stable name; `faults` says what is wrong, by field."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        request_id: str | None = None,
        faults: Sequence[Mapping[str, str]] = (),
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.request_id = request_id
        self.faults = tuple(faults)


class TokenRefusedError(ApiError):
    """The token endpoint refuses these credentials or scopes."""


class UploadRefusedError(ApiError):
    """S3 refused the PUT: other bytes, length or type than announced, or an expired URL."""


class UnreachableError(CatalogError):
    """No answer, after all retries."""


class NotFinishedError(CatalogError):
    """The image was not `ready` or `rejected` in time."""

    def __init__(self, image_id: str, status: str, seconds: float) -> None:
        super().__init__(f"{image_id} is still {status} after {seconds:.0f} s")
        self.id = image_id
        self.status = status


class JobNotEndedError(CatalogError):
    """The job did not end in time."""


class ClientClosedError(CatalogError):
    """The client was closed while this call waited."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """An OAuth 2 client.  Without `scopes`, a token has every scope of the client."""

    client_id: str
    client_secret: str
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rendition:
    """A rendition.  `width` and `height` in pixels; `quality` is None if it is lossless."""

    id: str
    preset: str
    url: str
    size_bytes: int
    width: int
    height: int
    quality: int | None


@dataclass(frozen=True, slots=True)
class Image:
    """An image as the API returns it; `document` is the whole answer."""

    id: str
    status: str
    rejection_code: str | None
    renditions: tuple[Rendition, ...]
    document: Mapping[str, Any]

    @property
    def is_finished(self) -> bool:
        return self.status in FINISHED

    @property
    def heals(self) -> bool:
        """Rejected for what was stored, not for its bytes: a new upload is accepted."""
        return self.rejection_code in HEALING

    @property
    def in_use_count(self) -> int:
        """How many references it has."""
        return int(self.document["in_use_count"])

    @property
    def near_duplicate_of(self) -> str | None:
        """The id of the canonical image of its group, which shows the same picture."""
        found: str | None = self.document["near_duplicate_of"]
        return found

    @property
    def shares_renditions(self) -> bool:
        """Whether it shows the renditions of its canonical image."""
        verification = self.document["verification"]
        return bool(verification and verification["shares_renditions"])


@dataclass(frozen=True, slots=True)
class Ticket:
    """A presigned PUT of the announced bytes, with exactly these headers."""

    id: str
    url: str
    headers: Mapping[str, str]
    expires_at: str


@dataclass(frozen=True, slots=True)
class Page:
    """Some images, newest first, and the cursor of the next page; None at the end."""

    images: tuple[Image, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two images that were compared.  `likeness` is what their pixels say, `refusal` what differs."""

    ids: tuple[str, str]
    merged: bool
    likeness: str | None
    refusal: str | None
    decision: str | None


@dataclass(frozen=True, slots=True)
class Encoding:
    """A rendition in one format.  `quality_metric` in bytes per pixel; an ideal `ssim` is 1.0."""

    format: str
    size_bytes: int
    quality_metric: float
    ssim: float


@dataclass(frozen=True, slots=True)
class PresetComparison:
    """A preset's rendition of an image in every format; `format` is the preset's own."""

    preset: str
    width: int
    height: int
    needs_upscaling: bool
    format: str
    formats: tuple[Encoding, ...]
    recommended_format: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every preset on one image, and the recommended preset and format."""

    presets: tuple[PresetComparison, ...]
    recommended: str
    recommended_format: str
    ssim_target: float


@dataclass(frozen=True, slots=True)
class PurgeRun:
    """A purge run.  Only a dry run has a `confirm_token`."""

    id: str
    state: str
    candidates: tuple[str, ...]
    candidate_bytes: int
    deleted_count: int
    kept: Mapping[str, str]
    confirm_token: str | None


@dataclass(frozen=True, slots=True)
class Metrics:
    """A tenant's storage used and saved."""

    assets: Mapping[str, int]
    bytes_originals: int
    bytes_per_preset: Mapping[str, int]
    duplicates_avoided: int
    bytes_saved: int
    rejected: int


@dataclass(frozen=True, slots=True)
class Job:
    """A catalog job.  `done`, `skipped` and `failed` count images; `document` is the whole answer."""

    id: str
    kind: str
    state: str
    dry_run: bool
    expected: int
    done: int
    skipped: int
    failed: int
    counts: Mapping[str, int]
    document: Mapping[str, Any]

    @property
    def is_ended(self) -> bool:
        return self.state in ENDED


class CatalogClient:
    """Speaks to one deployment as one OAuth client.  `api_url` ends with the stage: `https://.../v1`."""

    def __init__(
        self, api_url: str, token_url: str, credentials: Credentials, *, retries: int = RETRIES
    ) -> None:
        self.api_url = api_url.rstrip("/")
        self._token_url = token_url
        self._credentials = credentials
        self._retries = retries
        self._local = threading.local()  # threads must not share a session of requests
        self._sessions: list[requests.Session] = []
        self._token_lock = threading.Lock()
        self._token = ""
        self._token_ends = 0.0  # monotonic seconds
        self._closed = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection.  Threads that wait in this client get ClientClosedError."""
        self._closed.set()
        with self._token_lock:
            for session in self._sessions:
                session.close()

    # --- Identity ---------------------------------------------------------------------------------------

    def token(self, *, fresh: bool = False) -> str:
        """An access token, cached until a minute before it expires.  Raises TokenRefusedError."""
        session = self._session()
        with self._token_lock:
            if fresh or time.monotonic() >= self._token_ends:
                self._token, seconds = self._new_token(session)
                self._token_ends = time.monotonic() + seconds - _TOKEN_MARGIN_SECONDS
            return self._token

    def _new_token(self, session: requests.Session) -> tuple[str, float]:
        form = {"grant_type": "client_credentials"}
        if self._credentials.scopes:
            form["scope"] = " ".join(self._credentials.scopes)
        answer = self._send(
            session,
            "POST",
            self._token_url,
            data=form,
            auth=(self._credentials.client_id, self._credentials.client_secret),
        )
        document = _json_object(answer)
        if not answer.ok or "access_token" not in document:
            code = str(document.get("error", "no_token"))
            raise TokenRefusedError(answer.status_code, code, answer.text[:200])
        return str(document["access_token"]), float(document.get("expires_in", 3600))

    # --- Raw calls, for tests that send what no honest client would -----------------------------------------

    def call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        data: bytes | str | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        token: str | None = None,
    ) -> requests.Response:
        """Send any request and return any answer.  `token` replaces the client's own; "" sends none."""
        sent = dict(headers or {})
        bearer = self.token() if token is None else token
        if bearer:
            sent.setdefault("Authorization", f"Bearer {bearer}")
        url = f"{self.api_url}{path}"
        return self._send(self._session(), method, url, json=json, data=data, params=params, headers=sent)

    # --- Images -----------------------------------------------------------------------------------------

    def announce(self, *, sha256: str, size_bytes: int, content_type: str, filename: str) -> Image | Ticket:
        """POST /images: the image if this tenant has these bytes, otherwise a ticket.

        Raises ApiError, as do all calls below.
        """
        document = self._answer(
            "POST",
            "/images",
            json={
                "sha256": sha256,
                "size_bytes": size_bytes,
                "content_type": content_type,
                "filename": filename,
            },
        )
        if "upload" not in document:
            return _image(document)
        upload = document["upload"]
        return Ticket(document["id"], upload["url"], upload["headers"], upload["expires_at"])

    def put(self, ticket: Ticket, data: bytes) -> None:
        """PUT the bytes with the ticket's URL and headers.  Raises UploadRefusedError.

        A 412 counts as sent: the object is there, by an earlier try whose answer was lost, or by another
        client.  If it has other bytes, the image ends `rejected` with `checksum_mismatch`; upload it again.
        """
        answer = self._send(self._session(), "PUT", ticket.url, data=data, headers=ticket.headers)
        if not answer.ok and answer.status_code != HTTPStatus.PRECONDITION_FAILED:
            code, message = _s3_error(answer)
            raise UploadRefusedError(answer.status_code, code, message)

    def upload(self, data: bytes, *, content_type: str, filename: str) -> Image | Ticket:
        """Announce, and send if needed.  An Image means that nothing was sent, a Ticket that it was used."""
        announced = self.announce(
            sha256=hashlib.sha256(data).hexdigest(),
            size_bytes=len(data),
            content_type=content_type,
            filename=filename,
        )
        if isinstance(announced, Ticket):
            self.put(announced, data)
        return announced

    def get(self, image_id: str) -> Image:
        """GET /images/{id}."""
        return _image(self._answer("GET", f"/images/{image_id}"))

    def page(self, *, limit: int | None = None, cursor: str | None = None, status: str | None = None) -> Page:
        """GET /images: one page."""
        asked = {"limit": str(limit) if limit else None, "cursor": cursor, "status": status}
        document = self._answer("GET", "/images", params={k: v for k, v in asked.items() if v is not None})
        return Page(tuple(_image(image) for image in document["images"]), document["cursor"])

    def images(self, *, status: str | None = None) -> Iterator[Image]:
        """Every image of the tenant, newest first, page by page."""
        cursor = None
        while True:
            page = self.page(limit=100, cursor=cursor, status=status)
            yield from page.images
            cursor = page.cursor
            if cursor is None:
                return

    def pairs(self, *, likeness: str | None = None) -> Iterator[Pair]:
        """GET /duplicates: every pair of the tenant, newest first, page by page."""
        cursor = None
        while True:
            asked = {"cursor": cursor, "likeness": likeness}
            page = self._answer(
                "GET", "/duplicates", params={k: v for k, v in asked.items() if v is not None}
            )
            yield from map(_pair, page["duplicates"])
            cursor = page["cursor"]
            if cursor is None:
                return

    def wait(self, image_id: str, *, timeout_seconds: float = 60.0) -> Image:
        """Poll until the image is `ready` or `rejected`.  Raises NotFinishedError."""
        ends = time.monotonic() + timeout_seconds
        pause = _FIRST_POLL_SECONDS
        while True:
            image = self.get(image_id)
            if image.is_finished:
                return image
            left = ends - time.monotonic()
            if left <= 0:
                raise NotFinishedError(image_id, image.status, timeout_seconds)
            if self._closed.wait(min(pause, left)):
                raise ClientClosedError(image_id)
            pause = min(pause * _POLL_GROWTH, _LONGEST_POLL_SECONDS)

    def download(self, rendition: Rendition) -> bytes:
        """Fetch the rendition's URL as a browser does, without a token."""
        answer = self._send(self._session(), "GET", rendition.url)
        if not answer.ok:
            code, message = _s3_error(answer)
            raise ApiError(answer.status_code, code, message)
        return answer.content

    # --- Who uses an image --------------------------------------------------------------------------------

    def refer(self, image_id: str, reference: str) -> Image:
        """PUT /images/{id}/references/{reference}: say that an SKU or a page uses the image."""
        return _image(self._answer("PUT", f"/images/{image_id}/references/{quote(reference, safe='')}"))

    def release(self, image_id: str, reference: str) -> Image:
        """DELETE /images/{id}/references/{reference}: say that it no longer does."""
        return _image(self._answer("DELETE", f"/images/{image_id}/references/{quote(reference, safe='')}"))

    # --- Compare, purge, metrics --------------------------------------------------------------------------

    def compare(self, data: bytes, *, content_type: str) -> Comparison:
        """POST /compare with the image itself.  Nothing is stored."""
        document = self._answer("POST", "/compare", data=data, headers={"Content-Type": content_type})
        return Comparison(
            tuple(_preset_comparison(result) for result in document["results"]),
            document["recommended"],
            document["recommended_format"],
            document["ssim_target"],
        )

    def propose_purge(self, *, older_than_days: int | None = None) -> PurgeRun:
        """POST /purge, a dry run: the unused images, and a token that confirms exactly these.

        Needs the scope catalog/admin, as does `confirm_purge`.
        """
        asked = {} if older_than_days is None else {"older_than_days": older_than_days}
        return _purge_run(self._answer("POST", "/purge", json={"dry_run": True, **asked}))

    def confirm_purge(self, confirm_token: str) -> PurgeRun:
        """POST /purge with a dry run's token: delete those that are still unused.

        The run is `running` if the pipeline goes on with it.  A retry after a lost answer raises ApiError
        with `confirm_token_used`.
        """
        asked = {"dry_run": False, "confirm_token": confirm_token}
        return _purge_run(self._answer("POST", "/purge", json=asked))

    def metrics(self) -> Metrics:
        """GET /metrics of the client's own tenant."""
        document = self._answer("GET", "/metrics")
        return Metrics(
            assets=document["tenant_counts"],
            **{name: document[name] for name in Metrics.__dataclass_fields__ if name != "assets"},
        )

    # --- Catalog jobs, with the scope catalog/admin -------------------------------------------------------

    def start_job(self, kind: str, *, dry_run: bool = True, **asked: Any) -> Job:
        """POST /jobs: `asked` are its tenant, concurrency and the options of its kind."""
        return _job(self._answer("POST", "/jobs", json={"kind": kind, "dry_run": dry_run, **asked}))

    def job(self, job_id: str) -> Job:
        """GET /jobs/{id}."""
        return _job(self._answer("GET", f"/jobs/{job_id}"))

    def jobs(self) -> Iterator[Job]:
        """GET /jobs: every job, newest first, page by page."""
        return map(_job, self._pages("/jobs", "jobs"))

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
            if self._closed.wait(_JOB_POLL_SECONDS):
                raise ClientClosedError(job_id)

    def failures_of(self, job_id: str) -> Iterator[Mapping[str, str]]:
        """GET /jobs/{id}/failures: each one's `subject`, `code` and `detail`."""
        return self._pages(f"/jobs/{job_id}/failures", "failures")

    def order_job(self, job_id: str, order: str) -> Job:
        """POST /jobs/{id}/{order}: `pause`, `resume`, `cancel`, or `retry`, which answers a new job."""
        return _job(self._answer("POST", f"/jobs/{job_id}/{order}"))

    # --- HTTP -------------------------------------------------------------------------------------------

    def _pages(self, path: str, name: str) -> Iterator[dict[str, Any]]:
        """What every page has under `name`."""
        params: dict[str, str] = {}
        while True:
            page = self._answer("GET", path, params=params)
            yield from page[name]
            if page["cursor"] is None:
                return
            params = {"cursor": page["cursor"]}

    def _answer(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        answer = self.call(method, path, **request)
        if answer.status_code == requests.codes.unauthorized:
            # A rebuilt deployment refuses tokens that have not expired.
            answer = self.call(method, path, token=self.token(fresh=True), **request)
        document = _json_object(answer)
        if not answer.ok:
            raise _api_error(answer, document)
        return document

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            session.trust_env = False  # ignore this machine's .netrc and proxy
            retry = Retry(
                total=self._retries,
                backoff_factor=0.2,
                status_forcelist=_RETRIED_STATUSES,
                allowed_methods=None,  # all of them: every call is idempotent
                raise_on_status=False,
            )
            for scheme in ("http://", "https://"):
                session.mount(scheme, HTTPAdapter(max_retries=retry))
            self._local.session = session
            with self._token_lock:
                self._sessions.append(session)
        return session

    def _send(self, session: requests.Session, method: str, url: str, **request: Any) -> requests.Response:
        if self._closed.is_set():
            raise ClientClosedError(url)
        try:
            return session.request(method, url, timeout=TIMEOUT_SECONDS, allow_redirects=False, **request)
        except (requests.ConnectionError, requests.Timeout, ChunkedEncodingError) as error:
            raise UnreachableError(f"{method} {url.partition('?')[0]}: {error}") from error


def _image(document: Mapping[str, Any]) -> Image:
    rejection = document["rejection"]
    return Image(
        id=document["id"],
        status=document["status"],
        rejection_code=rejection["code"] if rejection else None,
        renditions=tuple(
            Rendition(**{name: given[name] for name in Rendition.__dataclass_fields__})
            for given in document["renditions"]
        ),
        document=document,
    )


def _pair(document: Mapping[str, Any]) -> Pair:
    one, other = document["ids"]
    return Pair(
        (one, other),
        **{name: document[name] for name in ("merged", "likeness", "refusal", "decision")},
    )


def _preset_comparison(document: Mapping[str, Any]) -> PresetComparison:
    known = {name: document[name] for name in PresetComparison.__dataclass_fields__ if name != "formats"}
    return PresetComparison(
        **known,
        formats=tuple(
            Encoding(**{name: given[name] for name in Encoding.__dataclass_fields__})
            for given in document["formats"]
        ),
    )


def _purge_run(document: Mapping[str, Any]) -> PurgeRun:
    return PurgeRun(
        id=document["run_id"],
        state=document["state"],
        candidates=tuple(document["candidates"]),
        candidate_bytes=document["candidate_bytes"],
        deleted_count=document["deleted_count"],
        kept={kept["id"]: kept["reason"] for kept in document["kept"]},
        confirm_token=document.get("confirm_token"),
    )


def _job(document: Mapping[str, Any]) -> Job:
    progress = document["progress"]
    return Job(
        **{name: document[name] for name in ("id", "kind", "state", "dry_run", "counts")},
        **{name: progress[name] for name in ("expected", "done", "skipped", "failed")},
        document=document,
    )


def _json_object(answer: requests.Response) -> dict[str, Any]:
    """The JSON object of an answer; empty if a gateway in between answered something else."""
    try:
        document = answer.json()
    except requests.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}


def _api_error(answer: requests.Response, document: Mapping[str, Any]) -> ApiError:
    error = document.get("error")
    if isinstance(error, dict) and "code" in error:
        return ApiError(
            answer.status_code,
            str(error["code"]),
            str(error.get("message", "")),
            request_id=error.get("request_id"),
            faults=error.get("faults", ()),
        )
    # API Gateway's own refusals (no token, no such route, throttled) carry only a message.
    message = str(document.get("message", answer.text[:200]))
    return ApiError(answer.status_code, f"http_{answer.status_code}", message)


def _s3_error(answer: requests.Response) -> tuple[str, str]:
    """S3's code and message, from the XML of its errors."""
    try:
        document = ElementTree.fromstring(answer.content)  # noqa: S314 - S3's own answer to our own request
    except ElementTree.ParseError:
        return f"http_{answer.status_code}", answer.text[:200]
    return document.findtext("Code", f"http_{answer.status_code}"), document.findtext("Message", "")

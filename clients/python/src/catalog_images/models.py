"""What the calls return: the fields that callers branch on.  `document` is the whole answer, typed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from catalog_images import contract

FINISHED: Final = frozenset({"ready", "rejected"})
ENDED: Final = frozenset({"completed", "failed", "cancelled"})
HEALING: Final = frozenset({"checksum_mismatch", "original_missing", "original_archived"})


@dataclass(frozen=True, slots=True)
class Credentials:
    """An OAuth 2 client.  Without `scopes`, a token has every scope of the client."""

    client_id: str
    client_secret: str
    scopes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Without the secret, so that no traceback or log shows it."""
        return f"Credentials({self.client_id!r})"


@dataclass(frozen=True, slots=True)
class Announcement:
    """Bytes to announce: `sha256` in 64 lower-case hex digits, their exact size, type and name."""

    sha256: str
    size_bytes: int
    content_type: str
    filename: str

    def request(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class Rendition:
    """A rendition.  `width` and `height` in pixels; `quality` is None if it is lossless.

    `url` may be good for an hour only; `permanent_url` can be stored, and is None without a CDN.
    """

    id: str
    preset: str
    url: str
    size_bytes: int
    width: int
    height: int
    quality: int | None
    permanent_url: str | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """An image as the API returns it."""

    id: str
    status: str
    rejection_code: str | None
    renditions: tuple[Rendition, ...]
    document: contract.Image

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
    def picture(self) -> str | None:
        """HTML that offers every format, where `get` asked; fill in its `alt`."""
        return self.document.get("picture")

    @property
    def near_duplicate_of(self) -> str | None:
        """The id of the canonical image of its group, which shows the same picture."""
        return self.document["near_duplicate_of"]

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
class Known:
    """An image whose bytes the tenant has, in the answer to a batch: without its renditions.

    `references` are the first ten.
    """

    id: str
    status: str
    rejection_code: str | None
    references: tuple[str, ...] = ()

    @property
    def is_finished(self) -> bool:
        return self.status in FINISHED


@dataclass(frozen=True, slots=True)
class NewReference:
    """That an SKU or a page uses an image; `position`, `role` and `alt` are of its gallery."""

    id: str
    reference: str
    position: int | None = None
    role: str | None = None
    alt: str | None = None

    def request(self) -> dict[str, Any]:
        given = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: value for name, value in given.items() if value is not None}


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
    """A tenant's storage used and saved; `assets` by tenant."""

    assets: Mapping[str, int]
    bytes_originals: int
    bytes_per_preset: Mapping[str, int]
    duplicates_avoided: int
    bytes_saved: int
    rejected: int


JobOrder = Literal["pause", "resume", "cancel", "retry"]


@dataclass(frozen=True, slots=True)
class Job:
    """A catalog job.  `done`, `skipped` and `failed` count images."""

    id: str
    kind: str
    state: str
    dry_run: bool
    expected: int
    done: int
    skipped: int
    failed: int
    counts: Mapping[str, int]
    document: contract.Job

    @property
    def is_ended(self) -> bool:
        return self.state in ENDED

"""Answers and requests of the API, made of docs/openapi.yaml by `make documents`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict


class FaultOfARequest(TypedDict):
    field: str
    message: str


AssetId: TypeAlias = "str"


Status: TypeAlias = 'Literal["awaiting_upload", "processing", "ready", "rejected", "deleting"]'


class Announcement(TypedDict):
    sha256: AssetId
    size_bytes: int
    content_type: Literal[
        "image/jpeg",
        "image/png",
        "image/webp",
        "image/gif",
        "image/avif",
        "image/tiff",
        "image/heic",
        "image/heif",
    ]
    filename: str


class Announcements(TypedDict):
    images: list[Announcement]


class AnnouncementAnswers(TypedDict):
    answers: list[AnnouncementAnswer]


class AnnouncementAnswer(TypedDict):
    status: Literal[200, 201, 400, 403, 409, 413, 415, 429, 504]
    id: AssetId | None
    ticket: UploadTicket | None
    known: KnownImage | None
    error: ItemError | None


class KnownImage(TypedDict):
    status: Status
    rejection: Rejection | None
    correlation_id: CorrelationId
    references: list[str]


class ItemError(TypedDict):
    code: str
    message: str
    retry_after: NotRequired[int]
    faults: NotRequired[list[ItemErrorFaultsItem]]


class ItemErrorFaultsItem(TypedDict):
    field: str
    message: str


CorrelationId: TypeAlias = "str | None"


class UploadTicket(TypedDict):
    id: AssetId
    correlation_id: CorrelationId
    upload: UploadTicketUpload


class UploadTicketUpload(TypedDict):
    method: Literal["PUT"]
    url: str
    headers: Mapping[str, str]
    expires_at: Instant


class Image(TypedDict):
    id: AssetId
    tenant_id: str
    content_hash: AssetId
    status: Status
    original_filename: str | None
    original_size_bytes: int
    original_width: int | None
    original_height: int | None
    original_format: Literal["jpeg", "png", "webp", "gif", "avif", "tiff", "heic", None]
    perceptual_hash: str | None
    phash256: str | None
    in_use_count: int
    shared_by_count: int
    references: list[str]
    used_as: Use | None
    renditions: list[Rendition]
    near_duplicate_of: AssetId | None
    verification: Verification | None
    rejection: Rejection | None
    correlation_id: CorrelationId
    created_at: Instant
    updated_at: Instant
    srcset: NotRequired[str | None]
    picture: NotRequired[str | None]


class Rendition(TypedDict):
    id: str
    preset: str
    url: str
    permanent_url: str | None
    size_bytes: int
    width: int
    height: int
    quality: int | None


class ViewPass(TypedDict):
    expires_at: Instant | None
    query: str | None
    cookies: Mapping[str, str]


Reference: TypeAlias = "str"


Position: TypeAlias = "int | None"


Role: TypeAlias = "str | None"


AltText: TypeAlias = "str | None"


class ReferenceDetails(TypedDict):
    position: NotRequired[Position]
    role: NotRequired[Role]
    alt: NotRequired[AltText]


class Use(TypedDict):
    reference: Reference
    position: Position
    role: Role
    alt: AltText


class NewReferences(TypedDict):
    references: list[NewReference]


class NewReference(TypedDict):
    id: AssetId
    reference: Reference
    position: NotRequired[Position]
    role: NotRequired[Role]
    alt: NotRequired[AltText]


class ReferenceAnswers(TypedDict):
    answers: list[ReferenceAnswer]


class ReferenceAnswer(TypedDict):
    status: Literal[200, 400, 404, 409, 504]
    id: AssetId | None
    reference: Reference | None
    error: ItemError | None


Scores: TypeAlias = "Mapping[str, float]"


Distance: TypeAlias = "int | None"


class Verification(TypedDict):
    decided_by: Literal["pixels", "person"]
    shares_renditions: bool
    distance: Distance
    scores: Scores


class NewDecision(TypedDict):
    decision: Decision


Decision: TypeAlias = 'Literal["same", "distinct"]'


Likeness: TypeAlias = 'Literal["same", "too_small", "suspected", "different"]'


class Pair(TypedDict):
    images: list[Image | None]
    ids: list[AssetId]
    merged: bool
    apart_because: Literal["deleted", "not_ready", "off", "linked", "distinct", "pending"] | None
    distance: Distance
    likeness: Likeness | None
    scores: Scores | None
    refusal: Literal[
        "aspect",
        "resolution",
        "hidden",
        "mirrored",
        "detail",
        "presence",
        "texture",
        "fine_detail",
        "tone",
        "colour",
        "colour_detail",
        None,
    ]
    decision: Literal["same", "distinct", None]
    decided_by: str | None
    decided_at: Instant | None
    seen_at: Instant


class PairPage(TypedDict):
    duplicates: list[Pair]
    cursor: str | None


class DeletedImage(TypedDict):
    id: AssetId
    status: Literal["deleted", "deleting"]


PurgeRequest: TypeAlias = "PurgeRequestADryRun | PurgeRequestAConfirmation"


class PurgeRequestADryRun(TypedDict):
    dry_run: NotRequired[Literal[True]]
    older_than_days: NotRequired[int]
    tenant: NotRequired[TenantId]


class PurgeRequestAConfirmation(TypedDict):
    dry_run: Literal[False]
    confirm_token: str
    tenant: NotRequired[TenantId]


class PurgeRunSummary(TypedDict):
    run_id: str
    tenant_id: TenantId
    dry_run: bool
    state: Literal["proposed", "running", "completed"]
    source: Literal["request", "schedule", "deletion"]
    requested_by: str
    older_than_days: int
    candidate_count: int
    candidate_bytes: int
    more: bool
    deleted_count: int
    kept: list[PurgeRunSummaryKeptItem]
    created_at: Instant
    confirmed_at: Instant | None
    completed_at: Instant | None


class PurgeRunSummaryKeptItem(TypedDict):
    id: AssetId
    reason: Literal["in_use", "announced_again", "gone"]


class PurgeRun(TypedDict):
    run_id: str
    tenant_id: TenantId
    dry_run: bool
    state: Literal["running", "completed"]
    source: Literal["request", "schedule", "deletion"]
    requested_by: str
    older_than_days: int
    candidate_count: int
    candidate_bytes: int
    more: bool
    deleted_count: int
    kept: list[PurgeRunKeptItem]
    created_at: Instant
    confirmed_at: Instant | None
    completed_at: Instant | None
    candidates: Candidates


class PurgeRunKeptItem(TypedDict):
    id: AssetId
    reason: Literal["in_use", "announced_again", "gone"]


class PurgeProposal(TypedDict):
    run_id: str
    tenant_id: TenantId
    dry_run: bool
    state: Literal["proposed"]
    source: Literal["request", "schedule", "deletion"]
    requested_by: str
    older_than_days: int
    candidate_count: int
    candidate_bytes: int
    more: bool
    deleted_count: int
    kept: list[PurgeProposalKeptItem]
    created_at: Instant
    confirmed_at: Instant | None
    completed_at: Instant | None
    candidates: Candidates
    candidates_shown: list[Candidate]
    confirm_token: str
    confirm_token_expires_at: Instant


class PurgeProposalKeptItem(TypedDict):
    id: AssetId
    reason: Literal["in_use", "announced_again", "gone"]


class Candidate(TypedDict):
    id: AssetId
    filename: str | None
    size_bytes: int
    unused_since: Instant | None
    url: str | None


Candidates: TypeAlias = "list[AssetId]"


class PurgeRunPage(TypedDict):
    runs: list[PurgeRunSummary]
    cursor: str | None


class Metrics(TypedDict):
    tenant_counts: Mapping[str, int]
    bytes_per_preset: Mapping[str, int]
    bytes_originals: int
    duplicates_avoided: int
    bytes_saved: int
    rejected: int


class ComparedAsset(TypedDict):
    id: AssetId


class Comparison(TypedDict):
    results: list[PresetComparison]
    recommended: str
    recommended_format: OutputFormat
    ssim_target: float


class PresetComparison(TypedDict):
    format: OutputFormat
    size_bytes: int
    quality_metric: float
    quality: int | None
    ssim: float
    transparent: bool
    preset: str
    width: int
    height: int
    needs_upscaling: bool
    formats: list[Encoding]
    recommended_format: OutputFormat


class Encoding(TypedDict):
    format: OutputFormat
    size_bytes: int
    quality_metric: float
    quality: int | None
    ssim: float
    transparent: bool


OutputFormat: TypeAlias = 'Literal["jpeg", "webp", "avif", "png"]'


class Rejection(TypedDict):
    code: Literal[
        "empty",
        "too_large",
        "checksum_mismatch",
        "unsupported_format",
        "too_many_pixels",
        "truncated",
        "corrupt",
        "damaged",
        "original_missing",
        "original_archived",
    ]
    detail: str


class Page(TypedDict):
    images: list[Image]
    cursor: str | None


TenantId: TypeAlias = "str"


ClientId: TypeAlias = "str"


Scopes: TypeAlias = 'list[Literal["catalog/read", "catalog/write", "catalog/admin"]]'


class NewLimits(TypedDict):
    uploads_per_minute: NotRequired[int | None]
    stored_bytes: NotRequired[int | None]


class NewClient(TypedDict):
    scopes: NotRequired[Scopes]


class NewTenant(TypedDict):
    tenant: TenantId
    scopes: NotRequired[Scopes]
    limits: NotRequired[NewLimits]


class Limits(TypedDict):
    uploads_per_minute: int | None
    stored_bytes: int | None


class Tenant(TypedDict):
    tenant: TenantId
    status: Literal["active", "removing"]
    limits: Limits
    created_at: Instant
    removable_from: Instant | None


class TenantPage(TypedDict):
    tenants: list[Tenant]
    cursor: str | None


class ClientPage(TypedDict):
    tenant: TenantId
    clients: list[Client]
    cursor: str | None


class Client(TypedDict):
    client_id: ClientId
    scopes: Scopes | None
    created_at: Instant


class RemovedTenant(TypedDict):
    tenant: TenantId
    status: Literal["removed"]


class Credentials(TypedDict):
    tenant: TenantId
    client_id: ClientId
    client_secret: str
    scopes: Scopes


class RevokedClient(TypedDict):
    tenant: TenantId
    client_id: ClientId
    status: Literal["revoked"]


WebhookName: TypeAlias = "str"


WebhookEvent: TypeAlias = 'Literal["*", "image.deleted", "image.duplicate", "image.ready", "image.rejected", "job.completed", "job.failed", "purge.completed", "webhook.disabled"]'


class NewWebhook(TypedDict):
    url: str
    events: NotRequired[list[WebhookEvent]]
    secret: NotRequired[str | None]


class Webhook(TypedDict):
    name: WebhookName
    url: str
    events: list[WebhookEvent]
    status: Literal["enabled", "failing", "disabled"]
    failures: int
    failing_since: Instant | None
    disabled_at: Instant | None
    created_at: Instant
    updated_at: Instant


class PutWebhook(TypedDict):
    name: WebhookName
    url: str
    events: list[WebhookEvent]
    status: Literal["enabled", "failing", "disabled"]
    failures: int
    failing_since: Instant | None
    disabled_at: Instant | None
    created_at: Instant
    updated_at: Instant
    secret: str | None


class WebhookList(TypedDict):
    webhooks: list[Webhook]


class DeletedWebhook(TypedDict):
    name: WebhookName
    status: Any


class TestedWebhook(TypedDict):
    name: WebhookName
    event_id: str


class WebhookDelivery(TypedDict):
    event_id: str
    type: str
    attempt: int
    at: Instant
    milliseconds: int
    delivered: bool
    status: int | None
    fault: Literal[
        "address_not_allowed",
        "name_not_resolved",
        "connection_failed",
        "certificate_not_trusted",
        "timed_out",
        "no_http_answer",
        None,
    ]
    next_attempt_at: Instant | None


class WebhookDeliveries(TypedDict):
    name: WebhookName
    deliveries: list[WebhookDelivery]


JobKind: TypeAlias = 'Literal["rebuild", "import", "find-duplicates", "recount", "erase"]'


JobRequest: TypeAlias = (
    "RebuildRequest | ImportRequest | FindDuplicatesRequest | RecountRequest | EraseRequest"
)


class RebuildRequest(TypedDict):
    kind: Literal["rebuild"]
    tenant: TenantId | Literal["*"]
    dry_run: NotRequired[bool]
    concurrency: NotRequired[JobWorkers]
    presets: NotRequired[list[str]]
    reference: NotRequired[str]


class ImportRequest(TypedDict):
    kind: Literal["import"]
    tenant: TenantId
    dry_run: NotRequired[bool]
    concurrency: NotRequired[JobWorkers]
    bucket: BucketName
    prefix: NotRequired[str]
    manifest: NotRequired[ImportRequestManifest]
    reference_columns: NotRequired[list[str]]
    reference_separator: NotRequired[str]
    reference_pattern: NotRequired[str]
    sample: NotRequired[int]


class ImportRequestManifest(TypedDict):
    key: str
    bucket: NotRequired[BucketName]
    format: NotRequired[Literal["csv", "jsonl"]]
    delimiter: NotRequired[Literal[",", ";", "	", "|"]]


BucketName: TypeAlias = "str"


class FindDuplicatesRequest(TypedDict):
    kind: Literal["find-duplicates"]
    tenant: TenantId | Literal["*"]
    dry_run: NotRequired[bool]
    concurrency: NotRequired[JobWorkers]


class RecountRequest(TypedDict):
    kind: Literal["recount"]
    tenant: TenantId | Literal["*"]
    dry_run: NotRequired[bool]
    concurrency: NotRequired[JobWorkers]


class EraseRequest(TypedDict):
    kind: Literal["erase"]
    tenant: TenantId
    dry_run: NotRequired[bool]
    concurrency: NotRequired[JobWorkers]
    image: NotRequired[Any]
    confirm_token: NotRequired[str]


JobWorkers: TypeAlias = "int | None"


class Job(TypedDict):
    id: str
    kind: JobKind
    tenant: TenantId | None
    dry_run: bool
    state: Literal["running", "pausing", "paused", "cancelling", "cancelled", "completed", "failed"]
    options: Mapping[str, Any]
    concurrency: int
    requested_by: str
    retry_of: str | None
    created_at: Instant
    updated_at: Instant
    ended_at: Instant | None
    reason: str | None
    progress: JobProgress
    counts: Mapping[str, int]
    estimate: JobEstimate
    report: Mapping[str, Any] | None
    confirm_token: str | None
    confirm_token_expires_at: Instant | None


class JobProgress(TypedDict):
    expected: int
    done: int
    skipped: int
    failed: int
    per_second: float | None
    seconds_left: float | None
    step: int
    waiting_until: Instant | None


class JobEstimate(TypedDict):
    dollars: float
    seconds: float


class JobPage(TypedDict):
    jobs: list[Job]
    cursor: str | None


class JobFailure(TypedDict):
    tenant: TenantId
    phase: str
    subject: str
    code: str
    detail: str


class JobGroupMember(TypedDict):
    tenant: TenantId
    canonical: str
    id: str
    shares: bool
    decided_by: Literal["pixels", "person"]
    distance: int | None
    bytes_saved: int


class JobGroupPage(TypedDict):
    images: list[JobGroupMember]
    cursor: str | None


class JobFailurePage(TypedDict):
    failures: list[JobFailure]
    cursor: str | None


class Error(TypedDict):
    error: ErrorError


class ErrorError(TypedDict):
    code: str
    message: str
    request_id: str
    faults: NotRequired[list[ErrorErrorFaultsItem]]


class ErrorErrorFaultsItem(TypedDict):
    field: str
    message: str


Instant: TypeAlias = "str"

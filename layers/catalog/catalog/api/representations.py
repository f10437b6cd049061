"""The catalog as JSON: each function makes one schema of docs/openapi.yaml."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

from catalog.api.pictures import markup
from catalog.domain.addresses import Address
from catalog.domain.comparisons import SSIM_TARGET, recommended

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from catalog.domain.assets import Asset
    from catalog.domain.comparisons import Encoding, PresetComparison
    from catalog.domain.duplicate_jobs import GroupMember
    from catalog.domain.jobs import FailedWork, Job
    from catalog.domain.keys import AssetId, AssetKey
    from catalog.domain.near_duplicates import NearDuplicate
    from catalog.domain.purge import PurgeRun
    from catalog.domain.rejections import Rejection
    from catalog.domain.renditions import Rendition
    from catalog.domain.tenants import ClientCredentials, KnownClient, Tenant
    from catalog.domain.uploads import UploadTicket
    from catalog.domain.viewing import Pass
    from catalog.domain.webhooks import Attempt, Webhook
    from catalog.use_cases.decisions import Decided
    from catalog.use_cases.lookup import Found
    from catalog.use_cases.metrics import UsageByTenant
    from catalog.use_cases.purge_requests import Proposal


class Urls(Protocol):
    """Where browsers can GET renditions."""

    def url(self, object_key: str) -> str:
        """That of the rendition stored under a key."""

    def permanent_url(self, address: Address) -> str | None:
        """One to store; None where nothing serves permanent addresses."""

    def page_url(self, address: Address, object_key: str) -> str:
        """One for a page that is made now."""


def image_json(asset: Asset, *, urls: Urls) -> dict[str, Any]:
    """Image, alone: with the markup that shows it."""

    def page_url(rendition: Rendition) -> str:
        return urls.page_url(Address(asset.key, rendition.preset), rendition.key)

    shown = markup(asset.renditions.values(), asset.source, url_of=page_url)
    return asset_json(asset, urls=urls) | shown


def asset_json(asset: Asset, *, urls: Urls) -> dict[str, Any]:
    """Image: an asset with its state, hashes, renditions and times."""
    source, hashes = asset.source, asset.hashes
    return {
        "id": asset.id,
        "tenant_id": asset.tenant,
        "content_hash": asset.id,
        "status": asset.status,
        "original_filename": asset.filename,
        "original_size_bytes": asset.size_bytes,
        "original_width": source.width if source else None,
        "original_height": source.height if source else None,
        "original_format": source.format if source else None,
        "perceptual_hash": hashes.ahash64 if hashes else None,
        "phash256": hashes.phash256 if hashes else None,
        "in_use_count": len(asset.references) + asset.sharers,
        "shared_by_count": asset.sharers,
        "references": sorted(asset.references),
        "used_as": None,
        "renditions": [
            _rendition_json(rendition, asset.key, urls)
            for rendition in sorted(
                asset.renditions.values(), key=lambda stored: (stored.width, stored.preset)
            )
        ],
        "near_duplicate_of": asset.near_duplicate.of if asset.near_duplicate else None,
        "verification": _verification_json(asset.near_duplicate) if asset.near_duplicate else None,
        "rejection": _rejection_json(asset.rejection),
        "correlation_id": asset.correlation_id,
        "created_at": _instant(asset.created_at),
        "updated_at": _instant(asset.updated_at),
    }


# References of an image in a list; GET /v1/images/{id} answers all of them, up to 1,000.
FIRST_REFERENCES: Final = 10


def listed_json(asset: Asset, *, urls: Urls) -> dict[str, Any]:
    """Image, in a list: with its first references only; `in_use_count` is their number."""
    answered = asset_json(asset, urls=urls)
    return answered | {"references": sorted(asset.references)[:FIRST_REFERENCES]}


def found_json(found: Found, *, urls: Urls) -> dict[str, Any]:
    """Image, found by a reference."""
    use = found.use
    said = {"reference": use.reference, "position": use.position, "role": use.role, "alt": use.alt}
    return listed_json(found.asset, urls=urls) | {"used_as": said}


def pair_json(decided: Decided, assets: Mapping[AssetId, Asset], *, urls: Urls) -> dict[str, Any]:
    """Pair: two images that look alike, and what was decided; a deleted image is null."""
    pair = decided.pair
    images = (assets.get(pair.first), assets.get(pair.second))
    return {
        "images": [listed_json(asset, urls=urls) if asset else None for asset in images],
        "ids": [pair.first, pair.second],
        "merged": decided.merged,
        "apart_because": decided.apart,
        "distance": pair.distance,
        "likeness": pair.likeness.verdict if pair.likeness else None,
        "scores": dict(pair.likeness.scores) if pair.likeness else None,
        "refusal": pair.likeness.refusal if pair.likeness else None,
        "decision": pair.decision,
        "decided_by": pair.decided_by,
        "decided_at": _instant(pair.decided_at) if pair.decided_at else None,
        "seen_at": _instant(pair.seen_at),
    }


def _rejection_json(rejection: Rejection | None) -> dict[str, Any] | None:
    return {"code": rejection.code, "detail": rejection.detail} if rejection else None


def _verification_json(verdict: NearDuplicate) -> dict[str, Any]:
    return {
        "decided_by": verdict.decided_by,
        "shares_renditions": verdict.shares,
        "distance": verdict.distance,
        "scores": dict(verdict.scores),
    }


def _rendition_json(rendition: Rendition, shown_for: AssetKey, urls: Urls) -> dict[str, Any]:
    return {
        "id": f"{rendition.preset}-{rendition.version}",
        "preset": rendition.preset,
        "url": urls.url(rendition.key),
        "permanent_url": urls.permanent_url(Address(shown_for, rendition.preset)),
        "size_bytes": rendition.size_bytes,
        "width": rendition.width,
        "height": rendition.height,
        "quality": rendition.quality,
    }


def comparison_json(comparisons: Sequence[PresetComparison]) -> dict[str, Any]:
    """Comparison: every preset in every format."""
    best = recommended(comparisons)
    return {
        "results": [_preset_comparison_json(each) for each in comparisons],
        "recommended": best.preset.name,
        "recommended_format": best.recommended.format,
        "ssim_target": SSIM_TARGET,
    }


def _preset_comparison_json(comparison: PresetComparison) -> dict[str, Any]:
    own = comparison.own
    return {
        "preset": comparison.preset.name,
        "width": own.width,
        "height": own.height,
        "needs_upscaling": comparison.needs_upscaling,
        **_encoding_json(own),
        "formats": [_encoding_json(encoding) for encoding in comparison.encodings],
        "recommended_format": comparison.recommended.format,
    }


def _encoding_json(encoding: Encoding) -> dict[str, Any]:
    return {
        "format": encoding.format,
        "size_bytes": encoding.size_bytes,
        "quality_metric": round(encoding.bytes_per_pixel, 4),
        "quality": encoding.quality,
        "ssim": encoding.ssim,
        "transparent": encoding.transparent,
    }


def ticket_json(ticket: UploadTicket) -> dict[str, Any]:
    """UploadTicket: where and how to send the bytes."""
    return {
        "id": ticket.key.id,
        "correlation_id": ticket.correlation_id,
        "upload": {
            "method": "PUT",
            "url": ticket.upload.url,
            "headers": ticket.upload.headers,
            "expires_at": _instant(ticket.upload.expires_at),
        },
    }


def known_json(asset: Asset) -> dict[str, Any]:
    """KnownImage: what a batch tells of an image that is here."""
    return {
        "status": asset.status,
        "rejection": _rejection_json(asset.rejection),
        "correlation_id": asset.correlation_id,
        "references": sorted(asset.references)[:FIRST_REFERENCES],
    }


def pass_json(given: Pass | None) -> dict[str, Any]:
    """ViewPass: nothing is needed where there is none."""
    return {
        "expires_at": _instant(given.expires_at) if given else None,
        "query": given.query if given else None,
        "cookies": dict(given.cookies) if given else {},
    }


def candidate_json(asset: Asset, *, urls: Urls) -> dict[str, Any]:
    """Candidate: what a person needs to recognise an image; the smallest rendition shows it."""
    from catalog.domain.purge import stored_bytes  # noqa: PLC0415 - of all functions only Purge has loaded it

    smallest = min(asset.renditions.values(), key=lambda rendition: rendition.size_bytes, default=None)
    return {
        "id": asset.id,
        "filename": asset.filename,
        "size_bytes": stored_bytes([asset]),
        "unused_since": _instant(asset.unused_since) if asset.unused_since else None,
        "url": urls.url(smallest.key) if smallest else None,
    }


def proposal_json(proposal: Proposal, shown: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """PurgeProposal: a dry run, with the token that confirms exactly these candidates."""
    return run_json(proposal.run) | {
        "candidates_shown": list(shown),
        "confirm_token": proposal.token,
        "confirm_token_expires_at": _instant(proposal.expires_at),
    }


def run_json(run: PurgeRun) -> dict[str, Any]:
    """PurgeRun: a run with its candidates."""
    return summary_json(run) | {"candidates": list(run.candidates)}


def summary_json(run: PurgeRun) -> dict[str, Any]:
    """PurgeRunSummary: a run without its candidates."""
    return {
        "run_id": run.id,
        "tenant_id": run.tenant,
        "dry_run": run.is_dry_run,
        "state": run.state,
        "source": run.source,
        "requested_by": run.requested_by,
        "older_than_days": run.older_than.days,
        "candidate_count": len(run.candidates),
        "candidate_bytes": run.size_bytes,
        "more": run.more,
        "deleted_count": run.deleted,
        "kept": [{"id": id_, "reason": reason} for id_, reason in sorted(run.kept.items())],
        "created_at": _instant(run.as_of),
        "confirmed_at": _instant(run.confirmed_at) if run.confirmed_at else None,
        "completed_at": _instant(run.completed_at) if run.completed_at else None,
    }


def tenant_json(tenant: Tenant) -> dict[str, Any]:
    """Tenant, without its clients."""
    return {
        "tenant": tenant.id,
        "status": tenant.status,
        "limits": {
            "uploads_per_minute": tenant.limits.uploads_per_minute,
            "stored_bytes": tenant.limits.stored_bytes,
        },
        "created_at": _instant(tenant.created_at),
        "removable_from": _instant(tenant.removable_from) if tenant.removable_from else None,
    }


def credentials_json(credentials: ClientCredentials) -> dict[str, Any]:
    """ClientCredentials: the only answer that has the secret."""
    return {
        "tenant": credentials.client.tenant,
        "client_id": credentials.client.client_id,
        "client_secret": credentials.client_secret,
        "scopes": list(credentials.scopes),
    }


def client_json(client: KnownClient) -> dict[str, Any]:
    """Client, without its secret, which is not stored."""
    return {
        "client_id": client.client_id,
        "scopes": None if client.scopes is None else list(client.scopes),
        "created_at": _instant(client.created_at),
    }


def metrics_json(usage: UsageByTenant) -> dict[str, Any]:
    """Metrics: counts and bytes."""
    together = usage.together
    return {
        "tenant_counts": {tenant: its.assets for tenant, its in sorted(usage.by_tenant.items())},
        "bytes_per_preset": dict(sorted(together.bytes_per_preset.items())),
        "bytes_originals": together.bytes_originals,
        "duplicates_avoided": together.duplicates_avoided,
        "bytes_saved": together.bytes_saved,
        "rejected": together.rejected,
    }


def job_json(job: Job, *, now: datetime, confirmation: tuple[str, datetime] | None = None) -> dict[str, Any]:
    """Job: what was asked for, how far it is, what it comes to, and the token that confirms a dry run."""
    from catalog.domain.estimates import estimate  # noqa: PLC0415 - of all functions only Jobs has loaded it

    tally, cost = job.tally, estimate(job.kind, job.tally)
    return {
        "id": job.id,
        "kind": job.kind,
        "tenant": job.tenant,
        "dry_run": job.dry_run,
        "state": job.state,
        "options": dict(job.options),
        "concurrency": job.concurrency,
        "requested_by": job.requested_by,
        "retry_of": job.retry_of,
        "created_at": _instant(job.created_at),
        "updated_at": _instant(job.updated_at or job.created_at),
        "ended_at": _instant(job.ended_at) if job.ended_at else None,
        "reason": job.reason,
        "progress": {
            "expected": max(job.expected, tally.images),
            "done": tally.done,
            "skipped": tally.skipped,
            "failed": tally.failed,
            **_pace_json(job, now),
            "step": job.step,
            "waiting_until": _instant(job.stage.waiting_until) if job.stage.waiting_until else None,
        },
        "counts": dict(tally.counts),
        "estimate": {"dollars": round(cost.dollars, 4), "seconds": round(cost.seconds / job.concurrency, 1)},
        "report": job.report,
        "confirm_token": confirmation[0] if confirmation else None,
        "confirm_token_expires_at": _instant(confirmation[1]) if confirmation else None,
    }


def _pace_json(job: Job, now: datetime) -> dict[str, Any]:
    """Images a second while it was carried out, and seconds until the images expected so far are done."""
    rate = job.rate(now)
    left = max(0, job.expected - job.tally.images)
    known = rate and not job.is_at_rest
    return {
        "per_second": round(rate, 3) if rate else None,
        "seconds_left": round(left / rate, 1) if known and rate else None,
    }


def group_member_json(member: GroupMember) -> dict[str, Any]:
    """GroupMember: an image of a dry run's report, and the canonical one whose group it would join."""
    verdict = member.join.verdict
    return {
        "tenant": member.tenant,
        "canonical": member.canonical,
        "id": member.join.image,
        "shares": verdict.shares,
        "decided_by": verdict.decided_by,
        "distance": verdict.distance,
        "bytes_saved": member.join.bytes_saved,
    }


def failure_json(failed: FailedWork) -> dict[str, Any]:
    """Failure: an image or an object that a job could not deal with."""
    return {
        "tenant": failed.tenant,
        "phase": failed.phase,
        "subject": failed.failure.subject,
        "code": failed.failure.code,
        "detail": failed.failure.detail,
    }


def webhook_json(webhook: Webhook) -> dict[str, Any]:
    """Webhook, without its secret, which no answer shows twice."""
    since, disabled = webhook.failing_since, webhook.disabled_at
    return {
        "name": webhook.name,
        "url": webhook.url,
        "events": list(webhook.events),
        "status": "disabled" if disabled else "failing" if since else "enabled",
        "failures": webhook.failures,
        "failing_since": _instant(since) if since else None,
        "disabled_at": _instant(disabled) if disabled else None,
        "created_at": _instant(webhook.created_at),
        "updated_at": _instant(webhook.updated_at),
    }


def attempt_json(attempt: Attempt) -> dict[str, Any]:
    """WebhookDelivery: one attempt, and when the next one follows."""
    return {
        "event_id": attempt.event_id,
        "type": attempt.type,
        "attempt": attempt.number,
        "at": _instant(attempt.at),
        "milliseconds": attempt.milliseconds,
        "delivered": attempt.reply.accepts,
        "status": attempt.reply.status,
        "fault": attempt.reply.fault,
        "next_attempt_at": _instant(attempt.next_at) if attempt.next_at else None,
    }


def _instant(moment: datetime) -> str:
    """ISO 8601, UTC, whole milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

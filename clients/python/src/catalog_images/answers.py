"""From the JSON of an answer to what a call returns.  Fields that are not known are ignored."""

import json
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

import httpx

from catalog_images.errors import ApiError
from catalog_images.models import (
    Comparison,
    Encoding,
    Image,
    Job,
    Known,
    Metrics,
    Page,
    Pair,
    PresetComparison,
    PurgeRun,
    Rendition,
    Ticket,
)


def image(document: Any) -> Image:
    """One image."""
    rejection = document["rejection"]
    return Image(
        id=document["id"],
        status=document["status"],
        rejection_code=rejection["code"] if rejection else None,
        renditions=tuple(Rendition(**_fields(Rendition, given)) for given in document["renditions"]),
        document=document,
    )


def announced(document: Any) -> Image | Ticket:
    """The image if its bytes are known, otherwise a ticket."""
    if "upload" not in document:
        return image(document)
    return ticket(document)


def ticket(document: Any) -> Ticket:
    """Where announced bytes go."""
    upload = document["upload"]
    return Ticket(document["id"], upload["url"], upload["headers"], upload["expires_at"])


def announcement_answer(document: Any) -> Known | Ticket | ApiError:
    """One image's answer to a batch."""
    if document["ticket"]:
        return ticket(document["ticket"])
    if known := document["known"]:
        rejection = known["rejection"]
        code = rejection["code"] if rejection else None
        return Known(document["id"], known["status"], code, tuple(known["references"]))
    return item_error(document)


def item_error(document: Any) -> ApiError:
    """The error of one item of a batch."""
    error = document["error"]
    return ApiError(
        document["status"],
        error["code"],
        error["message"],
        faults=error.get("faults", ()),
        retry_after=error.get("retry_after"),
    )


def reference_answer(document: Any) -> ApiError | None:
    """One reference's answer to a batch; None if it is set."""
    return item_error(document) if document["error"] else None


def page(document: Any) -> Page:
    """A page of images."""
    return Page(tuple(map(image, document["images"])), document["cursor"])


def pair(document: Any) -> Pair:
    """Two images that were compared."""
    one, other = document["ids"]
    return Pair(
        (one, other),
        **{name: document[name] for name in ("merged", "likeness", "refusal", "decision")},
    )


def comparison(document: Any) -> Comparison:
    """Every preset on one image."""
    return Comparison(
        tuple(
            PresetComparison(
                **_fields(PresetComparison, result, but="formats"),
                formats=tuple(Encoding(**_fields(Encoding, given)) for given in result["formats"]),
            )
            for result in document["results"]
        ),
        document["recommended"],
        document["recommended_format"],
        document["ssim_target"],
    )


def purge_run(document: Any) -> PurgeRun:
    """A dry run, or what a confirmation began."""
    return PurgeRun(
        id=document["run_id"],
        state=document["state"],
        candidates=tuple(document["candidates"]),
        candidate_bytes=document["candidate_bytes"],
        deleted_count=document["deleted_count"],
        kept={kept["id"]: kept["reason"] for kept in document["kept"]},
        confirm_token=document.get("confirm_token"),
    )


def metrics(document: Any) -> Metrics:
    """What a tenant uses and has saved."""
    return Metrics(assets=document["tenant_counts"], **_fields(Metrics, document, but="assets"))


def job(document: Any) -> Job:
    """A catalog job."""
    progress = document["progress"]
    return Job(
        **{name: document[name] for name in ("id", "kind", "state", "dry_run", "counts")},
        **{name: progress[name] for name in ("expected", "done", "skipped", "failed")},
        document=document,
    )


def json_object(answer: httpx.Response) -> dict[str, Any]:
    """The JSON object of an answer; empty if a gateway in between answered something else."""
    try:
        document = answer.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        return {}
    return document if isinstance(document, dict) else {}


def api_error(status: int, document: Mapping[str, Any], text: str = "") -> ApiError:
    """The API's error, or one named after its status."""
    error = document.get("error")
    if isinstance(error, dict) and "code" in error:
        return ApiError(
            status,
            str(error["code"]),
            str(error.get("message", "")),
            request_id=error.get("request_id"),
            faults=error.get("faults", ()),
        )
    # API Gateway's own refusals (no such route, throttled) may carry only a message.
    return ApiError(status, f"http_{status}", str(document.get("message", text[:200])))


def s3_error(answer: httpx.Response) -> tuple[str, str]:
    """S3's code and message, from the XML of its errors."""
    try:
        document = ElementTree.fromstring(answer.content)  # noqa: S314 - S3's own answer to our own request
    except ElementTree.ParseError:
        return f"http_{answer.status_code}", answer.text[:200]
    return document.findtext("Code", f"http_{answer.status_code}"), document.findtext("Message", "")


def _fields(kind: type, document: Mapping[str, Any], *, but: str = "") -> dict[str, Any]:
    """The fields of a dataclass, from a document that may have more."""
    names: Mapping[str, Any] = kind.__dataclass_fields__  # type: ignore[attr-defined]
    return {name: document[name] for name in names if name != but and name in document}

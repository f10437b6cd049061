"""Bad input is answered 400 by every route, and changes nothing.  What is bad: tests/unit/test_inputs.py."""

import json
from typing import Any, Final

import pytest

from infra.local.events import api_event
from tests.functional.cloud import Cloud
from tests.functional.test_security import OPERATIONS

ID, OTHER = "5c" * 32, "d7" * 32
# Of each operation: the function, the method, the path, a body or a query, and the fields that are refused.
BAD: Final[dict[str, tuple[str, str, str, dict[str, Any], list[str]]]] = {
    "requestUpload": ("request_upload", "POST", "/images", {"body": []}, ["body"]),
    "requestUploads": ("request_upload", "POST", "/images/batch", {"body": {"images": []}}, ["images"]),
    "listImages": ("list_images", "GET", "/images", {"query": {"limit": "0"}}, ["limit"]),
    "getImage": ("get_image", "GET", "/images/x", {}, ["id"]),
    "getViewPass": ("get_image", "GET", "/view-pass", {"query": {"limit": "1"}}, ["limit"]),
    "takeReference": ("references", "PUT", f"/images/{ID}/references/a//b", {}, ["reference"]),
    "setReferences": ("references", "PUT", "/references", {"body": {"references": []}}, ["references"]),
    "releaseReference": ("references", "DELETE", "/images/x/references/a", {}, ["id"]),
    "decidePair": ("duplicates", "PUT", f"/images/{ID}/duplicates/{OTHER}", {"body": {}}, ["decision"]),
    "undoDecision": ("duplicates", "DELETE", f"/images/{ID}/duplicates/{ID}", {}, ["other"]),
    "listPairs": ("duplicates", "GET", "/duplicates", {"query": {"likeness": "alike"}}, ["likeness"]),
    "compareImage": ("compare", "POST", "/compare", {"body": {"id": "x"}}, ["id"]),
    "purge": ("purge", "POST", "/purge", {"body": {"force": True}}, ["force"]),
    "listPurgeRuns": ("purge", "GET", "/purge/runs", {"query": {"state": "running"}}, ["state"]),
    "getMetrics": ("metrics", "GET", "/metrics", {"query": {"since": "today"}}, ["since"]),
    "createTenant": ("tenants", "POST", "/tenants", {"body": {"tenant": "X"}}, ["tenant"]),
    "listTenants": ("tenants", "GET", "/tenants", {"query": {"limit": "x"}}, ["limit"]),
    "removeTenant": ("tenants", "DELETE", "/tenants/Nobody", {}, ["tenant"]),
    "limitTenant": ("tenants", "PUT", "/tenants/acme/limits", {"body": {"images": 1}}, ["images"]),
    "addClient": ("tenants", "POST", "/tenants/acme/clients", {"body": {"scope": "x"}}, ["scope"]),
    "listClients": ("tenants", "GET", "/tenants/acme/clients", {"query": {"limit": "101"}}, ["limit"]),
    "deleteImage": ("purge", "DELETE", "/images/x", {}, ["id"]),
    "createJob": ("jobs", "POST", "/jobs", {"body": {"kind": "polish", "tenant": "acme"}}, ["kind"]),
    "listJobs": ("jobs", "GET", "/jobs", {"query": {"tenant": "X"}}, ["tenant"]),
    "getJob": ("jobs", "GET", "/jobs/no_job", {}, ["id"]),
    "listJobFailures": ("jobs", "GET", "/jobs/a/failures", {"query": {"limit": "0"}}, ["limit"]),
    "listJobGroups": ("jobs", "GET", "/jobs/a/groups", {"query": {"limit": "0"}}, ["limit"]),
    "pauseJob": ("jobs", "POST", "/jobs/no_job/pause", {}, ["id"]),
    "resumeJob": ("jobs", "POST", "/jobs/no_job/resume", {}, ["id"]),
    "cancelJob": ("jobs", "POST", "/jobs/no_job/cancel", {}, ["id"]),
    "retryJob": ("jobs", "POST", "/jobs/no_job/retry", {}, ["id"]),
    "putWebhook": ("webhooks", "PUT", "/webhooks/shop", {"body": {"url": "http://x.example"}}, ["url"]),
    "listWebhooks": ("webhooks", "GET", "/webhooks", {"query": {"limit": "1"}}, ["limit"]),
    "getWebhook": ("webhooks", "GET", "/webhooks/Shop", {}, ["name"]),
    "deleteWebhook": ("webhooks", "DELETE", "/webhooks/Shop", {}, ["name"]),
    "testWebhook": ("webhooks", "POST", "/webhooks/Shop/test", {}, ["name"]),
    "listWebhookDeliveries": ("webhooks", "GET", "/webhooks/Shop/deliveries", {}, ["name"]),
    "revokeClient": ("tenants", "DELETE", f"/tenants/acme/clients/{'x' * 129}", {}, ["client_id"]),
}  # fmt: skip


def test_every_operation_is_asked_for_something_it_cannot_be_asked() -> None:
    assert BAD.keys() == OPERATIONS.keys()


@pytest.mark.parametrize("operation", BAD)
def test_a_fault_is_answered_by_its_field_and_changes_nothing(cloud: Cloud, operation: str) -> None:
    function, method, path, given, fields = BAD[operation]
    before = cloud.snapshot()

    answer = cloud.call(function, method, path, scope="catalog/admin", **given)

    assert (answer.status, answer.json["error"]["code"]) == (400, "invalid_request")
    assert [fault["field"] for fault in answer.json["error"]["faults"]] == fields
    assert answer.json["error"]["request_id"] == "request-1"
    assert cloud.snapshot() == before


def test_a_media_type_and_a_size_that_are_not_taken_have_answers_of_their_own(cloud: Cloud) -> None:
    upload = {"sha256": ID, "size_bytes": 10, "content_type": "image/png", "filename": "lamp.png"}

    def refused(**changed: object) -> tuple[int, str]:
        answer = cloud.call("request_upload", "POST", "/images", body=upload | changed)
        return answer.status, answer.json["error"]["code"]

    assert refused(content_type="text/plain") == (415, "unsupported_media_type")
    assert refused(size_bytes=20 * 1024 * 1024) == (413, "too_large")


@pytest.mark.parametrize(
    ("content_type", "refusal"),
    [
        ("text/plain", (415, "unsupported_media_type")),
        ("multipart/form-data; boundary=b", (400, "invalid_request")),
        (None, (400, "invalid_request")),
    ],
)
def test_the_content_type_of_what_is_compared_is_that_of_the_header(
    cloud: Cloud, content_type: str | None, refusal: tuple[int, str]
) -> None:
    event = api_event("POST", "/compare") | {"body": "x"}
    event["headers"] = {"content-type": content_type} if content_type else {}

    answer = cloud.invoke("compare", event)

    assert (answer["statusCode"], json.loads(answer["body"])["error"]["code"]) == refusal

"""Catalog jobs on the deployed stack: who may order them, and that one survives what happens to it."""

from collections.abc import Iterator
from typing import Any

import pytest

from catalog.domain.tenants import Scope
from catalog_images import CatalogClient
from tests.end_to_end.deployment import Deployment, within

# Each is two parts of a recount of every tenant: half a minute on a laptop, so there is time to interfere.
TENANTS = 200
MANY = [f"many-{number:03d}" for number in range(TENANTS)]


@pytest.fixture(scope="module")
def admin(deployment: Deployment) -> Iterator[CatalogClient]:
    with deployment.client("operators", Scope.ADMIN) as client:
        yield client


@pytest.fixture(scope="module")
def many_tenants(deployment: Deployment) -> Iterator[None]:
    dynamodb, table = deployment.stack.client("dynamodb"), deployment.output("TenantsTable")
    for tenant in MANY:
        item = {"tenant": {"S": tenant}, "created_at": {"S": "2026-11-30T12:00:00.000000+00:00"}}
        dynamodb.put_item(TableName=table, Item=item)
    yield
    for tenant in MANY:
        dynamodb.delete_item(TableName=table, Key={"tenant": {"S": tenant}})


def answer(client: CatalogClient, method: str, path: str, **request: Any) -> tuple[int, dict[str, Any]]:
    answered = client.call(method, path, **request)
    return answered.status_code, answered.json()


def parts(deployment: Deployment, job_id: str) -> tuple[int, int]:
    """How many parts of a job were begun, and how many are completed."""
    asked = {
        "TableName": deployment.output("JobsTable"),
        "KeyConditionExpression": "job = :job AND begins_with(#entry, :part)",
        "ExpressionAttributeNames": {"#entry": "entry"},
        "ExpressionAttributeValues": {":job": {"S": job_id}, ":part": {"S": "part#"}},
    }
    items = deployment.stack.client("dynamodb").query(**asked)["Items"]
    return len(items), len([item for item in items if "completed" in item])


def has_completed(deployment: Deployment, job_id: str, number: int) -> None:
    within(120, lambda: parts(deployment, job_id)[1] >= number, f"{number} parts of {job_id}")


def state(admin: CatalogClient, job_id: str) -> str:
    return str(answer(admin, "GET", f"/jobs/{job_id}")[1]["state"])


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/jobs"), ("GET", "/jobs"), ("GET", "/jobs/1"), ("GET", "/jobs/1/failures"),
     *(("POST", f"/jobs/1/{order}") for order in ("pause", "resume", "cancel", "retry"))],
)  # fmt: skip
def test_jobs_are_an_administrators_business_alone(
    deployment: Deployment, acme: CatalogClient, method: str, path: str
) -> None:
    status, body = answer(acme, method, path, json={} if method == "POST" else None)
    assert (status, body["error"]["code"]) == (401, "unauthorized")


def test_a_recount_goes_through_and_is_listed(deployment: Deployment, admin: CatalogClient) -> None:
    started = admin.start_job("recount", tenant="operators", dry_run=False)
    ended = admin.wait_for_job(started.id, timeout_seconds=120)

    assert (ended.state, ended.failed) == ("completed", 0)
    assert started.id in [job.id for job in admin.jobs()]
    assert list(admin.failures_of(started.id)) == []
    status, refused = answer(admin, "POST", f"/jobs/{started.id}/resume")
    assert (status, refused["error"]["code"]) == (409, "job_state")


def test_a_job_is_paused_resumed_killed_and_healed_and_every_part_is_completed_once(
    deployment: Deployment, admin: CatalogClient, many_tenants: None
) -> None:
    job = admin.start_job("recount", tenant="*", dry_run=True).id
    has_completed(deployment, job, 5)

    assert answer(admin, "POST", f"/jobs/{job}/pause")[1]["state"] == "pausing"
    within(120, lambda: state(admin, job) == "paused", "it rests")
    begun, completed = parts(deployment, job)
    assert begun == completed < 2 * TENANTS
    assert answer(admin, "POST", f"/jobs/{job}/resume")[1]["state"] == "running"
    has_completed(deployment, job, completed + 5)

    assert deployment.stop_executions(job) == 1
    deployment.sweep_jobs()
    deployment.kill_workers("RecountWorkerFunction")
    ended = admin.wait_for_job(job, timeout_seconds=300)

    assert (ended.state, ended.failed) == ("completed", 0)
    begun, completed = parts(deployment, job)
    assert begun == completed >= 2 * TENANTS


def test_a_job_is_cancelled_for_good(
    deployment: Deployment, admin: CatalogClient, many_tenants: None
) -> None:
    job = admin.start_job("recount", tenant="*", dry_run=True, concurrency=1).id
    has_completed(deployment, job, 1)
    assert answer(admin, "POST", f"/jobs/{job}/cancel")[1]["state"] == "cancelling"
    within(120, lambda: state(admin, job) == "cancelled", "it has ended")
    begun, completed = parts(deployment, job)
    assert begun == completed < 2 * TENANTS
    status, refused = answer(admin, "POST", f"/jobs/{job}/resume")
    assert (status, refused["error"]["code"]) == (409, "job_state")

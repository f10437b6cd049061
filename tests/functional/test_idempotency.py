"""An order for a job that comes again with its Idempotency-Key is answered with the job that it began."""

from __future__ import annotations

from typing import Any

import pytest

from catalog.adapters.jobs_table import Jobs
from catalog.domain.paging import PageRequest
from tests.functional.cloud import Answer, Cloud, Killed
from tests.functional.counting_jobs import Counted, started
from tests.functional.jobs import JobRun
from tests.functional.test_lost_answers import every_answer_lost_once

ASKED = {"kind": "recount", "tenant": "acme", "dry_run": False}


def post(cloud: Cloud, key: str = "night-7", *, client_id: str = "client-of-globex", **asked: Any) -> Answer:
    body = ASKED | asked
    return cloud.job("POST", client_id=client_id, body=body, headers={"idempotency-key": key})


def jobs_of(cloud: Cloud) -> list[str]:
    return [job.id for job in Jobs("JobsTable").page(None, PageRequest(100)).entries]


def test_the_same_order_with_the_same_key_is_the_same_job(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    Counted().play(cloud, monkeypatch)
    first = post(cloud)
    JobRun(cloud, first.json["id"]).to_the_end()

    again = post(cloud, **dict(reversed(ASKED.items())))

    assert (first.status, again.status) == (202, 202)
    assert (again.json["id"], again.json["state"]) == (first.json["id"], "completed")
    assert jobs_of(cloud) == [first.json["id"]]


def test_a_key_of_another_order_is_refused_and_another_tenants_is_another_key(cloud: Cloud) -> None:
    first = post(cloud)

    refused = post(cloud, dry_run=True)
    others = [post(cloud, "night-8"), post(cloud, client_id="client-of-acme"), cloud.job("POST", body=ASKED)]

    assert (refused.status, refused.json["error"]["code"]) == (409, "idempotency_key_used")
    assert len({first.json["id"], *(other.json["id"] for other in others)}) == 4
    assert len(jobs_of(cloud)) == 4


@pytest.mark.parametrize("key", ["", "n" * 129, "nächtlich"])
def test_a_key_that_is_none_is_refused_by_name(cloud: Cloud, key: str) -> None:
    answer = post(cloud, key)

    assert (answer.status, answer.json["error"]["faults"][0]["field"]) == (400, "Idempotency-Key")


def test_an_order_that_is_refused_keeps_no_key(cloud: Cloud) -> None:
    refused = post(cloud, tenant="nobody")
    assert (refused.status, refused.json["error"]["code"]) == (404, "tenant_not_found")

    assert post(cloud).status == 202


def test_an_order_that_dies_at_any_call_and_is_sent_again_is_one_job(cloud: Cloud) -> None:
    post(cloud, "warm")
    with cloud.watched_calls() as calls:
        post(cloud, "watched")
    for number in range(len(calls.made)):
        for after in (False, True):
            before, key = len(jobs_of(cloud)), f"{number} {after}"
            with pytest.raises(Killed), cloud.watched_calls(kill_at=number, after=after):
                post(cloud, key)

            assert post(cloud, key).status == 202, calls.made[number]
            assert len(jobs_of(cloud)) == before + 1, calls.made[number]


def test_an_order_whose_answers_are_lost_is_one_job(cloud: Cloud) -> None:
    with every_answer_lost_once():
        first = post(cloud)

    assert first.status == 202
    assert post(cloud).json["id"] == first.json["id"]
    assert jobs_of(cloud) == [first.json["id"]]


def test_an_erasure_that_is_confirmed_again_with_its_key_is_the_same_job_also_when_its_tenant_is_gone(
    cloud: Cloud,
) -> None:
    look = started(cloud, kind="erase", dry_run=True)
    look.to_the_end()
    token = cloud.job("GET", f"/{look.id}").json["confirm_token"]
    first = post(cloud, kind="erase", confirm_token=token)
    assert post(cloud, kind="erase", confirm_token=token).json["id"] == first.json["id"]

    run = JobRun(cloud, first.json["id"])
    assert run.to_the_end().state == "completed"

    assert post(cloud, kind="erase", confirm_token=token).json["id"] == first.json["id"]
    spent = post(cloud, "night-8", kind="erase", confirm_token=token)
    assert spent.json["error"]["code"] in {"confirm_token_used", "tenant_not_found"}

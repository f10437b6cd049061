"""The storm itself: it harms what its seed says, and only what is its own."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook as Verifier

from infra.local.proxy import Call, call_of
from tests.end_to_end.deployment import Deployment, within
from tests.storm.faults import Kind, Weather
from tests.storm.plan import Sort, plan
from tests.storm.receivers import Receivers

READ = Call("dynamodb", "GetItem", presigned=False)


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[int]:
    """A process that looks like a worker of the function `render-1`; its parent is this test."""
    script = tmp_path / "_worker.py"
    script.write_text("import time; time.sleep(60)")
    environ = {**os.environ, "AWS_LAMBDA_FUNCTION_NAME": "render-1"}
    process = subprocess.Popen([sys.executable, str(script)], env=environ)
    yield process.pid
    process.kill()
    process.wait()


def deployment_of(emulator_pid: int | None) -> Deployment:
    emulator = SimpleNamespace(pid=lambda: emulator_pid)
    stack: Any = SimpleNamespace(emulator=emulator, outputs={"RenderFunction": "render-1"})
    return Deployment(stack)


def test_only_workers_of_the_own_emulator_are_found_however_alike_the_names(worker: int) -> None:
    within(10, lambda: deployment_of(os.getpid()).workers("RenderFunction") == [worker], "started")

    assert deployment_of(1).workers("RenderFunction") == []
    assert deployment_of(None).workers("RenderFunction") == []


def test_the_same_seed_harms_the_same_calls_and_calm_harms_none() -> None:
    first, second, calm = Weather(7, share=0.3), Weather(7, share=0.3), Weather(7)

    harmed = [first.decide(READ) for _ in range(200)]

    assert harmed == [second.decide(READ) for _ in range(200)]
    assert 30 < sum(kind is not None for kind, _ in harmed) < 90
    assert {Kind.RESET_AFTER, Kind.RESET_BEFORE, Kind.THROTTLED} <= {kind for kind, _ in harmed}
    assert {calm.decide(READ)[0] for _ in range(200)} == {None}


def test_a_gust_harms_its_own_service_alone() -> None:
    weather = Weather(7, gusts={"s3": 1.0})

    assert weather.decide(READ)[0] is None
    assert weather.decide(Call("s3", "PutObject", presigned=False))[0] is not None


def test_a_call_is_known_by_what_it_is_signed_for() -> None:
    signed = {
        "Authorization": "AWS4-HMAC-SHA256 Credential=AK/20261123/us-east-1/dynamodb/aws4_request",
        "X-Amz-Target": "DynamoDB_20120810.UpdateItem",
    }

    assert call_of("POST", "/", signed, b"{}") == Call("dynamodb", "UpdateItem", presigned=False)
    assert call_of("PUT", "/b/k?X-Amz-Signature=0", {}, b"") == Call("s3", "PutObject", presigned=True)


def test_a_plan_is_its_seeds_and_a_third_duplicates_and_a_tenth_poison() -> None:
    drawn = plan(7, uploads=60, clients=12)

    assert drawn == plan(7, uploads=60, clients=12)
    sorts = [upload.sort for upload in drawn]
    duplicates = sorts.count(Sort.OWN_DUPLICATE) + sorts.count(Sort.FOREIGN_DUPLICATE)
    assert len(sorts) == 60
    assert 17 <= duplicates <= 20
    assert sorts.count(Sort.POISON) + sorts.count(Sort.WRONG_BYTES) == 6


def test_a_receiver_keeps_what_is_verified_and_its_own_and_reports_what_is_not() -> None:
    secret = "whsec_" + "QUJD" * 8
    receivers = Receivers(secrets={"acme": secret}, calm=True)
    with receivers.listening():
        answers = [
            httpx.post(f"{receivers.address}/acme", headers=headers, content=body).status_code
            for body, headers in (
                _signed(secret, "acme", "one"),
                _signed(secret, "acme", "one"),
                _signed(secret, "globex", "two"),
                _signed("whsec_" + "QUJE" * 8, "acme", "three"),
            )
        ]

    assert answers == [204, 204, 204, 400]
    assert receivers.ids("image.ready") == {("acme", "one"), ("acme", "two")}
    assert receivers.repeated() == 1
    assert [line.split(":")[0] for line in receivers.broken] == [
        "acme was told of globex",
        "a delivery to acme is not verified",
    ]


def test_a_receiver_refuses_now_and_then_until_it_is_calm() -> None:
    secret = "whsec_" + "QUJD" * 8
    body, headers = _signed(secret, "acme", "one")
    stormy, calm = Receivers(secrets={"acme": secret}), Receivers(secrets={"acme": secret}, calm=True)

    assert Counter(stormy.take("acme", headers, body) for _ in range(120)) == {204: 110, 503: 10}
    assert {calm.take("acme", headers, body) for _ in range(120)} == {204}


def _signed(secret: str, tenant: str, image: str) -> tuple[bytes, dict[str, str]]:
    data = {"tenant": tenant, "id": image, "event_id": f"event-{image}"}
    body = json.dumps({"type": "image.ready", "data": data})
    now = datetime.now(UTC)
    headers = {"webhook-id": f"event-{image}", "webhook-timestamp": str(int(now.timestamp()))}
    return body.encode(), headers | {"webhook-signature": Verifier(secret).sign(f"event-{image}", now, body)}

"""A shop's receiver, as docs/events.md writes it, gets each event, though it was down."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from catalog.domain.tenants import ClientCredentials, Scope
from infra.operator.tenants import create_tenant_client
from infra.pictures.images import jpeg_bytes, product_photo
from tests.end_to_end.deployment import Deployment, settled, within
from tests.examples import texts

TENANT = "hooks"
# Two failures are retried after 5 and 35 s; the emulator's queues and a busy machine add to that.
SECONDS = 180.0


def block(language: str) -> str:
    (shown,) = texts("docs/events.md", language)
    return shown


@pytest.fixture(scope="module")
def credentials(deployment: Deployment) -> ClientCredentials:
    return create_tenant_client(TENANT, scopes=(Scope.READ, Scope.WRITE), outputs=deployment.stack.outputs)


@pytest.fixture(scope="module")
def token(deployment: Deployment, credentials: ClientCredentials) -> str:
    answer = requests.post(
        deployment.stack.token_url,
        data={"grant_type": "client_credentials"},
        auth=(credentials.client.client_id, credentials.client_secret),
        timeout=30,
    )
    told: str = answer.json()["access_token"]
    return told


def call(deployment: Deployment, token: str, method: str, path: str) -> Any:
    headers = {"Authorization": f"Bearer {token}"}
    answer = requests.request(method, deployment.stack.api_url + path, headers=headers, timeout=30)
    assert answer.ok, answer.text
    return answer.json()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@contextmanager
def receiver(port: int, secret: str, folder: Path) -> Iterator[Path]:
    """The document's program on another port; yields the file with what it prints."""
    program, printed = folder / "receiver.py", folder / "printed.txt"
    program.write_text(block("python").replace("8000", str(port)))
    with printed.open("w") as out, (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, program], stdout=out, stderr=log, env=os.environ | {"WEBHOOK_SECRET": secret}
        )
        try:
            yield printed
        finally:
            process.terminate()
            process.wait()


def test_a_receiver_that_was_down_gets_each_event_verified(
    deployment: Deployment, token: str, tmp_path: Path
) -> None:
    port = free_port()
    command = block("bash").replace("https://shop.example.com/hooks", f"http://127.0.0.1:{port}/hooks")
    made = json.loads(
        subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            env={"PATH": os.environ["PATH"], "API": deployment.stack.api_url, "TOKEN": token},
            capture_output=True,
            check=True,
        ).stdout
    )

    def log() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = call(deployment, token, "GET", "/webhooks/shop/deliveries")[
            "deliveries"
        ]
        return found

    with deployment.client(TENANT) as catalog:
        photos = [jpeg_bytes(product_photo(number, (320, 240))) for number in (31, 32)]
        ids = {settled(catalog, photo).id for photo in photos}
    within(SECONDS, lambda: any(not one["delivered"] for one in log()), "an attempt failed")
    with receiver(port, made["secret"], tmp_path) as printed:
        want = {f"image.ready {id_}" for id_ in ids}
        within(SECONDS, lambda: want <= set(printed.read_text().splitlines()), "each event came")
        tested = call(deployment, token, "POST", "/webhooks/shop/test")
        within(SECONDS, lambda: "webhook.test None" in printed.read_text(), "the test came")

    attempts = log()
    assert {one["fault"] for one in attempts if not one["delivered"]} == {"connection_failed"}
    assert tested["event_id"] in {one["event_id"] for one in attempts if one["delivered"]}
    assert call(deployment, token, "GET", "/webhooks/shop")["status"] == "enabled"
    assert deployment.depth("WebhooksDeadLetterQueueUrl") == 0

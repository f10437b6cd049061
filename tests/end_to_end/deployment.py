"""The stack these tests deploy: on an emulator, port and account of their own, never the demo's."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog.domain.tenants import Scope
from catalog_images import CatalogClient, Credentials, Image, Ticket
from catalog_images.photos import announcement_of
from infra.local.deploy import Stack
from infra.operator.tenants import create_tenant_client

FINISH_SECONDS = 90.0


def within[T](seconds: float, look: Callable[[], T], what: str, *, every: float = 0.2) -> T:
    """The first truthy thing `look` returns, asked `every` so many seconds; fails after `seconds`."""
    ends = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < ends, f"not within {seconds:.0f} s: {what}"
        time.sleep(every)
    return found


@dataclass(frozen=True)
class Deployment:
    """The deployed pipeline, as its operator sees it; `client` makes one as its tenants see it."""

    stack: Stack

    def output(self, name: str) -> str:
        return self.stack.outputs[name]

    def client(self, tenant: str, *scopes: Scope) -> CatalogClient:
        """A new client of `tenant` (read and write unless said otherwise); nothing is retried for it."""
        created = create_tenant_client(
            tenant, scopes=scopes or (Scope.READ, Scope.WRITE), outputs=self.stack.outputs
        )
        credentials = Credentials(created.client.client_id, created.client_secret)
        return CatalogClient(self.stack.api_url, self.stack.token_url, credentials, retries=0)

    # --- queues -----------------------------------------------------------------------------------------

    def depth(self, queue: str) -> int:
        """Messages in a queue, waiting, delayed or in flight; `queue` is the name of a stack output."""
        names = [f"ApproximateNumberOfMessages{of}" for of in ("", "Delayed", "NotVisible")]
        answer = self.stack.client("sqs").get_queue_attributes(
            QueueUrl=self.output(queue), AttributeNames=names
        )
        return sum(int(answer["Attributes"][name]) for name in names)

    def assert_queues_run_empty(self) -> None:
        """Nothing waits, nothing is retried, and nothing became a dead letter."""
        for queue in ("UploadsQueueUrl", "RenderQueueUrl"):
            within(FINISH_SECONDS, lambda queue=queue: self.depth(queue) == 0, f"{queue} is empty")  # type: ignore[misc]
        for queue in ("UploadsDeadLetterQueueUrl", "RenderDeadLetterQueueUrl"):
            assert self.depth(queue) == 0

    def send_upload_event(self, tenant: str, id_: str) -> None:
        """S3's event for an original, once more."""
        key = f"originals/{tenant}/{id_}"
        event = {
            "Records": [{"s3": {"bucket": {"name": self.output("OriginalsBucket")}, "object": {"key": key}}}]
        }
        self.stack.client("sqs").send_message(
            QueueUrl=self.output("UploadsQueueUrl"), MessageBody=json.dumps(event)
        )

    @contextmanager
    def hidden_for(self, seconds: int) -> Iterator[None]:
        """A message whose worker died comes back after `seconds` instead of the template's six minutes."""
        sqs = self.stack.client("sqs")
        queues = [self.output("UploadsQueueUrl"), self.output("RenderQueueUrl")]
        before = {
            queue: sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["VisibilityTimeout"])[
                "Attributes"
            ]
            for queue in queues
        }
        try:
            for queue in queues:
                sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": str(seconds)})
            yield
        finally:
            for queue, attributes in before.items():
                sqs.set_queue_attributes(QueueUrl=queue, Attributes=attributes)

    # --- functions --------------------------------------------------------------------------------------

    def workers(self, function: str) -> list[int]:
        """Process ids of a function's running workers; `function` is the name of a stack output."""
        wanted = f"AWS_LAMBDA_FUNCTION_NAME={self.output(function)}".encode()
        listed = subprocess.run(
            ["ps", "-eww", "-o", "ppid=,pid=,args="], capture_output=True, text=True, check=True
        )
        # Another emulator's workers have the same functions' names.
        ours = str(self.stack.emulator.pid())
        processes = [line.split(maxsplit=2) for line in listed.stdout.splitlines()]
        pids = [int(pid) for parent, pid, args in processes if parent == ours and "_worker.py" in args]
        return [pid for pid in pids if wanted in _environment(pid)]

    def kill_workers(self, function: str) -> int:
        """SIGKILL, as a function that runs out of memory gets; returns how many there were."""
        killed = 0
        for pid in self.workers(function):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            killed += 1
        return killed

    @contextmanager
    def without_permission(self, function: str, action: str) -> Iterator[None]:
        """A function whose role lost one action, wherever its policy names it."""
        iam = self.stack.client("iam")
        configuration = self.stack.client("lambda").get_function_configuration(
            FunctionName=self.output(function)
        )
        role = configuration["Role"].rpartition("/")[2]
        (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
        whole = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        less = json.loads(json.dumps(whole))
        removed = 0
        for statement in less["Statement"]:
            actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
            removed += action in actions
            # A statement needs an action; this one is of no use to any function.
            statement["Action"] = [kept for kept in actions if kept != action] or ["sts:GetCallerIdentity"]
        assert removed, f"{function} was never allowed {action}"
        try:
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(less))
            yield
        finally:
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(whole))

    def configure(self, **variables: str) -> dict[str, dict[str, str]]:
        """Give functions that have these environment variables these values, as if deployed so.

        Returns what those functions had, by name.
        """
        functions = self.stack.client("lambda")
        pages = functions.get_paginator("list_functions").paginate()
        before = {
            function["FunctionName"]: told
            for page in pages
            for function in page["Functions"]
            if variables.keys() & (told := function.get("Environment", {}).get("Variables", {})).keys()
        }
        assert variables.keys() <= {name for told in before.values() for name in told}
        for name, told in before.items():
            changed = told | {key: value for key, value in variables.items() if key in told}
            functions.update_function_configuration(FunctionName=name, Environment={"Variables": changed})
        return before

    @contextmanager
    def configured(self, **variables: str) -> Iterator[None]:
        """`configure` for a while."""
        before = self.configure(**variables)
        try:
            yield
        finally:
            for name, told in before.items():
                self.stack.client("lambda").update_function_configuration(
                    FunctionName=name, Environment={"Variables": told}
                )

    def variable(self, function: str, name: str) -> str:
        """An environment variable of a function; `function` is the name of a stack output."""
        configuration = self.stack.client("lambda").get_function_configuration(
            FunctionName=self.output(function)
        )
        value: str = configuration["Environment"]["Variables"][name]
        return value

    # --- catalog jobs -----------------------------------------------------------------------------------

    def stop_executions(self, job_id: str) -> int:
        """Stop the job's executions, as nobody should; how many there were."""
        states = self.stack.client("stepfunctions")
        running = states.list_executions(stateMachineArn=self.output("JobMachine"), statusFilter="RUNNING")[
            "executions"
        ]
        ours = [one["executionArn"] for one in running if one["name"].startswith(job_id)]
        for execution in ours:
            states.stop_execution(executionArn=execution)
        return len(ours)

    def sweep_jobs(self) -> None:
        """What the schedule does every ten minutes: start what should be carried out and is not."""
        client = self.stack.client("lambda")
        client.invoke(FunctionName=self.output("JobSweeperFunction"), Payload=b"{}")

    # --- what is stored ---------------------------------------------------------------------------------

    def items_of(self, id_: str) -> list[dict[str, Any]]:
        """The records of an asset, of whatever tenant."""
        table = self.stack.client("dynamodb").scan(TableName=self.output("AssetsTable"))
        return [item for item in table["Items"] if item["id"]["S"] == id_]

    def objects_of(self, id_: str, bucket: str) -> list[str]:
        pages = (
            self.stack.client("s3").get_paginator("list_object_versions").paginate(Bucket=self.output(bucket))
        )
        return sorted(
            v["Key"] for page in pages for v in page.get("Versions", []) if id_ in v["Key"] and v["IsLatest"]
        )


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except (FileNotFoundError, ProcessLookupError, NotADirectoryError):
        shown = subprocess.run(["ps", "eww", "-p", str(pid)], capture_output=True, check=False)
        return shown.stdout


def announced(catalog: CatalogClient, data: bytes, content_type: str = "image/jpeg") -> Image | Ticket:
    return catalog.announce(**announcement_of(data, content_type=content_type, filename="photo").request())


def ticket_for(catalog: CatalogClient, data: bytes, content_type: str = "image/jpeg") -> Ticket:
    ticket = announced(catalog, data, content_type)
    assert isinstance(ticket, Ticket)
    return ticket


def settled(catalog: CatalogClient, data: bytes, content_type: str = "image/jpeg") -> Image:
    """The whole public way: announce, send, wait."""
    receipt = catalog.upload(data, content_type=content_type, filename="photo")
    return catalog.wait(receipt.id, timeout_seconds=FINISH_SECONDS)

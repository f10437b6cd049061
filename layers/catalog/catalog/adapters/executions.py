"""Step Functions: the executions of the state machine that carries out jobs."""

import json
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from catalog.adapters.sdk import client
from catalog.domain.jobs import ExecutionNotStartedError, Job

_RUNNING: Final = "RUNNING"


class Executions:
    """The executions of one state machine.  Each attempt at a job has one, named by job and attempt."""

    def __init__(self, state_machine_arn: str) -> None:
        self._machine = state_machine_arn

    def start(self, job: Job, *, hopeless: str | None = None) -> None:
        """Start the job's present attempt.  `hopeless` has the execution only fail the job for that reason.

        Starting it again changes nothing.  Raises ExecutionNotStartedError.
        """
        asked: dict[str, Any] = {"job": job.id, "attempt": job.attempt, "round": 0}
        if hopeless is not None:
            asked["error"] = {"Error": "Hopeless", "Cause": hopeless}
        try:
            client("stepfunctions").start_execution(
                stateMachineArn=self._machine, name=_name(job), input=json.dumps(asked)
            )
        except ClientError as error:
            # Names are unique for 90 days after an execution has ended.
            if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
                raise ExecutionNotStartedError(job.id) from error
        except BotoCoreError as error:
            raise ExecutionNotStartedError(job.id) from error

    def is_running(self, job: Job) -> bool | None:
        """Whether the job's present attempt runs; None if it was never started."""
        try:
            described = client("stepfunctions").describe_execution(executionArn=self._arn(job))
        except ClientError as error:
            if error.response["Error"]["Code"] == "ExecutionDoesNotExist":
                return None
            raise
        return bool(described["status"] == _RUNNING)

    def _arn(self, job: Job) -> str:
        # arn:aws:states:<region>:<account>:stateMachine:<name>
        return f"{self._machine.replace(':stateMachine:', ':execution:', 1)}:{_name(job)}"


def _name(job: Job) -> str:
    return f"{job.id}-{job.attempt}"

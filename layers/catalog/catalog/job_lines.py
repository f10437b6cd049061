"""What every worker of jobs does with an event: one line of the map, one part of a job."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from catalog.domain.jobs import Line
from catalog.telemetry import count, logger, metrics

if TYPE_CHECKING:
    from catalog.use_cases.job_parts import Parts

type Handler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]


def line_handler(parts: Callable[[], Parts]) -> Handler:
    """The handler of a worker; `parts` gives what carries its kind's parts out.

    A fault is raised; the planner sends the part again.
    """

    def handler(event: dict[str, Any], _: LambdaContext) -> dict[str, Any]:
        line = Line.parse(event)
        logger.append_keys(job=line.job, part=line.part, tenant=line.work.tenant, phase=line.work.phase)
        completed = parts().carry_out(line)
        logger.info("part completed" if completed else "part left")
        count("JobPartsCompleted" if completed else "JobPartsLeft")
        return {"completed": completed}

    counted: Handler = metrics.log_metrics(handler, capture_cold_start_metric=True)
    logged: Handler = logger.inject_lambda_context(counted, clear_state=True)
    return logged

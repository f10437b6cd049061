"""The handler of every job worker.  Its event is a line of the map: one part of a job, or a lane of parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from catalog.domain.jobs import Line
from catalog.telemetry import count, logger, metrics

if TYPE_CHECKING:
    from catalog.use_cases.job_parts import Parts

_LOGGED = 3  # parts named in each line of the log

type Handler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]


def line_handler(parts: Callable[[], Parts]) -> Handler:
    """The handler of a worker; `parts` gives the Parts of its kind.

    The handler raises faults; the planner then sends the part again.
    """

    def handler(event: dict[str, Any], _: LambdaContext) -> dict[str, Any]:
        lines = [Line.parse(line) for line in event.get("lines", [event])]
        logger.append_keys(job=lines[0].job, parts=[line.part for line in lines][:_LOGGED])
        completed = parts().carry_out(*lines)
        logger.info("parts carried out", parts=len(completed), completed=sum(completed), of=len(lines))
        count("JobPartsCompleted", sum(completed))
        return {"completed": sum(completed)}

    counted: Handler = metrics.log_metrics(handler, capture_cold_start_metric=True)
    logged: Handler = logger.inject_lambda_context(counted, clear_state=True)
    return logged

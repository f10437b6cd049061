"""State machine of jobs -> job_planner: what the execution does next for its job."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from catalog import settings
from catalog.adapters.event_bus import EventBus
from catalog.adapters.executions import Executions
from catalog.adapters.job_files import JobFiles
from catalog.adapters.jobs_table import Jobs
from catalog.composition import job_steps
from catalog.domain.jobs import JobState
from catalog.telemetry import count, logger, metrics
from catalog.use_cases.job_planning import Next, Plan, Planning, Turn
from catalog.use_cases.job_retries import RetrySteps

jobs = Jobs(settings.jobs_table())
files = JobFiles(settings.jobs_bucket())
planning = Planning(
    jobs=jobs,
    files=files,
    executions=Executions(settings.job_machine()),
    bus=EventBus(settings.event_bus_name()),
    steps=job_steps.steps(),
    retries=RetrySteps(jobs),
    most_at_once=settings.job_concurrency(),
)


def turn_of(event: dict[str, Any]) -> Turn:
    """The turn in the state machine's input, at first its own, then the planner's last answer.

    `error` is there if a state failed.
    """
    error = event.get("error")
    told = f"{error['Error']}: {error['Cause'][:1000]}" if error else None
    return Turn(event["job"], event["attempt"], event["round"], event.get("next") == Next.WORK, told)


def answer(turn: Turn, plan: Plan) -> dict[str, Any]:
    return {
        "job": turn.job,
        "attempt": turn.attempt,
        "round": turn.round + 1,
        "next": plan.next,
        "bucket": files.bucket,
        "key": plan.key or "",
        "until": _instant(plan.until) if plan.until else "",
    }


def _instant(moment: datetime) -> str:
    """A timestamp of Amazon States Language, in whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], _: LambdaContext) -> dict[str, Any]:
    turn = turn_of(event)
    plan = planning.plan(turn)
    logger.append_keys(job=turn.job, attempt=turn.attempt, round=turn.round)
    logger.info("planned", next=plan.next, lines=plan.lines, ended=plan.ended)
    if plan.next is Next.WORK:
        count("JobRoundsPlanned")
    if plan.ended is JobState.COMPLETED:
        count("JobsCompleted")
    if plan.ended is JobState.FAILED:
        count("JobsFailed")
    return answer(turn, plan)

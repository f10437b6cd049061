"""Structured logs and metrics, set up alike in every function.

The service's name, the namespace and the log level come from Powertools' own POWERTOOLS_* and LOG_LEVEL
variables.  No metric carries a tenant: a dimension's values must be few, and known to everyone.
"""

from typing import Any, Final

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from aws_lambda_powertools.metrics import MetricUnit

# What the log group's name says of all its lines, and what only an author needs: a third of a line's bytes.
_LEFT_OUT: Final = {"function_name", "function_arn", "function_memory_size", "location"}


class _Lean(LambdaPowertoolsFormatter):
    def serialize(self, log: Any) -> str:
        return super().serialize({name: value for name, value in log.items() if name not in _LEFT_OUT})


logger = Logger(logger_formatter=_Lean(utc=True))
metrics = Metrics()


def count(name: str, number: float = 1) -> None:
    """Add to a CloudWatch counter of this function (EMF, written with the logs, no request)."""
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=number)

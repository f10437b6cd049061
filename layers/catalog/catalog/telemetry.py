"""Structured logs and metrics, set up alike in every function.

The service's name, the namespace and the log level come from Powertools' own POWERTOOLS_* and LOG_LEVEL
variables.  No metric carries a tenant: a dimension's values must be few, and known to everyone.
"""

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

logger = Logger(utc=True)
metrics = Metrics()


def count(name: str, number: float = 1) -> None:
    """Add to a CloudWatch counter of this function (EMF, written with the logs, no request)."""
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=number)

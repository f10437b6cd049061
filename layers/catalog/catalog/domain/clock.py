"""The clock a service is given: a test, or a story of a month told in a second, gives it another."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Aware, in UTC."""
    return datetime.now(UTC)

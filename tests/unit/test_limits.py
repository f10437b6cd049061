"""Limits of a tenant."""

from datetime import UTC, datetime

import pytest

from catalog.domain.limits import (
    NO_LIMITS,
    Limits,
    StorageLimitReachedError,
    minute_of,
    seconds_to_next_minute,
)

_NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_what_fills_the_storage_to_the_last_byte_fits() -> None:
    Limits(stored_bytes=100).check_storage(60, 40)


@pytest.mark.parametrize(("stored", "announced"), [(60, 41), (100, 1), (150, 1)])
def test_what_would_go_over_the_stored_bytes_does_not_fit(stored: int, announced: int) -> None:
    with pytest.raises(StorageLimitReachedError):
        Limits(stored_bytes=100).check_storage(stored, announced)


def test_without_a_limit_anything_fits() -> None:
    NO_LIMITS.check_storage(10**18, 10**9)


@pytest.mark.parametrize(
    ("second", "microsecond", "left"), [(0, 0, 60), (1, 0, 59), (59, 0, 1), (59, 999_999, 1)]
)
def test_the_next_minute_is_up_to_sixty_seconds_away_and_never_now(
    second: int, microsecond: int, left: int
) -> None:
    moment = _NOON.replace(second=second, microsecond=microsecond)
    assert minute_of(moment) == minute_of(_NOON)
    assert seconds_to_next_minute(moment) == left


def test_minutes_follow_each_other() -> None:
    assert minute_of(_NOON.replace(minute=1)) == minute_of(_NOON) + 1


def test_a_tenant_that_is_full_is_told_how_full() -> None:
    with pytest.raises(StorageLimitReachedError, match="90 of 100 bytes are in use"):
        Limits(stored_bytes=100).check_storage(90, 11)
    Limits(stored_bytes=100).check_storage(90, 10)

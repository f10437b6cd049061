"""Per-tenant limits of POST /v1/images: uploads a minute and stored bytes."""

import hashlib
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from catalog.adapters.tenants_table import Tenants
from catalog.adapters.usage_table import Counters, Move
from catalog.domain.keys import AssetKey, asset_id, tenant_id
from catalog.domain.limits import Limits, TooManyUploadsError, minute_of
from catalog.domain.usage import Share, Usage, Version
from infra.pictures.images import jpeg_bytes, product_photo
from tests.functional.cloud import Cloud
from tests.functional.interleaving import ORDERS, Scheduler

PHOTO = jpeg_bytes(product_photo(1, (320, 240)))
ACME = tenant_id("acme")
KEY = AssetKey(ACME, asset_id(hashlib.sha256(PHOTO).hexdigest()))
_NOON = datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC)


def limit(cloud: Cloud, **limits: int) -> Limits:
    given = Limits(**limits)
    cloud.tenants.set_limits(ACME, given)
    cloud.configure()
    return given


def taken(cloud: Cloud, limits: Limits, now: datetime, times: int) -> int:
    """How many of so many uploads the limit lets through."""
    passed = 0
    for _ in range(times):
        try:
            cloud.tenants.count_upload(ACME, limits, now=now)
        except TooManyUploadsError:
            continue
        passed += 1
    return passed


def store(size_bytes: int, **per_preset: int) -> None:
    """So many bytes of originals and renditions are counted for the tenant."""
    usage = Usage(assets=1, bytes_originals=size_bytes, bytes_per_preset=per_preset)
    move = Move(asset_id("0" * 64), None, Share(Version(_NOON, 1), usage))
    Counters("UsageTable").move(ACME, [move], recount=None, now=_NOON)


# --- Uploads a minute -------------------------------------------------------------------------------------


def test_a_minute_gives_as_many_uploads_as_its_limit_and_the_next_one_as_many_again(cloud: Cloud) -> None:
    limits = limit(cloud, uploads_per_minute=3)

    assert taken(cloud, limits, _NOON, 5) == 3
    assert taken(cloud, limits, _NOON + timedelta(minutes=1), 5) == 3
    assert taken(cloud, limits, _NOON + timedelta(hours=1), 5) == 3


def test_what_is_refused_says_when_the_next_minute_begins(cloud: Cloud) -> None:
    limits = limit(cloud, uploads_per_minute=1)
    cloud.tenants.count_upload(ACME, limits, now=_NOON)

    with pytest.raises(TooManyUploadsError) as refused:
        cloud.tenants.count_upload(ACME, limits, now=_NOON + timedelta(seconds=10))
    assert refused.value.retry_after == 20


def test_a_clock_that_is_behind_counts_in_the_minute_that_has_begun(cloud: Cloud) -> None:
    limits = limit(cloud, uploads_per_minute=2)

    assert taken(cloud, limits, _NOON, 1) == 1
    assert taken(cloud, limits, _NOON - timedelta(minutes=1), 5) == 1
    assert taken(cloud, limits, _NOON, 5) == 0


def test_functions_counting_at_the_same_time_pass_no_more_than_the_limit_in_any_order_of_their_calls(
    cloud: Cloud, scheduler: Scheduler
) -> None:
    limits = limit(cloud, uploads_per_minute=3)

    with scheduler.in_charge():
        for number, order in enumerate(ORDERS):
            count = partial(taken, cloud, limits, _NOON + timedelta(minutes=number), 3)
            assert sum(scheduler.take_turns(order, count, count)) == 3, order


def test_an_upload_over_the_limit_is_answered_429_with_the_seconds_to_wait(cloud: Cloud) -> None:
    limit(cloud, uploads_per_minute=1)
    # The minute has begun by a clock two minutes ahead, and so does not turn while this test runs.
    ahead = str(minute_of(datetime.now(UTC)) + 2)
    cloud.dynamodb.update_item(
        TableName="TenantsTable",
        Key={"tenant": {"S": ACME}},
        UpdateExpression="SET upload_minute = :minute, uploads = :one",
        ExpressionAttributeValues={":minute": {"N": ahead}, ":one": {"N": "1"}},
    )

    answer = cloud.announce(PHOTO)

    assert (answer.status, answer.json["error"]["code"]) == (429, "too_many_uploads")
    assert 1 <= int(answer.headers["Retry-After"][0]) <= 60
    assert cloud.assets.find(KEY) is None


def test_bytes_that_are_here_are_answered_whatever_was_spent(cloud: Cloud) -> None:
    cloud.upload(PHOTO)
    limit(cloud, uploads_per_minute=1, stored_bytes=1)

    assert [cloud.announce(PHOTO).status for _ in range(3)] == [200] * 3


def test_one_tenants_uploads_do_not_use_up_anothers(cloud: Cloud) -> None:
    limits = limit(cloud, uploads_per_minute=1)
    taken(cloud, limits, datetime.now(UTC), 1)

    assert cloud.announce(PHOTO, client_id="client-of-globex").status == 201


# --- Stored bytes -----------------------------------------------------------------------------------------


def test_originals_and_renditions_fill_the_storage(cloud: Cloud) -> None:
    store(1_000, thumb=200, card=300)
    limit(cloud, stored_bytes=1_500 + len(PHOTO) - 1)

    answer = cloud.announce(PHOTO)

    assert (answer.status, answer.json["error"]["code"]) == (403, "storage_limit_reached")
    assert cloud.assets.find(KEY) is None


def test_an_upload_that_fits_to_the_byte_is_offered(cloud: Cloud) -> None:
    store(1_000, thumb=200, card=300)
    limit(cloud, stored_bytes=1_500 + len(PHOTO))

    assert cloud.announce(PHOTO).status == 201


def test_an_upload_refused_for_its_bytes_is_not_counted_against_the_minute(cloud: Cloud) -> None:
    limit(cloud, uploads_per_minute=1, stored_bytes=1)
    assert cloud.announce(PHOTO).status == 403

    cloud.tenants.set_limits(ACME, Limits(uploads_per_minute=1))
    cloud.configure()

    assert cloud.announce(PHOTO).status == 201


# --- Without limits ---------------------------------------------------------------------------------------


def test_a_tenant_without_limits_costs_one_read_a_minute_more_and_nothing_an_upload(cloud: Cloud) -> None:
    cloud.announce(PHOTO)
    with cloud.watched_calls() as calls:
        cloud.announce(PHOTO + b"another")

    assert calls.made == ["dynamodb:GetItem", "dynamodb:UpdateItem"], "the asset's own, and no other"


def test_limits_are_remembered_for_a_minute_and_then_read_again(cloud: Cloud) -> None:
    clock = [0.0]
    tenants = Tenants("TenantsTable", monotonic=lambda: clock[0])
    assert tenants.limits_of(ACME) == Limits()
    cloud.tenants.set_limits(ACME, Limits(stored_bytes=5))

    clock[0] = 60.0
    assert tenants.limits_of(ACME) == Limits()
    clock[0] = 60.1
    assert tenants.limits_of(ACME) == Limits(stored_bytes=5)

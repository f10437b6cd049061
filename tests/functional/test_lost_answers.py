"""Calls that took effect although their answer was lost: the SDK sends them again, or an error is heard.

A conditional write that is sent again meets what it did itself.  That is no other writer, and nobody may be
told that it was one.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import botocore.client
import botocore.endpoint
import pytest
from botocore.exceptions import ConnectionClosedError

from catalog.adapters.groups import Groups
from catalog.domain.assets import AssetStateError, Status
from catalog.domain.near_duplicates import DecidedBy, NearDuplicate
from infra.pictures.images import half_of, jpeg_bytes, product_photo
from tests.functional import test_crashes as groups
from tests.functional.cloud import Cloud
from tests.functional.test_near_duplicates import HALF, PHOTO, decide, id_of, render_all, undo
from tests.functional.test_purge import daily_purge, unused

SMALL = jpeg_bytes(product_photo(1, (320, 240)))
BROKEN = half_of(SMALL)
ONE_PRESET = json.dumps([{"name": "thumb", "width": 100, "height": 100}])


SMALL_FIRST = groups.in_turn(groups.uploaded(groups.HALF, groups.COPY), groups.announced(groups.PHOTO))
# What is there before -> what happens to a group of two small images when, or after, a larger one came.
GROUP_STORIES: dict[str, tuple[groups.Work, groups.Work]] = {
    "ingest": (SMALL_FIRST, groups.ingest(groups.PHOTO)),
    "render": (groups.in_turn(SMALL_FIRST, groups.ingest(groups.PHOTO)), groups.render_job_by_job),
    "members": (
        groups.in_turn(SMALL_FIRST, groups.ingest(groups.PHOTO), groups.render_job_by_job),
        groups.members_follow(groups.HALF),
    ),
    "distinct": (
        groups.uploaded(groups.PHOTO, groups.HALF, groups.COPY),
        groups.decide("distinct", groups.HALF, groups.COPY),
    ),
}


@contextmanager
def every_answer_lost_once() -> Iterator[list[str]]:
    """Each call takes effect, its answer is lost, and the SDK sends it again.

    DynamoDB tells a transaction that is sent again by its token, which moto does not: those are sent once,
    and have to carry one.
    """
    sent_again: list[str] = []

    def needs_retry(self: Any, attempts: int, model: Any, request: Any, *_: Any) -> bool:
        if model.name in {"ReceiveMessage", "DeleteMessage"}:
            return False  # Lambda's poller, here the test itself
        if model.name == "TransactWriteItems":
            assert json.loads(request["body"])["ClientRequestToken"]
            return False
        if attempts == 1:
            sent_again.append(model.name)
        return attempts == 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.endpoint.Endpoint, "_needs_retry", needs_retry)
        yield sent_again


@contextmanager
def answer_lost_for_good(number: int) -> Iterator[list[str]]:
    """The `number`-th call (from 0) takes effect, and the function hears only that the connection closed."""
    made: list[str] = []
    make = botocore.client.BaseClient._make_api_call

    def call(self: Any, operation: str, arguments: Any) -> Any:
        mine = len(made)
        made.append(operation)
        answer = make(self, operation, arguments)
        if mine == number:
            raise ConnectionClosedError(endpoint_url="https://aws.test/")
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.client.BaseClient, "_make_api_call", call)
        yield made


# --- Sent again by the SDK --------------------------------------------------------------------------------


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "unannounced"])
@pytest.mark.parametrize("data", [SMALL, BROKEN], ids=["photo", "broken"])
def test_an_upload_whose_every_call_is_sent_twice_ends_as_any_other(
    cloud: Cloud, announced: bool, data: bytes
) -> None:
    def upload() -> None:
        if announced:
            assert cloud.announce(data).status == 201
        assert cloud.ingest(cloud.store(data)) == {"batchItemFailures": []}
        for job in sorted(set(cloud.take_jobs())):
            assert cloud.render(job) == {"batchItemFailures": []}

    beginning = cloud.moment()
    upload()
    expected = cloud.snapshot()
    beginning.restore()
    cloud.configure()

    with every_answer_lost_once() as sent_again:
        upload()

    assert "UpdateItem" in sent_again
    assert cloud.snapshot() == expected


def test_references_whose_calls_are_sent_twice_are_taken_and_released(cloud: Cloud) -> None:
    id_ = cloud.upload(SMALL)["id"]
    with every_answer_lost_once():
        assert cloud.reference("PUT", id_, "sku-1").json["in_use_count"] == 1
        assert cloud.reference("PUT", id_, "sku-2").json["in_use_count"] == 2
        assert cloud.reference("DELETE", id_, "sku-1").json["in_use_count"] == 1
        assert cloud.reference("DELETE", id_, "sku-2").json["in_use_count"] == 0

    assert cloud.asset(id_).unused_since is not None


def test_a_purge_whose_calls_are_sent_twice_is_proposed_confirmed_and_done(cloud: Cloud) -> None:
    id_ = unused(cloud, 1)
    with every_answer_lost_once() as sent_again:
        proposed = cloud.purge()
        assert (proposed.status, proposed.json["candidates"]) == (200, [id_])
        confirmed = cloud.purge(dry_run=False, confirm_token=proposed.json["confirm_token"])

    assert "PutItem" in sent_again
    assert (confirmed.status, confirmed.json["state"]) == (200, "completed")
    assert confirmed.json["deleted_count"] == 1
    assert cloud.get(id_).status == 404


def test_a_deletion_whose_calls_are_sent_twice_leaves_nothing_and_one_run(cloud: Cloud) -> None:
    id_ = cloud.upload(SMALL)["id"]
    with every_answer_lost_once():
        assert cloud.delete(id_).status == 200

    assert cloud.get(id_).status == 404
    (run,) = cloud.call("purge", "GET", "/purge/runs", scope="catalog/admin").json["runs"]
    assert (run["state"], run["deleted_count"]) == ("completed", 1)


def test_a_token_is_still_good_for_one_confirmation_only(cloud: Cloud) -> None:
    unused(cloud, 1)
    token = cloud.purge().json["confirm_token"]
    with every_answer_lost_once():
        assert cloud.purge(dry_run=False, confirm_token=token).status == 200
        again = cloud.purge(dry_run=False, confirm_token=token)

    assert (again.status, again.json["error"]["code"]) == (409, "confirm_token_used")


def test_the_daily_purge_whose_calls_are_sent_twice_deletes_what_is_unused(cloud: Cloud) -> None:
    id_ = unused(cloud, 1)
    with every_answer_lost_once():
        daily_purge(cloud)

    assert cloud.get(id_).status == 404


def test_decisions_whose_calls_are_sent_twice_join_and_separate(cloud: Cloud) -> None:
    cloud.configure(PRESETS=ONE_PRESET)
    cloud.upload(PHOTO)
    with every_answer_lost_once():
        cloud.upload(HALF, content_type="image/webp")
        assert cloud.get(id_of(HALF)).json["near_duplicate_of"] == id_of(PHOTO)
        assert decide(cloud, HALF, PHOTO, "distinct").status == 200
        render_all(cloud)
        assert cloud.get(id_of(HALF)).json["near_duplicate_of"] is None
        assert undo(cloud, HALF, PHOTO).status == 200

    assert cloud.get(id_of(HALF)).json["near_duplicate_of"] == id_of(PHOTO)
    assert cloud.get(id_of(HALF)).json["status"] == "ready"


def test_a_group_whose_calls_are_sent_twice_follows_to_a_larger_image_and_is_told_apart(cloud: Cloud) -> None:
    cloud.configure(PRESETS=groups.PRESETS)
    cloud.upload(groups.HALF)
    cloud.upload(groups.COPY)
    with every_answer_lost_once() as sent_again:
        cloud.upload(groups.PHOTO)
        cloud.drain()
        groups.is_one_group(groups.PHOTO, groups.HALF, groups.COPY)(cloud)
        assert decide(cloud, groups.HALF, groups.COPY, "distinct").status == 200
        cloud.drain()

    assert "DeleteItem" in sent_again
    groups.is_one_group(groups.PHOTO, groups.HALF)(cloud)
    groups.status_is("ready", groups.COPY)(cloud)
    assert [fault for fault in cloud.broken_guarantees() if "is counted" not in fault] == []


def test_a_tenant_whose_creation_is_sent_twice_is_created_and_gets_its_client(cloud: Cloud) -> None:
    with every_answer_lost_once():
        answer = cloud.call("tenants", "POST", "/tenants", body={"tenant": "initech"}, scope="catalog/admin")

    assert answer.status == 201
    assert answer.json["client_secret"]


# --- Heard as an error --------------------------------------------------------------------------------------


def test_an_ingest_that_hears_an_error_at_any_call_ends_as_any_other_when_it_is_delivered_again(
    cloud: Cloud,
) -> None:
    cloud.configure(PRESETS=ONE_PRESET)
    cloud.upload(PHOTO)
    half = cloud.store(HALF)
    beginning = cloud.moment()
    with cloud.watched_calls() as unharmed:
        cloud.ingest(half)
    expected = cloud.snapshot()
    joined = unharmed.made.index("dynamodb:TransactWriteItems")

    for number in range(joined, len(unharmed.made)):
        beginning.restore()
        with answer_lost_for_good(number):
            try:
                cloud.ingest(half)
            except Exception:  # noqa: BLE001 - the whole batch failed: SQS delivers it again
                cloud.ingest(half)
        render_all(cloud)
        assert cloud.snapshot() == expected, f"lost the answer of call {number}, {unharmed.made[number]}"


@pytest.mark.parametrize("of", ["ingest", "render", "members", "distinct"])
def test_a_group_moves_and_parts_though_any_call_on_the_way_is_heard_as_an_error(
    cloud: Cloud, of: str
) -> None:
    before, work = GROUP_STORIES[of]
    cloud.configure(PRESETS=groups.PRESETS)
    before(cloud)
    beginning = cloud.moment()
    with cloud.watched_calls() as unharmed:
        work(cloud)
    cloud.drain()
    expected = cloud.snapshot()

    for number, call in enumerate(unharmed.made):
        if groups.READS.search(call):
            continue
        beginning.restore()
        cloud.cold_start()
        with suppress(Exception), answer_lost_for_good(number):  # a client asks again, a queue delivers again
            work(cloud)
        work(cloud)
        cloud.drain()
        assert cloud.snapshot() == expected, f"lost the answer of call {number}, {call}"


def test_a_throttled_transaction_is_a_fault_and_not_another_writer(cloud: Cloud) -> None:
    cloud.configure(NEAR_DUPLICATE_ACTION="off")
    cloud.upload(PHOTO)
    cloud.upload(HALF, content_type="image/webp")
    one, other = cloud.asset(id_of(HALF)), cloud.asset(id_of(PHOTO))
    verdict = NearDuplicate(other.id, DecidedBy.PERSON, shares=True)
    joining = Groups("AssetsTable", "PairsTable")
    make = botocore.client.BaseClient._make_api_call

    def lost(self: Any, operation: str, arguments: Any) -> Any:
        if operation == "TransactWriteItems":
            raise ConnectionClosedError(endpoint_url="https://aws.test/")
        return make(self, operation, arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.client.BaseClient, "_make_api_call", lost)
        with pytest.raises(Exception, match="transaction") as raised:
            joining.join(one, other, verdict, alone=True, now=datetime.now(UTC))

    assert not isinstance(raised.value, AssetStateError)


# --- Near-duplicates that wait for one that is rejected --------------------------------------------------


def test_those_who_wait_are_rendered_though_the_rejections_answer_was_lost(cloud: Cloud) -> None:
    cloud.configure(PRESETS=ONE_PRESET)
    cloud.ingest(cloud.store(PHOTO))
    jobs = cloud.take_jobs()
    cloud.ingest(cloud.store(HALF))
    cloud.s3.delete_object(Bucket=cloud.originals, Key=f"originals/acme/{id_of(PHOTO)}")

    with every_answer_lost_once():
        cloud.render(*jobs)
    cloud.drain()

    assert cloud.asset(id_of(HALF)).status is Status.READY

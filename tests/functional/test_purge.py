"""POST /v1/purge, GET /v1/purge/runs, and the daily schedule."""

import base64
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from cfnlint.decode import cfn_yaml

from catalog.api import http
from catalog.domain.purge import CLAIMED_FOR, CONFIRMATION_VALID_FOR
from infra.local.events import sqs_event
from infra.pictures.images import jpeg_bytes, product_photo
from tests.functional.cloud import Cloud, Killed
from tests.functional.interleaving import Scheduler, Task

_TEMPLATE = cfn_yaml.load(str(Path(__file__).parents[2] / "template.yaml"))
SCHEDULED_INPUT = json.loads(_TEMPLATE["Resources"]["DailyPurge"]["Properties"]["Target"]["Input"])
ONE_PRESET = json.dumps([{"name": "thumb", "width": 40, "height": 40}])


def photo(seed: int) -> bytes:
    return jpeg_bytes(product_photo(seed, (64, 48)))


def unused(cloud: Cloud, seed: int, *, days: float = 40, client_id: str = "client-of-acme") -> str:
    """An image nobody has used for so many days."""
    image = cloud.upload(photo(seed), client_id=client_id)
    cloud.age(image["id"], days=days, tenant=image["tenant_id"])
    return str(image["id"])


def daily_purge(cloud: Cloud) -> None:
    """The schedule fires, and its messages are delivered until there are no more."""
    cloud.invoke("purge_starter", SCHEDULED_INPUT)
    deliver(cloud)


def deliver(cloud: Cloud) -> None:
    while messages := cloud.take_messages(cloud.purge_queue):
        for message in messages:
            cloud.invoke("purge_worker", sqs_event(message))


def test_a_dry_run_is_the_default_and_names_what_nobody_has_used_for_the_grace_period(cloud: Cloud) -> None:
    old, older = unused(cloud, 1, days=31), unused(cloud, 2, days=90)
    unused(cloud, 3, days=29)
    used = unused(cloud, 4)
    cloud.reference("PUT", used, "sku-1")
    before = cloud.snapshot()["objects"]

    answer = cloud.purge()

    assert answer.status == 200
    assert answer.json["dry_run"] is True
    assert answer.json["candidates"] == [older, old]
    assert answer.json["deleted_count"] == 0
    stored = [cloud.asset(id_) for id_ in (old, older)]
    expected = sum(a.size_bytes + sum(r.size_bytes for r in a.renditions.values()) for a in stored)
    assert answer.json["candidate_bytes"] == expected
    assert cloud.snapshot()["objects"] == before


def test_a_confirmed_purge_deletes_exactly_what_its_dry_run_found(cloud: Cloud) -> None:
    gone, stays = unused(cloud, 1), unused(cloud, 2, days=5)
    token = cloud.purge().json["confirm_token"]
    late = unused(cloud, 3)

    answer = cloud.purge(dry_run=False, confirm_token=token)

    assert (answer.status, answer.json["deleted_count"], answer.json["state"]) == (200, 1, "completed")
    assert cloud.get(gone).status == 404
    assert [cloud.get(id_).status for id_ in (stays, late)] == [200, 200]
    assert not [name for name in cloud.snapshot()["objects"] if gone in name]


def test_a_deleted_original_can_be_restored_from_its_version(cloud: Cloud) -> None:
    gone = unused(cloud, 1)
    cloud.purge(dry_run=False, confirm_token=cloud.purge().json["confirm_token"])

    versions = cloud.s3.list_object_versions(Bucket=cloud.originals, Prefix=f"originals/acme/{gone}")
    (marker,) = versions["DeleteMarkers"]
    cloud.s3.delete_object(Bucket=cloud.originals, Key=marker["Key"], VersionId=marker["VersionId"])
    cloud.ingest(marker["Key"])
    for job in cloud.take_jobs():
        cloud.render(job)

    assert cloud.get(gone).json["status"] == "ready"


def test_a_reference_taken_between_dry_run_and_confirmation_saves_its_asset(cloud: Cloud) -> None:
    saved, gone = unused(cloud, 1), unused(cloud, 2)
    token = cloud.purge().json["confirm_token"]
    cloud.reference("PUT", saved, "sku-1")

    answer = cloud.purge(dry_run=False, confirm_token=token)

    assert answer.json["deleted_count"] == 1
    assert answer.json["kept"] == [{"id": saved, "reason": "in_use"}]
    assert cloud.get(saved).json["status"] == "ready"
    assert cloud.get(gone).status == 404


def test_an_image_that_a_client_was_told_is_here_is_kept_for_another_grace_period(cloud: Cloud) -> None:
    told, gone = unused(cloud, 1), unused(cloud, 2)
    token = cloud.purge().json["confirm_token"]
    assert cloud.announce(photo(1)).status == 200

    answer = cloud.purge(dry_run=False, confirm_token=token)

    assert answer.json["kept"] == [{"id": told, "reason": "announced_again"}]
    assert (cloud.get(told).status, cloud.get(gone).status) == (200, 404)
    # It costs the next run nothing: it is no candidate until the time since its announcement is over.
    assert cloud.purge().json["candidates"] == []
    assert cloud.purge(older_than_days=0).json["candidates"] == [told]


def test_an_announcement_of_what_is_here_is_one_write_of_one_item_that_no_index_carries(cloud: Cloud) -> None:
    id_ = unused(cloud, 1)
    unused_since = cloud.asset(id_).unused_since

    with cloud.watched_calls() as calls:
        assert cloud.announce(photo(1)).status == 200

    assert [call for call in calls.made if not call.endswith(":GetItem")] == ["dynamodb:UpdateItem"]
    assert cloud.asset(id_).unused_since == unused_since
    indexed = {
        attribute
        for index in _TEMPLATE["Resources"]["AssetsTable"]["Properties"]["GlobalSecondaryIndexes"]
        for attribute in [
            *(key["AttributeName"] for key in index["KeySchema"]),
            *index["Projection"].get("NonKeyAttributes", []),
        ]
    }
    assert "announced_at" not in indexed


def test_of_several_runs_over_the_same_images_each_counts_what_it_deleted(cloud: Cloud) -> None:
    ids = {unused(cloud, seed) for seed in (1, 2)}
    tokens = [cloud.purge().json["confirm_token"] for _ in range(3)]

    reports = [cloud.purge(dry_run=False, confirm_token=token).json for token in tokens]

    assert [report["deleted_count"] for report in reports] == [2, 0, 0]
    assert [{kept["id"] for kept in report["kept"]} for report in reports] == [set(), ids, ids]
    assert {kept["reason"] for report in reports for kept in report["kept"]} == {"gone"}


def test_an_asset_used_and_released_meanwhile_is_not_deleted_either(cloud: Cloud) -> None:
    id_ = unused(cloud, 1)
    token = cloud.purge().json["confirm_token"]
    cloud.reference("PUT", id_, "sku-1")
    cloud.reference("DELETE", id_, "sku-1")

    assert cloud.purge(dry_run=False, confirm_token=token).json["deleted_count"] == 0
    assert cloud.get(id_).json["status"] == "ready"


def test_a_token_used_again_deletes_nothing(cloud: Cloud) -> None:
    first = unused(cloud, 1)
    token = cloud.purge().json["confirm_token"]
    cloud.purge(dry_run=False, confirm_token=token)
    again = cloud.upload(photo(1))["id"]
    cloud.age(again, days=40)

    answer = cloud.purge(dry_run=False, confirm_token=token)

    assert first == again
    assert (answer.status, answer.json["error"]["code"]) == (409, "confirm_token_used")
    assert cloud.get(again).status == 200


def test_an_expired_token_deletes_nothing(cloud: Cloud) -> None:
    id_ = unused(cloud, 1)
    token = cloud.purge().json["confirm_token"]

    with cloud.later(CONFIRMATION_VALID_FOR + timedelta(seconds=1)):
        answer = cloud.purge(dry_run=False, confirm_token=token)

    assert (answer.status, answer.json["error"]["code"]) == (409, "confirm_token_expired")
    assert cloud.get(id_).status == 200


def altered(change: Callable[[list[Any]], None]) -> Callable[[str], str]:
    def alter(token: str) -> str:
        statement, signature = token.split(".")
        said = json.loads(base64.urlsafe_b64decode(statement + "=" * (-len(statement) % 4)))
        change(said)
        forged = (
            base64.urlsafe_b64encode(json.dumps(said, separators=(",", ":")).encode()).decode().rstrip("=")
        )
        return f"{forged}.{signature}"

    return alter


FORGERIES: Final[list[Callable[[str], str]]] = [
    altered(lambda said: said.__setitem__(0, "globex")),
    altered(lambda said: said.__setitem__(1, "20260101T000000-0123456789ab")),
    altered(lambda said: said.__setitem__(2, "0" * 64)),
    altered(lambda said: said.__setitem__(3, said[3] + 3600)),
    altered(lambda said: said.__setitem__(3, 10**400)),
    altered(lambda said: said.__setitem__(3, -1)),
    lambda token: token[:-1] + ("A" if token[-1] != "A" else "B"),
    lambda token: token + "=",
    lambda token: token + ".x",
    lambda token: token.partition(".")[0],
    lambda token: token.partition(".")[0] + ".",
    lambda token: token + token.partition(".")[2] * 3,
    altered(lambda said: said.__setitem__(1, "x" * 6_000)),
    lambda _: "DELETE_CONFIRMED",
    lambda _: "",
    lambda _: "\u00e9.\ud800",
    lambda _: "[" * 100_000,
]


def test_an_altered_token_deletes_nothing(cloud: Cloud) -> None:
    id_ = unused(cloud, 1)
    token = cloud.purge().json["confirm_token"]
    before = cloud.snapshot()

    for number, forge in enumerate(FORGERIES):
        answer = cloud.purge(dry_run=False, confirm_token=forge(token))
        assert (answer.status, answer.json["error"]["code"]) == (403, "invalid_confirm_token"), number

    assert cloud.snapshot() == before
    assert cloud.get(id_).status == 200
    assert cloud.purge(dry_run=False, confirm_token=token).status == 200  # the token itself is good


def test_another_tenants_token_deletes_nothing(cloud: Cloud) -> None:
    mine = unused(cloud, 1)
    theirs = unused(cloud, 1, client_id="client-of-globex")
    token = cloud.purge().json["confirm_token"]

    answer = cloud.purge(dry_run=False, confirm_token=token, client_id="client-of-globex")

    assert (answer.status, answer.json["error"]["code"]) == (403, "invalid_confirm_token")
    assert cloud.get(mine).status == 200
    assert cloud.get(theirs, client_id="client-of-globex").status == 200


def test_an_administrator_may_name_another_tenant(cloud: Cloud) -> None:
    unused(cloud, 1)
    theirs = unused(cloud, 1, client_id="client-of-globex")

    proposed = cloud.purge(tenant="globex")
    cloud.purge(tenant="globex", dry_run=False, confirm_token=proposed.json["confirm_token"])

    assert proposed.json["candidates"] == [theirs]
    assert cloud.get(theirs, client_id="client-of-globex").status == 404
    assert cloud.get(theirs).status == 200


def test_an_administrator_who_names_nobody_is_told_so(cloud: Cloud) -> None:
    proposed = cloud.purge(tenant="nobody")
    listed = cloud.call("purge", "GET", "/purge/runs", query={"tenant": "nobody"})

    for answer in (proposed, listed):
        assert (answer.status, answer.json["error"]["code"]) == (404, "tenant_not_found")


def test_rejected_and_unfinished_uploads_go_when_their_own_time_is_up(cloud: Cloud) -> None:
    rejected = [cloud.upload(f"no image {n}".encode())["id"] for n in range(2)]
    announced = [cloud.announce(photo(n)).json["id"] for n in (10, 11)]
    for ids, days in ((rejected, (8, 6)), (announced, (2, 0.5))):
        for id_, age in zip(ids, days, strict=True):
            cloud.age(id_, days=age)

    assert set(cloud.purge().json["candidates"]) == {rejected[0], announced[0]}


@pytest.mark.parametrize("proposed", ["before", "after"])
def test_an_upload_that_is_announced_again_is_not_purged_for_its_first_announcement(
    cloud: Cloud, proposed: str
) -> None:
    id_ = cloud.announce(photo(1)).json["id"]
    cloud.age(id_, days=2)
    token = cloud.purge().json["confirm_token"]
    assert cloud.announce(photo(1)).status == 201
    key = cloud.store(photo(1))
    if proposed == "after":
        token = cloud.purge().json["confirm_token"]

    assert cloud.purge(dry_run=False, confirm_token=token).json["deleted_count"] == 0
    cloud.ingest(key)
    cloud.drain()
    assert cloud.get(id_).json["status"] == "ready"


def test_an_upload_whose_event_waits_for_days_is_not_purged_as_one_that_never_came(cloud: Cloud) -> None:
    id_ = cloud.announce(photo(1)).json["id"]
    key = cloud.store(photo(1))
    cloud.age(id_, days=3)

    daily_purge(cloud)

    cloud.ingest(key)
    cloud.drain()
    assert cloud.get(id_).json["status"] == "ready"


def test_nothing_in_flight_is_a_candidate_however_short_the_grace(cloud: Cloud) -> None:
    cloud.announce(photo(1))
    cloud.ingest(cloud.store(photo(2)))
    cloud.take_jobs()
    ready = cloud.upload(photo(3))["id"]

    assert cloud.purge(older_than_days=0).json["candidates"] == [ready]


def test_candidates_are_shown_with_name_bytes_last_use_and_a_picture(cloud: Cloud) -> None:
    id_ = unused(cloud, 1, days=31)
    asset = cloud.asset(id_)

    answer = cloud.purge().json

    assert answer["candidates"] == [id_]
    (shown,) = answer["candidates_shown"]
    stored = asset.size_bytes + sum(rendition.size_bytes for rendition in asset.renditions.values())
    assert (shown["id"], shown["filename"], shown["size_bytes"]) == (id_, asset.filename, stored)
    assert asset.unused_since is not None
    assert shown["unused_since"][:19] == asset.unused_since.isoformat()[:19]
    smallest = min(asset.renditions.values(), key=lambda rendition: rendition.size_bytes)
    assert f"/{smallest.key}?" in shown["url"]


def test_what_is_shown_of_the_candidates_ends_at_the_length_of_a_page_and_their_list_does_not(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        unused(cloud, number, days=31)
    monkeypatch.setattr(http, "LONGEST_PAGE", 10)

    answer = cloud.purge().json

    assert (len(answer["candidates"]), len(answer["candidates_shown"])) == (3, 1)


def test_candidates_come_from_an_index_and_not_from_a_scan(cloud: Cloud) -> None:
    unused(cloud, 1)
    cloud.purge()

    with cloud.watched_calls() as calls:
        cloud.purge()

    assert "dynamodb:Scan" not in calls.made
    assert calls.made.count("dynamodb:Query") == 1


def test_every_run_is_recorded_with_who_asked_and_what_became_of_it(cloud: Cloud) -> None:
    unused(cloud, 1)
    cloud.purge(dry_run=False, confirm_token=cloud.purge().json["confirm_token"])
    cloud.purge()

    listed = cloud.call("purge", "GET", "/purge/runs").json

    assert [run["state"] for run in listed["runs"]] in (["proposed", "completed"], ["completed", "proposed"])
    done = next(run for run in listed["runs"] if run["state"] == "completed")
    assert (done["requested_by"], done["source"], done["deleted_count"]) == ("client-of-acme", "request", 1)
    others = cloud.call("purge", "GET", "/purge/runs", client_id="client-of-globex").json
    assert others == {"runs": [], "cursor": None}


def test_the_daily_schedule_purges_every_tenant_without_a_token(cloud: Cloud) -> None:
    mine, theirs = unused(cloud, 1), unused(cloud, 2, client_id="client-of-globex")
    used = unused(cloud, 3)
    cloud.reference("PUT", used, "sku-1")

    daily_purge(cloud)

    assert cloud.get(mine).status == 404
    assert cloud.get(theirs, client_id="client-of-globex").status == 404
    assert cloud.get(used).status == 200


def test_what_one_run_does_not_reach_the_next_one_does(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog.use_cases.purging.MAX_CANDIDATES", 2)
    ids = [unused(cloud, seed, days=40 + seed) for seed in range(5)]

    proposed = cloud.purge().json
    assert (len(proposed["candidates"]), proposed["more"]) == (2, True)
    daily_purge(cloud)

    assert [cloud.get(id_).status for id_ in ids] == [404] * 5


def test_a_run_that_has_looked_at_enough_says_whether_there_is_more(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalog.use_cases.purging._LOOKED_AT", 3)
    monkeypatch.setattr("catalog.adapters.assets_table._UNUSED_PAGE", 1)
    ids = {unused(cloud, seed) for seed in range(3)}
    assert (set(cloud.purge().json["candidates"]), cloud.purge().json["more"]) == (ids, False)

    unused(cloud, 3)

    proposed = cloud.purge().json
    assert (len(proposed["candidates"]), proposed["more"]) == (3, True)


def test_a_purge_out_of_time_goes_on_through_the_queue(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog.use_cases.purging._SLICE", 1)
    ids = [unused(cloud, seed) for seed in range(3)]
    token = cloud.purge().json["confirm_token"]
    monkeypatch.setattr("catalog.use_cases.purge_requests.ANSWER_WITHIN", timedelta(0))

    answer = cloud.purge(dry_run=False, confirm_token=token)

    assert (answer.status, answer.json["state"], answer.json["deleted_count"]) == (202, "running", 0)
    deliver(cloud)
    assert [cloud.get(id_).status for id_ in ids] == [404] * 3
    (run,) = cloud.call("purge", "GET", "/purge/runs").json["runs"]
    assert (run["state"], run["deleted_count"]) == ("completed", 3)


def test_a_purge_that_goes_on_counts_its_hops_and_leaves_the_rest_to_the_next_day(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lambda is told to let the chain run; so it must end by itself."""
    monkeypatch.setattr("catalog.use_cases.purging.MAX_CANDIDATES", 1)
    ids = [unused(cloud, seed, days=40 + seed) for seed in range(4)]
    monkeypatch.setattr("catalog.domain.hops.MAX_HOPS", 2)
    cloud.invoke("purge_starter", SCHEDULED_INPUT)
    seen = []
    while messages := cloud.take_messages(cloud.purge_queue):
        seen += [json.loads(message) for message in messages]
        for message in messages:
            cloud.invoke("purge_worker", sqs_event(message))

    hops = [message["hops"] for message in seen if message["tenant"] == "acme"]
    assert hops == [0, 1, 2]
    assert sorted(cloud.get(id_).status for id_ in ids) == [200, 404, 404, 404]

    daily_purge(cloud)
    assert [cloud.get(id_).status for id_ in ids] == [404] * 4


def test_a_confirmed_purge_that_its_chain_did_not_end_is_completed_by_the_next_days(
    cloud: Cloud,
) -> None:
    id_ = unused(cloud, 1)
    token = cloud.purge().json["confirm_token"]
    with pytest.MonkeyPatch.context() as out_of_time:
        out_of_time.setattr("catalog.domain.hops.MAX_HOPS", 0)
        out_of_time.setattr("catalog.use_cases.purge_requests.ANSWER_WITHIN", timedelta(0))
        out_of_time.setattr("catalog.use_cases.purging.WORK_FOR", timedelta(0))
        assert cloud.purge(dry_run=False, confirm_token=token).status == 202
        deliver(cloud)
        assert cloud.get(id_).status == 200

    daily_purge(cloud)
    assert cloud.get(id_).status == 404


def test_a_purge_whose_worker_died_right_after_its_confirmation_is_gone_on_with_by_the_queue(
    cloud: Cloud,
) -> None:
    gone = unused(cloud, 1)
    token = cloud.purge().json["confirm_token"]
    with pytest.raises(Killed), cloud.watched_calls(kill_at=confirming(cloud, token), after=True):
        cloud.purge(dry_run=False, confirm_token=token)
    deliver(cloud)
    assert cloud.get(gone).status == 200

    with cloud.later(CLAIMED_FOR):
        deliver(cloud)

    assert cloud.get(gone).status == 404


def confirming(cloud: Cloud, token: str) -> int:
    """Which of its calls confirms the run."""
    before = cloud.moment()
    with cloud.watched_calls() as calls:
        cloud.purge(dry_run=False, confirm_token=token)
    before.restore()
    return calls.made.index("dynamodb:UpdateItem")


def test_what_brings_a_purge_back_finds_it_completed_and_does_nothing(cloud: Cloud) -> None:
    unused(cloud, 1)
    cloud.purge(dry_run=False, confirm_token=cloud.purge().json["confirm_token"])

    with cloud.later(CLAIMED_FOR), cloud.watched_calls() as calls:
        deliver(cloud)

    assert [call for call in calls.made if call.startswith("dynamodb:")] == ["dynamodb:GetItem"]


@pytest.fixture
def tokens(cloud: Cloud) -> tuple[str, str]:
    """Two proposals of one and the same image."""
    unused(cloud, 1)
    first, second = (cloud.purge().json["confirm_token"] for _ in range(2))
    return first, second


@pytest.fixture
def stalled(cloud: Cloud, tokens: tuple[str, str]) -> Iterator[Task]:
    """The worker of the first, confirmed, about to delete the original."""
    scheduler = Scheduler(1)
    with scheduler.in_charge():
        task = scheduler.start("purge", lambda: cloud.purge(dry_run=False, confirm_token=tokens[0]))
        task.step_to("s3:DeleteObject")
        yield task
    scheduler.close()


def test_a_purge_has_one_worker_at_a_time(cloud: Cloud, stalled: Task) -> None:
    daily_purge(cloud)
    originals = cloud.objects(cloud.originals)
    assert len(originals) == 1

    answer = stalled.finish()

    assert (answer.json["state"], answer.json["deleted_count"]) == ("completed", 1)
    with cloud.later(CLAIMED_FOR):
        deliver(cloud)
    assert cloud.objects(cloud.originals) == []


def test_a_confirmed_purge_that_the_daily_one_finds_first_is_answered_as_running(
    cloud: Cloud, tokens: tuple[str, str]
) -> None:
    scheduler = Scheduler(1)
    with scheduler.in_charge():
        task = scheduler.start("purge", lambda: cloud.purge(dry_run=False, confirm_token=tokens[0]))
        task.step_to("dynamodb:UpdateItem")
        task.step()  # it is confirmed, and not yet claimed
        daily_purge(cloud)
        answer = task.finish()
    scheduler.close()

    assert (answer.status, answer.json["state"]) == (202, "running")
    assert cloud.objects(cloud.originals) == []


def test_what_another_purge_is_deleting_is_left_to_it(
    cloud: Cloud, stalled: Task, tokens: tuple[str, str]
) -> None:
    """Were both to delete it, the slower one might hit the next upload of these bytes."""
    with cloud.watched_calls() as calls:
        answer = cloud.purge(dry_run=False, confirm_token=tokens[1])

    assert (answer.json["state"], answer.json["deleted_count"]) == ("completed", 0)
    assert [kept["reason"] for kept in answer.json["kept"]] == ["gone"]
    assert not [call for call in calls.made if call.startswith("s3:")]
    stalled.finish()
    assert cloud.objects(cloud.originals) == []


def test_a_purge_whose_worker_died_waits_for_its_claim_to_end(cloud: Cloud, stalled: Task) -> None:
    stalled.kill()
    daily_purge(cloud)
    assert len(cloud.objects(cloud.originals)) == 1

    with cloud.later(CLAIMED_FOR):
        deliver(cloud)

    assert cloud.objects(cloud.originals) == []
    (run,) = [run for run in cloud.call("purge", "GET", "/purge/runs").json["runs"] if run["deleted_count"]]
    assert run["state"] == "completed"

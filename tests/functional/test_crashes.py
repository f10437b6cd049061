"""Every function, killed at every AWS call, before and after it takes effect; then its event comes again.

A scenario is the world before, one event, and what comes after the death: the event again, for a queue or a
stream; the same request again, for a client; the next daily purge.  Afterwards all guarantees hold, and the
end is that of the event that nobody killed, but for what `differs` names with its reason: left by design.

Two deaths that leave the same things stored and queued have one future, which is lived once.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import boto3
import pytest
from PIL import Image, ImageFilter

from catalog.adapters.usage_table import Counters
from catalog.domain.assets import STALLED_AFTER
from catalog.domain.keys import AssetKey, tenant_id
from catalog.domain.limits import Limits
from catalog.domain.tenants import LATE_UPLOADS_END_AFTER
from catalog.domain.usage import NOTHING
from infra.local.events import ACCOUNT, REGION, s3_notification, sqs_event
from infra.operator import dead_letters
from infra.operator.dead_letters import QUEUES, DeadLetters
from infra.operator.restore import restore
from infra.pictures.images import half_of, jpeg_bytes, noisy_scene
from tests.functional.cloud import Answer, Cloud, Killed
from tests.functional.streams import history_of, recorded_changes

# Softened: with pixels as sharp as noise a half-size copy cannot show, it would be linked and not share.
SCENE = noisy_scene(7, (120, 90)).filter(ImageFilter.GaussianBlur(1))
PHOTO, OTHER = jpeg_bytes(SCENE), jpeg_bytes(noisy_scene(8, (120, 90)))
HALF = jpeg_bytes(SCENE.resize((60, 45), Image.Resampling.LANCZOS))
COPY = jpeg_bytes(SCENE.resize((60, 45), Image.Resampling.LANCZOS), 60)  # the smaller of the two, in bytes
BROKEN = half_of(PHOTO)
PRESETS = json.dumps(
    [{"name": name, "width": side, "height": side} for name, side in (("thumb", 30), ("card", 60))]
)
ADMIN = "client-of-globex"
# Jobs of one preset would make other bytes: of another decode.
ON_ARRIVAL = {"PIXELS_RENDERED_ON_ARRIVAL": "1000000", "PRESETS_PER_JOB": "2"}
# A message that failed comes again when its queue's visibility timeout has passed.
REDELIVERED_AFTER = timedelta(seconds=360)
UPLOADS, RENDER, PURGE, *_ = QUEUES

READS = re.compile(":(Get|BatchGet|Query|List|Verify|GenerateMac)")

Work = Callable[[Cloud], Any]


def nothing(_: Cloud) -> None:
    pass


@dataclass(frozen=True)
class Scenario:
    """`again` is what comes after a death; None: the same as `work`.  `differs`: field or table -> why."""

    work: Work
    before: Work = nothing
    again: Work | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    differs: Mapping[str, str] = field(default_factory=dict)
    also: Work = nothing
    drained: bool = True


def id_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def key_of(data: bytes) -> str:
    return f"originals/acme/{id_of(data)}"


# --- Uploads and renditions -------------------------------------------------------------------------------


def announced(*photos: bytes) -> Work:
    def before(cloud: Cloud) -> None:
        for data in photos:
            cloud.announce(data)
            cloud.store(data)

    return before


def uploaded(*photos: bytes) -> Work:
    def before(cloud: Cloud) -> None:
        for data in photos:
            cloud.upload(data)

    return before


def ingested(*photos: bytes) -> Work:
    """Accepted, and not rendered yet: their jobs wait to be delivered."""

    def before(cloud: Cloud) -> None:
        for data in photos:
            cloud.announce(data)
            cloud.ingest(cloud.store(data))

    return before


def in_turn(*works: Work) -> Work:
    def all_of_them(cloud: Cloud) -> None:
        for work in works:
            work(cloud)

    return all_of_them


def stalled(cloud: Cloud) -> None:
    """Its render jobs were lost, half an hour ago and longer."""
    cloud.take_jobs()
    cloud.dynamodb.update_item(
        TableName="AssetsTable",
        Key={"tenant": {"S": "acme"}, "id": {"S": id_of(PHOTO)}},
        UpdateExpression="SET updated_at = :then",
        ExpressionAttributeValues={":then": {"S": (cloud.now() - 2 * STALLED_AFTER).isoformat()}},
    )


def other_bytes(cloud: Cloud) -> None:
    cloud.announce(PHOTO)
    cloud.store(OTHER, as_id=id_of(PHOTO))


def is_offered_again(cloud: Cloud) -> None:
    """S3 would take the right bytes: nothing lies in their place."""
    assert cloud.objects(cloud.originals) == []
    assert cloud.announce(PHOTO).status == 201


def ingest(*photos: bytes) -> Work:
    return lambda cloud: cloud.ingest(*map(key_of, photos))


def ingest_again(photo: bytes) -> Work:
    """Its message comes for the second time, and says so."""

    def work(cloud: Cloud) -> None:
        event = sqs_event(s3_notification(cloud.originals, key_of(photo)))
        event["Records"][0]["attributes"]["ApproximateReceiveCount"] = "2"
        cloud.invoke("ingest", event)

    return work


def render(*presets: str, of: bytes = PHOTO) -> Work:
    job = json.dumps({"tenant": "acme", "id": id_of(of), "presets": presets, "correlation_id": "request-1"})
    return lambda cloud: cloud.render(job)


def render_job_by_job(cloud: Cloud) -> None:
    render("thumb")(cloud)
    render("card")(cloud)


def members_follow(moved: bytes) -> Work:
    job = json.dumps(
        {
            "tenant": "acme",
            "id": id_of(moved),
            "presets": [],
            "correlation_id": "request-1",
            "members": "",
        }
    )
    return lambda cloud: cloud.render(job)


def lose_original(data: bytes) -> Work:
    return lambda cloud: cloud.s3.delete_object(Bucket=cloud.originals, Key=key_of(data))


def limited(cloud: Cloud) -> None:
    cloud.tenants.set_limits(tenant_id("acme"), Limits(uploads_per_minute=100, stored_bytes=10**9))


def is_tagged(cloud: Cloud) -> None:
    assert cloud.s3.get_object_tagging(Bucket=cloud.originals, Key=key_of(BROKEN))["TagSet"]


def status_is(status: str, of: bytes, near_duplicate_of: bytes | None = None) -> Work:
    def check(cloud: Cloud) -> None:
        image = cloud.get(id_of(of)).json
        expected = id_of(near_duplicate_of) if near_duplicate_of else None
        assert (image["status"], image["near_duplicate_of"]) == (status, expected)

    return check


def is_one_group(canonical: bytes, *members: bytes) -> Work:
    """All of them are ready and show the renditions of the one, which counts the others."""

    def check(cloud: Cloud) -> None:
        status_is("ready", canonical)(cloud)
        shown = {stored.key for stored in cloud.asset(id_of(canonical)).renditions.values()}
        assert len(shown) == len(json.loads(PRESETS))
        for member in members:
            status_is("ready", member, canonical)(cloud)
            assert {stored.key for stored in cloud.asset(id_of(member)).renditions.values()} == shown
        assert cloud.asset(id_of(canonical)).sharers == len(members)

    return check


def still_has_its_renditions(*photos: bytes) -> Work:
    """Addresses that were given out are not dark."""

    def check(cloud: Cloud) -> None:
        stored = cloud.objects(cloud.renditions)
        for data in photos:
            assert len([key for key in stored if id_of(data) in key]) == len(json.loads(PRESETS))

    return check


# --- References, decisions --------------------------------------------------------------------------------


def references_set(*images: bytes) -> Work:
    """Two of each; an image's are set together."""
    wanted = [
        {"id": id_of(data), "reference": name, "position": number}
        for number, data in enumerate(images)
        for name in ("sku-1", "sku-2")
    ]
    return lambda cloud: cloud.call("references", "PUT", "/references", body={"references": wanted})


def reference(method: str, of: bytes = PHOTO, name: str = "sku-1") -> Work:
    return lambda cloud: cloud.reference(method, id_of(of), name)


def decide(decision: str, one: bytes = HALF, other: bytes = PHOTO) -> Work:
    path = f"/images/{id_of(one)}/duplicates/{id_of(other)}"
    return lambda cloud: cloud.call("duplicates", "PUT", path, body={"decision": decision})


def undo(one: bytes = HALF, other: bytes = PHOTO) -> Work:
    path = f"/images/{id_of(one)}/duplicates/{id_of(other)}"
    return lambda cloud: cloud.call("duplicates", "DELETE", path)


def drained(cloud: Cloud) -> None:
    cloud.drain()


# --- Purge ------------------------------------------------------------------------------------------------


def unused(*photos: bytes) -> Work:
    def before(cloud: Cloud) -> None:
        uploaded(*photos)(cloud)
        for data in photos:
            if not cloud.asset(id_of(data)).references:
                cloud.age(id_of(data), days=40)

    return before


def purge(cloud: Cloud) -> None:
    cloud.purge(dry_run=False, confirm_token=cloud.purge().json["confirm_token"])


def daily_purge(cloud: Cloud) -> None:
    cloud.invoke("purge_starter", {"purge": "daily"})
    cloud.drain()


def next_daily_purge(cloud: Cloud) -> None:
    with cloud.later(REDELIVERED_AFTER):
        daily_purge(cloud)


def purge_by_queue(cloud: Cloud) -> None:
    cloud.invoke("purge_worker", sqs_event(json.dumps({"tenant": "acme", "run_id": None})))


def purge_by_queue_again(cloud: Cloud) -> None:
    with cloud.later(REDELIVERED_AFTER):
        purge_by_queue(cloud)
        cloud.drain()


def delete(of: bytes) -> Callable[[Cloud], Answer]:
    return lambda cloud: cloud.delete(id_of(of))


def delete_again(of: bytes) -> Work:
    """The client asks again, and its answer is that of the queue's next message, or 404."""

    def again(cloud: Cloud) -> None:
        assert cloud.delete(id_of(of)).status in {200, 202, 404}
        next_daily_purge(cloud)

    return again


def gone(*photos: bytes) -> Work:
    def check(cloud: Cloud) -> None:
        assert [cloud.get(id_of(data)).status for data in photos] == [404] * len(photos)
        left = [name for name in cloud.snapshot()["objects"] for data in photos if id_of(data) in name]
        assert left == []

    return check


# --- Counters and events ----------------------------------------------------------------------------------


def count_every_change(cloud: Cloud) -> None:
    cloud.invoke("usage", {"Records": cloud.records})


def subscribed(cloud: Cloud) -> None:
    """A queue hears every event."""
    boto3.client("sqs").create_queue(QueueName="events")
    events = boto3.client("events")
    pattern = json.dumps({"source": ["catalog.images"]})
    events.put_rule(Name="all", EventBusName=cloud.event_bus, EventPattern=pattern)
    target = {"Id": "queue", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:events"}
    events.put_targets(Rule="all", EventBusName=cloud.event_bus, Targets=[target])


def told(*types: str) -> Work:
    def check(cloud: Cloud) -> None:
        queue = cloud.sqs.get_queue_url(QueueName="events")["QueueUrl"]
        events = [json.loads(body) for body in cloud.take_messages(queue)]
        heard = {event["detail"]["event_id"]: event["detail-type"] for event in events}
        assert sorted(heard.values()) == sorted(types)

    return check


# --- Tenants ----------------------------------------------------------------------------------------------


def ask(method: str, path: str = "", body: Any = None) -> Callable[[Cloud], Answer]:
    return lambda cloud: cloud.call(
        "tenants", method, f"/tenants{path}", client_id=ADMIN, body=body, scope="catalog/read catalog/admin"
    )


create = ask("POST", body={"tenant": "initech"})


def create_again(cloud: Cloud) -> None:
    if create(cloud).status == 409:
        assert ask("POST", "/initech/clients")(cloud).status == 201


def cognito_clients(cloud: Cloud) -> set[str]:
    pool = cloud.cognito.list_user_pools(MaxResults=1)["UserPools"][0]["Id"]
    listed = cloud.cognito.list_user_pool_clients(UserPoolId=pool, MaxResults=60)["UserPoolClients"]
    return {client["ClientId"] for client in listed if client["ClientName"] == "catalog-initech"}


def recorded_clients(cloud: Cloud) -> set[str]:
    items = cloud.dynamodb.scan(TableName="ClientsTable")["Items"]
    return {item["client_id"]["S"] for item in items if item["tenant"]["S"] == "initech"}


def every_recorded_client_exists_and_one_works(cloud: Cloud) -> None:
    recorded = recorded_clients(cloud)
    assert recorded and recorded <= cognito_clients(cloud)
    assert all(cloud.list_images(client_id=client).status == 200 for client in recorded)


def revoke(cloud: Cloud) -> None:
    for client in sorted(recorded_clients(cloud)):
        ask("DELETE", f"/initech/clients/{client}")(cloud)


def no_client_is_left(cloud: Cloud) -> None:
    assert not cognito_clients(cloud) | recorded_clients(cloud)


def let_late_uploads_end(cloud: Cloud) -> None:
    """The removal began long ago."""
    since = cloud.now() - LATE_UPLOADS_END_AFTER - timedelta(minutes=1)
    cloud.dynamodb.update_item(
        TableName="TenantsTable",
        Key={"tenant": {"S": "initech"}},
        UpdateExpression="SET removing_since = :since",
        ConditionExpression="attribute_exists(removing_since)",
        ExpressionAttributeValues={":since": {"S": since.isoformat(timespec="microseconds")}},
    )


def leave_something(cloud: Cloud) -> None:
    """What an active tenant collects without an image: an announcement, a pair, a counter."""
    (client,) = recorded_clients(cloud)
    assert cloud.announce(PHOTO, client_id=client).status == 201
    of = {"tenant": {"S": "initech"}}
    pair = {"pair": {"S": f"{'0' * 64}#{'f' * 64}"}, "seen_at": {"S": "2026-11-24T00:00:00.000000+00:00"}}
    cloud.dynamodb.put_item(TableName="PairsTable", Item=of | pair)
    cloud.dynamodb.put_item(
        TableName="UsageTable",
        Item=of | {"counter": {"S": "total"}, "moves": {"N": "1"}, "duplicates_avoided": {"N": "7"}},
    )


def nothing_is_left(cloud: Cloud) -> None:
    no_client_is_left(cloud)
    for table in ("TenantsTable", "AssetsTable", "PairsTable"):
        items = cloud.dynamodb.scan(TableName=table)["Items"]
        assert "initech" not in {item["tenant"]["S"] for item in items}, table
    # The stream tells the counters afterwards that an announcement went: nothing, added to nothing.
    assert Counters("UsageTable").totals([tenant_id("initech")]) == {tenant_id("initech"): NOTHING}


remove = ask("DELETE", "/initech")


# --- The operator -----------------------------------------------------------------------------------------


def outputs(cloud: Cloud) -> dict[str, str]:
    names = {queue.output for queue in QUEUES}
    queues = {name: cloud.sqs.create_queue(QueueName=name)["QueueUrl"] for name in names}
    return {
        **queues,
        "UploadsQueueUrl": cloud.uploads_queue,
        "RenderQueueUrl": cloud.render_queue,
        "PurgeQueueUrl": cloud.purge_queue,
        "AssetsTable": "AssetsTable",
        "TenantsTable": "TenantsTable",
        "OriginalsBucket": cloud.originals,
        "PurgeStarterFunction": "purge_starter",
    }


LETTERS = {json.dumps({"tenant": "acme", "run_id": f"run-{number}"}) for number in range(2)}


def dead(cloud: Cloud) -> None:
    for body in LETTERS:
        cloud.sqs.send_message(QueueUrl=outputs(cloud)[PURGE.output], MessageBody=body)


def redrive(cloud: Cloud) -> None:
    list(DeadLetters("catalog-images", outputs(cloud)).redrive(PURGE, limit=10, dry_run=False))


def every_letter_has_arrived(cloud: Cloud) -> None:
    assert set(cloud.take_messages(cloud.purge_queue)) == LETTERS
    assert cloud.take_messages(outputs(cloud)[PURGE.output]) == []


def restore_photo(cloud: Cloud) -> None:
    restore(AssetKey.of_original(key_of(PHOTO)), outputs=outputs(cloud))


# --- The table --------------------------------------------------------------------------------------------

COUNTED_TWICE = "a request whose answer was lost is made, and counted, again"
LINK = {"NEAR_DUPLICATE_ACTION": "link"}
RUNS = {"PurgeRunsTable": "a proposal whose answer was lost stays one; a run may be a scheduled one"}
ORPHAN_CLIENT = "a client whose secret nobody got goes with its tenant, or answers to none (decision 26)"

SCENARIOS: dict[str, Scenario] = {
    "an upload request": Scenario(lambda cloud: cloud.announce(PHOTO)),
    "an upload request for an image whose jobs were lost": Scenario(
        lambda cloud: cloud.announce(PHOTO), in_turn(ingested(PHOTO), stalled), also=status_is("ready", PHOTO)
    ),
    "ingest of other bytes than the key's": Scenario(ingest(PHOTO), other_bytes, also=is_offered_again),
    "an upload request of a limited tenant": Scenario(
        lambda cloud: cloud.announce(PHOTO), limited, differs={"uploads": COUNTED_TWICE}
    ),
    "an upload request for bytes that are here": Scenario(
        lambda cloud: cloud.announce(PHOTO),
        uploaded(PHOTO),
        differs=dict.fromkeys(("duplicates", "duplicates_avoided", "bytes_saved"), COUNTED_TWICE),
    ),
    "ingest": Scenario(ingest(PHOTO), announced(PHOTO), also=status_is("ready", PHOTO)),
    "ingest of what is no image": Scenario(ingest(BROKEN), announced(BROKEN), also=is_tagged),
    "ingest of a near-duplicate": Scenario(
        ingest(HALF), in_turn(uploaded(PHOTO), announced(HALF)), also=status_is("ready", HALF, PHOTO)
    ),
    "ingest of a near-duplicate of what is being rendered": Scenario(
        ingest(HALF), in_turn(ingested(PHOTO), announced(HALF)), also=status_is("ready", HALF, PHOTO)
    ),
    "ingest of a near-duplicate that is only linked": Scenario(
        ingest(HALF),
        in_turn(uploaded(PHOTO), announced(HALF)),
        settings={"NEAR_DUPLICATE_ACTION": "link"},
        also=status_is("ready", HALF, PHOTO),
    ),
    "ingest that renders": Scenario(
        ingest(PHOTO), announced(PHOTO), settings=ON_ARRIVAL, also=status_is("ready", PHOTO)
    ),
    "ingest that renders, and a repetition that does not": Scenario(
        ingest(PHOTO),
        announced(PHOTO),
        ingest_again(PHOTO),
        settings=ON_ARRIVAL,
        also=status_is("ready", PHOTO),
    ),
    "ingest that renders what is larger than a group": Scenario(
        ingest(PHOTO),
        in_turn(uploaded(HALF, COPY), announced(PHOTO)),
        settings=ON_ARRIVAL,
        also=in_turn(is_one_group(PHOTO, HALF, COPY), still_has_its_renditions(HALF)),
    ),
    "render": Scenario(render_job_by_job, ingested(PHOTO), also=status_is("ready", PHOTO)),
    "render, several presets a job": Scenario(
        render("thumb", "card"), ingested(PHOTO), settings={"PRESETS_PER_JOB": "2"}
    ),
    "render of what a near-duplicate waits for": Scenario(
        render_job_by_job, ingested(PHOTO, HALF), also=status_is("ready", HALF, PHOTO)
    ),
    "render of what is lost, and a near-duplicate waits for": Scenario(
        render("thumb"),
        in_turn(ingested(PHOTO, HALF), lose_original(PHOTO)),
        also=in_turn(status_is("rejected", PHOTO), status_is("ready", HALF)),
    ),
    "ingest of what is larger than a group": Scenario(
        ingest(PHOTO),
        in_turn(uploaded(HALF, COPY), announced(PHOTO)),
        also=in_turn(is_one_group(PHOTO, HALF, COPY), still_has_its_renditions(HALF)),
    ),
    "render of what is larger than a group": Scenario(
        render_job_by_job,
        in_turn(uploaded(HALF, COPY), ingested(PHOTO)),
        also=in_turn(is_one_group(PHOTO, HALF, COPY), still_has_its_renditions(HALF)),
    ),
    "members that follow to a larger image": Scenario(
        members_follow(HALF),
        in_turn(uploaded(HALF, COPY), ingested(PHOTO), render_job_by_job),
        also=in_turn(is_one_group(PHOTO, HALF, COPY), still_has_its_renditions(HALF)),
    ),
    "render of what is lost, and a group has joined": Scenario(
        render("thumb"),
        in_turn(uploaded(HALF, COPY), ingested(PHOTO), lose_original(PHOTO)),
        also=in_turn(status_is("rejected", PHOTO), is_one_group(HALF, COPY)),
    ),
    "a reference taken": Scenario(reference("PUT"), uploaded(PHOTO)),
    "references set": Scenario(
        references_set(PHOTO, OTHER), in_turn(uploaded(PHOTO), uploaded(OTHER), reference("PUT"))
    ),
    "a reference released": Scenario(reference("DELETE"), in_turn(uploaded(PHOTO), reference("PUT"))),
    "a person's distinct": Scenario(decide("distinct"), uploaded(PHOTO, HALF), also=status_is("ready", HALF)),
    "a person's distinct, taken back": Scenario(
        undo(),
        in_turn(uploaded(PHOTO, HALF), decide("distinct"), drained),
        also=status_is("ready", HALF, PHOTO),
    ),
    "a person's distinct between two duplicates of a third": Scenario(
        decide("distinct", HALF, COPY),
        uploaded(PHOTO, HALF, COPY),
        also=in_turn(is_one_group(PHOTO, HALF), status_is("ready", COPY), still_has_its_renditions(COPY)),
    ),
    "a person's distinct between two duplicates of a third, taken back": Scenario(
        undo(HALF, COPY),
        in_turn(uploaded(PHOTO, HALF, COPY), decide("distinct", HALF, COPY), drained),
        also=is_one_group(PHOTO, HALF, COPY),
    ),
    "a person's distinct of two that follow to a larger image": Scenario(
        decide("distinct", HALF, COPY),
        in_turn(uploaded(HALF, COPY), ingested(PHOTO), render_job_by_job),
        also=in_turn(is_one_group(PHOTO, HALF), status_is("ready", COPY), still_has_its_renditions(COPY)),
    ),
    "a person's same of two groups": Scenario(
        decide("same", HALF, OTHER),
        uploaded(HALF, COPY, OTHER),
        also=in_turn(is_one_group(OTHER, HALF, COPY), still_has_its_renditions(HALF)),
    ),
    "a person's same": Scenario(
        decide("same", OTHER), uploaded(PHOTO, OTHER), differs={"near_duplicate_of": "", "near_duplicate": ""}
    ),
    "a person's same, taken back": Scenario(
        undo(OTHER), in_turn(uploaded(PHOTO, OTHER), decide("same", OTHER), drained)
    ),
    "a purge that is asked for": Scenario(
        purge,
        in_turn(unused(PHOTO, HALF), uploaded(OTHER)),
        again=next_daily_purge,
        differs=RUNS,
        also=in_turn(next_daily_purge, lambda cloud: cloud.age(id_of(PHOTO), days=40)),
    ),
    "a purge of what is no longer shared": Scenario(
        purge, unused(PHOTO, OTHER), again=next_daily_purge, differs=RUNS, also=gone(PHOTO, OTHER)
    ),
    "a purge of two that are linked": Scenario(
        purge,
        unused(PHOTO, HALF),
        again=next_daily_purge,
        settings=LINK,
        differs=RUNS,
        also=gone(PHOTO, HALF),
    ),
    "a purge of what another is linked to": Scenario(
        purge,
        in_turn(uploaded(PHOTO, HALF), lambda cloud: cloud.age(id_of(PHOTO), days=40)),
        again=next_daily_purge,
        settings=LINK,
        differs=RUNS,
        also=in_turn(gone(PHOTO), status_is("ready", HALF)),
    ),
    "a purge by message": Scenario(
        purge_by_queue, unused(PHOTO), again=purge_by_queue_again, differs=RUNS, also=gone(PHOTO)
    ),
    "the daily purge": Scenario(
        daily_purge, unused(OTHER), again=next_daily_purge, differs=RUNS, also=gone(OTHER)
    ),
    "an image deleted": Scenario(
        delete(OTHER), uploaded(PHOTO, OTHER), again=delete_again(OTHER), differs=RUNS, also=gone(OTHER)
    ),
    "an image deleted that is a near-duplicate": Scenario(
        delete(HALF), uploaded(PHOTO, HALF), again=delete_again(HALF), differs=RUNS, also=gone(HALF)
    ),
    "an announcement deleted": Scenario(
        delete(PHOTO),
        lambda cloud: cloud.announce(PHOTO),
        again=delete_again(PHOTO),
        differs=RUNS,
        also=gone(PHOTO),
    ),
    "the counters": Scenario(
        count_every_change,
        in_turn(subscribed, uploaded(PHOTO, HALF), announced(BROKEN), ingest(BROKEN), unused(OTHER), purge),
        also=told(*["image.ready"] * 3, "image.rejected", "image.deleted", "purge.completed"),
    ),
    "a tenant made": Scenario(
        create,
        again=create_again,
        differs={"ClientsTable": ORPHAN_CLIENT},
        also=every_recorded_client_exists_and_one_works,
    ),
    "a client made": Scenario(
        ask("POST", "/initech/clients"),
        create,
        differs={"ClientsTable": ORPHAN_CLIENT},
        also=every_recorded_client_exists_and_one_works,
    ),
    "a client revoked": Scenario(revoke, create, also=no_client_is_left),
    "a tenant's removal begun": Scenario(remove, create, also=no_client_is_left),
    "a tenant's removal finished": Scenario(
        remove, in_turn(create, leave_something, remove, let_late_uploads_end), also=nothing_is_left
    ),
    "dead letters sent back": Scenario(redrive, dead, also=every_letter_has_arrived, drained=False),
    "a purged image restored": Scenario(
        restore_photo, in_turn(unused(PHOTO), purge), also=status_is("ready", PHOTO)
    ),
}


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_killed_at_any_call_it_is_completed_by_what_comes_after(
    cloud: Cloud, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "_WAIT_SECONDS", 0)
    monkeypatch.setattr(dead_letters, "_HIDDEN_SECONDS", 0)  # or each try waits for the letters of the last
    cloud.configure(PRESETS=PRESETS, **scenario.settings)
    again = scenario.again or scenario.work
    with recorded_changes() as cloud.records:
        scenario.before(cloud)
        beginning, recorded = cloud.moment(), len(cloud.records)
        cloud.cold_start()
        with cloud.watched_calls() as unharmed:
            scenario.work(cloud)
        expected = the_end(cloud, scenario)
        lived = set[str]()
        for number, call in enumerate(unharmed.made):
            # What only reads leaves what was there: its death afterwards is that before the next call.
            for after in (False,) if READS.search(call) else (False, True):
                beginning.restore()
                del cloud.records[recorded:]
                cloud.cold_start()
                with pytest.raises(Killed), cloud.watched_calls(kill_at=number, after=after):
                    scenario.work(cloud)
                if (future := cloud.moment().future()) in lived:
                    continue
                lived.add(future)
                cloud.cold_start()
                again(cloud)
                moment = f"killed {'after' if after else 'before'} call {number}, {call}"
                assert the_end(cloud, scenario) == expected, moment


def the_end(cloud: Cloud, scenario: Scenario) -> dict[str, Any]:
    """All messages and changes are delivered, the guarantees hold; what is stored, less what may differ."""
    if scenario.drained:
        cloud.drain()
    count_every_change(cloud)
    assert cloud.broken_guarantees(history_of(cloud, cloud.records)) == []
    scenario.also(cloud)
    stored = cloud.snapshot()
    return {
        name: [{field: item[field] for field in item if field not in scenario.differs} for item in items]
        for name, items in stored["items"].items()
        if name not in scenario.differs and name != "UsageTable"  # a guarantee holds it to a recount
    } | stored["objects"]

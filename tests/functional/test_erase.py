"""Erasing a tenant or one image: everything of it goes for good, with a report, and nothing else changes."""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError
from PIL import Image, ImageFilter

from catalog.adapters import jobs_table, sdk
from catalog.adapters.object_versions import ObjectVersions
from catalog.adapters.tables import timestamp
from catalog.adapters.tenants_table import Tenants
from catalog.adapters.usage_table import Counters
from catalog.domain.erase import statement_of
from catalog.domain.keys import AssetKey, asset_id, tenant_id
from infra.pictures.images import half_of, jpeg_bytes, noisy_scene, product_photo
from tests.functional.cloud import Answer, Cloud, on_clock
from tests.functional.jobs import JobRun
from tests.functional.streams import recorded_changes

SCENE = noisy_scene(7, (120, 90)).filter(ImageFilter.GaussianBlur(1))
PHOTO, OTHER = jpeg_bytes(SCENE), jpeg_bytes(product_photo(8, (64, 48)))
HALF = jpeg_bytes(SCENE.resize((60, 45), Image.Resampling.LANCZOS))
COPY = jpeg_bytes(SCENE.resize((60, 45), Image.Resampling.LANCZOS), 60)
PRESETS = json.dumps([{"name": "thumb", "width": 30, "height": 30}])
ADMIN = "client-of-globex"
TABLES = (
    *("AssetsTable", "ClientsTable", "TenantsTable", "PurgeRunsTable", "UsageTable", "HashBandsTable"),
    *("PairsTable", "ImportedTable", "JobsTable", "WebhooksTable"),
)


def id_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(autouse=True)
def followed(cloud: Cloud) -> Iterator[None]:
    cloud.configure(PRESETS=PRESETS)
    with recorded_changes() as cloud.records:
        yield


def count_changes(cloud: Cloud) -> None:
    """The streams are followed up to now."""
    records = list(cloud.records)
    del cloud.records[:]
    cloud.invoke("usage", {"Records": records})


def filled(cloud: Cloud) -> None:
    """What a tenant can have: a group, a reference, a decision, a rejection, a purge, an announcement."""
    for data in (PHOTO, HALF, OTHER, half_of(OTHER)):
        cloud.upload(data)
    cloud.reference("PUT", id_of(OTHER), "sku-1")
    path = f"/images/{id_of(OTHER)}/duplicates/{id_of(PHOTO)}"
    cloud.call("duplicates", "PUT", path, body={"decision": "distinct"})
    gone = jpeg_bytes(product_photo(9, (64, 48)))
    cloud.upload(gone)
    cloud.delete(id_of(gone))
    cloud.announce(jpeg_bytes(product_photo(10, (64, 48))))
    for tenant in ("acme", "globex"):
        seen = {"tenant": {"S": tenant}, "object": {"S": id_of(b"a key")}, "id": {"S": id_of(PHOTO)}}
        cloud.dynamodb.put_item(TableName="ImportedTable", Item=seen)
        hook = {"tenant": {"S": tenant}, "entry": {"S": "webhook/shop"}}
        cloud.dynamodb.put_item(TableName="WebhooksTable", Item=hook)
    cloud.upload(PHOTO, client_id=ADMIN)
    cloud.upload(half_of(PHOTO), client_id=ADMIN)
    cloud.take_jobs()
    count_changes(cloud)


def left_of(cloud: Cloud, tenant: str, *, but: tuple[str, ...] = ("JobsTable",)) -> list[str]:
    """Whatever is stored under a tenant's name: items, versions, delete markers, clients."""
    found = []
    for table in TABLES:
        for item in cloud.dynamodb.scan(TableName=table)["Items"]:
            owner = item.get("tenant", item.get("band"))["S"].partition("#")[0] if table not in but else ""
            found += [f"{table}: {item}"] if owner == tenant else []
    for bucket in (cloud.originals, cloud.renditions):
        listed = cloud.s3.list_object_versions(Bucket=bucket)
        entries = [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]
        found += [f"{bucket}: {entry['Key']}" for entry in entries if f"/{tenant}/" in entry["Key"]]
    pool = cloud.cognito.list_user_pools(MaxResults=1)["UserPools"][0]["Id"]
    clients = cloud.cognito.list_user_pool_clients(UserPoolId=pool, MaxResults=60)["UserPoolClients"]
    return found + [client["ClientName"] for client in clients if client["ClientName"] == f"catalog-{tenant}"]


def kept_of(cloud: Cloud, tenant: str) -> dict[str, Any]:
    """Everything of another tenant: items whole, and the bytes and ids of every version."""
    items = [
        (table, sorted(item.items(), key=str))
        for table in TABLES
        for item in cloud.dynamodb.scan(TableName=table)["Items"]
        if table != "JobsTable" and item.get("tenant", item.get("band"))["S"].partition("#")[0] == tenant
    ]
    versions = []
    for bucket in (cloud.originals, cloud.renditions):
        listed = cloud.s3.list_object_versions(Bucket=bucket)
        for entry in [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]:
            if f"/{tenant}/" in entry["Key"]:
                versions.append((bucket, entry["Key"], entry["VersionId"], entry.get("ETag")))
    return {"items": sorted(items, key=str), "versions": sorted(versions, key=str)}


def started(cloud: Cloud, **asked: Any) -> JobRun:
    answer = ask(cloud, **asked)
    assert answer.status == 202, answer.json
    return JobRun(cloud, answer.json["id"])


def ask(cloud: Cloud, *, client_id: str = ADMIN, **asked: Any) -> Answer:
    return cloud.job("POST", client_id=client_id, body={"kind": "erase", "tenant": "acme"} | asked)


def dry_run(cloud: Cloud, **asked: Any) -> dict[str, Any]:
    run = started(cloud, **asked)
    run.to_the_end()
    return cloud.job("GET", f"/{run.id}").json


def erase(cloud: Cloud, **asked: Any) -> JobRun:
    """A dry run, and what it says confirmed: up to the end, with the streams followed between the rounds."""
    token = dry_run(cloud, **asked)["confirm_token"]
    run = started(cloud, dry_run=False, confirm_token=token, **asked)
    to_the_end(cloud, run)
    return run


def to_the_end(cloud: Cloud, run: JobRun) -> None:
    for _ in range(100):
        if run.round() == "end":
            return
        count_changes(cloud)
    raise AssertionError(run.job)


def until_it_waits(cloud: Cloud, run: JobRun, *, counting: bool = True) -> None:
    for _ in range(100):
        if (said := run.round()) == "wait":
            return
        assert said != "end", run.job
        if counting:
            count_changes(cloud)
    raise AssertionError(run.job)


def told(cloud: Cloud, run: JobRun) -> dict[str, Any]:
    return cloud.job("GET", f"/{run.id}").json


# --- A tenant --------------------------------------------------------------------------------------------


def test_nothing_of_an_erased_tenant_is_left_and_the_other_one_is_untouched(cloud: Cloud) -> None:
    filled(cloud)
    untouched = kept_of(cloud, "globex")

    run = erase(cloud)

    assert (run.job.state, run.job.tally.failed, run.faults) == ("completed", 0, [])
    count_changes(cloud)
    assert left_of(cloud, "acme") == []
    assert kept_of(cloud, "globex") == untouched
    cloud.cold_start()
    assert cloud.announce(PHOTO).json["error"]["code"] == "unknown_client"


def test_a_dry_run_counts_what_the_erasure_then_deletes_and_changes_nothing(cloud: Cloud) -> None:
    filled(cloud)
    before = kept_of(cloud, "acme")

    found = dry_run(cloud)

    assert kept_of(cloud, "acme") == before
    counts = found["counts"]
    assert counts["images"] == 5  # three, one that was rejected, one that was announced
    assert counts["references"] == 1
    assert counts["clients"] == 2
    assert counts["purge_runs"] == 1
    run = started(cloud, dry_run=False, confirm_token=found["confirm_token"])
    to_the_end(cloud, run)
    erased = run.job.tally.counts
    for name in (
        "images",
        "originals",
        "renditions",
        "delete_markers",
        "bytes",
        "bands",
        "references",
        "pairs",
    ):
        assert erased[name] == counts[name], name
    assert erased["tenants"] == 1


def test_the_report_is_signed_and_a_changed_one_is_not_taken_for_it(cloud: Cloud) -> None:
    filled(cloud)
    run = erase(cloud)

    report = told(cloud, run)["report"]

    assert report["report"]["tenant"] == "acme"
    assert report["report"]["requested_by"] == ADMIN
    assert report["report"]["erased"]["images"] == 5
    assert report["report"]["failed"] == 0
    assert verified(cloud, report)
    report["report"]["erased"]["images"] = 4
    assert not verified(cloud, report)


def verified(cloud: Cloud, report: dict[str, Any]) -> bool:
    kms = boto3.client("kms")
    try:
        kms.verify_mac(
            KeyId=cloud.signing_key,
            MacAlgorithm="HMAC_SHA_256",
            Message=statement_of(report["report"]),
            Mac=bytes.fromhex(report["signature"]),
        )
    except kms.exceptions.KMSInvalidMacException:
        return False
    return True


def test_a_tenant_is_closed_while_it_is_erased_and_nothing_opens_it_again(cloud: Cloud) -> None:
    filled(cloud)
    token = dry_run(cloud)["confirm_token"]
    run = started(cloud, dry_run=False, confirm_token=token)
    run.round()

    cloud.cold_start()
    assert cloud.announce(PHOTO).status == 403
    removal = cloud.call("tenants", "DELETE", "/tenants/acme", client_id=ADMIN, scope="catalog/admin")
    assert removal.json["error"]["code"] == "tenant_not_empty"
    client = cloud.call("tenants", "POST", "/tenants/acme/clients", client_id=ADMIN, scope="catalog/admin")
    assert client.json["error"]["code"] == "tenant_being_removed"
    other = cloud.job("POST", body={"kind": "recount", "tenant": "acme"})
    assert other.json["error"]["code"] == "tenant_being_removed"

    to_the_end(cloud, run)
    assert left_of(cloud, "acme") == []


def test_an_upload_that_was_allowed_before_goes_with_the_rest(cloud: Cloud) -> None:
    filled(cloud)
    late = jpeg_bytes(product_photo(11, (64, 48)))
    cloud.announce(late)
    count_changes(cloud)
    token = dry_run(cloud)["confirm_token"]
    run = started(cloud, dry_run=False, confirm_token=token)
    until_it_waits(cloud, run)

    cloud.ingest(cloud.store(late))
    cloud.drain()
    to_the_end(cloud, run)

    assert run.job.state == "completed"
    assert left_of(cloud, "acme") == []


def test_what_a_worker_leaves_behind_the_last_sweep_is_found_and_swept(cloud: Cloud) -> None:
    """A band without a record, an object, and what the stream tells at last."""
    filled(cloud)
    token = dry_run(cloud)["confirm_token"]
    run = started(cloud, dry_run=False, confirm_token=token)
    until_it_waits(cloud, run)
    until_it_waits(cloud, run, counting=False)
    cloud.dynamodb.put_item(
        TableName="HashBandsTable",
        Item={"band": {"S": "acme#phash256.3#0#000"}, "id": {"S": "0" * 68}, "hash": {"B": b"0"}},
    )
    cloud.store(OTHER)
    count_changes(cloud)

    to_the_end(cloud, run)

    assert run.job.tally.counts["found_late"] >= 2
    assert (run.job.state, left_of(cloud, "acme")) == ("completed", [])


def test_a_tenant_has_its_end_when_no_worker_of_the_last_check_can_be_left(cloud: Cloud) -> None:
    """It could sweep a tenant that is made again under the name."""
    cloud.upload(OTHER)
    count_changes(cloud)
    token = dry_run(cloud)["confirm_token"]
    run = started(cloud, dry_run=False, confirm_token=token)
    rounds = []
    while (said := run.round()) != "end":
        rounds.append(said if said == "wait" else run.lines()[0]["work"]["phase"])
        count_changes(cloud)

    assert rounds[-4:] == ["wait", "check", "wait", "finish"]


@pytest.mark.parametrize("image", [None, id_of(OTHER)], ids=["tenant", "image"])
def test_what_never_ceases_to_come_is_no_end_of_an_erasure(cloud: Cloud, image: str | None) -> None:
    """Each look finds something: nobody signs that nothing is left."""
    asked = {"image": image} if image else {}
    cloud.upload(OTHER)
    count_changes(cloud)
    token = dry_run(cloud, **asked)["confirm_token"]
    run = started(cloud, dry_run=False, confirm_token=token, **asked)
    while (said := run.plan()["next"]) != "end":
        if said == "wait":
            cloud.store(OTHER)
            run.wait_until(datetime.fromisoformat(run.plan()["until"]))
        else:
            for line in run.lines():
                run.work(line)
            count_changes(cloud)

    failures = cloud.job("GET", f"/{run.id}/failures").json["failures"]
    assert [failure["code"] for failure in failures] == ["not_erased"]
    assert told(cloud, run)["report"] is None
    assert cloud.tenants.knows(tenant_id("acme"))


def test_an_object_that_s3_fails_to_delete_once_is_deleted_at_the_next_try(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 10^8 images some answer of DeleteObjects has an InternalError for a key: no reason to begin anew."""
    filled(cloud)
    s3, failed = sdk.client("s3"), set[str]()
    delete = s3.delete_objects

    def delete_but_one(**asked: Any) -> Any:
        objects = asked["Delete"]["Objects"]
        left = objects[0]
        if left["Key"] in failed:
            return delete(**asked)
        failed.add(left["Key"])
        answer = delete(**asked | {"Delete": {"Objects": objects[1:]}}) if objects[1:] else {}
        return answer | {"Errors": [left | {"Code": "InternalError", "Message": "We encountered"}]}

    monkeypatch.setattr(s3, "delete_objects", delete_but_one)
    run = erase(cloud)

    assert failed
    assert (run.job.tally.failed, left_of(cloud, "acme")) == (0, [])
    assert verified(cloud, told(cloud, run)["report"])


def test_failures_of_a_large_job_are_erased_by_pages_and_those_of_another_tenant_stay(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job over all tenants may fail at 10^6 images: a worker holds a page, and reports on the way."""
    monkeypatch.setattr(jobs_table, "_TRACES_AT_ONCE", 2)
    job = cloud.job("POST", body={"kind": "recount", "tenant": "*"}).json["id"]
    owners = ["acme"] * 3 + ["globex"] * 6 + ["acme"] * 2
    for number, owner in enumerate(owners):
        entry = {"job": job, "entry": f"failure#000001/{number:02}", "tenant": owner}
        entry |= {"subject": id_of(PHOTO), "code": "worker_failed", "detail": "", "phase": "recount"}
        cloud.dynamodb.put_item(
            TableName="JobsTable", Item={name: {"S": text} for name, text in entry.items()}
        )
    traces = cloud.function("erase_worker").parts.worker.tenants.rest[-1]
    acme = tenant_id("acme")

    pages = list(traces.pages(acme, None, after=None))

    assert [traces.counts(page)["job_entries"] for _, page in pages] == [2, 1, 0, 0, 1, 1]
    for number, (name, page) in enumerate(pages):
        assert list(traces.pages(acme, None, after=name)) == pages[number + 1 :]
        traces.delete(acme, page)
    failures = cloud.job("GET", f"/{job}/failures").json["failures"]
    assert len(failures) == 6


def test_events_that_come_after_the_end_leave_no_counter(cloud: Cloud) -> None:
    filled(cloud)
    token = dry_run(cloud)["confirm_token"]
    run = started(cloud, dry_run=False, confirm_token=token)
    run.to_the_end()
    assert cloud.records

    count_changes(cloud)

    assert left_of(cloud, "acme") == []


def test_a_tenant_of_the_same_name_that_was_made_since_is_another(cloud: Cloud) -> None:
    filled(cloud)
    first, second = (dry_run(cloud)["confirm_token"] for _ in range(2))
    run = started(cloud, dry_run=False, confirm_token=first)
    assert ask(cloud, dry_run=False, confirm_token=second).json["error"]["code"] == "tenant_has_jobs"
    to_the_end(cloud, run)
    created = cloud.call(
        "tenants",
        "POST",
        "/tenants",
        client_id=ADMIN,
        scope="catalog/admin",
        body={"tenant": "acme", "scopes": ["catalog/write"]},
    )
    assert created.status == 201

    assert ask(cloud, dry_run=False, confirm_token=second).status == 409
    assert cloud.tenants.knows(tenant_id("acme"))


def two_photos(cloud: Cloud) -> None:
    cloud.upload(PHOTO)
    cloud.upload(HALF)
    cloud.reference("PUT", id_of(PHOTO), "sku-1")
    cloud.drain()
    count_changes(cloud)


def test_a_worker_that_ends_an_erasure_late_leaves_the_counters_of_a_tenant_made_since(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_photos(cloud)
    run = started(cloud, dry_run=False, confirm_token=dry_run(cloud)["confirm_token"])
    forget = Tenants.forget

    def forget_and_make_anew(self: Tenants, tenant: Any) -> None:
        forget(self, tenant)
        body = {"tenant": "acme", "scopes": ["catalog/write"]}
        cloud.call("tenants", "POST", "/tenants", client_id=ADMIN, scope="catalog/admin", body=body)
        late = on_clock(cloud.function("ingest").arriving, lambda: datetime.now(UTC) + run.passed)
        cloud.store(PHOTO)
        late.take(AssetKey(tenant_id("acme"), asset_id(id_of(PHOTO))), in_time=False)
        count_changes(cloud)

    monkeypatch.setattr(Tenants, "forget", forget_and_make_anew)
    to_the_end(cloud, run)

    assert run.faults == []
    shares = dict(Counters("UsageTable").within(tenant_id("acme"), ""))
    assert {id_ for id_, share in shares.items() if share.usage.assets} == {id_of(PHOTO)}


# --- What confirms it ------------------------------------------------------------------------------------


def test_no_client_erases_the_tenant_it_acts_for(cloud: Cloud) -> None:
    answer = ask(cloud, client_id="client-of-acme")

    assert (answer.status, answer.json["error"]["code"]) == (409, "own_tenant")


def test_an_erasure_needs_the_token_of_a_dry_run_that_found_what_is_there(cloud: Cloud) -> None:
    cloud.upload(OTHER)
    count_changes(cloud)
    assert ask(cloud, dry_run=False).status == 400
    assert ask(cloud, dry_run=False, confirm_token="x").status == 403
    token = dry_run(cloud)["confirm_token"]
    assert ask(cloud, dry_run=False, confirm_token=token, tenant="globex").status in {403, 409}
    cloud.upload(PHOTO)
    count_changes(cloud)

    outdated = ask(cloud, dry_run=False, confirm_token=token)

    assert (outdated.status, outdated.json["error"]["code"]) == (409, "confirm_token_outdated")
    token = dry_run(cloud)["confirm_token"]
    run = started(cloud, dry_run=False, confirm_token=token)
    used = ask(cloud, dry_run=False, confirm_token=token)
    assert (used.status, used.json["error"]["code"]) == (409, "confirm_token_used")
    to_the_end(cloud, run)
    assert left_of(cloud, "acme") == []


@pytest.mark.parametrize("image", [None, id_of(OTHER)], ids=["tenant", "image"])
def test_a_retry_erases_nothing_that_was_made_or_uploaded_since_it_was_confirmed(
    cloud: Cloud, image: str | None
) -> None:
    asked = {"image": image} if image else {}
    cloud.upload(OTHER)
    count_changes(cloud)
    token = dry_run(cloud, **asked)["confirm_token"]
    run = started(cloud, dry_run=False, confirm_token=token, **asked)
    made_again(cloud, image)
    to_the_end(cloud, run)
    assert run.job.tally.failed

    refused = cloud.job("POST", f"/{run.id}/retry")

    assert (refused.status, refused.json["error"]["code"]) == (409, "confirm_token_outdated")
    assert cloud.asset(id_of(OTHER)).status == "ready"


def made_again(cloud: Cloud, image: str | None) -> None:
    """The image was deleted and uploaded again; the tenant was removed, and another has its name."""
    if image:
        cloud.delete(image)
        cloud.upload(OTHER)
        return
    cloud.dynamodb.update_item(
        TableName="TenantsTable",
        Key={"tenant": {"S": "acme"}},
        UpdateExpression="SET created_at = :now",
        ExpressionAttributeValues={":now": {"S": timestamp(datetime.now(UTC))}},
    )


def test_no_client_tries_again_to_erase_the_tenant_it_acts_for(cloud: Cloud) -> None:
    run = failed_at_its_beginning(cloud)

    refused = cloud.job("POST", f"/{run.id}/retry", client_id="client-of-acme")

    assert (refused.status, refused.json["error"]["code"]) == (409, "own_tenant")


def test_an_erasure_is_not_tried_again_beside_another_of_the_same_tenant(cloud: Cloud) -> None:
    run = failed_at_its_beginning(cloud)

    assert cloud.job("POST", f"/{run.id}/retry").status == 202
    beside = cloud.job("POST", f"/{run.id}/retry")

    assert (beside.status, beside.json["error"]["code"]) == (409, "tenant_has_jobs")


def failed_at_its_beginning(cloud: Cloud) -> JobRun:
    """An erasure of acme that found another tenant of this name, and may be tried again."""
    cloud.upload(OTHER)
    count_changes(cloud)
    token = dry_run(cloud)["confirm_token"]
    run = started(cloud, dry_run=False, confirm_token=token)
    made_again(cloud, None)
    to_the_end(cloud, run)
    cloud.dynamodb.update_item(
        TableName="TenantsTable",
        Key={"tenant": {"S": "acme"}},
        UpdateExpression="SET created_at = :before",
        ExpressionAttributeValues={":before": {"S": "2026-01-01T00:00:00.000000Z"}},
    )
    return run


# --- One image -------------------------------------------------------------------------------------------


def naming(cloud: Cloud, id_: str) -> list[str]:
    """Whatever names an image of acme, but for records of jobs."""
    found = []
    for table in TABLES:
        for item in cloud.dynamodb.scan(TableName=table)["Items"]:
            if table != "JobsTable" and "globex" not in str(item) and id_ in str(item):
                found.append(f"{table}: {item}")
    for bucket in (cloud.originals, cloud.renditions):
        listed = cloud.s3.list_object_versions(Bucket=bucket)
        entries = [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]
        found += [entry["Key"] for entry in entries if id_ in entry["Key"] and "/acme/" in entry["Key"]]
    return found


def test_an_erased_image_leaves_nothing_and_its_near_duplicates_have_renditions_at_every_moment(
    cloud: Cloud,
) -> None:
    filled(cloud)
    cloud.upload(COPY)
    cloud.drain()
    count_changes(cloud)
    untouched = kept_of(cloud, "globex")
    members = [id_of(data) for data in (HALF, COPY)]
    assert [cloud.get(id_).json["near_duplicate_of"] for id_ in members] == [id_of(PHOTO)] * 2
    found = dry_run(cloud, image=id_of(PHOTO))
    assert (found["counts"]["near_duplicates"], found["counts"]["images"]) == (2, 1)

    run = started(cloud, dry_run=False, confirm_token=found["confirm_token"], image=id_of(PHOTO))
    for _ in range(50):
        ended = run.round() == "end"
        count_changes(cloud)
        assert_shown(cloud, members)
        if ended:
            break

    assert (run.job.state, run.job.tally.failed, run.faults) == ("completed", 0, [])
    assert naming(cloud, id_of(PHOTO)) == []
    assert kept_of(cloud, "globex") == untouched
    for id_ in members:
        asset = cloud.asset(id_)
        assert all(stored.key.startswith(asset.key.renditions) for stored in asset.renditions.values())
    assert verified(cloud, told(cloud, run)["report"])
    assert cloud.broken_guarantees() == []


def assert_shown(cloud: Cloud, ids: list[str]) -> None:
    """Each is ready, and every rendition of it is there."""
    stored = cloud.objects(cloud.renditions)
    for id_ in ids:
        asset = cloud.asset(id_)
        assert asset.status == "ready"
        assert len(asset.renditions) == len(json.loads(PRESETS))
        assert all(each.key in stored for each in asset.renditions.values())


def test_an_image_that_is_erased_cannot_be_sent_again_before_late_uploads_end(cloud: Cloud) -> None:
    data = jpeg_bytes(product_photo(12, (64, 48)))
    cloud.announce(data)
    count_changes(cloud)
    token = dry_run(cloud, image=id_of(data))["confirm_token"]
    run = started(cloud, dry_run=False, confirm_token=token, image=id_of(data))
    until_it_waits(cloud, run)
    assert cloud.announce(data).json["error"]["code"] == "image_being_deleted"
    key = cloud.store(data)  # with the ticket of before
    with pytest.raises(BatchProcessingError):  # it is delivered again, and finds nothing then
        cloud.ingest(key)

    to_the_end(cloud, run)

    assert cloud.ingest(key) == {"batchItemFailures": []}
    assert naming(cloud, id_of(data)) == []
    assert cloud.announce(data).status == 201


def test_a_near_duplicate_that_cannot_be_rendered_keeps_the_image(cloud: Cloud) -> None:
    cloud.upload(PHOTO)
    cloud.upload(HALF)
    cloud.drain()
    count_changes(cloud)
    cloud.s3.delete_object(Bucket=cloud.originals, Key=f"originals/acme/{id_of(HALF)}")
    pairs = cloud.dynamodb.scan(TableName="PairsTable")["Items"]
    assert pairs

    run = erase(cloud, image=id_of(PHOTO))

    assert run.job.tally.failed
    assert cloud.dynamodb.scan(TableName="PairsTable")["Items"] == pairs
    failures = cloud.job("GET", f"/{run.id}/failures").json["failures"]
    assert {failure["code"] for failure in failures} >= {"not_rendered", "image_shared"}
    assert_shown(cloud, [id_of(PHOTO), id_of(HALF)])


def test_an_image_that_is_sent_again_after_its_end_is_not_taken_for_a_late_upload(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is announced and sent while a check looks for what came late."""
    cloud.upload(OTHER)
    count_changes(cloud)
    token = dry_run(cloud, image=id_of(OTHER))["confirm_token"]
    run = started(cloud, dry_run=False, confirm_token=token, image=id_of(OTHER))
    until_it_waits(cloud, run)
    until_it_waits(cloud, run)
    listed, sent = ObjectVersions.pages, list[str]()

    def send_and_list(self: ObjectVersions, below: str, *, after: str | None = None) -> Any:
        if not sent:
            cloud.announce(OTHER)
            sent.append(cloud.store(OTHER))
        return listed(self, below, after=after)

    monkeypatch.setattr(ObjectVersions, "pages", send_and_list)
    run.round()

    assert sent
    cloud.ingest(sent[0])
    cloud.drain()
    assert cloud.asset(id_of(OTHER)).status == "ready"


def test_an_administrator_may_erase_an_image_of_its_own_tenant_and_none_that_is_not_there(
    cloud: Cloud,
) -> None:
    cloud.upload(OTHER)
    count_changes(cloud)
    missing = ask(cloud, image="0" * 64)
    assert (missing.status, missing.json["error"]["code"]) == (404, "image_not_found")

    token = dry_run(cloud, client_id="client-of-acme", image=id_of(OTHER))["confirm_token"]

    assert token

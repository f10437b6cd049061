"""Imports: objects of another bucket become assets, each once, despite faults and bad objects."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import botocore.client
import pytest
from botocore.exceptions import ClientError

from catalog.adapters.sources import CopiedOriginals, Sources
from catalog.domain.assets import Status
from catalog.domain.jobs import Job
from catalog.domain.keys import tenant_id
from catalog.domain.limits import Limits
from catalog.domain.sources import DEFAULT_PIXEL_LIMITS
from catalog.use_cases.intake import Intake
from imaging.inspection import inspect
from infra.local.events import REGION
from infra.pictures.images import jpeg_bytes, noisy_scene
from tests.functional.cloud import Answer, Cloud
from tests.functional.jobs import JobRun, met_by_the_first
from tests.functional.test_crashes import BROKEN, HALF, PHOTO, PRESETS, id_of

SHOP = "old-shop-photos"
FOUR = 4
OTHERS = [jpeg_bytes(noisy_scene(number, (60, 45))) for number in range(20, 26)]


@pytest.fixture
def shop(cloud: Cloud) -> Cloud:
    """A foreign bucket, empty; renditions are small."""
    cloud.configure(PRESETS=PRESETS)
    cloud.s3.create_bucket(Bucket=SHOP, CreateBucketConfiguration={"LocationConstraint": REGION})
    return cloud


def lay(cloud: Cloud, objects: dict[str, bytes], **arguments: Any) -> None:
    for key, data in objects.items():
        cloud.s3.put_object(Bucket=SHOP, Key=key, Body=data, **arguments)


def asked(cloud: Cloud, *, dry_run: bool = False, tenant: str = "acme", **options: Any) -> Answer:
    body = {"kind": "import", "tenant": tenant, "dry_run": dry_run, "bucket": SHOP} | options
    return cloud.job("POST", body=body)


def started(cloud: Cloud, **asking: Any) -> JobRun:
    answer = asked(cloud, **asking)
    assert answer.status == 202, answer.json
    return JobRun(cloud, answer.json["id"])


def imported(cloud: Cloud, **asking: Any) -> Job:
    run = started(cloud, **asking)
    job = run.to_the_end()
    assert run.faults == []
    assert job.state == "completed", job.reason
    return job


def failures(cloud: Cloud, job: Job) -> dict[str, str]:
    listed = cloud.job("GET", f"/{job.id}/failures").json["failures"]
    return {failure["subject"]: failure["code"] for failure in listed}


def manifest(
    cloud: Cloud, rows: Iterable[Iterable[str]], key: str = "list.csv", **said: Any
) -> dict[str, Any]:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    cloud.s3.put_object(Bucket=SHOP, Key=key, Body=text.getvalue().encode())
    return {"manifest": {"key": key} | said}


def broken(cloud: Cloud) -> list[str]:
    """Guarantees but for the counters, which no stream reaches here."""
    return [fault for fault in cloud.broken_guarantees() if "is counted" not in fault]


def versions(cloud: Cloud, bucket: str) -> int:
    return len(cloud.s3.list_object_versions(Bucket=bucket).get("Versions", []))


@contextmanager
def seen_calls() -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """S3 calls about the shop's bucket, and their arguments."""
    made: list[tuple[str, dict[str, Any]]] = []
    make = botocore.client.BaseClient._make_api_call

    def call(self: Any, operation: str, arguments: Any) -> Any:
        if SHOP in (arguments.get("Bucket"), (arguments.get("CopySource") or {}).get("Bucket")):
            made.append((operation, dict(arguments)))
        return make(self, operation, arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.client.BaseClient, "_make_api_call", call)
        yield made


# --- What becomes of objects --------------------------------------------------------------------------------


def test_objects_become_ready_images_with_filename_and_references(shop: Cloud) -> None:
    lay(shop, {"products/A-1/front.jpg": PHOTO, "products/B-2/back.jpg": OTHERS[0], "readme.txt": b"hello"})
    lay(shop, {"products/": b""})

    job = imported(shop, reference_pattern="products/{reference}/{filename}")

    image = shop.asset(id_of(PHOTO))
    assert (image.status, image.filename, image.references) == (Status.READY, "front.jpg", {"A-1"})
    assert image.unused_since is None
    assert shop.get(id_of(OTHERS[0])).json["references"] == ["B-2"]
    assert (job.tally.done, job.tally.skipped, job.tally.failed, job.expected) == (2, 1, 0, 3)
    counts = job.tally.counts
    assert (counts["new"], counts["not_images"], counts["renditions"]) == (2, 1, 4)
    renditions = sum(len(shop.read(shop.renditions, key)) for key in shop.objects(shop.renditions))
    assert counts["bytes_stored"] == len(PHOTO) + len(OTHERS[0]) + renditions
    assert broken(shop) == []


def test_an_import_sends_nothing_to_the_queues_and_asks_one_get_and_one_copy_an_image(shop: Cloud) -> None:
    lay(shop, {"a.jpg": PHOTO, "b.jpg": OTHERS[0]})

    with seen_calls() as calls:
        imported(shop)

    asked_for = Counter(operation for operation, _ in calls)
    assert asked_for == {"ListObjectsV2": 1, "GetObject": 2, "CopyObject": 2}
    assert shop.take_jobs() == shop.take_messages(shop.uploads_queue) == []


def test_a_copy_takes_no_tag_and_no_metadata_with_it(shop: Cloud) -> None:
    lay(shop, {"a.jpg": PHOTO}, Tagging="status=rejected", Metadata={"secret": "1"}, ContentType="text/html")

    imported(shop)

    key = f"originals/acme/{id_of(PHOTO)}"
    stored = shop.s3.head_object(Bucket=shop.originals, Key=key)
    assert (stored["ContentType"], stored["Metadata"]) == ("image/jpeg", {})
    assert shop.s3.get_object_tagging(Bucket=shop.originals, Key=key)["TagSet"] == []


def test_imported_twice_nothing_happens_twice(shop: Cloud) -> None:
    lay(shop, {f"{number}.jpg": data for number, data in enumerate([PHOTO, HALF, BROKEN, *OTHERS])})
    imported(shop)
    before, stored = shop.snapshot(), versions(shop, shop.originals) + versions(shop, shop.renditions)

    with seen_calls() as calls, shop.watched_calls() as every:
        job = imported(shop)

    assert (job.tally.done, job.tally.skipped, job.tally.failed) == (0, 9, 0)
    assert job.tally.counts == {"known": 9, "rejected_before": 1}
    assert [operation for operation, _ in calls] == ["ListObjectsV2"]
    assert every.made.count("dynamodb:BatchGetItem") == 2  # what was seen, and whether it is still here
    after = shop.snapshot()
    for snapshot in (before, after):
        del snapshot["items"]["JobsTable"]
        snapshot["objects"] = {key: value for key, value in snapshot["objects"].items() if "jobs-" not in key}
    assert after == before
    assert versions(shop, shop.originals) + versions(shop, shop.renditions) == stored


def test_an_object_that_changed_is_imported_anew_and_one_that_was_purged_comes_back(shop: Cloud) -> None:
    lay(shop, {"a.jpg": PHOTO, "b.jpg": OTHERS[0]})
    imported(shop)
    lay(shop, {"a.jpg": OTHERS[1]})
    shop.age(id_of(OTHERS[0]), days=40)
    shop.purge(dry_run=False, confirm_token=shop.purge().json["confirm_token"])
    assert shop.get(id_of(OTHERS[0])).status == 404

    job = imported(shop)

    assert job.tally.counts["new"] == 2
    assert shop.get(id_of(OTHERS[1])).json["status"] == "ready"
    assert shop.get(id_of(OTHERS[0])).json["status"] == "ready"


def test_known_bytes_are_duplicates_and_get_the_references(shop: Cloud) -> None:
    shop.upload(PHOTO)
    lay(shop, {"A.jpg": PHOTO, "B.jpg": PHOTO, "C.jpg": OTHERS[0], "D.jpg": OTHERS[0]})

    job = imported(shop, reference_pattern="{reference}.jpg")

    counts = job.tally.counts
    assert (counts["new"], counts["duplicates"]) == (1, 3)
    assert counts["bytes_saved"] == 2 * len(PHOTO) + len(OTHERS[0])
    assert shop.get(id_of(PHOTO)).json["references"] == ["A", "B"]
    assert shop.get(id_of(OTHERS[0])).json["references"] == ["C", "D"]
    assert (shop.asset(id_of(PHOTO)).duplicates, shop.asset(id_of(OTHERS[0])).duplicates) == (2, 1)
    assert imported(shop, reference_pattern="{reference}.jpg").tally.counts == {"known": 4}


def test_near_duplicates_share_as_those_of_uploads_do(shop: Cloud) -> None:
    lay(shop, {"a.jpg": HALF, "b.jpg": PHOTO})

    job = imported(shop)
    shop.drain()

    assert (job.tally.counts["new"], job.tally.failed) == (2, 0)
    assert shop.get(id_of(HALF)).json["near_duplicate_of"] == id_of(PHOTO)
    assert {shop.get(id_of(data)).json["status"] for data in (PHOTO, HALF)} == {"ready"}
    assert broken(shop) == []


def test_a_near_duplicate_of_what_is_here_is_counted(shop: Cloud) -> None:
    shop.upload(PHOTO)
    lay(shop, {"a.jpg": HALF})

    job = imported(shop)

    assert job.tally.counts == {"new": 1, "near_duplicates": 1, "bytes_stored": len(HALF)}
    assert shop.get(id_of(HALF)).json["near_duplicate_of"] == id_of(PHOTO)


def test_references_that_changed_in_the_manifest_are_taken_without_reading_the_object(shop: Cloud) -> None:
    lay(shop, {"a.jpg": PHOTO, "b.jpg": BROKEN})
    rows = [["key", "sku"], ["a.jpg", "A"], ["b.jpg", "B"]]
    imported(shop, **manifest(shop, rows), reference_columns=["sku"])
    rows[1:] = [["a.jpg", "A-2"], ["b.jpg", "B-2"]]

    with seen_calls() as calls:
        job = imported(shop, **manifest(shop, rows), reference_columns=["sku"])
        again = imported(shop, **manifest(shop, rows), reference_columns=["sku"])

    assert job.tally.counts == {"known": 2, "referenced": 1, "rejected_before": 1}
    assert again.tally.counts == {"known": 2, "rejected_before": 1}
    assert "GetObject" not in [operation for operation, said in calls if said["Key"] in {"a.jpg", "b.jpg"}]
    assert shop.get(id_of(PHOTO)).json["references"] == ["A", "A-2"]


# --- What is in the way -------------------------------------------------------------------------------------


def test_what_cannot_be_imported_is_a_named_failure_and_may_be_tried_again(shop: Cloud) -> None:
    shop.configure(MAX_UPLOAD_BYTES=str(len(PHOTO)))
    lay(shop, {"empty.jpg": b"", "large.jpg": PHOTO + b"0", "broken.jpg": BROKEN, "text.jpg": b"no image"})
    lay(shop, {"frozen.jpg": OTHERS[0]}, StorageClass="GLACIER")
    lay(shop, {"good.jpg": OTHERS[1]})

    job = imported(shop)

    assert failures(shop, job) == {
        "empty.jpg": "empty",
        "large.jpg": "too_large",
        "broken.jpg": "truncated",
        "text.jpg": "unsupported_format",
        "frozen.jpg": "source_archived",
    }
    assert (job.tally.done, job.tally.failed) == (1, 5)
    counted = {name: number for name, number in job.tally.counts.items() if name.startswith("rejected")}
    assert counted == {"rejected_truncated": 1, "rejected_unsupported_format": 1}
    assert shop.get(id_of(BROKEN)).json["status"] == "rejected"
    assert shop.s3.get_object_tagging(Bucket=shop.originals, Key=f"originals/acme/{id_of(BROKEN)}")["TagSet"]
    assert broken(shop) == []

    lay(shop, {"empty.jpg": OTHERS[2]})
    retried = JobRun(shop, shop.job("POST", f"/{job.id}/retry").json["id"]).to_the_end()
    assert (retried.tally.done, retried.tally.failed) == (1, 2)
    assert retried.tally.counts["rejected_before"] == 2  # their bytes are what they were
    assert shop.get(id_of(OTHERS[2])).json["status"] == "ready"


@contextmanager
def refusing(operation: str, code: str, status: int, *keys: str) -> Iterator[None]:
    """S3 refuses this call, for the objects of these keys."""
    make = botocore.client.BaseClient._make_api_call

    def call(self: Any, name: str, arguments: Any) -> Any:
        if name == operation and arguments.get("Bucket") == SHOP and arguments.get("Key") in {*keys, None}:
            told = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
            raise ClientError(told, name)
        return make(self, name, arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.client.BaseClient, "_make_api_call", call)
        yield


@pytest.mark.parametrize(
    ("code", "named"),
    [("AccessDenied", "source_forbidden"), ("NoSuchKey", "source_missing"), ("404", "source_missing")],
)
def test_one_object_that_may_not_be_read_or_is_gone_is_a_failure(shop: Cloud, code: str, named: str) -> None:
    lay(shop, {"a.jpg": PHOTO, "b.jpg": OTHERS[0]})

    with refusing("GetObject", code, 403, "a.jpg"):
        job = imported(shop)

    assert failures(shop, job) == {"a.jpg": named}
    assert job.tally.done == 1


@pytest.mark.parametrize(
    ("code", "why"), [("AccessDenied", "access is denied"), ("NoSuchBucket", "no such bucket")]
)
def test_a_bucket_that_cannot_be_listed_fails_the_job_and_a_resume_tries_again(
    shop: Cloud, code: str, why: str
) -> None:
    lay(shop, {"a.jpg": PHOTO})
    run = started(shop)

    with refusing("ListObjectsV2", code, 403):
        job = run.to_the_end()

    assert job.state == "failed"
    assert "bucket_unreadable" in str(job.reason)
    assert why in str(job.reason)
    assert shop.job("POST", f"/{job.id}/resume").status == 202
    assert run.to_the_end().tally.done == 1


@contextmanager
def before_a_copy(change: Callable[[], object], *, times: int = 1) -> Iterator[None]:
    """Something happens between the read and the copy; S3 holds the copy to the ETag, which moto does not."""
    make = botocore.client.BaseClient._make_api_call
    left = [times]

    def call(self: Any, operation: str, arguments: Any) -> Any:
        if operation == "CopyObject":
            if left[0]:
                left[0] -= 1
                change()
            source = arguments["CopySource"]
            now = make(self, "HeadObject", {"Bucket": source["Bucket"], "Key": source["Key"]})["ETag"]
            if now != arguments["CopySourceIfMatch"]:
                raise ClientError({"Error": {"Code": "PreconditionFailed"}}, operation)
        return make(self, operation, arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.client.BaseClient, "_make_api_call", call)
        yield


def test_an_object_that_changes_between_being_read_and_copied_is_read_again(shop: Cloud) -> None:
    lay(shop, {"a.jpg": PHOTO})

    with before_a_copy(lambda: lay(shop, {"a.jpg": OTHERS[0]})):
        job = imported(shop)

    assert job.tally.counts["new"] == 1
    assert shop.get(id_of(OTHERS[0])).json["status"] == "ready"
    assert shop.get(id_of(PHOTO)).json["status"] == "awaiting_upload"  # gone by itself after a day


def test_an_object_that_never_stays_the_same_is_a_named_failure(shop: Cloud) -> None:
    photos = iter(OTHERS)
    lay(shop, {"a.jpg": PHOTO})

    with before_a_copy(lambda: lay(shop, {"a.jpg": next(photos)}), times=9):
        job = imported(shop)

    assert failures(shop, job) == {"a.jpg": "source_changing"}
    assert shop.objects(shop.originals) == []


def test_an_object_that_vanishes_between_being_read_and_copied_is_a_named_failure(shop: Cloud) -> None:
    lay(shop, {"a.jpg": PHOTO})

    with refusing("CopyObject", "NoSuchKey", 404):
        shop.s3.delete_object(Bucket=SHOP, Key="b.jpg")
        with pytest.MonkeyPatch.context() as patch:
            sources = shop.function("import_worker").intake.originals
            patch.setattr(type(sources), "copy", vanishing(shop, type(sources).copy))
            job = imported(shop)

    assert failures(shop, job) == {"a.jpg": "source_missing"}


def vanishing(cloud: Cloud, copy: Callable[..., None]) -> Callable[..., None]:
    def copied(*arguments: Any) -> None:
        cloud.s3.delete_object(Bucket=SHOP, Key="a.jpg")
        copy(*arguments)

    return copied


def test_a_tenant_at_its_limit_of_bytes_gets_no_more_and_known_bytes_still_count(shop: Cloud) -> None:
    shop.upload(PHOTO)
    shop.tenants.set_limits(tenant_id("acme"), Limits(uploads_per_minute=1, stored_bytes=len(PHOTO)))
    lay(shop, {"a.jpg": PHOTO, "b.jpg": OTHERS[0], "c.jpg": PHOTO + b"0" * 10_000})
    shop.cold_start()

    job = imported(shop)

    assert job.tally.counts["duplicates"] == 1
    assert failures(shop, job) == {"c.jpg": "storage_limit_reached"}


def test_an_import_is_not_held_to_the_tenants_uploads_a_minute(shop: Cloud) -> None:
    shop.tenants.set_limits(tenant_id("acme"), Limits(uploads_per_minute=1))
    lay(shop, {f"{number}.jpg": data for number, data in enumerate(OTHERS)})
    shop.cold_start()

    assert imported(shop).tally.counts["new"] == len(OTHERS)


def test_a_job_writes_only_into_its_tenant(shop: Cloud) -> None:
    shop.upload(PHOTO, client_id="client-of-globex")
    globex = shop.snapshot()["items"]
    lay(shop, {"a.jpg": PHOTO, "b.jpg": OTHERS[0]})

    job = imported(shop, reference_pattern="{reference}.jpg")

    assert job.tally.counts["new"] == 2
    assert shop.get(id_of(PHOTO), client_id="client-of-globex").json["references"] == []
    assert shop.get(id_of(OTHERS[0]), client_id="client-of-globex").status == 404
    now = shop.snapshot()["items"]
    for table in ("AssetsTable", "PairsTable", "ImportedTable"):
        of_globex = [item for item in now[table] if item["tenant"]["S"] == "globex"]
        assert of_globex == [item for item in globex[table] if item["tenant"]["S"] == "globex"], table
    assert sorted(key.split("/")[1] for key in shop.objects(shop.originals)) == ["acme", "acme", "globex"]


# --- What is asked ------------------------------------------------------------------------------------------


def test_a_bucket_that_the_deployment_does_not_name_is_refused_by_its_name(cloud: Cloud) -> None:
    refused = asked(cloud, bucket="secrets")
    assert (refused.status, refused.json["error"]["code"]) == (403, "bucket_not_allowed")
    assert "secrets" in refused.json["error"]["message"]
    elsewhere = asked(cloud, manifest={"bucket": "secrets", "key": "list.csv"})
    assert (elsewhere.status, elsewhere.json["error"]["code"]) == (403, "bucket_not_allowed")

    cloud.configure(IMPORT_BUCKETS="")
    assert asked(cloud).json["error"]["code"] == "bucket_not_allowed"
    cloud.configure(IMPORT_BUCKETS="arn:aws:s3:::one,arn:aws:s3:::old-shop-photos")
    assert asked(cloud).status == 202


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"bucket": None}, "bucket"),
        ({"bucket": "arn:aws:s3:::old-shop-photos"}, "bucket"),
        ({"prefix": 7}, "prefix"),
        ({"manifest": "list.csv"}, "manifest"),
        ({"manifest": {"key": "list.csv", "encoding": "latin1"}}, "manifest"),
        ({"manifest": {"key": ""}}, "manifest.key"),
        ({"manifest": {"key": "a.csv", "format": "xml"}}, "manifest.format"),
        ({"manifest": {"key": "a.csv", "delimiter": "ab"}}, "manifest.delimiter"),
        ({"manifest": {"key": "a.csv"}, "prefix": "a/"}, "prefix"),
        ({"reference_columns": ["sku"]}, "reference_columns"),
        ({"manifest": {"key": "a.csv"}, "reference_columns": "sku"}, "reference_columns"),
        ({"manifest": {"key": "a.csv"}, "reference_separator": "||"}, "reference_separator"),
        ({"reference_pattern": "products/(.*)*"}, "reference_pattern"),
        ({"sample": 1_001}, "sample"),
        ({"sample": True}, "sample"),
        ({"region": "us-east-1"}, "region"),
    ],
)
def test_options_that_mean_nothing_are_named(cloud: Cloud, options: dict[str, Any], field: str) -> None:
    refused = asked(cloud, **options)

    assert (refused.status, refused.json["error"]["code"]) == (400, "invalid_request")
    assert [fault["field"] for fault in refused.json["error"]["faults"]] == [field]


def test_the_format_of_a_manifest_is_told_by_its_name(cloud: Cloud) -> None:
    for key, expected in (("a.csv", "csv"), ("a.jsonl", "jsonl"), ("a", "csv")):
        job = asked(cloud, manifest={"key": key}).json
        assert job["options"]["manifest"]["format"] == expected
        assert job["options"]["manifest"]["bucket"] == SHOP


# --- Dry runs -----------------------------------------------------------------------------------------------


def test_a_dry_run_tells_what_an_import_would_do_and_writes_nothing(shop: Cloud) -> None:
    shop.configure(MAX_UPLOAD_BYTES=str(len(PHOTO)))
    lay(shop, {"known.jpg": PHOTO})
    imported(shop)
    lay(
        shop,
        {"a.jpg": OTHERS[0], "b.jpg": BROKEN, "large.jpg": PHOTO + b"0", "c.pdf": b"1", "empty.png": b""},
    )
    before = shop.snapshot()

    with seen_calls() as calls:
        job = imported(shop, dry_run=True)

    assert job.tally.counts == {
        "known": 1,
        "new": 2,
        "bytes_stored": len(OTHERS[0]) + len(BROKEN),
        "too_large": 1,
        "not_images": 1,
        "empty": 1,
    }
    assert "GetObject" not in [operation for operation, _ in calls]
    after = shop.snapshot()
    for table in before["items"].keys() - {"JobsTable"}:
        assert after["items"][table] == before["items"][table], table
    shown = shop.job("GET", f"/{job.id}").json
    assert shown["estimate"]["dollars"] > 0
    assert shown["estimate"]["seconds"] > 0


def test_a_sample_is_read_from_all_over_the_listing_and_says_what_would_be_refused(
    shop: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalog.use_cases.importing.OBJECTS_PER_STEP", 4)
    pages_of(monkeypatch, 2)
    shop.upload(OTHERS[0])
    lay(shop, {f"{number:02}.jpg": OTHERS[number % 2] for number in range(9)})
    lay(shop, {"06.jpg": BROKEN, "09.jpg": b"", "10.jpg": OTHERS[2], "11.jpg": OTHERS[3]})
    lay(shop, {"12.jpg": OTHERS[4]})
    before = shop.snapshot()

    with seen_calls() as calls:
        job = imported(shop, dry_run=True, sample=4)

    read = [said["Key"] for operation, said in calls if operation == "GetObject"]
    assert read == ["00.jpg", "04.jpg", "08.jpg", "12.jpg"]
    counts = job.tally.counts
    assert (counts["sampled"], counts["sampled_duplicates"]) == (4, 3)
    assert counts["sampled_bytes"] == len(OTHERS[4])
    assert (counts["new"], counts["empty"]) == (12, 1)
    job = imported(shop, dry_run=True, sample=13)
    assert failures(shop, job) == {"09.jpg": "empty", "06.jpg": "truncated"}
    assert (job.tally.counts["rejected_truncated"], job.tally.counts["empty"]) == (1, 1)
    after = shop.snapshot()
    for table in before["items"].keys() - {"JobsTable"}:
        assert after["items"][table] == before["items"][table], table


# --- Listings and manifests of any length -------------------------------------------------------------------


def pages_of(monkeypatch: pytest.MonkeyPatch, objects: int) -> None:
    """S3 lists so many objects a page."""
    make = botocore.client.BaseClient._make_api_call

    def call(self: Any, operation: str, arguments: Any) -> Any:
        if operation == "ListObjectsV2" and arguments["Bucket"] == SHOP:
            arguments = arguments | {"MaxKeys": objects}
        return make(self, operation, arguments)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", call)


def test_ten_thousand_keys_are_listed_in_steps_and_each_stands_in_one_part(
    shop: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalog.use_cases.importing.OBJECTS_PER_STEP", 3_000)
    keys = [f"photos/{number:05} ü+&.txt" for number in range(10_000)]
    lay(shop, dict.fromkeys(keys, b"x"))
    run = started(shop, prefix="photos/")

    with seen_calls() as calls:
        job = run.to_the_end()

    subjects = [json.loads(text)["key"] for line in run.carried_out for text in line["work"]["subjects"]]
    assert sorted(subjects) == keys
    assert (job.step, job.expected, job.tally.skipped) == (4, 10_000, 10_000)
    assert len(calls) == 10
    assert max(len(json.dumps(line)) for line in run.carried_out) < 100_000


@pytest.mark.parametrize("in_manifest", [False, True], ids=["listing", "manifest"])
def test_a_step_of_long_keys_has_fewer_so_that_the_planner_can_hold_it(
    shop: Cloud, monkeypatch: pytest.MonkeyPatch, in_manifest: bool
) -> None:
    monkeypatch.setattr("catalog.use_cases.importing.BYTES_PER_STEP", 4_000)
    pages_of(monkeypatch, 5)
    keys = [f"{number:02}{'x' * 900}.txt" for number in range(20)]
    lay(shop, dict.fromkeys(keys, b"x"))
    run = started(shop, **(manifest(shop, [["key"], *([key] for key in keys)]) if in_manifest else {}))

    job = run.to_the_end()

    subjects = [json.loads(text)["key"] for line in run.carried_out for text in line["work"]["subjects"]]
    assert sorted(subjects) == keys
    assert job.step >= 3
    assert all(len(json.dumps(line)) < 10_000 for line in run.carried_out)


def test_folders_upon_folders_are_listed_in_steps(shop: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog.use_cases.importing.PAGES_PER_STEP", 2)
    pages_of(monkeypatch, 2)
    lay(shop, {**{f"{number:02}/": b"" for number in range(9)}, "z.txt": b"x"})

    run = started(shop)
    with seen_calls() as calls:
        run.round()
        assert len(calls) == 2
        job = run.to_the_end()

    assert (job.state, job.expected, job.tally.skipped) == ("completed", 1, 1)


def test_a_manifest_of_ten_thousand_lines_with_odd_names(
    shop: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalog.use_cases.importing.OBJECTS_PER_STEP", 4_000)
    monkeypatch.setattr("catalog.adapters.sources.MANIFEST_BLOCK", 100_000)
    odd = ["ü ñ/日本.txt", "a+b&c=d.txt", 'q"uo"te.txt', "new\nline.txt", "com,ma.txt", "100%.txt"]
    rows = [["key", "sku"], *([f"{number:05} {odd[number % 6]}", f"S-{number}"] for number in range(10_000))]
    run = started(shop, **manifest(shop, rows), reference_columns=["sku"])

    job = run.to_the_end()

    found = [json.loads(text) for line in run.carried_out for text in line["work"]["subjects"]]
    assert sorted((one["key"], *one["references"]) for one in found) == sorted(map(tuple, rows[1:]))
    assert (job.state, job.step, job.tally.skipped) == ("completed", 3, 10_000)


def test_objects_of_odd_names_are_copied(shop: Cloud) -> None:
    names = ["a b.jpg", "a+b.jpg", "ü/日本.jpg", 'q"x.jpg', "new\nline.jpg", "%20.jpg"]
    lay(shop, dict(zip(names, OTHERS, strict=True)))

    job = imported(shop, **manifest(shop, [["key"], *([name] for name in names)]))

    assert job.tally.counts["new"] == 6
    filenames = {shop.asset(id_of(data)).filename for data in OTHERS}
    assert filenames == {"a b.jpg", "a+b.jpg", "日本.jpg", 'q"x.jpg', "new_line.jpg", "%20.jpg"}


def test_bad_lines_and_objects_that_are_not_there_are_named_and_tried_again(shop: Cloud) -> None:
    lay(shop, {"a.jpg": PHOTO})
    asking = manifest(
        shop, [["key", "references"], ["a.jpg", "A|B"], ["", ""], ["b.jpg", "B"], ["c.jpg", "%"]]
    )

    job = imported(shop, **asking)

    found = failures(shop, job)
    named = {
        (json.loads(subject).get("line") or json.loads(subject)["key"]): code
        for subject, code in found.items()
    }
    assert named == {3: "bad_line", 5: "bad_line", "b.jpg": "source_missing"}
    assert shop.get(id_of(PHOTO)).json["references"] == ["A", "B"]

    lay(shop, {"b.jpg": OTHERS[0]})
    retried = JobRun(shop, shop.job("POST", f"/{job.id}/retry").json["id"]).to_the_end()
    assert (retried.tally.done, retried.tally.failed) == (1, 2)
    assert shop.get(id_of(OTHERS[0])).json["references"] == ["B"]


def test_a_manifest_that_changes_between_two_steps_fails_the_job(
    shop: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalog.use_cases.importing.OBJECTS_PER_STEP", 2)
    rows = [["key"], *([f"{number}.txt"] for number in range(5))]
    run = started(shop, **manifest(shop, rows))
    run.round()
    manifest(shop, [["key"], ["other.txt"], *rows[1:]])

    job = run.to_the_end()

    assert job.state == "failed"
    assert "manifest changed" in str(job.reason)


def test_a_manifest_that_is_none_fails_the_job(shop: Cloud) -> None:
    run = started(shop, manifest={"key": "gone.csv"})
    assert "manifest_unreadable" in str(run.to_the_end().reason)
    lay(shop, {"empty.csv": b""})
    assert started(shop, manifest={"key": "empty.csv"}).to_the_end().state == "completed"
    run = started(shop, **manifest(shop, [["path"], ["a.jpg"]]))
    assert "no column 'key'" in str(run.to_the_end().reason)


# --- Side by side -------------------------------------------------------------------------------------------


def test_a_worker_copies_four_objects_at_once_and_decodes_one_at_a_time(
    shop: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.configure(NEAR_DUPLICATE_ACTION="off")
    lay(shop, {f"{number}.jpg": data for number, data in enumerate([PHOTO, *OTHERS])})
    worker = shop.function("import_worker")
    decoding, most = list[int](), list[int]()

    def counted(data: bytes) -> Any:
        decoding.append(1)
        most.append(len(decoding))
        try:
            return inspect(data, limits=DEFAULT_PIXEL_LIMITS)
        finally:
            decoding.pop()

    ingestion = replace(worker.intake.ingestion, inspect=worker.processor.inspecting(counted))
    importing = replace(worker.importing, intake=replace(worker.intake, ingestion=ingestion))
    monkeypatch.setattr(worker, "parts", replace(worker.parts, worker=importing))
    copied = met_by_the_first(FOUR, CopiedOriginals.copy)
    monkeypatch.setattr(CopiedOriginals, "copy", copied)

    job = imported(shop)

    assert (job.tally.done, most) == (1 + len(OTHERS), [1] * (1 + len(OTHERS)))
    assert worker.originals._held == {}
    assert broken(shop) == []


def test_the_same_bytes_under_four_keys_at_once_are_copied_once(
    shop: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(shop, {f"{number}.jpg": PHOTO for number in range(FOUR)})
    monkeypatch.setattr(Sources, "read", met_by_the_first(FOUR, Sources.read))

    job = imported(shop)

    assert (job.tally.counts["new"], job.tally.counts["duplicates"]) == (1, FOUR - 1)
    assert (versions(shop, shop.originals), shop.asset(id_of(PHOTO)).duplicates) == (1, FOUR - 1)


def test_objects_that_weigh_too_much_together_are_taken_one_by_one(
    shop: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(shop, {f"{number}.jpg": data for number, data in enumerate([PHOTO, *OTHERS])})
    worker, reading, most = shop.function("import_worker"), list[int](), list[int]()
    alone = replace(worker.parts.side_by_side, room=len(PHOTO))
    monkeypatch.setattr(worker, "parts", replace(worker.parts, side_by_side=alone))
    bring = Intake.bring

    def counted(self: Intake, wanted: Any) -> Any:
        reading.append(wanted.source.size_bytes)
        most.append(sum(reading))
        try:
            return bring(self, wanted)
        finally:
            reading.remove(wanted.source.size_bytes)

    monkeypatch.setattr(Intake, "bring", counted)
    assert imported(shop).tally.done == 1 + len(OTHERS)
    assert max(most) <= len(PHOTO)

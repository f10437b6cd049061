"""Rebuild jobs: after a change of presets every image has what they say, and no object is left over."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest

from catalog.domain.jobs import Job
from tests.functional.cloud import Cloud
from tests.functional.jobs import JobRun
from tests.functional.streams import recorded_changes
from tests.functional.test_crashes import (
    OTHER,
    PHOTO,
    count_every_change,
    id_of,
    uploaded,
)

DAY = timedelta(days=1)


def presets(**sides: int) -> str:
    return json.dumps([{"name": name, "width": side, "height": side} for name, side in sides.items()])


OLD, NEW = presets(thumb=30, card=60), presets(thumb=40, card=60)


@pytest.fixture
def catalog(cloud: Cloud) -> Iterable[Cloud]:
    """Two images as of the old presets; every change of a record is kept."""
    with recorded_changes() as cloud.records:
        cloud.configure(PRESETS=OLD)
        uploaded(PHOTO, OTHER)(cloud)
        count_every_change(cloud)
        yield cloud


def started(cloud: Cloud, **asked: Any) -> JobRun:
    answer = cloud.job("POST", body={"kind": "rebuild", "tenant": "acme", "dry_run": False} | asked)
    assert answer.status == 202, answer.json
    return JobRun(cloud, answer.json["id"])


def rebuilt(cloud: Cloud, **asked: Any) -> Job:
    job = started(cloud, **asked).to_the_end()
    assert job.state == "completed", job
    return job


def versions(cloud: Cloud, *photos: bytes) -> list[dict[str, str]]:
    return [
        {name: one.version for name, one in cloud.asset(id_of(data)).renditions.items()} for data in photos
    ]


def is_whole(cloud: Cloud) -> None:
    """Every guarantee holds, the counters agree, and each object is named by a record."""
    count_every_change(cloud)
    assert cloud.broken_guarantees() == []
    assets = cloud.world().assets.values()
    named = {one.key for asset in assets for one in asset.renditions.values()}
    assert sorted(named) == sorted(cloud.objects(cloud.renditions))
    assert len(stored_versions(cloud)) >= len(named)


def stored_versions(cloud: Cloud) -> list[str]:
    listed = cloud.s3.list_object_versions(Bucket=cloud.renditions).get("Versions", [])
    return [one["Key"] for one in listed]


def test_every_image_gets_the_changed_preset_and_the_old_objects_go(catalog: Cloud) -> None:
    before = versions(catalog, PHOTO, OTHER)
    catalog.configure(PRESETS=NEW)

    job = rebuilt(catalog)

    after = versions(catalog, PHOTO, OTHER)
    assert all(new["thumb"] != old["thumb"] for new, old in zip(after, before, strict=True))
    assert all(new["card"] == old["card"] for new, old in zip(after, before, strict=True))
    assert (job.tally.done, job.tally.skipped, job.expected) == (2, 0, 2)
    assert job.tally.counts["rebuilt"] == job.tally.counts["renditions"] == job.tally.counts["removed"] == 2
    assert sorted(stored_versions(catalog)) == sorted(catalog.objects(catalog.renditions))
    is_whole(catalog)

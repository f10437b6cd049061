"""Ingest and render, killed at every AWS call, before and after it takes effect, and then run again."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.builders.images import half_of, jpeg_bytes, product_photo
from tests.functional.cloud import Cloud, Killed

PHOTO = jpeg_bytes(product_photo(1, (320, 240)))
BROKEN = half_of(PHOTO)


def drain(cloud: Cloud) -> None:
    """Every job still queued is delivered, and delivered twice, as SQS may."""
    while jobs := cloud.take_jobs():
        for job in jobs:
            cloud.render(job)
            cloud.render(job)


def survives_every_kill(cloud: Cloud, work: Callable[[], Any], prepare: Callable[[], None]) -> None:
    """`work`, killed anywhere and repeated, ends as `work` that nobody killed."""
    prepare()
    with cloud.watched_calls() as unharmed:
        work()
    drain(cloud)
    expected = cloud.snapshot()
    assert len(unharmed.made) >= 2
    for after in (False, True):
        for number in range(len(unharmed.made)):
            cloud.forget_everything()
            prepare()
            with pytest.raises(Killed), cloud.watched_calls(kill_at=number, after=after):
                work()
            work()
            drain(cloud)
            moment = f"killed {'after' if after else 'before'} call {number}, {unharmed.made[number]}"
            assert cloud.snapshot() == expected, moment


def test_ingest_killed_anywhere_and_run_again_loses_and_doubles_nothing(cloud: Cloud) -> None:
    key = f"originals/acme/{hashlib.sha256(PHOTO).hexdigest()}"

    def prepare() -> None:
        cloud.announce(PHOTO)
        cloud.store(PHOTO)

    survives_every_kill(cloud, lambda: cloud.ingest(key), prepare)


def test_a_rejection_killed_anywhere_and_run_again_is_recorded_once_and_tagged(cloud: Cloud) -> None:
    key = f"originals/acme/{hashlib.sha256(BROKEN).hexdigest()}"

    def work() -> None:
        cloud.ingest(key)

    def prepare() -> None:
        cloud.announce(BROKEN)
        cloud.store(BROKEN)

    survives_every_kill(cloud, work, prepare)
    assert cloud.s3.get_object_tagging(Bucket=cloud.originals, Key=key)["TagSet"]


@pytest.mark.parametrize("presets_per_job", ["1", "3"])
def test_render_killed_anywhere_and_run_again_leaves_a_ready_asset(
    cloud: Cloud, presets_per_job: str
) -> None:
    cloud.configure(PRESETS_PER_JOB=presets_per_job)
    jobs: list[str] = []

    def prepare() -> None:
        cloud.announce(PHOTO)
        cloud.ingest(cloud.store(PHOTO))
        jobs[:] = sorted(cloud.take_jobs())

    survives_every_kill(cloud, lambda: cloud.render(*jobs), prepare)
    assert cloud.asset(hashlib.sha256(PHOTO).hexdigest()).status == "ready"


def test_an_upload_request_killed_anywhere_can_be_made_again(cloud: Cloud) -> None:
    survives_every_kill(cloud, lambda: cloud.announce(PHOTO), cloud.configure)

"""Permanent addresses: what a preset shows of an image now, through rebuilds, merges and decisions."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import botocore.client
import pytest

from catalog.use_cases import showing
from infra.local.events import view_event
from tests.functional.cloud import Cloud
from tests.functional.test_crashes import HALF, PHOTO, decide, id_of
from tests.functional.test_rebuild import NEW, OLD, rebuilt


@dataclass(frozen=True)
class View:
    status: int
    headers: dict[str, str]
    data: bytes


def view(cloud: Cloud, path: str, *, known: str | None = None) -> View:
    answer = cloud.invoke("show_rendition", view_event(path, if_none_match=known))
    return View(answer["statusCode"], answer["headers"], base64.b64decode(answer["body"]))


def address(data: bytes, preset: str = "card", tenant: str = "acme") -> str:
    return f"/renditions/{tenant}/{id_of(data)}/{preset}"


def stored(cloud: Cloud, data: bytes, preset: str = "card") -> bytes:
    return cloud.read(cloud.renditions, cloud.asset(id_of(data)).renditions[preset].key)


def test_an_address_shows_the_rendition_and_then_that_it_is_the_same(cloud: Cloud) -> None:
    cloud.upload(PHOTO)

    first = view(cloud, address(PHOTO))
    again = view(cloud, address(PHOTO), known=first.headers["ETag"])

    assert (first.status, first.data) == (200, stored(cloud, PHOTO))
    assert first.headers["Content-Type"] == "image/jpeg"
    assert (again.status, again.data) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]


def test_a_look_reads_one_record_at_half_the_price_and_one_object_or_none(cloud: Cloud) -> None:
    cloud.upload(PHOTO)
    known = view(cloud, address(PHOTO)).headers["ETag"]

    with cloud.watched_calls() as first:
        view(cloud, address(PHOTO))
    with cloud.watched_calls() as again:
        view(cloud, address(PHOTO), known=known)

    assert first.made == ["dynamodb:GetItem", "s3:GetObject"]
    assert again.made == ["dynamodb:GetItem"]


def test_after_a_rebuild_the_same_address_shows_the_new_rendition(cloud: Cloud) -> None:
    cloud.configure(PRESETS=OLD)
    cloud.upload(PHOTO)
    before = view(cloud, address(PHOTO, "thumb"))
    cloud.configure(PRESETS=NEW)

    with looking_at_every_call(cloud, address(PHOTO, "thumb"), address(PHOTO)) as dark:
        rebuilt(cloud)

    after = view(cloud, address(PHOTO, "thumb"), known=before.headers["ETag"])
    assert (after.status, after.data) == (200, stored(cloud, PHOTO, "thumb"))
    assert after.data != before.data
    assert view(cloud, address(PHOTO), known=view(cloud, address(PHOTO)).headers["ETag"]).status == 304
    assert dark == []


def test_after_a_merge_an_address_shows_the_better_image_and_after_a_decision_its_own(cloud: Cloud) -> None:
    cloud.upload(HALF)
    own = view(cloud, address(HALF))
    with looking_at_every_call(cloud, address(HALF)) as dark:
        cloud.upload(PHOTO)  # larger: HALF joins it
        merged = view(cloud, address(HALF))
        decide("distinct")(cloud)
        for job in [*cloud.take_jobs(), *cloud.take_delayed_jobs()]:
            cloud.render(job)

    assert merged.data == stored(cloud, PHOTO) != own.data
    assert view(cloud, address(HALF)).data == own.data
    assert dark == []


@contextmanager
def looking_at_every_call(cloud: Cloud, *addresses: str) -> Iterator[list[str]]:
    """Before every call of a function: whether each address shows an image."""
    dark: list[str] = []
    make = botocore.client.BaseClient._make_api_call
    busy: list[bool] = []

    def watched(self: Any, operation: str, arguments: Any) -> Any:
        if not busy:
            busy.append(True)
            dark.extend(f"{operation}: {each}" for each in addresses if view(cloud, each).status != 200)
            busy.clear()
        return make(self, operation, arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.client.BaseClient, "_make_api_call", watched)
        yield dark


def test_a_rendition_that_is_replaced_and_removed_during_a_look_is_looked_for_again(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.upload(PHOTO)
    function = cloud.function("show_rendition")
    asset = cloud.asset(id_of(PHOTO))
    gone = replace(asset.renditions["card"], key=asset.renditions["card"].key.replace("card-", "card-0"))
    before = replace(asset, renditions={**asset.renditions, "card": gone})
    find = function.showing.assets.find
    monkeypatch.setattr(
        function.showing.assets, "find", lambda key, *, consistent: find(key) if consistent else before
    )

    assert view(cloud, address(PHOTO)).data == stored(cloud, PHOTO)


def test_a_rendition_that_somebody_deleted_is_not_there(cloud: Cloud) -> None:
    cloud.upload(PHOTO)
    cloud.s3.delete_object(Bucket=cloud.renditions, Key=cloud.asset(id_of(PHOTO)).renditions["card"].key)

    assert view(cloud, address(PHOTO)).status == 404


def test_a_rendition_that_is_too_large_for_an_answer_is_shown_at_its_own_address(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.upload(PHOTO)
    monkeypatch.setattr(showing, "LARGEST_SHOWN", len(stored(cloud, PHOTO)))
    assert view(cloud, address(PHOTO)).status == 200
    monkeypatch.setattr(showing, "LARGEST_SHOWN", len(stored(cloud, PHOTO)) - 1)

    moved = view(cloud, address(PHOTO))

    assert (moved.status, moved.data) == (302, b"")
    assert cloud.read(cloud.renditions, moved.headers["Location"].removeprefix("/")) == stored(cloud, PHOTO)


def test_nothing_is_shown_of_another_tenant_before_an_image_is_there_and_after_it_is_deleted(
    cloud: Cloud,
) -> None:
    assert view(cloud, address(PHOTO)).status == 404
    cloud.announce(PHOTO)
    assert view(cloud, address(PHOTO)).status == 404
    cloud.upload(PHOTO)
    assert view(cloud, address(PHOTO)).status == 200

    assert view(cloud, address(PHOTO, tenant="globex")).status == 404
    assert view(cloud, address(PHOTO, "poster")).status == 404
    assert cloud.delete(id_of(PHOTO)).status == 200
    assert view(cloud, address(PHOTO)).status == 404

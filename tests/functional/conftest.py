"""An account as new for every functional test."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Any, Final

import botocore.client
import pytest
from moto import mock_aws
from moto.s3.models import S3Backend

from catalog.adapters import sdk
from infra.local.events import REGION
from tests.functional.account import Account
from tests.functional.cloud import Cloud
from tests.functional.interleaving import AT_ONCE, Scheduler
from tests.functional.quick import answers_worked_out_once

_call: Final = botocore.client.BaseClient._make_api_call
_moto: Final = RLock()


def _one_by_one(self: Any, operation: str, arguments: Any) -> Any:
    """A call, whichever thread makes it: in moto a refused transaction undoes what others write meanwhile."""
    with _moto:
        return _call(self, operation, arguments)


_list_versions: Final = S3Backend.list_object_versions


def _versions_behind(
    self: S3Backend, bucket_name: str, *arguments: Any, key_marker: str | None = None, **more: Any
) -> Any:
    """S3's answer behind a key that is none of the bucket's: moto leaves out the first one, too."""
    if not key_marker or more.get("version_id_marker"):
        return _list_versions(self, bucket_name, *arguments, key_marker=key_marker, **more)
    found, prefixes, markers, *_ = _list_versions(
        self, bucket_name, *arguments, **more | {"max_keys": 10_000}
    )
    behind = [[one for one in some if one.name > key_marker] for some in (found, markers)]
    return behind[0], prefixes, behind[1], None, None


@pytest.fixture(autouse=True, scope="session")
def quick() -> Iterator[None]:
    with answers_worked_out_once():
        yield


@contextmanager
def moto(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The SDK talks to moto, which keeps what it holds."""
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", _one_by_one)
    monkeypatch.setattr(S3Backend, "list_object_versions", _versions_behind)
    mock = mock_aws()
    mock.start(reset=False)
    yield
    mock.stop(remove_data=False)


@pytest.fixture(scope="session")
def account() -> tuple[Cloud, Account]:
    """The pipeline's account, made once a process, and how it was then."""
    with pytest.MonkeyPatch.context() as monkeypatch, moto(monkeypatch):
        sdk.client.cache_clear()
        return Cloud(), Account()


@pytest.fixture
def cloud(account: tuple[Cloud, Account], monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    made, pristine = account
    with moto(monkeypatch):
        pristine.restore()
        yield made.new(monkeypatch)


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    scheduler = Scheduler(AT_ONCE)
    yield scheduler
    scheduler.close()


@pytest.fixture
def own_clients() -> Iterator[None]:
    """What the test does to an SDK client is not done to those of the tests after it."""
    sdk.client.cache_clear()
    yield
    sdk.client.cache_clear()

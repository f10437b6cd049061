"""An account as new for every functional test."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import pytest
from botocore.loaders import JSONFileLoader
from moto import mock_aws

from catalog.adapters import sdk
from infra.local.events import REGION
from tests.functional.account import Account
from tests.functional.cloud import Cloud
from tests.functional.interleaving import AT_ONCE, Scheduler


@pytest.fixture(autouse=True, scope="session")
def service_models_read_once() -> Iterator[None]:
    """Every client reads the JSON of its service anew, which is half of what a small test costs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, "load_file", cache(JSONFileLoader.load_file))
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

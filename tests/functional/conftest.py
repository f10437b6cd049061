"""A fresh account for every functional test."""

from collections.abc import Iterator

import pytest
from moto import mock_aws

from catalog.adapters import sdk
from tests.builders.events import REGION
from tests.functional.cloud import Cloud


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        sdk.client.cache_clear()
        yield Cloud(monkeypatch)
        sdk.client.cache_clear()

"""The SDK as the adapters use it: one client a service, three attempts, nothing waited for long."""

import io
import time

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from pynamodb.exceptions import GetError
from urllib3 import HTTPResponse

from catalog.adapters import sdk
from catalog.adapters.assets_table import Assets
from catalog.domain.keys import AssetKey, asset_id, tenant_id
from tests.functional.cloud import Cloud

KEY = AssetKey(tenant_id("acme"), asset_id("5c" * 32))
pytestmark = pytest.mark.usefixtures("own_clients")


def test_a_request_makes_one_client_a_service_however_many_tables_it_reads(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    create = botocore.session.Session.create_client

    def counted(self, service, *args, **kwargs):
        made.append(service)
        return create(self, service, *args, **kwargs)

    monkeypatch.setattr(botocore.session.Session, "create_client", counted)
    assert cloud.announce(b"reads clients, tenants, usage and assets").status == 201
    assert sorted(made) == ["dynamodb", "s3"]


def test_a_table_that_fails_is_asked_three_times(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def unavailable(request, **_):
        asked.append(request.url)
        return AWSResponse(request.url, 500, {}, HTTPResponse(io.BytesIO(b"{}")))

    assets = Assets("AssetsTable")
    sdk.client("dynamodb").meta.events.register_first("before-send.dynamodb.GetItem", unavailable)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with pytest.raises(GetError, match="500"):
        assets.get(KEY)
    assert len(asked) == 3


def test_no_client_waits_longer_for_an_answer_than_its_function_has(cloud: Cloud) -> None:
    for service in ("dynamodb", "s3", "sqs", "kms", "events", "cognito-idp"):
        config = sdk.client(service).meta.config
        assert config.connect_timeout == 2
        assert config.read_timeout <= 20
        assert config.retries == {"mode": "standard", "total_max_attempts": 3}

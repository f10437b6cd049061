"""Counters and events on the deployed stack: streams, bus, recount, and mishaps on the way."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from catalog.adapters.assets_table import Assets
from catalog.adapters.usage_table import Counters
from catalog.domain.keys import tenant_id
from catalog.domain.tenants import Scope
from catalog.domain.usage import NOTHING, usage_of
from catalog_images import CatalogClient
from infra.pictures.images import html_named_jpg, jpeg_bytes, product_photo
from tests.end_to_end.deployment import FINISH_SECONDS, Deployment, announced, settled, within

SCHEMAS = Path(__file__).parents[2] / "docs" / "events"


def metrics(catalog: CatalogClient, tenant: str | None = None) -> dict[str, Any]:
    answer = catalog.call("GET", f"/metrics?tenant={tenant}" if tenant else "/metrics")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def counted(catalog: CatalogClient, tenant: str, images: int) -> dict[str, Any]:
    """The metrics, once so many images are counted."""
    return within(
        FINISH_SECONDS,
        lambda: (found := metrics(catalog))["tenant_counts"] == {tenant: images} and found,
        f"{images} images of {tenant} are counted",
    )


def agrees(deployment: Deployment, tenant: str) -> bool:
    """Whether what is counted is what the tenant's assets add up to."""
    assets, counters = Assets(deployment.output("AssetsTable")), Counters(deployment.output("UsageTable"))
    added = sum(map(usage_of, assets.within(tenant_id(tenant), "")), NOTHING)
    return counters.total(tenant_id(tenant)).usage == added


def recounted(deployment: Deployment, tenant: str, *, dry_run: bool) -> Mapping[str, int]:
    """What a recount of a tenant found."""
    with deployment.client(tenant, Scope.ADMIN) as administrator:
        job = administrator.start_job("recount", tenant=tenant, dry_run=dry_run)
        ended = administrator.wait_for_job(job.id, timeout_seconds=FINISH_SECONDS)
    assert (ended.state, ended.failed) == ("completed", 0), ended.document
    return cast(Mapping[str, int], ended.document["counts"])


@pytest.fixture
def events(deployment: Deployment) -> Iterator["Subscription"]:
    subscription = Subscription(deployment)
    yield subscription
    subscription.end()


class Subscription:
    """A rule on the bus with a queue behind it, as the documentation's example has it."""

    def __init__(self, deployment: Deployment) -> None:
        self._sqs, self._events = deployment.stack.client("sqs"), deployment.stack.client("events")
        self._bus = deployment.output("EventBusName")
        self._queue = self._sqs.create_queue(QueueName="subscriber")["QueueUrl"]
        self._heard: list[dict[str, Any]] = []
        attributes = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])
        arn = attributes["Attributes"]["QueueArn"]
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self._sqs.set_queue_attributes(QueueUrl=self._queue, Attributes={"Policy": policy})
        self._events.put_rule(
            Name="subscriber", EventBusName=self._bus, EventPattern='{"source": ["catalog.images"]}'
        )
        self._events.put_targets(
            Rule="subscriber", EventBusName=self._bus, Targets=[{"Id": "queue", "Arn": arn}]
        )

    def heard(self, tenant: str) -> dict[str, dict[str, dict[str, Any]]]:
        """The details of a tenant's events so far, by type and event id."""
        while messages := self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for message in messages:
                self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
                self._heard.append(json.loads(message["Body"]))
        found: dict[str, dict[str, dict[str, Any]]] = {}
        for event in self._heard:
            if event["detail"]["tenant"] == tenant:
                found.setdefault(event["detail-type"], {})[event["detail"]["event_id"]] = event["detail"]
        return found

    def end(self) -> None:
        self._events.remove_targets(Rule="subscriber", EventBusName=self._bus, Ids=["queue"])
        self._events.delete_rule(Name="subscriber", EventBusName=self._bus)
        self._sqs.delete_queue(QueueUrl=self._queue)


def purge_everything(catalog: CatalogClient) -> None:
    proposed = catalog.call("POST", "/purge", json={"older_than_days": 0})
    assert proposed.status_code == 200, proposed.text
    confirmed = catalog.call(
        "POST", "/purge", json={"dry_run": False, "confirm_token": proposed.json()["confirm_token"]}
    )
    assert confirmed.status_code == 200, confirmed.text


def test_counters_and_events_tell_of_uploads_duplicates_rejections_and_a_purge(
    deployment: Deployment, events: Subscription
) -> None:
    photos = [jpeg_bytes(product_photo(seed)) for seed in (81, 82, 83)]
    with deployment.client("counted", Scope.READ, Scope.WRITE, Scope.ADMIN) as catalog:
        images = [settled(catalog, photo) for photo in photos]
        settled(catalog, html_named_jpg())
        announced(catalog, photos[0])
        announced(catalog, photos[0])

        found = within(
            FINISH_SECONDS,
            lambda: (now := counted(catalog, "counted", 3))["duplicates_avoided"] == 2 and now,
            "the duplicates are counted",
        )
        assert found == {
            "tenant_counts": {"counted": 3},
            "bytes_per_preset": {
                preset: sum(
                    each.size_bytes for image in images for each in image.renditions if each.preset == preset
                )
                for preset in ("card", "thumb", "zoom")
            },
            "bytes_originals": sum(map(len, photos)),
            "duplicates_avoided": 2,
            "bytes_saved": 2 * len(photos[0]),
            "rejected": 1,
        }
        assert agrees(deployment, "counted")

        purge_everything(catalog)
        assert counted(catalog, "counted", 0)["bytes_per_preset"] == {}
        assert agrees(deployment, "counted")

    heard = within(
        FINISH_SECONDS,
        lambda: "purge.completed" in (told := events.heard("counted")) and told,
        "the purge is told of",
    )
    number = {name: len(details) for name, details in heard.items()}
    rejected_are_kept_a_week = {"image.ready": 3, "image.rejected": 1, "image.duplicate": 2}
    assert number.items() >= rejected_are_kept_a_week.items()
    assert number["image.deleted"] >= 3
    for name, details in heard.items():
        schema = json.loads((SCHEMAS / f"{name}.json").read_text())
        validator = Draft202012Validator(schema, format_checker=FormatChecker())
        for detail in details.values():
            validator.validate(detail)


def test_a_tenant_cannot_read_the_metrics_of_another_and_an_administrator_can(
    deployment: Deployment, acme: CatalogClient, globex: CatalogClient
) -> None:
    assert list(metrics(acme)["tenant_counts"]) == ["acme"]
    for named in ("globex", "nobody", "*"):
        refused = acme.call("GET", f"/metrics?tenant={named}")
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")

    with deployment.client("acme", Scope.READ, Scope.ADMIN) as administrator:
        assert list(metrics(administrator)["tenant_counts"]) == ["acme"]
        assert metrics(administrator, "globex") == metrics(globex)
        assert {"acme", "globex"} <= set(metrics(administrator, "*")["tenant_counts"])


def test_counting_that_is_forbidden_for_a_while_and_killed_is_made_up_for(deployment: Deployment) -> None:
    with deployment.client("interrupted") as catalog:
        with deployment.without_permission("UsageFunction", "dynamodb:PutItem"):
            settled(catalog, jpeg_bytes(product_photo(84)))
            assert metrics(catalog)["tenant_counts"] == {"interrupted": 0}
        deployment.kill_workers("UsageFunction")
        settled(catalog, jpeg_bytes(product_photo(85)))

        counted(catalog, "interrupted", 2)
        within(FINISH_SECONDS, lambda: agrees(deployment, "interrupted"), "counters equal a recount")


def test_events_that_cannot_be_sent_for_a_while_are_sent_later(
    deployment: Deployment, events: Subscription
) -> None:
    with deployment.client("unheard") as catalog:
        with deployment.without_permission("UsageFunction", "events:PutEvents"):
            image = settled(catalog, jpeg_bytes(product_photo(86)))
            counted(catalog, "unheard", 1)
            assert events.heard("unheard") == {}

        heard = within(FINISH_SECONDS, lambda: events.heard("unheard"), "the event is heard at last")
        (ready,) = heard["image.ready"].values()
        assert ready["id"] == image.id
        assert agrees(deployment, "unheard")


def test_damaged_counters_are_found_and_repaired(deployment: Deployment) -> None:
    with deployment.client("damaged") as catalog:
        settled(catalog, jpeg_bytes(product_photo(87)))
        counted(catalog, "damaged", 1)
        within(FINISH_SECONDS, lambda: agrees(deployment, "damaged"), "counters equal a recount")
        deployment.stack.client("dynamodb").update_item(
            TableName=deployment.output("UsageTable"),
            Key={"tenant": {"S": "damaged"}, "counter": {"S": "total"}},
            UpdateExpression="ADD bytes_originals :wrong",
            ExpressionAttributeValues={":wrong": {"N": "-1"}},
        )

        found = {"bytes_originals_off": 1, "totals_wrong": 1}
        assert recounted(deployment, "damaged", dry_run=True) == found
        assert not agrees(deployment, "damaged")
        assert recounted(deployment, "damaged", dry_run=False) == found
        assert agrees(deployment, "damaged")
        assert recounted(deployment, "damaged", dry_run=True) == {}

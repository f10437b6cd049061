"""PUT and DELETE /v1/images/{id}/references/{reference}."""

import hashlib
from functools import partial
from urllib.parse import quote

from catalog.domain.assets import MAX_REFERENCES
from catalog.domain.references import Use
from infra.pictures.images import jpeg_bytes, product_photo
from tests.functional.cloud import Cloud
from tests.functional.interleaving import ORDERS, Scheduler

PHOTO = jpeg_bytes(product_photo(1, (320, 240)))
ID = hashlib.sha256(PHOTO).hexdigest()


def test_references_are_counted_by_name(cloud: Cloud) -> None:
    cloud.upload(PHOTO)

    counts = [
        cloud.reference("PUT", ID, name).json["in_use_count"] for name in ("sku-1", "page:home", "sku-1")
    ]

    assert counts == [1, 2, 2]
    assert cloud.get(ID).json["in_use_count"] == 2
    assert cloud.get(ID).json["references"] == ["page:home", "sku-1"]


def test_a_reference_is_released_once_however_often_it_is_asked(cloud: Cloud) -> None:
    cloud.upload(PHOTO)
    for name in ("a", "b"):
        cloud.reference("PUT", ID, name)

    counts = [
        cloud.reference("DELETE", ID, name).json["in_use_count"] for name in ("a", "a", "never", "b", "b")
    ]

    assert counts == [1, 1, 1, 0, 0]


def test_an_asset_is_unused_from_its_last_release_on_and_never_while_it_is_referenced(cloud: Cloud) -> None:
    cloud.upload(PHOTO)
    since_upload = cloud.asset(ID).unused_since

    cloud.reference("PUT", ID, "a")
    assert cloud.asset(ID).unused_since is None
    cloud.reference("PUT", ID, "b")
    cloud.reference("DELETE", ID, "a")
    assert cloud.asset(ID).unused_since is None
    cloud.reference("DELETE", ID, "b")

    since_release = cloud.asset(ID).unused_since
    assert since_release is not None and since_upload is not None and since_release > since_upload


def test_an_image_can_be_referenced_while_it_is_being_uploaded(cloud: Cloud) -> None:
    cloud.announce(PHOTO)

    assert cloud.reference("PUT", ID, "sku-1").json["in_use_count"] == 1
    cloud.ingest(cloud.store(PHOTO))
    assert cloud.asset(ID).references == {"sku-1"}
    assert cloud.asset(ID).unused_since is None


def test_a_rejected_image_cannot_be_referenced(cloud: Cloud) -> None:
    rejected = cloud.upload(b"no image")

    answer = cloud.reference("PUT", rejected["id"], "sku-1")

    assert (answer.status, answer.json["error"]["code"]) == (409, "image_state")


def test_another_tenants_image_cannot_be_referenced_and_does_not_change(cloud: Cloud) -> None:
    cloud.upload(PHOTO)
    cloud.reference("PUT", ID, "sku-1")
    before = cloud.snapshot()

    for method in ("PUT", "DELETE"):
        answer = cloud.reference(method, ID, "sku-1", client_id="client-of-globex")
        assert (answer.status, answer.json["error"]["code"]) == (404, "image_not_found")

    assert cloud.snapshot() == before


def test_a_name_as_shops_have_them_is_one_reference_whether_the_gateway_decodes_the_path_or_not(
    cloud: Cloud,
) -> None:
    name = "SKU 12/34 #5"
    cloud.upload(PHOTO)

    for path in (name, quote(name, safe=""), quote(name)):
        answer = cloud.reference("PUT", ID, path)
        assert (answer.status, answer.json["references"]) == (200, [name])

    assert cloud.reference("DELETE", ID, quote(name, safe="")).json["references"] == []


def test_an_image_holds_so_many_references_and_no_more(cloud: Cloud) -> None:
    cloud.upload(PHOTO)
    cloud.dynamodb.update_item(
        TableName="AssetsTable",
        Key={"tenant": {"S": "acme"}, "id": {"S": ID}},
        UpdateExpression="SET #r = :many",
        ExpressionAttributeNames={"#r": "references"},
        ExpressionAttributeValues={":many": {"SS": [f"sku-{n}" for n in range(MAX_REFERENCES)]}},
    )

    answer = cloud.reference("PUT", ID, "one-more")

    assert (answer.status, answer.json["error"]["code"]) == (409, "too_many_references")
    assert cloud.reference("PUT", ID, "sku-0").status == 200


def test_references_taken_and_released_at_the_same_time_add_up_in_any_order_of_their_calls(
    cloud: Cloud, scheduler: Scheduler
) -> None:
    cloud.upload(PHOTO)
    key = cloud.asset(ID).key

    def take(*names: str) -> None:
        for name in names:
            cloud.references.take(key, [Use(name)], keep=True)

    def take_and_release(name: str) -> None:
        take(name)
        cloud.references.release(key, name, now=cloud.now())

    with scheduler.in_charge():
        for number, order in enumerate(ORDERS):
            kept = {f"kept-{number}", f"kept-too-{number}"}
            scheduler.take_turns(order, partial(take, *kept), partial(take_and_release, f"gone-{number}"))
            assert cloud.asset(ID).references == kept, order
            for name in kept:
                cloud.references.release(key, name, now=cloud.now())


def test_what_one_client_says_of_a_reference_stays_when_another_takes_it_at_the_same_time(
    cloud: Cloud, scheduler: Scheduler
) -> None:
    cloud.upload(PHOTO)
    key = cloud.asset(ID).key
    names = [str(number) for number in range(3)]
    told = [Use(name, 7, "main", "A lamp") for name in names]

    with scheduler.in_charge():
        for order in ORDERS:
            scheduler.take_turns(
                order,
                lambda: cloud.references.take(key, told),
                lambda: cloud.references.take(key, [Use(name) for name in names], keep=True),
            )
            uses = cloud.references.held(key.tenant, {key.id: names})[key.id].uses
            assert uses == {use.reference: use for use in told}, order
            for name in names:
                cloud.references.release(key, name, now=cloud.now())

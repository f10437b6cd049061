"""/v1/tenants: made, listed, limited, given clients, removed; whatever dies in between."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from catalog.adapters.clients_table import Clients
from catalog.adapters.identity import IdentityProvider
from catalog.adapters.remembered import REMEMBERED_SECONDS
from catalog.adapters.tenants_table import Tenants
from catalog.domain.keys import tenant_id
from catalog.domain.tenants import LATE_UPLOADS_END_AFTER, Client, Scope
from catalog.domain.uploads import TICKETS_LAST
from catalog.use_cases.tenants import ClientAdministration
from infra.pictures.images import jpeg_bytes, product_photo
from tests.functional.cloud import Answer, Cloud

PHOTO = jpeg_bytes(product_photo(1, (320, 240)))
ADMIN = "client-of-globex"


def ask(cloud: Cloud, method: str, path: str = "", **request: Any) -> Answer:
    return cloud.call("tenants", method, f"/tenants{path}", client_id=ADMIN, **request)


def create(cloud: Cloud, tenant: str = "initech", **more: Any) -> Answer:
    return ask(cloud, "POST", body={"tenant": tenant, **more})


def refusal(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json["error"]["code"]


def cognito_clients(cloud: Cloud, tenant: str = "initech") -> set[str]:
    pool = cloud.cognito.list_user_pools(MaxResults=1)["UserPools"][0]["Id"]
    listed = cloud.cognito.list_user_pool_clients(UserPoolId=pool, MaxResults=60)["UserPoolClients"]
    return {client["ClientId"] for client in listed if client["ClientName"] == f"catalog-{tenant}"}


def recorded_clients(cloud: Cloud, tenant: str = "initech") -> set[str]:
    items = cloud.dynamodb.scan(TableName="ClientsTable")["Items"]
    return {item["client_id"]["S"] for item in items if item["tenant"]["S"] == tenant}


def record(cloud: Cloud, tenant: str = "initech") -> dict[str, Any] | None:
    item: dict[str, Any] | None = cloud.dynamodb.get_item(
        TableName="TenantsTable", Key={"tenant": {"S": tenant}}
    ).get("Item")
    return item


def let_late_uploads_end(cloud: Cloud, tenant: str = "initech") -> None:
    """The removal began long ago."""
    item = record(cloud, tenant)
    assert item is not None
    since = datetime.fromisoformat(item["removing_since"]["S"]) - LATE_UPLOADS_END_AFTER
    item["removing_since"] = {"S": since.isoformat(timespec="microseconds")}
    cloud.dynamodb.put_item(TableName="TenantsTable", Item=item)


def forget_what_is_remembered(cloud: Cloud) -> None:
    """A minute passes: functions ask the tables again."""
    cloud.configure()


# --- Creating -------------------------------------------------------------------------------------------


def test_a_tenant_comes_with_a_client_that_may_read_and_write(cloud: Cloud) -> None:
    answer = create(cloud)

    assert answer.status == 201
    assert answer.json["tenant"] == "initech"
    assert answer.json["status"] == "active"
    assert answer.json["scopes"] == ["catalog/read", "catalog/write"]
    assert answer.json["limits"] == {"uploads_per_minute": None, "stored_bytes": None}
    assert answer.json["client_secret"]
    assert {answer.json["client_id"]} == cognito_clients(cloud) == recorded_clients(cloud)
    assert cloud.announce(PHOTO, client_id=answer.json["client_id"]).status == 201


def test_administration_is_given_only_where_it_is_asked_for(cloud: Cloud) -> None:
    answer = create(cloud, scopes=["catalog/admin", "catalog/read"])

    assert answer.json["scopes"] == ["catalog/read", "catalog/admin"]


def test_a_secret_is_shown_once_and_neither_stored_nor_logged(
    cloud: Cloud, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    secret = create(cloud)
    another = ask(cloud, "POST", "/initech/clients")
    listed = ask(cloud, "GET")

    printed = capfd.readouterr()
    written = printed.out + printed.err + str([vars(entry) for entry in caplog.records])
    for answer in (secret, another):
        shown = answer.json["client_secret"]
        assert shown not in written
        assert shown not in json.dumps(cloud.snapshot(), default=list)
        assert shown not in json.dumps(listed.json)
    assert "tenant created" in written and "client created" in written


def test_a_secret_is_not_in_what_a_log_would_print_of_the_credentials(cloud: Cloud) -> None:
    pool = cloud.cognito.list_user_pools(MaxResults=1)["UserPools"][0]["Id"]
    credentials = IdentityProvider(pool).create_client(tenant_id("initech"), [Scope.READ])

    assert credentials.client_secret not in f"{credentials} {credentials!r}"


def test_a_tenant_that_exists_is_not_made_again_and_keeps_its_limits_and_clients(cloud: Cloud) -> None:
    first = create(cloud, limits={"uploads_per_minute": 5})

    assert refusal(create(cloud, limits={"uploads_per_minute": 50})) == (409, "tenant_exists")

    assert cloud.tenants.get(tenant_id("initech")).limits.uploads_per_minute == 5
    assert cognito_clients(cloud) == {first.json["client_id"]}


def test_a_lost_answer_is_made_good_by_another_client_of_the_tenant(cloud: Cloud) -> None:
    create(cloud)
    assert refusal(create(cloud)) == (409, "tenant_exists")

    answer = ask(cloud, "POST", "/initech/clients", body={"scopes": ["catalog/read"]})

    assert answer.status == 201
    assert answer.json["scopes"] == ["catalog/read"]
    assert cloud.list_images(client_id=answer.json["client_id"]).status == 200


# --- Listing and limiting ---------------------------------------------------------------------------------


def test_pages_list_every_tenant_once(cloud: Cloud) -> None:
    made = {f"tenant-{number}" for number in range(5)}
    for tenant in made:
        create(cloud, tenant)

    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = ask(cloud, "GET", query={"limit": "3"} | ({"cursor": cursor} if cursor else {})).json
        assert len(page["tenants"]) <= 3
        seen += [tenant["tenant"] for tenant in page["tenants"]]
        cursor = page["cursor"]
        if cursor is None:
            break

    assert sorted(seen) == sorted(made | {"acme", "globex"})


def test_new_limits_replace_all_of_the_old_ones(cloud: Cloud) -> None:
    create(cloud, limits={"uploads_per_minute": 5, "stored_bytes": 10})

    answer = ask(cloud, "PUT", "/initech/limits", body={"stored_bytes": 20})

    assert answer.status == 200
    assert answer.json["limits"] == {"uploads_per_minute": None, "stored_bytes": 20}
    assert cloud.tenants.get(tenant_id("initech")).limits.stored_bytes == 20


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/nobody/limits", {}),
        ("POST", "/nobody/clients", None),
        ("DELETE", "/nobody", None),
    ],
)
def test_a_tenant_that_does_not_exist_is_not_found_and_not_made(
    cloud: Cloud, method: str, path: str, body: object
) -> None:
    before = cloud.snapshot()

    assert refusal(ask(cloud, method, path, body=body)) == (404, "tenant_not_found")
    assert cloud.snapshot() == before
    assert not cognito_clients(cloud, "nobody")


def test_a_client_that_belongs_to_no_tenant_administers_nothing(cloud: Cloud) -> None:
    for method, path in (("POST", ""), ("GET", ""), ("DELETE", "/acme"), ("PUT", "/acme/limits")):
        answer = cloud.call("tenants", method, f"/tenants{path}", client_id="stranger", body={})
        assert refusal(answer) == (403, "unknown_client")


# --- Clients ----------------------------------------------------------------------------------------------


def test_a_revoked_client_is_gone_and_the_others_stay(cloud: Cloud) -> None:
    first, second = create(cloud).json, ask(cloud, "POST", "/initech/clients").json
    assert cloud.list_images(client_id=first["client_id"]).status == 200

    assert ask(cloud, "DELETE", f"/initech/clients/{first['client_id']}").status == 200
    forget_what_is_remembered(cloud)

    assert refusal(cloud.list_images(client_id=first["client_id"])) == (403, "unknown_client")
    assert cloud.list_images(client_id=second["client_id"]).status == 200
    assert cognito_clients(cloud) == recorded_clients(cloud) == {second["client_id"]}


@pytest.mark.parametrize(
    ("function", "method", "path", "body"),
    [
        ("tenants", "POST", "/tenants/globex/clients", {}),
        ("tenants", "POST", "/tenants", {"tenant": "hooli"}),
        ("tenants", "GET", "/tenants/globex/clients", None),
        ("purge", "POST", "/purge", {}),
        ("metrics", "GET", "/metrics", None),
    ],
)
def test_a_revoked_administrator_administers_nothing_from_that_moment(
    cloud: Cloud, function: str, method: str, path: str, body: dict[str, Any] | None
) -> None:
    """Not even in a function that has just known it, for the minute in which others go on believing."""
    called = {"client_id": ADMIN, "body": body, "scope": "catalog/admin"}
    assert cloud.call(function, method, path, **called).status < 300

    Clients("ClientsTable").forget(Client(ADMIN, tenant_id("globex")))

    before = len(recorded_clients(cloud, "globex"))
    assert refusal(cloud.call(function, method, path, **called)) == (403, "unknown_client")
    assert len(recorded_clients(cloud, "globex")) == before


def test_the_clients_of_a_tenant_are_listed_once_each_with_their_scopes_and_no_secret(cloud: Cloud) -> None:
    given = [create(cloud, scopes=["catalog/admin"]).json]
    given += [ask(cloud, "POST", "/initech/clients").json for _ in range(4)]

    listed: list[dict[str, Any]] = []
    query = {"limit": "2"}
    for _ in range(3):
        answer = ask(cloud, "GET", "/initech/clients", query=query)
        assert (answer.status, answer.json["tenant"]) == (200, "initech")
        listed += answer.json["clients"]
        query["cursor"] = answer.json["cursor"]

    assert query["cursor"] is None
    assert {c["client_id"]: c["scopes"] for c in listed} == {c["client_id"]: c["scopes"] for c in given}
    assert len(listed) == 5
    assert all(set(client) == {"client_id", "scopes", "created_at"} for client in listed)


def test_a_client_recorded_before_its_scopes_were_is_listed_without(cloud: Cloud) -> None:
    cloud.dynamodb.update_item(
        TableName="ClientsTable", Key={"client_id": {"S": ADMIN}}, UpdateExpression="REMOVE scopes"
    )
    (client,) = ask(cloud, "GET", "/globex/clients").json["clients"]
    assert (client["client_id"], client["scopes"]) == (ADMIN, None)


def test_the_clients_of_nobody_are_not_found(cloud: Cloud) -> None:
    assert refusal(ask(cloud, "GET", "/nobody/clients")) == (404, "tenant_not_found")


def test_a_client_is_revoked_under_its_own_tenant_only(cloud: Cloud) -> None:
    client = create(cloud).json["client_id"]

    assert refusal(ask(cloud, "DELETE", f"/acme/clients/{client}")) == (404, "client_not_found")
    assert refusal(ask(cloud, "DELETE", "/acme/clients/nobody")) == (404, "client_not_found")
    assert recorded_clients(cloud) == {client}


def test_the_operators_way_makes_the_tenant_once_and_a_client_each_time(cloud: Cloud) -> None:
    pool = cloud.cognito.list_user_pools(MaxResults=1)["UserPools"][0]["Id"]
    administration = ClientAdministration(
        Tenants("TenantsTable"), IdentityProvider(pool), Clients("ClientsTable")
    )
    for _ in range(2):
        administration.add_with_tenant(tenant_id("initech"), [Scope.READ])

    assert record(cloud)
    assert len(cognito_clients(cloud)) == len(recorded_clients(cloud)) == 2


# --- Removal ----------------------------------------------------------------------------------------------


def test_a_tenant_with_assets_is_not_removed_and_goes_on_working(cloud: Cloud) -> None:
    client = create(cloud).json["client_id"]
    for data in (PHOTO, b"no image"):
        cloud.announce(data, client_id=client)
        cloud.ingest(cloud.store(data, tenant="initech"))
    for job in cloud.take_jobs():
        cloud.render(job)

    answer = ask(cloud, "DELETE", "/initech")

    assert refusal(answer) == (409, "tenant_not_empty")
    assert answer.json["error"]["message"] == (
        "this tenant still has ready images: 1, rejected images: 1, originals: 2, renditions: 3; "
        "release its references and purge it first"
    )
    forget_what_is_remembered(cloud)
    assert cloud.announce(PHOTO, client_id=client).status == 200
    assert recorded_clients(cloud) == {client}


def items_of(cloud: Cloud, table: str, tenant: str = "initech") -> list[dict[str, Any]]:
    return [i for i in cloud.dynamodb.scan(TableName=table)["Items"] if i["tenant"]["S"] == tenant]


def test_an_announcement_that_nobody_sent_does_not_keep_its_tenant_and_goes_with_it(cloud: Cloud) -> None:
    client = create(cloud).json["client_id"]
    cloud.announce(PHOTO, client_id=client)

    assert ask(cloud, "DELETE", "/initech").status == 202
    assert len(items_of(cloud, "AssetsTable")) == 1, "its ticket may still be used"
    let_late_uploads_end(cloud)
    assert ask(cloud, "DELETE", "/initech").status == 200

    assert not items_of(cloud, "AssetsTable")


def test_the_pairs_and_counters_of_a_tenant_go_with_it_a_part_a_call(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalog.use_cases.tenants.REMAINS_AT_ONCE", 30)
    create(cloud)
    for tenant in ("initech", "globex"):
        for number in range(40):
            pair = {"tenant": {"S": tenant}, "pair": {"S": f"{number:064x}#{'f' * 64}"}}
            cloud.dynamodb.put_item(TableName="PairsTable", Item=pair | {"seen_at": {"S": "2026"}})
            counter = {"tenant": {"S": tenant}, "counter": {"S": f"counted#{number:064x}"}}
            cloud.dynamodb.put_item(TableName="UsageTable", Item=counter)
    ask(cloud, "DELETE", "/initech")
    let_late_uploads_end(cloud)

    assert [ask(cloud, "DELETE", "/initech").status for _ in range(2)] == [202, 200]

    for table in ("PairsTable", "UsageTable"):
        assert not items_of(cloud, table)
        assert len(items_of(cloud, table, "globex")) == 40


def test_the_name_of_a_tenant_whose_deleted_images_are_kept_is_given_to_nobody(cloud: Cloud) -> None:
    create(cloud)
    key = cloud.store(PHOTO, tenant="initech")
    cloud.s3.delete_object(Bucket=cloud.originals, Key=key)
    assert refusal(create(cloud)) == (409, "tenant_exists")
    ask(cloud, "DELETE", "/initech")
    let_late_uploads_end(cloud)
    assert ask(cloud, "DELETE", "/initech").status == 200

    assert refusal(create(cloud)) == (409, "tenant_name_taken")
    assert record(cloud) is None

    for kind in ("Versions", "DeleteMarkers"):
        for gone in cloud.s3.list_object_versions(Bucket=cloud.originals).get(kind, []):
            cloud.s3.delete_object(Bucket=cloud.originals, Key=key, VersionId=gone["VersionId"])
    assert create(cloud).status == 201


@pytest.mark.parametrize("bucket", ["originals", "renditions"])
def test_a_tenant_with_an_object_that_no_record_knows_is_not_removed(cloud: Cloud, bucket: str) -> None:
    create(cloud)
    cloud.s3.put_object(Bucket=getattr(cloud, bucket), Key=f"{bucket}/initech/{'0' * 64}/x", Body=b"x")

    assert refusal(ask(cloud, "DELETE", "/initech")) == (409, "tenant_not_empty")


def test_another_tenants_assets_under_a_longer_name_do_not_keep_a_tenant(cloud: Cloud) -> None:
    create(cloud)
    other = create(cloud, "initech-2").json["client_id"]
    cloud.announce(PHOTO, client_id=other)
    cloud.store(PHOTO, tenant="initech-2")

    assert ask(cloud, "DELETE", "/initech").status == 202


def test_a_removal_takes_the_clients_at_once_and_the_record_when_no_upload_can_come_any_more(
    cloud: Cloud,
) -> None:
    client = create(cloud).json["client_id"]

    begun = ask(cloud, "DELETE", "/initech")

    assert (begun.status, begun.json["status"]) == (202, "removing")
    assert not cognito_clients(cloud) and not recorded_clients(cloud)
    assert refusal(cloud.announce(PHOTO, client_id=client)) == (403, "unknown_client")
    again = ask(cloud, "DELETE", "/initech")
    assert (again.status, again.json) == (202, begun.json)
    let_late_uploads_end(cloud)
    gone = ask(cloud, "DELETE", "/initech")
    assert (gone.status, gone.json) == (200, {"tenant": "initech", "status": "removed"})
    assert record(cloud) is None
    assert refusal(ask(cloud, "DELETE", "/initech")) == (404, "tenant_not_found")


def test_the_wait_outlasts_what_a_function_remembers_and_every_upload_url() -> None:
    assert timedelta(seconds=REMEMBERED_SECONDS + 28) + TICKETS_LAST < LATE_UPLOADS_END_AFTER


def test_a_tenant_being_removed_gets_no_upload_even_for_a_client_that_is_still_known(cloud: Cloud) -> None:
    create(cloud)
    ask(cloud, "DELETE", "/initech")
    Clients("ClientsTable").add(Client("straggler", tenant_id("initech")), now=datetime.now(UTC))

    assert refusal(cloud.announce(PHOTO, client_id="straggler")) == (403, "unknown_client")


def test_a_client_whose_tenant_has_no_record_gets_no_upload(cloud: Cloud) -> None:
    Clients("ClientsTable").add(Client("stray", tenant_id("unrecorded")), now=datetime.now(UTC))

    assert refusal(cloud.announce(PHOTO, client_id="stray")) == (403, "unknown_client")


def test_a_tenant_being_removed_gets_no_client_and_its_name_is_not_free(cloud: Cloud) -> None:
    create(cloud)
    ask(cloud, "DELETE", "/initech")

    assert refusal(ask(cloud, "POST", "/initech/clients")) == (409, "tenant_being_removed")
    assert refusal(create(cloud)) == (409, "tenant_exists")
    (listed,) = [t for t in ask(cloud, "GET").json["tenants"] if t["tenant"] == "initech"]
    assert (listed["status"], bool(listed["removable_from"])) == ("removing", True)


def test_an_upload_that_slips_in_during_the_removal_ends_it_and_is_not_orphaned(cloud: Cloud) -> None:
    """A function that learned of the tenant just before its removal may give out one more ticket."""
    client = create(cloud).json["client_id"]
    cloud.list_images(client_id=client)
    cloud.announce(b"first", client_id=client)
    for item in cloud.dynamodb.scan(TableName="AssetsTable")["Items"]:
        cloud.dynamodb.delete_item(TableName="AssetsTable", Key={"tenant": item["tenant"], "id": item["id"]})
    ask(cloud, "DELETE", "/initech")
    assert cloud.announce(PHOTO, client_id=client).status == 201, "the function still remembers the tenant"
    cloud.store(PHOTO, tenant="initech")
    let_late_uploads_end(cloud)

    assert refusal(ask(cloud, "DELETE", "/initech")) == (409, "tenant_not_empty")

    assert cloud.tenants.get(tenant_id("initech")).status == "active"
    new = ask(cloud, "POST", "/initech/clients").json["client_id"]
    assert len(cloud.list_images(client_id=new).json["images"]) == 1


def test_a_name_is_free_again_after_the_removal_and_old_clients_stay_out(cloud: Cloud) -> None:
    old = create(cloud).json["client_id"]
    ask(cloud, "DELETE", "/initech")
    let_late_uploads_end(cloud)
    ask(cloud, "DELETE", "/initech")

    assert create(cloud).status == 201
    assert refusal(cloud.announce(PHOTO, client_id=old)) == (403, "unknown_client")


def test_nobody_removes_the_tenant_they_act_for(cloud: Cloud) -> None:
    assert refusal(ask(cloud, "DELETE", "/globex")) == (409, "own_tenant")
    assert recorded_clients(cloud, "globex") == {ADMIN}

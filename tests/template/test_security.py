"""What no function may do, whatever else it may: the blast radius that SECURITY.md describes."""

import re
import tomllib

import pytest

from infra.template import ALL, APPLICATION, FUNCTIONS, ROOT, as_list, environment, role_of, statements
from tests.template.resolved import resolve

GRANTS = [
    (function, action, next(iter(resource.values())))
    for function in FUNCTIONS
    for policy in role_of(function)["Policies"]
    for statement in statements(policy["PolicyDocument"])
    for action in as_list(statement["Action"])
    for resource in as_list(statement["Resource"])
]


def holders(action: str, resource: str = "") -> set[str]:
    return {function for function, granted, where in GRANTS if granted == action and resource in where}


def test_only_the_functions_that_must_can_write_or_delete_objects() -> None:
    assert holders("s3:PutObject", "Originals") == {"RequestUpload", "ImportWorker"}
    # An erased image may leave near-duplicates that have to be rendered.
    renderers = {"Ingest", "Render", "ImportWorker", "RebuildWorker", "EraseWorker"}
    assert holders("s3:PutObject", "Renditions") == renderers
    workers = {"ImportWorker", "PurgeWorker", "RebuildWorker", "EraseWorker"}
    assert holders("s3:DeleteObject") == {"Ingest", "Purge", *workers}


def test_only_purge_and_erase_delete_assets_tenants_the_announced_and_only_tenants_makes_clients() -> None:
    assert holders("dynamodb:DeleteItem", "AssetsTable") == {"Purge", "PurgeWorker", "Tenants", "EraseWorker"}
    assert holders("dynamodb:PutItem", "ClientsTable") == {"Tenants"}
    holders_of = {
        service: {function for function, action, _ in GRANTS if action.startswith(f"{service}:")}
        for service in ("cognito-idp", "kms")
    }
    assert holders_of["cognito-idp"] == {"Tenants", "EraseWorker"}
    assert holders_of["kms"] == {"Jobs", "Purge", "EraseWorker", "Webhooks", "WebhookDelivery"}


def test_who_seals_a_webhooks_secret_cannot_open_it_and_no_other_function_can_do_either() -> None:
    assert holders("kms:Encrypt") == {"Webhooks"}
    assert holders("kms:Decrypt") == {"WebhookDelivery"}
    assert holders("kms:Encrypt", "SigningKey") == holders("kms:GenerateMac", "SecretsKey") == set()


def test_only_the_local_configuration_lets_webhooks_name_this_very_machine() -> None:
    assert APPLICATION.default("WebhooksToLoopback") == "false"
    configuration = tomllib.loads((ROOT / "samconfig.toml").read_text())
    saying = [name for name, commands in configuration.items() if "WebhooksToLoopback" in str(commands)]
    assert saying == ["local"]


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_a_function_reaches_no_service_beyond_the_pipelines(function: str) -> None:
    services = {action.partition(":")[0] for holder, action, _ in GRANTS if holder == function}
    assert services <= {"dynamodb", "s3", "sqs", "logs", "kms", "cognito-idp", "events", "states"}


def test_a_version_that_purge_left_restorable_can_be_deleted_by_an_erasure_alone() -> None:
    """Who renders takes back what was stored for an asset that is gone, and a rebuild what it replaced."""
    changing = [grant for grant in GRANTS if not grant[1].startswith("s3:List")]
    found = [
        grant
        for grant in changing
        if ("Version" in grant[1] or "Lifecycle" in grant[1]) and grant[0] != "EraseWorker"
    ]
    assert {function for function, _, _ in found} == {"Ingest", "Render", "ImportWorker", "RebuildWorker"}
    for _, action, where in found:
        assert action == "s3:DeleteObjectVersion"
        assert "RenditionsBucket" in where
        assert "/renditions/*" in where


def test_foreign_buckets_are_read_by_imports_alone_and_only_those_that_are_named() -> None:
    policy = APPLICATION.of_type("AWS::IAM::Policy")["ImportSources"]
    listing, reading = statements(policy["PolicyDocument"])

    assert policy["Roles"] == [{"Ref": "JobPlannerRole"}, {"Ref": "ImportWorkerRole"}]
    assert (listing["Action"], listing["Resource"]) == ("s3:ListBucket", {"Ref": "ImportBuckets"})
    joined = {"Fn::Join": ["/*|", {"Ref": "ImportBuckets"}]}
    assert reading["Action"] == "s3:GetObject"
    assert reading["Resource"] == {"Fn::Split": ["|", {"Fn::Join": ["", [joined, "/*"]]}]}
    assert APPLICATION.document["Resources"]["ImportSources"]["Condition"] == "Imports"
    assert APPLICATION.default("ImportBuckets") == ""


def test_those_who_tell_urls_may_sign_them_by_one_key_where_views_are_signed_at_all() -> None:
    assert set(APPLICATION.of_type("AWS::IAM::Policy")) == {"ImportSources", "SignViews"}
    policy = APPLICATION.of_type("AWS::IAM::Policy")["SignViews"]
    (statement,) = statements(policy["PolicyDocument"])
    assert (statement["Action"], statement["Resource"]) == ("kms:Sign", {"Ref": "ViewKey"})
    telling = {function for function in FUNCTIONS if "VIEW_SIGNER" in environment(function)}
    assert policy["Roles"] == [{"Ref": f"{function}Role"} for function in FUNCTIONS if function in telling]
    assert APPLICATION.document["Resources"]["SignViews"]["Condition"] == "SignedViews"
    assert APPLICATION.default("ViewKey") == ""


def test_whoever_is_allowed_by_a_resource_is_a_service_or_the_account_itself() -> None:
    for template in ALL:
        for kind in ("AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy"):
            for properties in template.of_type(kind).values():
                for statement in statements(properties["PolicyDocument"]):
                    _, kept, _ = statement.get("Fn::If", (None, statement, None))
                    if kept["Effect"] == "Allow":
                        assert set(kept["Principal"]) == {"Service"}, kept


def test_the_only_function_url_is_the_cdns_which_alone_may_call_it() -> None:
    assert not [name for name, function in FUNCTIONS.items() if "FunctionUrlConfig" in function]
    (url,) = APPLICATION.of_type("AWS::Lambda::Url").values()
    assert resolve(url["AuthType"]) == "AWS_IAM"
    granted = {
        permission["Action"]: permission
        for permission in map(resolve, APPLICATION.of_type("AWS::Lambda::Permission").values())
    }
    assert set(granted) == {"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"}
    for permission in granted.values():
        assert permission["Principal"] == "cloudfront.amazonaws.com"
        assert permission["SourceArn"].endswith(":distribution/Distribution")
    assert granted["lambda:InvokeFunctionUrl"]["FunctionUrlAuthType"] == "AWS_IAM"
    assert granted["lambda:InvokeFunction"]["InvokedViaFunctionUrl"] is True


def test_the_user_pool_lets_nobody_sign_up() -> None:
    (pool,) = APPLICATION.of_type("AWS::Cognito::UserPool").values()
    assert pool["AdminCreateUserConfig"] == {"AllowAdminCreateUserOnly": True}


def test_the_security_document_tells_what_every_function_may_do() -> None:
    document = (ROOT / "SECURITY.md").read_text()
    table = document.partition("## What each function may do")[2].partition("\n## ")[0]
    rows = {
        name for row in re.findall(r"^\|([A-Z][\w, ]+)\|", table, re.MULTILINE) for name in row.split(", ")
    }
    assert rows == set(FUNCTIONS)


def test_every_test_that_the_security_document_names_exists() -> None:
    document = (ROOT / "SECURITY.md").read_text()
    named = re.findall(r"`((?:tests/\w+/)?test_\w+\.py)`", document)
    assert named
    for name in named:
        found = [ROOT / name] if "/" in name else list(ROOT.glob(f"tests/*/{name}"))
        assert any(path.exists() for path in found), name

"""`make doctor`: what it finds in an account, told by what AWS answers."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.operator.doctor import (
    CHECKS,
    DEFAULTS,
    Deployment,
    Verdict,
    examine,
    fitting_concurrency,
    main,
)
from infra.template import APPLICATION


def refused(code: str, status: int) -> ClientError:
    answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "Any")


class Account:
    """An AWS account: empty, with room for the template as it is and one job, unless said otherwise."""

    def __init__(self, **has: Any) -> None:
        self.quota = has.get("quota", 12)
        self.role = has.get("role")
        self.taken: Mapping[str, int] = has.get("taken", {})
        self.pool_of_domain = has.get("pool_of_domain")
        self.clients = has.get("clients", 0)
        self.denied = has.get("denied", "")

    def __call__(self, service: str) -> Any:
        if service == self.denied:
            raise refused("AccessDenied", 403)
        return SimpleNamespace(
            get_account_settings=lambda: {"AccountLimit": {"ConcurrentExecutions": self.quota}},
            get_account=lambda: {"cloudwatchRoleArn": self.role} if self.role else {},
            head_bucket=self.head_bucket,
            describe_user_pool_domain=lambda **_: {
                "DomainDescription": {"UserPoolId": self.pool_of_domain} if self.pool_of_domain else {}
            },
            get_paginator=lambda _: SimpleNamespace(
                paginate=lambda UserPoolId: [{"UserPoolClients": [UserPoolId] * self.clients}]  # noqa: N803
            ),
        )

    def head_bucket(self, Bucket: str) -> None:  # noqa: N803 - boto3's own
        status = next((status for word, status in self.taken.items() if word in Bucket), 404)
        if status >= 400:
            raise refused("Any", status)


def deployment(stack: str = "catalog-images", *, exists: bool = False, **parameters: str) -> Deployment:
    return Deployment(
        stack=stack,
        region="eu-central-1",
        account="123456789012",
        parameters={**DEFAULTS, **parameters},
        outputs={"UserPoolId": "pool"} if exists else {},
        exists=exists,
    )


def told(of: Deployment, account: Account, verdict: Verdict) -> list[str]:
    return [finding.says for finding in examine(of, account) if finding.verdict is verdict]


def test_the_template_as_it_is_fits_a_new_account() -> None:
    assert told(deployment(), Account(quota=10), Verdict.FAULT) == []


def test_an_account_without_room_for_a_jobs_workers_is_told_before_one_runs() -> None:
    assert told(deployment(), Account(quota=12), Verdict.NOTE) == []
    (note,) = told(deployment(), Account(quota=11), Verdict.NOTE)
    assert "each catalog job takes up to 2 more" in note
    assert told(deployment(JobConcurrency="1"), Account(quota=11), Verdict.NOTE) == []


def test_an_account_that_cannot_show_a_page_of_new_images_is_told_where_there_is_a_cdn() -> None:
    def notes(quota: int, cdn: str) -> list[str]:
        return [
            note
            for note in told(deployment(EnableCdn=cdn), Account(quota=quota), Verdict.NOTE)
            if "views" in note
        ]

    assert notes(10, "false") == notes(20, "true") == []
    (note,) = notes(19, "true")
    assert "this account runs 19" in note


def test_the_doctor_knows_the_templates_own_defaults() -> None:
    assert {name: str(APPLICATION.default(name)) for name in DEFAULTS} == DEFAULTS


@pytest.mark.parametrize("quota", [10, 50, 100, 1000, 5000])
def test_what_the_doctor_says_fits_an_account_leaves_room_for_the_api(quota: int) -> None:
    ingest, render = fitting_concurrency(quota, jobs=2)
    choices = APPLICATION.document["Parameters"]["IngestConcurrency"]["AllowedValues"]
    assert {str(ingest), str(render)} <= set(choices)
    assert ingest + render + 2 + 4 <= quota
    assert quota == 10 or ingest + render + 2 + 4 + 2 <= quota


def test_more_functions_than_the_account_runs_are_a_fault_that_names_what_fits() -> None:
    (fault,) = told(deployment(RenderConcurrency="20"), Account(quota=10), Verdict.FAULT)
    assert "IngestConcurrency=2 RenderConcurrency=2" in fault


@pytest.mark.parametrize(
    ("stack", "word"),
    [
        ("Catalog", "lower-case"),
        ("default", "default"),
        ("my-aws-images", "DomainPrefix"),
        ("a-name-of-thirty-characters-it-is", "shorten"),
    ],
)
def test_a_name_that_aws_refuses_somewhere_is_a_fault(stack: str, word: str) -> None:
    assert any(word in fault for fault in told(deployment(stack), Account(), Verdict.FAULT))


def test_a_domain_prefix_of_its_own_helps_a_stack_whose_name_cognito_refuses() -> None:
    assert told(deployment("my-aws-images", DomainPrefix="shop"), Account(), Verdict.FAULT) == []


@pytest.mark.parametrize(("status", "word"), [(200, "kept from an earlier stack"), (403, "another account")])
def test_a_bucket_that_is_there_already_is_a_fault_that_a_suffix_mends(status: int, word: str) -> None:
    account = Account(taken={"catalog-images-originals-1": status})
    (fault,) = told(deployment(), account, Verdict.FAULT)
    assert word in fault
    assert told(deployment(NameSuffix="-2"), account, Verdict.FAULT) == []
    if status == 200:
        assert told(deployment(exists=True), account, Verdict.FAULT) == []


def test_a_log_role_that_another_stack_set_is_not_replaced_unasked() -> None:
    account = Account(role="arn:aws:iam::123456789012:role/other")
    assert "CreateApiGatewayLogRole=false" in told(deployment(), account, Verdict.NOTE)[0]
    without = deployment(CreateApiGatewayLogRole="false")
    assert told(without, account, Verdict.NOTE) == []
    assert "log role" in told(without, Account(), Verdict.FAULT)[0]


def test_a_token_endpoint_of_another_pool_is_a_fault() -> None:
    (fault,) = told(deployment(), Account(pool_of_domain="eu-central-1_other"), Verdict.FAULT)
    assert "DomainPrefix" in fault


def test_a_pool_that_is_nearly_full_of_clients_is_noted() -> None:
    assert told(deployment(exists=True), Account(clients=400), Verdict.NOTE) == []
    (note,) = told(deployment(exists=True), Account(clients=950), Verdict.NOTE)
    assert "950" in note


@pytest.mark.parametrize("service", ["lambda", "apigateway", "cognito-idp"])
def test_what_the_credentials_may_not_see_is_said_and_the_rest_is_checked(service: str) -> None:
    findings = list(examine(deployment(), Account(denied=service)))
    notes = [finding.says for finding in findings if finding.verdict is Verdict.NOTE]
    assert len(notes) == 1
    assert len(findings) >= len(CHECKS)


def test_a_parameter_without_a_value_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--stack", "catalog-images", "--set", "RenderConcurrency"])
    assert "RenderConcurrency" in capsys.readouterr().err

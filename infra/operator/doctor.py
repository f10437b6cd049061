"""Check an AWS account before a deployment: would this stack fit, and what would go wrong?

    python -m infra.operator.doctor --stack catalog-images [--set RenderConcurrency=20 ...]

Changes nothing.  Prints one line a check (ok, note or FAULT) with what to do; the exit status is 1 if a
deployment would fail or be throttled.  Needs credentials that may read STS, CloudFormation, Lambda, S3, API
Gateway and Cognito; a check that they do not allow is a note.
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError

# AWS's own: S3 bucket names, Cognito domain prefixes, and the words Cognito refuses in them.
_LONGEST_NAME: Final = 63
_REFUSED_IN_DOMAINS: Final = ("aws", "amazon", "cognito")
# Functions at once beside ingest and render: the template's 2 of purge, and 4 for the API, the streams and,
# where a tenant has any, its 2 of webhooks.
_PURGE_AT_ONCE: Final = 2
_OTHERS_AT_ONCE: Final = 4
_WEBHOOKS_AMONG_OTHERS: Final = 2
_VIEWS_AT_ONCE: Final = 20  # a page of images; by HTTP/2 browsers ask for all of them at once
_CHOICES: Final = (2, 5, 10, 20, 50, 100, 200, 500, 1000)  # of both parameters in template.yaml
_CLIENTS_A_POOL: Final = 1_000  # docs.aws.amazon.com/cognito/latest/developerguide/limits.html
DEFAULTS: Final[Mapping[str, str]] = {
    "IngestConcurrency": "2",
    "RenderConcurrency": "2",
    "JobConcurrency": "2",
    "WebhookConcurrency": "2",
    "NameSuffix": "",
    "DomainPrefix": "",
    "CreateApiGatewayLogRole": "true",
    "EnableCdn": "false",
}


class Verdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    NOTE = "note"
    FAULT = "FAULT"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, with what to do about it."""

    verdict: Verdict
    says: str


@dataclass(frozen=True, slots=True)
class Deployment:
    """What will be deployed, and where; `exists` if there is a stack of that name."""

    stack: str
    region: str
    account: str
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]
    exists: bool

    def buckets(self) -> tuple[str, str]:
        suffix = self.parameters["NameSuffix"]
        place = f"{suffix}-{self.account}-{self.region}"
        return f"{self.stack}-originals{place}", f"{self.stack}-renditions{place}"

    def domain(self) -> str:
        return self.parameters["DomainPrefix"] or f"{self.stack}-{self.account}"


Clients = Callable[[str], Any]
"""A boto3 client by the service's name."""


def names(deployment: Deployment, _: Clients) -> Iterator[Finding]:
    """What the stack's name becomes part of: buckets, the token endpoint, the event bus."""
    if not re.fullmatch(r"[a-z][a-z0-9-]*", deployment.stack) or deployment.stack == "default":
        yield Finding(
            Verdict.FAULT, "the stack's name must be lower-case letters, digits, hyphens; not `default`"
        )
        return
    longest = max(map(len, deployment.buckets()))
    if longest > _LONGEST_NAME:
        yield Finding(
            Verdict.FAULT,
            f"the stack's name makes bucket names of {longest} characters, and S3 takes {_LONGEST_NAME}: "
            f"shorten it by {longest - _LONGEST_NAME}",
        )
    domain = deployment.domain()
    if refused := [word for word in _REFUSED_IN_DOMAINS if word in domain]:
        yield Finding(Verdict.FAULT, f"Cognito refuses `{refused[0]}` in {domain}: set DomainPrefix")
    elif len(domain) > _LONGEST_NAME:
        yield Finding(Verdict.FAULT, f"{domain} is over {_LONGEST_NAME} characters: set DomainPrefix")
    else:
        yield Finding(Verdict.OK, f"names: {', '.join(deployment.buckets())}, {domain}")


def concurrency(deployment: Deployment, client: Clients) -> Iterator[Finding]:
    """Functions that may run at once in the account and region, those of everybody in it."""
    has = client("lambda").get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
    ingest, render = (int(deployment.parameters[f"{name}Concurrency"]) for name in ("Ingest", "Render"))
    webhooks = int(deployment.parameters["WebhookConcurrency"]) - _WEBHOOKS_AMONG_OTHERS
    needed = ingest + render + webhooks + _PURGE_AT_ONCE + _OTHERS_AT_ONCE
    jobs = int(deployment.parameters["JobConcurrency"])
    fits = "IngestConcurrency={} RenderConcurrency={}".format(*fitting_concurrency(has, jobs))
    if needed > has:
        yield Finding(
            Verdict.FAULT,
            f"this account runs {has} functions at once, and this stack wants {needed}: its API would be "
            f"throttled.  Deploy with {fits}, or ask for more (Service Quotas, Lambda, L-B99A9384)",
        )
    elif needed + jobs > has:
        yield Finding(
            Verdict.NOTE,
            f"concurrency: {needed} of this account's {has}; each catalog job takes up to {jobs} more while "
            "it runs, and live requests may be throttled: ask for more (Service Quotas, Lambda, L-B99A9384)",
        )
    else:
        yield Finding(
            Verdict.OK,
            f"concurrency: {needed} of this account's {has}, {jobs} more a running job; up to {fits} fits",
        )


def fitting_concurrency(has: int, jobs: int) -> tuple[int, int]:
    """Ingest and render functions at once for an account that runs `has`, beside one job's workers.

    A third of it stays for the API.
    """
    room = min(has - _PURGE_AT_ONCE - _OTHERS_AT_ONCE - jobs, has * 2 // 3)
    ingest = max((choice for choice in _CHOICES if choice * 3 <= room), default=_CHOICES[0])
    render = max((choice for choice in _CHOICES if choice <= room - ingest), default=_CHOICES[0])
    return ingest, render


def views(deployment: Deployment, client: Clients) -> Iterator[Finding]:
    """Functions that may run at once for a page of images that nobody has looked at."""
    if deployment.parameters["EnableCdn"] != "true":
        return
    has = client("lambda").get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
    if has < _VIEWS_AT_ONCE:
        yield Finding(
            Verdict.NOTE,
            f"views: the first views of a page of {_VIEWS_AT_ONCE} images are as many functions at once, and "
            f"this account runs {has}: some would not be shown (429).  Ask for more (Service Quotas, Lambda, "
            "L-B99A9384)",
        )


def log_role(deployment: Deployment, client: Clients) -> Iterator[Finding]:
    """The access log role of API Gateway: one for each account and region."""
    role = client("apigateway").get_account().get("cloudwatchRoleArn")
    creates = deployment.parameters["CreateApiGatewayLogRole"] == "true"
    if creates and role and not deployment.exists:
        yield Finding(
            Verdict.NOTE,
            f"API Gateway logs with {role} here: deploy with CreateApiGatewayLogRole=false, or it is "
            "replaced for every API of the region",
        )
    elif not creates and not role:
        yield Finding(
            Verdict.FAULT, "API Gateway has no log role here: leave CreateApiGatewayLogRole at true"
        )
    else:
        yield Finding(Verdict.OK, f"API Gateway's log role: {role or 'made by the stack'}")


def buckets(deployment: Deployment, client: Clients) -> Iterator[Finding]:
    """Buckets outlive their stack, and their names are everybody's."""
    for bucket in deployment.buckets():
        try:
            client("s3").head_bucket(Bucket=bucket)
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if status == 404:
                yield Finding(Verdict.OK, f"{bucket} is free")
            else:
                yield Finding(
                    Verdict.FAULT,
                    f"{bucket} is another account's, or hidden from you (HTTP {status}): set NameSuffix",
                )
            continue
        if deployment.exists:
            yield Finding(Verdict.OK, f"{bucket} is this stack's")
        else:
            yield Finding(
                Verdict.FAULT,
                f"{bucket} was kept from an earlier stack: set NameSuffix (-2, say); docs/operations.md, "
                "`A stack made again`, tells how to take its images over",
            )


def identity(deployment: Deployment, client: Clients) -> Iterator[Finding]:
    """The token endpoint's name, and the clients a pool takes."""
    described = client("cognito-idp").describe_user_pool_domain(Domain=deployment.domain())
    if described.get("DomainDescription", {}).get("UserPoolId") and not deployment.exists:
        yield Finding(
            Verdict.FAULT, f"the token endpoint {deployment.domain()} is another pool's: set DomainPrefix"
        )
    if pool := deployment.outputs.get("UserPoolId"):
        pages = client("cognito-idp").get_paginator("list_user_pool_clients").paginate(UserPoolId=pool)
        number = sum(len(page["UserPoolClients"]) for page in pages)
        verdict = Verdict.NOTE if number > _CLIENTS_A_POOL * 9 // 10 else Verdict.OK
        yield Finding(
            verdict, f"clients: {number}; a pool takes {_CLIENTS_A_POOL:,}, or up to 10,000 when asked for"
        )
    else:
        yield Finding(Verdict.OK, f"the token endpoint {deployment.domain()} is free in this account")


CHECKS: Final = (names, concurrency, views, log_role, buckets, identity)


def examine(deployment: Deployment, client: Clients) -> Iterator[Finding]:
    """Every check's findings; a check that the credentials do not allow is a note."""
    for check in CHECKS:
        try:
            yield from check(deployment, client)
        except ClientError as error:
            yield Finding(Verdict.NOTE, f"not checked: {check.__doc__} {error}")


def described(stack: str, chosen: Mapping[str, str], session: boto3.Session) -> Deployment:
    """What would be deployed: chosen parameters, else the stack's, else the template's defaults."""
    parameters, outputs, exists = dict(DEFAULTS), dict[str, str](), False
    try:
        found = session.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":  # there is no such stack
            raise
    else:
        exists = found["StackStatus"] != "REVIEW_IN_PROGRESS"
        parameters |= {each["ParameterKey"]: each["ParameterValue"] for each in found.get("Parameters", [])}
        outputs = {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}
    return Deployment(
        stack=stack,
        region=session.client("s3").meta.region_name,
        account=session.client("sts").get_caller_identity()["Account"],
        parameters=parameters | chosen,
        outputs=outputs,
        exists=exists,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Would this stack fit this AWS account?")
    parser.add_argument("--stack", required=True, help="name of the stack to deploy")
    parser.add_argument("--set", action="append", default=[], metavar="PARAMETER=VALUE", help="repeatable")
    chosen = parser.parse_args(arguments)
    if wrong := [each for each in chosen.set if "=" not in each]:
        parser.error(f"--set takes PARAMETER=VALUE, not {wrong[0]}")
    session = boto3.Session()
    try:
        deployment = described(chosen.stack, dict(each.split("=", 1) for each in chosen.set), session)
        findings = list(examine(deployment, session.client))
    except (ClientError, BotoCoreError) as error:
        sys.exit(f"error: {error}")
    print(f"{deployment.stack} in account {deployment.account}, {deployment.region}")
    for finding in findings:
        print(f"  {finding.verdict:5}  {finding.says}")
    if any(finding.verdict is Verdict.FAULT for finding in findings):
        sys.exit(1)


if __name__ == "__main__":
    main()

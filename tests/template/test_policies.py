"""The expanded template by two strict readers: cfn-lint with every rule, and parliament for what IAM takes.

A finding that stays is argued here, as narrowly as it can be named; one that is not found any more must go.
"""

import json
import re
from collections.abc import Collection

import parliament
import pytest
from cfnlint.api import lint
from cfnlint.config import ManualArgs

from tests.template.expanded import expanded
from tests.template.resolved import policies

# Rule, what its message or its place must match, and why it stays.
LINT_STAYS = [
    (
        "I3011",
        r"(Queue|Logs|Key|Observability)\b",
        "What lies in a queue or a log, and what signed a confirm token, goes with its stack; buckets, "
        "tables and the pool stay (docs/operations.md, `A stack made again`).",
    ),
    (
        "I3042",
        r"(Permission\w+|Api)\b",
        "SAM writes these ARNs, for the partition it expands the template in.",
    ),
    (
        "W3037",
        r"sendmessagebatch",
        "Only where RequireTls is false, for the emulator, which asks for an action that IAM does not have.",
    ),
    ("W3002", r"", "`sam package` uploads infra/observability.yaml and writes its address."),
    (
        "I4010",
        r"",
        "Asks for descriptions for language models in Metadata; the template's comments are for people.",
    ),
]
# Issue, resource, a word of the detail, and why it stays.
POLICY_STAYS = [
    *(
        (
            "RESOURCE_STAR",
            key,
            "kms:",
            "A key's policy can name no other resource than its own key: `*`.",
        )
        for key in ("SigningKey", "SecretsKey")
    ),
    *(
        (
            "PERMISSIONS_MANAGEMENT_ACTIONS",
            key,
            "",
            "The account itself: without it nobody could ever delete or change the key.",
        )
        for key in ("SigningKey", "SecretsKey")
    ),
    (
        "RESOURCE_MISMATCH",
        "UsageRole",
        "ListStreams",
        "Takes no resource by IAM's list, and names the stream in SAM's own policies; `*` would be wider.",
    ),
    *(
        (
            "RESOURCE_MISMATCH",
            role,
            "states:",
            "parliament knows only the ARNs of Express executions; IAM takes `execution:<machine>:*`, too.",
        )
        for role in ("JobMachineRole", "JobSweeperRole")
    ),
]


def test_cfn_lint_with_every_rule_finds_only_what_is_argued(tmp_path) -> None:
    path = tmp_path / "template.json"
    path.write_text(json.dumps(expanded()))
    rules = ManualArgs(include_checks=["I"], include_experimental=True)
    found = [
        (match.rule.id, f"{match.path} {match.message}") for match in lint(path.read_text(), config=rules)
    ]
    unargued = [(rule, said) for rule, said in found if not _stays(rule, said)]
    assert unargued == []
    for rule, pattern, _ in LINT_STAYS:
        assert [said for id_, said in found if id_ == rule and re.search(pattern, said)], (
            f"{rule} is not found"
        )


def _stays(rule: str, said: str) -> bool:
    return any(rule == id_ and re.search(pattern, said) for id_, pattern, _ in LINT_STAYS)


def findings(document: dict) -> Collection[tuple[str, str]]:
    analyzed = parliament.analyze_policy_string(json.dumps(document), include_community_auditors=True)
    return [(finding.issue, str(finding.detail)) for finding in analyzed.findings]


def test_parliament_finds_in_the_policies_only_what_is_argued() -> None:
    found = [(issue, name, detail) for name, policy in policies() for issue, detail in findings(policy)]
    unargued = [
        one
        for one in found
        if not any(one[:2] == (issue, name) and word in one[2] for issue, name, word, _ in POLICY_STAYS)
    ]
    assert unargued == []
    for issue, name, word, _ in POLICY_STAYS:
        assert [one for one in found if one[:2] == (issue, name) and word in one[2]], f"{issue} is not found"


@pytest.mark.parametrize(
    ("action", "resource", "issue"),
    [
        ("sqs:SendMessageBatch", "arn:aws:sqs:us-east-1:123456789012:queue", "UNKNOWN_ACTION"),
        ("sqs:SendMessage", "arn:aws:s3:::bucket", "RESOURCE_MISMATCH"),
        ("s3:GetObject", "arn:aws:s3:::bucket", "RESOURCE_MISMATCH"),
    ],
)
def test_parliament_would_find_an_action_that_iam_does_not_have_and_a_resource_it_does_not_take(
    action: str, resource: str, issue: str
) -> None:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    assert issue in [issue for issue, _ in findings({"Version": "2012-10-17", "Statement": [statement]})]


def test_every_policy_of_the_template_is_read() -> None:
    names = {name for name, _ in policies()}
    assert len([name for name in names if name.endswith("Role")]) >= 13
    assert {
        "OriginalsBucketPolicy",
        "RenditionsBucketPolicy",
        "UploadsQueuePolicy",
        "SigningKey",
        "SecretsKey",
    } <= names

"""The state machine of jobs: valid, within the limits of AWS, with fields that the emulator honours alone."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from cfnlint.api import lint
from cfnlint.config import ManualArgs

from catalog.domain.erase import WORKERS_END_AFTER
from catalog.domain.jobs import JobKind
from catalog.use_cases.job_parts import WORK_FOR
from catalog.use_cases.job_planning import LONGEST_LINE, MOST_PARTS, ROUNDS_PER_EXECUTION, Next
from infra.template import APPLICATION, FUNCTIONS, ROOT, as_list, role_of, statements

MACHINE = APPLICATION.document["Resources"]["JobMachine"]["Properties"]
TEXT = (ROOT / MACHINE["DefinitionUri"]).read_text()
# Limits of Step Functions: docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
MOST_BYTES = 262_144  # input or output of a state, an item of a map among them
EXPRESS_SECONDS = 300
MOST_EVENTS = 25_000
MOST_CHILDREN = 10_000  # of one map at once

# What a state may have.  MaxDelaySeconds and JitterStrategy change waits on AWS and nothing on the emulator.
ALLOWED = {
    "Task": {"Resource", "TimeoutSeconds", "Retry", "Catch", "Next", "End", "ResultPath", "OutputPath"},
    "Choice": {"Choices", "Default"},
    "Wait": {"TimestampPath", "Next"},
    "Map": {
        *("Label", "MaxConcurrency", "ToleratedFailurePercentage", "ItemReader", "ItemProcessor"),
        *("ResultPath", "Catch", "Next"),
    },
    "Succeed": set[str](),
    "Fail": {"Error", "Cause"},
}
OF_A_RETRY = {
    *("ErrorEquals", "IntervalSeconds", "BackoffRate", "MaxDelaySeconds", "JitterStrategy", "MaxAttempts"),
}


def definition(concurrency: int = 2) -> dict[str, Any]:
    """The machine as CloudFormation fills it in."""
    values = {
        name: f"arn:aws:lambda:eu-central-1:123456789012:function:{name}"
        for name in MACHINE["DefinitionSubstitutions"]
    }
    values |= {"Concurrency": str(concurrency), "Partition": "aws"}
    filled = re.sub(r"\$\{(\w+)\}", lambda found: values[found[1]], TEXT)
    machine: dict[str, Any] = json.loads(filled)
    return machine


def states(machine: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, state in machine["States"].items():
        yield name, state
        if "ItemProcessor" in state:
            yield from states(state["ItemProcessor"])


STATES = dict(states(definition()))
MAP = STATES["Carry out"]


def findings(machine: dict[str, Any]) -> list[str]:
    """What cfn-lint has to say of the machine, written into a template: it reads no file of its own."""
    properties = {"RoleArn": "arn:aws:iam::123456789012:role/jobs", "Definition": machine}
    resource = {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}
    rules = ManualArgs(regions=["eu-central-1"])
    return [str(match) for match in lint(json.dumps({"Resources": {"Jobs": resource}}), config=rules)]


def test_cfn_lint_finds_nothing_in_the_machine_and_would_find_a_wrong_field() -> None:
    assert findings(definition()) == []
    broken = definition()
    broken["States"]["Plan"]["Retry"][0]["MaxAttempts"] = "often"
    assert findings(broken)


def test_every_state_is_gone_on_to_and_every_way_on_leads_to_a_state() -> None:
    for machine in (definition(), MAP["ItemProcessor"]):
        ways = {machine["StartAt"]}
        for state in machine["States"].values():
            ways |= {
                way["Next"]
                for way in [state, *state.get("Choices", []), *state.get("Catch", [])]
                if "Next" in way
            }
            ways |= {state["Default"]} if "Default" in state else set()
        assert ways == set(machine["States"])


def test_every_placeholder_is_filled_in_and_every_value_has_a_place() -> None:
    assert set(re.findall(r"\$\{(\w+)\}", TEXT)) == set(MACHINE["DefinitionSubstitutions"])


@pytest.mark.parametrize("name", sorted(STATES))
def test_a_state_has_no_field_that_the_emulator_ignores(name: str) -> None:
    state = STATES[name]
    assert set(state) - {"Type"} <= ALLOWED[state["Type"]]
    for retry in state.get("Retry", []):
        assert set(retry) <= OF_A_RETRY


def test_the_map_reads_json_lines_and_neither_batches_nor_writes_results() -> None:
    assert not re.search("ItemBatcher|ResultWriter|MANIFEST|MaxConcurrencyPath|Tolerated\\w+Path", TEXT)
    assert MAP["ItemReader"]["ReaderConfig"] == {"InputType": "JSONL"}
    assert MAP["ItemProcessor"]["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"}
    assert MACHINE["Type"] == "STANDARD"
    assert MAP["ResultPath"] is None
    assert MAP["ToleratedFailurePercentage"] == 100
    assert len(MAP["Label"]) <= 40
    assert "TimeoutSeconds" not in definition()


def test_the_map_carries_out_as_much_at_once_as_the_deployment_says() -> None:
    assert definition(7)["States"]["Carry out"]["MaxConcurrency"] == 7
    assert MACHINE["DefinitionSubstitutions"]["Concurrency"] == {"Ref": "JobConcurrency"}
    for function in ("Jobs", "JobPlanner"):
        variables = FUNCTIONS[function]["Environment"]["Variables"]
        assert variables["JOB_CONCURRENCY"] == {"Ref": "JobConcurrency"}
    assert APPLICATION.document["Parameters"]["JobConcurrency"]["MaxValue"] <= MOST_CHILDREN


def test_every_answer_of_the_planner_and_every_kind_has_its_way() -> None:
    taken = {choice["StringEquals"]: choice["Next"] for choice in STATES["What next"]["Choices"]}
    assert set(taken) | {Next.END} == set(Next)
    kinds = {choice["StringEquals"]: choice["Next"] for choice in STATES["Kind"]["Choices"]}
    assert set(kinds) == set(JobKind)
    for kind, state in kinds.items():
        worker = "".join(map(str.title, kind.split("-"))) + "Worker"
        assert STATES[state]["Resource"].endswith(f":{worker}")


def test_a_worker_and_its_retries_end_within_the_five_minutes_of_an_express_child() -> None:
    for name, function in FUNCTIONS.items():
        if name.endswith("Worker") and name != "PurgeWorker":
            assert WORK_FOR.total_seconds() < function["Timeout"] <= EXPRESS_SECONDS - 60


def test_what_a_map_takes_and_answers_fits_into_a_state() -> None:
    assert LONGEST_LINE < MOST_BYTES
    # A child answers "{}": its state's output is replaced by nothing.
    workers = [state for state in STATES.values() if state.get("End")]
    assert len(workers) == len(JobKind)
    assert all(state["OutputPath"] is state["ResultPath"] is None for state in workers)
    assert len(json.dumps([{}] * MOST_PARTS, separators=(",", ":"))) < MOST_BYTES


def test_an_execution_hands_over_before_its_history_is_full() -> None:
    """A round is a task of 5 events, a choice of 2 and a map of 5; a task that is retried adds 3."""
    assert ROUNDS_PER_EXECUTION * (5 + 2 + 5) < MOST_EVENTS / 2


def test_a_fault_that_retries_do_not_heal_fails_the_job_by_name() -> None:
    for name in ("Plan", "Carry out"):
        assert STATES[name]["Catch"] == [
            {"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Fail job"}
        ]
    assert STATES["Fail job"]["Resource"] == STATES["Plan"]["Resource"]
    assert STATES["Fail job"]["Next"] == "Failed"


def test_the_machine_may_invoke_the_planner_and_the_workers_read_rounds_and_run_its_children_alone() -> None:
    role = APPLICATION.of_type("AWS::IAM::Role")["JobMachineRole"]
    granted = {
        (action, json.dumps(resource))
        for policy in role["Policies"]
        for statement in statements(policy["PolicyDocument"])
        for action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
    }
    own = "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}"
    invoked = {
        substituted["Fn::GetAtt"].removesuffix(".Arn")
        for substituted in MACHINE["DefinitionSubstitutions"].values()
        if "Fn::GetAtt" in substituted
    }
    children = f"{own}:execution:${{AWS::StackName}}-jobs:*"
    assert granted == {
        *(("lambda:InvokeFunction", json.dumps({"Fn::GetAtt": f"{name}.Arn"})) for name in invoked),
        ("s3:GetObject", json.dumps({"Fn::Sub": "${JobsBucket.Arn}/jobs/*"})),
        ("states:StartExecution", json.dumps({"Fn::Sub": f"{own}:stateMachine:${{AWS::StackName}}-jobs"})),
        ("states:DescribeExecution", json.dumps({"Fn::Sub": children})),
        ("states:StopExecution", json.dumps({"Fn::Sub": children})),
    }
    assert MACHINE["Name"] == {"Fn::Sub": "${AWS::StackName}-jobs"}
    (trust,) = statements(role["AssumeRolePolicyDocument"])
    assert trust["Principal"] == {"Service": "states.amazonaws.com"}


@pytest.mark.parametrize("function", ["Jobs", "JobPlanner", "JobSweeper"])
def test_only_the_api_the_planner_and_the_sweeper_start_executions(function: str) -> None:
    starting = {
        name
        for name in FUNCTIONS
        for policy in role_of(name)["Policies"]
        for statement in statements(policy["PolicyDocument"])
        if "states:StartExecution" in as_list(statement["Action"])
    }
    assert function in starting
    assert starting == {"Jobs", "JobPlanner", "JobSweeper"}


def test_only_workers_of_jobs_slow_down_for_long_where_they_are_throttled() -> None:
    """Live functions fail within seconds, and their queue or client tries again."""
    workers = {state["Resource"].rpartition(":")[2] for state in STATES.values() if state.get("End")}
    for name, function in FUNCTIONS.items():
        variables = function.get("Environment", {}).get("Variables", {})
        told = (variables.get("AWS_RETRY_MODE"), variables.get("AWS_MAX_ATTEMPTS"))
        assert told == (("adaptive", "5") if name in workers else (None, None)), name


def test_an_erasure_looks_again_when_every_function_that_stores_something_has_ended() -> None:
    """The planner stores only the lines of its own job, and none of a tenant that is erased is planned."""
    timeouts = {
        name: function.get("Timeout", 0) for name, function in FUNCTIONS.items() if name != "JobPlanner"
    }

    assert max(timeouts.values()) >= WORK_FOR.total_seconds()
    assert {name for name, lasts in timeouts.items() if lasts > WORKERS_END_AFTER.total_seconds()} == set()

"""What holds of every function: its role, its layers, its logs, its environment."""

import re

import pytest

from catalog.domain.presets import DEFAULT_PRESETS, InvalidPresetsError, parse_presets
from catalog.domain.purge import CLAIMED_FOR
from catalog.domain.sources import DEFAULT_PIXEL_LIMITS, parse_pixel_limits
from catalog.use_cases.decisions import RENDERED_AFTER
from infra.template import (
    ALL,
    APPLICATION,
    FUNCTIONS,
    GLOBALS,
    ROOT,
    as_list,
    environment,
    handler,
    layers,
    role_of,
    statements,
)

EVERY_FUNCTION = pytest.mark.parametrize("function", sorted(FUNCTIONS))
READ_BY_THE_RUNTIME_OR_A_LIBRARY = re.compile(
    r"POWERTOOLS_\w+|LOG_LEVEL|OPENBLAS_NUM_THREADS|AWS_RETRY_MODE|AWS_MAX_ATTEMPTS|RES_OPTIONS"
)


def _inline_statements(function):
    return [s for policy in role_of(function)["Policies"] for s in statements(policy["PolicyDocument"])]


@EVERY_FUNCTION
def test_a_function_has_a_role_of_its_own_that_only_lambda_assumes(function):
    (trust,) = statements(role_of(function)["AssumeRolePolicyDocument"])
    assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}
    assert "Policies" not in FUNCTIONS[function], "the role says what a function may do, all of it"


@EVERY_FUNCTION
def test_lambda_logs_in_its_text_format_which_dead_letters_reads(function):
    assert set(FUNCTIONS[function]["LoggingConfig"]) == {"LogGroup"}
    assert "LoggingConfig" not in GLOBALS


@EVERY_FUNCTION
def test_a_function_may_use_no_wildcard_action_and_no_wildcard_resource(function):
    for statement in _inline_statements(function):
        assert statement["Effect"] == "Allow"
        for action in as_list(statement["Action"]):
            assert re.fullmatch(r"[a-z0-9-]+:[A-Za-z]+", action), action
        for resource in as_list(statement["Resource"]):
            ((intrinsic, target),) = resource.items()
            assert intrinsic in {"Fn::GetAtt", "Fn::Sub"}
            objects = r"\$\{\w+Bucket\.Arn\}/(originals|renditions|jobs)/\*"
            executions = r"arn:[^*]+:execution:\$\{AWS::StackName\}-jobs:\*"
            assert "*" not in target or re.fullmatch(f"{objects}|{executions}", target), target


@EVERY_FUNCTION
def test_a_function_shares_only_the_tracing_policy_which_cannot_be_narrowed(function):
    assert role_of(function)["ManagedPolicyArns"] == [{"Ref": "TracingPolicy"}]
    policy = APPLICATION.of_type("AWS::IAM::ManagedPolicy")["TracingPolicy"]["PolicyDocument"]
    (statement,) = statements(policy)
    assert {action.partition(":")[0] for action in statement["Action"]} == {"xray"}


@EVERY_FUNCTION
def test_a_function_writes_to_its_own_log_group_and_no_other(function):
    log_group = FUNCTIONS[function]["LoggingConfig"]["LogGroup"]
    assert log_group == {"Ref": f"{function}Logs"}
    (logs,) = [s for s in _inline_statements(function) if "logs:PutLogEvents" in as_list(s["Action"])]
    assert logs["Resource"] == {"Fn::GetAtt": f"{function}Logs.Arn"}


@pytest.mark.parametrize(
    ("name", "group"),
    [(name, group) for template in ALL for name, group in template.of_type("AWS::Logs::LogGroup").items()],
)
def test_a_log_group_forgets_after_the_chosen_days(name, group):
    assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}


@EVERY_FUNCTION
def test_the_imaging_layer_is_on_the_functions_that_touch_pixels_and_no_others(function):
    touches_pixels = re.search(r"^(from|import) imaging\b", handler(function).read_text(), re.MULTILINE)
    expected = ["CatalogLayer", "ImagingLayer"] if touches_pixels else ["CatalogLayer"]
    assert layers(function) == expected


@EVERY_FUNCTION
def test_a_function_gets_only_settings_that_the_code_reads(function):
    read = set(re.findall(r'"([A-Z][A-Z_]+)"', (ROOT / "layers/catalog/catalog/settings.py").read_text()))
    given = {name for name in environment(function) if not READ_BY_THE_RUNTIME_OR_A_LIBRARY.fullmatch(name)}
    assert given <= read


def _with_what_it_composes(code):
    shared = re.findall(r"\w+", " ".join(re.findall(r"from catalog\.composition import (.+)", code)))
    modules = [ROOT / f"layers/catalog/catalog/composition/{name}.py" for name in shared]
    return "".join([code, *(_with_what_it_composes(module.read_text()) for module in modules)])


@EVERY_FUNCTION
def test_a_function_gets_every_setting_its_handler_asks_for_and_no_other(function):
    source = (ROOT / "layers/catalog/catalog/settings.py").read_text()
    variables = dict(
        re.findall(r'def (\w+)\(\)[^\n]*:\n(?:(?!\ndef ).)*?"([A-Z][A-Z_]+)"', source, re.DOTALL)
    )
    code = _with_what_it_composes(handler(function).read_text())
    asked = set(re.findall(r"settings\.(\w+)\(", code))
    given = {name for name in environment(function) if not READ_BY_THE_RUNTIME_OR_A_LIBRARY.fullmatch(name)}
    assert given == {variables[name] for name in asked}


@EVERY_FUNCTION
def test_a_function_runs_where_the_layers_were_built_for_and_begins_no_trace(function):
    merged = {**GLOBALS, **FUNCTIONS[function]}
    assert merged["Runtime"] == "python3.13"
    assert merged["Architectures"] == ["x86_64"]
    assert merged["Tracing"] == "PassThrough"
    assert merged["Handler"] == "handler.handler"


@EVERY_FUNCTION
def test_a_function_that_reads_a_queue_reports_single_failures_within_a_bounded_concurrency(function):
    for event in FUNCTIONS[function].get("Events", {}).values():
        if event["Type"] == "SQS":
            assert event["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
            most = event["Properties"]["ScalingConfig"]["MaximumConcurrency"]
            if isinstance(most, int):
                continue
            mapping, choice, _ = most["Fn::FindInMap"]
            parameter = APPLICATION.document["Parameters"][choice["Ref"]]
            assert set(parameter["AllowedValues"]) == set(APPLICATION.document["Mappings"][mapping])
            assert parameter["Default"] in parameter["AllowedValues"]


def test_every_function_folder_is_deployed():
    folders = {path.parent for path in ROOT.glob("functions/*/handler.py")}
    assert {handler(function).parent for function in FUNCTIONS} == folders


def test_the_default_presets_and_pixel_limits_are_those_of_the_code():
    assert parse_presets(APPLICATION.default("Presets")) == DEFAULT_PRESETS
    assert parse_pixel_limits(APPLICATION.default("PixelLimits")) == DEFAULT_PIXEL_LIMITS


@pytest.mark.parametrize(
    "presets",
    [
        "",
        "[]",
        "{}",
        '[{"name": "thumb"}]',
        '[{"width": 1, "height": 1}]',
        '[{"name": "a", "width": 1, "height": 1} {"name": "b", "width": 1, "height": 1}]',
        "[" + ",".join(['{"name": "a", "width": 1, "height": 1}'] * 17) + "]",
    ],
)
def test_presets_that_the_functions_would_refuse_for_their_shape_are_refused_at_deployment(presets):
    assert not re.fullmatch(APPLICATION.document["Parameters"]["Presets"]["AllowedPattern"], presets)
    with pytest.raises(InvalidPresetsError):
        parse_presets(presets)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        (
            "Presets",
            '[{"name":"wide","width":4096,"height":1,"format":"webp","quality":80,"background":"#ffffff"}]',
        ),
        ("PixelLimits", "{}"),
        ("PixelLimits", '{"png": 1}'),
        ("AllowedOrigin", "https://shop.example.com"),
        ("AllowedOrigin", "http://localhost:8080"),
        ("DomainPrefix", "catalog-2"),
    ],
)
def test_a_usable_setting_is_accepted_at_deployment(parameter, value):
    assert re.fullmatch(APPLICATION.document["Parameters"][parameter]["AllowedPattern"], value)


@pytest.mark.parametrize(
    "parameter", [n for n, p in APPLICATION.document["Parameters"].items() if "AllowedPattern" in p]
)
def test_a_default_meets_its_own_pattern(parameter):
    definition = APPLICATION.document["Parameters"][parameter]
    assert re.fullmatch(definition["AllowedPattern"], definition["Default"])


def test_a_purge_worker_is_dead_when_its_claim_on_a_run_ends():
    assert FUNCTIONS["PurgeWorker"]["Timeout"] * 1.2 < CLAIMED_FOR.total_seconds()


def test_a_request_is_dead_when_the_jobs_it_sent_ahead_are_delivered():
    timeout = FUNCTIONS["Duplicates"].get("Timeout", GLOBALS["Timeout"])
    assert timeout * 1.2 < RENDERED_AFTER.total_seconds() <= 900  # SQS delays no message for longer

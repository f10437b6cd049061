"""The API: nothing without a scope, every refusal in the shape of our own errors."""

import json

import pytest

from infra.template import APPLICATION, FUNCTIONS

API = APPLICATION.of_type("AWS::Serverless::Api")["Api"]
CALLS = {
    (event["Properties"]["Method"].upper(), event["Properties"]["Path"]): event["Properties"]
    for function in FUNCTIONS.values()
    for event in function.get("Events", {}).values()
    if event["Type"] == "Api"
}
SCOPES = {
    f"{server['Identifier']}/{scope['ScopeName']}"
    for server in APPLICATION.of_type("AWS::Cognito::UserPoolResourceServer").values()
    for scope in server["Scopes"]
}


@pytest.mark.parametrize("call", sorted(CALLS))
def test_a_call_needs_a_token_with_a_scope_that_exists(call):
    auth = CALLS[call]["Auth"]
    assert auth["Authorizer"] in API["Auth"]["Authorizers"]
    assert auth["AuthorizationScopes"]
    assert set(auth["AuthorizationScopes"]) <= SCOPES


@pytest.mark.parametrize("call", sorted(CALLS))
def test_a_call_that_changes_something_needs_more_than_the_read_scope(call):
    method, _ = call
    (scope,) = CALLS[call]["Auth"]["AuthorizationScopes"]
    if method == "GET" or call == ("POST", "/compare"):
        assert scope in {"catalog/read", "catalog/admin"}
    else:
        assert scope in {"catalog/write", "catalog/admin"}


@pytest.mark.parametrize("call", sorted(CALLS))
def test_tenants_purges_and_jobs_are_an_administrators_business_alone(call):
    scopes = CALLS[call]["Auth"]["AuthorizationScopes"]
    assert (scopes == ["catalog/admin"]) == (call[1].split("/")[1] in {"tenants", "purge", "jobs"})


def test_a_preflight_needs_no_token_and_a_call_without_auth_of_its_own_needs_one():
    assert API["Auth"]["AddDefaultAuthorizerToCorsPreflight"] is False
    assert API["Auth"]["DefaultAuthorizer"] in API["Auth"]["Authorizers"]


def test_the_stage_logs_every_access():
    assert API["StageName"] == "v1"
    entry = json.loads(API["AccessLogSetting"]["Format"])
    assert {"request_id", "client_id", "status"} <= set(entry)


def test_a_share_of_the_stages_calls_is_traced_and_with_no_share_nothing_is():
    """X-Ray names a stage `<API's name>/<stage>`, and a rule by at most 32 characters."""
    rule = APPLICATION.of_type("AWS::XRay::SamplingRule")["ApiTraces"]["SamplingRule"]
    assert API["TracingEnabled"] == {"Fn::If": ["Traced", True, False]}
    assert APPLICATION.document["Resources"]["ApiTraces"]["Condition"] == "Traced"
    assert (API["Name"], API["StageName"]) == ({"Ref": "AWS::StackName"}, "v1")
    assert rule["ServiceName"] == {"Fn::Sub": "${AWS::StackName}/v1"}
    assert (rule["FixedRate"], rule["ReservoirSize"]) == ({"Ref": "TracedShare"}, 0)
    assert {rule[each] for each in ("Host", "HTTPMethod", "URLPath", "ResourceARN")} == {"*"}


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("UNAUTHORIZED", "401", "unauthorized"),
        ("ACCESS_DENIED", "403", "forbidden"),
        ("MISSING_AUTHENTICATION_TOKEN", "404", "not_found"),
        ("RESOURCE_NOT_FOUND", "404", "not_found"),
        ("REQUEST_TOO_LARGE", "413", "payload_too_large"),
        ("THROTTLED", "429", "too_many_requests"),
        ("DEFAULT_4XX", None, "bad_request"),
        ("DEFAULT_5XX", None, "internal_error"),
    ],
)
def test_what_the_gateway_refuses_itself_reads_like_our_own_errors(kind, status, code):
    response = API["GatewayResponses"][kind]
    assert response.get("StatusCode") == status
    text = response["ResponseTemplates"]["application/json"].replace(
        "$context.error.messageString", '"refused"'
    )
    error = json.loads(text)["error"]
    assert (error["code"], error["request_id"]) == (code, "$context.requestId")
    assert error["message"]
    assert "Access-Control-Allow-Origin" in response["ResponseParameters"]["Headers"]

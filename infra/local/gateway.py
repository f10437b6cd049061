"""Complete the REST API in the emulator, which ignores error and preflight answers of an OpenAPI body.

AWS takes both from the body that SAM writes.  The emulator (1.5.33) creates the routes, authorizers and
scopes of the body, but neither its gateway responses nor the headers of its mock integrations.  This module
sets them from the same body through the emulator's API Gateway calls.  Without it, only the JSON of a 401 and
a browser's preflight differ.
"""

import json
from collections.abc import Mapping
from typing import Any

STAGE = "v1"


def complete_api(api_id: str, stack_name: str, *, cloudformation: Any, apigateway: Any) -> None:
    """Set and deploy the gateway responses and preflight answers of the template."""
    template = cloudformation.get_template(StackName=stack_name, TemplateStage="Processed")["TemplateBody"]
    described = cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]
    values = {entry["ParameterKey"]: entry["ParameterValue"] for entry in described["Parameters"]}
    document = json.loads(template) if isinstance(template, str) else template
    body = _resolved(document["Resources"]["Api"]["Properties"]["Body"], values)
    for kind, response in body["x-amazon-apigateway-gateway-responses"].items():
        apigateway.put_gateway_response(restApiId=api_id, responseType=kind, **response)
    resources = apigateway.get_resources(restApiId=api_id, limit=500)["items"]
    for resource in resources:
        if "OPTIONS" in resource.get("resourceMethods", {}):
            preflight = body["paths"][resource["path"]]["options"]["x-amazon-apigateway-integration"]
            _answer_preflight(api_id, resource["id"], preflight, apigateway)
    deployment = apigateway.create_deployment(restApiId=api_id)["id"]
    patch = {"op": "replace", "path": "/deploymentId", "value": deployment}
    apigateway.update_stage(restApiId=api_id, stageName=STAGE, patchOperations=[patch])


def _answer_preflight(api_id: str, resource_id: str, integration: Mapping[str, Any], apigateway: Any) -> None:
    method = {"restApiId": api_id, "resourceId": resource_id, "httpMethod": "OPTIONS"}
    answer = integration["responses"]["default"]
    headers = answer["responseParameters"]
    apigateway.put_integration(**method, type="MOCK", requestTemplates=integration["requestTemplates"])
    apigateway.put_method_response(
        **method, statusCode="200", responseParameters=dict.fromkeys(headers, False)
    )
    apigateway.put_integration_response(
        **method, statusCode="200", responseParameters=headers, responseTemplates=answer["responseTemplates"]
    )


def _resolved(node: Any, values: Mapping[str, str]) -> Any:
    """The body with references to parameters replaced; other intrinsics stay."""
    if isinstance(node, list):
        return [_resolved(item, values) for item in node]
    if not isinstance(node, dict):
        return node
    if isinstance(text := node.get("Fn::Sub"), str):
        for name, value in values.items():
            text = text.replace(f"${{{name}}}", value)
        return text
    return {key: _resolved(value, values) for key, value in node.items()}

"""The events AWS sends our functions, in their real shapes."""

import json
from typing import Any
from urllib.parse import quote_plus

ACCOUNT = "123456789012"
REGION = "eu-central-1"


def api_event(
    method: str,
    path: str,
    *,
    client_id: str = "client-of-acme",
    body: object = None,
    query: dict[str, str] | None = None,
    scope: str = "catalog/read catalog/write",
    headers: dict[str, str] | None = None,
) -> dict[str, Any]:
    """What a REST API with a Cognito authorizer hands to its Lambda.  `body`: text as it is, else JSON."""
    return {
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": {"Content-Type": "application/json", "Host": "api.example.com"} | (headers or {}),
        "multiValueHeaders": {"Content-Type": ["application/json"]},
        "queryStringParameters": query,
        "multiValueQueryStringParameters": {name: [value] for name, value in (query or {}).items()} or None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": "api",
            "authorizer": {"claims": {"client_id": client_id, "scope": scope, "token_use": "access"}},
            "httpMethod": method,
            "identity": {"sourceIp": "203.0.113.7"},
            "path": f"/v1{path}",
            "protocol": "HTTP/1.1",
            "requestId": "request-1",
            "resourcePath": path,
            "stage": "v1",
        },
        "body": body if body is None or isinstance(body, str) else json.dumps(body),
        "isBase64Encoded": False,
    }


def view_event(path: str, *, if_none_match: str | None = None) -> dict[str, Any]:
    """What a function URL hands to its Lambda where CloudFront asks for a path."""
    host = "abc123.lambda-url.eu-central-1.on.aws"
    known = {"if-none-match": if_none_match} if if_none_match else {}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": host, "user-agent": "Amazon CloudFront", **known},
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": "abc123",
            "domainName": host,
            "domainPrefix": "abc123",
            "http": {
                "method": "GET",
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": "Amazon CloudFront",
            },
            "requestId": "request-1",
            "routeKey": "$default",
            "stage": "$default",
            "time": "22/Nov/2026:12:00:00 +0000",
            "timeEpoch": 1763812800000,
        },
        "isBase64Encoded": False,
    }


def s3_notification(bucket: str, *object_keys: str) -> str:
    """The body of the SQS message S3 sends when objects were created."""
    return json.dumps(
        {
            "Records": [
                {
                    "eventVersion": "2.1",
                    "eventSource": "aws:s3",
                    "awsRegion": REGION,
                    "eventTime": "2026-11-22T12:00:00.000Z",
                    "eventName": "ObjectCreated:Put",
                    "s3": {
                        "s3SchemaVersion": "1.0",
                        "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
                        "object": {
                            "key": quote_plus(key, safe="/"),
                            "size": 1,
                            "sequencer": "0055AED6DCD90281E5",
                        },
                    },
                }
                for key in object_keys
            ]
        }
    )


def sqs_event(*bodies: str) -> dict[str, Any]:
    """What Lambda's poller hands to a function that reads a queue."""
    return {
        "Records": [
            {
                "messageId": f"message-{number}",
                "receiptHandle": "handle",
                "body": body,
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": "1763812800000",
                    "SenderId": ACCOUNT,
                    "ApproximateFirstReceiveTimestamp": "1763812800001",
                },
                "messageAttributes": {},
                "md5OfBody": "",
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:queue",
                "awsRegion": REGION,
            }
            for number, body in enumerate(bodies)
        ]
    }

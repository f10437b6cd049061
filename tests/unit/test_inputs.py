"""What callers send, checked: every fault is named, unknown fields are refused, nothing is guessed."""

import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from catalog.api.inputs.comparisons import MAX_BODY_BYTES, BodyTooLargeError, compare_request
from catalog.api.inputs.fields import InvalidRequestError, UnsupportedTypeError
from catalog.api.inputs.images import list_request, path_asset_id
from catalog.api.inputs.metrics import metrics_request
from catalog.api.inputs.pages import page_alone, page_of_tenant
from catalog.api.inputs.pairs import decision_request, pair_in_path, pairs_request
from catalog.api.inputs.purge import purge_request
from catalog.api.inputs.references import path_reference
from catalog.api.inputs.tenants import (
    client_request,
    limits_request,
    path_client_id,
    path_tenant,
    tenant_request,
)
from catalog.api.inputs.uploads import UploadTooLargeError, upload_request
from catalog.domain.keys import AssetId, TenantId
from catalog.domain.limits import MAX_STORED_BYTES, MAX_UPLOADS_PER_MINUTE
from catalog.domain.near_duplicates import Decision, Verdict
from catalog.domain.tenants import DEFAULT_SCOPES

ID, OTHER = "5c" * 32, "d7" * 32
UPLOAD = {"sha256": ID, "size_bytes": 10, "content_type": "image/png", "filename": "lamp.png"}
BYTES = b"\xff\xd8\xff\x00 no text \xfe"


def faults(parse: Callable[..., Any], *given: Any, **more: Any) -> list[str]:
    """The fields that an input is refused for, in order."""
    with pytest.raises(InvalidRequestError) as refused:
        parse(*given, **more)
    assert all(fault.message for fault in refused.value.faults)
    return [fault.field for fault in refused.value.faults]


def announce(body: str | None) -> Any:
    return upload_request(body, max_upload_bytes=100)


def form(*fields: tuple[str, bytes]) -> bytes:
    parts = (
        f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="a"\r\n\r\n'.encode()
        + content
        + b"\r\n"
        for name, content in fields
    )
    return b"".join(parts) + b"--b--\r\n"


def compare(body: str | bytes | None, content_type: str) -> bytes | AssetId:
    """As API Gateway hands a body over: bytes of a binary media type in base64, any other as text."""
    text = base64.b64encode(body).decode() if isinstance(body, bytes) else body
    return compare_request(text, is_base64=isinstance(body, bytes), content_type=content_type)


# --- Bodies -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parse", [announce, decision_request, tenant_request, limits_request])
@pytest.mark.parametrize("body", [None, "", "{", "[]", '"x"', "null", "[" * 100_000, '{"a":' * 100_000])
def test_a_body_that_is_no_json_object_is_refused(
    parse: Callable[[str | None], Any], body: str | None
) -> None:
    assert faults(parse, body) == ["body"]


@pytest.mark.parametrize("parse", [purge_request, client_request])
@pytest.mark.parametrize("body", ["{", "[]", '"x"', "null", "[" * 100_000, '{"a":' * 100_000])
def test_a_body_that_may_be_missing_is_a_json_object_if_there_is_one(
    parse: Callable[[str | None], Any], body: str
) -> None:
    assert faults(parse, body) == ["body"]
    assert parse(None) == parse("") == parse("{}")


@pytest.mark.parametrize(
    ("changed", "fields"),
    [
        ({"sha256": "abc"}, ["sha256"]),
        ({"sha256": ID.upper()}, ["sha256"]),
        ({"sha256": None}, ["sha256"]),
        ({"sha256": ID + "\n"}, ["sha256"]),
        ({"size_bytes": 0}, ["size_bytes"]),
        ({"size_bytes": -1}, ["size_bytes"]),
        ({"size_bytes": 1.5}, ["size_bytes"]),
        ({"size_bytes": True}, ["size_bytes"]),
        ({"size_bytes": "12"}, ["size_bytes"]),
        ({"filename": ""}, ["filename"]),
        ({"filename": "x" * 256}, ["filename"]),
        ({"filename": "a\nb"}, ["filename"]),
        ({"filename": "\ud800"}, ["filename"]),
        ({"content_type": 7}, ["content_type"]),
        ({"tenant": "globex"}, ["tenant"]),
        ({"sha256": 1, "size_bytes": 0, "filename": None}, ["sha256", "size_bytes", "filename"]),
    ],
)
def test_every_fault_of_an_announcement_is_named(changed: dict[str, Any], fields: list[str]) -> None:
    assert faults(announce, json.dumps(UPLOAD | changed)) == fields


@pytest.mark.parametrize("declared", ["text/plain", "image/svg+xml", "image/jpg", "IMAGE/JPEG", ""])
def test_a_declared_type_off_the_allow_list_is_refused(declared: str) -> None:
    with pytest.raises(UnsupportedTypeError, match="image/jpeg"):
        announce(json.dumps(UPLOAD | {"content_type": declared}))


def test_an_announcement_over_the_limit_is_refused_with_the_limit() -> None:
    announce(json.dumps(UPLOAD | {"size_bytes": 100}))
    with pytest.raises(UploadTooLargeError, match="size_bytes is 101; at most 100"):
        announce(json.dumps(UPLOAD | {"size_bytes": 101}))


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"decision": "maybe"}, ["decision"]),
        ({}, ["decision"]),
        ({"decision": None}, ["decision"]),
        ({"decision": "same", "force": True}, ["force"]),
    ],
)
def test_every_fault_of_a_decision_is_named(body: dict[str, Any], fields: list[str]) -> None:
    assert faults(decision_request, json.dumps(body)) == fields


def test_a_decision_is_read() -> None:
    assert decision_request('{"decision": "same"}') is Decision.SAME


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"dry_run": False}, ["confirm_token"]),
        ({"dry_run": "no"}, ["dry_run"]),
        ({"confirm_token": "x"}, ["confirm_token"]),
        ({"confirm_token": 7, "dry_run": False}, ["confirm_token"]),
        ({"older_than_days": -1}, ["older_than_days"]),
        ({"older_than_days": 10**30}, ["older_than_days"]),
        ({"older_than_days": 1.5}, ["older_than_days"]),
        ({"older_than_days": True}, ["older_than_days"]),
        ({"dry_run": False, "confirm_token": "x", "older_than_days": 3}, ["older_than_days"]),
        ({"tenant": "../acme"}, ["tenant"]),
        ({"force": True}, ["force"]),
    ],
)
def test_every_fault_of_a_purge_is_named(body: dict[str, Any], fields: list[str]) -> None:
    assert faults(purge_request, json.dumps(body)) == fields


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["tenant"]),
        ({"tenant": "Initech"}, ["tenant"]),
        ({"tenant": "-x"}, ["tenant"]),
        ({"tenant": "x" * 64}, ["tenant"]),
        ({"tenant": "a/b"}, ["tenant"]),
        ({"tenant": 7}, ["tenant"]),
        ({"tenant": "x", "name": "X"}, ["name"]),
        ({"tenant": "x", "scopes": []}, ["scopes"]),
        ({"tenant": "x", "scopes": "catalog/read"}, ["scopes"]),
        ({"tenant": "x", "scopes": ["catalog/root"]}, ["scopes"]),
        ({"tenant": "x", "scopes": [{}]}, ["scopes"]),
        ({"tenant": "x", "limits": 5}, ["limits"]),
        ({"tenant": "x", "limits": {"uploads_per_minute": 0}}, ["limits.uploads_per_minute"]),
        ({"tenant": "x", "limits": {"uploads_per_minute": True}}, ["limits.uploads_per_minute"]),
        ({"tenant": "x", "limits": {"stored_bytes": 1.5}}, ["limits.stored_bytes"]),
        ({"tenant": "x", "limits": {"stored_bytes": 10**40}}, ["limits.stored_bytes"]),
        ({"tenant": "x", "limits": {"images": 1}}, ["limits.images"]),
        ({"tenant": "", "scopes": [1], "limits": {"x": 1}}, ["tenant", "scopes", "limits.x"]),
    ],
)
def test_every_fault_of_a_new_tenant_is_named(body: dict[str, Any], fields: list[str]) -> None:
    assert faults(tenant_request, json.dumps(body)) == fields


@pytest.mark.parametrize(
    ("body", "field"),
    [({"uploads_per_minute": -1}, "uploads_per_minute"), ({"stored_bytes": 0}, "stored_bytes"),
     ({"images": 1}, "images")],
)  # fmt: skip
def test_every_fault_of_limits_is_named(body: dict[str, Any], field: str) -> None:
    assert faults(limits_request, json.dumps(body)) == [field]


def test_a_new_client_has_scopes_and_no_other_field() -> None:
    assert faults(client_request, '{"scope": "x"}') == ["scope"]
    assert faults(client_request, '{"scopes": ["catalog/root"]}') == ["scopes"]
    assert client_request(None) == DEFAULT_SCOPES


@pytest.mark.parametrize(
    ("parse", "body"),
    [
        (announce, UPLOAD | {"size_bytes": 1, "filename": "x"}),
        (announce, UPLOAD | {"size_bytes": 100, "filename": "x" * 255}),
        (purge_request, {"older_than_days": 0}),
        (purge_request, {"older_than_days": 3650}),
        (limits_request, {"uploads_per_minute": 1, "stored_bytes": 1}),
        (limits_request, {"uploads_per_minute": MAX_UPLOADS_PER_MINUTE, "stored_bytes": MAX_STORED_BYTES}),
        (limits_request, {"uploads_per_minute": None}),
    ],
)
def test_what_is_just_within_the_bounds_is_accepted(
    parse: Callable[[str], Any], body: dict[str, Any]
) -> None:
    parse(json.dumps(body))


@pytest.mark.parametrize(
    ("parse", "body", "field"),
    [
        (purge_request, {"older_than_days": 3651}, "older_than_days"),
        (limits_request, {"uploads_per_minute": MAX_UPLOADS_PER_MINUTE + 1}, "uploads_per_minute"),
        (limits_request, {"stored_bytes": MAX_STORED_BYTES + 1}, "stored_bytes"),
        (limits_request, {"x" * 90: 1}, "x" * 80),
    ],
)
def test_what_is_just_out_of_bounds_is_refused(
    parse: Callable[[str], Any], body: dict[str, Any], field: str
) -> None:
    assert faults(parse, json.dumps(body)) == [field]


# --- What is compared ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ("", ["body"]),
        (None, ["body"]),
        ("[]", ["body"]),
        ("{}", ["id"]),
        ('{"id": 1}', ["id"]),
        ('{"id": "x"}', ["id"]),
        ('{"id": null, "file": "x"}', ["file", "id"]),
        ("\ud800", ["body"]),
        (b"\xff\xfe{}", ["body"]),
    ],
)
@pytest.mark.parametrize("content_type", ["application/json", "", ";"])
def test_what_is_compared_by_its_id_is_named_in_json(
    body: str | bytes | None, content_type: str, fields: list[str]
) -> None:
    assert faults(compare, body, content_type) == fields


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (form(), ["file"]),
        (form(("file", BYTES), ("file", BYTES)), ["file"]),
        (form(("file", BYTES), ("tenant", b"globex")), ["tenant"]),
        (form(("image", BYTES)), ["image", "file"]),
        (BYTES, ["body"]),
        (b"", ["body"]),
    ],
    ids=["empty", "twice", "more", "other", "no form", "nothing"],
)
def test_a_form_has_one_file_and_nothing_else(body: bytes, fields: list[str]) -> None:
    assert faults(compare, body, "multipart/form-data; boundary=b") == fields


def test_what_is_compared_is_bytes_a_file_of_a_form_or_an_id() -> None:
    assert compare(BYTES, "image/jpeg") == BYTES
    assert len(compare(bytes(MAX_BODY_BYTES), "image/jpeg")) == MAX_BODY_BYTES
    assert compare(BYTES, "IMAGE/JPEG; charset=binary") == BYTES
    assert compare(form(("file", BYTES)), "multipart/form-data; boundary=b") == BYTES
    assert compare(json.dumps({"id": ID}), "application/json; charset=utf-8") == ID


def test_a_body_that_is_no_base64_cannot_be_read() -> None:
    assert faults(compare_request, "%", is_base64=True, content_type="image/jpeg") == ["body"]


@pytest.mark.parametrize(
    "content_type", ["text/plain", "image/bmp", "image/*", "application/x-www-form-urlencoded", "x" * 5000]
)
def test_a_content_type_that_is_not_compared_is_answered_with_those_that_are(content_type: str) -> None:
    with pytest.raises(UnsupportedTypeError, match="multipart/form-data, application/json"):
        compare("x", content_type)


@pytest.mark.parametrize(
    "content_type", ["image/jpeg", "multipart/form-data; boundary=b", "application/json"]
)
def test_a_body_larger_than_a_request_can_carry_is_answered_with_the_other_way(content_type: str) -> None:
    with pytest.raises(BodyTooLargeError) as refused:
        compare(bytes(MAX_BODY_BYTES + 1), content_type)

    assert "POST /v1/images" in refused.value.message
    assert '{"id": ...}' in refused.value.message


# --- Queries ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parse", "query", "fields"),
    [
        (list_request, {"status": "gone"}, ["status"]),
        (list_request, {"tenant": "globex"}, ["tenant"]),
        (list_request, {"limit": "x", "status": "", "name": "y"}, ["name", "limit", "status"]),
        (pairs_request, {"limit": "51"}, ["limit"]),
        (pairs_request, {"likeness": "alike"}, ["likeness"]),
        (pairs_request, {"status": "ready"}, ["status"]),
        (page_of_tenant, {"limit": "0"}, ["limit"]),
        (page_of_tenant, {"tenant": "Acme"}, ["tenant"]),
        (page_of_tenant, {"state": "running"}, ["state"]),
        (page_alone, {"limit": "0"}, ["limit"]),
        (page_alone, {"limit": "101"}, ["limit"]),
        (page_alone, {"limit": "x"}, ["limit"]),
        (page_alone, {"tenant": "acme"}, ["tenant"]),
        (metrics_request, {"tenant": "Not A Tenant"}, ["tenant"]),
        (metrics_request, {"tenant": ""}, ["tenant"]),
        (metrics_request, {"since": "yesterday"}, ["since"]),
    ],
)
def test_every_fault_of_a_query_is_named(
    parse: Callable[[dict[str, str]], Any], query: dict[str, str], fields: list[str]
) -> None:
    assert faults(parse, query) == fields


def test_queries_are_read() -> None:
    assert pairs_request({"likeness": "suspected"}).likeness is Verdict.SUSPECTED
    assert page_of_tenant({"tenant": "acme"}).tenant == TenantId("acme")
    assert metrics_request({}).tenant is None
    assert metrics_request({"tenant": "*"}).every_tenant


# --- Paths --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("id_", ["x", "0" * 63, "A" * 64, "..", "%2e%2e", "0" * 64 + "x", "0" * 64 + "\n"])
def test_an_id_that_cannot_be_one_is_refused(id_: str) -> None:
    assert faults(path_asset_id, id_) == ["id"]


def test_a_pair_is_two_images() -> None:
    assert faults(pair_in_path, ID, ID) == ["other"]
    assert faults(pair_in_path, ID, "x") == ["id"]
    assert faults(pair_in_path, "x", ID) == ["id"]
    assert pair_in_path(ID, OTHER) == (ID, OTHER)


@pytest.mark.parametrize(
    "name",
    ["SKU 12/34 #5", "shop/lamps/4711", "A&B (new)", "10+2=12", "a.b/c..d", "o'neil", "x" * 128, "1"],
)
def test_a_name_as_shops_have_them_is_one_reference_whether_the_gateway_decodes_the_path_or_not(
    name: str,
) -> None:
    assert {path_reference(path) for path in (name, quote(name, safe=""), quote(name))} == {name}


@pytest.mark.parametrize(
    "name",
    [
        *("-x", ".", "a//b", "a/", "a/../b", "a/..", "a/./b", "a ", "a%2520b", "a%00", "a%0a", "x" * 129),
        *("\u00e9", f"duplicate/{ID}", f"duplicate%2F{ID}", ""),
    ],
)
def test_a_name_that_cannot_be_one_is_refused(name: str) -> None:
    assert faults(path_reference, name) == ["reference"]


def test_tenants_and_clients_in_a_path_are_checked() -> None:
    assert faults(path_tenant, "Nobody") == ["tenant"]
    assert faults(path_client_id, "x" * 129) == ["client_id"]
    assert faults(path_client_id, "a/b") == ["client_id"]
    assert path_tenant("acme") == "acme"
    assert path_client_id("client+of_acme") == "client+of_acme"

"""docs/openapi.yaml is the contract: valid, complete, and what the code answers."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import OpenAPIV31SpecValidator

from catalog.adapters.objects import Renditions
from catalog.api.http import item_created, item_ok, item_refused
from catalog.api.inputs import images
from catalog.api.inputs.comparisons import MAX_BODY_BYTES
from catalog.api.inputs.fields import Fault, InvalidRequestError
from catalog.api.inputs.images import path_asset_id
from catalog.api.inputs.job_options import OPTIONS
from catalog.api.inputs.jobs import job_request
from catalog.api.inputs.metrics import metrics_request
from catalog.api.inputs.pages import page_alone, page_of_tenant
from catalog.api.inputs.pairs import pairs_request
from catalog.api.inputs.purge import purge_request
from catalog.api.inputs.references import details_request, references_request
from catalog.api.inputs.uploads import announcements_request, upload_request
from catalog.api.representations import (
    asset_json,
    candidate_json,
    comparison_json,
    failure_json,
    found_json,
    group_member_json,
    image_json,
    job_json,
    known_json,
    metrics_json,
    pair_json,
    pass_json,
    proposal_json,
    run_json,
    summary_json,
    ticket_json,
)
from catalog.domain.assets import Asset, PerceptualHashes, Status
from catalog.domain.comparisons import SSIM_TARGET, Encoding, PresetComparison
from catalog.domain.duplicate_jobs import GroupMember, Join
from catalog.domain.errors import OutOfTimeError
from catalog.domain.jobs import FailedWork, Failure, Job, JobKind, JobState, Stage, Tally
from catalog.domain.keys import AssetId, AssetKey, TenantId
from catalog.domain.limits import TooManyUploadsError
from catalog.domain.near_duplicates import Apart, DecidedBy, Decision, Likeness, NearDuplicate, Pair, Verdict
from catalog.domain.paging import PageRequest
from catalog.domain.presets import DEFAULT_PRESETS, Format
from catalog.domain.purge import Kept, PurgeRun, RunSource, RunState
from catalog.domain.references import Use
from catalog.domain.rejections import Rejection, RejectionCode
from catalog.domain.renditions import Rendition
from catalog.domain.sources import Source, SourceFormat
from catalog.domain.uploads import DECLARED_TYPES, PresignedUpload, UploadTicket
from catalog.domain.usage import Usage
from catalog.domain.viewing import Pass
from catalog.use_cases.decisions import Decided
from catalog.use_cases.job_parts import WORKERS_DIED
from catalog.use_cases.lookup import Found
from catalog.use_cases.metrics import UsageByTenant
from catalog.use_cases.purge_requests import Proposal
from imaging.verification import Refusal
from infra.operator.merges import WHY

ROOT = Path(__file__).parents[2]
DOCUMENT: dict[str, Any] = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())
SCHEMAS = DOCUMENT["components"]["schemas"]
_NOW = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)
_KEY = AssetKey(TenantId("acme"), AssetId("5c" * 32))
_SOURCE = Source(SourceFormat.JPEG, 4032, 3024)
_HASHES = PerceptualHashes("0f" * 8, "f0" * 32)


class _Template(yaml.SafeLoader):
    """CloudFormation's short forms (`!Sub ...`) as the plain values behind them."""


def _untagged(loader: yaml.SafeLoader, _: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.ScalarNode)
    return loader.construct_scalar(node)


_Template.add_multi_constructor("!", _untagged)
TEMPLATE: dict[str, Any] = yaml.load((ROOT / "template.yaml").read_text(), _Template)  # noqa: S506 - a SafeLoader


def faults_of(instance: Any, schema: Mapping[str, Any]) -> list[str]:
    """How an instance breaks a schema of the document."""
    whole = {**schema, "components": DOCUMENT["components"]}
    validator = Draft202012Validator(whole, format_checker=FormatChecker())
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(instance)]


def schema(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def resolved(node: Any) -> Any:
    while isinstance(node, dict) and "$ref" in node:
        target: Any = DOCUMENT
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        node = target
    return node


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def documented_bodies() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every JSON body of every operation, with a name for it."""
    for method, path, operation in operations():
        if "requestBody" in operation:
            yield f"{method} {path} request", operation["requestBody"]["content"]["application/json"]
        for status, response in operation["responses"].items():
            yield f"{method} {path} {status}", resolved(response)["content"]["application/json"]


def documented_codes(status: str) -> set[str]:
    """The error codes that some operation documents for a status."""
    return {
        code
        for _, _, operation in operations()
        if status in operation["responses"]
        for part in resolved(operation["responses"][status])["content"]["application/json"]["schema"]["allOf"]
        if "properties" in part
        for code in part["properties"]["error"]["properties"]["code"]["enum"]
    }


def test_the_document_is_valid_openapi_3_1() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


def test_the_example_of_a_subject_that_stops_workers_is_in_the_codes_words() -> None:
    page = DOCUMENT["paths"]["/jobs/{id}/failures"]["get"]["responses"]["200"]["content"]["application/json"]
    (failure,) = page["examples"]["last"]["value"]["failures"]

    assert (failure["code"], failure["detail"]) == ("worker_died", WORKERS_DIED)


@pytest.mark.parametrize(("name", "body"), [pytest.param(n, b, id=n) for n, b in documented_bodies()])
def test_every_example_is_what_its_schema_says(name: str, body: dict[str, Any]) -> None:
    examples = [resolved(example)["value"] for example in body["examples"].values()]
    assert examples
    for example in examples:
        assert faults_of(example, body["schema"]) == [], name


def test_routes_and_scopes_are_those_of_the_template() -> None:
    deployed = {
        # A greedy parameter is API Gateway's own word: the documented one has its slashes percent-encoded.
        (event["Properties"]["Method"], event["Properties"]["Path"].replace("+}", "}")): event["Properties"][
            "Auth"
        ]["AuthorizationScopes"]
        for resource in TEMPLATE["Resources"].values()
        for event in resource["Properties"].get("Events", {}).values()
        if event["Type"] == "Api"
    }
    documented = {
        (method, path): operation["security"][0]["clientCredentials"]
        for method, path, operation in operations()
    }
    assert documented == deployed


def test_what_the_functions_cannot_answer_is_documented_as_internal_error() -> None:
    for _, path, operation in operations():
        assert "500" in operation["responses"], path
    assert documented_codes("500") == {"internal_error"}


def test_every_error_of_the_gateway_has_the_documented_shape_and_code() -> None:
    responses = TEMPLATE["Resources"]["Api"]["Properties"]["GatewayResponses"]
    default_status = {"DEFAULT_4XX": "400", "DEFAULT_5XX": "500"}
    for name, response in responses.items():
        # API Gateway quotes $context.error.messageString itself.
        text = response["ResponseTemplates"]["application/json"].replace(
            "$context.error.messageString", '"words"'
        )
        body = json.loads(text)
        assert faults_of(body, schema("Error")) == [], name
        status = response.get("StatusCode") or default_status[name]
        assert body["error"]["code"] in documented_codes(status), name


def test_every_rejection_code_is_listed_and_explained() -> None:
    code = SCHEMAS["Rejection"]["properties"]["code"]
    assert set(code["enum"]) == set(RejectionCode)
    for each in RejectionCode:
        assert f"`{each}`" in code["description"]


def test_every_status_is_listed_and_explained() -> None:
    assert SCHEMAS["Status"]["enum"] == list(Status)
    for status in Status:
        assert f"`{status}`" in SCHEMAS["Status"]["description"]


def test_every_likeness_and_refusal_of_a_pair_is_documented_and_has_words_for_the_operator() -> None:
    assert SCHEMAS["Likeness"]["enum"] == list(Verdict)
    assert SCHEMAS["Pair"]["properties"]["refusal"]["enum"] == [*Refusal, None]
    assert set(WHY) == set(Refusal)


def test_formats_and_declared_types_are_the_allow_list() -> None:
    assert set(SCHEMAS["Image"]["properties"]["original_format"]["enum"]) == {*SourceFormat, None}
    assert SCHEMAS["Announcement"]["properties"]["content_type"]["enum"] == list(DECLARED_TYPES)


_URLS = Renditions("bucket", base_url="https://cdn.example.com")


def _asset(status: Status, **known: Any) -> Asset:
    return Asset(**{"tenant": _KEY.tenant, "id": _KEY.id, "status": status, "filename": "lamp.jpg",
                    "size_bytes": 10, "created_at": _NOW, "updated_at": _NOW} | known)  # fmt: skip


def _rendition(preset: str, quality: int | None) -> Rendition:
    return Rendition(preset, "0a1b2c3d4e", _KEY.rendition(preset, "0a1b2c3d4e", "jpg"), 54, 200, 150, quality)


@pytest.mark.parametrize(
    "asset",
    [
        _asset(Status.AWAITING_UPLOAD),
        _asset(Status.PROCESSING, filename=None, source=_SOURCE, hashes=_HASHES),
        _asset(
            Status.READY,
            source=_SOURCE,
            hashes=_HASHES,
            renditions={"thumb": _rendition("thumb", 85), "logo": _rendition("logo", None)},
            references=frozenset({"sku-1"}),
        ),
        _asset(Status.REJECTED, size_bytes=0, rejection=Rejection(RejectionCode.EMPTY, "no bytes")),
    ],
    ids=lambda asset: str(asset.status),
)
def test_an_asset_is_answered_exactly_as_documented(asset: Asset) -> None:
    answered = image_json(asset, urls=_URLS)
    assert faults_of(answered, schema("Image")) == []
    assert list(answered) == list(SCHEMAS["Image"]["properties"])
    in_a_list = asset_json(asset, urls=_URLS)
    assert faults_of(in_a_list, schema("Image")) == []
    assert set(answered) - set(in_a_list) == {"srcset", "picture"}
    for rendition in answered["renditions"]:
        assert list(rendition) == list(SCHEMAS["Rendition"]["properties"])


def test_a_view_pass_is_answered_exactly_as_documented() -> None:
    for given in (None, Pass(b"policy", b"signature", "K2JCJMDEHXQW5F", _NOW)):
        answered = pass_json(given)
        assert faults_of(answered, schema("ViewPass")) == []
        assert list(answered) == list(SCHEMAS["ViewPass"]["properties"])


def test_metrics_are_answered_exactly_as_documented() -> None:
    usage = Usage(assets=1, bytes_originals=10, bytes_per_preset={"thumb": 4})
    answered = metrics_json(UsageByTenant({_KEY.tenant: usage, TenantId("globex"): Usage(rejected=2)}))
    assert faults_of(answered, schema("Metrics")) == []
    assert list(answered) == list(SCHEMAS["Metrics"]["properties"])


@pytest.mark.parametrize("tenant", ["acme", "*", "**", "Acme", "-", "", "a" * 63, "a" * 64])
def test_the_document_and_the_code_accept_the_same_tenants_of_metrics(tenant: str) -> None:
    try:
        metrics_request({"tenant": tenant})
    except InvalidRequestError:
        accepted = False
    else:
        accepted = True
    parameter = DOCUMENT["paths"]["/metrics"]["get"]["parameters"][0]["schema"]
    assert accepted == (faults_of(tenant, parameter) == [])


_UPLOAD = PresignedUpload(
    "https://bucket.example.com/key",
    {"content-length": "10", "content-type": "image/jpeg", "x-amz-checksum-sha256": "eA=="},
    _NOW + timedelta(minutes=15),
)


def test_an_upload_ticket_is_answered_exactly_as_documented() -> None:
    answered = ticket_json(UploadTicket(_KEY, _UPLOAD, "request-1"))
    assert faults_of(answered, schema("UploadTicket")) == []
    assert list(answered) == list(SCHEMAS["UploadTicket"]["properties"])
    assert list(answered["upload"]) == list(SCHEMAS["UploadTicket"]["properties"]["upload"]["properties"])


@pytest.mark.parametrize(
    "outcome",
    [
        item_created(
            {"id": _KEY.id, "ticket": ticket_json(UploadTicket(_KEY, _UPLOAD, None)), "known": None}
        ),
        item_ok({"id": _KEY.id, "ticket": None, "known": known_json(_asset(Status.READY))}),
        item_refused(TooManyUploadsError(12), {"id": None, "ticket": None, "known": None}),
        item_refused(InvalidRequestError([Fault("a", "b")]), {"id": None, "ticket": None, "known": None}),
        item_refused(OutOfTimeError(), {"id": _KEY.id, "ticket": None, "known": None}),
    ],
    ids=lambda outcome: str(outcome["status"]),
)
def test_an_item_of_a_batch_is_answered_exactly_as_documented(outcome: dict[str, Any]) -> None:
    answered = {**outcome, "error": json.loads(json.dumps(outcome["error"]))}
    assert faults_of(answered, schema("AnnouncementAnswer")) == []
    assert list(answered) == list(SCHEMAS["AnnouncementAnswer"]["properties"])
    assert set(answered["error"] or {}) <= set(SCHEMAS["ItemError"]["properties"])


def test_an_image_found_by_a_reference_is_answered_exactly_as_documented() -> None:
    answered = found_json(Found(_asset(Status.READY), Use("SKU 12/34 #5", 0, "main", "A lamp")), urls=_URLS)
    assert faults_of(answered, schema("Image")) == []
    assert list(answered["used_as"]) == list(SCHEMAS["Use"]["properties"])


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"position": 0, "role": "r" * 32, "alt": "a" * 500},
        {"position": None, "role": None, "alt": None},
        {"position": 999_999},
        {"position": 1_000_000},
        {"position": -1},
        {"position": True},
        {"position": "1"},
        {"role": "r" * 33},
        {"role": ""},
        {"role": "a\tb"},
        {"alt": "a" * 501},
        {"alt": "Lampe aus Messing 🪔"},
        {"alt": 3},
        {"size": 3},
    ],
    ids=str,
)
def test_the_document_and_the_code_accept_the_same_of_a_reference(said: dict[str, Any]) -> None:
    (wanted,) = references_request(json.dumps({"references": [{"id": "5c" * 32, "reference": "a", **said}]}))
    try:
        details_request("a", json.dumps(said))
    except InvalidRequestError:
        accepted = False
    else:
        accepted = True
    assert accepted == isinstance(wanted.use, Use) == (faults_of(said, schema("ReferenceDetails")) == [])
    assert accepted == (faults_of({"id": "5c" * 32, "reference": "a", **said}, schema("NewReference")) == [])


def test_an_item_of_a_batch_of_references_is_answered_exactly_as_documented() -> None:
    facts = {"id": _KEY.id, "reference": "a"}
    for answered in (item_ok(facts), item_refused(OutOfTimeError(), facts)):
        assert faults_of(answered, schema("ReferenceAnswer")) == []
        assert list(answered) == list(SCHEMAS["ReferenceAnswer"]["properties"])


@pytest.mark.parametrize("beginning", ["S", "SKU 12/", "a b", "é", "%", " a", "", "a" * 128, "a" * 129])
def test_the_document_and_the_code_accept_the_same_beginnings_of_references(beginning: str) -> None:
    try:
        images.list_request({"reference_prefix": beginning})
    except InvalidRequestError:
        accepted = False
    else:
        accepted = True
    parameters = {each.get("name"): each for each in DOCUMENT["paths"]["/images"]["get"]["parameters"]}
    assert accepted == (faults_of(beginning, parameters["reference_prefix"]["schema"]) == [])


@pytest.mark.parametrize("number", [0, 1, 100, 101])
def test_the_document_and_the_code_accept_the_same_numbers_of_announcements_and_ids(number: int) -> None:
    asked = [
        (schema("Announcements"), {"images": [_GOOD] * number}),
        (DOCUMENT["paths"]["/images"]["get"]["parameters"][3]["schema"], ",".join(["5c" * 32] * number)),
    ]
    parsers: list[Callable[[Any], Any]] = [
        lambda body: announcements_request(json.dumps(body), max_upload_bytes=10**9),
        lambda ids: images.list_request({"ids": ids}),
    ]
    for (described, given), parse in zip(asked, parsers, strict=True):
        try:
            parse(given)
        except InvalidRequestError:
            accepted = False
        else:
            accepted = True
        assert accepted == (faults_of(given, described) == []) == (1 <= number <= 100)


def test_a_comparison_is_answered_exactly_as_documented() -> None:
    encodings = (
        Encoding(Format.JPEG, 5432, 200, 200, 85, 0.97, False),
        Encoding(Format.PNG, 54321, 200, 200, None, 1.0, True),
    )
    answered = comparison_json([PresetComparison(DEFAULT_PRESETS[0], False, Format.JPEG, encodings)])
    (result,) = answered["results"]
    assert faults_of(answered, schema("Comparison")) == []
    assert set(answered) == set(SCHEMAS["Comparison"]["properties"])
    encoding, of_preset = SCHEMAS["PresetComparison"]["allOf"]
    assert encoding == {"$ref": "#/components/schemas/Encoding"}
    assert set(result) == set(SCHEMAS["Encoding"]["properties"]) | set(of_preset["properties"])
    assert set(result["formats"][0]) == set(SCHEMAS["Encoding"]["properties"])
    assert set(SCHEMAS["OutputFormat"]["enum"]) == set(Format) - {Format.AUTO}


def test_the_bounds_and_the_target_of_a_comparison_are_those_of_the_code() -> None:
    operation = DOCUMENT["paths"]["/compare"]["post"]
    assert f"{MAX_BODY_BYTES:,} bytes" in operation["description"]
    example = DOCUMENT["components"]["examples"]["Comparison"]["value"]
    assert example["ssim_target"] == SSIM_TARGET
    for result in example["results"]:
        pixels = result["width"] * result["height"]
        for figures in (result, *result["formats"]):
            assert figures["quality_metric"] == round(figures["size_bytes"] / pixels, 4)


def test_what_carries_an_image_is_binary_to_the_gateway() -> None:
    carried = set(DOCUMENT["paths"]["/compare"]["post"]["requestBody"]["content"]) - {"application/json"}
    assert carried == {*DECLARED_TYPES, "multipart/form-data"}
    assert set(TEMPLATE["Resources"]["Api"]["Properties"]["BinaryMediaTypes"]) == carried


def test_an_image_is_refused_only_with_codes_of_rejections_that_decoding_finds() -> None:
    of_storage = {
        RejectionCode.TOO_LARGE,
        RejectionCode.CHECKSUM_MISMATCH,
        RejectionCode.ORIGINAL_MISSING,
    }
    assert documented_codes("422") == set(RejectionCode) - of_storage


_GOOD = {"sha256": "5c" * 32, "size_bytes": 10, "content_type": "image/png", "filename": "lamp.png"}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"sha256": "5C" * 32},
        {"sha256": "5c" * 31},
        {"size_bytes": 0},
        {"size_bytes": "10"},
        {"size_bytes": True},
        {"content_type": None},
        {"filename": ""},
        {"filename": "x" * 255},
        {"filename": "x" * 256},
        {"filename": "two\nlines"},
        {"filename": "Straße 東京 🪑.png"},
        {"width": 10},
    ],
    ids=str,
)
def test_the_document_and_the_code_accept_the_same_announcements(change: dict[str, Any]) -> None:
    body = _GOOD | change
    try:
        upload_request(json.dumps(body), max_upload_bytes=100)
    except InvalidRequestError:
        accepted = False
    else:
        accepted = True
    assert accepted == (faults_of(body, schema("Announcement")) == [])


@pytest.mark.parametrize(
    ("path", "page"),
    [
        ("/images", lambda query: images.list_request(query).page),
        ("/duplicates", lambda query: pairs_request(query).page),
        ("/purge/runs", lambda query: page_of_tenant(query).page),
        ("/jobs", lambda query: page_of_tenant(query).page),
        ("/jobs/{id}/failures", page_alone),
        ("/jobs/{id}/groups", page_alone),
        ("/tenants", page_alone),
        ("/tenants/{tenant}/clients", page_alone),
    ],
)
def test_the_page_limit_and_its_default_are_those_of_the_code(
    path: str, page: Callable[[dict[str, str]], PageRequest]
) -> None:
    parameters = [resolved(each) for each in DOCUMENT["paths"][path]["get"]["parameters"]]
    limit = next(each["schema"] for each in parameters if each["name"] == "limit")
    assert page({}).limit == limit["default"]
    assert page({"limit": str(limit["maximum"])}).limit == limit["maximum"]
    with pytest.raises(InvalidRequestError):
        page({"limit": str(limit["maximum"] + 1)})


@pytest.mark.parametrize("id_", ["5c" * 32, "5C" * 32, "5c" * 33, "x"])
def test_the_document_and_the_code_accept_the_same_ids(id_: str) -> None:
    try:
        path_asset_id(id_)
    except InvalidRequestError:
        accepted = False
    else:
        accepted = True
    assert accepted == (faults_of(id_, schema("AssetId")) == [])


def test_a_pair_and_a_near_duplicate_are_answered_exactly_as_documented() -> None:
    other = AssetId("d7" * 32)
    verdict = NearDuplicate(other, DecidedBy.PIXELS, shares=True, distance=4, scores={"detail": 0.4})
    likeness = Likeness(Verdict.DIFFERENT, {"detail": 3.1}, "detail")
    pair = Pair(_KEY.tenant, _KEY.id, other, 17, likeness, Decision.DISTINCT, _NOW, _NOW, "client")
    known = {_KEY.id: _asset(Status.READY, near_duplicate=verdict)}
    unseen = Pair(_KEY.tenant, _KEY.id, other, None, None, None, _NOW)
    for each in (Decided(pair, False, None), *(Decided(unseen, False, apart) for apart in Apart)):
        answered = pair_json(each, known, urls=_URLS)
        assert faults_of(answered, schema("Pair")) == []
        assert set(answered) == set(SCHEMAS["Pair"]["properties"])
        assert set(answered["images"][0]["verification"]) == set(SCHEMAS["Verification"]["properties"])


def test_purge_runs_are_answered_exactly_as_documented() -> None:
    facts: dict[str, Any] = {"tenant": _KEY.tenant, "id": "20261122T120000-0a1b2c3d4e5f", "requested_by": "c"}
    facts |= {"source": RunSource.REQUEST, "as_of": _NOW, "older_than": timedelta(days=30), "more": False}
    facts |= {"candidates": (_KEY.id,), "size_bytes": 10}
    proposed = PurgeRun(state=RunState.PROPOSED, **facts)
    done = PurgeRun(state=RunState.COMPLETED, kept={_KEY.id: Kept.IN_USE}, completed_at=_NOW, **facts)
    asset = _asset(Status.READY)
    shown = [
        candidate_json(asset, urls=_URLS),
        candidate_json(replace(asset, unused_since=_NOW), urls=_URLS),
    ]
    proposal = proposal_json(Proposal(proposed, (asset,), "token", _NOW), shown)
    assert set(shown[0]) == set(SCHEMAS["Candidate"]["properties"])
    assert faults_of(proposal, schema("PurgeProposal")) == []
    assert faults_of(run_json(done), schema("PurgeRun")) == []
    assert faults_of(summary_json(done), schema("PurgeRunSummary")) == []
    assert set(summary_json(done)) == set(SCHEMAS["PurgeRunSummary"]["properties"])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"dry_run": True, "older_than_days": 0},
        {"older_than_days": 3651},
        {"older_than_days": -1},
        {"dry_run": False},
        {"dry_run": False, "confirm_token": "x"},
        {"dry_run": False, "confirm_token": "x", "older_than_days": 3},
        {"confirm_token": "x"},
        {"dry_run": "false"},
        {"tenant": "Acme"},
        {"tenant": "acme"},
        {"force": True},
    ],
    ids=str,
)
def test_the_document_and_the_code_accept_the_same_purge_requests(body: dict[str, Any]) -> None:
    try:
        purge_request(json.dumps(body))
    except InvalidRequestError:
        accepted = False
    else:
        accepted = True
    assert accepted == (faults_of(body, schema("PurgeRequest")) == [])


def _job(**known: Any) -> Job:
    return Job(
        **{
            "id": "20261122T120000-0a1b2c3d",
            "kind": JobKind.RECOUNT,
            "tenant": TenantId("acme"),
            "dry_run": True,
            "options": {},
            "state": JobState.RUNNING,
            "requested_by": "client",
            "created_at": _NOW,
            "concurrency": 2,
        }
        | known
    )


@pytest.mark.parametrize(
    "job",
    [
        _job(),
        _job(
            tenant=None,
            state=JobState.COMPLETED,
            tally=Tally(3, 2, 1, {"bytes": 10}),
            expected=5,
            active_seconds=3.0,
            ended_at=_NOW,
            report={"signature": "x"},
        ),
        _job(
            state=JobState.FAILED,
            reason="no progress",
            active_since=_NOW,
            tally=Tally(1),
            retry_of="20261122T110000-0a1b2c3d",
        ),
        _job(stage=Stage(waiting_until=_NOW)),
    ],
    ids=lambda job: f"{job.state}, {job.stage.waiting_until}",
)
def test_a_job_is_answered_exactly_as_documented(job: Job) -> None:
    answered = job_json(job, now=_NOW + timedelta(seconds=10), confirmation=("token", _NOW))
    assert faults_of(answered, schema("Job")) == []
    assert list(answered) == list(SCHEMAS["Job"]["properties"]) == SCHEMAS["Job"]["required"]
    assert list(answered["progress"]) == list(SCHEMAS["Job"]["properties"]["progress"]["properties"])
    assert list(JobState) == sorted(SCHEMAS["Job"]["properties"]["state"]["enum"], key=list(JobState).index)
    assert list(JobKind) == SCHEMAS["JobKind"]["enum"]


def test_a_failure_of_a_job_is_answered_exactly_as_documented() -> None:
    answered = failure_json(FailedWork(Failure("5c" * 32, "bad", "why"), TenantId("acme"), "render"))
    assert faults_of(answered, schema("JobFailure")) == []
    assert list(answered) == list(SCHEMAS["JobFailure"]["properties"])


def test_what_a_dry_run_would_join_is_told_as_the_contract_says() -> None:
    verdict = NearDuplicate(AssetId("9f" * 32), DecidedBy.PIXELS, shares=True, distance=2)
    join = Join(AssetId("5c" * 32), verdict, 81_920)
    answered = group_member_json(GroupMember(TenantId("acme"), AssetId("9f" * 32), join))
    assert faults_of(answered, schema("JobGroupMember")) == []
    assert list(answered) == list(SCHEMAS["JobGroupMember"]["properties"])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"kind": "recount"},
        {"kind": "recount", "tenant": "acme"},
        {"kind": "recount", "tenant": "*", "dry_run": False, "concurrency": 1},
        {"kind": "recount", "tenant": "Acme"},
        {"kind": "recount", "tenant": "acme", "concurrency": 0},
        {"kind": "recount", "tenant": "acme", "concurrency": 101},
        {"kind": "recount", "tenant": "acme", "concurrency": True},
        {"kind": "recount", "tenant": "acme", "concurrency": None},
        {"kind": "recount", "tenant": "acme", "dry_run": "no"},
        {"kind": "recount", "tenant": "acme", "confirm_token": "x"},
        {"kind": "recount", "tenant": "acme", "force": True},
        {"kind": "polish", "tenant": "acme"},
        {"kind": "erase", "tenant": "*"},
        {"kind": "erase", "tenant": "acme"},
        {"kind": "erase", "tenant": "acme", "dry_run": True, "confirm_token": "x"},
        {"kind": "erase", "tenant": "acme", "dry_run": False},
        {"kind": "erase", "tenant": "acme", "dry_run": False, "confirm_token": "x"},
        {"kind": "erase", "tenant": "acme", "dry_run": False, "confirm_token": 3},
    ],
    ids=str,
)
def test_the_document_and_the_code_accept_the_same_jobs(body: dict[str, Any]) -> None:
    try:
        job_request(json.dumps(body), OPTIONS)
    except InvalidRequestError:
        accepted = False
    else:
        accepted = True
    assert accepted == (faults_of(body, schema("JobRequest")) == [])

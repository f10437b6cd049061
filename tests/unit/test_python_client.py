import asyncio
import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from catalog_images import (
    ApiError,
    AsyncCatalogClient,
    CatalogClient,
    ClientClosedError,
    Credentials,
    FileChangedError,
    Image,
    JobNotEndedError,
    Metrics,
    NotFinishedError,
    Ticket,
    TokenRefusedError,
    UnreachableError,
    UploadRefusedError,
)
from catalog_images.tokens import FileTokens
from catalog_images.transport import pause_seconds
from infra import python_client
from tests.builders.http import Answers

API, TOKEN, S3 = "https://api.test/v1", "https://pool.test/oauth2/token", "https://s3.test/key?X-Amz=1"
DATA = b"bytes of a photo"
ID = hashlib.sha256(DATA).hexdigest()
HEADERS = {
    "content-length": str(len(DATA)),
    "content-type": "image/jpeg",
    "x-amz-checksum-sha256": base64.b64encode(hashlib.sha256(DATA).digest()).decode(),
}
UPLOAD = {"method": "PUT", "url": S3, "headers": HEADERS, "expires_at": "2026-01-01T00:15:00Z"}
TICKET = {"id": ID, "status": "awaiting_upload", "upload": UPLOAD}


def image(status: str, **fields: Any) -> dict[str, Any]:
    return {"id": ID, "status": status, "rejection": None, "renditions": []} | fields


@pytest.fixture
def http() -> Answers:
    answers = Answers()
    answers.add("POST", TOKEN, json={"access_token": "token-1", "expires_in": 3600})
    return answers


@pytest.fixture
def catalog(http: Answers) -> Iterator[CatalogClient]:
    with CatalogClient(API, TOKEN, Credentials("id", "secret"), retries=0, transport=http) as client:
        yield client


def test_one_token_serves_many_calls(http: Answers, catalog: CatalogClient) -> None:
    http.add("GET", f"{API}/images/{ID}", json=image("ready"))
    catalog.get(ID)
    catalog.get(ID)
    assert len(list(http.of("POST", TOKEN))) == 1
    assert http.requests[0].headers["Authorization"] == f"Basic {base64.b64encode(b'id:secret').decode()}"
    assert http.requests[1].headers["Authorization"] == "Bearer token-1"


def test_a_token_about_to_expire_is_replaced(http: Answers, catalog: CatalogClient) -> None:
    http.told.clear()
    http.add("POST", TOKEN, json={"access_token": "token-1", "expires_in": 30})
    http.add("POST", TOKEN, json={"access_token": "token-2", "expires_in": 3600})
    assert [catalog.token() for _ in range(3)] == ["token-1", "token-2", "token-2"]


def test_a_token_that_died_early_is_replaced_once(http: Answers, catalog: CatalogClient) -> None:
    http.add("GET", f"{API}/images/{ID}", status=401, json={"message": "Unauthorized"})
    http.add("GET", f"{API}/images/{ID}", json=image("ready"))
    http.add("POST", TOKEN, json={"access_token": "token-2", "expires_in": 3600})
    assert catalog.get(ID).status == "ready"
    assert http.requests[-1].headers["Authorization"] == "Bearer token-2"


def test_unknown_credentials_are_named(http: Answers, catalog: CatalogClient) -> None:
    http.told.clear()
    http.add("POST", TOKEN, status=400, json={"error": "invalid_client"})
    with pytest.raises(TokenRefusedError) as refused:
        catalog.token()
    assert refused.value.code == "invalid_client"


def test_an_upload_sends_the_bytes_with_exactly_the_signed_headers(
    http: Answers, catalog: CatalogClient
) -> None:
    http.add("POST", f"{API}/images", status=201, json=TICKET)
    http.add("PUT", S3)
    assert isinstance(catalog.upload(DATA, content_type="image/jpeg", filename="a.jpg"), Ticket)
    put = http.requests[-1]
    assert put.content == DATA
    sent = {name.lower(): value for name, value in put.headers.items()}
    assert {name: sent[name] for name in HEADERS} == HEADERS
    assert "authorization" not in sent


def test_bytes_the_catalog_knows_are_not_sent(http: Answers, catalog: CatalogClient) -> None:
    http.add("POST", f"{API}/images", json=image("ready"))
    known = catalog.upload(DATA, content_type="image/jpeg", filename="a.jpg")
    assert isinstance(known, Image) and known.is_finished


def test_a_refusal_carries_the_apis_code_and_every_fault(http: Answers, catalog: CatalogClient) -> None:
    fault = {"field": "sha256", "message": "must be hex"}
    error = {
        "code": "invalid_request",
        "message": "sha256: must be hex",
        "request_id": "r",
        "faults": [fault],
    }
    http.add("POST", f"{API}/images", status=400, json={"error": error})
    with pytest.raises(ApiError) as refused:
        catalog.announce(sha256="x", size_bytes=1, content_type="image/jpeg", filename="a")
    assert (refused.value.status, refused.value.code, refused.value.request_id) == (
        400,
        "invalid_request",
        "r",
    )
    assert refused.value.faults == (fault,)


def test_an_answer_that_is_not_the_apis_own_is_an_api_error_too(
    http: Answers, catalog: CatalogClient
) -> None:
    http.add("GET", f"{API}/images/{ID}", status=502, text="<html>bad gateway</html>")
    with pytest.raises(ApiError) as failed:
        catalog.get(ID)
    assert (failed.value.status, failed.value.code) == (502, "http_502")


def test_a_refused_put_carries_s3s_code(http: Answers, catalog: CatalogClient) -> None:
    http.add("POST", f"{API}/images", status=201, json=TICKET)
    http.add("PUT", S3, status=400, text="<Error><Code>BadDigest</Code><Message>no match</Message></Error>")
    with pytest.raises(UploadRefusedError) as refused:
        catalog.upload(DATA, content_type="image/jpeg", filename="a.jpg")
    assert (refused.value.code, refused.value.message) == ("BadDigest", "no match")


def test_waiting_ends_with_the_settled_image(http: Answers, catalog: CatalogClient) -> None:
    http.add("GET", f"{API}/images/{ID}", json=image("processing"))
    http.add(
        "GET", f"{API}/images/{ID}", json=image("rejected", rejection={"code": "truncated", "detail": "cut"})
    )
    assert catalog.wait(ID).rejection_code == "truncated"


def test_waiting_has_an_end_that_names_the_state(http: Answers, catalog: CatalogClient) -> None:
    http.add("GET", f"{API}/images/{ID}", json=image("processing"))
    with pytest.raises(NotFinishedError) as late:
        catalog.wait(ID, timeout_seconds=0)
    assert late.value.status == "processing"


def test_closing_the_client_ends_every_wait(http: Answers, catalog: CatalogClient) -> None:
    http.add("GET", f"{API}/images/{ID}", json=image("processing"))
    threading.Timer(0.05, catalog.close).start()
    with pytest.raises(ClientClosedError):
        catalog.wait(ID, timeout_seconds=30)


def test_listing_follows_the_cursor_to_the_end(http: Answers, catalog: CatalogClient) -> None:
    http.add("GET", f"{API}/images", json={"images": [image("ready")], "cursor": "next"})
    http.add("GET", f"{API}/images", json={"images": [image("rejected")], "cursor": None})
    assert [listed.status for listed in catalog.images()] == ["ready", "rejected"]
    assert "cursor=next" in str(http.requests[-1].url)


def test_references_are_taken_and_released_by_name(http: Answers, catalog: CatalogClient) -> None:
    used = image("ready", in_use_count=1, references=["SKU:1"])
    http.add("PUT", f"{API}/images/{ID}/references/SKU%3A1", json=used)
    http.add("DELETE", f"{API}/images/{ID}/references/SKU%3A1", json=image("ready", in_use_count=0))
    assert catalog.refer(ID, "SKU:1").in_use_count == 1
    assert catalog.release(ID, "SKU:1").in_use_count == 0


def test_an_image_is_compared_by_its_raw_bytes(http: Answers, catalog: CatalogClient) -> None:
    encoding = {"format": "jpeg", "size_bytes": 5432, "quality_metric": 0.1358, "ssim": 0.96, "quality": 85}
    result = {"preset": "thumb", "width": 200, "height": 200, "needs_upscaling": False, **encoding}
    document = {"recommended": "thumb", "recommended_format": "jpeg", "ssim_target": 0.95}
    http.add(
        "POST",
        f"{API}/compare",
        json=document | {"results": [result | {"formats": [encoding], "recommended_format": "jpeg"}]},
    )
    found = catalog.compare(DATA, content_type="image/jpeg")
    assert http.requests[-1].content == DATA
    assert http.requests[-1].headers["Content-Type"] == "image/jpeg"
    assert (found.recommended, found.presets[0].formats[0].quality_metric) == ("thumb", 0.1358)


def test_a_purge_is_proposed_and_then_confirmed_by_its_token(http: Answers, catalog: CatalogClient) -> None:
    run = {"run_id": "r", "state": "proposed", "candidates": [ID, "cd"], "candidate_bytes": 9,
           "deleted_count": 0, "kept": []}  # fmt: skip
    http.add("POST", f"{API}/purge", json=run | {"confirm_token": "t"})
    done = {"state": "completed", "deleted_count": 1, "kept": [{"id": ID, "reason": "in_use"}]}
    http.add("POST", f"{API}/purge", json=run | done)
    proposed = catalog.propose_purge(older_than_days=0)
    assert (proposed.candidates, proposed.confirm_token) == ((ID, "cd"), "t")
    assert json.loads(http.requests[-1].content) == {"dry_run": True, "older_than_days": 0}
    confirmed = catalog.confirm_purge("t")
    assert (confirmed.deleted_count, confirmed.kept, confirmed.confirm_token) == (1, {ID: "in_use"}, None)
    assert json.loads(http.requests[-1].content) == {"dry_run": False, "confirm_token": "t"}


def test_metrics_are_those_of_the_clients_own_tenant(http: Answers, catalog: CatalogClient) -> None:
    counters = {"bytes_originals": 9, "bytes_per_preset": {"thumb": 3}, "duplicates_avoided": 2,
                "bytes_saved": 18, "rejected": 1}  # fmt: skip
    http.add("GET", f"{API}/metrics", json=counters | {"tenant_counts": {"acme": 1}})
    assert catalog.metrics() == Metrics(assets={"acme": 1}, **counters)  # type: ignore[arg-type]


def job(state: str, done: int = 0) -> dict[str, Any]:
    return {"id": "j", "kind": "rebuild", "state": state, "dry_run": False, "counts": {"rendered": done},
            "progress": {"expected": 4, "done": done, "skipped": 0, "failed": 0}}  # fmt: skip


def test_a_job_is_started_and_watched_to_its_end(http: Answers, catalog: CatalogClient) -> None:
    http.add("POST", f"{API}/jobs", status=202, json=job("running"))
    http.add("GET", f"{API}/jobs/j", json=job("running", 1))
    http.add("GET", f"{API}/jobs/j", json=job("completed", 4))
    seen = []

    started = catalog.start_job("rebuild", dry_run=False, tenant="acme", presets=["card"])
    ended = catalog.wait_for_job(started.id, timeout_seconds=30, progress=lambda job: seen.append(job.done))

    asked = {"kind": "rebuild", "dry_run": False, "tenant": "acme", "presets": ["card"]}
    assert json.loads(http.requests[1].content) == asked
    assert (ended.state, ended.counts, seen) == ("completed", {"rendered": 4}, [1, 4])


def test_a_job_whose_answer_was_lost_is_started_once(http: Answers, patient: CatalogClient) -> None:
    http.fail("POST", f"{API}/jobs", httpx.ReadError("lost"))
    http.add("POST", f"{API}/jobs", status=202, json=job("running"))
    for _ in range(2):
        patient.start_job("recount")
    first, again, other = (sent.headers["Idempotency-Key"] for sent in http.of("POST", f"{API}/jobs"))
    assert first == again != other


def test_a_job_that_does_not_end_in_time_is_named(http: Answers, catalog: CatalogClient) -> None:
    http.add("GET", f"{API}/jobs/j", json=job("paused"))
    with pytest.raises(JobNotEndedError, match="rebuild j is paused"):
        catalog.wait_for_job("j", timeout_seconds=0)


def test_jobs_are_listed_to_the_end(http: Answers, catalog: CatalogClient) -> None:
    http.add("GET", f"{API}/jobs", json={"jobs": [job("running")], "cursor": "next"})
    http.add("GET", f"{API}/jobs", json={"jobs": [job("completed")], "cursor": None})
    assert [listed.state for listed in catalog.jobs()] == ["running", "completed"]
    assert str(http.requests[-1].url).endswith("?cursor=next")


def test_a_job_takes_orders_and_names_its_failures(http: Answers, catalog: CatalogClient) -> None:
    failures = [{"subject": name, "code": "truncated", "detail": ""} for name in "ab"]
    http.add("POST", f"{API}/jobs/j/pause", json=job("pausing"))
    http.add("GET", f"{API}/jobs/j/failures", json={"failures": failures[:1], "cursor": "next"})
    http.add("GET", f"{API}/jobs/j/failures", json={"failures": failures[1:], "cursor": None})

    assert catalog.order_job("j", "pause").state == "pausing"
    assert list(catalog.failures_of("j")) == failures


def test_a_raw_call_sends_what_it_is_told_and_returns_any_answer(
    http: Answers, catalog: CatalogClient
) -> None:
    http.add("POST", f"{API}/images", status=400, json={})
    answer = catalog.call("POST", "/images", data=b"{", headers={"X-Odd": "1"}, token="forged")
    assert answer.status_code == 400
    assert answer.request.content == b"{" and answer.request.headers["X-Odd"] == "1"
    assert answer.request.headers["Authorization"] == "Bearer forged"
    assert "Authorization" not in catalog.call("POST", "/images", token="").request.headers
    catalog.token()


@pytest.mark.parametrize("lost", [httpx.ConnectError("refused"), httpx.ReadTimeout("late")])
def test_no_answer_is_an_error_of_its_own(http: Answers, catalog: CatalogClient, lost: Exception) -> None:
    http.told.clear()
    http.fail("POST", TOKEN, lost)
    with pytest.raises(UnreachableError, match=str(lost)):
        catalog.token()


@pytest.fixture
def patient(http: Answers, monkeypatch: pytest.MonkeyPatch) -> Iterator[CatalogClient]:
    """A client that tries three times and waits for nothing."""
    monkeypatch.setattr("catalog_images.client.pause_seconds", lambda *_: 0)
    with CatalogClient(API, TOKEN, Credentials("id", "secret"), retries=2, transport=http) as client:
        yield client


def test_throttling_faults_and_lost_connections_are_tried_again(
    http: Answers, patient: CatalogClient
) -> None:
    http.add("GET", f"{API}/images/{ID}", status=429)
    http.fail("GET", f"{API}/images/{ID}", httpx.RemoteProtocolError("closed"))
    http.add("GET", f"{API}/images/{ID}", json=image("ready"))
    assert patient.get(ID).status == "ready"


def test_tries_come_to_an_end(http: Answers, patient: CatalogClient) -> None:
    http.add("GET", f"{API}/images/{ID}", status=503, json={"message": "busy"})
    with pytest.raises(ApiError, match="503 http_503: busy"):
        patient.get(ID)
    assert len(list(http.of("GET", f"{API}/images/{ID}"))) == 3


def test_a_pause_grows_and_is_as_long_as_the_server_asks() -> None:
    longest = [0.2, 0.4, 0.8, 20.0]
    for attempt, seconds in zip((0, 1, 2, 10), longest, strict=True):
        assert seconds / 2 <= pause_seconds(attempt, None) <= seconds
    assert pause_seconds(0, "7") == 7
    assert pause_seconds(0, "3600") == 60
    assert pause_seconds(0, "Wed, 21 Oct 2026 07:28:00 GMT") <= 0.2


def test_a_file_is_sent_in_pieces_that_are_told_and_from_its_beginning_at_every_try(
    http: Answers, patient: CatalogClient, tmp_path: Path
) -> None:
    data = b"\xff\xd8\xff" + bytes(150_000)
    file = tmp_path / "lamp.jpg"
    file.write_bytes(data)
    headers = {"content-length": str(len(data)), "content-type": "image/jpeg"}
    http.add("POST", f"{API}/images", status=201, json=TICKET | {"upload": UPLOAD | {"headers": headers}})
    http.add("PUT", S3, status=503)
    http.add("PUT", S3)
    told: list[int] = []

    patient.upload(file, progress=told.append)

    asked = json.loads(next(http.of("POST", f"{API}/images")).content)
    assert asked == {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data),
                     "content_type": "image/jpeg", "filename": "lamp.jpg"}  # fmt: skip
    sent = list(http.of("PUT", S3))
    assert [put.content for put in sent] == [data, data]
    assert "transfer-encoding" not in sent[0].headers  # S3 refuses chunks
    assert sum(told) == 2 * len(data)


def test_a_file_that_changed_since_its_announcement_is_not_sent(
    catalog: CatalogClient, tmp_path: Path
) -> None:
    file = tmp_path / "lamp.jpg"
    file.write_bytes(DATA + b"more")
    with pytest.raises(FileChangedError):
        catalog.put(Ticket(ID, S3, HEADERS, ""), file)


def test_a_token_kept_in_a_private_file_serves_the_next_client(http: Answers, tmp_path: Path) -> None:
    http.add("GET", f"{API}/images/{ID}", json=image("ready"))
    credentials = Credentials("id", "secret")
    for _ in range(2):
        kept = FileTokens.of(tmp_path / "cache", TOKEN, credentials)
        with CatalogClient(API, TOKEN, credentials, tokens=kept, transport=http) as client:
            client.get(ID)

    assert len(list(http.of("POST", TOKEN))) == 1
    (file,) = (tmp_path / "cache").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert FileTokens.of(tmp_path / "cache", TOKEN, Credentials("id", "another")).load() is None


def test_no_repr_shows_a_secret() -> None:
    assert "hush" not in repr(Credentials("id", "hush"))


def test_the_client_for_asyncio_has_the_same_calls(http: Answers) -> None:
    http.add("POST", f"{API}/images", status=201, json=TICKET)
    http.add("PUT", S3)
    http.add("GET", f"{API}/images/{ID}", json=image("processing"))
    http.add("GET", f"{API}/images/{ID}", json=image("ready"))
    http.add("GET", f"{API}/images", json={"images": [image("ready")], "cursor": None})

    async def journey() -> list[str]:
        async with AsyncCatalogClient(API, TOKEN, Credentials("id", "secret"), transport=http) as catalog:
            sent = await catalog.upload(DATA, content_type="image/jpeg", filename="a.jpg")
            waited = await catalog.wait(sent.id)
            return [waited.status, *[each.status async for each in catalog.images()]]

    assert asyncio.run(journey()) == ["ready", "ready"]
    assert next(http.of("PUT", S3)).content == DATA


def test_who_waits_by_events_asks_when_the_image_was_heard_of(http: Answers, catalog: CatalogClient) -> None:
    http.add("GET", f"{API}/images/{ID}", json=image("processing"))
    http.add("GET", f"{API}/images/{ID}", json=image("ready"))
    waited: list[Image] = []
    waiting = threading.Thread(target=lambda: waited.append(catalog.wait(ID, by_events=True)))
    waiting.start()
    while waiting.is_alive():
        catalog.heard({"type": "image.ready", "data": {"id": ID}})
        waiting.join(0.01)
    assert [one.status for one in waited] == ["ready"]


def test_events_wake_who_waits_in_asyncio_too(http: Answers) -> None:
    http.add("GET", f"{API}/images/{ID}", json=image("processing"))
    http.add("GET", f"{API}/images/{ID}", json=image("ready"))

    async def journey() -> str:
        async with AsyncCatalogClient(API, TOKEN, Credentials("id", "secret"), transport=http) as catalog:
            waiting = asyncio.create_task(catalog.wait(ID, by_events=True))
            while not list(http.of("GET", f"{API}/images/{ID}")):
                await asyncio.sleep(0)
            catalog.heard({"id": ID})
            return (await waiting).status

    assert asyncio.run(asyncio.wait_for(journey(), 5)) == "ready"


def test_closing_the_client_for_asyncio_ends_every_wait(http: Answers) -> None:
    http.add("GET", f"{API}/images/{ID}", json=image("processing"))

    async def journey() -> None:
        async with AsyncCatalogClient(API, TOKEN, Credentials("id", "secret"), transport=http) as catalog:
            waiting = asyncio.create_task(catalog.wait(ID))
            while not list(http.of("GET", f"{API}/images/{ID}")):
                await asyncio.sleep(0)
            catalog.interrupt()
            await waiting

    with pytest.raises(ClientClosedError):
        asyncio.run(journey())


def test_the_generated_modules_are_those_of_now() -> None:
    assert python_client.stale(python_client.generated()) == []

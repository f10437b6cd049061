"""The command catalog-images, on answers in place of a network."""

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from catalog_images import profiles
from catalog_images.cli import main
from catalog_images.profiles import Profile
from tests.builders.http import Answers

API, TOKEN = "https://api.test/v1", "https://pool.test/oauth2/token"
ID = "a" * 64
THUMB = {
    "id": "thumb-1",
    "preset": "thumb",
    "url": "https://s3.test/thumb.webp?sig=1",
    "size_bytes": 3,
    "width": 200,
    "height": 150,
    "quality": 80,
}
IMAGE = {
    "id": ID,
    "status": "ready",
    "rejection": None,
    "references": ["SKU-1"],
    "original_filename": "[lamp].jpg",
    "renditions": [THUMB],
}
JOB = {"id": "j", "kind": "import", "state": "completed", "dry_run": False, "counts": {}, "tenant": "acme",
       "progress": {"expected": 1, "done": 1, "skipped": 0, "failed": 0}}  # fmt: skip
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def http(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Answers:
    """A network, and a home without a login."""
    answers = Answers()
    answers.add("POST", TOKEN, json={"access_token": "token-1", "expires_in": 3600})
    given = Profile.arguments
    monkeypatch.setattr(Profile, "arguments", lambda self: given(self) | {"transport": answers})
    monkeypatch.setattr("catalog_images.client.pause_seconds", lambda *_: 0)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(sys.modules, "keyring", None)
    return answers


@pytest.fixture
def run(http: Answers, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command: its exit status, standard output and standard error."""

    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main.run(arguments)
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return command


@pytest.fixture
def logged_in(http: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("API_URL", API), ("TOKEN_URL", TOKEN), ("CLIENT_ID", "id"), ("CLIENT_SECRET", "s")):
        monkeypatch.setenv(f"CATALOG_{name}", value)


def env_file(folder: Path) -> Path:
    file = folder / "client.env"
    file.write_text(f"API={API}\nTOKEN_URL={TOKEN}\nCLIENT_ID=id\nCLIENT_SECRET=hush\n")
    return file


# --- Login ------------------------------------------------------------------------------------------------


def test_a_login_is_checked_and_kept_where_only_its_owner_reads(
    run: Run, http: Answers, tmp_path: Path
) -> None:
    http.add("GET", f"{API}/images/{ID}", json=IMAGE)

    status, out, err = run("login", str(env_file(tmp_path)))

    assert status == 0 and "hush" not in out + err
    (file,) = (tmp_path / "config" / "catalog-images").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert profiles.load("default").credentials.client_secret == "hush"
    assert run("get", ID)[0] == 0
    assert len(list(http.of("POST", TOKEN))) == 1  # the token of the login serves on


def test_a_login_that_is_refused_is_not_kept(run: Run, http: Answers, tmp_path: Path) -> None:
    http.told.clear()
    http.add("POST", TOKEN, status=400, json={"error": "invalid_client"})
    status, _, err = run("login", str(env_file(tmp_path)))
    assert (status, "invalid_client" in err) == (3, True)
    assert profiles.names() == []


def test_the_secret_can_come_from_standard_input(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("from a vault\n"))
    run(
        "--profile",
        "ci",
        "login",
        "--api-url",
        API,
        "--token-url",
        TOKEN,
        "--client-id",
        "id",
        "--secret-stdin",
    )
    assert profiles.load("ci").credentials.client_secret == "from a vault"


def test_what_a_login_lacks_is_asked(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, bool] = {}

    def prompt(question: str, *, hide_input: bool, err: bool) -> str:
        asked[question] = hide_input
        return {"API URL": API, "Token URL": TOKEN}.get(question, "x")

    monkeypatch.setattr("typer.prompt", prompt)
    assert run("login")[0] == 0
    assert asked == {"API URL": False, "Token URL": False, "Client id": False, "Client secret": True}


def test_a_keyring_that_works_keeps_the_secret(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept: dict[tuple[str, str], str] = {}
    errors = SimpleNamespace(KeyringError=RuntimeError)
    keyring = SimpleNamespace(
        errors=errors,
        get_keyring=object,
        set_password=lambda service, name, secret: kept.update({(service, name): secret}),
        get_password=lambda *name: kept.get(name),
        delete_password=lambda *name: kept.pop(name),
    )
    backends = SimpleNamespace(fail=SimpleNamespace(Keyring=int), null=SimpleNamespace(Keyring=str))
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    monkeypatch.setitem(sys.modules, "keyring.backends", backends)

    run("login", str(env_file(tmp_path)))

    assert kept == {("catalog-images", "default"): "hush"}
    assert "hush" not in profiles.profiles_file().read_text()
    assert profiles.load("default").credentials.client_secret == "hush"
    assert run("logout")[0] == 0
    assert (kept, profiles.names()) == ({}, [])


def test_without_a_login_the_command_says_so(run: Run) -> None:
    status, _, err = run("list")
    assert status == 3 and "catalog-images login" in err


def test_half_of_the_variables_is_a_mistake_that_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CATALOG_API_URL", API)
    status, _, err = run("list")
    assert status == 3 and "CATALOG_CLIENT_SECRET" in err


# --- Output and exit status -------------------------------------------------------------------------------


@pytest.mark.usefixtures("logged_in")
@pytest.mark.parametrize("arguments", [("--json", "get", ID), ("get", ID, "--json")])
def test_json_is_the_apis_own_document(run: Run, http: Answers, arguments: tuple[str, ...]) -> None:
    http.add("GET", f"{API}/images/{ID}", json=IMAGE)
    assert json.loads(run(*arguments)[1]) == IMAGE


@pytest.mark.usefixtures("logged_in")
def test_an_address_that_stays_is_shown_where_there_is_one(run: Run, http: Answers) -> None:
    lasting = THUMB | {"permanent_url": "https://cdn.test/renditions/acme/thumb"}
    picture = {"renditions": [lasting], "picture": "<picture></picture>"}
    http.add("GET", f"{API}/images/{ID}", json=IMAGE | picture)
    out = run("get", ID)[1]
    assert "https://cdn.test/renditions/acme/thumb\n<picture></picture>\n" in out and "s3.test" not in out


@pytest.mark.usefixtures("logged_in")
def test_people_get_a_table_in_which_no_name_is_markup(run: Run, http: Answers) -> None:
    http.add("GET", f"{API}/images", json={"images": [IMAGE], "cursor": None})
    assert "[lamp].jpg" in run("list")[1]


@pytest.mark.usefixtures("logged_in")
@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ({"status": 404, "json": {"error": {"code": "image_not_found"}}}, 4),
        ({"status": 403, "json": {"error": {"code": "unknown_client"}}}, 3),
        ({"status": 400, "json": {"error": {"code": "invalid_request"}}}, 6),
        ({"status": 503}, 5),
    ],
)
def test_the_exit_status_says_what_was_wrong(run: Run, http: Answers, answer: Any, status: int) -> None:
    http.add("GET", f"{API}/images/{ID}", **answer)
    assert run("get", ID)[0] == status


@pytest.mark.usefixtures("logged_in")
def test_no_answer_has_an_exit_status_of_its_own(run: Run, http: Answers) -> None:
    http.fail("GET", f"{API}/images/{ID}", httpx.ConnectError("refused"))
    assert run("get", ID)[0] == 5


@pytest.mark.parametrize(
    "arguments", [("nonsense",), ("find",), ("sync", "/nowhere"), ("sync", ".", "--dry-run")]
)
def test_wrong_arguments_are_2(run: Run, arguments: tuple[str, ...]) -> None:
    assert run(*arguments)[0] == 2


def test_ctrl_c_is_130(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("catalog_images.cli.state.chosen", interrupted)
    assert run("list")[0] == 130


# --- Commands ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("logged_in")
def test_sync_prints_what_it_did_and_names_faults(run: Run, http: Answers, tmp_path: Path) -> None:
    (tmp_path / "lamp.jpg").write_bytes(b"\xff\xd8\xff")
    error = {"code": "too_large", "message": "too large"}
    answer = {"status": 413, "id": ID, "ticket": None, "known": None, "error": error}
    http.add("POST", f"{API}/images/batch", json={"answers": [answer]})

    status, out, _ = run("sync", str(tmp_path / "lamp.jpg"))
    lines = run("sync", str(tmp_path / "lamp.jpg"), "--json")[1]

    assert status == 1
    assert "lamp.jpg" in out and "too_large" in out and "0 sent (0 B), 0 known, 0 ready, 1 failed" in out
    assert (json.loads(lines)["file"], json.loads(lines)["code"]) == ("lamp.jpg", "too_large")


@pytest.mark.usefixtures("logged_in")
@pytest.mark.parametrize("option", ["--json", "--no-wait"])
def test_a_file_whose_name_is_no_text_is_told_too(
    run: Run, http: Answers, tmp_path: Path, option: str
) -> None:
    (tmp_path / os.fsdecode(b"lamp-\xff.jpg")).symlink_to("nowhere")
    status, out, _ = run("sync", str(tmp_path), option)
    assert (status, r"lamp-\udcff.jpg" in out) == (1, True)


@pytest.mark.usefixtures("logged_in")
def test_sync_of_a_bucket_is_an_import_job(run: Run, http: Answers) -> None:
    figures = {
        "bytes_originals": 0,
        "bytes_per_preset": {},
        "duplicates_avoided": 0,
        "bytes_saved": 0,
        "rejected": 0,
    }
    http.add("GET", f"{API}/metrics", json=figures | {"tenant_counts": {"acme": 1}})
    http.add("POST", f"{API}/jobs", status=202, json=JOB | {"state": "running"})
    http.add("GET", f"{API}/jobs/j", json=JOB)

    status, out, _ = run(
        "sync", "s3://old-shop/products/", "--reference-from", "{reference}/{filename}", "--json"
    )

    assert (status, json.loads(out)["state"]) == (0, "completed")
    assert json.loads(next(http.of("POST", f"{API}/jobs")).content) == {
        "kind": "import", "dry_run": False, "tenant": "acme", "bucket": "old-shop", "prefix": "products/",
        "reference_pattern": "{reference}/{filename}",
    }  # fmt: skip


@pytest.mark.usefixtures("logged_in")
def test_images_are_found_by_reference_page_by_page(run: Run, http: Answers) -> None:
    http.add("GET", f"{API}/images", json={"images": [IMAGE], "cursor": "next"})
    http.add("GET", f"{API}/images", json={"images": [IMAGE], "cursor": None})
    out = run("find", "--reference", "SKU-1", "--json")[1]
    assert len(out.splitlines()) == 2
    assert "reference=SKU-1&cursor=next" in str(http.requests[-1].url)


@pytest.mark.usefixtures("logged_in")
def test_a_reference_is_added_with_its_place_in_the_gallery(run: Run, http: Answers) -> None:
    http.add("PUT", f"{API}/references", json={"answers": [{"status": 200, "error": None}]})
    assert run("refs", "add", ID, "SKU-1", "--position", "0", "--role", "main")[0] == 0
    sent = {"references": [{"id": ID, "reference": "SKU-1", "position": 0, "role": "main"}]}
    assert json.loads(http.requests[-1].content) == sent


@pytest.mark.usefixtures("logged_in")
def test_a_reference_that_is_refused_is_an_error(run: Run, http: Answers) -> None:
    refused = {"status": 404, "error": {"code": "image_not_found", "message": "there is no such image"}}
    http.add("PUT", f"{API}/references", json={"answers": [refused]})
    assert run("refs", "add", ID, "SKU-1")[0] == 4


@pytest.mark.usefixtures("logged_in")
@pytest.mark.parametrize(("yes", "purged"), [(("--yes",), 2), ((), 1)])
def test_a_purge_deletes_only_what_was_confirmed(
    run: Run, http: Answers, monkeypatch: pytest.MonkeyPatch, yes: tuple[str, ...], purged: int
) -> None:
    proposed = {
        "run_id": "r",
        "state": "proposed",
        "candidates": [ID],
        "candidate_bytes": 9,
        "deleted_count": 0,
        "kept": [],
        "confirm_token": "t",
    }
    http.add("POST", f"{API}/purge", json=proposed)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: False)
    assert run("purge", *yes)[0] == 0
    assert len(list(http.of("POST", f"{API}/purge"))) == purged


@pytest.mark.usefixtures("logged_in")
def test_a_job_that_failed_is_1_and_a_dry_run_unless_told(run: Run, http: Answers) -> None:
    http.add("POST", f"{API}/jobs", status=202, json=JOB | {"state": "running"})
    http.add("GET", f"{API}/jobs/j", json=JOB | {"state": "failed"})
    assert run("jobs", "start", "rebuild", "--tenant", "acme", "--set", "presets=card,zoom")[0] == 1
    asked = json.loads(next(http.of("POST", f"{API}/jobs")).content)
    assert asked == {"kind": "rebuild", "dry_run": True, "tenant": "acme", "presets": ["card", "zoom"]}


@pytest.mark.usefixtures("logged_in")
def test_a_lost_answer_makes_no_second_client(run: Run, http: Answers) -> None:
    http.fail("POST", f"{API}/tenants/acme/clients", httpx.ReadError("lost"))
    assert run("tenants", "add-client", "acme")[0] == 5
    assert len(list(http.of("POST", f"{API}/tenants/acme/clients"))) == 1


@pytest.mark.usefixtures("logged_in")
def test_a_webhook_is_made_and_its_secret_shown(
    run: Run, http: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    http.add("PUT", f"{API}/webhooks/shop", status=201, json={"name": "shop", "secret": "whsec_x"})
    hook = "https://shop.example/hooks"
    assert "whsec_x" in run("webhooks", "put", "shop", hook, "--event", "image.ready")[1]
    assert json.loads(http.requests[-1].content) == {"url": hook, "events": ["image.ready"]}
    monkeypatch.setattr("sys.stdin", io.StringIO("whsec_own\n"))
    run("webhooks", "put", "shop", hook, "--secret-stdin")
    assert json.loads(http.requests[-1].content) == {"url": hook, "secret": "whsec_own"}


@pytest.mark.usefixtures("logged_in")
def test_renditions_are_saved(run: Run, http: Answers, tmp_path: Path) -> None:
    http.add("GET", f"{API}/images/{ID}", json=IMAGE)
    http.add("GET", "https://s3.test/thumb.webp", content=b"abc")
    run("get", ID, "--save", str(tmp_path / "out"))
    assert (tmp_path / "out" / f"{'a' * 12}-thumb.webp").read_bytes() == b"abc"

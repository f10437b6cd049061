"""The operator's way with what pixels merged in the past and refuse today."""

import hashlib
import io
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from catalog.domain.keys import AssetKey, asset_id, tenant_id
from catalog.domain.near_duplicates import Likeness, Verdict
from infra.operator import merges as operator
from infra.pictures.images import jpeg_bytes, noisy_scene, webp_bytes
from tests.builders.verdicts import verified_by
from tests.functional.cloud import Cloud, Killed

ACME = tenant_id("acme")
SCENE = noisy_scene(7, (300, 240))
PHOTO, OTHER = jpeg_bytes(SCENE, 92), jpeg_bytes(SCENE.point(lambda level: level * 4 // 5), 85)
HALF = webp_bytes(SCENE.resize((150, 120)), 80)


def key_of(data: bytes) -> AssetKey:
    return AssetKey(ACME, asset_id(hashlib.sha256(data).hexdigest()))


def merged_wrongly(cloud: Cloud) -> str:
    """OTHER, which is darker, joined PHOTO or was joined by it by the pixels' word, as an old verifier gave
    it; the one that shows the other's renditions.
    """
    ingest = cloud.function("ingest")
    today = ingest.arriving
    old = verified_by(today.ingestion.inspect, lambda *_: Likeness(Verdict.SAME, {"tone": 0.9}))
    ingest.arriving = replace(today, ingestion=replace(today.ingestion, inspect=old))
    cloud.upload(PHOTO, filename="light.jpg")
    cloud.upload(OTHER, filename="dark.jpg")
    ingest.arriving = today
    (wrong,) = [key.id for key in map(key_of, (PHOTO, OTHER)) if cloud.asset(key.id).near_duplicate]
    return wrong


@pytest.fixture(autouse=True)
def stack(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stack's outputs, and the environment of its function."""

    class Lambda:
        def get_function_configuration(self, FunctionName: str) -> dict[str, Any]:  # noqa: N803 - AWS's name
            assert FunctionName == "Duplicates"
            return {"Environment": {"Variables": dict(os.environ)}}

    outputs = {"DuplicatesFunction": "Duplicates", "OriginalsBucket": cloud.originals}
    monkeypatch.setattr(operator, "stack_outputs", lambda _: outputs)
    monkeypatch.setattr(operator, "client", lambda _: Lambda())


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The lines of what is refused, and the summary."""
    capsys.readouterr()
    operator.main([*arguments, "--stack", "catalog-images"])
    *lines, summary = map(json.loads, capsys.readouterr().out.splitlines())
    return lines, summary


def render_all(cloud: Cloud) -> None:
    for job in [*cloud.take_jobs(), *cloud.take_delayed_jobs()]:
        assert cloud.render(job) == {"batchItemFailures": []}


def test_a_merge_that_the_verifier_refuses_today_is_listed_in_words_and_shown(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    wrong = merged_wrongly(cloud)
    page = tmp_path / "wrong.html"

    (line,), summary = run(capsys, "list", "acme", "--page", str(page))

    assert {line["filename"], line["canonical_filename"]} == {"light.jpg", "dark.jpg"}
    assert (line["id"], line["shares_renditions"], line["likeness"] == "same") == (wrong, True, False)
    assert "times what is allowed" in line["why"]
    assert summary == {"tenant": "acme", "looked_at": 1, "refused": 1, "separated": 0, "unreadable": []}
    assert page.read_text().count("data:image/jpeg;base64,") == 2
    assert line["why"] in page.read_text()
    assert cloud.asset(wrong).near_duplicate is not None


def test_what_is_separated_is_recorded_as_the_pixels_word_and_nobodys(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = merged_wrongly(cloud)

    _, summary = run(capsys, "separate", "acme", "--yes")
    render_all(cloud)

    assert summary["separated"] == 1
    image = cloud.get(wrong).json
    assert (image["status"], image["near_duplicate_of"], len(image["renditions"])) == ("ready", None, 3)
    (pair,) = cloud.call("duplicates", "GET", "/duplicates").json["duplicates"]
    assert (pair["merged"], pair["decision"], pair["likeness"] == "same") == (False, None, False)
    assert run(capsys, "separate", "acme", "--yes")[1]["looked_at"] == 0


def test_a_merge_that_stands_is_left_and_so_is_what_a_person_said(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = merged_wrongly(cloud)
    cloud.upload(HALF, content_type="image/webp")
    path = f"/images/{key_of(PHOTO).id}/duplicates/{key_of(OTHER).id}"
    cloud.call("duplicates", "PUT", path, body={"decision": "same"})

    lines, summary = run(capsys, "separate", "acme", "--yes")

    assert wrong not in [line["id"] for line in lines]
    assert cloud.asset(wrong).near_duplicate is not None
    assert summary["separated"] == len(lines)


@pytest.mark.parametrize(("typed", "separated"), [("1\n", 1), ("yes\n", 0), ("2\n", 0), ("", 0)])
def test_nothing_is_separated_until_the_number_is_typed(
    cloud: Cloud,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    typed: str,
    separated: int,
) -> None:
    wrong = merged_wrongly(cloud)
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))

    assert run(capsys, "separate", "acme")[1]["separated"] == separated
    assert (cloud.asset(wrong).near_duplicate is None) == bool(separated)


def test_only_named_images_are_separated_and_what_cannot_be_read_is_named(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = merged_wrongly(cloud)

    assert run(capsys, "separate", "acme", "--yes", "--only", "f" * 64)[1]["separated"] == 0
    assert run(capsys, "separate", "acme", "--yes", "--after", "f" * 64)[1]["looked_at"] == 0
    cloud.s3.delete_object(Bucket=cloud.originals, Key=AssetKey(ACME, asset_id(wrong)).original)
    assert run(capsys, "separate", "acme", "--yes")[1]["unreadable"] == [wrong]


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_call_the_next_run_separates_it_and_it_is_rendered(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    refused = Likeness(Verdict.DIFFERENT, {"tone": 3.0}, "tone")
    monkeypatch.setattr(operator, "_verify", lambda *_: refused)
    kill_at, seen = 0, [merged_wrongly(cloud)]
    while True:
        try:
            with cloud.watched_calls(kill_at=kill_at, after=after):
                run(capsys, "separate", "acme", "--yes")
        except Killed:
            kill_at += 1
        else:
            break
        if cloud.asset(seen[0]).near_duplicate is None:
            break  # separated, and then it died
    run(capsys, "separate", "acme", "--yes")
    render_all(cloud)

    image = cloud.get(seen[0]).json
    assert (image["status"], image["near_duplicate_of"], len(image["renditions"])) == ("ready", None, 3)


@pytest.mark.parametrize("arguments", [["list", "Acme"], ["list", "acme", "--after", "x"]])
def test_a_name_that_cannot_be_is_refused(arguments: Sequence[str]) -> None:
    with pytest.raises(SystemExit, match="error: "):
        operator.main([*arguments, "--stack", "catalog-images"])

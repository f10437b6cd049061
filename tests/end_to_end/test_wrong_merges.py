"""Merges of the past that the verifier refuses today, on the deployed stack: listed, shown and separated."""

import os
from pathlib import Path
from unittest import mock

import pytest
from PIL import Image as Pillow

from catalog.domain.keys import AssetKey, asset_id, tenant_id
from infra.operator import merges as operator
from infra.pictures.images import jpeg_bytes, noisy_scene, webp_bytes
from tests.end_to_end.deployment import Deployment, settled

TENANT = "merged-wrongly"


def half_size_webp(picture: Pillow.Image) -> bytes:
    size = (picture.width // 2, picture.height // 2)
    return webp_bytes(picture.resize(size, Pillow.Resampling.LANCZOS), 80)


def test_a_wrong_merge_is_listed_shown_and_separated_and_shows_its_own_renditions(
    deployment: Deployment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The wrong merge is made by changing what is stored: no verifier that is built makes one any more."""
    with deployment.client(TENANT) as shop:
        photo = settled(shop, jpeg_bytes(noisy_scene(80, (900, 700)), 92))
        half = settled(shop, half_size_webp(noisy_scene(80, (900, 700))), "image/webp")
        assert half.document["near_duplicate_of"] == photo.id
        key = AssetKey(tenant_id(TENANT), asset_id(half.id))
        deployment.stack.client("s3").put_object(
            Bucket=deployment.output("OriginalsBucket"),
            Key=key.original,
            Body=half_size_webp(noisy_scene(81, (900, 700))),
        )
        monkeypatch.setattr(operator, "stack_outputs", lambda _: deployment.stack.outputs)
        page = tmp_path / "wrong-merges.html"

        with mock.patch.dict(os.environ):
            operator.main(["list", TENANT, "--stack", "of-these-tests", "--page", str(page)])
            assert f'"id": "{half.id}"' in capsys.readouterr().out
            assert page.read_text().count("data:image/jpeg;base64,") == 2
            operator.main(["separate", TENANT, "--stack", "of-these-tests", "--yes"])
        assert '"separated": 1' in capsys.readouterr().out

        alone = shop.wait(half.id, timeout_seconds=90)
        assert (alone.status, alone.document["near_duplicate_of"]) == ("ready", None)
        assert {one.url for one in alone.renditions}.isdisjoint(one.url for one in photo.renditions)
        (pair,) = shop.call("GET", "/duplicates?likeness=different").json()["duplicates"]
        assert (set(pair["ids"]), pair["merged"], pair["decision"]) == ({half.id, photo.id}, False, None)
        assert [
            one["ids"] for one in shop.call("GET", "/duplicates?likeness=same").json()["duplicates"]
        ] == []

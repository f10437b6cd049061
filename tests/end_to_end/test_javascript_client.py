"""The JavaScript client against the deployed stack: in a real browser, and docs/api.md's block in Node."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from catalog.domain.tenants import Scope
from infra.local.deploy import with_cdn
from infra.operator.tenants import create_tenant_client
from infra.pictures.images import jpeg_bytes, product_photo
from tests.end_to_end.deployment import Deployment
from tests.examples import ROOT, texts

pytestmark = pytest.mark.skipif(not shutil.which("node"), reason="needs Node 20 or newer with npm")

PAGE: Final = Path(__file__).with_name("page.mjs")
PACKAGES: Final = ROOT / ".venvs" / "node"
NO_BROWSER: Final = 3
PHOTOS: Final = 20
TENANT: Final = "gallery"


@pytest.fixture
def environment(deployment: Deployment) -> dict[str, str]:
    created = create_tenant_client(TENANT, scopes=(Scope.READ, Scope.WRITE), outputs=deployment.stack.outputs)
    return {
        **{name: os.environ[name] for name in ("PATH", "HOME", "CHROME") if name in os.environ},
        "API": deployment.stack.api_url,
        "TOKEN_URL": deployment.stack.token_url,
        "CLIENT_ID": created.client.client_id,
        "CLIENT_SECRET": created.client_secret,
    }


def node(folder: Path, environment: dict[str, str], *arguments: str | Path) -> str:
    done = subprocess.run(
        ["node", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode == NO_BROWSER:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def photos(folder: Path, count: int) -> list[Path]:
    files = [folder / f"mug {number}.jpg" for number in range(count)]
    for number, file in enumerate(files):
        file.write_bytes(jpeg_bytes(product_photo(1500 + number, (640, 480))))
    return files


def test_a_page_uploads_20_photos_and_shows_them_from_permanent_urls(
    deployment: Deployment, environment: dict[str, str], tmp_path: Path
) -> None:
    files = photos(tmp_path, PHOTOS)

    with with_cdn(deployment.stack) as cdn:
        said = node(tmp_path, environment, PAGE, PACKAGES, tmp_path / "page.png", *files)

    seen: dict[str, Any] = json.loads(said)

    assert seen["complaints"] == []
    assert seen["workers"] == PHOTOS  # each hashed one file
    assert seen["hashWithoutWorker"] == hashlib.sha256(b"abc").hexdigest()
    assert sorted(image["alt"] for image in seen["shown"]) == sorted(file.name for file in files)
    for image in seen["shown"]:
        addresses = [each.split(" ") for each in image["srcset"].split(", ")]
        assert [width for _, width in addresses] == ["200w", "600w", "640w"]
        for (address, _), preset in zip(addresses, ("thumb", "card", "zoom"), strict=True):
            assert re.fullmatch(rf"{re.escape(cdn)}/renditions/{TENANT}/[0-9a-f]{{64}}/{preset}", address)
        assert image["currentSrc"] == addresses[0][0]


def test_the_javascript_recipe_does_what_it_says(environment: dict[str, str], tmp_path: Path) -> None:
    (recipe,) = texts("docs/api.md", "js")
    (tmp_path / "recipe.mjs").write_text(recipe)
    (tmp_path / "lamp.jpg").write_bytes(jpeg_bytes(product_photo(1499, (640, 480))))
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "catalog-images").symlink_to(ROOT / "clients" / "js")

    said = node(tmp_path, environment, "recipe.mjs")

    assert [each.split(" ")[1] for each in said.strip().split(", ")] == ["200w", "600w", "640w"]

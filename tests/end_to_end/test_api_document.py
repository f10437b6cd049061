"""docs/api.md: its blocks are run as they stand, and do on a deployed stack what the document says."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from catalog.domain.tenants import ClientCredentials, Scope
from infra.operator.tenants import create_tenant_client
from tests.builders.images import jpeg_bytes, product_photo
from tests.end_to_end.deployment import Deployment

TENANT = "recipes"  # other tests have images in the document's
DOCUMENT = (Path(__file__).parents[2] / "docs" / "api.md").read_text().replace('"acme"', f'"{TENANT}"')

# 30 days from now, the photo that has no reference would go: what the document's dry run cannot find today.
THIRTY_DAYS_LATER = f"""
late = confirm(propose("{TENANT}", days=0))
facts = dict(lamp=lamp, small=small, comparison=comparison, run=run, late=late)
Path("facts.json").write_text(json.dumps(facts))
"""


def blocks(language: str) -> str:
    found = re.findall(rf"^```{language}\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert found
    return "\n".join(found)


def client(deployment: Deployment, tenant: str, *scopes: Scope) -> ClientCredentials:
    return create_tenant_client(tenant, scopes=scopes, outputs=deployment.stack.outputs)


@pytest.fixture(scope="module")
def environment(deployment: Deployment) -> dict[str, str]:
    """What the document asks for."""
    own = client(deployment, TENANT, Scope.READ, Scope.WRITE)
    admin = client(deployment, "operators", Scope.ADMIN, Scope.READ)
    return {
        "PATH": os.environ["PATH"],
        "API": deployment.stack.api_url,
        "TOKEN_URL": deployment.stack.token_url,
        "CLIENT_ID": own.client.client_id,
        "CLIENT_SECRET": own.client_secret,
        "ADMIN_ID": admin.client.client_id,
        "ADMIN_SECRET": admin.client_secret,
    }


def test_the_curl_recipe_lists_images(environment: dict[str, str], tmp_path: Path) -> None:
    said = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", blocks("bash")],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    assert set(json.loads(said.stdout)) == {"images", "cursor"}


def test_the_python_recipes_do_what_they_say(environment: dict[str, str], tmp_path: Path) -> None:
    photo = jpeg_bytes(product_photo(4711, (1600, 1200)))
    (tmp_path / "lamp.jpg").write_bytes(photo)
    half = Image.open(io.BytesIO(photo)).resize((800, 600))
    (tmp_path / "lamp-small.jpg").write_bytes(jpeg_bytes(half))
    (tmp_path / "recipes.py").write_text(blocks("python") + THIRTY_DAYS_LATER)

    said = subprocess.run(
        [sys.executable, "-I", "recipes.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert said.returncode == 0, said.stderr
    facts = json.loads((tmp_path / "facts.json").read_text())
    lamp, small = facts["lamp"], facts["small"]
    assert (lamp["status"], small["near_duplicate_of"]) == ("ready", lamp["id"])
    assert facts["comparison"]["recommended_format"] in {"jpeg", "webp", "avif", "png"}
    assert facts["run"]["deleted_count"] == 0
    assert small["id"] in facts["late"]["candidates"]
    assert lamp["id"] not in facts["late"]["candidates"]

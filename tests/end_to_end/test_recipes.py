"""The recipes of docs/api.md and docs/operations.md are run as they stand, and do what they say."""

import io
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from catalog.domain.tenants import ClientCredentials, Scope
from infra.operator.tenants import create_tenant_client
from infra.pictures.images import jpeg_bytes, product_photo
from tests.end_to_end.deployment import Deployment
from tests.examples import ROOT, texts

# Other tests have images in the documents' tenants, or make them: schemathesis sends the contract's examples.
TENANTS = {"acme": "recipes", "initech": "recipes-made"}
TENANT = TENANTS["acme"]

# In 30 days, the photo that has no reference would go: what the document's dry run cannot find today.
IN_THIRTY_DAYS = f"""
late = confirm(propose("{TENANT}", days=0))
"""
ALL_SETTLED = """
for page in pages("/images"):
    imported = [wait(image["id"]) for image in page["images"]]
"""
# A rebuild that waits to remove old renditions is under way, and no tenant is erased beside one.
END_OF_WAITING = """
if not rebuilt["ended_at"]:
    call("POST", f"/jobs/{rebuilt['id']}/cancel", who="ADMIN")
"""
WITH_THE_NEW_SECRET = """
os.environ.update(CLIENT_ID=fresh["client_id"], CLIENT_SECRET=fresh["client_secret"])
tokens.clear()
"""
FACTS = """
facts = dict(lamp=lamp, small=small, comparison=comparison, run=run, late=late, imported=imported)
facts |= dict(found=found, erasing=erasing, rebuilt=rebuilt, look=look)
facts |= dict(would=would["counts"], done=done["counts"])
Path("facts.json").write_text(json.dumps(facts))
"""


def blocks(document: str, language: str, *, below: str | None = None) -> list[str]:
    """A document's examples, with tenants of this module."""
    names = re.compile("|".join(TENANTS))
    return [
        names.sub(lambda found: TENANTS[found[0]], text) for text in texts(document, language, below=below)
    ]


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
        ["bash", "-euo", "pipefail", "-c", *blocks("docs/api.md", "bash")],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    assert set(json.loads(said.stdout)) == {"images", "cursor"}


def test_the_operators_command_of_the_readme_makes_a_client(deployment: Deployment) -> None:
    (shown,) = blocks("README.md", "bash", below="Deploy it")
    *_, command = shown.splitlines()
    emulator = deployment.stack.emulator
    said = subprocess.run(
        shlex.split(command),
        cwd=ROOT,
        env=os.environ | {"AWS_ENDPOINT_URL": emulator.endpoint} | emulator.credentials,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout).keys() >= {"client_id", "client_secret"}


def test_the_python_recipes_do_what_they_say(
    deployment: Deployment, environment: dict[str, str], tmp_path: Path
) -> None:
    photo = jpeg_bytes(product_photo(4711, (1600, 1200)))
    (tmp_path / "lamp.jpg").write_bytes(photo)
    half = Image.open(io.BytesIO(photo)).resize((800, 600))
    (tmp_path / "lamp-small.jpg").write_bytes(jpeg_bytes(half))
    old_shop = deployment.stack.client("s3")
    old_shop.create_bucket(Bucket="old-shop-photos")
    old_shop.put_object(Bucket="old-shop-photos", Key="SKU 12.jpg", Body=jpeg_bytes(product_photo(12)))
    jobs, take, rebuild, find, erase, rotate, recount = blocks("docs/operations.md", "python")
    program = [
        *blocks("docs/api.md", "python"),
        *(IN_THIRTY_DAYS, jobs, take, ALL_SETTLED, rebuild, END_OF_WAITING, find, recount),
        *(rotate, WITH_THE_NEW_SECRET, erase, FACTS),
    ]
    (tmp_path / "recipes.py").write_text("\n".join(program))

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
    assert f"main A brass lamp {lamp['id']}" in said.stdout.splitlines()
    assert facts["comparison"]["recommended_format"] in {"jpeg", "webp", "avif", "png"}
    assert facts["run"]["deleted_count"] == 0
    assert small["id"] in facts["late"]["candidates"]
    assert lamp["id"] not in facts["late"]["candidates"]
    assert (facts["would"]["new"], facts["would"]["sampled"], facts["done"]["new"]) == (1, 1, 1)
    assert ["SKU 12"] in [image["references"] for image in facts["imported"]]
    assert facts["rebuilt"]["progress"]["failed"] == 0
    assert (facts["look"]["state"], facts["look"]["dry_run"]) == ("completed", True)
    assert facts["found"]["state"] == "completed"
    assert facts["found"]["counts"]["images"] >= 2  # the lamp and what was imported
    assert (facts["erasing"]["state"], facts["erasing"]["dry_run"]) == ("running", False)

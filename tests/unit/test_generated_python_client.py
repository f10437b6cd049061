"""docs/openapi.yaml generates a Python client that can be imported and reads what the API answers."""

import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import yaml

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.yaml"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    folder = tmp_path_factory.mktemp("generated")
    command = ("openapi_python_client", "generate", "--meta", "none", "--path", DOCUMENT)
    subprocess.run(
        [sys.executable, "-m", *command, "--output-path", folder / "catalog_client"],
        check=True,
        capture_output=True,
    )
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.syspath_prepend(str(folder))
        yield importlib.import_module("catalog_client")
        for name in [name for name in sys.modules if name.startswith("catalog_client")]:
            del sys.modules[name]


def test_every_module_of_the_client_can_be_imported(client: ModuleType) -> None:
    found = [module.name for module in pkgutil.walk_packages(client.__path__, "catalog_client.")]
    for name in found:
        importlib.import_module(name)

    assert {"catalog_client.api.images.request_upload", "catalog_client.models.purge_proposal"} <= set(found)


def test_no_operation_and_no_schema_of_the_document_is_left_out(client: ModuleType) -> None:
    document = yaml.safe_load(DOCUMENT.read_text())
    models = importlib.import_module("catalog_client.models")
    modules = {
        module.name.rpartition(".")[2] for module in pkgutil.walk_packages(client.__path__, "catalog_client.")
    }
    operations = {
        "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in method["operationId"])
        for path in document["paths"].values()
        for verb, method in path.items()
        if verb in ("get", "post", "put", "delete")
    }
    objects = {
        name
        for name, schema in document["components"]["schemas"].items()
        if schema.get("type") == "object" or "allOf" in schema
    }
    assert operations - modules == set()
    assert objects - set(vars(models)) == set()


def test_the_client_reads_a_null_where_the_document_allows_one(client: ModuleType) -> None:
    models = importlib.import_module("catalog_client.models")
    limits = models.Limits.from_dict({"uploads_per_minute": None, "stored_bytes": 5})

    assert (limits.uploads_per_minute, limits.stored_bytes) == (None, 5)

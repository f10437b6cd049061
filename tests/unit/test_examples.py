"""Every example in the documents that a shop's developer reads is executed by a test, which is named here."""

import re
import shlex
import subprocess
from collections import Counter
from typing import Final

import pytest
import yaml

from infra.documents import markdown
from tests.examples import ROOT, examples

CLIENT: Final = "tests/end_to_end/test_python_client.py"
RECIPES: Final = "tests/end_to_end/test_recipes.py"
TARGETS: Final = "tests/unit/test_examples.py::test_make_knows_every_command_of_the_documents"
DIAGRAM: Final = "mermaid"

# By document and language: the test that executes all blocks, which are one program.
PROGRAMS: Final = {
    ("docs/api.md", "python"): f"{RECIPES}::test_the_python_recipes_do_what_they_say",
}
# By document, heading and language: the tests that execute the one block there.
EXECUTED: Final = {
    ("README.md", "Try it", "bash"): [TARGETS],
    ("README.md", "Call it", "bash"): [f"{CLIENT}::test_the_readme_calls_it_as_it_stands"],
    ("README.md", "Call it", "html"): [
        "tests/end_to_end/test_cdn.py::test_a_stored_url_shows_the_rendition_and_then_that_nothing_changed"
    ],
    # `sam deploy --guided` asks a person; the tests deploy by `sam build` and `sam deploy` without it.
    ("README.md", "Deploy it", "bash"): [
        TARGETS,
        f"{RECIPES}::test_the_operators_command_of_the_readme_makes_a_client",
    ],
    ("docs/api.md", "The API in working code", "bash"): [f"{RECIPES}::test_the_curl_recipe_lists_images"],
    ("docs/api.md", "In JavaScript", "js"): [
        "tests/end_to_end/test_javascript_client.py::test_the_javascript_recipe_does_what_it_says"
    ],
    **{
        ("docs/events.md", "Webhooks", language): [
            "tests/end_to_end/test_webhooks.py::test_a_receiver_that_was_down_gets_each_event_verified"
        ]
        for language in ("bash", "python")
    },
    ("docs/events.md", "Events", "json"): [
        "tests/functional/test_events.py::test_the_example_of_the_documentation_is_what_its_schema_says"
    ],
    ("docs/events.md", "The bus", "yaml"): [
        "tests/functional/test_events.py::test_the_rule_of_the_documentation_hears_what_it_says_and_nothing_else"
    ],
    ("clients/python/README.md", "catalog-images", "bash"): [
        f"{CLIENT}::test_the_clients_readme_asks_who_calls_and_takes_references_from_folders"
    ],
    ("clients/python/README.md", "catalog-images", "python"): [
        f"{CLIENT}::test_ten_lines_of_python_bring_the_first_image_live"
    ],
}  # fmt: skip
DOCUMENTS: Final = sorted(
    {"README.md", "docs/api.md", "docs/events.md"}
    | {path.relative_to(ROOT).as_posix() for path in ROOT.glob("clients/*/README.md")}
)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_example_is_executed_by_a_test(document: str) -> None:
    shown = Counter(
        (document, each.heading, each.language)
        for each in examples(document)
        if each.language != DIAGRAM and (document, each.language) not in PROGRAMS
    )

    assert shown == Counter({key: 1 for key in EXECUTED if key[0] == document})


@pytest.mark.parametrize(
    "test", sorted({*PROGRAMS.values(), *(each for tests in EXECUTED.values() for each in tests)})
)
def test_each_of_these_tests_is_there(test: str) -> None:
    file, _, name = test.partition("::")
    assert re.search(rf"^def {name}\(", (ROOT / file).read_text(), re.M)


def test_make_knows_every_command_of_the_documents() -> None:
    words = {
        word
        for document in markdown(ROOT)
        for each in examples(document.relative_to(ROOT).as_posix())
        if each.language == "bash"
        for line in each.text.splitlines()
        if line.startswith("make ")
        for word in shlex.split(line, comments=True)[1:]
    }
    assert {"demo", "test", "doctor", "build"} <= words

    said = subprocess.run(
        ["make", "--dry-run", *sorted(words)], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert said.returncode == 0, said.stderr


def test_every_call_that_a_document_names_is_one_of_the_contract() -> None:
    paths = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())["paths"]
    calls = [
        (method.upper(), re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(f"/v1{path}"))))
        for path, operations in paths.items()
        for method in operations
    ]
    named = {
        (document.name, *call)
        for document in markdown(ROOT)
        for call in re.findall(r"`(GET|PUT|POST|DELETE) (/v1/[^`?\s]+)", document.read_text())
    }
    assert len(named) > len(calls)
    unknown = {
        (document, method, path)
        for document, method, path in named
        if not any(method == known and shape.fullmatch(path) for known, shape in calls)
    }
    assert unknown == set()


def test_an_error_has_the_fields_that_the_document_shows() -> None:
    schemas = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())["components"]["schemas"]
    (shown,) = re.findall(r'`\{"error": \{(.+?)\}\}`', (ROOT / "docs" / "api.md").read_text())

    assert set(schemas["Error"]["properties"]["error"]["required"]) == set(re.findall(r'"(\w+)"', shown))

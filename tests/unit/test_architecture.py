"""Imports point one way: handler -> api -> use case -> domain, with adapters passed in."""

import ast
import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
CATALOG = ROOT / "layers" / "catalog" / "catalog"
IMAGING = ROOT / "layers" / "imaging" / "imaging"
FUNCTIONS = ROOT / "functions"


def modules(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


def imports(path: Path, *, typing_too: bool = False) -> Iterator[str]:
    """Dotted names a module imports when it runs; with `typing_too`, also those only types need."""
    pending: list[ast.AST] = [ast.parse(path.read_text())]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not typing_too:
            pending.extend(node.orelse)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            pending.extend(ast.iter_child_nodes(node))


def package(name: str) -> str:
    return ".".join(name.split(".")[:2])


@pytest.mark.parametrize("path", modules(CATALOG / "domain"), ids=lambda path: path.name)
def test_the_domain_imports_the_standard_library_only(path: Path) -> None:
    for name in imports(path, typing_too=True):
        assert name.split(".")[0] in sys.stdlib_module_names or package(name) == "catalog.domain", name


@pytest.mark.parametrize("path", modules(CATALOG / "use_cases"), ids=lambda path: path.name)
def test_use_cases_import_the_domain_and_know_adapters_by_type_only(path: Path) -> None:
    for name in imports(path):
        allowed = name.split(".")[0] in sys.stdlib_module_names
        assert allowed or package(name) in {"catalog.domain", "catalog.use_cases"}, name


@pytest.mark.parametrize("path", modules(CATALOG / "adapters"), ids=lambda path: path.name)
def test_adapters_import_no_use_case_and_no_handler(path: Path) -> None:
    for name in imports(path, typing_too=True):
        if name.startswith("catalog"):
            assert package(name) in {"catalog.domain", "catalog.adapters"}, name


def test_nothing_but_handlers_and_the_operators_commands_imports_where_the_catalog_speaks_http() -> None:
    inside = CATALOG / "api"
    others = [path for path in [*modules(CATALOG), *modules(IMAGING)] if inside not in path.parents]

    assert others
    assert not {
        path.name: name
        for path in others
        for name in imports(path, typing_too=True)
        if package(name) == "catalog.api"
    }


@pytest.mark.parametrize("path", modules(CATALOG / "api"), ids=lambda path: path.name)
def test_where_the_catalog_speaks_http_no_adapter_is_known(path: Path) -> None:
    for name in imports(path, typing_too=True):
        assert package(name) != "catalog.adapters", name


@pytest.mark.parametrize("path", modules(CATALOG / "api" / "inputs"), ids=lambda path: path.name)
def test_inputs_import_the_domain_and_each_other(path: Path) -> None:
    for name in imports(path, typing_too=True):
        if name.startswith("catalog"):
            known = ("catalog.domain.", "catalog.api.inputs.", "catalog.api.multipart.")
            assert name.startswith(known), name


def test_no_module_of_the_catalog_is_named_like_a_famous_library() -> None:
    famous = {"requests", "requests.py", "http_client.py", "boto3.py", "pydantic.py", "flask.py"}
    assert not famous & {path.name for path in CATALOG.rglob("*")}


@pytest.mark.parametrize("path", modules(CATALOG), ids=lambda path: path.name)
def test_the_catalog_knows_no_pixels_and_no_handler(path: Path) -> None:
    roots = {name.split(".")[0] for name in imports(path, typing_too=True)}
    assert not roots & {"imaging", "functions", "PIL", "numpy", "imagehash", "boto3"}


@pytest.mark.parametrize("path", modules(CATALOG), ids=lambda path: path.name)
def test_only_functions_and_tools_build_services(path: Path) -> None:
    if path.parent.name != "composition":
        assert "catalog.composition" not in {package(name) for name in imports(path, typing_too=True)}


@pytest.mark.parametrize("path", modules(IMAGING), ids=lambda path: path.name)
def test_imaging_knows_the_domain_and_nothing_of_aws(path: Path) -> None:
    for name in imports(path, typing_too=True):
        assert name.split(".")[0] not in {
            "botocore",
            "boto3",
            "pynamodb",
            "aws_lambda_powertools",
            "functions",
        }
        if name.startswith("catalog"):
            assert package(name) == "catalog.domain", name


@pytest.mark.parametrize("path", modules(FUNCTIONS), ids=lambda path: path.parent.name)
def test_handlers_import_no_other_handler(path: Path) -> None:
    assert not [
        name for name in imports(path, typing_too=True) if name.split(".")[0] in {"functions", "handler"}
    ]


@pytest.mark.parametrize("folder", ["layers", "functions", "infra", "benchmarks"])
def test_only_tests_import_tests(folder: str) -> None:
    for path in modules(ROOT / folder):
        assert not {name for name in imports(path, typing_too=True) if name.split(".")[0] == "tests"}, path


def test_one_module_reads_the_environment() -> None:
    readers = [
        path.relative_to(ROOT).as_posix()
        for path in [*modules(CATALOG), *modules(IMAGING), *modules(FUNCTIONS)]
        if "environ" in path.read_text() or "getenv" in path.read_text()
    ]
    assert readers == ["layers/catalog/catalog/settings.py"]


def test_two_modules_know_status_codes_what_the_api_answers_and_what_viewers_get() -> None:
    knowing = [
        path.name for path in [*modules(CATALOG), *modules(FUNCTIONS)] if "HTTPStatus" in path.read_text()
    ]
    assert knowing == ["http.py", "views.py"]


def test_no_example_has_a_deadline_or_fails_since_drawing_it_was_slow() -> None:
    assert settings().deadline is None
    assert HealthCheck.too_slow in settings().suppress_health_check


def test_a_derandomized_test_draws_the_same_whichever_modules_are_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drawn() -> list[tuple[int, str]]:
        examples = list[tuple[int, str]]()

        @settings(derandomize=True, max_examples=200, database=None)
        @given(st.integers(0, 10_000), st.text(max_size=20))
        def draw(number: int, text: str) -> None:
            examples.append((number, text))

        draw()
        return examples

    before = drawn()
    (tmp_path / "module_of_another_kind.py").write_text("NUMBERS, WORD = (4711, 1234, 2222), 'another word'")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("module_of_another_kind")

    assert drawn() == before


@pytest.mark.parametrize(
    "path",
    sorted((ROOT / "tests").glob("*/test_*.py")),
    ids=lambda path: f"{path.parent.name}/{path.name}",
)
def test_no_test_measures_a_time_and_only_those_on_a_deployed_stack_wait_or_race(path: Path) -> None:
    source = path.read_text()

    # Scripts that a test runs in a process of its own are in its source too.
    assert not re.search(r"\b(monotonic|perf_counter|process_time|thread_time|times)(_ns)?\(\)", source)
    if path.parent.name != "end_to_end":
        assert not re.search(r"^ *time\.sleep\(", source, re.M)
    if path.parent.name == "functional":  # moto's conditions are not atomic
        assert not re.search(r"\bThreadPoolExecutor\(|\bBarrier\(", source)

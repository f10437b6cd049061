"""Generate the tables in documents from code, template and contract.

    python -m infra.documents            # write them
    python -m infra.documents --check    # fail if one is stale, or if there are too many words

A document marks the place and names a function of this module (cog's markers):

    <!-- [[[cog documents.settings() ]]] -->
    <!-- [[[end]]] -->
"""

import ast
import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml
from cfnlint.decode import cfn_yaml
from cogapp import Cog

import infra.operator  # noqa: F401 - puts the layers on the path
from catalog.domain.lifecycle import transition_rows
from catalog.domain.rejections import HEALING
from catalog.use_cases.ingestion import Outcome

ROOT: Final = Path(__file__).resolve().parents[1]
README_WORDS: Final = 700
ALL_WORDS: Final = 17_650


def settings() -> None:
    """Parameters of template.yaml: default, what is allowed, meaning."""
    _table(
        ("parameter", "default", "allowed", "meaning"),
        (
            (f"`{name}`", _code(_default(given)), _allowed(given), _line(given["Description"]))
            for name, given in cfn_yaml.load(str(ROOT / "template.yaml"))["Parameters"].items()
        ),
    )


def routes() -> None:
    """Operations of docs/openapi.yaml and their scopes."""
    _table(
        ("call", "scope", "what it does"),
        (
            (f"`{method.upper()} /v1{path}`", ", ".join(_scopes(operation)), _line(operation["summary"]))
            for path, operations in _contract()["paths"].items()
            for method, operation in operations.items()
        ),
    )


def error_codes() -> None:
    """Error codes of docs/openapi.yaml by status; their meaning is there."""
    codes: defaultdict[str, set[str]] = defaultdict(set)
    for operations in _contract()["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                codes[status] |= set(_error_codes(response))
    _table(
        ("status", "`error.code`"),
        (
            (status, ", ".join(f"`{code}`" for code in sorted(known)))
            for status, known in sorted(codes.items())
            if known
        ),
    )


def rejections() -> None:
    """Rejection codes of docs/openapi.yaml, with their meaning."""
    code = _contract()["components"]["schemas"]["Rejection"]["properties"]["code"]
    meanings = {
        name: _line(meaning)
        for name, meaning in re.findall(r"^- `(\w+)`: (.*?)(?=^- |\Z)", code["description"], re.M | re.S)
    }
    _table(("rejection", "meaning"), ((f"`{name}`", meanings[name]) for name in code["enum"]))


def transitions() -> None:
    """Every write of an asset: the states it is allowed in, and those it leads to."""
    _table(
        ("write", "by", "from", "to", "besides"),
        ((write, by, sources, to, needs) for write, by, sources, to, _, _, needs in transition_rows()),
    )
    print(f"\n`repairable` is `rejected` with {', '.join(f'`{code}`' for code in HEALING)}.")


def counters() -> None:
    """Counters in CloudWatch, by function."""
    counted = {
        handler.parent.name.replace("_", "-"): sorted(
            name for module in (handler, *_compositions(handler)) for name in _counted(module)
        )
        for handler in sorted(ROOT.glob("functions/*/handler.py"))
    }
    counted["every job worker"] = sorted(_counted(ROOT / "layers/catalog/catalog/job_lines.py"))
    counted["every API function"] = sorted(
        name for module in ROOT.glob("layers/catalog/catalog/**/http.py") for name in _counted(module)
    )
    _table(
        ("function", "counters"),
        (
            (function, ", ".join(f"`{name}`" for name in names))
            for function, names in counted.items()
            if names
        ),
    )


def rooms() -> None:
    """A diagram of imports between rooms; dotted if they are for types only."""
    arrows: defaultdict[tuple[str, str], bool] = defaultdict(bool)
    for base, folder in ((".", "functions"), ("layers/catalog", "catalog"), ("layers/imaging", "imaging")):
        for module in sorted((ROOT / base / folder).rglob("*.py")):
            room = _room(module.relative_to(ROOT / base).parts)
            for name, runs in _imports(ast.parse(module.read_text())):
                arrows[room, _room(name.split("."))] |= runs
    print("```mermaid", "flowchart LR", sep="\n")
    for (room, other), runs in sorted(arrows.items()):
        if room != other:
            print(f"    {room} {'-->' if runs else '-.->'} {other}")
    print("```")


def main(arguments: Sequence[str], root: Path = ROOT) -> int:
    """Write or check the generated parts of every document under `root`; returns the exit status."""
    documents = markdown(root)
    check = "--check" in arguments
    mode = ["--check", "--diff"] if check else ["-r"]
    status = Cog().main(
        ["cog", "-P", "-p", "from infra import documents", "--verbosity=1", *mode, *map(str, documents)]
    )
    if status == 0 and check:
        faults = too_long({path.relative_to(root).as_posix(): path.read_text() for path in documents})
        print(*faults, sep="\n", end="\n" if faults else "", file=sys.stderr)
        status = len(faults)
    elif status:
        print("error: a document is stale; run: make documents", file=sys.stderr)
    return status


def markdown(root: Path) -> list[Path]:
    """Every Markdown file of the project, except in hidden folders, which are installed or built."""
    folders = [folder for folder in root.iterdir() if folder.is_dir() and not folder.name.startswith(".")]
    return sorted([*root.glob("*.md"), *(path for folder in folders for path in folder.rglob("*.md"))])


def too_long(texts: Mapping[str, str]) -> list[str]:
    """Limits of words that are exceeded: the README's, or that of all documents."""
    words = {path: len(text.split()) for path, text in texts.items()}
    allowed = {
        "README.md": (words.get("README.md", 0), README_WORDS),
        "all Markdown": (sum(words.values()), ALL_WORDS),
    }
    return [
        f"error: {what} has {number:,} words, at most {most:,} are allowed"
        for what, (number, most) in allowed.items()
        if number > most
    ]


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    for row in (header, ["---"] * len(header), *rows):
        print(f"|{'|'.join(cell.replace('|', chr(92) + '|') for cell in row)}|")


def _line(text: str) -> str:
    return " ".join(text.split()).removesuffix(".")


def _code(text: str) -> str:
    return f"`{text}`" if text else "empty"


def _default(parameter: Mapping[str, Any]) -> str:
    default = str(parameter["Default"])
    if default.startswith(("[", "{")):
        return json.dumps(json.loads(default), separators=(",", ":"))
    return default


def _allowed(parameter: Mapping[str, Any]) -> str:
    if "AllowedValues" in parameter:
        return ", ".join(map(str, parameter["AllowedValues"]))
    if "MinValue" in parameter:
        return f"{parameter['MinValue']}-{parameter['MaxValue']}"
    return ""


def _contract() -> Any:
    return yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())


def _scopes(operation: Mapping[str, Any]) -> list[str]:
    return [scope for way in operation["security"] for scope in way["clientCredentials"]]


def _error_codes(response: Mapping[str, Any]) -> Iterator[str]:
    if "$ref" not in response:
        return
    shape = _contract()["components"]["responses"][response["$ref"].rsplit("/", 1)[1]]
    for part in shape["content"]["application/json"]["schema"]["allOf"]:
        if "properties" in part:
            yield from part["properties"]["error"]["properties"]["code"]["enum"]


def _compositions(handler: Path) -> Iterator[Path]:
    """The modules of services that the handler holds."""
    imported = re.findall(r"^from catalog\.composition import (.+)$", handler.read_text(), re.M)
    for name in re.findall(r"\w+", " ".join(imported)):
        yield ROOT / f"layers/catalog/catalog/composition/{name}.py"


def _counted(module: Path) -> set[str]:
    """The first argument of every `count(...)`; ingest counts an outcome by its name."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "count":
            if isinstance(node.args[0], ast.Constant):
                names.add(str(node.args[0].value))
            elif module.name == "ingesting.py":
                names |= {outcome.name.title().replace("_", "") for outcome in Outcome}
            else:
                raise ValueError(f"{module}:{node.lineno} counts under a name that is not written there")
    return names


def _room(parts: Sequence[str]) -> str:
    """The folder of the catalog, or its only layer's."""
    return parts[1].removesuffix(".py") if parts[0] == "catalog" else parts[0]


def _imports(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """Our modules that a module imports, and whether at run time or for types only."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in {"catalog", "imaging"}:
            yield from ((f"{node.module}.{alias.name}", True) for alias in node.names)
        types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        yield from ((name, runs and not types) for name, runs in _imports(node))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

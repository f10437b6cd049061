"""The generated parts of the documents: written from code, template and contract, and held to them."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from infra import documents

MARKED = "# Rejections\n\n<!-- [[[cog documents.rejections() ]]] -->\n<!-- [[[end]]] -->\n\nThe end.\n"


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A project of one document, just written."""
    document = tmp_path / "docs" / "codes.md"
    document.parent.mkdir()
    document.write_text(MARKED)
    assert documents.main([], tmp_path) == 0
    return document


def test_a_generated_part_says_what_the_contract_says(written: Path) -> None:
    text = written.read_text()
    assert "|`checksum_mismatch`|the object's SHA-256 is not its key" in text
    assert text.startswith("# Rejections\n") and text.endswith("\nThe end.\n")


def test_what_was_just_written_is_not_stale(written: Path) -> None:
    assert documents.main(["--check"], written.parents[1]) == 0


def test_a_stale_document_fails_the_check(written: Path, capfd: pytest.CaptureFixture[str]) -> None:
    written.write_text(written.read_text().replace("|`corrupt`|", "|`broken`|"))
    assert documents.main(["--check"], written.parents[1]) != 0
    assert "make documents" in capfd.readouterr().err


def test_too_many_words_fail_the_check(written: Path, capfd: pytest.CaptureFixture[str]) -> None:
    readme = written.parents[1] / "README.md"
    readme.write_text("word " * documents.README_WORDS)
    assert documents.main(["--check"], written.parents[1]) == 0
    readme.write_text("word " * (documents.README_WORDS + 1))
    assert documents.main(["--check"], written.parents[1]) != 0
    assert "README.md has" in capfd.readouterr().err


def test_all_documents_together_have_a_limit_of_words() -> None:
    half = "word " * (documents.ALL_WORDS // 2)
    assert documents.too_long({"docs/a.md": half, "docs/b.md": half}) == []
    assert len(documents.too_long({"docs/a.md": half, "docs/b.md": half, "docs/c.md": "one more"})) == 1


def test_what_is_installed_or_built_is_no_document(written: Path) -> None:
    root = written.parents[1]
    (root / ".venvs").mkdir()
    (root / ".venvs" / "readme.md").write_text("words")
    assert documents.markdown(root) == [written]


def test_the_diagram_of_rooms_draws_imports_for_types_dotted(capsys: pytest.CaptureFixture[str]) -> None:
    documents.rooms()
    drawn = capsys.readouterr().out
    assert "    imaging --> domain\n" in drawn
    assert "    use_cases -.-> adapters\n" in drawn
    assert "    domain -" not in drawn


def _anchors(text: str) -> set[str]:
    """What headings of a document may be linked as."""
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", documents.markdown(documents.ROOT), ids=lambda path: path.name)
def test_every_link_leads_to_a_file_and_a_heading_of_it(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = document.parent / path if path else document
        assert file.exists(), target
        assert not anchor or anchor in _anchors(file.read_text()), target


@pytest.mark.parametrize("document", documents.markdown(documents.ROOT), ids=lambda path: path.name)
def test_every_command_that_a_document_names_is_there(document: Path) -> None:
    text = document.read_text()
    targets = set(re.findall(r"^([a-z-]+):", (documents.ROOT / "Makefile").read_text(), re.M))
    named = [*re.findall(r"^make ([a-z -]+)", text, re.M), *re.findall(r"`make ([a-z -]+)", text)]
    assert {target for line in named for target in line.split()} <= targets
    for program in re.findall(r"python -m ((?:infra|benchmarks)[.\w]*)", text):
        assert find_spec(program), program

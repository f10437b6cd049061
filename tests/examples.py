"""The examples in the documents: every block between fences."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
_HEADING_OR_BLOCK: Final = re.compile(
    r"^#+ (?P<heading>[^\n]+)$|^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.M | re.S
)


@dataclass(frozen=True, slots=True)
class Example:
    """A block, the heading that it stands below, and its language."""

    heading: str
    language: str
    text: str


def examples(document: str) -> list[Example]:
    """Those of a document, by its path in this project, from top to bottom."""
    heading, found = "", []
    for match in _HEADING_OR_BLOCK.finditer((ROOT / document).read_text()):
        if match["heading"]:
            heading = match["heading"]
        else:
            found.append(Example(heading, match["language"], match["text"]))
    return found


def texts(document: str, language: str, *, below: str | None = None) -> list[str]:
    """Those in a language; `below` a heading."""
    return [
        each.text
        for each in examples(document)
        if each.language == language and below in (None, each.heading)
    ]

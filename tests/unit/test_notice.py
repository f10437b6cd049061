"""NOTICE names every package that we distribute, with its license."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_notice_names_exactly_the_packages_in_the_layers() -> None:
    packed = {
        name
        for pins in ROOT.glob("layers/*/requirements.txt")
        for name in re.findall(r"^([\w-]+)==", pins.read_text(), re.MULTILINE)
    }
    named = set(re.findall(r"^    ([a-z][\w-]+) {2,}\S", (ROOT / "NOTICE").read_text(), re.MULTILINE))
    assert packed and named == packed

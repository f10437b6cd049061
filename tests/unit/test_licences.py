"""What the layers ship may be shipped under Apache-2.0, and NOTICE names it."""

import re
from importlib.metadata import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# SPDX identifiers of permissive licences; a work under Apache-2.0 may contain any of these.
COMPATIBLE = {
    *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0"),
    *("MIT", "MIT-0", "MIT-CMU", "PSF-2.0", "Zlib"),
}
# Of libraries that are linked when they are loaded, and can be replaced in the layer.
REPLACEABLE = {"LGPL-3.0-only"}
# What packages without an SPDX expression write.
SPDX = {
    "2-clause BSD License": "BSD-2-Clause",
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: MIT No Attribution License (MIT-0)": "MIT-0",
}
PINS = sorted(
    line.partition("==")[0]
    for file in ROOT.glob("layers/*/requirements.txt")
    for line in file.read_text().splitlines()
    if line[:1].isalpha()
)
NOTICE = {
    found["name"]: found["licence"]
    for line in (ROOT / "NOTICE").read_text().splitlines()
    if (found := re.fullmatch(r" {4}(?P<name>[a-z][\w-]*) {2,}(?P<licence>[^;]+).*", line))
}


def identifiers(expression: str) -> set[str]:
    return set(re.split(r" (?:AND|OR) ", expression.strip()))


def licences_of(package: str) -> set[str]:
    """As the installed package says it; an unknown word stays as it is."""
    found = metadata(package)
    if expression := found.get("License-Expression"):
        return identifiers(expression)
    said = [one for one in found.get_all("Classifier") or [] if one.startswith("License ::")]
    said = said or [found.get("License") or "none"]
    return {SPDX.get(one, one) for one in said}


def test_notice_names_every_package_of_the_layers_and_no_other() -> None:
    assert sorted(NOTICE) == PINS


@pytest.mark.parametrize("package", PINS)
def test_a_package_of_a_layer_has_a_compatible_licence_the_one_in_notice(package: str) -> None:
    licences = licences_of(package)
    assert licences <= (REPLACEABLE if package == "pi-heif" else COMPATIBLE)
    assert identifiers(NOTICE[package]) <= licences

"""Parameters reach CloudFormation through sam's own parser as they were given."""

import json
import subprocess
from pathlib import Path

import pytest

from infra.local import environments
from infra.local.deploy import DeploymentError, override, presets_of

PRESETS = [{"name": "thumb", "width": 200, "height": 200, "background": "#ffffff"}, {"name": "it's a card"}]
PARSE = """
import json, sys
from samcli.cli.types import CfnParameterOverridesType
print(json.dumps(CfnParameterOverridesType().convert(tuple(sys.argv[1:]), None, None)))
"""


def parsed(*overrides: str) -> dict[str, str]:
    environments.ensure("sam")
    command = [environments.command("sam", "python"), "-c", PARSE, *overrides]
    told: dict[str, str] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return told


def test_presets_of_a_file_reach_cloudformation_whole(tmp_path: Path) -> None:
    file = tmp_path / "presets.json"
    file.write_text(json.dumps(PRESETS, indent=2))

    told = parsed(override("Presets", presets_of(file)), override("AllowedOrigin", "*"))

    assert json.loads(told["Presets"]) == PRESETS
    assert told["AllowedOrigin"] == "*"


def test_the_line_of_the_readme_hands_a_file_over_as_it_is() -> None:
    text = json.dumps(PRESETS[:1], indent=2)

    assert json.loads(parsed(f"Presets='{text}'")["Presets"]) == PRESETS[:1]


@pytest.mark.parametrize("text", ["", "[{]"])
def test_a_file_that_is_no_json_is_refused_before_anything_is_built(tmp_path: Path, text: str) -> None:
    file = tmp_path / "presets.json"
    file.write_text(text)

    with pytest.raises(DeploymentError, match="no presets in"):
        presets_of(file)

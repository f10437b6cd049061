"""The templates by the rules of CloudFormation itself."""

import pytest
from cfnlint.api import lint_file

from infra.template import ALL


@pytest.mark.parametrize("template", ALL, ids=lambda template: template.path.name)
def test_cfn_lint_finds_nothing(template):
    assert lint_file(template.path) == []

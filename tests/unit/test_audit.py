"""The audit of dependencies: never green for what it could not look up."""

import json

import pytest

from infra.audit import Audit, read_report, requirements, verdict

KNOWN = {"name": "pillow", "version": "13.0.0", "vulns": []}
BAD = {"name": "six", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}]}
SKIPPED = {"name": "pynamodb", "skip_reason": "Dependency not found on PyPI"}


def report(*dependencies: object) -> Audit:
    return read_report("pypi", json.dumps({"dependencies": dependencies}), "")


def test_packages_that_were_all_looked_up_pass() -> None:
    status, said = verdict([report(KNOWN)], allow_offline=False)
    assert (status, said) == (0, "audited: 1 packages, no known vulnerability (pypi)")


@pytest.mark.parametrize("allow_offline", [False, True])
def test_a_known_vulnerability_always_fails_with_its_name_and_what_fixes_it(allow_offline: bool) -> None:
    status, said = verdict([report(KNOWN, BAD, SKIPPED)], allow_offline=allow_offline)
    assert status == 1
    assert "six 1.0: PYSEC-1 fixed in 1.1" in said


@pytest.mark.parametrize(
    "audit",
    [
        report(KNOWN, SKIPPED),
        report(SKIPPED),
        report(),
        read_report("osv", "", "requests.exceptions.ConnectionError: failed to resolve"),
        read_report("osv", "", "Traceback\nrequests.exceptions.ReadTimeout: timed out"),
    ],
    ids=["one unknown", "all unknown", "nothing", "no network", "no answer"],
)
def test_what_was_not_looked_up_is_said_and_fails_unless_offline_is_allowed(audit: Audit) -> None:
    assert verdict([audit], allow_offline=False)[0] == 1
    status, said = verdict([audit], allow_offline=True)
    assert status == 0
    assert said.startswith("NOT AUDITED")


def test_a_service_that_knows_everything_makes_good_what_the_one_before_did_not_know() -> None:
    status, said = verdict([report(SKIPPED), report(KNOWN)], allow_offline=False)
    assert (status, said[:8]) == (0, "audited:")


def test_a_failure_that_is_no_missing_network_is_never_let_pass() -> None:
    with pytest.raises(ValueError, match="duplicate requirements"):
        read_report("pypi", "", "ERROR: package six has duplicate requirements")


def test_every_pinned_file_is_audited() -> None:
    folders = {file.parent.name for file in requirements()}
    assert folders == {"catalog", "imaging", "requirements"}
    assert all("--hash=sha256:" in file.read_text() for file in requirements())

"""Ask whether any pinned package has a known vulnerability: of every environment, and of both layers.

    python -m infra.audit [--allow-offline]

pip-audit looks the pins up, hashes and all, without installing or resolving anything: with the package index
first, and with OSV where that has no answer.  The status is 1 where a vulnerability is known, and also where
any package could not be looked up; with --allow-offline only that last one is said and let pass, so that a
laptop without a network can check its code.  Nothing is called audited that was not.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from infra.local import environments

SERVICES: Final = ("pypi", "osv")
_SECONDS: Final = 15  # a service is waited for so long
# What requests and urllib3 say where there is no network, or nobody at the other end of it.
_UNREACHABLE: Final = ("ConnectionError", "Timeout", "ProxyError", "SSLError", "ServiceError")


@dataclass(frozen=True)
class Audit:
    """What one service said: findings by package, and what it could not look up."""

    service: str
    looked_up: int
    findings: dict[str, list[str]]
    unknown: list[str]
    unreachable: str | None = None

    @property
    def complete(self) -> bool:
        return self.unreachable is None and not self.unknown and self.looked_up > 0


def requirements() -> list[Path]:
    """Everything that is pinned with hashes: what is deployed, and what builds and tests it."""
    root = environments.ROOT
    files = [*root.glob("layers/*/requirements.txt"), *root.glob("requirements/*.txt")]
    return sorted(files, key=lambda file: file.stat().st_size)


def read_report(service: str, report: str, errors: str) -> Audit:
    """What pip-audit said.  Raises ValueError where it failed otherwise than by an unreachable service."""
    try:
        dependencies: list[dict[str, Any]] = json.loads(report)["dependencies"]
    except ValueError as error:
        last = (errors.strip().splitlines() or ["nothing was said"])[-1]
        if any(word in last for word in _UNREACHABLE):
            return Audit(service, 0, {}, [], unreachable=f"could not be reached ({last.partition(':')[0]})")
        raise ValueError(f"pip-audit failed: {last}") from error
    findings = {
        f"{it['name']} {it['version']}": [
            f"{found['id']}{' fixed in ' + ', '.join(found['fix_versions']) if found['fix_versions'] else ''}"
            for found in it["vulns"]
        ]
        for it in dependencies
        if it.get("vulns")
    }
    unknown = sorted({it["name"] for it in dependencies if "skip_reason" in it})
    return Audit(service, len(dependencies) - len(unknown), findings, unknown)


def ask(service: str, files: Sequence[Path]) -> Audit:
    """One file after another: they pin different versions, which pip-audit takes for a mistake in one call.

    A service that does not know the first file, which is the smallest, is not asked about the others.
    """
    whole = Audit(service, 0, {}, [])
    for file in files:
        done = subprocess.run(
            [
                environments.command("dev", "pip-audit"),
                *("--vulnerability-service", service, "--timeout", str(_SECONDS)),
                *("--disable-pip", "--require-hashes", "--progress-spinner", "off", "--format", "json"),
                *("--requirement", str(file)),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        part = read_report(service, done.stdout, done.stderr)
        whole = Audit(
            service,
            whole.looked_up + part.looked_up,
            whole.findings | part.findings,
            sorted({*whole.unknown, *part.unknown}),
            part.unreachable,
        )
        if part.unreachable or not part.looked_up:
            break
    return whole


def verdict(audits: Sequence[Audit], *, allow_offline: bool) -> tuple[int, str]:
    """The exit status, and what is to be said, of services asked in turn until one knew everything."""
    findings = {name: found for audit in audits for name, found in audit.findings.items()}
    if findings:
        listed = "\n".join(f"  {name}: {', '.join(found)}" for name, found in sorted(findings.items()))
        return 1, f"error: known vulnerabilities\n{listed}"
    if (last := audits[-1]).complete:
        return 0, f"audited: {last.looked_up} packages, no known vulnerability ({last.service})"
    reasons = "; ".join(
        f"{audit.service}: {audit.unreachable or f'knows nothing of {", ".join(audit.unknown)}'}"
        for audit in audits
    )
    said = f"NOT AUDITED: no vulnerability service could be asked about every package ({reasons})"
    return (0, said) if allow_offline else (1, f"error: {said}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Look for known vulnerabilities of the pinned packages.")
    parser.add_argument("--allow-offline", action="store_true", help="say so, and go on, without a service")
    chosen = parser.parse_args()
    audits: list[Audit] = []
    for service in SERVICES:
        audits.append(ask(service, requirements()))
        if audits[-1].complete or audits[-1].findings:
            break
    status, said = verdict(audits, allow_offline=chosen.allow_offline)
    print(said, file=sys.stderr if status else sys.stdout)
    sys.exit(status)


if __name__ == "__main__":
    main()

"""Verify the report of an erasure: that this deployment's key signed it, and that nothing in it was changed.

    python -m infra.operator.erasures report.json --stack catalog-images

The file holds the `report` of `GET /v1/jobs/{id}`: `{"report": {...}, "signature": "..."}`.  Needs
credentials that may call kms:VerifyMac.  Prints the report; exits with 1 where the signature is not its own.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from catalog.adapters.signing import Signer
from catalog.domain.erase import statement_of
from infra.operator.commands import refusals
from infra.operator.tenants import stack_outputs


def verifies(signed: Mapping[str, Any], signer: Signer) -> bool:
    """Whether the key signed exactly this report."""
    try:
        return signer.verifies(statement_of(signed["report"]), bytes.fromhex(signed["signature"]))
    except (KeyError, TypeError, ValueError):
        return False


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Verify the report of an erasure.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--stack", required=True, help="name of the deployed stack")
    chosen = parser.parse_args(arguments)
    with refusals():
        signed = json.loads(chosen.file.read_text(encoding="utf-8"))
        if not verifies(signed, Signer(stack_outputs(chosen.stack)["SigningKeyId"])):
            sys.exit("error: this report was not signed by this deployment, or was changed since")
    print(json.dumps(signed["report"], indent=1))


if __name__ == "__main__":
    main()

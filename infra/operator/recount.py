"""Recount: check that the counters equal the tables, and repair them.

    python -m infra.operator.recount --stack catalog-images [--tenant acme ...] [--repair]

Reads and counts every asset of the named tenants, or of all.  Counters lag by seconds, so a small difference
is normal while a tenant uploads; --repair is exact all the same.  Needs the operator's AWS credentials (or
AWS_ENDPOINT_URL, for the embedded stack).  Prints one JSON object a tenant: `tenant, agrees, counted,
recounted`, and with --repair `corrections`; the exit status is 1 if a tenant's counters do not agree or could
not be repaired.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from catalog.adapters.assets_table import Assets
from catalog.adapters.tenants_table import Tenants
from catalog.adapters.usage_table import Counters
from catalog.domain.keys import TenantId, tenant_id
from catalog.use_cases.counting import CountersContendedError, Recounting
from infra.operator.commands import refusals
from infra.operator.tenants import stack_outputs


def recounted(tenant: TenantId, *, outputs: Mapping[str, str], mend: bool) -> dict[str, Any]:
    """A tenant's counters and a recount, after the repair if one is asked for.

    Raises CountersContendedError if the tenant is too busy.
    """
    recounting = Recounting(Assets(outputs["AssetsTable"]), Counters(outputs["UsageTable"]))
    corrections = {"corrections": recounting.repair(tenant)} if mend else {}
    found = recounting.recount(tenant)
    return {
        "tenant": tenant,
        "agrees": found.agrees,
        "counted": asdict(found.counted),
        "recounted": asdict(found.recounted),
        **corrections,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Prove and repair the counters of tenants.")
    parser.add_argument("--stack", required=True, help="name of the deployed stack")
    parser.add_argument("--tenant", action="append", help="repeatable; default: every tenant")
    parser.add_argument("--repair", action="store_true", help="repair counters that do not agree")
    chosen = parser.parse_args(arguments)
    agreed = True
    with refusals():
        try:
            outputs = stack_outputs(chosen.stack)
            named = map(tenant_id, chosen.tenant or ())
            for tenant in named if chosen.tenant else Tenants(outputs["TenantsTable"]).ids():
                result = recounted(tenant, outputs=outputs, mend=chosen.repair)
                agreed = agreed and result["agrees"]
                print(json.dumps(result))
        except CountersContendedError as error:
            sys.exit(f"error: {error} is too busy to be repaired now; try again later")
    sys.exit(0 if agreed else 1)


if __name__ == "__main__":
    main()

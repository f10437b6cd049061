"""Reindex images that were indexed by an earlier version, so that new uploads find them.

    python -m infra.operator.reindex acme --stack catalog-images [--after <sha256>]

Until then such images are not proposed as near-duplicates; nothing else is lost.  Reads and decodes each
original that is not moved yet (about 0.1 to 0.3 CPU seconds and 34 writes an image, $21 a million), in the
order of ids.  It may be stopped and run again: it skips what is moved.  `--after` continues after an id, and
several ranges may run at once.  Needs the operator's AWS credentials (or AWS_ENDPOINT_URL, for the embedded
stack).  Prints progress to standard error and one JSON object: how many images were `moved`, `current`,
`changed` (run it again) and `unreadable`, whose ids are listed; the exit status is 1 where any was not moved.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from catalog.adapters.assets_table import Assets
from catalog.adapters.hash_bands_table import HashBands
from catalog.adapters.objects import Originals
from catalog.domain.assets import Inspection
from catalog.domain.fingerprints import PHashAlgorithm
from catalog.domain.keys import AssetId, AssetKey, TenantId, tenant_id
from catalog.domain.sources import DEFAULT_PIXEL_LIMITS
from catalog.use_cases.reindexing import Moved, Reindexing
from imaging.inspection import inspect
from infra.operator.commands import MOST_BYTES, after, images_of_a_tenant, refusals
from infra.operator.tenants import stack_outputs

_TOLD_EVERY: Final = 1_000


def reindexed(
    tenant: TenantId, *, outputs: Mapping[str, str], after: AssetId | None = None
) -> dict[str, Any]:
    """Move every image of a tenant in the order of ids, after `after`."""
    assets = Assets(outputs["AssetsTable"])
    reindexing = Reindexing(
        assets=assets,
        originals=Originals(outputs["OriginalsBucket"]),
        bands=HashBands(outputs["HashBandsTable"]),
        inspect=_inspected,
        max_upload_bytes=MOST_BYTES,
    )
    counts = Counter[Moved](dict.fromkeys(Moved, 0))
    unreadable = []
    for id_ in assets.ids(tenant, after=after):
        moved = reindexing.reindex(AssetKey(tenant, id_))
        counts[moved] += 1
        if moved is Moved.UNREADABLE:
            unreadable.append(id_)
        if counts.total() % _TOLD_EVERY == 0:
            print(f"{counts.total():,} images, up to {id_}", file=sys.stderr)
    return {"tenant": tenant, **{moved.value: counts[moved] for moved in Moved}, "ids": unreadable}


def _inspected(data: bytes, algorithm: PHashAlgorithm) -> Inspection:
    return inspect(data, limits=DEFAULT_PIXEL_LIMITS, algorithm=algorithm)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description="Move a tenant's images to the present near-duplicate index."
    )
    images_of_a_tenant(parser)
    chosen = parser.parse_args(arguments)
    with refusals():
        outputs = stack_outputs(chosen.stack)
        result = reindexed(tenant_id(chosen.tenant), outputs=outputs, after=after(chosen))
    print(json.dumps(result))
    sys.exit(1 if result[Moved.CHANGED] or result[Moved.UNREADABLE] else 0)


if __name__ == "__main__":
    main()

"""DESIGN's guarantees, held against everything that is stored once nothing is under way any more.

    world = read_world(names, dynamodb=client("dynamodb"), s3=client("s3"), tenants=..., usage_of=...)
    assert broken_guarantees(world, presets={"thumb", "card", "zoom"}) == []

It knows no test and no emulator: what it reads with may be moto's clients or a deployed stack's.  What a
crash may leave behind by design, and is therefore no broken guarantee:

- rendition objects of an existing asset that no record names (an earlier preset, or its own from before it
  shared another's): they go with the asset, or with the next rebuild; after one, say `rebuilt`;
- bands of an existing asset of any status: they go with it too;
- a pair of which one asset, or both, were purged: a person's word outlives them.
"""

import base64
import hashlib
import io
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from catalog.adapters.asset_items import asset_in_stream
from catalog.adapters.groups import entry_of
from catalog.adapters.purge_runs_table import run_in_stream
from catalog.domain.assets import Asset, Status
from catalog.domain.fingerprints import indexed_at, is_shadow
from catalog.domain.keys import ORIGINALS_PREFIX, RENDITIONS_PREFIX, AssetId, AssetKey, TenantId
from catalog.domain.near_duplicates import Decision
from catalog.domain.purge import PurgeRun, RunState
from catalog.domain.usage import NOTHING, Usage, usage_of

# Of any group, however large; an ordinary item is under 1 KB, and its JSON is longer than what is stored.
MOST_BYTES_OF_AN_ITEM = 4_096

IN_WORK = frozenset({Status.PROCESSING, Status.DELETING})


@dataclass(frozen=True)
class Names:
    """Where a deployment keeps things."""

    assets: str
    hash_bands: str
    pairs: str
    purge_runs: str
    originals: str
    renditions: str
    jobs: str | None = None
    references: str | None = None


@dataclass(frozen=True)
class JobItems:
    """A job's record, parts and failures, as they are stored."""

    record: Mapping[str, Any]
    parts: Mapping[str, Mapping[str, Any]]
    failures: Collection[str]


@dataclass(frozen=True)
class World:
    """Everything that is stored.  `renditions`: key -> size in bytes; `read_*` give an object's bytes."""

    assets: Mapping[AssetKey, Asset]
    item_sizes: Mapping[AssetKey, int]
    members: Mapping[AssetKey, Collection[AssetId]]
    waiting: Mapping[AssetKey, Collection[AssetId]]
    banded: Collection[AssetKey]
    distinct: Collection[tuple[TenantId, AssetId, AssetId]]
    runs: Mapping[tuple[TenantId, str], PurgeRun]
    originals: Mapping[str, int]
    renditions: Mapping[str, int]
    read_original: Callable[[str], bytes]
    read_rendition: Callable[[str], bytes]
    tenants: Collection[TenantId]
    usage_of: Callable[[TenantId], Usage]
    jobs: Mapping[str, JobItems] = field(default_factory=dict)
    entries: Mapping[AssetKey, Collection[str]] | None = None


@dataclass(frozen=True)
class History:
    """What happened, as far as a test knows it; nothing known is nothing claimed.

    `dead_letters` are the assets that a message in a dead-letter queue names; `references` what clients hold;
    `sent` the uploads whose bytes S3 has taken; `deletions` which run took which asset out of use.
    """

    dead_letters: Collection[AssetKey] = frozenset()
    references: Mapping[AssetKey, Collection[str]] = field(default_factory=dict)
    sent: Collection[AssetKey] = frozenset()
    deletions: Collection[tuple[AssetKey, str]] = frozenset()


def read_world(
    names: Names,
    *,
    dynamodb: Any,
    s3: Any,
    tenants: Collection[TenantId],
    usage_of: Callable[[TenantId], Usage],
) -> World:
    """Reads every item and lists every object; bodies are read as they are checked.

    `usage_of` says what is counted for a tenant; its stream must have been followed to the end.
    """
    items = list(_items(dynamodb, names.assets))
    assets = {asset.key: asset for asset in map(asset_in_stream, items)}
    runs = [run_in_stream(_as_the_stream_has_it(item)) for item in _items(dynamodb, names.purge_runs)]
    bands = [
        indexed_at(item["band"]["S"], item["id"]["S"])
        for item in _items(dynamodb, names.hash_bands)
        if not is_shadow(item["band"]["S"])
    ]
    of_pairs = list(_items(dynamodb, names.pairs))
    said = {
        decision: {
            (TenantId(item["tenant"]["S"]), *map(AssetId, item["pair"]["S"].split("#")))
            for item in of_pairs
            if entry_of(item["pair"]["S"]) is None and item.get("decision", {}).get("S") == decision
        }
        for decision in Decision
    }
    entries: dict[str, dict[AssetKey, set[AssetId]]] = {
        kind: defaultdict(set) for kind in ("member", "waiting", "word")
    }
    for item in of_pairs:
        if entry := entry_of(item["pair"]["S"]):
            kind, of, id_ = entry
            entries[kind][AssetKey(TenantId(item["tenant"]["S"]), of)].add(id_)

    def reader(bucket: str) -> Callable[[str], bytes]:
        return lambda key: s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    return World(
        assets=assets,
        item_sizes={asset_in_stream(item).key: len(json.dumps(item)) for item in items},
        members=entries["member"],
        waiting=entries["waiting"],
        banded=set(bands),
        distinct=said[Decision.DISTINCT],
        runs={(run.tenant, run.id): run for run in runs},
        originals=_objects(s3, names.originals),
        renditions=_objects(s3, names.renditions),
        read_original=reader(names.originals),
        read_rendition=reader(names.renditions),
        tenants=tenants,
        usage_of=usage_of,
        jobs=_jobs(list(_items(dynamodb, names.jobs))) if names.jobs else {},
        entries=_entries(_items(dynamodb, names.references)) if names.references else None,
    )


def _entries(items: Iterable[Mapping[str, Any]]) -> dict[AssetKey, set[str]]:
    """The references that each asset has an entry of."""
    entries: dict[AssetKey, set[str]] = defaultdict(set)
    for item in items:
        id_, _, reference = item["entry"]["S"].partition("/")
        entries[AssetKey(TenantId(item["tenant"]["S"]), AssetId(id_))].add(reference)
    return entries


def _jobs(items: Iterable[Mapping[str, Any]]) -> dict[str, JobItems]:
    entries: dict[str, dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for item in items:
        if not item["job"]["S"].startswith("key#"):  # an idempotency key, which names a job
            entries[item["job"]["S"]][item["entry"]["S"]] = item
    return {
        job: JobItems(
            found["job"],
            {entry: item for entry, item in found.items() if entry.startswith("part#")},
            {entry for entry in found if entry.startswith("failure#")},
        )
        for job, found in entries.items()
    }


def _items(dynamodb: Any, table: str) -> Iterator[dict[str, Any]]:
    for page in dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
        yield from page["Items"]


def _as_the_stream_has_it(item: Mapping[str, Any]) -> dict[str, Any]:
    """Binary values are base64 there."""
    return {
        name: {"B": base64.b64encode(value["B"]).decode()} if "B" in value else value
        for name, value in item.items()
    }


def _objects(s3: Any, bucket: str) -> dict[str, int]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {entry["Key"]: entry["Size"] for page in pages for entry in page.get("Contents", [])}


def broken_guarantees(
    world: World, history: History | None = None, *, presets: Collection[str] = (), rebuilt: bool = False
) -> list[str]:
    """Every guarantee that does not hold, in words; empty where all do.

    `presets` are the names of the current ones, each of which a ready asset must have.  `rebuilt`: a rebuild
    of every tenant was the last that happened.
    """
    history = history or History()
    checks = (
        _one_asset_one_content(world, history),
        _ready_is_ready(world, presets),
        _nothing_vanishes(world, history),
        _groups_agree(world),
        _references_have_their_entries(world),
        _distinct_is_distinct(world),
        _duplicates_point_at_canonical_assets(world),
        _the_index_knows_no_strangers(world),
        _purge_keeps_its_word(world, history),
        _usage_equals_a_recount(world),
        _jobs_are_told_right(world),
        _every_object_is_named(world) if rebuilt else (),
    )
    return [fault for check in checks for fault in check]


def _said(key: AssetKey) -> str:
    return f"{key.tenant}/{key.id[:8]}"


def _one_asset_one_content(world: World, history: History) -> Iterator[str]:
    """Guarantee 1 and 4: an original lies under its tenant and hash, once, and has its record."""
    for object_key in world.originals:
        key = AssetKey.of_original(object_key)
        asset = world.assets.get(key)
        if asset is None and key not in history.dead_letters:
            yield f"original {_said(key)} has no record"
        elif asset and asset.status is not Status.REJECTED:
            digest = hashlib.sha256(world.read_original(object_key)).hexdigest()
            if digest != key.id:
                yield f"original {_said(key)} holds other bytes: {digest[:8]}"
    for object_key in world.renditions:
        tenant, id_ = object_key.removeprefix(RENDITIONS_PREFIX).split("/")[:2]
        key = AssetKey(TenantId(tenant), AssetId(id_))
        if key not in world.assets:
            yield f"rendition {object_key.rpartition('/')[2]} of {_said(key)} has no record"


def _ready_is_ready(world: World, presets: Collection[str]) -> Iterator[str]:
    """Guarantees 2, 4 and 7: its renditions exist, are its tenant's, and are what the record says."""
    for key, asset in world.assets.items():
        if asset.status is not Status.READY:
            continue
        if world.originals.get(f"{ORIGINALS_PREFIX}{key.tenant}/{key.id}") != asset.size_bytes:
            yield f"ready {_said(key)} has no original of {asset.size_bytes} bytes"
        if missing := set(presets) - set(asset.renditions):
            yield f"ready {_said(key)} lacks {sorted(missing)}"
        owners = {key.id} | ({asset.near_duplicate.of} if asset.near_duplicate else set())
        for stored in asset.renditions.values():
            _, tenant, owner, _ = stored.key.split("/")
            if tenant != key.tenant or owner not in owners:
                yield f"ready {_said(key)} shows {stored.key}, which is another's"
            if world.renditions.get(stored.key) != stored.size_bytes:
                yield f"ready {_said(key)} names {stored.key}, which is not there"
                continue
            try:
                with Image.open(io.BytesIO(world.read_rendition(stored.key))) as image:
                    image.load()
            except OSError as error:
                yield f"{stored.key} does not decode: {error}"
                continue
            if image.size != (stored.width, stored.height):
                yield f"{stored.key} is {image.size}, its record says {stored.width, stored.height}"


def _nothing_vanishes(world: World, history: History) -> Iterator[str]:
    """Guarantee 3: ready, rejected with a reason, or named by a dead letter."""
    for key, asset in world.assets.items():
        if key in history.dead_letters:
            continue
        if asset.status in IN_WORK:
            yield f"{_said(key)} is {asset.status}, and nothing will go on with it"
        if asset.status is Status.REJECTED and asset.rejection is None:
            yield f"{_said(key)} is rejected without a reason"
        if asset.status is Status.AWAITING_UPLOAD and key.original in world.originals:
            yield f"{_said(key)} has arrived, and nobody has seen it"
    deleted = {key for key, _ in history.deletions}
    for key in history.sent:
        if key not in world.assets and key not in deleted and key not in history.dead_letters:
            yield f"{_said(key)} was sent and has vanished"


def _references_have_their_entries(world: World) -> Iterator[str]:
    """Every reference of an asset has its entry, and no entry is without its reference."""
    if world.entries is None:
        return
    for key in world.assets.keys() | world.entries.keys():
        asset, entered = world.assets.get(key), world.entries.get(key, set())
        if entered != (asset.references if asset else set()):
            yield f"{_said(key)} has the entries {entered}, references {asset and asset.references}"


def _groups_agree(world: World) -> Iterator[str]:
    """An asset counts its duplicates, is unused when nobody uses it, and its item stays small."""
    pointing: dict[AssetKey, dict[bool, set[AssetId]]] = defaultdict(lambda: {True: set(), False: set()})
    for key, asset in world.assets.items():
        if asset.near_duplicate and asset.status is not Status.DELETING:
            of = AssetKey(key.tenant, asset.near_duplicate.of)
            pointing[of][asset.near_duplicate.shares].add(key.id)
    for key, asset in world.assets.items():
        sharing, linked = pointing[key][True], pointing[key][False]
        counted = asset.sharers, asset.links + len(asset.linked_by)
        if counted != (len(sharing), len(linked)):
            yield f"{_said(key)} is shared by {len(sharing)}, linked by {len(linked)}, and counts {counted}"
        entered = set(world.members.get(key, ())) | asset.old_holds | asset.linked_by
        if entered != sharing | linked:
            yield f"{_said(key)} has the members {_short(entered)}; {_short(sharing | linked)} point at it"
        if bool(asset.references or asset.sharers) == bool(asset.unused_since):
            yield (
                f"{_said(key)} has {len(asset.references)} references and {asset.sharers} sharers, "
                f"unused since {asset.unused_since}"
            )
        if not asset.references and world.item_sizes[key] > MOST_BYTES_OF_AN_ITEM:
            yield f"{_said(key)} is an item of {world.item_sizes[key]} bytes"
    for kind, entries in (("members", world.members), ("waiting", world.waiting)):
        for key, ids in entries.items():
            asset = world.assets.get(key)
            if ids and asset is None:
                yield f"{_said(key)} has {kind} {_short(ids)} and no record"
            left = [
                id_
                for id_ in set(ids) & pointing[key][True]
                if world.assets[AssetKey(key.tenant, id_)].status is Status.PROCESSING
            ]
            if kind == "waiting" and left:
                yield f"{_short(left)} wait for {_said(key)}, and nothing will settle them"


def _short(ids: Collection[AssetId]) -> list[str]:
    return sorted(id_[:8] for id_ in ids)


def _distinct_is_distinct(world: World) -> Iterator[str]:
    """Guarantee 7: no two images that a person called distinct share renditions, also not through a third."""
    for tenant, one, two in world.distinct:
        first, second = (world.assets.get(AssetKey(tenant, id_)) for id_ in (one, two))
        if first is None or second is None or Status.DELETING in {first.status, second.status}:
            continue
        if first.group == second.group:
            yield f"{tenant}: {one[:8]} and {two[:8]} are distinct, and share with {first.group[:8]}"
        shown = [{stored.key for stored in asset.renditions.values()} for asset in (first, second)]
        if shown[0] & shown[1]:
            yield f"{tenant}: {one[:8]} and {two[:8]} are distinct, and both show {shown[0] & shown[1]}"


def _duplicates_point_at_canonical_assets(world: World) -> Iterator[str]:
    """Guarantee 7: and at one that knows of it; no chains, and none that a person said are distinct."""
    for key, asset in world.assets.items():
        if asset.near_duplicate is None:
            continue
        canonical = world.assets.get(AssetKey(key.tenant, asset.near_duplicate.of))
        if canonical is None:
            yield f"{_said(key)} is a duplicate of {asset.near_duplicate.of[:8]}, which is not there"
            continue
        if canonical.near_duplicate:
            yield f"{_said(key)} is a duplicate of {_said(canonical.key)}, which is a duplicate itself"
        if canonical.status not in {Status.READY, Status.PROCESSING}:
            yield f"{_said(key)} is a duplicate of {_said(canonical.key)}, which is {canonical.status}"
        if key.id not in {*world.members.get(canonical.key, ()), *canonical.old_holds, *canonical.linked_by}:
            yield f"{_said(key)} is a duplicate of {_said(canonical.key)} and no member of its group"
        if asset.outranks(canonical) and world.members.get(canonical.key):
            yield f"{_said(key)} is larger than {_said(canonical.key)}, the canonical asset of its group"
        first, second = sorted((key.id, canonical.id))
        if (key.tenant, first, second) in world.distinct:
            yield f"{_said(key)} is joined to {_said(canonical.key)}; a person said they are distinct"


def _the_index_knows_no_strangers(world: World) -> Iterator[str]:
    for key in world.banded:
        if key not in world.assets:
            yield f"the index holds {_said(key)}, which has no record"


def _purge_keeps_its_word(world: World, history: History) -> Iterator[str]:
    """Guarantee 5: nothing referenced, nothing unconfirmed is deleted; no run is left undone."""
    deleted = Counter((key.tenant, run_id) for key, run_id in history.deletions)
    for run in world.runs.values():
        if run.state is RunState.RUNNING:
            yield f"purge {run.id} is still running"
        elif run.state is RunState.COMPLETED and run.deleted + len(run.kept) != len(run.candidates):
            yield f"purge {run.id} says {run.deleted} and {len(run.kept)} of {len(run.candidates)} candidates"
        if history.deletions and run.deleted != deleted[run.tenant, run.id]:
            yield f"purge {run.id} says it deleted {run.deleted}, and deleted {deleted[run.tenant, run.id]}"
    for key, run_id in history.deletions:
        confirmed = world.runs.get((key.tenant, run_id))
        if confirmed is None or confirmed.confirmed_at is None or key.id not in confirmed.candidates:
            yield f"{_said(key)} was deleted by run {run_id}, which was not confirmed for it"
    for key, references in history.references.items():
        asset = world.assets.get(key)
        if references and (asset is None or not set(references) <= asset.references):
            yield f"{_said(key)} is referenced as {sorted(references)} and has {asset and asset.references}"


def _usage_equals_a_recount(world: World) -> Iterator[str]:
    """Guarantee 6."""
    recounted: dict[TenantId, Usage] = defaultdict(lambda: NOTHING)
    for asset in world.assets.values():
        recounted[asset.tenant] += usage_of(asset)
    for tenant in sorted({*recounted, *world.tenants}):
        if (counted := world.usage_of(tenant)) != recounted[tenant]:
            yield f"{tenant} is counted {counted}, and has {recounted[tenant]}"


def _has_erased(record: Mapping[str, Any]) -> bool:
    is_real = not record.get("dry_run", {"BOOL": False})["BOOL"]
    return is_real and (record["kind"]["S"], record["state"]["S"]) == ("erase", "completed")


def _jobs_are_told_right(world: World) -> Iterator[str]:
    """A job at rest has no part half done, and counts as many failures as it names.

    An erasure takes the names of what it erased out of every job's failures.
    """
    erased = any(_has_erased(job.record) for job in world.jobs.values())
    for id_, job in world.jobs.items():
        state, failed = job.record["state"]["S"], int(job.record.get("failed", {"N": "0"})["N"])
        said = f"{job.record['kind']['S']} {id_[:8]}"
        if state in {"running", "pausing", "cancelling"}:
            yield f"{said} is {state}, and nothing goes on with it"
        half_done = [entry for entry, part in job.parts.items() if "completed" not in part]
        if state != "failed" and half_done:
            yield f"{said} is {state}, and the parts {sorted(half_done)[:3]} are half done"
        if failed < len(job.failures) or (failed > len(job.failures) and not erased):
            yield f"{said} counts {failed} failures and names {len(job.failures)}"


def _every_object_is_named(world: World) -> Iterator[str]:
    """A rebuild leaves no object behind that no record names."""
    named = {stored.key for asset in world.assets.values() for stored in asset.renditions.values()}
    for key in sorted(world.renditions.keys() - named):
        yield f"{key} is stored, and no record names it"


def statuses(world: World) -> Counter[str]:
    """How many assets there are of each status, to tell of a run."""
    return Counter(str(asset.status) for asset in world.assets.values())

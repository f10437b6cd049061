"""After the storm: each guarantee of the pipeline, held to what is stored and to what clients were promised.

A finding is a sentence that says what is wrong; a guarantee without findings held.
"""

import io
import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from PIL import Image

from catalog.adapters.assets_table import Assets
from catalog.adapters.purge_runs_table import PurgeRuns
from catalog.adapters.usage_table import Counters
from catalog.domain.assets import Asset, Status
from catalog.domain.keys import AssetId, tenant_id
from catalog.domain.near_duplicates import is_hold
from catalog.domain.paging import PageRequest
from catalog.domain.presets import Preset
from catalog.domain.purge import PurgeRun, RunState
from catalog.domain.usage import NOTHING, usage_of
from catalog_images import CatalogClient, CatalogError, Job
from imaging.geometry import placement
from tests.builders.guarantees import Names, broken_guarantees, read_world
from tests.catalog.photos import Laid
from tests.end_to_end.deployment import Deployment
from tests.storm.clients import Bad, Journal
from tests.storm.faults import MARK, Fault
from tests.storm.jobs import CatalogJobs
from tests.storm.plan import TENANTS, Plan
from tests.storm.receivers import Receivers

_FOLLOWED_WITHIN_SECONDS: Final = 90.0
# MiniStack 1.5 removes a dead worker's folder late, and fails the next ones that were about to use it.
_COMING_BACK_SECONDS: Final = 10.0
_CONNECTION_LOST: Final = re.compile(
    r"Connection was closed|Could not connect|Connection reset|Connection aborted|ConnectionClosed"
    r"|IncompleteRead"
    r"|ResponseStreaming|Connection broken|NotSentError|ObjectsNotDeletedError|Max number of retries"
    r"|reached max retries|failed to batch write",
    re.IGNORECASE,
)
_ROUTES: Final = (
    (r"POST /images$", "RequestUploadFunction"),
    (r"GET /images/\{id\}$", "GetImageFunction"),
    (r"GET /images$", "ListImagesFunction"),
    (r"\w+ /images/\{id\}/references", "ReferencesFunction"),
    (r"\w+ /images/\{id\}/duplicates", "DuplicatesFunction"),
    (r"GET /duplicates", "DuplicatesFunction"),
    (r"POST /compare", "CompareFunction"),
    (r"\w+ /purge", "PurgeFunction"),
    (r"GET /metrics", "MetricsFunction"),
    (r"\w+ /jobs", "JobsFunction"),
)


@dataclass(frozen=True, slots=True)
class Kill:
    """A worker of `function` was killed, `at` seconds since the epoch."""

    at: float
    function: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known when the storm is over and the queues are empty."""

    deployment: Deployment
    plan: Plan
    journal: Journal
    faults: tuple[Fault, ...]
    kills: tuple[Kill, ...]
    presets: tuple[Preset, ...]
    readers: Mapping[str, CatalogClient]
    assets: Mapping[tuple[str, str], Asset]
    runs: Mapping[str, tuple[PurgeRun, ...]]
    objects: Mapping[str, tuple[str, ...]]
    log: tuple[Mapping[str, Any], ...]
    jobs: tuple[Job, ...]
    imported: tuple[Laid, ...]
    imported_into: str
    receivers: Receivers

    @classmethod
    def gathered(  # noqa: PLR0917
        cls,
        deployment: Deployment,
        plan: Plan,
        journal: Journal,
        faults: Iterable[Fault],
        kills: Iterable[Kill],
        presets: tuple[Preset, ...],
        readers: Mapping[str, CatalogClient],
        jobs: CatalogJobs,
        receivers: Receivers,
    ) -> "Evidence":
        """Everything stored, read by the account's root user; nothing is repaired."""
        table, runs = Assets(deployment.output("AssetsTable")), PurgeRuns(deployment.output("PurgeRunsTable"))
        assets = {}
        for tenant in map(tenant_id, TENANTS):
            for id_, asset in table.many(tenant, table.ids(tenant), consistent=True).items():
                assets[str(tenant), str(id_)] = asset
        return cls(
            deployment,
            plan,
            journal,
            tuple(faults),
            tuple(kills),
            presets,
            readers,
            assets,
            {tenant: tuple(runs.page(tenant_id(tenant), PageRequest(1000)).entries) for tenant in TENANTS},
            {
                bucket: tuple(_latest(deployment, bucket))
                for bucket in ("OriginalsBucket", "RenditionsBucket")
            },
            tuple(log_lines(deployment)),
            tuple(jobs.catalog.jobs()),
            jobs.objects,
            jobs.tenant,
            receivers,
        )


Guarantee = Callable[[Evidence], Iterable[str]]


def nothing_is_lost(seen: Evidence) -> Iterable[str]:
    """Every accepted upload is ready, or rejected with a reason, or was purged by a confirmed run."""
    purged: dict[tuple[str, str], float] = {}
    for tenant, runs in seen.runs.items():
        for run in runs:
            if run.completed_at is not None:
                for id_ in run.candidates:
                    if id_ not in run.kept:
                        ended = run.completed_at.timestamp()
                        purged[tenant, str(id_)] = max(ended, purged.get((tenant, str(id_)), 0))
    for (tenant, id_), accepted_at in seen.journal.accepted.items():
        asset = seen.assets.get((tenant, id_))
        if asset is None:
            if purged.get((tenant, id_), 0) < accepted_at:
                yield f"{tenant}/{id_} was accepted, is not there, and no confirmed purge took it"
        elif asset.status is Status.REJECTED and asset.rejection is None:
            yield f"{tenant}/{id_} is rejected without a reason"
        elif asset.status not in {Status.READY, Status.REJECTED}:
            yield f"{tenant}/{id_} was accepted and is still {asset.status}"


def poison_is_rejected_and_nothing_else(seen: Evidence) -> Iterable[str]:
    """What can be no image is rejected; what is one is not."""
    poison = {upload.file.id: upload.file.poison for upload in seen.plan}
    poison |= {one.id: str(one.sort) for one in seen.imported if one.is_broken}
    for (tenant, id_), asset in seen.assets.items():
        named = poison.get(id_)
        if asset.status is Status.READY and named:
            yield f"{tenant}/{id_} is {named} and became ready"
        if asset.status is Status.REJECTED and not named:
            yield f"{tenant}/{id_} is a good image and was rejected: {asset.rejection}"


def nothing_is_doubled(seen: Evidence) -> Iterable[str]:
    """One original an asset, the renditions that records name and no others."""
    originals = Counter(seen.objects["OriginalsBucket"])
    wanted = {
        asset.key.original for asset in seen.assets.values() if asset.status is not Status.AWAITING_UPLOAD
    }
    announced = {asset.key.original for asset in seen.assets.values()}
    for key in wanted - set(originals):
        yield f"{key} is recorded and not stored"
    for key in set(originals) - announced:
        yield f"{key} is stored and no record knows it"
    named = {rendition.key for asset in seen.assets.values() for rendition in asset.renditions.values()}
    stored = set(seen.objects["RenditionsBucket"])
    for key in sorted(stored - named):  # the last rebuild took away what near-duplicates and presets left
        yield f"{key} is stored and no record names it"
    for key in sorted(named - stored):
        yield f"{key} is recorded and not stored"


def every_preset_is_the_new_one(seen: Evidence) -> Iterable[str]:
    """Presets changed in the middle of the storm; a rebuild began then, and another when it was over."""
    versions = {preset.name: preset.version for preset in seen.presets}
    for (tenant, id_), asset in seen.assets.items():
        if asset.status is Status.READY:
            shown = {name: rendition.version for name, rendition in asset.renditions.items()}
            if shown != versions:
                yield f"{tenant}/{id_} shows {shown}, and the presets are {versions}"


def jobs_complete_and_lost_nothing(seen: Evidence) -> Iterable[str]:
    """Each job ended, and each imported object is an image that its SKU uses, or a named failure."""
    for job in seen.jobs:
        if job.state != "completed":
            yield f"{job.kind} {job.id} is {job.state}: {job.document['reason']}"
    if sum(job.done for job in seen.jobs if job.kind == "rebuild") == 0:
        yield "no rebuild did anything: nothing was proven"
    for one in seen.imported:
        asset = seen.assets.get((seen.imported_into, one.id))
        if asset is None or asset.status is not (Status.REJECTED if one.is_broken else Status.READY):
            yield f"{one.key} was imported and is {asset and asset.status}"


def webhooks_told_of_each_image(seen: Evidence) -> Iterable[str]:
    """Each image's fate came to its tenant's receiver at least once, and nobody else's did."""
    yield from seen.receivers.broken
    if not seen.receivers.refused:
        yield "no receiver refused anything: nothing was proven of a second attempt"
    told = {
        Status.READY: seen.receivers.ids("image.ready"),
        Status.REJECTED: seen.receivers.ids("image.rejected"),
    }
    for key, asset in seen.assets.items():
        if asset.status in told and key not in told[asset.status]:
            yield f"{key[0]} was never told that {key[1]} is {asset.status}"


def every_rendition_decodes(seen: Evidence) -> Iterable[str]:
    """What clients see of every ready image: each preset, of the right pixels and bytes."""
    ready = [asset for asset in seen.assets.values() if asset.status is Status.READY]
    with ThreadPoolExecutor(4) as pool:
        for findings in pool.map(lambda asset: list(_renditions(asset, seen)), ready):
            yield from findings


def _renditions(asset: Asset, seen: Evidence) -> Iterable[str]:
    name = f"{asset.tenant}/{asset.id}"
    source = asset.source
    if asset.near_duplicate and asset.near_duplicate.shares:
        canonical = seen.assets.get((asset.tenant, asset.near_duplicate.of))
        if canonical is None:
            yield f"{name} shares the renditions of one that is not there"
            return
        source = canonical.source
    if source is None:
        yield f"{name} is ready and nobody knows its size"
        return
    catalog = seen.readers[asset.tenant]
    try:
        image = catalog.get(asset.id)
        if {rendition.preset for rendition in image.renditions} != {preset.name for preset in seen.presets}:
            yield f"{name} has renditions {[rendition.preset for rendition in image.renditions]}"
        for rendition in image.renditions:
            (preset,) = [one for one in seen.presets if one.name == rendition.preset]
            data = catalog.download(rendition)
            decoded = Image.open(io.BytesIO(data))
            decoded.load()
            expected = placement(preset, (source.width, source.height)).canvas
            if not decoded.size == (rendition.width, rendition.height) == expected:
                yield f"{name} {preset.name}: {decoded.size} decoded, {expected} expected"
            if len(data) != rendition.size_bytes:
                yield f"{name} {preset.name}: {len(data)} bytes, {rendition.size_bytes} recorded"
    except (CatalogError, OSError, ValueError) as error:
        yield f"{name}: {type(error).__name__}: {error}"


def references_are_as_clients_believe(seen: Evidence) -> Iterable[str]:
    """What a client was told is held, is; what it released, is not; where its answer was lost, either."""
    for key in set(seen.journal.held) | set(seen.assets):
        held, unsure = seen.journal.held.get(key, set()), seen.journal.unsure.get(key, set())
        asset = seen.assets.get(key)
        there = {name for name in asset.references if not is_hold(name)} if asset else set()
        for name in held - there:
            yield f"{key[0]}/{key[1]} lost the reference {name}" + ("" if asset else ", and itself")
        for name in there - held - unsure:
            yield f"{key[0]}/{key[1]} has the reference {name} that nobody holds"


def near_duplicates_hold_together(seen: Evidence) -> Iterable[str]:
    """A duplicate shows what its canonical asset does, and no two pictures are taken for one."""
    pictures: dict[tuple[str, str], str | None] = {}
    for upload in seen.plan:
        pictures[upload.tenant, upload.file.id] = upload.file.picture
    pictures |= {(seen.imported_into, one.id): one.picture for one in seen.imported}
    for (tenant, id_), asset in seen.assets.items():
        verdict = asset.near_duplicate
        if verdict is not None:
            canonical = seen.assets.get((tenant, verdict.of))
            if canonical is None:
                if verdict.shares:
                    yield f"{tenant}/{id_} shares what is not there"
            elif verdict.shares and asset.renditions.keys() != canonical.renditions.keys():
                yield f"{tenant}/{id_} shows other renditions than {verdict.of}"
            if pictures.get((tenant, id_)) != pictures.get((tenant, verdict.of)):
                yield f"{tenant}/{id_} was taken for another picture's: {verdict.of}"


def no_tenant_sees_another(seen: Evidence) -> Iterable[str]:
    """A tenant's pages show its own images, all of them, and its keys alone; and nobody could pry."""
    yield from seen.journal.broken
    for tenant in TENANTS:
        shown = {(image.document["tenant_id"], image.id) for image in seen.readers[tenant].images()}
        own = {key for key in seen.assets if key[0] == tenant}
        for key in shown ^ own:
            yield f"{tenant} {'is shown' if key in shown else 'does not see'} {key[0]}/{key[1]}"
    for asset in seen.assets.values():
        for rendition in asset.renditions.values():
            if not rendition.key.startswith(f"renditions/{asset.tenant}/"):
                yield f"{asset.tenant}/{asset.id} shows {rendition.key}"


def metrics_equal_the_recount(seen: Evidence) -> Iterable[str]:
    """GET /v1/metrics against every asset added up, once the stream was followed; nothing is repaired."""
    assets = Assets(seen.deployment.output("AssetsTable"))
    ends = time.monotonic() + _FOLLOWED_WITHIN_SECONDS
    while True:
        found = []
        for tenant in TENANTS:
            there = sum(map(usage_of, assets.within(tenant_id(tenant), "")), NOTHING)
            shown = seen.readers[tenant].metrics()
            told = {
                "assets": shown.assets.get(tenant, 0),
                "rejected": shown.rejected,
                "bytes_originals": shown.bytes_originals,
                "duplicates_avoided": shown.duplicates_avoided,
                "bytes_saved": shown.bytes_saved,
                "bytes_per_preset": dict(shown.bytes_per_preset),
            }
            for name, number in told.items():
                if number != getattr(there, name):
                    found.append(f"{tenant}: {name} is {number}, recounted {getattr(there, name)}")
        if not found or time.monotonic() > ends:
            return found
        time.sleep(2)


def purges_are_complete(seen: Evidence) -> Iterable[str]:
    """A run that was confirmed is completed; none is half done, and nothing is still being deleted.

    A storm in which nothing was purged proves nothing of it, and says so.
    """
    if not any(run.deleted for runs in seen.runs.values() for run in runs):
        yield "no purge deleted anything: nothing was proven"
    for tenant, runs in seen.runs.items():
        for run in runs:
            if run.state is RunState.RUNNING:
                yield f"run {run.id} of {tenant} was confirmed and is at {run.position}/{len(run.candidates)}"
            for id_ in run.kept:
                if run.completed_at and not _explains_keeping(seen, tenant, id_):
                    yield f"run {run.id} of {tenant} kept {id_}, and nobody used it"
    for asset in seen.assets.values():
        if asset.status is Status.DELETING:
            yield f"{asset.tenant}/{asset.id} is still being deleted"


def _explains_keeping(seen: Evidence, tenant: str, id_: AssetId) -> bool:
    """Somebody may have used it since it was found: a client's reference, or a near-duplicate's hold."""
    key = tenant, str(id_)
    used = key in seen.journal.held or key in seen.journal.unsure
    return used or any(
        asset.near_duplicate and asset.near_duplicate.of == id_ for asset in seen.assets.values()
    )


def failures_were_injected(seen: Evidence) -> Iterable[str]:
    """Each 5xx and lost answer is one the storm caused: an injected fault in its log, or a killed worker."""
    for bad, cause in blamed(seen):
        if cause is None:
            yield f"{bad.method} {bad.path}: {bad.status} {bad.code} ({bad.request_id}) at {bad.began:.1f}"


def deployed_anew(at: float) -> list[Kill]:
    """The kills of a deployment: the emulator starts every function's workers anew, AWS lets them finish."""
    return [Kill(at, function) for function in sorted({function for _, function in _ROUTES})]


def blamed(seen: Evidence) -> list[tuple[Bad, str | None]]:
    """Each bad answer with its cause; None where there is none that the storm knows of."""
    logged: dict[str, str] = defaultdict(str)
    for line in seen.log:
        if line.get("correlation_id") and line.get("exception"):
            logged[str(line["correlation_id"])] += str(line["exception"])
    harmed_urls = [fault for fault in seen.faults if fault.call.presigned]
    return [(bad, _cause(bad, logged, harmed_urls, seen.kills)) for bad in seen.journal.bad]


def _cause(
    bad: Bad, logged: Mapping[str, str], harmed_urls: list[Fault], kills: tuple[Kill, ...]
) -> str | None:
    if bad.presigned:
        near = any(bad.began - 0.1 <= fault.at <= bad.ended + 0.1 for fault in harmed_urls)
        return "S3 harmed on the client's way" if near else None
    told = logged.get(bad.request_id, "")
    if MARK in told:
        return "throttle or 5xx of a service"
    if _CONNECTION_LOST.search(told):
        return "connection to a service lost"
    function = next((name for route, name in _ROUTES if re.match(route, f"{bad.method} {bad.path}")), None)
    if any(
        kill.function == function and bad.began - _COMING_BACK_SECONDS <= kill.at <= bad.ended + 1
        for kill in kills
    ):
        return "worker killed"
    return None


def answers_tell_nothing_of_the_inside(seen: Evidence) -> Iterable[str]:
    """No stack trace, file name or library in any answer."""
    yield from seen.journal.leaks


def alarms_had_their_metrics(seen: Evidence) -> Iterable[str]:
    """Every dead-letter queue is watched, and what our own alarm watches was told where it happened."""
    pages = seen.deployment.stack.client("cloudwatch").get_paginator("describe_alarms").paginate()
    alarms = [alarm for page in pages for alarm in page["MetricAlarms"]]
    watched = {
        dimension["Value"]
        for alarm in alarms
        if alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
        for dimension in alarm["Dimensions"]
    }
    for output in ("Uploads", "Render", "Purge", "Usage", "Webhooks"):
        queue = seen.deployment.output(f"{output}DeadLetterQueueUrl").rpartition("/")[2]
        if queue not in watched:
            yield f"no alarm watches {queue}"
    told = {name for line in seen.log if "_aws" in line for name in line}
    names = {alarm["MetricName"] for alarm in alarms if alarm["Namespace"] == "CatalogImagePipeline"}
    for name in names - {"JobsFailed"}:  # of a storm in which none did
        if name not in told and any("near-duplicates not looked for" in str(line) for line in seen.log):
            yield f"the metric {name} was never told"
    for name in ("Accepted", "Rejected", "RenditionsWritten", "AssetsCounted", "WebhookDelivered"):
        if name not in told:
            yield f"the metric {name} was never told"


def what_is_stored_agrees(seen: Evidence) -> Iterable[str]:
    """Every guarantee that needs no knowledge of the storm: the crash tests hold moto to the same."""
    output, client = seen.deployment.output, seen.deployment.stack.client
    counters = Counters(output("UsageTable"))
    world = read_world(
        Names(
            assets=output("AssetsTable"),
            hash_bands=output("HashBandsTable"),
            pairs=output("PairsTable"),
            purge_runs=output("PurgeRunsTable"),
            originals=output("OriginalsBucket"),
            renditions=output("RenditionsBucket"),
            jobs=output("JobsTable"),
            references=output("ReferencesTable"),
        ),
        dynamodb=client("dynamodb"),
        s3=client("s3"),
        tenants=[tenant_id(tenant) for tenant in TENANTS],
        usage_of=lambda tenant: counters.total(tenant).usage,
    )
    return broken_guarantees(world, presets={preset.name for preset in seen.presets}, rebuilt=True)


GUARANTEES: Final[tuple[tuple[str, Guarantee], ...]] = (
    ("nothing is lost", nothing_is_lost),
    ("poison is rejected, and nothing else", poison_is_rejected_and_nothing_else),
    ("nothing is doubled", nothing_is_doubled),
    ("webhooks told of each image, verified", webhooks_told_of_each_image),
    ("every rendition is there and decodes", every_rendition_decodes),
    ("every preset is the new one", every_preset_is_the_new_one),
    ("jobs complete, and lose nothing", jobs_complete_and_lost_nothing),
    ("references are as clients believe", references_are_as_clients_believe),
    ("near-duplicates hold together, and are none", near_duplicates_hold_together),
    ("no tenant sees another's", no_tenant_sees_another),
    ("metrics equal the recount, unrepaired", metrics_equal_the_recount),
    ("what is stored agrees with itself", what_is_stored_agrees),
    ("purges complete, and took what was confirmed", purges_are_complete),
    ("every 5xx was injected", failures_were_injected),
    ("answers tell nothing of the inside", answers_tell_nothing_of_the_inside),
    ("alarms have their metrics", alarms_had_their_metrics),
)


def log_lines(deployment: Deployment) -> Iterable[Mapping[str, Any]]:
    """Every structured line that a function has logged."""
    logs = deployment.stack.client("logs")
    groups = logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{deployment.stack.name}/")
    for group in groups["logGroups"]:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"])
        for page in pages:
            for event in page["events"]:
                for text in event["message"].splitlines():
                    if text.startswith("{"):
                        try:
                            line = json.loads(text)
                        except ValueError:
                            continue  # a worker was killed while it wrote
                        yield line | {"function": group["logGroupName"].rpartition("/")[2]}


def _latest(deployment: Deployment, bucket: str) -> Iterable[str]:
    pages = deployment.stack.client("s3").get_paginator("list_object_versions")
    for page in pages.paginate(Bucket=deployment.output(bucket)):
        yield from (version["Key"] for version in page.get("Versions", []) if version["IsLatest"])

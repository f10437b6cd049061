"""A storm on the deployed stack: make storm

    python -m tests.storm [--seed 1] [--uploads 300] [--clients 12] [--share 0.08] [--gust 0.7]

Starts an emulator of its own, deploys the same template with IAM on, and puts a proxy between the functions
and AWS that throttles, fails and hangs up.  While clients of three tenants upload, refer, compare, decide and
purge, workers are killed at random and, in gusts, one service is nearly out.  In its middle presets change,
and jobs rebuild everything and import a bucket; their executions are stopped.  Each tenant's receiver is told
of every event by a webhook, and fails now and then.  Then it calms: the queues drain, dead letters are shown
with their reasons and redriven, jobs end, and every guarantee is held to what is left.
Exits with 1 where one does not hold.  The report is printed, and written to .local/<name>/storm.json.
"""

import json
import os
import random
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from catalog.adapters import sdk
from catalog.domain.presets import parse_presets
from catalog.domain.tenants import Scope
from catalog_images import Credentials, Job
from infra.local import environments
from infra.local.deploy import Stack, ensure_deployed
from infra.local.emulator import Emulator, arguments
from infra.operator.dead_letters import QUEUES, DeadLetters
from infra.operator.tenants import create_tenant_client
from tests.end_to_end.deployment import Deployment
from tests.storm.clients import Journal, PatientClient, Turns, foreign_ids
from tests.storm.faults import FaultProxy, Weather
from tests.storm.jobs import CatalogJobs
from tests.storm.plan import TENANTS, Plan, Sort, plan, tenant_of
from tests.storm.receivers import Receivers
from tests.storm.verdict import GUARANTEES, Evidence, Kill, blamed, deployed_anew

# In the template a message comes back after 6 minutes and dies after 5 receives; a storm has not the time.
HIDDEN_SECONDS: Final = 12
RECEIVES: Final = 3
DRAINED_WITHIN_SECONDS: Final = 240
REDRIVES: Final = 6
RENDERED_ON_ARRIVAL: Final = "200000"  # pixels: half of what is thrown, so that jobs render the other half
QUEUE_OUTPUTS: Final = ("UploadsQueueUrl", "RenderQueueUrl", "PurgeQueueUrl", "WebhooksQueueUrl")
# Those that change most are killed most; a new worker of the emulator takes seconds of a laptop.
KILLED: Final = {
    "IngestFunction": 8,
    "RenderFunction": 8,
    "UsageFunction": 5,
    "PurgeFunction": 2,
    "PurgeWorkerFunction": 2,
    "RequestUploadFunction": 2,
    "ReferencesFunction": 2,
    "GetImageFunction": 1,
    "DuplicatesFunction": 1,
    "ListImagesFunction": 1,
    "RebuildWorkerFunction": 8,
    "ImportWorkerFunction": 5,
    "JobPlannerFunction": 3,
    "JobsFunction": 1,
    "WebhookDeliveryFunction": 5,
}


@dataclass
class Fate:
    """Kills workers and sends gusts until it is told to stop."""

    deployment: Deployment
    weather: Weather
    rng: random.Random
    gust: float
    kills: list[Kill] = field(default_factory=list)
    gusts: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def kill(self) -> None:
        """SIGKILL to one worker of one function, every few seconds."""
        while not self.over.wait(self.rng.uniform(1.5, 4.5)):
            function = self.rng.choices([*KILLED], [*KILLED.values()])[0]
            workers = self.deployment.workers(function)
            if workers:
                with suppress(ProcessLookupError):
                    os.kill(self.rng.choice(sorted(workers)), signal.SIGKILL)
                    self.kills.append(Kill(time.time(), function))

    def blow(self) -> None:
        """Every dozen seconds one service is nearly out for about as long."""
        services = ["dynamodb", "s3", "sqs"]
        while not self.over.wait(self.rng.uniform(6, 14)):
            service = self.rng.choices(services, (4, 4, 2))[0]
            seconds = self.rng.uniform(8, 25)
            self.weather.gusts[service] = self.gust
            self.gusts.append(f"{service} {seconds:.0f} s")
            self.over.wait(seconds)
            self.weather.gusts.pop(service, None)


def say(text: str) -> None:
    print(text, flush=True)


def until(seconds: float, look: Callable[[], bool]) -> bool:
    """Whether `look` came true within so many seconds."""
    ends = time.monotonic() + seconds
    while not look():
        if time.monotonic() > ends:
            return False
        time.sleep(0.5)
    return True


def hurry(deployment: Deployment, *, receives: int) -> None:
    """Messages come back soon, and die after so many receives."""
    sqs = deployment.stack.client("sqs")
    for output in QUEUE_OUTPUTS:
        url = deployment.output(output)
        held = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"]
        policy = json.loads(held["RedrivePolicy"]) | {"maxReceiveCount": receives}
        changed = {"VisibilityTimeout": str(HIDDEN_SECONDS), "RedrivePolicy": json.dumps(policy)}
        sqs.set_queue_attributes(QueueUrl=url, Attributes=changed)


def throw(
    stack: Stack,
    thrown: Plan,
    deployment: Deployment,
    weather: Weather,
    *,
    receivers: Receivers,
    options: Any,
) -> tuple[Journal, Fate, CatalogJobs]:
    """The storm itself: over when every client has had its turns."""
    journal = Journal()
    rng = random.Random(thrown.seed)
    originals = deployment.output("OriginalsBucket")
    s3 = stack.client("s3")

    def write_object(key: str, data: bytes) -> None:
        s3.put_object(Bucket=originals, Key=key, Body=data)

    ids = {tenant: {u.file.id for u in thrown if u.tenant == tenant} for tenant in TENANTS}
    turns = []
    for client, uploads in enumerate(thrown.uploads):
        tenant, administers = tenant_of(client), client < len(TENANTS)
        scopes = (Scope.READ, Scope.WRITE, *([Scope.ADMIN] if administers else []))
        made = create_tenant_client(tenant, scopes=scopes, outputs=stack.outputs)
        credentials = Credentials(made.client.client_id, made.client_secret)
        catalog = PatientClient(stack.api_url, stack.token_url, credentials, journal)
        catalog.token()
        if administers:
            receivers.subscribe(tenant, catalog)
        turns.append(
            Turns(
                name=client,
                tenant=tenant,
                catalog=catalog,
                administers=administers,
                uploads=uploads,
                foreign=foreign_ids(ids, tenant),
                journal=journal,
                write_object=write_object,
                rng=random.Random(f"{thrown.seed}/{client}"),
            )
        )
    fate = Fate(deployment, weather, random.Random(rng.random()), options.gust)
    jobs = CatalogJobs(
        deployment, _administrator(stack, journal), TENANTS[-1], journal, random.Random(thrown.seed)
    )
    jobs.lay()
    weather.share = options.share
    threads = [threading.Thread(target=turn.run, name=f"client-{turn.name}") for turn in turns]
    fates = [
        threading.Thread(target=fate.kill),
        threading.Thread(target=fate.blow),
        threading.Thread(target=jobs.run, args=(jobs.has_something_to_do, fate.over)),
    ]
    for thread in (*threads, *fates):
        thread.start()
    for thread in threads:
        thread.join()
    fate.over.set()
    for thread in fates:
        thread.join()
    weather.calm()
    for turn in turns:
        turn.catalog.close()
    return journal, fate, jobs


def _administrator(stack: Stack, journal: Journal) -> PatientClient:
    made = create_tenant_client(TENANTS[-1], scopes=(Scope.READ, Scope.ADMIN), outputs=stack.outputs)
    credentials = Credentials(made.client.client_id, made.client_secret)
    client = PatientClient(stack.api_url, stack.token_url, credentials, journal)
    client.token()
    return client


def drained(deployment: Deployment) -> bool:
    """Whether every queue ran empty."""
    return until(
        DRAINED_WITHIN_SECONDS, lambda: all(deployment.depth(output) == 0 for output in QUEUE_OUTPUTS)
    )


def finish_purges(deployment: Deployment) -> None:
    """What the schedule does every day; among other things it finishes what a dead function began."""
    client = deployment.stack.client("lambda")
    client.invoke(FunctionName=deployment.output("PurgeStarterFunction"), Payload=b'{"purge": "daily"}')


def buried(deployment: Deployment) -> tuple[list[dict[str, Any]], list[str]]:
    """The dead letters with their explanations, redriven until there are none; and what stayed."""
    letters = DeadLetters(deployment.stack.name, deployment.stack.outputs)
    explained: list[dict[str, Any]] = []
    for _ in range(REDRIVES):
        found = [letter for queue in QUEUES for letter in letters.list(queue, limit=1000)]
        if not found:
            return explained, []
        explained += found
        for queue in QUEUES:
            list(letters.redrive(queue, limit=1000, dry_run=False))
        if not drained(deployment):
            break
    return explained, [
        f"dead letters are left: {letter}" for queue in QUEUES for letter in letters.list(queue, limit=9)
    ]


def send_again(stack: Stack, thrown: Plan) -> int:
    """Announce and send anew what was rejected for other bytes at its key, as a client does that reads so.

    Where those came between ticket and PUT, S3 answered the PUT 412, as for bytes that are there already.
    """
    sent = 0
    for tenant in TENANTS:
        made = create_tenant_client(tenant, scopes=(Scope.READ, Scope.WRITE), outputs=stack.outputs)
        credentials = Credentials(made.client.client_id, made.client_secret)
        with PatientClient(stack.api_url, stack.token_url, credentials, Journal()) as client:
            rejected = {image.id for image in client.images(status="rejected") if image.heals}
            for file in {u.file.id: u.file for u in thrown if u.tenant == tenant}.values():
                if file.id in rejected:
                    client.upload(file.data, content_type=file.content_type, filename="again.img")
                    sent += 1
    return sent


def table(title: str, rows: Mapping[str, Any]) -> None:
    say(f"\n{title}")
    for name, number in rows.items():
        say(f"  {name:<58} {number:>7}")


def short(reason: str) -> str:
    """A reason without what makes each one different."""
    return " ".join(word for word in reason.split() if not any(map(str.isdigit, word)))[:110]


def main() -> None:
    parser = arguments("A storm on the deployed stack.")
    parser.set_defaults(port=4590, name="storm", account="000000000590")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    parser.add_argument("--uploads", type=int, default=300)
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--share", type=float, default=0.08, help="of all calls to AWS that are harmed")
    parser.add_argument("--gust", type=float, default=0.7, help="of one service's calls, while a gust lasts")
    parser.add_argument("--proxy-port", type=int, default=0, help="default: the emulator's and one")
    parser.add_argument("--keep", action="store_true", help="leave the emulator running, to look at it")
    options = parser.parse_args()
    proxy_port = options.proxy_port or options.port + 1
    emulator = Emulator(
        options.port, options.name, options.account, functions_endpoint=f"http://127.0.0.1:{proxy_port}"
    )
    environments.ensure("sam", "emulator")
    emulator.down()
    shutil.rmtree(emulator.folder, ignore_errors=True)
    weather = Weather(options.seed)
    say(f"storm {options.seed}: {options.uploads} uploads, {options.clients} clients, {len(TENANTS)} tenants")
    with FaultProxy(proxy_port, options.port, weather).running():
        emulator.up()
        try:
            with Receivers().listening() as receivers:
                holds = weathered(emulator, weather, receivers, options)
        finally:
            if not options.keep:
                emulator.down()
    sys.exit(0 if holds else 1)


def weathered(emulator: Emulator, weather: Weather, receivers: Receivers, options: Any) -> bool:
    """The whole storm, from deployment to verdict; whether every guarantee held."""
    os.environ.update(emulator.credentials)
    sdk.client.cache_clear()
    sdk._session.cache_clear()
    began = time.monotonic()
    stack = ensure_deployed(emulator)
    deployment = Deployment(stack)
    thrown = plan(options.seed, uploads=options.uploads, clients=options.clients)
    say(f"  deployed and drawn after {time.monotonic() - began:.0f} s; the storm begins")
    hurry(deployment, receives=RECEIVES)
    deployment.configure(PIXELS_RENDERED_ON_ARRIVAL=RENDERED_ON_ARRIVAL)

    storm_began = time.monotonic()
    journal, fate, jobs = throw(stack, thrown, deployment, weather, receivers=receivers, options=options)
    receivers.calm = True
    faults = list(weather.faults)
    calls = sum(weather.calls.values())
    storm_seconds = time.monotonic() - storm_began
    say(f"  the storm lasted {storm_seconds:.0f} s; calm")

    hurry(deployment, receives=5)
    calm_began = time.monotonic()
    left = [] if drained(deployment) else ["the queues did not run empty"]
    letters, unburied = buried(deployment)
    healed = send_again(stack, thrown)
    finish_purges(deployment)
    left += [] if drained(deployment) else ["the queues did not run empty after the daily purge"]
    more, unburied_later = buried(deployment)
    letters += more
    last = jobs.finish()
    left += [] if drained(deployment) else ["the queues did not run empty after the jobs"]
    calm_seconds = time.monotonic() - calm_began
    say(f"  {healed} rejected for other bytes at their key, and sent again")

    readers = {}
    for tenant in TENANTS:
        made = create_tenant_client(tenant, scopes=(Scope.READ,), outputs=stack.outputs)
        readers[tenant] = PatientClient(
            stack.api_url,
            stack.token_url,
            Credentials(made.client.client_id, made.client_secret),
            Journal(),
        )
    seen = Evidence.gathered(
        deployment,
        thrown,
        journal,
        faults,
        [*fate.kills, *deployed_anew(jobs.deployed_at)],
        presets_of(deployment),
        readers,
        jobs,
        receivers,
    )
    verdicts = {"queues drain, dead letters are explained and redriven": left + unburied + unburied_later}
    for name, guarantee in GUARANTEES:
        verdicts[name] = list(guarantee(seen))
    report = {
        "seed": options.seed,
        "share": options.share,
        "gust": options.gust,
        "seconds": {"storm": round(storm_seconds), "calm": round(calm_seconds)},
        "thrown": {str(sort): journal.sent[sort] for sort in Sort},
        "given_up": {what: n for what, n in journal.sent.items() if what.startswith("given up")},
        "client_calls": dict(sorted(journal.calls.items())),
        "calls_of_functions": calls,
        "injected": dict(
            sorted(
                Counter(
                    f"{fault.call.service}{' (presigned)' if fault.call.presigned else ''} {fault.kind}"
                    for fault in faults
                ).items()
            )
        ),
        "injected_by_operation": dict(
            Counter(
                f"{fault.call.service}:{fault.call.operation} {fault.kind}" for fault in faults
            ).most_common()
        ),
        "gusts": fate.gusts,
        "killed": dict(Counter(kill.function for kill in fate.kills)),
        "bad_answers": {
            f"{bad}: {cause or 'UNEXPLAINED'}": number
            for (bad, cause), number in Counter(
                (str(answer.status or "no answer"), cause) for answer, cause in blamed(seen)
            ).items()
        },
        "dead_letters": dict(Counter(f"{one['queue']}: {short(one['reason'])}" for one in letters)),
        "logged_failures": dict(
            Counter(
                f"{line['function']}: {short(str(line['exception']).strip().splitlines()[-1])}"
                for line in seen.log
                if line.get("exception")
            ).most_common(40)
        ),
        "left": {
            f"{tenant} {status}": number
            for (tenant, status), number in sorted(
                Counter((key[0], str(asset.status)) for key, asset in seen.assets.items()).items()
            )
        },
        "near_duplicates": sum(asset.near_duplicate is not None for asset in seen.assets.values()),
        "jobs": [f"{job.kind}: {job.state}, {job_figures(job)}" for job in seen.jobs],
        "at_last": [f"{job.kind}: {job_figures(job)}" for job in last],
        "to_jobs": dict(jobs.happened),
        "webhooks": {
            **Counter(event["type"] for _, event in receivers.events),
            "refused by receivers": receivers.refused,
            "repeated": receivers.repeated(),
        },
        "purge_runs": dict(Counter(f"{run.state}" for runs in seen.runs.values() for run in runs)),
        "purged": sum(run.deleted for runs in seen.runs.values() for run in runs),
        "findings": verdicts,
    }
    (emulator.folder / "storm.json").write_text(json.dumps(report, indent=1, default=str))
    (emulator.folder / "bad_answers.json").write_text(
        json.dumps(
            {
                "answers": [asdict(bad) | {"cause": cause} for bad, cause in blamed(seen)],
                "kills": [asdict(kill) for kill in fate.kills],
            },
            indent=1,
        )
    )
    show(report)
    return not any(verdicts.values())


def presets_of(deployment: Deployment) -> Any:
    """The presets as the functions are told them."""
    return parse_presets(deployment.variable("RenderFunction", "PRESETS"))


def job_figures(job: Job) -> str:
    counted = ", ".join(f"{number} {name}" for name, number in job.counts.items())
    attempt = f"{job.done} done, {job.skipped} skipped, {job.failed} failed"
    return f"{attempt}; {counted}"


def show(report: Mapping[str, Any]) -> None:
    """The report for people."""
    table("thrown", report["thrown"] | report["given_up"])
    table(
        f"injected, into {report['calls_of_functions']} calls of functions and presigned ones",
        report["injected"],
    )
    say(f"  gusts: {', '.join(report['gusts'])}")
    table("workers killed", report["killed"])
    table("answers that clients retried after", report["bad_answers"])
    table("dead letters, explained and redriven", report["dead_letters"] or {"none": 0})
    table("what is left", report["left"])
    runs = ", ".join(f"{number} {state}" for state, number in sorted(report["purge_runs"].items()))
    say(f"  {report['near_duplicates']} near-duplicates; {report['purged']} purged; runs: {runs}")
    table("told by webhooks", report["webhooks"])
    table("what happened to jobs", report["to_jobs"])
    for job in report["jobs"] + [f"at last {job}" for job in report["at_last"]]:
        say(f"  {job}")
    say(f"\nguarantees (storm {report['seconds']['storm']} s, calm {report['seconds']['calm']} s)")
    for name, findings in report["findings"].items():
        say(f"  {'FAILS' if findings else 'holds'}  {name}")
        for finding in findings[:12]:
            say(f"           {finding}")
        if len(findings) > 12:
            say(f"           and {len(findings) - 12} more")
    say(f"\nseed {report['seed']}: make storm SEED={report['seed']}")


if __name__ == "__main__":
    main()

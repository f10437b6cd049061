"""What the worker of erasures erases with."""

from catalog import settings
from catalog.adapters.clients_table import Clients as ClientsTable
from catalog.adapters.hash_bands_table import HashBands
from catalog.adapters.identity import IdentityProvider
from catalog.adapters.jobs_table import Jobs
from catalog.adapters.object_versions import ObjectVersions
from catalog.adapters.signing import Signer
from catalog.adapters.tenant_items import TenantItems
from catalog.adapters.tenants_table import Tenants
from catalog.adapters.usage_table import Counters
from catalog.composition import renderers
from catalog.domain.keys import ORIGINALS_PREFIX, RENDITIONS_PREFIX
from catalog.use_cases.erasing import Clients, Images, Items, JobTraces, Objects, TenantErasure
from catalog.use_cases.erasing_images import ImageErasure
from catalog.use_cases.erasures import Erasure
from catalog.use_cases.rendering import Renderer
from catalog.use_cases.tenants import ClientAdministration


def erasure(renderer: Renderer) -> Erasure:
    """`renderer` is the imaging layer's: near-duplicates of an erased image get renditions of their own."""
    rendering = renderers.rendering(renderer)
    assets, grouping = rendering.assets, rendering.completion.grouping
    tenants, jobs = Tenants(settings.tenants_table()), Jobs(settings.jobs_table())
    clients = ClientAdministration(
        tenants, IdentityProvider(settings.user_pool_id()), ClientsTable(settings.clients_table())
    )
    bands, signer = HashBands(settings.hash_bands_table()), Signer(settings.signing_key_id())
    totals, usage = Counters(settings.usage_table()), TenantItems(settings.usage_table(), "counter")
    objects = (
        Objects("originals", ObjectVersions(settings.originals_bucket(), ORIGINALS_PREFIX)),
        Objects("renditions", ObjectVersions(settings.renditions_bucket(), RENDITIONS_PREFIX)),
    )
    pairs = Items(
        "pairs", TenantItems(settings.pairs_table(), "pair"), of_ids=("", "member/", "waiting/", "word/")
    )
    references = Items("reference_entries", TenantItems(settings.references_table(), "entry"), of_ids=("",))
    imports = Items("imports", TenantItems(settings.imported_table(), "object"), of_ids=("",))
    runs = Items("purge_runs", TenantItems(settings.purge_runs_table(), "run_id"))
    webhooks = Items("webhooks", TenantItems(settings.webhooks_table(), "entry"))
    traces = JobTraces(jobs, ObjectVersions(settings.jobs_bucket(), "jobs/"))
    return Erasure(
        TenantErasure(
            *(tenants, clients, bands, jobs, totals, signer),
            of_ranges=(*objects, Images(assets, bands), pairs, references, imports),
            rest=(runs, webhooks, Clients(clients), traces),
            counters=(
                Items("counters", usage, of_ids=("counted#",)),
                Items("counters", usage, beside=(("!", "counted"), ("counted$", "~"))),
            ),
        ),
        ImageErasure(
            *(assets, grouping.groups, grouping, bands, rendering, jobs, totals, signer),
            *(objects, pairs, references, imports),
        ),
    )

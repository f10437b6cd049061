"""What plans the jobs of each kind, for the planner."""

from collections.abc import Mapping

from catalog import settings
from catalog.adapters.assets_table import Assets
from catalog.adapters.sources import Sources
from catalog.adapters.tenants_table import Tenants
from catalog.adapters.usage_table import Counters
from catalog.domain.jobs import JobKind, Steps
from catalog.use_cases.importing import ImportSteps
from catalog.use_cases.rebuilding import RebuildSteps
from catalog.use_cases.recounting import RecountSteps


def steps() -> Mapping[JobKind, Steps]:
    assets, tenants = Assets(settings.assets_table()), Tenants(settings.tenants_table())
    rebuild = RebuildSteps(
        tenants, Counters(settings.usage_table()), settings.presets(), settings.old_renditions()
    )
    return {
        JobKind.IMPORT: ImportSteps(Sources()),
        JobKind.REBUILD: rebuild,
        JobKind.RECOUNT: RecountSteps(assets, tenants),
    }
